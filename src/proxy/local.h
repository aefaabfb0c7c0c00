/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_LOCAL_H
#define ARILI_PROXY_LOCAL_H
#include "proxy/commands.h"
#include "proxy/config.h"
#include "proxy/flow.h"

/*
 * Answers that need no server: PING, ECHO, TIME, CLIENT, CONFIG GET, COMMAND, INFO, CLUSTER, HELLO.
 * They say what is true of the proxy, in the shape that clients expect of Redis 7.
 */
struct arili_local { /* what is known of the client; the texts are borrowed */
    bool resp3;
    uint64_t client_id;
    uint32_t database;
    const char *tenant;                  /* NULL: not logged in */
    const char *address, *local_address; /* "127.0.0.1:40000" */
    char name[128];                      /* CLIENT SETNAME: arili_local_set_name() */
    char lib_name[64], lib_version[64];
    bool no_evict;
    bool cluster;              /* CLUSTER commands and HELLO say so */
    struct arili_address self; /* where clients reach this proxy: CLUSTER SLOTS */
    char node_id[41];          /* 40 hex digits: CLUSTER MYID */
    char run_id[41];
    uint64_t now_ms, started_ms, connected_ms; /* unix time; of this proxy, of this client */
    uint64_t clients, commands_total, connections_total, memory_used, memory_max;
    uint64_t hits, misses;
    uint32_t databases;
    const char *server_version; /* of the server behind, "7.0.15" */
};
/* The row of a command, that of its sub-command where there is one, whose arity fits. NULL: the
 * error was appended to out. count is at least 1. A refused row is given too: whether it may be
 * passed is decided by the policy of its keys, else arili_say_refused(). */
const struct arili_command *arili_local_resolve(const aril_bytes *args, size_t count,
                                                struct arili_flow *out);
/* Append the answer of a LOCAL or CLUSTER command: a row of arili_local_resolve(). A container is
 * looked up again, so that the row of arili_command_find() is as good. */
void arili_local_answer(struct arili_local *l, const struct arili_command *command,
                        const aril_bytes *args, size_t count, struct arili_flow *out);
/* The map of HELLO. */
void arili_local_hello(const struct arili_local *l, struct arili_flow *out);
/* The name of a client: CLIENT SETNAME, HELLO SETNAME. NULL: taken; an empty name is none. Else why
 * not, a whole text for arili_say_error("%s"), and the name is as it was. */
const char *arili_local_set_name(struct arili_local *l, aril_bytes name);

/* Pieces of answers, in the client's protocol. */
void arili_say_header(struct arili_flow *out, char type, uint64_t n);
/* %n in RESP3, *2n in RESP2. */
void arili_say_map(struct arili_flow *out, bool resp3, uint64_t pairs);
void arili_say_set(struct arili_flow *out, bool resp3, uint64_t n); /* ~n or *n */
void arili_say_nil(struct arili_flow *out, bool resp3);
void arili_say_nil_array(struct arili_flow *out, bool resp3); /* _ or *-1 */
void arili_say_integer(struct arili_flow *out, int64_t n);
void arili_say_bulk(struct arili_flow *out, aril_bytes text);
void arili_say_simple(struct arili_flow *out, const char *text);
/* "-CODE text": printf; CR and LF become spaces, what is longer than 512 bytes is cut. */
void arili_say_error(struct arili_flow *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Why this row is refused, and what to do instead. */
void arili_say_refused(struct arili_flow *out, const struct arili_command *command);
/* As Redis says it. */
void arili_say_arity(struct arili_flow *out, const struct arili_command *command);
/* The arguments may be secret and are not repeated. */
void arili_say_unknown(struct arili_flow *out, aril_bytes name);
/* INFO: verbatim in RESP3, a bulk in RESP2. */
void arili_say_text(struct arili_flow *out, bool resp3, aril_bytes text);
#endif
