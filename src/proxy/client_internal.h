/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_CLIENT_INTERNAL_H
#define ARILI_PROXY_CLIENT_INTERNAL_H
#include "proxy/loop_internal.h"

/* What the files of a client know of one another. */

/* Before a client said who it is, a command is this short. */
#define ARILI_STRANGER_BYTES_MAX 65536u
#define ARILI_STRANGER_ARGS_MAX  16u

/* --- client_who.c */

struct arili_resp_limits arili_client_limits(const struct arili_client *c);
/* What follows from the configuration, and from who it is. */
void arili_client_take_limits(struct arili_client *c);
/* Who it is by where it comes from. False: its tenant has enough clients. */
bool arili_client_introduce(struct arili_client *c, const struct arili_identity *identity);

/* --- client_read.c */

/* The memory of a command that is being read. */
void arili_client_drop_command(struct arili_client *c);
#endif
