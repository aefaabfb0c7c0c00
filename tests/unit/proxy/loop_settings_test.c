/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <string.h>

/* A configuration that is taken over while commands of the old one are under way. */

static struct proxy_peers p;

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_peers_config());
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

static void no_more_commands_are_under_way_than_pipeline_max(void **state)
{
    (void)state;
    aril_bytes args[4];
    size_t count = 0;
    aril_error error;
    struct arili_proxy_config *config = proxy_peers_config();
    config->pipeline_max = 2;
    assert_status(arili_proxy_reload(p.proxy, config, &error), ARIL_OK);
    proxy_tick(&p, 100);
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("GET a\r\nGET b\r\nGET c\r\nGET d\r\n"));
    struct proxy_peer *s = proxy_link(&p, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(proxy_command(s, args, COUNT(args), &count));
    }
    assert_false(proxy_command(s, args, COUNT(args), &count));
    proxy_say(s, TEXT("$-1\r\n"));
    assert_true(proxy_command(s, args, COUNT(args), &count));
    assert_false(proxy_command(s, args, COUNT(args), &count));
    proxy_heard_is(c, "$-1\r\n");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(answers_under_way_keep_their_policy),
        T(a_transaction_keeps_its_policy),
        T(no_more_commands_are_under_way_than_pipeline_max),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
