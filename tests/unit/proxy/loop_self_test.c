/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem() */
#include "proxy/loop_internal.h"
#include "proxy_config.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/* Where the proxy says that it is: where its client can reach it. */

static struct proxy_peers p;

static const char config[] =
    PROXY_CONFIG_TOP "[upstream]\nserver = redis+cluster://127.0.0.1:6380\n"
                     "[listen]\naddress = 0.0.0.0:6379\ntenant = alice\n"
                     "[listen]\naddress = [::]:6378\ntenant = alice\n"
                     "[listen]\naddress = proxy.example:6377\n"
                     "tenant = alice\n"
                     "[listen]\naddress = 0.0.0.0:6376\n"
                     "announce = redis.example:7000\ntenant = alice\n"
                     "[listen]\naddress = /run/s\ntenant = alice\n"
                     "[tenant alice]\n[tenant bob]\n";

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_config_parse(config));
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static struct proxy_peer *accept_at(uint32_t listener, const char *host, uint16_t port)
{
    struct arili_identity who = { .address = "192.0.2.1", .local = { .port = port } };
    struct proxy_peer *c = &p.clients[p.client_count++];
    snprintf(who.local.host, sizeof who.local.host, "%s", host);
    c->all = &p;
    assert_status(arili_loop_accept(p.loop, listener, &who, c, p.now_ns, &c->peer), ARIL_OK);
    return c;
}

/* CLUSTER SLOTS, SHARDS and NODES tell the same; laddr is what the connection has. */
static void expect(struct proxy_peer *c, const char *host, unsigned port, const char *laddr)
{
    char want[320];
    ASKS(c, "CLUSTER", "SLOTS");
    snprintf(want, sizeof want, "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$%zu\r\n%s\r\n:%u\r\n$40\r\n",
             strlen(host), host, port);
    proxy_heard_begins(c, want);
    ASKS(c, "CLUSTER", "SHARDS");
    aril_bytes heard = proxy_heard(c);
    snprintf(want, sizeof want, "$4\r\nport\r\n:%u\r\n$2\r\nip\r\n$%zu\r\n%s\r\n", port,
             strlen(host), host);
    assert_non_null(memmem(heard.data, heard.len, want, strlen(want)));
    ASKS(c, "CLUSTER", "NODES");
    heard = proxy_heard(c);
    snprintf(want, sizeof want, " %s:%u@", host, port);
    assert_non_null(memmem(heard.data, heard.len, want, strlen(want)));
    ASKS(c, "CLIENT", "INFO");
    heard = proxy_heard(c);
    snprintf(want, sizeof want, " laddr=%s ", laddr);
    assert_non_null(memmem(heard.data, heard.len, want, strlen(want)));
}

static void a_listener_at_all_addresses_is_where_the_client_came_in(void **state)
{
    (void)state;
    expect(accept_at(0, "10.1.2.3", 6379), "10.1.2.3", 6379, "10.1.2.3:6379");
    expect(accept_at(0, "127.0.0.1", 6379), "127.0.0.1", 6379, "127.0.0.1:6379");
    expect(accept_at(1, "2001:db8::7", 6378), "2001:db8::7", 6378, "[2001:db8::7]:6378");
}

static void a_name_stays_and_the_port_is_the_one_that_was_used(void **state)
{
    (void)state;
    expect(accept_at(2, "10.1.2.3", 40001), "proxy.example", 40001, "proxy.example:40001");
}

static void what_is_announced_is_told(void **state)
{
    (void)state;
    expect(accept_at(3, "172.17.0.2", 6376), "redis.example", 7000, "172.17.0.2:6376");
}

static void without_an_address_it_is_that_of_the_configuration(void **state)
{
    (void)state;
    expect(accept_at(0, "", 0), "0.0.0.0", 6379, "0.0.0.0:6379");
    expect(accept_at(4, "", 0), "", 0, "/run/s");
}

/* It may change while clients are there. */
static void a_reload_may_announce_another_one(void **state)
{
    (void)state;
    char text[sizeof config + 64];
    aril_error error = { .status = ARIL_OK };
    struct proxy_peer *c = accept_at(3, "172.17.0.2", 6376);
    expect(c, "redis.example", 7000, "172.17.0.2:6376");
    const char *at = strstr(config, "redis.example:7000");
    snprintf(text, sizeof text, "%.*sother.example:7001%s", (int)(at - config), config,
             at + strlen("redis.example:7000"));
    assert_status(arili_proxy_reload(p.proxy, proxy_config_parse(text), &error), ARIL_OK);
    proxy_tick(&p, 100);
    expect(c, "other.example", 7001, "172.17.0.2:6376");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_listener_at_all_addresses_is_where_the_client_came_in),
        T(a_name_stays_and_the_port_is_the_one_that_was_used),
        T(what_is_announced_is_told),
        T(without_an_address_it_is_that_of_the_configuration),
        T(a_reload_may_announce_another_one),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
