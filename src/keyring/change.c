/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/change.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* --- Rollback: docs/KEYRING-FORMAT.md ------------------------------------------------------ */

aril_status arili_counter_make(aril_keystore *keystore, struct arili_head *head,
                               struct arili_counter *counter, aril_error *error)
{
    uint64_t value = 0;
    head->has_counter = false;
    head->counter = (aril_bytes){ NULL, 0 };
    if ((arili_keystore_info(keystore)->capabilities & ARIL_KEYSTORE_COUNTER) == 0) {
        return ARIL_OK;
    }
    ARILI_TRY(
        arili_keystore_counter_create(keystore, head->root_slot, &counter->store, &value, error));
    arili_store64(counter->bytes, head->generation - value);
    memcpy(counter->bytes + 8, counter->store.bytes, counter->store.len);
    head->has_counter = true;
    head->counter = (aril_bytes){ counter->bytes, 8 + counter->store.len };
    return ARIL_OK;
}

static aril_status find_counter(const struct arili_head *head, struct arili_store_counter *ret,
                                uint64_t *ret_offset)
{
    ARILI_ENSURE(head->counter.len > 8 && head->counter.len <= 8 + sizeof ret->bytes,
                 ARIL_E_FORMAT_LENGTH);
    *ret_offset = arili_load64(head->counter.data);
    ret->len = head->counter.len - 8;
    memcpy(ret->bytes, head->counter.data + 8, ret->len);
    return ARIL_OK;
}

/* The generation that the keystore has counted. */
static aril_status read_counter(const aril_keyring *kr, const struct arili_head *head,
                                uint64_t *ret, aril_error *error)
{
    struct arili_store_counter counter;
    uint64_t offset = 0;
    uint64_t value = 0;
    ARILI_TRY(find_counter(head, &counter, &offset));
    ARILI_TRY(arili_keystore_counter_read(kr->keystore, &counter, &value, error));
    *ret = value + offset;
    return ARIL_OK;
}

static aril_status increment_counter(const aril_keyring *kr, const struct arili_head *head,
                                     aril_error *error)
{
    struct arili_store_counter counter;
    uint64_t offset = 0;
    uint64_t value = 0;
    ARILI_TRY(find_counter(head, &counter, &offset));
    return arili_keystore_counter_increment(kr->keystore, &counter, &value, error);
}

static aril_status contradicted(const aril_keyring *kr, uint64_t generation, uint64_t counter,
                                aril_error *error)
{
    if (generation < counter) {
        return arili_error_set(error, ARIL_E_REPLAY_ROLLBACK,
                               "%s is of generation %llu, the keystore has counted %llu: it is an "
                               "older copy; bring the newest one back, or recover",
                               kr->path, (unsigned long long)generation,
                               (unsigned long long)counter);
    }
    return arili_error_set(error, ARIL_E_KEYSTORE_WRONG,
                           "%s is of generation %llu, the keystore has counted only %llu: it is "
                           "another counter, or it was reset; recover (docs/keyring.md)",
                           kr->path, (unsigned long long)generation, (unsigned long long)counter);
}

/* Under the file's write lock, where the file is of that head. */
static aril_status settle_locked(const aril_keyring *kr, const struct arili_head *head,
                                 aril_error *error)
{
    uint64_t counter = 0;
    ARILI_TRY(read_counter(kr, head, &counter, error));
    if (head->generation == counter) {
        return ARIL_OK;
    }
    if (head->generation == counter + 1) {
        return increment_counter(kr, head, error);
    }
    return contradicted(kr, head->generation, counter, error);
}

aril_status arili_counter_settle(aril_keyring *kr, aril_error *error)
{
    const struct arili_head *head = &kr->rows->head;
    if (!head->has_counter || kr->keystore == NULL) {
        return ARIL_OK;
    }
    uint64_t counter = 0;
    ARILI_TRY(read_counter(kr, head, &counter, error));
    if (head->generation == counter) {
        return ARIL_OK;
    }
    /* A change between reading the file and the counter looks like a rollback as well: look once
     * more with the file held. */
    const aril_status st = arili_keyring_begin(kr, error);
    if (st == ARIL_E_IO_READ_ONLY && kr->rows->head.generation == counter + 1) {
        return ARIL_OK; /* whoever may write moves the counter */
    }
    ARILI_TRY(st);
    const aril_status settled = settle_locked(kr, &kr->rows->head, error);
    arili_database_rollback(kr->db);
    return settled;
}

/* --- Begin and end ------------------------------------------------------------------------- */

static void begin_over(struct arili_change *ch, aril_keyring *kr)
{
    *ch = (struct arili_change){ .kr = kr, .from = kr->rows, .head = kr->rows->head };
    arili_rowset_hold(ch->from);
    ch->is_open = true;
}

