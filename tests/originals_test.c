/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was found in the packages whose job aril takes over, and in the one encrypted KV cache
 * format that others ship: one test for each flaw, named after how it is here.
 *
 * Not here, because their parts are not: attestation of drivers (a signature that leaves signer
 * and time outside) belongs to the tensor channel; a vault whose entries are lost at the next
 * unlock, and policies that nobody asks, belong to the vault. Those parts bring their tests.
 * Speed is no test: "aril bench" measures it.
 */
#include "crypto/crypto.h"
#include "crypto/hpke.h"
#include "fixture.h"
#include "predictable.h"
#include "talk.h"
#include <string.h>

/* --- Keys from a hash of both private and public key, in one process ------------------ */

/* A tenant's machine and a server's; only messages pass between them. */
struct machines {
    struct arili_crypto openssl[2], counted[2];
    struct world tenant, server;
    struct message offer, accept, confirm;
    aril_session *at_tenant, *at_server;
};

static void machines_init(struct machines *m)
{
    for (unsigned i = 0; i < 2; i++) {
        assert_status(arili_openssl_new(&m->openssl[i], NULL), ARIL_OK);
        m->counted[i] = m->openssl[i];
        predictable_crypto(&m->openssl[i], &m->counted[i]);
        world_init_over(i == 0 ? &m->tenant : &m->server, &m->counted[i]);
    }
}

static void machines_talk(struct machines *m, aril_profile profile)
{
    aril_handshake *tenant = NULL, *server = NULL;
    const aril_identity *identity = fixture_identity(fixture_alg(profile), 0);
    const aril_offer_config offer = { .profile = profile,
                                      .tenant_id = TEXT("acme"),
                                      .server_did = fixture_did(identity) };
    const aril_accept_config accept = { .profiles = 1u << (unsigned)profile,
                                        .identity = identity,
                                        .vouched_tenant_id = TEXT("acme"),
                                        .tag_key = fixture_tag_key() };
    assert_status(aril_session_offer(m->tenant.rt, &offer, &tenant, m->offer.bytes,
                                     sizeof m->offer.bytes, &m->offer.len),
                  ARIL_OK);
    assert_status(aril_session_accept(m->server.rt, &accept, wire(&m->offer), &server,
                                      m->accept.bytes, sizeof m->accept.bytes, &m->accept.len),
                  ARIL_OK);
    assert_status(aril_session_finish(tenant, wire(&m->accept), m->confirm.bytes,
                                      sizeof m->confirm.bytes, &m->confirm.len, &m->at_tenant),
                  ARIL_OK);
    assert_status(aril_session_confirm(server, wire(&m->confirm), &m->at_server), ARIL_OK);
    aril_handshake_free(tenant);
    aril_handshake_free(server);
}

static void machines_done(struct machines *m)
{
    aril_session_close(m->at_tenant);
    aril_session_close(m->at_server);
    world_done(&m->tenant);
    world_done(&m->server);
    for (unsigned i = 0; i < 2; i++) {
        arili_openssl_free(&m->openssl[i]);
    }
}

static void keys_come_from_a_kem_between_two_parties(void **state)
{
    (void)state;
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    for (size_t i = 0; i < COUNT(profiles); i++) {
        static struct machines m;
        machines_init(&m);
        const struct predictable_counts before = predictable_counts();
        machines_talk(&m, profiles[i]);
        const struct predictable_counts after = predictable_counts();
        assert_int_equal(after.encaps - before.encaps, 1); /* ML-KEM at the server */
        assert_int_equal(after.decaps - before.decaps, 1); /* and at the tenant */
        assert_ends_agree(m.at_tenant, m.at_server);
        machines_done(&m);
    }
}

#define KEM_PROFILES 3u
static const enum arili_hpke_kem kems[KEM_PROFILES] = { ARILI_HPKE_X_WING, ARILI_HPKE_ML_KEM_768,
                                                        ARILI_HPKE_ML_KEM_1024 };

/* The secret that a handshake over enc gives to the holder of key. */
static aril_status exported(const struct arili_crypto *c, struct arili_hpke_suite suite,
                            const struct arili_hpke_key *key, aril_bytes enc, uint8_t ret[32])
{
    struct arili_hpke_ctx ctx = { 0 };
    memset(ret, 0, 32);
    aril_status st = arili_hpke_setup_recipient(c, suite, key, enc, TEXT("info"), NULL, &ctx);
    if (st == ARIL_OK) {
        st = arili_hpke_export(&ctx, TEXT("secret"), ret, 32);
        arili_hpke_done(&ctx);
    }
    return st;
}

