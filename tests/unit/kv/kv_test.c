/* SPDX-License-Identifier: Apache-2.0 */
/* Single records by chain: what opens, and what every change of anything leads to. Slots are
 * in kv_slots_test.c, batches in batch_test.c, arguments in kv_usage_test.c. */
#include "base/bytes.h"
#include "crypto/runtime.h"
#include "faulty_crypto.h"
#include "fixture.h"
#include "provider.h"
#include "session/policy.h"
#include "session/session.h"
#include <string.h>

static struct faulty_crypto *crypto; /* counts calls */
static struct world w;
static struct pair p;
static aril_kv *own;               /* the server's cache */
static aril_kv *sender, *receiver; /* tenant to server */
static struct room r;

static void begin_with(const aril_policy *policy, aril_kv_mode mode)
{
    aril_kv_config self = view_config(), peer = view_config_peer();
    const aril_kv_block block = chain_block(1);
    self.mode = mode;
    peer.mode = mode;
    crypto = faulty_crypto_new(provider());
    assert_non_null(crypto);
    world_init_over(&w, faulty_crypto_table(crypto));
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("tenant"), policy);
    own = view_new(p.server, &self);
    sender = view_new(p.tenant, &peer);
    receiver = view_new(p.server, &peer);
    room_init(&r, 100, 3, &block);
    world_forget(&w);
}

static void begin(void)
{
    begin_with(NULL, ARIL_KV_REPEATABLE);
}

static void end(void)
{
    room_done(&r);
    aril_kv_free(own);
    aril_kv_free(sender);
    aril_kv_free(receiver);
    pair_done(&p);
    world_done(&w);
    assert_int_equal(faulty_crypto_alive(crypto), 0);
    faulty_crypto_free(crypto);
}

/* The record is refused with this status and leaves no plaintext. */
static void assert_refused(aril_kv *kv, aril_status want)
{
    assert_status(room_open(&r, kv), want);
    assert_true(room_is_clean(&r));
}

static void assert_opens(aril_kv *kv)
{
    assert_status(room_open(&r, kv), ARIL_OK);
    assert_true(room_is_open(&r));
}

/* --- What opens ----------------------------------------------------------------------------- */

static void a_cache_opens_what_it_sealed_as_often_as_wanted(void **state)
{
    (void)state;
    begin();
    room_seal(&r, own);
    assert_false(is_pattern(r.body.data, r.len, r.seed));
    for (unsigned i = 0; i < 10; i++) {
        assert_opens(own);
    }
    assert_refused(receiver, ARIL_E_AUTH); /* not what the peer sealed */
    end();
}

static void a_transfer_opens_what_the_other_end_sealed(void **state)
{
    (void)state;
    begin();
    room_seal(&r, sender);
    assert_opens(receiver);
    assert_refused(sender, ARIL_E_AUTH); /* reflected */
    assert_refused(own, ARIL_E_AUTH);
    end();
}

static void every_profile_carries_records(void **state)
{
    (void)state;
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    begin();
    for (size_t i = 0; i < COUNT(profiles); i++) {
        struct pair pair;
        const aril_kv_config config = view_config_peer();
        pair_init(&pair, &w, profiles[i], TEXT("tenant"), NULL);
        aril_kv *a = view_new(pair.tenant, &config), *b = view_new(pair.server, &config);
        room_seal(&r, a);
        assert_opens(b);
        room_seal(&r, b);
        assert_opens(a);
        aril_kv_free(a);
        aril_kv_free(b);
        pair_done(&pair);
    }
    end();
}

static void the_cut_into_spans_is_not_part_of_the_record(void **state)
{
    (void)state;
    begin();
    const aril_span halves[] = { { r.plain.data, 33 }, { NULL, 0 }, { r.plain.data + 33, 67 } };
    const aril_span thirds[] = { { r.out.data, 1 },
                                 { r.out.data + 1, 98 },
                                 { r.out.data + 99, 1 } };
    aril_kv_item item = room_sealing(&r);
    item.spans = halves;
    item.span_count = COUNT(halves);
    assert_status(aril_kv_seal(own, &item), ARIL_OK);
    assert_opens(own);
    item = room_opening(&r);
    item.spans = thirds;
    item.span_count = COUNT(thirds);
    room_reset_out(&r);
    assert_status(aril_kv_open(own, &item), ARIL_OK);
    assert_true(room_is_open(&r));
    room_check(&r);
    end();
}

