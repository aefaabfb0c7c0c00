/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_STORES_PKCS11_URI_H
#define ARILI_KEYRING_STORES_PKCS11_URI_H
#include <aril/base.h>

/*
 * The part of RFC 7512 that names a token and its module:
 *
 *   pkcs11:token=LABEL[;serial=NUMBER]?module-path=/PATH[&pin-source=[file:]/PATH]
 *
 * Everything else is refused by name, so that a slip of the pen is no other token.
 */
#define ARILI_P11_URI_BYTES_MAX  4096u
#define ARILI_P11_LABEL_BYTES    32u /* as in CK_TOKEN_INFO */
#define ARILI_P11_SERIAL_BYTES   16u
#define ARILI_P11_PATH_BYTES_MAX 2048u

/* Decoded, each with a final NUL. serial and pin_path may be empty: not given. */
struct arili_p11_uri {
    char token[ARILI_P11_LABEL_BYTES + 1];
    char serial[ARILI_P11_SERIAL_BYTES + 1];
    char module_path[ARILI_P11_PATH_BYTES_MAX];
    char pin_path[ARILI_P11_PATH_BYTES_MAX];
};

/* rest is what follows "pkcs11:". ARIL_E_USAGE_RANGE with a message that shows no value: what
 * is refused may hold a PIN. *ret is zero on failure. */
ARIL_MUST_USE aril_status arili_p11_uri_parse(const char *rest, struct arili_p11_uri *ret,
                                              aril_error *error);
#endif
