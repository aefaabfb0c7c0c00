/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_ROTATION_H
#define ARILI_KEYRING_ROTATION_H
#include "keyring/keys.h"

/*
 * Replacing a key-encryption key. A ROTATION row names the old and the new one, which is pending;
 * STAGED rows collect the children's new wraps, some hundred in a change; the last change puts
 * everything in place at once. Whatever ends in between goes on here. Under the slow lock, outside
 * of a change.
 */

/* Whether a rotation of that slot was begun and can be ended: one of a root that has no blob yet
 * can only be given up. */
ARIL_MUST_USE aril_status arili_rotation_pending(aril_keyring *kr, const aril_key_slot *slot,
                                                 bool *ret_pending, aril_error *error);
/* End rotations that were begun, by this process or another. */
ARIL_MUST_USE aril_status arili_rotation_finish(aril_keyring *kr, aril_error *error);
/* aril_keyring_retire() of somebody who holds the lock (rotate.c). */
ARIL_MUST_USE aril_status arili_keyring_retire_locked(aril_keyring *kr,
                                                      const uint8_t id[ARIL_KEY_ID_BYTES],
                                                      bool destroy, aril_error *error);
/* Replace the active ROOT, TENANT or MODEL key of a slot. */
ARIL_MUST_USE aril_status arili_rotation_run(aril_keyring *kr, const aril_key_slot *slot,
                                             aril_error *error);
#endif
