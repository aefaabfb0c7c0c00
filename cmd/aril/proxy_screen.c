/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"
#include "proxy_top.h"
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80u
#define ROWS_DEFAULT    24u

void proxy_screen_open(struct proxy_screen *s)
{
    *s = (struct proxy_screen){ .open = true };
    if (isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &s->before) == 0) {
        struct termios modes = s->before;
        modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        modes.c_cc[VMIN] = 1;
        modes.c_cc[VTIME] = 0;
        /* A stopped command would leave the shell on the other screen. */
        modes.c_cc[VSUSP] = _POSIX_VDISABLE;
        s->raw = tcsetattr(STDIN_FILENO, TCSANOW, &modes) == 0;
    }
    fputs("\033[?1049h\033[?25l\033[H", stdout);
    fflush(stdout);
}

void proxy_screen_close(struct proxy_screen *s)
{
    if (!s->open) {
        return;
    }
    if (s->raw) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &s->before);
    }
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    *s = (struct proxy_screen){ .open = false };
}

void proxy_screen_size(size_t *ret_columns, size_t *ret_rows)
{
    struct winsize size;
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    *ret_columns = known && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
    *ret_rows = known && size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
}

void proxy_screen_draw(const char *text, size_t len)
{
    fputs("\033[H", stdout);
    fwrite(text, 1, len, stdout);
    fputs("\033[J", stdout);
    fflush(stdout);
}

/* Signals wait until pselect() does, so that one that comes just before it is not missed. */
char proxy_screen_key(const struct proxy_screen *s, uint64_t ms)
{
    const struct timespec time = { .tv_sec = (time_t)(ms / 1000),
                                   .tv_nsec = (long)(ms % 1000) * 1000000 };
    fd_set in;
    sigset_t stops;
    sigset_t before;
    char key = 0;
    FD_ZERO(&in);
    if (s->raw) {
        FD_SET(STDIN_FILENO, &in);
    }
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &stops, &before);
    const bool pressed =
        keys_stopped == 0 && pselect(STDIN_FILENO + 1, &in, NULL, NULL, &time, &before) > 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* A terminal that is gone is an end as well. */
    return pressed && read(STDIN_FILENO, &key, 1) != 1 ? 'q' : key;
}
