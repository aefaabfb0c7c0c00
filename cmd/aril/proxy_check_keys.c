/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "files.h"
#include "keys.h"
#include "proxy_check.h"
#include <stdlib.h>
#include <string.h>

/* The keyring as arild opens it, and whether each tenant has keys there and a way in. */
#define KEYSTORE_MS 10000u

struct opened {
    aril_keystore *keystore;
    aril_keyring *keyring;
    char secret[PATH_MAX]; /* file with what the keystore asks for; empty: none */
};

static void opened_done(struct opened *o)
{
    aril_keyring_close(o->keyring);
    aril_keystore_close(o->keystore);
}

/* arild is not at a terminal, so nobody is asked here either. */
static aril_status answer(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                          size_t cap, size_t *ret_len)
{
    const struct opened *o = user;
    (void)subject;
    if (o->secret[0] == '\0' || kind == ARIL_SECRET_NEW_PASSPHRASE ||
        file_check_secret("aril proxy check", o->secret) != 0) {
        return ARIL_E_KEYSTORE_SECRET;
    }
    DEFER(file_contents_free) struct file_contents text = { .data = NULL };
    if (file_read("aril proxy check", o->secret, ARIL_SECRET_BYTES_MAX + 1, &text) != 0) {
        return ARIL_E_KEYSTORE_SECRET;
    }
    const size_t len = text.len > 0 && text.data[text.len - 1] == '\n' ? text.len - 1 : text.len;
    if (len == 0 || len > cap) {
        return ARIL_E_KEYSTORE_SECRET;
    }
    memcpy(ret, text.data, len);
    *ret_len = len;
    return ARIL_OK;
}

/* False: $CREDENTIALS_DIRECTORY is missing, or the path is too long. */
static bool find_secret(const char *credential, struct opened *o)
{
    const char *const folder = getenv("CREDENTIALS_DIRECTORY");
    const bool is_path = credential != NULL && strchr(credential, '/') != NULL;
    if (credential == NULL) {
        return true;
    }
    if (!is_path && (folder == NULL || folder[0] == '\0')) {
        return false;
    }
    const int len = snprintf(o->secret, sizeof o->secret, "%s%s%s", is_path ? "" : folder,
                             is_path ? "" : "/", credential);
    return len > 0 && (size_t)len < sizeof o->secret;
}

static aril_status open_keyring(struct proxy_check *c, struct opened *o, aril_error *error)
{
    char uri[PATH_MAX + 64];
    if (c->config->keystore != NULL) {
        snprintf(uri, sizeof uri, "%s", c->config->keystore);
    } else {
        snprintf(uri, sizeof uri, "file:%s.key", c->config->keyring);
    }
    const aril_keystore_config keystore = {
        .uri = uri, .ask = answer, .user = o, .deadline_ms = KEYSTORE_MS
    };
    const aril_status st = aril_keystore_open(c->rt, &keystore, &o->keystore, error);
    if (st != ARIL_OK) {
        return st;
    }
    const aril_keyring_config keyring = { .path = c->config->keyring, .keystore = o->keystore };
    return aril_keyring_open(c->rt, &keyring, &o->keyring, error);
}

/* --- Tenants -------------------------------------------------------------------------------- */

static size_t count_credentials(const struct arili_credentials *all, const char *tenant)
{
    size_t n = 0;
    for (size_t i = 0; all != NULL && i < arili_credentials_count(all); i++) {
        n += strcmp(arili_credentials_at(all, i)->tenant, tenant) == 0 ? 1 : 0;
    }
    return n;
}

static size_t count_listeners(const struct arili_proxy_config *config, const char *tenant)
{
    size_t n = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        const char *const fixed = config->listeners[i].tenant;
        n += fixed != NULL && strcmp(fixed, tenant) == 0 ? 1 : 0;
    }
    return n;
}

static void check_tenant(struct proxy_check *c, const struct opened *o,
                         const struct arili_tenant_config *t, size_t credentials)
{
    const aril_bytes id = keys_bytes(t->id);
    const size_t listeners = count_listeners(c->config, t->id);
    static const aril_key_purpose purposes[] = { ARIL_KEY_NAME, ARIL_KEY_DATA };
    for (size_t i = 0; o->keyring != NULL && i < 2; i++) {
        aril_tenant_key *key = NULL;
        const aril_status st = aril_keyring_tenant_key(o->keyring, id, purposes[i], &key, NULL);
        aril_tenant_key_put(key);
        if (st != ARIL_OK) {
            proxy_check_note(c, false, "tenant", id, "%s key: %s; %s",
                             purposes[i] == ARIL_KEY_DATA ? "data" : "name", aril_status_text(st),
                             aril_status_hint(st));
            return;
        }
    }
    if (credentials + t->uid_count + t->certificate_count + listeners == 0) {
        proxy_check_note(c, false, "tenant", id,
                         "nobody can be this tenant: it has no token, passphrase, certificate, "
                         "user id or listener");
        return;
    }
    proxy_check_note(c, true, "tenant", id,
                     "%zu tokens and passphrases, %zu certificates, %zu user ids, %zu listeners%s",
                     credentials, t->certificate_count, t->uid_count, listeners,
                     o->keyring != NULL ? "; it has keys" : "");
}

void proxy_check_keyring(struct proxy_check *c, const struct arili_credentials *credentials)
{
    aril_error error = { .status = ARIL_OK };
    DEFER(opened_done) struct opened o = { .keyring = NULL };
    const aril_bytes path = keys_bytes(c->config->keyring);
    if (!find_secret(c->config->unlock_credential, &o)) {
        proxy_check_note(
            c, false, "keyring", path,
            "unlock_credential = %.200s: CREDENTIALS_DIRECTORY is not set, as it is in "
            "a systemd unit with LoadCredential=",
            c->config->unlock_credential);
    } else {
        const aril_status st = open_keyring(c, &o, &error);
        proxy_check_note(c, st == ARIL_OK, "keyring", path, "%s",
                         st == ARIL_OK              ? "it opens"
                         : error.message[0] != '\0' ? error.message
                                                    : aril_status_text(st));
    }
    for (size_t i = 0; i < c->config->tenant_count; i++) {
        const struct arili_tenant_config *const t = &c->config->tenants[i];
        check_tenant(c, &o, t, count_credentials(credentials, t->id));
    }
}
