/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "proxy/commands.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ARGS_MAX 16u

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

static const struct arili_command *find(const char *name)
{
    return arili_command_find(text(name));
}

/* A name in upper case, and with every other letter in upper case. */
static void raise_letters(const char *name, unsigned every, char ret[static 64])
{
    size_t i = 0;
    for (; name[i] != '\0' && i < 63; i++) {
        const char c = name[i];
        ret[i] = c >= 'a' && c <= 'z' && i % every == 0 ? (char)(c - 'a' + 'A') : c;
    }
    ret[i] = '\0';
}

static void every_row_is_found_in_any_case(void **state)
{
    (void)state;
    size_t count;
    const struct arili_command *const table = arili_command_table(&count);
    assert_true(count > 360);
    for (size_t i = 0; i < count; i++) {
        char upper[64], mixed[64];
        raise_letters(table[i].name, 1, upper);
        raise_letters(table[i].name, 2, mixed);
        const bool is_sub = (table[i].flags & ARILI_COMMAND_SUB) != 0;
        assert_ptr_equal(arili_command_find_any(text(table[i].name)), &table[i]);
        assert_ptr_equal(arili_command_find_any(text(upper)), &table[i]);
        assert_ptr_equal(find(table[i].name), is_sub ? NULL : &table[i]);
        assert_ptr_equal(find(upper), is_sub ? NULL : &table[i]);
        assert_ptr_equal(find(mixed), is_sub ? NULL : &table[i]);
    }
}

/* Whether a name is one of another row: "get" of "getx" cut. */
static bool is_row(aril_bytes name)
{
    size_t count;
    const struct arili_command *const table = arili_command_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (strlen(table[i].name) == name.len &&
            strncasecmp(table[i].name, (const char *)name.data, name.len) == 0) {
            return true;
        }
    }
    return false;
}

static void a_name_with_a_byte_changed_cut_or_added_is_not_found(void **state)
{
    (void)state;
    size_t count;
    const struct arili_command *const table = arili_command_table(&count);
    for (size_t i = 0; i < count; i++) {
        uint8_t name[65];
        const size_t len = strlen(table[i].name);
        memcpy(name, table[i].name, len + 1); /* the NUL is the byte that is added */
        assert_null(arili_command_find_any((aril_bytes){ name, len + 1 }));
        for (size_t at = 0; at < len; at++) {
            const aril_bytes cut = { name, at };
            assert_true(arili_command_find_any(cut) == NULL || is_row(cut));
            for (unsigned bit = 0; bit < 8; bit++) {
                const aril_bytes changed = { name, len };
                name[at] ^= (uint8_t)(1u << bit);
                assert_true((arili_command_find_any(changed) != NULL) == is_row(changed));
                name[at] ^= (uint8_t)(1u << bit);
            }
        }
    }
}

static void names_of_no_command_are_not_found(void **state)
{
    (void)state;
    static const char *const NAMES[] = { "",         "|",      "client|",  "|id",
                                         "get ",     " get",   "get\r\n",  "ft.search",
                                         "json.get", "getget", "client id" };
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        assert_null(find(NAMES[i]));
        assert_null(arili_command_find_any(text(NAMES[i])));
    }
    static const uint8_t LONG[100000] = { 'g', 'e', 't' };
    assert_null(arili_command_find((aril_bytes){ LONG, sizeof LONG }));
    assert_null(arili_command_find((aril_bytes){ NULL, 0 }));
}

static const struct arili_command *resolve(const char *a, const char *b)
{
    const aril_bytes args[] = { text(a), b != NULL ? text(b) : (aril_bytes){ NULL, 0 } };
    return arili_command_resolve(args, b != NULL ? 2 : 1);
}

static void a_sub_command_has_its_own_row(void **state)
{
    (void)state;
    assert_string_equal(resolve("CLIENT", "Id")->name, "client|id");
    assert_string_equal(resolve("get", "id")->name, "get");
    assert_string_equal(resolve("client", NULL)->name, "client");
    assert_false(arili_command_arity_fits(resolve("client", NULL), 1));
    assert_null(resolve("client", "idd"));
    assert_null(resolve("client", ""));
    assert_null(resolve("client|id", NULL));
    assert_null(resolve("client|id", "x"));
    assert_null(resolve("nothing", "id"));
    /* The parts must not run together to the name of another row. */
    assert_null(resolve("client", "id|id"));
    assert_null(resolve("clien", "t|id"));
}

static void arities_count_the_name(void **state)
{
    (void)state;
    assert_false(arili_command_arity_fits(find("get"), 1));
    assert_true(arili_command_arity_fits(find("get"), 2));
    assert_false(arili_command_arity_fits(find("get"), 3));
    assert_false(arili_command_arity_fits(find("mget"), 1));
    assert_true(arili_command_arity_fits(find("mget"), 2));
    assert_true(arili_command_arity_fits(find("mget"), 1000000));
    assert_true(arili_command_arity_fits(arili_command_find_any(text("client|id")), 2));
    assert_false(arili_command_arity_fits(arili_command_find_any(text("client|id")), 3));
}

/* The indexes of the keys of a line, "1 3"; "-" when they cannot be told. */
static void keys_of(const char *line, char *ret, size_t cap)
{
    aril_bytes args[ARGS_MAX];
    size_t count = 0;
    for (const char *at = line; *at != '\0' && count < ARGS_MAX; at += *at == ' ' ? 1 : 0) {
        args[count].data = (const uint8_t *)at;
        args[count++].len = strcspn(at, " ");
        at += strcspn(at, " ");
    }
    struct arili_command_keys keys;
    const struct arili_command *const row = arili_command_resolve(args, count);
    assert_non_null(row);
    const bool known = arili_command_keys(row, args, count, &keys);
    size_t len = (size_t)snprintf(ret, cap, "%s", known ? "" : "-");
    for (size_t r = 0; r < 2; r++) {
        for (size_t i = keys.ranges[r].first; keys.ranges[r].step > 0 && i <= keys.ranges[r].last;
             i += keys.ranges[r].step) {
            assert_true(i < count);
            len += (size_t)snprintf(ret + len, cap - len, "%s%zu", len > 0 ? " " : "", i);
        }
    }
}

