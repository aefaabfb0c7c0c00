/* SPDX-License-Identifier: Apache-2.0 */
#include "files_store.h"
#include "check.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 1024u

uint64_t far_deadline(void)
{
    struct timespec now = { 0 };
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return ((uint64_t)now.tv_sec + 60) * UINT64_C(1000000000);
}

aril_status raw_open(struct raw_store *s, const struct arili_cache_store_ops *ops, aril_runtime *rt,
                     const aril_store_config *config, const char *scheme, const char *rest)
{
    aril_store_config filled = { 0 };
    if (config != NULL) {
        filled = *config;
    }
    filled.deadline_ms = filled.deadline_ms != 0 ? filled.deadline_ms : 60000;
    filled.connections = filled.connections != 0 ? filled.connections : 8;
    const struct arili_cache_store_options options = { rt, &filled, rest };
    *s = (struct raw_store){ .ops = ops };
    return ops->open(&options, scheme, &s->state, &s->capabilities, &s->error);
}

void raw_close(struct raw_store *s)
{
    if (s->state != NULL) {
        s->ops->close(s->state);
        s->state = NULL;
    }
}

aril_status raw_put_item(struct raw_store *s, aril_store_item *item)
{
    const aril_status st = s->ops->put(s->state, item, 1, far_deadline(), &s->error);
    return st == ARIL_OK ? item->status : st;
}

aril_status raw_get_item(struct raw_store *s, aril_store_item *item)
{
    const aril_status st = s->ops->get(s->state, item, 1, far_deadline(), &s->error);
    return st == ARIL_OK ? item->status : st;
}

aril_status raw_put(struct raw_store *s, aril_bytes name, aril_bytes value, uint64_t ttl_ms)
{
    aril_store_item item = { .name = name, .parts = &value, .part_count = 1, .ttl_ms = ttl_ms };
    return raw_put_item(s, &item);
}

aril_status raw_get(struct raw_store *s, aril_bytes name, aril_span buffer, size_t *ret_len)
{
    aril_store_item item = { .name = name, .buffer = buffer };
    const aril_status st = raw_get_item(s, &item);
    if (ret_len != NULL) {
        *ret_len = item.len;
    }
    assert_true(st != ARIL_OK || item.data == buffer.data);
    assert_true(st == ARIL_OK || item.data == NULL);
    return st;
}

aril_status raw_erase(struct raw_store *s, aril_bytes name)
{
    aril_store_item item = { .name = name };
    const aril_status st = s->ops->erase(s->state, &item, 1, far_deadline(), &s->error);
    return st == ARIL_OK ? item.status : st;
}

aril_status raw_exists(struct raw_store *s, aril_bytes name)
{
    aril_store_item item = { .name = name };
    const aril_status st = s->ops->exists(s->state, &item, 1, far_deadline(), &s->error);
    return st == ARIL_OK ? item.status : st;
}

struct wanted {
    aril_bytes value;
    uint8_t *data;
};

static uint8_t *wanted_room(void *user, size_t len)
{
    struct wanted *w = user;
    assert_null(w->data);
    w->data = len == w->value.len ? test_malloc(len + 1) : NULL;
    return w->data;
}

bool raw_has(struct raw_store *s, aril_bytes name, aril_bytes value)
{
    struct wanted w = { .value = value };
    aril_store_item item = { .name = name, .room = wanted_room, .user = &w };
    const aril_status st = raw_get_item(s, &item);
    const bool same = st == ARIL_OK && item.len == value.len &&
                      (value.len == 0 || memcmp(item.data, value.data, value.len) == 0);
    if (w.data != NULL) {
        test_free(w.data);
    }
    return same;
}

/* --- Folders --- */

static bool next_entry(DIR *dir, const char *folder, char ret[PATH_BYTES], const char **ret_name)
{
    const struct dirent *e = readdir(dir);
    while (e != NULL && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)) {
        e = readdir(dir);
    }
    if (e != NULL) {
        assert_true(snprintf(ret, PATH_BYTES, "%s/%s", folder, e->d_name) < (int)PATH_BYTES);
        *ret_name = e->d_name;
    }
    return e != NULL;
}

bool tree_remove(const char *path)
{
    char below[PATH_BYTES];
    const char *name = NULL;
    DIR *dir = opendir(path);
    while (dir != NULL && next_entry(dir, path, below, &name)) {
        struct stat info;
        if (lstat(below, &info) == 0 && S_ISDIR(info.st_mode)) {
            (void)tree_remove(below);
        } else {
            (void)unlink(below);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return rmdir(path) == 0;
}

void tree_visit(const char *path, tree_fn *fn, void *user)
{
    char below[PATH_BYTES];
    const char *name = NULL;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (next_entry(dir, path, below, &name)) {
        struct stat info;
        assert_int_equal(lstat(below, &info), 0);
        if (S_ISDIR(info.st_mode)) {
            tree_visit(below, fn, user);
        } else if (S_ISREG(info.st_mode)) {
            fn(user, below);
        }
    }
    (void)closedir(dir);
}

struct count {
    const char *begin;
    unsigned found;
};

static void count_one(void *user, const char *path)
{
    struct count *c = user;
    const char *name = strrchr(path, '/') + 1;
    c->found += strncmp(name, c->begin, strlen(c->begin)) == 0;
}

unsigned tree_count(const char *path, const char *begin)
{
    struct count c = { .begin = begin };
    tree_visit(path, count_one, &c);
    return c.found;
}
