/* SPDX-License-Identifier: Apache-2.0 */
#include "format/keyring_fields.h"
#include "base/ensure.h"

#define MESSAGE_VERSION 1u

static const uint8_t magic[4] = { 'a', 'r', 'i', 'l' };

static const struct sizes {
    size_t kem_public, kem_enc, kem_seed, sign_public, signature;
} sizes[] = {
    [ARIL_PROFILE_HYBRID] = { 1216, 1120, 32, 1952, 3309 },
    [ARIL_PROFILE_ML_KEM_768] = { 1184, 1088, 64, 1952, 3309 },
    [ARIL_PROFILE_STRICT] = { 1568, 1568, 64, 2592, 4627 },
};

bool arili_profile_is_known(aril_profile profile)
{
    return profile >= ARIL_PROFILE_HYBRID && profile <= ARIL_PROFILE_STRICT;
}

size_t arili_alg_public_bytes(aril_sign_alg alg)
{
    switch (alg) {
    case ARIL_ML_DSA_65:
        return 1952;
    case ARIL_ML_DSA_87:
        return 2592;
    }
    return 0;
}

size_t arili_profile_kem_public_bytes(aril_profile profile)
{
    return sizes[profile].kem_public;
}

size_t arili_profile_kem_enc_bytes(aril_profile profile)
{
    return sizes[profile].kem_enc;
}

size_t arili_profile_kem_seed_bytes(aril_profile profile)
{
    return sizes[profile].kem_seed;
}

size_t arili_profile_sign_public_bytes(aril_profile profile)
{
    return sizes[profile].sign_public;
}

size_t arili_profile_signature_bytes(aril_profile profile)
{
    return sizes[profile].signature;
}

bool arili_kem_enc_is_known(size_t bytes)
{
    for (unsigned p = ARIL_PROFILE_HYBRID; p <= ARIL_PROFILE_STRICT; p++) {
        if (sizes[p].kem_enc == bytes) {
            return true;
        }
    }
    return false;
}

bool arili_owner_is_valid(aril_bytes owner)
{
    return owner.len >= 1 && owner.len <= ARIL_KEY_OWNER_BYTES_MAX &&
           memchr(owner.data, 0, owner.len) == NULL;
}

static bool is_printable(aril_bytes text, uint8_t first)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < first || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

bool arili_slot_is_valid(aril_key_purpose purpose, aril_bytes owner, aril_bytes label)
{
    const bool has_owner = purpose != ARIL_KEY_ROOT && purpose != ARIL_KEY_AUTHORITY;
    const bool may_have_label =
        purpose == ARIL_KEY_DATA || purpose == ARIL_KEY_NAME || purpose == ARIL_KEY_LEGACY;
    return (has_owner ? arili_owner_is_valid(owner) : owner.len == 0) &&
           label.len <= (may_have_label ? ARIL_KEY_LABEL_BYTES_MAX : 0) && is_printable(label, ' ');
}

bool arili_node_name_is_valid(aril_bytes name)
{
    return name.len >= 1 && name.len <= ARIL_NODE_NAME_BYTES_MAX && is_printable(name, '!');
}

bool arili_key_times_are_valid(uint64_t activates_s, uint64_t rotate_by_s, uint64_t not_after_s)
{
    return (rotate_by_s == 0 || rotate_by_s >= activates_s) &&
           (not_after_s == 0 || (not_after_s >= activates_s && not_after_s >= rotate_by_s));
}

bool arili_is_zero32(const uint8_t bytes[32])
{
    static const uint8_t zeros[32];
    return memcmp(bytes, zeros, sizeof zeros) == 0; /* a public id */
}

int arili_bytes_order(aril_bytes a, aril_bytes b)
{
    const size_t common = a.len < b.len ? a.len : b.len;
    const int order = common > 0 ? memcmp(a.data, b.data, common) : 0; /* public bytes */
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool arili_read_bool(struct arili_reader *r, bool *ok)
{
    const uint8_t value = arili_read8(r);
    *ok = *ok && value <= 1;
    return value == 1;
}

void arili_read_zeros(struct arili_reader *r, size_t n, bool *ok)
{
    const aril_bytes bytes = arili_read_bytes(r, n);
    for (size_t i = 0; i < bytes.len; i++) {
        *ok = *ok && bytes.data[i] == 0;
    }
}

aril_status arili_fleet_head_read(struct arili_reader *r, enum arili_fleet_type type,
                                  aril_profile *ret)
{
    uint8_t m[sizeof magic];
    arili_read_into(r, m, sizeof m);
    const uint8_t got_type = arili_read8(r);
    const uint8_t version = arili_read8(r);
    const aril_profile profile = (aril_profile)arili_read8(r);
    const uint8_t flags = arili_read8(r);
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(memcmp(m, magic, sizeof m) == 0 && got_type == type, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(version == MESSAGE_VERSION, ARIL_E_FORMAT_VERSION);
    ARILI_ENSURE(arili_profile_is_known(profile) && flags == 0, ARIL_E_FORMAT_FIELD);
    *ret = profile;
    return ARIL_OK;
}

void arili_fleet_head_write(struct arili_writer *w, enum arili_fleet_type type,
                            aril_profile profile)
{
    arili_write_bytes(w, (aril_bytes){ magic, sizeof magic });
    arili_write8(w, (uint8_t)type);
    arili_write8(w, MESSAGE_VERSION);
    arili_write8(w, (uint8_t)profile);
    arili_write8(w, 0);
}