static void keys_are_found_where_redis_has_them(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        { "PING", "" },
        { "GET a", "1" },
        { "GET", "" },
        { "SET a b EX 5", "1" },
        { "DEL a b c", "1 2 3" },
        { "DEL a", "1" },
        { "MSET a 1 b 2 c 3", "1 3 5" },
        { "MSET a 1 b", "1 3" },
        { "OBJECT ENCODING a", "2" },
        { "OBJECT HELP", "" },
        { "MEMORY USAGE a SAMPLES 5", "2" },
        { "BITOP AND d a b", "2 3 4" },
        { "BLPOP a b 0", "1 2" },
        { "RENAME a b", "1 2" },
        { "ZUNION 2 a b WEIGHTS 1 2", "2 3" },
        { "ZUNION 3 a b", "-" },
        { "ZUNION 2 a b", "2 3" },
        { "ZUNION 0 a", "" },
        { "ZUNION -1 a", "-" },
        { "ZUNION 18446744073709551615 a", "-" },
        { "ZUNION 9223372036854775807 a", "-" },
        { "ZUNION 02 a b", "-" },
        { "ZUNION x a", "-" },
        { "ZUNIONSTORE d 2 a b", "1 3 4" },
        { "ZUNIONSTORE d 3 a b", "-" },
        { "ZUNIONSTORE d", "-" },
        { "EVAL s 1 a b", "3" },
        { "SORT a BY b", "-" },
        { "GEORADIUS a 1 1 1 m STORE b", "-" },
        { "XREAD STREAMS a 0", "-" },
        { "XINFO STREAM a", "2" },
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char found[64];
        keys_of(CASES[i][0], found, sizeof found);
        if (strcmp(found, CASES[i][1]) != 0) {
            fail_msg("%s: keys at \"%s\", not \"%s\"", CASES[i][0], CASES[i][1], found);
        }
    }
}

/* What a pass policy relies on: no key goes to the server without its name being sealed. */
static void a_command_that_may_pass_has_keys_that_are_found(void **state)
{
    (void)state;
    size_t count;
    const struct arili_command *const table = arili_command_table(&count);
    size_t passing = 0;
    for (size_t i = 0; i < count; i++) {
        if ((table[i].flags & ARILI_COMMAND_PASS) == 0) {
            continue;
        }
        passing++;
        const unsigned never =
            ARILI_COMMAND_MOVABLE | ARILI_COMMAND_BLOCKS | ARILI_COMMAND_CONTAINER;
        assert_int_equal(table[i].flags & never, 0);
        assert_true(table[i].first_key > 0 || table[i].numkeys > 0);
    }
    assert_true(passing > 100);
    /* Their answers name keys. */
    static const char *const NAMES[] = { "blpop", "brpop", "lmpop",     "zmpop",
                                         "xread", "scan",  "randomkey", "keys" };
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        assert_int_equal(find(NAMES[i])->flags & ARILI_COMMAND_PASS, 0);
    }
}

static void what_is_never_answered_is_not_served(void **state)
{
    (void)state;
    static const char *const NEVER[] = { "eval",        "monitor",     "subscribe", "script",
                                         "xgroup|help", "acl|setuser", "sort",      "sentinel" };
    static const char *const SERVED[] = { "get",    "lpush",  "client", "xgroup", "object",
                                          "config", "select", "acl",    "ping",   "zunion" };
    for (size_t i = 0; i < COUNT(NEVER); i++) {
        assert_false(arili_command_is_served(arili_command_find_any(text(NEVER[i]))));
    }
    for (size_t i = 0; i < COUNT(SERVED); i++) {
        assert_true(arili_command_is_served(arili_command_find_any(text(SERVED[i]))));
    }
}

static void what_needs_the_plaintext_is_refused(void **state)
{
    (void)state;
    static const char *const NAMES[] = { "append",    "setrange", "getrange", "substr",  "incr",
                                         "incrby",    "decr",     "bitcount", "lcs",     "setbit",
                                         "lpush",     "zadd",     "xadd",     "geoadd",  "pfadd",
                                         "hincrby",   "eval",     "monitor",  "debug",   "publish",
                                         "subscribe", "sort",     "dump",     "restore", "migrate",
                                         "rename",    "copy",     "move",     "swapdb",  "sunion",
                                         "sync",      "wait",     "smove" };
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        const struct arili_command *const row = find(NAMES[i]);
        assert_int_equal(row->verb, ARILI_VERB_REFUSED);
        assert_true(strlen(row->meaning) > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_in_any_case),
        cmocka_unit_test(a_name_with_a_byte_changed_cut_or_added_is_not_found),
        cmocka_unit_test(names_of_no_command_are_not_found),
        cmocka_unit_test(a_sub_command_has_its_own_row),
        cmocka_unit_test(arities_count_the_name),
        cmocka_unit_test(keys_are_found_where_redis_has_them),
        cmocka_unit_test(a_command_that_may_pass_has_keys_that_are_found),
        cmocka_unit_test(what_is_never_answered_is_not_served),
        cmocka_unit_test(what_needs_the_plaintext_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
