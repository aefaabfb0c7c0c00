/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that fly: never two on a name, nobody forgotten, whatever the waits. */
#include "cache/flight.h"
#include "fixture.h"
#include "l1_use.h"
#include "team.h"
#include <sched.h>

#define NAMES  6u
#define ROUNDS (SANITIZED ? 1500u : 10000u)

struct stage {
    struct arili_flights *flights;
    unsigned inside[NAMES]; /* plain memory: a flight orders it */
    atomic_uint led, waited, late;
};

static void fly(void *arg, unsigned number)
{
    static const uint32_t waits[] = { 0, 1, 10000, 10000 };
    struct stage *const s = arg;
    uint64_t random = number;
    for (unsigned i = 0; i < ROUNDS && !team_failed(); i++) {
        char text[L1_NAME_TEXT];
        struct arili_flight *flight = NULL;
        const uint64_t r = team_random(&random), n = r % NAMES;
        const aril_cache_key key = l1_name(n, text);
        const uint32_t wait_ms = waits[(r >> 8) % COUNT(waits)];
        const aril_status st = arili_flight_enter(s->flights, &key, wait_ms, &flight);
        if (flight != NULL) {
            team_demand(st == ARIL_OK, "a leader without ARIL_OK");
            team_demand(s->inside[n]++ == 0, "two on one name");
            if ((r >> 16) % 4 == 0) {
                sched_yield();
            }
            s->inside[n]--;
            arili_flight_leave(s->flights, flight);
            atomic_fetch_add(&s->led, 1);
        } else {
            team_demand(st == ARIL_OK || st == ARIL_E_TIMEOUT, "another status");
            team_demand(st == ARIL_OK || wait_ms < 10000, "somebody was forgotten");
            atomic_fetch_add(st == ARIL_OK ? &s->waited : &s->late, 1);
        }
    }
}

static void one_flies_and_the_others_wait(void **state)
{
    (void)state;
    static struct stage s;
    assert_status(arili_flights_new(&s.flights), ARIL_OK);
    const struct team_role roles[] = { { "pilot", fly, 8 } };
    team_run(roles, COUNT(roles), &s);
    assert_int_equal(atomic_load(&s.led) + atomic_load(&s.waited) + atomic_load(&s.late),
                     8 * ROUNDS);
    arili_flights_free(s.flights);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(one_flies_and_the_others_wait) };
    return cmocka_run_group_tests_name("single flight under threads", tests, NULL, NULL);
}
