/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_CACHEMESSAGE_H
#define ARILI_FORMAT_CACHEMESSAGE_H
#include "base/bytes.h"

/*
 * What one process tells the others of a cache, docs/CACHE-FORMAT.md section 6: the plaintext of a
 * box.
 *    0 sender (16)   16 all 0 or 1   17 vec16 space
 *   and where all is 0: u32 database, u8 type, u32 n key (n), u32 n field (n)
 */
#define ARILI_CHANGE_SENDER_BYTES 16u
/* A sender tells of the whole namespace instead of more. */
#define ARILI_CHANGE_BYTES_MAX 65000u

struct arili_cache_change {
    uint8_t sender[ARILI_CHANGE_SENDER_BYTES];
    bool all; /* the namespace: the rest is empty */
    aril_bytes space;
    uint32_t database;
    uint8_t type;
    aril_bytes key, field;
};

/* FORMAT (class). On failure *ret is unchanged; its spans point into in. */
ARIL_MUST_USE aril_status arili_cache_change_parse(aril_bytes in, struct arili_cache_change *ret);
/* The one encoding; w says how long it is. */
void arili_cache_change_write(const struct arili_cache_change *change, struct arili_writer *w);
#endif
