/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"
#include <string.h>

struct arili_nearest arili_nearest_init(aril_bytes wanted)
{
    return (struct arili_nearest){ .wanted = wanted, .distance = wanted.len / 3 + 2 };
}

/* Edits that turn a into b: insert, delete, replace. */
static size_t edits(aril_bytes a, const char *b, size_t b_len)
{
    size_t row[ARILI_NEAREST_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 0; i < a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t replaced = diagonal + (a.data[i] != (uint8_t)b[j - 1]);
            const size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < other ? replaced : other;
        }
    }
    return row[b_len];
}

void arili_nearest_offer(struct arili_nearest *n, const char *word)
{
    const size_t len = strlen(word);
    if (n->wanted.len > ARILI_NEAREST_BYTES_MAX || len > ARILI_NEAREST_BYTES_MAX) {
        return;
    }
    const bool begins = n->wanted.len >= 2 && n->wanted.len <= len &&
                        memcmp(word, n->wanted.data, n->wanted.len) == 0;
    const size_t distance = begins ? 0 : edits(n->wanted, word, len);
    if (distance < n->distance) {
        n->best = word;
        n->distance = distance;
    }
}
