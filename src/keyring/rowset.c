/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/rows.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "base/tablehash.h"
#include <stdatomic.h>
#include <stdlib.h>

/* Rows of one file: more than anybody has, and no more than fits the indices. */
#define ROWS_MAX (UINT32_C(1) << 24)

void arili_rowset_hold(struct arili_rowset *set)
{
    atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
}

static void free_index(struct arili_rowset *set)
{
    arili_free(set->keys, (set->key_count + 1) * sizeof *set->keys);
    arili_free(set->table, set->table_size * sizeof *set->table);
    arili_free(set->children, (set->key_count + 1) * sizeof *set->children);
}

void arili_rowset_drop(struct arili_rowset *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    free_index(set);
    for (size_t i = 0; i < set->count; i++) {
        arili_row_drop(set->rows[i]);
    }
    arili_free(set->rows, set->cap * sizeof(struct arili_row *));
    arili_free(set, sizeof *set);
}

void arili_rowset_dropp(struct arili_rowset **set)
{
    arili_rowset_drop(*set);
}

static aril_status rowset_new(size_t cap, struct arili_rowset **ret)
{
    ARILI_ENSURE(cap <= ROWS_MAX, ARIL_E_LIMIT);
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = arili_alloc(sizeof *set);
    ARILI_ENSURE(set != NULL, ARIL_E_NOMEM);
    atomic_init(&set->references, 1);
    set->cap = cap > 0 ? cap : 1;
    set->rows = arili_alloc(set->cap * sizeof(struct arili_row *));
    if (set->rows == NULL) {
        set->cap = 0;
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    *ret = ARILI_TAKE(set);
    return ARIL_OK;
}

/* --- Finding ------------------------------------------------------------------------------- */

/* Index of the first row that is not before (kind, id). */
static size_t lower_bound(const struct arili_rowset *set, uint8_t kind, aril_bytes id)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct arili_row *row = set->rows[middle];
        if (arili_row_order(row->kind, arili_row_id(row), kind, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct arili_row *arili_rowset_find(const struct arili_rowset *set, uint8_t kind,
                                          aril_bytes id)
{
    const size_t at = lower_bound(set, kind, id);
    if (at == set->count) {
        return NULL;
    }
    const struct arili_row *row = set->rows[at];
    return arili_row_order(row->kind, arili_row_id(row), kind, id) == 0 ? row : NULL;
}

size_t arili_rowset_kind(const struct arili_rowset *set, uint8_t kind, size_t *ret_count)
{
    const aril_bytes lowest = { NULL, 0 };
    const size_t first = lower_bound(set, kind, lowest);
    *ret_count = lower_bound(set, (uint8_t)(kind + 1), lowest) - first;
    return first;
}

/* Keys are KEY rows in the order of slots; their rows are in the order of ids. The row knows
 * nothing of its key, so the id is looked up by slot. */
static uint64_t slot_hash(const struct arili_rowset *set, aril_key_purpose purpose,
                          aril_bytes owner, aril_bytes label)
{
    const uint64_t h = arili_table_hash(set->seed, owner);
    return arili_table_mix(set->seed, h ^ arili_table_hash(set->seed, label), (uint64_t)purpose);
}

static bool bytes_equal(aril_bytes a, aril_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool in_slot(const struct arili_key *key, aril_key_purpose purpose, aril_bytes owner,
                    aril_bytes label)
{
    return key->said.purpose == purpose && bytes_equal(key->said.owner, owner) &&
           bytes_equal(key->said.label, label);
}

bool arili_rowset_slot(const struct arili_rowset *set, aril_key_purpose purpose, aril_bytes owner,
                       aril_bytes label, size_t *ret_index)
{
    const size_t mask = set->table_size - 1;
    for (size_t at = (size_t)slot_hash(set, purpose, owner, label) & mask; set->table[at] != 0;
         at = (at + 1) & mask) {
        const size_t index = set->table[at] - 1;
        if (in_slot(&set->keys[index], purpose, owner, label)) {
            *ret_index = index;
            return true;
        }
    }
    return false;
}

bool arili_rowset_same_slot(const struct arili_rowset *set, size_t a, size_t b)
{
    const struct arili_key_row *k = &set->keys[a].said;
    return b < set->key_count && in_slot(&set->keys[b], k->purpose, k->owner, k->label);
}

const struct arili_key *arili_rowset_key(const struct arili_rowset *set,
                                         const uint8_t id[ARIL_KEY_ID_BYTES])
{
    const struct arili_row *row =
        arili_rowset_find(set, ARILI_ROW_KEY, (aril_bytes){ id, ARIL_KEY_ID_BYTES });
    if (row == NULL) {
        return NULL;
    }
    struct arili_key_row said;
    size_t index;
    if (arili_key_row_parse(arili_row_body(row), &said) != ARIL_OK ||
        !arili_rowset_slot(set, said.purpose, said.owner, said.label, &index)) {
        return NULL;
    }
    const size_t first = index;
    for (; arili_rowset_same_slot(set, first, index); index++) {
        if (set->keys[index].row == row) {
            return &set->keys[index];
        }
    }
    return NULL;
}

/* --- Index --------------------------------------------------------------------------------- */

static int order_bytes(aril_bytes a, aril_bytes b)
{
    return arili_row_order(0, a, 0, b);
}

static int order_keys(const void *a_, const void *b_)
{
    const struct arili_key_row *a = &((const struct arili_key *)a_)->said;
    const struct arili_key_row *b = &((const struct arili_key *)b_)->said;
    int order = (a->purpose > b->purpose) - (a->purpose < b->purpose);
    order = order != 0 ? order : order_bytes(a->owner, b->owner);
    order = order != 0 ? order : order_bytes(a->label, b->label);
    return order != 0 ? order : (a->version < b->version) - (a->version > b->version);
}

static aril_status fill_table(struct arili_rowset *set)
{
    set->table_size = 16;
    while (set->table_size < 2 * set->key_count) {
        set->table_size *= 2;
    }
    set->table = arili_alloc(set->table_size * sizeof *set->table);
    if (set->table == NULL) {
        set->table_size = 0;
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    const size_t mask = set->table_size - 1;
    for (size_t i = 0; i < set->key_count; i++) {
        const struct arili_key_row *k = &set->keys[i].said;
        if (i > 0 && arili_rowset_same_slot(set, i - 1, i)) {
            /* Two of one version: which is newer could not be told. */
            ARILI_ENSURE(set->keys[i - 1].said.version != k->version, ARIL_E_FORMAT_FIELD);
            continue;
        }
        size_t at = (size_t)slot_hash(set, k->purpose, k->owner, k->label) & mask;
        while (set->table[at] != 0) {
            at = (at + 1) & mask;
        }
        set->table[at] = (uint32_t)i + 1;
    }
    return ARIL_OK;
}

static void count_children(struct arili_rowset *set)
{
    static const uint8_t zeros[ARIL_KEY_ID_BYTES] = { 0 };
    const uint8_t *last = zeros;
    size_t last_index = 0;
    for (size_t i = 0; i < set->key_count; i++) {
        const struct arili_key_row *k = &set->keys[i].said;
        if (k->wrap.len == 0 || memcmp(k->parent, zeros, sizeof zeros) == 0) {
            continue;
        }
        if (memcmp(last, k->parent, sizeof zeros) != 0) {
            const struct arili_key *parent = arili_rowset_key(set, k->parent);
            if (parent == NULL) {
                continue;
            }
            last = k->parent;
            last_index = (size_t)(parent - set->keys);
        }
        set->children[last_index]++;
    }
}

static aril_status parse_keys(struct arili_rowset *set)
{
    size_t count;
    const size_t first = arili_rowset_kind(set, ARILI_ROW_KEY, &count);
    set->keys = arili_alloc((count + 1) * sizeof *set->keys);
    set->children = arili_alloc((count + 1) * sizeof *set->children);
    set->key_count = count;
    ARILI_ENSURE(set->keys != NULL && set->children != NULL, ARIL_E_NOMEM);
    for (size_t i = 0; i < count; i++) {
        set->keys[i].row = set->rows[first + i];
        ARILI_ENSURE(set->rows[first + i]->id_len == ARIL_KEY_ID_BYTES, ARIL_E_FORMAT_LENGTH);
        ARILI_TRY(arili_key_row_parse(arili_row_body(set->rows[first + i]), &set->keys[i].said));
    }
    qsort(set->keys, count, sizeof *set->keys, order_keys);
    return ARIL_OK;
}

static aril_status make_index(aril_runtime *rt, struct arili_rowset *set)
{
    uint8_t seed[8];
    ARILI_TRY(rt->crypto.ops->random(rt->crypto.provider, seed, sizeof seed));
    set->seed = arili_load64(seed);
    ARILI_TRY(parse_keys(set));
    ARILI_TRY(fill_table(set));
    count_children(set);
    return ARIL_OK;
}

/* --- Reading the file ---------------------------------------------------------------------- */

static aril_status take_head(void *user, aril_bytes body, aril_bytes mac)
{
    struct arili_rowset *set = user;
    ARILI_ENSURE(body.len <= sizeof set->head_bytes && mac.len <= sizeof set->head_mac,
                 ARIL_E_FORMAT_LENGTH);
    ARILI_ENSURE(body.len > 0 && mac.len > 0, ARIL_E_FORMAT_TRUNCATED);
    memcpy(set->head_bytes, body.data, body.len);
    set->head_len = body.len;
    memcpy(set->head_mac, mac.data, mac.len);
    set->head_mac_len = mac.len;
    return arili_head_parse((aril_bytes){ set->head_bytes, set->head_len }, &set->head);
}

static aril_status make_room(struct arili_rowset *set)
{
    if (set->count < set->cap) {
        return ARIL_OK;
    }
    ARILI_ENSURE(set->cap < ROWS_MAX, ARIL_E_LIMIT);
    const size_t cap = set->cap * 2;
    struct arili_row **rows = arili_alloc(cap * sizeof(struct arili_row *));
    ARILI_ENSURE(rows != NULL, ARIL_E_NOMEM);
    memcpy(rows, set->rows, set->count * sizeof(struct arili_row *));
    arili_free(set->rows, set->cap * sizeof(struct arili_row *));
    set->rows = rows;
    set->cap = cap;
    return ARIL_OK;
}

static aril_status take_row(void *user, uint8_t kind, aril_bytes id, aril_bytes body,
                            aril_bytes mac)
{
    struct arili_rowset *set = user;
    ARILI_ENSURE(kind > 0 && kind < ARILI_ROW_KINDS, ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(id.len <= ARILI_ROW_ID_BYTES_MAX && body.len <= ARILI_ROW_BODY_BYTES_MAX &&
                     mac.len <= ARILI_HASH_BYTES_MAX,
                 ARIL_E_FORMAT_LENGTH);
    ARILI_TRY(make_room(set));
    struct arili_row *row = NULL;
    ARILI_TRY(arili_row_new(kind, id, body, &row));
    row->mac_len = (uint8_t)mac.len;
    if (mac.len > 0) {
        memcpy(row->mac, mac.data, mac.len);
    }
    set->rows[set->count++] = row;
    return ARIL_OK;
}

aril_status arili_rowset_read(aril_runtime *rt, struct arili_database *db,
                              struct arili_rowset **ret, aril_error *error)
{
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = NULL;
    ARILI_TRY(rowset_new(64, &set));
    const struct arili_database_reader reader = { set, take_head, take_row };
    aril_error why = { .status = ARIL_OK };
    aril_status st = arili_database_read(db, &reader, &why);
    if (st == ARIL_OK) {
        st = make_index(rt, set);
    }
    if (st != ARIL_OK) {
        if (why.status != ARIL_OK) {
            return arili_error_set(error, st, "%s", why.message);
        }
        const bool newer = st == ARIL_E_FORMAT_VERSION;
        return arili_error_set(error, st, "%s: %s; %s", arili_database_path(db),
                               aril_status_text(st),
                               newer ? "use the release that wrote it, or a newer one"
                                     : "restore it from a backup (docs/keyring.md)");
    }
    *ret = ARILI_TAKE(set);
    return ARIL_OK;
}

/* --- The next set -------------------------------------------------------------------------- */

static aril_status push(struct arili_rowset *set, struct arili_row *row, bool copy)
{
    if (copy) {
        ARILI_TRY(arili_row_new(row->kind, arili_row_id(row), arili_row_body(row),
                                &set->rows[set->count]));
    } else {
        atomic_fetch_add_explicit(&row->references, 1, memory_order_relaxed);
        set->rows[set->count] = row;
    }
    set->count++;
    return ARIL_OK;
}

aril_status arili_rowset_next(aril_runtime *rt, const struct arili_rowset *from,
                              const struct arili_row_change *changes, size_t count,
                              const struct arili_head *head, bool copies, struct arili_rowset **ret)
{
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = NULL;
    ARILI_TRY(rowset_new((from != NULL ? from->count : 0) + count, &set));
    const size_t old_count = from != NULL ? from->count : 0;
    size_t i = 0;
    size_t k = 0;
    while (i < old_count || k < count) {
        int order = i == old_count ? 1 : -1;
        if (i < old_count && k < count) {
            order =
                arili_row_order(from->rows[i]->kind, arili_row_id(from->rows[i]), changes[k].kind,
                                (aril_bytes){ changes[k].id, changes[k].id_len });
        }
        if (order < 0) {
            ARILI_TRY(push(set, from->rows[i++], copies));
            continue;
        }
        if (changes[k].row != NULL) {
            ARILI_TRY(push(set, changes[k].row, false));
        }
        i += order == 0;
        k++;
    }
    ARILI_TRY(arili_head_write(head, set->head_bytes, sizeof set->head_bytes, &set->head_len));
    ARILI_TRY(arili_head_parse((aril_bytes){ set->head_bytes, set->head_len }, &set->head));
    ARILI_TRY(make_index(rt, set));
    *ret = ARILI_TAKE(set);
    return ARIL_OK;
}
