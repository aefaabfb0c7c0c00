/* SPDX-License-Identifier: Apache-2.0 */
/* arild in front of a Redis server, and a plain Redis server, answer the same commands alike, by
 * chance, for a long time. ARIL_MODEL_SEED=n repeats a run. ARILD_PLAIN=1 compares two plain ones:
 * then a difference is a mistake of this test. */
#include "arild.h"
#include "check.h"
#include "proxy_model.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMANDS (SANITIZED ? 10000u : 100000u)

static struct redis plain, behind;
static struct arild proxy;

static uint64_t seed_of_run(void)
{
    const char *const text = getenv("ARIL_MODEL_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : 20261126;
}

static int tear_down(void **state)
{
    (void)state;
    arild_remove(&proxy);
    redis_remove(&behind);
    redis_remove(&plain);
    return 0;
}

static void run_with(const struct arild_options *options, uint64_t seed, unsigned commands)
{
    struct pmodel_setup setup = { .seed = seed, .commands = commands };
    const struct redis_options none = { .tcp = false };
    assert_true(redis_start(&plain, &none));
    assert_true(redis_start(&behind, &none));
    assert_true(arild_start(&proxy, &behind, options));
    for (unsigned i = 0; i < PMODEL_CLIENTS; i++) {
        setup.fds[i][0] = redis_dial(&plain);
        setup.fds[i][1] = arild_dial(&proxy);
        assert_true(setup.fds[i][1] >= 0);
    }
    pmodel_run(&setup);
    for (unsigned i = 0; i < PMODEL_CLIENTS; i++) {
        (void)close(setup.fds[i][0]);
        (void)close(setup.fds[i][1]);
    }
    if (arild_is_plain()) {
        print_message("a plain server stood in for arild\n");
    } else {
        assert_true(redis_number(&behind, "DBSIZE") >= 0);
        assert_int_equal(arild_stop(&proxy), 0);
    }
}

static void answers_are_those_of_a_plain_server(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    run_with(NULL, seed_of_run(), COMMANDS);
}

static void answers_are_alike_with_many_threads(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    const struct arild_options options = { .top = "threads = 4" };
    run_with(&options, seed_of_run() + 1, COMMANDS / 4);
}

static void answers_are_alike_with_a_pipeline_of_one(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    const struct arild_options options = { .conf = "[limits]\npipeline_max = 1" };
    run_with(&options, seed_of_run() + 2, COMMANDS / 4);
}

/* --- What compares, by itself */

static aril_bytes text(const char *t)
{
    return (aril_bytes){ (const uint8_t *)t, strlen(t) };
}

static bool alike(enum pmodel_alike how, const char *a, const char *b)
{
    return pmodel_difference(how, text(a), text(b)) == NULL;
}

static void differences_are_seen(void **state)
{
    (void)state;
    assert_true(alike(PMODEL_BYTES, "+OK\r\n", "+OK\r\n"));
    assert_false(alike(PMODEL_BYTES, "+OK\r\n", "$2\r\nOK\r\n"));
    assert_true(alike(PMODEL_SET, "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\nb\r\n$1\r\na\r\n"));
    assert_false(alike(PMODEL_SET, "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\nb\r\n$1\r\nb\r\n"));
    assert_false(alike(PMODEL_SET, "*1\r\n$1\r\na\r\n", "~1\r\n$1\r\na\r\n"));
    assert_false(alike(PMODEL_SET, "*1\r\n$1\r\na\r\n", "*2\r\n$1\r\na\r\n$1\r\na\r\n"));
    assert_true(
        alike(PMODEL_PAIRS, "%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", "%2\r\n+b\r\n:2\r\n+a\r\n:1\r\n"));
    assert_false(
        alike(PMODEL_PAIRS, "*4\r\n+a\r\n:1\r\n+b\r\n:2\r\n", "*4\r\n+a\r\n:2\r\n+b\r\n:1\r\n"));
    assert_true(alike(PMODEL_PAIRS, "-ERR x\r\n", "-ERR x\r\n"));
    assert_false(alike(PMODEL_PAIRS, "-ERR x\r\n", "*0\r\n"));
    assert_true(alike(PMODEL_SECONDS, ":10\r\n", ":11\r\n"));
    assert_false(alike(PMODEL_SECONDS, ":10\r\n", ":12\r\n"));
    assert_false(alike(PMODEL_SECONDS, ":-1\r\n", ":0\r\n"));
    assert_false(alike(PMODEL_SECONDS, ":-1\r\n", ":-2\r\n"));
    assert_true(alike(PMODEL_MS, ":10000\r\n", ":9000\r\n"));
    assert_false(alike(PMODEL_MS, ":10000\r\n", ":8999\r\n"));
    assert_true(alike(PMODEL_COUNT, "*1\r\n+a\r\n", "*1\r\n+b\r\n"));
    assert_false(alike(PMODEL_COUNT, "*1\r\n+a\r\n", "*0\r\n"));
    assert_true(alike(PMODEL_KIND, "$1\r\na\r\n", "$2\r\nbb\r\n"));
    assert_false(alike(PMODEL_KIND, "$1\r\na\r\n", "$-1\r\n"));
    assert_false(alike(PMODEL_KIND, "_\r\n", "$-1\r\n"));
}

static void replies_are_found_whole_or_not_at_all(void **state)
{
    (void)state;
    static const char *const replies[] = { "+OK\r\n",
                                           "-ERR x\r\n",
                                           ":-5\r\n",
                                           "$-1\r\n",
                                           "$0\r\n\r\n",
                                           "$3\r\n\r\n:\r\n",
                                           "*-1\r\n",
                                           "*0\r\n",
                                           "_\r\n",
                                           "#t\r\n",
                                           ",1.5\r\n",
                                           "=5\r\ntxt:a\r\n",
                                           "~1\r\n_\r\n",
                                           "%1\r\n+a\r\n*2\r\n:1\r\n$1\r\nx\r\n",
                                           "*2\r\n*1\r\n$-1\r\n%0\r\n" };
    for (size_t i = 0; i < COUNT(replies); i++) {
        const size_t len = strlen(replies[i]);
        assert_int_equal(wire_reply_len(text(replies[i])), len);
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_equal(wire_reply_len((aril_bytes){ (const uint8_t *)replies[i], cut }), 0);
        }
    }
    assert_int_equal(wire_reply_len(text("?1\r\n")), SIZE_MAX);
    assert_int_equal(wire_reply_len(text("+OK\n")), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_seen),
        cmocka_unit_test(replies_are_found_whole_or_not_at_all),
        cmocka_unit_test_teardown(answers_are_those_of_a_plain_server, tear_down),
        cmocka_unit_test_teardown(answers_are_alike_with_many_threads, tear_down),
        cmocka_unit_test_teardown(answers_are_alike_with_a_pipeline_of_one, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
