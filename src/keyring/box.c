/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/contexts.h"
#include "keyring/keyring.h"

/*
 * "aril box v1", docs/KEYRING-FORMAT.md:
 *   0 level 0xa1   1 kind 2   2 use 3   3 zero (5)   8 key id (32)   40 nonce (24)
 *   64 ciphertext, then the tag (16)
 */
#define BOX_LEVEL         0xa1u
#define BOX_KIND          2u
#define BOX_USE           3u
#define KEY_ID_AT         8u
#define NONCE_AT          40u
#define HEADER_BYTES      64u
#define CONTEXT_BYTES_MAX 65535u
#define LABEL             ARILI_LITERAL("aril box v1")
_Static_assert(HEADER_BYTES + ARILI_AEAD_TAG_BYTES == ARIL_BOX_OVERHEAD_BYTES, "one size");

/* header || label || vec16 tenant || vec16 context */
struct aad {
    uint8_t *bytes;
    size_t len;
};
static void aad_done(struct aad *a)
{
    arili_free(a->bytes, a->len);
}

static aril_status aad_make(const uint8_t *header, aril_bytes tenant, aril_bytes context,
                            struct aad *ret)
{
    const size_t len = HEADER_BYTES + LABEL.len + 2 + tenant.len + 2 + context.len;
    ret->bytes = arili_alloc(len);
    ARILI_ENSURE(ret->bytes != NULL, ARIL_E_NOMEM);
    ret->len = len;
    struct arili_writer w = arili_writer_init(ret->bytes, len);
    arili_write_bytes(&w, (aril_bytes){ header, HEADER_BYTES });
    arili_write_bytes(&w, LABEL);
    arili_write_vec16(&w, tenant);
    arili_write_vec16(&w, context);
    size_t written;
    return arili_writer_end(&w, &written);
}

