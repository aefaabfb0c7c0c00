/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_OUT_H
#define ARIL_CMD_OUT_H
#include <stdbool.h>

/* Output for people. Colours only on a terminal that has them, and never when NO_COLOR is
 * set; a progress line only where standard error is a terminal. */

enum out_style {
    OUT_GOOD,
    OUT_BAD,
    OUT_WARN,
    OUT_DIM,
    OUT_BOLD,
};

void out_init(void);

/* Escape sequences for standard output, or "". */
const char *out_on(enum out_style style);
const char *out_off(void);

/* Replace the progress line. */
void out_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Remove it, before anything else is printed. */
void out_progress_end(void);

/* Whether standard output is a terminal. */
bool out_is_terminal(void);

/* Flush standard output. Returns code, or the code of a failed write when code is 0. */
int out_finish(int code);
#endif
