/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/pkcs11_internal.h"
#if ARILI_P11_BUILT
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * PKCS#11 is per process: C_Initialize() and C_Finalize() count nothing, and the first
 * C_Finalize() ends the module for everybody. So keystores on one module have to know of one
 * another, also those of different runtimes. This table is the library's one piece of mutable
 * static state, and holds nothing but which modules are in use.
 *
 * A module stays loaded when its last keystore is closed: modules leave exit handlers and
 * thread-local data behind, and a call that was given up may still be inside one.
 */
#define MODULES_MAX 16u

struct arili_p11_module {
    void *handle; /* of dlopen(), which gives one file one handle; NULL: the entry is free */
    CK_FUNCTION_LIST *f;

    /* What follows is guarded by lock. It is held while the module initializes, which may take
     * long, so it is not the lock of the table. */
    pthread_mutex_t lock;
    unsigned users;
    bool ours; /* we initialized the module, so we end it */

    pid_t pid; /* of the process that users and ours are of; guarded by table_lock */
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct arili_p11_module table[MODULES_MAX];

/* --- the file */

static aril_status file_refused(const struct arili_p11 *s, aril_status st, const char *reason,
                                aril_error *error)
{
    /* The end of a long path tells more than its beginning. */
    const char *path = s->where.module_path;
    const size_t len = strlen(path);
    return arili_error_set(error, arili_fail(st), "PKCS#11 module %s: %s",
                           len > 140 ? path + (len - 140) : path, reason);
}

/* Who can write the file can run code in this process. Symbolic links are usual for modules, so
 * the file behind them counts. Folders are the administrator's business, as with any library. */
static aril_status check_file(const struct arili_p11 *s, aril_error *error)
{
    struct stat info;
    if (stat(s->where.module_path, &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return file_refused(s, ARIL_E_NOT_FOUND,
                                "there is no such file; install it or correct module-path", error);
        }
        return file_refused(s, ARIL_E_IO, "cannot examine it; check the rights of its folders",
                            error);
    }
    if (!S_ISREG(info.st_mode)) {
        return file_refused(s, ARIL_E_IO, "is not a regular file; correct module-path", error);
    }
    if (info.st_uid != 0 && info.st_uid != geteuid()) {
        return file_refused(s, ARIL_E_IO_PERMISSION,
                            "belongs neither to root nor to the user that runs the program; "
                            "change its owner with chown",
                            error);
    }
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return file_refused(s, ARIL_E_IO_PERMISSION,
                            "other users can change it; run: chmod go-w FILE", error);
    }
    return ARIL_OK;
}

/* --- the functions */

static bool has_all_functions(const CK_FUNCTION_LIST *f)
{
    return f->C_Initialize != NULL && f->C_Finalize != NULL && f->C_GetInfo != NULL &&
           f->C_GetSlotList != NULL && f->C_GetTokenInfo != NULL && f->C_GetMechanismInfo != NULL &&
           f->C_OpenSession != NULL && f->C_CloseSession != NULL && f->C_GetSessionInfo != NULL &&
           f->C_Login != NULL && f->C_GenerateKey != NULL && f->C_GetAttributeValue != NULL &&
           f->C_FindObjectsInit != NULL && f->C_FindObjects != NULL &&
           f->C_FindObjectsFinal != NULL && f->C_DestroyObject != NULL &&
           f->C_EncryptInit != NULL && f->C_Encrypt != NULL && f->C_DecryptInit != NULL &&
           f->C_Decrypt != NULL && f->C_GenerateRandom != NULL;
}

/* The parameters of CKM_AES_GCM have had this form since Cryptoki 2.40; version 3 keeps it. */
static bool version_fits(CK_VERSION v)
{
    return (v.major == 2 && v.minor >= 40) || v.major == 3;
}

static aril_status version_refused(const struct arili_p11 *s, CK_VERSION v, aril_error *error)
{
    char reason[96];
    (void)snprintf(reason, sizeof reason,
                   "speaks Cryptoki %u.%02u, and 2.40 to 3 are known; update the module", v.major,
                   v.minor);
    return file_refused(s, ARIL_E_UNAVAILABLE, reason, error);
}

static void library_closep(void **handle)
{
    if (*handle != NULL) {
        (void)dlclose(*handle);
    }
}

