/* SPDX-License-Identifier: Apache-2.0 */
#include "faulty_crypto.h"
#include "proxy/loop_internal.h"
#include "proxy_peers.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/*
 * Commands of several keys make each name twice: to see that all can be made, and when they are
 * written. Names of long keys are not kept, so the second time may fail alone.
 */
static struct proxy_peers p;
static struct faulty_crypto *faulty;
static struct arili_crypto real;

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_peers_config());
    real = p.w.rt->crypto;
    faulty = faulty_crypto_new(&real);
    if (faulty == NULL) {
        return -1;
    }
    p.w.rt->crypto = *faulty_crypto_table(faulty);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_end(&p); /* what came from the table goes back to it */
    p.w.rt->crypto = real;
    proxy_peers_begin(&p);
    proxy_peers_done(&p);
    faulty_crypto_free(faulty);
    return 0;
}

static size_t command_of(const char *word, char ret[1024])
{
    int n = snprintf(ret, 1024, "*3\r\n$%zu\r\n%s\r\n", strlen(word), word);
    for (int i = 0; i < 2; i++) { /* longer than ARILI_NAME_CACHED_MAX */
        n += snprintf(ret + n, 1024 - (size_t)n, "$200\r\n%0200d\r\n", i);
    }
    return (size_t)n;
}

/* True: the fault was met. Whatever fails, the client hears one error, and the server no command of
 * which a part is missing. */
static bool one_fault(const char *word, unsigned nth)
{
    char text[1024];
    aril_bytes args[8];
    size_t count = 0;
    const size_t len = command_of(word, text);
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("GET k\r\n"));
    struct proxy_peer *s = proxy_link(&p, p.link_count - 1);
    proxy_command_is(s, "GET", args, 8);
    proxy_say(s, TEXT("$-1\r\n"));
    proxy_heard_is(c, "$-1\r\n");
    faulty_crypto_arm(faulty, nth, ARIL_E_NOMEM);
    proxy_say(c, (aril_bytes){ (const uint8_t *)text, len });
    const bool fired = faulty_crypto_fired(faulty);
    faulty_crypto_disarm(faulty);
    if (fired) {
        const aril_bytes heard = proxy_heard(c);
        const uint8_t *end = memchr(heard.data, '\n', heard.len);
        assert_true(heard.len > 11 && memcmp(heard.data, "-ERR aril: ", 11) == 0);
        assert_ptr_equal(end, heard.data + heard.len - 1);
        assert_false(proxy_command(s, args, 8, &count));
        proxy_say(c, TEXT("PING\r\n")); /* nothing else is still to come */
        proxy_heard_is(c, "+PONG\r\n");
    }
    proxy_go(c);
    return fired;
}

static void names_that_fail(const char *word)
{
    unsigned nth = 1;
    while (one_fault(word, nth)) {
        nth++;
    }
    assert_true(nth > 4); /* two names, twice */
}

static void mget_is_sent_whole_or_not_at_all(void **state)
{
    (void)state;
    names_that_fail("MGET");
}
static void watch_is_sent_whole_or_not_at_all(void **state)
{
    (void)state;
    names_that_fail("WATCH");
}
static void del_is_sent_whole_or_not_at_all(void **state)
{
    (void)state;
    names_that_fail("DEL");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mget_is_sent_whole_or_not_at_all),
        TEST(watch_is_sent_whole_or_not_at_all),
        TEST(del_is_sent_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
