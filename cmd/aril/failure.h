/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_FAILURE_H
#define ARIL_CMD_FAILURE_H
#include <aril/base.h>

/* How commands fail: one line on standard error that names the command, the file or value,
 * what is wrong and the status; one line with what to do next; and an exit code. */

/* Exit codes that no status class has. man/aril.1 lists all of them. */
enum {
    EXIT_DONE = 0,
    EXIT_CHECKS_FAILED = 1, /* the command ran, and what it checked is not as it should be */
    EXIT_WRONG_USAGE = 2,   /* of the command line */
    EXIT_IS_UNAVAILABLE = 3,
    EXIT_CLASS_BASE = 16, /* other statuses: this and their class */
};

/* The exit code of a status; the same for all statuses of a class, stable for ever. */
int failure_exit_code(aril_status st);

/* Print "COMMAND: MESSAGE: text of the status (NAME)" and its hint; return the exit code. */
int failure_report(const char *command, aril_status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same where the text and hint of the status do not fit: "COMMAND: MESSAGE (NAME)" and
 * the given hint, or none for NULL. */
int failure_explain(const char *command, aril_status st, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a call that fills an aril_error, whose message holds the remedy. Subject: the
 * file or value, used when the error has no message. */
int failure_error(const char *command, aril_status st, const aril_error *error,
                  const char *subject);

/* The same for a failed system call: "COMMAND: SUBJECT: strerror (ARIL_E_IO)"; a file that is
 * not there is ARIL_E_NOT_FOUND, as in the library. */
int failure_errno(const char *command, const char *subject, int error_number);

/* Print what is wrong with the command line and where the help is. */
int failure_usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
#endif
