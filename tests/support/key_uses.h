/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_KEY_USES_H
#define ARIL_TESTS_KEY_USES_H
#include <aril/record.h>
#include <stdbool.h>

/* A set of (key id, sequence): which places of which keys were used. All zero is empty.
 * Grows without a bound; ends the running test without memory. */
struct key_use {
    uint8_t key_id[32];
    uint64_t sequence; /* 0: free */
};
struct key_uses {
    struct key_use *table;
    size_t size, count;
};
/* false when it was there before. */
bool key_uses_add(struct key_uses *u, const aril_seal_info *info);
void key_uses_done(struct key_uses *u);
#endif
