/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secure.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)64 * 1024)
#define CHUNK_CELLS (CHUNK_BYTES / ARILI_SECURE_CELL_BYTES)
#define WORD_BITS   64u
#define CHUNK_WORDS (CHUNK_CELLS / WORD_BITS)

_Static_assert(ARILI_SECURE_CELL_BYTES % 64 == 0, "cells follow one another aligned to 64");
_Static_assert(CHUNK_CELLS % WORD_BITS == 0, "the map of free cells has whole words");

/* What is known of one mapping. It lives in the heap and not in the mapping,
 * because a forked child reads zeros there and has to unmap it all the same. */
struct chunk {
    struct chunk *prev, *next; /* among those with a free cell */
    uint8_t *cells;
    size_t free_count;
    bool locked;
    uint64_t free[CHUNK_WORDS]; /* bit set: the cell is free */
};

struct arili_secure {
    pthread_mutex_t mutex;
    struct chunk *open;    /* chunks with a free cell, linked */
    struct chunk **sorted; /* all chunks, by address */
    size_t sorted_cap, count, empty_count, locked_count;
    bool wipes_on_fork, no_core;
    pid_t pid;
    /* One cell of the first chunk, held as long as the arena lives: not zero
     * here, zero in a forked child, also in one that got our pid in a namespace of
     * its own. */
    volatile uint64_t *marker;
};

bool arili_secure_forked(const struct arili_secure *arena)
{
    return *arena->marker == 0 || getpid() != arena->pid;
}

struct arili_fork_guard arili_secure_guard(const struct arili_secure *arena)
{
    return (struct arili_fork_guard){ .marker = arena->marker,
                                      .pid = arena->wipes_on_fork ? 0 : arena->pid };
}

static void chunk_free(struct chunk *c)
{
    if (c != NULL) {
        if (c->cells != NULL) {
            arili_wipe(c->cells, CHUNK_BYTES);
            (void)munmap(c->cells, CHUNK_BYTES); /* cannot fail for a whole mapping */
        }
        arili_free(c, sizeof *c);
    }
}

static void chunk_freep(struct chunk **c)
{
    chunk_free(*c);
}

static struct chunk *chunk_new(struct arili_secure *arena)
{
    ARILI_DEFER(chunk_freep) struct chunk *c = arili_alloc(sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    void *at = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return NULL;
    }
    c->cells = at;
    /* Each of the three is a second line of defence: go on without, and report. */
    arena->no_core = madvise(at, CHUNK_BYTES, MADV_DONTDUMP) == 0 && arena->no_core;
    arena->wipes_on_fork = madvise(at, CHUNK_BYTES, MADV_WIPEONFORK) == 0 && arena->wipes_on_fork;
    c->locked = mlock(at, CHUNK_BYTES) == 0;
    c->free_count = CHUNK_CELLS;
    memset(c->free, 0xff, sizeof c->free);
    return ARILI_TAKE(c);
}

static void open_push(struct arili_secure *arena, struct chunk *c)
{
    c->prev = NULL;
    c->next = arena->open;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    arena->open = c;
}

static void open_remove(struct arili_secure *arena, struct chunk *c)
{
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        arena->open = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    c->prev = NULL;
    c->next = NULL;
}

