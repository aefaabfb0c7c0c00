/* SPDX-License-Identifier: Apache-2.0 */
#include "base/files.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SHOWN_PATH_CHARS  140u /* leaves room for reason and remedy in a message */
#define TEMP_TRIES        16u
#define RENAME2_NOREPLACE 1u /* RENAME_NOREPLACE, which needs _GNU_SOURCE */

/* The end of a long path tells more than its beginning. */
static const char *shown(const char *path)
{
    const size_t len = strlen(path);
    return len <= SHOWN_PATH_CHARS ? path : path + (len - SHOWN_PATH_CHARS);
}

static const char *remedy(int number)
{
    switch (number) {
    case EACCES:
    case EPERM:
        return "give the user that runs the program access to it";
    case ENOENT:
    case ENOTDIR:
        return "check the path";
    case ELOOP:
        return "give the path of the file itself, not of a symbolic link";
    case ENOSPC:
    case EDQUOT:
        return "free some space";
    case EFBIG:
        return "raise the limit of file sizes (ulimit -f)";
    case EROFS:
        return "choose a folder on a writable file system";
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files (ulimit -n)";
    default:
        return "check the disk and the file system";
    }
}

/* A system call on path failed with the given errno. */
static aril_status failed(aril_error *error, const char *path, const char *what, int number)
{
    char reason[96] = "";
    if (strerror_r(number, reason, sizeof reason) != 0) {
        (void)snprintf(reason, sizeof reason, "error %d", number);
    }
    const aril_status code = number == ENOENT ? ARIL_E_NOT_FOUND : ARIL_E_IO;
    return arili_error_set(error, arili_fail(code), "%s: cannot %s: %s; %s", shown(path), what,
                           reason, remedy(number));
}

static void fd_closep(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* nothing written hangs on it */
        *fd = -1;
    }
}