static void an_empty_record_is_a_record(void **state)
{
    (void)state;
    begin();
    uint8_t seal[ARIL_SEAL_BYTES];
    aril_kv_item item = { .block = &r.block, .seal = seal };
    assert_status(aril_kv_seal(own, &item), ARIL_OK);
    assert_status(aril_kv_open(own, &item), ARIL_OK);
    r.block.rank++;
    assert_status(aril_kv_open(own, &item), ARIL_E_AUTH);
    end();
}

static void in_place_needs_no_second_buffer(void **state)
{
    (void)state;
    begin();
    aril_kv_item item = room_sealing(&r);
    item.body = r.plain.data;
    item.flags = ARIL_KV_IN_PLACE;
    assert_status(aril_kv_seal(own, &item), ARIL_OK);
    assert_false(is_pattern(r.plain.data, r.len, r.seed));
    memcpy(r.body.data, r.plain.data, r.len);
    assert_status(aril_kv_open(own, &item), ARIL_OK);
    room_check(&r); /* the plaintext is back */
    memcpy(r.plain.data, r.body.data, r.len);
    r.seal.data[70] ^= 1;
    assert_status(aril_kv_open(own, &item), ARIL_E_AUTH);
    assert_true(is_filled(r.plain.data, r.len, 0));
    end();
}

/* --- What it is bound to ------------------------------------------------------------------- */

static void every_member_of_the_block_is_bound(void **state)
{
    (void)state;
    begin();
    r.block.layer_count = 3; /* no single bit makes it 0 */
    room_seal(&r, sender);
    uint32_t *members[] = { &r.block.layer_first, &r.block.layer_count, &r.block.rank,
                            &r.block.group };
    for (size_t i = 0; i < COUNT(members); i++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            *members[i] ^= 1u << bit;
            const bool fits = r.block.layer_count - 1 <= UINT32_MAX - r.block.layer_first;
            assert_refused(receiver, fits ? ARIL_E_AUTH : ARIL_E_USAGE_RANGE);
            *members[i] ^= 1u << bit;
        }
    }
    for (size_t i = 0; i < 8 * sizeof r.block.chain; i++) {
        r.block.chain[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_refused(receiver, ARIL_E_AUTH);
        r.block.chain[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    r.block.identity = ARIL_KV_SLOT;
    assert_refused(receiver, ARIL_E_AUTH);
    r.block.identity = ARIL_KV_CHAIN;
    assert_opens(receiver);
    end();
}

static void members_of_the_other_identity_do_not_matter(void **state)
{
    (void)state;
    begin();
    room_seal(&r, own);
    r.block.slot = 7;
    r.block.position = 8;
    r.block.count = 9;
    assert_opens(own);
    end();
}

static void model_and_layout_are_bound(void **state)
{
    (void)state;
    begin();
    room_seal(&r, own);
    const aril_kv_config base = view_config();
    for (unsigned member = 0; member < 10; member++) {
        aril_kv_config c = base;
        uint32_t *numbers[] = { &c.layout.block_tokens, &c.layout.layers,    &c.layout.kv_heads,
                                &c.layout.key_dim,      &c.layout.value_dim, &c.layout.world_size };
        if (member < COUNT(numbers)) {
            ++*numbers[member];
        }
        c.model = member == 6 ? TEXT("model@2") : c.model;
        c.model = member == 7 ? TEXT("model@") : c.model;
        c.layout.name = member == 8 ? "test/Rows" : c.layout.name;
        c.layout.dtype = member == 9 ? "bf16" : c.layout.dtype;
        aril_kv *other = view_new(p.server, &c);
        assert_refused(other, ARIL_E_AUTH);
        aril_kv_free(other);
    }
    aril_kv *equal = view_new(p.server, &base); /* another view of the same */
    assert_opens(equal);
    aril_kv_free(equal);
    end();
}

static void strings_of_a_view_may_go_after_it_was_made(void **state)
{
    (void)state;
    begin();
    char model[] = "model@1", name[] = "test/rows", dtype[] = "f16";
    aril_kv_config c = view_config();
    c.model = text_bytes(model);
    c.layout.name = name;
    c.layout.dtype = dtype;
    aril_kv *kv = view_new(p.server, &c);
    model[0] = name[0] = dtype[0] = 'x';
    room_seal(&r, kv);
    assert_opens(own);
    aril_kv_free(kv);
    end();
}

/* --- Every byte ---------------------------------------------------------------------------- */

/* What a changed bit of byte `at` of a seal leads to; the record is number 3 of epoch 0. */
static aril_status after_change(size_t at, unsigned bit, bool from_peer)
{
    if (at == 0) {
        return ARIL_E_FORMAT_VERSION;
    }
    if (at <= 2) {
        return ARIL_E_FORMAT_KIND; /* kind, use */
    }
    if (at == 3) {
        return bit == 0 ? ARIL_E_AUTH : ARIL_E_FORMAT_FIELD; /* direction; reserved */
    }
    if (at < 8) { /* epoch: up to 8 ahead another key, beyond too far; our own: never met */
        return !from_peer || (at == 7 && bit <= 3) ? ARIL_E_KEY_UNKNOWN : ARIL_E_KEY_FUTURE;
    }
    if (at < 16) {
        return ARIL_E_ISOLATION;
    }
    if (at < 24) {
        return at < 20 ? ARIL_E_FORMAT_FIELD : ARIL_E_AUTH; /* above 2^32, or another one */
    }
    if (at < 32) {
        return ARIL_E_FORMAT_LENGTH;
    }
    return at < 64 ? ARIL_E_KEY_UNKNOWN : ARIL_E_AUTH;
}

static void every_bit_of_a_seal_is_checked(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 3; i++) {
        room_seal(&r, sender);
    }
    for (size_t at = 0; at < ARIL_SEAL_BYTES; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            r.seal.data[at] ^= (uint8_t)(1u << bit);
            assert_refused(receiver, after_change(at, bit, true));
            r.seal.data[at] ^= (uint8_t)(1u << bit);
        }
    }
    assert_opens(receiver);
    aril_session_info info;
    assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
    assert_int_equal(info.direction[0].epoch, 0); /* no forged epoch was followed */
    assert_int_equal(info.direction[0].refused, 8 * ARIL_SEAL_BYTES);
    end();
}

