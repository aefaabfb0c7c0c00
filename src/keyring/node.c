/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "format/pem.h"
#include "identity/keys.h"
#include "keyring/fleet.h"
#include "keyring/rotation.h"
#include <stdlib.h>
#include <string.h>

#define NODE_ID_LABEL ARILI_LITERAL("aril node id v1")

aril_status arili_node_id(const struct arili_crypto *c, aril_bytes kem_public,
                          aril_bytes sign_public, uint8_t ret[ARIL_NODE_ID_BYTES])
{
    uint8_t kem_len[2];
    uint8_t sign_len[2];
    arili_store16(kem_len, (uint16_t)kem_public.len);
    arili_store16(sign_len, (uint16_t)sign_public.len);
    const aril_bytes parts[] = { NODE_ID_LABEL,
                                 { kem_len, sizeof kem_len },
                                 kem_public,
                                 { sign_len, sizeof sign_len },
                                 sign_public };
    return c->ops->hash(c->provider, ARILI_SHA256, parts, 5, ret);
}

aril_status arili_node_key(const aril_keyring *kr, const struct arili_rowset *set,
                           const struct arili_key **ret, aril_bytes *ret_kem, aril_bytes *ret_sign)
{
    const size_t kem_len = arili_hpke_public_bytes(kr->profile->suite.kem);
    for (size_t i = 0; i < set->key_count; i++) {
        const struct arili_key_row *said = &set->keys[i].said;
        if (said->purpose == ARIL_KEY_NODE && said->state == ARIL_KEY_ACTIVE) {
            ARILI_ENSURE(said->public_key.len > kem_len, ARIL_E_FORMAT_LENGTH);
            *ret = &set->keys[i];
            *ret_kem = (aril_bytes){ said->public_key.data, kem_len };
            *ret_sign =
                (aril_bytes){ said->public_key.data + kem_len, said->public_key.len - kem_len };
            return ARIL_OK;
        }
    }
    ARILI_FAIL(ARIL_E_KEY_INACTIVE);
}

bool arili_node_serves(const struct arili_node_row *node, aril_bytes tenant)
{
    for (size_t i = 0; i < node->tenant_count; i++) {
        if (arili_row_order(0, node->tenants[i], 0, tenant) == 0) {
            return true;
        }
    }
    return node->tenant_count == 0;
}

/* A NODE row's body is written on the heap: 256 tenants have room in it. */
struct body {
    uint8_t bytes[ARILI_ROW_BODY_BYTES_MAX];
};
static void body_freep(struct body **body)
{
    arili_free(*body, sizeof **body);
}

aril_status arili_node_put(struct arili_change *ch, const uint8_t id[ARIL_NODE_ID_BYTES],
                           const struct arili_node_row *row)
{
    ARILI_DEFER(body_freep) struct body *body = arili_alloc(sizeof *body);
    ARILI_ENSURE(body != NULL, ARIL_E_NOMEM);
    size_t len;
    ARILI_TRY(arili_node_row_write(row, body->bytes, sizeof body->bytes, &len));
    return arili_change_put(ch, ARILI_ROW_NODE, (aril_bytes){ id, ARIL_NODE_ID_BYTES },
                            (aril_bytes){ body->bytes, len });
}

/* --- Card ---------------------------------------------------------------------------------- */

