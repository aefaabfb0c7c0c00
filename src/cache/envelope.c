/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/envelope.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "format/cachekit.h"
#include <limits.h>
#include <lz4.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(ARILI_ENVELOPE_BYTES_MAX <= INT_MAX, "LZ4 counts in int");

void arili_envelope_value_done(struct arili_envelope_value *v)
{
    arili_free(v->memory, v->memory_bytes);
    *v = (struct arili_envelope_value){ 0 };
}

static aril_status check_sizes(const struct arili_cachekit_envelope *e, size_t value_max)
{
    /* Even the block of nothing is one byte. */
    ARILI_ENSURE(e->data_bytes > 0, ARIL_E_FORMAT_LENGTH);
    ARILI_ENSURE(e->data_bytes <= ARILI_ENVELOPE_BYTES_MAX, ARIL_E_LIMIT);
    ARILI_ENSURE(e->original_bytes <= ARILI_ENVELOPE_BYTES_MAX, ARIL_E_LIMIT);
    ARILI_ENSURE(e->original_bytes <= value_max, ARIL_E_LIMIT);
    ARILI_ENSURE(e->original_bytes <= (uint64_t)e->data_bytes * ARILI_ENVELOPE_RATIO_MAX,
                 ARIL_E_LIMIT);
    return ARIL_OK;
}

/* The compressed bytes, in memory of their own when they stand there as integers. */
static aril_status compressed_bytes(const struct arili_cachekit_envelope *e,
                                    struct arili_envelope_value *copy, aril_bytes *ret)
{
    if (!e->is_array) {
        *ret = e->data;
        return ARIL_OK;
    }
    copy->memory = arili_alloc(e->data_bytes);
    ARILI_ENSURE(copy->memory != NULL, ARIL_E_NOMEM);
    copy->memory_bytes = e->data_bytes;
    arili_cachekit_envelope_decode(e, copy->memory);
    *ret = (aril_bytes){ copy->memory, e->data_bytes };
    return ARIL_OK;
}

static aril_status check_checksum(const struct arili_cachekit_envelope *e, aril_bytes value)
{
    uint8_t sum[ARILI_CACHEKIT_CHECKSUM_BYTES];
    arili_store64(sum, XXH3_64bits(value.data, value.len));
    /* It finds bits that fell over, not attackers: those are for the tag around it. */
    ARILI_ENSURE(memcmp(sum, e->checksum, sizeof sum) == 0, ARIL_E_FORMAT_FIELD);
    return ARIL_OK;
}

aril_status arili_envelope_open(aril_bytes envelope, size_t value_max,
                                struct arili_envelope_value *ret)
{
    struct arili_cachekit_envelope e;
    ARILI_TRY(arili_cachekit_envelope_parse(envelope, &e));
    ARILI_TRY(check_sizes(&e, value_max));
    ARILI_DEFER(arili_envelope_value_done) struct arili_envelope_value copy = { 0 };
    ARILI_DEFER(arili_envelope_value_done) struct arili_envelope_value value = { 0 };
    aril_bytes compressed = { 0 };
    ARILI_TRY(compressed_bytes(&e, &copy, &compressed));
    const size_t len = (size_t)e.original_bytes;
    value.memory_bytes = len > 0 ? len : 1;
    value.memory = arili_alloc(value.memory_bytes);
    ARILI_ENSURE(value.memory != NULL, ARIL_E_NOMEM);
    value.len = len;
    /* Both lengths were compared with 512 MiB. */
    const int got = LZ4_decompress_safe((const char *)compressed.data, (char *)value.memory,
                                        (int)compressed.len, (int)len);
    ARILI_ENSURE(got >= 0 && (size_t)got == len, ARIL_E_FORMAT_FIELD);
    ARILI_TRY(check_checksum(&e, (aril_bytes){ value.memory, len }));
    *ret = value;
    value = (struct arili_envelope_value){ 0 };
    return ARIL_OK;
}
