/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORES_FILES_INTERNAL_H
#define ARILI_CACHE_STORES_FILES_INTERNAL_H
#include "cache/stores/store.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* What the files of the store file:FOLDER share. How values lie on the disk is told in
 * files_name.c and files_head.c, which locks there are in files_lock.c. */

/* --- Names: files_name.c ---------------------------------------------------------------------- */

#define ARILI_FILES_LEAVES     65536u
#define ARILI_FILES_FILE_CHARS 200u
#define ARILI_FILES_FILE_BYTES 256u /* a file name with its NUL, of ours or of others */
#define ARILI_FILES_LEAF_BYTES 6u   /* "ab/cd" */
#define ARILI_FILES_PATH_BYTES 264u
#define ARILI_FILES_TEMP       ".tmp-"

/* Where the value of a name lies. */
struct arili_files_place {
    uint32_t leaf;
    char file[ARILI_FILES_FILE_BYTES];
    char path[ARILI_FILES_PATH_BYTES]; /* below FOLDER */
};
/* FNV-1a, 64 bits. */
uint64_t arili_files_hash(aril_bytes bytes);
void arili_files_place_of(aril_bytes name, struct arili_files_place *ret);
void arili_files_place_at(uint32_t leaf, const char *file, struct arili_files_place *ret);
void arili_files_leaf_path(uint32_t leaf, char ret[ARILI_FILES_LEAF_BYTES]);

/* --- The head of a file: files_head.c --------------------------------------------------------- */

#define ARILI_FILES_HEAD_BYTES  64u
#define ARILI_FILES_BLOCK_BYTES 4096u      /* alignment of O_DIRECT */
#define ARILI_FILES_SLICE_BYTES (1u << 20) /* between two looks at the clock */
#define ARILI_FILES_LARGE_BYTES (1u << 20) /* values that begin at a block */
#define ARILI_FILES_BOOT_BYTES  16u

enum {
    ARILI_FILES_ALIGNED = 1u << 0, /* the value begins at the second block */
    ARILI_FILES_SYNCED = 1u << 1   /* it was on the disk before it had its name */
};

struct arili_files_head {
    uint16_t flags;
    uint32_t name_len;
    uint64_t expiry_ms; /* since 1970; 0: none */
    uint64_t value_len;
    uint64_t sum; /* of the value */
    uint8_t boot[ARILI_FILES_BOOT_BYTES];
};
void arili_files_head_write(const struct arili_files_head *head, aril_bytes name,
                            uint8_t ret[ARILI_FILES_HEAD_BYTES]);
/* in: the first bytes of a file, head and name at least where there are so many. FORMAT_KIND: no
 * file of ours, or of another version; any other FORMAT: one of ours that is torn. *ret_name
 * borrows from in. */
ARIL_MUST_USE aril_status arili_files_head_parse(aril_bytes in, struct arili_files_head *ret,
                                                 aril_bytes *ret_name);
uint64_t arili_files_value_at(const struct arili_files_head *head);

/* A sum over the bytes of a value, however they are cut. It finds what a crash tore, not what an
 * attacker changed: that is up to whoever sealed the value. */
struct arili_files_sum {
    uint64_t lane[4];
    uint64_t total;
    uint8_t carry[32];
};
struct arili_files_sum arili_files_sum_init(void);
void arili_files_sum_add(struct arili_files_sum *sum, aril_bytes bytes);
uint64_t arili_files_sum_end(const struct arili_files_sum *sum);

/* --- The store -------------------------------------------------------------------------------- */

#define ARILI_FILES_STRIPES 256u
#define ARILI_FILES_SLOTS   512u /* half for folders of values, half for locks by name */
#define ARILI_FILES_POOL    32u

/* A file that may be evicted. */
struct arili_files_candidate {
    uint32_t leaf;
    struct stat info;
    char file[ARILI_FILES_FILE_BYTES];
};

