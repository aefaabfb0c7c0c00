/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/bytes.h"
#include "cache/stores/files_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Going through the folders of the store, a leaf at a time, round after round. A round counts what
 * there is; what this process puts and removes meanwhile is added, what others do is seen in the
 * next round. On the way files that have ended are removed, and temporary files that a killed
 * process left, and the oldest files are noted as candidates. So no put does more than a bounded
 * part of the work.
 */
#define TEMP_AGE_S     3600
#define PROBES_SWEEP   64u   /* leaves looked for in one put */
#define PROBES_ROOM    4096u /* the same, when there is no room */
#define REMOVED_MAX    256u
#define CANDIDATES_MIN 8u
#define PUTS_PER_SWEEP 8u

bool arili_files_walk_init(struct arili_files_walk *walk)
{
    if (pthread_mutex_init(&walk->mutex, NULL) != 0) {
        return false;
    }
    if (pthread_mutex_init(&walk->stepping, NULL) != 0) {
        (void)pthread_mutex_destroy(&walk->mutex);
        return false;
    }
    return true;
}

void arili_files_walk_done(struct arili_files_walk *walk)
{
    (void)pthread_mutex_destroy(&walk->stepping);
    (void)pthread_mutex_destroy(&walk->mutex);
}

void arili_files_account(struct arili_files *s, uint32_t leaf, int64_t bytes, int64_t entries)
{
    struct arili_files_walk *const w = &s->walk;
    (void)pthread_mutex_lock(&w->mutex);
    w->bytes += bytes;
    w->entries += entries;
    if (leaf < w->leaves.next) {
        w->round_bytes += bytes;
        w->round_entries += entries;
    }
    (void)pthread_mutex_unlock(&w->mutex);
}

static bool has_room(struct arili_files *s, uint64_t bytes)
{
    struct arili_files_walk *const w = &s->walk;
    (void)pthread_mutex_lock(&w->mutex);
    const uint64_t used = w->bytes > 0 ? (uint64_t)w->bytes : 0;
    (void)pthread_mutex_unlock(&w->mutex);
    return used <= s->bytes_max && bytes <= s->bytes_max - used;
}

/* The way goes on from next; what lies before it was counted. */
static void advance(struct arili_files *s, const struct arili_files_leaves *leaves, int64_t bytes,
                    int64_t entries)
{
    struct arili_files_walk *const w = &s->walk;
    (void)pthread_mutex_lock(&w->mutex);
    w->round_bytes += bytes;
    w->round_entries += entries;
    w->leaves = *leaves;
    if (!w->is_complete) { /* what this process put before is counted twice until the round ends */
        w->bytes += bytes;
        w->entries += entries;
    }
    if (leaves->next == ARILI_FILES_LEAVES) {
        w->bytes = w->round_bytes;
        w->entries = w->round_entries;
        w->is_complete = true;
        w->leaves.next = 0;
        w->round_bytes = w->round_entries = 0;
    }
    (void)pthread_mutex_unlock(&w->mutex);
}

/* --- A leaf --- */

/* NULL with ENOENT when there is none. */
static DIR *open_folder(const struct arili_files *s, const char *path)
{
    const int fd = arili_files_openat(s->root, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && dir == NULL) {
        const int number = errno;
        (void)close(fd);
        errno = number;
    }
    return dir;
}

static DIR *open_leaf(const struct arili_files *s, uint32_t leaf)
{
    char path[ARILI_FILES_LEAF_BYTES];
    arili_files_leaf_path(leaf, path);
    return open_folder(s, path);
}