static void the_same_holds_for_own_records(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 3; i++) {
        room_seal(&r, own);
    }
    for (size_t at = 0; at < ARIL_SEAL_BYTES; at++) {
        r.seal.data[at] ^= (uint8_t)(1u << at % 8);
        assert_refused(own, after_change(at, at % 8, false));
        r.seal.data[at] ^= (uint8_t)(1u << at % 8);
    }
    assert_opens(own);
    end();
}

static void every_bit_of_a_body_is_checked(void **state)
{
    (void)state;
    begin();
    room_seal(&r, own);
    for (size_t i = 0; i < 8 * r.len; i++) {
        r.body.data[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_refused(own, ARIL_E_AUTH);
        r.body.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_opens(own);
    end();
}

static void every_other_length_is_refused(void **state)
{
    (void)state;
    begin();
    static uint8_t body[200], out[200];
    room_seal(&r, own);
    memcpy(body, r.body.data, r.len);
    for (size_t len = 0; len <= sizeof body; len++) {
        const aril_span span = { out, len };
        aril_kv_item item = room_opening(&r);
        item.spans = &span;
        item.body = body;
        item.body_len = len;
        memset(out, GUARD_FILLER, sizeof out);
        assert_status(aril_kv_open(own, &item), len == r.len ? ARIL_OK : ARIL_E_FORMAT_LENGTH);
        assert_true(len == r.len || is_filled(out, sizeof out, GUARD_FILLER));
        if (len == r.len) {
            continue;
        }
        arili_store64(r.seal.data + 24, len); /* and a seal that agrees */
        assert_status(aril_kv_open(own, &item), ARIL_E_AUTH);
        assert_true(is_filled(out, len, 0));
        assert_true(is_filled(out + len, sizeof out - len, GUARD_FILLER));
        arili_store64(r.seal.data + 24, r.len);
    }
    assert_opens(own);
    end();
}

static void a_seal_of_another_record_does_not_fit(void **state)
{
    (void)state;
    begin();
    uint8_t first[ARIL_SEAL_BYTES];
    room_seal(&r, own);
    memcpy(first, r.seal.data, sizeof first);
    room_seal(&r, own);
    memcpy(r.seal.data, first, sizeof first);
    assert_refused(own, ARIL_E_AUTH);
    end();
}

/* --- Other tenants, other sessions ---------------------------------------------------------------
 */

static void a_record_of_another_tenant_is_refused_before_any_cryptography(void **state)
{
    (void)state;
    begin();
    struct pair other;
    aril_session_info info;
    const aril_kv_config config = view_config();
    pair_init(&other, &w, ARIL_PROFILE_HYBRID, TEXT("other"), NULL);
    aril_kv *theirs = view_new(other.server, &config);
    room_seal(&r, theirs);
    assert_status(aril_session_get_info(other.server, &info), ARIL_OK);
    world_forget(&w);
    const unsigned calls = faulty_crypto_calls(crypto);
    assert_refused(own, ARIL_E_ISOLATION);
    assert_true(is_filled(r.out.data, r.len, GUARD_FILLER)); /* not even wiped */
    assert_int_equal(faulty_crypto_calls(crypto), calls);
    assert_int_equal(world_events(&w, ARIL_EVENT_ISOLATION_VIOLATION), 1);
    const aril_event ev = world_last(&w, ARIL_EVENT_ISOLATION_VIOLATION);
    assert_int_equal(ev.foreign_tag, info.tenant_tag);
    assert_int_equal(ev.sequence, 1);
    assert_status(ev.status, ARIL_E_ISOLATION);
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_ISOLATION_VIOLATION, TEXT("tenant")));
    assert_opens(theirs);
    assert_true(faulty_crypto_calls(crypto) > calls); /* the counter counts */
    aril_kv_free(theirs);
    pair_done(&other);
    end();
}

