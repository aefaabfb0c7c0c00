/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_checks.h"
#include "base/bytes.h"
#include <string.h>

aril_status codec_status(enum codec c, const uint8_t *bytes, size_t len)
{
    aril_status st;
    const char *problem = codec_problem(c, (aril_bytes){ bytes, len }, &st);
    if (problem != NULL) {
        fail_msg("codec %u, %zu bytes: %s", (unsigned)c, len, problem);
    }
    return st;
}

/* --- All samples ----------------------------------------------------------------------- */

typedef void check_fn(struct sample *s);

static void each(enum codec first, enum codec last, check_fn *check)
{
    static struct sample s;
    unsigned found = 0;
    for (unsigned n = 0; sample_make(n, &s); n++) {
        if (s.codec >= first && s.codec <= last) {
            check(&s);
            found++;
        }
    }
    assert_true(found > 0);
}

static void read_and_written(struct sample *s)
{
    if (codec_status(s->codec, s->bytes, s->len) != ARIL_OK) {
        fail_msg("codec %u, sample %s is refused", (unsigned)s->codec, s->name);
    }
}

void samples_are_read_and_written(enum codec first, enum codec last)
{
    each(first, last, read_and_written);
}

static void truncated(struct sample *s)
{
    for (size_t len = 0; len < s->len; len++) {
        assert_status(codec_status(s->codec, s->bytes, len), ARIL_E_FORMAT_TRUNCATED);
    }
}

void every_truncation_is_truncated(enum codec first, enum codec last)
{
    each(first, last, truncated);
}

static void appended(struct sample *s)
{
    for (unsigned more = 1; more <= 70; more++) {
        s->bytes[s->len++] = 0;
        assert_status(codec_status(s->codec, s->bytes, s->len), ARIL_E_FORMAT_LENGTH);
    }
}

void every_appended_byte_is_too_long(enum codec first, enum codec last)
{
    each(first, last, appended);
}

static void changed(struct sample *s)
{
    for (size_t at = 0; at < s->len; at++) {
        for (unsigned bit = 0; bit <= 8; bit++) {
            const unsigned mask = bit < 8 ? 1u << bit : 0xff;
            s->bytes[at] = (uint8_t)(s->bytes[at] ^ mask);
            (void)codec_status(s->codec, s->bytes, s->len); /* canonical where it is read */
            s->bytes[at] = (uint8_t)(s->bytes[at] ^ mask);
        }
    }
}

void every_changed_byte_is_refused_or_canonical(enum codec first, enum codec last)
{
    each(first, last, changed);
}

typedef aril_status write_fn(enum codec c, const union codec_value *v, uint8_t *ret, size_t cap,
                             size_t *ret_len);

/* Every size up to 200 bytes and every 97th above; the last ones below the right one too. */
static void fits_only_with_room(enum codec c, const union codec_value *v, write_fn *write,
                                size_t need)
{
    for (size_t cap = 0; cap <= need; cap += cap < 200 || cap + 97 > need ? 1 : 97) {
        struct guarded g;
        size_t len = 12345;
        guarded_init(&g, cap);
        assert_status(write(c, v, g.data, cap, &len),
                      cap < need ? ARIL_E_USAGE_TOO_SMALL : ARIL_OK);
        assert_int_equal(len, cap < need ? 12345 : need);
        guarded_check(&g);
        guarded_done(&g);
    }
}

static void bounded(struct sample *s)
{
    const union codec_value v = sample_value(s);
    fits_only_with_room(s->codec, &v, codec_write, s->len);
    if (s->codec == CODEC_CARD || s->codec == CODEC_BUNDLE || s->codec == CODEC_RECEIPT) {
        const aril_bytes core = s->codec == CODEC_CARD     ? v.card.signed_part
                                : s->codec == CODEC_BUNDLE ? v.bundle.signed_part
                                                           : v.receipt.signed_part;
        fits_only_with_room(s->codec, &v, codec_write_core, core.len);
    }
}

void writers_stay_in_their_buffers(enum codec first, enum codec last)
{
    each(first, last, bounded);
}

/* --- One change ------------------------------------------------------------------------ */

aril_status with_number(const struct sample *s, size_t at, size_t bytes, uint64_t value)
{
    static struct sample other;
    other = *s;
    assert_true(at + bytes <= s->len);
    for (size_t i = 0; i < bytes; i++) {
        other.bytes[at + i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
    return codec_status(other.codec, other.bytes, other.len);
}

size_t behind_vector(const struct sample *s, size_t at)
{
    return at + 2 + arili_load16(s->bytes + at);
}

aril_status with_vector(const struct sample *s, size_t at, aril_bytes value)
{
    static uint8_t bytes[SAMPLE_BYTES_MAX + 65536];
    const size_t behind = behind_vector(s, at);
    assert_true(behind <= s->len && value.len <= UINT16_MAX);
    memcpy(bytes, s->bytes, at);
    arili_store16(bytes + at, (uint16_t)value.len);
    if (value.len > 0) {
        memcpy(bytes + at + 2, value.data, value.len);
    }
    memcpy(bytes + at + 2 + value.len, s->bytes + behind, s->len - behind);
    return codec_status(s->codec, bytes, at + 2 + value.len + s->len - behind);
}

aril_status with_vector_length(const struct sample *s, size_t at, size_t len)
{
    static uint8_t value[UINT16_MAX];
    const size_t old = arili_load16(s->bytes + at);
    assert_true(len <= sizeof value);
    memset(value, 'x', len);
    memcpy(value, s->bytes + at + 2, len < old ? len : old);
    return with_vector(s, at, (aril_bytes){ value, len });
}

/* --- Structs ---------------------------------------------------------------------------- */

union codec_value sample_value(const struct sample *s)
{
    union codec_value v;
    assert_status(codec_parse(s->codec, (aril_bytes){ s->bytes, s->len }, &v), ARIL_OK);
    return v;
}

void assert_not_written(enum codec c, const union codec_value *v)
{
    static uint8_t out[SAMPLE_BYTES_MAX + 65536];
    size_t len = 12345;
    memset(out, 0x5c, sizeof out);
    assert_status(codec_write(c, v, out, sizeof out, &len), ARIL_E_USAGE_RANGE);
    assert_status(codec_write(c, v, NULL, 0, &len), ARIL_E_USAGE_RANGE);
    assert_int_equal(len, 12345);
    assert_true(is_filled(out, sizeof out, 0x5c));
}