static aril_status write_card(aril_keyring *kr, struct arili_card *card,
                              const struct arili_key *key, char *ret_pem, size_t cap,
                              size_t *ret_len, aril_error *error)
{
    uint8_t der[ARIL_CARD_BYTES_MAX];
    uint8_t signature[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len;
    ARILI_DEFER(arili_identity_freep) aril_identity *identity = NULL;
    ARILI_TRY(arili_keyring_identity(kr, kr->rows, key, &identity, error));
    ARILI_TRY(arili_card_write_core(card, der, sizeof der, &len));
    ARILI_TRY(aril_identity_sign(identity, ARILI_CARD_CONTEXT, (aril_bytes){ der, len }, signature,
                                 sizeof signature, &card->signature.len));
    card->signature.data = signature;
    ARILI_TRY(arili_card_write(card, der, sizeof der, &len));
    return arili_pem_write(ARILI_CARD_LABEL, (aril_bytes){ der, len }, ret_pem, cap, ret_len);
}

aril_status aril_keyring_card(aril_keyring *keyring, char *ret_pem, size_t cap, size_t *ret_len,
                              aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && ret_len != NULL && (ret_pem != NULL || cap == 0),
                 ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_node_only(keyring, error));
    bool changed;
    ARILI_TRY(arili_keyring_look(keyring, &changed, error));
    const struct arili_key *key = NULL;
    struct arili_card card = { .profile = keyring->profile->id };
    ARILI_TRY(arili_node_key(keyring, keyring->rows, &key, &card.kem_public, &card.sign_public));
    char did[ARIL_DID_BYTES_MAX];
    ARILI_TRY(aril_did_write(keyring->rt, ARIL_DID_PQAID, keyring->profile->sign, card.sign_public,
                             did, sizeof did, &card.did.len));
    card.did.data = (const uint8_t *)did;
    card.name = key->said.owner;
    card.created_s = key->said.created_s;
    return write_card(keyring, &card, key, ret_pem, cap, ret_len, error);
}

/* --- Enrol --------------------------------------------------------------------------------- */

static aril_status bad_card(aril_status st, const char *why, aril_error *error)
{
    return arili_error_set(error, st,
                           "the node card %s; get a new one with 'aril keys node card' "
                           "on the node",
                           why);
}

static aril_status check_card(const aril_keyring *kr, const struct arili_card *card,
                              aril_error *error)
{
    char did[ARIL_DID_BYTES_MAX];
    if (card->profile != kr->profile->id) {
        return arili_error_set(error, ARIL_E_PROFILE,
                               "the node has the profile %s, this keyring %s; init the node with "
                               "--profile %s",
                               aril_profile_name(card->profile), kr->profile->name,
                               kr->profile->name);
    }
    ARILI_ENSURE(card->did.len < sizeof did, ARIL_E_FORMAT_LENGTH);
    memcpy(did, card->did.data, card->did.len);
    did[card->did.len] = '\0';
    aril_status st = aril_did_check(kr->rt, did, kr->profile->sign, card->sign_public);
    if (st != ARIL_OK) {
        return bad_card(st, "names a DID that is not that of its key", error);
    }
    st = aril_signature_verify(kr->rt, kr->profile->sign, card->sign_public, ARILI_CARD_CONTEXT,
                               card->signed_part, card->signature);
    if (st != ARIL_OK) {
        return bad_card(st, "is not signed by its key", error);
    }
    /* Of one node that nothing can be sealed for, no node would get a bundle any more. */
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    ARILI_DEFER(arili_hpke_done) struct arili_hpke_ctx hpke = { .seq = 0 };
    st = arili_hpke_setup_sender(&kr->rt->crypto, kr->profile->suite, card->kem_public,
                                 ARILI_CARD_CONTEXT, NULL, NULL, enc,
                                 arili_hpke_enc_bytes(kr->profile->suite.kem), &hpke);
    return st == ARIL_OK ? st : bad_card(st, "has a KEM key that is none", error);
}

/* No node of that name or with that card. */
static aril_status check_new(const struct arili_change *ch, const struct arili_card *card,
                             const uint8_t *id, aril_error *error)
{
    size_t count;
    const size_t first = arili_rowset_kind(ch->from, ARILI_ROW_NODE, &count);
    for (size_t i = first; i < first + count; i++) {
        struct arili_node_row node;
        ARILI_TRY(arili_node_row_parse(arili_row_body(ch->from->rows[i]), &node));
        const bool same_card = memcmp(ch->from->rows[i]->bytes, id, ARIL_NODE_ID_BYTES) == 0;
        if (same_card && node.revoked) {
            return arili_error_set(error, ARIL_E_TRUST_REVOKED,
                                   "this card was revoked; make a new keyring on the node");
        }
        if (same_card || (!node.revoked && arili_row_order(0, node.name, 0, card->name) == 0)) {
            return arili_error_set(error, ARIL_E_EXISTS, "a node %.*s is enrolled already",
                                   (int)card->name.len, (const char *)card->name.data);
        }
    }
    return ARIL_OK;
}

