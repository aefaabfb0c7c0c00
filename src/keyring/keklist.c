/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/keklist.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/rows.h"
#include <string.h>

void arili_keklist_done(struct arili_keklist *list)
{
    for (size_t i = 0; i < list->count; i++) {
        arili_kek_drop(list->items[i].kek);
    }
    arili_free(list->items, list->cap * sizeof *list->items);
    *list = (struct arili_keklist){ 0 };
}

aril_status arili_keklist_add(struct arili_keklist *list, aril_bytes owner, struct arili_kek *kek)
{
    if (list->count == list->cap) {
        const size_t cap = list->cap == 0 ? 8 : 2 * list->cap;
        struct arili_keklist_item *items = arili_alloc(cap * sizeof *items);
        ARILI_ENSURE(items != NULL, ARIL_E_NOMEM);
        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof *items);
        }
        arili_free(list->items, list->cap * sizeof *list->items);
        list->items = items;
        list->cap = cap;
    }
    arili_kek_hold(kek);
    list->items[list->count++] = (struct arili_keklist_item){ owner, kek };
    return ARIL_OK;
}

struct arili_kek *arili_keklist_find(const struct arili_keklist *list, aril_bytes owner)
{
    for (size_t i = 0; i < list->count; i++) {
        if (arili_row_order(0, list->items[i].owner, 0, owner) == 0) {
            arili_kek_hold(list->items[i].kek);
            return list->items[i].kek;
        }
    }
    return NULL;
}
