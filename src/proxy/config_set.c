/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "base/units.h"
#include "proxy/config_internal.h"
#include <stdio.h>
#include <string.h>

aril_status arili_config_refuse(const struct arili_config_place *p, const char *reason)
{
    (void)snprintf(p->reason, ARILI_CONFIG_REASON_TEXT, "%s", reason);
    ARILI_FAIL(ARIL_E_FORMAT_FIELD);
}

static void *target(const struct arili_config_place *p)
{
    return (uint8_t *)p->object + p->key->offset;
}

char *arili_config_text_new(aril_bytes text)
{
    char *const out = arili_alloc(text.len + 1);
    if (out != NULL && text.len > 0) {
        memcpy(out, text.data, text.len);
    }
    return out;
}

void arili_config_text_free(char *text)
{
    if (text != NULL) {
        arili_free(text, strlen(text) + 1);
    }
}

/* A relative path is one of the folder that the file lies in. */
aril_status arili_config_resolve(const struct arili_config_place *p, aril_bytes path,
                                 char ret[static ARILI_CONFIG_PATH_ROOM])
{
    const char *const slash = strrchr(p->path, '/');
    const bool as_it_is = (path.len > 0 && path.data[0] == '/') || slash == NULL;
    const size_t folder_len = as_it_is ? 0 : (size_t)(slash - p->path) + 1;
    if (folder_len >= ARILI_CONFIG_PATH_ROOM || path.len >= ARILI_CONFIG_PATH_ROOM - folder_len) {
        return arili_config_refuse(p, "the path is longer than 4095 bytes");
    }
    memcpy(ret, p->path, folder_len);
    memcpy(ret + folder_len, path.data, path.len);
    ret[folder_len + path.len] = '\0';
    return ARIL_OK;
}

/* --- strings */

static aril_status set_text(const struct arili_config_place *p, aril_bytes text)
{
    char **const slot = target(p);
    if (*slot != NULL && p->key->fallback == NULL) {
        return arili_config_refuse(p, "the URI of the server says it already");
    }
    char *const fresh = arili_config_text_new(text);
    ARILI_ENSURE(fresh != NULL, ARIL_E_NOMEM);
    arili_config_text_free(*slot);
    *slot = fresh;
    return ARIL_OK;
}

static bool is_name(aril_bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        const uint8_t c = b.data[i];
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!plain && (i == 0 || (c != '.' && c != '-'))) {
            return false;
        }
    }
    return b.len > 0;
}

static aril_status set_path(const struct arili_config_place *p, aril_bytes value)
{
    char path[ARILI_CONFIG_PATH_ROOM];
    ARILI_TRY(arili_config_resolve(p, value, path));
    return set_text(p, arili_config_text_bytes(path));
}

static aril_status set_credential(const struct arili_config_place *p, aril_bytes value)
{
    if (memchr(value.data, '/', value.len) != NULL) {
        return set_path(p, value);
    }
    ARILI_ENSURE(is_name(value), ARIL_E_FORMAT_FIELD);
    return set_text(p, value);
}

/* Paths of the keystores whose URI is a path follow the rule of all paths. */
static aril_status set_keystore(const struct arili_config_place *p, aril_bytes value)
{
    static const char *const of_paths[] = { "file:", "passphrase:", "credential:" };
    const uint8_t *const colon = memchr(value.data, ':', value.len);
    ARILI_ENSURE(colon != NULL && is_name((aril_bytes){ value.data, (size_t)(colon - value.data) }),
                 ARIL_E_FORMAT_FIELD);
    const size_t len = (size_t)(colon - value.data) + 1;
    for (size_t i = 0; i < sizeof of_paths / sizeof of_paths[0] && value.len > len; i++) {
        if (arili_conf_is((aril_bytes){ value.data, len }, of_paths[i])) {
            char path[ARILI_CONFIG_PATH_ROOM];
            char uri[ARILI_CONFIG_PATH_ROOM + 16];
            ARILI_TRY(
                arili_config_resolve(p, (aril_bytes){ value.data + len, value.len - len }, path));
            (void)snprintf(uri, sizeof uri, "%s%s", of_paths[i], path);
            return set_text(p, arili_config_text_bytes(uri));
        }
    }
    return set_text(p, value);
}

