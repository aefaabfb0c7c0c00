/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_ENVELOPE_H
#define ARILI_CACHE_ENVELOPE_H
#include <aril/base.h>

/* The caps of cachekit, for what an envelope holds and for what it becomes. */
#define ARILI_ENVELOPE_BYTES_MAX ((uint64_t)512 << 20)
#define ARILI_ENVELOPE_RATIO_MAX 1000u

/* Memory that a value lies in. End it with _done, which wipes. */
struct arili_envelope_value {
    uint8_t *memory;
    size_t memory_bytes;
    size_t len; /* of the value, from the start of memory */
};
void arili_envelope_value_done(struct arili_envelope_value *v);

/*
 * Unpack a ByteStorage envelope: LZ4 block, XXH3 of what it becomes. The envelope says how long
 * that is, which is compared with the caps and value_max before memory is asked for; LZ4 must give
 * exactly that.
 * FORMAT (class); FORMAT_FIELD: LZ4 or checksum do not fit. LIMIT: more than value_max or the
 * caps. On failure *ret is unchanged.
 */
ARIL_MUST_USE aril_status arili_envelope_open(aril_bytes envelope, size_t value_max,
                                              struct arili_envelope_value *ret);
#endif
