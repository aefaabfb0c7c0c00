/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_KEYSTORE_H
#define ARILI_KEYRING_KEYSTORE_H
#include "keyring/stores/store.h"

/* A keystore over a store that a test made. Takes the state over, also on failure. The deadline
 * is around it like around any other. */
ARIL_MUST_USE aril_status arili_keystore_new_over(aril_runtime *rt, struct arili_store store,
                                                  uint32_t deadline_ms, aril_keystore **ret,
                                                  aril_error *error);
/* aril_keystore_open() with a backend of a test, whatever the URI's scheme. rt and config are
 * checked already. */
ARIL_MUST_USE aril_status arili_keystore_open_with(aril_runtime *rt,
                                                   const struct arili_store_ops *ops,
                                                   const aril_keystore_config *config,
                                                   aril_keystore **ret, aril_error *error);
/* The calls of the port on a keystore: one at a time, each within the deadline. After a TIMEOUT
 * the keystore is given up: every later call is a TIMEOUT at once. */
const aril_keystore_info *arili_keystore_info(const aril_keystore *ks);
ARIL_MUST_USE aril_status arili_keystore_seal(aril_keystore *ks,
                                              const struct arili_store_place *place,
                                              const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                                              uint8_t *ret_blob, size_t cap, size_t *ret_len,
                                              aril_error *error);
ARIL_MUST_USE aril_status arili_keystore_unseal(aril_keystore *ks,
                                                const struct arili_store_place *place,
                                                aril_bytes blob,
                                                uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                                aril_error *error);
ARIL_MUST_USE aril_status arili_keystore_destroy(aril_keystore *ks,
                                                 const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                                 aril_error *error);
ARIL_MUST_USE aril_status arili_keystore_counter_create(aril_keystore *ks,
                                                        const uint8_t seed[ARILI_STORE_SLOT_BYTES],
                                                        struct arili_store_counter *ret_counter,
                                                        uint64_t *ret_value, aril_error *error);
ARIL_MUST_USE aril_status arili_keystore_counter_read(aril_keystore *ks,
                                                      const struct arili_store_counter *counter,
                                                      uint64_t *ret_value, aril_error *error);
ARIL_MUST_USE aril_status
arili_keystore_counter_increment(aril_keystore *ks, const struct arili_store_counter *counter,
                                 uint64_t *ret_value, aril_error *error);
ARIL_MUST_USE aril_status arili_keystore_counter_destroy(aril_keystore *ks,
                                                         const struct arili_store_counter *counter,
                                                         aril_error *error);
#endif