static void an_observer_of_every_message_has_no_key(void **state)
{
    (void)state;
    struct arili_crypto c;
    assert_status(arili_openssl_new(&c, NULL), ARIL_OK);
    for (size_t i = 0; i < KEM_PROFILES; i++) {
        const struct arili_hpke_suite suite = { kems[i], ARILI_HPKE_HKDF_SHA256 };
        struct arili_hpke_key *tenant = NULL, *observer = NULL;
        struct arili_hpke_ctx server = { 0 };
        uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX], mine[32], yours[32];
        const aril_bytes sent = { enc, arili_hpke_enc_bytes(kems[i]) };
        assert_status(arili_hpke_key_generate(&c, kems[i], &tenant), ARIL_OK);
        assert_status(arili_hpke_key_generate(&c, kems[i], &observer), ARIL_OK);
        assert_status(arili_hpke_setup_sender(&c, suite, arili_hpke_key_public(tenant),
                                              TEXT("info"), NULL, NULL, enc, sent.len, &server),
                      ARIL_OK);
        assert_status(arili_hpke_export(&server, TEXT("secret"), mine, sizeof mine), ARIL_OK);
        assert_status(exported(&c, suite, tenant, sent, yours), ARIL_OK);
        assert_memory_equal(mine, yours, sizeof mine);
        /* All that went over the wire, and a private key of one's own. */
        assert_status(exported(&c, suite, observer, sent, yours), ARIL_OK);
        assert_memory_not_equal(mine, yours, sizeof mine);
        arili_hpke_done(&server);
        arili_hpke_key_free(tenant);
        arili_hpke_key_free(observer);
    }
    arili_openssl_free(&c);
}

static void each_byte_of_the_encapsulation_counts(void **state)
{
    (void)state;
    struct arili_crypto c;
    assert_status(arili_openssl_new(&c, NULL), ARIL_OK);
    for (size_t i = 0; i < KEM_PROFILES; i++) {
        const struct arili_hpke_suite suite = { kems[i], ARILI_HPKE_HKDF_SHA256 };
        struct arili_hpke_key *tenant = NULL;
        struct arili_hpke_ctx server = { 0 };
        uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX], mine[32], yours[32];
        const size_t len = arili_hpke_enc_bytes(kems[i]);
        assert_status(arili_hpke_key_generate(&c, kems[i], &tenant), ARIL_OK);
        assert_status(arili_hpke_setup_sender(&c, suite, arili_hpke_key_public(tenant),
                                              TEXT("info"), NULL, NULL, enc, len, &server),
                      ARIL_OK);
        assert_status(arili_hpke_export(&server, TEXT("secret"), mine, sizeof mine), ARIL_OK);
        for (size_t at = 0; at < len; at += SANITIZED ? 41 : 1) {
            enc[at] ^= 1;
            /* ML-KEM gives a secret for every ciphertext; it is never this one. */
            (void)!exported(&c, suite, tenant, (aril_bytes){ enc, len }, yours);
            assert_memory_not_equal(mine, yours, sizeof mine);
            enc[at] ^= 1;
        }
        arili_hpke_done(&server);
        arili_hpke_key_free(tenant);
    }
    arili_openssl_free(&c);
}

/* No liboqs there meant 64 random bytes instead of a key pair, and everything "worked". */
static aril_status no_kem(struct arili_provider *p, enum arili_kem alg, aril_bytes bytes,
                          struct arili_pkey **ret)
{
    (void)p;
    (void)alg;
    (void)bytes;
    (void)ret;
    return ARIL_E_UNAVAILABLE;
}

static void without_a_kem_there_is_no_session(void **state)
{
    (void)state;
    struct arili_crypto c;
    assert_status(arili_openssl_new(&c, NULL), ARIL_OK);
    for (unsigned end = 0; end < 2; end++) {
        static struct talk t;
        struct world w;
        struct arili_crypto_ops ops = *c.ops;
        const struct arili_crypto lacking = { &ops, c.provider };
        world_init_over(&w, &lacking);
        /* The world keeps a copy of the pair, which points to these ops. */
        talk_init(&t, &w, ARIL_PROFILE_ML_KEM_768, false);
        if (end == 0) {
            ops.kem_import_seed = no_kem;
            assert_status(talk_offer(&t), ARIL_E_UNAVAILABLE);
            assert_null(t.tenant_hs);
        } else {
            talk_until(&t, TALK_OFFER);
            ops.kem_import_public = no_kem;
            assert_status(talk_accept(&t), ARIL_E_UNAVAILABLE);
            assert_null(t.server_hs);
        }
        talk_done(&t);
        world_done(&w);
    }
    arili_openssl_free(&c);
}

