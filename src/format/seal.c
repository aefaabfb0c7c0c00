/* SPDX-License-Identifier: Apache-2.0 */
#include "format/seal.h"
#include "base/bytes.h"
#include "base/ensure.h"

_Static_assert(ARILI_SEAL_HEADER_BYTES + ARILI_SEAL_TAG_BYTES == ARIL_SEAL_BYTES,
               "a seal is header and tag");

#define FLAG_DIRECTION 1u
#define SEQUENCE_MAX   (UINT64_C(1) << 32)

aril_status arili_seal_parse(const uint8_t seal[ARILI_SEAL_HEADER_BYTES],
                             struct arili_seal_header *ret)
{
    ARILI_ENSURE(seal[0] == ARILI_SEAL_LEVEL, ARIL_E_FORMAT_VERSION);
    ARILI_ENSURE(seal[1] == ARILI_SEAL_KIND_COUNTED, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE((seal[3] & ~FLAG_DIRECTION) == 0, ARIL_E_FORMAT_FIELD);
    struct arili_seal_header h = {
        .use = seal[2],
        .direction = seal[3] & FLAG_DIRECTION,
        .epoch = arili_load32(seal + 4),
        .tenant_tag = arili_load64(seal + 8),
        .sequence = arili_load64(seal + 16),
        .body_bytes = arili_load64(seal + 24),
    };
    ARILI_ENSURE(h.sequence >= 1 && h.sequence <= SEQUENCE_MAX, ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(h.body_bytes <= ARIL_BODY_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    memcpy(h.key_id, seal + 32, sizeof h.key_id);
    *ret = h;
    return ARIL_OK;
}

void arili_seal_write(const struct arili_seal_header *h, uint8_t ret[ARILI_SEAL_HEADER_BYTES])
{
    ret[0] = ARILI_SEAL_LEVEL;
    ret[1] = ARILI_SEAL_KIND_COUNTED;
    ret[2] = h->use;
    ret[3] = h->direction;
    arili_store32(ret + 4, h->epoch);
    arili_store64(ret + 8, h->tenant_tag);
    arili_store64(ret + 16, h->sequence);
    arili_store64(ret + 24, h->body_bytes);
    memcpy(ret + 32, h->key_id, sizeof h->key_id);
}
