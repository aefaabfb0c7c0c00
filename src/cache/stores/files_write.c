/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/stores/files_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What changes names in the store file:FOLDER: put, delete, removal of what has ended. */

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void arili_files_remove_held(struct arili_files *s, const struct arili_files_place *place,
                             const struct stat *which)
{
    struct stat now;
    if (fstatat(s->root, place->path, &now, AT_SYMLINK_NOFOLLOW) == 0 && is_same(&now, which) &&
        unlinkat(s->root, place->path, 0) == 0) {
        arili_files_account(s, place->leaf, -(int64_t)which->st_size, -1);
    }
}

bool arili_files_remove(struct arili_files *s, const struct arili_files_place *place,
                        const struct stat *which, uint64_t deadline_ns)
{
    const uint32_t slot = arili_files_stripe(place->leaf);
    if (arili_files_slot_take(s, slot, deadline_ns, NULL) != ARIL_OK) {
        return false;
    }
    arili_files_remove_held(s, place, which);
    arili_files_slot_give(s, slot);
    return true;
}

/* --- Delete --- */

/* As arili_files_find(), with the slot taken. */
static aril_status find_held(struct arili_files *s, aril_bytes name,
                             const struct arili_files_place *place, struct arili_files_entry *e,
                             aril_error *error)
{
    bool is_stale = false;
    const aril_status st = arili_files_look(s, name, place, e, &is_stale, error);
    if (is_stale) {
        arili_files_remove_held(s, place, &e->info);
    }
    return st;
}

static aril_status erase_held(struct arili_files *s, aril_bytes name,
                              const struct arili_files_place *place, aril_error *error)
{
    ARILI_DEFER(arili_files_entry_donep) struct arili_files_entry e = { .fd = -1 };
    ARILI_TRY(find_held(s, name, place, &e, error));
    if (unlinkat(s->root, place->path, 0) != 0) {
        return errno == ENOENT ? ARIL_E_NOT_FOUND
                               : arili_files_failed(s, error, "remove a value", errno);
    }
    arili_files_account(s, place->leaf, -(int64_t)e.info.st_size, -1);
    return ARIL_OK;
}

aril_status arili_files_erase_one(struct arili_files *s, aril_store_item *item,
                                  uint64_t deadline_ns, aril_error *error)
{
    struct arili_files_place place;
    arili_files_place_of(item->name, &place);
    const uint32_t slot = arili_files_stripe(place.leaf);
    ARILI_TRY(arili_files_slot_take(s, slot, deadline_ns, error));
    const aril_status st = erase_held(s, item->name, &place, error);
    arili_files_slot_give(s, slot);
    return st;
}

/* --- Put --- */

static aril_status value_len(const aril_store_item *item, uint64_t *ret)
{
    uint64_t len = 0;
    for (size_t i = 0; i < item->part_count; i++) {
        ARILI_ENSURE(item->parts[i].len <= ARIL_STORE_VALUE_BYTES_MAX - len, ARIL_E_LIMIT);
        len += item->parts[i].len;
    }
    *ret = len;
    return ARIL_OK;
}

static aril_status head_of(const struct arili_files *s, const aril_store_item *item,
                           struct arili_files_head *ret)
{
    const uint64_t now = arili_files_now_ms(s);
    *ret = (struct arili_files_head){ .name_len = (uint32_t)item->name.len };
    ARILI_TRY(value_len(item, &ret->value_len));
    if (item->ttl_ms > 0) {
        ret->expiry_ms = item->ttl_ms < UINT64_MAX - now ? now + item->ttl_ms : UINT64_MAX;
    }
    ret->flags = (uint16_t)((ret->value_len >= ARILI_FILES_LARGE_BYTES ? ARILI_FILES_ALIGNED : 0) |
                            (s->is_durable ? ARILI_FILES_SYNCED : 0));
    memcpy(ret->boot, s->boot, sizeof ret->boot);
    return ARIL_OK;
}

/* With the slot of the folder. */
static aril_status name_held(struct arili_files_draft *d, const aril_store_item *item,
                             const struct arili_files_place *place, uint64_t bytes,
                             aril_error *error)
{
    struct arili_files *const s = d->s;
    if (item->absent_only != 0) {
        ARILI_DEFER(arili_files_entry_donep) struct arili_files_entry e = { .fd = -1 };
        const aril_status st = find_held(s, item->name, place, &e, error);
        ARILI_ENSURE(st != ARIL_OK, ARIL_E_EXISTS);
        if (st != ARIL_E_NOT_FOUND) {
            return st;
        }
    }
    struct stat old;
    const bool replaces = fstatat(s->root, place->path, &old, AT_SYMLINK_NOFOLLOW) == 0;
    if (renameat(s->root, d->path, s->root, place->path) != 0) {
        return arili_files_failed(s, error, "give a value its name", errno);
    }
    d->path[0] = '\0';
    arili_files_account(s, place->leaf, (int64_t)bytes - (replaces ? (int64_t)old.st_size : 0),
                        replaces ? 0 : 1);
    return ARIL_OK;
}

