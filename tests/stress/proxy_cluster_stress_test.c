/* SPDX-License-Identifier: Apache-2.0 */
/* arild before a Cluster whose slots move, whose nodes die, come back and are replaced, while
 * clients write through pipelines: what was acknowledged is there, commands of one key keep their
 * order, and only keys of a node that is gone have errors. */
#include "arild.h"
#include "check.h"
#include "redis_internal.h"
#include "wire.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITERS    3u /* writer n has keys of one slot, which is with node n at first */
#define KEYS       12u
#define BURST      6u                /* keys of a burst: SET, SET, GET of each, and EXPIRE */
#define REPLIES    (3u * BURST + 1u) /* of a burst */
#define ROUND_ACKS (SANITIZED ? 100u : 400u) /* of a writer between two events */
#define MOVES      (SANITIZED ? 4u : 12u)    /* of slots */
#define HANG_S     120                       /* a limit for what hangs; nothing is decided by it */
#define BIG_EVERY  16u                       /* writes */
#define BIG        80000u                    /* it is streamed */
#define VALUE_MAX  (BIG + 64u)
#define NAMES_MAX  256u
#define DURABLE    "appendonly yes\nappendfsync always\ncluster-require-full-coverage no\n"

struct key {
    uint32_t sent, acked;
    uint32_t maybe; /* the newest whose answer was lost: it may have been done. 0: none */
};
struct writer {
    pthread_t thread;
    unsigned number, tag;
    int fd;
    uint32_t next;
    struct key keys[KEYS];
    uint32_t first_sent[BURST]; /* of the burst that is under way */
    struct wire_bytes out, in;
    _Atomic uint32_t acks, errors, tryagain;
    char wrong[256]; /* what it saw that may not be; read after it ended */
};

static struct redis_cluster behind;
static struct redis replica;
static struct arild proxy;
static struct writer writers[WRITERS];
static bool started;
static atomic_bool stop, may_lose;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER;

static aril_bytes text(const char *t)
{
    return (aril_bytes){ (const uint8_t *)t, strlen(t) };
}

/* --- Writers: no assertions, they would leave for the next test of another thread */

static aril_bytes key_name(const struct writer *w, unsigned k, char ret[static 32])
{
    const int len = snprintf(ret, 32, "{%u}:%u", w->tag, k);
    return (aril_bytes){ (const uint8_t *)ret, (size_t)len };
}

static aril_bytes value_of(const struct writer *w, unsigned k, uint32_t n, char *ret)
{
    const int head = snprintf(ret, 64, "%u:%u:%u:", n, w->number, k);
    const size_t pad = n % BIG_EVERY == 0 ? BIG : n * 2654435761u % 3000u;
    memset(ret + head, 'a' + (int)(n % 26), pad);
    return (aril_bytes){ (const uint8_t *)ret, (size_t)head + pad };
}

static void put(struct writer *w, const char *word, unsigned k, const aril_bytes *more)
{
    char name[32];
    wire_begin(&w->out, more != NULL ? 3 : 2);
    wire_arg(&w->out, text(word));
    wire_arg(&w->out, key_name(w, k, name));
    if (more != NULL) {
        wire_arg(&w->out, *more);
    }
}

static void put_burst(struct writer *w, unsigned first)
{
    static _Thread_local char room[VALUE_MAX];
    const aril_bytes seconds = text("5000");
    w->out.len = 0;
    for (unsigned i = 0; i < BURST; i++) {
        const unsigned k = (first + i) % KEYS;
        w->first_sent[i] = w->keys[k].sent + 1;
        for (unsigned twice = 0; twice < 2; twice++) {
            const aril_bytes value = value_of(w, k, ++w->keys[k].sent, room);
            put(w, "SET", k, &value);
        }
        put(w, "GET", k, NULL);
    }
    put(w, "EXPIRE", first, &seconds);
}

static void complain(struct writer *w, const char *what, unsigned k, aril_bytes reply)
{
    if (w->wrong[0] == '\0') {
        (void)snprintf(w->wrong, sizeof w->wrong,
                       "%s: key %u of %u, %u acknowledged, %u sent: %.60s", what, k, w->number,
                       w->keys[k].acked, w->keys[k].sent, wire_shown(reply));
    }
}

static bool begins(aril_bytes reply, const char *with)
{
    return reply.len >= strlen(with) && memcmp(reply.data, with, strlen(with)) == 0;
}

