/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_KEYRING_MODEL_H
#define ARIL_TESTS_KEYRING_MODEL_H
/*
 * What the documents say that a keyring does, over plain numbers: no cryptography, no file, no
 * keystore. An operation becomes a plan: its status, and the state after each change that it
 * writes. An operation that ran to its end leaves the last state; one that was cut off leaves one
 * of them, and the file's revision says which.
 */
#include <aril/aril.h>
#include <stdbool.h>

#define KM_NAME_BYTES   16u
#define KM_KEYS_MAX     4096u
#define KM_STATES_MAX   96u
#define KM_BATCH        512u /* new wraps in one change */
#define KM_TENANTS_MAX  8u
#define KM_NODES_MAX    16u
#define KM_SIGNERS_MAX  32u
#define KM_CLOCK_BACK_S 300u

struct km_key {
    aril_key_purpose purpose;
    aril_key_state state; /* as it is written */
    char owner[KM_NAME_BYTES], label[KM_NAME_BYTES];
    uint32_t version;
    uint64_t created_s, activates_s, rotate_by_s, not_after_s;
    uint32_t material; /* of a legacy key: which one it is */
    bool has_id;       /* known since the library listed it */
    uint8_t id[ARIL_KEY_ID_BYTES];
};

struct km_slot {
    aril_key_purpose purpose;
    const char *owner, *label;
};

struct km_ring {
    aril_keyring_role role;
    aril_key_policy policy;
    uint64_t clock_s, revision, generation, bundle_version;
    bool locked;
    /* A rotation that was cut off: of which key, whether the keystore sealed the new root, how
     * many children have a new wrap. */
    bool rotating, sealed;
    aril_key_purpose rotates;
    char rotates_owner[KM_NAME_BYTES];
    size_t staged;
    struct {
        char tenant[KM_NAME_BYTES];
        uint32_t keys, root;
    } tombs[KM_TENANTS_MAX];
    size_t tomb_count;
    uint64_t floor;
    struct {
        char name[KM_NAME_BYTES], tenant[KM_NAME_BYTES]; /* tenant "": all */
        bool revoked;
    } nodes[KM_NODES_MAX];
    size_t node_count;
    bool known[KM_SIGNERS_MAX], refused[KM_SIGNERS_MAX]; /* node: signing keys, by version */
    size_t count;
    struct km_key keys[KM_KEYS_MAX]; /* by purpose, owner, label, version */
};

struct km_plan {
    uint64_t unix_s;   /* what the clock says */
    unsigned stop_at;  /* the progress function stops its nth call; 0: none */
    unsigned progress; /* calls so far */
    aril_status st;    /* how the operation ends when nothing else goes wrong */
    size_t rotated;    /* revoke: keys */
    size_t count;      /* of states; the first one is that of before */
    struct km_ring *states[KM_STATES_MAX];
};

/* What a bundle says. */
struct km_bundle {
    uint64_t version, expires_s;
    uint32_t signer, successor; /* versions of the authority key; successor 0: none */
    struct km_ring *from;       /* the authority when it was signed; owned */
};

void km_init(struct km_ring *r, aril_keyring_role role, const aril_key_policy *policy,
             uint64_t unix_s, const char *node_name, uint32_t signer);
void km_copy(struct km_ring *ret, const struct km_ring *from);

/* A plan from that state; km_plan_done() frees. */
void km_plan_init(struct km_plan *p, const struct km_ring *from, uint64_t unix_s);
void km_plan_done(struct km_plan *p);

void km_create(struct km_plan *p, const struct km_slot *slots, size_t count);
void km_rotate(struct km_plan *p, const struct km_slot *slot);
/* key: index in the state of before; count: an id that is not there. */
void km_retire(struct km_plan *p, size_t key, bool destroy);
void km_shred(struct km_plan *p, const char *tenant, bool destroy_root);
void km_import(struct km_plan *p, const char *tenant, const uint32_t *materials, size_t count);
void km_lock(struct km_plan *p, bool locked);
void km_floor_raise(struct km_plan *p, uint64_t value);
void km_node_add(struct km_plan *p, const char *name, const char *tenant);
void km_node_revoke(struct km_plan *p, const char *name);
/* On success *ret is what the bundle says; free ret->from. */
void km_bundle_write(struct km_plan *p, struct km_bundle *ret);
void km_bundle_apply(struct km_plan *p, const struct km_bundle *b, const char *node_name);

/* --- Asking */

uint64_t km_now(const struct km_ring *r, uint64_t unix_s);
/* The state of a key at a time, as lists show it. */
aril_key_state km_state(const struct km_ring *r, size_t key, uint64_t now_s);
/* Which key seals; its index, or a status. */
aril_status km_sealing(const struct km_ring *r, const struct km_slot *slot, uint64_t unix_s,
                       size_t *ret);
/* Whether the key of an id opens for a tenant. */
aril_status km_opening(const struct km_ring *r, const char *tenant, const uint8_t *id);
/* The key that wraps that one; count when it is a root. */
size_t km_parent(const struct km_ring *r, size_t key);
bool km_is_buried(const struct km_ring *r, const char *tenant);
#endif
