/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_DOCTOR_PORTS_H
#define ARIL_CMD_DOCTOR_PORTS_H
#include <aril/runtime.h>
#include <stdbool.h>

/* What keyrings and caches use of this machine when a user asks for it: a TPM, tokens, HTTP (for
 * bundles and for stores). */

#define DOCTOR_PORTS 3u

struct doctor_port {
    const char *feature;
    bool works;
    char text[ARIL_ERROR_MESSAGE_BYTES]; /* what it is, or why it is missing */
};

void doctor_look_at_ports(aril_runtime *rt, struct doctor_port ret[DOCTOR_PORTS]);
#endif
