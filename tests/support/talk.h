/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_TALK_H
#define ARIL_TESTS_TALK_H
#include "fixture.h"

/* A handshake step by step, with every message at hand. Must stay where it is. */
struct message {
    uint8_t bytes[ARIL_HANDSHAKE_BYTES_MAX];
    size_t len;
};
struct talk {
    struct world *w;
    aril_trust *trust;
    char did[ARIL_DID_BYTES_MAX];
    aril_offer_config offer_config; /* tests may change both before the steps */
    aril_accept_config accept_config;
    aril_handshake *tenant_hs, *server_hs;
    struct message offer, accept, confirm;
    aril_session *tenant, *server;
};

/* Tenant "tenant", signed by identity 1 that the server trusts under this name, or vouched
 * for; the server is identity 0 and accepts this profile only. */
void talk_init(struct talk *t, struct world *w, aril_profile profile, bool is_signed);
void talk_done(struct talk *t);

/* Single steps; a handshake of an earlier try is freed. */
aril_status talk_offer(struct talk *t);
aril_status talk_accept(struct talk *t);
aril_status talk_finish(struct talk *t);
aril_status talk_confirm(struct talk *t);
/* Steps up to one of them, which must succeed. */
enum talk_step { TALK_OFFER, TALK_ACCEPT, TALK_FINISH, TALK_CONFIRM };
void talk_until(struct talk *t, enum talk_step last);

/* A message as it goes over the wire. */
aril_bytes wire(const struct message *m);

/* Seals at one end and opens at the other, in both directions, and does not open what was
 * reflected. */
void assert_ends_agree(aril_session *tenant, aril_session *server);
#endif
