/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_answer(char *ret, size_t cap)
{
    if (fgets(ret, (int)cap, stdin) == NULL) {
        return false;
    }
    ret[strcspn(ret, "\n")] = '\0';
    return true;
}

int keys_confirm(const char *command, bool yes, const char *what, const char *word)
{
    char answer[KEYS_NAME_TEXT] = "";
    if (yes) {
        return 0;
    }
    if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1) {
        return failure_usage(command, "%s; --yes confirms it where nobody can be asked", what);
    }
    char safe[KEYS_NAME_TEXT];
    fprintf(stderr, "%s.\nType %s to go on: ", what,
            keys_safe(keys_bytes(word), safe, sizeof safe));
    fflush(stderr);
    if (!read_answer(answer, sizeof answer) || strcmp(answer, word) != 0) {
        return failure_usage(command, "not confirmed; nothing was changed");
    }
    return 0;
}
