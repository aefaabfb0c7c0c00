/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"
#include "check.h"
#include "fixture.h"
#include <stdlib.h>
#include <string.h>

#define DAY_MS UINT64_C(86400000)

/* policy.c asks whether there is a store, and never uses it. */
static int nothing;
static aril_store *const some_store = (aril_store *)&nothing;

static struct aril_cache cache;
static aril_error why;

static aril_status init(const aril_cache_policy *policies, size_t count, aril_store *store)
{
    const aril_cache_config config = { .store = store,
                                       .policies = policies,
                                       .policy_count = count };
    memset(&cache, 0, sizeof cache);
    why = (aril_error){ .status = ARIL_OK };
    return arili_policies_init(&cache, &config, &why);
}

static const aril_cache_policy *said(const char *space)
{
    return &arili_policy_of(&cache, text_bytes(space))->said;
}

static void done(void)
{
    arili_policies_done(&cache);
}

static void all_zero_is_the_default(void **state)
{
    (void)state;
    const aril_cache_policy zero = { .tiers = 0 };
    for (size_t count = 0; count <= 1; count++) {
        assert_status(init(&zero, count, some_store), ARIL_OK);
        const aril_cache_policy *p = said("anything");
        assert_int_equal(p->tiers, ARIL_CACHE_L1 | ARIL_CACHE_L2);
        assert_true(p->ttl_ms == 3600000 && p->ttl_max_ms == 30 * DAY_MS);
        assert_true(p->l1_ttl_ms == 60000 && p->stale_ms == 0 && p->jitter_percent == 0);
        assert_true(p->value_max == (uint64_t)64 << 20 && p->l1_value_max == 1 << 20);
        assert_int_equal(p->padding, ARIL_CACHE_PAD_NONE);
        assert_int_equal(p->writes, ARIL_CACHE_NATIVE);
        assert_int_equal(p->legacy_reads, 0); /* no downgrade */
        assert_int_equal(p->lmcache_key_bits, 128);
        assert_int_equal(p->on_tamper, ARIL_CACHE_FAIL_OPEN);
        done();
    }
}

static void a_short_longest_life_shortens_the_default(void **state)
{
    (void)state;
    const aril_cache_policy p = { .ttl_max_ms = 5000 };
    assert_status(init(&p, 1, some_store), ARIL_OK);
    assert_true(said("")->ttl_ms == 5000);
    done();
}

static void a_namespace_has_its_policy_and_the_others_the_rest(void **state)
{
    (void)state;
    /* The one without a namespace may stand anywhere. */
    for (size_t at = 0; at < 3; at++) {
        aril_cache_policy policies[3] = { { .ttl_ms = 1 }, { .ttl_ms = 2 }, { .ttl_ms = 3 } };
        const char *const names[] = { "", "a", "ab" };
        for (size_t i = 0; i < 3; i++) {
            policies[i].space = text_bytes(names[(i + at) % 3]);
            policies[i].ttl_ms = 100 + (i + at) % 3;
        }
        assert_status(init(policies, 3, some_store), ARIL_OK);
        assert_true(said("")->ttl_ms == 100 && said("b")->ttl_ms == 100);
        assert_true(said("a")->ttl_ms == 101);
        assert_true(said("ab")->ttl_ms == 102);
        assert_true(said("abc")->ttl_ms == 100);
        done();
    }
}

static void names_are_copied(void **state)
{
    (void)state;
    char space[] = "space";
    char tenant[] = "tenant";
    const aril_cache_policy p = { .space = text_bytes(space),
                                  .legacy_tenant = text_bytes(tenant),
                                  .ttl_ms = 77 };
    assert_status(init(&p, 1, some_store), ARIL_OK);
    memset(space, 'x', sizeof space - 1);
    memset(tenant, 'x', sizeof tenant - 1);
    assert_true(said("space")->ttl_ms == 77);
    assert_memory_equal(said("space")->legacy_tenant.data, "tenant", 6);
    done();
}

