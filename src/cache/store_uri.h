/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORE_URI_H
#define ARILI_CACHE_STORE_URI_H
#include "base/files.h"
#include <aril/store.h>

#define ARILI_STORE_URI_BYTES    8192u
#define ARILI_STORE_SCHEME_BYTES 24u
#define ARILI_STORE_SHOWN_BYTES  96u

/* A URI taken apart. */
struct arili_store_uri {
    char scheme[ARILI_STORE_SCHEME_BYTES];
    char rest[ARILI_STORE_URI_BYTES];        /* behind the colon, without password-file */
    char secret_path[ARILI_FILE_PATH_BYTES]; /* of password-file, or empty */
    char shown[ARILI_STORE_SHOWN_BYTES];     /* for messages: no user, no query */
};

/* ARIL_E_USAGE_RANGE: no scheme, too long, or with a password in it. Messages do not show what may
 * be a secret. */
ARIL_MUST_USE aril_status arili_store_uri_parse(const char *uri, struct arili_store_uri *ret,
                                                aril_error *error);
#endif
