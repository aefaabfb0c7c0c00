/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_JSON_H
#define ARILI_BASE_JSON_H
#include "base/bytes.h"

#define ARILI_JSON_DEPTH_MAX 16u

/*
 * Writes one JSON text (RFC 8259) without white space into a bounded buffer. When
 * the buffer is full it keeps counting, as struct arili_writer does. The calls must
 * come in an order that gives a JSON text: that is the caller's invariant, asserted
 * as far as nesting goes. There are no floats.
 */
struct arili_json {
    struct arili_writer out;
    unsigned depth;
    uint32_t filled; /* bit d: the container at depth d has an entry already */
    bool after_key;
};

struct arili_json arili_json_init(char *data, size_t cap);
void arili_json_object_begin(struct arili_json *j);
void arili_json_object_end(struct arili_json *j);
void arili_json_array_begin(struct arili_json *j);
void arili_json_array_end(struct arili_json *j);
/* Inside an object; its value follows. */
void arili_json_key(struct arili_json *j, const char *key);
/* UTF-8 is kept. Quotes, backslashes and control characters are escaped; each byte
 * that is not part of well-formed UTF-8 becomes U+FFFD. */
void arili_json_string(struct arili_json *j, aril_bytes text);
void arili_json_text(struct arili_json *j, const char *text);
void arili_json_u64(struct arili_json *j, uint64_t value);
/* Bytes as a string of lower-case hex digits after a prefix of plain ASCII. */
void arili_json_hex(struct arili_json *j, const char *prefix, aril_bytes bytes);
/* ARIL_OK and the length without a NUL, or ARIL_E_USAGE_TOO_SMALL. Writes no NUL. */
ARIL_MUST_USE aril_status arili_json_end(const struct arili_json *j, size_t *ret_len);
#endif
