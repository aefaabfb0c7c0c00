/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_MSGPACK_H
#define ARILI_FORMAT_MSGPACK_H
#include "base/bytes.h"

/*
 * MessagePack (github.com/msgpack/msgpack, spec.md), token by token: no recursion, no memory, and
 * nothing is allocated or believed because a header claims it.
 */

/* cachekit's readers bound the depth of what they read; 1024 is the most that it allows. */
#define ARILI_MSGPACK_DEPTH_MAX 1024u

enum arili_msgpack_type {
    ARILI_MSGPACK_NIL,
    ARILI_MSGPACK_BOOL,
    ARILI_MSGPACK_UINT,
    ARILI_MSGPACK_INT, /* below zero; a signed form of another number is UINT */
    ARILI_MSGPACK_REAL,
    ARILI_MSGPACK_STR,
    ARILI_MSGPACK_BIN,
    ARILI_MSGPACK_EXT,
    ARILI_MSGPACK_ARRAY,
    ARILI_MSGPACK_MAP
};
/* One token: a scalar with its bytes, or the head of a container, whose elements follow. */
struct arili_msgpack {
    enum arili_msgpack_type type;
    uint64_t number; /* BOOL, UINT; INT in two's complement */
    double real;
    uint32_t count;   /* ARRAY: elements; MAP: pairs */
    aril_bytes bytes; /* STR, BIN, EXT without its type; borrowed */
};

/*
 * The next token. FORMAT_TRUNCATED: the bytes end in it, or cannot hold as many elements as a
 * container claims; FORMAT_FIELD: 0xc1. STR is not checked to be UTF-8. On failure *ret is
 * unchanged and r is used up.
 */
ARIL_MUST_USE aril_status arili_msgpack_next(struct arili_reader *r, struct arili_msgpack *ret);

/*
 * Whether the bytes are exactly one document whose containers are nested at most depth_max
 * (ARILI_MSGPACK_DEPTH_MAX) deep. FORMAT_TRUNCATED; FORMAT_LENGTH: bytes behind it; FORMAT_FIELD:
 * 0xc1, or nested deeper. ret_pairs (optional): pairs of all maps.
 */
ARIL_MUST_USE aril_status arili_msgpack_check(aril_bytes document, size_t depth_max,
                                              size_t *ret_pairs);

/* The shortest form of each. */
void arili_msgpack_write_nil(struct arili_writer *w);
void arili_msgpack_write_bool(struct arili_writer *w, bool v);
void arili_msgpack_write_uint(struct arili_writer *w, uint64_t v);
void arili_msgpack_write_int(struct arili_writer *w, int64_t v);
void arili_msgpack_write_real(struct arili_writer *w, double v); /* always 64 bits */
void arili_msgpack_write_array(struct arili_writer *w, uint32_t count);
void arili_msgpack_write_map(struct arili_writer *w, uint32_t pairs);
/* len must fit 32 bits. */
void arili_msgpack_write_str(struct arili_writer *w, aril_bytes text);
void arili_msgpack_write_bin(struct arili_writer *w, aril_bytes bytes);
#endif
