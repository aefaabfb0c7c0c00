/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem() */
#include "proxy/loop_internal.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values that are longer than a policy, or the format, takes: refused before a server hears of
 * them. */

static struct proxy_peers p;
static struct proxy_peer *c;

static int setup_as(enum arili_values values, bool streaming)
{
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].values = values;
    config->policies[0].streaming = streaming;
    config->max_verified_value = 65536;
    proxy_peers_init(&p, config);
    c = proxy_accept(&p);
    ASKS(c, "TTL", "k"); /* there is a link */
    aril_bytes args[8];
    (void)proxy_command_is(proxy_link(&p, 0), "TTL", args, COUNT(args));
    proxy_say(&p.links[0], TEXT(":-2\r\n"));
    proxy_heard_is(c, ":-2\r\n");
    (void)proxy_heard(&p.links[0]);
    return 0;
}
static int setup(void **state)
{
    (void)state;
    return setup_as(ARILI_VALUES_SEAL, false);
}
static int setup_streaming(void **state)
{
    (void)state;
    return setup_as(ARILI_VALUES_SEAL, true);
}
static int setup_pass(void **state)
{
    (void)state;
    return setup_as(ARILI_VALUES_PASS, false);
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static char *text_of(size_t len)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'v', len);
    text[len] = '\0';
    return text;
}

static void the_server_heard_nothing(void)
{
    assert_int_equal(proxy_heard(&p.links[0]).len, 0);
    ASKS(c, "PING");
    proxy_heard_is(c, "+PONG\r\n");
}

static void above_max_verified_value_it_is_refused_in_every_command(void **state)
{
    (void)state;
    char *fits = text_of(65536);
    char *longer = text_of(65537);
    const char *const commands[][6] = {
        { "SET", "k", longer },         { "SET", "k", longer, "EX", "10" },
        { "SETEX", "k", "10", longer }, { "SETNX", "k", longer },
        { "GETSET", "k", longer },      { "MSET", "k", "v", "l", longer },
        { "MSETNX", "k", longer },      { "HSET", "h", "f", longer },
    };
    for (size_t i = 0; i < COUNT(commands); i++) {
        size_t count = 0;
        while (count < COUNT(commands[i]) && commands[i][count] != NULL) {
            count++;
        }
        client_asks(c, commands[i], count);
        proxy_heard_begins(c, "-ERR aril: the value has 65537 bytes, more than max_verified_value");
        the_server_heard_nothing();
    }
    ASKS(c, "HSET", "h", "f", fits);
    proxy_say(&p.links[0], TEXT(":1\r\n"));
    proxy_heard_is(c, ":1\r\n");
    free(fits);
    free(longer);
}

/* SETEX k 10 and a value of so many bytes, of which only the length is sent. */
static void begin_long(uint64_t bytes)
{
    char line[80];
    const int n =
        snprintf(line, sizeof line, "*4\r\n$5\r\nSETEX\r\n$1\r\nk\r\n$2\r\n10\r\n$%llu\r\n",
                 (unsigned long long)bytes);
    proxy_say(c, (aril_bytes){ (const uint8_t *)line, (size_t)n });
}

/* Whatever lies where it would be read to, without a copy of it all in the test. */
static void send_body(uint64_t bytes)
{
    while (bytes > 0) {
        const aril_span room = arili_loop_room(p.loop, c->peer);
        const size_t n = bytes < room.len ? (size_t)bytes : room.len;
        assert_true(n > 0);
        memset(room.data, 0, n);
        arili_loop_came(c->peer, n, p.now_ns);
        bytes -= n;
    }
    proxy_say(c, TEXT("\r\n"));
}

static void above_the_format_it_is_refused_although_it_could_be_streamed(void **state)
{
    (void)state;
    begin_long(ARILI_VALUE_BODY_MAX + 1);
    send_body(ARILI_VALUE_BODY_MAX + 1);
    proxy_heard_begins(c,
                       "-ERR aril: the value has 335544321 bytes, and a sealed one 335544320 at");
    the_server_heard_nothing();
}

static void the_longest_one_begins_at_once(void **state)
{
    (void)state;
    char want[32];
    begin_long(ARILI_VALUE_BODY_MAX);
    snprintf(want, sizeof want, "\r\n$%llu\r\n",
             (unsigned long long)arili_sealed_bytes(ARILI_VALUE_BODY_MAX));
    const aril_bytes heard = proxy_heard(&p.links[0]);
    assert_non_null(memmem(heard.data, heard.len, want, strlen(want)));
}

static void what_passes_may_be_longer(void **state)
{
    (void)state;
    static const char want[] = "\r\n$335544321\r\n";
    begin_long(ARILI_VALUE_BODY_MAX + 1);
    const aril_bytes heard = proxy_heard(&p.links[0]);
    assert_non_null(memmem(heard.data, heard.len, want, sizeof want - 1));
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(above_max_verified_value_it_is_refused_in_every_command, setup),
        T(above_the_format_it_is_refused_although_it_could_be_streamed, setup_streaming),
        T(the_longest_one_begins_at_once, setup_streaming),
        T(what_passes_may_be_longer, setup_pass),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
