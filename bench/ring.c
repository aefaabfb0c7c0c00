/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <string.h>
#include <sys/mman.h>

#define FILL_SEED UINT64_C(0x9e3779b97f4a7c15)
#define HUGE_PAGE ((size_t)2 << 20)

static size_t plain_bytes(const struct bench_ring *r)
{
    return r->count * r->record_bytes;
}

/* Steps of this length visit every place of the ring, and never a neighbour. */
static size_t coprime_step(size_t count)
{
    size_t step = count / 3 * 2 + 1;
    for (;; step++) {
        size_t a = count;
        size_t b = step;
        while (b != 0) {
            const size_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) {
            return step;
        }
    }
}

void bench_ring_new(struct bench_ring *ring, size_t record_bytes, size_t span_count, unsigned flags)
{
    BENCH_CHECK(record_bytes % (64 * span_count) == 0);
    const bool in_place = (flags & BENCH_IN_PLACE) != 0;
    const bool attached = (flags & BENCH_ATTACHED) != 0;
    const size_t both = in_place ? record_bytes : 2 * record_bytes;
    struct bench_ring r = { .count = (BENCH_RING_BYTES + both - 1) / both,
                            .record_bytes = record_bytes,
                            .span_count = span_count,
                            .in_place = in_place,
                            .step = 1 };
    if ((flags & BENCH_SCATTERED) != 0) {
        r.step = coprime_step(r.count);
    }
    r.body_stride = record_bytes + (attached ? ARIL_SEAL_BYTES : 0);
    r.seal_stride = attached ? r.body_stride : ARIL_SEAL_BYTES;
    /* Bodies lie half a huge page off from their plaintexts. At some other distances, which
     * depend on the record size, the prefetchers of some processors do far better or worse. */
    const size_t body_at =
        (plain_bytes(&r) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE + HUGE_PAGE / 2;
    const size_t bodies = in_place ? 0 : r.count * r.body_stride;
    const size_t seals = attached ? 0 : r.count * ARIL_SEAL_BYTES;
    r.map_bytes = body_at + bodies + seals;
    r.map = mmap(NULL, r.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(r.map != MAP_FAILED);
    /* As caches of this kind are kept; it favours the raw cipher, which waits less for the
     * page tables. */
    (void)madvise(r.map, r.map_bytes, MADV_HUGEPAGE);
    r.plain = r.map;
    r.body = in_place ? r.plain : r.map + body_at;
    r.seal = attached ? r.body + record_bytes : r.map + body_at + bodies;
    memset(r.map, 0, r.map_bytes); /* the pages exist before anything is timed */
    *ring = r;
}

void bench_ring_free(struct bench_ring *ring)
{
    (void)munmap(ring->map, ring->map_bytes);
    *ring = (struct bench_ring){ 0 };
}

void bench_ring_fill(struct bench_ring *ring)
{
    uint64_t state = FILL_SEED;
    for (size_t at = 0; at < plain_bytes(ring); at += sizeof state) {
        const uint64_t word = bench_next(&state);
        memcpy(ring->plain + at, &word, sizeof word);
    }
}

bool bench_ring_intact(const struct bench_ring *ring)
{
    uint64_t state = FILL_SEED;
    uint64_t wrong = 0;
    for (size_t at = 0; at < plain_bytes(ring); at += sizeof state) {
        uint64_t word;
        memcpy(&word, ring->plain + at, sizeof word);
        wrong |= word ^ bench_next(&state);
    }
    return wrong == 0;
}

void bench_ring_clear(struct bench_ring *ring)
{
    if (!ring->in_place) {
        memset(ring->plain, 0, plain_bytes(ring));
    }
}
