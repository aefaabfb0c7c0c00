/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_DEMO_FIND_H
#define ARIL_CMD_DEMO_FIND_H
#include <limits.h>
#include <stdbool.h>

/* Where the libraries of a llama.cpp are; all in one folder. */
struct demo_found {
    char dir[PATH_MAX];
    char llama[PATH_MAX]; /* libllama.so, libllama.so.0, libllama.v0.5.0.so, ... */
    char ggml[PATH_MAX];
};

/* Look in dir and in the folders below it, a few levels deep; links to folders are not
 * followed. */
bool demo_find_llama(const char *dir, struct demo_found *ret_found);
#endif
