/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_RECORD_RECORD_H
#define ARILI_RECORD_RECORD_H
#include "record/chain.h"
#include <aril/record.h>

/* The longest context of a use. */
#define ARILI_CONTEXT_BYTES_MAX 128u

/* What is the same for every record of one view. */
struct arili_record_scope {
    struct arili_chain *chain;
    uint8_t use;
    uint64_t tenant_tag;
};

/* One record in the caller's memory; the meaning of the members is that of aril_kv_item. */
struct arili_record {
    const aril_span *spans;
    size_t span_count;
    uint8_t *body;
    size_t body_len;
    uint8_t *seal;
    uint8_t *staging;
    bool in_place;
    const uint8_t *context; /* what the use binds, ARILI_CONTEXT_BYTES_MAX at most */
    size_t context_len;
};

/* Whether the pointers, lengths and overlaps of a record are as documented. */
ARIL_MUST_USE aril_status arili_record_check(const struct arili_record *r);

/* Where a record is sealed: its number in a pinned epoch, and a context that is keyed for it. */
struct arili_place {
    struct arili_epoch *epoch;
    uint32_t number;
    uint64_t sequence;
    struct arili_aead_ctx *ctx;
};

/* Seal into a place. On failure body and seal are zeros or unchanged, and the place stays unused.
 * r was checked. */
ARIL_MUST_USE aril_status arili_record_seal(const struct arili_record_scope *scope,
                                            const struct arili_record *r,
                                            const struct arili_place *place);

/* Read the header of r's seal into a copy that the caller may trust not to change, and check
 * what can be checked without a key. ARIL_E_FORMAT (class), ARIL_E_ISOLATION, ARIL_E_AUTH for
 * another direction. *ret is filled whenever the header could be parsed. */
ARIL_MUST_USE aril_status arili_record_header(const struct arili_record_scope *scope,
                                              const struct arili_record *r,
                                              uint8_t ret_seal[ARIL_SEAL_BYTES],
                                              struct arili_seal_header *ret);

/* Decrypt with opening's keys and check the tag; seal is the copy of arili_record_header().
 * The plaintext is in the spans, or in staging where that is given, until _publish: the body is
 * then read once, into staging, and decrypted there. On failure all of them are wiped. */
ARIL_MUST_USE aril_status arili_record_decrypt(const struct arili_record_scope *scope,
                                               const struct arili_record *r,
                                               const uint8_t seal[ARIL_SEAL_BYTES],
                                               const struct arili_seal_header *h,
                                               const struct arili_opening *opening);
/* Copy from staging to the spans and wipe staging; nothing to do without staging. */
void arili_record_publish(const struct arili_record *r);
/* Wipe whatever plaintext an opened record left in spans and staging. */
void arili_record_wipe(const struct arili_record *r);
#endif
