/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_PEM_H
#define ARILI_FORMAT_PEM_H
#include <aril/base.h>

/* Text of a block of der_len bytes with a label of label_len characters: two
 * boundary lines, and 64 characters a line between them. No NUL. */
#define ARILI_PEM_BYTES(label_len, der_len) \
    (2 * (label_len) + 32 + ((der_len) + 2) / 3 * 4 + (((der_len) + 2) / 3 * 4 + 63) / 64)

/*
 * Textual encoding (RFC 7468 section 3, the strict grammar): one block from the
 * first byte to the last, full lines of 64 characters, a final line break, padding
 * bits zero. A line ends in LF or CRLF. So there is one text for each content, but
 * for the line ends. The time does not depend on the content, which may be secret.
 *
 * FORMAT_KIND: a block with another label; FORMAT_TRUNCATED, FORMAT_FIELD;
 * FORMAT_LENGTH: more than cap bytes, or text after the block. On failure ret holds
 * zeros.
 */
ARIL_MUST_USE aril_status arili_pem_parse(aril_bytes text, const char *label, uint8_t *ret,
                                          size_t cap, size_t *ret_len);
/* The one text of der with LF line ends, without a NUL; der must not be empty.
 * USAGE_TOO_SMALL. */
ARIL_MUST_USE aril_status arili_pem_write(const char *label, aril_bytes der, char *ret, size_t cap,
                                          size_t *ret_len);
#endif