static void set_came(struct writer *w, unsigned k, uint32_t n, aril_bytes reply)
{
    struct key *const key = &w->keys[k];
    if (begins(reply, "+OK\r\n")) {
        key->acked = n;
        key->maybe = 0;
    } else if (begins(reply, "-TRYAGAIN ")) { /* it was not done */
        atomic_fetch_add(&w->tryagain, 1);
    } else {
        key->maybe = n;
        atomic_fetch_add(&w->errors, 1);
    }
}

static void get_came(struct writer *w, unsigned k, aril_bytes reply)
{
    static _Thread_local char room[VALUE_MAX];
    const struct key *const key = &w->keys[k];
    aril_bytes content = { NULL, 0 };
    if (reply.data[0] == '-') {
        atomic_fetch_add(begins(reply, "-TRYAGAIN ") ? &w->tryagain : &w->errors, 1);
        return;
    }
    if (!wire_content(reply, &content)) {
        if (key->acked != 0 && !atomic_load(&may_lose)) {
            complain(w, "gone", k, reply);
        }
        return;
    }
    const uint32_t n = (uint32_t)strtoul((const char *)content.data, NULL, 10); /* CRLF follows */
    const aril_bytes value = value_of(w, k, n <= key->sent ? n : 0, room);
    const bool order = n == key->acked || (n > key->acked && n <= key->maybe);
    if ((!order && !atomic_load(&may_lose)) || value.len != content.len ||
        memcmp(value.data, content.data, value.len) != 0) {
        complain(w, "another value", k, reply);
    }
}

/* Answers that came, also before the connection ended; what did not come may have been done. */
static void take(struct writer *w, unsigned first)
{
    size_t at = 0;
    uint32_t acks = 0;
    for (unsigned i = 0; i < REPLIES; i++) {
        const unsigned k = (first + i / 3) % KEYS;
        const aril_bytes rest = { w->in.data + at, w->in.len - at };
        const size_t len = rest.len > 0 ? wire_reply_len(rest) : 0;
        const bool came = len != 0 && len != SIZE_MAX;
        const aril_bytes reply = came ? (aril_bytes){ rest.data, len } : text("-LOST ");
        at += came ? len : 0;
        if (i == REPLIES - 1) {
            if (reply.data[0] == '-') {
                atomic_fetch_add(begins(reply, "-TRYAGAIN ") ? &w->tryagain : &w->errors, 1);
            }
        } else if (i % 3 == 2) {
            get_came(w, k, reply);
        } else {
            set_came(w, k, w->first_sent[i / 3] + i % 3, reply);
            acks += begins(reply, "+OK\r\n") ? 1 : 0;
        }
    }
    (void)pthread_mutex_lock(&lock);
    atomic_fetch_add(&w->acks, acks);
    (void)pthread_cond_signal(&progress);
    (void)pthread_mutex_unlock(&lock);
}

static void *writer_run(void *arg)
{
    struct writer *const w = arg;
    while (!atomic_load(&stop)) {
        w->fd = w->fd < 0 ? arild_dial(&proxy) : w->fd;
        if (w->fd < 0) {
            redis_pause();
            continue;
        }
        const uint32_t errors = atomic_load(&w->errors);
        const unsigned first = w->next++ * BURST % KEYS;
        put_burst(w, first);
        if (!wire_exchange(w->fd, &w->out, &w->in, REPLIES)) {
            (void)close(w->fd);
            w->fd = -1;
        }
        take(w, first);
        if (atomic_load(&w->errors) != errors) {
            redis_pause();
        }
    }
    return NULL;
}

/* --- Watching them, from the thread that the processes end with */

static bool all_have(const uint32_t *before, unsigned but, bool errors)
{
    bool done = true;
    for (unsigned i = 0; i < WRITERS; i++) {
        const uint32_t n = atomic_load(&writers[i].acks) - before[i];
        done = done && (i == but || n >= ROUND_ACKS);
    }
    return done && (!errors || atomic_load(&writers[but].errors) > before[but]);
}

/* Until each writer but one has come through so often, and that one, if asked, has had errors. */
static void wait_for(unsigned but, bool errors)
{
    uint32_t before[WRITERS];
    struct timespec limit;
    int code = 0;
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += HANG_S;
    (void)pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < WRITERS; i++) {
        before[i] = i == but ? atomic_load(&writers[i].errors) : atomic_load(&writers[i].acks);
    }
    while (!all_have(before, but, errors) && code == 0) {
        code = pthread_cond_timedwait(&progress, &lock, &limit);
    }
    (void)pthread_mutex_unlock(&lock);
    if (code != 0) {
        fail_msg("some writer does not come through any more");
    }
}

