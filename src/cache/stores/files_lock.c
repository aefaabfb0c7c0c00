/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/clock.h"
#include "cache/stores/files_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * Slots: a byte each of .locks/.ranges, locked for as long as names change. Between processes that
 * is a lock of the open file description, which the kernel gives back whatever ends the process;
 * threads of one store share the description, so is_taken stands between them. A guarded put holds
 * two slots: first that of the lock's name, then that of the folder. Nobody takes them the other
 * way round.
 *
 * Locks by name: a record of 32 bytes in .locks, under a file name as values have, changed with
 * its slot taken. A token is at least the time in milliseconds, so it grows also when the record
 * was lost or swept away.
 */
#define MAGIC         "ARILLOCK"
#define RECORD_BYTES  32u
#define PAUSE_MIN_NS  50000L
#define PAUSE_MAX_NS  2000000L
#define SWEEP_ENTRIES 4096u
#define SWEEP_AGE_MS  UINT64_C(3600000)

/* --- Slots --- */

static bool try_range(const struct arili_files *s, uint32_t slot, short type)
{
    struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1 };
    int result;
    do {
        result = fcntl(s->ranges, F_OFD_SETLK, &range);
    } while (result != 0 && errno == EINTR);
    return result == 0;
}

/* The kernel can wait for a range, but not until a time. */
static aril_status take_range(const struct arili_files *s, uint32_t slot, uint64_t deadline_ns,
                              aril_error *error)
{
    struct timespec pause = { .tv_nsec = PAUSE_MIN_NS };
    while (!try_range(s, slot, F_WRLCK)) {
        if (errno != EAGAIN && errno != EACCES) {
            return arili_files_failed(s, error, "lock a part of .locks/.ranges", errno);
        }
        if (!arili_files_in_time(deadline_ns)) {
            return arili_files_late(s, error);
        }
        (void)nanosleep(&pause, NULL);
        pause.tv_nsec = pause.tv_nsec < PAUSE_MAX_NS / 2 ? pause.tv_nsec * 2 : PAUSE_MAX_NS;
    }
    return ARIL_OK;
}

static void give_thread(struct arili_files *s, uint32_t slot)
{
    (void)pthread_mutex_lock(&s->slots_mutex);
    s->is_taken[slot] = false;
    (void)pthread_cond_broadcast(&s->slots_changed);
    (void)pthread_mutex_unlock(&s->slots_mutex);
}

aril_status arili_files_slot_take(struct arili_files *s, uint32_t slot, uint64_t deadline_ns,
                                  aril_error *error)
{
    const struct timespec until = { .tv_sec = (time_t)(deadline_ns / ARILI_NS_PER_S),
                                    .tv_nsec = (long)(deadline_ns % ARILI_NS_PER_S) };
    int waited = 0;
    (void)pthread_mutex_lock(&s->slots_mutex);
    while (s->is_taken[slot] && waited == 0) {
        waited = pthread_cond_timedwait(&s->slots_changed, &s->slots_mutex, &until);
    }
    const bool mine = !s->is_taken[slot];
    s->is_taken[slot] = true;
    (void)pthread_mutex_unlock(&s->slots_mutex);
    if (!mine) {
        return arili_files_late(s, error);
    }
    const aril_status st = take_range(s, slot, deadline_ns, error);
    if (st != ARIL_OK) {
        give_thread(s, slot);
    }
    return st;
}

void arili_files_slot_give(struct arili_files *s, uint32_t slot)
{
    (void)try_range(s, slot, F_UNLCK);
    give_thread(s, slot);
}

/* --- Records --- */

struct record {
    uint64_t fence;
    uint64_t expiry_ms; /* 0: given back */
};

uint32_t arili_files_lock_slot(const char *file)
{
    const aril_bytes bytes = { (const uint8_t *)file, strlen(file) };
    return ARILI_FILES_STRIPES + (uint32_t)(arili_files_hash(bytes) % ARILI_FILES_STRIPES);
}

