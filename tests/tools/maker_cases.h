/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_TOOLS_MAKER_CASES_H
#define ARIL_TESTS_TOOLS_MAKER_CASES_H
#include "maker.h"

/* One case of records.json. The expected status is written down by hand here and never
 * asked of the library. */
struct attempt {
    const char *cls, *name;
    aril_status status;
    const aril_kv_block *block; /* that the opener asks for */
    const uint8_t *body;
    size_t len;
    const uint8_t *seal;
    const uint8_t *plain; /* NULL unless it opens */
    json_t *before;       /* records that the opener opens first; NULL: none */
};

/* A group for openers like o; gives the array of its cases. */
json_t *maker_group(json_t *groups, const struct opener *o);
/* Takes a->before. */
void maker_case(json_t *cases, const struct attempt *a);
/* The record as it is, which opens or not. */
void maker_plain_case(json_t *cases, const char *cls, const char *name, aril_status status,
                      const struct sealed *r);
/* For attempt.before: one record; two. */
json_t *maker_before(const struct sealed *r);

/* Groups of the classes, maker_forged.c. */
void maker_forged(json_t *groups);
void maker_fields(json_t *groups);
void maker_order(json_t *groups);
#endif
