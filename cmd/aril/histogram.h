/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_HISTOGRAM_H
#define ARIL_CMD_HISTOGRAM_H
#include <stdint.h>
#include <time.h>

/* Durations in nanoseconds, counted in buckets of 1/32 of their power of two, so that a
 * percentile is exact to 3 %. All zero is empty. */
#define HISTOGRAM_SUB     32u
#define HISTOGRAM_BUCKETS (60u * HISTOGRAM_SUB)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
};

static inline uint32_t histogram_bucket(uint64_t ns)
{
    uint32_t shift = 0;
    for (uint64_t v = ns; v >= 2 * HISTOGRAM_SUB; v >>= 1) {
        shift++;
    }
    return shift * HISTOGRAM_SUB + (uint32_t)(ns >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
    const uint32_t bucket = histogram_bucket(ns);
    h->counts[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1]++;
    h->total++;
}

static inline void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->counts[i] += from->counts[i];
    }
    into->total += from->total;
}

/* The upper end of the bucket that holds the given share (0 to 1) of all durations; 0 when
 * there is none. */
static inline uint64_t histogram_ns(const struct histogram *h, double share)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > 0 && (double)seen >= share * (double)h->total) {
            const uint32_t shift = i < 2 * HISTOGRAM_SUB ? 0 : i / HISTOGRAM_SUB - 1;
            return ((uint64_t)(i - shift * HISTOGRAM_SUB) + 1) << shift;
        }
    }
    return 0;
}

static inline uint64_t monotonic_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}
#endif
