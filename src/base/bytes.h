/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_BYTES_H
#define ARILI_BASE_BYTES_H
#include <aril/base.h>
#include <stdbool.h>
#include <string.h>

/* Integers on the wire are big-endian everywhere in aril (network order). */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARILI_BIG32(v) __builtin_bswap32(v)
#define ARILI_BIG64(v) __builtin_bswap64(v)
#else
#define ARILI_BIG32(v) (v)
#define ARILI_BIG64(v) (v)
#endif
static inline void arili_store16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void arili_store32(uint8_t *p, uint32_t v)
{
    const uint32_t big = ARILI_BIG32(v);
    memcpy(p, &big, sizeof big);
}
static inline void arili_store64(uint8_t *p, uint64_t v)
{
    const uint64_t big = ARILI_BIG64(v);
    memcpy(p, &big, sizeof big);
}
static inline uint16_t arili_load16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}
static inline uint32_t arili_load32(const uint8_t *p)
{
    uint32_t big;
    memcpy(&big, p, sizeof big);
    return ARILI_BIG32(big);
}
static inline uint64_t arili_load64(const uint8_t *p)
{
    uint64_t big;
    memcpy(&big, p, sizeof big);
    return ARILI_BIG64(big);
}

/* A reader over untrusted bytes. After the first read that does not fit it is
 * "short": every later read gives zeros and an empty span, so a parser reads all
 * fields and asks once. */
struct arili_reader {
    const uint8_t *data;
    size_t len; /* what is left */
    bool short_;
};
struct arili_reader arili_reader_init(aril_bytes in);
uint8_t arili_read8(struct arili_reader *r);
uint16_t arili_read16(struct arili_reader *r);
uint32_t arili_read32(struct arili_reader *r);
uint64_t arili_read64(struct arili_reader *r);
/* Borrowed: points into the input. */
aril_bytes arili_read_bytes(struct arili_reader *r, size_t len);
/* A 16-bit length and so many bytes. */
aril_bytes arili_read_vec16(struct arili_reader *r);
/* Copy n bytes out; zeros when short. */
void arili_read_into(struct arili_reader *r, void *ret, size_t n);
/* ARIL_OK when all was read and nothing is left; else FORMAT_TRUNCATED or
 * FORMAT_LENGTH. */
ARIL_MUST_USE aril_status arili_reader_end(const struct arili_reader *r);

/* A writer into a bounded buffer. When full it keeps counting, so that one pass
 * with cap 0 tells the size. */
struct arili_writer {
    uint8_t *data;
    size_t cap;
    size_t len; /* bytes wanted so far; over cap means it did not fit */
};
struct arili_writer arili_writer_init(uint8_t *data, size_t cap);
void arili_write8(struct arili_writer *w, uint8_t v);
void arili_write16(struct arili_writer *w, uint16_t v);
void arili_write32(struct arili_writer *w, uint32_t v);
void arili_write64(struct arili_writer *w, uint64_t v);
void arili_write_bytes(struct arili_writer *w, aril_bytes b);
/* b.len must be below 65536. */
void arili_write_vec16(struct arili_writer *w, aril_bytes b);
/* ARIL_OK and the length, or ARIL_E_USAGE_TOO_SMALL. */
ARIL_MUST_USE aril_status arili_writer_end(const struct arili_writer *w, size_t *ret_len);

/* Bytes of the well-formed UTF-8 character at the start of p (RFC 3629 section 4),
 * or 0: no overlong forms, no surrogates, nothing above U+10FFFF. len is at least 1. */
size_t arili_utf8_length(const uint8_t *p, size_t len);
/* Whether all of text is well-formed UTF-8. */
bool arili_utf8_is_valid(aril_bytes text);

/* A string literal as bytes, without its NUL. */
#define ARILI_LITERAL(s) ((aril_bytes){ (const uint8_t *)("" s), sizeof(s) - 1 })
#endif
