/* SPDX-License-Identifier: Apache-2.0 */
/* COMMAND: the rows that this proxy serves, in the shapes of Redis 7. */
#include "proxy/local_internal.h"
#include <stdio.h>

#define WORDS_MAX 8u /* flags or categories of one row */

static const struct arili_command *rows(size_t *ret_count)
{
    return arili_command_table(ret_count);
}

static bool is_sub(const struct arili_command *row)
{
    return (row->flags & ARILI_COMMAND_SUB) != 0;
}

static bool has_keys(const struct arili_command *row)
{
    return row->first_key > 0 || row->numkeys > 0;
}

static bool reads(const struct arili_command *row)
{
    return (row->flags & (ARILI_COMMAND_WRITE | ARILI_COMMAND_CONTAINER)) == 0 &&
           (has_keys(row) || strcmp(row->group, "generic") == 0);
}

/* Served rows that are no sub-commands. */
static uint64_t count_served(void)
{
    size_t count;
    const struct arili_command *const table = rows(&count);
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += !is_sub(&table[i]) && arili_command_is_served(&table[i]) ? 1 : 0;
    }
    return n;
}

/* The served sub-commands of a container: *ret_first and so many rows behind it, of which some may
 * not be served. */
static uint64_t count_subs(const struct arili_command *row)
{
    size_t count;
    const struct arili_command *const table = rows(&count);
    uint64_t n = 0;
    if ((row->flags & ARILI_COMMAND_CONTAINER) != 0) {
        for (row++; row < table + count && is_sub(row); row++) {
            n += arili_command_is_served(row) ? 1 : 0;
        }
    }
    return n;
}

/* --- One row */

static void say_words(const struct arili_local_call *c, const char *const *words, size_t count)
{
    arili_say_set(c->out, c->l->resp3, count);
    for (size_t i = 0; i < count; i++) {
        arili_say_simple(c->out, words[i]);
    }
}

static void say_flags(const struct arili_local_call *c, const struct arili_command *row)
{
    const char *words[WORDS_MAX];
    size_t n = 0;
    if ((row->flags & ARILI_COMMAND_WRITE) != 0) {
        words[n++] = "write";
    }
    if (reads(row)) {
        words[n++] = "readonly";
    }
    if ((row->flags & ARILI_COMMAND_FAST) != 0) {
        words[n++] = "fast";
    }
    if ((row->flags & ARILI_COMMAND_NO_AUTH) != 0) {
        words[n++] = "no_auth";
    }
    if (row->numkeys > 0) {
        words[n++] = "movablekeys";
    }
    say_words(c, words, n);
}

/* Redis' names for groups, in its order: those of what is done with them stand between. */
enum place { FIRST, MIDDLE, LAST };
static const struct {
    const char *group, *name;
    enum place place;
} CATEGORIES[] = {
    { "generic", "@keyspace", FIRST },
    { "set", "@set", MIDDLE },
    { "sorted set", "@sortedset", MIDDLE },
    { "list", "@list", MIDDLE },
    { "hash", "@hash", MIDDLE },
    { "string", "@string", MIDDLE },
    { "bitmap", "@bitmap", MIDDLE },
    { "hyperloglog", "@hyperloglog", MIDDLE },
    { "geo", "@geo", MIDDLE },
    { "stream", "@stream", MIDDLE },
    { "connection", "@connection", LAST },
    { "transactions", "@transaction", LAST },
};

static void add_group(const struct arili_command *row, enum place place, const char **ret,
                      size_t *count)
{
    for (size_t i = 0; i < sizeof CATEGORIES / sizeof CATEGORIES[0]; i++) {
        if (CATEGORIES[i].place == place && strcmp(CATEGORIES[i].group, row->group) == 0) {
            ret[(*count)++] = CATEGORIES[i].name;
        }
    }
}

static size_t categories(const struct arili_command *row, const char *ret[static WORDS_MAX])
{
    size_t n = 0;
    add_group(row, FIRST, ret, &n);
    if (reads(row)) {
        ret[n++] = "@read";
    }
    if ((row->flags & ARILI_COMMAND_WRITE) != 0) {
        ret[n++] = "@write";
    }
    add_group(row, MIDDLE, ret, &n);
    ret[n++] = (row->flags & ARILI_COMMAND_FAST) != 0 ? "@fast" : "@slow";
    add_group(row, LAST, ret, &n);
    return n;
}

/* {"type": type, "spec": {name[i]: number[i]}} */
static void say_spec(const struct arili_local_call *c, const char *type, const char *const *names,
                     const int64_t *numbers, size_t count)
{
    arili_say_map(c->out, c->l->resp3, 2);
    arili_local_say_word(c->out, "type");
    arili_local_say_word(c->out, type);
    arili_local_say_word(c->out, "spec");
    arili_say_map(c->out, c->l->resp3, count);
    for (size_t i = 0; i < count; i++) {
        arili_local_say_word(c->out, names[i]);
        arili_say_integer(c->out, numbers[i]);
    }
}

