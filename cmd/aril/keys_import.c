/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "files.h"
#include "keys.h"
#include "subcommand.h"
#include <stdlib.h>
#include <string.h>

#define COMMAND         "aril keys import cachekit"
#define LMCACHE         "aril keys import lmcache"
#define KEY_BYTES       32u
#define KEY_DIGITS      (2 * KEY_BYTES)
#define FILE_BYTES_MAX  4096u
#define MASTER_VARIABLE "CACHEKIT_MASTER_KEY"
#define OLD_VARIABLE    "CACHEKIT_PREVIOUS_MASTER_KEYS"

/* The current master key and its predecessors. */
struct masters {
    uint8_t keys[ARIL_CACHEKIT_KEYS_MAX][KEY_BYTES];
    size_t count;
};

static void masters_wipe(struct masters *m)
{
    explicit_bzero(m, sizeof *m);
}

/* Exactly 64 digits. Messages say where, and never what. */
static int add_key(struct masters *m, const char *where, size_t number, const char *text,
                   size_t len)
{
    uint8_t key[KEY_BYTES];
    const bool good = len == KEY_DIGITS && keys_unhex(text, KEY_BYTES, key);
    int rc = 0;
    if (!good) {
        rc = failure_explain(COMMAND, ARIL_E_FORMAT_FIELD,
                             "a master key is 64 hexadecimal digits and nothing else",
                             "%s: key %zu is not one", where, number);
    } else if (m->count == ARIL_CACHEKIT_KEYS_MAX) {
        rc = failure_explain(COMMAND, ARIL_E_LIMIT, "import those that still open something",
                             "%s: more than %u keys in all", where, ARIL_CACHEKIT_KEYS_MAX);
    } else {
        memcpy(m->keys[m->count++], key, KEY_BYTES);
    }
    explicit_bzero(key, sizeof key);
    return rc;
}

static int add_keys(struct masters *m, const char *where, const char *text, size_t len, char end)
{
    size_t at = 0;
    for (size_t number = 1; at < len; number++) {
        const char *stop = memchr(text + at, end, len - at);
        const size_t key_len = stop == NULL ? len - at : (size_t)(stop - (text + at));
        const int rc = add_key(m, where, number, text + at, key_len);
        if (rc != 0) {
            return rc;
        }
        at += key_len + 1;
    }
    return 0;
}

static int add_file(struct masters *m, const char *path)
{
    DEFER(file_contents_free) struct file_contents text = { .data = NULL };
    int rc = file_check_secret(COMMAND, path);
    if (rc == 0) {
        rc = file_read(COMMAND, path, FILE_BYTES_MAX, &text);
    }
    if (rc != 0) {
        return rc;
    }
    if (text.len == 0) {
        return failure_explain(COMMAND, ARIL_E_FORMAT_TRUNCATED, "one key a line, 64 digits each",
                               "%s: no key in it", path);
    }
    return add_keys(m, path, (const char *)text.data, text.len, '\n');
}

static int add_environment(struct masters *m)
{
    const char *current = getenv(MASTER_VARIABLE);
    const char *old = getenv(OLD_VARIABLE);
    if (current == NULL || current[0] == '\0') {
        return failure_explain(COMMAND, ARIL_E_NOT_FOUND,
                               "run it where cachekit runs, or give --key-file", "%s is not set",
                               MASTER_VARIABLE);
    }
    const int rc = add_key(m, MASTER_VARIABLE, 1, current, strlen(current));
    return rc != 0 || old == NULL ? rc : add_keys(m, OLD_VARIABLE, old, strlen(old), ',');
}

static int check_doubles(const struct masters *m)
{
    for (size_t i = 0; i < m->count; i++) {
        for (size_t j = i + 1; j < m->count; j++) {
            /* The user's own input; time tells nobody anything. */
            if (memcmp(m->keys[i], m->keys[j], KEY_BYTES) == 0) {
                return failure_usage(COMMAND, "keys %zu and %zu are the same", i + 1, j + 1);
            }
        }
    }
    return 0;
}

static int import(const struct keys_options *options, const char *tenant, const struct masters *m)
{
    DEFER(keys_close) struct keys_session s = { .command = COMMAND };
    aril_bytes keys[ARIL_CACHEKIT_KEYS_MAX];
    const int rc = keys_open(&s, options);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < m->count; i++) {
        keys[i] = (aril_bytes){ m->keys[i], KEY_BYTES };
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st =
        aril_keyring_import_cachekit(s.keyring, keys_bytes(tenant), keys, m->count, &error);
    if (st != ARIL_OK) {
        return failure_error(COMMAND, st, &error, tenant);
    }
    if (options->json) {
        return keys_print_json(COMMAND,
                               json_pack("{s:o, s:I}", "tenant", keys_json_text(keys_bytes(tenant)),
                                         "imported", (json_int_t)m->count));
    }
    char safe[KEYS_OWNER_TEXT];
    printf("imported %zu keys for %s; they open what cachekit sealed, and seal nothing\n", m->count,
           keys_safe(keys_bytes(tenant), safe, sizeof safe));
    return EXIT_DONE;
}

