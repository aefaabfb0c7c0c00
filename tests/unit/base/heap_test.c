/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"
#include "check.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int begin(void **state)
{
    (void)state;
    return arili_heap_begin() ? 0 : 1;
}

/* Around every class limit, and beyond the largest class. */
static const size_t sizes[] = { 0,    1,     15,    16,     17,      31,      32,      33,     100,
                                1000, 16368, 16369, 262128, 1572848, 1572849, 3000000, 9000000 };
#define SIZES (sizeof sizes / sizeof sizes[0])

static void blocks_are_aligned_apart_and_as_large_as_asked(void **state)
{
    (void)state;
    uint8_t *blocks[SIZES];
    for (size_t i = 0; i < SIZES; i++) {
        blocks[i] = arili_heap_alloc(sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i + 1), sizes[i]);
    }
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t k = 0; k < sizes[i]; k += 7) {
            assert_int_equal(blocks[i][k], i + 1);
        }
        arili_heap_free(blocks[i]);
    }
}

static void a_freed_block_is_wiped_and_used_again(void **state)
{
    (void)state;
    uint8_t *first = arili_heap_alloc(200);
    assert_non_null(first);
    memset(first, 0xee, 200);
    arili_heap_free(first);
    uint8_t *second = arili_heap_alloc(200);
    assert_ptr_equal(second, first); /* one thread: the list gives back the newest */
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(second[i], 0);
    }
    arili_heap_free(second);
}

static void realloc_keeps_the_bytes_in_every_class(void **state)
{
    (void)state;
    uint8_t *p = arili_heap_realloc(NULL, 8);
    assert_non_null(p);
    memcpy(p, "aril", 5);
    for (size_t i = 0; i < SIZES; i++) {
        const size_t size = sizes[i] < 5 ? 5 : sizes[i];
        p = arili_heap_realloc(p, size);
        assert_non_null(p);
        assert_string_equal((const char *)p, "aril");
    }
    p = arili_heap_realloc(p, 5);
    assert_non_null(p);
    assert_string_equal((const char *)p, "aril");
    arili_heap_free(p);
}

static void an_impossible_size_is_refused(void **state)
{
    (void)state;
    /* Read at run time, or the compiler warns of what the test is about. */
    volatile size_t huge = SIZE_MAX;
    assert_null(arili_heap_alloc(huge));
    assert_null(arili_heap_alloc(huge / 2 - 4096));
    uint8_t *p = arili_heap_alloc(3);
    assert_non_null(p);
    memcpy(p, "ok", 3);
    assert_null(arili_heap_realloc(p, huge));
    assert_string_equal((const char *)p, "ok");
    arili_heap_free(p);
    arili_heap_free(NULL);
}

#define THREADS 8u
#define ROUNDS  20000u
#define HELD    16u

static void *churn(void *arg)
{
    const uintptr_t me = (uintptr_t)arg;
    uint8_t *held[HELD] = { NULL };
    size_t len[HELD] = { 0 };
    uint64_t x = me;
    for (unsigned i = 0; i < ROUNDS; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        const size_t at = (x >> 33) % HELD;
        for (size_t k = 0; k < len[at]; k++) {
            if (held[at][k] != (uint8_t)me) {
                return (void *)1; /* somebody else wrote here */
            }
        }
        arili_heap_free(held[at]);
        len[at] = (x >> 40) % 500;
        held[at] = arili_heap_alloc(len[at]);
        if (held[at] == NULL) {
            return (void *)2;
        }
        memset(held[at], (int)me, len[at]);
    }
    for (size_t i = 0; i < HELD; i++) {
        arili_heap_free(held[i]);
    }
    return NULL;
}

static void threads_never_share_a_block(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *bad = NULL;
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_apart_and_as_large_as_asked),
        cmocka_unit_test(a_freed_block_is_wiped_and_used_again),
        cmocka_unit_test(realloc_keeps_the_bytes_in_every_class),
        cmocka_unit_test(an_impossible_size_is_refused),
        cmocka_unit_test(threads_never_share_a_block),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