static int order_tenants(const void *a, const void *b)
{
    return arili_row_order(0, *(const aril_bytes *)a, 0, *(const aril_bytes *)b);
}

static aril_status fill_tenants(struct arili_node_row *row, const aril_bytes *tenants, size_t count)
{
    ARILI_ENSURE(count <= ARILI_NODE_TENANTS_MAX, ARIL_E_LIMIT);
    ARILI_ENSURE(tenants != NULL || count == 0, ARIL_E_USAGE_NULL);
    for (size_t i = 0; i < count; i++) {
        const aril_key_slot slot = { .purpose = ARIL_KEY_TENANT, .owner = tenants[i] };
        ARILI_TRY(arili_slot_check(&slot));
        row->tenants[i] = tenants[i];
    }
    qsort(row->tenants, count, sizeof row->tenants[0], order_tenants);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || order_tenants(&row->tenants[kept - 1], &row->tenants[i]) != 0) {
            row->tenants[kept++] = row->tenants[i];
        }
    }
    row->tenant_count = kept;
    return ARIL_OK;
}

static aril_status enrol(aril_keyring *kr, const struct arili_card *card, const aril_bytes *tenants,
                         size_t tenant_count, uint8_t ret_id[ARIL_NODE_ID_BYTES], aril_error *error)
{
    ARILI_TRY(check_card(kr, card, error));
    ARILI_TRY(arili_node_id(&kr->rt->crypto, card->kem_public, card->sign_public, ret_id));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, error));
    ARILI_TRY(check_new(&ch, card, ret_id, error));
    struct arili_node_row row = { .profile = card->profile,
                                  .added_s = ch.now_s,
                                  .name = card->name,
                                  .kem_public = card->kem_public,
                                  .sign_public = card->sign_public };
    ARILI_TRY(fill_tenants(&row, tenants, tenant_count));
    ARILI_TRY(arili_node_put(&ch, ret_id, &row));
    return arili_change_commit(&ch, error);
}

aril_status aril_keyring_node_add(aril_keyring *keyring, aril_bytes card_pem,
                                  const aril_bytes *tenants, size_t tenant_count, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && card_pem.data != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_authority_only(keyring, error));
    uint8_t der[ARIL_CARD_BYTES_MAX];
    uint8_t id[ARIL_NODE_ID_BYTES];
    size_t len;
    struct arili_card card;
    aril_status st = arili_pem_parse(card_pem, ARILI_CARD_LABEL, der, sizeof der, &len);
    if (st == ARIL_OK) {
        st = arili_card_parse((aril_bytes){ der, len }, &card);
    }
    if (st != ARIL_OK) {
        return bad_card(st, "is damaged, or is something else", error);
    }
    st = enrol(keyring, &card, tenants, tenant_count, id, error);
    return arili_keyring_tell(keyring, ARIL_EVENT_FLEET, "node-add", st, card.name,
                              st == ARIL_OK ? id : NULL, NULL);
}

/* --- List ---------------------------------------------------------------------------------- */

static aril_status visit_node(aril_keyring *kr, const struct arili_row *row,
                              aril_node_visit_fn *visit, void *user, bool *ret_stop)
{
    struct arili_node_row said;
    char did[ARIL_DID_BYTES_MAX];
    ARILI_ENSURE(row->id_len == ARIL_NODE_ID_BYTES, ARIL_E_FORMAT_LENGTH);
    ARILI_TRY(arili_node_row_parse(arili_row_body(row), &said));
    aril_node_info info = { .name = said.name,
                            .revoked = said.revoked,
                            .added_s = said.added_s,
                            .revoked_s = said.revoked_s,
                            .confirmed_version = said.confirmed_version,
                            .confirmed_s = said.confirmed_s,
                            .tenant_count = said.tenant_count,
                            .tenants = said.tenants };
    memcpy(info.id, row->bytes, sizeof info.id);
    ARILI_TRY(aril_did_write(kr->rt, ARIL_DID_PQAID, kr->profile->sign, said.sign_public, did,
                             sizeof did, &info.did.len));
    info.did.data = (const uint8_t *)did;
    *ret_stop = visit(user, &info) != 0;
    return ARIL_OK;
}