/* A way through the leaves that are there. All zero: the beginning. */
struct arili_files_leaves {
    uint32_t next;       /* leaf; ARILI_FILES_LEAVES at the end */
    uint8_t present[32]; /* bits: of the first folder of next, the leaves that are there */
};

struct arili_files_walk {
    pthread_mutex_t mutex;    /* of the counts */
    pthread_mutex_t stepping; /* one walker at a time: leaves, pool */
    struct arili_files_leaves leaves;
    bool is_complete;                   /* one round at least: bytes and entries are known */
    int64_t bytes, entries;             /* what the folder holds, about */
    int64_t round_bytes, round_entries; /* of this round, up to leaves.next */
    struct arili_files_candidate pool[ARILI_FILES_POOL];
    size_t pool_count;
};

struct arili_files {
    aril_runtime *rt;
    int root;   /* FOLDER */
    int locks;  /* FOLDER/.locks */
    int ranges; /* FOLDER/.locks/.ranges, a byte for each slot */
    uint64_t bytes_max;
    bool is_durable, is_direct;
    uint8_t boot[ARILI_FILES_BOOT_BYTES]; /* zero: not known */
    atomic_uint temps, puts;
    atomic_uchar synced[ARILI_FILES_LEAVES / 8]; /* bits: leaves whose own names are on the disk */
    char folder[4096];

    pthread_mutex_t slots_mutex;
    pthread_cond_t slots_changed;
    bool is_taken[ARILI_FILES_SLOTS];

    struct arili_files_walk walk;
};

/* CLOCK_MONOTONIC, ns. */
uint64_t arili_files_mono_ns(void);
bool arili_files_in_time(uint64_t deadline_ns);
/* Milliseconds since 1970 of the runtime's clock. */
uint64_t arili_files_now_ms(const struct arili_files *s);
bool arili_files_is_over(const struct arili_files_head *head, uint64_t now_ms);
/* A system call failed with the number. */
aril_status arili_files_failed(const struct arili_files *s, aril_error *error, const char *what,
                               int number);
aril_status arili_files_late(const struct arili_files *s, aril_error *error);
aril_status arili_files_no_memory(const struct arili_files *s, aril_error *error);
void arili_files_closep(int *fd);
/* openat() below a folder: O_CLOEXEC, O_NOFOLLOW, never waiting for a FIFO. */
int arili_files_openat(int folder, const char *path, int flags);

/* --- Locks: files_lock.c ---------------------------------------------------------------------- */

/* Between threads and between processes. slot < ARILI_FILES_SLOTS. */
ARIL_MUST_USE aril_status arili_files_slot_take(struct arili_files *s, uint32_t slot,
                                                uint64_t deadline_ns, aril_error *error);
void arili_files_slot_give(struct arili_files *s, uint32_t slot);
/* The slot in which the folder of a value changes. */
static inline uint32_t arili_files_stripe(uint32_t leaf)
{
    return leaf % ARILI_FILES_STRIPES;
}
/* file: of the record, as arili_files_place_of() names it. */
uint32_t arili_files_lock_slot(const char *file);
/* With that slot taken: REPLAY_STALE unless the lock is held with this token now. */
ARIL_MUST_USE aril_status arili_files_lock_check(struct arili_files *s, aril_bytes lock_name,
                                                 uint64_t fence, aril_error *error);
ARIL_MUST_USE aril_status arili_files_lock(void *state, aril_bytes name, uint32_t ttl_ms,
                                           uint64_t deadline_ns, uint64_t *ret_fence,
                                           aril_error *error);
ARIL_MUST_USE aril_status arili_files_unlock(void *state, aril_bytes name, uint64_t fence,
                                             uint64_t deadline_ns, aril_error *error);
/* Records of locks that ended long ago, some of them. */
void arili_files_locks_sweep(struct arili_files *s, uint64_t deadline_ns);

/* --- Reading: files_read.c -------------------------------------------------------------------- */

