/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "out.h"
#include <stdlib.h>
#include <string.h>

/* --- rotate ---------------------------------------------------------------------------------- */

static bool rotates_when_due(const aril_key_info *key, aril_keyring_role role)
{
    /* The keys of tenants come to a node in bundles. */
    const bool ours = role == ARIL_KEYRING_NODE
                          ? key->purpose == ARIL_KEY_ROOT
                          : key->purpose != ARIL_KEY_NODE && key->purpose != ARIL_KEY_LEGACY;
    return ours && key->state == ARIL_KEY_ACTIVE && key->due != ARIL_KEY_NOT_DUE;
}

static int choose_due(struct keys_session *s, const struct keys_set *set, size_t *chosen,
                      size_t *ret_count)
{
    aril_keyring_info info;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_get_info(s->keyring, &info, &error);
    if (st != ARIL_OK) {
        return failure_error(s->command, st, &error, s->path);
    }
    for (size_t i = 0; i < set->count; i++) {
        if (rotates_when_due(&set->keys[i], info.role)) {
            chosen[(*ret_count)++] = i;
        }
    }
    return 0;
}

static int rotate_failed(const struct keys_session *s, aril_status st, const aril_error *error,
                         const char *name, size_t done, size_t total)
{
    const char *message = error->message[0] == '\0' ? name : error->message;
    const int rc = st == ARIL_E_INTERRUPTED
                       ? failure_explain(s->command, st, aril_status_hint(st), "%s", message)
                       : failure_error(s->command, st, error, name);
    if (total > 1) {
        fprintf(stderr, "  %zu of %zu were rotated before, and stay so\n", done, total);
    }
    return rc;
}

static int rotate_chosen(struct keys_session *s, const struct keys_set *set, const size_t *chosen,
                         size_t count)
{
    char name[KEYS_NAME_TEXT];
    for (size_t i = 0; i < count; i++) {
        const aril_key_info *key = &set->keys[chosen[i]];
        const aril_key_slot slot = { key->purpose, key->owner, key->label };
        aril_error error = { .status = ARIL_OK };
        out_progress("rotating %s (%zu of %zu)", keys_name(key, name), i + 1, count);
        const aril_status st =
            keys_stopped != 0 ? ARIL_E_INTERRUPTED : aril_keyring_rotate(s->keyring, &slot, &error);
        if (st != ARIL_OK) {
            return rotate_failed(s, st, &error, name, i, count);
        }
    }
    out_progress_end();
    return 0;
}

/* The versions that the rotated slots have now. */
static int report_rotated(struct keys_session *s, const struct keys_set *before,
                          const size_t *chosen, size_t count, bool json)
{
    DEFER(keys_set_free) struct keys_set now = { .keys = NULL };
    char name[KEYS_NAME_TEXT];
    char date[KEYS_DATE_TEXT];
    const int rc = keys_collect(s, NULL, &now);
    if (rc != 0) {
        return rc;
    }
    json_t *list = json ? json_array() : NULL;
    size_t c = 0;
    size_t end = 0;
    /* Both sets have the same order. */
    for (size_t i = 0; i < now.count && c < count; i = end) {
        (void)keys_slot_head(&now, i, &end);
        const aril_key_info *newest = &now.keys[end - 1];
        for (; c < count && keys_same_slot(newest, &before->keys[chosen[c]]); c++) {
            if (json) {
                json_array_append_new(list, keys_json_key(newest));
            } else if (newest->state == ARIL_KEY_PENDING) {
                printf("rotated %s: version %u seals from %s on\n", keys_name(newest, name),
                       newest->version, keys_date(newest->activates_s, date));
            } else {
                printf("rotated %s: now version %u\n", keys_name(newest, name), newest->version);
            }
        }
    }
    if (json) {
        return keys_print_json(s->command, json_pack("{s:o}", "rotated", list));
    }
    if (count == 0) {
        printf("nothing is due\n");
    }
    return EXIT_DONE;
}

static int compare_sizes(const void *a, const void *b)
{
    const size_t left = *(const size_t *)a;
    const size_t right = *(const size_t *)b;
    return left < right ? -1 : left > right;
}

static void sizes_free(size_t **sizes)
{
    free(*sizes);
}

