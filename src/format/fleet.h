/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_FLEET_H
#define ARILI_FORMAT_FLEET_H
#include "format/keyring.h"

/*
 * What an authority and its nodes send one another, docs/KEYRING-FORMAT.md: card, bundle, receipt.
 * Every message begins as those of a handshake do:
 *   0 "aril"   4 type   5 version 1   6 profile   7 flags, zero
 * Rules as in format/keyring.h. signed_part is the message up to its signature.
 */
#define ARILI_CARD_LABEL      "ARIL NODE CARD"
#define ARILI_RECEIPT_LABEL   "ARIL NODE RECEIPT"
#define ARILI_RECOVERY_LABEL  "ARIL RECOVERY KEY"
#define ARILI_RECIPIENT_LABEL "ARIL RECOVERY RECIPIENT"

/* Card, type 4: u64 created  vec16 name  vec16 DID  vec16 kem public  vec16 sign public
 * vec16 signature (context "aril node card v1"). The id of a node is the SHA-256 of
 * "aril node id v1" || vec16 kem public || vec16 sign public. */
struct arili_card {
    aril_profile profile;
    uint64_t created_s;
    aril_bytes name; /* 1 to ARIL_NODE_NAME_BYTES_MAX printable ASCII characters, no space */
    aril_bytes did;
    aril_bytes kem_public, sign_public;
    aril_bytes signature;
    aril_bytes signed_part; /* parse only */
};
ARIL_MUST_USE aril_status arili_card_parse(aril_bytes in, struct arili_card *ret);
ARIL_MUST_USE aril_status arili_card_write_core(const struct arili_card *c, uint8_t *ret,
                                                size_t cap, size_t *ret_len);
ARIL_MUST_USE aril_status arili_card_write(const struct arili_card *c, uint8_t *ret, size_t cap,
                                           size_t *ret_len);

/* Receipt, type 6: keyring id of the authority (16)  node id (32)  u64 bundle version
 * u64 time  vec16 signature (context "aril node receipt v1") */
struct arili_receipt {
    aril_profile profile;
    uint8_t fleet[ARILI_KEYRING_ID_BYTES];
    uint8_t node[ARIL_NODE_ID_BYTES];
    uint64_t bundle_version, time_s;
    aril_bytes signature;
    aril_bytes signed_part; /* parse only */
};
ARIL_MUST_USE aril_status arili_receipt_parse(aril_bytes in, struct arili_receipt *ret);
ARIL_MUST_USE aril_status arili_receipt_write_core(const struct arili_receipt *r, uint8_t *ret,
                                                   size_t cap, size_t *ret_len);
ARIL_MUST_USE aril_status arili_receipt_write(const struct arili_receipt *r, uint8_t *ret,
                                              size_t cap, size_t *ret_len);

/*
 * Bundle, type 5:
 *    keyring id of the authority (16)  u64 version  u64 created  u64 expires
 *    vec16 authority public  vec16 successor public (may be empty)
 *    u32 n  { authority hash (32) } revoked authorities, ascending
 *    u32 n  { vec16 tenant  u64 time  u64 generation } tombstones, ascending by tenant
 *    u32 n  { node id (32) } revoked nodes, ascending
 *    u32 n  { vec16 name  u64 value } floors, ascending by name
 *    u32 n  { key } keys, ascending by id
 *    u32 n  { section } one for each node, ascending by node id
 *    vec16 signature (context "aril keyring bundle v1")
 * key:     key id (32)  u8 purpose  u8 state  u16 zero  u32 version  u64 created  u64 activates
 *          u64 rotate by  u64 not after  u64 changed  predecessor (32)  vec16 owner  vec16 label
 * section: node id (32)  vec16 enc  u32 n  { u32 index into keys, ascending  sealed (48) }
 *
 * The sealed part of key i for a node is message number j of one HPKE context (base mode, suite of
 * the profile, info "aril keyring bundle v1" || keyring id || u64 version || node id) where j
 * counts the node's entries from 0; aad is the encoding of the key, plaintext its 32 bytes.
 */
#define ARILI_BUNDLE_SEALED_BYTES 48u

