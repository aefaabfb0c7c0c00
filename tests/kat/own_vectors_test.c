/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "provider.h"
#include "runtime.h"
#include "session/session.h"
#include "vectors.h"
#include <aril/kv.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* tests/data/vectors/records.json against the library: docs/FORMAT.md section 8. The
 * vectors are checked without the library by tests/scripts/format_check_test.py. */

#define FILE_NAME      "records.json"
#define BODY_BYTES_MAX 65536u
#define FILLER         0x5a

static uint64_t number64(struct vectors *v, const json_t *object, const char *member)
{
    const aril_bytes bytes = vectors_hex(v, object, member);
    uint64_t n = 0;
    assert_int_equal(bytes.len, 8);
    for (size_t i = 0; i < bytes.len; i++) {
        n = n << 8 | bytes.data[i];
    }
    return n;
}

static uint32_t number32(const json_t *object, const char *member)
{
    const uint64_t n = vectors_number(object, member);
    assert_true(n <= UINT32_MAX);
    return (uint32_t)n;
}

/* --- Openers and sealers -------------------------------------------------------------- */

struct end {
    aril_session *session;
    aril_kv *kv;
};

/* The session of a group's opener; seals: the end that sends in its direction. */
static aril_session *session_of(struct vectors *v, const json_t *o, bool seals, uint32_t epoch)
{
    static const uint8_t id[ARIL_SESSION_ID_BYTES] = { 1 };
    const aril_direction direction = (aril_direction)number32(o, "direction");
    const char *tenant = vectors_string(o, "tenant_id");
    const aril_policy policy = { .rotate_records = UINT64_C(1) << 32,
                                 .rotate_bytes = UINT64_C(1) << 38,
                                 .rotate_after_s = 2592000,
                                 .ttl_s = 2592000,
                                 .readable_epochs = number32(o, "readable_epochs") };
    const struct arili_session_seed seed = {
        .profile = vectors_profile(o),
        .sends = seals ? direction : (aril_direction)(1 - (int)direction),
        .id = id,
        .tenant_tag = number64(v, o, "tenant_tag"),
        .tenant_id = { (const uint8_t *)tenant, strlen(tenant) },
        .policy = &policy,
        .secret = vectors_hex(v, o, "session_secret").data,
    };
    aril_session *s = NULL;
    uint64_t now;
    assert_status(arili_session_new(rt, &seed, &s), ARIL_OK);
    assert_status(arili_session_now(s, &now), ARIL_OK);
    struct arili_chain *chain = &s->chain[direction];
    while (atomic_load(&chain->newest) < epoch) {
        assert_status(arili_chain_rotate(chain, now, ARIL_ROTATE_MANUAL), ARIL_OK);
    }
    return s;
}

static struct end end_new(struct vectors *v, const json_t *o, bool seals, uint32_t epoch)
{
    const json_t *l = json_object_get(o, "layout");
    const char *model = vectors_string(o, "model");
    const bool once = strcmp(vectors_string(o, "mode"), "once") == 0;
    const aril_kv_config config = {
        .model = { (const uint8_t *)model, strlen(model) },
        .layout = { .name = vectors_string(l, "name"),
                    .dtype = vectors_string(l, "dtype"),
                    .block_tokens = number32(l, "block_tokens"),
                    .layers = number32(l, "layers"),
                    .kv_heads = number32(l, "kv_heads"),
                    .key_dim = number32(l, "key_dim"),
                    .value_dim = number32(l, "value_dim"),
                    .world_size = number32(l, "world_size") },
        .source = seals ? ARIL_KV_FROM_SELF : ARIL_KV_FROM_PEER,
        .mode = once ? ARIL_KV_ONCE : ARIL_KV_REPEATABLE,
        .slot_pins = (size_t)vectors_number(o, "slot_pins"),
    };
    struct end e = { .session = session_of(v, o, seals, epoch) };
    assert_status(aril_kv_new(e.session, &config, &e.kv), ARIL_OK);
    return e;
}

static struct end opener_new(struct vectors *v, const json_t *o)
{
    const bool self = strcmp(vectors_string(o, "source"), "self") == 0;
    return end_new(v, o, self, number32(o, "newest_epoch"));
}

static void end_done(struct end *e)
{
    aril_kv_free(e->kv);
    aril_session_close(e->session);
}

