/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_SECURE_H
#define ARILI_BASE_SECURE_H
#include <aril/base.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

/* Fixed-size cells for secrets, in pages that are left out of core files, read as
 * zeros in a forked child, and are locked against swapping as far as
 * RLIMIT_MEMLOCK allows. Thread-safe; a mutex guards the free list, so cells are
 * taken at set-up and rotation, never per record. */
#define ARILI_SECURE_CELL_BYTES 128u

struct arili_secure;

/* One arena. ARIL_E_NOMEM when no page can be had. */
ARIL_MUST_USE aril_status arili_secure_new(struct arili_secure **ret_arena);
/* Every cell must be back, but not in a forked child. NULL is fine. */
void arili_secure_free(struct arili_secure *arena);
/* A zeroed cell of ARILI_SECURE_CELL_BYTES, aligned to 64, or NULL. */
void *arili_secure_take(struct arili_secure *arena);
/* Wipes the cell and takes it back. NULL is fine. In a forked child it only
 * forgets the cell: the pages are not shared state there. */
void arili_secure_give(struct arili_secure *arena, void *cell);

/* Tells a forked child, and is read before every use of a key: one load, and a system call
 * only where the kernel cannot wipe pages on fork. Copy it; valid as long as the arena. */
struct arili_fork_guard {
    const volatile uint64_t *marker; /* in a page of the arena: reads as 0 in a child */
    pid_t pid;                       /* 0: the page is enough */
};
struct arili_fork_guard arili_secure_guard(const struct arili_secure *arena);
static inline bool arili_is_forked(const struct arili_fork_guard *guard)
{
    return *guard->marker == 0 || (guard->pid != 0 && getpid() != guard->pid);
}
/* The same, and always with the system call. */
bool arili_secure_forked(const struct arili_secure *arena);

struct arili_secure_stats {
    size_t bytes;        /* mapped pages */
    size_t locked_bytes; /* of these, locked */
    bool wipes_on_fork;
    bool no_core;
};
struct arili_secure_stats arili_secure_stats(struct arili_secure *arena);
#endif
