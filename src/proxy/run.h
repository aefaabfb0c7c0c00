/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_RUN_H
#define ARILI_PROXY_RUN_H
#include "proxy/loop_internal.h"

/*
 * Running a command: what the files that do it share. A command is run whole or not at all:
 * ARILI_RAN_LATER leaves nothing behind, and comes before anything was sent.
 */
struct arili_running {
    struct arili_client *c;
    const struct arili_command *command;
    const aril_bytes *args;
    size_t count;
    struct arili_tenant_keys *keys; /* a reference; NULL: not needed yet */
    const struct arili_policy_config *policy;
    uint64_t now_ms;
    struct arili_command_keys key_args;
    /* Where it goes. */
    struct arili_link *link;
    struct arili_flow *out;  /* what is written of the command */
    struct arili_request *r; /* the one that is being made */
};

/* --- run.c */

/* An answer that needs no server; in a transaction it makes EXEC fail. */
enum arili_ran arili_refuse(struct arili_running *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The number of arguments is wrong in a way that a server finds out when it runs the command: in a
 * transaction that is with EXEC. */
enum arili_ran arili_wrong_count(struct arili_running *run);
/* The request that was being made is freed, and that is the answer. */
enum arili_ran arili_no_memory(struct arili_running *run);
/* An answer of our own: request with out to be filled, then arili_here_end(). NULL: no memory, and
 * the client is ended. */
struct arili_request *arili_here(struct arili_running *run);
enum arili_ran arili_here_end(struct arili_running *run, struct arili_request *r);
/* The first argument from i on that is a key; count: none is. */
size_t arili_run_key_from(const struct arili_running *run, size_t i);
/* arili_run_value_max() of any policy. */
uint64_t arili_policy_value_max(const struct arili_proxy_config *config,
                                const struct arili_policy_config *policy);
/* Keys of the tenant, or the reason why there are none was said: then false. */
bool arili_run_keys(struct arili_running *run);
/* The keys seal, or the reason why they do not was said: then false. */
bool arili_run_seals(struct arili_running *run);
/* Everything before must have been answered. False: later. */
bool arili_run_alone(const struct arili_running *run);
bool arili_word_is(aril_bytes arg, const char *word); /* in any case */
/* A decimal number as Redis takes it. */
bool arili_word_number(aril_bytes arg, int64_t *ret);
/* An integer of any size, or one of the words that stand behind a sealed key: EX, NX, COUNT, ... */
bool arili_word_is_option(aril_bytes arg);

/* --- send.c */

/* The slot of a Cluster that the name of place is in. */
uint16_t arili_send_slot(const struct arili_place *place);
/* Begin a command of count arguments for the slot of place (NULL: any server). False: *ran
 * is LATER, or an answer was made. */
bool arili_send_begin(struct arili_running *run, const struct arili_place *place,
                      enum arili_ran *ran);
/* The same for that node. */
bool arili_send_begin_at(struct arili_running *run, struct arili_node *node, enum arili_ran *ran);
/* A link to that node alone, without a request. */
bool arili_send_link(struct arili_running *run, struct arili_node *node, enum arili_ran *ran);
void arili_send_count(struct arili_running *run, size_t count);
void arili_send_arg(struct arili_running *run, aril_bytes arg);
/* What stands beside a sealed value. Anything but an option is sent as "x", which a server refuses
 * alike: it may be a value in the wrong place, as in SETEX key value 60. */
void arili_send_option(struct arili_running *run, aril_bytes arg);
void arili_send_flow(struct arili_running *run, struct arili_flow *value); /* which is empty then */
void arili_send_name(struct arili_running *run, const struct arili_place *place);
/* The name of a key, whose place is found once more: long ones are not kept. On failure the link is
 * ended and the request with it, and that was said. */
bool arili_send_key(struct arili_running *run, aril_bytes key, struct arili_place *ret);
/* A value, sealed, as one argument. On failure the link is ended and the request with it. */
bool arili_send_value(struct arili_running *run, const uint8_t *context, uint64_t not_after_ms,
                      aril_bytes value, const struct arili_flow *flow);
/* All of it was written. */
enum arili_ran arili_send_end(struct arili_running *run, enum arili_shape shape);
/* The next bytes of a value, copied to out and sealed there. */
ARIL_MUST_USE aril_status arili_seal_span(struct arili_value_sealer *s, aril_bytes value,
                                          struct arili_flow *out);
/* Seal into any flow: "$len" body CRLF. flow: the value when it is not NULL, which is copied. */
ARIL_MUST_USE aril_status arili_seal_bulk(struct arili_loop *loop,
                                          const struct arili_tenant_keys *keys,
                                          const uint8_t *context, uint64_t not_after_ms,
                                          aril_bytes value, const struct arili_flow *flow,
                                          struct arili_flow *out);
/* The place of a key, or an error was answered: false. */
bool arili_run_place(struct arili_running *run, aril_bytes key, struct arili_place *ret);
/* The upper bound of what lives so long: ttl UINT64_MAX is as long as the policy allows. */
uint64_t arili_not_after(const struct arili_running *run, uint64_t ttl_ms);
/* A time to live as the server shall have it: number as it is, or a smaller one in room where the
 * policy does not allow so long a life. What is no time the server may judge. */
#define ARILI_TIME_TEXT 24u
aril_bytes arili_time_cut(const struct arili_running *run, bool seconds, bool absolute,
                          aril_bytes number, char room[static ARILI_TIME_TEXT]);
/* r remembers key, tenant, keys and policy. */
bool arili_run_remember(struct arili_running *run, aril_bytes key, const struct arili_place *place);

/* --- verbs */

enum arili_ran arili_run_string(struct arili_running *run);  /* verbs_string.c */
enum arili_ran arili_run_strings(struct arili_running *run); /* verbs_strings.c: many keys */
enum arili_ran arili_run_hash(struct arili_running *run);    /* verbs_hash.c */
enum arili_ran arili_run_set(struct arili_running *run);     /* verbs_set.c */
/* A field or a member as the store has it. False: it is too long, or memory is short. */
bool arili_send_inner(struct arili_running *run, const struct arili_place *place,
                      enum arili_inner what, aril_bytes text);
/* HSCAN, SSCAN */
enum arili_ran arili_run_inner_scan(struct arili_running *run, const struct arili_place *place,
                                    enum arili_shape shape);
enum arili_ran arili_run_scan(struct arili_running *run);  /* verbs_scan.c */
enum arili_ran arili_run_keyed(struct arili_running *run); /* verbs_key.c: keys renamed, raw */
enum arili_ran arili_run_transaction(struct arili_running *run); /* transaction.c */
enum arili_ran arili_run_login(struct arili_running *run);       /* login.c */
enum arili_ran arili_run_expire(struct arili_running *run);      /* verbs_expire.c */
enum arili_ran arili_run_keepttl(struct arili_running *run, const struct arili_place *place);
enum arili_ran arili_run_getex(struct arili_running *run);
enum arili_ran arili_run_walk(struct arili_running *run); /* job_walk.c: KEYS, DBSIZE, ... */

/* Over a Cluster: whether the keys, every step-th argument from 1 on, are in several slots.
 * *failed: an error was said. */
bool arili_run_is_apart(struct arili_running *run, size_t step, bool *failed);
enum arili_ran arili_run_count_apart(struct arili_running *run);

/* Over a Cluster, a transaction that has no server yet: it gets that of its first key. */
bool arili_transaction_is_nowhere(const struct arili_client *c);
/* A command without keys of it, whose answer goes to mine; "QUEUED" was said. NULL: no memory, and
 * the client is ended. */
struct arili_request *arili_transaction_keep(struct arili_running *run);
/* What a transaction knows of a key that it changes: until when its value may live. */
void arili_transaction_changes(struct arili_client *c, const struct arili_place *place,
                               uint64_t not_after_ms);
/* 0: nothing. */
uint64_t arili_transaction_knows(const struct arili_client *c, const struct arili_place *place);

/* --- stream.c: a value that was held for its options (c->value). */

/* Argument i of SET or SETEX, which is not the value; and the next one, where they belong together.
 * Returns the index behind. (verbs_string.c) */
size_t arili_send_set_option(struct arili_running *run, size_t i);
/* run->r was made by arili_send_begin(), and nothing was written. */
enum arili_ran arili_held_begin(struct arili_running *run, const struct arili_place *place,
                                uint64_t not_after_ms, enum arili_shape shape);
/* The next part of it; ARILI_RAN when it is whole, or was lost. */
enum arili_ran arili_held_more(struct arili_client *c);

/* Options of SET, GETEX and the like. */
struct arili_set_options {
    bool nx, xx, get, keepttl, persist, other; /* other: one that is not known */
    bool has_ttl, bad_ttl;
    uint64_t ttl_ms; /* from now on, whatever it was said in */
};
void arili_set_options(const aril_bytes *args, size_t count, uint64_t now_ms,
                       struct arili_set_options *ret);
#endif
