/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_NEAREST_H
#define ARILI_BASE_NEAREST_H
#include <aril/base.h>
#include <stdbool.h>

/* For "did you mean": offer each word that there is, then look at best. */
struct arili_nearest {
    aril_bytes wanted; /* borrowed */
    const char *best;  /* NULL: none of them is like it */
    size_t distance;
};
#define ARILI_NEAREST_BYTES_MAX 31u /* longer words are like no other */
struct arili_nearest arili_nearest_init(aril_bytes wanted);
/* Like it: it begins with what was wanted (two letters at least), or few letters are added, missing
 * or others, one for each three. Of equal ones the first stays. word is borrowed. */
void arili_nearest_offer(struct arili_nearest *n, const char *word);
#endif
