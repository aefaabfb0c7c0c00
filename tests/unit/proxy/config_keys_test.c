/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys: every row's range and default, and that man arild.conf(5) says the same. */
#include "base/files.h"
#include "base/units.h"
#include "check.h"
#include "proxy/config_internal.h"
#include "proxy_config.h"
#include <stdio.h>
#include <stdlib.h>

#define OBJECT_BYTES 16384u

static bool is_string(const struct arili_config_key *key)
{
    return key->kind <= ARILI_KIND_KEYSTORE;
}

static bool is_number(const struct arili_config_key *key)
{
    return key->kind >= ARILI_KIND_COUNT && key->kind <= ARILI_KIND_SECONDS64;
}

/* Sets key in a section's struct that is all zero, and hands out what is at its place. */
static aril_status set(const struct arili_config_key *key, aril_bytes value, void *object,
                       size_t object_bytes)
{
    char reason[ARILI_CONFIG_REASON_TEXT];
    memset(object, 0, object_bytes);
    return arili_config_set(key, PROXY_CONFIG_PATH, object, value, reason);
}

/* Number n as one would write it for this key. */
static void write_number(const struct arili_config_key *key, uint64_t n, char *ret, size_t cap)
{
    char text[ARILI_UNITS_TEXT];
    switch (key->kind) {
    case ARILI_KIND_COUNT:
        (void)snprintf(ret, cap, "%llu", (unsigned long long)n);
        return;
    case ARILI_KIND_SIZE:
        (void)snprintf(ret, cap, "%llu B", (unsigned long long)n);
        return;
    default:
        arili_duration_text(key->kind == ARILI_KIND_MS ? n : n * 1000, text);
        (void)snprintf(ret, cap, "%s", text);
        return;
    }
}

static uint64_t number_at(const struct arili_config_key *key, const uint8_t *object)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (key->kind == ARILI_KIND_SIZE || key->kind == ARILI_KIND_SECONDS64) {
        memcpy(&wide, object + key->offset, sizeof wide);
        return wide;
    }
    memcpy(&narrow, object + key->offset, sizeof narrow);
    return narrow;
}

static bool takes(const struct arili_config_key *key, uint64_t n)
{
    static uint8_t object[OBJECT_BYTES];
    static const uint8_t zero[OBJECT_BYTES];
    char text[64];
    write_number(key, n, text, sizeof text);
    const aril_status st = set(key, arili_config_text_bytes(text), object, sizeof object);
    if (st != ARIL_OK) {
        assert_status(st, ARIL_E_FORMAT_FIELD);
        assert_memory_equal(object, zero, sizeof object);
        return false;
    }
    assert_true(number_at(key, object) == n);
    return true;
}

static void every_number_has_its_bounds(void **state)
{
    (void)state;
    static uint8_t object[OBJECT_BYTES];
    static const char *const bad[] = { "", "x", "-1", "1.5", "10x", "1 parsec", "never ever" };
    unsigned numbers = 0;
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        if (!is_number(key)) {
            continue;
        }
        numbers++;
        assert_true(key->min > 0 && key->min <= key->max);
        assert_true(takes(key, key->min));
        assert_true(takes(key, key->max));
        assert_false(takes(key, key->min - 1));
        assert_false(takes(key, key->max + 1));
        for (size_t j = 0; j < COUNT(bad); j++) {
            assert_status(set(key, arili_config_text_bytes(bad[j]), object, sizeof object),
                          ARIL_E_FORMAT_FIELD);
        }
        if (key->words != NULL) { /* the word for 0 */
            assert_status(set(key, arili_config_text_bytes(key->words), object, sizeof object),
                          ARIL_OK);
            assert_true(number_at(key, object) == 0);
        }
        if (key->kind == ARILI_KIND_SECONDS || key->kind == ARILI_KIND_SECONDS64) {
            assert_status(set(key, arili_config_text_bytes("1500 ms"), object, sizeof object),
                          ARIL_E_FORMAT_FIELD);
        }
    }
    assert_int_equal(numbers, 22);
}

