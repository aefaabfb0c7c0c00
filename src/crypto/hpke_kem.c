/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hpke_kem.h"
#include "crypto/xwing.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

/* "KEM" || I2OSP(kem_id, 2), RFC 9180 4.1. */
struct kem_suite_id {
    uint8_t bytes[5];
};

static struct kem_suite_id kem_suite_id(enum arili_hpke_kem id)
{
    struct kem_suite_id s = { { 'K', 'E', 'M', 0, 0 } };
    arili_store16(s.bytes + 3, (uint16_t)id);
    return s;
}

/* A key that is freed at the end of its scope, with the table that frees it. */
struct scoped_key {
    const struct arili_crypto *crypto;
    struct arili_pkey *key;
};

static void scoped_key_free(struct scoped_key *k)
{
    k->crypto->ops->pkey_free(k->key);
}

struct secret32 {
    uint8_t bytes[32];
};

static void secret32_wipe(struct secret32 *s)
{
    arili_wipe(s, sizeof *s);
}

/* --- draft-ietf-hpke-pq: DeriveKeyPair of ML-KEM and X-Wing, over SHAKE256.LabeledDerive. */
static aril_status derive_shake256(const struct arili_crypto *c, enum arili_hpke_kem id,
                                   aril_bytes ikm, uint8_t *ret_seed)
{
    const struct kem_suite_id suite = kem_suite_id(id);
    const aril_bytes label = ARILI_LITERAL("DeriveKeyPair");
    const size_t seed_len = arili_hpke_seed_bytes(id);
    uint8_t label_len[2];
    uint8_t out_len[2];
    arili_store16(label_len, (uint16_t)label.len);
    arili_store16(out_len, (uint16_t)seed_len);
    const aril_bytes parts[] = { ikm,
                                 ARILI_LITERAL("HPKE-v1"),
                                 { suite.bytes, sizeof suite.bytes },
                                 { label_len, sizeof label_len },
                                 label,
                                 { out_len, sizeof out_len } };
    return c->ops->xof(c->provider, parts, sizeof parts / sizeof *parts, ret_seed, seed_len);
}

/* --- ML-KEM: encapsulation as it is, keys are seeds. The ids of HPKE are our own. */
_Static_assert((int)ARILI_HPKE_ML_KEM_768 == (int)ARILI_KEM_ML_KEM_768, "one number");
_Static_assert((int)ARILI_HPKE_ML_KEM_1024 == (int)ARILI_KEM_ML_KEM_1024, "one number");

static aril_status ml_kem_import(struct arili_hpke_key *key, const uint8_t *seed)
{
    const struct arili_crypto *const c = key->crypto;
    size_t len = 0;
    ARILI_TRY(c->ops->kem_import_seed(c->provider, (enum arili_kem)key->kem,
                                      (aril_bytes){ seed, ARILI_ML_KEM_SEED_BYTES }, &key->pkey));
    return c->ops->pkey_public(key->pkey, key->public_key, sizeof key->public_key, &len);
}

static aril_status ml_kem_encap(const struct arili_crypto *c, enum arili_hpke_kem id,
                                aril_bytes recipient, const uint8_t *rand, uint8_t *ret_enc,
                                uint8_t *ret_ss)
{
    ARILI_DEFER(scoped_key_free) struct scoped_key peer = { c, NULL };
    ARILI_TRY(c->ops->kem_import_public(c->provider, (enum arili_kem)id, recipient, &peer.key));
    return c->ops->kem_encaps(peer.key, rand, ret_enc, arili_hpke_enc_bytes(id), ret_ss);
}

static aril_status ml_kem_decap(const struct arili_hpke_key *key, aril_bytes enc, uint8_t *ret_ss)
{
    return key->crypto->ops->kem_decaps(key->pkey, enc, ret_ss);
}

/* --- X-Wing */
static aril_status xwing_import(struct arili_hpke_key *key, const uint8_t *seed)
{
    return arili_xwing_import(key->crypto, seed, key->public_key, &key->xwing);
}

static aril_status xwing_encap(const struct arili_crypto *c, enum arili_hpke_kem id,
                               aril_bytes recipient, const uint8_t *rand, uint8_t *ret_enc,
                               uint8_t *ret_ss)
{
    (void)id;
    return arili_xwing_encaps(c, recipient, rand, ret_enc, ret_ss);
}

static aril_status xwing_decap(const struct arili_hpke_key *key, aril_bytes enc, uint8_t *ret_ss)
{
    return arili_xwing_decaps(key->xwing, enc, ret_ss);
}

/* --- DHKEM(X25519, HKDF-SHA256), RFC 9180 4.1 and 7.1.3 */
static aril_status dhkem_import(struct arili_hpke_key *key, const uint8_t *seed)
{
    const struct arili_crypto *const c = key->crypto;
    size_t len = 0;
    ARILI_TRY(c->ops->kem_import_seed(c->provider, ARILI_KEM_X25519,
                                      (aril_bytes){ seed, ARILI_X25519_BYTES }, &key->pkey));
    return c->ops->pkey_public(key->pkey, key->public_key, sizeof key->public_key, &len);
}

static aril_status dhkem_derive(const struct arili_crypto *c, enum arili_hpke_kem id,
                                aril_bytes ikm, uint8_t *ret_seed)
{
    const struct kem_suite_id suite = kem_suite_id(id);
    const struct arili_hpke_labels l = { c, ARILI_SHA256, { suite.bytes, sizeof suite.bytes } };
    const aril_bytes none = { NULL, 0 };
    ARILI_DEFER(secret32_wipe) struct secret32 prk;
    ARILI_TRY(arili_hpke_labeled_extract(&l, none, ARILI_LITERAL("dkp_prk"), ikm, prk.bytes));
    return arili_hpke_labeled_expand(&l, prk.bytes, ARILI_LITERAL("sk"), none, ret_seed,
                                     ARILI_X25519_BYTES);
}

