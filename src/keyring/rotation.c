/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/rotation.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/recovery.h"
#include <string.h>

/* New wraps in one change. A root of 10,000 tenants is 20 changes; what a crash repeats is at
 * most one. */
#define BATCH 512u

/* A rotation under way. */
struct rotation {
    aril_keyring *kr;
    uint8_t old_id[ARIL_KEY_ID_BYTES], new_id[ARIL_KEY_ID_BYTES];
    bool is_root;
    struct arili_kek *old_kek, *new_kek;
    struct arili_payload payload; /* of a new root */
};
static void rotation_done(struct rotation *r)
{
    arili_kek_drop(r->old_kek);
    arili_kek_drop(r->new_kek);
    arili_payload_wipe(&r->payload);
}

static aril_bytes id_bytes(const uint8_t id[ARIL_KEY_ID_BYTES])
{
    return (aril_bytes){ id, ARIL_KEY_ID_BYTES };
}

static aril_status put_rotation(struct arili_change *ch, const uint8_t *old_id,
                                const uint8_t *new_id, uint64_t started_s, aril_bytes blob)
{
    uint8_t body[ARILI_KEYRING_BLOB_BYTES_MAX + 64];
    size_t len;
    struct arili_rotation_row row = { .started_s = started_s, .blob = blob };
    memcpy(row.successor, new_id, sizeof row.successor);
    ARILI_TRY(arili_rotation_row_write(&row, body, sizeof body, &len));
    return arili_change_put(ch, ARILI_ROW_ROTATION, id_bytes(old_id), (aril_bytes){ body, len });
}

/* --- New wraps ----------------------------------------------------------------------------- */

/* One child on its way to the new parent. */
struct rewrap {
    const struct arili_key *key;
    aril_status st;
    size_t len;
    uint8_t wrap[ARILI_WRAP_BYTES_MAX];
};
struct rewrap_batch {
    struct rotation *r;
    struct rewrap *items;
    size_t count;
};

static aril_status rewrap_one(const struct rotation *r, struct rewrap *item)
{
    const struct arili_key *key = item->key;
    ARILI_DEFER(arili_payload_wipe) struct arili_payload p = { .len = 0 };
    ARILI_TRY(arili_unwrap(r->old_kek, r->kr->id, arili_key_id(key), &key->said, &p));
    struct arili_key_row said = key->said;
    memcpy(said.parent, r->new_id, sizeof said.parent);
    return arili_wrap(r->new_kek, r->kr->id, arili_key_id(key), &said, &p, item->wrap, &item->len);
}

static void rewrap_task(void *arg, size_t index)
{
    struct rewrap_batch *b = arg;
    b->items[index].st = rewrap_one(b->r, &b->items[index]);
}

static aril_status rewrap_all(struct rewrap_batch *b, aril_error *error)
{
    const aril_executor *executor = b->r->kr->executor;
    if (executor != NULL && b->count > 1) {
        executor->run(executor->state, rewrap_task, b, b->count);
    } else {
        for (size_t i = 0; i < b->count; i++) {
            rewrap_task(b, i);
        }
    }
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].st == ARIL_E_AUTH) {
            return arili_error_set(error, ARIL_E_AUTH,
                                   "%s: the wrap of a key does not open; restore a backup "
                                   "(docs/keyring.md)",
                                   b->r->kr->path);
        }
        ARILI_TRY(b->items[i].st);
    }
    return ARIL_OK;
}

static bool is_child(const struct rotation *r, const struct arili_key *key)
{
    return key->said.wrap.len > 0 && key->said.purpose != ARIL_KEY_ROOT &&
           memcmp(key->said.parent, r->old_id, sizeof r->old_id) == 0;
}

/* The new wrap that is staged for a child; false when there is none. */
static bool staged(const struct rotation *r, const struct arili_rowset *set,
                   const struct arili_key *key, aril_bytes *ret_wrap)
{
    const struct arili_row *row =
        arili_rowset_find(set, ARILI_ROW_STAGED, id_bytes(arili_key_id(key)));
    struct arili_staged_row said;
    if (row == NULL || arili_staged_row_parse(arili_row_body(row), &said) != ARIL_OK ||
        memcmp(said.parent, r->new_id, sizeof said.parent) != 0) {
        return false;
    }
    *ret_wrap = said.wrap;
    return true;
}

