/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/files_internal.h"
#include "crypto/runtime.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * file:FOLDER. A file for each value; several processes may use the folder. Values are in folders
 * of FOLDER, locks in FOLDER/.locks. Folders are made with mode 0700, files with 0600.
 *
 * Readers take no lock: a file that has its name is whole and is never written again. What changes
 * names takes a slot (files_lock.c).
 */

#define FIRST_WALK_NS (100 * UINT64_C(1000000))
#define SHOWN_CHARS   120u
#define NS_PER_MS     UINT64_C(1000000)

/* --- Time and errors --- */

uint64_t arili_files_mono_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ARILI_NS_PER_S + (uint64_t)now.tv_nsec;
}

bool arili_files_in_time(uint64_t deadline_ns)
{
    return arili_files_mono_ns() < deadline_ns;
}

/* Other processes read what is written with it, so it is the time of day. The runtime's clock has
 * seconds only; where it is the system's, the system is asked for more. */
uint64_t arili_files_now_ms(const struct arili_files *s)
{
    uint64_t unix_s = 0;
    if (s->rt->clock.unix_s != arili_clock_system.unix_s) {
        return s->rt->clock.unix_s(s->rt->clock.state, &unix_s) == ARIL_OK ? unix_s * 1000 : 0;
    }
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

bool arili_files_is_over(const struct arili_files_head *head, uint64_t now_ms)
{
    return head->expiry_ms != 0 && head->expiry_ms <= now_ms;
}

static const char *shown(const struct arili_files *s)
{
    const size_t len = strlen(s->folder);
    return len <= SHOWN_CHARS ? s->folder : s->folder + (len - SHOWN_CHARS);
}

static aril_status status_of(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ARIL_E_IO_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return ARIL_E_IO_READ_ONLY;
    default:
        return ARIL_E_IO;
    }
}

static const char *remedy(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return "free some space, or set bytes_max lower";
    case EFBIG:
        return "raise the limit of file sizes (ulimit -f)";
    case EACCES:
    case EPERM:
        return "give the user that runs the program access to it";
    case EROFS:
        return "choose a folder on a writable file system";
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files (ulimit -n)";
    case ENOENT:
    case ENOTDIR:
        return "check the path; the folder above it must be there";
    case ENOLCK:
    case EOPNOTSUPP:
        return "choose a folder on a file system that has locks";
    default:
        return "check the disk and the file system";
    }
}

aril_status arili_files_failed(const struct arili_files *s, aril_error *error, const char *what,
                               int number)
{
    char reason[96] = "";
    if (strerror_r(number, reason, sizeof reason) != 0) {
        (void)snprintf(reason, sizeof reason, "error %d", number);
    }
    return arili_error_set(error, arili_fail(status_of(number)), "file:%s: cannot %s: %s; %s",
                           shown(s), what, reason, remedy(number));
}

aril_status arili_files_late(const struct arili_files *s, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                           "file:%s: the deadline has passed; check the load of the disk, or raise "
                           "deadline_ms",
                           shown(s));
}

aril_status arili_files_no_memory(const struct arili_files *s, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                           "file:%s: no memory; give the process more", shown(s));
}

void arili_files_closep(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* of those written, the result was looked at before */
        *fd = -1;
    }
}

