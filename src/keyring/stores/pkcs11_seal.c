/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/pkcs11_internal.h"
#if ARILI_P11_BUILT
#include "base/mem.h"
#include "crypto/runtime.h"
#include <string.h>

#define BODY_BYTES (ARILI_STORE_SECRET_BYTES + ARILI_P11_TAG_BYTES)
/* Modules are told of more room than they need: some check it before they know the length. */
#define ROOM_BYTES (BODY_BYTES + 32u)
#define IV_AT      ARILI_P11_HEADER_BYTES
#define BODY_AT    (IV_AT + ARILI_P11_IV_BYTES)
_Static_assert(ARILI_P11_BLOB_BYTES <= ARILI_STORE_BLOB_BYTES_MAX, "a blob has a maximum");

static const uint8_t header[ARILI_P11_HEADER_BYTES] = { 'P', '1', '1', 1 };

/* One sealing or unsealing; wiped at its end. */
struct work {
    const struct arili_store_place *place;
    uint8_t blob[ARILI_P11_BLOB_BYTES];
    uint8_t secret[ARILI_STORE_SECRET_BYTES];

    CK_BYTE iv[ARILI_P11_IV_BYTES];
    CK_BYTE aad[ARILI_STORE_SLOT_BYTES + ARILI_STORE_BINDING_BYTES + ARILI_P11_HEADER_BYTES];
    CK_BYTE in[ROOM_BYTES], out[ROOM_BYTES];
};

static void work_wipe(struct work *w)
{
    arili_wipe(w, sizeof *w);
}

/* AES-256-GCM (SP 800-38D) with everything that the blob stands for in the associated data. The
 * parameters point into w. */
static CK_GCM_PARAMS gcm(struct work *w)
{
    const struct arili_store_place *place = w->place;
    memcpy(w->aad, place->slot, sizeof place->slot);
    memcpy(w->aad + sizeof place->slot, place->binding, sizeof place->binding);
    memcpy(w->aad + sizeof place->slot + sizeof place->binding, header, sizeof header);
    return (CK_GCM_PARAMS){ .pIv = w->iv,
                            .ulIvLen = sizeof w->iv,
                            .ulIvBits = 8 * sizeof w->iv,
                            .pAAD = w->aad,
                            .ulAADLen = sizeof w->aad,
                            .ulTagBits = 8 * ARILI_P11_TAG_BYTES };
}

/* Random IVs of 96 bits are safe here: a key belongs to one slot and encrypts its one secret a
 * few times at most, far from the 2^32 of SP 800-38D 8.3. The token's generator and the system's
 * are mixed, so one good one is enough, and a token without one works. */
static aril_status draw_iv(struct arili_p11 *s, uint8_t ret[ARILI_P11_IV_BYTES], aril_error *error)
{
    const struct arili_crypto *c = &s->rt->crypto;
    const aril_status st = c->ops->random(c->provider, ret, ARILI_P11_IV_BYTES);
    if (st != ARIL_OK) {
        return arili_p11_refuse(s, st, aril_status_text(st), error);
    }
    CK_BYTE of_token[ARILI_P11_IV_BYTES] = { 0 };
    const CK_RV rv = s->f->C_GenerateRandom(s->session, of_token, sizeof of_token);
    if (rv != CKR_OK && rv != CKR_RANDOM_NO_RNG && rv != CKR_FUNCTION_NOT_SUPPORTED) {
        return arili_p11_failed(s, "draw random bytes", rv, error);
    }
    for (size_t i = 0; i < ARILI_P11_IV_BYTES; i++) {
        ret[i] = (uint8_t)(ret[i] ^ of_token[i]);
    }
    return ARIL_OK;
}

/* w->blob to w->secret under one key. */
static aril_status decrypt(struct arili_p11 *s, CK_OBJECT_HANDLE key, struct work *w,
                           aril_error *error)
{
    memcpy(w->iv, w->blob + IV_AT, sizeof w->iv);
    memcpy(w->in, w->blob + BODY_AT, BODY_BYTES);
    CK_GCM_PARAMS params = gcm(w);
    CK_MECHANISM mechanism = { CKM_AES_GCM, &params, sizeof params };
    CK_RV rv = s->f->C_DecryptInit(s->session, &mechanism, key);
    if (rv != CKR_OK) {
        return arili_p11_failed(s, "begin to decrypt", rv, error);
    }
    CK_ULONG len = sizeof w->out;
    rv = s->f->C_Decrypt(s->session, w->in, BODY_BYTES, w->out, &len);
    if (rv != CKR_OK && arili_p11_rv_is_device(rv)) {
        return arili_p11_failed(s, "decrypt", rv, error);
    }
    if (rv != CKR_OK) {
        /* Tokens tell of a wrong tag with codes of all kinds, CKR_GENERAL_ERROR for one. */
        return arili_p11_refuse(s, ARIL_E_AUTH,
                                "what was sealed was changed, or belongs to another keyring; "
                                "restore the keyring's file from its backup",
                                error);
    }
    if (len != ARILI_STORE_SECRET_BYTES) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE,
                                "the token decrypted to a wrong length; do not trust its module",
                                error);
    }
    memcpy(w->secret, w->out, sizeof w->secret);
    return ARIL_OK;
}

