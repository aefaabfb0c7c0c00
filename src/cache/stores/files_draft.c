/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_DIRECT */
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/files_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* A value on its way into a file that has no name of a value yet. */

#define SPANS_MAX  64u
#define TEMP_TRIES 16u

void arili_files_draft_donep(struct arili_files_draft *d)
{
    arili_files_closep(&d->fd);
    if (d->path[0] != '\0') {
        (void)unlinkat(d->s->root, d->path, 0);
    }
}

int arili_files_sync(int fd)
{
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result != 0 && errno == EINVAL ? 0 : result; /* nothing to wait for there */
}

/* Both levels; 0 or -1 with errno. */
static int make_leaf(struct arili_files_draft *d, const char folder[ARILI_FILES_LEAF_BYTES])
{
    char first[ARILI_FILES_LEAF_BYTES];
    (void)snprintf(first, sizeof first, "%.2s", folder);
    if (mkdirat(d->s->root, first, 0700) != 0 && errno != EEXIST) {
        return -1;
    }
    return mkdirat(d->s->root, folder, 0700) != 0 && errno != EEXIST ? -1 : 0;
}

aril_status arili_files_draft_make(struct arili_files *s, uint32_t leaf,
                                   struct arili_files_draft *d, aril_error *error)
{
    char folder[ARILI_FILES_LEAF_BYTES];
    arili_files_leaf_path(leaf, folder);
    d->s = s;
    for (unsigned i = 0; i < TEMP_TRIES; i++) {
        char path[ARILI_FILES_PATH_BYTES];
        (void)snprintf(path, sizeof path, "%s/" ARILI_FILES_TEMP "%lx-%llx-%x", folder,
                       (unsigned long)getpid(), (unsigned long long)arili_files_mono_ns(),
                       atomic_fetch_add_explicit(&s->temps, 1, memory_order_relaxed));
        d->fd = arili_files_openat(s->root, path, O_WRONLY | O_CREAT | O_EXCL);
        if (d->fd >= 0) {
            memcpy(d->path, path, sizeof path);
            return ARIL_OK;
        }
        if (errno != EEXIST && (errno != ENOENT || make_leaf(d, folder) != 0)) {
            break;
        }
    }
    return arili_files_failed(s, error, "make a temporary file", errno);
}

/* --- The parts of a value, one after the other --- */

struct cursor {
    const aril_bytes *parts;
    size_t count, part, off;
    size_t left; /* bytes */
};

static struct cursor cursor_init(const aril_store_item *item, size_t len)
{
    return (struct cursor){ .parts = item->parts, .count = item->part_count, .left = len };
}

/* The next bytes that lie together, at most max. */
static aril_bytes cursor_take(struct cursor *c, size_t max)
{
    while (c->part < c->count && c->off == c->parts[c->part].len) {
        c->part++;
        c->off = 0;
    }
    if (c->part == c->count) {
        return (aril_bytes){ NULL, 0 };
    }
    const aril_bytes part = c->parts[c->part];
    const size_t len = part.len - c->off < max ? part.len - c->off : max;
    const aril_bytes taken = { part.data + c->off, len };
    c->off += len;
    c->left -= len;
    return taken;
}

/* --- Writing --- */

struct fill {
    struct arili_files_draft *d;
    struct arili_files_head *head;
    struct cursor from;
    struct arili_files_sum sum;
    uint64_t at; /* in the file */
    uint64_t deadline_ns;
};

static aril_status write_failed(const struct fill *f, int number, aril_error *error)
{
    return arili_files_failed(f->d->s, error, "write a value", number);
}

/* 0 or the errno. Changes the spans. */
static int write_spans(int fd, struct iovec *spans, size_t count, uint64_t at)
{
    while (count > 0) {
        const ssize_t put = pwritev(fd, spans, (int)count, (off_t)at);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? errno : ENOSPC;
        }
        at += (uint64_t)put;
        size_t done = (size_t)put;
        while (count > 0 && done >= spans->iov_len) {
            done -= spans->iov_len;
            spans++;
            count--;
        }
        if (count > 0) {
            spans->iov_base = (uint8_t *)spans->iov_base + done;
            spans->iov_len -= done;
        }
    }
    return 0;
}

static struct iovec span_of(aril_bytes bytes)
{
    /* writev() reads what iovec has no const for */
    union {
        const uint8_t *in;
        void *out;
    } p = { .in = bytes.data };
    return (struct iovec){ .iov_base = p.out, .iov_len = bytes.len };
}

/* Up to a slice of the value as spans. */
static size_t next_slice(struct fill *f, struct iovec spans[SPANS_MAX], size_t *ret_len)
{
    size_t count = 0;
    size_t len = 0;
    while (count < SPANS_MAX && len < ARILI_FILES_SLICE_BYTES) {
        const aril_bytes part = cursor_take(&f->from, ARILI_FILES_SLICE_BYTES - len);
        if (part.len == 0) {
            break;
        }
        arili_files_sum_add(&f->sum, part);
        spans[count++] = span_of(part);
        len += part.len;
    }
    *ret_len = len;
    return count;
}

/* Head, name and what is left of the value, which is one slice at most. In one call of the kernel
 * when they lie together. */
