/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "crypto/hpke_kem.h"
#include "provider.h"
#include "vectors.h"
#include <string.h>

#define PQ_FILE        "hpke/hpke-pq_test-vectors.json"
#define GENERATED_FILE "hpke/generated_xwing_hkdfsha256_aes256gcm.json"
#define RFC_FILE       "hpke/rfc9180_base_x25519_aes.json"

struct counts {
    unsigned whole;    /* KEM, key schedule, messages and exports */
    unsigned kem_only; /* the suite's KDF or AEAD is not offered */
    unsigned messages;
    unsigned refused;
};

static bool is_offered(const json_t *t)
{
    const uint64_t kdf = vectors_number(t, "kdf_id");
    return (kdf == ARILI_HPKE_HKDF_SHA256 || kdf == ARILI_HPKE_HKDF_SHA384) &&
           vectors_number(t, "aead_id") == ARILI_HPKE_AES_256_GCM;
}

/* The randomness of Encap; empty in the file of RFC 9180, which has the ephemeral
 * private key instead ("sender_seed"), so that Encap itself cannot be repeated. */
static aril_bytes encap_randomness(struct vectors *v, const json_t *t)
{
    return vectors_hex(v, t, json_object_get(t, "ikmE") != NULL ? "ikmE" : "eseed");
}

static void assert_bytes(aril_bytes got, aril_bytes want)
{
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, want.len);
}

static struct arili_hpke_key *recipient_key(struct vectors *v, const json_t *t,
                                            enum arili_hpke_kem kem)
{
    struct arili_hpke_key *key = NULL;
    const aril_bytes ikm = vectors_hex(v, t, "ikmR");
    if (ikm.len > 0) {
        assert_status(arili_hpke_key_derive(provider(), kem, ikm, &key), ARIL_OK);
        assert_bytes(arili_hpke_key_public(key), vectors_hex(v, t, "pkRm"));
        arili_hpke_key_free(key);
    }
    assert_status(arili_hpke_key_import(provider(), kem, vectors_hex(v, t, "skRm"), &key), ARIL_OK);
    assert_bytes(arili_hpke_key_public(key), vectors_hex(v, t, "pkRm"));
    return key;
}

/* Encap and Decap alone, for every suite with one of our KEMs. */
static void run_kem(struct vectors *v, const json_t *t, const struct arili_hpke_key *key,
                    const struct arili_hpke_kem_ops *ops)
{
    const aril_bytes rand = encap_randomness(v, t);
    const aril_bytes want_ss = vectors_hex(v, t, "shared_secret");
    const aril_bytes enc = vectors_hex(v, t, "enc");
    uint8_t out[ARILI_HPKE_ENC_BYTES_MAX];
    uint8_t sent[ARILI_HPKE_SHARED_BYTES];
    uint8_t got[ARILI_HPKE_SHARED_BYTES];
    assert_status(ops->decap(key, enc, got), ARIL_OK);
    if (rand.len > 0) {
        assert_int_equal(rand.len, ops->enc_rand_bytes);
        assert_status(
            ops->encap(provider(), ops->id, arili_hpke_key_public(key), rand.data, out, sent),
            ARIL_OK);
        assert_bytes((aril_bytes){ out, ops->enc_bytes }, enc);
        assert_memory_equal(sent, got, sizeof got);
    } else {
        struct arili_hpke_key *ephemeral = NULL;
        assert_status(arili_hpke_key_import(provider(), ops->id, vectors_hex(v, t, "sender_seed"),
                                            &ephemeral),
                      ARIL_OK);
        assert_bytes(arili_hpke_key_public(ephemeral), enc);
        arili_hpke_key_free(ephemeral);
    }
    if (want_ss.len > 0) {
        assert_bytes((aril_bytes){ got, sizeof got }, want_ss);
    }
}

/* Contexts say what the key schedule must give, where the file has it. */
static void assert_schedule(struct vectors *v, const json_t *t, const struct arili_hpke_ctx *ctx)
{
    const aril_bytes key = vectors_hex(v, t, "key");
    const aril_bytes nonce = vectors_hex(v, t, "base_nonce");
    const aril_bytes exporter = vectors_hex(v, t, "exporter_secret");
    if (key.len > 0) {
        assert_bytes((aril_bytes){ ctx->key, sizeof ctx->key }, key);
        assert_bytes((aril_bytes){ ctx->base_nonce, sizeof ctx->base_nonce }, nonce);
        assert_memory_equal(ctx->exporter, exporter.data, exporter.len);
    }
}