/* A file that was opened. */
struct arili_files_entry {
    int fd;
    struct stat info;
    struct arili_files_head head;
    aril_bytes name; /* in start */
    uint8_t start[ARILI_FILES_HEAD_BYTES + ARIL_STORE_NAME_BYTES_MAX];
};
void arili_files_entry_donep(struct arili_files_entry *e);
/*
 * Opens what has that file name. NOT_FOUND: nothing of ours. FORMAT (class): ours and torn;
 * e->info is set then. IO (class), with *error.
 */
ARIL_MUST_USE aril_status arili_files_entry_open(const struct arili_files *s, const char *path,
                                                 struct arili_files_entry *e, aril_error *error);
/* NOT_FOUND unless the name has a value that has not ended. *ret_is_stale becomes true for what is
 * torn or has ended; e->info tells which. */
ARIL_MUST_USE aril_status arili_files_look(const struct arili_files *s, aril_bytes name,
                                           const struct arili_files_place *place,
                                           struct arili_files_entry *e, bool *ret_is_stale,
                                           aril_error *error);
/* The same; what is stale is removed where time allows it. */
ARIL_MUST_USE aril_status arili_files_find(struct arili_files *s, aril_bytes name,
                                           const struct arili_files_place *place,
                                           struct arili_files_entry *e, uint64_t deadline_ns,
                                           aril_error *error);
ARIL_MUST_USE aril_status arili_files_get_one(struct arili_files *s, aril_store_item *item,
                                              uint64_t deadline_ns, aril_error *error);

/* --- Writing: files_write.c, files_draft.c ---------------------------------------------------- */

/* A file on its way to its name. */
struct arili_files_draft {
    struct arili_files *s;
    int fd;
    char path[ARILI_FILES_PATH_BYTES]; /* empty: nothing to remove */
};
void arili_files_draft_donep(struct arili_files_draft *d);
ARIL_MUST_USE aril_status arili_files_draft_make(struct arili_files *s, uint32_t leaf,
                                                 struct arili_files_draft *d, aril_error *error);
/* Head, name and value; durable ones are on the disk then. The descriptor is closed. */
ARIL_MUST_USE aril_status arili_files_draft_fill(struct arili_files_draft *d,
                                                 const aril_store_item *item,
                                                 struct arili_files_head *head,
                                                 uint64_t deadline_ns, aril_error *error);
ARIL_MUST_USE aril_status arili_files_put_one(struct arili_files *s, aril_store_item *item,
                                              uint64_t deadline_ns, aril_error *error);
ARIL_MUST_USE aril_status arili_files_erase_one(struct arili_files *s, aril_store_item *item,
                                                uint64_t deadline_ns, aril_error *error);
/* With the slot of the folder taken: removes the file if it is still this one. */
void arili_files_remove_held(struct arili_files *s, const struct arili_files_place *place,
                             const struct stat *which);
/* The same, taking the slot. False when there was no time. */
bool arili_files_remove(struct arili_files *s, const struct arili_files_place *place,
                        const struct stat *which, uint64_t deadline_ns);
/* fsync, where it means something. */
int arili_files_sync(int fd);

/* --- What lies there: files_walk.c ------------------------------------------------------------ */

ARIL_MUST_USE bool arili_files_walk_init(struct arili_files_walk *walk);
void arili_files_walk_done(struct arili_files_walk *walk);
/* A change in the folder of a leaf. */
void arili_files_account(struct arili_files *s, uint32_t leaf, int64_t bytes, int64_t entries);
/* Counts, and removes old temporary files, until a time. */
void arili_files_walk_first(struct arili_files *s, uint64_t until_ns);
/* Some work of every put: looks on for values that have ended, and evicts for bytes more. */
void arili_files_make_room(struct arili_files *s, uint64_t bytes, uint64_t deadline_ns);
ARIL_MUST_USE aril_status arili_files_scan(void *state, aril_bytes prefix,
                                           aril_store_visit_fn *visit, void *user, uint64_t step_ms,
                                           aril_error *error);
ARIL_MUST_USE aril_status arili_files_stat(void *state, uint64_t deadline_ns,
                                           struct arili_cache_store_stat *ret, aril_error *error);
#endif
