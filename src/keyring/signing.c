/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "identity/keys.h"
#include "keyring/keys.h"

_Static_assert(ARILI_IDENTITY_SEED_BYTES == ARILI_ML_DSA_SEED_BYTES, "one seed");

aril_status arili_keyring_identity(aril_keyring *kr, const struct arili_rowset *set,
                                   const struct arili_key *key, aril_identity **ret,
                                   aril_error *error)
{
    const bool is_node = key->said.purpose == ARIL_KEY_NODE;
    const size_t at = is_node ? arili_hpke_seed_bytes(kr->profile->suite.kem) : 0;
    ARILI_DEFER(arili_payload_wipe) struct arili_payload p = { .len = 0 };
    ARILI_TRY(arili_keyring_unwrap(kr, set, key, &p, error));
    ARILI_ENSURE(p.len == at + ARILI_ML_DSA_SEED_BYTES, ARIL_E_AUTH);
    return arili_identity_from_seed(kr->rt, kr->profile->sign, p.bytes + at, ret);
}

aril_status arili_authority_put(struct arili_change *ch, const struct arili_authority_row *row)
{
    struct arili_key_hash hash;
    uint8_t body[ARIL_SIGN_PUBLIC_BYTES_MAX + 64];
    size_t len;
    ARILI_TRY(arili_key_hash(ch->kr->rt, row->public_key, &hash));
    ARILI_TRY(arili_authority_row_write(row, body, sizeof body, &len));
    return arili_change_put(ch, ARILI_ROW_AUTHORITY, (aril_bytes){ hash.bytes, sizeof hash.bytes },
                            (aril_bytes){ body, len });
}
