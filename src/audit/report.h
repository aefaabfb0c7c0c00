/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_AUDIT_REPORT_H
#define ARILI_AUDIT_REPORT_H
#include <aril/audit.h>
#include <aril/runtime.h>

/* Fill the times of *event from clock (NULL: the system's) and hand it to sink. A
 * NULL sink is fine and costs no clock read. A clock that fails leaves its time 0:
 * an event without a time is better than none. */
void arili_audit_emit(const aril_audit_sink *sink, const aril_clock *clock, aril_event *event);
#endif
