/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "out.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 1024

int failure_exit_code(aril_status st)
{
    const aril_status cls = aril_status_class(st);
    if (cls == ARIL_OK) {
        return EXIT_DONE;
    }
    if (cls == ARIL_E_UNAVAILABLE) {
        return EXIT_IS_UNAVAILABLE;
    }
    return EXIT_CLASS_BASE + (int)cls;
}

static int finish(const char *command, const char *message, aril_status st, const char *hint)
{
    out_progress_end();
    fflush(stdout);
    fprintf(stderr, "%s: %s (%s)\n", command, message, aril_status_name(st));
    if (hint != NULL) {
        fprintf(stderr, "  hint: %s\n", hint);
    }
    return failure_exit_code(st);
}

int failure_report(const char *command, aril_status st, const char *format, ...)
{
    char what[MESSAGE_MAX];
    char message[MESSAGE_MAX + 256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(message, sizeof message, "%s: %.200s", what, aril_status_text(st));
    return finish(command, message, st, aril_status_hint(st));
}

int failure_explain(const char *command, aril_status st, const char *hint, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return finish(command, message, st, hint);
}

int failure_error(const char *command, aril_status st, const aril_error *error, const char *subject)
{
    if (error->message[0] == '\0') {
        return failure_report(command, st, "%s", subject);
    }
    return finish(command, error->message, st, NULL);
}

int failure_errno(const char *command, const char *subject, int error_number)
{
    const aril_status st = error_number == ENOENT   ? ARIL_E_NOT_FOUND
                           : error_number == ENOMEM ? ARIL_E_NOMEM
                                                    : ARIL_E_IO;
    return failure_explain(command, st, aril_status_hint(st), "%.800s: %s", subject,
                           strerror(error_number));
}

int failure_usage(const char *command, const char *format, ...)
{
    va_list args;
    out_progress_end();
    fflush(stdout);
    fprintf(stderr, "%s: ", command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n  hint: '%s --help' lists what it takes\n", command);
    return EXIT_WRONG_USAGE;
}