int arili_files_openat(int folder, const char *path, int flags)
{
    int fd;
    do {
        fd = openat(folder, path, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* --- Open and close --- */

static void state_free(struct arili_files *s)
{
    if (s == NULL) {
        return;
    }
    arili_files_closep(&s->root);
    arili_files_closep(&s->locks);
    arili_files_closep(&s->ranges);
    arili_files_walk_done(&s->walk);
    (void)pthread_cond_destroy(&s->slots_changed);
    (void)pthread_mutex_destroy(&s->slots_mutex);
    arili_free(s, sizeof *s);
}

static void state_freep(struct arili_files **s)
{
    state_free(*s);
}

static bool make_slots(struct arili_files *s)
{
    pthread_condattr_t attr;
    if (pthread_mutex_init(&s->slots_mutex, NULL) != 0) {
        return false;
    }
    bool made = pthread_condattr_init(&attr) == 0;
    if (made) {
        made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&s->slots_changed, &attr) == 0;
        (void)pthread_condattr_destroy(&attr);
    }
    if (!made) {
        (void)pthread_mutex_destroy(&s->slots_mutex);
    }
    return made;
}

/* Without folders; NULL when there is no memory. */
static struct arili_files *state_new(const struct arili_cache_store_options *o)
{
    struct arili_files *s = arili_alloc(sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->rt = o->rt;
    s->root = s->locks = s->ranges = -1;
    s->bytes_max = o->config->bytes_max;
    s->is_durable = o->config->durable != 0;
    s->is_direct = o->config->direct_io != 0;
    const bool slots = make_slots(s);
    if (slots && arili_files_walk_init(&s->walk)) {
        return s;
    }
    if (slots) {
        (void)pthread_cond_destroy(&s->slots_changed);
        (void)pthread_mutex_destroy(&s->slots_mutex);
    }
    arili_free(s, sizeof *s);
    return NULL;
}

/* The id of this boot. Without it sums are checked more often than they need be. */
static void read_boot(uint8_t ret[ARILI_FILES_BOOT_BYTES])
{
    char text[64] = "";
    int fd = arili_files_openat(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY);
    const ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    arili_files_closep(&fd);
    size_t digits = 0;
    for (ssize_t i = 0; i < len && digits < 2 * ARILI_FILES_BOOT_BYTES; i++) {
        const char c = text[i];
        const bool is_digit = c >= '0' && c <= '9';
        if (is_digit || (c >= 'a' && c <= 'f')) {
            const unsigned v = (unsigned)(is_digit ? c - '0' : c - 'a' + 10);
            ret[digits / 2] = (uint8_t)((unsigned)ret[digits / 2] << 4 | v);
            digits++;
        }
    }
}

static aril_status check_folder(const struct arili_files *s, aril_error *error)
{
    struct stat info;
    if (fstat(s->root, &info) != 0) {
        return arili_files_failed(s, error, "examine the folder", errno);
    }
    const bool ours = info.st_uid == geteuid();
    if (!ours || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return arili_error_set(error, arili_fail(ARIL_E_IO_PERMISSION), "file:%s: %s; %s", shown(s),
                               ours ? "other users may change the folder"
                                    : "the folder belongs to another user",
                               ours ? "run: chmod go-w FOLDER" : "choose a folder of your own");
    }
    return ARIL_OK;
}

static aril_status open_folders(struct arili_files *s, aril_error *error)
{
    if (mkdir(s->folder, 0700) != 0 && errno != EEXIST) {
        return arili_files_failed(s, error, "make the folder", errno);
    }
    do { /* a symbolic link to the folder is the operator's choice */
        s->root = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (s->root < 0 && errno == EINTR);
    if (s->root < 0) {
        return arili_files_failed(s, error, "open the folder", errno);
    }
    ARILI_TRY(check_folder(s, error));
    if (mkdirat(s->root, ".locks", 0700) != 0 && errno != EEXIST) {
        return arili_files_failed(s, error, "make its folder .locks", errno);
    }
    s->locks = arili_files_openat(s->root, ".locks", O_RDONLY | O_DIRECTORY);
    s->ranges = s->locks < 0 ? -1 : arili_files_openat(s->locks, ".ranges", O_RDWR | O_CREAT);
    return s->ranges >= 0 ? ARIL_OK
                          : arili_files_failed(s, error, "open its file .locks/.ranges", errno);
}

static aril_status files_open(const struct arili_cache_store_options *o, const char *scheme,
                              void **ret_state, uint32_t *ret_capabilities, aril_error *error)
{
    (void)scheme;
    ARILI_DEFER(state_freep) struct arili_files *s = state_new(o);
    if (s == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "no memory for a store; give the process more");
    }
    const size_t len = strlen(o->rest);
    if (len == 0 || len >= sizeof s->folder) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "file: needs a folder of 1 to %zu characters, as in "
                               "file:/var/cache/NAME",
                               sizeof s->folder - 1);
    }
    memcpy(s->folder, o->rest, len + 1);
    ARILI_TRY(open_folders(s, error));
    read_boot(s->boot);
    const uint64_t now = arili_files_mono_ns();
    const uint64_t call_ns = o->config->deadline_ms * NS_PER_MS;
    ARILI_TRY(arili_files_slot_take(s, 0, now + call_ns, error)); /* are there locks at all? */
    arili_files_slot_give(s, 0);
    arili_files_walk_first(s, now + (s->bytes_max != 0 ? call_ns / 2 : FIRST_WALK_NS));
    *ret_capabilities = ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_SHARED;
    *ret_state = ARILI_TAKE(s);
    return ARIL_OK;
}

static void files_close(void *state)
{
    state_free(state);
}

/* --- Batches --- */

typedef aril_status one_fn(struct arili_files *s, aril_store_item *item, uint64_t deadline_ns,
                           aril_error *error);

/* Whether it says something about the item, not about the store. */
static bool is_answer(aril_status st)
{
    switch (st) {
    case ARIL_OK:
    case ARIL_E_NOT_FOUND:
    case ARIL_E_EXISTS:
    case ARIL_E_REPLAY_STALE:
    case ARIL_E_USAGE_TOO_SMALL:
    case ARIL_E_LIMIT:
    case ARIL_E_IO_FULL:
        return true;
    default:
        return false;
    }
}

static aril_status each(void *state, one_fn *one, aril_store_item *items, size_t count,
                        uint64_t deadline_ns, aril_error *error)
{
    struct arili_files *const s = state;
    aril_status failed = ARIL_OK;
    bool has_answer = count == 0;
    for (size_t i = 0; i < count; i++) {
        aril_error why = { .status = ARIL_OK };
        items[i].status = arili_files_in_time(deadline_ns) ? one(s, &items[i], deadline_ns, &why)
                                                           : arili_files_late(s, &why);
        if (is_answer(items[i].status)) {
            has_answer = true;
        } else if (failed == ARIL_OK) {
            failed = items[i].status;
            if (error != NULL) {
                *error = why;
            }
        }
    }
    return has_answer ? ARIL_OK : failed;
}

static aril_status exists_one(struct arili_files *s, aril_store_item *item, uint64_t deadline_ns,
                              aril_error *error)
{
    struct arili_files_place place;
    arili_files_place_of(item->name, &place);
    ARILI_DEFER(arili_files_entry_donep) struct arili_files_entry e = { .fd = -1 };
    return arili_files_find(s, item->name, &place, &e, deadline_ns, error);
}

static aril_status files_get(void *state, aril_store_item *items, size_t count,
                             uint64_t deadline_ns, aril_error *error)
{
    return each(state, arili_files_get_one, items, count, deadline_ns, error);
}

static aril_status files_put(void *state, aril_store_item *items, size_t count,
                             uint64_t deadline_ns, aril_error *error)
{
    return each(state, arili_files_put_one, items, count, deadline_ns, error);
}

static aril_status files_erase(void *state, aril_store_item *items, size_t count,
                               uint64_t deadline_ns, aril_error *error)
{
    return each(state, arili_files_erase_one, items, count, deadline_ns, error);
}

static aril_status files_exists(void *state, aril_store_item *items, size_t count,
                                uint64_t deadline_ns, aril_error *error)
{
    return each(state, exists_one, items, count, deadline_ns, error);
}

static const char *const schemes[] = { "file", NULL };

const struct arili_cache_store_ops arili_cache_store_files = {
    .abi = ARILI_CACHE_STORE_ABI,
    .kind = "file",
    .schemes = schemes,
    .open = files_open,
    .close = files_close,
    .get = files_get,
    .put = files_put,
    .erase = files_erase,
    .exists = files_exists,
    .scan = arili_files_scan,
    .lock = arili_files_lock,
    .unlock = arili_files_unlock,
    .stat = arili_files_stat,
};
