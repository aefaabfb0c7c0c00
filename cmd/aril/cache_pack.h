/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_CACHE_PACK_H
#define ARIL_CMD_CACHE_PACK_H
#include "cache.h"

/* Single values of MessagePack, each in its shortest form. Functions that return bool fail only
 * where memory does. */

enum pack_kind { PACK_ARRAY, PACK_MAP, PACK_TEXT, PACK_BINARY };

bool pack_byte(struct cache_packed *out, uint8_t byte);
bool pack_head(struct cache_packed *out, enum pack_kind kind, size_t count);
bool pack_bytes(struct cache_packed *out, enum pack_kind kind, const void *bytes, size_t len);
bool pack_integer(struct cache_packed *out, int64_t v);
bool pack_unsigned(struct cache_packed *out, uint64_t v);
/* An integer where that says the same; NaN and infinities are left to the library to refuse. */
bool pack_real(struct cache_packed *out, double v);

/* $bytes, $datetime, $uuid, $float, $int. Prints what is wrong; an exit code. */
int pack_tagged(const char *command, struct cache_packed *out, const char *tag,
                const json_t *value);

/* Offsets, as a stack. */
struct cache_spans {
    size_t *at; /* owned */
    size_t count, cap;
};
bool spans_add(struct cache_spans *spans, size_t offset);

/* The last count offsets begin the elements of a set, which fill out from start to its end. Sort
 * them by their bytes, drop doubles, put the head before them, and take the offsets away. */
bool pack_set(struct cache_packed *out, size_t start, size_t count, struct cache_spans *spans);
#endif
