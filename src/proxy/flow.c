/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/flow.h"
#include "base/mem.h"
#include <string.h>
#include <sys/mman.h>

/* Free blocks that a loop keeps. */
#define KEEP_SMALL 256u
#define KEEP_BIG   32u
#define SLICES_MIN 8u
/* A list of this many is kept in a flow that is emptied. */
#define SLICES_KEPT 32u

/* --- Blocks --------------------------------------------------------------------------------- */

void arili_blocks_init(struct arili_blocks *b, struct arili_budget *budget)
{
    *b = (struct arili_blocks){ .budget = budget };
}

static size_t map_bytes(size_t cap)
{
    const size_t page = 4096;
    return (sizeof(struct arili_block) + cap + page - 1) / page * page;
}

/* Mapped, not allocated: a page of its own can be left out of core files. */
static struct arili_block *block_new(size_t cap)
{
    void *at =
        mmap(NULL, map_bytes(cap), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(at, map_bytes(cap), MADV_DONTDUMP); /* an old kernel: the daemon has no cores */
    struct arili_block *block = at;
    block->cap = (uint32_t)cap;
    return block;
}

static void block_free(struct arili_block *block)
{
    const size_t cap = block->cap;
    arili_wipe(block->data, cap);
    (void)munmap(block, map_bytes(cap));
}

static void list_free(struct arili_block *list)
{
    while (list != NULL) {
        struct arili_block *next = list->next;
        block_free(list);
        list = next;
    }
}

void arili_blocks_done(struct arili_blocks *b)
{
    list_free(b->small);
    list_free(b->big);
    *b = (struct arili_blocks){ .budget = b->budget };
}

struct arili_block *arili_block_take(struct arili_blocks *b, size_t cap)
{
    struct arili_block **list = cap == ARILI_BLOCK_BYTES ? &b->small : &b->big;
    uint32_t *count = cap == ARILI_BLOCK_BYTES ? &b->small_count : &b->big_count;
    struct arili_block *block = *list;
    if (block != NULL) {
        *list = block->next;
        (*count)--;
    } else {
        block = block_new(cap);
        if (block == NULL) {
            return NULL;
        }
    }
    block->next = NULL;
    block->refs = 1;
    atomic_fetch_add_explicit(&b->budget->used, cap, memory_order_relaxed);
    return block;
}

void arili_block_hold(struct arili_block *block)
{
    block->refs++;
}

void arili_block_drop(struct arili_blocks *b, struct arili_block *block)
{
    if (block == NULL || --block->refs > 0) {
        return;
    }
    const bool small = block->cap == ARILI_BLOCK_BYTES;
    uint32_t *count = small ? &b->small_count : &b->big_count;
    atomic_fetch_sub_explicit(&b->budget->used, block->cap, memory_order_relaxed);
    if (*count >= (small ? KEEP_SMALL : KEEP_BIG)) {
        block_free(block);
        return;
    }
    struct arili_block **list = small ? &b->small : &b->big;
    block->next = *list;
    *list = block;
    (*count)++;
}

bool arili_budget_has(const struct arili_budget *budget, uint64_t bytes)
{
    const uint64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    return used <= budget->max && bytes <= budget->max - used;
}

/* --- Flows ---------------------------------------------------------------------------------- */

void arili_flow_init(struct arili_flow *f, struct arili_blocks *blocks)
{
    *f = (struct arili_flow){ .blocks = blocks };
}

static void drop_slices(struct arili_flow *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        arili_block_drop(f->blocks, f->slices[f->first + i].block);
    }
    f->first = f->count = 0;
    f->bytes = 0;
}

void arili_flow_done(struct arili_flow *f)
{
    drop_slices(f);
    arili_free(f->slices, f->cap * sizeof *f->slices);
    *f = (struct arili_flow){ .blocks = f->blocks };
}

void arili_flow_clear(struct arili_flow *f)
{
    if (f->cap > SLICES_KEPT) {
        arili_flow_done(f);
        return;
    }
    drop_slices(f);
    f->failed = false;
}

/* Room for n more slices. */
static bool grow(struct arili_flow *f, uint32_t n)
{
    if (f->cap - f->first - f->count >= n) {
        return true;
    }
    if (f->first >= f->cap / 2 && f->cap - f->count >= n) {
        memmove(f->slices, f->slices + f->first, f->count * sizeof *f->slices);
        f->first = 0;
        return true;
    }
    uint32_t cap = f->cap < SLICES_MIN ? SLICES_MIN : f->cap;
    while (cap - f->count < n) {
        if (cap > UINT32_MAX / 2 / sizeof *f->slices) {
            return false;
        }
        cap *= 2;
    }
    cap = cap == f->cap ? 2 * cap : cap;
    struct arili_slice *more = arili_alloc(cap * sizeof *more);
    if (more == NULL) {
        return false;
    }
    if (f->count > 0) {
        memcpy(more, f->slices + f->first, f->count * sizeof *more);
    }
    arili_free(f->slices, f->cap * sizeof *f->slices);
    f->slices = more;
    f->cap = cap;
    f->first = 0;
    return true;
}