struct arili_bundle {
    aril_profile profile;
    uint8_t fleet[ARILI_KEYRING_ID_BYTES];
    uint64_t version, created_s, expires_s;
    aril_bytes authority, successor;
    /* Counts, and the encoded lists; walk them with the readers below. */
    uint32_t revoked_authority_count, tombstone_count, revoked_node_count, floor_count, key_count,
        section_count;
    aril_bytes revoked_authorities, tombstones, revoked_nodes, floors, keys, sections;
    aril_bytes signature;
    aril_bytes signed_part; /* parse only */
};
struct arili_bundle_tombstone {
    aril_bytes tenant;
    uint64_t time_s, generation;
};
struct arili_bundle_floor {
    aril_bytes name; /* 1 to ARILI_ROW_ID_BYTES_MAX */
    uint64_t value;
};
struct arili_bundle_key {
    uint8_t id[ARIL_KEY_ID_BYTES];
    aril_key_purpose purpose; /* DATA, NAME, LEGACY, API */
    aril_key_state state;     /* PENDING, ACTIVE, DECRYPT_ONLY, RETIRED */
    uint32_t version;
    uint64_t created_s, activates_s, rotate_by_s, not_after_s, changed_s;
    uint8_t predecessor[ARIL_KEY_ID_BYTES];
    aril_bytes owner, label;
    aril_bytes encoded; /* parse only: the key as it stands in the bundle */
};
struct arili_bundle_section {
    uint8_t node[ARIL_NODE_ID_BYTES];
    aril_bytes enc;
    uint32_t entry_count;
    aril_bytes entries; /* entry_count times 4 + ARILI_BUNDLE_SEALED_BYTES */
};

/* Checks the whole message: orders, indices, ranges, that every list ends where it says. */
ARIL_MUST_USE aril_status arili_bundle_parse(aril_bytes in, struct arili_bundle *ret);
/* Without and with the signature; the lists of b are written as they are. */
ARIL_MUST_USE aril_status arili_bundle_write_core(const struct arili_bundle *b, uint8_t *ret,
                                                  size_t cap, size_t *ret_len);
ARIL_MUST_USE aril_status arili_bundle_write(const struct arili_bundle *b, uint8_t *ret, size_t cap,
                                             size_t *ret_len);

/* The next element of a list; *list is what is left. FORMAT (class); lists of a bundle that was
 * parsed do not fail. */
ARIL_MUST_USE aril_status arili_bundle_next_tombstone(aril_bytes *list,
                                                      struct arili_bundle_tombstone *ret);
ARIL_MUST_USE aril_status arili_bundle_next_floor(aril_bytes *list, struct arili_bundle_floor *ret);
ARIL_MUST_USE aril_status arili_bundle_next_key(aril_bytes *list, struct arili_bundle_key *ret);
ARIL_MUST_USE aril_status arili_bundle_next_section(aril_bytes *list,
                                                    struct arili_bundle_section *ret);
/* Entry number n of a section. */
void arili_bundle_entry(const struct arili_bundle_section *s, uint32_t n, uint32_t *ret_index,
                        uint8_t ret_sealed[ARILI_BUNDLE_SEALED_BYTES]);

/* One element of a list, as the writer of a bundle collects them. */
ARIL_MUST_USE aril_status arili_bundle_tombstone_write(const struct arili_bundle_tombstone *t,
                                                       uint8_t *ret, size_t cap, size_t *ret_len);
ARIL_MUST_USE aril_status arili_bundle_floor_write(const struct arili_bundle_floor *f, uint8_t *ret,
                                                   size_t cap, size_t *ret_len);
ARIL_MUST_USE aril_status arili_bundle_key_write(const struct arili_bundle_key *k, uint8_t *ret,
                                                 size_t cap, size_t *ret_len);
/* Node id, enc and count; the entries follow. */
ARIL_MUST_USE aril_status arili_bundle_section_write(const struct arili_bundle_section *s,
                                                     uint8_t *ret, size_t cap, size_t *ret_len);

/* Recovery key and recipient (inside PEM): u8 1  u8 zero  u16 KEM 0x0042  then the seed (64), or
 * the public key (1568). The span points into in. */
#define ARILI_RECOVERY_HEADER_BYTES 4u
ARIL_MUST_USE aril_status arili_recovery_parse(aril_bytes in, size_t key_bytes, aril_bytes *ret);
void arili_recovery_write_header(uint8_t ret[ARILI_RECOVERY_HEADER_BYTES]);
#endif
