/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/keklist.h"
#include "keyring/keys.h"
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX (UINT32_C(1) << 20)

struct creating {
    struct arili_change *ch;
    struct arili_keklist fresh; /* that this call made */
};

static void creating_done(struct creating *c)
{
    arili_keklist_done(&c->fresh);
}

static int order_slots(const void *a_, const void *b_)
{
    const aril_key_slot *a = *(const aril_key_slot *const *)a_;
    const aril_key_slot *b = *(const aril_key_slot *const *)b_;
    const int order = arili_row_order((uint8_t)a->purpose, a->owner, (uint8_t)b->purpose, b->owner);
    return order != 0 ? order : arili_row_order(0, a->label, 0, b->label);
}

static aril_status exists(const aril_keyring *kr, const aril_key_slot *slot, aril_error *error)
{
    char text[ARILI_SLOT_TEXT_BYTES];
    return arili_error_set(error, ARIL_E_EXISTS,
                           "%s: the %s exists already; rotate it to get a new version", kr->path,
                           arili_slot_text(slot, text));
}

/* A TENANT brings a DATA and a NAME key without a label. */
static bool comes_with_tenant(const aril_key_slot *slot, const aril_key_slot *tenant)
{
    return tenant->purpose == ARIL_KEY_TENANT && slot->label.len == 0 &&
           (slot->purpose == ARIL_KEY_DATA || slot->purpose == ARIL_KEY_NAME) &&
           arili_row_order(0, slot->owner, 0, tenant->owner) == 0;
}

/* No slot may be there twice, among them and those that come with a tenant. */
static aril_status check_doubles(const aril_keyring *kr, const aril_key_slot **sorted, size_t count,
                                 aril_error *error)
{
    qsort(sorted, count, sizeof(aril_key_slot *), order_slots);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && order_slots(&sorted[i - 1], &sorted[i]) == 0) {
            return exists(kr, sorted[i], error);
        }
        if (sorted[i]->label.len > 0 || sorted[i]->purpose == ARIL_KEY_TENANT) {
            continue;
        }
        const aril_key_slot above = { ARIL_KEY_TENANT, sorted[i]->owner, { NULL, 0 } };
        const aril_key_slot *key = &above;
        const aril_key_slot *const *tenant =
            bsearch(&key, sorted, count, sizeof(aril_key_slot *), order_slots);
        if (tenant != NULL && comes_with_tenant(sorted[i], *tenant)) {
            return exists(kr, sorted[i], error);
        }
    }
    return ARIL_OK;
}

struct slot_list {
    const aril_key_slot **slots;
    size_t count;
};
static void slot_list_done(struct slot_list *list)
{
    arili_free(list->slots, list->count * sizeof(aril_key_slot *));
}

static aril_status check_slots(const aril_keyring *kr, const aril_key_slot *slots, size_t count,
                               aril_error *error)
{
    ARILI_DEFER(slot_list_done) struct slot_list list = { .count = count };
    list.slots = arili_alloc(count * sizeof(aril_key_slot *));
    ARILI_ENSURE(list.slots != NULL, ARIL_E_NOMEM);
    for (size_t i = 0; i < count; i++) {
        ARILI_TRY(arili_slot_check(&slots[i]));
        const aril_key_purpose p = slots[i].purpose;
        ARILI_ENSURE(p == ARIL_KEY_TENANT || p == ARIL_KEY_MODEL || p == ARIL_KEY_API ||
                         p == ARIL_KEY_DATA || p == ARIL_KEY_NAME,
                     ARIL_E_USAGE_RANGE);
        list.slots[i] = &slots[i];
    }
    return check_doubles(kr, list.slots, count, error);
}

static aril_status find_parent(struct creating *c, const aril_key_slot *slot,
                               struct arili_kek **ret, aril_error *error)
{
    aril_keyring *kr = c->ch->kr;
    const bool below_tenant = slot->purpose == ARIL_KEY_DATA || slot->purpose == ARIL_KEY_NAME;
    *ret = below_tenant ? arili_keklist_find(&c->fresh, slot->owner) : NULL;
    if (*ret != NULL) {
        return ARIL_OK;
    }
    const struct arili_key *parent = arili_slot_parent(c->ch->from, slot);
    if (parent == NULL) {
        return arili_error_set(error, ARIL_E_NOT_FOUND,
                               "%s: there is no tenant or model %.*s; create it first", kr->path,
                               (int)slot->owner.len, (const char *)slot->owner.data);
    }
    return arili_keyring_kek(kr, c->ch->from, arili_key_id(parent), ret, error);
}

