/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_KEYRING_H
#define ARILI_FORMAT_KEYRING_H
#include <aril/keyring.h>
#include <stdbool.h>

/*
 * What the rows of a keyring's file say, docs/KEYRING-FORMAT.md. A file is one head and a set of
 * rows; a row is a kind, an id and a body. Integers are big-endian, variable fields have a 16-bit
 * length. Each content has one encoding: what parses is written again as the same bytes.
 *
 * Parsers check form and ranges of a single body. On failure *ret is unchanged. FORMAT_TRUNCATED,
 * FORMAT_LENGTH, FORMAT_VERSION, FORMAT_FIELD. Spans in the structs are borrowed from the input.
 * Writers answer USAGE_TOO_SMALL, and USAGE_RANGE for a struct that does not parse again.
 */
#define ARILI_KEYRING_VERSION        1u
#define ARILI_KEYRING_ID_BYTES       16u
#define ARILI_KEYRING_SLOT_BYTES     16u
#define ARILI_KEYRING_BLOB_BYTES_MAX 4096u
#define ARILI_ROW_ID_BYTES_MAX       255u
#define ARILI_ROW_BODY_BYTES_MAX     65535u
#define ARILI_HEAD_BYTES_MAX         8192u

enum arili_row_kind {
    ARILI_ROW_KEY = 1,       /* id: the key id */
    ARILI_ROW_STAGED = 2,    /* id: the key id of a child that waits for its new wrap */
    ARILI_ROW_ROTATION = 3,  /* id: the key id of the parent that is replaced */
    ARILI_ROW_TOMBSTONE = 4, /* id: the tenant id */
    ARILI_ROW_NODE = 5,      /* id: the node id */
    ARILI_ROW_BACKUP = 6,    /* id: 16 random bytes */
    ARILI_ROW_FLOOR = 7,     /* id: the name */
    ARILI_ROW_AUTHORITY = 8, /* id: SHA3-256 of the public key; node: who may sign bundles */
    ARILI_ROW_RECOVERY = 9   /* id: empty */
};
#define ARILI_ROW_KINDS 10u

/* The head:
 *    u16 version  u8 role  u8 profile  u16 flags (bit 0 locked, bit 1 policy.overdue_refuses,
 *    bit 2 has a counter)  u16 zero  keyring id (16)  u64 revision  u64 generation  u64 created
 *    u64 clock  u64 bundle version  u32 root, tenant, data, api, bundle days  u32 lead seconds
 *    fleet (16)  bundle digest (32)  root key id (32)  root slot (16)  vec16 blob  vec16 counter
 * (empty unless bit 2) */
struct arili_head {
    aril_keyring_role role;
    aril_profile profile;
    bool locked, has_counter;
    uint8_t id[ARILI_KEYRING_ID_BYTES];
    uint64_t revision, generation;
    uint64_t created_s;
    uint64_t clock_s; /* the latest time at which something was changed */
    uint64_t bundle_version;
    uint8_t fleet[ARILI_KEYRING_ID_BYTES]; /* node: the keyring that its bundles come from; zeros
                                              before the first one, and for an authority */
    uint8_t bundle_digest[32];             /* SHA-256 of the bundle of that version; zeros */
    aril_key_policy policy;                /* complete */
    uint8_t root[ARIL_KEY_ID_BYTES];
    uint8_t root_slot[ARILI_KEYRING_SLOT_BYTES];
    aril_bytes blob;    /* 1 to ARILI_KEYRING_BLOB_BYTES_MAX: the root, sealed by the keystore */
    aril_bytes counter; /* 9 to 72 with has_counter: u64 offset, locator; else empty */
};
ARIL_MUST_USE aril_status arili_head_parse(aril_bytes in, struct arili_head *ret);
ARIL_MUST_USE aril_status arili_head_write(const struct arili_head *h, uint8_t *ret, size_t cap,
                                           size_t *ret_len);

/* KEY:
 *    u8 purpose  u8 state  u8 profile  u8 zero  u32 version  u64 created  u64 activates
 *    u64 rotate by  u64 not after  u64 changed  parent (32)  predecessor (32)
 *    vec16 owner  vec16 label  vec16 public  vec16 wrap
 * wrap: enc || ciphertext; empty when destroyed; for a root its slot in the keystore. public:
 * KEM public key of ROOT, TENANT, MODEL; ML-DSA public key of API, AUTHORITY; of NODE the KEM key
 * and the ML-DSA key, one after the other; else empty. */
struct arili_key_row {
    aril_key_purpose purpose;
    aril_key_state state;
    aril_profile profile;
    uint32_t version; /* at least 1 */
    uint64_t created_s, activates_s, rotate_by_s, not_after_s, changed_s;
    uint8_t parent[ARIL_KEY_ID_BYTES];
    uint8_t predecessor[ARIL_KEY_ID_BYTES];
    aril_bytes owner, label;
    aril_bytes public_key;
    aril_bytes wrap;
};
#define ARILI_KEY_ROW_BYTES_MAX 8192u
ARIL_MUST_USE aril_status arili_key_row_parse(aril_bytes in, struct arili_key_row *ret);
ARIL_MUST_USE aril_status arili_key_row_write(const struct arili_key_row *k, uint8_t *ret,
                                              size_t cap, size_t *ret_len);