static void a_record_of_an_older_session_is_a_miss(void **state)
{
    (void)state;
    begin();
    struct pair older;
    const aril_kv_config config = view_config();
    pair_init(&older, &w, ARIL_PROFILE_HYBRID, TEXT("tenant"), NULL);
    aril_kv *before = view_new(older.server, &config);
    room_seal(&r, before);
    assert_refused(own, ARIL_E_KEY_UNKNOWN);
    assert_int_equal(world_events(&w, ARIL_EVENT_ISOLATION_VIOLATION), 0);
    aril_kv_free(before);
    pair_done(&older);
    end();
}

/* Tags are 64 bits and may meet; keys may not, but the tenant id is bound even then. */
static void equal_tags_and_even_equal_keys_do_not_mix_tenants(void **state)
{
    (void)state;
    begin();
    static const uint8_t id[ARIL_SESSION_ID_BYTES] = { 1 };
    uint8_t secrets[3][32] = { { 1 }, { 2 }, { 1 } };
    const char *const tenants[3] = { "a", "b", "b" };
    aril_session *s[3];
    aril_kv *kv[3];
    const aril_kv_config config = view_config();
    aril_policy policy;
    assert_status(arili_policy_complete(NULL, &policy), ARIL_OK);
    for (size_t i = 0; i < 3; i++) {
        const struct arili_session_seed seed = { .profile = arili_profile_get(ARIL_PROFILE_HYBRID),
                                                 .sends = ARIL_SERVER_TO_TENANT,
                                                 .id = id,
                                                 .tenant_tag = 5,
                                                 .tenant_id = text_bytes(tenants[i]),
                                                 .policy = &policy,
                                                 .secret = secrets[i] };
        assert_status(arili_session_new(w.rt, &seed, &s[i]), ARIL_OK);
        kv[i] = view_new(s[i], &config);
    }
    room_seal(&r, kv[0]);
    assert_refused(kv[1], ARIL_E_KEY_UNKNOWN); /* equal tags */
    assert_refused(kv[2], ARIL_E_AUTH);        /* and equal keys */
    assert_opens(kv[0]);
    for (size_t i = 0; i < 3; i++) {
        aril_kv_free(kv[i]);
        aril_session_close(s[i]);
    }
    end();
}

/* --- Epochs
 * ---------------------------------------------------------------------------------------- */

static void a_retired_epoch_is_a_miss(void **state)
{
    (void)state;
    const aril_policy policy = { .readable_epochs = 3 };
    begin_with(&policy, ARIL_KV_REPEATABLE);
    room_seal(&r, own);
    for (unsigned i = 0; i < 2; i++) {
        assert_status(aril_session_rotate(p.server), ARIL_OK);
        assert_opens(own);
    }
    assert_status(aril_session_rotate(p.server), ARIL_OK);
    assert_refused(own, ARIL_E_KEY_RETIRED);
    end();
}

