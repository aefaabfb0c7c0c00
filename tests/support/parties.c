/* SPDX-License-Identifier: Apache-2.0 */
#include "parties.h"
#include "base/bytes.h"
#include "crypto/runtime.h"
#include "predictable.h"
#include "session/session.h"
#include <stdlib.h>
#include <string.h>

void parties_demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static void must(aril_status st)
{
    parties_demand(st == ARIL_OK);
}

/* --- What does not change ------------------------------------------------------------ */

static struct {
    struct arili_crypto openssl, crypto;
    aril_runtime *rt;
    aril_identity *server[2], *tenant[2]; /* ML-DSA-65, ML-DSA-87 */
    char server_did[2][ARIL_DID_BYTES_MAX];
    aril_trust *trust;
    struct message records[PARTIES_RECORDS];
    aril_kv_block blocks[PARTIES_RECORDS];
} g;

static aril_status stopped_clock(void *state, uint64_t *ret)
{
    (void)state;
    *ret = 1000;
    return ARIL_OK;
}

static const aril_clock standing = { .abi = ARIL_CLOCK_ABI,
                                     .boot_ns = stopped_clock,
                                     .unix_s = stopped_clock };

static const uint8_t tag_key[32] = { 'f', 'u', 'z', 'z' };

static unsigned strict(aril_profile profile)
{
    return profile == ARIL_PROFILE_STRICT;
}

static void make_identities(unsigned i)
{
    const aril_sign_alg alg = i == 0 ? ARIL_ML_DSA_65 : ARIL_ML_DSA_87;
    char did[ARIL_DID_BYTES_MAX];
    size_t len;
    predictable_seed(1 + i);
    must(aril_identity_generate(g.rt, alg, &g.server[i]));
    must(aril_identity_generate(g.rt, alg, &g.tenant[i]));
    must(aril_did_write(g.rt, ARIL_DID_PQAID, alg, aril_identity_public(g.server[i]),
                        g.server_did[i], sizeof g.server_did[i], &len));
    must(aril_did_write(g.rt, ARIL_DID_PQAID, alg, aril_identity_public(g.tenant[i]), did,
                        sizeof did, &len));
    must(aril_trust_add(g.trust, did, PARTIES_TENANT));
}

aril_runtime *parties_runtime(void)
{
    if (g.rt == NULL) {
        const aril_runtime_config config = { .clock = &standing };
        must(arili_openssl_new(&g.openssl, NULL));
        predictable_crypto(&g.openssl, &g.crypto);
        must(arili_runtime_new_over(&g.crypto, &config, &g.rt));
        must(aril_trust_new(g.rt, &g.trust));
        make_identities(0);
        make_identities(1);
    }
    return g.rt;
}

aril_bytes parties_trusted_key(aril_profile profile)
{
    (void)parties_runtime();
    return aril_identity_public(g.tenant[strict(profile)]);
}

/* --- Handshakes ---------------------------------------------------------------------- */

aril_handshake *parties_offer(aril_profile profile, int is_signed, struct message *ret)
{
    aril_handshake *hs = NULL;
    (void)parties_runtime();
    const aril_offer_config config = { .profile = profile,
                                       .tenant_id = ARILI_LITERAL(PARTIES_TENANT),
                                       .identity = is_signed ? g.tenant[strict(profile)] : NULL,
                                       .server_did = g.server_did[strict(profile)] };
    predictable_seed(10 + (unsigned)profile);
    must(aril_session_offer(g.rt, &config, &hs, ret->bytes, sizeof ret->bytes, &ret->len));
    return hs;
}

aril_accept_config parties_accept_config(aril_profile profile, int is_signed)
{
    (void)parties_runtime();
    return (aril_accept_config){ .profiles = 1u << (unsigned)profile,
                                 .identity = g.server[strict(profile)],
                                 .trust = is_signed ? g.trust : NULL,
                                 .vouched_tenant_id = is_signed ? (aril_bytes){ NULL, 0 }
                                                                : ARILI_LITERAL(PARTIES_TENANT),
                                 .tag_key = { tag_key, sizeof tag_key } };
}

aril_handshake *parties_accept(aril_profile profile, const struct message *offer,
                               struct message *ret)
{
    aril_handshake *hs = NULL;
    const aril_accept_config config = parties_accept_config(profile, 0);
    predictable_seed(20 + (unsigned)profile);
    must(aril_session_accept(g.rt, &config, (aril_bytes){ offer->bytes, offer->len }, &hs,
                             ret->bytes, sizeof ret->bytes, &ret->len));
    return hs;
}

