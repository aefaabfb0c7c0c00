/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that seal with one writer: no nonce comes twice, and the limit is the limit of all. */
#include "base/bytes.h"
#include "check.h"
#include "legacy_values.h"
#include "provider.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS   4u
#define TRIES     1000u
#define LIMIT     3500u
#define VALUE     "\xa5value"
#define VALUE_LEN (sizeof VALUE - 1)

struct shared {
    struct legacy_case c;
    struct arili_legacy_writer writer;
    _Atomic unsigned sealed, refused, wrong;
    _Atomic unsigned char seen[LIMIT]; /* by the counter in the nonce */
};
static struct shared shared;

static void *work(void *arg)
{
    struct shared *s = arg;
    const aril_bytes value = { (const uint8_t *)VALUE, VALUE_LEN };
    for (unsigned i = 0; i < TRIES; i++) {
        uint8_t sealed[VALUE_LEN + ARILI_CACHEKIT_OVERHEAD];
        struct arili_legacy_value opened = { 0 };
        const aril_status st = arili_legacy_seal(&s->c.scope, &s->writer, value, sealed);
        if (st == ARIL_E_LIMIT) {
            s->refused++;
            continue;
        }
        const uint32_t number = arili_load32(sealed + 8);
        if (st != ARIL_OK || number >= LIMIT || atomic_exchange(&s->seen[number], 1) != 0 ||
            arili_legacy_open(&s->c.scope, (aril_bytes){ sealed, sizeof sealed }, &opened) !=
                ARIL_OK) {
            s->wrong++;
        }
        s->sealed++;
        arili_legacy_value_done(&opened);
    }
    return NULL;
}

static void no_nonce_comes_twice(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    legacy_case_get("interop_key_0", &shared.c);
    shared.writer.used_max = LIMIT;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &shared), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&shared.wrong), 0);
    assert_int_equal(atomic_load(&shared.sealed), LIMIT);
    assert_int_equal(atomic_load(&shared.refused), THREADS * TRIES - LIMIT);
    assert_int_equal(atomic_load(&shared.writer.used), LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_nonce_comes_twice) };
    return cmocka_run_group_tests(tests, legacy_values_setup, legacy_values_teardown);
}
