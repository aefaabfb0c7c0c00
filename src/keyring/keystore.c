/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/keystore.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include "keyring/desk.h"
#include "keyring/worker.h"
#include <string.h>

#define DEADLINE_MS_DEFAULT 10000u
#define DEADLINE_MS_MAX     600000u
#define ARGON2_MS_DEFAULT   500u
#define ARGON2_MS_MAX       10000u
#define COUNTERS_SEEN       8u

/* What a counter was when it was read last. */
struct seen {
    struct arili_store_counter counter;
    uint64_t value;
};

/* Constant after the opening, but for what a turn of the worker guards. */
struct aril_keystore {
    aril_runtime *rt;
    struct arili_worker *worker;
    struct arili_desk *desk; /* the worker's subject: to be touched during a turn alone */
    bool lost;               /* during a turn: the worker was given up, and has the desk */
    uint32_t deadline_ms;
    const struct arili_store_ops *ops;
    aril_keystore_info info;
    char uri[ARILI_DESK_SHOWN_BYTES]; /* for messages, as of the desk */
    unsigned next_seen;               /* during a turn */
    struct seen seen[COUNTERS_SEEN];  /* during a turn; len 0: empty */
};

const char *aril_protection_name(aril_protection protection)
{
    switch (protection) {
    case ARIL_PROTECTION_SOFTWARE:
        return "software";
    case ARIL_PROTECTION_TPM:
        return "tpm";
    case ARIL_PROTECTION_HSM:
        return "hsm";
    default:
        return "unknown";
    }
}

const struct arili_store_ops *arili_store_find(const char *uri)
{
    static const struct arili_store_ops *const backends[] = {
        &arili_store_file, &arili_store_passphrase, &arili_store_credential,
        &arili_store_tpm2, &arili_store_pkcs11,
    };
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        const size_t len = strlen(backends[i]->scheme);
        if (strncmp(uri, backends[i]->scheme, len) == 0 && uri[len] == ':') {
            return backends[i];
        }
    }
    return NULL;
}

/* --- Calls --------------------------------------------------------------------------------- */

static aril_status timed_out(const aril_keystore *ks, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                           "%s: did not answer within %u ms and is not used any more; see to it "
                           "that it answers, then open it again",
                           ks->uri, (unsigned)ks->deadline_ms);
}

/* Whose turn it is may use ks->desk. */
static aril_status begin(aril_keystore *ks, aril_error *error)
{
    const aril_status st = arili_runtime_check(ks->rt);
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "%s: %s; %s", ks->uri, aril_status_text(st),
                               aril_status_hint(st));
    }
    switch (arili_worker_take(ks->worker)) {
    case ARILI_TURN_TAKEN:
        return ARIL_OK;
    case ARILI_TURN_BUSY:
        return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                               "%s: other threads used it for %u ms; retry, or allow more time",
                               ks->uri, (unsigned)ks->deadline_ms);
    case ARILI_TURN_INSIDE:
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_STATE),
                               "%s: was called from its own ask(); only return the secret there",
                               ks->uri);
    default:
        return timed_out(ks, error);
    }
}

/* Puts the turn back, and the desk in order. */
static void end(aril_keystore *ks)
{
    arili_desk_clear(ks->desk);
    arili_worker_put(ks->worker);
}

/* Within a turn. After a TIMEOUT of the deadline (*ret_lost) the turn is over, and the desk is
 * gone. Another failure has its message in *error, and the turn goes on. */
static aril_status run(aril_keystore *ks, arili_worker_fn *fn, bool *ret_lost, aril_error *error)
{
    aril_status st = ARIL_OK;
    *ret_lost = !arili_worker_run(ks->worker, fn, &st);
    if (*ret_lost) {
        ks->lost = true;
        return timed_out(ks, error);
    }
    if (st == ARIL_OK) {
        return st;
    }
    if (ks->desk->error.message[0] != '\0' && ks->desk->error.status == st) {
        return arili_error_set(error, st, "%s", ks->desk->error.message);
    }
    return arili_error_set(error, st, "%s: %s; %s", ks->uri, aril_status_text(st),
                           aril_status_hint(st));
}

