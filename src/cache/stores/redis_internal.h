/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORES_REDIS_INTERNAL_H
#define ARILI_CACHE_STORES_REDIS_INTERNAL_H
#include "cache/stores/store.h"
#include "crypto/tls.h"
#include "resp/resp.h"
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>

/*
 * The files of the Redis store. From below:
 *
 *   redis_uri      what the URI says
 *   redis_resolve  names of hosts, within a deadline
 *   redis_socket   one connected socket, plain or TLS
 *   redis_conn     one connection: login, small exchanges
 *   redis_errors   what a server's error means
 *   redis_pool     nodes and the connections that are kept for each
 *   redis_cluster  which node a slot belongs to
 *   redis_lane     many requests over one connection, pipelined
 *   redis_values   batches over all nodes
 *   redis_lock, redis_scan, redis_notify, redis
 *
 * All times are CLOCK_MONOTONIC in nanoseconds. A connection has one user at a time. Whoever finds
 * it in an unknown state sets broken; then it is closed, so that a late answer meets nobody.
 */
#define ARILI_REDIS_HOST_BYTES   256u /* with NUL */
#define ARILI_REDIS_SEEDS_MAX    16u
#define ARILI_REDIS_NODES_MAX    256u
#define ARILI_REDIS_PATH_BYTES   4096u
#define ARILI_REDIS_IN_BYTES     262144u
#define ARILI_REDIS_OUT_BYTES    16384u
#define ARILI_REDIS_IOV          64u
#define ARILI_REDIS_TEXT_BYTES   8192u
#define ARILI_REDIS_REDIRECTS    5u
#define ARILI_REDIS_DB_MAX       65535u
#define ARILI_REDIS_NO_NODE      0xffffu
#define ARILI_REDIS_DEFAULT_PORT 6379u
#define ARILI_REDIS_SETTLE_MS    20u /* between tries while a cluster settles */

/* --- redis_uri */

struct arili_redis_address {
    bool is_unix; /* host is a path */
    uint16_t port;
    char host[ARILI_REDIS_HOST_BYTES];
};
struct arili_redis_uri {
    bool tls, cluster;
    uint32_t db;
    size_t seed_count;
    struct arili_redis_address seeds[ARILI_REDIS_SEEDS_MAX];
    char user[128];                             /* empty: none */
    char password_file[ARILI_REDIS_PATH_BYTES]; /* empty: none */
};
/* rest: what follows "scheme:". */
ARIL_MUST_USE aril_status arili_redis_uri_parse(const char *scheme, const char *rest,
                                                struct arili_redis_uri *ret, aril_error *error);
/* "host:port" as a server writes it: the port follows the last colon. */
bool arili_redis_address_parse(aril_bytes text, struct arili_redis_address *ret);
bool arili_redis_address_equal(const struct arili_redis_address *a,
                               const struct arili_redis_address *b);
/* "127.0.0.1:6379", "[::1]:6379", "/run/redis.sock" */
#define ARILI_REDIS_ADDRESS_TEXT (ARILI_REDIS_HOST_BYTES + 10u)
void arili_redis_address_text(const struct arili_redis_address *a,
                              char ret[static ARILI_REDIS_ADDRESS_TEXT]);

/* --- redis_resolve */

struct arili_redis_resolved {
    size_t count;
    struct {
        struct sockaddr_storage at;
        socklen_t len;
    } addresses[8];
};
/* Numbers at once; names on a thread of their own, which may outlive the call. */
ARIL_MUST_USE aril_status arili_redis_resolve(const struct arili_redis_address *address,
                                              uint64_t deadline_ns,
                                              struct arili_redis_resolved *ret, aril_error *error);

/* --- redis_socket */

uint64_t arili_redis_now_ns(void);
/* The timeout of poll() that ends at the deadline, rounded up; 0: it has passed. */
int arili_redis_poll_ms(uint64_t deadline_ns);