static void wait_for_all(void)
{
    wait_for(WRITERS, false);
}

static void end_writers(void)
{
    atomic_store(&stop, true);
    for (unsigned i = 0; started && i < WRITERS; i++) {
        struct writer *const w = &writers[i];
        assert_int_equal(pthread_join(w->thread, NULL), 0);
        if (w->fd >= 0) {
            (void)close(w->fd);
        }
        wire_free(&w->out);
        wire_free(&w->in);
        print_message("writer %u: %u acknowledged, %u errors, %u to be tried again\n", i,
                      atomic_load(&w->acks), atomic_load(&w->errors), atomic_load(&w->tryagain));
    }
    started = false;
}

static void assert_nothing_wrong(void)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_string_equal(writers[i].wrong, "");
    }
}

/* --- The Cluster */

/* Tags are blinded by the proxy: where one is has to be looked for. */
static unsigned node_of_tag(int fd, unsigned tag)
{
    char line[64];
    unsigned at = REDIS_NODES;
    struct wire_bytes out = { .len = 0 };
    struct wire_bytes in = { .len = 0 };
    for (unsigned step = 0; step < 2; step++) {
        out.len = 0;
        (void)snprintf(line, sizeof line, step == 0 ? "SET {%u} v\r\n" : "DEL {%u}\r\n", tag);
        wire_text(&out, line);
        assert_true(wire_exchange(fd, &out, &in, 1));
        assert_true(in.data[0] != '-');
        for (unsigned i = 0; step == 0 && i < REDIS_NODES; i++) {
            at = redis_number(&behind.node[i], "DBSIZE") > 0 ? i : at;
        }
    }
    wire_free(&out);
    wire_free(&in);
    assert_true(at < REDIS_NODES);
    return at;
}

static void begin(void)
{
    char upstream[128];
    const struct redis_options durable = { .conf = DURABLE };
    assert_true(redis_cluster_start(&behind, &durable));
    (void)snprintf(upstream, sizeof upstream, "redis+cluster://127.0.0.1:%u,127.0.0.1:%u",
                   behind.node[0].port, behind.node[1].port);
    const struct arild_options options = { .upstream = upstream, .top = "threads = 2" };
    assert_true(arild_start(&proxy, &behind.node[0], &options));
    const int fd = arild_dial(&proxy);
    assert_true(fd >= 0);
    unsigned tag = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        while (node_of_tag(fd, tag) != i) {
            tag++;
        }
        writers[i] = (struct writer){ .number = i, .tag = tag, .fd = -1 };
    }
    (void)close(fd);
    atomic_store(&stop, false);
    atomic_store(&may_lose, false);
    started = true;
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]), 0);
    }
    wait_for_all();
}

/* Name number pick, or so, of the answer. Sealed names are safe in a line. NULL: none; borrowed
 * until the next call. */
static const char *name_from(unsigned node, const char *command, unsigned pick)
{
    static char name[512];
    static aril_bytes names[NAMES_MAX];
    size_t count = 0;
    aril_bytes content = { NULL, 0 };
    struct wire_bytes out = { .len = 0 };
    struct wire_bytes in = { .len = 0 };
    const int fd = redis_dial(&behind.node[node]);
    wire_text(&out, command);
    wire_text(&out, "\r\n");
    assert_true(wire_exchange(fd, &out, &in, 1));
    assert_true(wire_parts((aril_bytes){ in.data, in.len }, names, NAMES_MAX, &count));
    if (count > 0) {
        assert_true(wire_content(names[pick % count], &content) && content.len < sizeof name);
        memcpy(name, content.data, content.len);
    }
    name[content.len] = '\0';
    (void)close(fd);
    wire_free(&out);
    wire_free(&in);
    return count > 0 ? name : NULL;
}

/* One slot of those that have keys, to the next node; some load comes in between. */
static void move_slot(unsigned from, unsigned to, unsigned pick)
{
    char line[640];
    const char *name = name_from(from, "KEYS *", pick);
    if (name == NULL) {
        return; /* all was moved away from it before */
    }
    (void)snprintf(line, sizeof line, "CLUSTER KEYSLOT %s", name);
    const unsigned slot = (unsigned)redis_number(&behind.node[from], line);
    char list[64];
    (void)snprintf(list, sizeof list, "CLUSTER GETKEYSINSLOT %u 1", slot);
    redis_cluster_migrate(&behind, slot, to);
    for (unsigned moved = 0; (name = name_from(from, list, 0)) != NULL; moved++) {
        (void)snprintf(line, sizeof line, "MIGRATE 127.0.0.1 %u %s 0 60000", behind.node[to].port,
                       name);
        redis_expect(&behind.node[from], line, "+OK");
        if (moved == KEYS / 2) {
            wait_for_all();
        }
    }
    wait_for_all();
    redis_cluster_settle(&behind, slot, to);
    wait_for_all();
}