/* A store that answers what cannot be. */
static aril_status nonsense(const aril_keystore *ks, const char *what, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_KEYSTORE),
                           "%s: %s; check the keystore and its driver, and trust neither", ks->uri,
                           what);
}

static aril_status lacks(const aril_keystore *ks, const char *what, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE),
                           "%s: %s; choose another keystore for that", ks->uri, what);
}

aril_status arili_keystore_seal(aril_keystore *ks, const struct arili_store_place *place,
                                const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                                size_t cap, size_t *ret_len, aril_error *error)
{
    ARILI_TRY(begin(ks, error));
    struct arili_desk *const d = ks->desk;
    d->place = *place;
    memcpy(d->secret, secret, ARILI_STORE_SECRET_BYTES);
    d->blob_cap = cap < sizeof d->blob ? cap : sizeof d->blob;
    bool lost = false;
    aril_status st = run(ks, arili_desk_seal, &lost, error);
    if (lost) {
        return st;
    }
    if (st == ARIL_OK && (d->blob_len == 0 || d->blob_len > d->blob_cap)) {
        st = nonsense(ks, "sealed to a length that cannot be", error);
    }
    if (st == ARIL_OK) {
        memcpy(ret_blob, d->blob, d->blob_len);
        *ret_len = d->blob_len;
    }
    end(ks);
    return st;
}

aril_status arili_keystore_unseal(aril_keystore *ks, const struct arili_store_place *place,
                                  aril_bytes blob, uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                  aril_error *error)
{
    if (blob.len == 0 || blob.len > ARILI_STORE_BLOB_BYTES_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_FORMAT_LENGTH),
                               "%s: nothing of %zu bytes was sealed; restore what it is read from",
                               ks->uri, blob.len);
    }
    ARILI_TRY(begin(ks, error));
    struct arili_desk *const d = ks->desk;
    d->place = *place;
    memcpy(d->blob, blob.data, blob.len);
    d->blob_len = blob.len;
    bool lost = false;
    const aril_status st = run(ks, arili_desk_unseal, &lost, error);
    if (lost) {
        return st;
    }
    if (st == ARIL_OK) {
        memcpy(ret_secret, d->secret, ARILI_STORE_SECRET_BYTES);
    }
    end(ks);
    return st;
}

aril_status arili_keystore_destroy(aril_keystore *ks, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                   aril_error *error)
{
    if (ks->ops->destroy == NULL) {
        return lacks(ks, "cannot destroy what it sealed", error);
    }
    ARILI_TRY(begin(ks, error));
    memcpy(ks->desk->place.slot, slot, ARILI_STORE_SLOT_BYTES);
    bool lost = false;
    const aril_status st = run(ks, arili_desk_destroy, &lost, error);
    if (!lost) {
        end(ks);
    }
    return st;
}

/* --- Counters ------------------------------------------------------------------------------ */

static struct seen *seen_find(aril_keystore *ks, const struct arili_store_counter *counter)
{
    for (size_t i = 0; i < COUNTERS_SEEN; i++) {
        struct seen *const s = &ks->seen[i];
        if (s->counter.len == counter->len &&
            memcmp(s->counter.bytes, counter->bytes, counter->len) == 0) {
            return s;
        }
    }
    return NULL;
}

static void seen_set(aril_keystore *ks, const struct arili_store_counter *counter, uint64_t value)
{
    struct seen *s = seen_find(ks, counter);
    if (s == NULL) {
        s = &ks->seen[ks->next_seen++ % COUNTERS_SEEN];
    }
    *s = (struct seen){ *counter, value };
}

static bool counter_is_sound(const struct arili_store_counter *counter)
{
    return counter->len > 0 && counter->len <= sizeof counter->bytes;
}

