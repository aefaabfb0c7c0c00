/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_AUDIT_MEMORY_H
#define ARILI_AUDIT_MEMORY_H
#include <aril/audit.h>
#include <stdbool.h>

struct arili_audit_slot;

/* The matching events and the totals of one moment. All zero is empty. */
struct arili_audit_copy {
    struct arili_audit_slot *slots; /* owned, oldest first */
    size_t count;
    aril_audit_totals totals;
};

/* filter NULL: all events. *ret is empty on failure; end it with _done(). */
ARIL_MUST_USE aril_status arili_audit_copy_new(const aril_audit_memory *memory,
                                               const aril_audit_filter *filter,
                                               struct arili_audit_copy *ret);
/* The event points into the copy. */
aril_event arili_audit_copy_event(const struct arili_audit_copy *copy, size_t index);
void arili_audit_copy_done(struct arili_audit_copy *copy);
#endif
