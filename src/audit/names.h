/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_AUDIT_NAMES_H
#define ARILI_AUDIT_NAMES_H
#include <aril/audit.h>

/* As they stand in the JSON; never NULL. Kinds: aril_event_kind_name(). */
const char *arili_rotate_reason_name(aril_rotate_reason reason);
const char *arili_direction_name(aril_direction direction);
#endif