static aril_status set_text_of(const struct arili_config_key *key, size_t len)
{
    static char text[8192];
    static uint8_t object[OBJECT_BYTES];
    memset(text, 'x', sizeof text);
    if (key->kind == ARILI_KIND_PATH || key->kind == ARILI_KIND_CREDENTIAL) {
        text[0] = '/';
    } else if (key->kind == ARILI_KIND_KEYSTORE && len > 1) {
        text[1] = ':';
    }
    assert_true(len < sizeof text);
    const aril_status st =
        set(key, (aril_bytes){ (const uint8_t *)text, len }, object, sizeof object);
    char *value = NULL;
    memcpy(&value, object + key->offset, sizeof value);
    assert_int_equal(st == ARIL_OK, value != NULL);
    if (value != NULL) {
        assert_int_equal(strlen(value), len);
        assert_memory_equal(value, text, len);
    }
    arili_config_text_free(value);
    return st;
}

static void every_text_has_its_bounds(void **state)
{
    (void)state;
    unsigned texts = 0;
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        if (is_string(key)) {
            texts++;
            assert_int_equal(key->min, 1);
            assert_status(set_text_of(key, 0), ARIL_E_FORMAT_FIELD);
            assert_status(set_text_of(key, key->kind == ARILI_KIND_KEYSTORE ? 3 : 1), ARIL_OK);
            assert_status(set_text_of(key, key->max), ARIL_OK);
            assert_status(set_text_of(key, key->max + 1), ARIL_E_FORMAT_FIELD);
        }
    }
    assert_int_equal(texts, 19);
}

static void every_word_has_its_number(void **state)
{
    (void)state;
    static uint8_t object[OBJECT_BYTES];
    unsigned words = 0;
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        if (key->kind != ARILI_KIND_WORD && key->kind != ARILI_KIND_WORDS) {
            continue;
        }
        aril_bytes word = arili_config_word(key->words, 0);
        for (uint32_t n = 0; word.len > 0; word = arili_config_word(key->words, ++n)) {
            words++;
            assert_status(set(key, word, object, sizeof object), ARIL_OK);
            const uint64_t expected = key->kind == ARILI_KIND_WORD ? n : 1u << n;
            assert_true(number_at(key, object) == expected);
            const aril_bytes shorter = { word.data, word.len - 1 };
            assert_status(set(key, shorter, object, sizeof object), ARIL_E_FORMAT_FIELD);
        }
        assert_status(set(key, arili_config_text_bytes(""), object, sizeof object),
                      ARIL_E_FORMAT_FIELD);
        assert_int_equal(set(key, arili_config_text_bytes(key->words), object, sizeof object),
                         ARIL_E_FORMAT_FIELD);
    }
    assert_int_equal(words, 4 + 3 + 3 + 3);
}

static void every_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        const char *const section = arili_config_sections[key->section].name;
        char label[80];
        (void)snprintf(label, sizeof label, "%s%s%s%s", section[0] == '\0' ? "" : "[", section,
                       section[0] == '\0' ? "" : "] ", key->name);
        assert_string_equal(key->label, label);
        assert_true(strlen(key->help) > 0);
        assert_ptr_equal(arili_config_key_find(key->section, arili_config_text_bytes(key->name)),
                         key);
        assert_true(key->fallback == NULL || (key->flags & ARILI_KEY_REQUIRED) == 0);
    }
    assert_null(arili_config_key_find(ARILI_SECTION_TOP, arili_config_text_bytes("clients_max")));
}

static void words_are_counted_from_the_first(void **state)
{
    (void)state;
    assert_true(arili_conf_is(arili_config_word("one two", 0), "one"));
    assert_true(arili_conf_is(arili_config_word("one two", 1), "two"));
    assert_int_equal(arili_config_word("one two", 2).len, 0);
    assert_int_equal(arili_config_word("one two", 3).len, 0);
    assert_true(arili_conf_is(arili_config_word("one", 0), "one"));
    assert_int_equal(arili_config_word("one", 1).len, 0);
}

/* --- The man page */

