/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/credential_line.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char small_digits[] = "0123456789abcdef";
static const char large_digits[] = "0123456789ABCDEF";

void arili_credential_line_wipe(struct arili_credential_line *line)
{
    arili_wipe(line, sizeof *line);
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* Written as it is in a tenant id. */
static bool is_plain(uint8_t c)
{
    return c > 0x20 && c < 0x7f && c != ':' && c != '%' && c != '#';
}

bool arili_credential_name_is_good(const char *name)
{
    const size_t len = strnlen(name, ARILI_CREDENTIAL_NAME_MAX + 1);
    for (size_t i = 0; i < len; i++) {
        if (!is_name_byte((uint8_t)name[i])) {
            return false;
        }
    }
    return len > 0 && len <= ARILI_CREDENTIAL_NAME_MAX;
}

/* --- Reading -------------------------------------------------------------------------------- */

/* What stands before the next end mark, which is taken too; false when there is none. */
static bool take(aril_bytes *rest, char end, aril_bytes *ret)
{
    const uint8_t *const at = rest->len == 0 ? NULL : memchr(rest->data, end, rest->len);
    if (at == NULL) {
        return false;
    }
    *ret = (aril_bytes){ rest->data, (size_t)(at - rest->data) };
    rest->data = at + 1;
    rest->len -= ret->len + 1;
    return true;
}

static int digit(const char *digits, uint8_t c)
{
    const char *const at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Two digits; -1 when one of them is none. */
static int octet(const char *digits, const uint8_t *at)
{
    const int high = digit(digits, at[0]);
    const int low = digit(digits, at[1]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool parse_tenant(aril_bytes text, char ret[ARILI_CREDENTIAL_TENANT_MAX + 1])
{
    size_t len = 0;
    for (size_t at = 0; at < text.len; at++) {
        int c = text.data[at];
        if (c == '%') {
            if (text.len - at < 3) {
                return false;
            }
            c = octet(large_digits, text.data + at + 1);
            at += 2;
            /* Only what has to be written so: one id has one text. */
            if (c <= 0 || is_plain((uint8_t)c)) {
                return false;
            }
        } else if (!is_plain((uint8_t)c)) {
            return false;
        }
        if (len == ARILI_CREDENTIAL_TENANT_MAX) {
            return false;
        }
        ret[len++] = (char)c;
    }
    ret[len] = '\0';
    return len > 0;
}

static bool parse_name(aril_bytes text, char ret[ARILI_CREDENTIAL_NAME_MAX + 1])
{
    if (text.len > ARILI_CREDENTIAL_NAME_MAX || memchr(text.data, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(ret, text.data, text.len);
    ret[text.len] = '\0';
    return arili_credential_name_is_good(ret);
}

static bool parse_number(aril_bytes text, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.len == 0 || text.len > 12 || (text.data[0] == '0' && text.len > 1)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        n = n * 10 + (uint64_t)(text.data[i] - '0'); /* 12 digits: no overflow */
    }
    *ret = n;
    return n <= max;
}

static bool parse_hex(aril_bytes text, uint8_t *ret, size_t len_min, size_t len_max,
                      size_t *ret_len)
{
    const size_t len = text.len / 2;
    if (text.len % 2 != 0 || len < len_min || len > len_max) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const int c = octet(small_digits, text.data + 2 * i);
        if (c < 0) {
            return false;
        }
        ret[i] = (uint8_t)c;
    }
    *ret_len = len;
    return true;
}

static bool argon2_in_range(const struct arili_argon2 *a)
{
    const uint64_t work = (uint64_t)a->memory_kib * a->iterations;
    return a->memory_kib >= ARILI_ARGON2_MEMORY_KIB_MIN && a->iterations >= 1 && a->lanes >= 1 &&
           work >= ARILI_ARGON2_WORK_KIB_MIN && work <= ARILI_ARGON2_WORK_KIB_MAX;
}

static bool parse_argon2(aril_bytes text, struct arili_argon2 *ret)
{
    aril_bytes memory;
    aril_bytes iterations;
    uint64_t n[3] = { 0 };
    if (!take(&text, ',', &memory) || !take(&text, ',', &iterations) ||
        !parse_number(memory, ARILI_ARGON2_MEMORY_KIB_MAX, &n[0]) ||
        !parse_number(iterations, ARILI_ARGON2_ITERATIONS_MAX, &n[1]) ||
        !parse_number(text, ARILI_ARGON2_LANES_MAX, &n[2])) {
        return false;
    }
    *ret = (struct arili_argon2){ (uint32_t)n[0], (uint32_t)n[1], (uint32_t)n[2] };
    return argon2_in_range(ret);
}

/* What follows the kind; *ret_problem is what is wrong should the next step fail. */
static aril_status parse_secret(aril_bytes *rest, struct arili_credential_line *line,
                                const char **ret_problem)
{
    aril_bytes field;
    size_t len = 0;
    if (line->kind == ARILI_CREDENTIAL_PASSPHRASE) {
        *ret_problem = "Argon2id parameters are out of range; set the passphrase again";
        ARILI_ENSURE(take(rest, ':', &field), ARIL_E_FORMAT_FIELD);
        ARILI_ENSURE(parse_argon2(field, &line->argon2), ARIL_E_FORMAT_FIELD);
        *ret_problem = "the salt is not 16 to 32 bytes in hexadecimal; set the passphrase again";
        ARILI_ENSURE(take(rest, ':', &field), ARIL_E_FORMAT_FIELD);
        ARILI_ENSURE(parse_hex(field, line->salt, ARILI_CREDENTIAL_SALT_BYTES,
                               ARILI_CREDENTIAL_SALT_BYTES_MAX, &line->salt_len),
                     ARIL_E_FORMAT_FIELD);
    }
    *ret_problem = "the hash is not 64 hexadecimal digits; make the credential again";
    ARILI_ENSURE(take(rest, ':', &field), ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(parse_hex(field, line->hash, ARILI_CREDENTIAL_HASH_BYTES,
                           ARILI_CREDENTIAL_HASH_BYTES, &len),
                 ARIL_E_FORMAT_FIELD);
    return ARIL_OK;
}

static aril_status parse(aril_bytes rest, struct arili_credential_line *line,
                         const char **ret_problem)
{
    aril_bytes field;
    *ret_problem = "is not TENANT:NAME:token:... or TENANT:NAME:argon2id:...; correct the line";
    ARILI_ENSURE(rest.len < ARILI_CREDENTIAL_LINE_MAX, ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(take(&rest, ':', &field), ARIL_E_FORMAT_FIELD);
    const aril_bytes tenant = field;
    ARILI_ENSURE(take(&rest, ':', &field), ARIL_E_FORMAT_FIELD);
    const aril_bytes name = field;
    ARILI_ENSURE(take(&rest, ':', &field), ARIL_E_FORMAT_FIELD);
    const bool token = field.len == 5 && memcmp(field.data, "token", 5) == 0;
    const bool argon2id = field.len == 8 && memcmp(field.data, "argon2id", 8) == 0;
    ARILI_ENSURE(token || argon2id, ARIL_E_FORMAT_FIELD);
    line->kind = token ? ARILI_CREDENTIAL_TOKEN : ARILI_CREDENTIAL_PASSPHRASE;

    *ret_problem = "the tenant is not 1 to 255 bytes with all but graphic ASCII, and ':', '%' and "
                   "'#', as %XX; correct it";
    ARILI_ENSURE(parse_tenant(tenant, line->tenant), ARIL_E_FORMAT_FIELD);
    *ret_problem = "the name is not 1 to 64 of A-Z a-z 0-9 . _ -; correct it";
    ARILI_ENSURE(parse_name(name, line->name), ARIL_E_FORMAT_FIELD);
    ARILI_TRY(parse_secret(&rest, line, ret_problem));
    *ret_problem = "the time of creation is not in seconds since 1970; correct it";
    ARILI_ENSURE(parse_number(rest, ARILI_CREDENTIAL_CREATED_MAX, &line->created_s),
                 ARIL_E_FORMAT_FIELD);
    return ARIL_OK;
}

aril_status arili_credential_line_parse(aril_bytes line, struct arili_credential_line *ret,
                                        const char **ret_problem)
{
    *ret = (struct arili_credential_line){ .kind = 0 };
    const aril_status st = parse(line, ret, ret_problem);
    if (st != ARIL_OK) {
        arili_credential_line_wipe(ret);
    }
    return st;
}

/* --- Writing -------------------------------------------------------------------------------- */

static size_t write_tenant(const char *tenant, char *ret)
{
    size_t len = 0;
    for (const char *at = tenant; *at != '\0'; at++) {
        const uint8_t c = (uint8_t)*at;
        if (is_plain(c)) {
            ret[len++] = *at;
        } else {
            ret[len++] = '%';
            ret[len++] = large_digits[c >> 4];
            ret[len++] = large_digits[c & 15];
        }
    }
    return len;
}

static size_t write_hex(const uint8_t *bytes, size_t count, char *ret)
{
    for (size_t i = 0; i < count; i++) {
        ret[2 * i] = small_digits[bytes[i] >> 4];
        ret[2 * i + 1] = small_digits[bytes[i] & 15];
    }
    return 2 * count;
}

/* The longest line fits: 3 * 255 of the tenant, 64 of the name, 64 and 64 of salt and hash, and
 * below 64 of numbers and marks. */
_Static_assert(3 * ARILI_CREDENTIAL_TENANT_MAX + ARILI_CREDENTIAL_NAME_MAX +
                       2 * ARILI_CREDENTIAL_SALT_BYTES_MAX + 2 * ARILI_CREDENTIAL_HASH_BYTES + 64 <
                   ARILI_CREDENTIAL_LINE_MAX,
               "a line fits");

size_t arili_credential_line_write(const struct arili_credential_line *line,
                                   char ret[ARILI_CREDENTIAL_LINE_MAX])
{
    size_t at = write_tenant(line->tenant, ret);
    const bool token = line->kind == ARILI_CREDENTIAL_TOKEN;
    at += (size_t)snprintf(ret + at, ARILI_CREDENTIAL_LINE_MAX - at, ":%s:%s:", line->name,
                           token ? "token" : "argon2id");
    if (!token) {
        at += (size_t)snprintf(ret + at, ARILI_CREDENTIAL_LINE_MAX - at,
                               "%" PRIu32 ",%" PRIu32 ",%" PRIu32 ":", line->argon2.memory_kib,
                               line->argon2.iterations, line->argon2.lanes);
        at += write_hex(line->salt, line->salt_len, ret + at);
        ret[at++] = ':';
    }
    at += write_hex(line->hash, sizeof line->hash, ret + at);
    at += (size_t)snprintf(ret + at, ARILI_CREDENTIAL_LINE_MAX - at, ":%" PRIu64, line->created_s);
    return at;
}

aril_status arili_credential_line_begin(aril_bytes tenant, const char *name, uint64_t now_s,
                                        struct arili_credential_line *ret, aril_error *error)
{
    *ret = (struct arili_credential_line){ .created_s = now_s };
    if (tenant.len == 0 || tenant.len > ARILI_CREDENTIAL_TENANT_MAX ||
        memchr(tenant.data, '\0', tenant.len) != NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "a tenant id has 1 to %u bytes and no NUL; choose another one",
                               ARILI_CREDENTIAL_TENANT_MAX);
    }
    if (!arili_credential_name_is_good(name)) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "a name has 1 to %u of A-Z a-z 0-9 . _ -; choose another one",
                               ARILI_CREDENTIAL_NAME_MAX);
    }
    if (now_s > ARILI_CREDENTIAL_CREATED_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "the clock is beyond the year 9999; set it");
    }
    memcpy(ret->tenant, tenant.data, tenant.len);
    memcpy(ret->name, name, strlen(name));
    return ARIL_OK;
}