aril_status arili_keystore_counter_create(aril_keystore *ks,
                                          const uint8_t seed[ARILI_STORE_SLOT_BYTES],
                                          struct arili_store_counter *ret_counter,
                                          uint64_t *ret_value, aril_error *error)
{
    if (ks->ops->counter_create == NULL) {
        return lacks(ks, "has no counter", error);
    }
    ARILI_TRY(begin(ks, error));
    struct arili_desk *const d = ks->desk;
    memcpy(d->place.slot, seed, ARILI_STORE_SLOT_BYTES);
    bool lost = false;
    aril_status st = run(ks, arili_desk_counter_create, &lost, error);
    if (lost) {
        return st;
    }
    if (st == ARIL_OK && !counter_is_sound(&d->counter)) {
        st = nonsense(ks, "named a counter by a length that cannot be", error);
    }
    if (st == ARIL_OK) {
        seen_set(ks, &d->counter, d->value);
        *ret_counter = d->counter;
        *ret_value = d->value;
    }
    end(ks);
    return st;
}

/* Reads or increments; least is how much a value must be above the one before. */
static aril_status count(aril_keystore *ks, const struct arili_store_counter *counter,
                         arili_worker_fn *fn, uint64_t least, uint64_t *ret_value,
                         aril_error *error)
{
    if (ks->ops->counter_read == NULL) {
        return lacks(ks, "has no counter", error);
    }
    if (!counter_is_sound(counter)) {
        return arili_error_set(error, arili_fail(ARIL_E_FORMAT_LENGTH),
                               "%s: no counter has a name of %zu bytes; restore what it is read "
                               "from",
                               ks->uri, counter->len);
    }
    ARILI_TRY(begin(ks, error));
    struct arili_desk *const d = ks->desk;
    d->counter = *counter;
    bool lost = false;
    aril_status st = run(ks, fn, &lost, error);
    if (lost) {
        return st;
    }
    const struct seen *const before = seen_find(ks, counter);
    if (st == ARIL_OK && before != NULL &&
        (d->value < before->value || d->value - before->value < least)) {
        st = nonsense(ks, least > 0 ? "its counter did not go up" : "its counter went back", error);
    }
    if (st == ARIL_OK) {
        seen_set(ks, counter, d->value);
        *ret_value = d->value;
    }
    end(ks);
    return st;
}

aril_status arili_keystore_counter_read(aril_keystore *ks,
                                        const struct arili_store_counter *counter,
                                        uint64_t *ret_value, aril_error *error)
{
    return count(ks, counter, arili_desk_counter_read, 0, ret_value, error);
}

aril_status arili_keystore_counter_increment(aril_keystore *ks,
                                             const struct arili_store_counter *counter,
                                             uint64_t *ret_value, aril_error *error)
{
    return count(ks, counter, arili_desk_counter_increment, 1, ret_value, error);
}

aril_status arili_keystore_counter_destroy(aril_keystore *ks,
                                           const struct arili_store_counter *counter,
                                           aril_error *error)
{
    if (ks->ops->counter_destroy == NULL) {
        return lacks(ks, "has no counter", error);
    }
    if (!counter_is_sound(counter)) {
        return arili_error_set(error, arili_fail(ARIL_E_FORMAT_LENGTH),
                               "%s: no counter has a name of %zu bytes", ks->uri, counter->len);
    }
    ARILI_TRY(begin(ks, error));
    ks->desk->counter = *counter;
    bool lost = false;
    const aril_status st = run(ks, arili_desk_counter_destroy, &lost, error);
    if (lost) {
        return st;
    }
    struct seen *const before = seen_find(ks, counter);
    if (st == ARIL_OK && before != NULL) {
        *before = (struct seen){ 0 };
    }
    end(ks);
    return st;
}

/* --- Opening and closing ------------------------------------------------------------------- */

static void keystore_freep(aril_keystore **ks)
{
    aril_keystore_close(*ks);
}

