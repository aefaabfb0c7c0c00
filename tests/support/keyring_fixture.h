/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_KEYRING_FIXTURE_H
#define ARIL_TESTS_KEYRING_FIXTURE_H
/*
 * Keyrings for tests: a file in the temp folder (temp_folder.h), keystores over a memory that
 * outlives them, and the clock of a world. The functions end the running test when something does
 * not work, unless they give a status.
 *
 *   struct world w;                         struct keyring_home h;
 *   world_init(&w);                         home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
 *   home_make(&h, ARIL_PROFILE_HYBRID, NULL);
 *   home_tenant(&h, "alice");               ... h.kr, h.error ...
 *   home_done(&h);                          world_done(&w);
 */
#include "fixture.h"
#include "memory_store.h"
#include "keyring/keystore.h"
#include <stdbool.h>

#define HOME_PATH_BYTES 512u

/* A way to a keyring: a keystore of its own and the keyring over it. */
struct keyring_handle {
    aril_keystore *ks;
    aril_keyring *kr;
};

/* A file, what its keystores keep, and one handle. Must stay where it is. */
struct keyring_home {
    struct world *w; /* borrowed */
    struct memory_backing *backing;
    unsigned capabilities; /* of keystores that are made from now on */
    /* What keystores are made over; NULL: memory_store(backing, capabilities). user is for it. */
    struct arili_store (*store)(struct keyring_home *h);
    void *user;
    char path[HOME_PATH_BYTES];
    aril_keyring_config config; /* of keyrings that are opened from now on, but path and keystore */
    aril_keystore *ks;
    aril_keyring *kr;
    aril_error error; /* of the last call that was given it */
};

/* No keyring and no keystore yet. name is in the temp folder. */
void home_init(struct keyring_home *h, struct world *w, const char *name, unsigned capabilities);
/* Closes the handle, frees the memory, removes the file with what SQLite keeps beside it. */
void home_done(struct keyring_home *h);

/* A keystore over the home's memory, which the caller closes. */
aril_keystore *home_keystore(struct keyring_home *h);
/* What to open it with: the path, h->config and that keystore. */
aril_keyring_config home_config(const struct keyring_home *h, aril_keystore *ks);

/* Make the keyring of an authority without recovery and open it. policy NULL: the defaults. */
void home_make(struct keyring_home *h, aril_profile profile, const aril_key_policy *policy);
/* The same with an init config of the caller's. */
void home_make_as(struct keyring_home *h, const aril_keyring_init_config *init);
/* The keyring of a node of that authority: its profile, and its public key as a PEM file. */
void home_make_node(struct keyring_home *h, struct keyring_home *authority, const char *name);
/* Init alone, with a keystore that is closed again: for refusals. */
aril_status home_try_init(struct keyring_home *h, const aril_keyring_init_config *init);

/* Open with h->ks, or a new keystore; into h->kr. try: h->kr stays NULL on failure. */
aril_status home_try_open(struct keyring_home *h);
void home_open(struct keyring_home *h);
/* Close keyring and keystore. */
void home_close(struct keyring_home *h);
void home_reopen(struct keyring_home *h);
/* Another handle on the same file, as another process has it. */
struct keyring_handle home_second(struct keyring_home *h);
void handle_close(struct keyring_handle *handle);

/* --- Keys */

/* owner and label may be NULL: empty. */
aril_key_slot slot_of(aril_key_purpose purpose, const char *owner, const char *label);
void home_tenant(struct keyring_home *h, const char *tenant);
/* Create one slot; rotate one. */
aril_status home_create(struct keyring_home *h, aril_key_slot slot);
aril_status home_rotate(struct keyring_home *h, aril_key_slot slot);

/* A key as it stood: a copy of its info. */
struct key_copy {
    aril_key_info info; /* owner and label point into the copy: it must stay where it is */
    uint8_t owner[ARIL_KEY_OWNER_BYTES_MAX], label[ARIL_KEY_LABEL_BYTES_MAX];
};
/* That version of a slot; version 0: the newest. False: there is none. */
bool keyring_find(aril_keyring *kr, aril_key_slot slot, uint32_t version, struct key_copy *ret);
/* The same, which must be there. */
void keyring_key(aril_keyring *kr, aril_key_slot slot, uint32_t version, struct key_copy *ret);
/* Keys in that state; purpose 0: of every purpose. */
size_t keyring_count(aril_keyring *kr, aril_key_purpose purpose, aril_key_state state);
/* Keys of every state and purpose. */
size_t keyring_count_all(aril_keyring *kr);
aril_keyring_info keyring_info(aril_keyring *kr);

/* --- Boxes */

/* One small value, sealed for a tenant. */
#define BOX_PLAIN_BYTES 24u
struct sealed_box {
    char tenant[64];
    uint64_t seed; /* of the plaintext */
    uint8_t bytes[BOX_PLAIN_BYTES + ARIL_BOX_OVERHEAD_BYTES];
};
/* Each box has its own plaintext. */
aril_status box_seal(aril_keyring *kr, const char *tenant, struct sealed_box *ret,
                     aril_error *error);
/* On success the plaintext is compared; on failure nothing may have come out. */
aril_status box_open(aril_keyring *kr, const struct sealed_box *box, aril_error *error);
/* The id of the key that sealed it, inside it. */
const uint8_t *box_key_id(const struct sealed_box *box);

/* --- The file */

/* All bytes of a file; free() data. */
aril_span home_read(const char *path);
void home_write(const char *path, aril_span content);
/* Files of the temp folder, "." and ".." not counted. */
size_t home_files(const struct keyring_home *h);

/* How file, folder and keystore are, to demand that a refused call left them alone. */
struct home_mark {
    aril_span file;
    size_t files, slots, counters;
    uint64_t revision;
};
struct home_mark home_mark(struct keyring_home *h);
/* Ends the mark. */
void home_unchanged(struct keyring_home *h, struct home_mark *mark);

/* --- A fleet */

/* The node's card to the authority; tenants NULL: all. */
aril_status fleet_enrol(struct keyring_home *authority, struct keyring_home *node,
                        const char *tenant);
/* The next bundle, in a file of that name; its path. */
const char *fleet_bundle(struct keyring_home *authority, const char *name);
/* Apply a bundle's file. */
aril_status fleet_apply(struct keyring_home *node, const char *path, int *ret_changed);
/* Sign the next bundle, apply it, hand the receipt back: all must work. */
void fleet_pull(struct keyring_home *authority, struct keyring_home *node);

/* --- Words */

/* Demands status and words of an error. */
void assert_error(const aril_error *error, aril_status st, const char *words);
#endif
