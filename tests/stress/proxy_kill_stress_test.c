/* SPDX-License-Identifier: Apache-2.0 */
/* arild and the server behind it are killed under load, again and again: clients connect anew, and
 * what was acknowledged is there. The server writes each command down before it answers, so that
 * nothing is lost that Redis itself would lose. */
#include "arild.h"
#include "check.h"
#include "wire.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITERS    4u
#define KEYS       16u /* of each writer, written by it alone */
#define BURST      8u
#define ROUND_ACKS (SANITIZED ? 100u : 400u) /* of each writer between two events */
#define ROUNDS     (SANITIZED ? 6u : 18u)
#define HANG_S     120 /* a limit for what hangs; nothing is decided by it */
#define PAD_MAX    3000u
#define DURABLE    "appendonly yes\nappendfsync always\n"

struct key {
    uint32_t sent, acked; /* the newest value that was sent, that was acknowledged */
};
struct writer {
    pthread_t thread;
    unsigned number;
    int fd;
    uint32_t next;
    struct key keys[KEYS];
    struct wire_bytes out, in;
    _Atomic uint32_t acks;
    _Atomic uint32_t connects, errors;
    char wrong[256]; /* what it saw that may not be; read after it ended */
};

static struct redis behind;
static struct arild proxy;
static struct writer writers[WRITERS];
static atomic_bool stop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER;

static void pause_shortly(void) /* between two tries to connect */
{
    const struct timespec t = { .tv_nsec = 1000000 };
    (void)nanosleep(&t, NULL);
}

/* --- Keys and values: a value says whose it is and which, and is long enough to be cut */

static aril_bytes key_name(unsigned writer, unsigned k, char ret[static 32])
{
    const int len = snprintf(ret, 32, "kill:%u:%u", writer, k);
    return (aril_bytes){ (const uint8_t *)ret, (size_t)len };
}

static aril_bytes value_of(unsigned writer, unsigned k, uint32_t n, char ret[static PAD_MAX + 64])
{
    const int head = snprintf(ret, 64, "%u:%u:%u:", n, writer, k);
    const size_t pad = (n * 2654435761u) % PAD_MAX;
    memset(ret + head, 'a' + (int)(n % 26), pad);
    return (aril_bytes){ (const uint8_t *)ret, (size_t)head + pad };
}

/* Whether the answer to GET is one of the values that may be there. */
static bool is_possible(const struct writer *w, unsigned k, aril_bytes reply)
{
    char want[PAD_MAX + 64];
    aril_bytes content = { NULL, 0 };
    if (!wire_content(reply, &content)) {
        return w->keys[k].acked == 0 && reply.len == 5 && memcmp(reply.data, "$-1\r\n", 5) == 0;
    }
    const uint32_t n = (uint32_t)strtoul((const char *)content.data, NULL, 10); /* CRLF follows */
    const aril_bytes value = value_of(w->number, k, n, want);
    return n >= w->keys[k].acked && n <= w->keys[k].sent && value.len == content.len &&
           memcmp(value.data, content.data, value.len) == 0;
}

static void put_get(struct wire_bytes *out, unsigned writer, unsigned k)
{
    char name[32];
    wire_begin(out, 2);
    wire_arg(out, (aril_bytes){ (const uint8_t *)"GET", 3 });
    wire_arg(out, key_name(writer, k, name));
}

/* --- Writers: no assertions, they would leave for the next test of another thread */

static void writer_put_burst(struct writer *w, unsigned first)
{
    char name[32];
    char value[PAD_MAX + 64];
    w->out.len = 0;
    for (unsigned i = 0; i < BURST; i++) {
        const unsigned k = (first + i) % KEYS;
        wire_begin(&w->out, 3);
        wire_arg(&w->out, (aril_bytes){ (const uint8_t *)"SET", 3 });
        wire_arg(&w->out, key_name(w->number, k, name));
        wire_arg(&w->out, value_of(w->number, k, ++w->keys[k].sent, value));
        put_get(&w->out, w->number, k);
    }
}

