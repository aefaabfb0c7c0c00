/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include "files.h"
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define POLICIES_MAX   4096u

/* The file of --policy: one JSON object for each namespace, in an array; or one object alone. */

enum member_kind {
    MEMBER_TEXT,
    MEMBER_DURATION,
    MEMBER_SIZE,
    MEMBER_NUMBER,
    MEMBER_TRUTH,
    MEMBER_DATE,
    MEMBER_WORD,  /* one of words; an enum */
    MEMBER_WORDS, /* an array of them; bits */
};

struct member {
    const char *name;
    size_t offset; /* in aril_cache_policy */
    enum member_kind kind;
    const char *const *words; /* by value, or by bit */
    size_t word_count;
};

static const char *const failures[] = {
    [ARIL_CACHE_FAIL_OPEN] = "open", [ARIL_CACHE_FAIL_CLOSED] = "closed"
};
static const char *const paddings[] = { [ARIL_CACHE_PAD_NONE] = "none",
                                        [ARIL_CACHE_PAD_PADME] = "padme",
                                        [ARIL_CACHE_PAD_BLOCK] = "block" };
static const char *const tiers[] = { "l1", "l2" }; /* ARIL_CACHE_L1, ARIL_CACHE_L2 */

#define AT(member)    offsetof(aril_cache_policy, member)
#define WORDS(list)   (list), sizeof(list) / sizeof(list)[0]
#define NO_WORDS      NULL, 0
#define FORMATS_WORDS cache_format_names, ARIL_CACHE_FORMATS

static const struct member members[] = {
    { "space", AT(space), MEMBER_TEXT, NO_WORDS },
    { "tiers", AT(tiers), MEMBER_WORDS, WORDS(tiers) },
    { "ttl", AT(ttl_ms), MEMBER_DURATION, NO_WORDS },
    { "ttl_max", AT(ttl_max_ms), MEMBER_DURATION, NO_WORDS },
    { "l1_ttl", AT(l1_ttl_ms), MEMBER_DURATION, NO_WORDS },
    { "stale", AT(stale_ms), MEMBER_DURATION, NO_WORDS },
    { "jitter_percent", AT(jitter_percent), MEMBER_NUMBER, NO_WORDS },
    { "on_store_down", AT(on_store_down), MEMBER_WORD, WORDS(failures) },
    { "on_tamper", AT(on_tamper), MEMBER_WORD, WORDS(failures) },
    { "on_key_gone", AT(on_key_gone), MEMBER_WORD, WORDS(failures) },
    { "padding", AT(padding), MEMBER_WORD, WORDS(paddings) },
    { "pad_bytes", AT(pad_bytes), MEMBER_NUMBER, NO_WORDS },
    { "value_max", AT(value_max), MEMBER_SIZE, NO_WORDS },
    { "l1_value_max", AT(l1_value_max), MEMBER_SIZE, NO_WORDS },
    { "listable", AT(listable), MEMBER_TRUTH, NO_WORDS },
    { "hash_tags", AT(hash_tags), MEMBER_TRUTH, NO_WORDS },
    { "evidence", AT(evidence), MEMBER_TRUTH, NO_WORDS },
    { "legacy_reads", AT(legacy_reads), MEMBER_WORDS, FORMATS_WORDS },
    { "legacy_until", AT(legacy_until_s), MEMBER_DATE, NO_WORDS },
    { "writes", AT(writes), MEMBER_WORD, FORMATS_WORDS },
    { "legacy_tenant", AT(legacy_tenant), MEMBER_TEXT, NO_WORDS },
    { "lmcache_key_bits", AT(lmcache_key_bits), MEMBER_NUMBER, NO_WORDS },
    { "lmcache_writes_max", AT(lmcache_writes_max), MEMBER_SIZE, NO_WORDS },
};
#define MEMBERS (sizeof members / sizeof members[0])