struct arili_redis_socket {
    int fd;      /* -1: none */
    int stop_fd; /* -1, or readable when whoever waits shall stop: ARIL_E_INTERRUPTED */
    struct arili_tls_conn *tls;
    const char *name; /* of the server, for messages; borrowed */
};
ARIL_MUST_USE aril_status arili_redis_socket_open(struct arili_redis_socket *s,
                                                  const struct arili_redis_address *address,
                                                  const struct arili_redis_resolved *resolved,
                                                  struct arili_tls *tls, uint64_t deadline_ns,
                                                  aril_error *error);
void arili_redis_socket_close(struct arili_redis_socket *s);
/* Without waiting. *ret_len 0: it would have to wait. ARIL_E_IO when the server has closed. */
ARIL_MUST_USE aril_status arili_redis_socket_read(struct arili_redis_socket *s,
                                                  const struct iovec *iov, size_t count,
                                                  size_t *ret_len, aril_error *error);
/* The same; over TLS, what is begun is written whole, until the deadline. */
ARIL_MUST_USE aril_status arili_redis_socket_write(struct arili_redis_socket *s,
                                                   const struct iovec *iov, size_t count,
                                                   uint64_t deadline_ns, size_t *ret_len,
                                                   aril_error *error);
/* events: POLLIN, POLLOUT. ARIL_E_TIMEOUT at the deadline. */
ARIL_MUST_USE aril_status arili_redis_socket_wait(struct arili_redis_socket *s, short events,
                                                  uint64_t deadline_ns, aril_error *error);
/* Nothing to read and not closed: an idle connection as it should be. */
bool arili_redis_socket_quiet(struct arili_redis_socket *s);

/* --- redis_errors */

struct arili_redis_conn;
enum arili_redis_trouble {
    ARILI_REDIS_FINAL, /* the status says it */
    ARILI_REDIS_MOVED,
    ARILI_REDIS_ASK,
    ARILI_REDIS_SETTLING /* TRYAGAIN, CLUSTERDOWN: it may work shortly */
};
struct arili_redis_verdict {
    enum arili_redis_trouble trouble;
    aril_status status;
    uint16_t slot;  /* MOVED, ASK */
    bool same_host; /* the address has only a port */
    struct arili_redis_address address;
    char text[128]; /* what the server said, cut before anything it was told */
};
void arili_redis_judge(aril_bytes text, struct arili_redis_verdict *ret);
/* The verdict as status and message. */
aril_status arili_redis_refused(const struct arili_redis_verdict *v, const char *name,
                                aril_error *error);

/* --- redis_conn */

struct arili_redis_login {
    const char *user;    /* empty: default */
    aril_bytes password; /* len 0: none */
    uint32_t db;
};
struct arili_redis_conn {
    struct arili_redis_socket socket;
    struct arili_redis_node *node;
    struct arili_redis_conn *next; /* in the list of idle ones */
    bool broken;
    bool used; /* it was lent before: the server may have closed it since */
    struct arili_resp_decoder decoder;
    size_t in_at, in_len; /* bytes of in that were not decoded yet: in[in_at..in_len) */
    size_t out_len;
    uint8_t in[ARILI_REDIS_IN_BYTES];
    uint8_t out[ARILI_REDIS_OUT_BYTES];
    uint8_t text[ARILI_REDIS_TEXT_BYTES]; /* a bulk of a small exchange, whole */
};
/* A part of a small reply; bulks are whole, or cut to the room and marked so. */
struct arili_redis_value {
    enum arili_resp_kind kind;
    unsigned depth;
    int64_t number;
    uint64_t count;
    aril_bytes text;
    bool cut;
};
typedef aril_status arili_redis_value_fn(void *user, const struct arili_redis_value *v);

/* Connected and logged in, or NULL. */
ARIL_MUST_USE aril_status arili_redis_conn_open(struct arili_redis_node *node,
                                                const struct arili_redis_login *login, int stop_fd,
                                                uint64_t deadline_ns, struct arili_redis_conn **ret,
                                                aril_error *error);
