/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11_store.h"
#include "provider.h"
#include "runtime.h"
#include <stdio.h>
#include <string.h>

#define FILLER 0xa5

const char *pkcs11_uri(const char *token, const char *module, const char *pin_path)
{
    static char uri[2048];
    char encoded[128];
    size_t len = 0;
    for (; *token != '\0' && len + 4 < sizeof encoded; token++) {
        len += (size_t)snprintf(encoded + len, sizeof encoded - len, *token == ' ' ? "%%20" : "%c",
                                *token);
    }
    encoded[len] = '\0';
    (void)snprintf(uri, sizeof uri, "pkcs11:token=%s?module-path=%s%s%s", encoded, module,
                   pin_path != NULL ? "&pin-source=" : "", pin_path != NULL ? pin_path : "");
    return uri;
}

aril_status pkcs11_open(const char *uri, aril_secret_fn *ask, void *user, void **ret,
                        aril_error *error)
{
    const struct arili_store_options options = {
        .rt = rt, .uri = uri, .rest = uri + strlen("pkcs11:"), .ask = ask, .user = user
    };
    aril_error local;
    aril_error *e = error != NULL ? error : &local;
    *e = (aril_error){ .status = ARIL_OK };
    *ret = e;
    const aril_status st = arili_store_pkcs11.open(&options, ret, e);
    if (st != ARIL_OK) {
        assert_null(*ret);
        assert_status(e->status, st);
    } else {
        assert_status(e->status, ARIL_OK);
    }
    return st;
}

void *pkcs11_opened(const char *uri)
{
    void *state = NULL;
    aril_error error;
    if (pkcs11_open(uri, NULL, NULL, &state, &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
    return state;
}

void pkcs11_close(void **state)
{
    arili_store_pkcs11.close(*state);
    *state = NULL;
}

aril_status asked_answer(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                         size_t cap, size_t *ret_len)
{
    struct asked *a = user;
    a->count++;
    (void)snprintf(a->subject, sizeof a->subject, "%s", subject);
    if (a->pin == NULL || kind != ARIL_SECRET_PIN || cap != ARIL_SECRET_BYTES_MAX) {
        return ARIL_E_KEYSTORE_SECRET;
    }
    *ret_len = strlen(a->pin);
    memcpy(ret, a->pin, *ret_len);
    return ARIL_OK;
}

struct arili_store_place pkcs11_place(unsigned number)
{
    struct arili_store_place place;
    provider_pattern(place.slot, sizeof place.slot, 100 + number);
    provider_pattern(place.binding, sizeof place.binding, 200 + number);
    return place;
}

aril_status pkcs11_seal(void *state, unsigned number, struct sealed *ret, aril_error *error)
{
    ret->place = pkcs11_place(number);
    provider_pattern(ret->secret, sizeof ret->secret, number);
    memset(ret->blob, FILLER, sizeof ret->blob);
    ret->len = 0;
    const aril_status st = arili_store_pkcs11.seal(state, &ret->place, ret->secret, ret->blob,
                                                   sizeof ret->blob, &ret->len, error);
    if (st != ARIL_OK) {
        assert_true(provider_all(ret->blob, sizeof ret->blob, FILLER));
        assert_int_equal(ret->len, 0);
    }
    return st;
}

aril_status pkcs11_unseal(void *state, const struct sealed *sealed, aril_error *error)
{
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    memset(secret, FILLER, sizeof secret);
    const aril_status st = arili_store_pkcs11.unseal(
        state, &sealed->place, (aril_bytes){ sealed->blob, sealed->len }, secret, error);
    if (st == ARIL_OK) {
        assert_memory_equal(secret, sealed->secret, sizeof secret);
    } else {
        assert_true(provider_all(secret, sizeof secret, FILLER));
    }
    return st;
}
