/* SPDX-License-Identifier: Apache-2.0 */
#include "format/msgpack.h"
#include "base/ensure.h"
#include <assert.h>

/* First bytes of the forms. */
enum {
    FIX_MAP = 0x80,
    FIX_ARRAY = 0x90,
    FIX_STR = 0xa0,
    NIL = 0xc0,
    NEVER_USED = 0xc1,
    BOOL_FALSE = 0xc2,
    BOOL_TRUE = 0xc3,
    BIN_8 = 0xc4,
    EXT_8 = 0xc7,
    REAL_32 = 0xca,
    REAL_64 = 0xcb,
    UINT_8 = 0xcc,
    INT_8 = 0xd0,
    FIX_EXT_1 = 0xd4,
    STR_8 = 0xd9,
    ARRAY_16 = 0xdc,
    MAP_16 = 0xde,
    FIX_NEGATIVE = 0xe0
};

/* --- Reading ---------------------------------------------------------------------- */

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static uint64_t read_width(struct arili_reader *r, unsigned log2_bytes)
{
    switch (log2_bytes) {
    case 0:
        return arili_read8(r);
    case 1:
        return arili_read16(r);
    case 2:
        return arili_read32(r);
    default:
        return arili_read64(r);
    }
}

static void take_unsigned(struct arili_msgpack *t, uint64_t v)
{
    t->type = ARILI_MSGPACK_UINT;
    t->number = v;
}

/* v has so many bytes, the highest bit is the sign. */
static void take_signed(struct arili_msgpack *t, uint64_t v, unsigned log2_bytes)
{
    const unsigned bits = 8u << log2_bytes;
    const bool negative = (v >> (bits - 1) & 1) != 0;
    t->type = negative ? ARILI_MSGPACK_INT : ARILI_MSGPACK_UINT;
    t->number = negative && bits < 64 ? v | ~UINT64_C(0) << bits : v;
}

static void take_real(struct arili_msgpack *t, struct arili_reader *r, bool wide)
{
    t->type = ARILI_MSGPACK_REAL;
    if (wide) {
        const uint64_t bits = arili_read64(r);
        memcpy(&t->real, &bits, sizeof bits);
    } else {
        const uint32_t bits = arili_read32(r);
        float f;
        memcpy(&f, &bits, sizeof bits);
        t->real = (double)f; /* every one of 32 bits is one of 64 bits */
    }
}

static void take_bytes(struct arili_msgpack *t, enum arili_msgpack_type type,
                       struct arili_reader *r, uint64_t len)
{
    t->type = type;
    t->bytes = arili_read_bytes(r, (size_t)len); /* below 2^32 */
}

/* Every element takes a byte at least, so a count that the rest cannot hold is refused here. */
static void take_container(struct arili_msgpack *t, enum arili_msgpack_type type,
                           struct arili_reader *r, uint64_t count)
{
    const uint64_t elements = type == ARILI_MSGPACK_MAP ? 2 * count : count;
    t->type = type;
    t->count = (uint32_t)count; /* came from 32 bits at most */
    r->short_ = r->short_ || elements > r->len;
}

/* The forms whose first byte is all type: 0xc0 to 0xdf but 0xc1. */
static void take_long(struct arili_msgpack *t, struct arili_reader *r, unsigned head)
{
    if (head == NIL) {
        t->type = ARILI_MSGPACK_NIL;
    } else if (head == BOOL_FALSE || head == BOOL_TRUE) {
        t->type = ARILI_MSGPACK_BOOL;
        t->number = head == BOOL_TRUE;
    } else if (head < EXT_8) {
        take_bytes(t, ARILI_MSGPACK_BIN, r, read_width(r, head - BIN_8));
    } else if (head < REAL_32) {
        const uint64_t len = read_width(r, head - EXT_8);
        (void)arili_read8(r); /* the type, which no format here uses */
        take_bytes(t, ARILI_MSGPACK_EXT, r, len);
    } else if (head < UINT_8) {
        take_real(t, r, head == REAL_64);
    } else if (head < INT_8) {
        take_unsigned(t, read_width(r, head - UINT_8));
    } else if (head < FIX_EXT_1) {
        take_signed(t, read_width(r, head - INT_8), head - INT_8);
    } else if (head < STR_8) {
        (void)arili_read8(r);
        take_bytes(t, ARILI_MSGPACK_EXT, r, UINT64_C(1) << (head - FIX_EXT_1));
    } else if (head < ARRAY_16) {
        take_bytes(t, ARILI_MSGPACK_STR, r, read_width(r, head - STR_8));
    } else if (head < MAP_16) {
        take_container(t, ARILI_MSGPACK_ARRAY, r, read_width(r, 1 + (head - ARRAY_16)));
    } else {
        take_container(t, ARILI_MSGPACK_MAP, r, read_width(r, 1 + (head - MAP_16)));
    }
}

aril_status arili_msgpack_next(struct arili_reader *r, struct arili_msgpack *ret)
{
    struct arili_msgpack t = { 0 };
    const unsigned head = arili_read8(r);
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(head != NEVER_USED, ARIL_E_FORMAT_FIELD);
    if (head < FIX_MAP) {
        take_unsigned(&t, head);
    } else if (head < FIX_ARRAY) {
        take_container(&t, ARILI_MSGPACK_MAP, r, head - FIX_MAP);
    } else if (head < FIX_STR) {
        take_container(&t, ARILI_MSGPACK_ARRAY, r, head - FIX_ARRAY);
    } else if (head < NIL) {
        take_bytes(&t, ARILI_MSGPACK_STR, r, head - FIX_STR);
    } else if (head < FIX_NEGATIVE) {
        take_long(&t, r, head);
    } else {
        take_signed(&t, head, 0);
    }
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    *ret = t;
    return ARIL_OK;
}