static aril_status fill_last(struct fill *f, aril_bytes name, aril_error *error)
{
    struct iovec spans[SPANS_MAX + 2];
    size_t len = 0;
    const size_t count = next_slice(f, spans + 2, &len);
    uint8_t head[ARILI_FILES_HEAD_BYTES];
    f->head->sum = arili_files_sum_end(&f->sum);
    arili_files_head_write(f->head, name, head);
    spans[0] = span_of((aril_bytes){ head, sizeof head });
    spans[1] = span_of(name);
    const int fd = f->d->fd;
    int number = 0;
    if (f->at == sizeof head + name.len) {
        number = write_spans(fd, spans, count + 2, 0);
    } else {
        number = write_spans(fd, spans + 2, count, f->at);
        number = number != 0 ? number : write_spans(fd, spans, 2, 0);
    }
    return number == 0 ? ARIL_OK : write_failed(f, number, error);
}

static bool is_last(const struct fill *f)
{
    return f->from.left <= ARILI_FILES_SLICE_BYTES && f->from.count - f->from.part <= SPANS_MAX;
}

static aril_status fill_buffered(struct fill *f, aril_error *error)
{
    while (!is_last(f)) {
        if (!arili_files_in_time(f->deadline_ns)) {
            return arili_files_late(f->d->s, error);
        }
        struct iovec spans[SPANS_MAX];
        size_t len = 0;
        const size_t count = next_slice(f, spans, &len);
        const int number = write_spans(f->d->fd, spans, count, f->at);
        if (number != 0) {
            return write_failed(f, number, error);
        }
        f->at += len;
    }
    return ARIL_OK;
}

/* --- Past the page cache --- */

struct block {
    uint8_t *memory, *aligned;
};
#define BLOCK_MEMORY_BYTES (ARILI_FILES_SLICE_BYTES + ARILI_FILES_BLOCK_BYTES)

static void block_done(struct block *b)
{
    arili_free(b->memory, BLOCK_MEMORY_BYTES);
}

static size_t whole_blocks(size_t len)
{
    const size_t bounded = len < ARILI_FILES_SLICE_BYTES ? len : ARILI_FILES_SLICE_BYTES;
    return bounded / ARILI_FILES_BLOCK_BYTES * ARILI_FILES_BLOCK_BYTES;
}

/* The next whole blocks: as they lie when their address is that of a block, else a copy. Empty
 * when there is no memory for one. */
static aril_bytes next_blocks(struct fill *f, struct block *b)
{
    struct cursor *const c = &f->from;
    while (c->part < c->count && c->off == c->parts[c->part].len) {
        c->part++;
        c->off = 0;
    }
    const aril_bytes part = c->parts[c->part];
    const size_t here = whole_blocks(part.len - c->off);
    if ((uintptr_t)(part.data + c->off) % ARILI_FILES_BLOCK_BYTES == 0 && here > 0) {
        return cursor_take(c, here);
    }
    if (b->memory == NULL) {
        b->memory = arili_alloc(BLOCK_MEMORY_BYTES);
        if (b->memory == NULL) {
            return (aril_bytes){ NULL, 0 };
        }
        const size_t over = (uintptr_t)b->memory % ARILI_FILES_BLOCK_BYTES;
        b->aligned = b->memory + (ARILI_FILES_BLOCK_BYTES - over);
    }
    const size_t len = whole_blocks(c->left);
    for (size_t done = 0; done < len;) {
        const aril_bytes taken = cursor_take(c, len - done);
        memcpy(b->aligned + done, taken.data, taken.len);
        done += taken.len;
    }
    return (aril_bytes){ b->aligned, len };
}

/* The whole blocks of the value. A file system that refuses any of them gets the same bytes by way
 * of the page cache. */
static aril_status fill_direct(struct fill *f, aril_error *error)
{
    const int fd = f->d->fd;
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) {
        return ARIL_OK;
    }
    ARILI_DEFER(block_done) struct block b = { 0 };
    bool is_direct = true;
    while (f->from.left >= ARILI_FILES_BLOCK_BYTES) {
        if (!arili_files_in_time(f->deadline_ns)) {
            return arili_files_late(f->d->s, error);
        }
        const aril_bytes blocks = next_blocks(f, &b);
        if (blocks.len == 0) {
            break;
        }
        arili_files_sum_add(&f->sum, blocks);
        struct iovec span = span_of(blocks);
        int number = write_spans(fd, &span, 1, f->at);
        if (number == EINVAL && is_direct && fcntl(fd, F_SETFL, flags) == 0) {
            is_direct = false;
            span = span_of(blocks);
            number = write_spans(fd, &span, 1, f->at);
        }
        if (number != 0) {
            return write_failed(f, number, error);
        }
        f->at += blocks.len;
    }
    return fcntl(fd, F_SETFL, flags) == 0 ? ARIL_OK : write_failed(f, errno, error);
}

aril_status arili_files_draft_fill(struct arili_files_draft *d, const aril_store_item *item,
                                   struct arili_files_head *head, uint64_t deadline_ns,
                                   aril_error *error)
{
    struct fill f = { .d = d,
                      .head = head,
                      .from = cursor_init(item, (size_t)head->value_len),
                      .sum = arili_files_sum_init(),
                      .at = arili_files_value_at(head),
                      .deadline_ns = deadline_ns };
    if (d->s->is_direct && (head->flags & ARILI_FILES_ALIGNED) != 0) {
        ARILI_TRY(fill_direct(&f, error));
    }
    ARILI_TRY(fill_buffered(&f, error));
    ARILI_TRY(fill_last(&f, item->name, error));
    if (d->s->is_durable && arili_files_sync(d->fd) != 0) {
        return arili_files_failed(d->s, error, "bring a value to the disk", errno);
    }
    const int fd = d->fd;
    d->fd = -1;
    /* On Linux the descriptor is gone also after EINTR. */
    if (close(fd) != 0 && errno != EINTR) {
        return arili_files_failed(d->s, error, "close a value", errno);
    }
    return ARIL_OK;
}