static aril_kv_block block_of(struct vectors *v, const json_t *j)
{
    aril_kv_block b = { .layer_first = number32(j, "layer_first"),
                        .layer_count = number32(j, "layer_count"),
                        .rank = number32(j, "rank"),
                        .group = number32(j, "group"),
                        .identity = ARIL_KV_CHAIN };
    if (strcmp(vectors_string(j, "identity"), "slot") == 0) {
        b.identity = ARIL_KV_SLOT;
        b.slot = number64(v, j, "slot");
        b.position = number64(v, j, "position");
        b.count = number64(v, j, "count");
        return b;
    }
    const aril_bytes chain = vectors_hex(v, j, "chain");
    assert_int_equal(chain.len, sizeof b.chain);
    memcpy(b.chain, chain.data, chain.len);
    return b;
}

/* --- One record ------------------------------------------------------------------------ */

struct attempt {
    aril_kv_block block;
    uint8_t seal[ARIL_SEAL_BYTES];
    uint8_t body[BODY_BYTES_MAX];
    uint8_t plain[BODY_BYTES_MAX];
    uint8_t staging[BODY_BYTES_MAX];
    size_t len;
};

static void copy_exactly(uint8_t *to, aril_bytes from, size_t len)
{
    assert_int_equal(from.len, len);
    if (len > 0) {
        memcpy(to, from.data, len);
    }
}

static void read_attempt(struct vectors *v, const json_t *j, struct attempt *ret)
{
    const aril_bytes body = vectors_hex(v, j, "body");
    assert_true(body.len <= sizeof ret->body);
    ret->block = block_of(v, json_object_get(j, "block"));
    ret->len = body.len;
    copy_exactly(ret->seal, vectors_hex(v, j, "seal"), ARIL_SEAL_BYTES);
    copy_exactly(ret->body, body, body.len);
}

/* Where the plaintext goes: next to the body, over it, or to the side first. */
enum way { OUT_OF_PLACE, IN_PLACE, STAGED };

static aril_status open_attempt(struct end *e, struct attempt *a, enum way way)
{
    const aril_span span = { way == IN_PLACE ? a->body : a->plain, a->len };
    aril_kv_item item = { .block = &a->block,
                          .spans = &span,
                          .span_count = 1,
                          .body = a->body,
                          .body_len = a->len,
                          .seal = a->seal,
                          .staging = way == STAGED ? a->staging : NULL,
                          .flags = way == IN_PLACE ? ARIL_KV_IN_PLACE : 0 };
    memset(a->plain, FILLER, sizeof a->plain);
    memset(a->staging, 0, sizeof a->staging);
    return aril_kv_open(e->kv, &item);
}

static struct attempt attempt; /* too big for the stack */

static void open_before(struct vectors *v, const json_t *c, struct end *e)
{
    size_t i;
    const json_t *r;
    json_array_foreach(json_object_get(c, "before"), i, r)
    {
        read_attempt(v, r, &attempt);
        assert_status(open_attempt(e, &attempt, OUT_OF_PLACE), ARIL_OK);
    }
}

/* Seals the plaintext of a case again; the bytes must be those of the case. */
static void seal_again(struct vectors *v, const json_t *o, const json_t *c, const uint8_t *plain,
                       size_t len)
{
    uint8_t want[ARIL_SEAL_BYTES];
    copy_exactly(want, vectors_hex(v, c, "seal"), sizeof want);
    aril_seal_info info;
    assert_status(aril_seal_inspect(want, &info), ARIL_OK);
    json_t *sealer = json_deep_copy(o);
    json_object_set_new(sealer, "slot_pins", json_integer(1));
    struct end e = end_new(v, sealer, true, info.epoch);
    struct arili_chain *chain = &e.session->chain[info.direction];
    atomic_store(&atomic_load(&chain->current)->next_sequence, info.sequence);
    attempt.block = block_of(v, json_object_get(c, "block"));
    attempt.len = len;
    uint8_t copy[BODY_BYTES_MAX];
    memcpy(copy, plain, len);
    const aril_span span = { copy, len };
    aril_kv_item item = { .block = &attempt.block,
                          .spans = &span,
                          .span_count = 1,
                          .body = attempt.body,
                          .body_len = len,
                          .seal = attempt.seal };
    assert_status(aril_kv_seal(e.kv, &item), ARIL_OK);
    assert_memory_equal(attempt.seal, want, sizeof want);
    end_done(&e);
    json_decref(sealer);
}

