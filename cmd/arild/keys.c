/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"
#include "base/ensure.h"
#include "base/files.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEYSTORE_MS   10000u
#define SECRET_CHECKS (ARILI_FILE_SECRET | ARILI_FILE_ROOT_MAY_OWN | ARILI_FILE_ROOT_MAY_SHARE)
#define URI_BYTES     (PATH_MAX + 64)

aril_status keys_start(struct keys *k, aril_error *error)
{
    const aril_runtime_config config = { .audit = k->audit, .error = error };
    return k->rt != NULL ? ARIL_OK : aril_runtime_new(&config, &k->rt);
}

/* Who starts a daemon is not at its terminal: what a keystore asks for comes from a file. */
static aril_status answer(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                          size_t cap, size_t *ret_len)
{
    const struct keys *k = user;
    (void)subject;
    ARILI_ENSURE(k->secret[0] != '\0' && kind != ARIL_SECRET_NEW_PASSPHRASE,
                 ARIL_E_KEYSTORE_SECRET);
    ARILI_DEFER(arili_file_done) struct arili_file file = { .data = NULL };
    ARILI_TRY(arili_file_read(k->secret, ARIL_SECRET_BYTES_MAX + 1, SECRET_CHECKS, &file, NULL));
    const size_t len = file.len > 0 && file.data[file.len - 1] == '\n' ? file.len - 1 : file.len;
    ARILI_ENSURE(len > 0 && len <= cap, ARIL_E_KEYSTORE_SECRET);
    memcpy(ret, file.data, len);
    *ret_len = len;
    return ARIL_OK;
}

static aril_status find_secret(struct keys *k, const char *credential, aril_error *error)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    k->secret[0] = '\0';
    if (credential == NULL) {
        return ARIL_OK;
    }
    if (strchr(credential, '/') == NULL && (folder == NULL || folder[0] == '\0')) {
        return arili_error_set(error, arili_fail(ARIL_E_NOT_FOUND),
                               "unlock_credential = %.200s: CREDENTIALS_DIRECTORY is not set: "
                               "start arild from a systemd unit with LoadCredential= or "
                               "LoadCredentialEncrypted=, or give the whole path",
                               credential);
    }
    const bool is_path = strchr(credential, '/') != NULL;
    const int len = snprintf(k->secret, sizeof k->secret, "%s%s%s", is_path ? "" : folder,
                             is_path ? "" : "/", credential);
    ARILI_ENSURE(len > 0 && (size_t)len < sizeof k->secret, ARIL_E_LIMIT);
    /* Looked at once here, where the message can name the file. */
    ARILI_DEFER(arili_file_done) struct arili_file file = { .data = NULL };
    return arili_file_read(k->secret, ARIL_SECRET_BYTES_MAX + 1, SECRET_CHECKS, &file, error);
}

static aril_status open_keystore(struct keys *k, const struct arili_proxy_config *config,
                                 bool create, aril_error *error)
{
    char uri[URI_BYTES];
    const int len = config->keystore != NULL
                        ? snprintf(uri, sizeof uri, "%s", config->keystore)
                        : snprintf(uri, sizeof uri, "file:%s.key", config->keyring);
    ARILI_ENSURE(len > 0 && (size_t)len < sizeof uri, ARIL_E_LIMIT);
    ARILI_TRY(find_secret(k, config->unlock_credential, error));
    /* tpm2-tss logs to standard error by itself; failures are told by the library. */
    if (strncmp(uri, "tpm2:", 5) == 0 && setenv("TSS2_LOG", "all+NONE", 0) != 0) {
        return arili_error_set(error, arili_fail(ARIL_E_IO), "TSS2_LOG: %s", strerror(errno));
    }
    const aril_keystore_config keystore = {
        .uri = uri, .ask = answer, .user = k, .deadline_ms = KEYSTORE_MS, .create = create
    };
    return aril_keystore_open(k->rt, &keystore, &k->keystore, error);
}

aril_status keys_open(struct keys *k, const struct arili_proxy_config *config, aril_error *error)
{
    if (config->keyring == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE), "keyring is not set");
    }
    ARILI_TRY(keys_start(k, error));
    if (k->keystore == NULL) {
        ARILI_TRY(open_keystore(k, config, false, error));
    }
    const aril_keyring_config keyring = { .path = config->keyring, .keystore = k->keystore };
    return aril_keyring_open(k->rt, &keyring, &k->keyring, error);
}

static aril_status make_tenant(struct keys *k, const char *tenant, aril_error *error)
{
    const aril_key_slot slot = {
        .purpose = ARIL_KEY_TENANT,
        .owner = { (const uint8_t *)tenant, strlen(tenant) },
    };
    const aril_status st = aril_keyring_create(k->keyring, &slot, 1, error);
    return st == ARIL_E_EXISTS ? ARIL_OK : st;
}

aril_status keys_open_or_make(struct keys *k, const struct arili_proxy_config *config,
                              const char *tenant, bool *ret_made, aril_error *error)
{
    struct stat st;
    const bool there = lstat(config->keyring, &st) == 0;
    ARILI_TRY(keys_start(k, error));
    /* A keyring whose key file is gone is an error, not a reason to make another key. */
    ARILI_TRY(open_keystore(k, config, !there, error));
    if (!there) {
        const aril_keyring_config keyring = { .path = config->keyring, .keystore = k->keystore };
        const aril_keyring_init_config init = { .role = ARIL_KEYRING_AUTHORITY, .no_recovery = 1 };
        ARILI_TRY(aril_keyring_init(k->rt, &keyring, &init, error));
    }
    *ret_made = !there;
    ARILI_TRY(keys_open(k, config, error));
    return make_tenant(k, tenant, error);
}

void keys_close(struct keys *k)
{
    aril_keyring_close(k->keyring);
    aril_keystore_close(k->keystore);
    aril_runtime_free(k->rt);
    *k = (struct keys){ .rt = NULL };
}