static void dir_closep(DIR **dir)
{
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

/* Notes the leaves of a first folder. */
static void load_first(const struct arili_files *s, struct arili_files_leaves *l)
{
    static const char digits[] = "0123456789abcdef";
    char path[ARILI_FILES_LEAF_BYTES];
    (void)snprintf(path, sizeof path, "%02x", (l->next >> 8) & 0xff);
    memset(l->present, 0, sizeof l->present);
    ARILI_DEFER(dir_closep) DIR *dir = open_folder(s, path);
    const struct dirent *e = dir == NULL ? NULL : readdir(dir);
    for (; e != NULL; e = readdir(dir)) {
        const char *high = e->d_name[0] == '\0' ? NULL : strchr(digits, e->d_name[0]);
        const char *low =
            high == NULL || e->d_name[1] == '\0' ? NULL : strchr(digits, e->d_name[1]);
        if (low != NULL && e->d_name[2] == '\0') {
            const size_t at = (size_t)(high - digits) * 16 + (size_t)(low - digits);
            l->present[at / 8] |= (uint8_t)(1u << at % 8);
        }
    }
}

/* Whether l->next is a leaf that is there. Else it is where the next first folder begins, so that
 * one call reads one folder. */
static bool find_leaf(const struct arili_files *s, struct arili_files_leaves *l)
{
    if (l->next % 256 == 0) {
        load_first(s, l);
    }
    do {
        const uint32_t at = l->next % 256;
        if ((l->present[at / 8] & 1u << at % 8) != 0) {
            return true;
        }
        l->next++;
    } while (l->next % 256 != 0);
    return false;
}

static bool is_temp(const char *file)
{
    return strncmp(file, ARILI_FILES_TEMP, sizeof ARILI_FILES_TEMP - 1) == 0;
}

/* Files of the kernel's clock, so its clock says how old they are. */
static bool is_forgotten(const struct stat *info)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec - info->st_mtim.tv_sec > TEMP_AGE_S;
}

static int64_t age_key(const struct stat *info)
{
    const int64_t read = (int64_t)info->st_atim.tv_sec * 1000 + info->st_atim.tv_nsec / 1000000;
    const int64_t put = (int64_t)info->st_mtim.tv_sec * 1000 + info->st_mtim.tv_nsec / 1000000;
    return read > put ? read : put;
}

/* Keeps the oldest. */
static void note_candidate(struct arili_files_walk *w, uint32_t leaf, const char *file,
                           const struct stat *info)
{
    size_t at = w->pool_count;
    if (at == ARILI_FILES_POOL) {
        at = 0;
        for (size_t i = 1; i < ARILI_FILES_POOL; i++) {
            at = age_key(&w->pool[i].info) > age_key(&w->pool[at].info) ? i : at;
        }
        if (age_key(&w->pool[at].info) <= age_key(info)) {
            return;
        }
    } else {
        w->pool_count++;
    }
    w->pool[at].leaf = leaf;
    w->pool[at].info = *info;
    (void)snprintf(w->pool[at].file, sizeof w->pool[at].file, "%s", file);
}

/* A file of ours that stays; others count for nothing. */
static bool stays(struct arili_files *s, const struct arili_files_place *place, uint64_t now_ms,
                  uint64_t deadline_ns)
{
    ARILI_DEFER(arili_files_entry_donep) struct arili_files_entry e = { .fd = -1 };
    const aril_status st = arili_files_entry_open(s, place->path, &e, NULL);
    const bool is_torn = aril_status_class(st) == ARIL_E_FORMAT;
    if (is_torn || (st == ARIL_OK && arili_files_is_over(&e.head, now_ms))) {
        (void)arili_files_remove(s, place, &e.info, deadline_ns);
        return false;
    }
    return st == ARIL_OK;
}

struct sums {
    int64_t bytes, entries;
};

