/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "proxy.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

void proxy_file_close(struct proxy_file *f)
{
    arili_credentials_free(f->credentials);
    file_contents_free(&f->text);
    aril_runtime_free(f->rt);
    if (f->folder >= 0) {
        close(f->folder); /* and with it the lock */
    }
    *f = (struct proxy_file)PROXY_FILE_NEW(f->command, f->path);
}

static int failed(const struct proxy_file *f, aril_status st, const aril_error *error)
{
    return failure_error(f->command, st, error, f->path);
}

/* The lock is on the folder, as the file is another one after each change, and a file of its own
 * would have to stay. */
static int lock_folder(struct proxy_file *f)
{
    char folder[PATH_MAX];
    const char *const slash = strrchr(f->path, '/');
    const size_t len = slash == NULL ? 0 : (size_t)(slash - f->path) + 1;
    if (len >= sizeof folder) {
        return failure_errno(f->command, f->path, ENAMETOOLONG);
    }
    snprintf(folder, sizeof folder, "%.*s", len == 0 ? 1 : (int)len, len == 0 ? "." : f->path);
    f->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->folder < 0) {
        return failure_errno(f->command, folder, errno);
    }
    while (flock(f->folder, LOCK_EX) != 0) {
        if (errno != EINTR) {
            return failure_errno(f->command, folder, errno);
        }
    }
    return 0;
}

/* The library looks at owner and mode and at what the file is; then the text is read, for its
 * comments, and what is changed is what was read. */
static int read_file(struct proxy_file *f, bool may_be_absent)
{
    aril_error error = { .status = ARIL_OK };
    aril_status st = arili_credentials_read(f->rt, f->path, &f->credentials, &error);
    if (st == ARIL_E_NOT_FOUND && may_be_absent) {
        const aril_bytes nothing = { NULL, 0 };
        st = arili_credentials_parse(f->rt, f->path, nothing, &f->credentials, &error);
        return st == ARIL_OK ? 0 : failed(f, st, &error);
    }
    if (st != ARIL_OK) {
        return failed(f, st, &error);
    }
    f->exists = true;
    if (lstat(f->path, &f->info) != 0) {
        return failure_errno(f->command, f->path, errno);
    }
    const int rc = file_read(f->command, f->path, ARILI_CREDENTIALS_BYTES_MAX, &f->text);
    if (rc != 0) {
        return rc;
    }
    arili_credentials_free(f->credentials);
    st = arili_credentials_parse(f->rt, f->path, file_bytes(&f->text), &f->credentials, &error);
    return st == ARIL_OK ? 0 : failed(f, st, &error);
}

static int begin(struct proxy_file *f)
{
    const aril_status st = aril_runtime_new(NULL, &f->rt);
    return st == ARIL_OK ? 0 : failure_report(f->command, st, "cannot begin");
}

int proxy_file_open(struct proxy_file *f)
{
    const int rc = begin(f);
    return rc != 0 ? rc : read_file(f, false);
}

int proxy_file_edit(struct proxy_file *f)
{
    int rc = begin(f);
    if (rc == 0) {
        rc = lock_folder(f);
    }
    return rc != 0 ? rc : read_file(f, true);
}

const struct arili_credential *proxy_file_find(const struct proxy_file *f, const char *tenant,
                                               const char *name)
{
    for (size_t i = 0; i < arili_credentials_count(f->credentials); i++) {
        const struct arili_credential *const one = arili_credentials_at(f->credentials, i);
        if (strcmp(one->tenant, tenant) == 0 && strcmp(one->name, name) == 0) {
            return one;
        }
    }
    return NULL;
}

/* Where line number n begins, from 1; there are so many. */
static size_t line_at(aril_bytes text, uint32_t n)
{
    size_t at = 0;
    for (uint32_t line = 1; line < n; line++) {
        const uint8_t *const end = memchr(text.data + at, '\n', text.len - at);
        at = (size_t)(end - text.data) + 1;
    }
    return at;
}

static void append(struct file_contents *to, const void *bytes, size_t len)
{
    if (len > 0) {
        memcpy(to->data + to->len, bytes, len);
        to->len += len;
    }
}

/* *ret is owned; false without memory. */
static bool compose(const struct proxy_file *f, const struct arili_credential *old,
                    const char *line, struct file_contents *ret)
{
    const aril_bytes text = file_bytes(&f->text);
    const size_t line_len = line == NULL ? 0 : strlen(line);
    const size_t from = old == NULL ? text.len : line_at(text, old->line);
    const size_t to = old == NULL ? text.len : line_at(text, old->line + 1);
    *ret = (struct file_contents){ .cap = text.len + line_len + 1 };
    ret->data = malloc(ret->cap);
    if (ret->data == NULL) {
        return false;
    }
    append(ret, text.data, from);
    if (line != NULL) {
        append(ret, line, line_len);
        append(ret, "\n", 1);
    }
    if (to < text.len) {
        append(ret, text.data + to, text.len - to);
    }
    return true;
}

int proxy_file_write(struct proxy_file *f, const struct arili_credential *old, const char *line)
{
    struct file_contents text;
    struct arili_credentials *parsed = NULL;
    aril_error error = { .status = ARIL_OK };
    if (!compose(f, old, line, &text)) {
        return failure_report(f->command, ARIL_E_NOMEM, "%s", f->path);
    }
    /* What arild would refuse is not written: one passphrase or one line too many. */
    const aril_status st =
        arili_credentials_parse(f->rt, f->path, file_bytes(&text), &parsed, &error);
    arili_credentials_free(parsed);
    int rc = 0;
    if (st != ARIL_OK) {
        rc = failed(f, st, &error);
    } else {
        const int number = f->exists ? file_replace(f->path, file_bytes(&text), &f->info)
                                     : file_store(f->path, file_bytes(&text), false);
        rc = number == 0 ? 0 : failure_errno(f->command, f->path, number);
    }
    file_contents_free(&text);
    return rc;
}