static void without_a_store_values_live_in_memory(void **state)
{
    (void)state;
    const aril_cache_policy both = { .tiers = ARIL_CACHE_L1 | ARIL_CACHE_L2 };
    const aril_cache_policy store_alone = { .tiers = ARIL_CACHE_L2 };
    assert_status(init(&both, 1, NULL), ARIL_OK);
    assert_int_equal(said("")->tiers, ARIL_CACHE_L1);
    done();
    assert_status(init(&store_alone, 1, NULL), ARIL_E_USAGE_RANGE);
    assert_non_null(strstr(why.message, "tiers"));
    done();
    assert_status(init(&store_alone, 1, some_store), ARIL_OK);
    done();
}

static const uint8_t many[256];
#define READS(format) .legacy_reads = 1u << (format), .legacy_until_s = 1

static void each_contradiction_is_refused_and_named(void **state)
{
    (void)state;
    static const struct {
        aril_cache_policy policy;
        const char *member;
    } bad[] = {
        { { .space = { many, 256 } }, "256 bytes" },
        { { .space = { NULL, 1 } }, "namespace" },
        { { .tiers = 4 }, "tiers" },
        { { .tiers = 7 }, "tiers" },
        { { .ttl_ms = 2000, .ttl_max_ms = 1999 }, "ttl_ms" },
        { { .ttl_ms = 31 * DAY_MS }, "ttl_ms" },
        { { .ttl_max_ms = 3660 * DAY_MS + 1 }, "ttl_ms" },
        { { .stale_ms = 3600000 }, "stale_ms" },
        { { .ttl_ms = 10, .stale_ms = 10 }, "stale_ms" },
        { { .jitter_percent = 51 }, "jitter_percent" },
        { { .on_store_down = (aril_cache_failure)2 }, "on_store_down" },
        { { .on_tamper = (aril_cache_failure)2 }, "on_tamper" },
        { { .on_key_gone = (aril_cache_failure)-1 }, "on_key_gone" },
        { { .padding = (aril_cache_padding)3 }, "pad_bytes" },
        { { .pad_bytes = 64 }, "pad_bytes" },
        { { .padding = ARIL_CACHE_PAD_PADME, .pad_bytes = 64 }, "pad_bytes" },
        { { .padding = ARIL_CACHE_PAD_BLOCK }, "pad_bytes" },
        { { .padding = ARIL_CACHE_PAD_BLOCK, .pad_bytes = 15 }, "pad_bytes" },
        { { .padding = ARIL_CACHE_PAD_BLOCK, .pad_bytes = (1 << 20) + 1 }, "pad_bytes" },
        { { .value_max = ((uint64_t)256 << 20) + 1 }, "value_max" },
        { { .legacy_reads = 1, .legacy_until_s = 1 }, "legacy_reads" },
        { { .legacy_reads = 64, .legacy_until_s = 1 }, "legacy_reads" },
        { { .legacy_reads = 6, .legacy_until_s = 1 }, "legacy_reads" },
        { { .legacy_reads = 2 }, "legacy_until_s" },
        { { .legacy_until_s = 1 }, "legacy_until_s" },
        { { READS(ARIL_CACHE_CACHEKIT_PY), .writes = ARIL_CACHE_CACHEKIT_PY }, "writes" },
        { { READS(ARIL_CACHE_CACHEKIT_TS), .writes = ARIL_CACHE_CACHEKIT_TS }, "writes" },
        { { READS(ARIL_CACHE_CACHEKIT_RS), .writes = ARIL_CACHE_CACHEKIT_RS }, "writes" },
        { { .writes = (aril_cache_format)6 }, "writes" },
        { { .writes = ARIL_CACHE_CACHEKIT_INTEROP }, "writes" },
        { { READS(ARIL_CACHE_CACHEKIT_PY), .writes = ARIL_CACHE_CACHEKIT_INTEROP }, "writes" },
        { { READS(ARIL_CACHE_LMCACHE), .writes = ARIL_CACHE_LMCACHE }, "lmcache_writes_max" },
        { { READS(ARIL_CACHE_LMCACHE), .lmcache_writes_max = 1 }, "lmcache_writes_max" },
        { { READS(ARIL_CACHE_LMCACHE), .writes = ARIL_CACHE_LMCACHE,
            .lmcache_writes_max = (UINT64_C(1) << 32) + 1 },
          "lmcache_writes_max" },
        { { .lmcache_key_bits = 192 }, "lmcache_key_bits" },
        { { .legacy_tenant = { many, 256 } }, "legacy_tenant" },
        { { .legacy_tenant = { NULL, 1 } }, "legacy_tenant" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(init(&bad[i].policy, 1, some_store), ARIL_E_USAGE_RANGE);
        assert_status(why.status, ARIL_E_USAGE_RANGE);
        if (strstr(why.message, bad[i].member) == NULL) {
            fail_msg("\"%s\" does not name %s", why.message, bad[i].member);
        }
        done();
    }
}

static void the_last_values_of_each_range_are_accepted(void **state)
{
    (void)state;
    static const aril_cache_policy good[] = {
        { .space = { many, 255 } },
        { .ttl_ms = 3660 * DAY_MS, .ttl_max_ms = 3660 * DAY_MS },
        { .ttl_ms = 10, .stale_ms = 9 },
        { .jitter_percent = 50 },
        { .padding = ARIL_CACHE_PAD_BLOCK, .pad_bytes = 16 },
        { .padding = ARIL_CACHE_PAD_BLOCK, .pad_bytes = 1 << 20 },
        { .value_max = (uint64_t)256 << 20 },
        { .lmcache_key_bits = 256 },
        { .legacy_tenant = { many, 255 } },
        { READS(ARIL_CACHE_CACHEKIT_RS) },
        { READS(ARIL_CACHE_CACHEKIT_INTEROP), .writes = ARIL_CACHE_CACHEKIT_INTEROP },
        { READS(ARIL_CACHE_LMCACHE), .writes = ARIL_CACHE_LMCACHE,
          .lmcache_writes_max = UINT64_C(1) << 32 },
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_status(init(&good[i], 1, some_store), ARIL_OK);
        done();
    }
}

static void two_policies_of_one_namespace_are_refused(void **state)
{
    (void)state;
    const aril_cache_policy twice[] = { { .space = text_bytes("a") },
                                        { .space = text_bytes("b") },
                                        { .space = text_bytes("a") } };
    const aril_cache_policy rest_twice[] = { { .ttl_ms = 1 }, { .ttl_ms = 2 } };
    assert_status(init(twice, 2, some_store), ARIL_OK);
    done();
    assert_status(init(twice, 3, some_store), ARIL_E_USAGE_RANGE);
    assert_non_null(strstr(why.message, "'a'"));
    done();
    assert_status(init(rest_twice, 2, some_store), ARIL_E_USAGE_RANGE);
    done();
}

static void a_list_that_is_not_there_or_too_long_is_refused(void **state)
{
    (void)state;
    const aril_cache_policy zero = { .tiers = 0 };
    assert_status(init(NULL, 1, some_store), ARIL_E_USAGE_NULL);
    done();
    assert_status(init(&zero, 4097, some_store), ARIL_E_USAGE_RANGE);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_zero_is_the_default),
        cmocka_unit_test(a_short_longest_life_shortens_the_default),
        cmocka_unit_test(a_namespace_has_its_policy_and_the_others_the_rest),
        cmocka_unit_test(names_are_copied),
        cmocka_unit_test(without_a_store_values_live_in_memory),
        cmocka_unit_test(each_contradiction_is_refused_and_named),
        cmocka_unit_test(the_last_values_of_each_range_are_accepted),
        cmocka_unit_test(two_policies_of_one_namespace_are_refused),
        cmocka_unit_test(a_list_that_is_not_there_or_too_long_is_refused),
    };
    return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