static void a_signature_is_verified_not_assumed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (unsigned i = 0; i < 2; i++) {
        const aril_sign_alg alg = i == 0 ? ARIL_ML_DSA_65 : ARIL_ML_DSA_87;
        const aril_identity *signer = fixture_identity(alg, 0);
        uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
        size_t len;
        assert_status(
            aril_identity_sign(signer, TEXT("label"), TEXT("statement"), sig, sizeof sig, &len),
            ARIL_OK);
        const aril_bytes key = aril_identity_public(signer);
        assert_status(aril_signature_verify(w.rt, alg, key, TEXT("label"), TEXT("statement"),
                                            (aril_bytes){ sig, len }),
                      ARIL_OK);
        assert_status(aril_signature_verify(w.rt, alg, key, TEXT("label"), TEXT("another"),
                                            (aril_bytes){ sig, len }),
                      ARIL_E_AUTH);
        for (size_t at = 0; at < len; at += 97) {
            sig[at] ^= 4;
            assert_status(aril_signature_verify(w.rt, alg, key, TEXT("label"), TEXT("statement"),
                                                (aril_bytes){ sig, len }),
                          ARIL_E_AUTH);
            sig[at] ^= 4;
        }
    }
    world_done(&w);
}

/* --- Replay protection that a manager above it undid ---------------------------------- */

static aril_tenants *registry_new(struct world *w, aril_kv_mode mode)
{
    aril_tenants *tenants = NULL;
    aril_kv_config model = view_config();
    model.mode = mode;
    const aril_tenants_config config = { .models = &model,
                                         .model_count = 1,
                                         .identity = fixture_identity(ARIL_ML_DSA_65, 0) };
    assert_status(aril_tenants_new(w->rt, &config, &tenants), ARIL_OK);
    assert_status(aril_tenants_create(tenants, TEXT("acme")), ARIL_OK);
    assert_status(aril_tenants_create(tenants, TEXT("other")), ARIL_OK);
    return tenants;
}

static void a_replay_is_refused_also_through_the_tenant_registry(void **state)
{
    (void)state;
    struct world w;
    struct room r;
    const aril_kv_block block = chain_block(1);
    world_init(&w);
    aril_tenants *tenants = registry_new(&w, ARIL_KV_ONCE);
    room_init(&r, 128, 1, &block);
    aril_kv_item item = room_sealing(&r);
    assert_status(aril_tenants_seal(tenants, TEXT("acme"), 0, &item, 1, NULL), ARIL_OK);
    item = room_opening(&r);
    assert_status(aril_tenants_open(tenants, TEXT("acme"), 0, &item, 1, NULL), ARIL_OK);
    assert_true(room_is_open(&r));
    for (unsigned i = 0; i < 3; i++) {
        room_reset_out(&r);
        assert_status(aril_tenants_open(tenants, TEXT("acme"), 0, &item, 1, NULL), ARIL_E_BATCH);
        assert_status(item.status, ARIL_E_REPLAY);
        assert_true(room_is_clean(&r));
    }
    assert_int_equal(world_events(&w, ARIL_EVENT_REPLAY), 3);
    room_done(&r);
    aril_tenants_free(tenants);
    world_done(&w);
}

/* --- Rotation that lost every entry, and that nothing started --------------------------- */

#define KEPT 6u

/* Seals record after record, and does something between them; all of them must still open, at
 * both ends. */
