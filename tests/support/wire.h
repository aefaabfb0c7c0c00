/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_WIRE_H
#define ARIL_TESTS_WIRE_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * RESP on a socket, for tests that compare bytes: commands are written, replies are found as runs
 * of bytes. It knows nothing of the code under test. All zero is empty.
 */
struct wire_bytes {
    uint8_t *data;
    size_t len, cap;
};
void wire_put(struct wire_bytes *b, const void *data, size_t len);
void wire_text(struct wire_bytes *b, const char *text);
void wire_free(struct wire_bytes *b);

/* A command of RESP: first the number of its arguments, then each. */
void wire_begin(struct wire_bytes *b, size_t args);
void wire_arg(struct wire_bytes *b, aril_bytes arg);

/* Sends all of out and reads at least count replies into in, which is emptied first, both at the
 * same time: neither side can wait for the other. False: the connection ended, or what came is no
 * RESP. */
bool wire_exchange(int fd, const struct wire_bytes *out, struct wire_bytes *in, size_t count);

/* The reply that begins at *at, RESP2 or RESP3: its length, 0 when it is not whole, SIZE_MAX when
 * it is none. */
size_t wire_reply_len(aril_bytes from);
/* Parts of an aggregate (of * ~ % >), each a reply; a map has two for each pair. False: it is no
 * aggregate, or has more than cap. */
bool wire_parts(aril_bytes reply, aril_bytes *ret, size_t cap, size_t *ret_count);
/* The number of a ':' reply. */
bool wire_integer(aril_bytes reply, long long *ret);
/* The content of a '$' or '+' reply. */
bool wire_content(aril_bytes reply, aril_bytes *ret);
/* For people: at most some hundred bytes, escaped. Four results are kept at a time. */
const char *wire_shown(aril_bytes bytes);
#endif
