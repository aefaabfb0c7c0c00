/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_SHRED_H
#define ARILI_KEYRING_SHRED_H
#include "keyring/change.h"

/* What is left to do for one TOMBSTONE row; the tenant is borrowed from it. */
ARIL_MUST_USE aril_status arili_shred_describe(const struct arili_rowset *set,
                                               const struct arili_row *tombstone,
                                               aril_shred_info *ret);
/* Destroy every key of a tenant in a change, and count them. */
ARIL_MUST_USE aril_status arili_shred_keys(struct arili_change *ch, aril_bytes tenant,
                                           uint32_t *ret_count);
#endif
