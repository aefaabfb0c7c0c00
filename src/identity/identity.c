/* SPDX-License-Identifier: Apache-2.0 */
#include <aril/identity.h>
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include "format/keyfile.h"
#include "identity/keys.h"
#include <string.h>

/* In a secure cell. */
struct secret {
    uint8_t seed[ARILI_ML_DSA_SEED_BYTES];
};
_Static_assert(sizeof(struct secret) <= ARILI_SECURE_CELL_BYTES, "a cell holds the secret");
_Static_assert(ARILI_KEYFILE_SEED_BYTES == ARILI_ML_DSA_SEED_BYTES, "one seed");

struct aril_identity {
    aril_runtime *rt;
    aril_sign_alg alg;
    struct secret *secret;
    struct arili_pkey *key;
    size_t public_len;
    uint8_t public_key[ARIL_SIGN_PUBLIC_BYTES_MAX];
};

void arili_identity_freep(aril_identity **identity)
{
    aril_identity_free(*identity);
}

/* Without a seed: fill secret->seed, then call identity_expand(). */
static aril_status identity_new(aril_runtime *rt, aril_sign_alg alg, aril_identity **ret)
{
    ARILI_TRY(arili_runtime_check(rt));
    ARILI_DEFER(arili_identity_freep) aril_identity *id = arili_alloc(sizeof *id);
    ARILI_ENSURE(id != NULL, ARIL_E_NOMEM);
    id->rt = rt;
    id->alg = alg;
    id->secret = arili_secure_take(rt->secure);
    ARILI_ENSURE(id->secret != NULL, ARIL_E_NOMEM);
    *ret = ARILI_TAKE(id);
    return ARIL_OK;
}

static aril_status identity_expand(aril_identity *id)
{
    const struct arili_crypto *c = &id->rt->crypto;
    const aril_bytes seed = { id->secret->seed, sizeof id->secret->seed };
    ARILI_TRY(c->ops->sign_import_seed(c->provider, (int)id->alg, seed, &id->key));
    ARILI_TRY(c->ops->pkey_public(id->key, id->public_key, sizeof id->public_key, &id->public_len));
    ARILI_ENSURE(id->public_len == arili_sign_public_bytes((int)id->alg), ARIL_E_CRYPTO);
    return ARIL_OK;
}

static bool forked(const aril_identity *id)
{
    return arili_secure_forked(id->rt->secure);
}