/* Fills items with children that have no new wrap yet; counts all that there are. */
static size_t collect(struct rotation *r, const struct arili_rowset *set, struct rewrap *items,
                      size_t max, size_t *ret_missing, size_t *ret_children)
{
    size_t count = 0;
    *ret_missing = *ret_children = 0;
    for (size_t i = 0; i < set->key_count; i++) {
        aril_bytes wrap;
        if (!is_child(r, &set->keys[i])) {
            continue;
        }
        ++*ret_children;
        if (!staged(r, set, &set->keys[i], &wrap)) {
            ++*ret_missing;
            if (count < max) {
                items[count++].key = &set->keys[i];
            }
        }
    }
    return count;
}

struct rewrap_room {
    struct rewrap *items;
};
static void rewrap_room_done(struct rewrap_room *room)
{
    arili_free(room->items, BATCH * sizeof *room->items);
}

static aril_status stage_batch(struct rotation *r, struct rewrap_batch *b, struct arili_change *ch,
                               aril_error *error)
{
    ARILI_TRY(rewrap_all(b, error));
    for (size_t i = 0; i < b->count; i++) {
        uint8_t body[ARILI_WRAP_BYTES_MAX + 64];
        size_t len;
        struct arili_staged_row row = { .wrap = { b->items[i].wrap, b->items[i].len } };
        memcpy(row.parent, r->new_id, sizeof row.parent);
        ARILI_TRY(arili_staged_row_write(&row, body, sizeof body, &len));
        ARILI_TRY(arili_change_put(ch, ARILI_ROW_STAGED, id_bytes(arili_key_id(b->items[i].key)),
                                   (aril_bytes){ body, len }));
    }
    return arili_change_commit(ch, error);
}

static aril_status progress(const struct rotation *r, size_t done, size_t total, aril_error *error)
{
    if (r->kr->progress == NULL || r->kr->progress(r->kr->user, done, total) == 0) {
        return ARIL_OK;
    }
    return arili_error_set(error, ARIL_E_INTERRUPTED,
                           "%s: stopped after %zu of %zu keys; rotate again to go on", r->kr->path,
                           done, total);
}

/* Until what is left fits the last change. */
static aril_status stage(struct rotation *r, struct rewrap *items, aril_error *error)
{
    for (;;) {
        ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
        ARILI_TRY(arili_change_begin(r->kr, 0, &ch, error));
        size_t missing;
        size_t children;
        struct rewrap_batch b = { .r = r, .items = items };
        b.count = collect(r, ch.from, items, BATCH, &missing, &children);
        ARILI_TRY(progress(r, children - missing, children, error));
        if (missing <= BATCH) {
            return ARIL_OK;
        }
        ARILI_TRY(stage_batch(r, &b, &ch, error));
    }
}

/* --- The last change ----------------------------------------------------------------------- */

static aril_status move_child(struct rotation *r, struct arili_change *ch,
                              const struct arili_key *key, aril_bytes wrap)
{
    struct arili_key_row said = key->said;
    memcpy(said.parent, r->new_id, sizeof said.parent);
    said.wrap = wrap;
    return arili_change_put_key(ch, arili_key_id(key), &said);
}

static aril_status move_children(struct rotation *r, struct arili_change *ch, struct rewrap *items,
                                 aril_error *error)
{
    size_t missing;
    size_t children;
    struct rewrap_batch b = { .r = r, .items = items };
    b.count = collect(r, ch->from, items, BATCH, &missing, &children);
    ARILI_ENSURE(missing <= BATCH, ARIL_E_INTERRUPTED); /* others made many meanwhile */
    ARILI_TRY(rewrap_all(&b, error));
    for (size_t i = 0; i < b.count; i++) {
        ARILI_TRY(move_child(r, ch, items[i].key, (aril_bytes){ items[i].wrap, items[i].len }));
    }
    for (size_t i = 0; i < ch->from->key_count; i++) {
        const struct arili_key *key = &ch->from->keys[i];
        aril_bytes wrap;
        if (is_child(r, key) && staged(r, ch->from, key, &wrap)) {
            ARILI_TRY(move_child(r, ch, key, wrap));
        }
    }
    size_t count;
    const size_t first = arili_rowset_kind(ch->from, ARILI_ROW_STAGED, &count);
    for (size_t i = first; i < first + count; i++) {
        ARILI_TRY(arili_change_erase(ch, ARILI_ROW_STAGED, arili_row_id(ch->from->rows[i])));
    }
    return ARIL_OK;
}