/* The words of a member, for messages. */
static const char *list_words(const struct member *m, char *ret, size_t cap)
{
    size_t at = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < m->word_count && at < cap; i++) {
        at += (size_t)snprintf(ret + at, cap - at, "%s%s", i == 0 ? "" : ", ", m->words[i]);
    }
    return ret;
}

static bool find_word(const struct member *m, const json_t *value, unsigned *ret)
{
    const char *text = json_string_value(value);
    for (unsigned i = 0; text != NULL && i < m->word_count; i++) {
        if (strcmp(text, m->words[i]) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool find_words(const struct member *m, const json_t *value, uint32_t *ret)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < json_array_size(value); i++) {
        unsigned word = 0;
        if (!find_word(m, json_array_get(value, i), &word)) {
            return false;
        }
        bits |= 1u << word;
    }
    *ret = bits;
    return json_is_array(value);
}

static bool read_scaled(const struct member *m, const json_t *value, uint64_t *ret)
{
    const uint64_t factor = m->kind == MEMBER_DURATION ? 1000 : 1;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        return m->kind == MEMBER_DURATION ? cache_duration_parse(text, ret)
                                          : cache_size_parse(text, ret);
    }
    const json_int_t v = json_integer_value(value);
    if (!json_is_integer(value) || v < 0 || (uint64_t)v > UINT64_MAX / factor) {
        return false;
    }
    *ret = (uint64_t)v * factor;
    return true;
}

static bool read_number(const json_t *value, uint32_t *ret)
{
    const json_int_t v = json_integer_value(value);
    if (!json_is_integer(value) || v < 0 || v > (json_int_t)UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)v;
    return true;
}

static bool read_date(const json_t *value, uint64_t *ret)
{
    int64_t s = 0;
    uint32_t us = 0;
    if (!json_is_string(value) || !cache_date_parse(json_string_value(value), true, &s, &us) ||
        s <= 0) {
        return false;
    }
    *ret = (uint64_t)s;
    return true;
}

static bool read_member(const struct member *m, const json_t *value, void *at)
{
    unsigned word = 0;
    switch (m->kind) {
    case MEMBER_TEXT:
        *(aril_bytes *)at =
            (aril_bytes){ (const uint8_t *)json_string_value(value), json_string_length(value) };
        return json_is_string(value);
    case MEMBER_DURATION:
    case MEMBER_SIZE:
        return read_scaled(m, value, at);
    case MEMBER_NUMBER:
        return read_number(value, at);
    case MEMBER_TRUTH:
        *(int *)at = json_is_true(value);
        return json_is_boolean(value);
    case MEMBER_DATE:
        return read_date(value, at);
    case MEMBER_WORDS:
        return find_words(m, value, at);
    default:
        if (!find_word(m, value, &word)) {
            return false;
        }
        *(unsigned *)at = word; /* all enums of a policy have no negative value */
        return true;
    }
}

/* What a member has to be; begins with "not". */
static const char *complaint(const struct member *m, char *ret, size_t cap)
{
    static const char *const texts[] = {
        [MEMBER_TEXT] = "not a text",
        [MEMBER_DURATION] = "not a duration, as in 90 (seconds), \"500ms\", \"15m\", \"12h\"",
        [MEMBER_SIZE] = "not a number, as in 65536 or \"64K\"",
        [MEMBER_NUMBER] = "not a number from 0 to 4294967295",
        [MEMBER_TRUTH] = "neither true nor false",
        [MEMBER_DATE] = "not a date, as in \"2027-01-31\" or \"2027-01-31T12:00:00Z\"",
    };
    char words[200];
    if (m->kind != MEMBER_WORD && m->kind != MEMBER_WORDS) {
        return texts[m->kind];
    }
    snprintf(ret, cap, "not %s of %s", m->kind == MEMBER_WORD ? "one" : "an array",
             list_words(m, words, sizeof words));
    return ret;
}

