/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_HANDSHAKE_H
#define ARILI_FORMAT_HANDSHAKE_H
#include <aril/session.h>
#include <stdbool.h>

/*
 * Offer, accept and confirm, docs/FORMAT.md section 5. Every message begins with
 *   0 "aril"   4 type   5 version 1   6 profile   7 flags
 * Variable fields carry a 16-bit length. Spans in the structs are borrowed from the
 * message. Parsers check form and lengths that the format fixes; which length a key or
 * signature has is a matter of the profile and is checked by the caller.
 */
#define ARILI_HANDSHAKE_NONCE_BYTES 32u
#define ARILI_HANDSHAKE_VERSION     1u

struct arili_offer {
    aril_profile profile;
    bool is_signed;
    uint8_t nonce[ARILI_HANDSHAKE_NONCE_BYTES];
    aril_bytes tenant_id;
    aril_bytes kem_public;
    aril_bytes sign_public;  /* empty unless signed */
    aril_bytes signature;    /* empty unless signed */
    aril_bytes to_be_signed; /* parse only: the message up to its signature */
};

struct arili_accept {
    aril_profile profile;
    uint8_t session_id[ARIL_SESSION_ID_BYTES];
    uint64_t tenant_tag;
    uint64_t created_unix_s; /* for people; no decision rests on it */
    aril_policy policy;      /* complete: no member is 0 */
    aril_bytes sign_public;
    aril_bytes enc;
    aril_bytes mac;
    aril_bytes signature;
    aril_bytes core; /* parse only: the message up to its MAC */
};

struct arili_confirm {
    aril_profile profile;
    uint8_t session_id[ARIL_SESSION_ID_BYTES];
    aril_bytes mac;
};

ARIL_MUST_USE aril_status arili_offer_parse(aril_bytes in, struct arili_offer *ret);
ARIL_MUST_USE aril_status arili_accept_parse(aril_bytes in, struct arili_accept *ret);
ARIL_MUST_USE aril_status arili_confirm_parse(aril_bytes in, struct arili_confirm *ret);

/* The part that is signed or MACed, and the whole. Both take all fields from m; the
 * first leaves signature (offer) or MAC and signature (accept) out. */
ARIL_MUST_USE aril_status arili_offer_write_core(const struct arili_offer *m, uint8_t *ret,
                                                 size_t cap, size_t *ret_len);
ARIL_MUST_USE aril_status arili_offer_write(const struct arili_offer *m, uint8_t *ret, size_t cap,
                                            size_t *ret_len);
ARIL_MUST_USE aril_status arili_accept_write_core(const struct arili_accept *m, uint8_t *ret,
                                                  size_t cap, size_t *ret_len);
ARIL_MUST_USE aril_status arili_accept_write(const struct arili_accept *m, uint8_t *ret, size_t cap,
                                             size_t *ret_len);
ARIL_MUST_USE aril_status arili_confirm_write(const struct arili_confirm *m, uint8_t *ret,
                                              size_t cap, size_t *ret_len);
#endif