static aril_status finish_root(struct rotation *r, struct arili_change *ch,
                               const struct arili_key *fresh, aril_bytes blob)
{
    memcpy(ch->head.root, r->new_id, sizeof ch->head.root);
    memcpy(ch->head.root_slot, fresh->said.wrap.data, sizeof ch->head.root_slot);
    ch->head.blob = blob;
    arili_kek_hold(r->new_kek);
    ch->root = r->new_kek;
    return arili_recovery_renew(ch, r->new_id, &r->payload);
}

static aril_status finish(struct rotation *r, struct rewrap *items, aril_error *error)
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(r->kr, 0, &ch, error));
    const struct arili_row *row =
        arili_rowset_find(ch.from, ARILI_ROW_ROTATION, id_bytes(r->old_id));
    if (row == NULL) {
        return ARIL_OK; /* another process was here */
    }
    struct arili_rotation_row rotation;
    ARILI_TRY(arili_rotation_row_parse(arili_row_body(row), &rotation));
    const struct arili_key *old = arili_rowset_key(ch.from, r->old_id);
    const struct arili_key *fresh = arili_rowset_key(ch.from, r->new_id);
    ARILI_ENSURE(old != NULL && fresh != NULL, ARIL_E_FORMAT_FIELD);
    ARILI_TRY(move_children(r, &ch, items, error));
    ARILI_TRY(arili_key_set_state(&ch, old, r->is_root ? ARIL_KEY_RETIRED : ARIL_KEY_DESTROYED));
    ARILI_TRY(arili_key_set_state(&ch, fresh, ARIL_KEY_ACTIVE));
    ARILI_TRY(arili_change_erase(&ch, ARILI_ROW_ROTATION, id_bytes(r->old_id)));
    if (r->is_root) {
        ARILI_TRY(finish_root(r, &ch, fresh, rotation.blob));
    }
    ch.raises = true;
    ARILI_TRY(arili_change_commit(&ch, error));
    struct arili_key_row said = fresh->said;
    said.state = ARIL_KEY_ACTIVE;
    return arili_keyring_tell(r->kr, ARIL_EVENT_KEY, "rotate", ARIL_OK, said.owner, r->new_id,
                              &said);
}

/* --- From begin to end --------------------------------------------------------------------- */

/* Whether the rotation from old_id to new_id still waits for the blob of its new root. */
static bool waits_for_blob(const struct arili_rowset *set, const uint8_t *old_id,
                           const uint8_t *new_id)
{
    const struct arili_row *row = arili_rowset_find(set, ARILI_ROW_ROTATION, id_bytes(old_id));
    struct arili_rotation_row said;
    return row != NULL && arili_rotation_row_parse(arili_row_body(row), &said) == ARIL_OK &&
           said.blob.len == 0 && memcmp(said.successor, new_id, sizeof said.successor) == 0;
}

/* Nobody will use what was sealed in that slot. */
static aril_status drop_slot(aril_keyring *kr, const uint8_t *slot, aril_error *error)
{
    return (arili_keystore_info(kr->keystore)->capabilities & ARIL_KEYSTORE_DESTROY) != 0
               ? arili_keystore_destroy(kr->keystore, slot, error)
               : ARIL_OK;
}

/* A root whose seal never came to the file: nothing can have used it. Whoever began the rotation
 * may be alive and sealing, so that is looked at again, and the slot destroyed, with the file
 * held. */
static aril_status give_up(aril_keyring *kr, const uint8_t *old_id, const struct arili_key *fresh,
                           aril_error *error)
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, error));
    if (!waits_for_blob(ch.from, old_id, arili_key_id(fresh))) {
        return ARIL_OK;
    }
    ARILI_TRY(drop_slot(kr, fresh->said.wrap.data, error));
    ARILI_TRY(arili_change_erase(&ch, ARILI_ROW_KEY, arili_row_id(fresh->row)));
    ARILI_TRY(arili_change_erase(&ch, ARILI_ROW_ROTATION, id_bytes(old_id)));
    return arili_change_commit(&ch, error);
}

