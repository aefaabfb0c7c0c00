/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "crypto/crypto.h"
#include "maker_cases.h"
#include <stdio.h>
#include <string.h>

/* records.json: records that open, and records for the wrong opener. */

json_t *maker_group(json_t *groups, const struct opener *o)
{
    json_t *cases = json_array();
    json_t *j = json_object();
    maker_set(j, "opener", maker_opener_json(o));
    maker_set(j, "cases", cases);
    json_array_append_new(groups, j);
    return cases;
}

static json_t *sha256_hex(const uint8_t *bytes, size_t len)
{
    const struct arili_crypto *c = &maker_runtime()->crypto;
    const aril_bytes part = { bytes, len };
    uint8_t digest[32];
    MUST(c->ops->hash(c->provider, ARILI_SHA256, &part, 1, digest));
    return maker_hex(digest, sizeof digest);
}

void maker_case(json_t *cases, const struct attempt *a)
{
    json_t *j = json_object();
    maker_set(j, "class", json_string(a->cls));
    maker_set(j, "name", json_string(a->name));
    maker_set(j, "status", json_string(aril_status_name(a->status)));
    if (a->before != NULL) {
        maker_set(j, "before", a->before);
    }
    maker_set(j, "block", maker_block_json(a->block));
    maker_set(j, "seal", maker_hex(a->seal, ARIL_SEAL_BYTES));
    if (a->len > 4096) {
        maker_set(j, "length", json_integer((json_int_t)a->len));
        maker_set(j, "body_sha256", sha256_hex(a->body, a->len));
    } else {
        maker_set(j, "body", maker_hex(a->body, a->len));
        if (a->plain != NULL) {
            maker_set(j, "plaintext", maker_hex(a->plain, a->len));
        }
    }
    json_array_append_new(cases, j);
}

void maker_plain_case(json_t *cases, const char *cls, const char *name, aril_status status,
                      const struct sealed *r)
{
    const struct attempt a = { .cls = cls,
                               .name = name,
                               .status = status,
                               .block = &r->block,
                               .body = r->body,
                               .len = r->len,
                               .seal = r->seal,
                               .plain = status == ARIL_OK ? r->plain : NULL };
    maker_case(cases, &a);
}

json_t *maker_before(const struct sealed *r)
{
    json_t *one = json_object();
    maker_set(one, "block", maker_block_json(&r->block));
    maker_set(one, "seal", maker_hex(r->seal, sizeof r->seal));
    maker_set(one, "body", maker_hex(r->body, r->len));
    json_t *all = json_array();
    json_array_append_new(all, one);
    return all;
}

static struct sealed record, other; /* too big for the stack */

/* --- opens ------------------------------------------------------------------------ */

static void opens_at(json_t *cases, const struct opener *o, const aril_kv_block *block,
                     uint32_t epoch, uint64_t sequence, size_t len)
{
    char name[96];
    snprintf(name, sizeof name, "%s, epoch %u, sequence %llu, %zu bytes",
             block->identity == ARIL_KV_CHAIN ? "chain" : "slot", (unsigned)epoch,
             (unsigned long long)sequence, len);
    maker_seal(o, block, epoch, sequence, len, &record);
    maker_plain_case(cases, "opens", name, ARIL_OK, &record);
}

static void opens(json_t *groups)
{
    static const size_t lengths[] = { 0, 1, 15, 16, 17, 64, 65536 };
    const aril_kv_block chain = maker_chain_block();
    const aril_kv_block slot = maker_slot_block();
    struct opener o = maker_opener;
    o.pins = 4;
    json_t *cases = maker_group(groups, &o);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        opens_at(cases, &o, &chain, 0, i + 1, lengths[i]);
    }
    opens_at(cases, &o, &slot, 0, 1, 32);
    opens_at(cases, &o, &slot, 8, UINT64_C(1) << 32, 32);
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    for (size_t i = 0; i < 6; i++) {
        o.profile = profiles[i / 2];
        o.direction = i % 2 == 0 ? ARIL_TENANT_TO_SERVER : ARIL_SERVER_TO_TENANT;
        o.newest = 5;
        cases = maker_group(groups, &o);
        opens_at(cases, &o, &chain, 0, 1, 32);
        opens_at(cases, &o, &slot, 5, 2, 32);
        opens_at(cases, &o, &chain, 13, 3, 32);
    }
    o = maker_opener;
    o.self = true;
    o.newest = 2;
    cases = maker_group(groups, &o);
    opens_at(cases, &o, &chain, 1, 4, 32);
    opens_at(cases, &o, &chain, 2, 4, 32);
}

/* --- the wrong opener --------------------------------------------------------------- */

