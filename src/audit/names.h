/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_AUDIT_NAMES_H
#define ARILI_AUDIT_NAMES_H
#include <aril/audit.h>

/* As they stand in the JSON; never NULL. Kinds: aril_event_kind_name(). */
const char *arili_rotate_reason_name(aril_rotate_reason reason);
const char *arili_direction_name(aril_direction direction);
/* Of an event's key; 0 is "none". The words of aril/keyring.h, whose functions stand above this
 * folder. */
const char *arili_event_purpose_name(uint8_t purpose);
const char *arili_event_state_name(uint8_t state);
#endif