aril_status arili_change_begin(aril_keyring *kr, unsigned flags, struct arili_change *ret,
                               aril_error *error)
{
    ARILI_TRY(arili_keyring_begin(kr, error));
    begin_over(ret, kr);
    if (ret->head.locked && (flags & ARILI_CHANGE_LOCKED_TOO) == 0) {
        return arili_error_set(error, ARIL_E_KEY_LOCKED,
                               "%s is locked; run 'aril keys unlock', then retry", kr->path);
    }
    if ((flags & ARILI_CHANGE_ANY_CLOCK) == 0) {
        ARILI_TRY(arili_keyring_clock_check(kr, &ret->head, error));
    }
    return arili_keyring_now(kr, &ret->head, &ret->now_s);
}

aril_status arili_change_begin_first(aril_keyring *kr, const struct arili_head *head,
                                     struct arili_change *ret, aril_error *error)
{
    ARILI_TRY(arili_database_begin(kr->db, error));
    *ret =
        (struct arili_change){ .kr = kr, .head = *head, .is_open = true, .now_s = head->created_s };
    return ARIL_OK;
}

static void free_items(struct arili_change *ch)
{
    for (size_t i = 0; i < ch->count; i++) {
        arili_row_drop(ch->items[i].row);
    }
    arili_free(ch->items, ch->cap * sizeof *ch->items);
    ch->items = NULL;
    ch->count = ch->cap = 0;
}

void arili_change_done(struct arili_change *ch)
{
    if (ch->is_open) {
        arili_database_rollback(ch->kr->db);
    }
    free_items(ch);
    arili_rowset_drop(ch->from);
    arili_kek_drop(ch->root);
    *ch = (struct arili_change){ 0 };
}

/* --- What changes -------------------------------------------------------------------------- */

static aril_status next_item(struct arili_change *ch, struct arili_row_change **ret)
{
    if (ch->count == ch->cap) {
        const size_t cap = ch->cap == 0 ? 16 : ch->cap * 2;
        struct arili_row_change *items = arili_alloc(cap * sizeof *items);
        ARILI_ENSURE(items != NULL, ARIL_E_NOMEM);
        if (ch->count > 0) {
            memcpy(items, ch->items, ch->count * sizeof *items);
        }
        arili_free(ch->items, ch->cap * sizeof *ch->items);
        ch->items = items;
        ch->cap = cap;
    }
    *ret = &ch->items[ch->count];
    return ARIL_OK;
}

static aril_status add_item(struct arili_change *ch, enum arili_row_kind kind, aril_bytes id,
                            struct arili_row *row)
{
    struct arili_row_change *item = NULL;
    ARILI_ENSURE(id.len <= sizeof item->id, ARIL_E_LIMIT);
    ARILI_TRY(next_item(ch, &item));
    item->kind = (uint8_t)kind;
    item->row = row;
    item->order = (uint32_t)ch->count;
    item->id_len = (uint16_t)id.len;
    if (id.len > 0) {
        memcpy(item->id, id.data, id.len);
    }
    ch->count++;
    return ARIL_OK;
}

aril_status arili_change_put(struct arili_change *ch, enum arili_row_kind kind, aril_bytes id,
                             aril_bytes body)
{
    ARILI_DEFER(arili_row_dropp) struct arili_row *row = NULL;
    ARILI_TRY(arili_row_new((uint8_t)kind, id, body, &row));
    ARILI_TRY(add_item(ch, kind, id, row));
    (void)ARILI_TAKE(row);
    return ARIL_OK;
}

aril_status arili_change_erase(struct arili_change *ch, enum arili_row_kind kind, aril_bytes id)
{
    return add_item(ch, kind, id, NULL);
}

aril_status arili_change_put_key(struct arili_change *ch, const uint8_t id[ARIL_KEY_ID_BYTES],
                                 const struct arili_key_row *said)
{
    uint8_t body[ARILI_KEY_ROW_BYTES_MAX];
    size_t len;
    ARILI_TRY(arili_key_row_write(said, body, sizeof body, &len));
    return arili_change_put(ch, ARILI_ROW_KEY, (aril_bytes){ id, ARIL_KEY_ID_BYTES },
                            (aril_bytes){ body, len });
}

static aril_bytes item_id(const struct arili_row_change *item)
{
    return (aril_bytes){ item->id, item->id_len };
}

