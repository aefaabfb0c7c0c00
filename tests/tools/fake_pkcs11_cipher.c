/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake module does instead of AES-GCM: a toy that notices changes, which is all that
 * tests of the calls around it need. */
#include "fake_pkcs11_internal.h"

#define TAG_BYTES 16u
#define IV_BYTES  12u

static uint64_t mix(uint64_t h, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        h = (h ^ bytes[i]) * UINT64_C(1099511628211);
        h ^= h >> 29;
    }
    return h;
}

static uint64_t seed_of(const struct operation *op, uint64_t salt)
{
    uint64_t h = mix(salt, fake_object_of(op->key)->key, KEY_BYTES);
    h = mix(h, op->params.pIv, op->params.ulIvLen);
    return mix(h, op->params.pAAD, op->params.ulAADLen);
}

static void stream(const struct operation *op, const unsigned char *in, size_t len,
                   unsigned char *out)
{
    uint64_t h = seed_of(op, 1);
    for (size_t i = 0; i < len; i++) {
        h = h * UINT64_C(6364136223846793005) + 1442695040888963407u;
        out[i] = (unsigned char)(in[i] ^ (h >> 56));
    }
}

static void tag_of(const struct operation *op, const unsigned char *body, size_t len,
                   unsigned char tag[TAG_BYTES])
{
    for (size_t half = 0; half < 2; half++) {
        const uint64_t h = mix(seed_of(op, 2 + half), body, len);
        memcpy(tag + 8 * half, &h, sizeof h);
    }
}

static CK_RV begin(CK_SESSION_HANDLE handle, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                   bool encrypts)
{
    const CK_RV rv = fake_usable(handle);
    if (rv != CKR_OK) {
        return rv;
    }
    struct session *s = fake_session_of(handle);
    struct operation *op = encrypts ? &s->encrypts : &s->decrypts;
    if (op->active) {
        return CKR_OPERATION_ACTIVE;
    }
    if (mechanism->mechanism != CKM_AES_GCM || mechanism->ulParameterLen != sizeof op->params) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    memcpy(&op->params, mechanism->pParameter, sizeof op->params);
    if (op->params.ulIvLen != IV_BYTES || op->params.ulTagBits != 8 * TAG_BYTES) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    op->key = key;
    op->active = fake_object_of(key) != NULL;
    return op->active ? CKR_OK : CKR_KEY_HANDLE_INVALID;
}

static CK_RV do_encrypt(CK_SESSION_HANDLE handle, const unsigned char *in, CK_ULONG len,
                        unsigned char *out, CK_ULONG *out_len)
{
    const CK_RV rv = fake_usable(handle);
    if (rv != CKR_OK) {
        return rv;
    }
    struct operation *op = &fake_session_of(handle)->encrypts;
    if (!op->active) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (*out_len < len + TAG_BYTES) {
        *out_len = len + TAG_BYTES;
        return CKR_BUFFER_TOO_SMALL;
    }
    op->active = false;
    for (size_t i = 0; fake->is.own_iv && i < op->params.ulIvLen; i++) {
        op->params.pIv[i] = fake_random_byte();
    }
    stream(op, in, len, out);
    tag_of(op, out, len, out + len);
    *out_len = fake->is.long_output ? 1000000 : len + TAG_BYTES;
    return CKR_OK;
}

static CK_RV do_decrypt(CK_SESSION_HANDLE handle, const unsigned char *in, CK_ULONG len,
                        unsigned char *out, CK_ULONG *out_len)
{
    const CK_RV rv = fake_usable(handle);
    if (rv != CKR_OK) {
        return rv;
    }
    struct operation *op = &fake_session_of(handle)->decrypts;
    if (!op->active) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    op->active = false;
    unsigned char tag[TAG_BYTES];
    if (len < TAG_BYTES || *out_len < len - TAG_BYTES) {
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    }
    tag_of(op, in, len - TAG_BYTES, tag);
    if (memcmp(tag, in + len - TAG_BYTES, TAG_BYTES) != 0) {
        return CKR_ENCRYPTED_DATA_INVALID;
    }
    stream(op, in, len - TAG_BYTES, out);
    out[0] = (unsigned char)(out[0] ^ (fake->is.garbles ? 1 : 0));
    *out_len = fake->is.long_output ? 1000000 : len - TAG_BYTES;
    return CKR_OK;
}

CK_RV fake_c_encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CALL("C_EncryptInit", begin(s, mechanism, key, true));
}

CK_RV fake_c_encrypt(CK_SESSION_HANDLE s, unsigned char *in, CK_ULONG len, unsigned char *out,
                     CK_ULONG *out_len)
{
    CALL("C_Encrypt", do_encrypt(s, in, len, out, out_len));
}

CK_RV fake_c_decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CALL("C_DecryptInit", begin(s, mechanism, key, false));
}

CK_RV fake_c_decrypt(CK_SESSION_HANDLE s, unsigned char *in, CK_ULONG len, unsigned char *out,
                     CK_ULONG *out_len)
{
    CALL("C_Decrypt", do_decrypt(s, in, len, out, out_len));
}

static CK_RV do_generate_random(CK_SESSION_HANDLE handle, unsigned char *ret, CK_ULONG len)
{
    if (fake->is.no_rng) {
        return CKR_RANDOM_NO_RNG;
    }
    for (CK_ULONG i = 0; i < len; i++) {
        ret[i] = fake_random_byte();
    }
    return fake_session_of(handle) != NULL ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

CK_RV fake_c_generate_random(CK_SESSION_HANDLE handle, unsigned char *ret, CK_ULONG len)
{
    CALL("C_GenerateRandom", do_generate_random(handle, ret, len));
}
