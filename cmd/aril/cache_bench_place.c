/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* nftw() */
#include "cache_bench.h"
#include "failure.h"
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_FOLDERS 16

static int make_folder(struct place *p, const char *inside)
{
    const char *temporary = getenv("TMPDIR");
    const char *where = inside != NULL && inside[0] != '\0'         ? inside
                        : temporary != NULL && temporary[0] != '\0' ? temporary
                                                                    : "/tmp";
    const int len = snprintf(p->folder, sizeof p->folder, "%s/aril-bench-XXXXXX", where);
    if (len >= (int)sizeof p->folder - 64) {
        p->folder[0] = '\0';
        return failure_errno(p->command, where, ENAMETOOLONG);
    }
    if (mkdtemp(p->folder) == NULL) {
        const int error = errno;
        p->folder[0] = '\0';
        return failure_errno(p->command, where, error);
    }
    return 0;
}

static aril_status make_keyring(struct place *p, aril_error *error)
{
    char path[PATH_MAX + 16];
    snprintf(p->uri, sizeof p->uri, "file:%s/key", p->folder);
    snprintf(path, sizeof path, "%s/keyring", p->folder);
    const aril_keystore_config keystore = { .uri = p->uri, .create = 1 };
    const aril_keyring_init_config init = { .no_recovery = 1 };
    const aril_key_slot tenant = { .purpose = ARIL_KEY_TENANT, .owner = keys_bytes(PLACE_TENANT) };
    aril_status st = aril_runtime_new(NULL, &p->rt);
    if (st == ARIL_OK) {
        st = aril_keystore_open(p->rt, &keystore, &p->keystore, error);
    }
    const aril_keyring_config config = { .path = path, .keystore = p->keystore };
    if (st == ARIL_OK) {
        st = aril_keyring_init(p->rt, &config, &init, error);
    }
    if (st == ARIL_OK) {
        st = aril_keyring_open(p->rt, &config, &p->keyring, error);
    }
    return st == ARIL_OK ? aril_keyring_create(p->keyring, &tenant, 1, error) : st;
}

int place_make(struct place *p, const char *inside)
{
    aril_error error = { .status = ARIL_OK };
    const int rc = make_folder(p, inside);
    if (rc != 0) {
        return rc;
    }
    const aril_status st = make_keyring(p, &error);
    return st == ARIL_OK ? 0 : failure_error(p->command, st, &error, p->folder);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void place_remove(struct place *p)
{
    aril_keyring_close(p->keyring);
    aril_keystore_close(p->keystore);
    aril_runtime_free(p->rt);
    p->keyring = NULL;
    p->keystore = NULL;
    p->rt = NULL;
    if (p->folder[0] != '\0' &&
        nftw(p->folder, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0) {
        (void)failure_errno(p->command, p->folder, errno);
    }
    p->folder[0] = '\0';
}
