/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_LOCAL_INTERNAL_H
#define ARILI_PROXY_LOCAL_INTERNAL_H
#include "base/bytes.h"
#include "proxy/local.h"

/* Shared by local.c and its local_*.c, and by nothing else. */

/* One command that is answered here. Its arity fits the row. */
struct arili_local_call {
    struct arili_local *l;
    const struct arili_command *command;
    const aril_bytes *args; /* the name and that of a sub-command as well */
    size_t count;
    struct arili_flow *out;
};
typedef void arili_local_fn(const struct arili_local_call *c);

arili_local_fn arili_local_client_getname, arili_local_client_getredir, arili_local_client_id,
    arili_local_client_info, arili_local_client_list, arili_local_client_no_evict,
    arili_local_client_no_touch, arili_local_client_reply, arili_local_client_setinfo,
    arili_local_client_setname, arili_local_client_trackinginfo, arili_local_client_unblock;
arili_local_fn arili_local_cluster_info, arili_local_cluster_keyslot, arili_local_cluster_links,
    arili_local_cluster_myid, arili_local_cluster_myshardid, arili_local_cluster_nodes,
    arili_local_cluster_replicas, arili_local_cluster_shards, arili_local_cluster_slots;
arili_local_fn arili_local_command, arili_local_command_count, arili_local_command_docs,
    arili_local_command_getkeys, arili_local_command_info, arili_local_command_list;
arili_local_fn arili_local_config_get, arili_local_info;

/* Whether the argument is this word, which is in lower case. Any case. */
bool arili_local_is(aril_bytes argument, const char *word);
/* What may be written of an argument into an answer of one line: printable ASCII, the rest as '?',
 * cut to fit. */
#define ARILI_LOCAL_SHOWN 65u
const char *arili_local_show(aril_bytes argument, char ret[static ARILI_LOCAL_SHOWN]);
void arili_local_say_word(struct arili_flow *out, const char *word); /* a bulk */
void arili_local_say_syntax(struct arili_flow *out);

/* Text that is put together: what does not fit is left out, which no caller reaches. */
struct arili_local_text {
    size_t len;
    char data[4096];
};
void arili_local_add(struct arili_local_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* As arili_say_text() does. */
void arili_local_say_text(const struct arili_local_call *c, const struct arili_local_text *text);
#endif
