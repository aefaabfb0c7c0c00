/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_SESSION_TRANSCRIPT_H
#define ARILI_SESSION_TRANSCRIPT_H
#include "base/bytes.h"
#include "crypto/hpke.h"
#include "crypto/profile.h"

/* What both ends compute over the messages, docs/FORMAT.md section 5.4. */

/* Secrets of a handshake, in a secure cell. */
struct arili_agreement {
    uint8_t secret[ARILI_HASH_BYTES_MAX];  /* the session secret */
    uint8_t confirm[ARILI_HASH_BYTES_MAX]; /* MAC that the tenant sends */
};

#define ARILI_OFFER_CONTEXT  ARILI_LITERAL("aril session offer v1")
#define ARILI_ACCEPT_CONTEXT ARILI_LITERAL("aril session accept v1")

struct arili_digest {
    uint8_t bytes[ARILI_HASH_BYTES_MAX];
    size_t len;
};

/* info of HPKE: label || H(offer). ret has room for 64 bytes. */
ARIL_MUST_USE aril_status arili_transcript_info(const struct arili_crypto *c,
                                                const struct arili_profile *p, aril_bytes offer,
                                                uint8_t ret[64], size_t *ret_len);
/* T = H(len(offer) || offer || len(core) || core), lengths in 4 bytes. */
ARIL_MUST_USE aril_status arili_transcript_hash(const struct arili_crypto *c,
                                                const struct arili_profile *p, aril_bytes offer,
                                                aril_bytes accept_core, struct arili_digest *ret);
/* Session secret and both MACs from the HPKE context. ret_server_mac is the server's. */
ARIL_MUST_USE aril_status arili_transcript_agree(const struct arili_hpke_ctx *hpke,
                                                 const struct arili_profile *p,
                                                 const struct arili_digest *t,
                                                 struct arili_agreement *ret,
                                                 struct arili_digest *ret_server_mac);
/* Tenant tag: the first 8 bytes of HMAC-SHA-384(tag key, label || tenant id). */
ARIL_MUST_USE aril_status arili_tenant_tag(const struct arili_crypto *c, aril_bytes tag_key,
                                           aril_bytes tenant_id, uint64_t *ret);
#endif
