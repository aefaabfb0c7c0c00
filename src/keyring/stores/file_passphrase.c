/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/file.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include <string.h>
#include <time.h>

/*
 * passphrase: and passphrase:PATH. The key is Argon2id of a passphrase; a blob says how:
 *
 *     version (1)  kind (1)  memory in KiB (4)  iterations (4)  salt (16)  check (32)
 *     box (136): nonce, body, tag       digest (32)
 *
 * K = Argon2id(passphrase, salt, memory, iterations, 1 lane). check and the key of the box are
 * derived from K; the check commits to the passphrase, so a wrong one is told from a changed
 * blob, and a blob opens with one passphrase alone. All that stands before the box is associated
 * data of it. The digest is over slot, binding and all before it, without a key: a blob that was
 * damaged or belongs elsewhere is known before anybody is asked or anything is computed. It
 * keeps nobody out; the check and the tag do.
 *
 * K is kept in secure memory until the store is closed, the passphrase is not: sealing after
 * unsealing, as the rotation of a root does, neither asks nor computes again.
 */
#define SALT_BYTES   16u
#define CHECK_BYTES  32u
#define DIGEST_BYTES 32u
#define HEAD_BYTES   (2u + 4u + 4u + SALT_BYTES + CHECK_BYTES)
#define SIGNED_BYTES (HEAD_BYTES + ARILI_BOX_BYTES)
#define BLOB_BYTES   (SIGNED_BYTES + DIGEST_BYTES)
_Static_assert(BLOB_BYTES <= ARILI_STORE_BLOB_BYTES_MAX, "a blob is short enough");

#define MEMORY_KIB     65536u /* 64 MiB, as the second choice of RFC 9106 section 4 */
#define ITERATIONS_MIN 3u
#define LANES          1u
/* What a blob may ask for: 1 GiB, and passes over 64 GiB in all, which take a minute or so. */
#define MEMORY_KIB_MIN 8u
#define MEMORY_KIB_MAX (UINT32_C(1) << 20)
#define WORK_KIB_MAX   (UINT64_C(1) << 26)

#define NS_PER_MS UINT64_C(1000000)

struct params {
    uint32_t memory_kib;
    uint32_t iterations;
    uint8_t salt[SALT_BYTES];
};

/* In a secure cell. */
struct derived {
    bool there;
    struct params params;
    uint8_t key[ARILI_AEAD_KEY_BYTES];
};
_Static_assert(sizeof(struct derived) <= ARILI_SECURE_CELL_BYTES, "a cell holds what is derived");

struct state {
    aril_runtime *rt;
    aril_secret_fn *ask; /* NULL: from the file */
    void *user;
    uint32_t argon2_ms;
    uint32_t memory_kib;         /* of new passphrases */
    struct derived *derived;     /* from the passphrase that was right last */
    struct arili_file_path path; /* for asking: what is shown */
};

/* --- The passphrase -------------------------------------------------------------------------- */

struct passphrase {
    size_t len;
    uint8_t bytes[ARIL_SECRET_BYTES_MAX];
};

static void passphrase_freep(struct passphrase **p)
{
    arili_free(*p, sizeof **p);
}

static aril_status from_file(const struct state *s, struct passphrase *ret, aril_error *error)
{
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    aril_status st =
        arili_file_read(s->path.text, ARIL_SECRET_BYTES_MAX + 2, ARILI_FILE_SECRET, &file, error);
    if (st == ARIL_E_NOT_FOUND) {
        return arili_store_failed(error, s->path.text, st,
                                  "is not there; write the passphrase into a file of mode 0600 "
                                  "and give its path");
    }
    ARILI_TRY(st);
    /* Editors end the line. */
    size_t len = file.len;
    len -= len > 0 && file.data[len - 1] == '\n';
    len -= len > 0 && len < file.len && file.data[len - 1] == '\r';
    if (len > sizeof ret->bytes) {
        return arili_store_failed(error, s->path.text, arili_fail(ARIL_E_LIMIT),
                                  "holds more than the 1024 bytes of a passphrase; check the path");
    }
    memcpy(ret->bytes, file.data, len);
    ret->len = len;
    return ARIL_OK;
}

static aril_status from_person(const struct state *s, aril_secret_kind kind, struct passphrase *ret,
                               aril_error *error)
{
    const aril_status st =
        s->ask(s->user, kind, "keyring", ret->bytes, sizeof ret->bytes, &ret->len);
    if (st != ARIL_OK) {
        return arili_error_set(error, st,
                               "passphrase: nobody gave it; run the command on a terminal, or use "
                               "passphrase:PATH");
    }
    return ARIL_OK;
}

