/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_VALUE_PIECES_H
#define ARIL_TESTS_VALUE_PIECES_H
#include "cache/value.h"
#include "faulty_crypto.h"

/* What tests of values in pieces start from: a runtime whose primitives are counted, a key, a
 * context, and values. The functions end the running test when something does not work. */
#define SEGMENT ((size_t)ARILI_VALUE_SEGMENT_BYTES)
#define TAG     ((size_t)ARILI_VALUE_TAG_BYTES)
#define FULL    (SEGMENT + TAG)
#define HEADER  ((size_t)ARILI_VALUE_HEADER_BYTES)
#define GUARD   32u

struct value_world {
    struct faulty_crypto *counting;
    aril_runtime *rt;
    aril_tenant_key *key;
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
    bool same_nonce; /* two values under one nonce can be compared; only tests do this */
};
extern struct value_world vw;
/* Of a group. */
int value_world_setup(void **state);
int value_world_teardown(void **state);
/* After each test: every lease went back. */
int value_check_leases(void **state);

struct stored {
    size_t value_len, len;
    uint8_t *value, *bytes;
};
/* A value, and room for its sealed form. */
struct stored stored_new(size_t value_len);
/* Sealed whole. */
struct stored stored_sealed(size_t value_len);
void stored_done(struct stored *s);

/* Pieces in order; the last is repeated. */
struct cuts {
    size_t sizes[3];
    size_t count;
};
/* Bytes of piece i, of which there are left. */
size_t cut_at(const struct cuts *cuts, size_t i, size_t left);

/* Opens what stands behind the header at bytes, up to len, with the opener, in pieces that each
 * have memory of their own. What every run promises is demanded, and on failure what is promised
 * then. */
struct opened {
    uint8_t *out; /* runs, one after the other: the caller's memory */
    size_t len, believed;
    uint64_t segments;
};
aril_status open_pieces(const struct arili_value_header *h, const uint8_t *bytes, size_t len,
                        const struct cuts *cuts, struct opened *ret);
/* The same of s, up to len; and with success demanded. */
aril_status open_stored(const struct stored *s, size_t len, const struct cuts *cuts,
                        struct opened *ret);
void assert_opens(const struct stored *s, const struct cuts *cuts, struct opened *o);
#endif
