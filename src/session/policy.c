/* SPDX-License-Identifier: Apache-2.0 */
#include "session/policy.h"
#include "base/ensure.h"
#include "record/chain.h"

#define THIRTY_DAYS_S 2592000u

static uint64_t or_default(uint64_t value, uint64_t def)
{
    return value != 0 ? value : def;
}

aril_status arili_policy_complete(const aril_policy *in, aril_policy *ret)
{
    const aril_policy p = in != NULL ? *in : (aril_policy){ 0 };
    const aril_policy full = {
        .rotate_records = or_default(p.rotate_records, 100000),
        .rotate_bytes = or_default(p.rotate_bytes, ARILI_EPOCH_BYTES_MAX),
        .rotate_after_s = (uint32_t)or_default(p.rotate_after_s, 300),
        .ttl_s = (uint32_t)or_default(p.ttl_s, 900),
        .readable_epochs = (uint32_t)or_default(p.readable_epochs, 16),
    };
    ARILI_ENSURE(full.rotate_records <= ARILI_EPOCH_RECORDS_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(full.rotate_bytes <= ARILI_EPOCH_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(full.rotate_after_s <= THIRTY_DAYS_S, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(full.ttl_s <= THIRTY_DAYS_S, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(full.readable_epochs <= 1024, ARIL_E_USAGE_RANGE);
    *ret = full;
    return ARIL_OK;
}
