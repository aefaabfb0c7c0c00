/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on few names: a hit is always a whole value that was put under that name. */
#include "fixture.h"
#include "l1_use.h"
#include "runtime.h"
#include "team.h"
#include <sched.h>
#include <string.h>

#define NAMES  40u
#define ROUNDS (SANITIZED ? 4000u : 40000u)
#define LEN    300u

struct stage {
    struct arili_l1 *l1;
    atomic_uint hits, misses, writers_left;
    _Atomic uint64_t newest[NAMES]; /* of the store that the last test plays */
};

/* A value begins with its name and a seed; the rest follows from both. */
static size_t value_make(uint64_t n, uint64_t seed, uint8_t ret[LEN])
{
    memcpy(ret, &n, sizeof n);
    memcpy(ret + 8, &seed, sizeof seed);
    const size_t len = 16 + seed % (LEN - 16);
    fill_pattern(ret + 16, len - 16, n * 1000003 + seed);
    return len;
}

static bool value_is(uint64_t n, const uint8_t *value, size_t len, uint64_t *ret_seed)
{
    uint64_t name = 0;
    if (len < 16) {
        return false;
    }
    memcpy(&name, value, sizeof name);
    memcpy(ret_seed, value + 8, sizeof *ret_seed);
    return name == n && len == 16 + *ret_seed % (LEN - 16) &&
           is_pattern(value + 16, len - 16, n * 1000003 + *ret_seed);
}

static bool look(struct stage *s, uint64_t n, uint64_t *ret_seed)
{
    uint8_t out[LEN];
    size_t len = 0;
    const aril_status st = l1_get(s->l1, n, out, sizeof out, &len);
    if (st != ARIL_OK) {
        team_demand(st == ARIL_E_NOT_FOUND, "a get that failed");
        atomic_fetch_add(&s->misses, 1);
        return false;
    }
    team_demand(value_is(n, out, len, ret_seed), "a value that nobody put under that name");
    atomic_fetch_add(&s->hits, 1);
    return true;
}

static void put(struct stage *s, uint64_t n, uint64_t seed)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(n, text);
    const struct arili_l1_meta meta = l1_meta();
    uint8_t value[LEN];
    const size_t len = value_make(n, seed, value);
    arili_l1_put(s->l1, &key, (aril_bytes){ value, len }, &meta);
}

static void reader(void *arg, unsigned number)
{
    struct stage *const s = arg;
    uint64_t random = number + 1, seed;
    /* As long as there is somebody to meet. */
    for (unsigned i = 0; (i < ROUNDS || atomic_load(&s->writers_left) > 0) && !team_failed(); i++) {
        (void)look(s, team_random(&random) % NAMES, &seed);
    }
}

static void writer(void *arg, unsigned number)
{
    struct stage *const s = arg;
    uint64_t random = number + 100;
    for (unsigned i = 0; i < ROUNDS / 2 && !team_failed(); i++) {
        const uint64_t r = team_random(&random);
        put(s, r % NAMES, r >> 8);
    }
    atomic_fetch_sub(&s->writers_left, 1);
}

static void dropper(void *arg, unsigned number)
{
    struct stage *const s = arg;
    uint64_t random = number + 200;
    for (unsigned i = 0; i < ROUNDS / 4 && !team_failed(); i++) {
        char text[L1_NAME_TEXT];
        const uint64_t r = team_random(&random);
        const aril_cache_key key = l1_name(r % NAMES, text);
        (void)arili_l1_drop(s->l1, &key);
        if (r >> 8 & 1) {
            (void)l1_has(s->l1, r % NAMES);
        }
        if ((r >> 16) % 500 == 0) {
            arili_l1_clear(s->l1);
            (void)arili_l1_get_stats(s->l1);
        }
    }
}

/* Small, so that much is evicted, and with keys that change all the time. */
static void values_are_never_mixed(void **state)
{
    (void)state;
    static struct stage s;
    static const struct {
        uint64_t bytes, seals;
    } cases[] = { { 65536, 0 }, { 65536, 64 }, { (uint64_t)1 << 20, 500 } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct arili_l1_options options = { .key_seals_max = cases[i].seals };
        memset(&s, 0, sizeof s);
        atomic_store(&s.writers_left, 3);
        assert_status(arili_l1_new_with(rt, cases[i].bytes, 8, &options, &s.l1), ARIL_OK);
        const struct team_role roles[] = { { "reader", reader, 4 },
                                           { "writer", writer, 3 },
                                           { "dropper", dropper, 1 } };
        team_run(roles, COUNT(roles), &s);
        l1_check_bytes(s.l1, cases[i].bytes);
        arili_l1_free(s.l1);
    }
}

/* --- A store behind it --------------------------------------------------------------------- */

static void through_writer(void *arg, unsigned number)
{
    struct stage *const s = arg;
    uint64_t random = number + 300;
    for (unsigned i = 0; i < ROUNDS / 4 && !team_failed(); i++) {
        char text[L1_NAME_TEXT];
        const uint64_t n = team_random(&random) % 4;
        const aril_cache_key key = l1_name(n, text);
        atomic_fetch_add(&s->newest[n], 1);
        (void)arili_l1_drop(s->l1, &key);
        sched_yield();
    }
    atomic_fetch_sub(&s->writers_left, 1);
}

/* Fills L1 from the store. */
static void through_reader(void *arg, unsigned number)
{
    struct stage *const s = arg;
    uint64_t random = number + 400;
    const struct arili_l1_meta meta = l1_meta();
    while (atomic_load(&s->writers_left) > 0 && !team_failed()) {
        char text[L1_NAME_TEXT];
        uint8_t value[LEN];
        uint64_t seed = 0;
        const uint64_t n = team_random(&random) % 4;
        const aril_cache_key key = l1_name(n, text);
        if (!look(s, n, &seed)) {
            const uint64_t ticket = arili_l1_ticket(s->l1, &key);
            const size_t len = value_make(n, atomic_load(&s->newest[n]), value);
            sched_yield();
            (void)arili_l1_put_if(s->l1, &key, (aril_bytes){ value, len }, &meta, ticket);
        }
    }
}

static void what_was_read_before_a_drop_does_not_come_in_after_it(void **state)
{
    (void)state;
    static struct stage s;
    memset(&s, 0, sizeof s);
    atomic_store(&s.writers_left, 2);
    assert_status(arili_l1_new(rt, 1 << 20, 4, &s.l1), ARIL_OK);
    const struct team_role roles[] = { { "reader", through_reader, 4 },
                                       { "writer", through_writer, 2 } };
    team_run(roles, COUNT(roles), &s);
    /* All is quiet: what is there is the newest. */
    for (uint64_t n = 0; n < 4; n++) {
        uint64_t seed = 0;
        assert_true(!look(&s, n, &seed) || seed == atomic_load(&s.newest[n]));
    }
    arili_l1_free(s.l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_never_mixed),
        cmocka_unit_test(what_was_read_before_a_drop_does_not_come_in_after_it),
    };
    return cmocka_run_group_tests_name("L1 under threads", tests, runtime_setup, runtime_teardown);
}
