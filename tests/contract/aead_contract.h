/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_AEAD_CONTRACT_H
#define ARIL_TESTS_AEAD_CONTRACT_H
#include "crypto/crypto.h"

/* What the AEAD part of every table of primitives promises (crypto/crypto.h). Runs all
 * tests against c, which is borrowed, and returns how many failed. */
int aead_contract_run(const char *name, const struct arili_crypto *c);
/* And of messages in pieces. */
int aead_pieces_contract_run(const char *name, const struct arili_crypto *c);
#endif
