/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FLEET_FORGE_H
#define ARIL_TESTS_FLEET_FORGE_H
/*
 * Messages of a fleet that no library function would write: cards, receipts and bundles whose
 * fields a test chooses, signed with any key. Functions end the running test when something does
 * not work.
 */
#include "keyring_fixture.h"
#include "keyring/fleet.h"
#include "keyring/keyring.h"

/* An authority with the tenants ada and bob, and two enrolled nodes: alpha gets every tenant, beta
 * gets bob alone. No bundle is written yet. All of ML-KEM-768. */
struct small_fleet {
    struct world w;
    struct keyring_home authority, alpha, beta;
};
void small_fleet_init(struct small_fleet *f, unsigned capabilities);
void small_fleet_done(struct small_fleet *f);
/* Bundles come as bytes here: write the next one, without applying it. free() data. */
aril_span fleet_next(struct keyring_home *authority);
/* Apply those bytes; the error is the node's. */
aril_status fleet_take(struct keyring_home *node, aril_span bundle);
/* The next bundle to every node of the fleet that is open; all must take it. */
void small_fleet_share(struct small_fleet *f);

/* A signing key out of a keyring: that version of the AUTHORITY key (0: the newest), or the
 * signing half of a NODE. Free it before the runtime. */
aril_identity *forge_authority(aril_keyring *kr, uint32_t version);
aril_identity *forge_node(aril_keyring *kr);

/* Card or receipt as PEM. */
struct fleet_text {
    char pem[ARIL_CARD_BYTES_MAX];
    size_t len;
};
static inline aril_bytes fleet_text_bytes(const struct fleet_text *t)
{
    return (aril_bytes){ (const uint8_t *)t->pem, t->len };
}
void fleet_card(aril_keyring *node, struct fleet_text *ret);
void fleet_receipt(aril_keyring *node, struct fleet_text *ret);

/* What is inside the PEM; spans point into der. */
struct fleet_inside {
    uint8_t der[ARIL_CARD_BYTES_MAX];
    size_t len;
    struct arili_card card;
    struct arili_receipt receipt;
};
void fleet_card_inside(const struct fleet_text *t, struct fleet_inside *ret);
void fleet_receipt_inside(const struct fleet_text *t, struct fleet_inside *ret);
/* Any bytes as PEM of that label. */
void fleet_wrap(const char *label, aril_bytes der, struct fleet_text *ret);
/* Sign the fields anew. */
void forge_card(const struct arili_card *card, const aril_identity *signer, struct fleet_text *ret);
void forge_receipt(const struct arili_receipt *receipt, const aril_identity *signer,
                   struct fleet_text *ret);

/* --- Bundles */

#define FORGE_KEYS   16u
#define FORGE_OTHERS 8u

/* A key of a forged bundle. The secret is a pattern of seed. */
struct forge_key {
    uint64_t seed;
    aril_key_purpose purpose;
    aril_key_state state;
    uint32_t version;
    const char *owner, *label; /* label NULL: empty */
    bool wrong_id;             /* an id that is not that of the secret */
    bool unsealed;             /* is in the list, but in no section */
};

/* Zero but what forge_init() fills; the test changes what it likes before forge_end(). */
struct forge {
    aril_keyring *authority;
    aril_profile profile;
    uint8_t fleet[ARILI_KEYRING_ID_BYTES];
    uint64_t version, created_s, expires_s;
    aril_bytes successor; /* a public key */
    const char *tombstones[FORGE_OTHERS];
    uint8_t revoked_nodes[FORGE_OTHERS][ARIL_NODE_ID_BYTES];
    size_t revoked_node_count;
    aril_bytes revoked_authorities[FORGE_OTHERS]; /* public keys */
    struct forge_floor {
        const char *name;
        uint64_t value;
    } floors[FORGE_OTHERS]; /* ascending; the first without a name ends them */
    struct forge_key keys[FORGE_KEYS];
    size_t key_count;
    aril_keyring *nodes[FORGE_OTHERS];
};
/* The next version of that authority, for this node, for a week from its clock on. */
void forge_init(struct forge *f, aril_keyring *authority, aril_keyring *node);
void forge_add(struct forge *f, struct forge_key key);
/* Signed by that key, which also stands in the bundle; free() data. */
aril_span forge_end(const struct forge *f, const aril_identity *signer);
/* The id of a node, and the id of a key with that seed. */
void forge_node_id(aril_keyring *node, uint8_t ret[ARIL_NODE_ID_BYTES]);
void forge_key_id(aril_keyring *kr, uint64_t seed, uint8_t ret[ARIL_KEY_ID_BYTES]);

/* A bundle that was written, with other fields, signed by that key; free() data. The sections
 * open as long as fleet and version stay. edit may change the struct but not what its spans
 * point to. */
typedef void forge_edit_fn(struct arili_bundle *b, void *arg);
aril_span forge_again(aril_bytes bundle, forge_edit_fn *edit, void *arg,
                      const aril_identity *signer);

/* Everything of a keyring that a refused message must not change. */
struct keyring_trace {
    uint64_t revision, generation, bundle_version;
    size_t keys[ARIL_KEY_PURPOSES];
    uint8_t mac[ARILI_HASH_BYTES_MAX]; /* over the whole set of rows */
};
struct keyring_trace keyring_trace(aril_keyring *kr);
void assert_untouched(aril_keyring *kr, const struct keyring_trace *before);
#endif