static unsigned run_messages(struct vectors *v, const json_t *t, struct arili_hpke_ctx *tx,
                             struct arili_hpke_ctx *rx)
{
    unsigned ran = 0;
    size_t i;
    const json_t *m;
    json_array_foreach(json_object_get(t, "encryptions"), i, m)
    {
        const aril_bytes aad = vectors_hex(v, m, "aad");
        const aril_bytes plain = vectors_hex(v, m, "pt");
        uint8_t ct[512];
        uint8_t opened[512];
        size_t len = 0;
        if (json_object_get(m, "seq") != NULL) {
            tx->seq = rx->seq = vectors_number(m, "seq");
        }
        assert_true(plain.len + ARILI_AEAD_TAG_BYTES <= sizeof ct);
        assert_status(arili_hpke_seal(tx, aad, plain, ct, sizeof ct, &len), ARIL_OK);
        assert_bytes((aril_bytes){ ct, len }, vectors_hex(v, m, "ct"));
        assert_status(
            arili_hpke_open(rx, aad, (aril_bytes){ ct, len }, opened, sizeof opened, &len),
            ARIL_OK);
        assert_bytes((aril_bytes){ opened, len }, plain);
        ran++;
    }
    return ran;
}

static void run_exports(struct vectors *v, const json_t *t, const struct arili_hpke_ctx *ctx)
{
    size_t i;
    const json_t *e;
    json_array_foreach(json_object_get(t, "exports"), i, e)
    {
        const size_t len = (size_t)vectors_number(e, "L");
        uint8_t out[512];
        assert_true(len <= sizeof out);
        assert_status(arili_hpke_export(ctx, vectors_hex(v, e, "exporter_context"), out, len),
                      ARIL_OK);
        assert_bytes((aril_bytes){ out, len }, vectors_hex(v, e, "exported_value"));
    }
}

static unsigned run_whole(struct vectors *v, const json_t *t, const struct arili_hpke_key *key)
{
    const struct arili_hpke_suite suite = { key->kem,
                                            (enum arili_hpke_kdf)vectors_number(t, "kdf_id") };
    const aril_bytes rand = encap_randomness(v, t);
    const aril_bytes info = vectors_hex(v, t, "info");
    const aril_bytes enc = vectors_hex(v, t, "enc");
    struct arili_hpke_ctx tx;
    struct arili_hpke_ctx rx;
    uint8_t out[ARILI_HPKE_ENC_BYTES_MAX];

    assert_status(arili_hpke_setup_recipient(provider(), suite, key, enc, info, NULL, &rx),
                  ARIL_OK);
    if (rand.len > 0) {
        assert_status(arili_hpke_setup_sender(provider(), suite, arili_hpke_key_public(key), info,
                                              NULL, &rand, out, arili_hpke_enc_bytes(suite.kem),
                                              &tx),
                      ARIL_OK);
        assert_bytes((aril_bytes){ out, arili_hpke_enc_bytes(suite.kem) }, enc);
    } else {
        tx = rx;
        tx.sender = true;
    }
    assert_schedule(v, t, &tx);
    assert_schedule(v, t, &rx);
    const unsigned messages = run_messages(v, t, &tx, &rx);
    run_exports(v, t, &tx);
    run_exports(v, t, &rx);
    arili_hpke_done(&tx);
    arili_hpke_done(&rx);
    return messages;
}

static void run_file(const char *path, struct counts *ret)
{
    struct vectors v;
    size_t i;
    const json_t *t;

    *ret = (struct counts){ 0 };
    vectors_open(&v, path);
    json_array_foreach(v.root, i, t)
    {
        assert_int_equal(vectors_number(t, "mode"), 0);
        const enum arili_hpke_kem kem = (enum arili_hpke_kem)vectors_number(t, "kem_id");
        const struct arili_hpke_kem_ops *const ops = arili_hpke_kem(kem);
        if (ops == NULL) {
            ret->refused++;
            continue;
        }
        struct arili_hpke_key *const key = recipient_key(&v, t, kem);
        run_kem(&v, t, key, ops);
        if (is_offered(t)) {
            ret->messages += run_whole(&v, t, key);
            ret->whole++;
        } else {
            ret->kem_only++;
        }
        arili_hpke_key_free(key);
    }
    print_message("  %s: %u whole with %u messages, %u their KEM only\n", path, ret->whole,
                  ret->messages, ret->kem_only);
    vectors_report(path, ret->whole + ret->kem_only, ret->refused,
                   "with KEMs that are not offered by design");
    vectors_close(&v);
}

static void vectors_of_hpke_pq(void **state)
{
    struct counts n;
    (void)state;
    run_file(PQ_FILE, &n);
    assert_true(n.whole >= 1 && n.kem_only >= 2);
}

static void generated_vectors_of_the_default_suite(void **state)
{
    struct counts n;
    (void)state;
    run_file(GENERATED_FILE, &n);
    assert_true(n.whole >= 2 && n.kem_only == 0);
}

static void base_vectors_of_rfc_9180(void **state)
{
    struct counts n;
    (void)state;
    run_file(RFC_FILE, &n);
    assert_true(n.whole >= 1 && n.messages >= 257);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_hpke_pq),
        cmocka_unit_test(generated_vectors_of_the_default_suite),
        cmocka_unit_test(base_vectors_of_rfc_9180),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