/* One specification of where keys are: it begins at the argument `index`. */
static void say_key_spec(const struct arili_local_call *c, const struct arili_command *row,
                         int64_t index, const char *type, const char *const names[static 3],
                         const int64_t numbers[static 3])
{
    static const char *const INDEX[] = { "index" };
    arili_say_map(c->out, c->l->resp3, 3);
    arili_local_say_word(c->out, "flags");
    arili_say_set(c->out, c->l->resp3, 1);
    arili_say_simple(c->out, reads(row) ? "RO" : "RW");
    arili_local_say_word(c->out, "begin_search");
    say_spec(c, "index", INDEX, &index, 1);
    arili_local_say_word(c->out, "find_keys");
    say_spec(c, type, names, numbers, 3);
}

static void say_key_specs(const struct arili_local_call *c, const struct arili_command *row)
{
    static const char *const RANGE[] = { "lastkey", "keystep", "limit" };
    static const char *const KEYNUM[] = { "keynumidx", "firstkey", "keystep" };
    const uint64_t count = (row->first_key > 0 ? 1u : 0u) + (row->numkeys > 0 ? 1u : 0u);
    arili_say_set(c->out, c->l->resp3, count);
    if (row->first_key > 0) {
        /* A last key is counted from the first one, or from the end. */
        const int64_t last = row->last_key < 0 ? row->last_key : row->last_key - row->first_key;
        say_key_spec(c, row, row->first_key, "range", RANGE,
                     (const int64_t[]){ last, row->key_step, 0 });
    }
    if (row->numkeys > 0) {
        say_key_spec(c, row, row->numkeys, "keynum", KEYNUM, (const int64_t[]){ 0, 1, 1 });
    }
}

/* Up to the sub-commands. */
static void say_row_itself(const struct arili_local_call *c, const struct arili_command *row)
{
    const char *words[WORDS_MAX];
    arili_say_header(c->out, '*', 10);
    arili_local_say_word(c->out, row->name);
    arili_say_integer(c->out, row->arity);
    say_flags(c, row);
    arili_say_integer(c->out, row->first_key);
    arili_say_integer(c->out, row->last_key);
    arili_say_integer(c->out, row->key_step);
    say_words(c, words, categories(row, words));
    arili_say_set(c->out, c->l->resp3, 0); /* tips */
    say_key_specs(c, row);
}

static void say_row(const struct arili_local_call *c, const struct arili_command *row)
{
    uint64_t subs = count_subs(row);
    say_row_itself(c, row);
    if (subs == 0) {
        arili_say_set(c->out, c->l->resp3, 0);
        return;
    }
    arili_say_header(c->out, '*', subs);
    for (row++; subs > 0; row++) {
        if (arili_command_is_served(row)) {
            say_row_itself(c, row);
            arili_say_set(c->out, c->l->resp3, 0);
            subs--;
        }
    }
}

/* NULL: COMMAND does not speak of it. */
static const struct arili_command *served(aril_bytes name)
{
    const struct arili_command *const row = arili_command_find_any(name);
    return row != NULL && arili_command_is_served(row) ? row : NULL;
}

/* --- COMMAND, COMMAND COUNT, COMMAND INFO */

void arili_local_command(const struct arili_local_call *c)
{
    size_t count;
    const struct arili_command *const table = rows(&count);
    arili_say_header(c->out, '*', count_served());
    for (size_t i = 0; i < count; i++) {
        if (!is_sub(&table[i]) && arili_command_is_served(&table[i])) {
            say_row(c, &table[i]);
        }
    }
}

void arili_local_command_count(const struct arili_local_call *c)
{
    arili_say_integer(c->out, (int64_t)count_served());
}

void arili_local_command_info(const struct arili_local_call *c)
{
    if (c->count == 2) {
        arili_local_command(c);
        return;
    }
    arili_say_header(c->out, '*', c->count - 2);
    for (size_t i = 2; i < c->count; i++) {
        const struct arili_command *const row = served(c->args[i]);
        if (row != NULL) {
            say_row(c, row);
        } else {
            arili_say_nil(c->out, c->l->resp3);
        }
    }
}

/* --- COMMAND LIST */

enum filter { FILTER_NONE, FILTER_MODULE, FILTER_ACLCAT, FILTER_PATTERN };

static bool fits_category(const struct arili_command *row, aril_bytes wanted)
{
    const char *words[WORDS_MAX];
    const size_t count = categories(row, words);
    for (size_t i = 0; i < count; i++) {
        if (arili_local_is(wanted, words[i] + 1)) {
            return true;
        }
    }
    return false;
}

static bool fits(const struct arili_command *row, enum filter filter, aril_bytes wanted)
{
    if (is_sub(row) || !arili_command_is_served(row)) {
        return false;
    }
    switch (filter) {
    case FILTER_NONE:
        return true;
    case FILTER_ACLCAT:
        return fits_category(row, wanted);
    case FILTER_PATTERN:
        return arili_glob(wanted, (aril_bytes){ (const uint8_t *)row->name, strlen(row->name) });
    default: /* there are no modules */
        return false;
    }
}