static void sealed_by(json_t *cases, const char *cls, const char *name, aril_status status,
                      const struct opener *sealer)
{
    const aril_kv_block block = maker_chain_block();
    maker_seal(sealer, &block, 0, 1, 32, &record);
    maker_plain_case(cases, cls, name, status, &record);
}

static void wrong_opener(json_t *groups)
{
    const struct opener o = maker_opener;
    json_t *cases = maker_group(groups, &o);
    struct opener s = o;
    s.tenant = "bob";
    s.tag = UINT64_C(0x0b0b0b0b0b0b0b0b);
    s.secret = "session of bob";
    sealed_by(cases, "wrong-tenant", "another tenant", ARIL_E_ISOLATION, &s);
    s.tag = o.tag;
    sealed_by(cases, "wrong-tenant", "another tenant of the same tag", ARIL_E_KEY_UNKNOWN, &s);
    s.secret = o.secret;
    sealed_by(cases, "wrong-tenant", "another tenant of the same tag and secret", ARIL_E_AUTH, &s);
    s = o;
    s.direction = ARIL_SERVER_TO_TENANT;
    sealed_by(cases, "wrong-direction", "the opener's own record", ARIL_E_AUTH, &s);
    s = o;
    s.secret = "session two";
    sealed_by(cases, "key-unknown", "an older session of the tenant", ARIL_E_KEY_UNKNOWN, &s);
    static const char *const models[] = { "sha256:model-two", "sha256:model-on",
                                          "sha256:model-onee" };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        s = o;
        s.model = models[i];
        sealed_by(cases, "wrong-model", models[i], ARIL_E_AUTH, &s);
    }
}

static void wrong_layout(json_t *groups)
{
    static const char *const names[] = { "name",     "dtype",   "block_tokens", "layers",
                                         "kv_heads", "key_dim", "value_dim",    "world_size" };
    const struct opener o = maker_opener;
    json_t *cases = maker_group(groups, &o);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct opener s = o;
        aril_kv_layout *l = &s.layout;
        uint32_t *const numbers[] = { &l->block_tokens, &l->layers,    &l->kv_heads,
                                      &l->key_dim,      &l->value_dim, &l->world_size };
        if (i == 0) {
            l->name = "example/HND";
        } else if (i == 1) {
            l->dtype = "f1";
        } else {
            (*numbers[i - 2])++;
        }
        sealed_by(cases, "wrong-layout", names[i], ARIL_E_AUTH, &s);
    }
    struct opener s = o;
    s.layout.name = "example/NHDf"; /* the same letters, cut at another place */
    s.layout.dtype = "16";
    sealed_by(cases, "wrong-layout", "name and dtype", ARIL_E_AUTH, &s);
}

static void wrong_block(json_t *groups)
{
    struct opener o = maker_opener;
    o.pins = 4;
    json_t *cases = maker_group(groups, &o);
    for (size_t i = 0; i < 10; i++) {
        static const char *const names[] = { "layer first", "layer count",  "rank", "group",
                                             "chain",       "identity",     "slot", "position",
                                             "count",       "slot as chain" };
        const aril_kv_block is = i < 6 ? maker_chain_block() : maker_slot_block();
        aril_kv_block asked = is;
        uint32_t *const small[] = { &asked.layer_first, &asked.layer_count, &asked.rank,
                                    &asked.group };
        uint64_t *const big[] = { &asked.slot, &asked.position, &asked.count };
        if (i < 4) {
            (*small[i])++;
        } else if (i == 4) {
            asked.chain[31] ^= 1;
        } else if (i == 5) {
            asked.identity = ARIL_KV_SLOT;
        } else if (i < 9) {
            (*big[i - 6])++;
        } else {
            asked.identity = ARIL_KV_CHAIN;
            memset(asked.chain, 0, sizeof asked.chain);
        }
        maker_seal(&o, &is, 0, 1, 32, &record);
        const struct attempt a = { .cls = "wrong-block",
                                   .name = names[i],
                                   .status = ARIL_E_AUTH,
                                   .block = &asked,
                                   .body = record.body,
                                   .len = record.len,
                                   .seal = record.seal };
        maker_case(cases, &a);
    }
}

/* --- epochs, replays, slots ------------------------------------------------------------ */

static void epoch_case(json_t *cases, const struct opener *o, uint32_t epoch, aril_status status)
{
    char name[32];
    const aril_kv_block block = maker_chain_block();
    snprintf(name, sizeof name, "epoch %u", (unsigned)epoch);
    maker_seal(o, &block, epoch, 1, 32, &record);
    maker_plain_case(cases, status == ARIL_OK ? "opens" : "wrong-epoch", name, status, &record);
}

