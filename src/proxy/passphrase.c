/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "base/tablehash.h"
#include "crypto/runtime.h"
#include "proxy/credentials.h"

static aril_status derive(aril_runtime *rt, aril_bytes passphrase, const struct arili_argon2 *a,
                          aril_bytes salt, uint8_t ret[ARILI_CREDENTIAL_HASH_BYTES])
{
    return rt->crypto.ops->argon2id(rt->crypto.provider, passphrase, salt, a->memory_kib,
                                    a->iterations, a->lanes, ret, ARILI_CREDENTIAL_HASH_BYTES);
}

/*
 * Whose work is done for a user who does not exist: a tenant's who does, the same one each time,
 * and spread over all of them, so that a user's time is some tenant's time in any case. Each tenant
 * has a weight for each user name, from a hash that nobody outside knows, and the heaviest is
 * taken: so one more line in the file does not move the users who do not exist from one time to
 * another, which would tell them from those who do.
 */
static const struct arili_person *stand_in(const struct arili_credentials *c, aril_bytes user)
{
    const struct arili_person *heaviest = NULL;
    uint64_t most = 0;
    for (size_t i = 0; i < c->person_count; i++) {
        const uint64_t seed = arili_load64(c->passphrases[c->persons[i].first].hash);
        const uint64_t weight = arili_table_hash(seed, user);
        if (heaviest == NULL || weight > most) {
            heaviest = &c->persons[i];
            most = weight;
        }
    }
    return heaviest;
}

static int compare_user(aril_bytes user, const char *tenant)
{
    const size_t len = strlen(tenant);
    const int order = memcmp(user.data, tenant, user.len < len ? user.len : len);
    return order != 0 ? order : (user.len > len) - (user.len < len);
}

static const struct arili_person *find(const struct arili_credentials *c, aril_bytes user)
{
    size_t low = 0;
    size_t high = c->person_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare_user(user, c->persons[middle].tenant);
        if (order == 0) {
            return &c->persons[middle];
        }
        low = order > 0 ? middle + 1 : low;
        high = order < 0 ? middle : high;
    }
    return NULL;
}

/* Each passphrase of the person is tried, also behind the right one. */
static aril_status try_all(const struct arili_credentials *c, const struct arili_person *person,
                           aril_bytes secret, bool *ret_right)
{
    bool right = false;
    for (size_t i = 0; i < person->count; i++) {
        const struct arili_passphrase_row *const row = &c->passphrases[person->first + i];
        uint8_t hash[ARILI_CREDENTIAL_HASH_BYTES] = { 0 };
        const aril_status st =
            derive(c->rt, secret, &row->argon2, (aril_bytes){ row->salt, row->salt_len }, hash);
        const bool same = arili_equal_ct(hash, row->hash, sizeof hash);
        arili_wipe(hash, sizeof hash);
        ARILI_TRY(st);
        right = right || same;
    }
    *ret_right = right;
    return ARIL_OK;
}

aril_status arili_passphrase_check(const struct arili_credentials *c, aril_bytes user,
                                   aril_bytes secret, bool *ret_right, char ret_tenant[256])
{
    *ret_right = false;
    memset(ret_tenant, 0, 256);
    if (c == NULL || c->person_count == 0 || secret.len < ARILI_PASSPHRASE_MIN ||
        secret.len > ARILI_PASSPHRASE_MAX) {
        return ARIL_OK;
    }
    const aril_bytes name = arili_user_name(user);
    /* Both are always looked for: with many tenants it takes a while. */
    const struct arili_person *const other = stand_in(c, name);
    const struct arili_person *const found = find(c, name);
    bool right = false;
    ARILI_TRY(try_all(c, found != NULL ? found : other, secret, &right));
    if (right && found != NULL) {
        arili_tenant_copy(ret_tenant, found->tenant);
        *ret_right = true;
    }
    return ARIL_OK;
}

static aril_status check_new(aril_bytes passphrase, aril_error *error)
{
    if (passphrase.len < ARILI_PASSPHRASE_MIN || passphrase.len > ARILI_PASSPHRASE_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "a passphrase has %u to %u bytes; choose another one",
                               ARILI_PASSPHRASE_MIN, ARILI_PASSPHRASE_MAX);
    }
    if (arili_begins_as_token(passphrase)) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "a passphrase does not begin with %s, as tokens do; choose another "
                               "one",
                               ARILI_TOKEN_PREFIX);
    }
    return ARIL_OK;
}

static aril_status make(aril_runtime *rt, aril_bytes passphrase, struct arili_credential_line *line)
{
    line->kind = ARILI_CREDENTIAL_PASSPHRASE;
    line->argon2 = (struct arili_argon2){ ARILI_ARGON2_MEMORY_KIB, ARILI_ARGON2_ITERATIONS,
                                          ARILI_ARGON2_LANES };
    line->salt_len = ARILI_CREDENTIAL_SALT_BYTES;
    ARILI_TRY(rt->crypto.ops->random(rt->crypto.provider, line->salt, line->salt_len));
    return derive(rt, passphrase, &line->argon2, (aril_bytes){ line->salt, line->salt_len },
                  line->hash);
}

aril_status arili_passphrase_make(aril_runtime *rt, aril_bytes tenant, const char *name,
                                  aril_bytes passphrase, uint64_t now_s,
                                  char ret_line[ARILI_CREDENTIAL_LINE_MAX], aril_error *error)
{
    memset(ret_line, 0, ARILI_CREDENTIAL_LINE_MAX);
    ARILI_DEFER(arili_credential_line_wipe) struct arili_credential_line line;
    ARILI_TRY(arili_credential_line_begin(tenant, name, now_s, &line, error));
    ARILI_TRY(check_new(passphrase, error));
    const aril_status st = make(rt, passphrase, &line);
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "cannot hash the passphrase: %s", aril_status_text(st));
    }
    (void)arili_credential_line_write(&line, ret_line); /* its length is the text's */
    return ARIL_OK;
}
