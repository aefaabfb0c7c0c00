/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_world.h"

/* Where an offer has its nonce, docs/FORMAT.md section 5. */
#define OFFER_NONCE 8u

static void flip_nonce(uint8_t *offer, size_t len)
{
    if (len > OFFER_NONCE) {
        offer[OFFER_NONCE] ^= 1;
    }
}

static void flip_signature(uint8_t *offer, size_t len)
{
    offer[len - 1] ^= 1;
}

bool demo_peers(struct demo_world *w)
{
    struct demo_report *r = w->report;
    aril_offer_config offer = {
        .tenant_id = demo_text("alice"),
        .identity = w->alice,
        .server_did = w->server_did,
    };
    demo_section(r, "Whoever wants to be a tenant tries");
    demo_check(r, "alice's offer, changed on its way", ARIL_E_AUTH,
               demo_ask(w, &offer, NULL, flip_nonce), "one bit of what she signed");
    demo_check(r, "alice's offer, signature damaged", ARIL_E_AUTH,
               demo_ask(w, &offer, NULL, flip_signature), "one bit of the signature");
    offer.identity = w->stranger;
    demo_check(r, "an offer as alice, by a stranger's key", ARIL_E_TRUST_UNKNOWN,
               demo_ask(w, &offer, NULL, NULL), "the name alone proves nothing");
    offer.identity = NULL;
    demo_check(r, "an offer as alice, over bob's connection", ARIL_E_AUTH,
               demo_ask(w, &offer, "bob", NULL), "the transport vouches for bob only");
    offer.tenant_id = demo_text("bob");
    offer.profile = ARIL_PROFILE_ML_KEM_768;
    demo_check(r, "bob offers a profile without X25519", ARIL_E_PROFILE,
               demo_ask(w, &offer, "bob", NULL), "this server takes hybrid, nothing falls back");
    return true;
}
