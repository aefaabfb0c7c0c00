/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_IDENTITY_TRUST_LIST_H
#define ARILI_IDENTITY_TRUST_LIST_H
#include "identity/keys.h"
#include <stdbool.h>

/* What a trust list holds, and what its text says. No locks: see aril_trust. */
#define ARILI_TRUST_NAME_ROOM (ARIL_TRUST_NAME_BYTES_MAX + 1)

/* One key, named by its hash alone: a did:pqaid does not tell the algorithm, and no
 * two algorithms have public keys of one length, so keys of equal hash are equal and
 * of one algorithm. */
struct arili_trust_entry {
    struct arili_key_hash hash;
    bool trusted;
    bool revoked;
    char name[ARILI_TRUST_NAME_ROOM]; /* the reason when revoked */
};

/* All zero is an empty list. */
struct arili_trust_list {
    struct arili_trust_entry *entries; /* in order of arrival */
    uint32_t *sorted;                  /* indices of entries, by hash */
    size_t count, cap;
};
void arili_trust_list_done(struct arili_trust_list *list);
/* A copy with room for one entry more. */
ARIL_MUST_USE aril_status arili_trust_list_copy(const struct arili_trust_list *from,
                                                struct arili_trust_list *ret);
/* NULL when it is not there. */
const struct arili_trust_entry *arili_trust_list_find(const struct arili_trust_list *list,
                                                      const struct arili_key_hash *hash);

/* What one line or call says of a key. */
struct arili_trust_claim {
    bool revoke;
    struct arili_key_hash hash;
    char name[ARILI_TRUST_NAME_ROOM];
};
/* USAGE_RANGE unless name is 1 (0 when revoke is set) to 127 printable characters. */
ARIL_MUST_USE aril_status arili_trust_claim_name(struct arili_trust_claim *claim, aril_bytes name);
/* FORMAT (class) when did is no DID of ours. */
ARIL_MUST_USE aril_status arili_trust_claim_did(aril_runtime *rt, struct arili_trust_claim *claim,
                                                const char *did);
/* EXISTS when it was trusted before; LIMIT, NOMEM. Trust in what is revoked is noted
 * and changes nothing. On failure the list is as before. */
ARIL_MUST_USE aril_status arili_trust_list_apply(struct arili_trust_list *list,
                                                 const struct arili_trust_claim *claim);

/* Where a text went wrong: a line from 1, 0 for none, and words with the remedy. */
struct arili_trust_problem {
    unsigned line;
    const char *text;
};
/* Apply each line of a text; on failure the lines before have been applied. */
ARIL_MUST_USE aril_status arili_trust_list_apply_text(aril_runtime *rt,
                                                      struct arili_trust_list *list,
                                                      aril_bytes text,
                                                      struct arili_trust_problem *ret_problem);
#endif
