/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/file.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/*
 * file:PATH. A key of its own for each slot, in a file that is replaced whole. destroy() takes
 * the key out, so the blob does not open any more; who has a copy of the key file still opens it.
 *
 * PATH.lock is there for its flock: two writers that replaced the file at the same time would
 * lose one of the keys. Readers need none. It is never removed: a lock on a file that somebody
 * else removes meanwhile is none.
 */
struct state {
    aril_runtime *rt;
    struct arili_file_path path;
    struct arili_file_path lock_path;
};

static const char missing[] =
    "is not there; check the path, or have it made when the keyring is made";

static void fd_closep(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* ends the lock */
    }
}

static aril_status lock(const struct state *s, int *ret_fd, aril_error *error)
{
    int fd;
    do {
        fd = open(s->lock_path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        const bool denied = errno == EACCES || errno == EROFS || errno == EPERM;
        const bool folder = errno == ENOENT || errno == ENOTDIR;
        return arili_store_failed(error, s->lock_path.text,
                                  arili_fail(denied   ? ARIL_E_IO_READ_ONLY
                                             : folder ? ARIL_E_NOT_FOUND
                                                      : ARIL_E_IO),
                                  folder ? "its folder is not there; make it, or check the path"
                                         : "cannot be opened for writing, so the key file is not "
                                           "changed; check owner, mode and file system");
    }
    int result;
    do {
        result = flock(fd, LOCK_EX);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        fd_closep(&fd);
        return arili_store_failed(error, s->lock_path.text, arili_fail(ARIL_E_IO),
                                  "cannot be locked; put the key file on a local file system");
    }
    *ret_fd = fd;
    return ARIL_OK;
}

static aril_status read_keys(const struct state *s, struct arili_file *ret, size_t *ret_count,
                             aril_error *error)
{
    return arili_keys_read(s->path.text, ARILI_FILE_SECRET, missing, ret, ret_count, error);
}

/* With the lock. */
static aril_status make_file(const struct state *s, aril_error *error)
{
    const aril_bytes empty = ARILI_LITERAL(ARILI_KEYS_HEAD ARILI_KEYS_END);
    const aril_status st =
        arili_file_write(s->path.text, empty, ARILI_FILE_MODE_PRIVATE, false, error);
    return st == ARIL_E_EXISTS ? ARIL_OK : st;
}

static aril_status open_keys(const struct state *s, bool create, aril_error *error)
{
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    size_t count = 0;
    const aril_status st = read_keys(s, &file, &count, error);
    if (st != ARIL_E_NOT_FOUND || !create) {
        return st;
    }
    ARILI_DEFER(fd_closep) int fd = -1;
    ARILI_TRY(lock(s, &fd, error));
    return make_file(s, error);
}

static void state_freep(struct state **s)
{
    arili_free(*s, sizeof **s);
}

static aril_status file_open(const struct arili_store_options *options, void **ret_state,
                             aril_error *error)
{
    static const char suffix[] = ".lock";
    ARILI_DEFER(state_freep) struct state *s = arili_alloc(sizeof *s);
    if (s == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "no memory for a keystore; give the process more");
    }
    s->rt = options->rt;
    ARILI_TRY(arili_file_path_set(options, &s->path, error));
    const size_t len = strlen(s->path.text);
    if (len + sizeof suffix > sizeof s->lock_path.text) {
        return arili_store_failed(error, s->path.text, arili_fail(ARIL_E_USAGE_RANGE),
                                  "is too long a path; shorten it");
    }
    memcpy(s->lock_path.text, s->path.text, len);
    memcpy(s->lock_path.text + len, suffix, sizeof suffix);
    ARILI_TRY(open_keys(s, options->create, error));
    *ret_state = ARILI_TAKE(s);
    return ARIL_OK;
}

static void file_close(void *state)
{
    arili_free(state, sizeof(struct state));
}

static aril_status file_info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    const struct state *const s = state;
    (void)error;
    *ret_info = (aril_keystore_info){ .protection = ARIL_PROTECTION_SOFTWARE,
                                      .capabilities = ARIL_KEYSTORE_DESTROY,
                                      .backend = "file" };
    arili_store_describe(ret_info->description, "key file", s->path.text);
    return ARIL_OK;
}

/* What a key file becomes, on the heap. */
struct draft {
    size_t bytes; /* allocated */
    uint8_t *text;
};

static void draft_done(struct draft *d)
{
    arili_free(d->text, d->bytes);
}

static aril_status draft_init(const struct state *s, size_t bytes, struct draft *ret,
                              aril_error *error)
{
    ret->text = arili_alloc(bytes);
    ret->bytes = bytes;
    return ret->text != NULL ? ARIL_OK
                             : arili_store_failed(error, s->path.text, arili_fail(ARIL_E_NOMEM),
                                                  "no memory for it; give the process more");
}

