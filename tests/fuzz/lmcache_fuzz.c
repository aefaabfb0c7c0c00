/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_legacy_open and arili_lmcache_seal, with both key sizes. Corpus:
 * corpus/lmcache/, one frame a file, two of them under the key of this target.
 * Properties: a frame that opens is the one that sealing its value under its iv gives; no frame
 * opens under both sizes; nothing is left in the output of a refused one. */
#include "cache/lmcache.h"
#include "provider.h"
#include "base/bytes.h"
#include <stdlib.h>

#define VALUE_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static struct arili_contexts *contexts;
static uint8_t prk[32];

static void set_up(void)
{
    uint8_t master[32];
    if (contexts != NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof master; i++) {
        master[i] = (uint8_t)i;
    }
    demand(provider_setup(NULL) == 0);
    demand(arili_contexts_new(provider(), &contexts) == ARIL_OK);
    demand(arili_lmcache_prk(provider(), (aril_bytes){ master, sizeof master }, prk) == ARIL_OK);
}

static int opens(aril_bytes in, uint32_t bits)
{
    const struct arili_legacy_keys keys = { .key = { { prk, sizeof prk } }, .count = 1 };
    const struct arili_legacy_scope scope = { .crypto = provider(),
                                              .contexts = contexts,
                                              .format = ARIL_CACHE_LMCACHE,
                                              .tenant = ARILI_LITERAL("tenant-a"),
                                              .name = ARILI_LITERAL("name"),
                                              .lmcache_key_bits = bits,
                                              .value_max = VALUE_MAX,
                                              .keys = &keys };
    struct arili_legacy_value value = { 0 };
    if (arili_legacy_open(&scope, in, &value) != ARIL_OK) {
        demand(value.memory == NULL && value.bytes.data == NULL);
        return 0;
    }
    demand(value.bytes.len + ARILI_LMCACHE_OVERHEAD == in.len);
    uint8_t *const again = malloc(in.len);
    demand(again != NULL);
    demand(arili_lmcache_seal(&scope, in.data + 1, value.bytes, again) == ARIL_OK);
    demand(memcmp(again, in.data, in.len) == 0);
    free(again);
    arili_legacy_value_done(&value);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const aril_bytes in = { data, len };
    set_up();
    demand(opens(in, 128) + opens(in, 256) <= 1);
    return 0;
}
