/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_CREDENTIAL_LINE_H
#define ARILI_PROXY_CREDENTIAL_LINE_H
#include "proxy/auth.h"

/* One line of the password file as a struct, and back. No allocation. May be used by the other
 * files of auth and by tests. */
#define ARILI_CREDENTIAL_HASH_BYTES     32u
#define ARILI_CREDENTIAL_SALT_BYTES     16u /* of new ones: RFC 9106 section 3.1 */
#define ARILI_CREDENTIAL_SALT_BYTES_MAX 32u
#define ARILI_CREDENTIAL_CREATED_MAX    UINT64_C(253402300799) /* the end of the year 9999 */

struct arili_argon2 {
    uint32_t memory_kib, iterations, lanes;
};
struct arili_credential_line {
    char tenant[ARILI_CREDENTIAL_TENANT_MAX + 1]; /* 1 or more bytes without NUL */
    char name[ARILI_CREDENTIAL_NAME_MAX + 1];
    enum arili_credential_kind kind;
    struct arili_argon2 argon2;                    /* of a passphrase */
    uint8_t salt[ARILI_CREDENTIAL_SALT_BYTES_MAX]; /* of a passphrase */
    size_t salt_len;                               /* 16 to 32 */
    uint8_t hash[ARILI_CREDENTIAL_HASH_BYTES];     /* SHA-256 of a token's text, or Argon2id */
    uint64_t created_s;
};

/* A line without its LF that is neither empty nor a comment. There is one text for a credential:
 * what is parsed and written is the same again. FORMAT_FIELD with *ret_problem, which says what is
 * wrong and names no secret; *ret is all zero then. */
ARIL_MUST_USE aril_status arili_credential_line_parse(aril_bytes line,
                                                      struct arili_credential_line *ret,
                                                      const char **ret_problem);
/* With NUL; gives the length without it. The line is one that parse could have given. */
size_t arili_credential_line_write(const struct arili_credential_line *line,
                                   char ret[ARILI_CREDENTIAL_LINE_MAX]);
/* The checks of a new line that both kinds share. USAGE_RANGE. */
ARIL_MUST_USE aril_status arili_credential_line_begin(aril_bytes tenant, const char *name,
                                                      uint64_t now_s,
                                                      struct arili_credential_line *ret,
                                                      aril_error *error);
void arili_credential_line_wipe(struct arili_credential_line *line);
#endif
