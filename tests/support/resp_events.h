/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_RESP_EVENTS_H
#define ARIL_TESTS_RESP_EVENTS_H
#include "resp/resp.h"

/*
 * What a decoder says about bytes, as text that can be compared: one word an event, a letter or
 * two, the depth and what it carries.
 *
 *   simple0"OK"  error0"ERR x"  int1:-5  bulk0:3"foo"  nil0  array0:2  bool1:1  double0"1.5"
 *   bignum0"12"  bloberr0:3"ERR"  verbatim0:7"txt:abc"  map0:2  set0:1  push0:2  attr0:1  end
 *
 * The pieces of a body are joined, so the text does not depend on how the input was cut. A body
 * that has no last piece has no quote at its end. Bytes but letters, digits and some signs are
 * written as \xHH. A failure is the last word: "!ARIL_E_LIMIT".
 *
 * Also checks what holds for every input, and aborts when it does not: a text lies inside the
 * input, a body is as long as was said, depths and lengths keep the limits, a failed decoder stays
 * failed and changes nothing.
 */
struct resp_events {
    char *text; /* ends in NUL */
    size_t len;
    size_t used;        /* bytes of the input */
    aril_status status; /* the last one */
    bool is_idle;
};

/* The input becomes visible to the decoder by step bytes at a time; 0: at once. */
struct resp_events resp_events_of(const struct arili_resp_limits *limits, aril_bytes in,
                                  size_t step);
/* In two pieces, the first one of cut bytes. */
struct resp_events resp_events_cut(const struct arili_resp_limits *limits, aril_bytes in,
                                   size_t cut);
void resp_events_free(struct resp_events *e);
#endif