/* The page as a reader sees it, roughly: "\-" is '-', "\(aq" is '\'', lines are joined. */
static char *read_page(void)
{
    struct arili_file file = { 0 };
    aril_error error = { ARIL_OK, "" };
    if (arili_file_read(ARIL_SOURCE_DIR "/man/arild.conf.5", 1u << 20, 0, &file, &error) !=
        ARIL_OK) {
        fail_msg("%s", error.message);
    }
    char *const page = calloc(1, file.len + 1);
    assert_non_null(page);
    size_t n = 0;
    for (size_t i = 0; i < file.len; i++) {
        const char *const at = (const char *)file.data + i;
        if (file.len - i >= 2 && memcmp(at, "\\-", 2) == 0) {
            page[n++] = '-';
            i++;
        } else if (file.len - i >= 4 && memcmp(at, "\\(aq", 4) == 0) {
            page[n++] = '\'';
            i += 3;
        } else if (file.len - i >= 2 && memcmp(at, "\n.", 2) != 0 && *at == '\n') {
            page[n++] = ' ';
        } else {
            page[n++] = *at;
        }
    }
    arili_file_done(&file);
    return page;
}

/* What the page says of a key: from behind its name up to the next key or section. */
static char *block_of(const char *page, const struct arili_config_key *key)
{
    const struct arili_config_section_row *const row = &arili_config_sections[key->section];
    char heading[64];
    char name[64];
    if (key->section == ARILI_SECTION_TOP) {
        (void)snprintf(heading, sizeof heading, "\n.SS Before the first section");
    } else {
        (void)snprintf(heading, sizeof heading, "\n.SS [%s%s", row->name,
                       row->argument == NULL ? "]" : " ");
    }
    (void)snprintf(name, sizeof name, "\n.TP\n.B %s ", key->name);
    const char *const section = strstr(page, heading);
    if (section == NULL) {
        fail_msg("man arild.conf has no section %s", row->name);
        return NULL;
    }
    const char *const section_end = strstr(section + 1, "\n.S");
    const char *const begin = strstr(section, name);
    if (begin == NULL || begin > section_end) {
        fail_msg("man arild.conf does not have %s", key->label);
        return NULL;
    }
    const char *end = strstr(begin + 1, "\n.TP");
    end = end == NULL || end > section_end ? section_end : end;
    return strndup(begin, (size_t)(end - begin));
}

static void the_man_page_has_every_key_as_it_is(void **state)
{
    (void)state;
    char *const page = read_page();
    unsigned keys = 0;
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        char *const block = block_of(page, key);
        char range[ARILI_CONFIG_RANGE_TEXT];
        char expected[ARILI_CONFIG_RANGE_TEXT + 100];
        arili_config_range_text(key, range);
        const bool required = (key->flags & ARILI_KEY_REQUIRED) != 0;
        const bool fixed = (key->flags & ARILI_KEY_FIXED) != 0;
        (void)snprintf(expected, sizeof expected, "\n.br Takes %s.%s%s%s%s%s", range,
                       required ? " Required." : "", key->fallback == NULL ? "" : " Default: ",
                       key->fallback == NULL ? "" : key->fallback, key->fallback == NULL ? "" : ".",
                       fixed ? " Needs a restart." : "");
        const size_t len = strlen(expected);
        if (strlen(block) < len || strcmp(block + strlen(block) - len, expected) != 0) {
            fail_msg("man arild.conf says of %s: %s; wanted at the end: %s", key->label, block,
                     expected);
        }
        free(block);
        keys++;
    }
    /* No others: the entries between KEYS and ADDRESSES. */
    const char *at = strstr(page, "\n.SH KEYS");
    const char *const end = strstr(page, "\n.SH ADDRESSES");
    assert_true(at != NULL && end != NULL);
    unsigned entries = 0;
    while ((at = strstr(at + 1, "\n.TP")) != NULL && at < end) {
        entries++;
    }
    assert_int_equal(entries, keys);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_has_its_bounds),
        cmocka_unit_test(every_text_has_its_bounds),
        cmocka_unit_test(every_word_has_its_number),
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(words_are_counted_from_the_first),
        cmocka_unit_test(the_man_page_has_every_key_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