static int order_items(const void *a_, const void *b_)
{
    const struct arili_row_change *a = a_;
    const struct arili_row_change *b = b_;
    const int order = arili_row_order(a->kind, item_id(a), b->kind, item_id(b));
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

/* Ascending, and of several words on one row the last. */
static void sort_items(struct arili_change *ch)
{
    if (ch->count == 0) {
        return;
    }
    qsort(ch->items, ch->count, sizeof *ch->items, order_items);
    size_t kept = 0;
    for (size_t i = 1; i < ch->count; i++) {
        struct arili_row_change *last = &ch->items[kept];
        if (arili_row_order(last->kind, item_id(last), ch->items[i].kind, item_id(&ch->items[i])) ==
            0) {
            arili_row_drop(last->row);
        } else {
            kept++;
        }
        ch->items[kept] = ch->items[i];
    }
    ch->count = kept + 1;
}

/* --- Commit -------------------------------------------------------------------------------- */

static aril_status mac_row(const struct arili_macs *m, struct arili_row *row)
{
    ARILI_TRY(arili_row_mac_compute(m, row, row->mac));
    row->mac_len = (uint8_t)arili_hash_bytes(m->hash);
    return ARIL_OK;
}

static aril_status write_row(struct arili_change *ch, const struct arili_row *row,
                             aril_error *error)
{
    return arili_database_put(ch->kr->db, row->kind, arili_row_id(row), arili_row_body(row),
                              arili_row_mac(row), error);
}

static aril_status write_items(struct arili_change *ch, const struct arili_macs *m,
                               aril_error *error)
{
    for (size_t i = 0; i < ch->count; i++) {
        const struct arili_row_change *item = &ch->items[i];
        if (item->row == NULL) {
            ARILI_TRY(arili_database_erase(ch->kr->db, item->kind, item_id(item), error));
            continue;
        }
        ARILI_TRY(mac_row(m, item->row));
        ARILI_TRY(write_row(ch, item->row, error));
    }
    return ARIL_OK;
}

/* With a new root every row gets a new MAC; the set has rows of its own for that. */
static aril_status write_others(struct arili_change *ch, const struct arili_macs *m,
                                struct arili_rowset *set, aril_error *error)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->rows[i]->mac_len == 0) {
            ARILI_TRY(mac_row(m, set->rows[i]));
            ARILI_TRY(write_row(ch, set->rows[i], error));
        }
    }
    return ARIL_OK;
}

static aril_status write_set(struct arili_change *ch, const struct arili_macs *m,
                             struct arili_rowset *set, aril_error *error)
{
    ARILI_TRY(write_items(ch, m, error));
    ARILI_TRY(write_others(ch, m, set, error));
    ARILI_TRY(arili_rowset_seal(m, set));
    return arili_database_put_head(ch->kr->db, (aril_bytes){ set->head_bytes, set->head_len },
                                   (aril_bytes){ set->head_mac, set->head_mac_len }, error);
}

static void mac_keys_wipe(struct arili_mac_keys *keys)
{
    arili_wipe(keys, sizeof *keys);
}

static aril_status prepare(struct arili_change *ch, struct arili_rowset **ret_set,
                           aril_error *error)
{
    aril_keyring *kr = ch->kr;
    ARILI_DEFER(mac_keys_wipe) struct arili_mac_keys fresh;
    struct arili_macs m = arili_keyring_macs(kr);
    if (ch->root != NULL) {
        ARILI_TRY(arili_mac_keys_derive(m.crypto, m.hash, ch->root->psk, &fresh));
        m.keys = &fresh;
    }
    ARILI_TRY(arili_rowset_next(kr->rt, ch->from, ch->items, ch->count, &ch->head, ch->root != NULL,
                                ret_set));
    return write_set(ch, &m, *ret_set, error);
}

static aril_status after_commit(struct arili_change *ch, aril_error *error)
{
    aril_keyring *kr = ch->kr;
    if (!ch->raises || !kr->rows->head.has_counter) {
        return ARIL_OK;
    }
    aril_error why = { .status = ARIL_OK };
    const aril_status st = arili_counter_settle(kr, &why);
    if (st == ARIL_OK) {
        return ARIL_OK;
    }
    return arili_error_set(error, st,
                           "%s was changed, but the keystore's counter was not moved: %.160s; the "
                           "next change tries again",
                           kr->path, why.message[0] != '\0' ? why.message : aril_status_text(st));
}

aril_status arili_change_commit(struct arili_change *ch, aril_error *error)
{
    aril_keyring *kr = ch->kr;
    sort_items(ch);
    ch->head.revision++;
    ch->head.clock_s = ch->now_s > ch->head.clock_s ? ch->now_s : ch->head.clock_s;
    if (ch->raises) {
        if (ch->from != NULL && ch->head.has_counter) {
            const aril_status st = settle_locked(kr, &ch->from->head, error);
            if (st != ARIL_OK) {
                return arili_keyring_tell(kr, ARIL_EVENT_KEYRING, "change", st,
                                          (aril_bytes){ NULL, 0 }, NULL, NULL);
            }
        }
        ch->head.generation++;
    }
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = NULL;
    ARILI_TRY(prepare(ch, &set, error));
    ch->is_open = false; /* whatever commit answers, the transaction is over */
    ARILI_TRY(arili_database_commit(kr->db, error));
    const aril_status st = ch->root != NULL ? arili_keyring_adopt_root(kr, ch->root) : ARIL_OK;
    if (st != ARIL_OK) {
        kr->version = 0; /* the file is ahead of this process: it is read again */
        return arili_error_set(error, st,
                               "%s was changed, but its new root was not taken over: "
                               "%s; the next call reads it again",
                               kr->path, aril_status_text(st));
    }
    arili_keyring_publish(kr, set);
    return after_commit(ch, error);
}
