/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/runtime.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/cpu.h"
#include "crypto/selftest.h"

static void runtime_freep(aril_runtime **rt)
{
    aril_runtime_free(*rt);
}

static aril_status check_config(const aril_runtime_config *config)
{
    if (config == NULL) {
        return ARIL_OK;
    }
    const aril_clock *clock = config->clock;
    ARILI_ENSURE(clock == NULL || clock->abi == ARIL_CLOCK_ABI, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(clock == NULL || (clock->boot_ns != NULL && clock->unix_s != NULL),
                 ARIL_E_USAGE_NULL);
    ARILI_ENSURE(config->audit == NULL || config->audit->abi == ARIL_AUDIT_SINK_ABI,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(config->audit == NULL || config->audit->event != NULL, ARIL_E_USAGE_NULL);
    return ARIL_OK;
}

/* Everything of a runtime but its provider. */
static aril_status fill(aril_runtime *rt, const aril_runtime_config *config)
{
    rt->clock = config != NULL && config->clock != NULL ? *config->clock : arili_clock_system;
    rt->audit = config != NULL ? config->audit : NULL;
    ARILI_TRY(arili_secure_new(&rt->secure));
    return arili_contexts_new(&rt->crypto, &rt->contexts);
}

aril_status arili_runtime_new_over(const struct arili_crypto *crypto,
                                   const aril_runtime_config *config, aril_runtime **ret_rt)
{
    ARILI_TRY(check_config(config));
    ARILI_DEFER(runtime_freep) aril_runtime *rt = arili_alloc(sizeof *rt);
    ARILI_ENSURE(rt != NULL, ARIL_E_NOMEM);
    atomic_init(&rt->holders, 1);
    rt->crypto = *crypto;
    ARILI_TRY(fill(rt, config));
    *ret_rt = ARILI_TAKE(rt);
    return ARIL_OK;
}

aril_status aril_runtime_new(const aril_runtime_config *config, aril_runtime **ret_rt)
{
    ARILI_ENSURE(ret_rt != NULL, ARIL_E_USAGE_NULL);
    *ret_rt = NULL;
    ARILI_TRY(check_config(config));
    ARILI_DEFER(runtime_freep) aril_runtime *rt = arili_alloc(sizeof *rt);
    ARILI_ENSURE(rt != NULL, ARIL_E_NOMEM);
    atomic_init(&rt->holders, 1);
    const char *missing = NULL;
    const aril_status st = arili_openssl_new(&rt->crypto, &missing);
    if (st != ARIL_OK) {
        return arili_error_set(config != NULL ? config->error : NULL, st,
                               "libcrypto %s lacks %s; aril needs OpenSSL 3.5 or newer",
                               arili_openssl_version(), missing != NULL ? missing : "its provider");
    }
    rt->owns_provider = true;
    ARILI_TRY(fill(rt, config));
    *ret_rt = ARILI_TAKE(rt);
    return ARIL_OK;
}

aril_runtime *arili_runtime_hold(aril_runtime *rt)
{
    atomic_fetch_add_explicit(&rt->holders, 1, memory_order_relaxed);
    return rt;
}

void aril_runtime_free(aril_runtime *rt)
{
    if (rt == NULL || atomic_fetch_sub_explicit(&rt->holders, 1, memory_order_acq_rel) > 1) {
        return;
    }
    arili_contexts_free(rt->contexts);
    arili_secure_free(rt->secure);
    if (rt->owns_provider) {
        arili_openssl_free(&rt->crypto);
    }
    arili_free(rt, sizeof *rt);
}

aril_status arili_runtime_check(const aril_runtime *rt)
{
    ARILI_ENSURE(!arili_secure_forked(rt->secure), ARIL_E_FORKED);
    return ARIL_OK;
}

aril_status aril_runtime_get_info(const aril_runtime *rt, aril_runtime_info *ret_info)
{
    ARILI_ENSURE(rt != NULL && ret_info != NULL, ARIL_E_USAGE_NULL);
    const struct arili_secure_stats s = arili_secure_stats(rt->secure);
    *ret_info = (aril_runtime_info){
        .version = ARIL_VERSION,
        .openssl = arili_openssl_version(),
        .cpu = arili_cpu_features(),
        .secure_bytes = s.bytes,
        .secure_locked_bytes = s.locked_bytes,
        .wipes_on_fork = s.wipes_on_fork,
        .excluded_from_core_dumps = s.no_core && arili_openssl_heap_in_use(),
    };
    return ARIL_OK;
}

aril_status aril_runtime_self_test(aril_runtime *rt, aril_self_test_fn *report, void *user)
{
    ARILI_ENSURE(rt != NULL, ARIL_E_USAGE_NULL);
    return arili_crypto_self_test(&rt->crypto, report, user);
}
