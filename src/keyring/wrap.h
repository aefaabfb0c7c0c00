/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_WRAP_H
#define ARILI_KEYRING_WRAP_H
#include "crypto/profile.h"
#include "crypto/runtime.h"
#include "format/keyring.h"

/*
 * Keys wrapped by keys, docs/KEYRING-FORMAT.md: HPKE in PSK mode from a key-encryption key to its
 * child. The PSK is part of the parent's secret, and the root's comes from the keystore: who can
 * only write the file has none, and can not make a wrap that opens.
 */
#define ARILI_PSK_BYTES 32u

/* The secret of a key: what is wrapped. Wipe it. */
#define ARILI_PAYLOAD_BYTES_MAX 96u
struct arili_payload {
    uint8_t bytes[ARILI_PAYLOAD_BYTES_MAX];
    size_t len;
};
void arili_payload_wipe(struct arili_payload *p);
static inline aril_bytes arili_payload_bytes(const struct arili_payload *p)
{
    return (aril_bytes){ p->bytes, p->len };
}
/* Bytes of the payload of a key; 0 for an unknown purpose. */
size_t arili_payload_len(const struct arili_profile *profile, aril_key_purpose purpose);
/* Fresh randomness of that length. */
ARIL_MUST_USE aril_status arili_payload_draw(const struct arili_crypto *c,
                                             const struct arili_profile *profile,
                                             aril_key_purpose purpose, struct arili_payload *ret);
/* HKDF-Expand(payload, "aril key id v1", 32). */
ARIL_MUST_USE aril_status arili_payload_id(const struct arili_crypto *c,
                                           const struct arili_profile *profile,
                                           const struct arili_payload *p,
                                           uint8_t ret[ARIL_KEY_ID_BYTES]);
/* The public key that stands in the row of a key; nothing for symmetric ones. */
#define ARILI_KEY_PUBLIC_BYTES_MAX (ARILI_HPKE_PUBLIC_BYTES_MAX + ARIL_SIGN_PUBLIC_BYTES_MAX)
ARIL_MUST_USE aril_status arili_payload_public(
    aril_runtime *rt, const struct arili_profile *profile, aril_key_purpose purpose,
    const struct arili_payload *p, uint8_t ret[ARILI_KEY_PUBLIC_BYTES_MAX], size_t *ret_len);

/* Suite of wraps under a parent of that purpose. */
struct arili_hpke_suite arili_wrap_suite(const struct arili_profile *profile,
                                         aril_key_purpose parent);

/* An unwrapped key-encryption key (ROOT, TENANT, MODEL), or the KEM half of a NODE. Immutable,
 * counted. */
struct arili_kek {
    _Atomic uint32_t references;
    aril_runtime *rt;
    const struct arili_profile *profile;
    struct arili_hpke_suite suite;
    uint8_t id[ARIL_KEY_ID_BYTES];
    struct arili_hpke_key *key;
    uint8_t *psk; /* secure cell */
};
ARIL_MUST_USE aril_status arili_kek_new(aril_runtime *rt, const struct arili_profile *profile,
                                        aril_key_purpose purpose, const struct arili_payload *p,
                                        struct arili_kek **ret);
void arili_kek_hold(struct arili_kek *kek);
void arili_kek_drop(struct arili_kek *kek);
void arili_kek_dropp(struct arili_kek **kek);

#define ARILI_WRAP_BYTES_MAX (ARILI_HPKE_ENC_BYTES_MAX + ARILI_PAYLOAD_BYTES_MAX + 16u)
/* Wrap a payload for a row whose id and fields are known; said->parent must be kek->id. */
ARIL_MUST_USE aril_status arili_wrap(const struct arili_kek *kek,
                                     const uint8_t keyring_id[ARILI_KEYRING_ID_BYTES],
                                     const uint8_t id[ARIL_KEY_ID_BYTES],
                                     const struct arili_key_row *said,
                                     const struct arili_payload *p,
                                     uint8_t ret[ARILI_WRAP_BYTES_MAX], size_t *ret_len);
/* The other way round. AUTH when the wrap does not open, or gives a key of another id. */
ARIL_MUST_USE aril_status arili_unwrap(const struct arili_kek *kek,
                                       const uint8_t keyring_id[ARILI_KEYRING_ID_BYTES],
                                       const uint8_t id[ARIL_KEY_ID_BYTES],
                                       const struct arili_key_row *said, struct arili_payload *ret);
#endif