/* ExtractAndExpand(DH(key, peer), enc || recipient). */
static aril_status dhkem_secret(const struct arili_crypto *c, const struct arili_pkey *key,
                                aril_bytes peer_public, aril_bytes enc, aril_bytes recipient,
                                uint8_t *ret_ss)
{
    const struct kem_suite_id suite = kem_suite_id(ARILI_HPKE_X25519);
    const struct arili_hpke_labels l = { c, ARILI_SHA256, { suite.bytes, sizeof suite.bytes } };
    uint8_t context[2 * ARILI_X25519_BYTES];
    memcpy(context, enc.data, ARILI_X25519_BYTES);
    memcpy(context + ARILI_X25519_BYTES, recipient.data, ARILI_X25519_BYTES);

    ARILI_DEFER(scoped_key_free) struct scoped_key peer = { c, NULL };
    ARILI_DEFER(secret32_wipe) struct secret32 dh;
    ARILI_DEFER(secret32_wipe) struct secret32 prk;
    ARILI_TRY(c->ops->kem_import_public(c->provider, ARILI_KEM_X25519, peer_public, &peer.key));
    ARILI_TRY(c->ops->x25519(key, peer.key, dh.bytes));
    ARILI_TRY(arili_hpke_labeled_extract(&l, (aril_bytes){ NULL, 0 }, ARILI_LITERAL("eae_prk"),
                                         (aril_bytes){ dh.bytes, sizeof dh.bytes }, prk.bytes));
    return arili_hpke_labeled_expand(&l, prk.bytes, ARILI_LITERAL("shared_secret"),
                                     (aril_bytes){ context, sizeof context }, ret_ss,
                                     ARILI_HPKE_SHARED_BYTES);
}

static aril_status dhkem_encap(const struct arili_crypto *c, enum arili_hpke_kem id,
                               aril_bytes recipient, const uint8_t *rand, uint8_t *ret_enc,
                               uint8_t *ret_ss)
{
    ARILI_DEFER(secret32_wipe) struct secret32 ikm;
    ARILI_DEFER(secret32_wipe) struct secret32 seed;
    ARILI_DEFER(scoped_key_free) struct scoped_key ephemeral = { c, NULL };
    uint8_t enc[ARILI_X25519_BYTES];
    size_t len = 0;
    if (rand != NULL) {
        memcpy(ikm.bytes, rand, sizeof ikm.bytes);
    } else {
        ARILI_TRY(c->ops->random(c->provider, ikm.bytes, sizeof ikm.bytes));
    }
    ARILI_TRY(dhkem_derive(c, id, (aril_bytes){ ikm.bytes, sizeof ikm.bytes }, seed.bytes));
    ARILI_TRY(c->ops->kem_import_seed(c->provider, ARILI_KEM_X25519,
                                      (aril_bytes){ seed.bytes, sizeof seed.bytes },
                                      &ephemeral.key));
    ARILI_TRY(c->ops->pkey_public(ephemeral.key, enc, sizeof enc, &len));
    ARILI_TRY(dhkem_secret(c, ephemeral.key, recipient, (aril_bytes){ enc, sizeof enc }, recipient,
                           ret_ss));
    memcpy(ret_enc, enc, sizeof enc);
    return ARIL_OK;
}

static aril_status dhkem_decap(const struct arili_hpke_key *key, aril_bytes enc, uint8_t *ret_ss)
{
    return dhkem_secret(key->crypto, key->pkey, enc, enc,
                        (aril_bytes){ key->public_key, ARILI_X25519_BYTES }, ret_ss);
}

static const struct arili_hpke_kem_ops kems[] = {
    { ARILI_HPKE_X_WING, ARILI_XWING_SEED_BYTES, ARILI_XWING_PUBLIC_BYTES, ARILI_XWING_CT_BYTES,
      ARILI_XWING_ENCAPS_RAND_BYTES, xwing_import, derive_shake256, xwing_encap, xwing_decap },
    { ARILI_HPKE_ML_KEM_768, ARILI_ML_KEM_SEED_BYTES, ARILI_ML_KEM_768_PUBLIC_BYTES,
      ARILI_ML_KEM_768_CT_BYTES, ARILI_ML_KEM_ENCAPS_RAND_BYTES, ml_kem_import, derive_shake256,
      ml_kem_encap, ml_kem_decap },
    { ARILI_HPKE_ML_KEM_1024, ARILI_ML_KEM_SEED_BYTES, ARILI_ML_KEM_1024_PUBLIC_BYTES,
      ARILI_ML_KEM_1024_CT_BYTES, ARILI_ML_KEM_ENCAPS_RAND_BYTES, ml_kem_import, derive_shake256,
      ml_kem_encap, ml_kem_decap },
    { ARILI_HPKE_X25519, ARILI_X25519_BYTES, ARILI_X25519_BYTES, ARILI_X25519_BYTES,
      ARILI_X25519_BYTES, dhkem_import, dhkem_derive, dhkem_encap, dhkem_decap },
};

const struct arili_hpke_kem_ops *arili_hpke_kem(enum arili_hpke_kem kem)
{
    for (size_t i = 0; i < sizeof kems / sizeof *kems; i++) {
        if (kems[i].id == kem) {
            return &kems[i];
        }
    }
    return NULL;
}
