/* SPDX-License-Identifier: Apache-2.0 */
#include "maker.h"
#include "kv/context.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void must(aril_status st, const char *what)
{
    if (st != ARIL_OK) {
        fprintf(stderr, "make_vectors: %s: %s\n", what, aril_status_name(st));
        exit(1);
    }
}

aril_runtime *maker_runtime(void)
{
    static aril_runtime *rt;
    if (rt == NULL) {
        MUST(aril_runtime_new(NULL, &rt));
    }
    return rt;
}

void maker_fill(uint8_t *ret, size_t len, const char *seed)
{
    const struct arili_crypto *c = &maker_runtime()->crypto;
    const aril_bytes part = { (const uint8_t *)seed, strlen(seed) };
    if (len > 0) {
        MUST(c->ops->xof(c->provider, &part, 1, ret, len));
    }
}

json_t *maker_hex(const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * len + 1);
    if (text == NULL) {
        must(ARIL_E_NOMEM, "malloc");
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
    json_t *value = json_string(text);
    free(text);
    return value;
}

json_t *maker_hex64(uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    }
    return maker_hex(bytes, sizeof bytes);
}

void maker_set(json_t *object, const char *name, json_t *value)
{
    must(json_object_set_new(object, name, value) == 0 ? ARIL_OK : ARIL_E_NOMEM, name);
}

/* --- Sessions ------------------------------------------------------------------- */

const struct opener maker_opener = {
    .profile = ARIL_PROFILE_HYBRID,
    .secret = "session one",
    .tenant = "alice",
    .tag = UINT64_C(0x0a11ce0a11ce0a11),
    .direction = ARIL_TENANT_TO_SERVER,
    .readable = 16,
    .model = "sha256:model-one",
    .layout = { .name = "example/NHD",
                .dtype = "f16",
                .block_tokens = 16,
                .layers = 32,
                .kv_heads = 8,
                .key_dim = 128,
                .value_dim = 128,
                .world_size = 1 },
};

void maker_session(const struct opener *o, bool seals, aril_session **ret)
{
    const aril_direction other =
        o->direction == ARIL_TENANT_TO_SERVER ? ARIL_SERVER_TO_TENANT : ARIL_TENANT_TO_SERVER;
    const aril_policy policy = { .rotate_records = UINT64_C(1) << 32,
                                 .rotate_bytes = UINT64_C(1) << 38,
                                 .rotate_after_s = 2592000,
                                 .ttl_s = 2592000,
                                 .readable_epochs = o->readable };
    uint8_t secret[ARILI_HASH_BYTES_MAX];
    uint8_t id[ARIL_SESSION_ID_BYTES];
    maker_fill(secret, sizeof secret, o->secret);
    maker_fill(id, sizeof id, "session id");
    const struct arili_session_seed seed = { .profile = arili_profile_get(o->profile),
                                             .sends = seals ? o->direction : other,
                                             .id = id,
                                             .tenant_tag = o->tag,
                                             .tenant_id = { (const uint8_t *)o->tenant,
                                                            strlen(o->tenant) },
                                             .policy = &policy,
                                             .secret = secret };
    MUST(arili_session_new(maker_runtime(), &seed, ret));
}

static void advance_to(aril_session *s, aril_direction direction, uint32_t epoch)
{
    struct arili_chain *chain = &s->chain[direction];
    uint64_t now;
    MUST(arili_session_now(s, &now));
    while (atomic_load(&chain->newest) < epoch) {
        MUST(arili_chain_rotate(chain, now, ARIL_ROTATE_MANUAL));
    }
}

/* Short plaintexts differ from record to record; a long one is a counter. */
static void fill_plain(struct sealed *r, uint64_t sequence)
{
    if (r->len < 4096) {
        char seed[48];
        snprintf(seed, sizeof seed, "plaintext %llu", (unsigned long long)sequence);
        maker_fill(r->plain, r->len, seed);
        return;
    }
    for (size_t i = 0; i < r->len; i++) {
        r->plain[i] = (uint8_t)(i / 4 >> (24 - 8 * (i % 4)));
    }
}