/* Takes the desk over, also on failure. */
static aril_status keystore_new(struct arili_desk *desk, uint32_t deadline_ms, aril_keystore **ret,
                                aril_error *error)
{
    aril_keystore *ks = arili_alloc(sizeof *ks);
    aril_status st = ks != NULL ? ARIL_OK : arili_fail(ARIL_E_NOMEM);
    if (st == ARIL_OK) {
        ks->deadline_ms = deadline_ms == 0 ? DEADLINE_MS_DEFAULT : deadline_ms;
        st = arili_worker_new(desk, arili_desk_release, ks->deadline_ms, &ks->worker);
    }
    if (st != ARIL_OK) {
        arili_error_set(error, st, "%s: no memory for its thread; give the process more",
                        desk->uri);
        arili_free(ks, sizeof *ks);
        arili_desk_release(desk);
        return st;
    }
    ks->rt = arili_runtime_hold(desk->rt);
    ks->desk = desk;
    ks->ops = desk->store.ops;
    memcpy(ks->uri, desk->uri, sizeof ks->uri);
    desk->worker = ks->worker;
    *ret = ks;
    return ARIL_OK;
}

/* Terminals and logs read the text of a device. False: it has no end. */
static bool clean_text(char *text, size_t cap)
{
    const char *const end_of_text = memchr(text, '\0', cap);
    for (size_t i = 0; end_of_text != NULL && text[i] != '\0'; i++) {
        const unsigned char c = (unsigned char)text[i];
        text[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
    }
    return end_of_text != NULL;
}

static bool info_is_sound(const struct arili_store_ops *ops, aril_keystore_info *info)
{
    const unsigned known = ARIL_KEYSTORE_COUNTER | ARIL_KEYSTORE_DESTROY | ARIL_KEYSTORE_ASKS;
    const bool counts = ops->counter_create != NULL && ops->counter_read != NULL &&
                        ops->counter_increment != NULL && ops->counter_destroy != NULL;
    const bool backend_ends = clean_text(info->backend, sizeof info->backend);
    const bool description_ends = clean_text(info->description, sizeof info->description);
    return info->protection >= ARIL_PROTECTION_SOFTWARE &&
           info->protection <= ARIL_PROTECTION_HSM && (info->capabilities & ~known) == 0 &&
           ((info->capabilities & ARIL_KEYSTORE_COUNTER) != 0) == counts &&
           ((info->capabilities & ARIL_KEYSTORE_DESTROY) != 0) == (ops->destroy != NULL) &&
           backend_ends && description_ends;
}

/* Runs open where the store is not open yet, then info. */
static aril_status start(aril_keystore *ks, arili_worker_fn *open, aril_error *error)
{
    ARILI_TRY(begin(ks, error));
    bool lost = false;
    aril_status st = open != NULL ? run(ks, open, &lost, error) : ARIL_OK;
    if (st == ARIL_OK) {
        st = run(ks, arili_desk_info, &lost, error);
    }
    if (lost) {
        return st;
    }
    if (st == ARIL_OK && !info_is_sound(ks->ops, &ks->desk->info)) {
        st = nonsense(ks, "states of itself what cannot be", error);
    }
    if (st == ARIL_OK) {
        ks->info = ks->desk->info;
    }
    end(ks);
    return st;
}

aril_status arili_keystore_open_with(aril_runtime *rt, const struct arili_store_ops *ops,
                                     const aril_keystore_config *config, aril_keystore **ret,
                                     aril_error *error)
{
    ARILI_ENSURE(ops->abi == ARILI_STORE_ABI, ARIL_E_USAGE_RANGE);
    struct arili_desk *desk = NULL;
    ARILI_TRY(arili_desk_new(rt, config, &desk, error));
    desk->store.ops = ops;
    desk->argon2_ms = config->argon2_ms == 0 ? ARGON2_MS_DEFAULT : config->argon2_ms;
    ARILI_DEFER(keystore_freep) aril_keystore *ks = NULL;
    ARILI_TRY(keystore_new(desk, config->deadline_ms, &ks, error));
    ARILI_TRY(start(ks, arili_desk_open, error));
    *ret = ARILI_TAKE(ks);
    return ARIL_OK;
}

static aril_status check_config(const aril_keystore_config *config, aril_error *error)
{
    if (config->deadline_ms > DEADLINE_MS_MAX || config->argon2_ms > ARGON2_MS_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "a deadline of %u ms or an argon2_ms of %u is too long; at most %u "
                               "and %u are allowed",
                               (unsigned)config->deadline_ms, (unsigned)config->argon2_ms,
                               DEADLINE_MS_MAX, ARGON2_MS_MAX);
    }
    if (strlen(config->uri) >= ARILI_DESK_URI_BYTES) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "the URI of the keystore is longer than %u bytes; shorten its path",
                               ARILI_DESK_URI_BYTES - 1);
    }
    return ARIL_OK;
}

