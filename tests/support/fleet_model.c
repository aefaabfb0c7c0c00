/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_model.h"
#include "check.h"

void model_rotate(struct model_authority *a, unsigned tenant)
{
    const uint32_t version = ++a->newest[tenant];
    assert_true(version < MODEL_VERSIONS);
    a->keys[tenant][version] = MODEL_ALIVE;
}

void model_shred(struct model_authority *a, unsigned tenant)
{
    a->buried[tenant] = true;
    for (uint32_t v = 1; v <= a->newest[tenant]; v++) {
        a->keys[tenant][v] = MODEL_DESTROYED;
    }
}

bool model_serves(const struct model_node *n, unsigned tenant)
{
    return n->all || n->scope[tenant];
}

unsigned model_revoke(struct model_authority *a, struct model_node *n)
{
    unsigned rotated = 0;
    for (unsigned t = 0; t < MODEL_TENANTS; t++) {
        if (a->newest[t] > 0 && !a->buried[t] && model_serves(n, t)) {
            model_rotate(a, t);
            rotated++;
        }
    }
    n->revoked = true;
    return rotated;
}

void model_bundle_write(struct model_authority *a, const struct model_node *nodes,
                        uint64_t expires_s, struct model_bundle *ret)
{
    *ret = (struct model_bundle){ .version = ++a->version, .expires_s = expires_s };
    ret->from = *a;
    for (uint32_t v = 1; v <= a->signer; v++) {
        if (a->signers[v] != MODEL_ALIVE) {
            ret->retired |= 1u << v;
        } else if (ret->signer == 0) {
            ret->signer = v;
        } else if (ret->successor == 0) {
            ret->successor = v;
        }
    }
    for (unsigned i = 0; i < MODEL_NODES; i++) {
        ret->serves[i] = nodes[i].enrolled && !nodes[i].revoked;
        ret->revokes[i] = nodes[i].revoked;
    }
}

static void take(struct model_node *n, const struct model_bundle *b)
{
    for (unsigned t = 0; t < MODEL_TENANTS; t++) {
        n->buried[t] = n->buried[t] || b->from.buried[t];
        for (uint32_t v = 1; v < MODEL_VERSIONS; v++) {
            enum model_key *held = &n->held[t][v];
            if (*held == MODEL_DESTROYED) {
                continue;
            }
            if (n->buried[t]) {
                *held = *held == MODEL_ALIVE ? MODEL_DESTROYED : MODEL_NONE;
            } else {
                *held = b->from.keys[t][v] == MODEL_ALIVE && model_serves(n, t) ? MODEL_ALIVE
                                                                                : MODEL_NONE;
            }
        }
        n->newest[t] = !n->buried[t] && model_serves(n, t) ? b->from.newest[t] : 0;
    }
    for (unsigned f = 0; f < MODEL_FLOORS; f++) {
        n->floors[f] = n->floors[f] > b->from.floors[f] ? n->floors[f] : b->from.floors[f];
    }
    n->trusts |= b->successor != 0 ? 1u << b->successor : 0;
    n->distrusts |= b->retired & n->trusts;
    n->taken = b->version;
}

aril_status model_apply(struct model_node *n, unsigned number, const struct model_bundle *b,
                        uint64_t now_s, bool *ret_changed)
{
    *ret_changed = false;
    if ((n->trusts & 1u << b->signer) == 0) {
        return ARIL_E_TRUST_AUTHORITY;
    }
    if ((n->distrusts & 1u << b->signer) != 0 || b->revokes[number]) {
        return ARIL_E_TRUST_REVOKED;
    }
    if (b->version < n->taken) {
        return ARIL_E_REPLAY_ROLLBACK;
    }
    if (now_s >= b->expires_s) {
        return ARIL_E_EXPIRED_BUNDLE;
    }
    if (b->version == n->taken) {
        return ARIL_OK;
    }
    if (!b->serves[number]) {
        return ARIL_E_NOT_FOUND;
    }
    take(n, b);
    *ret_changed = true;
    return ARIL_OK;
}

aril_status model_node_opens(const struct model_node *n, unsigned tenant, uint32_t version)
{
    switch (n->held[tenant][version]) {
    case MODEL_ALIVE:
        return ARIL_OK;
    case MODEL_DESTROYED:
        return ARIL_E_KEY_DESTROYED;
    case MODEL_NONE:
    case MODEL_RETIRED:
        break;
    }
    return ARIL_E_KEY_UNKNOWN;
}

aril_status model_node_seals(const struct model_node *n, unsigned tenant)
{
    if (n->buried[tenant]) {
        return ARIL_E_KEY_DESTROYED;
    }
    return n->newest[tenant] > 0 ? ARIL_OK : ARIL_E_NOT_FOUND;
}

aril_status model_opens(const struct model_authority *a, unsigned tenant, uint32_t version)
{
    static const aril_status answers[] = { ARIL_E_KEY_UNKNOWN, ARIL_OK, ARIL_E_KEY_RETIRED,
                                           ARIL_E_KEY_DESTROYED };
    return answers[a->keys[tenant][version]];
}

aril_status model_seals(const struct model_authority *a, unsigned tenant)
{
    if (a->buried[tenant]) {
        return ARIL_E_KEY_DESTROYED;
    }
    return a->newest[tenant] > 0 ? ARIL_OK : ARIL_E_NOT_FOUND;
}
