/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_value_open_* and arili_cache_name_open under fixed keys. Corpus:
 * corpus/cache_open/, a kind as one byte, 0 for a stored value and 1 for a name, and the bytes;
 * tests/scripts/gen_cache_vectors.py makes those that open.
 * Properties: a value that opens is one that was sealed here, so nothing but the corpus opens; of
 * what does not open no byte is left; a listed name that opens is the name of what it says. */
#include "cache/value.h"
#include "runtime.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

/* shake256("data key hybrid", 32) and so on: the keys of the group "hybrid" of the vectors. */
static const uint8_t data_secret[32] = { 0x22, 0x23, 0xb6, 0xba, 0xab, 0x98, 0xbc, 0x36,
                                         0x08, 0xc5, 0xd7, 0x1a, 0xf9, 0x0d, 0xcf, 0x0b,
                                         0xba, 0xa3, 0x78, 0x39, 0x0b, 0xac, 0x42, 0xf8,
                                         0x73, 0x89, 0xec, 0x23, 0xab, 0xd7, 0x28, 0xa9 };
static const uint8_t name_secret[32] = { 0x7f, 0xa6, 0xf0, 0xd9, 0x1a, 0x99, 0xed, 0xbd,
                                         0x96, 0x92, 0x28, 0xc3, 0xd6, 0xcb, 0x71, 0x97,
                                         0x5b, 0x80, 0x6a, 0xd5, 0x61, 0x18, 0x28, 0xbb,
                                         0x52, 0xc1, 0xc0, 0x25, 0x6f, 0xbe, 0xde, 0x48 };
/* SHA-256 of the values that open. */
static const uint8_t sealed[][32] = {
    { 0xb2, 0x54, 0xa4, 0xa1, 0x5d, 0x2f, 0x23, 0x61, 0x92, 0xdb, 0x79,
      0x8a, 0x4f, 0x55, 0x6f, 0x1c, 0xcf, 0x1b, 0x36, 0x21, 0xae, 0x40,
      0x3c, 0x46, 0x37, 0x62, 0xbb, 0xce, 0x1a, 0xd4, 0x12, 0xc7 },
    { 0x03, 0x97, 0xb3, 0x67, 0xd1, 0x68, 0x79, 0x83, 0xeb, 0x29, 0x41,
      0x1a, 0x20, 0xe0, 0x75, 0x63, 0x0c, 0xae, 0xb2, 0x24, 0xdf, 0xd0,
      0x94, 0x69, 0xac, 0x2a, 0xb3, 0x58, 0x78, 0x7c, 0x20, 0x80 },
    { 0x22, 0xed, 0xce, 0x30, 0xf7, 0x2b, 0xde, 0x93, 0x85, 0x2e, 0x41,
      0xbe, 0x2d, 0xe9, 0xf0, 0xf6, 0x43, 0x96, 0x4d, 0xbd, 0x1d, 0x3e,
      0xd7, 0xa4, 0x27, 0x33, 0x85, 0xee, 0x79, 0x00, 0x5b, 0xb5 },
    { 0x36, 0x45, 0xf1, 0x94, 0xbb, 0xd0, 0x23, 0x27, 0x60, 0x04, 0xa0,
      0x29, 0x54, 0x08, 0x72, 0xed, 0xf3, 0x9a, 0x67, 0xb8, 0x92, 0x4f,
      0x88, 0x9f, 0x01, 0x98, 0x6f, 0x9d, 0x5d, 0x90, 0xce, 0xa7 },
    { 0x41, 0x0e, 0x6c, 0x6a, 0xc7, 0xea, 0xb9, 0x5a, 0x39, 0x41, 0xac,
      0x18, 0xab, 0x66, 0x25, 0x02, 0xf8, 0x8f, 0xc6, 0xf6, 0x9d, 0x1d,
      0x7d, 0xc9, 0xf1, 0x85, 0x45, 0xd6, 0xe3, 0x6e, 0xf6, 0x5e }
};

static aril_tenant_key *data_key, *name_key;
static struct arili_naming naming;
static uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
#define SPACE ARILI_LITERAL("sessions")

static void set_up(void)
{
    static const uint8_t id[ARIL_KEY_ID_BYTES] = { 1 };
    const aril_bytes tenant = ARILI_LITERAL("acme");
    const aril_cache_key key = { .tenant = tenant, .space = SPACE, .key = ARILI_LITERAL("user:1") };
    if (data_key != NULL) {
        return;
    }
    demand(runtime_setup(NULL) == 0);
    demand(arili_tenant_key_new(rt, ARIL_KEY_DATA, tenant, id, data_secret, &data_key) == ARIL_OK);
    demand(arili_tenant_key_new(rt, ARIL_KEY_NAME, tenant, id, name_secret, &name_key) == ARIL_OK);
    demand(arili_naming_init(&rt->crypto, ARILI_SHA256, name_key, SPACE, &naming) == ARIL_OK);
    demand(arili_cache_context(&rt->crypto, ARILI_SHA256, &key, context) == ARIL_OK);
}

static int was_sealed(aril_bytes in)
{
    uint8_t digest[ARILI_HASH_BYTES_MAX];
    demand(rt->crypto.ops->hash(rt->crypto.provider, ARILI_SHA256, &in, 1, digest) == ARIL_OK);
    for (size_t i = 0; i < sizeof sealed / sizeof *sealed; i++) {
        if (memcmp(sealed[i], digest, sizeof sealed[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static void open_value(aril_bytes in)
{
    struct arili_value_header h;
    struct arili_value_opening o;
    if (arili_value_parse(in, &h) != ARIL_OK) {
        demand(!was_sealed(in));
        return;
    }
    arili_value_open_begin(&o, rt, data_key, in.data, &h, context);
    aril_status st = arili_value_open_trailer(&o, in);
    if (st == ARIL_OK) {
        const size_t len = (size_t)o.trailer.value_bytes;
        demand(len <= in.len);
        uint8_t *const out = malloc(len > 0 ? len : 1);
        demand(out != NULL);
        memset(out, 0x5a, len);
        o.out = out;
        st = arili_value_open_end(&o, in);
        for (size_t i = 0; st != ARIL_OK && i < len; i++) {
            demand(out[i] == 0);
        }
        free(out);
    }
    demand((st == ARIL_OK) == was_sealed(in));
}

static void open_name(aril_bytes in)
{
    static struct arili_listed_name listed;
    uint8_t ctx[ARILI_CACHE_CONTEXT_BYTES];
    char again[ARIL_CACHE_NAME_BYTES_MAX];
    size_t len = 0;
    if (arili_cache_name_open(&rt->crypto, ARILI_SHA256, &naming, name_key, SPACE, in, &listed) !=
        ARIL_OK) {
        return;
    }
    const struct arili_name_want want = { .listable = true,
                                          .hash_tags =
                                              in.data[ARILI_CACHE_PREFIX_TEXT + 1] != '~' };
    listed.key.tenant = ARILI_LITERAL("acme");
    demand(arili_cache_context(&rt->crypto, ARILI_SHA256, &listed.key, ctx) == ARIL_OK);
    demand(arili_cache_name(&rt->crypto, ARILI_SHA256, &naming, name_key, want, &listed.key, ctx,
                            again, &len) == ARIL_OK);
    demand(len == in.len && memcmp(again, in.data, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    const aril_bytes in = { data + 1, len - 1 };
    set_up();
    if (data[0] == 0) {
        open_value(in);
    } else {
        open_name(in);
    }
    return 0;
}
