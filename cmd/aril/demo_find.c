/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_find.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 8

static bool is_library(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0 && strstr(name, ".so") != NULL;
}

/* Both libraries in this very folder. */
static bool look_here(const char *dir, DIR *handle, struct demo_found *ret_found)
{
    ret_found->llama[0] = '\0';
    ret_found->ggml[0] = '\0';
    for (const struct dirent *e = readdir(handle); e != NULL; e = readdir(handle)) {
        char *slot = is_library(e->d_name, "libllama.")  ? ret_found->llama
                     : is_library(e->d_name, "libggml.") ? ret_found->ggml
                                                         : NULL;
        if (slot != NULL && slot[0] == '\0' &&
            snprintf(slot, PATH_MAX, "%s/%s", dir, e->d_name) >= PATH_MAX) {
            slot[0] = '\0';
        }
    }
    return ret_found->llama[0] != '\0' && ret_found->ggml[0] != '\0' &&
           snprintf(ret_found->dir, sizeof ret_found->dir, "%s", dir) < PATH_MAX;
}

static bool look_below(const char *dir, unsigned depth, struct demo_found *ret_found)
{
    DIR *handle = opendir(dir);
    if (handle == NULL) {
        return false;
    }
    bool found = look_here(dir, handle, ret_found);
    rewinddir(handle);
    for (const struct dirent *e = readdir(handle); !found && e != NULL; e = readdir(handle)) {
        char path[PATH_MAX];
        struct stat st;
        if (e->d_name[0] == '.' || depth == 0 ||
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= PATH_MAX) {
            continue;
        }
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            found = look_below(path, depth - 1, ret_found);
        }
    }
    closedir(handle);
    return found;
}

bool demo_find_llama(const char *dir, struct demo_found *ret_found)
{
    return look_below(dir, DEPTH_MAX, ret_found);
}
