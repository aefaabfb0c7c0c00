/* SPDX-License-Identifier: Apache-2.0 */
/* The expected digests come from Python's hashlib, from docs/FORMAT.md section 3. */
#include "kv/context.h"
#include "faulty_crypto.h"
#include "fixture.h"
#include "provider.h"
#include "vectors.h"
#include <string.h>

static aril_status make(aril_bytes tenant, const aril_kv_config *c, struct arili_kv_scope *ret)
{
    return arili_kv_scope_make(provider(), ARILI_SHA256, tenant, c->model, &c->layout, ret);
}

static void assert_digest(const struct arili_kv_scope *s, const char *hex)
{
    struct vectors v = { 0 };
    assert_memory_equal(s->digest, vectors_decode_hex(&v, hex).data, ARIL_DIGEST_BYTES);
    vectors_close(&v);
}

static void the_scope_is_what_the_format_document_says(void **state)
{
    (void)state;
    const aril_kv_config c = view_config();
    struct arili_kv_scope s;
    assert_status(make(TEXT("tenant"), &c, &s), ARIL_OK);
    assert_digest(&s, "8051d2fedd0f0ec1c67f543a6304a0eb38d586366b90106195284895b493a6f0");
    assert_status(
        arili_kv_scope_make(provider(), ARILI_SHA384, TEXT("tenant"), c.model, &c.layout, &s),
        ARIL_OK);
    assert_digest(&s, "298df94a83c9daee6c663c75223d5c7c2c5637879fcd98515ddd00294267c91a");
}

static void the_largest_and_smallest_values_fit(void **state)
{
    (void)state;
    uint8_t tenant[255], model[4097];
    char name[257] = "", dtype[33] = "";
    struct arili_kv_scope s;
    memset(tenant, 0xff, sizeof tenant);
    memset(model, 'm', sizeof model);
    memset(name, 'n', 256);
    memset(dtype, 'd', 32);
    aril_kv_config c = { .model = { model, 4096 },
                         .layout = { .name = name,
                                     .dtype = dtype,
                                     .block_tokens = UINT32_MAX,
                                     .layers = UINT32_MAX,
                                     .kv_heads = UINT32_MAX,
                                     .key_dim = UINT32_MAX,
                                     .value_dim = UINT32_MAX,
                                     .world_size = UINT32_MAX } };
    const aril_bytes id = { tenant, sizeof tenant };
    memset(&s, 0x5c, sizeof s);
    assert_status(make(id, &c, &s), ARIL_E_USAGE_RANGE); /* a name of 256 bytes */
    name[255] = '\0';
    assert_status(make(id, &c, &s), ARIL_E_USAGE_RANGE); /* a dtype of 32 bytes */
    dtype[31] = '\0';
    c.model.len = 4097;
    assert_status(make(id, &c, &s), ARIL_E_USAGE_RANGE);
    c.model.len = 0;
    assert_status(make(id, &c, &s), ARIL_E_USAGE_RANGE);
    c.model = (aril_bytes){ NULL, 4 };
    assert_status(make(id, &c, &s), ARIL_E_USAGE_NULL);
    c.model = (aril_bytes){ model, 4096 };
    c.layout.name = NULL;
    assert_status(make(id, &c, &s), ARIL_E_USAGE_NULL);
    c.layout.name = name;
    c.layout.dtype = NULL;
    assert_status(make(id, &c, &s), ARIL_E_USAGE_NULL);
    assert_true(is_filled(&s, sizeof s, 0x5c));
    c.layout.dtype = dtype;
    assert_status(make(id, &c, &s), ARIL_OK);
    assert_digest(&s, "a5008b5977f33016ca959933617a0abdbde83d73eab080ad0d8b6b9682f08d0d");
    const aril_kv_config least = { .model = { model, 1 }, .layout = { .name = "", .dtype = "" } };
    assert_status(make(TEXT("t"), &least, &s), ARIL_OK);
    assert_digest(&s, "58052eaab33f211f344e2003ccdb80cf47d196578b2677ffad302f56eae237cc");
}

/* A name is not read past its limit: the text need not end there. */
static void an_endless_name_is_not_read_to_its_end(void **state)
{
    (void)state;
    struct guarded g; /* the address sanitizer guards the end of the allocation */
    struct arili_kv_scope s;
    aril_kv_config c = view_config();
    guarded_init(&g, 256 - GUARD_BYTES);
    memset(g.data, 'n', g.len + GUARD_BYTES);
    c.layout.name = (const char *)g.data;
    assert_status(make(TEXT("t"), &c, &s), ARIL_E_USAGE_RANGE);
    guarded_done(&g);
}