static uint64_t elements_of(const struct arili_msgpack *t)
{
    return t->type == ARILI_MSGPACK_MAP     ? (uint64_t)t->count * 2
           : t->type == ARILI_MSGPACK_ARRAY ? t->count
                                            : 0;
}

aril_status arili_msgpack_check(aril_bytes document, size_t depth_max, size_t *ret_pairs)
{
    assert(depth_max <= ARILI_MSGPACK_DEPTH_MAX);
    struct arili_reader r = arili_reader_init(document);
    uint64_t left[ARILI_MSGPACK_DEPTH_MAX]; /* elements to come, of each open container */
    size_t depth = 0;
    uint64_t owed = 1; /* of all together; never more than bytes are left, or it is refused */
    size_t pairs = 0;
    while (owed > 0) {
        struct arili_msgpack t;
        ARILI_TRY(arili_msgpack_next(&r, &t));
        owed--;
        if (depth > 0) {
            left[depth - 1]--;
        }
        const uint64_t elements = elements_of(&t);
        if (t.type == ARILI_MSGPACK_MAP || t.type == ARILI_MSGPACK_ARRAY) {
            ARILI_ENSURE(depth < depth_max, ARIL_E_FORMAT_FIELD);
            left[depth++] = elements;
            owed += elements; /* at most the two of them are left: below 2^34 */
        }
        ARILI_ENSURE(owed <= r.len, ARIL_E_FORMAT_TRUNCATED);
        pairs += t.type == ARILI_MSGPACK_MAP ? t.count : 0;
        while (depth > 0 && left[depth - 1] == 0) {
            depth--;
        }
    }
    ARILI_TRY(arili_reader_end(&r));
    if (ret_pairs != NULL) {
        *ret_pairs = pairs;
    }
    return ARIL_OK;
}

/* --- Writing ---------------------------------------------------------------------- */

/* head is the form of one byte; the wider ones follow it. */
static void write_sized(struct arili_writer *w, unsigned head, uint64_t v)
{
    if (v <= UINT8_MAX) {
        arili_write8(w, (uint8_t)head);
        arili_write8(w, (uint8_t)v);
    } else if (v <= UINT16_MAX) {
        arili_write8(w, (uint8_t)(head + 1));
        arili_write16(w, (uint16_t)v);
    } else if (v <= UINT32_MAX) {
        arili_write8(w, (uint8_t)(head + 2));
        arili_write32(w, (uint32_t)v);
    } else {
        arili_write8(w, (uint8_t)(head + 3));
        arili_write64(w, v);
    }
}

/* head is the form of two bytes. */
static void write_count(struct arili_writer *w, unsigned fix, unsigned head, uint32_t count)
{
    if (count < 16) {
        arili_write8(w, (uint8_t)(fix + count));
    } else if (count <= UINT16_MAX) {
        arili_write8(w, (uint8_t)head);
        arili_write16(w, (uint16_t)count);
    } else {
        arili_write8(w, (uint8_t)(head + 1));
        arili_write32(w, count);
    }
}

void arili_msgpack_write_nil(struct arili_writer *w)
{
    arili_write8(w, NIL);
}

void arili_msgpack_write_bool(struct arili_writer *w, bool v)
{
    arili_write8(w, v ? BOOL_TRUE : BOOL_FALSE);
}

void arili_msgpack_write_uint(struct arili_writer *w, uint64_t v)
{
    if (v < FIX_MAP) {
        arili_write8(w, (uint8_t)v);
    } else {
        write_sized(w, UINT_8, v);
    }
}

void arili_msgpack_write_int(struct arili_writer *w, int64_t v)
{
    if (v >= 0) {
        arili_msgpack_write_uint(w, (uint64_t)v);
    } else if (v >= -32) {
        arili_write8(w, (uint8_t)v);
    } else if (v >= INT8_MIN) {
        arili_write8(w, INT_8);
        arili_write8(w, (uint8_t)v);
    } else if (v >= INT16_MIN) {
        arili_write8(w, INT_8 + 1);
        arili_write16(w, (uint16_t)v);
    } else if (v >= INT32_MIN) {
        arili_write8(w, INT_8 + 2);
        arili_write32(w, (uint32_t)v);
    } else {
        arili_write8(w, INT_8 + 3);
        arili_write64(w, (uint64_t)v);
    }
}

void arili_msgpack_write_real(struct arili_writer *w, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    arili_write8(w, REAL_64);
    arili_write64(w, bits);
}

void arili_msgpack_write_array(struct arili_writer *w, uint32_t count)
{
    write_count(w, FIX_ARRAY, ARRAY_16, count);
}

void arili_msgpack_write_map(struct arili_writer *w, uint32_t pairs)
{
    write_count(w, FIX_MAP, MAP_16, pairs);
}

void arili_msgpack_write_str(struct arili_writer *w, aril_bytes text)
{
    assert(text.len <= UINT32_MAX);
    if (text.len < 32) {
        arili_write8(w, (uint8_t)(FIX_STR + text.len));
    } else {
        write_sized(w, STR_8, text.len);
    }
    arili_write_bytes(w, text);
}

void arili_msgpack_write_bin(struct arili_writer *w, aril_bytes bytes)
{
    assert(bytes.len <= UINT32_MAX);
    write_sized(w, BIN_8, bytes.len);
    arili_write_bytes(w, bytes);
}
