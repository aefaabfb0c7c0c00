/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/runtime.h"
#include "crypto/xwing.h"
#include "harness.h"
#include <stdio.h>
#include <string.h>

/*
 * A whole establishment, three messages with a vouched offer, against the primitives that it
 * cannot do without, called through the same tables. Both take turns; the time of an ML-DSA
 * signature is random, so means over many of them are compared.
 */

#define ROUNDS       1000u
#define ROUNDS_QUICK 100u
#define ROTATIONS    4000u

static const uint8_t tag_key[32] = { 7 };
static const uint8_t tenant_id[] = "bench-tenant";

struct subject {
    aril_runtime *rt;
    aril_identity *identity;
    aril_profile profile;
    char did[ARIL_DID_BYTES_MAX];
};

/* --- The establishment -------------------------------------------------------- */

struct ends {
    aril_session *tenant, *server;
};

static void establish(const struct subject *s, struct ends *ret)
{
    const aril_bytes id = { tenant_id, sizeof tenant_id - 1 };
    const aril_offer_config offer = { .profile = s->profile,
                                      .tenant_id = id,
                                      .server_did = s->did };
    const aril_accept_config accept = { .profiles = 1u << (unsigned)s->profile,
                                        .identity = s->identity,
                                        .vouched_tenant_id = id,
                                        .tag_key = { tag_key, sizeof tag_key } };
    uint8_t there[ARIL_HANDSHAKE_BYTES_MAX], back[ARIL_HANDSHAKE_BYTES_MAX];
    size_t there_len, back_len;
    aril_handshake *tenant, *server;
    BENCH_OK(aril_session_offer(s->rt, &offer, &tenant, there, sizeof there, &there_len));
    BENCH_OK(aril_session_accept(s->rt, &accept, (aril_bytes){ there, there_len }, &server, back,
                                 sizeof back, &back_len));
    BENCH_OK(aril_session_finish(tenant, (aril_bytes){ back, back_len }, there, sizeof there,
                                 &there_len, &ret->tenant));
    BENCH_OK(aril_session_confirm(server, (aril_bytes){ there, there_len }, &ret->server));
    aril_handshake_free(tenant);
    aril_handshake_free(server);
}

static double timed_establishment(const struct subject *s)
{
    struct ends ends;
    const uint64_t start = bench_thread_ns();
    establish(s, &ends);
    const uint64_t took = bench_thread_ns() - start;
    aril_session_close(ends.tenant);
    aril_session_close(ends.server);
    return (double)took;
}

/* --- Its primitives ------------------------------------------------------------ */

static void xwing(const struct arili_crypto *c)
{
    uint8_t seed[ARILI_XWING_SEED_BYTES], public_key[ARILI_XWING_PUBLIC_BYTES];
    uint8_t ct[ARILI_XWING_CT_BYTES], here[ARILI_XWING_SHARED_BYTES], there[sizeof here];
    struct arili_xwing_key *key;
    BENCH_OK(c->ops->random(c->provider, seed, sizeof seed));
    BENCH_OK(arili_xwing_import(c, seed, public_key, &key));
    BENCH_OK(arili_xwing_encaps(c, (aril_bytes){ public_key, sizeof public_key }, NULL, ct, there));
    BENCH_OK(arili_xwing_decaps(key, (aril_bytes){ ct, sizeof ct }, here));
    BENCH_CHECK(memcmp(here, there, sizeof here) == 0);
    arili_xwing_free(key);
}

static void ml_kem(const struct arili_crypto *c, enum arili_kem alg)
{
    uint8_t seed[ARILI_ML_KEM_SEED_BYTES], public_key[ARILI_ML_KEM_1024_PUBLIC_BYTES];
    uint8_t ct[ARILI_ML_KEM_1024_CT_BYTES], here[ARILI_ML_KEM_SHARED_BYTES], there[sizeof here];
    struct arili_pkey *key, *peer;
    size_t len;
    BENCH_OK(c->ops->random(c->provider, seed, sizeof seed));
    BENCH_OK(c->ops->kem_import_seed(c->provider, alg, (aril_bytes){ seed, sizeof seed }, &key));
    BENCH_OK(c->ops->pkey_public(key, public_key, sizeof public_key, &len));
    BENCH_OK(c->ops->kem_import_public(c->provider, alg, (aril_bytes){ public_key, len }, &peer));
    BENCH_OK(c->ops->kem_encaps(peer, NULL, ct, arili_kem_ct_bytes(alg), there));
    BENCH_OK(c->ops->kem_decaps(key, (aril_bytes){ ct, arili_kem_ct_bytes(alg) }, here));
    BENCH_CHECK(memcmp(here, there, sizeof here) == 0);
    c->ops->pkey_free(peer);
    c->ops->pkey_free(key);
}

