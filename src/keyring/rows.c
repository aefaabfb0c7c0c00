/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/rows.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <stdatomic.h>

#define ROW_LABEL  ARILI_LITERAL("aril keyring row v1")
#define SET_LABEL  ARILI_LITERAL("aril keyring set v1")
#define HEAD_LABEL ARILI_LITERAL("aril keyring head v1")

/* --- Rows ---------------------------------------------------------------------------------- */

static size_t row_bytes(const struct arili_row *row)
{
    return sizeof *row + row->id_len + row->body_len;
}

aril_status arili_row_new(uint8_t kind, aril_bytes id, aril_bytes body, struct arili_row **ret)
{
    ARILI_ENSURE(id.len <= ARILI_ROW_ID_BYTES_MAX && body.len <= ARILI_ROW_BODY_BYTES_MAX,
                 ARIL_E_LIMIT);
    struct arili_row *row = arili_alloc(sizeof *row + id.len + body.len);
    ARILI_ENSURE(row != NULL, ARIL_E_NOMEM);
    atomic_init(&row->references, 1);
    row->kind = kind;
    row->id_len = (uint16_t)id.len;
    row->body_len = (uint32_t)body.len;
    if (id.len > 0) {
        memcpy(row->bytes, id.data, id.len);
    }
    if (body.len > 0) {
        memcpy(row->bytes + id.len, body.data, body.len);
    }
    *ret = row;
    return ARIL_OK;
}

void arili_row_drop(struct arili_row *row)
{
    if (row != NULL && atomic_fetch_sub_explicit(&row->references, 1, memory_order_acq_rel) == 1) {
        arili_free(row, row_bytes(row));
    }
}

void arili_row_dropp(struct arili_row **row)
{
    arili_row_drop(*row);
}

int arili_row_order(uint8_t a_kind, aril_bytes a, uint8_t b_kind, aril_bytes b)
{
    if (a_kind != b_kind) {
        return a_kind < b_kind ? -1 : 1;
    }
    const size_t common = a.len < b.len ? a.len : b.len;
    const int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* --- MACs ---------------------------------------------------------------------------------- */

aril_status arili_mac_keys_derive(const struct arili_crypto *c, enum arili_hash hash,
                                  const uint8_t psk[32], struct arili_mac_keys *ret)
{
    const aril_bytes prk = { psk, 32 };
    const size_t len = arili_hash_bytes(hash);
    aril_status st = c->ops->hkdf_expand(c->provider, hash, prk, ROW_LABEL, ret->row, len);
    if (st == ARIL_OK) {
        st = c->ops->hkdf_expand(c->provider, hash, prk, SET_LABEL, ret->set, len);
    }
    if (st != ARIL_OK) {
        arili_wipe(ret, sizeof *ret);
    }
    return st;
}

aril_status arili_row_mac_compute(const struct arili_macs *m, const struct arili_row *row,
                                  uint8_t ret[ARILI_HASH_BYTES_MAX])
{
    uint8_t prefix[3];
    prefix[0] = row->kind;
    arili_store16(prefix + 1, row->id_len);
    const aril_bytes parts[] = { { m->keyring_id, sizeof m->keyring_id },
                                 { prefix, sizeof prefix },
                                 { row->bytes, (size_t)row->id_len + row->body_len } };
    const aril_bytes key = { m->keys->row, arili_hash_bytes(m->hash) };
    return m->crypto->ops->hmac(m->crypto->provider, m->hash, key, parts, 3, ret);
}

/* The MACs of all rows, one after the other. */
struct mac_list {
    uint8_t *bytes;
    size_t len, room;
};

static void mac_list_done(struct mac_list *list)
{
    arili_free(list->bytes, list->room);
}

static aril_status head_mac(const struct arili_macs *m, const struct arili_rowset *set,
                            uint8_t ret[ARILI_HASH_BYTES_MAX])
{
    const size_t mac_len = arili_hash_bytes(m->hash);
    ARILI_DEFER(mac_list_done) struct mac_list list = { .room = set->count * mac_len + 1 };
    list.bytes = arili_alloc(list.room);
    ARILI_ENSURE(list.bytes != NULL, ARIL_E_NOMEM);
    for (size_t i = 0; i < set->count; i++) {
        memcpy(list.bytes + i * mac_len, set->rows[i]->mac, mac_len);
    }
    uint8_t length[4];
    uint8_t count[8];
    arili_store32(length, (uint32_t)set->head_len);
    arili_store64(count, set->count);
    const aril_bytes parts[] = { HEAD_LABEL,
                                 { length, sizeof length },
                                 { set->head_bytes, set->head_len },
                                 { count, sizeof count },
                                 { list.bytes, set->count * mac_len } };
    const aril_bytes key = { m->keys->set, mac_len };
    return m->crypto->ops->hmac(m->crypto->provider, m->hash, key, parts, 5, ret);
}

aril_status arili_rowset_seal(const struct arili_macs *m, struct arili_rowset *set)
{
    ARILI_TRY(head_mac(m, set, set->head_mac));
    set->head_mac_len = arili_hash_bytes(m->hash);
    return ARIL_OK;
}

static aril_status tampered(const char *path, const char *what, aril_error *error)
{
    return arili_error_set(error, ARIL_E_AUTH,
                           "%s: %s was changed by somebody without the keystore, or belongs to "
                           "another keyring; restore a backup (docs/keyring.md)",
                           path, what);
}

aril_status arili_rowset_check(const struct arili_macs *m, const struct arili_rowset *set,
                               const char *path, aril_error *error)
{
    const size_t len = arili_hash_bytes(m->hash);
    uint8_t mac[ARILI_HASH_BYTES_MAX];
    if (memcmp(set->head.id, m->keyring_id, sizeof set->head.id) != 0) {
        return tampered(path, "the head", error);
    }
    for (size_t i = 0; i < set->count; i++) {
        const struct arili_row *row = set->rows[i];
        ARILI_TRY(arili_row_mac_compute(m, row, mac));
        if (row->mac_len != len || !arili_equal_ct(row->mac, mac, len)) {
            return tampered(path, "a row", error);
        }
    }
    ARILI_TRY(head_mac(m, set, mac));
    if (set->head_mac_len != len || !arili_equal_ct(set->head_mac, mac, len)) {
        return tampered(path, "the head or the set of rows", error);
    }
    return ARIL_OK;
}