static void the_peer_is_followed_by_eight_epochs(void **state)
{
    (void)state;
    for (unsigned ahead = 1; ahead <= 10; ahead++) {
        begin();
        for (unsigned i = 0; i < ahead; i++) {
            assert_status(aril_session_rotate(p.tenant), ARIL_OK);
        }
        room_seal(&r, sender);
        aril_session_info info;
        if (ahead <= 8) {
            r.body.data[0] ^= 1; /* a forged one first: nothing moves */
            assert_refused(receiver, ARIL_E_AUTH);
            assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
            assert_int_equal(info.direction[0].epoch, 0);
            r.body.data[0] ^= 1;
            assert_opens(receiver);
        } else {
            assert_refused(receiver, ARIL_E_KEY_FUTURE);
        }
        assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
        assert_int_equal(info.direction[0].epoch, ahead <= 8 ? ahead : 0);
        end();
    }
}

static void late_records_of_earlier_epochs_still_open(void **state)
{
    (void)state;
    begin();
    struct room late[6];
    for (unsigned i = 0; i < COUNT(late); i++) {
        room_init(&late[i], 50, i, &r.block);
        room_seal(&late[i], sender);
        assert_status(aril_session_rotate(p.tenant), ARIL_OK);
    }
    for (unsigned i = COUNT(late); i-- > 0;) {
        assert_status(room_open(&late[i], receiver), ARIL_OK);
        assert_true(room_is_open(&late[i]));
        room_done(&late[i]);
    }
    end();
}

static void a_record_longer_than_an_epoch_is_refused(void **state)
{
    (void)state;
    const aril_policy policy = { .rotate_bytes = 99 };
    begin_with(&policy, ARIL_KV_REPEATABLE);
    aril_kv_item item = room_sealing(&r);
    assert_status(aril_kv_seal(own, &item), ARIL_E_LIMIT_RECORD);
    assert_status(item.status, ARIL_E_LIMIT_RECORD);
    assert_true(is_filled(r.body.data, r.len, GUARD_FILLER));
    assert_true(is_filled(r.seal.data, ARIL_SEAL_BYTES, GUARD_FILLER));
    r.plain_span.len = 99;
    item.body_len = 99;
    assert_status(aril_kv_seal(own, &item), ARIL_OK);
    end();
}

/* --- Once
 * -------------------------------------------------------------------------------------------- */

static void once_means_once_from_the_peer_and_from_ourselves(void **state)
{
    (void)state;
    begin_with(NULL, ARIL_KV_ONCE);
    aril_kv *const sealers[] = { sender, own }, *const openers[] = { receiver, own };
    for (size_t i = 0; i < 2; i++) {
        room_seal(&r, sealers[i]);
        world_forget(&w);
        assert_opens(openers[i]);
        assert_refused(openers[i], ARIL_E_REPLAY);
        assert_refused(openers[i], ARIL_E_REPLAY);
        assert_int_equal(world_events(&w, ARIL_EVENT_REPLAY), 2);
        assert_int_equal(world_last(&w, ARIL_EVENT_REPLAY).sequence, 1);
    }
    end();
}

static void a_forged_record_does_not_use_up_the_genuine_one(void **state)
{
    (void)state;
    begin_with(NULL, ARIL_KV_ONCE);
    room_seal(&r, sender);
    r.body.data[7] ^= 1;
    assert_refused(receiver, ARIL_E_AUTH);
    r.body.data[7] ^= 1;
    r.block.rank = 5; /* asked for the wrong block */
    assert_refused(receiver, ARIL_E_AUTH);
    r.block.rank = 0;
    assert_opens(receiver);
    assert_refused(receiver, ARIL_E_REPLAY);
    end();
}

static void the_window_reaches_4032_records_back(void **state)
{
    (void)state;
    begin_with(NULL, ARIL_KV_ONCE);
    struct room first, second;
    room_init(&first, 10, 1, &r.block);
    room_init(&second, 10, 2, &r.block);
    room_seal(&first, sender);  /* sequence 1 */
    room_seal(&second, sender); /* sequence 2 */
    for (unsigned i = 3; i <= 4033; i++) {
        room_seal(&r, sender);
    }
    assert_opens(receiver); /* sequence 4033 */
    assert_status(room_open(&first, receiver), ARIL_E_REPLAY);
    assert_true(room_is_clean(&first));
    assert_status(room_open(&second, receiver), ARIL_OK);
    room_done(&first);
    room_done(&second);
    end();
}

