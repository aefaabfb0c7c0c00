/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_PROXY_TOP_H
#define ARIL_CMD_PROXY_TOP_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <termios.h>

/* aril proxy top: what arild says of itself in /status.json, for people. */
int proxy_top(int argc, char **argv);

/* --- texts (proxy_view.c) -------------------------------------------------------------------- */

/* One look. All zero: none. */
struct proxy_look {
    json_t *status; /* owned */
    uint64_t at_ns; /* monotonic */
};
/* Whether it is what this command understands. */
bool proxy_look_is_good(const json_t *status);
void proxy_look_free(struct proxy_look *look);

struct proxy_view {
    const char *address;
    size_t columns; /* lines are cut to so many; 0: they are not */
    size_t rows;    /* at most so many lines; 0: as many as there are */
    const char *line_end;
    bool keys;           /* say which keys there are */
    bool paused;         /* and that p was one of them */
    const char *trouble; /* why there is no newer look; NULL: there is */
};
/* now without a status: only the trouble. before: what rates and latencies are since; without a
 * status they are since the start. */
void proxy_view_print(FILE *to, const struct proxy_view *view, const struct proxy_look *now,
                      const struct proxy_look *before);

/* --- the terminal (proxy_screen.c) ----------------------------------------------------------- */

/* All zero is closed. */
struct proxy_screen {
    bool open, raw;
    struct termios before;
};
/* Another screen and keys without echo; standard output is a terminal. */
void proxy_screen_open(struct proxy_screen *s);
void proxy_screen_close(struct proxy_screen *s);
void proxy_screen_size(size_t *ret_columns, size_t *ret_rows);
void proxy_screen_draw(const char *text, size_t len);
/* A key that was pressed within so many milliseconds; 0: none, or stopped. */
char proxy_screen_key(const struct proxy_screen *s, uint64_t ms);
#endif