void maker_seal(const struct opener *o, const aril_kv_block *block, uint32_t epoch,
                uint64_t sequence, size_t len, struct sealed *ret)
{
    aril_session *s;
    aril_kv *kv;
    maker_session(o, true, &s);
    advance_to(s, o->direction, epoch);
    atomic_store(&atomic_load(&s->chain[o->direction].current)->next_sequence, sequence);
    const aril_kv_config config = { .model = { (const uint8_t *)o->model, strlen(o->model) },
                                    .layout = o->layout,
                                    .slot_pins = 1 };
    MUST(aril_kv_new(s, &config, &kv));
    ret->block = *block;
    ret->len = len;
    fill_plain(ret, sequence);
    const aril_span span = { ret->plain, len };
    aril_kv_item item = { .block = block,
                          .spans = &span,
                          .span_count = 1,
                          .body = ret->body,
                          .body_len = len,
                          .seal = ret->seal };
    MUST(aril_kv_seal(kv, &item));
    aril_kv_free(kv);
    aril_session_close(s);
}

aril_kv_block maker_chain_block(void)
{
    aril_kv_block b = {
        .layer_first = 4, .layer_count = 2, .rank = 1, .group = 3, .identity = ARIL_KV_CHAIN
    };
    maker_fill(b.chain, sizeof b.chain, "token chain");
    return b;
}

aril_kv_block maker_slot_block(void)
{
    return (aril_kv_block){
        .layer_count = 32, .identity = ARIL_KV_SLOT, .slot = 7, .position = 4096, .count = 256
    };
}

/* --- JSON ----------------------------------------------------------------------- */

json_t *maker_layout_json(const aril_kv_layout *l)
{
    json_t *j = json_object();
    maker_set(j, "name", json_string(l->name));
    maker_set(j, "dtype", json_string(l->dtype));
    maker_set(j, "block_tokens", json_integer(l->block_tokens));
    maker_set(j, "layers", json_integer(l->layers));
    maker_set(j, "kv_heads", json_integer(l->kv_heads));
    maker_set(j, "key_dim", json_integer(l->key_dim));
    maker_set(j, "value_dim", json_integer(l->value_dim));
    maker_set(j, "world_size", json_integer(l->world_size));
    return j;
}

json_t *maker_block_json(const aril_kv_block *b)
{
    json_t *j = json_object();
    maker_set(j, "identity", json_string(b->identity == ARIL_KV_CHAIN ? "chain" : "slot"));
    maker_set(j, "layer_first", json_integer(b->layer_first));
    maker_set(j, "layer_count", json_integer(b->layer_count));
    maker_set(j, "rank", json_integer(b->rank));
    maker_set(j, "group", json_integer(b->group));
    if (b->identity == ARIL_KV_CHAIN) {
        maker_set(j, "chain", maker_hex(b->chain, sizeof b->chain));
    } else {
        maker_set(j, "slot", maker_hex64(b->slot));
        maker_set(j, "position", maker_hex64(b->position));
        maker_set(j, "count", maker_hex64(b->count));
    }
    return j;
}

json_t *maker_opener_json(const struct opener *o)
{
    uint8_t secret[ARILI_HASH_BYTES_MAX];
    maker_fill(secret, sizeof secret, o->secret);
    const struct arili_profile *p = arili_profile_get(o->profile);
    json_t *j = json_object();
    maker_set(j, "profile", json_string(p->name));
    maker_set(j, "session_secret", maker_hex(secret, arili_hash_bytes(p->hash)));
    maker_set(j, "tenant_id", json_string(o->tenant));
    maker_set(j, "tenant_tag", maker_hex64(o->tag));
    maker_set(j, "direction", json_integer(o->direction));
    maker_set(j, "source", json_string(o->self ? "self" : "peer"));
    maker_set(j, "newest_epoch", json_integer(o->newest));
    maker_set(j, "readable_epochs", json_integer(o->readable));
    maker_set(j, "mode", json_string(o->once ? "once" : "repeatable"));
    maker_set(j, "slot_pins", json_integer((json_int_t)o->pins));
    maker_set(j, "model", json_string(o->model));
    maker_set(j, "layout", maker_layout_json(&o->layout));
    return j;
}