static void once_holds_across_epochs_that_are_followed(void **state)
{
    (void)state;
    begin_with(NULL, ARIL_KV_ONCE);
    for (unsigned i = 0; i < 4; i++) {
        assert_status(aril_session_rotate(p.tenant), ARIL_OK);
        room_seal(&r, sender);
        assert_opens(receiver);
        assert_refused(receiver, ARIL_E_REPLAY);
    }
    end();
}

/* --- Staging
 * ----------------------------------------------------------------------------------------- */

static const uint8_t *spied; /* where the last aead_open() wrote to */

static aril_status (*inner_open)(struct arili_aead_ctx *ctx,
                                 const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                                 aril_bytes body, const uint8_t tag[ARILI_AEAD_TAG_BYTES],
                                 const aril_span *ret_spans, size_t count);

static aril_status spy_open(struct arili_aead_ctx *ctx, const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                            aril_bytes aad, aril_bytes body,
                            const uint8_t tag[ARILI_AEAD_TAG_BYTES], const aril_span *ret_spans,
                            size_t count)
{
    spied = count == 1 ? ret_spans[0].data : NULL;
    return inner_open(ctx, nonce, aad, body, tag, ret_spans, count);
}

static void staging_receives_the_plaintext_before_the_tag_is_checked(void **state)
{
    (void)state;
    begin();
    const struct arili_crypto genuine = w.rt->crypto;
    struct arili_crypto_ops ops = *genuine.ops;
    inner_open = ops.aead_open;
    ops.aead_open = spy_open;
    room_seal(&r, own);
    w.rt->crypto.ops = &ops;
    aril_kv_item item = room_opening(&r);
    item.staging = r.staging.data;
    r.body.data[0] ^= 1;
    assert_status(aril_kv_open(own, &item), ARIL_E_AUTH);
    assert_ptr_equal(spied, r.staging.data);
    assert_true(is_filled(r.out.data, r.len, GUARD_FILLER)); /* never written to */
    assert_true(is_filled(r.staging.data, r.len, 0));
    r.body.data[0] ^= 1;
    assert_status(aril_kv_open(own, &item), ARIL_OK);
    assert_ptr_equal(spied, r.staging.data);
    assert_true(room_is_open(&r));
    assert_true(is_filled(r.staging.data, r.len, 0));
    room_check(&r);
    w.rt->crypto.ops = genuine.ops;
    end();
}

/* Whoever shares the body writes to it while it is opened. */
static aril_status open_while_others_write(struct arili_aead_ctx *ctx,
                                           const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                           aril_bytes aad, aril_bytes body,
                                           const uint8_t tag[ARILI_AEAD_TAG_BYTES],
                                           const aril_span *ret_spans, size_t count)
{
    memset(r.body.data, 0x99, r.len);
    memset(r.seal.data, 0x99, ARIL_SEAL_BYTES);
    return inner_open(ctx, nonce, aad, body, tag, ret_spans, count);
}

static void with_staging_a_body_that_changes_meanwhile_does_no_harm(void **state)
{
    (void)state;
    for (int staged = 0; staged <= 1; staged++) {
        begin();
        const struct arili_crypto genuine = w.rt->crypto;
        struct arili_crypto_ops ops = *genuine.ops;
        inner_open = ops.aead_open;
        ops.aead_open = open_while_others_write;
        room_seal(&r, own);
        w.rt->crypto.ops = &ops;
        aril_kv_item item = room_opening(&r);
        item.staging = staged ? r.staging.data : NULL;
        assert_status(aril_kv_open(own, &item), staged ? ARIL_OK : ARIL_E_AUTH);
        assert_true(staged ? room_is_open(&r) : room_is_clean(&r));
        w.rt->crypto.ops = genuine.ops;
        end();
    }
}

static const uint8_t *sealed_to; /* where the last aead_seal() wrote to */

static aril_status (*inner_seal)(struct arili_aead_ctx *ctx,
                                 const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                                 const aril_bytes *spans, size_t count, uint8_t *ret_body,
                                 uint8_t ret_tag[ARILI_AEAD_TAG_BYTES]);

