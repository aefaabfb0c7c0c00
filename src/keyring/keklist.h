/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_KEKLIST_H
#define ARILI_KEYRING_KEKLIST_H
#include "keyring/wrap.h"

/* Key-encryption keys that a change makes: what it makes below them needs them before they stand
 * in the file. All zero is empty. */
struct arili_keklist {
    struct arili_keklist_item {
        aril_bytes owner; /* borrowed */
        struct arili_kek *kek;
    } * items;
    size_t count, cap;
};
void arili_keklist_done(struct arili_keklist *list);
/* Takes a reference. */
ARIL_MUST_USE aril_status arili_keklist_add(struct arili_keklist *list, aril_bytes owner,
                                            struct arili_kek *kek);
/* Held for the caller; NULL when there is none of that owner. */
struct arili_kek *arili_keklist_find(const struct arili_keklist *list, aril_bytes owner);
#endif