/* Tenants and models share the names below them: of one name there is one of the two, or a tenant
 * would open, and its shredding destroy, the keys of a model. */
static aril_status check_namesake(struct creating *c, const aril_key_slot *slot, aril_error *error)
{
    const aril_key_slot other = {
        .purpose = slot->purpose == ARIL_KEY_TENANT ? ARIL_KEY_MODEL : ARIL_KEY_TENANT,
        .owner = slot->owner,
    };
    size_t index;
    if (slot->purpose != ARIL_KEY_TENANT && slot->purpose != ARIL_KEY_MODEL) {
        return ARIL_OK;
    }
    if (arili_rowset_slot(c->ch->from, other.purpose, other.owner, other.label, &index)) {
        return exists(c->ch->kr, &other, error);
    }
    ARILI_DEFER(arili_kek_dropp)
    struct arili_kek *namesake = arili_keklist_find(&c->fresh, slot->owner);
    if (namesake != NULL) {
        return exists(c->ch->kr, &other, error);
    }
    return ARIL_OK;
}

static aril_status create_one(struct creating *c, const aril_key_slot *slot, aril_error *error)
{
    struct arili_change *ch = c->ch;
    size_t index;
    ARILI_TRY(arili_slot_alive(ch->kr, ch->from, slot, error));
    ARILI_TRY(check_namesake(c, slot, error));
    if (arili_rowset_slot(ch->from, slot->purpose, slot->owner, slot->label, &index)) {
        return exists(ch->kr, slot, error);
    }
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *parent = NULL;
    ARILI_TRY(find_parent(c, slot, &parent, error));
    const struct arili_making making = { .slot = *slot, .parent = parent };
    ARILI_DEFER(arili_made_wipe) struct arili_made made = { .id = { 0 } };
    ARILI_TRY(arili_key_make(ch, &making, &made));
    if (slot->purpose == ARIL_KEY_TENANT || slot->purpose == ARIL_KEY_MODEL) {
        ARILI_DEFER(arili_kek_dropp) struct arili_kek *kek = NULL;
        ARILI_TRY(arili_kek_new(ch->kr->rt, ch->kr->profile, slot->purpose, &made.payload, &kek));
        ARILI_TRY(arili_keklist_add(&c->fresh, slot->owner, kek));
    }
    return ARIL_OK;
}

static aril_status create_all(struct creating *c, const aril_key_slot *slots, size_t count,
                              aril_error *error)
{
    for (size_t i = 0; i < count; i++) {
        ARILI_TRY(create_one(c, &slots[i], error));
        if (slots[i].purpose == ARIL_KEY_TENANT) {
            const aril_key_slot data = { .purpose = ARIL_KEY_DATA, .owner = slots[i].owner };
            const aril_key_slot name = { .purpose = ARIL_KEY_NAME, .owner = slots[i].owner };
            ARILI_TRY(create_one(c, &data, error));
            ARILI_TRY(create_one(c, &name, error));
        }
    }
    return ARIL_OK;
}

aril_status aril_keyring_create(aril_keyring *keyring, const aril_key_slot *slots, size_t count,
                                aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && slots != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(count >= 1 && count <= SLOTS_MAX, ARIL_E_USAGE_RANGE);
    ARILI_TRY(check_slots(keyring, slots, count, error));
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_authority_only(keyring, error));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(keyring, 0, &ch, error));
    ARILI_DEFER(creating_done) struct creating creating = { .ch = &ch };
    ARILI_TRY(create_all(&creating, slots, count, error));
    ARILI_TRY(arili_change_commit(&ch, error));
    for (size_t i = 0; i < count; i++) {
        const struct arili_key_row said = { .purpose = slots[i].purpose,
                                            .state = ARIL_KEY_ACTIVE,
                                            .owner = slots[i].owner };
        (void)arili_keyring_tell(keyring, ARIL_EVENT_KEY, "create", ARIL_OK, slots[i].owner, NULL,
                                 &said);
    }
    return ARIL_OK;
}