void arili_redis_conn_close(struct arili_redis_conn *conn);
void arili_redis_conn_closep(struct arili_redis_conn **conn);
/* Appends a command to what goes out; sends when it does not fit, and at flush. */
ARIL_MUST_USE aril_status arili_redis_conn_send(struct arili_redis_conn *conn,
                                                const aril_bytes *args, size_t count,
                                                uint64_t deadline_ns, aril_error *error);
ARIL_MUST_USE aril_status arili_redis_conn_flush(struct arili_redis_conn *conn,
                                                 uint64_t deadline_ns, aril_error *error);
/* Bytes of the caller's behind what goes out, not copied. */
ARIL_MUST_USE aril_status arili_redis_conn_send_raw(struct arili_redis_conn *conn, aril_bytes bytes,
                                                    uint64_t deadline_ns, aril_error *error);
/* One reply, told to fn part by part. Errors of the server are told as well. room: for bulks;
 * len 0: conn->text. What fn returns ends it, and the connection. */
ARIL_MUST_USE aril_status arili_redis_conn_receive(struct arili_redis_conn *conn, aril_span room,
                                                   arili_redis_value_fn *fn, void *user,
                                                   uint64_t deadline_ns, aril_error *error);
/* One reply of which only the outermost value and, in an array, the first element count. */
struct arili_redis_answer {
    enum arili_resp_kind kind, first;
    int64_t number;
    uint64_t count;
    size_t len; /* of text: a simple string, error or bulk, outermost or the first inside */
    uint8_t text[512];
};
ARIL_MUST_USE aril_status arili_redis_conn_answer(struct arili_redis_conn *conn,
                                                  struct arili_redis_answer *ret,
                                                  uint64_t deadline_ns, aril_error *error);
/* FORMAT, and the connection is done for. */
aril_status arili_redis_conn_nonsense(struct arili_redis_conn *conn, const char *what,
                                      aril_error *error);

/* --- redis_pool */

struct arili_redis;
struct arili_redis_node {
    struct arili_redis *store;
    struct arili_redis_address address;
    char name[ARILI_REDIS_ADDRESS_TEXT];
    /* The rest under the mutex of the store. */
    pthread_cond_t changed;
    struct arili_redis_conn *idle;
    uint32_t open;  /* connections, idle ones and lent ones */
    uint32_t users; /* calls that hold a pointer to it */
    uint32_t failures;
    uint64_t retry_at_ns;
    bool probing;                         /* after failures, one call at a time tries */
    bool wanted;                          /* scratch of the clean-up after a new map */
    struct arili_redis_resolved resolved; /* what worked last */
};
struct arili_redis_slotmap {
    bool known;
    uint16_t nodes[ARILI_RESP_SLOTS]; /* index, or ARILI_REDIS_NO_NODE */
};
struct arili_redis_listener;
struct arili_redis {
    aril_runtime *rt;
    struct arili_redis_uri uri;
    struct arili_tls *tls; /* NULL: none */
    uint32_t connections;
    uint32_t deadline_ms;
    struct arili_redis_login login;
    uint8_t password[ARIL_SECRET_BYTES_MAX];
    pthread_mutex_t mutex;
    struct arili_redis_node *nodes[ARILI_REDIS_NODES_MAX];
    size_t node_count; /* places that were ever used; a place may be NULL */
    uint32_t stride;   /* which seed is asked first */
    uint64_t jitter;
    bool refreshing; /* somebody reads the map */
    uint64_t map_generation;
    pthread_cond_t map_changed;
    struct arili_redis_slotmap map;
    struct arili_redis_listener *listener;
};

/* The node of the address, made if there is none; its users are one more. */
ARIL_MUST_USE aril_status arili_redis_node_hold(struct arili_redis *s,
                                                const struct arili_redis_address *address,
                                                struct arili_redis_node **ret, aril_error *error);