/* How many chunks begin at or below p. */
static size_t chunks_up_to(const struct arili_secure *arena, const void *p)
{
    size_t low = 0;
    size_t high = arena->count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if ((uintptr_t)arena->sorted[mid]->cells <= (uintptr_t)p) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool sorted_reserve(struct arili_secure *arena)
{
    if (arena->count < arena->sorted_cap) {
        return true;
    }
    const size_t cap = arena->sorted_cap == 0 ? 16 : arena->sorted_cap * 2;
    struct chunk **fresh = arili_alloc(cap * sizeof(struct chunk *));
    if (fresh == NULL) {
        return false;
    }
    if (arena->count > 0) {
        memcpy(fresh, arena->sorted, arena->count * sizeof *fresh);
    }
    arili_free(arena->sorted, arena->sorted_cap * sizeof *fresh);
    arena->sorted = fresh;
    arena->sorted_cap = cap;
    return true;
}

static bool grow(struct arili_secure *arena)
{
    if (!sorted_reserve(arena)) {
        return false;
    }
    struct chunk *c = chunk_new(arena);
    if (c == NULL) {
        return false;
    }
    const size_t at = chunks_up_to(arena, c->cells);
    memmove(&arena->sorted[at + 1], &arena->sorted[at],
            (arena->count - at) * sizeof(struct chunk *));
    arena->sorted[at] = c;
    arena->count++;
    arena->empty_count++;
    arena->locked_count += c->locked;
    open_push(arena, c);
    return true;
}

/* An empty chunk goes back to the system if there is another empty one. */
static void shrink(struct arili_secure *arena, struct chunk *c)
{
    if (c->free_count < CHUNK_CELLS || arena->empty_count < 2) {
        return;
    }
    const size_t at = chunks_up_to(arena, c->cells);
    memmove(&arena->sorted[at - 1], &arena->sorted[at],
            (arena->count - at) * sizeof(struct chunk *));
    arena->count--;
    arena->empty_count--;
    arena->locked_count -= c->locked;
    open_remove(arena, c);
    chunk_free(c);
}

static void *take_locked(struct arili_secure *arena)
{
    if (arena->open == NULL && !grow(arena)) {
        return NULL;
    }
    struct chunk *c = arena->open;
    size_t word = 0;
    while (c->free[word] == 0) {
        word++;
    }
    const unsigned bit = (unsigned)__builtin_ctzll(c->free[word]);
    c->free[word] &= ~(UINT64_C(1) << bit);
    arena->empty_count -= c->free_count == CHUNK_CELLS;
    c->free_count--;
    if (c->free_count == 0) {
        open_remove(arena, c);
    }
    return c->cells + (word * WORD_BITS + bit) * ARILI_SECURE_CELL_BYTES;
}

/* Leaves a pointer alone that is no cell in use. */
static void give_locked(struct arili_secure *arena, void *cell)
{
    const size_t upto = chunks_up_to(arena, cell);
    struct chunk *c = upto > 0 ? arena->sorted[upto - 1] : NULL;
    const size_t offset = c != NULL ? (uintptr_t)cell - (uintptr_t)c->cells : CHUNK_BYTES;
    const bool inside = offset < CHUNK_BYTES && offset % ARILI_SECURE_CELL_BYTES == 0;
    const size_t index = offset / ARILI_SECURE_CELL_BYTES;
    const uint64_t bit = UINT64_C(1) << index % WORD_BITS;
    const bool in_use = inside && (c->free[index / WORD_BITS] & bit) == 0;
    assert(in_use);
    if (!in_use) {
        return;
    }
    arili_wipe(cell, ARILI_SECURE_CELL_BYTES);
    c->free[index / WORD_BITS] |= bit;
    c->free_count++;
    arena->empty_count += c->free_count == CHUNK_CELLS;
    if (c->free_count == 1) {
        open_push(arena, c);
    }
    shrink(arena, c);
}

static void arena_free(struct arili_secure *arena)
{
    for (size_t i = 0; i < arena->count; i++) {
        chunk_free(arena->sorted[i]);
    }
    arili_free(arena->sorted, arena->sorted_cap * sizeof(struct chunk *));
    arili_free(arena, sizeof *arena);
}

static void arena_freep(struct arili_secure **arena)
{
    if (*arena != NULL) {
        arena_free(*arena);
    }
}

aril_status arili_secure_new(struct arili_secure **ret_arena)
{
    *ret_arena = NULL;
    ARILI_DEFER(arena_freep) struct arili_secure *arena = arili_alloc(sizeof *arena);
    ARILI_ENSURE(arena != NULL, ARIL_E_NOMEM);
    arena->wipes_on_fork = true;
    arena->no_core = true;
    arena->pid = getpid();
    arena->marker = take_locked(arena);
    ARILI_ENSURE(arena->marker != NULL, ARIL_E_NOMEM);
    *arena->marker = 1;
    ARILI_ENSURE(pthread_mutex_init(&arena->mutex, NULL) == 0, ARIL_E_NOMEM);
    *ret_arena = ARILI_TAKE(arena);
    return ARIL_OK;
}

void arili_secure_free(struct arili_secure *arena)
{
    if (arena == NULL) {
        return;
    }
    if (!arili_secure_forked(arena)) {
        /* All back but the marker. */
        assert(arena->count <= 2 && arena->empty_count == arena->count - 1);
        (void)pthread_mutex_destroy(&arena->mutex);
    } else if (pthread_mutex_trylock(&arena->mutex) != 0) {
        /* The fork caught another thread at work in here. That thread is not in this
         * process, so the lists stay half-done: give up pages of zeros, not sense. */
        return;
    }
    arena_free(arena);
}

void *arili_secure_take(struct arili_secure *arena)
{
    if (arili_secure_forked(arena)) {
        return NULL;
    }
    (void)pthread_mutex_lock(&arena->mutex);
    void *cell = take_locked(arena);
    (void)pthread_mutex_unlock(&arena->mutex);
    return cell;
}

void arili_secure_give(struct arili_secure *arena, void *cell)
{
    if (cell == NULL || arili_secure_forked(arena)) {
        return;
    }
    (void)pthread_mutex_lock(&arena->mutex);
    give_locked(arena, cell);
    (void)pthread_mutex_unlock(&arena->mutex);
}

struct arili_secure_stats arili_secure_stats(struct arili_secure *arena)
{
    const bool child = arili_secure_forked(arena); /* the counts cannot move there */
    if (!child) {
        (void)pthread_mutex_lock(&arena->mutex);
    }
    const struct arili_secure_stats stats = {
        .bytes = arena->count * CHUNK_BYTES,
        .locked_bytes = child ? 0 : arena->locked_count * CHUNK_BYTES,
        .wipes_on_fork = arena->wipes_on_fork,
        .no_core = arena->no_core,
    };
    if (!child) {
        (void)pthread_mutex_unlock(&arena->mutex);
    }
    return stats;
}