static aril_status unseal_new(struct rotation *r, const struct arili_key *fresh, aril_bytes blob,
                              aril_error *error)
{
    aril_keyring *kr = r->kr;
    struct arili_store_place place;
    ARILI_TRY(arili_keyring_place(kr, r->new_id, fresh->said.wrap.data, &place));
    r->payload.len = ARILI_STORE_SECRET_BYTES;
    ARILI_TRY(arili_keystore_unseal(kr->keystore, &place, blob, r->payload.bytes, error));
    ARILI_TRY(arili_kek_new(kr->rt, kr->profile, ARIL_KEY_ROOT, &r->payload, &r->new_kek));
    if (memcmp(r->new_kek->id, r->new_id, sizeof r->new_id) != 0) {
        return arili_error_set(error, ARIL_E_KEYSTORE_WRONG,
                               "%s: the keystore gave another root than the one that was sealed",
                               kr->path);
    }
    return ARIL_OK;
}

/* Go on with the rotation of that row. */
static aril_status go_on(aril_keyring *kr, const struct arili_rowset *set,
                         const struct arili_row *row, aril_error *error)
{
    struct arili_rotation_row said;
    ARILI_ENSURE(row->id_len == ARIL_KEY_ID_BYTES, ARIL_E_FORMAT_LENGTH);
    ARILI_TRY(arili_rotation_row_parse(arili_row_body(row), &said));
    ARILI_DEFER(rotation_done) struct rotation r = { .kr = kr };
    memcpy(r.old_id, row->bytes, sizeof r.old_id);
    memcpy(r.new_id, said.successor, sizeof r.new_id);
    const struct arili_key *fresh = arili_rowset_key(set, r.new_id);
    ARILI_ENSURE(fresh != NULL, ARIL_E_FORMAT_FIELD);
    r.is_root = fresh->said.purpose == ARIL_KEY_ROOT;
    if (r.is_root && said.blob.len == 0) {
        return give_up(kr, r.old_id, fresh, error);
    }
    ARILI_TRY(arili_keyring_kek(kr, set, r.old_id, &r.old_kek, error));
    ARILI_TRY(r.is_root ? unseal_new(&r, fresh, said.blob, error)
                        : arili_keyring_kek(kr, set, r.new_id, &r.new_kek, error));
    ARILI_DEFER(rewrap_room_done)
    struct rewrap_room room = { arili_alloc(BATCH * sizeof(struct rewrap)) };
    ARILI_ENSURE(room.items != NULL, ARIL_E_NOMEM);
    aril_status st;
    do {
        ARILI_TRY(stage(&r, room.items, error));
        st = finish(&r, room.items, error);
    } while (st == ARIL_E_INTERRUPTED);
    return st;
}

aril_status arili_rotation_pending(aril_keyring *kr, const aril_key_slot *slot, bool *ret_pending,
                                   aril_error *error)
{
    bool changed;
    ARILI_TRY(arili_keyring_look(kr, &changed, error));
    size_t count;
    const size_t first = arili_rowset_kind(kr->rows, ARILI_ROW_ROTATION, &count);
    for (size_t i = first; i < first + count; i++) {
        struct arili_rotation_row said;
        ARILI_TRY(arili_rotation_row_parse(arili_row_body(kr->rows->rows[i]), &said));
        const struct arili_key *fresh = arili_rowset_key(kr->rows, said.successor);
        *ret_pending =
            *ret_pending || (fresh != NULL && fresh->said.purpose == slot->purpose &&
                             arili_row_order(0, fresh->said.owner, 0, slot->owner) == 0 &&
                             (slot->purpose != ARIL_KEY_ROOT || said.blob.len > 0));
    }
    return ARIL_OK;
}

aril_status arili_rotation_finish(aril_keyring *kr, aril_error *error)
{
    for (;;) {
        bool changed;
        ARILI_TRY(arili_keyring_look(kr, &changed, error));
        size_t count;
        ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = arili_keyring_rows(kr);
        const size_t first = arili_rowset_kind(set, ARILI_ROW_ROTATION, &count);
        if (count == 0) {
            return ARIL_OK;
        }
        if (set->head.locked) {
            return arili_error_set(error, ARIL_E_KEY_LOCKED,
                                   "%s is locked; run 'aril keys unlock', then retry", kr->path);
        }
        ARILI_TRY(go_on(kr, set, set->rows[first], error));
    }
}

static bool has_rotation(const struct arili_rowset *set)
{
    size_t count;
    (void)arili_rowset_kind(set, ARILI_ROW_ROTATION, &count);
    return count > 0;
}

