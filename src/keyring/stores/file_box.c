/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/file.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include "crypto/xaes.h"
#include <string.h>

#define SHOWN_PATH_CHARS 120u /* leaves room for the words in a message */
#define HEAD_BYTES_MAX   128u
#define LABEL            "aril keystore file v1"

_Static_assert(ARILI_BOX_NONCE_BYTES == ARILI_XAES_NONCE_BYTES, "one nonce");
_Static_assert(ARILI_KEY_BLOB_BYTES <= ARILI_STORE_BLOB_BYTES_MAX, "a blob is short enough");

struct aad {
    size_t len;
    uint8_t bytes[sizeof LABEL - 1 + HEAD_BYTES_MAX + sizeof(struct arili_store_place)];
};

/* head has a fixed length for its kind, which its second byte names. */
static aril_status aad_write(aril_bytes head, const struct arili_store_place *place,
                             struct aad *ret)
{
    struct arili_writer w = arili_writer_init(ret->bytes, sizeof ret->bytes);
    arili_write_bytes(&w, ARILI_LITERAL(LABEL));
    arili_write_bytes(&w, head);
    arili_write_bytes(&w, (aril_bytes){ place->slot, sizeof place->slot });
    arili_write_bytes(&w, (aril_bytes){ place->binding, sizeof place->binding });
    return arili_writer_end(&w, &ret->len);
}

/* A cipher context of the runtime, keyed for one message. */
struct cipher {
    aril_runtime *rt;
    struct arili_context_lease lease;
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
};

static void cipher_done(struct cipher *c)
{
    if (c->lease.ctx != NULL) {
        arili_contexts_put(c->rt->contexts, &c->lease);
    }
}

static aril_status cipher_init(struct cipher *c, aril_runtime *rt, const uint8_t *key,
                               const uint8_t *nonce)
{
    c->rt = rt;
    ARILI_TRY(arili_contexts_get(rt->contexts, 0, NULL, &c->lease));
    ARILI_DEFER(arili_xaes_done) struct arili_xaes x = { 0 };
    ARILI_TRY(arili_xaes_init(&rt->crypto, key, &x));
    return arili_xaes_message(&x, nonce, c->lease.ctx, c->nonce);
}

aril_status arili_box_seal(aril_runtime *rt, const uint8_t key[ARILI_AEAD_KEY_BYTES],
                           aril_bytes head, const struct arili_store_place *place,
                           const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                           uint8_t ret[ARILI_BOX_BYTES])
{
    const struct arili_crypto *const c = &rt->crypto;
    struct aad aad;
    ARILI_TRY(aad_write(head, place, &aad));
    uint8_t box[ARILI_BOX_BYTES];
    ARILI_TRY(c->ops->random(c->provider, box, ARILI_BOX_NONCE_BYTES));
    ARILI_DEFER(cipher_done) struct cipher cipher = { 0 };
    ARILI_TRY(cipher_init(&cipher, rt, key, box));
    const aril_bytes plain = { secret, ARILI_STORE_SECRET_BYTES };
    uint8_t *const body = box + ARILI_BOX_NONCE_BYTES;
    ARILI_TRY(c->ops->aead_seal(cipher.lease.ctx, cipher.nonce, (aril_bytes){ aad.bytes, aad.len },
                                &plain, 1, body, body + ARILI_STORE_SECRET_BYTES));
    memcpy(ret, box, sizeof box);
    return ARIL_OK;
}

struct secret {
    uint8_t bytes[ARILI_STORE_SECRET_BYTES];
};

static void secret_wipe(struct secret *secret)
{
    arili_wipe(secret, sizeof *secret);
}

aril_status arili_box_open(aril_runtime *rt, const uint8_t key[ARILI_AEAD_KEY_BYTES],
                           aril_bytes head, const struct arili_store_place *place,
                           const uint8_t box[ARILI_BOX_BYTES],
                           uint8_t ret_secret[ARILI_STORE_SECRET_BYTES])
{
    const struct arili_crypto *const c = &rt->crypto;
    struct aad aad;
    ARILI_TRY(aad_write(head, place, &aad));
    ARILI_DEFER(cipher_done) struct cipher cipher = { 0 };
    ARILI_TRY(cipher_init(&cipher, rt, key, box));
    ARILI_DEFER(secret_wipe) struct secret secret;
    const aril_bytes body = { box + ARILI_BOX_NONCE_BYTES, ARILI_STORE_SECRET_BYTES };
    const aril_span plain = { secret.bytes, sizeof secret.bytes };
    ARILI_TRY(c->ops->aead_open(cipher.lease.ctx, cipher.nonce, (aril_bytes){ aad.bytes, aad.len },
                                body, body.data + body.len, &plain, 1));
    memcpy(ret_secret, secret.bytes, sizeof secret.bytes);
    return ARIL_OK;
}