static int rotate(const char *command, const struct keys_options *options,
                  const struct keys_selector *selectors, size_t count, bool due)
{
    DEFER(keys_close) struct keys_session s = { .command = command, .work = "rotating" };
    DEFER(keys_set_free) struct keys_set set = { .keys = NULL };
    DEFER(sizes_free) size_t *chosen = NULL;
    int rc = keys_open(&s, options);
    if (rc == 0) {
        rc = keys_collect(&s, NULL, &set);
    }
    if (rc != 0) {
        return rc;
    }
    chosen = calloc(count + set.count + 1, sizeof *chosen);
    if (chosen == NULL) {
        return failure_report(command, ARIL_E_NOMEM, "the list of keys");
    }
    size_t chosen_count = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = keys_selector_find(command, &selectors[i], &set, &chosen[chosen_count++]);
    }
    if (rc == 0 && due) {
        rc = choose_due(&s, &set, chosen, &chosen_count);
    }
    if (rc != 0) {
        return rc;
    }
    /* What wraps others first; what was named twice once. */
    qsort(chosen, chosen_count, sizeof *chosen, compare_sizes);
    size_t kept = 0;
    for (size_t i = 0; i < chosen_count; i++) {
        if (kept == 0 || chosen[kept - 1] != chosen[i]) {
            chosen[kept++] = chosen[i];
        }
    }
    chosen_count = kept;
    rc = rotate_chosen(&s, &set, chosen, chosen_count);
    return rc != 0 ? rc : report_rotated(&s, &set, chosen, chosen_count, options->json);
}

int keys_rotate(int argc, char **argv)
{
    static const char command[] = "aril keys rotate";
    struct keys_options options = { .keyring = NULL };
    bool due = false;
    const struct args_option own[] = {
        { "due", ARGS_FLAG, &due, NULL, "everything that is due or overdue", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "SELECTOR... | --due",
        .summary = "Make the next version of keys. Rotating root, a tenant or a model wraps the\n"
                   "keys below anew and changes no data; an old data or name key still opens.\n"
                   "Ctrl-C stops between two keys; the same command then goes on.",
        .options = own,
        .option_count = 1,
        .operands_max = ARGS_OPERANDS_MAX,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    struct keys_selector selectors[ARGS_OPERANDS_MAX];
    size_t count = 0;
    int rc = keys_parse(&spec, &options, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (due == (count > 0)) {
        return failure_usage(command, due ? "--due and selectors exclude one another"
                                          : "missing argument: SELECTOR... or --due");
    }
    for (size_t i = 0; i < count; i++) {
        rc = keys_selector_parse(command, operands[i], &selectors[i]);
        if (rc != 0) {
            return rc;
        }
    }
    return rotate(command, &options, selectors, count, due);
}

/* --- retire ---------------------------------------------------------------------------------- */

static int retire(struct keys_session *s, const aril_key_info *key, bool destroy, bool yes)
{
    char name[KEYS_NAME_TEXT];
    char word[KEYS_NAME_TEXT + 16];
    char what[KEYS_NAME_TEXT + 80];
    snprintf(word, sizeof word, "%s@%u", keys_name(key, name), key->version);
    if (destroy) {
        snprintf(what, sizeof what, "%s is destroyed, and what it sealed never opens again", word);
        const int rc = keys_confirm(s->command, yes, what, word);
        if (rc != 0) {
            return rc;
        }
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_retire(s->keyring, key->id, destroy, &error);
    return st == ARIL_OK ? 0 : failure_error(s->command, st, &error, word);
}

int keys_retire(int argc, char **argv)
{
    static const char command[] = "aril keys retire";
    struct keys_options options = { .keyring = NULL };
    bool destroy = false;
    bool yes = false;
    const struct args_option own[] = {
        { "destroy", ARGS_FLAG, &destroy, NULL, "destroy its bytes; cannot be taken back", 0, 0 },
        { "yes", ARGS_FLAG, &yes, NULL, "do not ask", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "ID|SELECTOR@VERSION",
        .summary = "End one version of a key that does not seal any more: what it sealed does\n"
                   "not open from now on. A former root is destroyed in the keystore, and\n"
                   "backups from its time open with the recovery key alone.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = keys_parse(&spec, &options, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    DEFER(keys_set_free) struct keys_set set = { .keys = NULL };
    struct keys_selector selector;
    size_t index = 0;
    rc = keys_selector_parse_version(command, operands[0], &selector);
    if (rc == 0) {
        rc = keys_open(&s, &options);
    }
    if (rc == 0) {
        rc = keys_collect(&s, NULL, &set);
    }
    if (rc == 0) {
        rc = keys_selector_find(command, &selector, &set, &index);
    }
    if (rc == 0) {
        rc = retire(&s, &set.keys[index], destroy, yes);
    }
    if (rc != 0) {
        return rc;
    }
    char name[KEYS_NAME_TEXT];
    const aril_key_info *key = &set.keys[index];
    /* One that was destroyed before stays so. */
    const bool destroyed = destroy || key->state == ARIL_KEY_DESTROYED;
    const char *state = destroyed ? "destroyed" : "retired";
    if (options.json) {
        return keys_print_json(command, json_pack("{s:o, s:s, s:I, s:s}", "id",
                                                  keys_json_id(key->id, sizeof key->id), "selector",
                                                  keys_name(key, name), "version",
                                                  (json_int_t)key->version, "state", state));
    }
    printf("%s %s version %u\n", state, keys_name(key, name), key->version);
    return EXIT_DONE;
}
