/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_DIRECT */
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/files_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Values of the store file:FOLDER, read. */

void arili_files_entry_donep(struct arili_files_entry *e)
{
    arili_files_closep(&e->fd);
}

/* Up to len bytes; fewer only at the end of the file. -1 with errno. */
static ssize_t read_at(int fd, uint8_t *ret, size_t len, uint64_t at)
{
    size_t done = 0;
    while (done < len) {
        const ssize_t got = pread(fd, ret + done, len - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

aril_status arili_files_entry_open(const struct arili_files *s, const char *path,
                                   struct arili_files_entry *e, aril_error *error)
{
    e->fd = arili_files_openat(s->root, path, O_RDONLY);
    if (e->fd < 0) {
        /* ELOOP, ENXIO: a link or a socket of somebody else's. */
        const bool none = errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO;
        return none ? ARIL_E_NOT_FOUND : arili_files_failed(s, error, "open a value", errno);
    }
    if (fstat(e->fd, &e->info) != 0) {
        return arili_files_failed(s, error, "examine a value", errno);
    }
    if (!S_ISREG(e->info.st_mode)) {
        return ARIL_E_NOT_FOUND;
    }
    const ssize_t len = read_at(e->fd, e->start, sizeof e->start, 0);
    if (len < 0) {
        return arili_files_failed(s, error, "read a value", errno);
    }
    const aril_status st =
        arili_files_head_parse((aril_bytes){ e->start, (size_t)len }, &e->head, &e->name);
    if (st == ARIL_E_FORMAT_KIND) {
        return ARIL_E_NOT_FOUND;
    }
    ARILI_TRY(st);
    ARILI_ENSURE((uint64_t)e->info.st_size == arili_files_value_at(&e->head) + e->head.value_len,
                 ARIL_E_FORMAT_LENGTH);
    return ARIL_OK;
}

aril_status arili_files_look(const struct arili_files *s, aril_bytes name,
                             const struct arili_files_place *place, struct arili_files_entry *e,
                             bool *ret_is_stale, aril_error *error)
{
    const aril_status st = arili_files_entry_open(s, place->path, e, error);
    const bool is_torn = aril_status_class(st) == ARIL_E_FORMAT;
    if (st != ARIL_OK && !is_torn) {
        return st;
    }
    *ret_is_stale = is_torn || arili_files_is_over(&e->head, arili_files_now_ms(s));
    const bool same =
        !*ret_is_stale && e->name.len == name.len && memcmp(e->name.data, name.data, name.len) == 0;
    return same ? ARIL_OK : ARIL_E_NOT_FOUND;
}

aril_status arili_files_find(struct arili_files *s, aril_bytes name,
                             const struct arili_files_place *place, struct arili_files_entry *e,
                             uint64_t deadline_ns, aril_error *error)
{
    bool is_stale = false;
    const aril_status st = arili_files_look(s, name, place, e, &is_stale, error);
    if (is_stale) {
        (void)arili_files_remove(s, place, &e->info, deadline_ns);
    }
    return st;
}

/* --- The value --- */

/* A value on its way to the caller. */
struct load {
    struct arili_files *s;
    int fd;
    uint8_t *to;
    size_t len, done;
    uint64_t at; /* of the value in the file */
    uint64_t deadline_ns;
    bool is_checked; /* its sum is */
    struct arili_files_sum sum;
};

static void load_note(struct load *l, size_t len)
{
    if (l->is_checked) {
        arili_files_sum_add(&l->sum, (aril_bytes){ l->to + l->done, len });
    }
    l->done += len;
}

/* What is left. NOT_FOUND when the file ends early. */
static aril_status load_buffered(struct load *l, aril_error *error)
{
    while (l->done < l->len) {
        if (!arili_files_in_time(l->deadline_ns)) {
            return arili_files_late(l->s, error);
        }
        const size_t left = l->len - l->done;
        const size_t len = left < ARILI_FILES_SLICE_BYTES ? left : ARILI_FILES_SLICE_BYTES;
        const ssize_t got = read_at(l->fd, l->to + l->done, len, l->at + l->done);
        if (got < 0) {
            return arili_files_failed(l->s, error, "read a value", errno);
        }
        if ((size_t)got != len) {
            return ARIL_E_NOT_FOUND;
        }
        load_note(l, len);
    }
    return ARIL_OK;
}

struct bounce {
    uint8_t *memory, *aligned;
};
#define BOUNCE_BYTES (ARILI_FILES_SLICE_BYTES + ARILI_FILES_BLOCK_BYTES)

static void bounce_done(struct bounce *b)
{
    arili_free(b->memory, BOUNCE_BYTES);
}

static bool bounce_init(struct bounce *b)
{
    b->memory = arili_alloc(BOUNCE_BYTES);
    const size_t over = (uintptr_t)b->memory % ARILI_FILES_BLOCK_BYTES;
    b->aligned = b->memory == NULL ? NULL : b->memory + (ARILI_FILES_BLOCK_BYTES - over);
    return b->memory != NULL;
}

/* The whole blocks, past the page cache. Where that fails the buffered way tells why. */
static aril_status load_direct(struct load *l, aril_error *error)
{
    const int flags = fcntl(l->fd, F_GETFL);
    if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_DIRECT) != 0) {
        return ARIL_OK;
    }
    ARILI_DEFER(bounce_done) struct bounce b = { 0 };
    const bool is_aligned = (uintptr_t)l->to % ARILI_FILES_BLOCK_BYTES == 0;
    bool works = is_aligned || bounce_init(&b);
    while (works && l->len - l->done >= ARILI_FILES_BLOCK_BYTES) {
        if (!arili_files_in_time(l->deadline_ns)) {
            return arili_files_late(l->s, error);
        }
        const size_t left = (l->len - l->done) / ARILI_FILES_BLOCK_BYTES * ARILI_FILES_BLOCK_BYTES;
        const size_t len = left < ARILI_FILES_SLICE_BYTES ? left : ARILI_FILES_SLICE_BYTES;
        uint8_t *const to = is_aligned ? l->to + l->done : b.aligned;
        works = read_at(l->fd, to, len, l->at + l->done) == (ssize_t)len;
        if (works && !is_aligned) {
            memcpy(l->to + l->done, to, len);
        }
        if (works) {
            load_note(l, len);
        }
    }
    if (fcntl(l->fd, F_SETFL, flags) != 0) {
        return arili_files_failed(l->s, error, "read a value", errno);
    }
    return ARIL_OK;
}

static aril_status load_run(struct load *l, const struct arili_files_head *head, aril_error *error)
{
    if (l->s->is_direct && (head->flags & ARILI_FILES_ALIGNED) != 0) {
        ARILI_TRY(load_direct(l, error));
    }
    ARILI_TRY(load_buffered(l, error));
    return !l->is_checked || arili_files_sum_end(&l->sum) == head->sum ? ARIL_OK
                                                                       : ARIL_E_FORMAT_FIELD;
}

/* Where the value goes. */
static aril_status place_value(aril_store_item *item, size_t len, uint8_t **ret)
{
    item->len = len;
    if (len <= item->buffer.len) {
        *ret = item->buffer.data;
        return ARIL_OK;
    }
    ARILI_ENSURE(item->room != NULL, ARIL_E_USAGE_TOO_SMALL);
    *ret = item->room(item->user, len);
    ARILI_ENSURE(*ret != NULL, ARIL_E_LIMIT);
    return ARIL_OK;
}

/* A value of this boot that has its name is whole; one that was on the disk before as well. */
static bool is_doubtful(const struct arili_files *s, const struct arili_files_head *head)
{
    static const uint8_t unknown[ARILI_FILES_BOOT_BYTES];
    return (head->flags & ARILI_FILES_SYNCED) == 0 &&
           (memcmp(head->boot, s->boot, sizeof s->boot) != 0 ||
            memcmp(head->boot, unknown, sizeof unknown) == 0);
}

aril_status arili_files_get_one(struct arili_files *s, aril_store_item *item, uint64_t deadline_ns,
                                aril_error *error)
{
    item->data = NULL;
    item->len = 0;
    struct arili_files_place place;
    arili_files_place_of(item->name, &place);
    ARILI_DEFER(arili_files_entry_donep) struct arili_files_entry e = { .fd = -1 };
    ARILI_TRY(arili_files_find(s, item->name, &place, &e, deadline_ns, error));
    uint8_t *to = NULL;
    ARILI_TRY(place_value(item, (size_t)e.head.value_len, &to));
    struct load l = { .s = s,
                      .fd = e.fd,
                      .to = to,
                      .len = (size_t)e.head.value_len,
                      .at = arili_files_value_at(&e.head),
                      .deadline_ns = deadline_ns,
                      .is_checked = is_doubtful(s, &e.head),
                      .sum = arili_files_sum_init() };
    aril_status st = load_run(&l, &e.head, error);
    if (st == ARIL_OK) {
        item->data = to;
        return ARIL_OK;
    }
    item->len = 0;
    if (l.len > 0) {
        arili_wipe(to, l.len);
    }
    if (aril_status_class(st) == ARIL_E_FORMAT || st == ARIL_E_NOT_FOUND) {
        (void)arili_files_remove(s, &place, &e.info, deadline_ns);
        st = ARIL_E_NOT_FOUND;
    }
    return st;
}
