/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/wrap.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <stdatomic.h>

#define ID_LABEL        ARILI_LITERAL("aril key id v1")
#define SYMMETRIC_BYTES 32u

void arili_payload_wipe(struct arili_payload *p)
{
    arili_wipe(p, sizeof *p);
}

/* The root is ML-KEM-1024 in every profile. */
struct arili_hpke_suite arili_wrap_suite(const struct arili_profile *profile,
                                         aril_key_purpose parent)
{
    struct arili_hpke_suite suite = profile->suite;
    if (parent == ARIL_KEY_ROOT) {
        suite.kem = ARILI_HPKE_ML_KEM_1024;
    }
    return suite;
}

size_t arili_payload_len(const struct arili_profile *profile, aril_key_purpose purpose)
{
    switch (purpose) {
    case ARIL_KEY_ROOT:
    case ARIL_KEY_TENANT:
    case ARIL_KEY_MODEL:
        return arili_hpke_seed_bytes(arili_wrap_suite(profile, purpose).kem) + ARILI_PSK_BYTES;
    case ARIL_KEY_NODE:
        return arili_hpke_seed_bytes(profile->suite.kem) + ARILI_ML_DSA_SEED_BYTES;
    case ARIL_KEY_API:
    case ARIL_KEY_AUTHORITY:
        return ARILI_ML_DSA_SEED_BYTES;
    case ARIL_KEY_DATA:
    case ARIL_KEY_NAME:
    case ARIL_KEY_LEGACY:
        return SYMMETRIC_BYTES;
    }
    return 0;
}

aril_status arili_payload_draw(const struct arili_crypto *c, const struct arili_profile *profile,
                               aril_key_purpose purpose, struct arili_payload *ret)
{
    ret->len = arili_payload_len(profile, purpose);
    return c->ops->random(c->provider, ret->bytes, ret->len);
}

aril_status arili_payload_id(const struct arili_crypto *c, const struct arili_profile *profile,
                             const struct arili_payload *p, uint8_t ret[ARIL_KEY_ID_BYTES])
{
    return c->ops->hkdf_expand(c->provider, profile->hash, arili_payload_bytes(p), ID_LABEL, ret,
                               ARIL_KEY_ID_BYTES);
}

/* --- Public keys --------------------------------------------------------------------------- */

static aril_status kem_public(const struct arili_crypto *c, enum arili_hpke_kem kem,
                              const uint8_t *seed, uint8_t *ret, size_t *ret_len)
{
    ARILI_DEFER(arili_hpke_key_freep) struct arili_hpke_key *key = NULL;
    ARILI_TRY(
        arili_hpke_key_import(c, kem, (aril_bytes){ seed, arili_hpke_seed_bytes(kem) }, &key));
    const aril_bytes public_key = arili_hpke_key_public(key);
    memcpy(ret, public_key.data, public_key.len);
    *ret_len = public_key.len;
    return ARIL_OK;
}

static aril_status sign_public(const struct arili_crypto *c, aril_sign_alg alg, const uint8_t *seed,
                               uint8_t *ret, size_t *ret_len)
{
    struct arili_pkey *key = NULL;
    ARILI_TRY(c->ops->sign_import_seed(c->provider, (int)alg,
                                       (aril_bytes){ seed, ARILI_ML_DSA_SEED_BYTES }, &key));
    const aril_status st = c->ops->pkey_public(key, ret, ARIL_SIGN_PUBLIC_BYTES_MAX, ret_len);
    c->ops->pkey_free(key);
    return st;
}

aril_status arili_payload_public(aril_runtime *rt, const struct arili_profile *profile,
                                 aril_key_purpose purpose, const struct arili_payload *p,
                                 uint8_t ret[ARILI_KEY_PUBLIC_BYTES_MAX], size_t *ret_len)
{
    const struct arili_crypto *c = &rt->crypto;
    const enum arili_hpke_kem kem = arili_wrap_suite(profile, purpose).kem;
    size_t more = 0;
    switch (purpose) {
    case ARIL_KEY_ROOT:
    case ARIL_KEY_TENANT:
    case ARIL_KEY_MODEL:
        return kem_public(c, kem, p->bytes, ret, ret_len);
    case ARIL_KEY_NODE:
        ARILI_TRY(kem_public(c, kem, p->bytes, ret, ret_len));
        ARILI_TRY(sign_public(c, profile->sign, p->bytes + arili_hpke_seed_bytes(kem),
                              ret + *ret_len, &more));
        *ret_len += more;
        return ARIL_OK;
    case ARIL_KEY_API:
    case ARIL_KEY_AUTHORITY:
        return sign_public(c, profile->sign, p->bytes, ret, ret_len);
    case ARIL_KEY_DATA:
    case ARIL_KEY_NAME:
    case ARIL_KEY_LEGACY:
        break;
    }
    *ret_len = 0;
    return ARIL_OK;
}

