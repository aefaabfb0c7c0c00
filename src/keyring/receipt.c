/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "format/pem.h"
#include "identity/keys.h"
#include "keyring/fleet.h"
#include <string.h>

/* --- Node ---------------------------------------------------------------------------------- */

static aril_status write_receipt(aril_keyring *kr, struct arili_receipt *r,
                                 const struct arili_key *key, char *ret_pem, size_t cap,
                                 size_t *ret_len, aril_error *error)
{
    uint8_t der[ARIL_RECEIPT_BYTES_MAX];
    uint8_t signature[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len;
    ARILI_DEFER(arili_identity_freep) aril_identity *identity = NULL;
    ARILI_TRY(arili_keyring_identity(kr, kr->rows, key, &identity, error));
    ARILI_TRY(arili_receipt_write_core(r, der, sizeof der, &len));
    ARILI_TRY(aril_identity_sign(identity, ARILI_RECEIPT_CONTEXT, (aril_bytes){ der, len },
                                 signature, sizeof signature, &r->signature.len));
    r->signature.data = signature;
    ARILI_TRY(arili_receipt_write(r, der, sizeof der, &len));
    return arili_pem_write(ARILI_RECEIPT_LABEL, (aril_bytes){ der, len }, ret_pem, cap, ret_len);
}

aril_status aril_keyring_receipt(aril_keyring *keyring, char *ret_pem, size_t cap, size_t *ret_len,
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
    aril_bytes kem;
    aril_bytes sign;
    struct arili_receipt r = { .profile = keyring->profile->id,
                               .bundle_version = keyring->rows->head.bundle_version };
    memcpy(r.fleet, keyring->rows->head.fleet, sizeof r.fleet);
    ARILI_TRY(arili_node_key(keyring, keyring->rows, &key, &kem, &sign));
    ARILI_TRY(arili_node_id(&keyring->rt->crypto, kem, sign, r.node));
    ARILI_TRY(arili_keyring_now(keyring, &keyring->rows->head, &r.time_s));
    return write_receipt(keyring, &r, key, ret_pem, cap, ret_len, error);
}

/* --- Authority ----------------------------------------------------------------------------- */

static aril_status refuse(aril_status st, const char *why, aril_error *error)
{
    return arili_error_set(error, st,
                           "the receipt %s; get a new one with 'aril keys node receipt' "
                           "on the node",
                           why);
}

static aril_status note(aril_keyring *kr, const struct arili_receipt *r, aril_error *error)
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, ARILI_CHANGE_ANY_CLOCK, &ch, error));
    const struct arili_row *row =
        arili_rowset_find(ch.from, ARILI_ROW_NODE, (aril_bytes){ r->node, sizeof r->node });
    if (row == NULL || memcmp(r->fleet, kr->id, sizeof r->fleet) != 0) {
        return refuse(ARIL_E_NOT_FOUND, "is of a node that is not enrolled here", error);
    }
    struct arili_node_row node;
    ARILI_TRY(arili_node_row_parse(arili_row_body(row), &node));
    if (node.revoked) {
        return refuse(ARIL_E_TRUST_REVOKED, "is of a node that was revoked", error);
    }
    const aril_status st =
        aril_signature_verify(kr->rt, kr->profile->sign, node.sign_public, ARILI_RECEIPT_CONTEXT,
                              r->signed_part, r->signature);
    if (st != ARIL_OK) {
        return refuse(st, "is not signed by its node", error);
    }
    if (r->bundle_version > ch.head.bundle_version) {
        return refuse(ARIL_E_FORMAT_FIELD, "names a bundle that was never written", error);
    }
    if (r->bundle_version <= node.confirmed_version) {
        return ARIL_OK;
    }
    node.confirmed_version = r->bundle_version;
    node.confirmed_s = ch.now_s;
    ARILI_TRY(arili_node_put(&ch, r->node, &node));
    return arili_change_commit(&ch, error);
}

aril_status aril_keyring_confirm(aril_keyring *keyring, aril_bytes receipt_pem, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && receipt_pem.data != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_authority_only(keyring, error));
    uint8_t der[ARIL_RECEIPT_BYTES_MAX];
    size_t len;
    struct arili_receipt r;
    aril_status st = arili_pem_parse(receipt_pem, ARILI_RECEIPT_LABEL, der, sizeof der, &len);
    if (st == ARIL_OK) {
        st = arili_receipt_parse((aril_bytes){ der, len }, &r);
    }
    if (st != ARIL_OK) {
        return refuse(st, "is damaged, or is something else", error);
    }
    st = note(keyring, &r, error);
    return arili_keyring_tell(keyring, ARIL_EVENT_FLEET, "confirm", st, (aril_bytes){ NULL, 0 },
                              r.node, NULL);
}