/* With walk.stepping. looks: into the files as well. */
static void walk_file(struct arili_files *s, uint32_t leaf, const char *file, bool looks,
                      uint64_t deadline_ns, struct sums *sums)
{
    struct arili_files_place place;
    struct stat info;
    arili_files_place_at(leaf, file, &place);
    if ((file[0] == '.' && !is_temp(file)) ||
        fstatat(s->root, place.path, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) {
        return;
    }
    if (is_temp(file)) {
        if (is_forgotten(&info)) {
            (void)unlinkat(s->root, place.path, 0);
        }
        return;
    }
    if (looks && !stays(s, &place, arili_files_now_ms(s), deadline_ns)) {
        return;
    }
    if (looks) {
        note_candidate(&s->walk, leaf, file, &info);
    }
    sums->bytes += info.st_size;
    sums->entries++;
}

/* With walk.stepping. Whether there was a leaf; one that was not seen to its end is not counted
 * and comes again. */
static bool walk_leaf(struct arili_files *s, bool looks, uint64_t deadline_ns)
{
    struct arili_files_leaves leaves = s->walk.leaves;
    struct sums sums = { 0 };
    const bool found = find_leaf(s, &leaves);
    if (found) {
        ARILI_DEFER(dir_closep) DIR *dir = open_leaf(s, leaves.next);
        const struct dirent *e = dir == NULL ? NULL : readdir(dir);
        for (; e != NULL; e = readdir(dir)) {
            if (!arili_files_in_time(deadline_ns)) {
                return true;
            }
            walk_file(s, leaves.next, e->d_name, looks, deadline_ns, &sums);
        }
        leaves.next++;
    }
    advance(s, &leaves, sums.bytes, sums.entries);
    return found;
}

void arili_files_walk_first(struct arili_files *s, uint64_t until_ns)
{
    (void)pthread_mutex_lock(&s->walk.stepping);
    while (!s->walk.is_complete && arili_files_in_time(until_ns)) {
        (void)walk_leaf(s, false, until_ns);
    }
    (void)pthread_mutex_unlock(&s->walk.stepping);
    arili_files_locks_sweep(s, until_ns);
}

/* --- Room --- */

static struct arili_files_candidate *oldest(struct arili_files_walk *w)
{
    struct arili_files_candidate *found = NULL;
    for (size_t i = 0; i < w->pool_count; i++) {
        if (found == NULL || age_key(&w->pool[i].info) < age_key(&found->info)) {
            found = &w->pool[i];
        }
    }
    return found;
}

/* With walk.stepping. */
static void evict_oldest(struct arili_files *s, uint64_t deadline_ns)
{
    struct arili_files_walk *const w = &s->walk;
    struct arili_files_candidate *const c = oldest(w);
    struct arili_files_place place;
    if (c != NULL) {
        arili_files_place_at(c->leaf, c->file, &place);
        (void)arili_files_remove(s, &place, &c->info, deadline_ns);
        *c = w->pool[--w->pool_count];
    }
}

/* With walk.stepping. */
static void evict(struct arili_files *s, uint64_t bytes, uint64_t deadline_ns)
{
    struct arili_files_walk *const w = &s->walk;
    unsigned probes = 0;
    for (unsigned removed = 0; removed < REMOVED_MAX && !has_room(s, bytes); removed++) {
        while (w->pool_count < CANDIDATES_MIN && probes < PROBES_ROOM &&
               arili_files_in_time(deadline_ns)) {
            (void)walk_leaf(s, true, deadline_ns);
            probes++;
        }
        if (w->pool_count == 0 || !arili_files_in_time(deadline_ns)) {
            return;
        }
        evict_oldest(s, deadline_ns);
    }
}

void arili_files_make_room(struct arili_files *s, uint64_t bytes, uint64_t deadline_ns)
{
    const bool sweeps =
        atomic_fetch_add_explicit(&s->puts, 1, memory_order_relaxed) % PUTS_PER_SWEEP == 0;
    const bool evicts = s->bytes_max != 0 && !has_room(s, bytes);
    /* Another put that does the same work does it for this one as well. */
    if ((!sweeps && !evicts) || pthread_mutex_trylock(&s->walk.stepping) != 0) {
        return;
    }
    for (unsigned i = 0; sweeps && i < PROBES_SWEEP && !walk_leaf(s, true, deadline_ns); i++) {
    }
    if (evicts) {
        evict(s, bytes, deadline_ns);
    }
    (void)pthread_mutex_unlock(&s->walk.stepping);
}

/* --- Scan and stat --- */

struct scan {
    struct arili_files *s;
    aril_bytes prefix;
    aril_store_visit_fn *visit;
    void *user;
    uint64_t step_ns, deadline_ns;
    bool is_stopped;
};

static aril_status scan_file(struct scan *c, uint32_t leaf, const char *file, aril_error *error)
{
    if (!arili_files_in_time(c->deadline_ns)) {
        return arili_files_late(c->s, error);
    }
    if (file[0] == '.') {
        return ARIL_OK;
    }
    struct arili_files_place place;
    arili_files_place_at(leaf, file, &place);
    ARILI_DEFER(arili_files_entry_donep) struct arili_files_entry e = { .fd = -1 };
    const aril_status st = arili_files_entry_open(c->s, place.path, &e, error);
    if (st == ARIL_E_NOT_FOUND || aril_status_class(st) == ARIL_E_FORMAT) {
        return ARIL_OK;
    }
    ARILI_TRY(st);
    if (arili_files_is_over(&e.head, arili_files_now_ms(c->s)) || e.name.len < c->prefix.len ||
        (c->prefix.len > 0 && memcmp(e.name.data, c->prefix.data, c->prefix.len) != 0)) {
        return ARIL_OK;
    }
    arili_files_closep(&e.fd);
    c->is_stopped = c->visit(c->user, e.name) != 0;
    c->deadline_ns = arili_files_mono_ns() + c->step_ns;
    return ARIL_OK;
}

static aril_status scan_leaf(struct scan *c, uint32_t leaf, aril_error *error)
{
    ARILI_DEFER(dir_closep) DIR *dir = open_leaf(c->s, leaf);
    if (dir == NULL) {
        return errno == ENOENT ? ARIL_OK : arili_files_failed(c->s, error, "list values", errno);
    }
    while (!c->is_stopped) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL) {
            return errno == 0 ? ARIL_OK : arili_files_failed(c->s, error, "list values", errno);
        }
        ARILI_TRY(scan_file(c, leaf, e->d_name, error));
    }
    return ARIL_OK;
}

