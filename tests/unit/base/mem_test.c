/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "check.h"
#include "valgrind.h"
#include <pthread.h>
#include <string.h>

static void new_memory_is_zero(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 4096; size *= 4) {
        uint8_t *p = arili_alloc(size);
        assert_non_null(p);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(p[i], 0);
        }
        memset(p, 0xa5, size);
        arili_free(p, size);
    }
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    arili_free(NULL, 0);
    arili_free(NULL, 64);
    arili_wipe(NULL, 0);
}

static void wipe_clears_exactly_its_bytes(void **state)
{
    (void)state;
    uint8_t b[32];
    for (size_t len = 0; len <= 16; len++) {
        memset(b, 0xa5, sizeof b);
        arili_wipe(b + 8, len);
        for (size_t i = 0; i < sizeof b; i++) {
            assert_int_equal(b[i], i >= 8 && i < 8 + len ? 0 : 0xa5);
        }
    }
}

static _Alignas(4096) uint8_t thread_stack[256 * 1024];

struct secret_use {
    bool wipe;
    size_t bytes_left;
};

/* The buffer is dead after the wipe, so an optimizer would like to drop it. */
static __attribute__((noinline)) void use_a_secret(bool wipe)
{
    uint8_t secret[64];
    memset(secret, 0x5a, sizeof secret);
    __asm__ __volatile__("" : : "r"(secret) : "memory"); /* the secret is really there */
    if (wipe) {
        arili_wipe(secret, sizeof secret);
    }
}

/* Looks through its own stack, because the C library empties it at the end. */
static void *use_and_search(void *arg)
{
    struct secret_use *use = arg;
    use_a_secret(use->wipe);
    /* The longest run of them: addresses may hold such bytes by chance. */
    size_t run = 0;
    for (size_t i = 0; i < sizeof thread_stack; i++) {
        run = ((volatile uint8_t *)thread_stack)[i] == 0x5a ? run + 1 : 0;
        use->bytes_left = run > use->bytes_left ? run : use->bytes_left;
    }
    return NULL;
}

static size_t secret_bytes_left(bool wipe)
{
    struct secret_use use = { .wipe = wipe };
    memset(thread_stack, 0, sizeof thread_stack);
    pthread_attr_t attr;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstack(&attr, thread_stack, sizeof thread_stack), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, &attr, use_and_search, &use), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_attr_destroy(&attr), 0);
    return use.bytes_left;
}

static void a_wipe_before_return_stays(void **state)
{
    (void)state;
    if (SANITIZED || under_valgrind()) {
        skip(); /* local arrays may be elsewhere, and dead stacks may not be read */
    }
    assert_true(secret_bytes_left(false) >= 64); /* the search finds what is there */
    assert_true(secret_bytes_left(true) < 16);
}

static void every_differing_bit_is_seen(void **state)
{
    (void)state;
    uint8_t a[33];
    uint8_t b[33];
    for (size_t i = 0; i < sizeof a; i++) {
        a[i] = (uint8_t)(i * 7);
        b[i] = a[i];
    }
    assert_true(arili_equal_ct(a, b, sizeof a));
    for (size_t i = 0; i < sizeof a; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            b[i] ^= (uint8_t)(1u << bit);
            assert_false(arili_equal_ct(a, b, sizeof a));
            assert_true(arili_equal_ct(a, b, i));
            b[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void differences_do_not_cancel_out(void **state)
{
    (void)state;
    const uint8_t a[2] = { 0x55, 0x55 };
    const uint8_t b[2] = { 0xaa, 0xaa };
    assert_false(arili_equal_ct(a, b, 2));
}

static void nothing_equals_nothing(void **state)
{
    (void)state;
    assert_true(arili_equal_ct(NULL, NULL, 0));
    assert_true(arili_equal_ct("a", "b", 0));
}

static void overlap_agrees_with_a_comparison_of_every_byte(void **state)
{
    (void)state;
    const uint8_t b[12] = { 0 };
    for (size_t i = 0; i < 8; i++) {
        for (size_t i_len = 0; i_len <= 4; i_len++) {
            for (size_t k = 0; k < 8; k++) {
                for (size_t k_len = 0; k_len <= 4; k_len++) {
                    bool shared = false;
                    for (size_t at = i; at < i + i_len; at++) {
                        shared = shared || (at >= k && at < k + k_len);
                    }
                    assert_int_equal(arili_overlap(b + i, i_len, b + k, k_len), shared);
                }
            }
        }
    }
}

static const void *at(uintptr_t address)
{
    return (const void *)address;
}

static void overlap_at_the_end_of_the_address_space_does_not_wrap(void **state)
{
    (void)state;
    const uintptr_t top = UINTPTR_MAX;
    assert_false(arili_overlap(at(16), 8, at(top - 7), 8));
    assert_false(arili_overlap(at(top - 7), 8, at(16), 8));
    assert_false(arili_overlap(at(0), 8, at(top - 7), 8));
    assert_true(arili_overlap(at(top), 1, at(top - 7), 8));
    assert_false(arili_overlap(at(top - 8), 8, at(top), 1));
    /* Lengths that reach past the end: the distance alone decides. */
    assert_true(arili_overlap(at(16), SIZE_MAX, at(top - 7), 8));
    assert_true(arili_overlap(at(top - 7), SIZE_MAX, at(top), 1));
    assert_true(arili_overlap(at(0), SIZE_MAX, at(0), SIZE_MAX));
    assert_false(arili_overlap(at(16), 8, at(24), SIZE_MAX));
    assert_false(arili_overlap(at(24), SIZE_MAX, at(16), 8));
}

static void empty_spans_share_nothing(void **state)
{
    (void)state;
    const uint8_t b[4] = { 0 };
    assert_false(arili_overlap(b, 0, b, 4));
    assert_false(arili_overlap(b + 2, 0, b, 4));
    assert_false(arili_overlap(b, 4, b + 1, 0));
    assert_false(arili_overlap(NULL, 0, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zero),
        cmocka_unit_test(freeing_nothing_is_fine),
        cmocka_unit_test(wipe_clears_exactly_its_bytes),
        cmocka_unit_test(a_wipe_before_return_stays),
        cmocka_unit_test(every_differing_bit_is_seen),
        cmocka_unit_test(differences_do_not_cancel_out),
        cmocka_unit_test(nothing_equals_nothing),
        cmocka_unit_test(overlap_agrees_with_a_comparison_of_every_byte),
        cmocka_unit_test(overlap_at_the_end_of_the_address_space_does_not_wrap),
        cmocka_unit_test(empty_spans_share_nothing),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
