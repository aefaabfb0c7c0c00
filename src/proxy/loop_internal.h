/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_LOOP_INTERNAL_H
#define ARILI_PROXY_LOOP_INTERNAL_H
#include "proxy/auth.h"
#include "proxy/local.h"
#include "proxy/loop.h"
#include "proxy/request.h"

/*
 * What the files of a loop know of one another. Everything here belongs to the thread of the loop,
 * but for struct arili_proxy, whose members say how they are guarded.
 */

/* A configuration and what was read with it; counted, and never changed. */
struct arili_settings {
    _Atomic uint32_t refs;
    struct arili_proxy_config *config;
    struct arili_credentials *credentials; /* NULL: none */
    uint8_t *password;                     /* of the servers, a secure cell */
    size_t password_len;
};
struct arili_settings *arili_settings_hold(struct arili_proxy *proxy);
void arili_settings_drop(struct arili_settings *s); /* NULL is fine */

struct arili_proxy {
    aril_runtime *rt;
    aril_keyring *keyring;
    arili_proxy_log_fn *log;
    void *user;
    struct arili_budget budget;
    _Atomic uint64_t moved;    /* numbers names of what was moved aside */
    _Atomic uint64_t reserved; /* of the budget, for values that are being verified */
    struct arili_proxy_figures figures;
    struct arili_latency latency;
    struct arili_tries *tries;
    struct arili_tells tells;           /* of no tenant */
    const _Atomic uint64_t *audit_lost; /* borrowed; NULL: not known */
    uint64_t started_ms;
    char run_id[41];
    char server_version[32]; /* what clients are told */
    _Atomic uint64_t clients, next_client;
    _Atomic uint32_t links;   /* that are ready, of all loops */
    _Atomic bool server_down; /* the last attempt failed, and nothing worked since */

    pthread_mutex_t lock; /* the rest */
    struct arili_settings *settings;
    struct arili_tenant *tenants; /* only grows; a pointer to one stays good */
    uint32_t tenant_count;
};
/* The tenant, which arili_proxy_new() or a reload made. NOT_FOUND: settings do not have it. */
ARIL_MUST_USE aril_status arili_proxy_tenant(struct arili_proxy *proxy,
                                             const struct arili_settings *settings, aril_bytes id,
                                             struct arili_tenant **ret);