void parties_confirm(aril_profile profile, struct message *ret)
{
    static struct message offer, accept;
    aril_session *session = NULL;
    aril_handshake *tenant = parties_offer(profile, 0, &offer);
    aril_handshake *server = parties_accept(profile, &offer, &accept);
    must(aril_session_finish(tenant, (aril_bytes){ accept.bytes, accept.len }, ret->bytes,
                             sizeof ret->bytes, &ret->len, &session));
    aril_session_close(session);
    aril_handshake_free(tenant);
    aril_handshake_free(server);
}

/* --- Records ------------------------------------------------------------------------- */

static const aril_policy policy = { .rotate_records = 100000,
                                    .rotate_bytes = 1 << 20,
                                    .rotate_after_s = 300,
                                    .ttl_s = 900,
                                    .readable_epochs = 16 };

aril_session *parties_session(aril_direction sends)
{
    static const uint8_t id[ARIL_SESSION_ID_BYTES] = { 'p' };
    static const uint8_t secret[ARILI_HASH_BYTES_MAX] = { 's', 'e', 'c', 'r', 'e', 't' };
    const struct arili_session_seed seed = { .profile = arili_profile_get(ARIL_PROFILE_HYBRID),
                                             .sends = sends,
                                             .id = id,
                                             .tenant_tag = UINT64_C(0x7461677461677461),
                                             .tenant_id = ARILI_LITERAL(PARTIES_TENANT),
                                             .policy = &policy,
                                             .secret = secret };
    aril_session *session = NULL;
    must(arili_session_new(parties_runtime(), &seed, &session));
    return session;
}

aril_kv_config parties_view(aril_kv_source source, aril_kv_mode mode)
{
    return (aril_kv_config){ .model = ARILI_LITERAL("fuzz@1"),
                             .layout = { .name = "rows", .dtype = "f16", .layers = 4 },
                             .source = source,
                             .mode = mode,
                             .slot_pins = 8 };
}

/* Two blocks in turn, by chain and by slot; lengths 0 to 200; the last two are in the
 * farthest epoch that an opener follows to, and in one that is too far. */
static void seal_record(aril_kv *kv, unsigned n)
{
    static const size_t lengths[PARTIES_RECORDS] = { 1, 0, 52, 52, 200, 17, 52, 52 };
    static uint8_t plain[200];
    struct message *m = &g.records[n];
    aril_kv_block *block = &g.blocks[n];
    *block = (aril_kv_block){ .layer_count = 4, .identity = ARIL_KV_CHAIN };
    if (n % 2 != 0) {
        block->identity = ARIL_KV_SLOT;
        block->slot = 7 + n; /* so that none displaces another */
        block->count = 16;
    }
    for (size_t i = 0; i < lengths[n]; i++) {
        plain[i] = (uint8_t)PARTIES_SECRET[i % (sizeof PARTIES_SECRET - 1)];
    }
    const aril_span span = { plain, lengths[n] };
    aril_kv_item item = { .block = block,
                          .spans = &span,
                          .span_count = 1,
                          .body = m->bytes + ARIL_SEAL_BYTES,
                          .body_len = lengths[n],
                          .seal = m->bytes };
    must(aril_kv_seal(kv, &item));
    m->len = ARIL_SEAL_BYTES + lengths[n];
}

static void make_records(void)
{
    aril_session *session = parties_session(ARIL_TENANT_TO_SERVER);
    const aril_kv_config config = parties_view(ARIL_KV_FROM_SELF, ARIL_KV_REPEATABLE);
    aril_kv *kv = NULL;
    must(aril_kv_new(session, &config, &kv));
    for (unsigned n = 0; n < PARTIES_RECORDS; n++) {
        /* Epochs 0 0 0 0 1 1 8 9. */
        const unsigned rotations = n == 4 || n == 7 ? 1 : n == 6 ? 7 : 0;
        for (unsigned i = 0; i < rotations; i++) {
            must(aril_session_rotate(session));
        }
        seal_record(kv, n);
    }
    aril_kv_free(kv);
    aril_session_close(session);
}

const struct message *parties_record(unsigned n)
{
    if (g.records[0].len == 0) {
        make_records();
    }
    return &g.records[n];
}

const aril_kv_block *parties_block(unsigned n)
{
    (void)parties_record(n);
    return &g.blocks[n];
}
