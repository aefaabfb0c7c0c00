/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_OPENING_H
#define ARILI_PROXY_OPENING_H
#include "proxy/request.h"

/*
 * A sealed value in an answer, on its way to the client: r->value. What is decrypted gathers in
 * r->hold until the last tag was verified; a value that came in one piece stays where it is.
 */
/* context is copied. WAIT: there is no memory for it now. */
enum arili_heard arili_opening_begin(struct arili_request *r, uint64_t stored_bytes,
                                     const uint8_t context[ARILI_CACHE_CONTEXT_BYTES]);
/* The next piece, which lies in block and is decrypted there. last: it is the last one, and
 * arili_opening_end() comes before anything else is done with block. */
enum arili_heard arili_opening_piece(struct arili_request *r, struct arili_block *block,
                                     aril_span piece, bool last);
/* All of it came: how it ended is in r->value.ending, and in the figures. */
void arili_opening_end(struct arili_request *r);
/* What a failure to open says of what was to be opened. */
enum arili_ending arili_ending_of(aril_status st);
/* Whether one that ended so is an error to the client, as r's policy says; else it is not there. */
bool arili_ending_is_error(const struct arili_request *r, enum arili_ending ending);
/* That error. st: why, of FAILED; bytes: how many, of TOO_LONG. */
void arili_ending_say(struct arili_flow *out, enum arili_ending ending, aril_status st,
                      uint64_t bytes);
/* Give back what it holds. Accepts one that was never begun. */
void arili_opening_done(struct arili_request *r);
/* Remember that the value of text is not what it should be, where the policy wants it to go. */
void arili_opening_bad(struct arili_request *r, aril_bytes text);
#endif
