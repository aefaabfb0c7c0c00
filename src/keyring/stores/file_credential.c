/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/file.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include <string.h>

/*
 * credential:PATH. A key file that somebody else keeps, as systemd does: it is only read. The
 * first key is for every slot that has none of its own, so one line is enough, and the key file
 * of file:PATH can become a credential.
 */
struct state {
    aril_runtime *rt;
    struct arili_file_path path;
};

static aril_status read_key(const struct state *s, const uint8_t *slot,
                            struct arili_file_key *ret_key, aril_error *error)
{
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    size_t count = 0;
    ARILI_TRY(arili_keys_read(
        s->path.text, ARILI_FILE_SECRET | ARILI_FILE_ROOT_MAY_OWN | ARILI_FILE_ROOT_MAY_SHARE,
        "is not there; a credential is not made here, see docs/keystore.md", &file, &count, error));
    if (count == 0) {
        return arili_store_failed(error, s->path.text, arili_fail(ARIL_E_FORMAT_FIELD),
                                  "is a key file without a key; add one as docs/keystore.md says");
    }
    const aril_bytes text = { file.data, file.len };
    if (slot == NULL || !arili_keys_find(text, slot, ret_key->bytes)) {
        arili_keys_at(text, 0, ret_key->bytes);
    }
    return ARIL_OK;
}

static void state_freep(struct state **s)
{
    arili_free(*s, sizeof **s);
}

static aril_status credential_open(const struct arili_store_options *options, void **ret_state,
                                   aril_error *error)
{
    ARILI_DEFER(state_freep) struct state *s = arili_alloc(sizeof *s);
    if (s == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "no memory for a keystore; give the process more");
    }
    s->rt = options->rt;
    ARILI_TRY(arili_file_path_set(options, &s->path, error));
    ARILI_DEFER(arili_file_key_wipe) struct arili_file_key key;
    ARILI_TRY(read_key(s, NULL, &key, error));
    *ret_state = ARILI_TAKE(s);
    return ARIL_OK;
}

static void credential_close(void *state)
{
    arili_free(state, sizeof(struct state));
}

static aril_status credential_info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    const struct state *const s = state;
    (void)error;
    *ret_info =
        (aril_keystore_info){ .protection = ARIL_PROTECTION_SOFTWARE, .backend = "credential" };
    arili_store_describe(ret_info->description, "credential", s->path.text);
    return ARIL_OK;
}

static aril_status credential_seal(void *state, const struct arili_store_place *place,
                                   const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                                   uint8_t *ret_blob, size_t cap, size_t *ret_len,
                                   aril_error *error)
{
    const struct state *const s = state;
    ARILI_DEFER(arili_file_key_wipe) struct arili_file_key key;
    ARILI_TRY(read_key(s, place->slot, &key, error));
    const aril_status st =
        arili_key_blob_seal(s->rt, key.bytes, place, secret, ret_blob, cap, ret_len);
    return st == ARIL_OK ? st : arili_blob_failed(error, s->path.text, st);
}

static aril_status credential_unseal(void *state, const struct arili_store_place *place,
                                     aril_bytes blob, uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                     aril_error *error)
{
    const struct state *const s = state;
    ARILI_DEFER(arili_file_key_wipe) struct arili_file_key key;
    ARILI_TRY(read_key(s, place->slot, &key, error));
    const aril_status st = arili_key_blob_open(s->rt, key.bytes, place, blob, ret_secret);
    return st == ARIL_OK ? st : arili_blob_failed(error, s->path.text, st);
}

const struct arili_store_ops arili_store_credential = {
    .abi = ARILI_STORE_ABI,
    .scheme = "credential",
    .open = credential_open,
    .close = credential_close,
    .info = credential_info,
    .seal = credential_seal,
    .unseal = credential_unseal,
};