static void rotation_keeps_records(const aril_policy *policy, size_t record_bytes,
                                   void (*between)(struct world *w, struct pair *p),
                                   aril_rotate_reason reason)
{
    struct world w;
    struct pair p;
    struct room rooms[KEPT];
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("acme"), policy);
    const aril_kv_config own = view_config(), from_peer = view_config_peer();
    aril_kv *self = view_new(p.tenant, &own), *peer = view_new(p.server, &from_peer);
    for (unsigned i = 0; i < KEPT; i++) {
        const aril_kv_block block = chain_block(i);
        room_init(&rooms[i], record_bytes, i, &block);
        room_seal(&rooms[i], self);
        between(&w, &p);
    }
    aril_session_info info;
    assert_status(aril_session_get_info(p.tenant, &info), ARIL_OK);
    assert_in_range(info.direction[ARIL_TENANT_TO_SERVER].epoch, KEPT / 2 - 1, KEPT);
    assert_int_equal(world_last(&w, ARIL_EVENT_ROTATE).reason, reason);
    for (unsigned i = 0; i < KEPT; i++) {
        assert_status(room_open(&rooms[i], self), ARIL_OK);
        assert_true(room_is_open(&rooms[i]));
        assert_status(room_open(&rooms[i], peer), ARIL_OK); /* derived, not drawn: it follows */
        assert_true(room_is_open(&rooms[i]));
        room_done(&rooms[i]);
    }
    aril_kv_free(self);
    aril_kv_free(peer);
    pair_done(&p);
    world_done(&w);
}

static void nothing_between(struct world *w, struct pair *p)
{
    (void)w;
    (void)p;
}

static void a_minute_between(struct world *w, struct pair *p)
{
    (void)p;
    fake_clock_add_s(&w->clock, 60);
}

static void a_rotation_between(struct world *w, struct pair *p)
{
    (void)w;
    assert_status(aril_session_rotate(p->tenant), ARIL_OK);
}

static void rotation_keeps_earlier_records_readable_and_happens_by_itself(void **state)
{
    (void)state;
    const aril_policy by_records = { .rotate_records = 2 };
    const aril_policy by_bytes = { .rotate_bytes = 200 };
    const aril_policy by_age = { .rotate_after_s = 60 };
    rotation_keeps_records(&by_records, 64, nothing_between, ARIL_ROTATE_RECORDS);
    rotation_keeps_records(&by_bytes, 100, nothing_between, ARIL_ROTATE_BYTES);
    rotation_keeps_records(&by_age, 64, a_minute_between, ARIL_ROTATE_AGE);
    rotation_keeps_records(NULL, 64, a_rotation_between, ARIL_ROTATE_MANUAL);
}

/* --- An audit log that nothing wrote to, and that forgot the beginning ------------------ */

static int first_event(void *user, const aril_event *event)
{
    *(aril_event *)user = *event;
    return 1;
}

static void
the_audit_log_is_written_by_the_crypto_path_and_keeps_its_oldest_security_events(void **state)
{
    (void)state;
    struct world w;
    struct pair p, other;
    struct room r, foreign;
    const aril_kv_block block = chain_block(1);
    const aril_kv_config config = view_config();
    world_init(&w); /* room for 4096 security events */
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("acme"), NULL);
    pair_init(&other, &w, ARIL_PROFILE_HYBRID, TEXT("other"), NULL);
    aril_kv *kv = view_new(p.server, &config), *other_kv = view_new(other.server, &config);
    room_init(&r, 64, 1, &block);
    room_init(&foreign, 64, 2, &block);
    room_seal(&r, kv);
    room_seal(&foreign, other_kv);
    assert_status(room_open(&r, kv), ARIL_OK);
    assert_status(room_open(&foreign, kv), ARIL_E_ISOLATION); /* how the attack began */
    r.body.data[0] ^= 1;
    for (unsigned i = 0; i < 5000; i++) { /* more than there is room for */
        assert_status(room_open(&r, kv), ARIL_E_AUTH);
    }
    aril_session_flush_audit(p.server);
    aril_audit_totals totals;
    assert_status(aril_audit_memory_totals(w.audit, &totals), ARIL_OK);
    assert_int_equal(totals.events[ARIL_EVENT_SESSION], 4);
    assert_int_equal(totals.events[ARIL_EVENT_ISOLATION_VIOLATION], 1);
    assert_int_equal(totals.events[ARIL_EVENT_AUTH_FAILURE], 5000);
    assert_true(totals.lost_security > 0);
    assert_int_equal(totals.records_sealed, 1);
    assert_int_equal(totals.records_opened, 1);
    aril_event first;
    const aril_audit_filter filter = { .kinds = 1u << ARIL_EVENT_ISOLATION_VIOLATION };
    assert_status(aril_audit_memory_query(w.audit, &filter, first_event, &first), ARIL_OK);
    assert_int_equal(first.kind, ARIL_EVENT_ISOLATION_VIOLATION);
    aril_session_info info;
    assert_status(aril_session_get_info(other.server, &info), ARIL_OK);
    assert_int_equal(first.foreign_tag, info.tenant_tag);
    room_done(&r);
    room_done(&foreign);
    aril_kv_free(kv);
    aril_kv_free(other_kv);
    pair_done(&p);
    pair_done(&other);
    world_done(&w);
}

