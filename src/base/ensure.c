/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

aril_status arili_fail(aril_status code)
{
    return code;
}

aril_status arili_error_set(aril_error *error, aril_status code, const char *format, ...)
{
    if (error == NULL) {
        return code;
    }
    /* A local first, because an argument may point into the old message. */
    char text[ARIL_ERROR_MESSAGE_BYTES] = "";
    va_list args;
    va_start(args, format);
    const int wanted = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (wanted < 0) {
        text[0] = '\0';
    }
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
    error->status = code;
    memcpy(error->message, text, sizeof text);
    return code;
}
