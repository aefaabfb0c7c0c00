/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "crypto/hpke.h"
#include "crypto/runtime.h"
#include "format/handshake.h"
#include "kv/context.h"
#include "runtime.h"
#include "session/ratchet.h"
#include "session/transcript.h"
#include "vectors.h"
#include <aril/identity.h>
#include <stdlib.h>
#include <string.h>

/* tests/data/vectors/{keys,handshake}.json against the library: docs/FORMAT.md sections 3
 * to 5. tests/scripts/format_check_test.py and format_handshake_test.py do without it. */

static void assert_hex(struct vectors *v, const json_t *j, const char *member, const void *got,
                       size_t len)
{
    vectors_expect(got, len, vectors_hex(v, j, member));
}

static aril_bytes text_of(const json_t *j, const char *member)
{
    const char *text = vectors_string(j, member);
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

/* --- keys.json ------------------------------------------------------------------------ */

static bool run_direction(struct vectors *v, const json_t *schedule, const json_t *d)
{
    const struct arili_profile *const p = vectors_profile(schedule);
    const aril_bytes secret = vectors_hex(v, schedule, "session_secret");
    const aril_direction direction = (aril_direction)vectors_number(d, "direction");
    struct arili_ratchet r = { 0 };
    size_t i;
    const json_t *e;
    assert_int_equal(secret.len, arili_hash_bytes(p->hash));
    assert_status(arili_ratchet_begin(&rt->crypto, p->hash, secret.data, direction, &r), ARIL_OK);
    json_array_foreach(json_object_get(d, "epochs"), i, e)
    {
        struct arili_epoch_keys keys;
        uint8_t key_id[ARILI_KEY_ID_BYTES];
        assert_int_equal(r.number, vectors_number(e, "epoch"));
        assert_status(arili_ratchet_keys(&rt->crypto, p->hash, direction, &r, &keys, key_id),
                      ARIL_OK);
        assert_hex(v, e, "ratchet", r.secret, arili_hash_bytes(p->hash));
        assert_hex(v, e, "key", keys.key, sizeof keys.key);
        assert_hex(v, e, "nonce_prefix", keys.nonce_prefix, sizeof keys.nonce_prefix);
        assert_hex(v, e, "key_id", key_id, sizeof key_id);
        assert_status(arili_ratchet_advance(&rt->crypto, p->hash, direction, &r), ARIL_OK);
    }
    return true;
}

static void a_session_secret_gives_the_keys(void **state)
{
    (void)state;
    assert_int_equal(vectors_run("keys.json", "schedules", "directions", run_direction, NULL), 6);
}

static aril_kv_block block_of(struct vectors *v, const json_t *j)
{
    aril_kv_block b = { .layer_first = (uint32_t)vectors_number(j, "layer_first"),
                        .layer_count = (uint32_t)vectors_number(j, "layer_count"),
                        .rank = (uint32_t)vectors_number(j, "rank"),
                        .group = (uint32_t)vectors_number(j, "group"),
                        .identity = ARIL_KV_CHAIN };
    const aril_bytes chain = vectors_hex(v, j, "chain");
    if (chain.len == sizeof b.chain) {
        memcpy(b.chain, chain.data, chain.len);
        return b;
    }
    b.identity = ARIL_KV_SLOT;
    b.slot = arili_load64(vectors_hex(v, j, "slot").data);
    b.position = arili_load64(vectors_hex(v, j, "position").data);
    b.count = arili_load64(vectors_hex(v, j, "count").data);
    return b;
}

static bool run_context(struct vectors *v, const json_t *group, const json_t *c)
{
    const json_t *l = json_object_get(c, "layout");
    const aril_kv_layout layout = {
        .name = vectors_string(l, "name"),
        .dtype = vectors_string(l, "dtype"),
        .block_tokens = (uint32_t)vectors_number(l, "block_tokens"),
        .layers = (uint32_t)vectors_number(l, "layers"),
        .kv_heads = (uint32_t)vectors_number(l, "kv_heads"),
        .key_dim = (uint32_t)vectors_number(l, "key_dim"),
        .value_dim = (uint32_t)vectors_number(l, "value_dim"),
        .world_size = (uint32_t)vectors_number(l, "world_size"),
    };
    const aril_kv_block block = block_of(v, json_object_get(c, "block"));
    struct arili_kv_scope scope;
    uint8_t context[ARILI_KV_CONTEXT_BYTES];
    (void)group;
    assert_status(arili_kv_scope_make(&rt->crypto, vectors_profile(c)->hash,
                                      text_of(c, "tenant_id"), text_of(c, "model"), &layout,
                                      &scope),
                  ARIL_OK);
    arili_kv_context_write(&scope, &block, context);
    assert_hex(v, c, "scope_digest", scope.digest, sizeof scope.digest);
    assert_hex(v, c, "context", context, sizeof context);
    return true;
}

static void a_block_gives_its_context(void **state)
{
    (void)state;
    assert_true(vectors_run("keys.json", NULL, "contexts", run_context, NULL) >= 4);
}

static bool run_tag(struct vectors *v, const json_t *group, const json_t *t)
{
    uint64_t tag;
    uint8_t bytes[8];
    (void)group;
    assert_status(
        arili_tenant_tag(&rt->crypto, vectors_hex(v, t, "tag_key"), text_of(t, "tenant_id"), &tag),
        ARIL_OK);
    arili_store64(bytes, tag);
    assert_hex(v, t, "tenant_tag", bytes, sizeof bytes);
    return true;
}

static void a_tag_key_gives_the_tags(void **state)
{
    (void)state;
    assert_true(vectors_run("keys.json", NULL, "tenant_tags", run_tag, NULL) >= 4);
}

/* --- handshake.json -------------------------------------------------------------------- */

static void check_signatures(const struct arili_profile *p, const struct arili_offer *offer,
                             const struct arili_accept *accept, const struct arili_digest *t)
{
    if (offer->is_signed) {
        assert_status(aril_signature_verify(rt, p->sign, offer->sign_public, ARILI_OFFER_CONTEXT,
                                            offer->to_be_signed, offer->signature),
                      ARIL_OK);
    }
    const aril_bytes hash = { t->bytes, t->len };
    assert_status(aril_signature_verify(rt, p->sign, accept->sign_public, ARILI_ACCEPT_CONTEXT,
                                        hash, accept->signature),
                  ARIL_OK);
    assert_status(aril_signature_verify(rt, p->sign, accept->sign_public, ARILI_OFFER_CONTEXT, hash,
                                        accept->signature),
                  ARIL_E_AUTH);
}

/* What the tenant does with its ephemeral seed and the three messages. */
static bool run_handshake(struct vectors *v, const json_t *group, const json_t *c)
{
    (void)group;
    const struct arili_profile *p = vectors_profile(c);
    const aril_bytes offer_bytes = vectors_hex(v, c, "offer");
    struct arili_offer offer;
    struct arili_accept accept;
    struct arili_confirm confirm;
    assert_status(arili_offer_parse(offer_bytes, &offer), ARIL_OK);
    assert_status(arili_accept_parse(vectors_hex(v, c, "accept"), &accept), ARIL_OK);
    assert_status(arili_confirm_parse(vectors_hex(v, c, "confirm"), &confirm), ARIL_OK);
    assert_int_equal(offer.profile, p->id);
    struct arili_hpke_key *key = NULL;
    assert_status(
        arili_hpke_key_import(&rt->crypto, p->suite.kem, vectors_hex(v, c, "ephemeral_seed"), &key),
        ARIL_OK);
    const aril_bytes public_key = arili_hpke_key_public(key);
    assert_int_equal(offer.kem_public.len, public_key.len);
    assert_memory_equal(offer.kem_public.data, public_key.data, public_key.len);

    uint8_t info[64];
    size_t info_len;
    struct arili_hpke_ctx hpke;
    struct arili_digest t, mac;
    struct arili_agreement agreement;
    assert_status(arili_transcript_info(&rt->crypto, p, offer_bytes, info, &info_len), ARIL_OK);
    assert_hex(v, c, "info", info, info_len);
    assert_status(arili_hpke_setup_recipient(&rt->crypto, p->suite, key, accept.enc,
                                             (aril_bytes){ info, info_len }, NULL, &hpke),
                  ARIL_OK);
    assert_hex(v, c, "exporter_secret", hpke.exporter, arili_hash_bytes(p->hash));
    assert_status(arili_transcript_hash(&rt->crypto, p, offer_bytes, accept.core, &t), ARIL_OK);
    assert_hex(v, c, "transcript_hash", t.bytes, t.len);
    assert_status(arili_transcript_agree(&hpke, p, &t, &agreement, &mac), ARIL_OK);
    assert_hex(v, c, "session_secret", agreement.secret, t.len);
    assert_hex(v, c, "server_mac", mac.bytes, mac.len);
    assert_hex(v, c, "tenant_mac", agreement.confirm, t.len);
    assert_memory_equal(accept.mac.data, mac.bytes, mac.len);
    assert_memory_equal(confirm.mac.data, agreement.confirm, t.len);
    check_signatures(p, &offer, &accept, &t);
    arili_hpke_done(&hpke);
    arili_hpke_key_free(key);
    return true;
}

static void a_handshake_gives_its_secrets(void **state)
{
    (void)state;
    assert_int_equal(vectors_run("handshake.json", NULL, "handshakes", run_handshake, NULL), 4);
}

static aril_status parse(const char *type, aril_bytes message)
{
    if (strcmp(type, "offer") == 0) {
        struct arili_offer m;
        return arili_offer_parse(message, &m);
    }
    if (strcmp(type, "accept") == 0) {
        struct arili_accept m;
        return arili_accept_parse(message, &m);
    }
    assert_string_equal(type, "confirm");
    struct arili_confirm m;
    return arili_confirm_parse(message, &m);
}

static bool run_message(struct vectors *v, const json_t *group, const json_t *m)
{
    const aril_status st = parse(vectors_string(m, "type"), vectors_hex(v, m, "message"));
    (void)group;
    if (strcmp(aril_status_name(st), vectors_string(m, "status")) != 0) {
        fail_msg("%s, %s: %s instead of %s", vectors_string(m, "type"), vectors_string(m, "name"),
                 aril_status_name(st), vectors_string(m, "status"));
    }
    return true;
}

static void every_message_gets_its_status(void **state)
{
    (void)state;
    assert_true(vectors_run("handshake.json", NULL, "messages", run_message, NULL) > 50);
}

int main(void)
{
    if (setenv("ARIL_VECTORS_DIR", ARIL_TEST_DATA_DIR "/vectors", 1) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_secret_gives_the_keys),
        cmocka_unit_test(a_block_gives_its_context),
        cmocka_unit_test(a_tag_key_gives_the_tags),
        cmocka_unit_test(a_handshake_gives_its_secrets),
        cmocka_unit_test(every_message_gets_its_status),
    };
    return cmocka_run_group_tests(tests, runtime_setup, runtime_teardown);
}