aril_status aril_keyring_nodes(aril_keyring *keyring, aril_node_visit_fn *visit, void *user,
                               aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && visit != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(aril_keyring_refresh(keyring, NULL, error));
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = arili_keyring_rows(keyring);
    size_t count;
    bool stop = false;
    const size_t first = arili_rowset_kind(set, ARILI_ROW_NODE, &count);
    for (size_t i = first; i < first + count && !stop; i++) {
        ARILI_TRY(visit_node(keyring, set->rows[i], visit, user, &stop));
    }
    return ARIL_OK;
}

/* --- Revoke -------------------------------------------------------------------------------- */

static aril_status find_node(const struct arili_change *ch, aril_bytes name, uint8_t *ret_id,
                             struct arili_node_row *ret, aril_error *error)
{
    size_t count;
    const size_t first = arili_rowset_kind(ch->from, ARILI_ROW_NODE, &count);
    for (size_t i = first; i < first + count; i++) {
        ARILI_TRY(arili_node_row_parse(arili_row_body(ch->from->rows[i]), ret));
        if (!ret->revoked && arili_row_order(0, ret->name, 0, name) == 0) {
            memcpy(ret_id, ch->from->rows[i]->bytes, ARIL_NODE_ID_BYTES);
            return ARIL_OK;
        }
    }
    return arili_error_set(error, ARIL_E_NOT_FOUND, "%s: there is no enrolled node %.*s",
                           ch->kr->path, (int)(name.len < 64 ? name.len : 64),
                           (const char *)name.data);
}

/* Every key that the node could open and that seals, or waits to. At once: the node knows the keys
 * of now. */
static aril_status succeed_all(struct arili_change *ch, const struct arili_node_row *node,
                               bool names, size_t *ret_rotated, aril_error *error)
{
    const struct arili_rowset *set = ch->from;
    *ret_rotated = 0;
    for (size_t i = 0; i < set->key_count; i++) {
        const struct arili_key_row *said = &set->keys[i].said;
        const aril_key_slot slot = { said->purpose, said->owner, said->label };
        if ((i > 0 && arili_rowset_same_slot(set, i - 1, i)) ||
            (said->purpose != ARIL_KEY_DATA && (said->purpose != ARIL_KEY_NAME || !names)) ||
            arili_slot_sealing(set, &slot, ch->now_s) == NULL ||
            !arili_node_serves(node, said->owner)) {
            continue;
        }
        ARILI_DEFER(arili_made_wipe) struct arili_made made = { .id = { 0 } };
        ARILI_TRY(arili_key_succeed(ch, &slot, 0, &made, error));
        ++*ret_rotated;
    }
    return ARIL_OK;
}

static aril_status revoke_node(aril_keyring *kr, aril_bytes name, uint32_t flags,
                               size_t *ret_rotated, uint8_t *ret_id, aril_error *error)
{
    ARILI_TRY(arili_rotation_finish(kr, error));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, error));
    struct arili_node_row node;
    ARILI_TRY(find_node(&ch, name, ret_id, &node, error));
    ARILI_TRY(succeed_all(&ch, &node, (flags & ARIL_REVOKE_KEEP_NAMES) == 0, ret_rotated, error));
    node.revoked = true;
    node.revoked_s = ch.now_s;
    ARILI_TRY(arili_node_put(&ch, ret_id, &node));
    ch.raises = true;
    return arili_change_commit(&ch, error);
}

aril_status aril_keyring_node_revoke(aril_keyring *keyring, aril_bytes name, uint32_t flags,
                                     size_t *ret_rotated, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && name.data != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(name.len >= 1 && name.len <= ARIL_NODE_NAME_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE((flags & ~(uint32_t)ARIL_REVOKE_KEEP_NAMES) == 0, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_authority_only(keyring, error));
    size_t rotated = 0;
    uint8_t id[ARIL_NODE_ID_BYTES] = { 0 };
    const aril_status st = revoke_node(keyring, name, flags, &rotated, id, error);
    if (ret_rotated != NULL) {
        *ret_rotated = st == ARIL_OK ? rotated : 0;
    }
    return arili_keyring_tell(keyring, ARIL_EVENT_FLEET, "node-revoke", st, name, id, NULL);
}