static uint64_t record_sum(const uint8_t bytes[static RECORD_BYTES])
{
    return arili_files_hash((aril_bytes){ bytes, RECORD_BYTES - 8 });
}

/* All zero when there is none that can be believed. */
static aril_status record_read(const struct arili_files *s, const char *file, struct record *ret,
                               aril_error *error)
{
    *ret = (struct record){ 0 };
    ARILI_DEFER(arili_files_closep) int fd = arili_files_openat(s->locks, file, O_RDONLY);
    if (fd < 0) {
        return errno == ENOENT ? ARIL_OK : arili_files_failed(s, error, "open a lock", errno);
    }
    uint8_t bytes[RECORD_BYTES + 1];
    ssize_t len;
    do {
        len = pread(fd, bytes, sizeof bytes, 0);
    } while (len < 0 && errno == EINTR);
    if (len < 0) {
        return arili_files_failed(s, error, "read a lock", errno);
    }
    if (len == (ssize_t)RECORD_BYTES && memcmp(bytes, MAGIC, 8) == 0 &&
        arili_load64(bytes + 24) == record_sum(bytes)) {
        ret->fence = arili_load64(bytes + 8);
        ret->expiry_ms = arili_load64(bytes + 16);
    }
    return ARIL_OK;
}

static int write_record(const struct arili_files *s, int fd, const struct record *r)
{
    uint8_t bytes[RECORD_BYTES];
    memcpy(bytes, MAGIC, 8);
    arili_store64(bytes + 8, r->fence);
    arili_store64(bytes + 16, r->expiry_ms);
    arili_store64(bytes + 24, record_sum(bytes));
    ssize_t len;
    do {
        len = pwrite(fd, bytes, sizeof bytes, 0);
    } while (len < 0 && errno == EINTR);
    if (len != (ssize_t)sizeof bytes) {
        return len < 0 ? errno : ENOSPC;
    }
    return s->is_durable && arili_files_sync(fd) != 0 ? errno : 0;
}

/* Who has the slot is the only one with a file of this name; a killed process may have left one. */
static aril_status record_put(const struct arili_files *s, const char *file, const struct record *r,
                              aril_error *error)
{
    char temp[32];
    (void)snprintf(temp, sizeof temp, ARILI_FILES_TEMP "%x", arili_files_lock_slot(file));
    (void)unlinkat(s->locks, temp, 0);
    ARILI_DEFER(arili_files_closep)
    int fd = arili_files_openat(s->locks, temp, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0) {
        return arili_files_failed(s, error, "make a lock", errno);
    }
    int number = write_record(s, fd, r);
    if (number == 0 && renameat(s->locks, temp, s->locks, file) != 0) {
        number = errno;
    }
    if (number != 0) {
        (void)unlinkat(s->locks, temp, 0);
        return arili_files_failed(s, error, "write a lock", number);
    }
    return ARIL_OK;
}

aril_status arili_files_lock_check(struct arili_files *s, aril_bytes lock_name, uint64_t fence,
                                   aril_error *error)
{
    struct arili_files_place place;
    struct record r;
    arili_files_place_of(lock_name, &place);
    ARILI_TRY(record_read(s, place.file, &r, error));
    ARILI_ENSURE(r.fence == fence && r.expiry_ms > arili_files_now_ms(s), ARIL_E_REPLAY_STALE);
    return ARIL_OK;
}

/* With its slot. */
static aril_status lock_held(struct arili_files *s, const char *file, uint32_t ttl_ms,
                             uint64_t *ret_fence, aril_error *error)
{
    struct record r;
    ARILI_TRY(record_read(s, file, &r, error));
    const uint64_t now = arili_files_now_ms(s);
    if (r.expiry_ms > now) {
        return arili_error_set(error, arili_fail(ARIL_E_EXISTS),
                               "the lock is held; wait for its holder, or until it ends");
    }
    ARILI_ENSURE(r.fence < UINT64_MAX, ARIL_E_LIMIT);
    r.fence = r.fence + 1 > now ? r.fence + 1 : now;
    r.expiry_ms = now + ttl_ms;
    ARILI_TRY(record_put(s, file, &r, error));
    *ret_fence = r.fence;
    return ARIL_OK;
}