/* w->secret to w->blob under one key. */
static aril_status encrypt(struct arili_p11 *s, CK_OBJECT_HANDLE key, struct work *w,
                           aril_error *error)
{
    ARILI_TRY(draw_iv(s, w->iv, error));
    memcpy(w->in, w->secret, sizeof w->secret);
    CK_GCM_PARAMS params = gcm(w);
    CK_MECHANISM mechanism = { CKM_AES_GCM, &params, sizeof params };
    CK_RV rv = s->f->C_EncryptInit(s->session, &mechanism, key);
    if (rv != CKR_OK) {
        return arili_p11_failed(s, "begin to encrypt", rv, error);
    }
    CK_ULONG len = sizeof w->out;
    rv = s->f->C_Encrypt(s->session, w->in, sizeof w->secret, w->out, &len);
    if (rv != CKR_OK) {
        return arili_p11_failed(s, "encrypt", rv, error);
    }
    if (len != BODY_BYTES) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE,
                                "the token encrypted to a wrong length; do not trust its module",
                                error);
    }
    memcpy(w->blob, header, sizeof header);
    /* Read after the encryption: tokens in FIPS mode put an IV of their own there. */
    memcpy(w->blob + IV_AT, w->iv, sizeof w->iv);
    memcpy(w->blob + BODY_AT, w->out, BODY_BYTES);
    return ARIL_OK;
}

/* Nothing else opens the keyring, so what the token made is opened once before it counts. */
static aril_status prove(struct arili_p11 *s, CK_OBJECT_HANDLE key, struct work *w,
                         aril_error *error)
{
    uint8_t wanted[ARILI_STORE_SECRET_BYTES];
    memcpy(wanted, w->secret, sizeof wanted);
    const aril_status st = decrypt(s, key, w, error);
    const bool same = st == ARIL_OK && arili_equal_ct(wanted, w->secret, sizeof wanted);
    memcpy(w->secret, wanted, sizeof wanted); /* a second run begins with it again */
    arili_wipe(wanted, sizeof wanted);
    if (st == ARIL_E_AUTH || (st == ARIL_OK && !same)) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE,
                                "the token does not decrypt what it encrypted; use another one",
                                error);
    }
    return st;
}

static aril_status seal_job(struct arili_p11 *s, void *arg, aril_error *error)
{
    struct work *w = arg;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    ARILI_TRY(arili_p11_key_for_sealing(s, w->place->slot, &key, error));
    ARILI_TRY(encrypt(s, key, w, error));
    return prove(s, key, w, error);
}

static aril_status unseal_job(struct arili_p11 *s, void *arg, aril_error *error)
{
    struct work *w = arg;
    struct arili_p11_keys keys;
    ARILI_TRY(arili_p11_keys_find(s, w->place->slot, &keys, error));
    if (keys.count == 0) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE_WRONG,
                                "has no key for what was sealed: it was destroyed, or this is "
                                "another token; use the token that the keyring was made with",
                                error);
    }
    aril_status st = ARIL_E_AUTH;
    for (CK_ULONG i = 0; i < keys.count && st == ARIL_E_AUTH; i++) {
        st = decrypt(s, keys.handles[i], w, error);
    }
    return st;
}

aril_status arili_p11_seal(struct arili_p11 *s, const struct arili_store_place *place,
                           const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                           uint8_t ret_blob[ARILI_P11_BLOB_BYTES], aril_error *error)
{
    ARILI_DEFER(work_wipe) struct work w = { .place = place };
    memcpy(w.secret, secret, sizeof w.secret);
    ARILI_TRY(arili_p11_run(s, seal_job, &w, error));
    memcpy(ret_blob, w.blob, sizeof w.blob);
    return ARIL_OK;
}

/* Which statuses a blob gets that cannot be one of this backend. */
static aril_status check_form(aril_bytes blob)
{
    ARILI_ENSURE(blob.len >= sizeof header, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(memcmp(blob.data, header, sizeof header - 1) == 0, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(blob.data[sizeof header - 1] == header[sizeof header - 1], ARIL_E_FORMAT_VERSION);
    ARILI_ENSURE(blob.len >= ARILI_P11_BLOB_BYTES, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(blob.len == ARILI_P11_BLOB_BYTES, ARIL_E_FORMAT_LENGTH);
    return ARIL_OK;
}

aril_status arili_p11_unseal(struct arili_p11 *s, const struct arili_store_place *place,
                             aril_bytes blob, uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                             aril_error *error)
{
    /* Before the token is asked: no PIN is tried for what cannot open. */
    const aril_status form = check_form(blob);
    if (form != ARIL_OK) {
        return arili_p11_refuse(s, form,
                                "what was sealed is not of a PKCS#11 token; open the keyring with "
                                "the keystore that it was made with",
                                error);
    }
    ARILI_DEFER(work_wipe) struct work w = { .place = place };
    memcpy(w.blob, blob.data, sizeof w.blob);
    ARILI_TRY(arili_p11_run(s, unseal_job, &w, error));
    memcpy(ret_secret, w.secret, sizeof w.secret);
    return ARIL_OK;
}

#endif