/* The HPKE info of a key's wrap: everything of it that never changes.
 *    "aril keyring wrap v1" || keyring id (16) || parent (32) || key id (32) || u8 purpose
 *    || u8 profile || u32 version || u64 created || u64 activates || u64 rotate by
 *    || u64 not after || predecessor (32) || vec16 owner || vec16 label */
#define ARILI_WRAP_INFO_BYTES_MAX 640u
ARIL_MUST_USE aril_status arili_wrap_info_write(const uint8_t keyring_id[ARILI_KEYRING_ID_BYTES],
                                                const uint8_t id[ARIL_KEY_ID_BYTES],
                                                const struct arili_key_row *k, uint8_t *ret,
                                                size_t cap, size_t *ret_len);

/* STAGED: new parent (32)  vec16 wrap */
struct arili_staged_row {
    uint8_t parent[ARIL_KEY_ID_BYTES];
    aril_bytes wrap;
};
ARIL_MUST_USE aril_status arili_staged_row_parse(aril_bytes in, struct arili_staged_row *ret);
ARIL_MUST_USE aril_status arili_staged_row_write(const struct arili_staged_row *s, uint8_t *ret,
                                                 size_t cap, size_t *ret_len);

/* ROTATION: successor (32)  u64 started  vec16 blob (of a new root, sealed; else empty) */
struct arili_rotation_row {
    uint8_t successor[ARIL_KEY_ID_BYTES];
    uint64_t started_s;
    aril_bytes blob;
};
ARIL_MUST_USE aril_status arili_rotation_row_parse(aril_bytes in, struct arili_rotation_row *ret);
ARIL_MUST_USE aril_status arili_rotation_row_write(const struct arili_rotation_row *r, uint8_t *ret,
                                                   size_t cap, size_t *ret_len);

/* TOMBSTONE: u64 time  u64 generation  u64 bundle version  u32 keys  root key id (32)
 * generation: of the commit that wrote it. bundle version: the first bundle that carries it. root:
 * the one that was replaced. */
struct arili_tombstone_row {
    uint64_t time_s, generation, bundle_version;
    uint32_t keys;
    uint8_t root[ARIL_KEY_ID_BYTES];
};
ARIL_MUST_USE aril_status arili_tombstone_row_parse(aril_bytes in, struct arili_tombstone_row *ret);
ARIL_MUST_USE aril_status arili_tombstone_row_write(const struct arili_tombstone_row *t,
                                                    uint8_t *ret, size_t cap, size_t *ret_len);

/* NODE: u8 revoked  u8 profile  u16 zero  u64 added  u64 revoked at  u64 confirmed version
 *    u64 confirmed at  vec16 name  vec16 kem public  vec16 sign public  u16 count
 *    { vec16 tenant } in ascending order, without doubles */
#define ARILI_NODE_TENANTS_MAX 256u
struct arili_node_row {
    bool revoked;
    aril_profile profile;
    uint64_t added_s, revoked_s, confirmed_version, confirmed_s;
    aril_bytes name, kem_public, sign_public;
    size_t tenant_count;
    aril_bytes tenants[ARILI_NODE_TENANTS_MAX];
};
ARIL_MUST_USE aril_status arili_node_row_parse(aril_bytes in, struct arili_node_row *ret);
ARIL_MUST_USE aril_status arili_node_row_write(const struct arili_node_row *n, uint8_t *ret,
                                               size_t cap, size_t *ret_len);

/* BACKUP: u8 destroyed  u8 zero (7)  u64 time  u64 generation  vec16 path */
struct arili_backup_row {
    bool destroyed;
    uint64_t time_s, generation;
    aril_bytes path;
};
ARIL_MUST_USE aril_status arili_backup_row_parse(aril_bytes in, struct arili_backup_row *ret);
ARIL_MUST_USE aril_status arili_backup_row_write(const struct arili_backup_row *b, uint8_t *ret,
                                                 size_t cap, size_t *ret_len);

/* FLOOR: u64 value */
ARIL_MUST_USE aril_status arili_floor_row_parse(aril_bytes in, uint64_t *ret_value);
void arili_floor_row_write(uint64_t value, uint8_t ret[8]);

/* AUTHORITY: u8 revoked  u8 alg (65 or 87)  u16 zero  u64 since  vec16 public key */
struct arili_authority_row {
    bool revoked;
    aril_sign_alg alg;
    uint64_t since_s;
    aril_bytes public_key;
};
ARIL_MUST_USE aril_status arili_authority_row_parse(aril_bytes in, struct arili_authority_row *ret);
ARIL_MUST_USE aril_status arili_authority_row_write(const struct arili_authority_row *a,
                                                    uint8_t *ret, size_t cap, size_t *ret_len);

/* RECOVERY: u64 since  vec16 public key (ML-KEM-1024)  vec16 wrap (the root's payload; HPKE base)
 */
struct arili_recovery_row {
    uint64_t since_s;
    aril_bytes public_key;
    aril_bytes wrap;
};
ARIL_MUST_USE aril_status arili_recovery_row_parse(aril_bytes in, struct arili_recovery_row *ret);
ARIL_MUST_USE aril_status arili_recovery_row_write(const struct arili_recovery_row *r, uint8_t *ret,
                                                   size_t cap, size_t *ret_len);
#endif