static void every_member_makes_another_scope(void **state)
{
    (void)state;
    const aril_kv_config base = view_config();
    struct arili_kv_scope all[16];
    size_t n = 0;
    assert_status(make(TEXT("tenant"), &base, &all[n++]), ARIL_OK);
    assert_status(make(TEXT("tenanu"), &base, &all[n++]), ARIL_OK);
    assert_status(make(TEXT("tenantm"), &base, &all[n++]), ARIL_OK);
    aril_kv_config c = base;
    c.model = TEXT("model@2");
    assert_status(make(TEXT("tenant"), &c, &all[n++]), ARIL_OK);
    c = base;
    c.layout.name = "test/row"; /* the s moves to the next field */
    c.layout.dtype = "sf16";
    assert_status(make(TEXT("tenant"), &c, &all[n++]), ARIL_OK);
    c = base;
    c.layout.dtype = "f32";
    assert_status(make(TEXT("tenant"), &c, &all[n++]), ARIL_OK);
    for (unsigned member = 0; member < 6; member++) {
        c = base;
        uint32_t *numbers[] = { &c.layout.block_tokens, &c.layout.layers,    &c.layout.kv_heads,
                                &c.layout.key_dim,      &c.layout.value_dim, &c.layout.world_size };
        *numbers[member] ^= 0x01000000;
        assert_status(make(TEXT("tenant"), &c, &all[n++]), ARIL_OK);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(all[i].digest, all[k].digest, ARIL_DIGEST_BYTES);
        }
    }
}

static void a_hash_that_fails_gives_no_scope(void **state)
{
    (void)state;
    struct faulty_crypto *f = faulty_crypto_new(provider());
    const aril_kv_config c = view_config();
    struct arili_kv_scope s;
    memset(&s, 0x5c, sizeof s);
    faulty_crypto_arm(f, 1, ARIL_E_CRYPTO);
    assert_status(arili_kv_scope_make(faulty_crypto_table(f), ARILI_SHA256, TEXT("t"), c.model,
                                      &c.layout, &s),
                  ARIL_E_CRYPTO);
    assert_true(is_filled(&s, sizeof s, 0x5c));
    faulty_crypto_free(f);
}

/* --- Blocks ---------------------------------------------------------------------------------- */

static void a_block_has_at_least_one_layer_and_an_identity(void **state)
{
    (void)state;
    aril_kv_block b = chain_block(1);
    assert_status(arili_kv_block_check(&b), ARIL_OK);
    assert_status(arili_kv_block_check(NULL), ARIL_E_USAGE_NULL);
    b.layer_count = 0;
    assert_status(arili_kv_block_check(&b), ARIL_E_USAGE_RANGE);
    b.layer_count = UINT32_MAX;
    assert_status(arili_kv_block_check(&b), ARIL_OK);
    b.layer_first = 1; /* layers 1 to 2^32 - 1 */
    assert_status(arili_kv_block_check(&b), ARIL_OK);
    b.layer_first = 2; /* one layer would not have a number */
    assert_status(arili_kv_block_check(&b), ARIL_E_USAGE_RANGE);
    b.layer_first = UINT32_MAX;
    assert_status(arili_kv_block_check(&b), ARIL_E_USAGE_RANGE);
    b.layer_count = 1;
    assert_status(arili_kv_block_check(&b), ARIL_OK);
    for (int i = -1; i < 5; i++) {
        b.identity = (aril_kv_identity)i;
        assert_status(arili_kv_block_check(&b), i == 1 || i == 2 ? ARIL_OK : ARIL_E_USAGE_RANGE);
    }
}

static struct arili_kv_scope numbered_scope(void)
{
    struct arili_kv_scope s;
    for (size_t i = 0; i < sizeof s.digest; i++) {
        s.digest[i] = (uint8_t)(0xc0 + i);
    }
    return s;
}

static void a_context_has_the_documented_bytes(void **state)
{
    (void)state;
    static const uint8_t middle[20] = { 1, 0, 0,    0,    1,    2,    3, 4, 0, 0,
                                        0, 9, 0xff, 0xfe, 0xfd, 0xfc, 5, 6, 7, 8 };
    static const uint8_t place[32] = { 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
                                       0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
                                       0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38 };
    const struct arili_kv_scope s = numbered_scope();
    uint8_t context[ARILI_KV_CONTEXT_BYTES];
    aril_kv_block b = { .layer_first = 0x01020304,
                        .layer_count = 9,
                        .rank = 0xfffefdfc,
                        .group = 0x05060708,
                        .identity = ARIL_KV_CHAIN,
                        .slot = UINT64_C(0x1112131415161718),
                        .position = UINT64_C(0x2122232425262728),
                        .count = UINT64_C(0x3132333435363738) };
    fill_pattern(b.chain, sizeof b.chain, 1);
    assert_int_equal(sizeof context, 84);
    memset(context, 0x5c, sizeof context);
    arili_kv_context_write(&s, &b, context);
    assert_memory_equal(context, s.digest, 32);
    assert_memory_equal(context + 32, middle, sizeof middle);
    assert_memory_equal(context + 52, b.chain, 32);
    b.identity = ARIL_KV_SLOT;
    memset(context, 0x5c, sizeof context);
    arili_kv_context_write(&s, &b, context);
    assert_int_equal(context[32], 2);
    assert_memory_equal(context + 33, middle + 1, sizeof middle - 1);
    assert_memory_equal(context + 52, place, sizeof place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scope_is_what_the_format_document_says),
        cmocka_unit_test(the_largest_and_smallest_values_fit),
        cmocka_unit_test(an_endless_name_is_not_read_to_its_end),
        cmocka_unit_test(every_member_makes_another_scope),
        cmocka_unit_test(a_hash_that_fails_gives_no_scope),
        cmocka_unit_test(a_block_has_at_least_one_layer_and_an_identity),
        cmocka_unit_test(a_context_has_the_documented_bytes),
    };
    return cmocka_run_group_tests_name("kv context", tests, provider_setup, provider_teardown);
}
