/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/l1_internal.h"
#include "base/ensure.h"

aril_status arili_l1_key_new(aril_runtime *rt, struct arili_l1_key **ret)
{
    ARILI_DEFER(arili_l1_key_putp) struct arili_l1_key *key = arili_alloc(sizeof *key);
    ARILI_ENSURE(key != NULL, ARIL_E_NOMEM);
    key->rt = rt;
    atomic_init(&key->references, 1);
    key->secret = arili_secure_take(rt->secure);
    ARILI_ENSURE(key->secret != NULL, ARIL_E_NOMEM);
    ARILI_TRY(rt->crypto.ops->random(rt->crypto.provider, key->secret, ARILI_AEAD_KEY_BYTES));
    key->uid = arili_contexts_uid(rt->contexts);
    *ret = ARILI_TAKE(key);
    return ARIL_OK;
}

void arili_l1_key_hold(struct arili_l1_key *key)
{
    atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
}

void arili_l1_key_put(struct arili_l1_key *key)
{
    if (key == NULL || atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    /* A forked child has no key, and locks there may be held for ever. */
    if (!arili_secure_forked(key->rt->secure)) {
        arili_contexts_forget(key->rt->contexts, key->uid);
    }
    arili_secure_give(key->rt->secure, key->secret);
    arili_free(key, sizeof *key);
}

void arili_l1_key_putp(struct arili_l1_key **key)
{
    arili_l1_key_put(*key);
}

aril_status arili_l1_key_seal(const struct arili_l1_key *key, const uint8_t *nonce, aril_bytes aad,
                              aril_bytes value, uint8_t *ret_body, uint8_t *ret_tag)
{
    const struct arili_crypto_ops *const ops = key->rt->crypto.ops;
    struct arili_context_lease lease;
    ARILI_TRY(arili_contexts_get(key->rt->contexts, key->uid, key->secret, &lease));
    const aril_status st = ops->aead_seal(lease.ctx, nonce, aad, &value, 1, ret_body, ret_tag);
    arili_contexts_put(key->rt->contexts, &lease);
    return st;
}

aril_status arili_l1_key_open(const struct arili_l1_key *key, const uint8_t *nonce, aril_bytes aad,
                              aril_bytes body, const uint8_t *tag, uint8_t *ret)
{
    const struct arili_crypto_ops *const ops = key->rt->crypto.ops;
    const aril_span span = { ret, body.len };
    struct arili_context_lease lease;
    ARILI_TRY(arili_contexts_get(key->rt->contexts, key->uid, key->secret, &lease));
    const aril_status st = ops->aead_open(lease.ctx, nonce, aad, body, tag, &span, 1);
    arili_contexts_put(key->rt->contexts, &lease);
    if (st != ARIL_OK) {
        arili_wipe(ret, body.len);
    }
    return st;
}
