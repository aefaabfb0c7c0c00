/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_RECOVERY_H
#define ARILI_KEYRING_RECOVERY_H
#include "keyring/change.h"

/* The recovery recipient of a keyring: an ML-KEM-1024 key pair whose secret is kept offline. */

/* Put the RECOVERY row: the root's payload for that recipient. */
ARIL_MUST_USE aril_status arili_recovery_put(struct arili_change *ch, aril_bytes recipient,
                                             const uint8_t root[ARIL_KEY_ID_BYTES],
                                             const struct arili_payload *payload);
/* The same for the recipient that is there already; nothing when there is none. */
ARIL_MUST_USE aril_status arili_recovery_renew(struct arili_change *ch,
                                               const uint8_t root[ARIL_KEY_ID_BYTES],
                                               const struct arili_payload *payload);
/* Read the public recipient of a file into ret. */
ARIL_MUST_USE aril_status arili_recipient_load(const char *path,
                                               uint8_t ret[ARILI_ML_KEM_1024_PUBLIC_BYTES],
                                               aril_error *error);
/* Make a recovery key and write its secret to path, which must not exist. */
ARIL_MUST_USE aril_status arili_recovery_new(aril_runtime *rt, const char *path,
                                             uint8_t ret_public[ARILI_ML_KEM_1024_PUBLIC_BYTES],
                                             aril_error *error);
#endif