/* --- A DID that was believed without its key ------------------------------------------- */

static void a_trusted_did_with_an_attackers_key_is_refused(void **state)
{
    (void)state;
    static struct talk t;
    struct world w;
    world_init(&w);
    const aril_identity *attacker = fixture_identity(ARIL_ML_DSA_65, 3);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    /* The name of a trusted DID beside another key. */
    assert_status(aril_did_check(w.rt, fixture_did(t.offer_config.identity), ARIL_ML_DSA_65,
                                 aril_identity_public(attacker)),
                  ARIL_E_TRUST_DID);
    /* A tenant's name, signed by somebody else. */
    const aril_identity *genuine = t.offer_config.identity;
    t.offer_config.identity = attacker;
    talk_until(&t, TALK_OFFER);
    assert_status(talk_accept(&t), ARIL_E_TRUST_UNKNOWN);
    /* Somebody else, trusted under another name, who takes this tenant's. */
    assert_status(aril_trust_add(t.trust, fixture_did(attacker), "attacker"), ARIL_OK);
    assert_status(talk_accept(&t), ARIL_E_AUTH);
    /* A server that is not the pinned one, with a key and a signature of its own. */
    t.offer_config.identity = genuine;
    t.accept_config.identity = attacker;
    talk_until(&t, TALK_ACCEPT);
    assert_status(talk_finish(&t), ARIL_E_TRUST_DID);
    assert_null(t.tenant);
    talk_done(&t);
    world_done(&w);
}

static void no_field_of_an_answer_is_outside_its_signature(void **state)
{
    (void)state;
    static struct talk t;
    struct world w;
    world_init(&w);
    talk_init(&t, &w, ARIL_PROFILE_ML_KEM_768, false);
    talk_until(&t, TALK_ACCEPT);
    /* All of the fixed fields, and samples of keys, MAC and signature. */
    for (size_t at = 0; at < t.accept.len; at += at < 70 ? 1 : 61) {
        t.accept.bytes[at] ^= 1;
        assert_true(talk_finish(&t) != ARIL_OK);
        assert_null(t.tenant);
        t.accept.bytes[at] ^= 1;
    }
    assert_status(talk_finish(&t), ARIL_OK);
    talk_done(&t);
    world_done(&w);
}

/* --- One key for both directions -------------------------------------------------------- */

static void a_reflected_record_is_refused_by_its_sender(void **state)
{
    (void)state;
    struct world w;
    struct pair p;
    struct room r;
    const aril_kv_block block = chain_block(1);
    const aril_kv_config config = view_config_peer();
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("acme"), NULL);
    aril_kv *tenant = view_new(p.tenant, &config), *server = view_new(p.server, &config);
    room_init(&r, 64, 1, &block);
    room_seal(&r, tenant);
    assert_status(room_open(&r, tenant), ARIL_E_AUTH);
    assert_true(room_is_clean(&r));
    /* Also when the record claims to come from the other side. */
    r.seal.data[3] ^= 1;
    const aril_status st = room_open(&r, tenant);
    assert_true(st == ARIL_E_KEY_UNKNOWN || st == ARIL_E_AUTH);
    assert_true(room_is_clean(&r));
    r.seal.data[3] ^= 1;
    assert_status(room_open(&r, server), ARIL_OK);
    room_done(&r);
    aril_kv_free(tenant);
    aril_kv_free(server);
    pair_done(&p);
    world_done(&w);
}

/* --- A cache format without associated data and without a key id ------------------------- */

static void swap(uint8_t *a, uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const uint8_t byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}

