/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_BENCH_HARNESS_H
#define ARIL_BENCH_HARNESS_H
#include <aril/aril.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What all measurements share. A measurement asks bench_wants() for its stem, measures, and
 * hands each number to bench_report(). A call that fails ends the program: a figure of a
 * broken path would be worse than none. Timing never does.
 */

struct bench_options {
    const char *json; /* file for the numbers, or NULL */
    const char *only; /* prefix of the keys that are wanted, or "" */
    bool quick;       /* fewer rounds: to see that it runs, not to compare */
};
extern struct bench_options bench_options;

/* Rounds of an alternating measurement. */
size_t bench_rounds(void);
#define BENCH_ROUNDS_MAX 15u

/* --- Failures (results.c) */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bench_expect(aril_status st, const char *call);
#define BENCH_OK(call) bench_expect((call), #call)
#define BENCH_CHECK(cond)                   \
    do {                                    \
        if (!(cond)) {                      \
            bench_fail("%s failed", #cond); \
        }                                   \
    } while (0)

/* --- Results (results.c) */
#define BENCH_KEY_BYTES 64u
/* Whether a key that begins with stem, or that stem begins with, is wanted. */
bool bench_wants(const char *stem);
/* One number under the key "STEM.NAME"; printed at once, with its target if it has one. */
void bench_report(const char *stem, const char *name, double value);
/* A number that was reported; false when there is none. */
bool bench_reported(const char *key, double *ret);
/* Name the targets that were wanted and not measured; write the JSON file. */
void bench_results_end(void);

/* --- Clocks and statistics (stats.c). The functions over values sort them. */
uint64_t bench_wall_ns(void);
/* CPU time of this thread: what other programs take is not in it. */
uint64_t bench_thread_ns(void);
double bench_median(double *values, size_t count);
double bench_percentile(double *values, size_t count, double percent);
/* The median cost of one pair of bench_wall_ns() calls. */
double bench_clock_cost_ns(void);
/* Nanoseconds that the threads of this process were ready and waited for a processor; 0 where
 * the kernel does not tell. */
uint64_t bench_waited_ns(void);
/* A small generator for order and content; nothing secret. state is not 0. */
uint64_t bench_next(uint64_t *state);

/* --- Processors and processes (process.c) */
/* Processors that this program may use, and pin this thread to the nth of them. False, and
 * nothing changes, when that is not possible. */
size_t bench_processors(void);
bool bench_pin(size_t nth);
/* Run a program and collect what it prints, cut to cap. False with a line on stderr when it
 * cannot be run or fails. argv ends with NULL. */
bool bench_child(char *const argv[], char *ret, size_t cap);

/* --- Allocations of the whole program (allocations.c) */
/* False where malloc cannot be counted. */
bool bench_allocations_counted(void);
uint64_t bench_allocations(void);

/* --- A ring of records (ring.c) */
enum { BENCH_ATTACHED = 1u << 0, BENCH_IN_PLACE = 1u << 1, BENCH_SCATTERED = 1u << 2 };

/* Plaintexts and bodies, BENCH_RING_BYTES together, so that each record comes from memory and
 * goes to memory. Record follows record, which suits the prefetchers best, or scattered like
 * the pages of a cache. Spans of one record lie far apart, like K and V. */
#define BENCH_RING_BYTES ((size_t)256 << 20)
struct bench_ring {
    size_t count, record_bytes, span_count;
    uint8_t *plain;
    uint8_t *body, *seal;
    size_t body_stride, seal_stride;
    bool in_place;
    size_t step; /* scattered: from one record to the next; else 1 */
    uint8_t *map;
    size_t map_bytes;
};
void bench_ring_new(struct bench_ring *ring, size_t record_bytes, size_t span_count,
                    unsigned flags);
void bench_ring_free(struct bench_ring *ring);
/* Fill the plaintext from a seed, and compare with what that gave. */
void bench_ring_fill(struct bench_ring *ring);
bool bench_ring_intact(const struct bench_ring *ring);
/* Zero the plaintext, so that an open has to bring it back. */
void bench_ring_clear(struct bench_ring *ring);

/* Where record i lies. */
static inline size_t bench_ring_place(const struct bench_ring *r, size_t i)
{
    return r->step == 1 ? i : i * r->step % r->count;
}
static inline uint8_t *bench_ring_body(const struct bench_ring *r, size_t place)
{
    return r->body + place * r->body_stride;
}
static inline uint8_t *bench_ring_seal(const struct bench_ring *r, size_t place)
{
    return r->seal + place * r->seal_stride;
}
static inline aril_span bench_ring_span(const struct bench_ring *r, size_t place, size_t span)
{
    const size_t len = r->record_bytes / r->span_count;
    return (aril_span){ r->plain + (span * r->count + place) * len, len };
}

/* Work on records first to end of a ring, one after the other. */
typedef void bench_pass_fn(void *state, const struct bench_ring *ring, size_t first, size_t end);

/* --- EVP AES-256-GCM without anything around it (raw.c) */
struct bench_raw;
struct bench_raw *bench_raw_new(void);
void bench_raw_free(struct bench_raw *raw);
bench_pass_fn bench_raw_seal, bench_raw_open; /* state: struct bench_raw */

/* --- Our side (world.c): a runtime, an identity and both ends of a session. */
struct bench_world {
    aril_runtime *rt;
    aril_identity *identity;
    aril_session *tenant, *server;
};
void bench_world_new(struct bench_world *w);
void bench_world_free(struct bench_world *w);
/* A view of what session sealed itself, or its peer, for the model of this benchmark. */
aril_kv *bench_view_new(aril_session *session, aril_kv_source source, aril_kv_mode mode,
                        size_t slot_pins, const aril_executor *executor);

enum { BENCH_SLOTS = 1u << 0, BENCH_STAGING = 1u << 1 };
struct bench_ours {
    aril_kv *seals, *opens;
    unsigned flags;
    uint8_t *staging; /* one record, with BENCH_STAGING */
};
/* state: struct bench_ours. The batches have BENCH_BATCH_RECORDS each. */
#define BENCH_BATCH_RECORDS 64u
bench_pass_fn bench_ours_seal, bench_ours_open, bench_ours_seal_batch, bench_ours_open_batch;

/* --- Topics */
void bench_memory(void);      /* raw.c */
void bench_kv(void);          /* kv.c */
void bench_kv_threads(void);  /* kv_threads.c */
void bench_kv_parts(void);    /* kv_parts.c */
void bench_python(void);      /* python.c */
void bench_session(void);     /* session.c */
void bench_tenants(void);     /* tenants.c */
void bench_keyring(void);     /* keyring.c */
void bench_cache_l1(void);    /* cache_l1.c */
void bench_cache_redis(void); /* cache_redis.c */
void bench_cache_async(void); /* cache_async.c */
void bench_proxy_place(void); /* proxy_place.c */
/* In a child: make count tenants and print what that took. */
void bench_tenants_child(size_t count);
#endif