/* --- Key-encryption keys ------------------------------------------------------------------- */

void arili_kek_hold(struct arili_kek *kek)
{
    atomic_fetch_add_explicit(&kek->references, 1, memory_order_relaxed);
}

void arili_kek_drop(struct arili_kek *kek)
{
    if (kek == NULL || atomic_fetch_sub_explicit(&kek->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    arili_hpke_key_free(kek->key);
    arili_secure_give(kek->rt->secure, kek->psk);
    arili_free(kek, sizeof *kek);
}

void arili_kek_dropp(struct arili_kek **kek)
{
    arili_kek_drop(*kek);
}

aril_status arili_kek_new(aril_runtime *rt, const struct arili_profile *profile,
                          aril_key_purpose purpose, const struct arili_payload *p,
                          struct arili_kek **ret)
{
    const struct arili_hpke_suite suite = arili_wrap_suite(profile, purpose);
    const size_t seed_len = arili_hpke_seed_bytes(suite.kem);
    ARILI_ENSURE(p->len == arili_payload_len(profile, purpose), ARIL_E_AUTH);
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *kek = arili_alloc(sizeof *kek);
    ARILI_ENSURE(kek != NULL, ARIL_E_NOMEM);
    atomic_init(&kek->references, 1);
    kek->rt = rt;
    kek->profile = profile;
    kek->suite = suite;
    kek->psk = arili_secure_take(rt->secure);
    ARILI_ENSURE(kek->psk != NULL, ARIL_E_NOMEM);
    memcpy(kek->psk, p->bytes + seed_len, ARILI_PSK_BYTES);
    ARILI_TRY(arili_payload_id(&rt->crypto, profile, p, kek->id));
    ARILI_TRY(arili_hpke_key_import(&rt->crypto, suite.kem, (aril_bytes){ p->bytes, seed_len },
                                    &kek->key));
    *ret = ARILI_TAKE(kek);
    return ARIL_OK;
}

/* --- Wraps --------------------------------------------------------------------------------- */

static struct arili_hpke_psk psk_of(const struct arili_kek *kek)
{
    return (struct arili_hpke_psk){ .psk = { kek->psk, ARILI_PSK_BYTES },
                                    .id = { kek->id, sizeof kek->id } };
}

aril_status arili_wrap(const struct arili_kek *kek,
                       const uint8_t keyring_id[ARILI_KEYRING_ID_BYTES],
                       const uint8_t id[ARIL_KEY_ID_BYTES], const struct arili_key_row *said,
                       const struct arili_payload *p, uint8_t ret[ARILI_WRAP_BYTES_MAX],
                       size_t *ret_len)
{
    uint8_t info[ARILI_WRAP_INFO_BYTES_MAX];
    size_t info_len;
    ARILI_TRY(arili_wrap_info_write(keyring_id, id, said, info, sizeof info, &info_len));
    const struct arili_hpke_psk psk = psk_of(kek);
    return arili_hpke_seal_once(&kek->rt->crypto, kek->suite, arili_hpke_key_public(kek->key),
                                (aril_bytes){ info, info_len }, &psk, (aril_bytes){ NULL, 0 },
                                arili_payload_bytes(p), ret, ARILI_WRAP_BYTES_MAX, ret_len);
}

static aril_status unwrap(const struct arili_kek *kek, const uint8_t *keyring_id, const uint8_t *id,
                          const struct arili_key_row *said, struct arili_payload *ret)
{
    uint8_t info[ARILI_WRAP_INFO_BYTES_MAX];
    size_t info_len;
    ARILI_TRY(arili_wrap_info_write(keyring_id, id, said, info, sizeof info, &info_len));
    const struct arili_hpke_psk psk = psk_of(kek);
    ARILI_TRY(arili_hpke_open_once(&kek->rt->crypto, kek->suite, kek->key,
                                   (aril_bytes){ info, info_len }, &psk, (aril_bytes){ NULL, 0 },
                                   said->wrap, ret->bytes, sizeof ret->bytes, &ret->len));
    uint8_t got[ARIL_KEY_ID_BYTES];
    ARILI_TRY(arili_payload_id(&kek->rt->crypto, kek->profile, ret, got));
    ARILI_ENSURE(ret->len == arili_payload_len(kek->profile, said->purpose) &&
                     arili_equal_ct(got, id, sizeof got),
                 ARIL_E_AUTH);
    return ARIL_OK;
}

aril_status arili_unwrap(const struct arili_kek *kek,
                         const uint8_t keyring_id[ARILI_KEYRING_ID_BYTES],
                         const uint8_t id[ARIL_KEY_ID_BYTES], const struct arili_key_row *said,
                         struct arili_payload *ret)
{
    const aril_status st = unwrap(kek, keyring_id, id, said, ret);
    if (st != ARIL_OK) {
        arili_payload_wipe(ret);
    }
    return st;
}