/* A case without its body: sealing gives it, and its hash is known. */
static void long_body(struct vectors *v, const json_t *o, const json_t *c)
{
    static uint8_t plain[BODY_BYTES_MAX];
    const size_t len = (size_t)vectors_number(c, "length");
    assert_true(len <= sizeof plain);
    for (size_t i = 0; i < len; i++) {
        plain[i] = (uint8_t)(i / 4 >> (24 - 8 * (i % 4)));
    }
    seal_again(v, o, c, plain, len);
    uint8_t digest[32];
    const aril_bytes body = { attempt.body, len };
    assert_status(rt->crypto.ops->hash(rt->crypto.provider, ARILI_SHA256, &body, 1, digest),
                  ARIL_OK);
    vectors_expect(digest, sizeof digest, vectors_hex(v, c, "body_sha256"));
    struct end e = opener_new(v, o);
    assert_status(open_attempt(&e, &attempt, OUT_OF_PLACE), ARIL_OK);
    assert_memory_equal(attempt.plain, plain, len);
    end_done(&e);
}

/* What an attempt that failed left behind: the output is as it was, or zeros after a wrong
 * tag; with staging the spans are as they were. */
static void check_failed(const json_t *c, struct vectors *v, enum way way)
{
    const size_t len = attempt.len;
    const aril_bytes body = vectors_hex(v, c, "body");
    assert_true(provider_all(attempt.staging, len, 0));
    if (way == IN_PLACE) {
        assert_true(provider_all(attempt.body, len, 0) ||
                    memcmp(attempt.body, body.data, len) == 0);
        return;
    }
    assert_memory_equal(attempt.body, body.data, len);
    assert_true(provider_all(attempt.plain, len, FILLER) ||
                (way == OUT_OF_PLACE && provider_all(attempt.plain, len, 0)));
}

/* Opens the case and looks at what it left behind. */
static void meet(struct vectors *v, const json_t *o, const json_t *c, enum way way)
{
    struct end e = opener_new(v, o);
    open_before(v, c, &e);
    read_attempt(v, c, &attempt);
    const aril_status st = open_attempt(&e, &attempt, way);
    if (strcmp(aril_status_name(st), vectors_string(c, "status")) != 0) {
        fail_msg("%s, %s: %s instead of %s", vectors_string(c, "class"), vectors_string(c, "name"),
                 aril_status_name(st), vectors_string(c, "status"));
    }
    if (st == ARIL_OK) {
        const aril_bytes plain = vectors_hex(v, c, "plaintext");
        assert_int_equal(plain.len, attempt.len);
        assert_memory_equal(way == IN_PLACE ? attempt.body : attempt.plain, plain.data, plain.len);
        assert_true(provider_all(attempt.staging, attempt.len, 0));
    } else {
        check_failed(c, v, way);
    }
    end_done(&e);
}

static bool meet_each_way(struct vectors *v, const json_t *group, const json_t *c)
{
    const json_t *const opener = json_object_get(group, "opener");
    if (json_object_get(c, "body") == NULL) {
        return false;
    }
    meet(v, opener, c, OUT_OF_PLACE);
    meet(v, opener, c, IN_PLACE);
    meet(v, opener, c, STAGED);
    return true;
}

static void every_record_gets_its_status(void **state)
{
    (void)state;
    assert_true(vectors_run(FILE_NAME, "groups", "cases", meet_each_way, "without a body") > 200);
}

static bool seal_if_it_opens(struct vectors *v, const json_t *group, const json_t *c)
{
    const json_t *const opener = json_object_get(group, "opener");
    if (json_object_get(c, "length") != NULL) {
        long_body(v, opener, c);
        return true;
    }
    if (strcmp(vectors_string(c, "status"), "ARIL_OK") != 0) {
        return false;
    }
    const aril_bytes plain = vectors_hex(v, c, "plaintext");
    const aril_bytes body = vectors_hex(v, c, "body");
    seal_again(v, opener, c, plain.data, plain.len);
    assert_memory_equal(attempt.body, body.data, body.len);
    return true;
}

static void sealing_again_gives_the_same_bytes(void **state)
{
    (void)state;
    assert_true(vectors_run(FILE_NAME, "groups", "cases", seal_if_it_opens, "that do not open") >
                30);
}

int main(void)
{
    if (setenv("ARIL_VECTORS_DIR", ARIL_TEST_DATA_DIR "/vectors", 1) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_gets_its_status),
        cmocka_unit_test(sealing_again_gives_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, runtime_setup, runtime_teardown);
}
