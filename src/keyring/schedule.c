/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/schedule.h"
#include "base/ensure.h"
#include <stddef.h>

#define DAY_S      UINT64_C(86400)
#define LEAD_S_MAX 86400u

aril_status arili_key_policy_complete(const aril_key_policy *in, aril_key_policy *ret)
{
    static const struct {
        size_t offset;
        uint32_t most; /* and the default */
    } members[] = {
        { offsetof(aril_key_policy, root_days), 365 },
        { offsetof(aril_key_policy, tenant_days), 365 },
        { offsetof(aril_key_policy, data_days), 90 },
        { offsetof(aril_key_policy, api_days), 30 },
        { offsetof(aril_key_policy, bundle_days), 7 },
    };
    aril_key_policy p = in != NULL ? *in : (aril_key_policy){ 0 };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        uint32_t *days = (uint32_t *)(void *)((char *)&p + members[i].offset);
        *days = *days != 0 ? *days : members[i].most;
        ARILI_ENSURE(*days <= members[i].most, ARIL_E_USAGE_RANGE);
    }
    ARILI_ENSURE(p.lead_s <= LEAD_S_MAX, ARIL_E_USAGE_RANGE);
    p.overdue_refuses = p.overdue_refuses != 0;
    *ret = p;
    return ARIL_OK;
}

static uint32_t period_days(const aril_key_policy *policy, aril_key_purpose purpose)
{
    switch (purpose) {
    case ARIL_KEY_ROOT:
    case ARIL_KEY_AUTHORITY:
    case ARIL_KEY_NODE:
        return policy->root_days;
    case ARIL_KEY_TENANT:
        return policy->tenant_days;
    case ARIL_KEY_DATA:
        return policy->data_days;
    case ARIL_KEY_API:
        return policy->api_days;
    case ARIL_KEY_MODEL:  /* one for each version of a model */
    case ARIL_KEY_NAME:   /* a new one makes every cached value a miss: by hand */
    case ARIL_KEY_LEGACY: /* seals nothing */
        break;
    }
    return 0;
}

void arili_schedule_dates(const aril_key_policy *policy, uint64_t now_s, uint64_t activates_s,
                          struct arili_key_row *said)
{
    const uint64_t period_s = period_days(policy, said->purpose) * DAY_S;
    said->created_s = now_s;
    said->activates_s = activates_s;
    said->changed_s = now_s;
    said->rotate_by_s = period_s != 0 ? activates_s + period_s : 0;
    said->not_after_s = period_s != 0 ? activates_s + 2 * period_s : 0;
}

bool arili_schedule_is_active(const struct arili_key_row *said, uint64_t now_s)
{
    return (said->state == ARIL_KEY_ACTIVE || said->state == ARIL_KEY_PENDING) &&
           said->activates_s <= now_s;
}

aril_key_due arili_schedule_due(const struct arili_key_row *said, uint64_t now_s)
{
    if (!arili_schedule_is_active(said, now_s) || said->rotate_by_s == 0) {
        return ARIL_KEY_NOT_DUE;
    }
    if (said->not_after_s != 0 && now_s >= said->not_after_s) {
        return ARIL_KEY_ENDED;
    }
    if (now_s >= said->rotate_by_s) {
        return ARIL_KEY_OVERDUE;
    }
    const uint64_t period_s =
        said->rotate_by_s > said->activates_s ? said->rotate_by_s - said->activates_s : 0;
    return said->rotate_by_s - now_s <= period_s / 10 ? ARIL_KEY_DUE : ARIL_KEY_NOT_DUE;
}

aril_status arili_schedule_may_seal(const struct arili_key_row *said, const aril_key_policy *policy,
                                    uint64_t now_s)
{
    ARILI_ENSURE(arili_schedule_is_active(said, now_s), ARIL_E_KEY_INACTIVE);
    switch (arili_schedule_due(said, now_s)) {
    case ARIL_KEY_ENDED:
        ARILI_FAIL(ARIL_E_KEY_OVERDUE);
    case ARIL_KEY_OVERDUE:
        ARILI_ENSURE(!policy->overdue_refuses, ARIL_E_KEY_OVERDUE);
        return ARIL_OK;
    case ARIL_KEY_DUE:
    case ARIL_KEY_NOT_DUE:
        break;
    }
    return ARIL_OK;
}
