/* SPDX-License-Identifier: Apache-2.0 */
/* CLUSTER: to clients this proxy is a Cluster of one node that has all slots, so that they never
 * learn of the nodes behind it. */
#include "proxy/local_internal.h"
#include "resp/resp.h"

#define SLOT_LAST      (ARILI_RESP_SLOTS - 1)
#define BUS_PORT_ABOVE 10000u /* where Redis has the bus of a node; nothing listens there */

/* A UNIX socket has no host: clients take an empty one for the address that they are connected
 * to. */
static const char *host(const struct arili_local *l)
{
    return l->self.is_unix ? "" : l->self.host;
}

void arili_local_cluster_slots(const struct arili_local_call *c)
{
    arili_say_header(c->out, '*', 1);
    arili_say_header(c->out, '*', 3);
    arili_say_integer(c->out, 0);
    arili_say_integer(c->out, SLOT_LAST);
    arili_say_header(c->out, '*', 4);
    arili_local_say_word(c->out, host(c->l));
    arili_say_integer(c->out, c->l->self.port);
    arili_local_say_word(c->out, c->l->node_id);
    arili_say_map(c->out, c->l->resp3, 0);
}

static void say_pair(struct arili_flow *out, const char *name, const char *value)
{
    arili_local_say_word(out, name);
    arili_local_say_word(out, value);
}

void arili_local_cluster_shards(const struct arili_local_call *c)
{
    arili_say_header(c->out, '*', 1);
    arili_say_map(c->out, c->l->resp3, 2);
    arili_local_say_word(c->out, "slots");
    arili_say_header(c->out, '*', 2);
    arili_say_integer(c->out, 0);
    arili_say_integer(c->out, SLOT_LAST);
    arili_local_say_word(c->out, "nodes");
    arili_say_header(c->out, '*', 1);
    arili_say_map(c->out, c->l->resp3, 7);
    say_pair(c->out, "id", c->l->node_id);
    arili_local_say_word(c->out, "port");
    arili_say_integer(c->out, c->l->self.port);
    say_pair(c->out, "ip", host(c->l));
    say_pair(c->out, "endpoint", host(c->l));
    say_pair(c->out, "role", "master");
    arili_local_say_word(c->out, "replication-offset");
    arili_say_integer(c->out, 0);
    say_pair(c->out, "health", "online");
}

void arili_local_cluster_nodes(const struct arili_local_call *c)
{
    const unsigned port = c->l->self.port;
    const unsigned bus =
        port > 0 && port + BUS_PORT_ABOVE <= UINT16_MAX ? port + BUS_PORT_ABOVE : 0;
    struct arili_local_text text = { .len = 0 };
    arili_local_add(&text, "%s %s:%u@%u myself,master - 0 0 0 connected 0-%u\n", c->l->node_id,
                    host(c->l), port, bus, SLOT_LAST);
    arili_local_say_text(c, &text);
}

void arili_local_cluster_info(const struct arili_local_call *c)
{
    struct arili_local_text text = { .len = 0 };
    arili_local_add(&text,
                    "cluster_state:ok\r\ncluster_slots_assigned:%u\r\ncluster_slots_ok:%u\r\n"
                    "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n",
                    ARILI_RESP_SLOTS, ARILI_RESP_SLOTS);
    arili_local_add(&text, "cluster_known_nodes:1\r\ncluster_size:1\r\ncluster_current_epoch:0\r\n"
                           "cluster_my_epoch:0\r\ncluster_stats_messages_sent:0\r\n"
                           "cluster_stats_messages_received:0\r\n"
                           "total_cluster_links_buffer_limit_exceeded:0\r\n");
    arili_local_say_text(c, &text);
}

void arili_local_cluster_myid(const struct arili_local_call *c)
{
    arili_local_say_word(c->out, c->l->node_id);
}

/* The only shard is named after its only node. */
void arili_local_cluster_myshardid(const struct arili_local_call *c)
{
    arili_local_say_word(c->out, c->l->node_id);
}

void arili_local_cluster_keyslot(const struct arili_local_call *c)
{
    arili_say_integer(c->out, arili_resp_slot(c->args[2]));
}

void arili_local_cluster_links(const struct arili_local_call *c)
{
    arili_say_header(c->out, '*', 0);
}

void arili_local_cluster_replicas(const struct arili_local_call *c)
{
    if (arili_local_is(c->args[2], c->l->node_id)) {
        arili_say_header(c->out, '*', 0);
    } else {
        char shown[ARILI_LOCAL_SHOWN];
        arili_say_error(c->out, "ERR Unknown node %s", arili_local_show(c->args[2], shown));
    }
}
