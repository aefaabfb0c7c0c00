/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/pkcs11_internal.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include <stdio.h>
#include <string.h>

#define SCHEME "pkcs11"

/*
 * A keystore in a PKCS#11 token: an HSM or SoftHSM. Each slot has an AES-256 key of its own in the
 * token, named by CKA_ID, that never leaves it; a blob is the secret under AES-256-GCM of that
 * key. Destroying the key makes every copy of the blob unreadable. PKCS#11 has no counter that all
 * tokens have, so the members for it stay NULL.
 *
 * options->create has no meaning here: a token is made with its own tools, and a key is made
 * whenever a slot is new.
 */
#if ARILI_P11_BUILT

static void close_state(void *state)
{
    struct arili_p11 *s = state;
    if (s == NULL) {
        return;
    }
    /* In a forked child the sessions and the module's locks are the parent's. */
    if (!arili_secure_forked(s->rt->secure)) {
        arili_p11_session_close(s);
        arili_p11_module_put(s);
    }
    arili_free(s, sizeof *s);
}

static void statep(struct arili_p11 **s)
{
    close_state(*s);
}

static aril_status open_state(const struct arili_store_options *options, void **ret_state,
                              aril_error *error)
{
    *ret_state = NULL;
    ARILI_DEFER(statep) struct arili_p11 *s = arili_alloc(sizeof *s);
    if (s == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               SCHEME ": no memory for a keystore; give the process more");
    }
    s->rt = options->rt;
    s->ask = options->ask;
    s->user = options->user;
    ARILI_TRY(arili_p11_uri_parse(options->rest, &s->where, error));
    (void)snprintf(s->uri, sizeof s->uri, "%s", options->uri);
    ARILI_TRY(arili_p11_module_get(s, error));
    ARILI_TRY(arili_p11_session_open(s, error));
    *ret_state = ARILI_TAKE(s);
    return ARIL_OK;
}

/* A field of a token, padded with blanks, as a printable text. */
struct field {
    char text[33];
};

static struct field field_text(const unsigned char *bytes, size_t len)
{
    struct field f = { "" };
    for (size_t i = 0; i < len && i + 1 < sizeof f.text && bytes[i] != '\0'; i++) {
        f.text[i] = bytes[i] >= 0x20 && bytes[i] != 0x7f ? (char)bytes[i] : '?';
    }
    for (size_t i = strlen(f.text); i > 0 && f.text[i - 1] == ' '; i--) {
        f.text[i - 1] = '\0';
    }
    return f;
}

static aril_status info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    const struct arili_p11 *s = state;
    (void)error;
    const CK_TOKEN_INFO *t = &s->token;
    const struct field maker = field_text(t->manufacturerID, sizeof t->manufacturerID);
    const struct field model = field_text(t->model, sizeof t->model);
    const bool software = strncmp(maker.text, "SoftHSM", 7) == 0;
    aril_keystore_info i = { .protection = ARIL_PROTECTION_HSM,
                             .capabilities = ARIL_KEYSTORE_DESTROY,
                             .backend = SCHEME };
    if (arili_p11_asks(s)) {
        i.capabilities |= ARIL_KEYSTORE_ASKS;
    }
    (void)snprintf(i.description, sizeof i.description, "%s %s, token %s%s", maker.text, model.text,
                   s->where.token, software ? " (software)" : "");
    *ret_info = i;
    return ARIL_OK;
}

static aril_status seal(void *state, const struct arili_store_place *place,
                        const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                        size_t cap, size_t *ret_len, aril_error *error)
{
    struct arili_p11 *s = state;
    if (cap < ARILI_P11_BLOB_BYTES) {
        return arili_p11_refuse(s, ARIL_E_USAGE_TOO_SMALL, "a blob needs a larger buffer", error);
    }
    ARILI_TRY(arili_p11_seal(s, place, secret, ret_blob, error));
    *ret_len = ARILI_P11_BLOB_BYTES;
    return ARIL_OK;
}

static aril_status unseal(void *state, const struct arili_store_place *place, aril_bytes blob,
                          uint8_t ret_secret[ARILI_STORE_SECRET_BYTES], aril_error *error)
{
    return arili_p11_unseal(state, place, blob, ret_secret, error);
}

static aril_status destroy_job(struct arili_p11 *s, void *arg, aril_error *error)
{
    return arili_p11_keys_destroy(s, arg, error);
}

static aril_status destroy(void *state, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                           aril_error *error)
{
    uint8_t copy[ARILI_STORE_SLOT_BYTES];
    memcpy(copy, slot, sizeof copy);
    return arili_p11_run(state, destroy_job, copy, error);
}

#else

/* Only open() is ever called. */
static aril_status open_state(const struct arili_store_options *options, void **ret_state,
                              aril_error *error)
{
    (void)options;
    *ret_state = NULL;
    return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE),
                           SCHEME ": this build has no PKCS#11; install the headers of p11-kit "
                                  "(libp11-kit-dev), then build again");
}

static void close_state(void *state)
{
    (void)state;
}

#endif

const struct arili_store_ops arili_store_pkcs11 = {
    .abi = ARILI_STORE_ABI,
    .scheme = SCHEME,
    .open = open_state,
    .close = close_state,
#if ARILI_P11_BUILT
    .info = info,
    .seal = seal,
    .unseal = unseal,
    .destroy = destroy,
#endif
};