static void two_chunks_of_one_tenant_can_not_change_places(void **state)
{
    (void)state;
    struct world w;
    struct pair p;
    struct room a, b;
    const aril_kv_block block_a = chain_block(1), block_b = chain_block(2);
    const aril_kv_config config = view_config();
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("acme"), NULL);
    aril_kv *kv = view_new(p.server, &config);
    room_init(&a, 64, 1, &block_a);
    room_init(&b, 64, 2, &block_b);
    room_seal(&a, kv);
    room_seal(&b, kv);
    swap(a.body.data, b.body.data, 64);
    for (unsigned with_seals = 0; with_seals < 2; with_seals++) {
        assert_status(room_open(&a, kv), ARIL_E_AUTH);
        assert_status(room_open(&b, kv), ARIL_E_AUTH);
        assert_true(room_is_clean(&a) && room_is_clean(&b));
        swap(a.seal.data, b.seal.data, ARIL_SEAL_BYTES);
    }
    swap(a.body.data, b.body.data, 64); /* all is back in its place */
    assert_status(room_open(&a, kv), ARIL_OK);
    assert_status(room_open(&b, kv), ARIL_OK);
    room_done(&a);
    room_done(&b);
    aril_kv_free(kv);
    pair_done(&p);
    world_done(&w);
}

static void the_key_of_a_record_is_found_by_its_id(void **state)
{
    (void)state;
    struct world w;
    struct pair p;
    struct room r;
    const aril_kv_block block = chain_block(1);
    const aril_kv_config config = view_config();
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("acme"), NULL);
    aril_kv *kv = view_new(p.server, &config);
    room_init(&r, 64, 1, &block);
    uint8_t ids[4][32];
    for (unsigned i = 0; i < COUNT(ids); i++) {
        aril_seal_info info;
        room_seal(&r, kv);
        assert_status(aril_seal_inspect(r.seal.data, &info), ARIL_OK);
        assert_int_equal(info.epoch, i);
        memcpy(ids[i], info.key_id, sizeof ids[i]);
        for (unsigned k = 0; k < i; k++) {
            assert_memory_not_equal(ids[k], ids[i], sizeof ids[i]);
        }
        assert_status(aril_session_rotate(p.server), ARIL_OK);
        assert_status(room_open(&r, kv), ARIL_OK); /* not a miss */
        /* An id that is not the key's is refused before the key is used. */
        r.seal.data[40] ^= 1;
        assert_status(room_open(&r, kv), ARIL_E_KEY_UNKNOWN);
        r.seal.data[40] ^= 1;
    }
    room_done(&r);
    aril_kv_free(kv);
    pair_done(&p);
    world_done(&w);
}

static bool contains(const uint8_t *p, size_t len, aril_bytes what)
{
    for (size_t i = 0; i + what.len <= len; i++) {
        if (memcmp(p + i, what.data, what.len) == 0) {
            return true;
        }
    }
    return false;
}

static void a_record_does_not_name_its_tenant(void **state)
{
    (void)state;
    struct world w;
    struct room r;
    const aril_kv_block block = chain_block(1);
    world_init(&w);
    aril_tenants *tenants = registry_new(&w, ARIL_KV_REPEATABLE);
    room_init(&r, 64, 1, &block);
    aril_kv_item item = room_sealing(&r);
    assert_status(aril_tenants_seal(tenants, TEXT("acme"), 0, &item, 1, NULL), ARIL_OK);
    assert_false(contains(r.seal.data, ARIL_SEAL_BYTES, TEXT("acme")));
    assert_false(contains(r.seal.data, ARIL_SEAL_BYTES, (aril_bytes){ block.chain, 8 }));
    assert_false(contains(r.body.data, r.len, (aril_bytes){ r.plain.data, 8 }));
    room_done(&r);
    aril_tenants_free(tenants);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_from_a_kem_between_two_parties),
        cmocka_unit_test(an_observer_of_every_message_has_no_key),
        cmocka_unit_test(each_byte_of_the_encapsulation_counts),
        cmocka_unit_test(without_a_kem_there_is_no_session),
        cmocka_unit_test(a_signature_is_verified_not_assumed),
        cmocka_unit_test(a_replay_is_refused_also_through_the_tenant_registry),
        cmocka_unit_test(rotation_keeps_earlier_records_readable_and_happens_by_itself),
        cmocka_unit_test(
            the_audit_log_is_written_by_the_crypto_path_and_keeps_its_oldest_security_events),
        cmocka_unit_test(a_trusted_did_with_an_attackers_key_is_refused),
        cmocka_unit_test(no_field_of_an_answer_is_outside_its_signature),
        cmocka_unit_test(a_reflected_record_is_refused_by_its_sender),
        cmocka_unit_test(two_chunks_of_one_tenant_can_not_change_places),
        cmocka_unit_test(the_key_of_a_record_is_found_by_its_id),
        cmocka_unit_test(a_record_does_not_name_its_tenant),
    };
    return cmocka_run_group_tests_name("flaws of the originals", tests, NULL, NULL);
}
