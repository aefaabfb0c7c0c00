/* SPDX-License-Identifier: Apache-2.0 */
#include "key_uses.h"
#include "check.h"
#include <stdlib.h>
#include <string.h>

/* Open addressing; at most three quarters full. */
static struct key_use *find(const struct key_uses *u, const struct key_use *wanted)
{
    uint64_t hash;
    memcpy(&hash, wanted->key_id, sizeof hash);
    hash = (hash ^ wanted->sequence) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(hash >> 20) & (u->size - 1);
    while (u->table[i].sequence != 0 && memcmp(&u->table[i], wanted, sizeof *wanted) != 0) {
        i = (i + 1) & (u->size - 1);
    }
    return &u->table[i];
}

static void grow(struct key_uses *u)
{
    struct key_uses more = { .size = u->size == 0 ? 4096 : 2 * u->size, .count = u->count };
    more.table = calloc(more.size, sizeof *more.table);
    assert_non_null(more.table);
    for (size_t i = 0; i < u->size; i++) {
        if (u->table[i].sequence != 0) {
            *find(&more, &u->table[i]) = u->table[i];
        }
    }
    free(u->table);
    *u = more;
}

bool key_uses_add(struct key_uses *u, const aril_seal_info *info)
{
    struct key_use use = { .sequence = info->sequence };
    memcpy(use.key_id, info->key_id, sizeof use.key_id);
    if (4 * u->count >= 3 * u->size) {
        grow(u);
    }
    struct key_use *at = find(u, &use);
    if (at->sequence != 0) {
        return false;
    }
    *at = use;
    u->count++;
    return true;
}

void key_uses_done(struct key_uses *u)
{
    free(u->table);
    *u = (struct key_uses){ 0 };
}