static aril_status name_draft(struct arili_files_draft *d, const aril_store_item *item,
                              const struct arili_files_place *place, uint64_t bytes,
                              uint64_t deadline_ns, aril_error *error)
{
    const uint32_t slot = arili_files_stripe(place->leaf);
    ARILI_TRY(arili_files_slot_take(d->s, slot, deadline_ns, error));
    const aril_status st = name_held(d, item, place, bytes, error);
    arili_files_slot_give(d->s, slot);
    return st;
}

/* Nobody can take the lock while it is looked at and the value gets its name. */
static aril_status name_guarded(struct arili_files_draft *d, const aril_store_item *item,
                                const struct arili_files_place *place, uint64_t bytes,
                                uint64_t deadline_ns, aril_error *error)
{
    struct arili_files_place lock;
    arili_files_place_of(item->lock, &lock);
    const uint32_t slot = arili_files_lock_slot(lock.file);
    ARILI_TRY(arili_files_slot_take(d->s, slot, deadline_ns, error));
    aril_status st = arili_files_lock_check(d->s, item->lock, item->fence, error);
    if (st == ARIL_OK) {
        st = name_draft(d, item, place, bytes, deadline_ns, error);
    }
    arili_files_slot_give(d->s, slot);
    return st;
}

static aril_status sync_folder(const struct arili_files *s, const char *path, aril_error *error)
{
    ARILI_DEFER(arili_files_closep)
    int fd = arili_files_openat(s->root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0 || arili_files_sync(fd) != 0) {
        return arili_files_failed(s, error, "bring the name of a value to the disk", errno);
    }
    return ARIL_OK;
}

/* The names of the folders too, once for each; another process may have made them and not waited.
 */
static aril_status sync_names(struct arili_files *s, uint32_t leaf, aril_error *error)
{
    char folder[ARILI_FILES_LEAF_BYTES];
    atomic_uchar *const synced = &s->synced[leaf / 8];
    const unsigned char bit = (unsigned char)(1u << leaf % 8);
    arili_files_leaf_path(leaf, folder);
    ARILI_TRY(sync_folder(s, folder, error));
    if ((atomic_load_explicit(synced, memory_order_relaxed) & bit) == 0) {
        folder[2] = '\0';
        ARILI_TRY(sync_folder(s, folder, error));
        ARILI_TRY(sync_folder(s, ".", error));
        (void)atomic_fetch_or_explicit(synced, bit, memory_order_relaxed);
    }
    return ARIL_OK;
}

aril_status arili_files_put_one(struct arili_files *s, aril_store_item *item, uint64_t deadline_ns,
                                aril_error *error)
{
    struct arili_files_head head;
    ARILI_TRY(head_of(s, item, &head));
    const uint64_t bytes = arili_files_value_at(&head) + head.value_len;
    ARILI_ENSURE(s->bytes_max == 0 || bytes <= s->bytes_max, ARIL_E_IO_FULL);
    struct arili_files_place place;
    arili_files_place_of(item->name, &place);
    if (item->absent_only != 0) { /* is asked again when the value is written */
        ARILI_DEFER(arili_files_entry_donep) struct arili_files_entry e = { .fd = -1 };
        const aril_status st = arili_files_find(s, item->name, &place, &e, deadline_ns, error);
        ARILI_ENSURE(st != ARIL_OK, ARIL_E_EXISTS);
        if (st != ARIL_E_NOT_FOUND) {
            return st;
        }
    }
    arili_files_make_room(s, bytes, deadline_ns);

    ARILI_DEFER(arili_files_draft_donep) struct arili_files_draft d = { .s = s, .fd = -1 };
    ARILI_TRY(arili_files_draft_make(s, place.leaf, &d, error));
    ARILI_TRY(arili_files_draft_fill(&d, item, &head, deadline_ns, error));
    if (item->lock.len > 0) {
        ARILI_TRY(name_guarded(&d, item, &place, bytes, deadline_ns, error));
    } else {
        ARILI_TRY(name_draft(&d, item, &place, bytes, deadline_ns, error));
    }
    return s->is_durable ? sync_names(s, place.leaf, error) : ARIL_OK;
}