static aril_status load(const struct arili_p11 *s, void **ret_handle, CK_FUNCTION_LIST **ret_f,
                        aril_error *error)
{
    ARILI_TRY(check_file(s, error));
    ARILI_DEFER(library_closep) void *handle = dlopen(s->where.module_path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror();
        return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE),
                               "cannot load the PKCS#11 module: %.200s; install what it needs",
                               why != NULL ? why : s->where.module_path);
    }
    void *symbol = dlsym(handle, "C_GetFunctionList");
    CK_C_GetFunctionList get = NULL;
    /* POSIX: a symbol's address may be taken for that of a function. */
    memcpy(&get, &symbol, sizeof get);
    CK_FUNCTION_LIST *f = NULL;
    if (get == NULL || get(&f) != CKR_OK || f == NULL) {
        return file_refused(s, ARIL_E_UNAVAILABLE,
                            "gives no function list, so it is none; correct module-path", error);
    }
    /* Before the members are looked at: an older list is shorter. */
    if (!version_fits(f->version)) {
        return version_refused(s, f->version, error);
    }
    if (!has_all_functions(f)) {
        return file_refused(s, ARIL_E_UNAVAILABLE, "lacks functions; update the module", error);
    }
    *ret_handle = ARILI_TAKE(handle);
    *ret_f = f;
    return ARIL_OK;
}

/* --- the table */

/* A forked child has the table, but the module's state there is not its own, and the lock may be
 * held by a thread that is not there. */
static void entry_begin(struct arili_p11_module *m)
{
    (void)pthread_mutex_init(&m->lock, NULL);
    m->users = 0;
    m->ours = false;
    m->pid = getpid();
}

/* The entry of a handle that was just opened; NULL when the table is full. Takes the handle. */
static struct arili_p11_module *entry_for(void *handle, CK_FUNCTION_LIST *f)
{
    struct arili_p11_module *found = NULL;
    (void)pthread_mutex_lock(&table_lock);
    /* Entries are taken in order and stay, so a free one ends the search. */
    for (size_t i = 0; i < MODULES_MAX && found == NULL; i++) {
        struct arili_p11_module *m = &table[i];
        const bool is_free = m->handle == NULL;
        if (!is_free && m->handle != handle) {
            continue;
        }
        if (is_free || m->pid != getpid()) {
            entry_begin(m);
        }
        if (is_free) {
            m->handle = handle;
            m->f = f;
        } else {
            (void)dlclose(handle); /* counts: the entry's own keeps the module */
        }
        found = m;
    }
    (void)pthread_mutex_unlock(&table_lock);
    if (found == NULL) {
        (void)dlclose(handle);
    }
    return found;
}

/* --- begin and end */

/* With m->lock held. */
static aril_status begin(struct arili_p11 *s, struct arili_p11_module *m, aril_error *error)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    const CK_RV rv = m->f->C_Initialize(&args);
    /* Another user of the module in this process was first. It is the one that ends it. */
    m->ours = rv == CKR_OK;
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        return arili_p11_failed(s, "initialize the module", rv, error);
    }
    CK_INFO info = { 0 };
    const CK_RV info_rv = m->f->C_GetInfo(&info);
    const bool fits = info_rv == CKR_OK && version_fits(info.cryptokiVersion);
    if (!fits && m->ours) {
        (void)m->f->C_Finalize(NULL); /* the failure before it is the one to tell */
    }
    if (info_rv != CKR_OK) {
        return arili_p11_failed(s, "ask the module for its version", info_rv, error);
    }
    return fits ? ARIL_OK : version_refused(s, info.cryptokiVersion, error);
}

aril_status arili_p11_module_get(struct arili_p11 *s, aril_error *error)
{
    void *handle = NULL;
    CK_FUNCTION_LIST *f = NULL;
    ARILI_TRY(load(s, &handle, &f, error));
    struct arili_p11_module *m = entry_for(handle, f);
    if (m == NULL) {
        return file_refused(s, ARIL_E_LIMIT,
                            "the process uses 16 other modules already; restart it with fewer",
                            error);
    }
    (void)pthread_mutex_lock(&m->lock);
    const aril_status st = m->users > 0 ? ARIL_OK : begin(s, m, error);
    if (st == ARIL_OK) {
        m->users++;
        s->module = m;
        s->f = m->f;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return st;
}

void arili_p11_module_put(struct arili_p11 *s)
{
    struct arili_p11_module *m = s->module;
    if (m == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&m->lock);
    m->users--;
    if (m->users == 0 && m->ours) {
        (void)m->f->C_Finalize(NULL); /* nothing is left that could go wrong with it */
        m->ours = false;
    }
    (void)pthread_mutex_unlock(&m->lock);
    s->module = NULL;
    s->f = NULL;
}

#endif