static struct arili_slice *last_slice(const struct arili_flow *f)
{
    return f->count > 0 ? &f->slices[f->first + f->count - 1] : NULL;
}

/* Bytes that can be written behind the last slice: it is a small block's end, and nobody else has
 * the block. */
static size_t tail_room(const struct arili_flow *f)
{
    const struct arili_slice *s = last_slice(f);
    return s != NULL && s->block->refs == 1 && s->block->cap == ARILI_BLOCK_BYTES
               ? s->block->cap - s->at - s->len
               : 0;
}

static bool add_tail(struct arili_flow *f)
{
    struct arili_block *block = grow(f, 1) ? arili_block_take(f->blocks, ARILI_BLOCK_BYTES) : NULL;
    if (block == NULL) {
        f->failed = true;
        return false;
    }
    f->slices[f->first + f->count++] = (struct arili_slice){ .block = block };
    return true;
}

uint8_t *arili_flow_reserve(struct arili_flow *f, size_t n)
{
    if (f->failed || n > ARILI_BLOCK_BYTES || (tail_room(f) < n && !add_tail(f))) {
        f->failed = true;
        return NULL;
    }
    struct arili_slice *s = last_slice(f);
    return s->block->data + s->at + s->len;
}

void arili_flow_commit(struct arili_flow *f, size_t n)
{
    struct arili_slice *s = last_slice(f);
    s->len += (uint32_t)n;
    f->bytes += n;
}

void arili_flow_put(struct arili_flow *f, aril_bytes bytes)
{
    while (bytes.len > 0 && !f->failed) {
        size_t n = tail_room(f);
        if (n == 0) {
            if (!add_tail(f)) {
                return;
            }
            n = tail_room(f);
        }
        n = n < bytes.len ? n : bytes.len;
        struct arili_slice *s = last_slice(f);
        memcpy(s->block->data + s->at + s->len, bytes.data, n);
        arili_flow_commit(f, n);
        bytes = (aril_bytes){ bytes.data + n, bytes.len - n };
    }
}

void arili_flow_share(struct arili_flow *f, struct arili_block *block, aril_bytes bytes)
{
    if (bytes.len < ARILI_SLICE_MIN) {
        arili_flow_put(f, bytes);
        return;
    }
    if (f->failed || !grow(f, 1)) {
        f->failed = true;
        return;
    }
    arili_block_hold(block);
    f->slices[f->first + f->count++] = (struct arili_slice){
        .block = block, .at = (uint32_t)(bytes.data - block->data), .len = (uint32_t)bytes.len
    };
    f->bytes += bytes.len;
}

static void append(struct arili_flow *f, const struct arili_flow *from)
{
    if (from->count > 0) {
        memcpy(f->slices + f->first + f->count, from->slices + from->first,
               from->count * sizeof *f->slices);
        f->count += from->count;
        f->bytes += from->bytes;
    }
}

void arili_flow_move(struct arili_flow *f, struct arili_flow *from)
{
    f->failed = f->failed || from->failed || !grow(f, from->count);
    if (f->failed) {
        drop_slices(from);
        return;
    }
    append(f, from);
    from->first = from->count = 0;
    from->bytes = 0;
}

void arili_flow_copy(struct arili_flow *f, const struct arili_flow *from)
{
    f->failed = f->failed || from->failed || !grow(f, from->count);
    if (f->failed) {
        return;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        arili_block_hold(from->slices[from->first + i].block);
    }
    append(f, from);
}

size_t arili_flow_peek(const struct arili_flow *f, struct iovec *ret, size_t cap)
{
    size_t n = 0;
    for (uint32_t i = 0; i < f->count && n < cap; i++) {
        const struct arili_slice *s = &f->slices[f->first + i];
        if (s->len > 0) {
            ret[n++] = (struct iovec){ s->block->data + s->at, s->len };
        }
    }
    return n;
}

void arili_flow_consume(struct arili_flow *f, uint64_t n)
{
    f->bytes -= n;
    while (f->count > 0 && (n > 0 || f->slices[f->first].len == 0)) {
        struct arili_slice *s = &f->slices[f->first];
        const uint32_t gone = n < s->len ? (uint32_t)n : s->len;
        s->at += gone;
        s->len -= gone;
        n -= gone;
        if (s->len > 0) {
            return;
        }
        arili_block_drop(f->blocks, s->block);
        f->first++;
        f->count--;
    }
    if (f->count == 0) {
        f->first = 0;
    }
}

size_t arili_flow_read(const struct arili_flow *f, uint8_t *ret, size_t cap)
{
    size_t len = 0;
    for (uint32_t i = 0; i < f->count && len < cap; i++) {
        const struct arili_slice *s = &f->slices[f->first + i];
        const size_t n = s->len < cap - len ? s->len : cap - len;
        memcpy(ret + len, s->block->data + s->at, n);
        len += n;
    }
    return len;
}
