/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/desk.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include <string.h>

_Static_assert(ARILI_STORE_SECRET_BYTES <= ARILI_SECURE_CELL_BYTES, "a cell holds the secret");

/* The beginning of a URI; a PIN in it, which a backend would refuse, is not shown. */
static void show(const char *uri, char ret[ARILI_DESK_SHOWN_BYTES])
{
    static const char pin[] = "pin-value=";
    const char *const secret = strstr(uri, pin);
    const size_t len = secret != NULL ? (size_t)(secret - uri) + sizeof pin - 1 : strlen(uri);
    const bool cut = secret != NULL || len >= ARILI_DESK_SHOWN_BYTES;
    const size_t room = ARILI_DESK_SHOWN_BYTES - sizeof "...";
    const size_t keep = cut && len > room ? room : len;
    memcpy(ret, uri, keep);
    memcpy(ret + keep, cut ? "..." : "", cut ? sizeof "..." : 1);
}

aril_status arili_desk_new(aril_runtime *rt, const aril_keystore_config *config,
                           struct arili_desk **ret, aril_error *error)
{
    struct arili_desk *const d = arili_alloc(sizeof *d);
    uint8_t *const secret = d != NULL ? arili_secure_take(rt->secure) : NULL;
    if (secret == NULL) {
        arili_free(d, sizeof *d);
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "no memory for a keystore; give the process more");
    }
    d->rt = arili_runtime_hold(rt);
    d->secret = secret;
    d->ask = config->ask;
    d->user = config->user;
    d->create = config->create != 0;
    memcpy(d->whole_uri, config->uri, strlen(config->uri) + 1);
    show(d->whole_uri, d->uri);
    *ret = d;
    return ARIL_OK;
}

void arili_desk_forget(struct arili_desk *desk)
{
    aril_runtime *const rt = desk->rt;
    arili_secure_give(rt->secure, desk->secret);
    arili_free(desk, sizeof *desk);
    aril_runtime_free(rt);
}

void arili_desk_release(void *desk)
{
    struct arili_desk *const d = desk;
    if (d->store.state != NULL) {
        d->store.ops->close(d->store.state);
    }
    arili_desk_forget(d);
}

void arili_desk_clear(struct arili_desk *desk)
{
    arili_wipe(&desk->place, sizeof desk->place);
    arili_wipe(desk->secret, ARILI_STORE_SECRET_BYTES);
    arili_wipe(desk->blob, sizeof desk->blob);
    desk->blob_cap = 0;
    desk->blob_len = 0;
    desk->counter = (struct arili_store_counter){ 0 };
    desk->value = 0;
    desk->error = (aril_error){ .status = ARIL_OK };
}

/* What a store gets for ask: the deadline's clock stands still while the person types, and
 * nobody is asked after the keystore was given up. */
static aril_status ask(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                       size_t cap, size_t *ret_len)
{
    struct arili_desk *const d = user;
    size_t len = 0;
    ARILI_ENSURE(arili_worker_pause(d->worker), ARIL_E_TIMEOUT);
    const aril_status st = d->ask(d->user, kind, subject, ret, cap, &len);
    arili_worker_resume(d->worker);
    if (st != ARIL_OK || len > cap) {
        arili_wipe(ret, cap);
        return st != ARIL_OK ? st : arili_fail(ARIL_E_USAGE_RANGE);
    }
    *ret_len = len;
    return ARIL_OK;
}

aril_status arili_desk_open(void *desk)
{
    struct arili_desk *const d = desk;
    const char *const colon = strchr(d->whole_uri, ':');
    const struct arili_store_options options = {
        .rt = d->rt,
        .uri = d->whole_uri,
        .rest = colon != NULL ? colon + 1 : "",
        .ask = d->ask != NULL ? ask : NULL,
        .user = d->ask != NULL ? d : d->user,
        .argon2_ms = d->argon2_ms,
        .create = d->create,
    };
    return d->store.ops->open(&options, &d->store.state, &d->error);
}

aril_status arili_desk_info(void *desk)
{
    struct arili_desk *const d = desk;
    return d->store.ops->info(d->store.state, &d->info, &d->error);
}

aril_status arili_desk_seal(void *desk)
{
    struct arili_desk *const d = desk;
    return d->store.ops->seal(d->store.state, &d->place, d->secret, d->blob, d->blob_cap,
                              &d->blob_len, &d->error);
}

aril_status arili_desk_unseal(void *desk)
{
    struct arili_desk *const d = desk;
    const aril_bytes blob = { d->blob, d->blob_len };
    return d->store.ops->unseal(d->store.state, &d->place, blob, d->secret, &d->error);
}

aril_status arili_desk_destroy(void *desk)
{
    struct arili_desk *const d = desk;
    return d->store.ops->destroy(d->store.state, d->place.slot, &d->error);
}

aril_status arili_desk_counter_create(void *desk)
{
    struct arili_desk *const d = desk;
    return d->store.ops->counter_create(d->store.state, d->place.slot, &d->counter, &d->value,
                                        &d->error);
}

aril_status arili_desk_counter_read(void *desk)
{
    struct arili_desk *const d = desk;
    return d->store.ops->counter_read(d->store.state, &d->counter, &d->value, &d->error);
}

aril_status arili_desk_counter_increment(void *desk)
{
    struct arili_desk *const d = desk;
    return d->store.ops->counter_increment(d->store.state, &d->counter, &d->value, &d->error);
}

aril_status arili_desk_counter_destroy(void *desk)
{
    struct arili_desk *const d = desk;
    return d->store.ops->counter_destroy(d->store.state, &d->counter, &d->error);
}