static aril_status spy_seal(struct arili_aead_ctx *ctx, const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                            aril_bytes aad, const aril_bytes *spans, size_t count,
                            uint8_t *ret_body, uint8_t ret_tag[ARILI_AEAD_TAG_BYTES])
{
    const aril_status st = inner_seal(ctx, nonce, aad, spans, count, ret_body, ret_tag);
    sealed_to = ret_body;
    assert_true(is_filled(r.body.data, r.len, GUARD_FILLER)); /* not yet there */
    assert_true(is_filled(r.seal.data, ARIL_SEAL_BYTES, GUARD_FILLER));
    return st;
}

static void with_staging_the_body_gets_nothing_but_the_whole_ciphertext(void **state)
{
    (void)state;
    begin();
    const struct arili_crypto genuine = w.rt->crypto;
    struct arili_crypto_ops ops = *genuine.ops;
    inner_seal = ops.aead_seal;
    ops.aead_seal = spy_seal;
    w.rt->crypto.ops = &ops;
    aril_kv_item item = room_sealing(&r);
    item.staging = r.staging.data;
    assert_status(aril_kv_seal(own, &item), ARIL_OK);
    assert_ptr_equal(sealed_to, r.staging.data);
    w.rt->crypto.ops = genuine.ops;
    room_check(&r);
    assert_opens(own);
    end();
}

/* Another thread opens the same record between this one's look at the window and its end. */
static aril_status open_and_lose_the_race(struct arili_aead_ctx *ctx,
                                          const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                          aril_bytes aad, aril_bytes body,
                                          const uint8_t tag[ARILI_AEAD_TAG_BYTES],
                                          const aril_span *ret_spans, size_t count)
{
    const aril_status st = inner_open(ctx, nonce, aad, body, tag, ret_spans, count);
    struct arili_epoch *e = atomic_load(&p.server->chain[ARIL_TENANT_TO_SERVER].current);
    assert_status(st, ARIL_OK);
    assert_status(arili_window_mark(&e->window, arili_load64(aad.data + 16)), ARIL_OK);
    return st;
}

static void a_replay_that_shows_after_the_tag_leaves_no_plaintext(void **state)
{
    (void)state;
    for (int staged = 0; staged <= 1; staged++) {
        begin_with(NULL, ARIL_KV_ONCE);
        const struct arili_crypto genuine = w.rt->crypto;
        struct arili_crypto_ops ops = *genuine.ops;
        inner_open = ops.aead_open;
        ops.aead_open = open_and_lose_the_race;
        room_seal(&r, sender);
        w.rt->crypto.ops = &ops;
        aril_kv_item item = room_opening(&r);
        item.staging = staged ? r.staging.data : NULL;
        assert_status(aril_kv_open(receiver, &item), ARIL_E_REPLAY);
        assert_true(is_filled(r.out.data, r.len, staged ? GUARD_FILLER : 0));
        assert_true(is_filled(r.staging.data, r.len, staged ? 0 : GUARD_FILLER));
        aril_session_info info;
        assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
        assert_int_equal(info.direction[0].records_opened, 0);
        assert_int_equal(info.direction[0].refused, 1);
        w.rt->crypto.ops = genuine.ops;
        end();
    }
}

/* --- What is reported
 * -------------------------------------------------------------------------------- */

static void what_concerns_security_is_reported_and_misses_are_not(void **state)
{
    (void)state;
    const aril_policy policy = { .readable_epochs = 1 };
    begin_with(&policy, ARIL_KV_REPEATABLE);
    room_seal(&r, own);
    static const struct {
        size_t at;
        unsigned bit;
        bool is_reported;
    } cases[] = { { 0, 0, true },  { 24, 7, true },  { 7, 0, false },
                  { 4, 7, false }, { 40, 0, false }, { 79, 0, true } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        world_forget(&w);
        r.seal.data[cases[i].at] ^= (uint8_t)(1u << cases[i].bit);
        const aril_status st = room_open(&r, own);
        assert_status(st, after_change(cases[i].at, cases[i].bit, false));
        assert_int_equal(world_events(&w, ARIL_EVENT_AUTH_FAILURE), cases[i].is_reported);
        if (cases[i].is_reported) {
            assert_status(world_last(&w, ARIL_EVENT_AUTH_FAILURE).status, st);
        }
        r.seal.data[cases[i].at] ^= (uint8_t)(1u << cases[i].bit);
    }
    assert_status(aril_session_rotate(p.server), ARIL_OK);
    world_forget(&w);
    assert_refused(own, ARIL_E_KEY_RETIRED);
    assert_int_equal(world_events(&w, ARIL_EVENT_AUTH_FAILURE), 0);
    assert_int_equal(world_events(&w, ARIL_EVENT_REPLAY), 0);
    /* A key of the peer that we do not know is not a miss of our own cache. */
    room_seal(&r, sender);
    for (size_t at = 7; at <= 40; at += 33) {
        world_forget(&w);
        r.seal.data[at] ^= 1;
        assert_refused(receiver, ARIL_E_KEY_UNKNOWN);
        assert_int_equal(world_events(&w, ARIL_EVENT_AUTH_FAILURE), 1);
        r.seal.data[at] ^= 1;
    }
    end();
}

