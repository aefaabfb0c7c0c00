/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_VALUE_H
#define ARILI_CACHE_VALUE_H
#include "cache/names.h"
#include "cache/value_batch.h"
#include "crypto/contexts.h"
#include "format/cachevalue.h"
#include <aril/executor.h>

/*
 * Sealing and opening native values, docs/CACHE-FORMAT.md section 2. Segment i of a value is an
 * XAES-256-GCM message with the nonce header.nonce || u32 i; associated data is header || context.
 */
#define ARILI_VALUE_AAD_BYTES (ARILI_VALUE_HEADER_BYTES + ARILI_CACHE_CONTEXT_BYTES)

/* The lengths of a value that is going to be sealed. */
struct arili_value_plan {
    uint64_t value_bytes; /* of the application */
    uint64_t body_bytes;  /* with padding and trailer */
    size_t tag_count;
    bool trailer;
};
struct arili_value_plan arili_value_plan(uint64_t value_bytes, size_t tag_count,
                                         aril_cache_padding padding, uint32_t pad_bytes);
/* Padme: the length that len is padded to (Nikitin et al., PETS 2019, section 4.2). */
uint64_t arili_padme(uint64_t len);

struct arili_value_sealing {
    aril_runtime *rt;
    const aril_executor *executor; /* NULL: this thread */
    const aril_tenant_key *key;    /* DATA */
    const uint8_t *context;        /* ARILI_CACHE_CONTEXT_BYTES */
    uint64_t created_ms, not_after_ms, generation;
    struct arili_value_plan plan;
    aril_bytes value;
    const struct arili_value_tag *tags; /* plan.tag_count of them */
};
/* ret has room for arili_value_stored_bytes(plan.body_bytes), and does not overlap. On failure it
 * holds no plaintext. */
ARIL_MUST_USE aril_status arili_value_seal(const struct arili_value_sealing *s, uint8_t *ret);

/*
 * Opening a stored value that is there whole: _begin, _trailer, _end. Or one that comes in pieces
 * and has no trailer: _begin, then _piece for all that follows the header, in order; _done when no
 * more comes. Pieces are decrypted while they are hot, and nothing of them is believed before the
 * tag of their segment was; whoever fails wipes out.
 */
struct arili_value_lease {
    struct arili_context_lease
        of;       /* a context that is keyed for the segment under way; NULL: none */
    bool batched; /* it is the batch's */
};
struct arili_value_opening {
    aril_runtime *rt;
    const aril_executor *executor;
    const aril_tenant_key *key;
    struct arili_value_header header;
    uint8_t aad[ARILI_VALUE_AAD_BYTES];
    uint8_t *out; /* value_bytes of plaintext */

    /* Of pieces: the segment that is under way. */
    struct arili_value_batch *batch; /* NULL: none */
    struct arili_value_lease lease;
    uint64_t segment;
    size_t segment_at; /* bytes of its ciphertext and tag that came */
    uint8_t tag[ARILI_VALUE_TAG_BYTES];
    aril_status failed; /* of the first piece that failed: the later ones fail alike */

    struct arili_value_trailer trailer; /* large, and so the last */
};
/* header was parsed from stored, key is the one that it names. */
void arili_value_open_begin(struct arili_value_opening *o, aril_runtime *rt,
                            const aril_tenant_key *key, const uint8_t *stored,
                            const struct arili_value_header *header,
                            const uint8_t context[ARILI_CACHE_CONTEXT_BYTES]);
/* Trailer first: how long the value is, and its tags. Without a trailer it is the body. stored is
 * whole. AUTH, FORMAT (class). */
ARIL_MUST_USE aril_status arili_value_open_trailer(struct arili_value_opening *o,
                                                   aril_bytes stored);
/* Whether the header, and so the length, is that of the value: all that is demanded of one that is
 * longer than there is room. It has no trailer and is not empty. */
ARIL_MUST_USE aril_status arili_value_open_length(const struct arili_value_opening *o,
                                                  aril_bytes stored);
/* Open it all. On failure out is wiped. */
ARIL_MUST_USE aril_status arili_value_open_end(struct arili_value_opening *o, aril_bytes stored);
/* The next bytes. More of them than the value has are ARIL_E_FORMAT_LENGTH; AUTH; FORMAT_KIND for a
 * value with a trailer. */
ARIL_MUST_USE aril_status arili_value_open_piece(struct arili_value_opening *o, aril_bytes piece);
/* ARIL_OK when all of it came and was verified, else what _piece failed with, else
 * ARIL_E_FORMAT_TRUNCATED. In any case the cipher is given back; it may be called again. */
