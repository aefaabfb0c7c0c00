/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_KEYRING_MODEL_INTERNAL_H
#define ARIL_TESTS_KEYRING_MODEL_INTERNAL_H
/* What the files of the model of keyrings share. */
#include "check.h"
#include "keyring_model.h"

extern const struct km_slot kmi_root_slot, kmi_authority_slot;

/* Ends the plan when it is not ARIL_OK. */
#define KMI_STEP(p, call)         \
    do {                          \
        (p)->st = (call);         \
        if ((p)->st != ARIL_OK) { \
            return;               \
        }                         \
    } while (0)

enum { KMI_LOCKED_TOO = 1, KMI_ANY_CLOCK = 2 };

const struct km_ring *kmi_newest(const struct km_plan *p);
struct km_ring *kmi_change(struct km_plan *p, bool must_not_be_undone);
aril_status kmi_may_change(const struct km_plan *p, unsigned flags);
aril_status kmi_authority_only(const struct km_plan *p);
void kmi_finish(struct km_plan *p);
struct km_key *kmi_slot_in_state(struct km_ring *r, const struct km_slot *slot,
                                 aril_key_state state);
const struct km_key *kmi_seals_at(const struct km_ring *r, const struct km_slot *slot,
                                  uint64_t now_s);
void kmi_succeed(struct km_ring *r, const struct km_slot *slot, uint64_t wait_s);
struct km_key *kmi_make(struct km_ring *r, const struct km_slot *slot, aril_key_state state,
                        uint64_t wait_s);
struct km_key *kmi_insert(struct km_ring *r, const struct km_key *k);
void kmi_erase(struct km_ring *r, size_t at);
int kmi_order(const struct km_key *a, const struct km_key *b);
uint32_t kmi_destroy_tenant(struct km_ring *r, const char *tenant);
void kmi_bury(struct km_ring *r, const char *tenant, uint32_t keys);
bool kmi_is_wrapped_by_owner(aril_key_purpose p);
bool kmi_is_tenants(aril_key_purpose p);
bool kmi_is_kek(aril_key_purpose p);
void kmi_name_set(char ret[KM_NAME_BYTES], const char *name);
struct km_ring *kmi_copy_new(const struct km_ring *from);
const struct km_key *kmi_newest_version(const struct km_ring *r, const struct km_slot *slot);
const struct km_key *kmi_kek_of(const struct km_ring *r, const char *owner);
struct km_slot kmi_slot_of_key(const struct km_key *k);
bool kmi_in_slot(const struct km_key *k, const struct km_slot *slot);
#endif