static bool which_filter(aril_bytes name, enum filter *ret)
{
    *ret = arili_local_is(name, "module")    ? FILTER_MODULE
           : arili_local_is(name, "aclcat")  ? FILTER_ACLCAT
           : arili_local_is(name, "pattern") ? FILTER_PATTERN
                                             : FILTER_NONE;
    return *ret != FILTER_NONE;
}

void arili_local_command_list(const struct arili_local_call *c)
{
    enum filter filter = FILTER_NONE;
    if (c->count > 2 && (c->count != 5 || !arili_local_is(c->args[2], "filterby") ||
                         !which_filter(c->args[3], &filter))) {
        arili_local_say_syntax(c->out);
        return;
    }
    const aril_bytes wanted = c->count == 5 ? c->args[4] : (aril_bytes){ NULL, 0 };
    size_t count;
    const struct arili_command *const table = rows(&count);
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += fits(&table[i], filter, wanted) ? 1 : 0;
    }
    arili_say_header(c->out, '*', n);
    for (size_t i = 0; i < count; i++) {
        if (fits(&table[i], filter, wanted)) {
            arili_local_say_word(c->out, table[i].name);
        }
    }
}

/* --- COMMAND DOCS */

static const char *doc_group(const struct arili_command *row)
{
    return strcmp(row->group, "sorted set") == 0 ? "sorted-set"
           : strcmp(row->group, "pub/sub") == 0  ? "pubsub"
                                                 : row->group;
}

static void say_doc_itself(const struct arili_local_call *c, const struct arili_command *row,
                           uint64_t more)
{
    const bool pass_alone =
        row->verb == ARILI_VERB_REFUSED && (row->flags & ARILI_COMMAND_CONTAINER) == 0;
    char summary[256];
    (void)snprintf(summary, sizeof summary, "%s%s",
                   pass_alone ? "For keys whose values are passed. " : "", row->meaning);
    arili_local_say_word(c->out, row->name);
    arili_say_map(c->out, c->l->resp3, 3 + more);
    arili_local_say_word(c->out, "summary");
    arili_local_say_word(c->out, summary);
    arili_local_say_word(c->out, "since");
    arili_local_say_word(c->out, row->since);
    arili_local_say_word(c->out, "group");
    arili_local_say_word(c->out, doc_group(row));
}

static void say_doc(const struct arili_local_call *c, const struct arili_command *row)
{
    uint64_t subs = count_subs(row);
    say_doc_itself(c, row, subs > 0 ? 1 : 0);
    if (subs == 0) {
        return;
    }
    arili_local_say_word(c->out, "subcommands");
    arili_say_map(c->out, c->l->resp3, subs);
    for (row++; subs > 0; row++) {
        if (arili_command_is_served(row)) {
            say_doc_itself(c, row, 0);
            subs--;
        }
    }
}

/* Names that are not known are left out. */
void arili_local_command_docs(const struct arili_local_call *c)
{
    size_t count;
    const struct arili_command *const table = rows(&count);
    if (c->count == 2) {
        arili_say_map(c->out, c->l->resp3, count_served());
        for (size_t i = 0; i < count; i++) {
            if (!is_sub(&table[i]) && arili_command_is_served(&table[i])) {
                say_doc(c, &table[i]);
            }
        }
        return;
    }
    uint64_t known = 0;
    for (size_t i = 2; i < c->count; i++) {
        known += served(c->args[i]) != NULL ? 1 : 0;
    }
    arili_say_map(c->out, c->l->resp3, known);
    for (size_t i = 2; i < c->count; i++) {
        const struct arili_command *const row = served(c->args[i]);
        if (row != NULL) {
            say_doc(c, row);
        }
    }
}

/* --- COMMAND GETKEYS */

void arili_local_command_getkeys(const struct arili_local_call *c)
{
    const aril_bytes *const args = c->args + 2;
    const size_t count = c->count - 2;
    const struct arili_command *const row = arili_command_resolve(args, count);
    struct arili_command_keys keys;
    if (row == NULL) {
        arili_say_error(c->out, "ERR Invalid command specified");
    } else if (row->first_key == 0 && row->numkeys == 0 &&
               (row->flags & ARILI_COMMAND_MOVABLE) == 0) {
        arili_say_error(c->out, "ERR The command has no key arguments");
    } else if (!arili_command_arity_fits(row, count)) {
        arili_say_error(c->out, "ERR Invalid number of arguments specified for command");
    } else if (!arili_command_keys(row, args, count, &keys)) {
        arili_say_error(c->out, "ERR Invalid arguments specified for command");
    } else {
        uint64_t n = 0;
        for (size_t r = 0; r < 2; r++) {
            const struct arili_key_range *const range = &keys.ranges[r];
            n += range->step > 0 ? (range->last - range->first) / range->step + 1 : 0;
        }
        arili_say_header(c->out, '*', n);
        for (size_t r = 0; r < 2; r++) {
            const struct arili_key_range *const range = &keys.ranges[r];
            for (size_t i = range->first; range->step > 0 && i <= range->last; i += range->step) {
                arili_say_bulk(c->out, args[i]);
            }
        }
    }
}
