/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FLEET_MODEL_H
#define ARIL_TESTS_FLEET_MODEL_H
/*
 * What an authority and its nodes must know, without any cryptography: which versions of which data
 * key live where, who is enrolled and revoked, whose bundles a node believes. The test of the same
 * name runs it beside the library.
 */
#include <aril/base.h>
#include <stdbool.h>
#include <stdint.h>

#define MODEL_TENANTS  10u
#define MODEL_VERSIONS 96u /* of one data key; from 1 */
#define MODEL_NODES    20u
#define MODEL_SIGNERS  16u /* versions of the authority's key; from 1 */
#define MODEL_FLOORS   3u

/* Of a key at the authority. Nodes only know ALIVE and DESTROYED. */
enum model_key { MODEL_NONE = 0, MODEL_ALIVE = 1, MODEL_RETIRED = 2, MODEL_DESTROYED = 3 };

struct model_node {
    bool is_made, enrolled, revoked; /* as the authority has it */
    bool all;                        /* gets every tenant */
    bool scope[MODEL_TENANTS];
    uint64_t confirmed; /* by receipts that arrived */
    /* What the node itself knows. */
    uint64_t taken;             /* version of its bundle */
    uint32_t trusts, distrusts; /* bits of signer versions */
    enum model_key held[MODEL_TENANTS][MODEL_VERSIONS];
    uint32_t newest[MODEL_TENANTS]; /* 0: nothing seals */
    bool buried[MODEL_TENANTS];
    uint64_t floors[MODEL_FLOORS];
};

struct model_authority {
    enum model_key keys[MODEL_TENANTS][MODEL_VERSIONS];
    uint32_t newest[MODEL_TENANTS]; /* 0: the tenant does not exist */
    bool buried[MODEL_TENANTS];
    enum model_key signers[MODEL_SIGNERS];
    uint32_t signer; /* the newest */
    uint64_t version;
    uint64_t floors[MODEL_FLOORS];
};

/* A bundle that was written. */
struct model_bundle {
    uint64_t version, expires_s;
    uint32_t signer, successor, retired; /* retired: bits */
    struct model_authority from;
    bool serves[MODEL_NODES], revokes[MODEL_NODES];
};

void model_rotate(struct model_authority *a, unsigned tenant);
void model_shred(struct model_authority *a, unsigned tenant);
bool model_serves(const struct model_node *n, unsigned tenant);
/* Number of data keys that a revocation rotates. */
unsigned model_revoke(struct model_authority *a, struct model_node *n);
/* Count up and fill *ret. */
void model_bundle_write(struct model_authority *a, const struct model_node *nodes,
                        uint64_t expires_s, struct model_bundle *ret);
/* What a node says to an undamaged bundle; on ARIL_OK it has taken it. */
aril_status model_apply(struct model_node *n, unsigned number, const struct model_bundle *b,
                        uint64_t now_s, bool *ret_changed);
/* Whether a node opens what was sealed with a key, and seals for a tenant. */
aril_status model_node_opens(const struct model_node *n, unsigned tenant, uint32_t version);
aril_status model_node_seals(const struct model_node *n, unsigned tenant);
aril_status model_opens(const struct model_authority *a, unsigned tenant, uint32_t version);
aril_status model_seals(const struct model_authority *a, unsigned tenant);
#endif
