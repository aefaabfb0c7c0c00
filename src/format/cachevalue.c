/* SPDX-License-Identifier: Apache-2.0 */
#include "format/cachevalue.h"
#include "base/ensure.h"
#include <assert.h>

#define LEVEL          0xa1u
#define FLAGS_KNOWN    ARILI_VALUE_TRAILER
#define BODY_LENGTH_AT 32u
#define SEGMENT_FULL   (ARILI_VALUE_SEGMENT_BYTES + ARILI_VALUE_TAG_BYTES)

uint64_t arili_value_segments(uint64_t body_bytes)
{
    return body_bytes == 0 ? 1 : (body_bytes - 1) / ARILI_VALUE_SEGMENT_BYTES + 1;
}

uint64_t arili_value_stored_bytes(uint64_t body_bytes)
{
    return ARILI_VALUE_HEADER_BYTES + body_bytes +
           arili_value_segments(body_bytes) * ARILI_VALUE_TAG_BYTES;
}

aril_status arili_value_parse(aril_bytes stored, struct arili_value_header *ret)
{
    struct arili_reader r = arili_reader_init(stored);
    struct arili_value_header h = { .flags = 0 };
    const uint8_t level = arili_read8(&r);
    const uint8_t kind = arili_read8(&r);
    const uint8_t use = arili_read8(&r);
    h.flags = arili_read8(&r);
    const uint32_t zero = arili_read32(&r);
    h.created_ms = arili_read64(&r);
    h.not_after_ms = arili_read64(&r);
    h.generation = arili_read64(&r);
    h.body_bytes = arili_read64(&r);
    arili_read_into(&r, h.key_id, sizeof h.key_id);
    arili_read_into(&r, h.nonce, sizeof h.nonce);
    const uint32_t zero_end = arili_read32(&r);
    /* What is no value at all is told from one that was cut. */
    ARILI_ENSURE(stored.len == 0 || stored.data[0] == LEVEL, ARIL_E_FORMAT_VERSION);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(level == LEVEL, ARIL_E_FORMAT_VERSION);
    ARILI_ENSURE(kind == ARILI_VALUE_KIND_XAES && use == ARILI_VALUE_USE_CACHE, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE((h.flags & ~FLAGS_KNOWN) == 0 && zero == 0 && zero_end == 0 &&
                     h.created_ms <= h.not_after_ms,
                 ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(h.body_bytes <= ARILI_VALUE_BODY_MAX, ARIL_E_FORMAT_LENGTH);
    const uint64_t want = arili_value_stored_bytes(h.body_bytes);
    ARILI_ENSURE(stored.len >= want, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(stored.len == want, ARIL_E_FORMAT_LENGTH);
    *ret = h;
    return ARIL_OK;
}

bool arili_value_peek(const uint8_t header[ARILI_VALUE_HEADER_BYTES],
                      struct arili_value_header *ret)
{
    const uint64_t body = arili_load64(header + BODY_LENGTH_AT);
    return body <= ARILI_VALUE_BODY_MAX &&
           arili_value_parse((aril_bytes){ header, (size_t)arili_value_stored_bytes(body) }, ret) ==
               ARIL_OK;
}

void arili_value_write(const struct arili_value_header *h, uint8_t ret[ARILI_VALUE_HEADER_BYTES])
{
    struct arili_writer w = arili_writer_init(ret, ARILI_VALUE_HEADER_BYTES);
    arili_write8(&w, LEVEL);
    arili_write8(&w, ARILI_VALUE_KIND_XAES);
    arili_write8(&w, ARILI_VALUE_USE_CACHE);
    arili_write8(&w, h->flags);
    arili_write32(&w, 0);
    arili_write64(&w, h->created_ms);
    arili_write64(&w, h->not_after_ms);
    arili_write64(&w, h->generation);
    arili_write64(&w, h->body_bytes);
    arili_write_bytes(&w, (aril_bytes){ h->key_id, sizeof h->key_id });
    arili_write_bytes(&w, (aril_bytes){ h->nonce, sizeof h->nonce });
    arili_write32(&w, 0);
    assert(w.len == ARILI_VALUE_HEADER_BYTES);
}

/* --- Trailer ------------------------------------------------------------------------------- */

size_t arili_value_trailer_bytes(size_t tag_count)
{
    return tag_count * ARILI_VALUE_TAG_ENTRY_BYTES + ARILI_VALUE_TRAILER_END_BYTES;
}

void arili_value_trailer_write(const struct arili_value_trailer *t, uint8_t *ret)
{
    struct arili_writer w = arili_writer_init(ret, arili_value_trailer_bytes(t->tag_count));
    for (size_t i = 0; i < t->tag_count; i++) {
        arili_write_bytes(&w, (aril_bytes){ t->tags[i].context, sizeof t->tags[i].context });
        arili_write_bytes(&w, (aril_bytes){ t->tags[i].stamp, sizeof t->tags[i].stamp });
    }
    arili_write16(&w, (uint16_t)t->tag_count);
    arili_write16(&w, 0);
    arili_write64(&w, t->value_bytes);
}

aril_status arili_value_trailer_parse(aril_bytes end, uint64_t body_bytes,
                                      struct arili_value_trailer *ret)
{
    ARILI_ENSURE(end.len >= ARILI_VALUE_TRAILER_END_BYTES, ARIL_E_FORMAT_TRUNCATED);
    const uint8_t *last = end.data + end.len - ARILI_VALUE_TRAILER_END_BYTES;
    struct arili_value_trailer t = { .value_bytes = arili_load64(last + 4),
                                     .tag_count = arili_load16(last) };
    ARILI_ENSURE(t.tag_count <= ARILI_VALUE_TAGS_MAX && arili_load16(last + 2) == 0,
                 ARIL_E_FORMAT_FIELD);
    const size_t bytes = arili_value_trailer_bytes(t.tag_count);
    ARILI_ENSURE(end.len >= bytes, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(bytes <= body_bytes && t.value_bytes <= body_bytes - bytes, ARIL_E_FORMAT_LENGTH);
    const uint8_t *at = end.data + end.len - bytes;
    for (size_t i = 0; i < t.tag_count; i++, at += ARILI_VALUE_TAG_ENTRY_BYTES) {
        memcpy(t.tags[i].context, at, ARILI_VALUE_TAG_CONTEXT_BYTES);
        memcpy(t.tags[i].stamp, at + ARILI_VALUE_TAG_CONTEXT_BYTES, ARILI_VALUE_STAMP_BYTES);
    }
    *ret = t;
    return ARIL_OK;
}
