/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_HPKE_CHANNEL_H
#define ARIL_TESTS_HPKE_CHANNEL_H
#include "crypto/hpke.h"

/* A fresh key of the OpenSSL provider; ends the running test on failure. */
struct arili_hpke_key *hpke_key_new(enum arili_hpke_kem kem);

/* Both ends of one HPKE context, set up with info "info". */
struct hpke_channel {
    struct arili_hpke_key *key;
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    struct arili_hpke_ctx tx;
    struct arili_hpke_ctx rx;
};
/* psk NULL is mode base. */
void hpke_channel_open(struct hpke_channel *ch, struct arili_hpke_suite suite,
                       const struct arili_hpke_psk *psk);
/* Also checks that both contexts are wiped. */
void hpke_channel_close(struct hpke_channel *ch);

/* One suite of each KEM; the first is the default profile's. */
#define HPKE_SUITES 4u
extern const struct arili_hpke_suite hpke_suites[HPKE_SUITES];
/* 32 bytes with an id. */
extern const struct arili_hpke_psk hpke_test_psk;
#endif
