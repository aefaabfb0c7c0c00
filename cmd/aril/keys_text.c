/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400u

aril_bytes keys_bytes(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

void keys_hex(const uint8_t *bytes, size_t len, char *ret, size_t cap)
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < len && at + 2 < cap; i++) {
        ret[at++] = digits[bytes[i] >> 4];
        ret[at++] = digits[bytes[i] & 15];
    }
    ret[at] = '\0';
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool keys_unhex(const char *digits, size_t count, uint8_t *ret)
{
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        const int high = digit(digits[2 * i]);
        const int low = digit(digits[2 * i + 1]);
        good = high >= 0 && low >= 0;
        ret[i] = (uint8_t)((unsigned)(high & 15) << 4 | (unsigned)(low & 15));
    }
    return good;
}

const char *keys_date(uint64_t unix_s, char ret[KEYS_DATE_TEXT])
{
    const time_t t = (time_t)unix_s;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL ||
        strftime(ret, KEYS_DATE_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        snprintf(ret, KEYS_DATE_TEXT, "?");
    }
    return ret;
}

/* Length of the UTF-8 character at the start of the bytes, 0 when there is none. Strict: no
 * surrogates, no longer forms than needed, no control characters of C0 and C1. */
static size_t character(const uint8_t *at, size_t left)
{
    static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const uint8_t first = at[0];
    const size_t len = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0x80) {
        return first >= 0x20 && first != 0x7f;
    }
    if (first < 0xc2 || first > 0xf4 || len > left) {
        return 0;
    }
    uint32_t code = first & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (at[i] & 0x3fu);
    }
    const bool in_range =
        code >= lowest[len] && code >= 0xa0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return in_range ? len : 0;
}

bool keys_is_text(aril_bytes bytes)
{
    size_t at = 0;
    while (at < bytes.len) {
        const size_t len = character(bytes.data + at, bytes.len - at);
        if (len == 0) {
            return false;
        }
        at += len;
    }
    return true;
}

const char *keys_safe(aril_bytes bytes, char *ret, size_t cap)
{
    static const char digits[] = "0123456789abcdef";
    size_t to = 0;
    size_t at = 0;
    while (at < bytes.len && to + 5 <= cap) {
        const size_t len = character(bytes.data + at, bytes.len - at);
        if (len == 0) {
            ret[to++] = '\\';
            ret[to++] = 'x';
            ret[to++] = digits[bytes.data[at] >> 4];
            ret[to++] = digits[bytes.data[at] & 15];
            at++;
            continue;
        }
        memcpy(ret + to, bytes.data + at, len);
        to += len;
        at += len;
    }
    ret[to] = '\0';
    return ret;
}

bool keys_has_label(aril_key_purpose purpose)
{
    return purpose == ARIL_KEY_DATA || purpose == ARIL_KEY_NAME || purpose == ARIL_KEY_LEGACY;
}

const char *keys_name(const aril_key_info *info, char ret[KEYS_NAME_TEXT])
{
    char owner[KEYS_OWNER_TEXT];
    char label[KEYS_LABEL_TEXT];
    const bool labels = keys_has_label(info->purpose);
    /* The last slash ends the owner, so an owner with a slash is followed by one. */
    const bool slash =
        labels && (info->label.len > 0 ||
                   (info->owner.len > 0 && memchr(info->owner.data, '/', info->owner.len) != NULL));
    snprintf(ret, KEYS_NAME_TEXT, "%s%s%s%s%s", aril_key_purpose_name(info->purpose),
             info->owner.len > 0 ? ":" : "", keys_safe(info->owner, owner, sizeof owner),
             slash ? "/" : "", labels ? keys_safe(info->label, label, sizeof label) : "");
    return ret;
}

const char *keys_due_name(aril_key_due due)
{
    switch (due) {
    case ARIL_KEY_DUE:
        return "due";
    case ARIL_KEY_OVERDUE:
        return "overdue";
    case ARIL_KEY_ENDED:
        return "ended";
    default:
        return "not-due";
    }
}

uint64_t keys_now_s(void)
{
    const time_t now = time(NULL);
    return now < 0 ? 0 : (uint64_t)now;
}

uint64_t keys_days_since(uint64_t now_s, uint64_t then_s)
{
    return now_s > then_s ? (now_s - then_s) / DAY_S : 0;
}

const char *keys_rotate_text(const aril_key_info *info, uint64_t now_s, char ret[24])
{
    if (info->state != ARIL_KEY_ACTIVE && info->state != ARIL_KEY_PENDING) {
        snprintf(ret, 24, "-");
    } else if (info->rotate_by_s == 0) {
        snprintf(ret, 24, "never");
    } else if (info->rotate_by_s >= now_s) {
        snprintf(ret, 24, "in %" PRIu64 " d", (info->rotate_by_s - now_s) / DAY_S);
    } else {
        snprintf(ret, 24, "%" PRIu64 " d ago", keys_days_since(now_s, info->rotate_by_s));
    }
    return ret;
}

size_t keys_columns(const char *text)
{
    size_t columns = 0;
    for (; *text != '\0'; text++) {
        columns += ((uint8_t)*text & 0xc0) != 0x80; /* one for each character of UTF-8 */
    }
    return columns;
}

void keys_print_padded(const char *text, size_t width)
{
    const size_t columns = keys_columns(text);
    printf("%s%*s", text, (int)(columns < width ? width - columns : 0), "");
}

json_t *keys_json_text(aril_bytes bytes)
{
    char safe[KEYS_OWNER_TEXT];
    if (keys_is_text(bytes)) {
        return json_stringn(bytes.len == 0 ? "" : (const char *)bytes.data, bytes.len);
    }
    return json_string(keys_safe(bytes, safe, sizeof safe));
}

json_t *keys_json_time(uint64_t unix_s)
{
    return unix_s == 0 ? json_null() : json_integer((json_int_t)unix_s);
}

json_t *keys_json_id(const uint8_t *id, size_t len)
{
    char text[KEYS_ID_TEXT];
    bool is_zero = true;
    for (size_t i = 0; i < len; i++) {
        is_zero = is_zero && id[i] == 0;
    }
    keys_hex(id, len, text, sizeof text);
    return is_zero ? json_null() : json_string(text);
}

json_t *keys_json_key(const aril_key_info *info)
{
    char name[KEYS_NAME_TEXT];
    return json_pack(
        "{s:o, s:s, s:s, s:o, s:o, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "id",
        keys_json_id(info->id, sizeof info->id), "selector", keys_name(info, name), "purpose",
        aril_key_purpose_name(info->purpose), "owner", keys_json_text(info->owner), "label",
        keys_json_text(info->label), "version", (json_int_t)info->version, "state",
        aril_key_state_name(info->state), "due", keys_due_name(info->due), "created_s",
        keys_json_time(info->created_s), "activates_s", keys_json_time(info->activates_s),
        "rotate_by_s", keys_json_time(info->rotate_by_s), "not_after_s",
        keys_json_time(info->not_after_s), "changed_s", keys_json_time(info->changed_s), "parent",
        keys_json_id(info->parent, sizeof info->parent), "predecessor",
        keys_json_id(info->predecessor, sizeof info->predecessor), "children",
        (json_int_t)info->children);
}

int keys_print_json(const char *command, json_t *json)
{
    DEFER(json_freep) json_t *owned = json;
    if (owned == NULL || json_dumpf(owned, stdout, JSON_INDENT(2)) != 0) {
        return failure_report(command, ARIL_E_NOMEM, "the output");
    }
    printf("\n");
    return EXIT_DONE;
}
