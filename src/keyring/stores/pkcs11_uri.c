/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/pkcs11_uri.h"
#include "base/ensure.h"
#include <stdbool.h>
#include <string.h>

#define SHOWN_NAME_CHARS 32

/* A span of the URI. */
struct text {
    const char *at;
    size_t len;
};

struct attribute {
    const char *name;
    bool query; /* stands behind the '?' */
    char *ret;
    size_t cap; /* with the NUL */
};
enum { TOKEN, SERIAL, MODULE_PATH, PIN_SOURCE, ATTRIBUTES };

static aril_status refused(aril_error *error, struct text name, const char *reason)
{
    const int shown = name.len < SHOWN_NAME_CHARS ? (int)name.len : SHOWN_NAME_CHARS;
    return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                           "pkcs11: the attribute '%.*s' %s; a URI is "
                           "pkcs11:token=LABEL?module-path=/PATH&pin-source=/PATH",
                           shown, name.at, reason);
}

static bool is(struct text t, const char *word)
{
    return t.len == strlen(word) && memcmp(t.at, word, t.len) == 0;
}

/* Up to the first of the byte mark; *rest begins behind it. */
static struct text cut(struct text *rest, char mark)
{
    const char *at = rest->len > 0 ? memchr(rest->at, mark, rest->len) : NULL;
    const struct text head = { rest->at, at != NULL ? (size_t)(at - rest->at) : rest->len };
    const size_t used = head.len + (at != NULL ? 1u : 0u);
    rest->at += used;
    rest->len -= used;
    return head;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* NULL, or what is wrong with the value. */
static const char *decode(struct text value, bool query, char *ret, size_t cap)
{
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c == '%') {
            const int high = value.len - i > 2 ? hex_digit(value.at[i + 1]) : -1;
            const int low = value.len - i > 2 ? hex_digit(value.at[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return "has a '%' without two hex digits";
            }
            c = (unsigned char)(high * 16 + low);
            i += 2;
        } else if (query && c == ';') {
            return "holds a ';': behind the '?' the separator is '&', and ';' is written %3B";
        }
        if (c < 0x20 || c == 0x7f) {
            return "holds a control character";
        }
        if (len + 1 >= cap) {
            return "is too long";
        }
        ret[len++] = (char)c;
    }
    ret[len] = '\0';
    return len > 0 ? NULL : "is empty";
}

static aril_status take(struct attribute *known, struct text part, bool query, aril_error *error)
{
    struct text value = part;
    const struct text name = cut(&value, '=');
    if (is(name, "pin-value")) {
        return refused(error, name,
                       "is not taken: a PIN in an argument is seen by others; put it "
                       "into a file of mode 0600 and name that with pin-source");
    }
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        struct attribute *a = &known[i];
        if (!is(name, a->name)) {
            continue;
        }
        if (a->query != query) {
            return refused(error, name,
                           a->query ? "belongs behind the '?'" : "belongs before the '?'");
        }
        if (a->ret[0] != '\0') {
            return refused(error, name, "is there twice");
        }
        const char *problem = decode(value, query, a->ret, a->cap);
        return problem == NULL ? ARIL_OK : refused(error, name, problem);
    }
    return refused(error, name, "is not known");
}

static aril_status take_all(struct attribute *known, struct text parts, bool query,
                            aril_error *error)
{
    while (parts.len > 0) {
        ARILI_TRY(take(known, cut(&parts, query ? '&' : ';'), query, error));
    }
    return ARIL_OK;
}

/* Makes a path of RFC 8089's short and long form, file:/p and file:///p. One that names a host
 * stays as it is, and is no path. */
static void strip_file_scheme(char *path)
{
    size_t skip = 0;
    if (strncmp(path, "file:///", 8) == 0) {
        skip = 7;
    } else if (strncmp(path, "file:/", 6) == 0 && path[6] != '/') {
        skip = 5;
    }
    memmove(path, path + skip, strlen(path + skip) + 1);
}

static aril_status parse(const char *rest, struct arili_p11_uri *ret, aril_error *error)
{
    struct attribute known[ATTRIBUTES] = {
        [TOKEN] = { "token", false, ret->token, sizeof ret->token },
        [SERIAL] = { "serial", false, ret->serial, sizeof ret->serial },
        [MODULE_PATH] = { "module-path", true, ret->module_path, sizeof ret->module_path },
        [PIN_SOURCE] = { "pin-source", true, ret->pin_path, sizeof ret->pin_path },
    };
    struct text parts = { rest, strnlen(rest, ARILI_P11_URI_BYTES_MAX) };
    if (parts.len == ARILI_P11_URI_BYTES_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "pkcs11: the URI has more than %u bytes; check it",
                               ARILI_P11_URI_BYTES_MAX);
    }
    ARILI_TRY(take_all(known, cut(&parts, '?'), false, error));
    ARILI_TRY(take_all(known, parts, true, error));
    strip_file_scheme(ret->pin_path);

    if (ret->token[0] == '\0') {
        return refused(error, (struct text){ "token", 5 }, "is missing");
    }
    if (ret->module_path[0] != '/') {
        return refused(error, (struct text){ "module-path", 11 },
                       "must be there and be an absolute path");
    }
    if (ret->pin_path[0] != '\0' && ret->pin_path[0] != '/') {
        return refused(error, (struct text){ "pin-source", 10 }, "must be an absolute path");
    }
    return ARIL_OK;
}

aril_status arili_p11_uri_parse(const char *rest, struct arili_p11_uri *ret, aril_error *error)
{
    *ret = (struct arili_p11_uri){ 0 };
    const aril_status st = parse(rest, ret, error);
    if (st != ARIL_OK) {
        *ret = (struct arili_p11_uri){ 0 };
    }
    return st;
}
