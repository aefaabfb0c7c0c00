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
/* Give back what it holds. Accepts one that was never begun. */
void arili_opening_done(struct arili_request *r);
/* Remember that the value of text is not what it should be. */
void arili_opening_bad(struct arili_request *r, aril_bytes text);
#endif