/* Answers that came, also before the connection ended. */
static void writer_take(struct writer *w, unsigned first)
{
    size_t at = 0;
    uint32_t acks = 0;
    for (unsigned i = 0; i < 2 * BURST; i++) {
        const unsigned k = (first + i / 2) % KEYS;
        const aril_bytes rest = { w->in.data + at, w->in.len - at };
        const size_t len = wire_reply_len(rest);
        if (len == 0 || len == SIZE_MAX) {
            break;
        }
        const aril_bytes reply = { rest.data, len };
        at += len;
        if (reply.data[0] == '-') {
            atomic_fetch_add(&w->errors, 1);
        } else if (i % 2 == 1) {
            if (!is_possible(w, k, reply) && w->wrong[0] == '\0') {
                (void)snprintf(w->wrong, sizeof w->wrong, "key %u of %u, %u to %u: %.60s", k,
                               w->number, w->keys[k].acked, w->keys[k].sent,
                               (const char *)reply.data);
            }
        } else if (len == 5 && memcmp(reply.data, "+OK\r\n", 5) == 0) {
            w->keys[k].acked = w->keys[k].sent;
            acks++;
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
        if (w->fd < 0) {
            w->fd = arild_dial(&proxy);
            if (w->fd < 0) {
                pause_shortly();
                continue;
            }
            atomic_fetch_add(&w->connects, 1);
        }
        const unsigned first = w->next++ * BURST % KEYS;
        const uint32_t errors = atomic_load(&w->errors);
        writer_put_burst(w, first);
        const bool whole = wire_exchange(w->fd, &w->out, &w->in, (size_t)2 * BURST);
        writer_take(w, first);
        if (!whole) {
            (void)close(w->fd);
            w->fd = -1;
        }
        if (!whole || atomic_load(&w->errors) != errors) {
            pause_shortly();
        }
    }
    return NULL;
}

/* --- Events, from the thread that the processes end with */

static uint32_t floor_of(const uint32_t *before)
{
    uint32_t least = UINT32_MAX;
    for (unsigned i = 0; i < WRITERS; i++) {
        const uint32_t acks = atomic_load(&writers[i].acks) - before[i];
        least = acks < least ? acks : least;
    }
    return least;
}

/* Until each writer has had so many writes acknowledged: they have all come through again. */
static void wait_for_all(void)
{
    uint32_t before[WRITERS];
    struct timespec limit;
    int code = 0;
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += HANG_S;
    (void)pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < WRITERS; i++) {
        before[i] = atomic_load(&writers[i].acks);
    }
    while (floor_of(before) < ROUND_ACKS && code == 0) {
        code = pthread_cond_timedwait(&progress, &lock, &limit);
    }
    (void)pthread_mutex_unlock(&lock);
    if (code != 0) {
        fail_msg("some writer does not come through any more");
    }
}

static void event(unsigned n)
{
    switch (n % 3) {
    case 0:
        arild_kill(&proxy);
        arild_restart(&proxy);
        break;
    case 1:
        redis_kill(&behind);
        redis_restart(&behind);
        break;
    default: /* what is under way is ended first */
        assert_int_equal(arild_stop(&proxy), 0);
        arild_restart(&proxy);
    }
}

static void assert_all_there(void)
{
    struct wire_bytes out = { .len = 0 };
    struct wire_bytes in = { .len = 0 };
    const int fd = arild_dial(&proxy);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        for (unsigned k = 0; k < KEYS; k++) {
            out.len = 0;
            put_get(&out, i, k);
            assert_true(wire_exchange(fd, &out, &in, 1));
            assert_true(writers[i].keys[k].acked > 0);
            if (!is_possible(&writers[i], k, (aril_bytes){ in.data, in.len })) {
                fail_msg("lost: key %u of %u, %u to %u: %.60s", k, i, writers[i].keys[k].acked,
                         writers[i].keys[k].sent, (const char *)in.data);
            }
        }
    }
    (void)close(fd);
    wire_free(&out);
    wire_free(&in);
}

static void end_writers(void)
{
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WRITERS; i++) {
        struct writer *const w = &writers[i];
        assert_int_equal(pthread_join(w->thread, NULL), 0);
        if (w->fd >= 0) {
            (void)close(w->fd);
        }
        wire_free(&w->out);
        wire_free(&w->in);
    }
}

static void what_was_acknowledged_outlives_kills(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    const struct redis_options durable = { .conf = DURABLE };
    const struct arild_options options = { .plain_conf = DURABLE };
    assert_true(redis_start(&behind, &durable));
    assert_true(arild_start(&proxy, &behind, &options));
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .number = i, .fd = -1 };
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]), 0);
    }
    wait_for_all();
    for (unsigned n = 0; n < ROUNDS; n++) {
        event(n);
        wait_for_all();
    }
    end_writers();
    for (unsigned i = 0; i < WRITERS; i++) {
        print_message("writer %u: %u acknowledged, %u connections, %u errors\n", i,
                      atomic_load(&writers[i].acks), atomic_load(&writers[i].connects),
                      atomic_load(&writers[i].errors));
        assert_string_equal(writers[i].wrong, "");
        assert_true(atomic_load(&writers[i].connects) > ROUNDS / 3);
    }
    assert_all_there();
    event(0);
    event(1);
    assert_all_there();
}

static int tear_down(void **state)
{
    (void)state;
    atomic_store(&stop, true);
    arild_remove(&proxy);
    redis_remove(&behind);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_was_acknowledged_outlives_kills, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