static int import_cachekit(int argc, char **argv)
{
    struct keys_options options = { .keyring = NULL };
    const char *tenant = NULL;
    const char *key_file = NULL;
    const char *old_file = NULL;
    bool environment = false;
    const struct args_option own[] = {
        { "tenant", ARGS_TEXT, &tenant, "NAME", "whose keys they are", 0, 0 },
        { "key-file", ARGS_TEXT, &key_file, "FILE",
          "the master key, predecessors below it; - is standard input", 0, 0 },
        { "previous-from", ARGS_TEXT, &old_file, "FILE", "predecessors from a file of their own", 0,
          0 },
        { "env", ARGS_FLAG, &environment, NULL, "from the variables that cachekit reads", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "",
        .summary = "Take cachekit's master keys over, so that what it sealed can be opened. One\n"
                   "key a line, 64 hexadecimal digits, in files that their owner alone can read.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
    };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (tenant == NULL || tenant[0] == '\0') {
        return failure_usage(COMMAND, "missing option: --tenant");
    }
    if (environment == (key_file != NULL) || (environment && old_file != NULL)) {
        return failure_usage(COMMAND, "give --key-file FILE or --env, one of the two");
    }
    if (key_file != NULL && old_file != NULL && strcmp(key_file, "-") == 0 &&
        strcmp(old_file, "-") == 0) {
        return failure_usage(COMMAND, "both files cannot be standard input");
    }
    DEFER(masters_wipe) struct masters masters = { .count = 0 };
    rc = environment ? add_environment(&masters) : add_file(&masters, key_file);
    if (rc == 0 && old_file != NULL) {
        rc = add_file(&masters, old_file);
    }
    if (rc == 0) {
        rc = check_doubles(&masters);
    }
    return rc != 0 ? rc : import(&options, tenant, &masters);
}

/* --- LMCache ------------------------------------------------------------------------------- */

static int import_master(const struct keys_options *options, const char *tenant, const char *path,
                         aril_bytes master)
{
    DEFER(keys_close) struct keys_session s = { .command = LMCACHE };
    if (master.len < ARIL_LMCACHE_MASTER_BYTES_MIN) {
        return failure_explain(LMCACHE, ARIL_E_FORMAT_TRUNCATED,
                               "give the file that LMCache reads its master key from",
                               "%s: %zu bytes; a master key has %u at least", path, master.len,
                               ARIL_LMCACHE_MASTER_BYTES_MIN);
    }
    const int rc = keys_open(&s, options);
    if (rc != 0) {
        return rc;
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st =
        aril_keyring_import_lmcache(s.keyring, keys_bytes(tenant), master, &error);
    if (st != ARIL_OK) {
        return failure_error(LMCACHE, st, &error, tenant);
    }
    if (options->json) {
        return keys_print_json(LMCACHE,
                               json_pack("{s:o, s:I}", "tenant", keys_json_text(keys_bytes(tenant)),
                                         "imported", (json_int_t)1));
    }
    char safe[KEYS_OWNER_TEXT];
    printf("imported the master key for %s, label lmcache\n",
           keys_safe(keys_bytes(tenant), safe, sizeof safe));
    return EXIT_DONE;
}

static int import_lmcache(int argc, char **argv)
{
    struct keys_options options = { .keyring = NULL };
    const char *tenant = NULL;
    const char *key_file = NULL;
    const struct args_option own[] = {
        { "tenant", ARGS_TEXT, &tenant, "NAME", "whose key it is", 0, 0 },
        { "key-file", ARGS_TEXT, &key_file, "FILE", "the master key; - is standard input", 0, 0 },
    };
    const struct args_spec spec = {
        .command = LMCACHE,
        .operands = "",
        .summary =
            "Take the master key of LMCache's aesgcm serde over, so that what it sealed can\n"
            "be opened. The file is taken as it is, 16 to 4096 bytes, and its owner alone\n"
            "can read it.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
    };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (tenant == NULL || tenant[0] == '\0') {
        return failure_usage(LMCACHE, "missing option: --tenant");
    }
    if (key_file == NULL) {
        return failure_usage(LMCACHE, "missing option: --key-file");
    }
    DEFER(file_contents_free) struct file_contents file = { .data = NULL };
    rc = file_check_secret(LMCACHE, key_file);
    if (rc == 0) {
        rc = file_read(LMCACHE, key_file, ARIL_LMCACHE_MASTER_BYTES_MAX, &file);
    }
    return rc != 0 ? rc : import_master(&options, tenant, key_file, file_bytes(&file));
}

int keys_import(int argc, char **argv)
{
    static const struct subcommand subcommands[] = {
        { "cachekit", "master keys of cachekit, for a tenant", import_cachekit },
        { "lmcache", "the master key of LMCache, for a tenant", import_lmcache },
    };
    static const struct subcommand_family family = {
        .command = "aril keys import",
        .summary = "Take keys over from other software. They open, and never seal.",
        .list = subcommands,
        .count = sizeof subcommands / sizeof subcommands[0],
    };
    return subcommand_run(&family, argc, argv);
}