static int open_retry(int folder, const char *path, int flags, mode_t mode)
{
    int fd;
    do {
        fd = openat(folder, path, flags | O_CLOEXEC | O_NOCTTY, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int fsync_retry(int fd)
{
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result;
}

static aril_status check_owner_and_mode(const char *path, const struct stat *info, unsigned checks,
                                        aril_error *error)
{
    if ((checks & (ARILI_FILE_SECRET | ARILI_FILE_TRUSTED)) == 0) {
        return ARIL_OK;
    }
    const uid_t self = geteuid();
    const bool root_ok = (checks & ARILI_FILE_ROOT_MAY_OWN) != 0 && info->st_uid == 0;
    if (info->st_uid != self && !root_ok) {
        return arili_error_set(error, arili_fail(ARIL_E_IO_PERMISSION),
                               "%s: belongs to user %lu, but user %lu runs the program; change "
                               "its owner with chown",
                               shown(path), (unsigned long)info->st_uid, (unsigned long)self);
    }
    const bool secret = (checks & ARILI_FILE_SECRET) != 0;
    const bool shared = (checks & ARILI_FILE_ROOT_MAY_SHARE) != 0 && info->st_uid == 0;
    const mode_t group = shared ? S_IWGRP | S_IXGRP : S_IRWXG;
    const mode_t forbidden = secret ? group | S_IRWXO : S_IWGRP | S_IWOTH;
    if ((info->st_mode & forbidden) != 0) {
        return arili_error_set(error, arili_fail(ARIL_E_IO_PERMISSION),
                               "%s: mode %04o lets other users %s it; run: chmod %s FILE",
                               shown(path), (unsigned)(info->st_mode & 07777),
                               secret ? "use" : "change", secret ? "600" : "go-w");
    }
    return ARIL_OK;
}

/* Up to file->alloc_bytes bytes; file->len is what there was. */
static aril_status read_all(const char *path, int fd, struct arili_file *file, aril_error *error)
{
    while (file->len < file->alloc_bytes) {
        const ssize_t got = read(fd, file->data + file->len, file->alloc_bytes - file->len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return failed(error, path, "read it", errno);
        }
        if (got == 0) {
            break;
        }
        file->len += (size_t)got;
    }
    return ARIL_OK;
}

static aril_status check_kind_and_size(const char *path, const struct stat *info, size_t bytes_max,
                                       aril_error *error)
{
    if (!S_ISREG(info->st_mode)) {
        return arili_error_set(error, arili_fail(ARIL_E_IO),
                               "%s: is not a regular file; check the path", shown(path));
    }
    if ((uintmax_t)info->st_size > bytes_max) {
        return arili_error_set(error, arili_fail(ARIL_E_LIMIT),
                               "%s: has %ju bytes, more than the %zu that are allowed; check that "
                               "it is the right file",
                               shown(path), (uintmax_t)info->st_size, bytes_max);
    }
    return ARIL_OK;
}

aril_status arili_file_read(const char *path, size_t bytes_max, unsigned checks,
                            struct arili_file *ret, aril_error *error)
{
    *ret = (struct arili_file){ 0 };
    /* O_NONBLOCK: opening a FIFO that nobody writes to must not hang. */
    ARILI_DEFER(fd_closep)
    int fd = open_retry(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0) {
        return failed(error, path, "open it", errno);
    }
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return failed(error, path, "examine it", errno);
    }
    ARILI_TRY(check_kind_and_size(path, &info, bytes_max, error));
    ARILI_TRY(check_owner_and_mode(path, &info, checks, error));

    /* One byte more, to notice a file that grows. */
    const size_t size = (size_t)info.st_size;
    ARILI_DEFER(arili_file_done)
    struct arili_file file = { .data = size < SIZE_MAX ? arili_alloc(size + 1) : NULL,
                               .alloc_bytes = size + 1 };
    if (file.data == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "%s: no memory for its %zu bytes; give the process more",
                               shown(path), size);
    }
    ARILI_TRY(read_all(path, fd, &file, error));
    if (file.len != size) {
        return arili_error_set(error, arili_fail(ARIL_E_IO),
                               "%s: changed while it was read; try again when its writer is done",
                               shown(path));
    }
    ret->data = ARILI_TAKE(file.data);
    ret->len = file.len;
    ret->alloc_bytes = file.alloc_bytes;
    return ARIL_OK;
}

void arili_file_done(struct arili_file *file)
{
    arili_free(file->data, file->alloc_bytes);
    *file = (struct arili_file){ 0 };
}

/* A file on its way to its name. */
struct draft {
    int folder;
    int fd;
    char temp[64]; /* empty: there is no temporary file to remove */
    const char *name;
};

static void draft_done(struct draft *d)
{
    fd_closep(&d->fd);
    if (d->temp[0] != '\0') {
        (void)unlinkat(d->folder, d->temp, 0);
        d->temp[0] = '\0';
    }
    fd_closep(&d->folder);
}

/* Opens the folder of path and points d->name to the last component. */
static aril_status draft_folder(struct draft *d, const char *path, aril_error *error)
{
    const char *slash = strrchr(path, '/');
    d->name = slash != NULL ? slash + 1 : path;
    const size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (len >= ARILI_FILE_PATH_BYTES) {
        return failed(error, path, "write it", ENAMETOOLONG);
    }
    if (d->name[0] == '\0' || strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: is not the name of a file; add one", shown(path));
    }
    char folder[ARILI_FILE_PATH_BYTES] = ".";
    if (len > 0) {
        memcpy(folder, path, len);
        folder[len] = '\0';
    }
    d->folder = open_retry(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
    return d->folder >= 0 ? ARIL_OK : failed(error, path, "open its folder", errno);
}

static aril_status draft_create(struct draft *d, const char *path, enum arili_file_mode mode,
                                aril_error *error)
{
    static atomic_uint counter;
    for (unsigned i = 0; i < TEMP_TRIES; i++) {
        struct timespec now = { 0 };
        (void)clock_gettime(CLOCK_REALTIME, &now);
        char temp[sizeof d->temp];
        (void)snprintf(temp, sizeof temp, ".aril-%lx-%lx-%x.tmp", (unsigned long)getpid(),
                       (unsigned long)now.tv_nsec,
                       atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed));
        d->fd = open_retry(d->folder, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, (mode_t)mode);
        if (d->fd >= 0) {
            memcpy(d->temp, temp, sizeof temp);
            return ARIL_OK;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    return failed(error, path, "make a temporary file in its folder", errno);
}

static aril_status draft_fill(struct draft *d, const char *path, aril_bytes content,
                              aril_error *error)
{
    for (size_t done = 0; done < content.len;) {
        const ssize_t put = write(d->fd, content.data + done, content.len - done);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return failed(error, path, "write it", put < 0 ? errno : ENOSPC);
        }
        done += (size_t)put;
    }
    if (fsync_retry(d->fd) != 0) {
        return failed(error, path, "bring it to the disk", errno);
    }
    const int fd = d->fd;
    d->fd = -1;
    /* On Linux the descriptor is gone also after EINTR. */
    if (close(fd) != 0 && errno != EINTR) {
        return failed(error, path, "close it", errno);
    }
    return ARIL_OK;
}

/* 0 or -1 with errno, as system calls answer. */
static int draft_name_new(struct draft *d)
{
    if (syscall(SYS_renameat2, d->folder, d->temp, d->folder, d->name, RENAME2_NOREPLACE) == 0) {
        d->temp[0] = '\0';
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != EPERM && errno != EOPNOTSUPP) {
        return -1;
    }
    /* A file system without it, as NFS: a second name, and draft_done() removes the
     * first. */
    return linkat(d->folder, d->temp, d->folder, d->name, 0);
}

static aril_status draft_name(struct draft *d, const char *path, bool replace, aril_error *error)
{
    if (replace) {
        if (renameat(d->folder, d->temp, d->folder, d->name) != 0) {
            return failed(error, path, "give the new file its name", errno);
        }
        d->temp[0] = '\0';
    } else if (draft_name_new(d) != 0) {
        if (errno != EEXIST) {
            return failed(error, path, "give the new file its name", errno);
        }
        return arili_error_set(error, arili_fail(ARIL_E_EXISTS),
                               "%s: exists and was left alone; remove it or choose another name",
                               shown(path));
    }
    /* EINVAL: the file system has no fsync for folders and nothing to wait for. */
    if (fsync_retry(d->folder) != 0 && errno != EINVAL) {
        return failed(error, path, "bring its name to the disk, though the file is there", errno);
    }
    return ARIL_OK;
}

aril_status arili_file_write(const char *path, aril_bytes content, enum arili_file_mode mode,
                             bool replace, aril_error *error)
{
    ARILI_DEFER(draft_done) struct draft d = { .folder = -1, .fd = -1 };
    ARILI_TRY(draft_folder(&d, path, error));
    ARILI_TRY(draft_create(&d, path, mode, error));
    ARILI_TRY(draft_fill(&d, path, content, error));
    ARILI_TRY(draft_name(&d, path, replace, error));
    return ARIL_OK;
}
