/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_PROXY_CHECK_H
#define ARIL_CMD_PROXY_CHECK_H
#include "proxy/auth.h"
#include <aril/aril.h>
#include <jansson.h>

/* "aril proxy check": what a configuration of arild says, and whether it would work. */

struct proxy_check {
    const char *command;
    bool json;
    json_t *list; /* of what was looked at, one object each */
    bool bad;     /* something of it is not as it should be */
    aril_runtime *rt;
    struct arili_proxy_config *config;
};

/* One thing that was looked at, in the order in which it is printed. kind: "listener"; subject is
 * what is meant, in any bytes; the rest is a sentence. */
void proxy_check_note(struct proxy_check *c, bool good, const char *kind, aril_bytes subject,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The keyring, and the keys of each tenant (proxy_check_keys.c). */
void proxy_check_keyring(struct proxy_check *c, const struct arili_credentials *credentials);
/* Asks the server for a name that is not there (proxy_check_server.c). */
void proxy_check_server(struct proxy_check *c);

int proxy_check(int argc, char **argv);
#endif