/* A new key for the slot, in the draft of the file. */
static aril_status add_key(const struct state *s, aril_bytes text, size_t count,
                           const uint8_t *slot, struct arili_file_key *ret_key,
                           struct draft *ret_draft, size_t *ret_len, aril_error *error)
{
    const struct arili_crypto *const c = &s->rt->crypto;
    if (count >= ARILI_KEYS_MAX) {
        return arili_store_failed(error, s->path.text, arili_fail(ARIL_E_LIMIT),
                                  "holds as many keys as it may; retire roots that nobody needs, "
                                  "or use a key file for each keyring");
    }
    ARILI_TRY(draft_init(s, text.len + ARILI_KEYS_LINE_BYTES, ret_draft, error));
    const aril_status st = c->ops->random(c->provider, ret_key->bytes, sizeof ret_key->bytes);
    if (st != ARIL_OK) {
        return arili_blob_failed(error, s->path.text, st);
    }
    *ret_len = arili_keys_add(text, slot, ret_key->bytes, ret_draft->text);
    return ARIL_OK;
}

static aril_status file_seal(void *state, const struct arili_store_place *place,
                             const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                             size_t cap, size_t *ret_len, aril_error *error)
{
    const struct state *const s = state;
    ARILI_DEFER(fd_closep) int fd = -1;
    ARILI_TRY(lock(s, &fd, error));
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    size_t count = 0;
    ARILI_TRY(read_keys(s, &file, &count, error));

    const aril_bytes text = { file.data, file.len };
    ARILI_DEFER(arili_file_key_wipe) struct arili_file_key key;
    ARILI_DEFER(draft_done) struct draft draft = { 0 };
    size_t draft_len = 0;
    if (!arili_keys_find(text, place->slot, key.bytes)) {
        ARILI_TRY(add_key(s, text, count, place->slot, &key, &draft, &draft_len, error));
    }
    uint8_t blob[ARILI_KEY_BLOB_BYTES];
    size_t len = 0;
    const aril_status st = cap < sizeof blob ? arili_fail(ARIL_E_USAGE_TOO_SMALL)
                                             : arili_key_blob_seal(s->rt, key.bytes, place, secret,
                                                                   blob, sizeof blob, &len);
    if (st != ARIL_OK) {
        return arili_blob_failed(error, s->path.text, st);
    }
    if (draft_len > 0) {
        ARILI_TRY(arili_file_write(s->path.text, (aril_bytes){ draft.text, draft_len },
                                   ARILI_FILE_MODE_PRIVATE, true, error));
    }
    memcpy(ret_blob, blob, len);
    *ret_len = len;
    return ARIL_OK;
}

static aril_status file_unseal(void *state, const struct arili_store_place *place, aril_bytes blob,
                               uint8_t ret_secret[ARILI_STORE_SECRET_BYTES], aril_error *error)
{
    const struct state *const s = state;
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    size_t count = 0;
    ARILI_TRY(read_keys(s, &file, &count, error));
    ARILI_DEFER(arili_file_key_wipe) struct arili_file_key key;
    if (!arili_keys_find((aril_bytes){ file.data, file.len }, place->slot, key.bytes)) {
        return arili_store_failed(error, s->path.text, arili_fail(ARIL_E_KEYSTORE_WRONG),
                                  "has no key for this slot: it was destroyed, or this is the key "
                                  "file of another keyring; name the right one");
    }
    const aril_status st = arili_key_blob_open(s->rt, key.bytes, place, blob, ret_secret);
    return st == ARIL_OK ? st : arili_blob_failed(error, s->path.text, st);
}

static aril_status file_destroy(void *state, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                aril_error *error)
{
    const struct state *const s = state;
    ARILI_DEFER(fd_closep) int fd = -1;
    ARILI_TRY(lock(s, &fd, error));
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    size_t count = 0;
    ARILI_TRY(read_keys(s, &file, &count, error));
    ARILI_DEFER(draft_done) struct draft draft = { 0 };
    ARILI_TRY(draft_init(s, file.len, &draft, error));
    const size_t len = arili_keys_remove((aril_bytes){ file.data, file.len }, slot, draft.text);
    if (len == file.len) {
        return ARIL_OK;
    }
    return arili_file_write(s->path.text, (aril_bytes){ draft.text, len }, ARILI_FILE_MODE_PRIVATE,
                            true, error);
}

const struct arili_store_ops arili_store_file = {
    .abi = ARILI_STORE_ABI,
    .scheme = "file",
    .open = file_open,
    .close = file_close,
    .info = file_info,
    .seal = file_seal,
    .unseal = file_unseal,
    .destroy = file_destroy,
};