aril_status aril_identity_generate(aril_runtime *rt, aril_sign_alg alg,
                                   aril_identity **ret_identity)
{
    ARILI_ENSURE(rt != NULL && ret_identity != NULL, ARIL_E_USAGE_NULL);
    *ret_identity = NULL;
    ARILI_ENSURE(arili_sign_public_bytes((int)alg) != 0, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(arili_identity_freep) aril_identity *id = NULL;
    ARILI_TRY(identity_new(rt, alg, &id));
    ARILI_TRY(
        rt->crypto.ops->random(rt->crypto.provider, id->secret->seed, sizeof id->secret->seed));
    ARILI_TRY(identity_expand(id));
    *ret_identity = ARILI_TAKE(id);
    return ARIL_OK;
}

aril_status arili_identity_from_seed(aril_runtime *rt, aril_sign_alg alg,
                                     const uint8_t seed[ARILI_IDENTITY_SEED_BYTES],
                                     aril_identity **ret_identity)
{
    ARILI_DEFER(arili_identity_freep) aril_identity *id = NULL;
    ARILI_TRY(identity_new(rt, alg, &id));
    memcpy(id->secret->seed, seed, sizeof id->secret->seed);
    ARILI_TRY(identity_expand(id));
    *ret_identity = ARILI_TAKE(id);
    return ARIL_OK;
}

void aril_identity_free(aril_identity *identity)
{
    if (identity == NULL) {
        return;
    }
    aril_runtime *rt = identity->rt;
    if (identity->key != NULL) {
        rt->crypto.ops->pkey_free(identity->key);
    }
    arili_secure_give(rt->secure, identity->secret);
    arili_free(identity, sizeof *identity);
}

/* The DER of a private key file, on the heap to keep the stack small. */
struct der {
    uint8_t bytes[ARILI_KEYFILE_DER_BYTES_MAX];
};

static void der_freep(struct der **der)
{
    arili_free(*der, sizeof **der);
}

/* What a key file is not, in words; status and path are the caller's. */
static const char *key_problem(aril_status st)
{
    switch (st) {
    case ARIL_E_FORMAT_KIND:
        return "holds no ML-DSA-65 or -87 key with its seed (an expanded key alone is not "
               "enough); make one with 'aril identity new', or export this one with its seed";
    case ARIL_E_FORMAT_VERSION:
        return "is PKCS#8 of another version than 0; export the key again without its public key";
    case ARIL_E_FORMAT_TRUNCATED:
        return "ends too early; restore the key file from its backup";
    default:
        return "is not one PEM block \"PRIVATE KEY\" of an ML-DSA key and nothing else; restore "
               "the key file from its backup";
    }
}

static aril_status key_failed(aril_error *error, const char *path, aril_status st)
{
    const bool format = aril_status_class(st) == ARIL_E_FORMAT;
    return arili_file_failed(error, path, st, format ? key_problem(st) : aril_status_text(st));
}

static aril_status identity_from_text(aril_runtime *rt, aril_bytes text, aril_identity **ret)
{
    ARILI_DEFER(der_freep) struct der *der = arili_alloc(sizeof *der);
    ARILI_ENSURE(der != NULL, ARIL_E_NOMEM);
    size_t len = 0;
    ARILI_TRY(
        arili_pem_parse(text, ARILI_KEYFILE_LABEL_PRIVATE, der->bytes, sizeof der->bytes, &len));
    struct arili_keyfile file;
    ARILI_TRY(arili_pkcs8_parse((aril_bytes){ der->bytes, len }, &file));

    ARILI_DEFER(arili_identity_freep) aril_identity *id = NULL;
    ARILI_TRY(arili_identity_from_seed(rt, (aril_sign_alg)file.alg, file.seed.data, &id));
    if (file.expanded.len > 0) {
        ARILI_TRY(rt->crypto.ops->sign_check_expanded(id->key, file.expanded));
    }
    *ret = ARILI_TAKE(id);
    return ARIL_OK;
}

/* arili_file_read() of a key file: what is too long for one is no key file. */
static aril_status read_key_file(const char *path, unsigned checks, struct arili_file *ret,
                                 aril_error *error)
{
    const aril_status st = arili_file_read(path, ARILI_KEYFILE_PEM_BYTES_MAX, checks, ret, error);
    if (st == ARIL_E_LIMIT) {
        return arili_file_failed(error, path, ARIL_E_FORMAT_LENGTH,
                                 "is longer than any key file; name the file of the key");
    }
    return st;
}

aril_status aril_identity_load(aril_runtime *rt, const char *path, aril_identity **ret_identity,
                               aril_error *error)
{
    ARILI_ENSURE(rt != NULL && path != NULL && ret_identity != NULL, ARIL_E_USAGE_NULL);
    *ret_identity = NULL;
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(read_key_file(path, ARILI_FILE_SECRET, &file, error));
    const aril_status st =
        identity_from_text(rt, (aril_bytes){ file.data, file.len }, ret_identity);
    return st == ARIL_OK ? st : key_failed(error, path, st);
}

struct seed_text {
    uint8_t der[ARILI_KEYFILE_SEED_DER_BYTES];
    char pem[ARILI_KEYFILE_SEED_PEM_BYTES];
};

static void seed_text_wipe(struct seed_text *text)
{
    arili_wipe(text, sizeof *text);
}

aril_status aril_identity_save(const aril_identity *identity, const char *path, aril_error *error)
{
    ARILI_ENSURE(identity != NULL && path != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(seed_text_wipe) struct seed_text text;
    arili_pkcs8_write((int)identity->alg, identity->secret->seed, text.der);
    if (forked(identity)) {
        return key_failed(error, path, ARIL_E_FORKED);
    }
    size_t len = 0;
    ARILI_TRY(arili_pem_write(ARILI_KEYFILE_LABEL_PRIVATE,
                              (aril_bytes){ text.der, sizeof text.der }, text.pem, sizeof text.pem,
                              &len));
    return arili_file_write(path, (aril_bytes){ (const uint8_t *)text.pem, len },
                            ARILI_FILE_MODE_PRIVATE, false, error);
}

aril_sign_alg aril_identity_alg(const aril_identity *identity)
{
    return identity->alg;
}

aril_bytes aril_identity_public(const aril_identity *identity)
{
    return (aril_bytes){ identity->public_key, identity->public_len };
}

aril_status aril_identity_sign(const aril_identity *identity, aril_bytes context,
                               aril_bytes message, uint8_t *ret_sig, size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(identity != NULL && ret_len != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(ret_sig != NULL || cap == 0, ARIL_E_USAGE_NULL);
    ARILI_TRY(arili_check_message(context, message));
    const size_t len = arili_sign_signature_bytes((int)identity->alg);
    ARILI_ENSURE(len <= cap, ARIL_E_USAGE_TOO_SMALL);
    ARILI_ENSURE(!arili_overlap(ret_sig, len, message.data, message.len) &&
                     !arili_overlap(ret_sig, len, context.data, context.len),
                 ARIL_E_USAGE_OVERLAP);
    ARILI_ENSURE(!forked(identity), ARIL_E_FORKED);
    ARILI_TRY(identity->rt->crypto.ops->sign(identity->key, context, message, false, ret_sig, len));
    *ret_len = len;
    return ARIL_OK;
}