void arili_proxy_say(const struct arili_proxy *proxy, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- Telling (tell.c) ----------------------------------------------------------------------- */

struct arili_telling {
    enum arili_tell kind;
    aril_status status;
    const char *action;          /* static; NULL: that of the kind */
    aril_bytes subject;          /* the name in the store, an address; len 0: none */
    const uint8_t *key_id;       /* NULL: none */
    struct arili_tenant *tenant; /* filled by arili_proxy_may_tell(), as is what follows */
    uint64_t left_out;
};
/* Whether it may be told now; false: it was counted. tenant NULL: of none. */
bool arili_proxy_may_tell(struct arili_proxy *proxy, struct arili_tenant *tenant,
                          struct arili_telling *t);
/* After that; subject may be filled in between. */
void arili_proxy_tell(struct arili_proxy *proxy, const struct arili_telling *t);
/* Sums of what was left out. Now and then. */
void arili_proxy_tell_owed(struct arili_proxy *proxy);

/* --- A server and the links to it ----------------------------------------------------------- */

#define ARILI_NODES_MAX 1024u
struct arili_node {
    struct arili_node *next;
    struct arili_address address;
    struct arili_link *idle; /* ready ones that nobody has */
    uint32_t links, failures;
    uint32_t held;        /* of links: somebody has them */
    uint32_t index;       /* of the order that SCAN goes through */
    uint64_t retry_at_ns; /* not before, after failures */
    bool gone;            /* not in the map any more */
    bool has_slots;
};

/* Who has a link: a client or a job. What a link says to it goes through these. */
struct arili_holder {
    struct arili_client *client;
    struct arili_job *job;
};

enum arili_link_state { ARILI_LINK_CONNECTING, ARILI_LINK_LOGIN, ARILI_LINK_READY };
struct arili_expected {
    struct arili_request *request; /* NULL: an answer that only must be no error */
    uint8_t what;                  /* of those: enum arili_swallow */
};
enum arili_swallow { ARILI_SWALLOW_OK, ARILI_SWALLOW_LOGIN, ARILI_SWALLOW_ANY };
struct arili_link {
    struct arili_peer peer; /* first */
    struct arili_node *node;
    struct arili_link *next_idle;
    struct arili_holder holder;
    struct arili_tenant *tenant; /* of the holder; NULL: nobody's */
    bool held;
    enum arili_link_state state;
    uint32_t database;
    bool resp3;
    bool sticky; /* it has state of its holder: WATCH, MULTI */
    bool stuck;  /* an answer waits for a key or for memory */
    struct arili_resp_decoder decoder;
    struct arili_expected *expected; /* expected[first .. first + count) of a ring of cap */
    uint32_t first, count, cap;
    bool half_sent; /* a command was begun, and its rest is still to come */
    bool in_push;   /* an out-of-band message is being read */
    bool swallowed_error;
    uint64_t heard_ns; /* when the server said something, or something was sent to it idle */
    char error[128];   /* what the server said at log-in */
};

/* --- Jobs: what takes several exchanges (job.c) --------------------------------------------- */

struct arili_job {
    struct arili_job *next, **at; /* in the list of the loop */
    struct arili_loop *loop;
    struct arili_client *client;   /* which it holds up; NULL: nobody, or it is gone */
    struct arili_tenant *tenant;   /* for whom it is; NULL: for all */
    struct arili_request *request; /* of the client, that it answers or freezes; NULL: none */
    struct arili_link *link;       /* the one it has; NULL: none */
    bool resp3;                    /* of its link: as its client's */
    uint32_t database;
    uint32_t owed; /* answers that are still to come */
    bool ending;
    bool brief; /* once it has a link it waits for nothing but the server */
    bool waits; /* for a link: step is called again without an answer */
    uint32_t stage, tries;
    /* What it does next. answer NULL: it begins, or waited for a link. One that was lost has
     * got.kind ARILI_RESP_MORE. */
    void (*step)(struct arili_job *job, struct arili_request *answer);
    void (*name)(struct arili_job *job, aril_bytes name); /* ARILI_SHAPE_NAMES */
    void (*wrote)(struct arili_job *job); /* some of a long command was written; else NULL */
    void (*done)(struct arili_job *job);  /* releases what the job has besides; may be NULL */
    size_t bytes;                         /* of the whole object, which begins with this struct */
};

/* --- Clients -------------------------------------------------------------------------------- */

struct arili_client {
    struct arili_peer peer; /* first */
    uint64_t id;
    uint32_t listener;
    struct arili_settings *settings; /* as of its last command */
    struct arili_tenant *tenant;     /* NULL: not logged in */
    uint64_t name_max;               /* of its tenant's keys */
    struct arili_tenant *introduced; /* who it is by where it comes from; may be NULL */
    struct arili_change {            /* keys that the transaction changes */
        uint64_t hash, not_after_ms;
    } * changes;
    uint32_t change_count, change_cap;
    bool resp3;
    bool watching, in_multi;
    uint32_t watches; /* how many commands said what is watched */
    bool multi_bad;   /* a command was refused here: EXEC will not be sent */
    bool multi_sent;  /* MULTI was: a Cluster waits for the first key */
    uint32_t database;
    struct arili_local local;
    char address[64];
    struct arili_address reached; /* where it came in, as it would come again */
    char reached_text[ARILI_ADDRESS_TEXT];

    /* The command that is being read. */
    struct arili_resp_decoder decoder;
    aril_bytes *args; /* where they are: in the input, or in spill */
    uint32_t arg_count, arg_cap;
    uint64_t arg_want;
    uint8_t *spill; /* copies of arguments, when the input ended before the command */
    size_t spill_len, spill_cap;
    bool spilled; /* args are offsets into spill */
    bool in_command;
    bool ready; /* args hold a whole command that could not be run yet */
    uint64_t command_bytes;
    bool body_begun;    /* of the argument that is being read, a piece was copied */
    bool refused_input; /* what it says further is not read */
    uint64_t connected_ms;
    uint64_t stranger_ns;         /* since when it is nobody, if it is */
    uint64_t said_ns;             /* when it said something */
    uint64_t read_ns;             /* since when it is late with reading, of client_time.c */
    uint64_t begun_ns;            /* the same with the command that is being read; 0: none */
    bool no_room;                 /* the command is refused: there is no memory for it */
    struct arili_request *stream; /* whose value goes to the server while it comes */
    struct arili_link *stream_link;
    struct arili_value_sealer sealer;
    bool stream_sealed;     /* else it goes as it is */
    bool stream_held;       /* it is in value already, whole */
    struct arili_flow tail; /* what of the command follows it */
    bool streamed;          /* the command was sent already, or refused; its value may still come */
    bool stream_asked;      /* it shall be streamed, and was not begun */
    bool value_too_long;
    bool value_held; /* the open body goes to value */
    uint64_t value_bytes;
    struct arili_flow value; /* a large argument, which waits for the options behind it */
    uint32_t value_arg;      /* which argument it is; UINT32_MAX: none */

    /* Under way, in order. */
    struct arili_request *first, **end;
    uint32_t count;
    struct arili_request *queued, **queued_end; /* of the transaction, for EXEC */
    struct arili_job *job;                      /* nothing further is begun before it ends */
    int look; /* what was found out for an EXPIRE in a transaction: 1 yes, 2 no */
    struct arili_client **login; /* a passphrase is being checked: the task's pointer to this one */
    bool waits_for_link;
    const struct arili_node *waits_for; /* NULL: any news; only compared */
    struct arili_client *next_waiting;
    uint64_t map_version; /* of the Cluster, by which what is under way was sent */

    struct arili_link **links; /* that it has */
    uint32_t link_count, link_cap;
};

struct arili_loop {
    struct arili_proxy *proxy;
    struct arili_blocks blocks;
    struct arili_block *scratch; /* what is read goes here first */
    uint32_t scratch_at;         /* what is before it may be shared */
    bool has_read;               /* since the last tick */
    struct arili_key_table keys;
    struct arili_name_cache *names;
    struct arili_value_batch values; /* for all that is sealed and opened; ended with each tick */
    struct arili_settings *settings; /* as of the last tick */
    struct arili_peer *clients, *all_links, *grave;
    struct arili_peer *queue, **queue_end;
    struct arili_task *tasks, **tasks_end;
    struct arili_job *jobs;
    struct arili_node *nodes;
    struct arili_node **slots; /* ARILI_RESP_SLOTS of a Cluster, NULL entries are not known */
    uint32_t node_count;
    bool map_loading;
    uint64_t map_at_ns, map_version;             /* version: changes with every slot that changes */
    uint32_t map_asks;                           /* how often somebody was asked for it */
    struct arili_client *waiting, **waiting_end; /* for a link */
    struct arili_request *requests;              /* that were freed, for those that are made next */
    uint32_t request_count;
    struct arili_flow build; /* a command that is being written, over a Cluster */
    uint32_t tasks_out;
    uint64_t now_ns, now_ms, wall_at_ns;
    bool draining;
};

/* loop.c */
void arili_peer_init(struct arili_peer *p, struct arili_loop *loop, enum arili_peer_kind kind);
void arili_peer_touch(struct arili_peer *p); /* the driver hears of it */
void arili_peer_resume(struct arili_peer *p);
/* It is over: no more of it than ARILI_DO_CLOSE. */
void arili_peer_end(struct arili_peer *p);
void arili_loop_work(struct arili_loop *loop, struct arili_task *task);

/* link.c */
/* A link to node for holder, from the idle ones or new; NULL: none is free now, or memory is short.
 * With the database and the protocol that are wanted. */
struct arili_link *arili_link_take(struct arili_loop *loop, struct arili_node *node,
                                   struct arili_holder holder, bool resp3, uint32_t database);
/* With that protocol and database from the next command on. */
void arili_link_prepare(struct arili_link *link, bool resp3, uint32_t database);
/* Back; closed when it owes something or has state. */
void arili_link_give(struct arili_link *link);
/* Memory for one more answer that is expected. */
bool arili_link_has_room(struct arili_link *link);
/* An answer to r, a client's or a job's, is expected; a job asked for room before. False: no
 * memory, the link is ended, and r was told. */
bool arili_link_expect(struct arili_link *link, struct arili_request *r, enum arili_swallow what);
size_t arili_link_came(struct arili_link *link, struct arili_block *block, uint8_t *data, size_t n);
void arili_link_connected(struct arili_link *link);
/* It is over: everybody who waits for it is told. */
void arili_link_lost(struct arili_link *link, aril_status st, const char *why);
void arili_link_unstick(struct arili_link *link);
/* Servers that failed are tried again without a client, too: a proxy that is not ready gets none,
 * and would never be. */
void arili_links_probe(struct arili_loop *loop);
void arili_link_free(struct arili_link *link);
void arili_link_command(struct arili_link *link, const aril_bytes *args, size_t count);

/* node.c */
/* Found, or new. NULL: there are too many, or memory is short. */
struct arili_node *arili_node_of(struct arili_loop *loop, const struct arili_address *address);
/* It failed, and is not tried again yet. */
bool arili_node_is_down(const struct arili_loop *loop, const struct arili_node *node);
/* Forgets nodes that are in the map no more and have no link: servers may come and go for years,
 * each with another address. */
void arili_nodes_reap(struct arili_loop *loop);

/* link_wait.c: who has a link next. */
/* Whether a tenant may have one more link to node: some are left for the others, whatever it does
 * with those that it has. NULL is whoever works for all, and always may. */
bool arili_link_is_allowed(const struct arili_loop *loop, const struct arili_node *node,
                           const struct arili_tenant *tenant);
/* Whether a job may have one beyond links_max: clients that have the others may wait for it. */
bool arili_link_job_may(const struct arili_loop *loop, const struct arili_node *node,
                        const struct arili_job *job);
/* c is run again when it may find one to node; NULL: when there is any news. */
void arili_link_wait(struct arili_client *c, const struct arili_node *node);
/* One to node is free: whoever waits longest and may have it looks again. */
void arili_link_is_free(struct arili_loop *loop, const struct arili_node *node);
/* So many of those who wait look again, whatever they wait for. */
void arili_links_wake(struct arili_loop *loop, uint32_t most);

/* client.c */
ARIL_MUST_USE aril_status arili_client_new(struct arili_loop *loop, uint32_t listener,
                                           const struct arili_identity *identity,
                                           struct arili_client **ret);
size_t arili_client_came(struct arili_client *c, struct arili_block *block, uint8_t *data,
                         size_t n);
/* A request of it was answered, or something else it waited for happened. */
void arili_client_advance(struct arili_client *c);
void arili_client_lost(struct arili_client *c);
void arili_client_free(struct arili_client *c);
/* n bytes were written to it, or came from it. (client_time.c) */
void arili_client_wrote(struct arili_client *c, size_t n);
void arili_client_got(struct arili_client *c, size_t n);
/* It reads: what was held up for it goes on. */
void arili_client_flow(struct arili_client *c);
/* False: it takes too long with what it does. */
bool arili_client_in_time(struct arili_client *c, uint64_t now_ns);
/* Links without state of it go back. */
void arili_client_give_links(struct arili_client *c);
/* The link of it to that node, taken if it has none. NULL: none is free. (send.c) */
struct arili_link *arili_client_link(struct arili_client *c, struct arili_node *node);
/* A link of it is over. */
void arili_client_link_lost(struct arili_client *c, struct arili_link *link);
/* Append a request that waits for an answer, or has it. */
void arili_client_append(struct arili_client *c, struct arili_request *r);
/* local, filled for an answer. */
void arili_client_describe(struct arili_client *c);
void arili_client_forget_transaction(struct arili_client *c);
/* What it may do now: whether commands are held up. */
bool arili_client_is_held(const struct arili_client *c);
/* It is that tenant from here on; NULL: nobody. False: the tenant has all the clients that it may
 * have, and c is who it was. */
bool arili_client_login(struct arili_client *c, struct arili_tenant *tenant);
/* Whether it may log in with a password; else it is who it is by where it comes from, or nobody. */
bool arili_client_may_say(const struct arili_client *c);
#define ARILI_NOBODY_TEXT                                                                    \
    "NOAUTH aril: this listener knows clients by certificate or user id, and no tenant has " \
    "yours; see the log"
/* It is none, and why, for log and audit. */
void arili_client_refused(struct arili_client *c, aril_status st, const char *why);
/* Its address as a subject of events; borrowed. */
aril_bytes arili_client_from(const struct arili_client *c);

/* run.c: commands. */
enum arili_ran {
    ARILI_RAN = 0,
    ARILI_RAN_LATER /* nothing was done: again when arili_client_advance() finds it possible */
};
enum arili_ran arili_run(struct arili_client *c);
/* Whether argument number at, of that length, is a value that need not be kept whole. */
bool arili_run_is_value(const struct arili_client *c, uint32_t at, uint64_t len);
/* The longest value that the policy of the command's key takes: what is verified whole, or with
 * streaming what can be sealed; UINT64_MAX where it stays in clear. */
uint64_t arili_run_value_max(const struct arili_client *c);
/* The command is a SET whose large value begins: stream it, if that can be. *ret: it is. */
enum arili_ran arili_run_stream(struct arili_client *c, uint64_t value_bytes, bool *ret);
/* No more of it comes: give back what it holds. */
void arili_stream_abort(struct arili_client *c);
/* The streamed command is whole. */
void arili_stream_end(struct arili_client *c);
/* A piece of the value; last: all of it came. */
void arili_stream_piece(struct arili_client *c, struct arili_block *block, aril_span piece,
                        bool last);

/* job.c */
/* A job of so many bytes for the command of c, or for nobody; answers r, or freezes it. */
struct arili_job *arili_job_new(struct arili_loop *loop, size_t bytes, struct arili_client *c,
                                struct arili_request *r,
                                void (*step)(struct arili_job *, struct arili_request *));
/* Ends it: what it held up goes on. It is freed. */
void arili_job_end(struct arili_job *job);
/* The same with an error as the answer. */
void arili_job_fail(struct arili_job *job, const char *text);
void arili_job_free(struct arili_job *job);
/* A link to node is there. False: step() is called again when one may be, or the job was failed. */
bool arili_job_link(struct arili_job *job, struct arili_node *node);
void arili_job_give_link(struct arili_job *job);
/* Ask the server something, whose answer comes to step(). NULL: no memory, and the job was failed.
 */
struct arili_request *arili_job_ask(struct arili_job *job, enum arili_shape shape,
                                    const aril_bytes *args, size_t count);
/* The same, when the command was written to the link's flow already. */
struct arili_request *arili_job_expect(struct arili_job *job, enum arili_shape shape);
/* r, of ARILI_SHAPE_PLAIN, needs these to open the value. r may be NULL. */
void arili_job_opens(struct arili_request *r, struct arili_tenant *tenant,
                     struct arili_tenant_keys *keys,
                     const uint8_t context[ARILI_CACHE_CONTEXT_BYTES]);
void arili_job_answered(struct arili_job *job, struct arili_request *r);
void arili_jobs_tick(struct arili_loop *loop);

/* job_remove.c: what r found bad is done with as the policy says; r is frozen meanwhile, and gone
 * when that could not be begun. r->bad is empty then. */
void arili_job_remove(struct arili_request *r);

/* cluster.c */
/* The node for a slot; without a Cluster the one server. NULL: it is not known yet, and being
 * asked for. */
struct arili_node *arili_cluster_node(struct arili_loop *loop, uint16_t slot);
/* Any node. */
struct arili_node *arili_cluster_any(struct arili_loop *loop);
void arili_cluster_refresh(struct arili_loop *loop);
/* r was answered with MOVED or ASK: where that leads; the map follows a MOVED. False: nowhere. */
bool arili_cluster_learn(struct arili_request *r, bool *ret_ask, struct arili_node **ret);
/* And r, of a client, is sent there. False: it cannot be. */
bool arili_cluster_redirect(struct arili_request *r);
/* Events of CLUSTER SLOTS. */
void arili_cluster_event(struct arili_request *r, const struct arili_resp_event *event);
#endif
