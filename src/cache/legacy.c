/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/legacy.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/cachekit.h"
#include "cache/lmcache.h"
#include "format/msgpack.h"

#define WRITES_MAX (UINT64_C(1) << 32) /* of a counter of 32 bits, and of random ivs */

void arili_legacy_value_done(struct arili_legacy_value *v)
{
    arili_free(v->memory, v->memory_bytes);
    *v = (struct arili_legacy_value){ 0 };
}

size_t arili_legacy_overhead(aril_cache_format format)
{
    switch (format) {
    case ARIL_CACHE_CACHEKIT_INTEROP:
        return ARILI_CACHEKIT_OVERHEAD;
    case ARIL_CACHE_LMCACHE:
        return ARILI_LMCACHE_OVERHEAD;
    case ARIL_CACHE_NATIVE:
    case ARIL_CACHE_CACHEKIT_PY:
    case ARIL_CACHE_CACHEKIT_TS:
    case ARIL_CACHE_CACHEKIT_RS:
        break;
    }
    return 0;
}

static aril_status check_keys(const struct arili_legacy_keys *keys)
{
    ARILI_ENSURE(keys->count >= 1 && keys->count <= ARILI_LEGACY_KEYS_MAX, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

aril_status arili_legacy_open(const struct arili_legacy_scope *scope, aril_bytes stored,
                              struct arili_legacy_value *ret)
{
    ARILI_TRY(check_keys(scope->keys));
    ARILI_DEFER(arili_legacy_value_done) struct arili_legacy_value value = { 0 };
    if (scope->format == ARIL_CACHE_LMCACHE) {
        ARILI_TRY(arili_lmcache_open(scope, stored, &value));
    } else {
        ARILI_TRY(arili_cachekit_open(scope, stored, &value));
    }
    *ret = value;
    value = (struct arili_legacy_value){ 0 };
    return ARIL_OK;
}

/* One more message of this writer: its number, which no other call is given. */
static aril_status count_write(struct arili_legacy_writer *writer, uint32_t *ret_number)
{
    const uint64_t max = writer->used_max < WRITES_MAX ? writer->used_max : WRITES_MAX;
    uint64_t used = atomic_load_explicit(&writer->used, memory_order_relaxed);
    do {
        ARILI_ENSURE(used < max, ARIL_E_LIMIT);
    } while (!atomic_compare_exchange_weak_explicit(&writer->used, &used, used + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    *ret_number = (uint32_t)used; /* below 2^32 */
    return ARIL_OK;
}

static aril_status seal_counted(const struct arili_legacy_scope *scope,
                                struct arili_legacy_writer *writer, aril_bytes value, uint8_t *ret)
{
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    uint32_t number = 0;
    ARILI_TRY(count_write(writer, &number));
    if (scope->format == ARIL_CACHE_LMCACHE) {
        /* Its format has nothing that tells writers apart, so chance must; the count is what keeps
         * two equal ones improbable (SP 800-38D 8.3). */
        ARILI_TRY(scope->crypto->ops->random(scope->crypto->provider, nonce, sizeof nonce));
        return arili_lmcache_seal(scope, nonce, value, ret);
    }
    memcpy(nonce, writer->instance, sizeof writer->instance);
    arili_store32(nonce + sizeof writer->instance, number);
    return arili_cachekit_seal(scope, nonce, value, ret);
}

aril_status arili_legacy_seal(const struct arili_legacy_scope *scope,
                              struct arili_legacy_writer *writer, aril_bytes value, uint8_t *ret)
{
    const size_t overhead = arili_legacy_overhead(scope->format);
    ARILI_ENSURE(overhead > 0, ARIL_E_USAGE_RANGE);
    ARILI_TRY(check_keys(scope->keys));
    ARILI_ENSURE(value.len <= scope->value_max, ARIL_E_LIMIT);
    if (scope->format == ARIL_CACHE_CACHEKIT_INTEROP) {
        ARILI_TRY(arili_msgpack_check(value, ARILI_MSGPACK_DEPTH_MAX, NULL));
    }
    const aril_status st = seal_counted(scope, writer, value, ret);
    if (st != ARIL_OK) {
        arili_wipe(ret, value.len + overhead);
    }
    return st;
}
