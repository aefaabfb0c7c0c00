/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_REPLY_INTERNAL_H
#define ARILI_PROXY_REPLY_INTERNAL_H
#include "proxy/loop_internal.h"
#include "proxy/opening.h"

/* What the files of answers know of one another: reply.c above reply_shape.c above reply_parts.c.
 */

/* --- reply_parts.c */

/* Where the next part goes: to the client, or to r->items while a list gathers whose count is known
 * last. */
struct arili_flow *arili_reply_target(struct arili_request *r);
/* "*" of an array, "$" of a bulk, ... */
char arili_reply_type(enum arili_resp_kind kind);
/* As it is. */
void arili_reply_raw(struct arili_request *r, const struct arili_resp_event *e,
                     struct arili_block *block);
/* A name or a member of len bytes comes in pieces. */
void arili_gather_begin(struct arili_request *r, uint64_t len);
void arili_gather_piece(struct arili_request *r, aril_bytes piece);
aril_bytes arili_gathered(const struct arili_request *r);
/* What was gathered, opened to r->field. TAMPERED: it is none of this key's. */
enum arili_ending arili_gathered_open(struct arili_request *r, enum arili_inner what,
                                      aril_bytes *ret);
/* A list is told when all of it is there: whether one more element may be kept. */
bool arili_reply_has_room(struct arili_request *r);
/* The name or member that was gathered; the value that was opened, of text; the field and the value
 * that follows it. Each, or what its ending and the policy want. */
void arili_reply_say_inner(struct arili_request *r, enum arili_inner what);
void arili_reply_say_value(struct arili_request *r, aril_bytes text);
void arili_reply_say_pair(struct arili_request *r);
/* What the element that is being read is bound to; NULL: nothing was asked for in its place. */
const struct arili_asked *arili_reply_asked(const struct arili_request *r);
enum arili_heard arili_reply_value_begin(struct arili_request *r, uint64_t len,
                                         const uint8_t *context);
/* --- reply_shape.c */

/* All of a value came. */
void arili_reply_value_end(struct arili_request *r);
/* An event of the answer, at that depth of it. */
enum arili_heard arili_reply_shape(struct arili_request *r, const struct arili_resp_event *e,
                                   struct arili_block *block, unsigned depth);
/* The list, whose count is known now. */
void arili_reply_put_list(struct arili_request *r);
#endif