static aril_status check(const aril_keyring *kr, aril_bytes tenant, aril_bytes context,
                         aril_bytes in, const uint8_t *ret, const size_t *ret_len)
{
    ARILI_ENSURE(kr != NULL && ret != NULL && ret_len != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE((tenant.data != NULL || tenant.len == 0) &&
                     (context.data != NULL || context.len == 0) && (in.data != NULL || in.len == 0),
                 ARIL_E_USAGE_NULL);
    ARILI_ENSURE(tenant.len >= 1 && tenant.len <= ARIL_KEY_OWNER_BYTES_MAX &&
                     context.len <= CONTEXT_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

/* --- Seal ---------------------------------------------------------------------------------- */

static aril_status seal(aril_keyring *kr, const aril_tenant_key *key, aril_bytes tenant,
                        aril_bytes context, aril_bytes plain, uint8_t *ret)
{
    const struct arili_crypto *c = &kr->rt->crypto;
    memset(ret, 0, HEADER_BYTES);
    ret[0] = BOX_LEVEL;
    ret[1] = BOX_KIND;
    ret[2] = BOX_USE;
    memcpy(ret + KEY_ID_AT, aril_tenant_key_id(key), ARIL_KEY_ID_BYTES);
    ARILI_TRY(c->ops->random(c->provider, ret + NONCE_AT, ARILI_XAES_NONCE_BYTES));
    ARILI_DEFER(aad_done) struct aad aad = { NULL, 0 };
    ARILI_TRY(aad_make(ret, tenant, context, &aad));
    struct arili_context_lease lease;
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    ARILI_TRY(arili_contexts_get(kr->rt->contexts, 0, NULL, &lease));
    aril_status st =
        arili_xaes_message(arili_tenant_key_xaes(key), ret + NONCE_AT, lease.ctx, nonce);
    if (st == ARIL_OK) {
        st = c->ops->aead_seal(lease.ctx, nonce, (aril_bytes){ aad.bytes, aad.len }, &plain, 1,
                               ret + HEADER_BYTES, ret + HEADER_BYTES + plain.len);
    }
    arili_contexts_put(kr->rt->contexts, &lease);
    return st;
}

aril_status aril_keyring_seal(aril_keyring *keyring, aril_bytes tenant, aril_bytes context,
                              aril_bytes plain, uint8_t *ret_box, size_t cap, size_t *ret_len,
                              aril_error *error)
{
    ARILI_TRY(check(keyring, tenant, context, plain, ret_box, ret_len));
    ARILI_ENSURE(plain.len <= ARIL_BOX_PLAIN_BYTES_MAX, ARIL_E_USAGE_RANGE);
    const size_t len = plain.len + ARIL_BOX_OVERHEAD_BYTES;
    ARILI_ENSURE(len <= cap, ARIL_E_USAGE_TOO_SMALL);
    ARILI_ENSURE(!arili_overlap(ret_box, len, plain.data, plain.len), ARIL_E_USAGE_OVERLAP);
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    ARILI_TRY(aril_keyring_tenant_key(keyring, tenant, ARIL_KEY_DATA, &key, error));
    const aril_status st = seal(keyring, key, tenant, context, plain, ret_box);
    if (st != ARIL_OK) {
        arili_wipe(ret_box, len);
        return st;
    }
    *ret_len = len;
    return ARIL_OK;
}

/* --- Open ---------------------------------------------------------------------------------- */

static aril_status parse(aril_bytes box)
{
    static const uint8_t zeros[KEY_ID_AT - 3] = { 0 };
    ARILI_ENSURE(box.len >= ARIL_BOX_OVERHEAD_BYTES, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(box.data[0] == BOX_LEVEL, ARIL_E_FORMAT_VERSION);
    ARILI_ENSURE(box.data[1] == BOX_KIND && box.data[2] == BOX_USE, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(memcmp(box.data + 3, zeros, sizeof zeros) == 0, ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(box.len - ARIL_BOX_OVERHEAD_BYTES <= ARIL_BOX_PLAIN_BYTES_MAX,
                 ARIL_E_FORMAT_LENGTH);
    return ARIL_OK;
}

static aril_status refuse(const aril_keyring *kr, aril_status st, aril_error *error)
{
    return arili_error_set(error, st, "a box for %s: %s; %s", kr->path, aril_status_text(st),
                           aril_status_hint(st));
}

static aril_status open_box(aril_keyring *kr, const aril_tenant_key *key, aril_bytes tenant,
                            aril_bytes context, aril_bytes box, uint8_t *ret_plain)
{
    const struct arili_crypto *c = &kr->rt->crypto;
    const size_t len = box.len - ARIL_BOX_OVERHEAD_BYTES;
    ARILI_DEFER(aad_done) struct aad aad = { NULL, 0 };
    ARILI_TRY(aad_make(box.data, tenant, context, &aad));
    struct arili_context_lease lease;
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    const aril_span out = { ret_plain, len };
    ARILI_TRY(arili_contexts_get(kr->rt->contexts, 0, NULL, &lease));
    aril_status st =
        arili_xaes_message(arili_tenant_key_xaes(key), box.data + NONCE_AT, lease.ctx, nonce);
    if (st == ARIL_OK) {
        st = c->ops->aead_open(lease.ctx, nonce, (aril_bytes){ aad.bytes, aad.len },
                               (aril_bytes){ box.data + HEADER_BYTES, len },
                               box.data + HEADER_BYTES + len, &out, 1);
    }
    arili_contexts_put(kr->rt->contexts, &lease);
    return st;
}

aril_status aril_keyring_open_box(aril_keyring *keyring, aril_bytes tenant, aril_bytes context,
                                  aril_bytes box, uint8_t *ret_plain, size_t cap, size_t *ret_len,
                                  aril_error *error)
{
    ARILI_TRY(check(keyring, tenant, context, box, ret_plain, ret_len));
    const aril_status form = parse(box);
    if (form != ARIL_OK) {
        return refuse(keyring, form, error);
    }
    const size_t len = box.len - ARIL_BOX_OVERHEAD_BYTES;
    ARILI_ENSURE(len <= cap, ARIL_E_USAGE_TOO_SMALL);
    ARILI_ENSURE(!arili_overlap(ret_plain, len, box.data, box.len), ARIL_E_USAGE_OVERLAP);
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    ARILI_TRY(aril_keyring_key_by_id(keyring, tenant, box.data + KEY_ID_AT, &key, error));
    if (aril_tenant_key_purpose(key) != ARIL_KEY_DATA) {
        return refuse(keyring, ARIL_E_KEY_UNKNOWN, error);
    }
    const aril_status st = open_box(keyring, key, tenant, context, box, ret_plain);
    if (st != ARIL_OK) {
        arili_wipe(ret_plain, len);
        if (st == ARIL_E_AUTH) {
            (void)arili_keyring_tell(keyring, ARIL_EVENT_AUTH_FAILURE, "box", st, tenant,
                                     aril_tenant_key_id(key), NULL);
        }
        return refuse(keyring, st, error);
    }
    *ret_len = len;
    return ARIL_OK;
}