/* The pending key and the ROTATION row. INTERRUPTED: another process began one meanwhile. */
static aril_status begin(aril_keyring *kr, const aril_key_slot *slot, struct arili_made *made,
                         uint8_t ret_old[ARIL_KEY_ID_BYTES],
                         uint8_t ret_slot[ARILI_KEYRING_SLOT_BYTES], aril_error *error)
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, error));
    ARILI_ENSURE(!has_rotation(ch.from), ARIL_E_INTERRUPTED);
    ARILI_TRY(arili_slot_alive(kr, ch.from, slot, error));
    const struct arili_key *old = arili_slot_active(ch.from, slot);
    if (old == NULL) {
        char text[ARILI_SLOT_TEXT_BYTES];
        return arili_error_set(error, ARIL_E_NOT_FOUND, "%s: there is no active %s", kr->path,
                               arili_slot_text(slot, text));
    }
    memcpy(ret_old, arili_key_id(old), ARIL_KEY_ID_BYTES);
    struct arili_making making = { .slot = *slot, .predecessor = old, .state = ARIL_KEY_PENDING };
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *root = NULL;
    ARILI_TRY(arili_keyring_root(kr, ch.from, &root, error));
    if (slot->purpose == ARIL_KEY_ROOT) {
        ARILI_TRY(kr->rt->crypto.ops->random(kr->rt->crypto.provider, ret_slot,
                                             ARILI_KEYRING_SLOT_BYTES));
        making.slot_in_keystore = ret_slot;
    } else {
        making.parent = root;
    }
    ARILI_TRY(arili_key_make(&ch, &making, made));
    ARILI_TRY(put_rotation(&ch, ret_old, made->id, ch.now_s, (aril_bytes){ NULL, 0 }));
    return arili_change_commit(&ch, error);
}

/* Whether the rotation that was begun is still there: another process may have taken it for one
 * that a crash left, and given it up. */
static bool is_ours(const struct arili_rowset *set, const uint8_t *old_id, const uint8_t *new_id)
{
    struct arili_rotation_row said;
    const struct arili_row *row = arili_rowset_find(set, ARILI_ROW_ROTATION, id_bytes(old_id));
    return row != NULL && arili_rotation_row_parse(arili_row_body(row), &said) == ARIL_OK &&
           memcmp(said.successor, new_id, sizeof said.successor) == 0;
}

/* Seal a new root, and note the blob. Only from here on can the rotation go on after a crash.
 * INTERRUPTED: another process gave the rotation up meanwhile. */
static aril_status seal_new(aril_keyring *kr, const struct arili_made *made, const uint8_t *old_id,
                            const uint8_t *slot, aril_error *error)
{
    uint8_t blob[ARILI_KEYRING_BLOB_BYTES_MAX];
    size_t len;
    struct arili_store_place place;
    ARILI_TRY(arili_keyring_place(kr, made->id, slot, &place));
    ARILI_TRY(arili_keystore_seal(kr->keystore, &place, made->payload.bytes, blob, sizeof blob,
                                  &len, error));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, error));
    if (!is_ours(ch.from, old_id, made->id)) {
        ARILI_TRY(drop_slot(kr, slot, error));
        return arili_error_set(error, ARIL_E_INTERRUPTED,
                               "%s: another process gave this rotation up while the keystore "
                               "sealed; nothing was changed, retry",
                               kr->path);
    }
    ARILI_TRY(put_rotation(&ch, old_id, made->id, ch.now_s, (aril_bytes){ blob, len }));
    return arili_change_commit(&ch, error);
}

static aril_status start(aril_keyring *kr, const aril_key_slot *slot, aril_error *error)
{
    uint8_t old_id[ARIL_KEY_ID_BYTES];
    uint8_t keystore_slot[ARILI_KEYRING_SLOT_BYTES];
    ARILI_DEFER(arili_made_wipe) struct arili_made made = { .id = { 0 } };
    ARILI_TRY(begin(kr, slot, &made, old_id, keystore_slot, error));
    return slot->purpose == ARIL_KEY_ROOT ? seal_new(kr, &made, old_id, keystore_slot, error)
                                          : ARIL_OK;
}

aril_status arili_rotation_run(aril_keyring *kr, const aril_key_slot *slot, aril_error *error)
{
    aril_status st = start(kr, slot, error);
    while (st == ARIL_E_INTERRUPTED) { /* others rotate as well: after them */
        ARILI_TRY(arili_rotation_finish(kr, error));
        st = start(kr, slot, error);
    }
    ARILI_TRY(st);
    return arili_rotation_finish(kr, error);
}
