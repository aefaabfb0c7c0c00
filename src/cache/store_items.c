/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store_items.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <stdbool.h>

static aril_status check_value(const aril_store_item *item, const char *shown, aril_error *error)
{
    ARILI_ENSURE(item->parts != NULL || item->part_count == 0, ARIL_E_USAGE_NULL);
    size_t left = ARIL_STORE_VALUE_BYTES_MAX;
    for (size_t i = 0; i < item->part_count; i++) {
        const aril_bytes part = item->parts[i];
        ARILI_ENSURE(part.data != NULL || part.len == 0, ARIL_E_USAGE_NULL);
        if (part.len > left) {
            return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                                   "%s: a value is longer than %zu bytes; split it", shown,
                                   ARIL_STORE_VALUE_BYTES_MAX);
        }
        left -= part.len;
    }
    return ARIL_OK;
}

static aril_status check_put(uint32_t capabilities, const aril_store_item *item, const char *shown,
                             aril_error *error)
{
    ARILI_TRY(check_value(item, shown, error));
    ARILI_ENSURE(item->lock.data != NULL || item->lock.len == 0, ARIL_E_USAGE_NULL);
    if ((unsigned)item->absent_only > 1 || item->lock.len > ARIL_STORE_NAME_BYTES_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: absent_only is 0 or 1, and the name of a lock has at most %u "
                               "bytes",
                               shown, ARIL_STORE_NAME_BYTES_MAX);
    }
    if (item->lock.len > 0 && (capabilities & ARIL_STORE_LOCK) == 0) {
        return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE),
                               "%s: has no locks to guard a put with; choose another store for "
                               "that",
                               shown);
    }
    return ARIL_OK;
}

aril_status arili_items_check(enum arili_items_kind kind, uint32_t capabilities,
                              const aril_store_item *items, size_t count, const char *shown,
                              aril_error *error)
{
    if (count > ARIL_STORE_BATCH_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: a batch of %zu; %u is the most", shown, count,
                               ARIL_STORE_BATCH_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const aril_store_item *const item = &items[i];
        ARILI_ENSURE(item->name.data != NULL || item->name.len == 0, ARIL_E_USAGE_NULL);
        if (item->name.len == 0 || item->name.len > ARIL_STORE_NAME_BYTES_MAX) {
            return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                                   "%s: a name of %zu bytes; it may have 1 to %u", shown,
                                   item->name.len, ARIL_STORE_NAME_BYTES_MAX);
        }
        if (kind == ARILI_ITEMS_GET) {
            ARILI_ENSURE(item->buffer.data != NULL || item->buffer.len == 0, ARIL_E_USAGE_NULL);
        }
        if (kind == ARILI_ITEMS_PUT) {
            ARILI_TRY(check_put(capabilities, item, shown, error));
        }
    }
    return ARIL_OK;
}

void arili_items_fail(aril_store_item *items, size_t count, aril_status st)
{
    for (size_t i = 0; i < count; i++) {
        items[i].data = NULL;
        items[i].len = 0;
        items[i].status = st;
    }
}

void arili_items_wipe(enum arili_items_kind kind, aril_store_item *items, size_t count)
{
    for (size_t i = 0; kind == ARILI_ITEMS_GET && i < count; i++) {
        if (items[i].data != NULL && items[i].data == items[i].buffer.data) {
            arili_wipe(items[i].buffer.data,
                       items[i].len < items[i].buffer.len ? items[i].len : items[i].buffer.len);
        }
    }
}

static bool is_answer(aril_status st)
{
    switch (aril_status_class(st)) {
    case ARIL_OK:
    case ARIL_E_NOT_FOUND:
    case ARIL_E_EXISTS:
    case ARIL_E_REPLAY:
    case ARIL_E_LIMIT:
        return true;
    default:
        return st == ARIL_E_USAGE_TOO_SMALL || st == ARIL_E_IO_FULL;
    }
}

/* A length that does not fit where the value is said to be. */
static bool can_be(const aril_store_item *item)
{
    if (item->status != ARIL_OK) {
        return true;
    }
    if (item->take != NULL && item->data == NULL) {
        return item->len <= ARIL_STORE_VALUE_BYTES_MAX; /* all of it was handed over */
    }
    const bool in_buffer = item->data == item->buffer.data;
    return (item->data != NULL || item->len == 0) && item->len <= ARIL_STORE_VALUE_BYTES_MAX &&
           (!in_buffer || item->len <= item->buffer.len);
}

struct arili_items_sum arili_items_judge(enum arili_items_kind kind, aril_store_item *items,
                                         size_t count)
{
    struct arili_items_sum sum = { .count = count };
    for (size_t i = 0; i < count; i++) {
        aril_store_item *const item = &items[i];
        if (kind == ARILI_ITEMS_GET && !can_be(item)) {
            arili_wipe(item->buffer.data, item->buffer.len);
            item->len = 0;
            item->status = arili_fail(ARIL_E_FORMAT_LENGTH);
        }
        if (!is_answer(item->status)) {
            arili_items_wipe(kind, item, 1);
            sum.unanswered++;
            sum.first_failure = sum.first_failure != ARIL_OK ? sum.first_failure : item->status;
        }
        if (kind != ARILI_ITEMS_GET || item->status != ARIL_OK) {
            item->data = NULL;
        }
        if (item->status != ARIL_OK && item->status != ARIL_E_USAGE_TOO_SMALL &&
            item->status != ARIL_E_LIMIT) {
            item->len = 0;
        }
    }
    return sum;
}
