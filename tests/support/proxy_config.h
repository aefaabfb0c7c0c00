/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_PROXY_CONFIG_H
#define ARIL_TESTS_PROXY_CONFIG_H
#include "proxy/config.h"

/* Configurations of tests: those that must parse, and those that must not. The file is called
 * "/etc/aril/arild.conf". */
#define PROXY_CONFIG_PATH "/etc/aril/arild.conf"

/* The least that is a configuration, in parts that a test may put lines between: keys of the top,
 * then sections. One tenant "a", a listener on 127.0.0.1:6379 that is this tenant, a server. */
#define PROXY_CONFIG_TOP "keyring = /var/lib/aril/keyring\n"
#define PROXY_CONFIG_REST                              \
    "[upstream]\nserver = redis://127.0.0.1:6380\n"    \
    "[listen]\naddress = 127.0.0.1:6379\ntenant = a\n" \
    "[tenant a]\n"

/* Fails the test with the message when it does not parse. End it with arili_config_free(). */
struct arili_proxy_config *proxy_config_parse(const char *text);
/* Demands FORMAT_FIELD, no configuration, and "/etc/aril/arild.conf:LINE: " with a text that has
 * part in it; line 0: no line. */
void proxy_config_refused(const char *text, unsigned line, const char *part);
#endif
