/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_ROWS_H
#define ARILI_KEYRING_ROWS_H
#include "crypto/profile.h"
#include "crypto/runtime.h"
#include "format/keyring.h"
#include "keyring/database.h"

/*
 * The rows of a keyring in memory: one immutable set for each revision, which readers hold while
 * they look at it. A row is authenticated by its MAC, the set by the head's.
 */

/* One row; immutable, shared by the sets that have it. */
struct arili_row {
    _Atomic uint32_t references;
    uint8_t kind;
    uint8_t mac_len;
    uint16_t id_len;
    uint32_t body_len;
    uint8_t mac[ARILI_HASH_BYTES_MAX];
    uint8_t bytes[]; /* id, body */
};
static inline aril_bytes arili_row_id(const struct arili_row *row)
{
    return (aril_bytes){ row->bytes, row->id_len };
}
static inline aril_bytes arili_row_body(const struct arili_row *row)
{
    return (aril_bytes){ row->bytes + row->id_len, row->body_len };
}
static inline aril_bytes arili_row_mac(const struct arili_row *row)
{
    return (aril_bytes){ row->mac, row->mac_len };
}
/* Without its MAC. LIMIT when id or body are too long. */
ARIL_MUST_USE aril_status arili_row_new(uint8_t kind, aril_bytes id, aril_bytes body,
                                        struct arili_row **ret);
void arili_row_drop(struct arili_row *row);
void arili_row_dropp(struct arili_row **row);

/* Keys of the MACs, derived from the root's PSK; in a secure cell. */
struct arili_mac_keys {
    uint8_t row[ARILI_HASH_BYTES_MAX];
    uint8_t set[ARILI_HASH_BYTES_MAX];
};
_Static_assert(sizeof(struct arili_mac_keys) <= ARILI_SECURE_CELL_BYTES, "a cell holds the keys");

/* What MACs are computed with. */
struct arili_macs {
    const struct arili_crypto *crypto;
    enum arili_hash hash;
    uint8_t keyring_id[ARILI_KEYRING_ID_BYTES];
    const struct arili_mac_keys *keys;
};
ARIL_MUST_USE aril_status arili_mac_keys_derive(const struct arili_crypto *c, enum arili_hash hash,
                                                const uint8_t psk[32], struct arili_mac_keys *ret);
ARIL_MUST_USE aril_status arili_row_mac_compute(const struct arili_macs *m,
                                                const struct arili_row *row,
                                                uint8_t ret[ARILI_HASH_BYTES_MAX]);

struct arili_rowset {
    _Atomic uint32_t references;
    struct arili_head head; /* its spans point into head_bytes */
    uint8_t head_bytes[ARILI_HEAD_BYTES_MAX];
    size_t head_len;
    uint8_t head_mac[ARILI_HASH_BYTES_MAX];
    size_t head_mac_len;
    size_t count, cap;
    struct arili_row **rows; /* by kind and id */

    /* KEY rows, parsed; by purpose, owner, label, newest version first. */
    size_t key_count;
    struct arili_key *keys;
    uint64_t seed;      /* of the table's hash */
    size_t table_size;  /* a power of two */
    uint32_t *table;    /* slot hash -> 1 + index of its newest key, 0 is free */
    uint32_t *children; /* of each key, by the index in keys */
};

/* A KEY row and what it says. Spans point into the row. */
struct arili_key {
    const struct arili_row *row;
    struct arili_key_row said;
};
static inline const uint8_t *arili_key_id(const struct arili_key *key)
{
    return key->row->bytes;
}

void arili_rowset_hold(struct arili_rowset *set);
void arili_rowset_drop(struct arili_rowset *set);
void arili_rowset_dropp(struct arili_rowset **set);

/* Read the file. Forms are checked, MACs are not: whoever calls needs the head to find their
 * keys. Then arili_rowset_check(). */
ARIL_MUST_USE aril_status arili_rowset_read(aril_runtime *rt, struct arili_database *db,
                                            struct arili_rowset **ret, aril_error *error);
/* AUTH when a row, the set or the head is not what was written with these keys. path is for the
 * message. */
ARIL_MUST_USE aril_status arili_rowset_check(const struct arili_macs *m,
                                             const struct arili_rowset *set, const char *path,
                                             aril_error *error);

/* A row that changes: the new one, or NULL to erase. */
struct arili_row_change {
    uint8_t kind;
    struct arili_row *row; /* owned; NULL: erase */
    uint32_t order;        /* of several changes of one row the highest counts */
    uint16_t id_len;
    uint8_t id[ARILI_ROW_ID_BYTES_MAX];
};
/* The set after changes (ascending by kind and id, each once) with another head. Rows are shared
 * with from; with copies, unchanged rows are new objects without a MAC. The head's MAC is not
 * filled: arili_rowset_seal(). */
ARIL_MUST_USE aril_status arili_rowset_next(aril_runtime *rt, const struct arili_rowset *from,
                                            const struct arili_row_change *changes, size_t count,
                                            const struct arili_head *head, bool copies,
                                            struct arili_rowset **ret);
/* Compute the head's MAC over a new set that nobody else has yet. */
ARIL_MUST_USE aril_status arili_rowset_seal(const struct arili_macs *m, struct arili_rowset *set);

/* Order of rows: kind, then the bytes of the id, a prefix first. */
int arili_row_order(uint8_t a_kind, aril_bytes a, uint8_t b_kind, aril_bytes b);
/* NULL when there is none. */
const struct arili_row *arili_rowset_find(const struct arili_rowset *set, uint8_t kind,
                                          aril_bytes id);
/* The rows of one kind: *ret_count from the index that is returned. */
size_t arili_rowset_kind(const struct arili_rowset *set, uint8_t kind, size_t *ret_count);
const struct arili_key *arili_rowset_key(const struct arili_rowset *set,
                                         const uint8_t id[ARIL_KEY_ID_BYTES]);
/* Index into keys of the newest version; its older versions follow. False: there is none. */
bool arili_rowset_slot(const struct arili_rowset *set, aril_key_purpose purpose, aril_bytes owner,
                       aril_bytes label, size_t *ret_index);
/* Whether keys[a] and keys[b] are versions of one key. */
bool arili_rowset_same_slot(const struct arili_rowset *set, size_t a, size_t b);
#endif