/* One signature over a transcript hash, and its check with a key that has to be imported. */
static void signature(const struct subject *s)
{
    const struct arili_crypto *c = &s->rt->crypto;
    static const uint8_t transcript[32] = { 3 };
    static const uint8_t context[] = "bench";
    const aril_bytes message = { transcript, sizeof transcript };
    const aril_bytes label = { context, sizeof context - 1 };
    const int alg = (int)aril_identity_alg(s->identity);
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len;
    struct arili_pkey *peer;
    BENCH_OK(aril_identity_sign(s->identity, label, message, sig, sizeof sig, &len));
    BENCH_OK(
        c->ops->sign_import_public(c->provider, alg, aril_identity_public(s->identity), &peer));
    BENCH_OK(c->ops->verify(peer, label, message, (aril_bytes){ sig, len }));
    c->ops->pkey_free(peer);
}

static double timed_primitives(const struct subject *s)
{
    const struct arili_crypto *c = &s->rt->crypto;
    const uint64_t start = bench_thread_ns();
    if (s->profile == ARIL_PROFILE_HYBRID) {
        xwing(c);
    } else {
        ml_kem(c, s->profile == ARIL_PROFILE_STRICT ? ARILI_KEM_ML_KEM_1024 : ARILI_KEM_ML_KEM_768);
    }
    signature(s);
    return (double)(bench_thread_ns() - start);
}

/* --- Measurements --------------------------------------------------------------- */

static void subject_new(struct subject *s, aril_profile profile)
{
    const aril_sign_alg alg = profile == ARIL_PROFILE_STRICT ? ARIL_ML_DSA_87 : ARIL_ML_DSA_65;
    size_t len;
    s->profile = profile;
    BENCH_OK(aril_runtime_new(NULL, &s->rt));
    BENCH_OK(aril_identity_generate(s->rt, alg, &s->identity));
    BENCH_OK(aril_did_write(s->rt, ARIL_DID_PQAID, alg, aril_identity_public(s->identity), s->did,
                            sizeof s->did, &len));
}

static void subject_free(struct subject *s)
{
    aril_identity_free(s->identity);
    aril_runtime_free(s->rt);
}

static void measure_establishment(aril_profile profile)
{
    char stem[BENCH_KEY_BYTES];
    (void)snprintf(stem, sizeof stem, "session.establish.%s", aril_profile_name(profile));
    if (!bench_wants(stem)) {
        return;
    }
    struct subject s;
    subject_new(&s, profile);
    (void)timed_establishment(&s);
    (void)timed_primitives(&s);
    const size_t rounds = bench_options.quick ? ROUNDS_QUICK : ROUNDS;
    double each[ROUNDS], whole = 0, parts = 0;
    for (size_t i = 0; i < rounds; i++) {
        parts += i % 2 == 0 ? timed_primitives(&s) : 0;
        each[i] = timed_establishment(&s);
        parts += i % 2 == 1 ? timed_primitives(&s) : 0;
        whole += each[i];
    }
    const double n = (double)rounds;
    bench_report(stem, "ratio_primitives", whole / parts);
    bench_report(stem, "us", whole / n / 1000);
    bench_report(stem, "primitives_us", parts / n / 1000);
    bench_report(stem, "p50_us", bench_percentile(each, rounds, 50) / 1000);
    bench_report(stem, "p99_us", bench_percentile(each, rounds, 99) / 1000);
    subject_free(&s);
}

static void measure_rotation(void)
{
    if (!bench_wants("session.rotate")) {
        return;
    }
    struct bench_world world;
    bench_world_new(&world);
    double each[ROTATIONS];
    for (size_t i = 0; i < ROTATIONS; i++) {
        const uint64_t start = bench_wall_ns();
        BENCH_OK(aril_session_rotate(world.tenant));
        each[i] = (double)(bench_wall_ns() - start);
    }
    bench_report("session.rotate", "ns", bench_percentile(each, ROTATIONS, 50));
    bench_report("session.rotate", "p99_ns", bench_percentile(each, ROTATIONS, 99));
    bench_world_free(&world);
}

void bench_session(void)
{
    measure_establishment(ARIL_PROFILE_HYBRID);
    measure_establishment(ARIL_PROFILE_ML_KEM_768);
    measure_establishment(ARIL_PROFILE_STRICT);
    measure_rotation();
}