static aril_status get_passphrase(const struct state *s, aril_secret_kind kind,
                                  struct passphrase **ret, aril_error *error)
{
    ARILI_DEFER(passphrase_freep) struct passphrase *p = arili_alloc(sizeof *p);
    if (p == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "no memory for a passphrase; give the process more");
    }
    ARILI_TRY(s->ask != NULL ? from_person(s, kind, p, error) : from_file(s, p, error));
    if (p->len == 0 || p->len > sizeof p->bytes) {
        return arili_store_failed(error, s->path.text, arili_fail(ARIL_E_KEYSTORE_SECRET),
                                  "the passphrase is empty or too long; choose one of 1 to 1024 "
                                  "bytes");
    }
    *ret = ARILI_TAKE(p);
    return ARIL_OK;
}

/* --- From the passphrase to keys ---------------------------------------------------------------
 */

static aril_status derive(const struct state *s, const struct passphrase *p, struct derived *d)
{
    const struct arili_crypto *const c = &s->rt->crypto;
    return c->ops->argon2id(c->provider, (aril_bytes){ p->bytes, p->len },
                            (aril_bytes){ d->params.salt, SALT_BYTES }, d->params.memory_kib,
                            d->params.iterations, LANES, d->key, sizeof d->key);
}

static aril_status expand(const struct state *s, const struct derived *d, aril_bytes label,
                          uint8_t ret[32])
{
    const struct arili_crypto *const c = &s->rt->crypto;
    return c->ops->hkdf_expand(c->provider, ARILI_SHA256, (aril_bytes){ d->key, sizeof d->key },
                               label, ret, 32);
}

static aril_status check_of(const struct state *s, const struct derived *d,
                            uint8_t ret[CHECK_BYTES])
{
    return expand(s, d, ARILI_LITERAL("aril passphrase check v1"), ret);
}

static aril_status box_key_of(const struct state *s, const struct derived *d,
                              struct arili_file_key *ret)
{
    return expand(s, d, ARILI_LITERAL("aril passphrase key v1"), ret->bytes);
}

static uint64_t now_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* How often so that it takes argon2_ms on this host, from how long ITERATIONS_MIN took. */
static uint32_t calibrated(const struct state *s, uint64_t took_ns)
{
    const uint64_t want_ns = s->argon2_ms * NS_PER_MS;
    const uint64_t most = WORK_KIB_MAX / s->memory_kib;
    const uint64_t fit = took_ns > 0 ? want_ns * ITERATIONS_MIN / took_ns : most;
    const uint64_t bounded = fit < most ? fit : most;
    return bounded > ITERATIONS_MIN ? (uint32_t)bounded : ITERATIONS_MIN;
}

/* For a new passphrase: salt, calibration, K. */
static aril_status derive_new(const struct state *s, const struct passphrase *p, struct derived *d)
{
    const struct arili_crypto *const c = &s->rt->crypto;
    d->params.memory_kib = s->memory_kib;
    d->params.iterations = ITERATIONS_MIN;
    ARILI_TRY(c->ops->random(c->provider, d->params.salt, SALT_BYTES));
    const uint64_t began_ns = now_ns();
    ARILI_TRY(derive(s, p, d));
    d->params.iterations = calibrated(s, now_ns() - began_ns);
    return d->params.iterations == ITERATIONS_MIN ? ARIL_OK : derive(s, p, d);
}

/* --- The store ---------------------------------------------------------------------------------
 */

/* What is derived on the way; kept only when it was right. */
struct scratch {
    struct arili_secure *secure;
    struct derived *derived;
};

static void scratch_done(struct scratch *x)
{
    arili_secure_give(x->secure, x->derived);
}

static aril_status scratch_init(const struct state *s, struct scratch *ret, aril_error *error)
{
    ret->secure = s->rt->secure;
    ret->derived = arili_secure_take(s->rt->secure);
    return ret->derived != NULL ? ARIL_OK
                                : arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                                                  "no memory for a passphrase; give the process "
                                                  "more");
}

static void keep(struct state *s, const struct scratch *x)
{
    *s->derived = *x->derived;
    s->derived->there = true;
}

static void state_free(struct state *s)
{
    if (s != NULL) {
        arili_secure_give(s->rt->secure, s->derived);
        arili_free(s, sizeof *s);
    }
}

static void state_freep(struct state **s)
{
    state_free(*s);
}

