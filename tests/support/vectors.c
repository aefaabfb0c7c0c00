/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors.h"
#include "check.h"
#include "crypto/profile.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct vectors_chunk {
    struct vectors_chunk *next;
    uint8_t bytes[];
};

static const char *folder(void)
{
    const char *const from_env = getenv("ARIL_VECTORS_DIR");
#ifdef ARIL_VECTORS_DIR
    return from_env != NULL ? from_env : ARIL_VECTORS_DIR;
#else
    return from_env != NULL ? from_env : ".";
#endif
}

static bool folder_is_missing;

static void require_folder(const char *path)
{
    struct stat st;
    if (stat(folder(), &st) != 0 || !S_ISDIR(st.st_mode)) {
        print_message("VECTORS NOT FOUND: there is no folder %s; the published vectors of %s were "
                      "not run. Set ARIL_VECTORS_DIR.\n",
                      folder(), path);
        folder_is_missing = true;
        skip();
    }
}

void vectors_open(struct vectors *v, const char *path)
{
    char name[1024];
    require_folder(path);
    *v = (struct vectors){ 0 };
    snprintf(name, sizeof name, "%s/%s", folder(), path);
    FILE *const f = fopen(name, "rb");
    if (f == NULL) {
        fail_msg("cannot open %s", name);
        return;
    }
    size_t len = 0;
    size_t cap = 0;
    do {
        cap += 1u << 20;
        v->text = realloc(v->text, cap + 1);
        assert_non_null(v->text);
        len += fread(v->text + len, 1, cap - len, f);
    } while (len == cap);
    assert_int_equal(fclose(f), 0);
    v->text[len] = '\0';

    const char *const dot = strrchr(path, '.');
    if (dot != NULL && strcmp(dot, ".json") == 0) {
        json_error_t error;
        v->root = json_loadb(v->text, len, 0, &error);
        if (v->root == NULL) { /* jansson's integers are signed; vectors_number() rounds */
            v->root = json_loadb(v->text, len, JSON_DECODE_INT_AS_REAL, &error);
        }
        if (v->root == NULL) {
            fail_msg("%s:%d: %s", name, error.line, error.text);
        }
    }
}

void vectors_close(struct vectors *v)
{
    while (v->chunks != NULL) {
        struct vectors_chunk *const chunk = v->chunks;
        v->chunks = chunk->next;
        free(chunk);
    }
    json_decref(v->root);
    free(v->text);
    *v = (struct vectors){ 0 };
}

static uint8_t *chunk_new(struct vectors *v, size_t len)
{
    struct vectors_chunk *const chunk = malloc(sizeof *chunk + len);
    if (chunk == NULL) {
        fail_msg("out of memory");
        abort();
    }
    chunk->next = v->chunks;
    v->chunks = chunk;
    return chunk->bytes;
}

static unsigned hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *const at = c != '\0' ? strchr(digits, c | 0x20) : NULL;
    if (at == NULL) {
        fail_msg("not a hex digit: %c", c);
        return 0;
    }
    return (unsigned)(at - digits);
}

static aril_bytes decode_hex(struct vectors *v, const char *hex, size_t len)
{
    assert_int_equal(len % 2, 0);
    uint8_t *const out = chunk_new(v, len / 2);
    for (size_t i = 0; i < len / 2; i++) {
        out[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    }
    return (aril_bytes){ out, len / 2 };
}

aril_bytes vectors_decode_hex(struct vectors *v, const char *hex)
{
    return decode_hex(v, hex, strlen(hex));
}

aril_bytes vectors_decode_base64(struct vectors *v, const char *base64)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t *const out = chunk_new(v, strlen(base64));
    uint32_t bits = 0;
    unsigned have = 0;
    size_t len = 0;
    for (const char *c = base64; *c != '\0' && *c != '='; c++) {
        const char *const at = strchr(digits, *c);
        if (at == NULL) {
            fail_msg("not base64: %s", base64);
            break;
        }
        bits = bits << 6 | (uint32_t)(at - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[len++] = (uint8_t)(bits >> have);
        }
    }
    return (aril_bytes){ out, len };
}

