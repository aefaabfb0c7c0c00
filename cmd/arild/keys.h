/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_KEYS_H
#define ARILD_KEYS_H
#include "proxy/config.h"
#include <aril/keyring.h>
#include <aril/keystore.h>
#include <limits.h>

/* The keyring of a daemon and what it stands on. All zero is empty. */
struct keys {
    const aril_audit_sink *audit; /* for the runtime, filled before keys_start(); NULL: none */
    aril_runtime *rt;
    aril_keystore *keystore;
    aril_keyring *keyring;
    char secret[PATH_MAX]; /* file with what the keystore asks for; "": nobody answers it */
};
/* The runtime alone, for certificates. */
ARIL_MUST_USE aril_status keys_start(struct keys *k, aril_error *error);
/* The keystore, and the keyring. NOT_FOUND, KEYSTORE (class), IO (class); the message names the
 * file. unlock_credential without a slash is a file in $CREDENTIALS_DIRECTORY. */
ARIL_MUST_USE aril_status keys_open(struct keys *k, const struct arili_proxy_config *config,
                                    aril_error *error);
/* Make the keyring and its key file where they are missing, and the first keys of tenant; then
 * open. *ret_made says whether a keyring was made. For the standalone mode: without recovery. */
ARIL_MUST_USE aril_status keys_open_or_make(struct keys *k, const struct arili_proxy_config *config,
                                            const char *tenant, bool *ret_made, aril_error *error);
void keys_close(struct keys *k);
#endif
