/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_SCHEDULE_H
#define ARILI_KEYRING_SCHEDULE_H
#include "format/keyring.h"
#include <stdbool.h>

/* Dates of keys, after HIP-5: policies may be tighter than its table, not looser. */

/* Fill defaults in; USAGE_RANGE when a member is looser than its default. in may be NULL. */
ARIL_MUST_USE aril_status arili_key_policy_complete(const aril_key_policy *in,
                                                    aril_key_policy *ret);
/* created, activates, rotate by and not after of a key that is made now. */
void arili_schedule_dates(const aril_key_policy *policy, uint64_t now_s, uint64_t activates_s,
                          struct arili_key_row *said);
/* Whether it is active, or pending and its time has come. Of several versions the newest counts. */
bool arili_schedule_is_active(const struct arili_key_row *said, uint64_t now_s);
/* How it stands at a time. Keys that are not active are never due. */
aril_key_due arili_schedule_due(const struct arili_key_row *said, uint64_t now_s);
/* ARIL_OK, KEY_OVERDUE or KEY_INACTIVE: whether it may seal now. */
ARIL_MUST_USE aril_status arili_schedule_may_seal(const struct arili_key_row *said,
                                                  const aril_key_policy *policy, uint64_t now_s);
#endif
