/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/report.h"
#include "base/clock.h"

void arili_audit_emit(const aril_audit_sink *sink, const aril_clock *clock, aril_event *event)
{
    if (sink == NULL) {
        return;
    }
    const aril_clock *from = clock != NULL ? clock : &arili_clock_system;
    if (from->boot_ns(from->state, &event->boot_ns) != ARIL_OK) {
        event->boot_ns = 0;
    }
    if (from->unix_s(from->state, &event->unix_s) != ARIL_OK) {
        event->unix_s = 0;
    }
    sink->event(sink->state, event);
}
