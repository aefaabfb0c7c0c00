/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "kv/context.h"
#include "maker.h"
#include "session/ratchet.h"
#include "session/transcript.h"
#include <string.h>

/* keys.json: session secret to keys, scope digests and contexts, tenant tags. */

#define EPOCHS 4u

static json_t *direction_json(const struct arili_profile *p, const uint8_t *secret,
                              aril_direction direction)
{
    const struct arili_crypto *c = &maker_runtime()->crypto;
    const size_t hash_len = arili_hash_bytes(p->hash);
    json_t *epochs = json_array();
    struct arili_ratchet r = { 0 };
    MUST(arili_ratchet_begin(c, p->hash, secret, direction, &r));
    for (uint32_t e = 0; e < EPOCHS; e++) {
        struct arili_epoch_keys keys;
        uint8_t key_id[ARILI_KEY_ID_BYTES];
        MUST(arili_ratchet_keys(c, p->hash, direction, &r, &keys, key_id));
        json_t *j = json_object();
        maker_set(j, "epoch", json_integer(e));
        maker_set(j, "ratchet", maker_hex(r.secret, hash_len));
        maker_set(j, "key", maker_hex(keys.key, sizeof keys.key));
        maker_set(j, "nonce_prefix", maker_hex(keys.nonce_prefix, sizeof keys.nonce_prefix));
        maker_set(j, "key_id", maker_hex(key_id, sizeof key_id));
        json_array_append_new(epochs, j);
        MUST(arili_ratchet_advance(c, p->hash, direction, &r));
    }
    json_t *j = json_object();
    maker_set(j, "direction", json_integer(direction));
    maker_set(j, "epochs", epochs);
    return j;
}

static json_t *schedule_json(aril_profile profile)
{
    const struct arili_profile *p = arili_profile_get(profile);
    uint8_t secret[ARILI_HASH_BYTES_MAX];
    maker_fill(secret, sizeof secret, "key schedule");
    json_t *directions = json_array();
    json_array_append_new(directions, direction_json(p, secret, ARIL_TENANT_TO_SERVER));
    json_array_append_new(directions, direction_json(p, secret, ARIL_SERVER_TO_TENANT));
    json_t *j = json_object();
    maker_set(j, "profile", json_string(p->name));
    maker_set(j, "session_secret", maker_hex(secret, arili_hash_bytes(p->hash)));
    maker_set(j, "directions", directions);
    return j;
}

static void add_context(json_t *contexts, aril_profile profile, const char *tenant,
                        const char *model, const aril_kv_layout *layout, const aril_kv_block *block)
{
    const struct arili_profile *p = arili_profile_get(profile);
    struct arili_kv_scope scope;
    uint8_t context[ARILI_KV_CONTEXT_BYTES];
    MUST(arili_kv_scope_make(
        &maker_runtime()->crypto, p->hash, (aril_bytes){ (const uint8_t *)tenant, strlen(tenant) },
        (aril_bytes){ (const uint8_t *)model, strlen(model) }, layout, &scope));
    arili_kv_context_write(&scope, block, context);
    json_t *j = json_object();
    maker_set(j, "profile", json_string(p->name));
    maker_set(j, "tenant_id", json_string(tenant));
    maker_set(j, "model", json_string(model));
    maker_set(j, "layout", maker_layout_json(layout));
    maker_set(j, "block", maker_block_json(block));
    maker_set(j, "scope_digest", maker_hex(scope.digest, sizeof scope.digest));
    maker_set(j, "context", maker_hex(context, sizeof context));
    json_array_append_new(contexts, j);
}

static json_t *contexts_json(void)
{
    const struct opener o = maker_opener;
    const aril_kv_block chain = maker_chain_block();
    const aril_kv_block slot = maker_slot_block();
    const aril_kv_block most = { .layer_first = UINT32_MAX,
                                 .layer_count = 1,
                                 .rank = UINT32_MAX,
                                 .group = UINT32_MAX,
                                 .identity = ARIL_KV_SLOT,
                                 .slot = UINT64_MAX,
                                 .position = UINT64_MAX,
                                 .count = UINT64_MAX };
    const aril_kv_layout empty = { .name = "", .dtype = "" };
    json_t *contexts = json_array();
    add_context(contexts, ARIL_PROFILE_HYBRID, o.tenant, o.model, &o.layout, &chain);
    add_context(contexts, ARIL_PROFILE_HYBRID, o.tenant, o.model, &o.layout, &slot);
    add_context(contexts, ARIL_PROFILE_ML_KEM_768, "t", "m", &empty, &most);
    add_context(contexts, ARIL_PROFILE_STRICT, o.tenant, o.model, &o.layout, &chain);
    return contexts;
}

static json_t *tags_json(void)
{
    static const char *const tenants[] = { "a", "alice", "bob", "org/team 7" };
    uint8_t key[32];
    maker_fill(key, sizeof key, "tag key");
    json_t *tags = json_array();
    for (size_t i = 0; i < sizeof tenants / sizeof tenants[0]; i++) {
        uint64_t tag;
        MUST(arili_tenant_tag(&maker_runtime()->crypto, (aril_bytes){ key, sizeof key },
                              (aril_bytes){ (const uint8_t *)tenants[i], strlen(tenants[i]) },
                              &tag));
        json_t *j = json_object();
        maker_set(j, "tag_key", maker_hex(key, sizeof key));
        maker_set(j, "tenant_id", json_string(tenants[i]));
        maker_set(j, "tenant_tag", maker_hex64(tag));
        json_array_append_new(tags, j);
    }
    return tags;
}

json_t *maker_keys(void)
{
    json_t *schedules = json_array();
    json_array_append_new(schedules, schedule_json(ARIL_PROFILE_HYBRID));
    json_array_append_new(schedules, schedule_json(ARIL_PROFILE_ML_KEM_768));
    json_array_append_new(schedules, schedule_json(ARIL_PROFILE_STRICT));
    json_t *root = json_object();
    maker_set(root, "format", json_string("aril keys, level 1"));
    maker_set(root, "schedules", schedules);
    maker_set(root, "contexts", contexts_json());
    maker_set(root, "tenant_tags", tags_json());
    return root;
}
