/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/keys.h"
#include "base/ensure.h"
#include "base/files.h"
#include "crypto/runtime.h"
#include "format/keyfile.h"
#include <string.h>

#define SHOWN_PATH_CHARS 120u /* leaves room for the words in a message */

_Static_assert(ARIL_PUBLIC_PEM_BYTES_MAX == ARILI_PEM_BYTES(sizeof ARILI_KEYFILE_LABEL_PUBLIC - 1,
                                                            (size_t)ARILI_KEYFILE_SPKI_BYTES_MAX) +
                                                1,
               "the longest public key and its NUL");

/* What is done with one foreign public key. */
struct imported {
    const struct arili_crypto *crypto;
    struct arili_pkey *key;
};

static void imported_done(struct imported *imported)
{
    if (imported->key != NULL) {
        imported->crypto->ops->pkey_free(imported->key);
    }
}

static aril_status import(aril_runtime *rt, aril_sign_alg alg, aril_bytes public_key,
                          struct imported *ret)
{
    ret->crypto = &rt->crypto;
    return ret->crypto->ops->sign_import_public(ret->crypto->provider, (int)alg, public_key,
                                                &ret->key);
}

aril_status arili_check_public(aril_sign_alg alg, aril_bytes public_key)
{
    ARILI_ENSURE(public_key.data != NULL || public_key.len == 0, ARIL_E_USAGE_NULL);
    const size_t len = arili_sign_public_bytes((int)alg);
    ARILI_ENSURE(len != 0 && public_key.len == len, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

aril_status arili_check_message(aril_bytes context, aril_bytes message)
{
    ARILI_ENSURE(context.data != NULL || context.len == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(message.data != NULL || message.len == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(context.len <= ARIL_SIGN_CONTEXT_BYTES_MAX, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

aril_status arili_file_failed(aril_error *error, const char *path, aril_status st,
                              const char *words)
{
    const size_t len = strlen(path);
    const char *shown = len <= SHOWN_PATH_CHARS ? path : path + (len - SHOWN_PATH_CHARS);
    return arili_error_set(error, st, "%s: %s", shown, words);
}

aril_status arili_key_hash(aril_runtime *rt, aril_bytes public_key, struct arili_key_hash *ret)
{
    return rt->crypto.ops->hash(rt->crypto.provider, ARILI_SHA3_256, &public_key, 1, ret->bytes);
}

aril_status aril_signature_verify(aril_runtime *rt, aril_sign_alg alg, aril_bytes public_key,
                                  aril_bytes context, aril_bytes message, aril_bytes sig)
{
    ARILI_ENSURE(rt != NULL && (sig.data != NULL || sig.len == 0), ARIL_E_USAGE_NULL);
    ARILI_TRY(arili_check_public(alg, public_key));
    ARILI_TRY(arili_check_message(context, message));
    /* Also refuses the 3293 bytes of the drafts before FIPS 204. */
    ARILI_ENSURE(sig.len == arili_sign_signature_bytes((int)alg), ARIL_E_AUTH);
    ARILI_DEFER(imported_done) struct imported signer = { 0 };
    ARILI_TRY(import(rt, alg, public_key, &signer));
    return rt->crypto.ops->verify(signer.key, context, message, sig);
}

aril_status aril_identity_public_pem(aril_runtime *rt, aril_sign_alg alg, aril_bytes public_key,
                                     char *ret_pem, size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(rt != NULL && ret_len != NULL && (ret_pem != NULL || cap == 0), ARIL_E_USAGE_NULL);
    ARILI_TRY(arili_check_public(alg, public_key));
    uint8_t der[ARILI_KEYFILE_SPKI_BYTES_MAX];
    size_t der_len = 0;
    ARILI_TRY(arili_spki_write((int)alg, public_key, der, sizeof der, &der_len));
    ARILI_ENSURE(cap > 0, ARIL_E_USAGE_TOO_SMALL);
    size_t len = 0;
    ARILI_TRY(arili_pem_write(ARILI_KEYFILE_LABEL_PUBLIC, (aril_bytes){ der, der_len }, ret_pem,
                              cap - 1, &len));
    ret_pem[len] = '\0';
    *ret_len = len;
    return ARIL_OK;
}

static const char *public_problem(aril_status st)
{
    switch (st) {
    case ARIL_E_FORMAT_KIND:
        return "holds no public key of ML-DSA-65 or -87; write one with "
               "'aril identity show FILE --pem'";
    case ARIL_E_FORMAT_TRUNCATED:
        return "ends too early; fetch the public key again";
    default:
        return "is not one PEM block \"PUBLIC KEY\" of an ML-DSA key and nothing else; fetch the "
               "public key again";
    }
}

struct public_key {
    uint8_t der[ARILI_KEYFILE_SPKI_BYTES_MAX];
    int alg;
    aril_bytes bytes; /* in der */
};

static aril_status parse_public(aril_runtime *rt, aril_bytes text, struct public_key *ret)
{
    size_t len = 0;
    ARILI_TRY(arili_pem_parse(text, ARILI_KEYFILE_LABEL_PUBLIC, ret->der, sizeof ret->der, &len));
    ARILI_TRY(arili_spki_parse((aril_bytes){ ret->der, len }, &ret->alg, &ret->bytes));
    ARILI_DEFER(imported_done) struct imported key = { 0 };
    return import(rt, (aril_sign_alg)ret->alg, ret->bytes, &key);
}

aril_status aril_public_key_load(aril_runtime *rt, const char *path, aril_sign_alg *ret_alg,
                                 uint8_t *ret_public, size_t cap, size_t *ret_len,
                                 aril_error *error)
{
    ARILI_ENSURE(rt != NULL && path != NULL && ret_alg != NULL && ret_len != NULL &&
                     (ret_public != NULL || cap == 0),
                 ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    aril_status st = arili_file_read(path, ARILI_KEYFILE_PEM_BYTES_MAX, 0, &file, error);
    if (st == ARIL_E_LIMIT) {
        return arili_file_failed(error, path, ARIL_E_FORMAT_LENGTH,
                                 "is longer than any public key; name the file of the key");
    }
    ARILI_TRY(st);
    struct public_key key;
    st = parse_public(rt, (aril_bytes){ file.data, file.len }, &key);
    if (st != ARIL_OK) {
        const bool format = aril_status_class(st) == ARIL_E_FORMAT;
        return arili_file_failed(error, path, st,
                                 format ? public_problem(st) : aril_status_text(st));
    }
    ARILI_ENSURE(key.bytes.len <= cap, ARIL_E_USAGE_TOO_SMALL);
    memcpy(ret_public, key.bytes.data, key.bytes.len);
    *ret_alg = (aril_sign_alg)key.alg;
    *ret_len = key.bytes.len;
    return ARIL_OK;
}
