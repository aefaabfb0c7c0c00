/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_KEYS_H
#define ARILI_KEYRING_KEYS_H
#include "keyring/change.h"

/* Making keys and finding the right version of one. Under the slow lock. */

/* USAGE_NULL, USAGE_RANGE unless purpose, owner and label fit one another. */
ARIL_MUST_USE aril_status arili_slot_check(const aril_key_slot *slot);
/* KEY_DESTROYED when the owner is a tenant that was shredded. */
ARIL_MUST_USE aril_status arili_slot_alive(const aril_keyring *kr, const struct arili_rowset *set,
                                           const aril_key_slot *slot, aril_error *error);
/* The version that is active, or NULL. Right for keys that never wait for their time. */
const struct arili_key *arili_slot_active(const struct arili_rowset *set,
                                          const aril_key_slot *slot);
/* The version that seals at a time: the newest whose time has come. NULL: there is none. */
const struct arili_key *arili_slot_sealing(const struct arili_rowset *set,
                                           const aril_key_slot *slot, uint64_t now_s);
/* The state of a version at a time: a pending one whose time has come is active, and those before
 * it are decrypt-only, though the file says so after the next change alone. */
aril_key_state arili_slot_state(const struct arili_rowset *set, size_t index, uint64_t now_s);
/* The key-encryption key for a new key of that slot: the root, the tenant's or the model's. NULL
 * when there is none. */
const struct arili_key *arili_slot_parent(const struct arili_rowset *set,
                                          const aril_key_slot *slot);

/* USAGE_STATE on the keyring of a node, whose keys come in bundles, and the other way round. */
ARIL_MUST_USE aril_status arili_authority_only(const aril_keyring *kr, aril_error *error);
ARIL_MUST_USE aril_status arili_node_only(const aril_keyring *kr, aril_error *error);

/* Put the AUTHORITY row of a public key. */
ARIL_MUST_USE aril_status arili_authority_put(struct arili_change *ch,
                                              const struct arili_authority_row *row);

/* A key to make. All zero but slot and parent is a first version with a fresh secret. */
struct arili_making {
    aril_key_slot slot;
    struct arili_kek *parent;            /* NULL: a root */
    const struct arili_key *predecessor; /* NULL: the first version */
    const struct arili_payload *payload; /* NULL: drawn */
    aril_key_state state;                /* 0: ARIL_KEY_ACTIVE */
    uint64_t wait_s;                     /* before it is active */
    const uint8_t *slot_in_keystore;     /* of a root */
    const struct arili_key_row *dates;   /* NULL: from the policy, from now on */
};
/* What was made; wipe the payload. */
struct arili_made {
    uint8_t id[ARIL_KEY_ID_BYTES];
    struct arili_payload payload;
};
void arili_made_wipe(struct arili_made *made);
/* Make it, wrap it, and put its row. Names key file, tenant or model in messages. */
ARIL_MUST_USE aril_status arili_key_make(struct arili_change *ch, const struct arili_making *making,
                                         struct arili_made *ret);
/* Put the row of a key again with another state; destroyed drops the wrap. */
ARIL_MUST_USE aril_status arili_key_set_state(struct arili_change *ch, const struct arili_key *key,
                                              aril_key_state state);
/* The next version of a leaf (DATA, NAME, API, AUTHORITY). Without a lead it is active at once and
 * the versions before become decrypt-only; with one it is pending, and the version that seals now
 * goes on until then. */
ARIL_MUST_USE aril_status arili_key_succeed(struct arili_change *ch, const aril_key_slot *slot,
                                            uint64_t lead_s, struct arili_made *ret,
                                            aril_error *error);

/* For messages: "data key of alice, label x", cut. */
#define ARILI_SLOT_TEXT_BYTES 192u
const char *arili_slot_text(const aril_key_slot *slot, char ret[ARILI_SLOT_TEXT_BYTES]);
#endif