/* Where the passphrase comes from, and for a file that it is there. */
static aril_status set_source(struct state *s, const struct arili_store_options *options,
                              aril_error *error)
{
    if (options->rest[0] == '\0') {
        s->ask = options->ask;
        s->user = options->user;
        memcpy(s->path.text, "passphrase", sizeof "passphrase");
        return s->ask != NULL ? ARIL_OK
                              : arili_error_set(error, arili_fail(ARIL_E_KEYSTORE_SECRET),
                                                "passphrase: nobody can be asked for it here; use "
                                                "passphrase:PATH with a file of mode 0600");
    }
    ARILI_TRY(arili_file_path_set(options, &s->path, error));
    ARILI_DEFER(passphrase_freep) struct passphrase *p = NULL;
    return get_passphrase(s, ARIL_SECRET_PASSPHRASE, &p, error);
}

aril_status arili_passphrase_open_with(const struct arili_store_options *options,
                                       uint32_t memory_kib, void **ret_state, aril_error *error)
{
    ARILI_DEFER(state_freep) struct state *s = arili_alloc(sizeof *s);
    if (s == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "no memory for a keystore; give the process more");
    }
    s->rt = options->rt;
    s->argon2_ms = options->argon2_ms;
    s->memory_kib = memory_kib;
    s->derived = arili_secure_take(s->rt->secure);
    if (s->derived == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "no memory for a keystore; give the process more");
    }
    ARILI_TRY(set_source(s, options, error));
    *ret_state = ARILI_TAKE(s);
    return ARIL_OK;
}

static aril_status passphrase_open(const struct arili_store_options *options, void **ret_state,
                                   aril_error *error)
{
    return arili_passphrase_open_with(options, MEMORY_KIB, ret_state, error);
}

static void passphrase_close(void *state)
{
    state_free(state);
}

static aril_status passphrase_info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    const struct state *const s = state;
    (void)error;
    *ret_info = (aril_keystore_info){ .protection = ARIL_PROTECTION_SOFTWARE,
                                      .capabilities = s->ask != NULL ? ARIL_KEYSTORE_ASKS : 0,
                                      .backend = "passphrase" };
    arili_store_describe(ret_info->description, s->ask != NULL ? "Argon2id of a" : "Argon2id of",
                         s->path.text);
    return ARIL_OK;
}

static aril_status digest_of(const struct state *s, const struct arili_store_place *place,
                             const uint8_t *blob, uint8_t ret[DIGEST_BYTES])
{
    const struct arili_crypto *const c = &s->rt->crypto;
    const aril_bytes parts[] = { ARILI_LITERAL("aril passphrase blob v1"),
                                 { place->slot, sizeof place->slot },
                                 { place->binding, sizeof place->binding },
                                 { blob, SIGNED_BYTES } };
    return c->ops->hash(c->provider, ARILI_SHA256, parts, sizeof parts / sizeof *parts, ret);
}

static aril_status write_blob(const struct state *s, const struct derived *d,
                              const struct arili_store_place *place, const uint8_t *secret,
                              uint8_t ret[BLOB_BYTES])
{
    struct arili_writer w = arili_writer_init(ret, HEAD_BYTES);
    arili_write8(&w, ARILI_FILE_BLOB_VERSION);
    arili_write8(&w, ARILI_FILE_BLOB_PASS);
    arili_write32(&w, d->params.memory_kib);
    arili_write32(&w, d->params.iterations);
    arili_write_bytes(&w, (aril_bytes){ d->params.salt, SALT_BYTES });
    ARILI_TRY(check_of(s, d, ret + HEAD_BYTES - CHECK_BYTES));
    ARILI_DEFER(arili_file_key_wipe) struct arili_file_key key;
    ARILI_TRY(box_key_of(s, d, &key));
    ARILI_TRY(arili_box_seal(s->rt, key.bytes, (aril_bytes){ ret, HEAD_BYTES }, place, secret,
                             ret + HEAD_BYTES));
    return digest_of(s, place, ret, ret + SIGNED_BYTES);
}

static aril_status passphrase_seal(void *state, const struct arili_store_place *place,
                                   const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                                   uint8_t *ret_blob, size_t cap, size_t *ret_len,
                                   aril_error *error)
{
    struct state *const s = state;
    if (cap < BLOB_BYTES) {
        return arili_blob_failed(error, s->path.text, arili_fail(ARIL_E_USAGE_TOO_SMALL));
    }
    ARILI_DEFER(scratch_done) struct scratch x = { 0 };
    ARILI_TRY(scratch_init(s, &x, error));
    if (s->derived->there) {
        *x.derived = *s->derived;
    } else {
        ARILI_DEFER(passphrase_freep) struct passphrase *p = NULL;
        ARILI_TRY(get_passphrase(s, ARIL_SECRET_NEW_PASSPHRASE, &p, error));
        const aril_status st = derive_new(s, p, x.derived);
        if (st != ARIL_OK) {
            return arili_blob_failed(error, s->path.text, st);
        }
    }
    uint8_t blob[BLOB_BYTES];
    const aril_status st = write_blob(s, x.derived, place, secret, blob);
    if (st != ARIL_OK) {
        return arili_blob_failed(error, s->path.text, st);
    }
    keep(s, &x);
    memcpy(ret_blob, blob, sizeof blob);
    *ret_len = sizeof blob;
    return ARIL_OK;
}

