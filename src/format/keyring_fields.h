/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_KEYRING_FIELDS_H
#define ARILI_FORMAT_KEYRING_FIELDS_H
#include "base/bytes.h"
#include "format/keyring.h"

/* Ranges and sizes that rows of a keyring and messages of a fleet share. */

bool arili_profile_is_known(aril_profile profile);
/* Of an ML-DSA public key; 0 for an unknown algorithm. */
size_t arili_alg_public_bytes(aril_sign_alg alg);

/* What a profile fixes. The profile must be known. */
size_t arili_profile_kem_public_bytes(aril_profile profile);
size_t arili_profile_kem_enc_bytes(aril_profile profile);
size_t arili_profile_kem_seed_bytes(aril_profile profile);
size_t arili_profile_sign_public_bytes(aril_profile profile);
size_t arili_profile_signature_bytes(aril_profile profile);
/* Of any profile. */
bool arili_kem_enc_is_known(size_t bytes);

#define ARILI_ROOT_PUBLIC_BYTES  1568u /* ML-KEM-1024 */
#define ARILI_ROOT_ENC_BYTES     1568u
#define ARILI_ROOT_PAYLOAD_BYTES 96u /* seed and PSK */
#define ARILI_WRAP_TAG_BYTES     16u

/* 1 to 255 bytes without NUL: tenants and other owners. */
bool arili_owner_is_valid(aril_bytes owner);
/* The owner and label that keys of a purpose may have. */
bool arili_slot_is_valid(aril_key_purpose purpose, aril_bytes owner, aril_bytes label);
/* 1 to ARIL_NODE_NAME_BYTES_MAX printable ASCII characters, no space. */
bool arili_node_name_is_valid(aril_bytes name);
/* Ends come after what they end; 0 is no end. */
bool arili_key_times_are_valid(uint64_t activates_s, uint64_t rotate_by_s, uint64_t not_after_s);
bool arili_is_zero32(const uint8_t bytes[32]);

/* Bytewise, shorter first on a common prefix: less than 0, 0, or more than 0. */
int arili_bytes_order(aril_bytes a, aril_bytes b);

/* One byte, 0 or 1; n bytes, all 0. Another value clears *ok. */
bool arili_read_bool(struct arili_reader *r, bool *ok);
void arili_read_zeros(struct arili_reader *r, size_t n, bool *ok);

/* The first 8 bytes of a message of a fleet. */
enum arili_fleet_type { ARILI_FLEET_CARD = 4, ARILI_FLEET_BUNDLE = 5, ARILI_FLEET_RECEIPT = 6 };
ARIL_MUST_USE aril_status arili_fleet_head_read(struct arili_reader *r, enum arili_fleet_type type,
                                                aril_profile *ret);
void arili_fleet_head_write(struct arili_writer *w, enum arili_fleet_type type,
                            aril_profile profile);
#endif