aril_status arili_key_blob_seal(aril_runtime *rt, const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                const struct arili_store_place *place,
                                const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                                size_t cap, size_t *ret_len)
{
    const uint8_t head[ARILI_KEY_BLOB_HEAD_BYTES] = { ARILI_FILE_BLOB_VERSION,
                                                      ARILI_FILE_BLOB_KEY };
    ARILI_ENSURE(cap >= ARILI_KEY_BLOB_BYTES, ARIL_E_USAGE_TOO_SMALL);
    ARILI_TRY(arili_box_seal(rt, key, (aril_bytes){ head, sizeof head }, place, secret,
                             ret_blob + sizeof head));
    memcpy(ret_blob, head, sizeof head);
    *ret_len = ARILI_KEY_BLOB_BYTES;
    return ARIL_OK;
}

aril_status arili_blob_check(aril_bytes blob, unsigned kind, size_t bytes)
{
    ARILI_ENSURE(blob.len >= ARILI_KEY_BLOB_HEAD_BYTES, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(blob.data[0] == ARILI_FILE_BLOB_VERSION, ARIL_E_FORMAT_VERSION);
    ARILI_ENSURE(blob.data[1] == kind, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(blob.len >= bytes, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(blob.len == bytes, ARIL_E_FORMAT_LENGTH);
    return ARIL_OK;
}

aril_status arili_key_blob_open(aril_runtime *rt, const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                const struct arili_store_place *place, aril_bytes blob,
                                uint8_t ret_secret[ARILI_STORE_SECRET_BYTES])
{
    ARILI_TRY(arili_blob_check(blob, ARILI_FILE_BLOB_KEY, ARILI_KEY_BLOB_BYTES));
    return arili_box_open(rt, key, (aril_bytes){ blob.data, ARILI_KEY_BLOB_HEAD_BYTES }, place,
                          blob.data + ARILI_KEY_BLOB_HEAD_BYTES, ret_secret);
}

/* --- Helpers ---------------------------------------------------------------------------------- */

void arili_file_key_wipe(struct arili_file_key *key)
{
    arili_wipe(key, sizeof *key);
}

static const char *end_of(const char *path, size_t chars)
{
    const size_t len = strlen(path);
    return len <= chars ? path : path + (len - chars);
}

aril_status arili_store_failed(aril_error *error, const char *path, aril_status st,
                               const char *words)
{
    return arili_error_set(error, st, "%s: %s", end_of(path, SHOWN_PATH_CHARS), words);
}

aril_status arili_blob_failed(aril_error *error, const char *path, aril_status st)
{
    switch (aril_status_class(st)) {
    case ARIL_E_AUTH:
        return arili_store_failed(error, path, st,
                                  "what was sealed with it was changed, or belongs to another "
                                  "keyring; restore the keyring from a backup");
    case ARIL_E_FORMAT:
        return arili_store_failed(error, path, st,
                                  "what should open with it was not sealed by this kind of "
                                  "keystore; name the keystore that the keyring was made with");
    default:
        return arili_error_set(error, st, "%s: %s; %s", end_of(path, SHOWN_PATH_CHARS),
                               aril_status_text(st), aril_status_hint(st));
    }
}

aril_status arili_file_path_set(const struct arili_store_options *options,
                                struct arili_file_path *ret, aril_error *error)
{
    const size_t len = strlen(options->rest);
    if (len == 0 || len >= sizeof ret->text) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%.80s: has no path, or one of %u bytes or more; name a file",
                               options->uri, ARILI_FILE_PATH_BYTES);
    }
    memcpy(ret->text, options->rest, len + 1);
    return ARIL_OK;
}

void arili_store_describe(char ret[ARIL_KEYSTORE_TEXT_BYTES], const char *what, const char *path)
{
    const size_t len = strlen(what);
    const char *const shown = end_of(path, ARIL_KEYSTORE_TEXT_BYTES - len - 2);
    memcpy(ret, what, len);
    ret[len] = ' ';
    memcpy(ret + len + 1, shown, strlen(shown) + 1);
}
