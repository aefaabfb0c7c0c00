/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_ENSURE_H
#define ARILI_BASE_ENSURE_H
#include <aril/base.h>

/* The only macros in the tree that may hide control flow. */
#define ARILI_FAIL(code) return arili_fail(code)
#define ARILI_ENSURE(cond, code) \
    do {                         \
        if (!(cond)) {           \
            ARILI_FAIL(code);    \
        }                        \
    } while (0)
#define ARILI_TRY(expr)                     \
    do {                                    \
        const aril_status try_st_ = (expr); \
        if (try_st_ != ARIL_OK) {           \
            return try_st_;                 \
        }                                   \
    } while (0)

/* A failure that changes nothing for the caller: say why beside the call. */
static inline void arili_forgive(aril_status st)
{
    (void)st;
}

/* Run fn(&var) whenever var leaves its scope, on every path. */
#define ARILI_DEFER(fn) __attribute__((cleanup(fn)))
/* Hand a deferred pointer out: list->head = ARILI_TAKE(node). The variable
 * becomes NULL, so its cleanup finds nothing to do. */
#define ARILI_TAKE(var)                  \
    __extension__({                      \
        __typeof__(var) take_v_ = (var); \
        (var) = NULL;                    \
        take_v_;                         \
    })

/* Returns code. Every failure that starts in this library passes here: the place for a
 * breakpoint. */
__attribute__((cold)) aril_status arili_fail(aril_status code);

/* Fill *error, when there is one, with code and a printf-like message, cut to
 * fit; returns code. Control characters become '?', so a hostile file name cannot
 * forge a line of a log. Arguments may point into the old message. */
aril_status arili_error_set(aril_error *error, aril_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#endif
