/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_KEYRING_STATE_H
#define ARIL_TESTS_KEYRING_STATE_H
#include "fixture.h"
#include <stdbool.h>

/* What a keyring says of itself, to compare before and after. No asserts: also for children. */
struct keyring_state {
    aril_keyring_info info;
    uint64_t keys;       /* digest of the list: ids, parents, states, versions */
    uint64_t names;      /* digest of owners, labels, versions and states: without what is random */
    size_t count;        /* of the list */
    uint64_t shreds;     /* digest of the shredded tenants */
    uint64_t nodes;      /* digest of names and revocations */
    size_t backup_count; /* all of them */
};
/* On failure *ret is unchanged. */
aril_status keyring_state(aril_keyring *kr, struct keyring_state *ret, aril_error *error);
/* Whether keys, tombstones and nodes are the same; not the revision. */
bool keyring_state_equal(const struct keyring_state *a, const struct keyring_state *b);

/* NULL when the keyring is sound: every key verifies, versions of a slot have no gaps and follow
 * one another, and exactly one of them is active unless all of it is destroyed. Else what is
 * wrong. */
const char *keyring_unsound(aril_keyring *kr);
#endif
