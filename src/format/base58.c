/* SPDX-License-Identifier: Apache-2.0 */
#include "format/base58.h"
#include "base/bytes.h"
#include "base/ensure.h"

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/* The number is held as limbs, least significant first: of five base-58 digits each
 * to encode, of 32 bits each to decode. Both fit 32 bits, and limb * 2^32 + carry fits
 * 64 bits, so four bytes or five characters are done per pass. */
#define LIMB58     656356768u /* 58^5 */
#define LIMB_CHARS 5u
#define LIMB_BYTES 4u
#define LIMBS_MAX  ((ARILI_BASE58_CHARS_MAX + LIMB_CHARS - 1) / LIMB_CHARS + 1)

_Static_assert(LIMBS_MAX *LIMB_BYTES >= ARILI_BASE58_BYTES_MAX + LIMB_BYTES,
               "the limbs of a text hold the bytes of the longest");

struct limbs {
    uint32_t at[LIMBS_MAX];
    size_t count;
};

/* number = number * factor + add, with limbs below base. */
static void limbs_push(struct limbs *n, uint64_t factor, uint32_t add, uint64_t base)
{
    uint64_t carry = add;
    for (size_t i = 0; i < n->count; i++) {
        const uint64_t v = n->at[i] * factor + carry;
        n->at[i] = (uint32_t)(v % base);
        carry = v / base;
    }
    while (carry > 0) {
        n->at[n->count++] = (uint32_t)(carry % base);
        carry /= base;
    }
}

static size_t leading(aril_bytes in, uint8_t value)
{
    size_t n = 0;
    while (n < in.len && in.data[n] == value) {
        n++;
    }
    return n;
}

aril_status arili_base58_encode(aril_bytes in, char *ret, size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(in.len <= ARILI_BASE58_BYTES_MAX, ARIL_E_USAGE_RANGE);
    struct limbs n = { .count = 0 };
    const size_t zeros = leading(in, 0);
    size_t i = zeros;
    while (i < in.len) {
        /* The first word is the short one, so all later ones are whole. */
        const size_t take = (in.len - i - 1) % LIMB_BYTES + 1;
        uint32_t word = 0;
        for (size_t k = 0; k < take; k++) {
            word = word << 8 | in.data[i + k];
        }
        limbs_push(&n, (uint64_t)1 << (8 * take), word, LIMB58);
        i += take;
    }

    char digits[LIMBS_MAX * LIMB_CHARS]; /* least significant first */
    size_t len = 0;
    for (i = 0; i < n.count; i++) {
        uint32_t limb = n.at[i];
        for (size_t k = 0; k < LIMB_CHARS; k++) {
            digits[len++] = alphabet[limb % 58];
            limb /= 58;
        }
    }
    while (len > 0 && digits[len - 1] == alphabet[0]) {
        len--;
    }
    ARILI_ENSURE(zeros + len <= cap, ARIL_E_USAGE_TOO_SMALL);
    if (zeros > 0) {
        memset(ret, alphabet[0], zeros);
    }
    for (i = 0; i < len; i++) {
        ret[zeros + i] = digits[len - 1 - i];
    }
    *ret_len = zeros + len;
    return ARIL_OK;
}

/* 0 to 57, or 58 for a character outside the alphabet. */
static uint32_t digit_of(uint8_t c)
{
    const char *at = c != 0 ? strchr(alphabet, c) : NULL;
    return at != NULL ? (uint32_t)(at - alphabet) : 58;
}

aril_status arili_base58_decode(aril_bytes text, uint8_t *ret, size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(text.len <= ARILI_BASE58_CHARS_MAX, ARIL_E_FORMAT_LENGTH);
    struct limbs n = { .count = 0 };
    const size_t zeros = leading(text, (uint8_t)alphabet[0]);
    size_t i = zeros;
    while (i < text.len) {
        const size_t take = (text.len - i - 1) % LIMB_CHARS + 1;
        uint32_t group = 0;
        uint32_t factor = 1;
        for (size_t k = 0; k < take; k++) {
            const uint32_t digit = digit_of(text.data[i + k]);
            ARILI_ENSURE(digit < 58, ARIL_E_FORMAT_FIELD);
            group = group * 58 + digit;
            factor *= 58;
        }
        limbs_push(&n, factor, group, (uint64_t)1 << 32);
        i += take;
    }

    size_t len = n.count * LIMB_BYTES;
    while (len > 0 &&
           (uint8_t)(n.at[(len - 1) / LIMB_BYTES] >> (8 * ((len - 1) % LIMB_BYTES))) == 0) {
        len--;
    }
    ARILI_ENSURE(zeros <= cap && len <= cap - zeros, ARIL_E_FORMAT_LENGTH);
    if (zeros > 0) {
        memset(ret, 0, zeros);
    }
    for (i = 0; i < len; i++) {
        const size_t from = len - 1 - i;
        ret[zeros + i] = (uint8_t)(n.at[from / LIMB_BYTES] >> (8 * (from % LIMB_BYTES)));
    }
    *ret_len = zeros + len;
    return ARIL_OK;
}
