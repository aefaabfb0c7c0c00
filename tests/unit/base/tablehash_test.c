/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tablehash.h"
#include "check.h"
#include <string.h>

/* As a random generator gives them. */
static const uint64_t seeds[] = { UINT64_C(0x243f6a8885a308d3), UINT64_C(0x13198a2e03707344),
                                  UINT64_C(0xa4093822299f31d0), UINT64_C(0x082efa98ec4e6c89) };
#define SEEDS (sizeof seeds / sizeof seeds[0])

static uint64_t hash(uint64_t seed, const uint8_t *key, size_t len)
{
    return arili_table_hash(seed, (aril_bytes){ key, len });
}

static void every_bit_length_and_the_seed_count(void **state)
{
    (void)state;
    uint8_t key[40];
    memset(key, 0x61, sizeof key);
    const uint64_t seed = seeds[0];
    const uint64_t whole = hash(seed, key, sizeof key);
    assert_int_not_equal(whole, hash(seeds[1], key, sizeof key));
    for (size_t bit = 0; bit < 8 * sizeof key; bit++) {
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(hash(seed, key, sizeof key), whole);
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len < sizeof key; len++) {
        assert_int_not_equal(hash(seed, key, len), whole);
    }
    memset(key, 0, sizeof key);
    assert_int_not_equal(hash(seed, key, 8), hash(seed, key, 16));
}

/* Two words whose changes cancel out, whatever the seed, would let a stranger choose ids that
 * all meet in one bucket. Tried: every change of one bit in a word with every change of one or
 * two bits in the next. */
static void no_change_of_two_words_cancels_out_for_every_seed(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 64; a++) {
        for (unsigned b = 0; b < 64; b++) {
            for (unsigned c = b; c < 64; c++) {
                const uint64_t plain[2] = { 0x6161616161616161, 0x6262626262626262 };
                const uint64_t second = UINT64_C(1) << b | UINT64_C(1) << c;
                const uint64_t changed[2] = { plain[0] ^ UINT64_C(1) << a, plain[1] ^ second };
                size_t equal = 0;
                for (size_t s = 0; s < SEEDS; s++) {
                    equal += hash(seeds[s], (const uint8_t *)plain, sizeof plain) ==
                             hash(seeds[s], (const uint8_t *)changed, sizeof changed);
                }
                assert_int_equal(equal, 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_length_and_the_seed_count),
        cmocka_unit_test(no_change_of_two_words_cancels_out_for_every_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