void arili_redis_node_drop(struct arili_redis_node *node);
/* The same with the mutex held. index: its place. */
ARIL_MUST_USE aril_status arili_redis_node_find(struct arili_redis *s,
                                                const struct arili_redis_address *address,
                                                struct arili_redis_node **ret, size_t *index);
/* With the mutex held: forgets nodes that are not wanted and have no users. Their idle connections
 * come out as a list, to be closed without it. */
struct arili_redis_conn *arili_redis_pool_sweep(struct arili_redis *s);
void arili_redis_pool_done(struct arili_redis *s);

/* A connection that is kept, if one is free; never waits. NULL: none. */
struct arili_redis_conn *arili_redis_pool_idle(struct arili_redis_node *node);
/* A connection, kept or new; waits for a free place. */
ARIL_MUST_USE aril_status arili_redis_pool_take(struct arili_redis_node *node, uint64_t deadline_ns,
                                                struct arili_redis_conn **ret, aril_error *error);
/* Back, or closed when it is broken or in the middle of something. Accepts NULL. */
void arili_redis_pool_give(struct arili_redis_conn *conn);
void arili_redis_pool_givep(struct arili_redis_conn **conn);

/* --- redis_cluster */

/* Nodes of the slots; each result is held. What is not in the map goes to some node, which will
 * say where it belongs. Not a Cluster: the one node. */
ARIL_MUST_USE aril_status arili_redis_route(struct arili_redis *s, uint16_t slot,
                                            struct arili_redis_node **ret, aril_error *error);
ARIL_MUST_USE aril_status arili_redis_map_load(struct arili_redis *s, uint64_t deadline_ns,
                                               aril_error *error);
/* Reads the map again, unless somebody did since generation. */
ARIL_MUST_USE aril_status arili_redis_map_refresh(struct arili_redis *s, uint64_t generation,
                                                  uint64_t deadline_ns, aril_error *error);
uint64_t arili_redis_map_generation(struct arili_redis *s);
/* The slot is at this node now. */
void arili_redis_map_moved(struct arili_redis *s, uint16_t slot, struct arili_redis_node *node);
/* Where MOVED or ASK point to, held. from: who said so. */
ARIL_MUST_USE aril_status arili_redis_redirect(struct arili_redis *s,
                                               const struct arili_redis_verdict *v,
                                               const struct arili_redis_node *from,
                                               struct arili_redis_node **ret, aril_error *error);
/* Every node that has slots, or the one node; held. */
ARIL_MUST_USE aril_status arili_redis_masters(struct arili_redis *s, struct arili_redis_node **ret,
                                              size_t cap, size_t *ret_count, aril_error *error);
/* Sleeps shortly; false when that would pass the deadline. */
bool arili_redis_settle(uint64_t deadline_ns);

/* --- redis_lane */

enum arili_redis_verb { ARILI_REDIS_GET, ARILI_REDIS_SET, ARILI_REDIS_UNLINK, ARILI_REDIS_EXISTS };
struct arili_redis_job {           /* one item of a batch */
    struct arili_redis_node *node; /* held */
    struct arili_redis_node *next; /* held: where it goes in the next round; NULL: as before */
    uint16_t slot;
    uint8_t redirects;
    bool asking, asking_next; /* the node has to be told that it is right to ask it */
    bool again;               /* it shall be tried in another round */
    bool unreached;           /* its node failed, so that another may have its slot now */
};
struct arili_redis_lane {
    enum arili_redis_verb verb;
    aril_store_item *items;
    struct arili_redis_job *jobs;
    const uint32_t *queue; /* indices of items and jobs */
    uint32_t count;
    struct arili_redis_node *node;
    struct arili_redis_conn *conn; /* NULL: not connected */
    uint64_t deadline_ns;
    aril_error *error; /* the first failure of the batch; may be NULL */
    bool moved;        /* a MOVED was seen */
    bool settling;     /* TRYAGAIN or CLUSTERDOWN was seen */
    bool started;      /* a byte of an answer came */

