/* SPDX-License-Identifier: Apache-2.0 */
#include "out.h"
#include "failure.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_terminal;
static bool has_colours;
static bool shows_progress;
static bool progress_shown;

void out_init(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    const bool dumb = term == NULL || strcmp(term, "dumb") == 0;
    is_terminal = isatty(STDOUT_FILENO) == 1;
    has_colours = is_terminal && !dumb && (no_color == NULL || no_color[0] == '\0');
    shows_progress = !dumb && isatty(STDERR_FILENO) == 1;
}

const char *out_on(enum out_style style)
{
    static const char *const codes[] = {
        [OUT_GOOD] = "\033[32m", [OUT_BAD] = "\033[1;31m", [OUT_WARN] = "\033[33m",
        [OUT_DIM] = "\033[2m",   [OUT_BOLD] = "\033[1m",
    };
    return has_colours ? codes[style] : "";
}

const char *out_off(void)
{
    return has_colours ? "\033[0m" : "";
}

bool out_is_terminal(void)
{
    return is_terminal;
}

void out_progress(const char *format, ...)
{
    if (!shows_progress) {
        return;
    }
    va_list args;
    va_start(args, format);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fflush(stderr);
    progress_shown = true;
}

void out_progress_end(void)
{
    if (progress_shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress_shown = false;
    }
}

/* Whether nobody reads the pipe any more; errno of the write that failed is long gone. */
static bool reader_left(void)
{
    struct pollfd out = { .fd = STDOUT_FILENO };
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int out_finish(int code)
{
    out_progress_end();
    errno = 0;
    const bool failed = fflush(stdout) != 0;
    const int error = errno;
    if (code != 0 || (!failed && ferror(stdout) == 0)) {
        return code;
    }
    if (reader_left()) {
        return failure_exit_code(ARIL_E_IO); /* as head does; no news */
    }
    return failure_errno("aril", "standard output", error != 0 ? error : EIO);
}
