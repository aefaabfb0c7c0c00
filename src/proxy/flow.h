/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_FLOW_H
#define ARILI_PROXY_FLOW_H
#include <aril/base.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/uio.h>

/*
 * Bytes on their way, without copies where it pays: a flow is a queue of slices of blocks that are
 * counted. Everything here belongs to one loop, and so to one thread; only the budget is shared.
 */
#define ARILI_BLOCK_BYTES     16384u            /* of the tail that small things are copied to */
#define ARILI_BLOCK_BIG_BYTES ((size_t)1 << 18) /* of what is read from sockets */
#define ARILI_SLICE_MIN       32768u            /* shorter runs are copied, not shared */

/* Memory of all flows of all loops. */
struct arili_budget {
    _Atomic uint64_t used;
    uint64_t max;
};

struct arili_block {
    struct arili_block *next; /* in the list of free ones */
    uint32_t refs;
    uint32_t cap;
    uint8_t data[];
};

/* Blocks of one loop; some free ones are kept. They may hold plaintext: they lie in pages that are
 * left out of core files, and are wiped before memory goes back to the system. */
struct arili_blocks {
    struct arili_budget *budget;
    struct arili_block *small, *big;
    uint32_t small_count, big_count;
};
void arili_blocks_init(struct arili_blocks *b, struct arili_budget *budget);
void arili_blocks_done(struct arili_blocks *b);
/* cap is one of the two sizes. NULL: no memory. Within the budget or not: it is counted, and who
 * takes large amounts asks arili_budget_has() first. */
struct arili_block *arili_block_take(struct arili_blocks *b, size_t cap);
void arili_block_hold(struct arili_block *block);
void arili_block_drop(struct arili_blocks *b, struct arili_block *block); /* NULL is fine */
bool arili_budget_has(const struct arili_budget *budget, uint64_t bytes);

struct arili_slice {
    struct arili_block *block;
    uint32_t at, len;
};

/* All zero but blocks is empty. */
struct arili_flow {
    struct arili_blocks *blocks;
    struct arili_slice *slices; /* slices[first .. first + count) */
    uint32_t first, count, cap;
    uint64_t bytes;
    bool failed; /* memory was short: what was appended since is not there, and the peer must end */
};
void arili_flow_init(struct arili_flow *f, struct arili_blocks *blocks);
void arili_flow_done(struct arili_flow *f); /* also empties it for another use */
/* Empties it for another use soon: a short list of slices is kept. */
void arili_flow_clear(struct arili_flow *f);
/* Copies. */
void arili_flow_put(struct arili_flow *f, aril_bytes bytes);
/* Room of n bytes at the end, at most ARILI_BLOCK_BYTES; NULL when memory is short. Then commit
 * what was used of it, before anything else is done with f. */
uint8_t *arili_flow_reserve(struct arili_flow *f, size_t n);
void arili_flow_commit(struct arili_flow *f, size_t n);
/* Bytes that lie in block: shared when they are many, else copied. */
void arili_flow_share(struct arili_flow *f, struct arili_block *block, aril_bytes bytes);
/* All of from goes behind f; from is empty then. */
void arili_flow_move(struct arili_flow *f, struct arili_flow *from);
/* f gets what from has, shared; from stays. */
void arili_flow_copy(struct arili_flow *f, const struct arili_flow *from);
/* What comes next, for writev(); how many. */
size_t arili_flow_peek(const struct arili_flow *f, struct iovec *ret, size_t cap);
/* The first n bytes are gone. */
void arili_flow_consume(struct arili_flow *f, uint64_t n);
/* Up to cap of the first bytes, copied out; they stay. */
size_t arili_flow_read(const struct arili_flow *f, uint8_t *ret, size_t cap);
#endif
