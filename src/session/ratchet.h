/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_SESSION_RATCHET_H
#define ARILI_SESSION_RATCHET_H
#include "crypto/crypto.h"
#include "record/chain.h"

/*
 * Key derivation of sessions, docs/FORMAT.md section 4. All of it is HKDF-Expand with the
 * profile's hash; every derivation has its own label, and labels end with the direction and
 * the epoch where there are such.
 */

/* The ratchet of a direction at epoch 0, from the session secret. */
ARIL_MUST_USE aril_status arili_ratchet_begin(const struct arili_crypto *c, enum arili_hash hash,
                                              const uint8_t *secret, aril_direction direction,
                                              struct arili_ratchet *ret);
/* Keys and key id of epoch r->number. */
ARIL_MUST_USE aril_status arili_ratchet_keys(const struct arili_crypto *c, enum arili_hash hash,
                                             aril_direction direction,
                                             const struct arili_ratchet *r,
                                             struct arili_epoch_keys *ret_keys,
                                             uint8_t ret_key_id[ARILI_KEY_ID_BYTES]);
/* One epoch forward; the older secret is overwritten. On failure r is unchanged. */
ARIL_MUST_USE aril_status arili_ratchet_advance(const struct arili_crypto *c, enum arili_hash hash,
                                                aril_direction direction, struct arili_ratchet *r);
#endif
