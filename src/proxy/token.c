/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/names.h"
#include "crypto/runtime.h"
#include "proxy/credentials.h"
#include <string.h>

#define TOKEN_RANDOM_BYTES 32u
#define TOKEN_CHARS        (ARILI_TOKEN_TEXT - 1)
#define PREFIX_CHARS       (sizeof ARILI_TOKEN_PREFIX - 1)

/* The text is hashed, not the bytes that it stands for: two texts are never the same token. */
static aril_status hash_token(aril_runtime *rt, aril_bytes token,
                              uint8_t ret[ARILI_CREDENTIAL_HASH_BYTES])
{
    return rt->crypto.ops->hash(rt->crypto.provider, ARILI_SHA256, &token, 1, ret);
}

/* The prefix is public, and an answer is different without it anyway. */
bool arili_begins_as_token(aril_bytes secret)
{
    static const char prefix[] = ARILI_TOKEN_PREFIX;
    bool begins = secret.len >= PREFIX_CHARS;
    for (size_t i = 0; begins && i < PREFIX_CHARS; i++) {
        begins = secret.data[i] == (uint8_t)prefix[i];
    }
    return begins;
}

/*
 * The last row that is not behind hash: as many steps for every hash, without a branch that
 * depends on it. The steps do show the first bits of the hashes that are nearest, to who measures
 * them in nanoseconds; to know a hash is no way to a token, and who sends one cannot choose its
 * hash. Whether it is the one is compared in constant time.
 */
static const struct arili_token_row *find(const struct arili_credentials *c,
                                          const uint8_t hash[ARILI_CREDENTIAL_HASH_BYTES])
{
    const struct arili_token_row *base = c->tokens; /* one zero row when there are none */
    for (size_t n = c->token_count; n > 1;) {
        const size_t half = n / 2;
        const bool upper = memcmp(base[half].hash, hash, sizeof base->hash) <= 0;
        base += upper ? half : 0;
        n -= half;
    }
    const bool same = arili_equal_ct(base->hash, hash, sizeof base->hash);
    return same && c->token_count > 0 ? base : NULL;
}

enum arili_verdict arili_token_check(const struct arili_credentials *c, aril_bytes user,
                                     aril_bytes secret, char ret_tenant[256])
{
    memset(ret_tenant, 0, 256);
    if (c == NULL) {
        return ARILI_VERDICT_NO;
    }
    if (!arili_begins_as_token(secret)) {
        const bool possible =
            secret.len >= ARILI_PASSPHRASE_MIN && secret.len <= ARILI_PASSPHRASE_MAX;
        return possible && c->person_count > 0 ? ARILI_VERDICT_WORK : ARILI_VERDICT_NO;
    }
    uint8_t hash[ARILI_CREDENTIAL_HASH_BYTES] = { 0 };
    if (secret.len != TOKEN_CHARS) {
        return ARILI_VERDICT_NO;
    }
    if (hash_token(c->rt, secret, hash) != ARIL_OK) {
        return ARILI_VERDICT_LATER;
    }
    const struct arili_token_row *const row = find(c, hash);
    arili_wipe(hash, sizeof hash);
    if (row == NULL) {
        return ARILI_VERDICT_NO;
    }
    const char *const tenant = c->all[row->index].tenant;
    if (!arili_user_is(arili_user_name(user), "default") && !arili_user_is(user, tenant)) {
        return ARILI_VERDICT_NO;
    }
    arili_tenant_copy(ret_tenant, tenant);
    return ARILI_VERDICT_YES;
}

static aril_status make(aril_runtime *rt, struct arili_credential_line *line,
                        char ret_token[ARILI_TOKEN_TEXT], aril_error *error)
{
    uint8_t random[TOKEN_RANDOM_BYTES] = { 0 };
    aril_status st = rt->crypto.ops->random(rt->crypto.provider, random, sizeof random);
    if (st == ARIL_OK) {
        memcpy(ret_token, ARILI_TOKEN_PREFIX, PREFIX_CHARS);
        const size_t len = arili_base64url(random, sizeof random, ret_token + PREFIX_CHARS);
        ret_token[PREFIX_CHARS + len] = '\0';
        line->kind = ARILI_CREDENTIAL_TOKEN;
        st = hash_token(rt, (aril_bytes){ (const uint8_t *)ret_token, TOKEN_CHARS }, line->hash);
    }
    arili_wipe(random, sizeof random);
    if (st != ARIL_OK) {
        arili_wipe(ret_token, ARILI_TOKEN_TEXT);
        return arili_error_set(error, st, "cannot make a token: %s", aril_status_text(st));
    }
    return ARIL_OK;
}

aril_status arili_token_make(aril_runtime *rt, aril_bytes tenant, const char *name, uint64_t now_s,
                             char ret_token[ARILI_TOKEN_TEXT],
                             char ret_line[ARILI_CREDENTIAL_LINE_MAX], aril_error *error)
{
    memset(ret_token, 0, ARILI_TOKEN_TEXT);
    memset(ret_line, 0, ARILI_CREDENTIAL_LINE_MAX);
    ARILI_DEFER(arili_credential_line_wipe) struct arili_credential_line line;
    ARILI_TRY(arili_credential_line_begin(tenant, name, now_s, &line, error));
    ARILI_TRY(make(rt, &line, ret_token, error));
    (void)arili_credential_line_write(&line, ret_line); /* its length is the text's */
    return ARIL_OK;
}