aril_status arili_files_lock(void *state, aril_bytes name, uint32_t ttl_ms, uint64_t deadline_ns,
                             uint64_t *ret_fence, aril_error *error)
{
    struct arili_files *const s = state;
    struct arili_files_place place;
    arili_files_place_of(name, &place);
    const uint32_t slot = arili_files_lock_slot(place.file);
    ARILI_TRY(arili_files_slot_take(s, slot, deadline_ns, error));
    const aril_status st = lock_held(s, place.file, ttl_ms, ret_fence, error);
    arili_files_slot_give(s, slot);
    return st;
}

static aril_status unlock_held(struct arili_files *s, aril_bytes name, const char *file,
                               uint64_t fence, aril_error *error)
{
    const aril_status st = arili_files_lock_check(s, name, fence, error);
    if (st == ARIL_E_REPLAY_STALE) {
        return arili_error_set(error, st,
                               "the lock was not held any more; what it was for may have been done "
                               "by another");
    }
    ARILI_TRY(st);
    const struct record r = { .fence = fence };
    return record_put(s, file, &r, error);
}

aril_status arili_files_unlock(void *state, aril_bytes name, uint64_t fence, uint64_t deadline_ns,
                               aril_error *error)
{
    struct arili_files *const s = state;
    struct arili_files_place place;
    arili_files_place_of(name, &place);
    const uint32_t slot = arili_files_lock_slot(place.file);
    ARILI_TRY(arili_files_slot_take(s, slot, deadline_ns, error));
    const aril_status st = unlock_held(s, name, place.file, fence, error);
    arili_files_slot_give(s, slot);
    return st;
}

/* --- Sweeping --- */

static bool is_temp(const char *file)
{
    return strncmp(file, ARILI_FILES_TEMP, sizeof ARILI_FILES_TEMP - 1) == 0;
}

static bool is_old(const struct arili_files *s, const char *file, uint64_t now_ms)
{
    struct stat info;
    if (now_ms < SWEEP_AGE_MS || (file[0] == '.' && !is_temp(file)) ||
        fstatat(s->locks, file, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode) ||
        (uint64_t)info.st_mtim.tv_sec * 1000 > now_ms - SWEEP_AGE_MS) {
        return false;
    }
    struct record r;
    return is_temp(file) || (record_read(s, file, &r, NULL) == ARIL_OK && r.fence != 0 &&
                             r.expiry_ms < now_ms - SWEEP_AGE_MS);
}

static void sweep_one(struct arili_files *s, const char *file, uint64_t now_ms,
                      uint64_t deadline_ns)
{
    const uint32_t slot = arili_files_lock_slot(file);
    if (!is_old(s, file, now_ms) || arili_files_slot_take(s, slot, deadline_ns, NULL) != ARIL_OK) {
        return;
    }
    if (is_old(s, file, now_ms)) {
        (void)unlinkat(s->locks, file, 0);
    }
    arili_files_slot_give(s, slot);
}

void arili_files_locks_sweep(struct arili_files *s, uint64_t deadline_ns)
{
    const int fd = arili_files_openat(s->locks, ".", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    const uint64_t now_ms = arili_files_now_ms(s);
    const struct dirent *e = readdir(dir);
    for (unsigned i = 0; e != NULL && i < SWEEP_ENTRIES && arili_files_in_time(deadline_ns); i++) {
        sweep_one(s, e->d_name, now_ms, deadline_ns);
        e = readdir(dir);
    }
    (void)closedir(dir);
}