const char *vectors_string(const json_t *object, const char *member)
{
    const char *const value = json_string_value(json_object_get(object, member));
    return value != NULL ? value : "";
}

uint64_t vectors_number(const json_t *object, const char *member)
{
    const json_t *const value = json_object_get(object, member);
    const double real = json_number_value(value);
    assert_true(json_is_number(value) && real >= 0);
    if (json_is_integer(value)) {
        return (uint64_t)json_integer_value(value);
    }
    return real >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)real;
}

aril_bytes vectors_hex(struct vectors *v, const json_t *object, const char *member)
{
    return vectors_decode_hex(v, vectors_string(object, member));
}

aril_bytes vectors_base64(struct vectors *v, const json_t *object, const char *member)
{
    return vectors_decode_base64(v, vectors_string(object, member));
}

bool vectors_is_valid(const json_t *t)
{
    return strcmp(vectors_string(t, "result"), "valid") == 0;
}

const struct arili_profile *vectors_profile(const json_t *object)
{
    const char *const name = vectors_string(object, "profile");
    for (int id = ARIL_PROFILE_HYBRID; id <= ARIL_PROFILE_STRICT; id++) {
        const struct arili_profile *const p = arili_profile_get((aril_profile)id);
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    fail_msg("no profile %s", name);
    return NULL;
}

void vectors_expect(const void *got, size_t len, aril_bytes want)
{
    assert_int_equal(len, want.len);
    assert_memory_equal(got, want.data, len);
}

bool vectors_line_hex(struct vectors *v, const char **cursor, const char *name, aril_bytes *ret)
{
    const size_t name_len = strlen(name);
    for (const char *line = *cursor; line != NULL && *line != '\0';) {
        const size_t len = strcspn(line, "\r\n");
        if (len >= name_len + 3 && strncmp(line, name, name_len) == 0 &&
            strncmp(line + name_len, " = ", 3) == 0) {
            *ret = decode_hex(v, line + name_len + 3, len - name_len - 3);
            *cursor = line + len;
            return true;
        }
        line += len;
        line += strspn(line, "\r\n");
    }
    return false;
}

void vectors_report(const char *path, unsigned ran, unsigned left_out, const char *why)
{
    if (left_out > 0) {
        print_message("  %s: %u cases run, %u %s\n", path, ran, left_out, why);
    } else {
        print_message("  %s: %u cases run\n", path, ran);
    }
    assert_true(ran > 0);
}

struct progress {
    vectors_case *run;
    unsigned ran;
    unsigned left_out;
};

static void run_list(struct vectors *v, const json_t *group, const json_t *list,
                     struct progress *progress)
{
    size_t i;
    const json_t *t;
    assert_true(json_is_array(list));
    json_array_foreach(list, i, t)
    {
        if (progress->run(v, group, t)) {
            progress->ran++;
        } else {
            progress->left_out++;
        }
    }
}

unsigned vectors_run(const char *path, const char *groups, const char *list, vectors_case *run,
                     const char *why)
{
    struct vectors v;
    struct progress progress = { .run = run };

    vectors_open(&v, path);
    if (groups == NULL) {
        run_list(&v, v.root, list != NULL ? json_object_get(v.root, list) : v.root, &progress);
    } else {
        size_t i;
        const json_t *group;
        json_array_foreach(json_object_get(v.root, groups), i, group)
        {
            run_list(&v, group, json_object_get(group, list), &progress);
        }
    }
    vectors_report(path, progress.ran, progress.left_out, why);
    assert_true(why != NULL || progress.left_out == 0);
    vectors_close(&v);
    return progress.ran;
}

int vectors_exit_status(int failed)
{
    if (failed == 0 && folder_is_missing) {
        printf("skipped: there is no folder %s with the published vectors\n", folder());
        return 77;
    }
    return failed;
}
