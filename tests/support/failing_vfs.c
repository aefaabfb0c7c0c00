/* SPDX-License-Identifier: Apache-2.0 */
#include "failing_vfs.h"
#include "check.h"
#include <signal.h>
#include <sqlite3.h>
#include <string.h>

static sqlite3_vfs *inner_vfs;
static sqlite3_vfs vfs;
static bool shares;

static struct {
    unsigned calls, countdown; /* countdown 0: nothing is armed */
    int code, reason;
    bool forever, fired, kills;
} fault;

struct file {
    sqlite3_file base;
    sqlite3_file *inner; /* behind this struct */
};
static sqlite3_file *inner_of(sqlite3_file *file)
{
    return ((struct file *)file)->inner;
}

/* Whether this call fails. */
static bool fails(unsigned call)
{
    if (fault.countdown == 0 || (fault.calls & call) == 0) {
        return false;
    }
    if (fault.countdown > 1) {
        fault.countdown--;
        return false;
    }
    if (fault.kills && call != FAILING_TORN) {
        (void)raise(SIGKILL);
    }
    fault.countdown = fault.forever ? 1 : 0;
    fault.fired = true;
    return true;
}

/* --- Files ----------------------------------------------------------------------------------- */

static int file_close(sqlite3_file *file)
{
    return inner_of(file)->pMethods->xClose(inner_of(file));
}

static int file_read(sqlite3_file *file, void *ret, int len, sqlite3_int64 offset)
{
    if (fails(FAILING_READ)) {
        return fault.code;
    }
    return inner_of(file)->pMethods->xRead(inner_of(file), ret, len, offset);
}

static int file_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
    sqlite3_file *const f = inner_of(file);
    if (fails(FAILING_WRITE)) {
        return fault.code;
    }
    if (fails(FAILING_TORN)) {
        (void)f->pMethods->xWrite(f, data, len / 2, offset);
        if (fault.kills) {
            (void)raise(SIGKILL);
        }
        return fault.code;
    }
    return f->pMethods->xWrite(f, data, len, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fails(FAILING_TRUNCATE)) {
        return fault.code;
    }
    return inner_of(file)->pMethods->xTruncate(inner_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return fails(FAILING_SYNC) ? fault.code : SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return inner_of(file)->pMethods->xFileSize(inner_of(file), ret);
}

static int file_lock(sqlite3_file *file, int level)
{
    if (fails(FAILING_LOCK)) {
        return fault.code;
    }
    return inner_of(file)->pMethods->xLock(inner_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return inner_of(file)->pMethods->xUnlock(inner_of(file), level);
}

static int file_check_reserved(sqlite3_file *file, int *ret)
{
    return inner_of(file)->pMethods->xCheckReservedLock(inner_of(file), ret);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
    return inner_of(file)->pMethods->xFileControl(inner_of(file), op, arg);
}

static int file_sector_size(sqlite3_file *file)
{
    return inner_of(file)->pMethods->xSectorSize(inner_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return inner_of(file)->pMethods->xDeviceCharacteristics(inner_of(file));
}

static int shm_map(sqlite3_file *file, int page, int len, int extend, void volatile **ret)
{
    return inner_of(file)->pMethods->xShmMap(inner_of(file), page, len, extend, ret);
}

static int shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    if ((flags & SQLITE_SHM_LOCK) != 0 && fails(FAILING_LOCK)) {
        return fault.code;
    }
    return inner_of(file)->pMethods->xShmLock(inner_of(file), offset, n, flags);
}

static void shm_barrier(sqlite3_file *file)
{
    inner_of(file)->pMethods->xShmBarrier(inner_of(file));
}

static int shm_unmap(sqlite3_file *file, int remove)
{
    return inner_of(file)->pMethods->xShmUnmap(inner_of(file), remove);
}

/* Version 1 is without shared memory, which a keyring does not use; version 2 without memory
 * maps. */
#define FILE_METHODS(version)                                                                     \
    {                                                                                             \
        .iVersion = (version), .xClose = file_close, .xRead = file_read, .xWrite = file_write,    \
        .xTruncate = file_truncate, .xSync = file_sync, .xFileSize = file_size,                   \
        .xLock = file_lock, .xUnlock = file_unlock, .xCheckReservedLock = file_check_reserved,    \
        .xFileControl = file_control, .xSectorSize = file_sector_size,                            \
        .xDeviceCharacteristics = file_characteristics, .xShmMap = shm_map, .xShmLock = shm_lock, \
        .xShmBarrier = shm_barrier, .xShmUnmap = shm_unmap                                        \
    }
static const sqlite3_io_methods methods = FILE_METHODS(1);
static const sqlite3_io_methods sharing_methods = FILE_METHODS(2);

/* --- The file system ------------------------------------------------------------------------- */

static int vfs_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *ret, int flags,
                    int *ret_flags)
{
    struct file *const file = (struct file *)ret;
    (void)v;
    file->base.pMethods = NULL;
    if (fails(FAILING_OPEN)) {
        return fault.code;
    }
    file->inner = (sqlite3_file *)(file + 1);
    const int code = inner_vfs->xOpen(inner_vfs, name, file->inner, flags, ret_flags);
    file->base.pMethods = code != SQLITE_OK ? NULL : shares ? &sharing_methods : &methods;
    return code;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync_folder)
{
    (void)v;
    (void)sync_folder;
    if (fails(FAILING_DELETE)) {
        return fault.code;
    }
    const int code = inner_vfs->xDelete(inner_vfs, name, 0);
    return code == SQLITE_OK && fails(FAILING_DELETED) ? fault.code : code;
}

static int vfs_last_error(sqlite3_vfs *v, int len, char *ret)
{
    (void)v;
    return fault.fired ? fault.reason : inner_vfs->xGetLastError(inner_vfs, len, ret);
}

void failing_vfs_install(void)
{
    inner_vfs = sqlite3_vfs_find(NULL);
    assert_non_null(inner_vfs);
    vfs = *inner_vfs;
    vfs.iVersion = 1;
    vfs.zName = "failing";
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(struct file) + inner_vfs->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    vfs.xGetLastError = vfs_last_error;
    memset(&fault, 0, sizeof fault);
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

void failing_vfs_share(bool share)
{
    shares = share;
}

void failing_vfs_remove(void)
{
    shares = false;
    assert_int_equal(sqlite3_vfs_unregister(&vfs), SQLITE_OK);
    assert_int_equal(sqlite3_vfs_register(inner_vfs, 1), SQLITE_OK);
}

void failing_vfs_arm(unsigned calls, unsigned nth, int code, int reason, bool forever)
{
    memset(&fault, 0, sizeof fault);
    fault.calls = calls;
    fault.countdown = nth;
    fault.code = code;
    fault.reason = reason;
    fault.forever = forever;
}

void failing_vfs_arm_kill(unsigned calls, unsigned nth)
{
    failing_vfs_arm(calls, nth, SQLITE_IOERR, 0, true);
    fault.kills = true;
}

void failing_vfs_disarm(void)
{
    fault.countdown = 0;
}

bool failing_vfs_fired(void)
{
    return fault.fired;
}