static bool params_are_bounded(const struct params *p)
{
    return p->memory_kib >= MEMORY_KIB_MIN && p->memory_kib <= MEMORY_KIB_MAX &&
           p->iterations >= 1 && (uint64_t)p->memory_kib * p->iterations <= WORK_KIB_MAX;
}

/* What can be said of a blob without a passphrase. */
static aril_status read_blob(const struct state *s, const struct arili_store_place *place,
                             aril_bytes blob, struct params *ret)
{
    uint8_t digest[DIGEST_BYTES];
    ARILI_TRY(arili_blob_check(blob, ARILI_FILE_BLOB_PASS, BLOB_BYTES));
    ARILI_TRY(digest_of(s, place, blob.data, digest));
    ARILI_ENSURE(arili_equal_ct(digest, blob.data + SIGNED_BYTES, sizeof digest), ARIL_E_AUTH);
    struct params p;
    p.memory_kib = arili_load32(blob.data + 2);
    p.iterations = arili_load32(blob.data + 6);
    memcpy(p.salt, blob.data + 10, sizeof p.salt);
    ARILI_ENSURE(params_are_bounded(&p), ARIL_E_FORMAT_FIELD);
    *ret = p;
    return ARIL_OK;
}

/* Whether d is what the blob was sealed with: its params, and the check. */
static aril_status fits(const struct state *s, const struct derived *d, const struct params *params,
                        aril_bytes blob, bool *ret_fits)
{
    uint8_t check[CHECK_BYTES];
    *ret_fits = false;
    if (memcmp(&d->params, params, sizeof *params) == 0) { /* public, and without padding */
        ARILI_TRY(check_of(s, d, check));
        *ret_fits = arili_equal_ct(check, blob.data + HEAD_BYTES - CHECK_BYTES, sizeof check);
    }
    return ARIL_OK;
}

/* K of the blob: the one that is kept, or from the passphrase. */
static aril_status find_key(const struct state *s, const struct params *params, aril_bytes blob,
                            struct derived *d, aril_error *error)
{
    bool right = false;
    if (s->derived->there) {
        *d = *s->derived;
        ARILI_TRY(fits(s, d, params, blob, &right));
    }
    if (right) {
        return ARIL_OK;
    }
    ARILI_DEFER(passphrase_freep) struct passphrase *p = NULL;
    ARILI_TRY(get_passphrase(s, ARIL_SECRET_PASSPHRASE, &p, error));
    d->params = *params;
    ARILI_TRY(derive(s, p, d));
    ARILI_TRY(fits(s, d, params, blob, &right));
    ARILI_ENSURE(right, ARIL_E_KEYSTORE_SECRET);
    return ARIL_OK;
}

static aril_status passphrase_unseal(void *state, const struct arili_store_place *place,
                                     aril_bytes blob, uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                     aril_error *error)
{
    struct state *const s = state;
    struct params params;
    aril_status st = read_blob(s, place, blob, &params);
    if (st != ARIL_OK) {
        return arili_blob_failed(error, s->path.text, st);
    }
    ARILI_DEFER(scratch_done) struct scratch x = { 0 };
    ARILI_TRY(scratch_init(s, &x, error));
    aril_error detail = { .status = ARIL_OK };
    st = find_key(s, &params, blob, x.derived, &detail);
    if (st != ARIL_OK) {
        return detail.status == st ? arili_error_set(error, st, "%s", detail.message)
                                   : arili_blob_failed(error, s->path.text, st);
    }
    ARILI_DEFER(arili_file_key_wipe) struct arili_file_key key;
    st = box_key_of(s, x.derived, &key);
    if (st == ARIL_OK) {
        st = arili_box_open(s->rt, key.bytes, (aril_bytes){ blob.data, HEAD_BYTES }, place,
                            blob.data + HEAD_BYTES, ret_secret);
    }
    if (st != ARIL_OK) {
        return arili_blob_failed(error, s->path.text, st);
    }
    keep(s, &x);
    return ARIL_OK;
}

const struct arili_store_ops arili_store_passphrase = {
    .abi = ARILI_STORE_ABI,
    .scheme = "passphrase",
    .open = passphrase_open,
    .close = passphrase_close,
    .info = passphrase_info,
    .seal = passphrase_seal,
    .unseal = passphrase_unseal,
};
