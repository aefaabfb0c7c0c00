/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "harness.h"
#include "proxy/tenant.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What the proxy does for each key of a command: its name, found among those made lately or made
 * anew; the way back; a field of a hash; and what the refresh of a tenant costs when nothing has
 * changed. CPU time of the thread, without any network.
 */
#define KEYS  1000u
#define CALLS 20000u

struct state {
    struct bench_cache world;
    struct arili_tenant *tenant;
    struct arili_tenant_keys *keys;
    struct arili_name_cache *cache;
    char texts[KEYS][32];
    size_t lens[KEYS];
    unsigned fresh; /* numbers keys that were never asked for */
    struct arili_place place;
};

static void state_new(struct state *s)
{
    static const aril_cache_policy policy = { .tiers = ARIL_CACHE_L1 };
    bench_cache_new(&s->world, NULL, &policy);
    BENCH_OK(arili_tenant_new(bench_cache_tenant, "redis", false, &s->tenant));
    arili_tenant_refresh(s->tenant, s->world.rt, s->world.keyring);
    s->keys = arili_tenant_keys_hold(s->tenant);
    BENCH_OK(s->keys->status);
    BENCH_OK(arili_name_cache_new(s->world.rt, &s->cache));
    for (unsigned n = 0; n < KEYS; n++) {
        s->lens[n] = (size_t)snprintf(s->texts[n], sizeof s->texts[n], "user:%u:profile", n * 7919);
    }
}

static void state_free(struct state *s)
{
    arili_name_cache_free(s->cache);
    arili_tenant_keys_drop(s->keys);
    arili_tenant_free(s->tenant);
    bench_cache_free(&s->world);
}

/* One call each; 0 when it worked. */
static unsigned hit(struct state *s, unsigned i)
{
    const unsigned n = i * 611 % KEYS;
    const aril_bytes key = { (const uint8_t *)s->texts[n], s->lens[n] };
    return arili_place_make(s->cache, s->tenant, s->keys, 0, key, &s->place) != ARIL_OK;
}

static unsigned miss(struct state *s, unsigned i)
{
    char text[32] = "user:00000000:profile";
    (void)i;
    for (unsigned at = 12, n = s->fresh++; n != 0; n /= 10) {
        text[at--] = (char)('0' + n % 10);
    }
    const aril_bytes key = { (const uint8_t *)text, 21 };
    return arili_place_make(s->cache, s->tenant, s->keys, 0, key, &s->place) != ARIL_OK;
}

static unsigned place_open(struct state *s, unsigned i)
{
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    size_t len;
    (void)i;
    const aril_bytes name = { (const uint8_t *)s->place.name, s->place.name_len };
    return arili_place_open(s->tenant, s->keys, 0, name, room, &len) != ARIL_OK;
}

static unsigned field(struct state *s, unsigned i)
{
    uint8_t sealed[ARILI_SEALED_NAME_BYTES(32)];
    size_t len;
    const unsigned n = i % KEYS;
    const aril_bytes text = { (const uint8_t *)s->texts[n], s->lens[n] };
    return arili_inner_seal(s->tenant, s->keys, &s->place, ARILI_INNER_FIELD, text, sealed, &len) !=
           ARIL_OK;
}

static unsigned refresh(struct state *s, unsigned i)
{
    (void)i;
    arili_tenant_refresh(s->tenant, s->world.rt, s->world.keyring);
    return 0;
}

static const struct {
    const char *stem;
    unsigned (*call)(struct state *s, unsigned i);
} sides[] = { { "proxy.place.hit", hit },
              { "proxy.place.miss", miss },
              { "proxy.place.open", place_open },
              { "proxy.inner.seal", field },
              { "proxy.tenant.refresh", refresh } };
#define SIDES (sizeof sides / sizeof sides[0])

static double timed(struct state *s, size_t side)
{
    unsigned bad = 0;
    const uint64_t start = bench_thread_ns();
    for (unsigned i = 0; i < CALLS; i++) {
        bad += sides[side].call(s, i);
    }
    const uint64_t end = bench_thread_ns();
    BENCH_CHECK(bad == 0);
    return (double)(end - start) / CALLS;
}

/* Nothing is measured that does not find the right name. */
static void check(struct state *s)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct arili_place want;
        const unsigned n = i * 611 % KEYS;
        const aril_bytes key = { (const uint8_t *)s->texts[n], s->lens[n] };
        BENCH_OK(arili_place_make(NULL, s->tenant, s->keys, 0, key, &want));
        for (unsigned again = 0; again < 2; again++) {
            BENCH_CHECK(hit(s, i) == 0);
            BENCH_CHECK(s->place.name_len == want.name_len &&
                        memcmp(s->place.name, want.name, want.name_len) == 0);
        }
    }
}

void bench_proxy_place(void)
{
    if (!bench_wants("proxy.place") && !bench_wants("proxy.inner") &&
        !bench_wants("proxy.tenant")) {
        return;
    }
    double ns[SIDES][BENCH_ROUNDS_MAX];
    const size_t rounds = bench_rounds();
    struct state *const s = calloc(1, sizeof *s);
    BENCH_CHECK(s != NULL);
    state_new(s);
    check(s);
    for (size_t r = 0; r < rounds; r++) {
        for (size_t side = 0; side < SIDES; side++) {
            /* Misses take the places of what hits look for. */
            (void)timed(s, 0);
            ns[side][r] = timed(s, side);
        }
    }
    for (size_t side = 0; side < SIDES; side++) {
        bench_report(sides[side].stem, "ns", bench_median(ns[side], rounds));
    }
    state_free(s);
    free(s);
}
