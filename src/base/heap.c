/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define GRAIN       16u
#define CLASS_MIN   ((size_t)32)
#define CLASS_COUNT 32u /* 32, 48, 64, 96, ... 1.5 MiB, headers included */
#define CLASS_OWN   UINT32_MAX
#define RANGE_BIG   ((size_t)1 << 30)
#define RANGE_SMALL ((size_t)64 << 20)

/* Before every block. The link is in the header and not in the block, so that a thread
 * which reads it too late reads an atomic and not somebody's data. */
struct header {
    _Atomic uint32_t next; /* in a free list: index of the next block, 0 none */
    uint32_t size_class;   /* or CLASS_OWN */
    size_t size;           /* asked for */
};
_Static_assert(sizeof(struct header) == GRAIN, "blocks stay aligned");

static struct {
    uint8_t *range;
    size_t range_bytes;
    _Atomic size_t used;
    /* Heads of the free lists: index of a block in the low half, and a count of changes in the
     * high half, which tells a head from the same one in an older state. */
    _Atomic uint64_t head[CLASS_COUNT];
} heap;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static size_t class_bytes(uint32_t c)
{
    const size_t base = CLASS_MIN << c / 2;
    return c % 2 == 0 ? base : base + base / 2;
}

static uint32_t class_of(size_t bytes)
{
    uint32_t c = 0;
    while (c < CLASS_COUNT && class_bytes(c) < bytes) {
        c++;
    }
    return c;
}

static struct header *at_index(uint32_t index)
{
    return (struct header *)(void *)(heap.range + (size_t)index * GRAIN);
}

static uint32_t index_of(const struct header *h)
{
    return (uint32_t)((size_t)((const uint8_t *)h - heap.range) / GRAIN);
}

static void *map(size_t bytes, int flags)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    if (madvise(p, bytes, MADV_DONTDUMP) != 0) {
        (void)munmap(p, bytes);
        return NULL;
    }
    return p;
}

static void reserve(void)
{
    size_t bytes = RANGE_BIG;
    heap.range = map(bytes, MAP_NORESERVE);
    if (heap.range == NULL) {
        bytes = RANGE_SMALL;
        heap.range = map(bytes, MAP_NORESERVE);
    }
    heap.range_bytes = bytes;
    atomic_store(&heap.used, GRAIN); /* index 0 is "none" */
}

bool arili_heap_begin(void)
{
    (void)pthread_once(&once, reserve);
    return heap.range != NULL;
}

static struct header *pop(uint32_t c)
{
    uint64_t head = atomic_load_explicit(&heap.head[c], memory_order_acquire);
    while ((uint32_t)head != 0) {
        struct header *h = at_index((uint32_t)head);
        const uint32_t next = atomic_load_explicit(&h->next, memory_order_relaxed);
        const uint64_t changed = ((head >> 32) + 1) << 32 | next;
        if (atomic_compare_exchange_weak_explicit(&heap.head[c], &head, changed,
                                                  memory_order_acquire, memory_order_acquire)) {
            return h;
        }
    }
    return NULL;
}

static void push(uint32_t c, struct header *h)
{
    uint64_t head = atomic_load_explicit(&heap.head[c], memory_order_relaxed);
    uint64_t changed;
    do {
        atomic_store_explicit(&h->next, (uint32_t)head, memory_order_relaxed);
        changed = ((head >> 32) + 1) << 32 | index_of(h);
    } while (!atomic_compare_exchange_weak_explicit(&heap.head[c], &head, changed,
                                                    memory_order_release, memory_order_relaxed));
}

/* A block of the class that was never used before. NULL when the range is full. */
static struct header *carve(uint32_t c)
{
    const size_t bytes = class_bytes(c);
    size_t used = atomic_load_explicit(&heap.used, memory_order_relaxed);
    do {
        if (bytes > heap.range_bytes - used) {
            return NULL;
        }
    } while (!atomic_compare_exchange_weak_explicit(&heap.used, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return (struct header *)(void *)(heap.range + used);
}

void *arili_heap_alloc(size_t size)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    const size_t bytes = size + sizeof(struct header);
    uint32_t c = class_of(bytes);
    struct header *h = NULL;
    if (c < CLASS_COUNT) {
        h = pop(c);
        h = h != NULL ? h : carve(c);
    }
    if (h == NULL) {
        c = CLASS_OWN;
        h = map(bytes, 0);
    }
    if (h == NULL) {
        return NULL;
    }
    h->size_class = c;
    h->size = size;
    return h + 1;
}

void arili_heap_free(void *p)
{
    if (p == NULL) {
        return;
    }
    struct header *h = (struct header *)p - 1;
    arili_wipe(p, h->size);
    if (h->size_class == CLASS_OWN) {
        (void)munmap(h, h->size + sizeof *h); /* cannot fail for a whole mapping */
        return;
    }
    push(h->size_class, h);
}

void *arili_heap_realloc(void *p, size_t size)
{
    if (p == NULL) {
        return arili_heap_alloc(size);
    }
    const struct header *h = (const struct header *)p - 1;
    void *fresh = arili_heap_alloc(size);
    if (fresh != NULL) {
        memcpy(fresh, p, h->size < size ? h->size : size);
        arili_heap_free(p);
    }
    return fresh;
}