    uint32_t fed; /* requests that are staged whole */
    size_t part;  /* of request fed: 0 the head, then its parts, then the tail */
    size_t iov_at, iov_count;
    struct iovec iov[ARILI_REDIS_IOV];

    uint32_t answered; /* requests that are answered */
    bool asked;        /* the answer to ASKING of request answered was read */
    uint64_t bytes;    /* of values that came, for the window */
    uint8_t *value;    /* where the value that is being read goes; NULL: nowhere */
    size_t value_len, value_at;
    bool in_value, taken; /* taken: it is handed over piece by piece */
    aril_status result;   /* of the answer that is being read */
    bool decided;
};
/* One step without waiting. Failure: the connection is done for, lane->answered says what is not
 * answered. */
ARIL_MUST_USE aril_status arili_redis_lane_write(struct arili_redis_lane *lane);
ARIL_MUST_USE aril_status arili_redis_lane_read(struct arili_redis_lane *lane);
bool arili_redis_lane_wants_write(const struct arili_redis_lane *lane);
bool arili_redis_lane_done(const struct arili_redis_lane *lane);
/* "SET name value [PX ms] [NX]": what is before the value and what is behind it. */
#define ARILI_REDIS_HEAD_BYTES (ARIL_STORE_NAME_BYTES_MAX + 128u)
#define ARILI_REDIS_TAIL_BYTES 64u
ARIL_MUST_USE aril_status arili_redis_value_bytes(const aril_store_item *item, size_t *ret_len);
size_t arili_redis_set_head(const aril_store_item *item, size_t value_len,
                            uint8_t ret[static ARILI_REDIS_HEAD_BYTES]);
size_t arili_redis_set_tail(const aril_store_item *item,
                            uint8_t ret[static ARILI_REDIS_TAIL_BYTES]);

/* --- redis_values, redis_lock, redis_scan, redis_notify: of the table */

ARIL_MUST_USE aril_status arili_redis_get(void *state, aril_store_item *items, size_t count,
                                          uint64_t deadline_ns, aril_error *error);
ARIL_MUST_USE aril_status arili_redis_put(void *state, aril_store_item *items, size_t count,
                                          uint64_t deadline_ns, aril_error *error);
ARIL_MUST_USE aril_status arili_redis_erase(void *state, aril_store_item *items, size_t count,
                                            uint64_t deadline_ns, aril_error *error);
ARIL_MUST_USE aril_status arili_redis_exists(void *state, aril_store_item *items, size_t count,
                                             uint64_t deadline_ns, aril_error *error);
/* Of the names that a lock lies under. */
#define ARILI_REDIS_LOCK_SUFFIX  ":aril-lock"
#define ARILI_REDIS_FENCE_SUFFIX ":aril-fence"
ARIL_MUST_USE aril_status arili_redis_lock(void *state, aril_bytes name, uint32_t ttl_ms,
                                           uint64_t deadline_ns, uint64_t *ret_fence,
                                           aril_error *error);
ARIL_MUST_USE aril_status arili_redis_unlock(void *state, aril_bytes name, uint64_t fence,
                                             uint64_t deadline_ns, aril_error *error);
/* A put that counts only while item->lock is held; its status is in the item. */
void arili_redis_guarded_put(struct arili_redis *s, aril_store_item *item, uint64_t deadline_ns,
                             aril_error *error);
ARIL_MUST_USE aril_status arili_redis_scan(void *state, aril_bytes prefix,
                                           aril_store_visit_fn *visit, void *user, uint64_t step_ms,
                                           aril_error *error);
ARIL_MUST_USE aril_status arili_redis_publish(void *state, aril_bytes channel, aril_bytes message,
                                              uint64_t deadline_ns, aril_error *error);
ARIL_MUST_USE aril_status arili_redis_listen(void *state, aril_bytes channel,
                                             aril_store_message_fn *fn, void *user,
                                             aril_error *error);
void arili_redis_listener_end(struct arili_redis_listener *listener);
#endif