static void wrong_epoch(json_t *groups)
{
    struct opener o = maker_opener;
    o.newest = 20;
    o.readable = 4;
    json_t *cases = maker_group(groups, &o);
    epoch_case(cases, &o, 0, ARIL_E_KEY_RETIRED);
    epoch_case(cases, &o, 16, ARIL_E_KEY_RETIRED);
    epoch_case(cases, &o, 17, ARIL_OK);
    epoch_case(cases, &o, 28, ARIL_OK);
    epoch_case(cases, &o, 29, ARIL_E_KEY_FUTURE);
    o.newest = 2;
    o.self = true;
    cases = maker_group(groups, &o);
    epoch_case(cases, &o, 3, ARIL_E_KEY_UNKNOWN);
    epoch_case(cases, &o, 11, ARIL_E_KEY_UNKNOWN);
}

/* The opener meets record `first`, then record `second`. */
static void after(json_t *cases, const char *cls, const char *name, aril_status status,
                  const struct sealed *first, const struct sealed *second)
{
    const struct attempt a = { .cls = status == ARIL_OK ? "opens" : cls,
                               .name = name,
                               .status = status,
                               .block = &second->block,
                               .body = second->body,
                               .len = second->len,
                               .seal = second->seal,
                               .plain = status == ARIL_OK ? second->plain : NULL,
                               .before = maker_before(first) };
    maker_case(cases, &a);
}

static void replayed(json_t *groups)
{
    const aril_kv_block block = maker_chain_block();
    struct opener o = maker_opener;
    o.once = true;
    json_t *cases = maker_group(groups, &o);
    maker_seal(&o, &block, 0, 5000, 32, &record);
    after(cases, "replayed", "opened before", ARIL_E_REPLAY, &record, &record);
    maker_seal(&o, &block, 0, 968, 32, &other);
    after(cases, "replayed", "left the window", ARIL_E_REPLAY, &record, &other);
    maker_seal(&o, &block, 0, 969, 32, &other);
    after(cases, "replayed", "the oldest of the window", ARIL_OK, &record, &other);
    maker_seal(&o, &block, 0, 5001, 32, &other);
    after(cases, "replayed", "the next one", ARIL_OK, &record, &other);
    maker_seal(&o, &block, 1, 5000, 32, &other);
    after(cases, "replayed", "the same sequence of another epoch", ARIL_OK, &record, &other);
    after(cases, "replayed", "of another epoch, opened before", ARIL_E_REPLAY, &other, &other);
    o.once = false;
    cases = maker_group(groups, &o);
    after(cases, "replayed", "again, where that is allowed", ARIL_OK, &record, &record);
}

static void stale_slot(json_t *groups)
{
    const aril_kv_block block = maker_slot_block();
    aril_kv_block elsewhere = block;
    elsewhere.position += block.count;
    aril_kv_block shorter = block;
    shorter.count--;
    struct opener o = maker_opener;
    o.pins = 4;
    json_t *cases = maker_group(groups, &o);
    maker_seal(&o, &block, 1, 5, 32, &record);
    after(cases, "stale-slot", "the newest one again", ARIL_OK, &record, &record);
    maker_seal(&o, &block, 1, 4, 32, &other);
    after(cases, "stale-slot", "an older sequence", ARIL_E_REPLAY_STALE, &record, &other);
    maker_seal(&o, &block, 0, 9, 32, &other);
    after(cases, "stale-slot", "an older epoch", ARIL_E_REPLAY_STALE, &record, &other);
    maker_seal(&o, &shorter, 1, 4, 32, &other);
    after(cases, "stale-slot", "older, with fewer tokens", ARIL_E_REPLAY_STALE, &record, &other);
    maker_seal(&o, &elsewhere, 0, 1, 32, &other);
    after(cases, "stale-slot", "older, of another position", ARIL_OK, &record, &other);
    o.pins = 1;
    cases = maker_group(groups, &o);
    after(cases, "slot-limit", "a second place", ARIL_E_LIMIT_PINS, &record, &other);
    o.self = true;
    o.newest = 1;
    cases = maker_group(groups, &o);
    maker_plain_case(cases, "stale-slot", "its own, without a pin", ARIL_E_REPLAY_STALE, &record);
}

json_t *maker_records(void)
{
    json_t *groups = json_array();
    opens(groups);
    wrong_opener(groups);
    wrong_layout(groups);
    wrong_block(groups);
    wrong_epoch(groups);
    replayed(groups);
    stale_slot(groups);
    maker_forged(groups);
    maker_fields(groups);
    maker_order(groups);
    json_t *root = json_object();
    maker_set(root, "format", json_string("aril records, level 1"));
    maker_set(root, "groups", groups);
    return root;
}
