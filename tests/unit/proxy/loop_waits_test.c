/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <string.h>

/* What waits for one another: commands for links, jobs for links, answers for settings. */

static struct proxy_peers p;

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_peers_config());
    return 0;
}
/* One connection to the server, for all. */
static int setup_one(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->upstream.links_max = 1;
    proxy_peers_init(&p, config);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static void sealed_bad(struct proxy_peer *c, struct sealed *ret)
{
    sealed_set(c, 0, "k", "the plaintext", ret);
    ret->bytes[ret->len - 1] ^= 1;
}

/* --- Links ---------------------------------------------------------------------------------- */

static void a_removal_has_the_link_that_its_client_gives_back(void **state)
{
    (void)state;
    struct sealed v;
    aril_bytes args[4];
    struct proxy_peer *c = proxy_accept(&p);
    sealed_bad(c, &v);
    ASKS(c, "GET", "k");
    ASKS(c, "PING");
    (void)proxy_command_is(&p.links[0], "GET", args, COUNT(args));
    sealed_say(&p.links[0], &v);
    sealed_removal(&p, 0, "UNLINK", sealed_head(&v));
    proxy_heard_is(c, "$-1\r\n+PONG\r\n");
    assert_int_equal(p.link_count, 1);
}

/* It owes answers still, to commands behind the bad one. */
static void a_removal_waits_until_its_client_needs_no_link(void **state)
{
    (void)state;
    struct sealed v;
    aril_bytes args[4];
    struct proxy_peer *c = proxy_accept(&p);
    sealed_bad(c, &v);
    proxy_say(c, TEXT("GET k\r\nTTL k\r\n"));
    (void)proxy_command_is(&p.links[0], "GET", args, COUNT(args));
    (void)proxy_command_is(&p.links[0], "TTL", args, COUNT(args));
    sealed_say(&p.links[0], &v);
    proxy_heard_is(c, "");
    proxy_say(&p.links[0], TEXT(":7\r\n"));
    sealed_removal(&p, 0, "UNLINK", sealed_head(&v));
    proxy_heard_is(c, "$-1\r\n:7\r\n");
}

/* Others wait for the same link: all have their turn, without a tick. */
static void clients_and_jobs_share_one_link(void **state)
{
    (void)state;
    struct sealed v;
    aril_bytes args[8];
    struct proxy_peer *c = proxy_accept(&p);
    struct proxy_peer *d = proxy_accept(&p);
    sealed_bad(c, &v);
    ASKS(c, "GET", "k");
    ASKS(d, "GETEX", "k", "PERSIST");
    ASKS(d, "PING");
    (void)proxy_command_is(&p.links[0], "GET", args, COUNT(args));
    sealed_say(&p.links[0], &v);
    proxy_heard_is(c, "");
    sealed_removal(&p, 0, "UNLINK", sealed_head(&v));
    proxy_heard_is(c, "$-1\r\n");
    struct proxy_peer *s = proxy_link(&p, p.link_count - 1);
    (void)proxy_command_is(s, "WATCH", args, COUNT(args));
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n$-1\r\n"));
    proxy_heard_is(d, "$-1\r\n+PONG\r\n");
}

/* --- Settings ------------------------------------------------------------------------------- */

/* A client follows a new configuration with its next command; what it asked before is answered by
 * the policy of then, which must still be there. */
static void answers_under_way_keep_their_policy(void **state)
{
    (void)state;
    struct sealed v;
    aril_error error;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_bad(c, &v);
    ASKS(c, "GET", "k");
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].on_tamper = ARILI_TAMPER_ERROR;
    assert_status(arili_proxy_reload(p.proxy, config, &error), ARIL_OK);
    proxy_tick(&p, 100);
    ASKS(c, "GET", "k");
    proxy_tick(&p, 100);
    sealed_say(&p.links[0], &v);
    sealed_say(&p.links[0], &v);
    sealed_removal(&p, 1, "UNLINK", sealed_head(&v));
    const aril_bytes heard = proxy_heard(c);
    assert_true(heard.len > 5);
    assert_memory_equal(heard.data, "$-1\r\n-ERR aril: the value of this key", 37);
}

static void a_transaction_keeps_its_policy(void **state)
{
    (void)state;
    struct sealed v;
    aril_error error;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_bad(c, &v);
    ASKS(c, "MULTI");
    ASKS(c, "GET", "k");
    proxy_say(&p.links[0], TEXT("+OK\r\n+QUEUED\r\n"));
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].on_tamper = ARILI_TAMPER_ERROR;
    assert_status(arili_proxy_reload(p.proxy, config, &error), ARIL_OK);
    proxy_tick(&p, 100);
    ASKS(c, "PING");
    ASKS(c, "EXEC");
    proxy_say(&p.links[0], TEXT("+QUEUED\r\n*2\r\n"));
    sealed_say(&p.links[0], &v);
    proxy_say(&p.links[0], TEXT("+PONG\r\n"));
    sealed_removal(&p, 1, "UNLINK", sealed_head(&v));
    proxy_heard_is(c, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$-1\r\n+PONG\r\n");
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(a_removal_has_the_link_that_its_client_gives_back, setup_one),
        T(a_removal_waits_until_its_client_needs_no_link, setup_one),
        T(clients_and_jobs_share_one_link, setup_one),
        T(answers_under_way_keep_their_policy, setup),
        T(a_transaction_keeps_its_policy, setup),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