/* Calibrating computes twice: better refused now than given up when the keyring is made. */
static aril_status check_passphrase_time(const struct arili_store_ops *ops,
                                         const aril_keystore_config *config, aril_error *error)
{
    const uint64_t deadline_ms =
        config->deadline_ms == 0 ? DEADLINE_MS_DEFAULT : config->deadline_ms;
    const uint64_t argon2_ms = config->argon2_ms == 0 ? ARGON2_MS_DEFAULT : config->argon2_ms;
    if (ops == &arili_store_passphrase && argon2_ms * 2 > deadline_ms) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "a passphrase of %u ms does not fit in a deadline of %u ms; allow "
                               "three times as much",
                               (unsigned)argon2_ms, (unsigned)deadline_ms);
    }
    return ARIL_OK;
}

aril_status aril_keystore_open(aril_runtime *rt, const aril_keystore_config *config,
                               aril_keystore **ret_keystore, aril_error *error)
{
    ARILI_ENSURE(rt != NULL && config != NULL && config->uri != NULL && ret_keystore != NULL,
                 ARIL_E_USAGE_NULL);
    *ret_keystore = NULL;
    ARILI_TRY(arili_runtime_check(rt));
    ARILI_TRY(check_config(config, error));
    const struct arili_store_ops *const ops = arili_store_find(config->uri);
    if (ops == NULL) {
        /* Not shown: what is no URI may be a passphrase. */
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "the URI of the keystore begins with none of file:, passphrase:, "
                               "credential:, tpm2: and pkcs11:; see docs/keystore.md");
    }
    ARILI_TRY(check_passphrase_time(ops, config, error));
    return arili_keystore_open_with(rt, ops, config, ret_keystore, error);
}

aril_status arili_keystore_new_over(aril_runtime *rt, struct arili_store store,
                                    uint32_t deadline_ms, aril_keystore **ret, aril_error *error)
{
    const aril_keystore_config config = { .uri = store.ops->scheme };
    struct arili_desk *desk = NULL;
    const aril_status st = arili_desk_new(rt, &config, &desk, error);
    if (st != ARIL_OK) {
        store.ops->close(store.state);
        return st;
    }
    desk->store = store;
    ARILI_DEFER(keystore_freep) aril_keystore *ks = NULL;
    ARILI_TRY(keystore_new(desk, deadline_ms, &ks, error));
    ARILI_TRY(start(ks, NULL, error));
    *ret = ARILI_TAKE(ks);
    return ARIL_OK;
}

void aril_keystore_close(aril_keystore *keystore)
{
    if (keystore == NULL) {
        return;
    }
    aril_runtime *const rt = keystore->rt;
    if (arili_secure_forked(rt->secure)) {
        /* The thread is not here, and what the store has open is the parent's. */
        arili_worker_forget(keystore->worker);
        if (!keystore->lost) {
            arili_desk_forget(keystore->desk);
        }
    } else {
        arili_worker_free(keystore->worker);
    }
    arili_free(keystore, sizeof *keystore);
    aril_runtime_free(rt);
}

const aril_keystore_info *arili_keystore_info(const aril_keystore *ks)
{
    return &ks->info;
}

aril_status aril_keystore_get_info(const aril_keystore *keystore, aril_keystore_info *ret_info)
{
    ARILI_ENSURE(keystore != NULL && ret_info != NULL, ARIL_E_USAGE_NULL);
    *ret_info = keystore->info;
    return ARIL_OK;
}
