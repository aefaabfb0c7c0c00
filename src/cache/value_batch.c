/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/value_batch.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/value_internal.h"
#include "crypto/runtime.h"
#include "keyring/cache.h"
#include <string.h>

void arili_value_batch_init(struct arili_value_batch *b, aril_runtime *rt)
{
    *b = (struct arili_value_batch){ .rt = rt, .guard = arili_secure_guard(rt->secure) };
}

void arili_value_batch_end(struct arili_value_batch *b)
{
    arili_wipe(b->nonces, sizeof b->nonces);
    b->nonces_left = 0;
    if (b->leased && !b->lent) {
        arili_contexts_put(b->rt->contexts, &b->lease); /* wipes both keys */
        b->leased = b->keyed = false;
    }
}

aril_status arili_value_batch_nonce(struct arili_value_batch *b,
                                    uint8_t ret[ARILI_VALUE_NONCE_BYTES])
{
    const struct arili_crypto *c = &b->rt->crypto;
    ARILI_ENSURE(!arili_is_forked(&b->guard), ARIL_E_FORKED);
    if (b->nonces_left == 0) {
        ARILI_TRY(c->ops->random(c->provider, b->nonces[0], sizeof b->nonces));
        b->nonces_left = ARILI_VALUE_BATCH_NONCES;
    }
    uint8_t *const next = b->nonces[--b->nonces_left];
    memcpy(ret, next, ARILI_VALUE_NONCE_BYTES);
    arili_wipe(next, ARILI_VALUE_NONCE_BYTES);
    return ARIL_OK;
}

aril_status arili_value_batch_lend(struct arili_value_batch *b, const aril_tenant_key *key,
                                   const uint8_t value_nonce[ARILI_VALUE_NONCE_BYTES],
                                   uint64_t index, struct arili_context_lease *ret_lease,
                                   uint8_t ret_nonce[ARILI_AEAD_NONCE_BYTES])
{
    const uint8_t *const id = aril_tenant_key_id(key);
    const struct arili_xaes *const xaes = arili_tenant_key_xaes(key);
    uint8_t nonce[ARILI_XAES_NONCE_BYTES];
    arili_value_segment_nonce(value_nonce, index, nonce);
    if (!b->leased) {
        ARILI_TRY(arili_contexts_get(b->rt->contexts, 0, NULL, &b->lease));
        b->leased = true;
    }
    /* Ids are public, and commit to their keys: one id is one key. */
    const bool same = b->keyed && memcmp(b->key_id, id, sizeof b->key_id) == 0;
    const aril_status st = same ? arili_xaes_next(xaes, nonce, b->lease.ctx, ret_nonce)
                                : arili_xaes_message(xaes, nonce, b->lease.ctx, ret_nonce);
    b->keyed = st == ARIL_OK;
    if (st != ARIL_OK) {
        arili_value_batch_end(b);
        return st;
    }
    if (!same) {
        memcpy(b->key_id, id, sizeof b->key_id);
    }
    b->lent = true;
    *ret_lease = b->lease;
    return ARIL_OK;
}

void arili_value_batch_return(struct arili_value_batch *b, struct arili_context_lease *lease)
{
    b->lent = false;
    *lease = (struct arili_context_lease){ 0 };
}