static void views_of_one_session_share_its_sequence(void **state)
{
    (void)state;
    begin();
    aril_kv_config config = view_config();
    aril_seal_info info;
    config.model = TEXT("another");
    aril_kv *second = view_new(p.server, &config);
    for (uint64_t i = 1; i <= 20; i++) {
        room_seal(&r, i % 2 == 0 ? own : i % 3 == 0 ? second : receiver);
        assert_status(aril_seal_inspect(r.seal.data, &info), ARIL_OK);
        assert_int_equal(info.sequence, i);
        assert_int_equal(info.epoch, 0);
        assert_int_equal(info.direction, ARIL_SERVER_TO_TENANT);
        assert_int_equal(info.body_bytes, 100);
    }
    aril_kv_free(second);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cache_opens_what_it_sealed_as_often_as_wanted),
        cmocka_unit_test(a_transfer_opens_what_the_other_end_sealed),
        cmocka_unit_test(every_profile_carries_records),
        cmocka_unit_test(the_cut_into_spans_is_not_part_of_the_record),
        cmocka_unit_test(an_empty_record_is_a_record),
        cmocka_unit_test(in_place_needs_no_second_buffer),
        cmocka_unit_test(every_member_of_the_block_is_bound),
        cmocka_unit_test(members_of_the_other_identity_do_not_matter),
        cmocka_unit_test(model_and_layout_are_bound),
        cmocka_unit_test(strings_of_a_view_may_go_after_it_was_made),
        cmocka_unit_test(every_bit_of_a_seal_is_checked),
        cmocka_unit_test(the_same_holds_for_own_records),
        cmocka_unit_test(every_bit_of_a_body_is_checked),
        cmocka_unit_test(every_other_length_is_refused),
        cmocka_unit_test(a_seal_of_another_record_does_not_fit),
        cmocka_unit_test(a_record_of_another_tenant_is_refused_before_any_cryptography),
        cmocka_unit_test(a_record_of_an_older_session_is_a_miss),
        cmocka_unit_test(equal_tags_and_even_equal_keys_do_not_mix_tenants),
        cmocka_unit_test(a_retired_epoch_is_a_miss),
        cmocka_unit_test(the_peer_is_followed_by_eight_epochs),
        cmocka_unit_test(late_records_of_earlier_epochs_still_open),
        cmocka_unit_test(a_record_longer_than_an_epoch_is_refused),
        cmocka_unit_test(once_means_once_from_the_peer_and_from_ourselves),
        cmocka_unit_test(a_forged_record_does_not_use_up_the_genuine_one),
        cmocka_unit_test(the_window_reaches_4032_records_back),
        cmocka_unit_test(once_holds_across_epochs_that_are_followed),
        cmocka_unit_test(staging_receives_the_plaintext_before_the_tag_is_checked),
        cmocka_unit_test(with_staging_a_body_that_changes_meanwhile_does_no_harm),
        cmocka_unit_test(with_staging_the_body_gets_nothing_but_the_whole_ciphertext),
        cmocka_unit_test(a_replay_that_shows_after_the_tag_leaves_no_plaintext),
        cmocka_unit_test(what_concerns_security_is_reported_and_misses_are_not),
        cmocka_unit_test(views_of_one_session_share_its_sequence),
    };
    return cmocka_run_group_tests_name("kv", tests, provider_setup, provider_teardown);
}
