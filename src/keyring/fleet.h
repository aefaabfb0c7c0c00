/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_FLEET_H
#define ARILI_KEYRING_FLEET_H
#include "base/bytes.h"
#include "format/fleet.h"
#include "keyring/keys.h"

/* What an authority and its nodes share. */

#define ARILI_CARD_CONTEXT    ARILI_LITERAL("aril node card v1")
#define ARILI_RECEIPT_CONTEXT ARILI_LITERAL("aril node receipt v1")
#define ARILI_BUNDLE_CONTEXT  ARILI_LITERAL("aril keyring bundle v1")

/* SHA-256 of both public keys. */
ARIL_MUST_USE aril_status arili_node_id(const struct arili_crypto *c, aril_bytes kem_public,
                                        aril_bytes sign_public, uint8_t ret[ARIL_NODE_ID_BYTES]);
/* The NODE key of a node's keyring and its halves; borrowed from the row. */
ARIL_MUST_USE aril_status arili_node_key(const aril_keyring *kr, const struct arili_rowset *set,
                                         const struct arili_key **ret, aril_bytes *ret_kem,
                                         aril_bytes *ret_sign);
ARIL_MUST_USE aril_status arili_node_put(struct arili_change *ch,
                                         const uint8_t id[ARIL_NODE_ID_BYTES],
                                         const struct arili_node_row *row);
/* A node takes the floors of a bundle over; those that stand higher here stay (floor.c). */
ARIL_MUST_USE aril_status arili_floors_take(struct arili_change *ch, const struct arili_bundle *b);
/* Whether a node gets the keys of a tenant. */
bool arili_node_serves(const struct arili_node_row *node, aril_bytes tenant);
/* HPKE info of a node's section: label || keyring id || u64 version || node id. */
#define ARILI_BUNDLE_INFO_BYTES (22u + ARILI_KEYRING_ID_BYTES + 8u + ARIL_NODE_ID_BYTES)
void arili_bundle_info_write(const struct arili_bundle *b, const uint8_t node[ARIL_NODE_ID_BYTES],
                             uint8_t ret[ARILI_BUNDLE_INFO_BYTES]);
#endif