aril_status arili_files_scan(void *state, aril_bytes prefix, aril_store_visit_fn *visit, void *user,
                             uint64_t step_ms, aril_error *error)
{
    struct scan c = { .s = state,
                      .prefix = prefix,
                      .visit = visit,
                      .user = user,
                      .step_ns = step_ms * UINT64_C(1000000) };
    struct arili_files_leaves leaves = { 0 };
    while (leaves.next < ARILI_FILES_LEAVES && !c.is_stopped) {
        c.deadline_ns = arili_files_mono_ns() + c.step_ns;
        if (find_leaf(c.s, &leaves)) {
            ARILI_TRY(scan_leaf(&c, leaves.next, error));
            leaves.next++;
        }
    }
    return ARIL_OK;
}

static void count_leaf(const struct arili_files *s, uint32_t leaf, struct sums *sums)
{
    ARILI_DEFER(dir_closep) DIR *dir = open_leaf(s, leaf);
    const struct dirent *e = dir == NULL ? NULL : readdir(dir);
    for (; e != NULL; e = readdir(dir)) {
        struct stat info;
        if (e->d_name[0] != '.' &&
            fstatat(dirfd(dir), e->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode)) {
            sums->bytes += info.st_size;
            sums->entries++;
        }
    }
}

/* False when there was no time. */
static bool count_all(const struct arili_files *s, uint64_t deadline_ns, struct sums *ret)
{
    struct arili_files_leaves leaves = { 0 };
    while (leaves.next < ARILI_FILES_LEAVES) {
        if (find_leaf(s, &leaves)) {
            count_leaf(s, leaves.next, ret);
            leaves.next++;
        }
        if (!arili_files_in_time(deadline_ns)) {
            return false;
        }
    }
    return true;
}

aril_status arili_files_stat(void *state, uint64_t deadline_ns, struct arili_cache_store_stat *ret,
                             aril_error *error)
{
    struct arili_files *const s = state;
    struct sums sums = { 0 };
    (void)error;
    const bool counted = count_all(s, deadline_ns, &sums);
    ret->bytes = counted ? (uint64_t)sums.bytes : UINT64_MAX;
    ret->entries = counted ? (uint64_t)sums.entries : UINT64_MAX;
    (void)snprintf(ret->description, sizeof ret->description, "files in %.100s", s->folder);
    return ARIL_OK;
}
