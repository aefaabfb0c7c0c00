/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = { [ARIL_CACHE_STRING] = "string",
                                          [ARIL_CACHE_HASH_FIELD] = "hash-field",
                                          [ARIL_CACHE_SET_MEMBER] = "set-member",
                                          [ARIL_CACHE_BLOCK] = "block" };
/* Of a key that is no text, in messages. */
#define SHOWN_BYTES_MAX 64u
_Static_assert(2 * SHOWN_BYTES_MAX + sizeof "..." <= CACHE_SUBJECT_TEXT, "it has room");

#define TYPES (sizeof type_names / sizeof type_names[0])

int cache_hex_parse(const char *command, const char *what, const char *text, size_t max,
                    uint8_t **ret, size_t *ret_len)
{
    const size_t digits = strlen(text);
    if (digits == 0 || digits % 2 != 0 || digits / 2 > max) {
        return failure_usage(command, "%s: not an even number of hexadecimal digits, 2 to %zu",
                             what, 2 * max);
    }
    uint8_t *bytes = malloc(digits / 2);
    if (bytes == NULL) {
        return failure_report(command, ARIL_E_NOMEM, "%s", what);
    }
    if (!keys_unhex(text, digits / 2, bytes)) {
        free(bytes);
        return failure_usage(command, "%s: not hexadecimal digits", what);
    }
    *ret = bytes;
    *ret_len = digits / 2;
    return 0;
}

static int type_parse(const char *command, const struct cache_options *options,
                      aril_cache_type *ret)
{
    const char *name = options->type;
    *ret = options->field != NULL ? ARIL_CACHE_HASH_FIELD : ARIL_CACHE_STRING;
    if (name == NULL) {
        return 0;
    }
    size_t type = 0;
    while (type < TYPES && strcmp(name, type_names[type]) != 0) {
        type++;
    }
    if (type == TYPES) {
        const char *nearest = args_nearest(name, type_names, TYPES);
        return failure_usage(command,
                             "--type %s: not one of string, hash-field, set-member, "
                             "block%s%s%s",
                             name, nearest == NULL ? "" : "; did you mean ",
                             nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?");
    }
    *ret = (aril_cache_type)type;
    if ((*ret == ARIL_CACHE_HASH_FIELD) != (options->field != NULL)) {
        return failure_usage(command, *ret == ARIL_CACHE_HASH_FIELD
                                          ? "--type hash-field needs --field"
                                          : "--field is for --type hash-field");
    }
    return 0;
}

int cache_key_parse(const char *command, const struct cache_options *options, const char *text,
                    struct cache_key *ret)
{
    struct cache_key k = { .bytes = NULL };
    k.key.tenant = keys_bytes(options->tenant);
    k.key.space = keys_bytes(options->space == NULL ? "" : options->space);
    k.key.key = keys_bytes(text);
    k.key.field = keys_bytes(options->field == NULL ? "" : options->field);
    k.key.database = (uint32_t)options->database;
    int rc = type_parse(command, options, &k.key.type);
    if (rc == 0 &&
        (k.key.key.len == 0 || (!options->hex_key && k.key.key.len > ARIL_CACHE_KEY_BYTES_MAX))) {
        rc = failure_usage(command, "a key has 1 to %zu bytes", ARIL_CACHE_KEY_BYTES_MAX);
    }
    if (rc == 0 && options->hex_key) {
        size_t len = 0;
        rc = cache_hex_parse(command, "--hex-key: the key", text, ARIL_CACHE_KEY_BYTES_MAX,
                             &k.bytes, &len);
        k.key.key = (aril_bytes){ k.bytes, len };
    }
    if (rc == 0) {
        *ret = k;
    }
    return rc;
}

void cache_key_free(struct cache_key *key)
{
    free(key->bytes);
    *key = (struct cache_key){ .bytes = NULL };
}

const char *cache_subject(aril_bytes key, char ret[CACHE_SUBJECT_TEXT])
{
    if (keys_is_text(key)) {
        return keys_safe(key, ret, CACHE_SUBJECT_TEXT);
    }
    const size_t shown = key.len <= SHOWN_BYTES_MAX ? key.len : SHOWN_BYTES_MAX;
    keys_hex(key.data, shown, ret, CACHE_SUBJECT_TEXT);
    if (shown < key.len) {
        snprintf(ret + 2 * shown, CACHE_SUBJECT_TEXT - 2 * shown, "...");
    }
    return ret;
}

json_t *cache_json_hex(aril_bytes bytes)
{
    if (bytes.len > (SIZE_MAX - 1) / 2) {
        return json_null();
    }
    const size_t cap = 2 * bytes.len + 1;
    char *text = malloc(cap);
    if (text == NULL) {
        return json_null();
    }
    keys_hex(bytes.data, bytes.len, text, cap);
    json_t *json = json_string(text);
    explicit_bzero(text, cap);
    free(text);
    return json;
}

json_t *cache_json_key(const aril_cache_key *key)
{
    json_t *json = json_object();
    json_object_set_new(json, "type",
                        json_string((size_t)key->type < TYPES ? type_names[key->type] : "?"));
    if (keys_is_text(key->key)) {
        json_object_set_new(json, "key", json_stringn((const char *)key->key.data, key->key.len));
    } else {
        json_object_set_new(json, "key_hex", cache_json_hex(key->key));
    }
    if (key->type == ARIL_CACHE_HASH_FIELD && keys_is_text(key->field)) {
        json_object_set_new(
            json, "field",
            json_stringn(key->field.len == 0 ? "" : (const char *)key->field.data, key->field.len));
    } else if (key->type == ARIL_CACHE_HASH_FIELD) {
        json_object_set_new(json, "field_hex", cache_json_hex(key->field));
    }
    json_object_set_new(json, "database", json_integer((json_int_t)key->database));
    return json;
}
