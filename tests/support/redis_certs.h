/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_REDIS_CERTS_H
#define ARIL_TESTS_REDIS_CERTS_H
#include <stdbool.h>

/*
 * Certificates for a test, made anew (ECDSA, P-256), valid from yesterday for a week:
 *   ca.pem                      authority of the two
 *   server.pem, server.key      for localhost, 127.0.0.1 and ::1
 *   client.pem, client.key
 *   other.pem                   an authority that has nothing to do with them
 * Keys have mode 0600. False when one could not be made.
 */
bool redis_certs_make(const char *folder);
#endif
