/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "out.h"
#include "subcommand.h"
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define BACKUP_ID_BYTES   16u
#define BACKUP_ID_TEXT    (2 * BACKUP_ID_BYTES + 1)
#define PREFIX_DIGITS_MIN 8u
#define PATH_TEXT         512u

/* --- making one ------------------------------------------------------------------------------ */

static int backup_make(int argc, char **argv)
{
    static const char command[] = "aril keys backup";
    struct keys_options options = { .keyring = NULL };
    const struct args_spec spec = {
        .command = command,
        .operands = "FILE | list | destroyed ID",
        .summary = "Write a copy of the keyring to FILE, which must not exist. The copy needs the\n"
                   "keystore or the recovery key to open. 'list' shows the copies that were made;\n"
                   "'destroyed ID' notes that one is gone, so that shreds come to their end.",
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = keys_parse(&spec, &options, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (strcmp(operands[0], "list") == 0 || strcmp(operands[0], "destroyed") == 0) {
        return failure_usage(command, "%s stands before the options; a file is ./%s", operands[0],
                             operands[0]);
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = keys_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_backup(s.keyring, operands[0], &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, operands[0]);
    }
    if (options.json) {
        return keys_print_json(command,
                               json_pack("{s:o}", "file", keys_json_text(keys_bytes(operands[0]))));
    }
    printf("wrote %s\n", operands[0]);
    return EXIT_DONE;
}

/* --- list ------------------------------------------------------------------------------------ */

struct listing {
    json_t *list; /* NULL: print */
    size_t count;
};

static int visit_backup(void *user, const aril_backup_info *b)
{
    struct listing *l = user;
    char id[BACKUP_ID_TEXT];
    char path[PATH_TEXT];
    char date[KEYS_DATE_TEXT];
    keys_hex(b->id, sizeof b->id, id, sizeof id);
    if (l->list != NULL) {
        json_array_append_new(l->list,
                              json_pack("{s:s, s:o, s:I, s:I, s:b}", "id", id, "file",
                                        keys_json_text(b->path), "created_s",
                                        (json_int_t)b->created_s, "generation",
                                        (json_int_t)b->generation, "destroyed", b->destroyed != 0));
        return 0;
    }
    if (l->count++ == 0) {
        printf("%-32s  %-20s  STATE      FILE\n", "ID", "CREATED");
    }
    printf("%s  %s  %-9s  %s\n", id, keys_date(b->created_s, date),
           b->destroyed ? "destroyed" : "open", keys_safe(b->path, path, sizeof path));
    return 0;
}

static int backup_list(int argc, char **argv)
{
    static const char command[] = "aril keys backup list";
    struct keys_options options = { .keyring = NULL };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "List the copies that were made of this keyring.",
    };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = keys_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    struct listing l = { .list = options.json ? json_array() : NULL };
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_backups(s.keyring, visit_backup, &l, &error);
    if (st != ARIL_OK) {
        json_decref(l.list);
        return failure_error(command, st, &error, s.path);
    }
    if (options.json) {
        return keys_print_json(command, l.list);
    }
    if (l.count == 0) {
        printf("no backups\n");
    }
    return EXIT_DONE;
}

/* --- destroyed ------------------------------------------------------------------------------- */

struct search {
    const char *digits;
    size_t found;
    uint8_t id[BACKUP_ID_BYTES];
    char text[BACKUP_ID_TEXT];
};

static int look_at(void *user, const aril_backup_info *b)
{
    struct search *s = user;
    char text[BACKUP_ID_TEXT];
    keys_hex(b->id, sizeof b->id, text, sizeof text);
    if (strncasecmp(text, s->digits, strlen(s->digits)) == 0) {
        s->found++;
        memcpy(s->id, b->id, sizeof s->id);
        memcpy(s->text, text, sizeof text);
    }
    return 0;
}

static int find_backup(struct keys_session *s, struct search *search)
{
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_backups(s->keyring, look_at, search, &error);
    if (st != ARIL_OK) {
        return failure_error(s->command, st, &error, s->path);
    }
    if (search->found > 1) {
        return failure_usage(s->command, "%s: %zu backups begin with it; give more digits",
                             search->digits, search->found);
    }
    return search->found == 1 ? 0
                              : failure_explain(s->command, ARIL_E_NOT_FOUND,
                                                "'aril keys backup list' has the ids",
                                                "%s: no backup has this id", search->digits);
}

static int backup_destroyed(int argc, char **argv)
{
    static const char command[] = "aril keys backup destroyed";
    struct keys_options options = { .keyring = NULL };
    bool yes = false;
    const struct args_option own[] = {
        { "yes", ARGS_FLAG, &yes, NULL, "do not ask", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "ID",
        .summary = "Note that a copy of the keyring is gone, with every copy of it. Nothing can\n"
                   "check that: shreds are reported as complete on your word.",
        .options = own,
        .option_count = 1,
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = keys_parse(&spec, &options, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    struct search search = { .digits = operands[0] };
    const size_t len = strlen(search.digits);
    if (len < PREFIX_DIGITS_MIN || strspn(search.digits, "0123456789abcdefABCDEF") != len) {
        return failure_usage(command, "%s: not at least %u digits of an id", operands[0],
                             PREFIX_DIGITS_MIN);
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = keys_open(&s, &options);
    if (rc == 0) {
        rc = find_backup(&s, &search);
    }
    if (rc == 0) {
        search.text[PREFIX_DIGITS_MIN] = '\0';
        rc = keys_confirm(command, yes, "the backup is noted as destroyed, with all its copies",
                          search.text);
    }
    if (rc != 0) {
        return rc;
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_backup_destroyed(s.keyring, search.id, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, operands[0]);
    }
    if (options.json) {
        return keys_print_json(
            command, json_pack("{s:o}", "destroyed", keys_json_id(search.id, sizeof search.id)));
    }
    printf("noted: backup %s is destroyed\n", search.text);
    return EXIT_DONE;
}

int keys_backup(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "list") == 0) {
        return backup_list(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "destroyed") == 0) {
        return backup_destroyed(argc - 1, argv + 1);
    }
    return backup_make(argc, argv);
}