/* --- Tests */

static void slots_move_under_load(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    if (arild_is_plain()) {
        print_message("SKIPPED: a plain server has no Cluster behind it\n");
        skip();
    }
    begin();
    for (unsigned n = 0; n < MOVES; n++) {
        move_slot(n % REDIS_NODES, (n + 1) % REDIS_NODES, n);
    }
    end_writers();
    assert_nothing_wrong();
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(atomic_load(&writers[i].errors), 0);
    }
    unsigned asked = 0; /* or this was no test */
    for (unsigned i = 0; i < REDIS_NODES; i++) {
        char stats[8192];
        (void)redis_ask(&behind.node[i], "INFO commandstats", stats, sizeof stats);
        asked += strstr(stats, "cmdstat_asking") != NULL ? 1 : 0;
    }
    assert_true(asked > 0);
}

static void a_node_that_dies_takes_only_its_keys_along(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    if (arild_is_plain()) {
        print_message("SKIPPED: a plain server has no Cluster behind it\n");
        skip();
    }
    begin();
    for (unsigned n = 0; n < REDIS_NODES; n++) {
        uint32_t before[WRITERS];
        for (unsigned i = 0; i < WRITERS; i++) {
            before[i] = atomic_load(&writers[i].errors);
        }
        redis_kill(&behind.node[n]);
        wait_for(n, true);
        redis_restart(&behind.node[n]);
        redis_cluster_wait(&behind);
        wait_for_all();
        for (unsigned i = 0; i < WRITERS; i++) {
            const uint32_t errors = atomic_load(&writers[i].errors) - before[i];
            assert_true(i == n ? errors > 0 : errors == 0);
        }
    }
    end_writers();
    assert_nothing_wrong();
}

static void wait_until_says(const struct redis *r, const char *line, const char *what)
{
    char answer[REDIS_LINE_BYTES];
    for (unsigned polls = 0; polls < REDIS_POLLS_MAX; polls++) {
        (void)redis_ask(r, line, answer, sizeof answer);
        if (strstr(answer, what) != NULL) {
            return;
        }
        redis_pause();
    }
    fail_msg("%s: no %s", line, what);
}

static void a_replica_takes_over(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    if (arild_is_plain()) {
        print_message("SKIPPED: a plain server has no Cluster behind it\n");
        skip();
    }
    char id[64];
    char line[128];
    unsigned bus_port = 0;
    const struct redis_options options = { .tcp = true, .conf = DURABLE };
    begin();
    assert_true(redis_start_node(&replica, &options, &bus_port));
    (void)snprintf(line, sizeof line, "CLUSTER MEET 127.0.0.1 %u %u", replica.port, bus_port);
    redis_expect(&behind.node[0], line, "+OK");
    (void)redis_ask(&behind.node[0], "CLUSTER MYID", id, sizeof id);
    (void)snprintf(line, sizeof line, "CLUSTER REPLICATE %s", id);
    wait_until_says(&replica, line, "+OK");
    wait_until_says(&replica, "INFO replication", "master_link_status:up");
    for (unsigned i = 1; i < REDIS_NODES; i++) { /* all must know of it to elect it */
        wait_until_says(&behind.node[i], "CLUSTER INFO", "cluster_known_nodes:4");
    }
    wait_for_all();
    atomic_store(&may_lose, true); /* replication is behind what was acknowledged */
    redis_kill(&behind.node[0]);
    wait_until_says(&replica, "INFO replication", "role:master");
    wait_for_all(); /* the first node is still dead */
    end_writers();
    assert_nothing_wrong();
    assert_int_equal(atomic_load(&writers[1].errors), 0);
    assert_int_equal(atomic_load(&writers[2].errors), 0);
    assert_true(atomic_load(&writers[0].errors) > 0);
}

static int tear_down(void **state)
{
    (void)state;
    end_writers();
    arild_remove(&proxy);
    redis_remove(&replica);
    redis_cluster_remove(&behind);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(slots_move_under_load, tear_down),
        cmocka_unit_test_teardown(a_node_that_dies_takes_only_its_keys_along, tear_down),
        cmocka_unit_test_teardown(a_replica_takes_over, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