static int unknown_member(const char *command, const char *where, const char *name)
{
    const char *names[MEMBERS];
    char safe[64];
    for (size_t i = 0; i < MEMBERS; i++) {
        names[i] = members[i].name;
    }
    const char *nearest = args_nearest(name, names, MEMBERS);
    keys_safe(keys_bytes(name), safe, sizeof safe);
    return failure_explain(command, ARIL_E_FORMAT_FIELD, "aril-cache(1) lists what a policy has",
                           "%s: unknown member %s%s%s%s", where, safe,
                           nearest == NULL ? "" : "; did you mean ", nearest == NULL ? "" : nearest,
                           nearest == NULL ? "" : "?");
}

static int read_policy(const char *command, const char *where, json_t *json, aril_cache_policy *ret)
{
    const char *name = NULL;
    json_t *value = NULL;
    char text[320];
    if (!json_is_object(json)) {
        return failure_explain(command, ARIL_E_FORMAT_KIND, "aril-cache(1) shows one",
                               "%s: not a JSON object", where);
    }
    json_object_foreach(json, name, value)
    {
        size_t i = 0;
        while (i < MEMBERS && strcmp(members[i].name, name) != 0) {
            i++;
        }
        if (i == MEMBERS) {
            return unknown_member(command, where, name);
        }
        if (!read_member(&members[i], value, (uint8_t *)ret + members[i].offset)) {
            return failure_explain(command, ARIL_E_FORMAT_FIELD, NULL, "%s, member %s: %s", where,
                                   name, complaint(&members[i], text, sizeof text));
        }
    }
    return 0;
}

/* Parse the text into an array of one object or more, which *ret owns. */
static int parse_file(const char *command, const char *path, json_t **ret)
{
    DEFER(file_contents_free) struct file_contents text = { .data = NULL };
    json_error_t why;
    const int rc = file_read(command, path, FILE_BYTES_MAX, &text);
    if (rc != 0) {
        return rc;
    }
    json_t *json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (json == NULL) {
        return failure_explain(command, ARIL_E_FORMAT, "aril-cache(1) shows a policy",
                               "%s, line %d: %s", path, why.line, why.text);
    }
    if (!json_is_array(json)) {
        *ret = json_pack("[o]", json);
        return *ret == NULL ? failure_report(command, ARIL_E_NOMEM, "%s", path) : 0;
    }
    *ret = json;
    return 0;
}

int cache_read_policies(struct cache_session *s, const char *path)
{
    const char *command = s->keys.command;
    const int rc = parse_file(command, path, &s->policy_text);
    if (rc != 0) {
        return rc;
    }
    const size_t count = json_array_size(s->policy_text);
    if (count > POLICIES_MAX) {
        return failure_explain(command, ARIL_E_LIMIT, NULL, "%s: more than %u policies", path,
                               POLICIES_MAX);
    }
    s->policies = calloc(count == 0 ? 1 : count, sizeof *s->policies);
    if (s->policies == NULL) {
        return failure_report(command, ARIL_E_NOMEM, "%s", path);
    }
    for (size_t i = 0; i < count; i++) {
        char where[512];
        snprintf(where, sizeof where, "%.400s, policy %zu", path, i + 1);
        const int read =
            read_policy(command, where, json_array_get(s->policy_text, i), &s->policies[i]);
        if (read != 0) {
            return read;
        }
    }
    s->policy_count = count;
    return 0;
}

const aril_cache_policy *cache_find_policy(const struct cache_session *s, aril_bytes space)
{
    const aril_cache_policy *others = NULL;
    for (size_t i = 0; i < s->policy_count; i++) {
        const aril_bytes name = s->policies[i].space;
        if (name.len == 0) {
            others = &s->policies[i];
        } else if (name.len == space.len && memcmp(name.data, space.data, name.len) == 0) {
            return &s->policies[i];
        }
    }
    return others;
}
