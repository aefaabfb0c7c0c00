/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "proxy/local_internal.h"
#include "resp/resp.h"
#include <stdarg.h>
#include <stdio.h>

#define ERROR_BYTES_MAX 512u

/* When memory is short the flow has failed, and its peer ends. */
static uint8_t *room(struct arili_flow *out)
{
    return arili_flow_reserve(out, ARILI_RESP_HEADER_BYTES);
}

static void say_line(struct arili_flow *out, char type, aril_bytes text)
{
    uint8_t line[ERROR_BYTES_MAX + 3];
    const aril_bytes cut = { text.data, text.len < ERROR_BYTES_MAX ? text.len : ERROR_BYTES_MAX };
    const size_t len = arili_resp_put_line(type, cut, line, sizeof line);
    arili_flow_put(out, (aril_bytes){ line, len });
}

void arili_say_header(struct arili_flow *out, char type, uint64_t n)
{
    uint8_t *const at = room(out);
    if (at != NULL) {
        arili_flow_commit(out, arili_resp_put_header(type, n, at, ARILI_RESP_HEADER_BYTES));
    }
}

void arili_say_map(struct arili_flow *out, bool resp3, uint64_t pairs)
{
    arili_say_header(out, resp3 ? '%' : '*', resp3 ? pairs : 2 * pairs);
}

void arili_say_set(struct arili_flow *out, bool resp3, uint64_t n)
{
    arili_say_header(out, resp3 ? '~' : '*', n);
}

void arili_say_nil(struct arili_flow *out, bool resp3)
{
    arili_flow_put(out, resp3 ? ARILI_LITERAL("_\r\n") : ARILI_LITERAL("$-1\r\n"));
}

void arili_say_nil_array(struct arili_flow *out, bool resp3)
{
    arili_flow_put(out, resp3 ? ARILI_LITERAL("_\r\n") : ARILI_LITERAL("*-1\r\n"));
}

void arili_say_integer(struct arili_flow *out, int64_t n)
{
    uint8_t *const at = room(out);
    if (at != NULL) {
        arili_flow_commit(out, arili_resp_put_integer(n, at, ARILI_RESP_HEADER_BYTES));
    }
}

void arili_say_bulk(struct arili_flow *out, aril_bytes text)
{
    arili_say_header(out, '$', text.len);
    arili_flow_put(out, text);
    arili_flow_put(out, ARILI_LITERAL("\r\n"));
}

void arili_say_simple(struct arili_flow *out, const char *text)
{
    say_line(out, '+', (aril_bytes){ (const uint8_t *)text, strlen(text) });
}

void arili_say_error(struct arili_flow *out, const char *format, ...)
{
    char text[ERROR_BYTES_MAX + 1];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0) {
        say_line(out, '-', ARILI_LITERAL("ERR the error has no text"));
        return;
    }
    const size_t whole = (size_t)len;
    say_line(
        out, '-',
        (aril_bytes){ (const uint8_t *)text, whole < ERROR_BYTES_MAX ? whole : ERROR_BYTES_MAX });
}

void arili_say_refused(struct arili_flow *out, const struct arili_command *command)
{
    const bool may_pass = (command->flags & ARILI_COMMAND_PASS) != 0;
    arili_say_error(out, "ERR '%s' is refused here. %s%s", command->name, command->meaning,
                    may_pass ? " Keys of a policy with values = pass may be used with it." : "");
}

void arili_say_arity(struct arili_flow *out, const struct arili_command *command)
{
    arili_say_error(out, "ERR wrong number of arguments for '%s' command", command->name);
}

void arili_say_unknown(struct arili_flow *out, aril_bytes name)
{
    char shown[ARILI_LOCAL_SHOWN];
    arili_say_error(out, "ERR unknown command '%s'", arili_local_show(name, shown));
}

void arili_say_text(struct arili_flow *out, bool resp3, aril_bytes text)
{
    if (!resp3) {
        arili_say_bulk(out, text);
        return;
    }
    arili_say_header(out, '=', (uint64_t)text.len + 4);
    arili_flow_put(out, ARILI_LITERAL("txt:"));
    arili_flow_put(out, text);
    arili_flow_put(out, ARILI_LITERAL("\r\n"));
}
