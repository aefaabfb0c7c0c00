/* SPDX-License-Identifier: Apache-2.0 */
#include "base/conf.h"
#include "base/bytes.h"
#include "base/ensure.h"

struct arili_conf arili_conf_init(aril_bytes text)
{
    const bool has_mark = text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;
    return (struct arili_conf){
        .rest = has_mark ? (aril_bytes){ text.data + 3, text.len - 3 } : text,
    };
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static aril_bytes from(aril_bytes b, size_t at)
{
    return (aril_bytes){ b.data + at, b.len - at };
}

static aril_bytes trim(aril_bytes b)
{
    while (b.len > 0 && is_blank(b.data[0])) {
        b = from(b, 1);
    }
    while (b.len > 0 && is_blank(b.data[b.len - 1])) {
        b.len--;
    }
    return b;
}

/* Less the comment at its end, if there is one, and blanks. */
static aril_bytes without_comment(aril_bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] == '#' && (i == 0 || is_blank(b.data[i - 1]))) {
            b.len = i;
        }
    }
    return trim(b);
}

/* Cuts the next line off, without its end. */
static aril_bytes next_line(struct arili_conf *c)
{
    const uint8_t *const end = memchr(c->rest.data, '\n', c->rest.len);
    aril_bytes line = c->rest;
    if (end == NULL) {
        c->rest = (aril_bytes){ NULL, 0 };
    } else {
        line.len = (size_t)(end - line.data);
        c->rest = from(c->rest, line.len + 1);
    }
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    c->line++;
    return line;
}

static const char *check_text(aril_bytes line)
{
    for (size_t i = 0; i < line.len; i++) {
        if ((line.data[i] < 0x20 && line.data[i] != '\t') || line.data[i] == 0x7f) {
            return "there is a control character in this line; the file must be text";
        }
    }
    return arili_utf8_is_valid(line) ? NULL : "this line is not UTF-8";
}

static size_t name_length(aril_bytes b)
{
    size_t n = 0;
    while (n < b.len && ((b.data[n] >= 'a' && b.data[n] <= 'z') ||
                         (n > 0 && ((b.data[n] >= '0' && b.data[n] <= '9') || b.data[n] == '_' ||
                                    b.data[n] == '-')))) {
        n++;
    }
    return n;
}

static bool is_quote(aril_bytes b)
{
    return b.len > 0 && (b.data[0] == '"' || b.data[0] == '\'');
}

/* b begins with a quote: what is in the quotes, and what follows them. */
static const char *take_quoted(aril_bytes b, aril_bytes *ret, aril_bytes *ret_rest)
{
    const uint8_t *const end = memchr(b.data + 1, b.data[0], b.len - 1);
    if (end == NULL) {
        return "a quote is not closed";
    }
    *ret = (aril_bytes){ b.data + 1, (size_t)(end - b.data) - 1 };
    *ret_rest = trim(from(b, ret->len + 2));
    return NULL;
}

/* rest: what follows '['. */
static const char *parse_section(aril_bytes rest, struct arili_conf_item *out)
{
    rest = trim(rest);
    const size_t n = name_length(rest);
    out->kind = ARILI_CONF_SECTION;
    out->name = (aril_bytes){ rest.data, n };
    if (n == 0 || n == rest.len || (!is_blank(rest.data[n]) && rest.data[n] != ']')) {
        return "a section is [name] or [name argument], the name in small letters";
    }
    rest = trim(from(rest, n));
    if (is_quote(rest)) {
        const char *const reason = take_quoted(rest, &out->value, &rest);
        if (reason != NULL) {
            return reason;
        }
        if (rest.len == 0 || rest.data[0] != ']') {
            return "behind the quoted argument of a section stands ']'";
        }
        return without_comment(from(rest, 1)).len == 0 ? NULL : "text behind ']'";
    }
    rest = without_comment(rest);
    if (rest.len == 0 || rest.data[rest.len - 1] != ']') {
        return "a section ends with ']', and nothing but a comment follows";
    }
    rest.len--;
    rest = trim(rest);
    for (size_t i = 0; i < rest.len; i++) {
        if (is_blank(rest.data[i])) {
            return "an argument of a section with blanks stands in quotes";
        }
    }
    out->value = rest.len > 0 ? rest : (aril_bytes){ NULL, 0 };
    return NULL;
}

static const char *parse_pair(aril_bytes line, struct arili_conf_item *out)
{
    const size_t n = name_length(line);
    aril_bytes rest = trim(from(line, n));
    out->kind = ARILI_CONF_PAIR;
    out->name = (aril_bytes){ line.data, n };
    if (n == 0 || rest.len == 0 || rest.data[0] != '=') {
        return "a line is 'key = value', '[section]' or '# comment', keys are in small letters";
    }
    rest = trim(from(rest, 1));
    if (is_quote(rest)) {
        const char *const reason = take_quoted(rest, &out->value, &rest);
        if (reason != NULL) {
            return reason;
        }
        return without_comment(rest).len == 0 ? NULL : "text behind the closing quote";
    }
    out->value = without_comment(rest);
    return out->value.len > 0 ? NULL : "the value is missing; an empty one is written \"\"";
}

aril_status arili_conf_next(struct arili_conf *c, struct arili_conf_item *ret,
                            const char **ret_reason)
{
    *ret = (struct arili_conf_item){ .kind = ARILI_CONF_END };
    *ret_reason = NULL;
    while (c->rest.len > 0) {
        const aril_bytes raw = next_line(c);
        const aril_bytes line = trim(raw);
        struct arili_conf_item out = { .line = c->line };
        const char *reason = check_text(raw);
        if (reason == NULL && (line.len == 0 || line.data[0] == '#')) {
            continue;
        }
        if (reason == NULL) {
            reason =
                line.data[0] == '[' ? parse_section(from(line, 1), &out) : parse_pair(line, &out);
        }
        if (reason != NULL) {
            *ret_reason = reason;
            ARILI_FAIL(ARIL_E_FORMAT_FIELD);
        }
        *ret = out;
        return ARIL_OK;
    }
    return ARIL_OK;
}

bool arili_conf_list_next(aril_bytes *list, aril_bytes *ret)
{
    if (list->data == NULL) {
        return false;
    }
    const uint8_t *const comma = list->len > 0 ? memchr(list->data, ',', list->len) : NULL;
    if (comma == NULL) {
        *ret = trim(*list);
        *list = (aril_bytes){ NULL, 0 };
        return true;
    }
    const size_t len = (size_t)(comma - list->data);
    *ret = trim((aril_bytes){ list->data, len });
    *list = from(*list, len + 1);
    return true;
}

bool arili_conf_is(aril_bytes b, const char *text)
{
    return b.len == strlen(text) && (b.len == 0 || memcmp(b.data, text, b.len) == 0);
}
