/* SPDX-License-Identifier: Apache-2.0 */
#include "temp_folder.h"
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512u
#define PATHS_KEPT 8u

static char folder[PATH_BYTES / 2];

static int make_below(const char *otherwise)
{
    const char *base = getenv("TMPDIR");
    const int len = snprintf(folder, sizeof folder, "%s/aril-test-XXXXXX",
                             base != NULL && base[0] != '\0' ? base : otherwise);
    return len > 0 && (size_t)len < sizeof folder && mkdtemp(folder) != NULL ? 0 : -1;
}

int temp_folder_make(void **state)
{
    (void)state;
    return make_below("/tmp");
}

int temp_folder_make_quick(void **state)
{
    (void)state;
    return make_below(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

int temp_folder_remove(void **state)
{
    (void)state;
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return -1;
    }
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            temp_clear(temp_path(e->d_name));
        }
    }
    (void)closedir(dir);
    return rmdir(folder);
}

const char *temp_path(const char *name)
{
    static char paths[PATHS_KEPT][PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % PATHS_KEPT];
    (void)snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return path;
}

void temp_clear(const char *path)
{
    (void)remove(path);
}

const char *temp_write(const char *name, unsigned mode, aril_bytes content)
{
    const char *path = temp_path(name);
    temp_clear(path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(content.len > 0 ? write(fd, content.data, content.len) : 0, content.len);
    assert_int_equal(fchmod(fd, (mode_t)mode), 0);
    assert_int_equal(close(fd), 0);
    return path;
}

size_t file_read(const char *path, void *ret, size_t cap)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t len = fread(ret, 1, cap, file);
    assert_int_equal(ferror(file), 0);
    (void)fclose(file);
    return len;
}