aril_status arili_value_open_done(struct arili_value_opening *o);

/*
 * The same in place, for who moves bytes: ciphertext is decrypted where it lies. A run is what of
 * the input belongs to one segment; it is not to be believed before its segment is verified.
 */
struct arili_value_opener {
    struct arili_value_opening state; /* out is not used */
};
void arili_value_opener_begin(struct arili_value_opener *o, aril_runtime *rt,
                              const aril_tenant_key *key, const uint8_t *stored,
                              const struct arili_value_header *header,
                              const uint8_t context[ARILI_CACHE_CONTEXT_BYTES]);
/* The same as one of a batch, which must outlive o. */
void arili_value_opener_begin_in(struct arili_value_opener *o, struct arili_value_batch *batch,
                                 const aril_tenant_key *key, const uint8_t *stored,
                                 const struct arili_value_header *header,
                                 const uint8_t context[ARILI_CACHE_CONTEXT_BYTES]);
/*
 * Uses some of *in, which moves forward; *ret_run is the plaintext of it, where its ciphertext lay,
 * and may be empty. *ret_verified: with it a segment ended and was verified, and all runs up to
 * here can be believed. Call it until *in is empty: each call uses all of it, or ends a segment.
 *
 * AUTH; FORMAT_LENGTH when more comes than the value has; FORMAT_KIND for a value with a trailer.
 * On failure *in has not moved, what of it was decrypted is zero, *ret_run is empty, and every
 * later call fails alike; the caller wipes the runs that were not verified. A segment that lies
 * whole in *in takes the fewest calls of the cipher.
 */
ARIL_MUST_USE aril_status arili_value_opener_run(struct arili_value_opener *o, aril_span *in,
                                                 aril_span *ret_run, bool *ret_verified);
/* As arili_value_open_done(). */
aril_status arili_value_opener_done(struct arili_value_opener *o);

/* Sealing in place, without trailer. begin gives the header, which goes first. */
struct arili_value_sealer {
    aril_runtime *rt;
    const aril_tenant_key *key; /* borrowed until done */
    struct arili_value_header header;
    uint8_t aad[ARILI_VALUE_AAD_BYTES];
    struct arili_value_batch *batch; /* NULL: none */
    struct arili_value_lease lease;
    uint64_t segment;
    uint64_t left;      /* of the body */
    size_t segment_at;  /* bytes of it that were sealed */
    bool ended;         /* the last tag was given */
    aril_status failed; /* of the first run that failed: the later ones fail alike */
};
/* body_bytes over ARILI_VALUE_BODY_MAX are ARIL_E_LIMIT. On failure ret_header is unchanged, and s
 * only good for _done. */
ARIL_MUST_USE aril_status arili_value_sealer_begin(struct arili_value_sealer *s, aril_runtime *rt,
                                                   const aril_tenant_key *key,
                                                   const uint8_t context[ARILI_CACHE_CONTEXT_BYTES],
                                                   uint64_t created_ms, uint64_t not_after_ms,
                                                   uint64_t generation, uint64_t body_bytes,
                                                   uint8_t ret_header[ARILI_VALUE_HEADER_BYTES]);
/* The same as one of a batch, which must outlive s. */
ARIL_MUST_USE aril_status arili_value_sealer_begin_in(
    struct arili_value_sealer *s, struct arili_value_batch *batch, const aril_tenant_key *key,
    const uint8_t context[ARILI_CACHE_CONTEXT_BYTES], uint64_t created_ms, uint64_t not_after_ms,
    uint64_t generation, uint64_t body_bytes, uint8_t ret_header[ARILI_VALUE_HEADER_BYTES]);
/*
 * Encrypts some of *in, which moves forward, in place: *ret_run. *ret_tagged: a segment ended and
 * its tag follows the run. Call it until *in is empty: each call uses all of it, or ends a segment.
 * A value of no bytes has one run, from an empty input. FORMAT_LENGTH when more comes than was
 * said. On failure *in has not moved, what was to be encrypted of it is zero, *ret_run is empty,
 * ret_tag unchanged, and every later call fails alike.
 */
ARIL_MUST_USE aril_status arili_value_sealer_run(struct arili_value_sealer *s, aril_span *in,
                                                 aril_span *ret_run,
                                                 uint8_t ret_tag[ARILI_VALUE_TAG_BYTES],
                                                 bool *ret_tagged);
/* ARIL_OK when all came and the last tag was given, else what _run failed with, else
 * FORMAT_TRUNCATED. In any case the cipher is given back; it may be called again. */
aril_status arili_value_sealer_done(struct arili_value_sealer *s);
#endif
