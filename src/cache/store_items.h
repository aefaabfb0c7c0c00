/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORE_ITEMS_H
#define ARILI_CACHE_STORE_ITEMS_H
#include <aril/store.h>

/* What is checked of items before a backend sees them, and of its answers afterwards. */
enum arili_items_kind { ARILI_ITEMS_GET, ARILI_ITEMS_PUT, ARILI_ITEMS_NAMES };

/* ARIL_E_USAGE (class), or ARIL_E_UNAVAILABLE for a guarded put without locks. */
ARIL_MUST_USE aril_status arili_items_check(enum arili_items_kind kind, uint32_t capabilities,
                                            const aril_store_item *items, size_t count,
                                            const char *shown, aril_error *error);
/* Sets every result to nothing, and the status. */
void arili_items_fail(aril_store_item *items, size_t count, aril_status st);
/* After a get that failed as a whole: what came into the callers' buffers until then. */
void arili_items_wipe(enum arili_items_kind kind, aril_store_item *items, size_t count);

struct arili_items_sum {
    size_t count, unanswered;
    aril_status first_failure; /* of one without an answer; ARIL_OK: there is none */
};
/* Corrects items whose answers can not be. */
struct arili_items_sum arili_items_judge(enum arili_items_kind kind, aril_store_item *items,
                                         size_t count);
#endif
