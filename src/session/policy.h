/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_SESSION_POLICY_H
#define ARILI_SESSION_POLICY_H
#include <aril/session.h>

/* Fill defaults in and check ranges; ARIL_E_USAGE_RANGE. in may be NULL. */
ARIL_MUST_USE aril_status arili_policy_complete(const aril_policy *in, aril_policy *ret);
#endif
