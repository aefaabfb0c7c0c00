/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_DEMO_WORLD_H
#define ARIL_CMD_DEMO_WORLD_H
#include "demo_engine.h"
#include "demo_report.h"
#include "demo_state.h"
#include <aril/aril.h>

/* Everything that the demo sets up, and the parts of its story. Each part returns false
 * when the demo cannot go on; a check that failed is no reason to stop. */

#define DEMO_TENANTS    2u
#define DEMO_ALICE      0u
#define DEMO_BOB        1u
#define DEMO_PROMPT_MAX 320u
#define DEMO_STEPS      16u /* tokens that are decoded after a restore */
#define DEMO_TOKENS_MAX (DEMO_PROMPT_MAX + 2 * DEMO_STEPS)

struct demo_tenant {
    const char *name;
    uint64_t slot;        /* of the serving engine */
    aril_session *client; /* the tenant's own end */
    aril_tenant *held;    /* its place in the server's registry */
    aril_kv *kv;          /* the server's view; borrowed from held */
    int32_t tokens[DEMO_TOKENS_MAX];
    size_t prompt_tokens;
    void *context; /* of the engine, after the restore */
    struct demo_sealed sealed;
};

struct demo_world {
    struct demo_report *report;
    struct demo_engine engine;
    bool engine_open;
    uint64_t seed;
    aril_audit_memory *audit;
    aril_runtime *rt;
    aril_identity *server, *alice, *stranger;
    char server_did[ARIL_DID_BYTES_MAX];
    aril_trust *trust; /* of the server: knows alice */
    uint8_t tag_key[32];
    char model[64];
    aril_tenants *tenants;
    struct demo_tenant tenant[DEMO_TENANTS];
    double establish_ms;      /* alice's session, all three messages */
    uint64_t foreign_records; /* isolation violations that the audit must show */
};

static inline aril_bytes demo_text(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, __builtin_strlen(text) };
}

/* The view of the demo's model: what is bound to every record. */
aril_kv_config demo_kv_config(const struct demo_world *w);

/* demo_setup.c: identities, the registry, the two sessions. */
bool demo_setup(struct demo_world *w);
void demo_teardown(struct demo_world *w);
/* Ask the server for a session; the offer may be changed on its way. */
aril_status demo_ask(struct demo_world *w, const aril_offer_config *offer, const char *vouched,
                     void (*change)(uint8_t *offer, size_t len));

/* demo_serve.c: decode, seal, drop, restore, compare. */
bool demo_serve(struct demo_world *w);
/* Decode the next step of a tenant, seal its state again; what was sealed before comes
 * out in *ret_older. */
bool demo_serve_more(struct demo_world *w, struct demo_tenant *t, struct demo_sealed *ret_older);
/* Load a plaintext state with one bit flipped into the bare engine. */
bool demo_flip_bare(struct demo_world *w, const struct demo_tenant *t, size_t at, uint8_t bit,
                    bool *ret_accepted, unsigned *ret_different);

/* demo_attacks.c, demo_peers.c, demo_keys.c, demo_figures.c */
bool demo_attacks(struct demo_world *w);
bool demo_peers(struct demo_world *w);
bool demo_keys(struct demo_world *w);
bool demo_figures(struct demo_world *w);
#endif
