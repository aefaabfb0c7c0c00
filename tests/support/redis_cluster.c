/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "redis.h"
#include "redis_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool cluster_is_whole(const struct redis *r)
{
    char text[REDIS_LINE_BYTES], known[32];
    size_t len = 0;
    (void)snprintf(known, sizeof known, "cluster_known_nodes:%u\r", REDIS_NODES);
    return redis_try(r, "CLUSTER INFO", text, sizeof text, &len) &&
           strstr(text, "cluster_state:ok\r") != NULL &&
           strstr(text, "cluster_slots_ok:16384\r") != NULL && strstr(text, known) != NULL;
}

static bool wait_whole(const struct redis_cluster *c)
{
    size_t i = 0;
    for (unsigned polls = 0; i < REDIS_NODES && polls < REDIS_POLLS_MAX; polls++) {
        if (c->node[i].pid == 0 || cluster_is_whole(&c->node[i])) {
            i++;
        } else {
            redis_pause();
        }
    }
    return i == REDIS_NODES;
}

static bool asks_ok(const struct redis *r, const char *line)
{
    char text[REDIS_LINE_BYTES];
    size_t len = 0;
    return redis_try(r, line, text, sizeof text, &len) && strcmp(text, "+OK") == 0;
}

static bool introduce(const struct redis_cluster *c, const unsigned bus_port[REDIS_NODES])
{
    static const char *const slots[REDIS_NODES] = { "0 5460", "5461 10922", "10923 16383" };
    bool done = true;
    for (unsigned i = 0; done && i < REDIS_NODES; i++) {
        char line[96];
        (void)snprintf(line, sizeof line, "CLUSTER SET-CONFIG-EPOCH %u", i + 1);
        done = asks_ok(&c->node[i], line);
        (void)snprintf(line, sizeof line, "CLUSTER ADDSLOTSRANGE %s", slots[i]);
        done = done && asks_ok(&c->node[i], line);
        (void)snprintf(line, sizeof line, "CLUSTER MEET 127.0.0.1 %u %u", c->node[i].port,
                       bus_port[i]);
        done = done && (i == 0 || asks_ok(&c->node[0], line));
    }
    return done;
}

bool redis_cluster_start(struct redis_cluster *c, const struct redis_options *options)
{
    memset(c, 0, sizeof *c);
    struct redis_options each = { .tcp = true };
    if (options != NULL) {
        each = *options;
        each.tcp = true;
    }
    unsigned bus_port[REDIS_NODES] = { 0 };
    bool done = true;
    for (unsigned i = 0; done && i < REDIS_NODES; i++) {
        done = redis_start_node(&c->node[i], &each, &bus_port[i]);
    }
    done = done && introduce(c, bus_port) && wait_whole(c);
    if (!done) {
        redis_cluster_remove(c);
    }
    return done;
}

void redis_cluster_wait(struct redis_cluster *c)
{
    assert_true(wait_whole(c));
}

void redis_cluster_remove(struct redis_cluster *c)
{
    for (unsigned i = 0; i < REDIS_NODES; i++) {
        redis_remove(&c->node[i]);
    }
}

static const struct redis *first_running(const struct redis_cluster *c)
{
    for (unsigned i = 0; i < REDIS_NODES; i++) {
        if (c->node[i].pid != 0) {
            return &c->node[i];
        }
    }
    fail_msg("no node is running");
    return &c->node[0];
}

/* "<id> 127.0.0.1:PORT@BUS flags - 0 0 epoch connected 0-5460 ...": one line a node. Whether the
 * slot is in one of its ranges; those in brackets are on their way. */
static bool line_has(const char *line, unsigned slot)
{
    const char *at = strstr(line, "connected ");
    while (at != NULL && (at = strchr(at, ' ')) != NULL) {
        at++;
        char *behind = NULL;
        const unsigned long from = strtoul(at, &behind, 10);
        unsigned long to = from;
        if (behind == at) {
            continue;
        }
        if (*behind == '-') {
            to = strtoul(behind + 1, NULL, 10);
        }
        if (slot >= from && slot <= to) {
            return true;
        }
    }
    return false;
}

/* REDIS_NODES: none, as that node knows it. */
static unsigned owner_at(const struct redis_cluster *c, const struct redis *r, unsigned slot)
{
    char text[REDIS_LINE_BYTES];
    (void)redis_ask(r, "CLUSTER NODES", text, sizeof text);
    char *next = text;
    while (*next != '\0') {
        char *line = next;
        next += strcspn(next, "\n");
        if (*next != '\0') {
            *next++ = '\0';
        }
        const char *port = strchr(line, ':');
        for (unsigned i = 0; port != NULL && line_has(line, slot) && i < REDIS_NODES; i++) {
            if (strtoul(port + 1, NULL, 10) == c->node[i].port) {
                return i;
            }
        }
    }
    return REDIS_NODES;
}

unsigned redis_cluster_owner(const struct redis_cluster *c, unsigned slot)
{
    const unsigned owner = owner_at(c, first_running(c), slot);
    assert_in_range(owner, 0, REDIS_NODES - 1);
    return owner;
}

static void set_slot(const struct redis *r, unsigned slot, const char *how,
                     const struct redis *node)
{
    char id[64], line[160];
    (void)redis_ask(node, "CLUSTER MYID", id, sizeof id);
    (void)snprintf(line, sizeof line, "CLUSTER SETSLOT %u %s %s", slot, how, id);
    redis_expect(r, line, "+OK");
}

void redis_cluster_migrate(struct redis_cluster *c, unsigned slot, unsigned to)
{
    const struct redis *const from = &c->node[redis_cluster_owner(c, slot)];
    set_slot(&c->node[to], slot, "IMPORTING", from);
    set_slot(from, slot, "MIGRATING", &c->node[to]);
}

void redis_cluster_settle(struct redis_cluster *c, unsigned slot, unsigned to)
{
    /* The new owner first: it is the one that tells the others. */
    set_slot(&c->node[to], slot, "NODE", &c->node[to]);
    for (unsigned i = 0; i < REDIS_NODES; i++) {
        if (i != to && c->node[i].pid != 0) {
            set_slot(&c->node[i], slot, "NODE", &c->node[to]);
        }
    }
}