static aril_status set_string(const struct arili_config_place *p, aril_bytes value)
{
    ARILI_ENSURE(value.len >= p->key->min && value.len <= p->key->max, ARIL_E_FORMAT_FIELD);
    switch (p->key->kind) {
    case ARILI_KIND_NAME:
        ARILI_ENSURE(is_name(value), ARIL_E_FORMAT_FIELD);
        return set_text(p, value);
    case ARILI_KIND_PATH:
        return set_path(p, value);
    case ARILI_KIND_CREDENTIAL:
        return set_credential(p, value);
    case ARILI_KIND_KEYSTORE:
        return set_keystore(p, value);
    default:
        return set_text(p, value);
    }
}

/* --- numbers and words */

static void store(const struct arili_config_place *p, uint64_t n)
{
    if (p->key->kind == ARILI_KIND_SIZE || p->key->kind == ARILI_KIND_SECONDS64) {
        memcpy(target(p), &n, sizeof n);
    } else {
        const uint32_t narrow = (uint32_t)n; /* the table's max is below 2^32 */
        memcpy(target(p), &narrow, sizeof narrow);
    }
}

static aril_status set_number(const struct arili_config_place *p, aril_bytes value)
{
    const bool seconds = p->key->kind == ARILI_KIND_SECONDS || p->key->kind == ARILI_KIND_SECONDS64;
    uint64_t n = 0;
    if (p->key->words != NULL && arili_conf_is(value, p->key->words)) {
        store(p, 0);
        return ARIL_OK;
    }
    ARILI_ENSURE(p->key->kind == ARILI_KIND_COUNT  ? arili_number_parse(value, &n)
                 : p->key->kind == ARILI_KIND_SIZE ? arili_size_parse(value, &n)
                                                   : arili_duration_parse(value, &n),
                 ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(!seconds || n % 1000 == 0, ARIL_E_FORMAT_FIELD);
    n = seconds ? n / 1000 : n;
    ARILI_ENSURE(n >= p->key->min && n <= p->key->max, ARIL_E_FORMAT_FIELD);
    store(p, n);
    return ARIL_OK;
}

/* false: it is none of the words. */
static bool word_index(const char *words, aril_bytes value, uint32_t *ret)
{
    aril_bytes word = arili_config_word(words, 0);
    for (uint32_t i = 0; word.len > 0; word = arili_config_word(words, ++i)) {
        if (word.len == value.len && memcmp(word.data, value.data, word.len) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static aril_status set_word(const struct arili_config_place *p, aril_bytes value)
{
    uint32_t i = 0;
    ARILI_ENSURE(word_index(p->key->words, value, &i), ARIL_E_FORMAT_FIELD);
    store(p, i);
    return ARIL_OK;
}

static aril_status set_words(const struct arili_config_place *p, aril_bytes value)
{
    uint32_t bits = 0;
    aril_bytes word = { NULL, 0 };
    while (arili_conf_list_next(&value, &word)) {
        uint32_t i = 0;
        ARILI_ENSURE(word_index(p->key->words, word, &i), ARIL_E_FORMAT_FIELD);
        bits |= 1u << i;
    }
    store(p, bits);
    return ARIL_OK;
}

static aril_status set_truth(const struct arili_config_place *p, aril_bytes value)
{
    const bool yes = arili_conf_is(value, "yes");
    ARILI_ENSURE(yes || arili_conf_is(value, "no"), ARIL_E_FORMAT_FIELD);
    memcpy(target(p), &yes, sizeof yes);
    return ARIL_OK;
}

static aril_status set_mode(const struct arili_config_place *p, aril_bytes value)
{
    uint32_t mode = 0;
    ARILI_ENSURE(value.len == 3 || value.len == 4, ARIL_E_FORMAT_FIELD);
    for (size_t i = 0; i < value.len; i++) {
        ARILI_ENSURE(value.data[i] >= '0' && value.data[i] <= '7', ARIL_E_FORMAT_FIELD);
        mode = mode << 3 | (uint32_t)(value.data[i] - '0');
    }
    ARILI_ENSURE(mode <= p->key->max, ARIL_E_FORMAT_FIELD);
    store(p, mode);
    return ARIL_OK;
}

/* --- addresses */

/* The path of a socket, by the rule of all paths. */
aril_status arili_config_resolve_socket(const struct arili_config_place *p, struct arili_address *a)
{
    char path[ARILI_CONFIG_PATH_ROOM];
    if (!a->is_unix) {
        return ARIL_OK;
    }
    ARILI_TRY(arili_config_resolve(p, arili_config_text_bytes(a->host), path));
    const size_t len = strlen(path);
    if (len > ARILI_ADDRESS_PATH_MAX) {
        return arili_config_refuse(
            p, "with its folder the path of the socket is longer than 107 bytes");
    }
    memcpy(a->host, path, len + 1);
    return ARIL_OK;
}

static aril_status set_address(const struct arili_config_place *p, aril_bytes value)
{
    struct arili_address a;
    ARILI_TRY(arili_address_parse(value, 0, &a));
    ARILI_TRY(arili_config_resolve_socket(p, &a));
    memcpy(target(p), &a, sizeof a);
    return ARIL_OK;
}

static aril_status set_listen(const struct arili_config_place *p, aril_bytes value)
{
    struct arili_listen_config *const out = p->object;
    const bool tls = value.len >= 6 && memcmp(value.data, "tls://", 6) == 0;
    struct arili_address a;
    const aril_bytes rest = tls ? (aril_bytes){ value.data + 6, value.len - 6 } : value;
    ARILI_TRY(arili_address_parse(rest, 0, &a));
    ARILI_ENSURE(!tls || !a.is_unix, ARIL_E_FORMAT_FIELD);
    ARILI_TRY(arili_config_resolve_socket(p, &a));
    out->address = a;
    out->tls = tls;
    return ARIL_OK;
}

aril_status arili_config_set(const struct arili_config_key *key, const char *path, void *object,
                             aril_bytes value, char ret_reason[static ARILI_CONFIG_REASON_TEXT])
{
    static aril_status (*const setters[])(const struct arili_config_place *p, aril_bytes value) = {
        [ARILI_KIND_TEXT] = set_string,
        [ARILI_KIND_NAME] = set_string,
        [ARILI_KIND_PATH] = set_string,
        [ARILI_KIND_CREDENTIAL] = set_string,
        [ARILI_KIND_KEYSTORE] = set_string,
        [ARILI_KIND_COUNT] = set_number,
        [ARILI_KIND_SIZE] = set_number,
        [ARILI_KIND_MS] = set_number,
        [ARILI_KIND_SECONDS] = set_number,
        [ARILI_KIND_SECONDS64] = set_number,
        [ARILI_KIND_TRUTH] = set_truth,
        [ARILI_KIND_WORD] = set_word,
        [ARILI_KIND_WORDS] = set_words,
        [ARILI_KIND_MODE] = set_mode,
        [ARILI_KIND_ADDRESS] = set_address,
        [ARILI_KIND_LISTEN] = set_listen,
        [ARILI_KIND_SERVER] = arili_config_set_server,
        [ARILI_KIND_UIDS] = arili_config_set_uids,
        [ARILI_KIND_DIGESTS] = arili_config_set_digests,
    };
    const struct arili_config_place p = { key, path, object, ret_reason };
    ret_reason[0] = '\0';
    return setters[key->kind](&p, value);
}
