/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "out.h"
#include "subcommand.h"
#include <string.h>

/* --- recovery-key ---------------------------------------------------------------------------- */

static int recovery_key_new(int argc, char **argv)
{
    static const char command[] = "aril keys recovery-key new";
    const char *secret = NULL;
    const char *recipient = NULL;
    const struct args_option own[] = {
        { "secret", ARGS_TEXT, &secret, "FILE", "where the key goes: stays offline", 0, 0 },
        { "recipient", ARGS_TEXT, &recipient, "FILE", "where its public side goes", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "Make a recovery key on an offline machine. The recipient goes to the machine\n"
                   "of the keyring, for 'aril keys init --recovery-recipient'. No file is\n"
                   "replaced.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
    };
    const int rc = args_parse(&spec, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (secret == NULL || recipient == NULL) {
        return failure_usage(command, "missing option: %s",
                             secret == NULL ? "--secret" : "--recipient");
    }
    DEFER(runtime_freep) aril_runtime *rt = NULL;
    aril_error error = { .status = ARIL_OK };
    aril_status st = aril_runtime_new(NULL, &rt);
    if (st != ARIL_OK) {
        return failure_report(command, st, "the library cannot start");
    }
    st = aril_recovery_key_new(rt, secret, recipient, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, secret);
    }
    printf("recovery key: %s\nrecipient: %s\n", secret, recipient);
    return EXIT_DONE;
}

int keys_recovery_key(int argc, char **argv)
{
    static const struct subcommand subcommands[] = {
        { "new", "make a recovery key", recovery_key_new },
    };
    static const struct subcommand_family family = {
        .command = "aril keys recovery-key",
        .summary = "A recovery key opens a keyring whose keystore is lost. It stays offline.",
        .list = subcommands,
        .count = sizeof subcommands / sizeof subcommands[0],
    };
    return subcommand_run(&family, argc, argv);
}

/* --- recover --------------------------------------------------------------------------------- */

static int recover(struct keys_session *s, const struct keys_options *options, const char *recovery)
{
    int rc = keys_open_keystore(s, options, true);
    if (rc != 0) {
        return rc;
    }
    const aril_keyring_config config = keys_config(s, options);
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_recover(s->rt, &config, recovery, &error);
    if (st != ARIL_OK) {
        return failure_error(s->command, st, &error, s->path);
    }
    out_progress_end();
    if (options->json) {
        return keys_print_json(s->command,
                               json_pack("{s:o, s:s}", "recovered",
                                         keys_json_text(keys_bytes(s->path)), "keystore", s->uri));
    }
    printf("recovered %s, sealed by %s\n"
           "next: 'aril keys rotate root', and shreds that were made after the backup, again\n",
           s->path, s->uri);
    return EXIT_DONE;
}

int keys_recover(int argc, char **argv)
{
    static const char command[] = "aril keys recover";
    struct keys_options options = { .keyring = NULL };
    const char *recovery = NULL;
    bool yes = false;
    const struct args_option own[] = {
        { "recovery", ARGS_TEXT, &recovery, "FILE", "the recovery key", 0, 0 },
        { "yes", ARGS_FLAG, &yes, NULL, "do not ask", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "Bring the keyring under the keystore of --keystore, with the recovery key.\n"
                   "The file is changed in place: work on a copy of the backup. What happened\n"
                   "after the backup was made is lost.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
    };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (recovery == NULL) {
        return failure_usage(command, "missing option: --recovery");
    }
    DEFER(keys_close) struct keys_session s = { .command = command, .work = "recovering" };
    rc = keys_confirm(command, yes, "the keyring is brought under another keystore", "recover");
    return rc != 0 ? rc : recover(&s, &options, recovery);
}

/* --- verify ---------------------------------------------------------------------------------- */

struct verification {
    const char *command;
    json_t *failures; /* NULL: print them */
    size_t failed;
};

static int note_failure(void *user, const aril_key_info *info, aril_status st)
{
    struct verification *v = user;
    char name[KEYS_NAME_TEXT];
    if (st == ARIL_OK) {
        return 0;
    }
    v->failed++;
    keys_name(info, name);
    if (v->failures != NULL) {
        json_t *key = keys_json_key(info);
        json_object_set_new(key, "status", json_string(aril_status_name(st)));
        json_array_append_new(v->failures, key);
    } else {
        out_progress_end();
        printf("%sFAILED%s %s version %u: %s (%s)\n", out_on(OUT_BAD), out_off(), name,
               info->version, aril_status_text(st), aril_status_name(st));
    }
    return 0;
}

static int verify_keys(struct keys_session *s, const struct keys_options *options)
{
    struct verification v = { .command = s->command };
    aril_error error = { .status = ARIL_OK };
    int rc = keys_open(s, options);
    if (rc != 0) {
        return rc;
    }
    v.failures = options->json ? json_array() : NULL;
    const aril_status st = aril_keyring_verify(s->keyring, note_failure, &v, &error);
    out_progress_end();
    if (options->json) {
        rc = keys_print_json(s->command,
                             json_pack("{s:b, s:o}", "ok", st == ARIL_OK, "failures", v.failures));
    } else if (st == ARIL_OK) {
        printf("every key opens, and is the one it says it is\n");
    }
    return st == ARIL_OK ? rc : failure_error(s->command, st, &error, s->path);
}

static int verify_recovery(struct keys_session *s, const struct keys_options *options,
                           const char *recovery)
{
    const int rc = keys_prepare(s, options);
    if (rc != 0) {
        return rc;
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_verify_recovery(s->rt, s->path, recovery, &error);
    if (st != ARIL_OK) {
        return failure_error(s->command, st, &error, recovery);
    }
    if (options->json) {
        return keys_print_json(s->command, json_pack("{s:b, s:o}", "ok", true, "recovery",
                                                     keys_json_text(keys_bytes(recovery))));
    }
    printf("%s opens %s and every key in it\n", recovery, s->path);
    return EXIT_DONE;
}

int keys_verify(int argc, char **argv)
{
    static const char command[] = "aril keys verify";
    struct keys_options options = { .keyring = NULL };
    const char *recovery = NULL;
    const struct args_option own[] = {
        { "recovery", ARGS_TEXT, &recovery, "FILE", "check this recovery key; no keystore needed",
          0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "Unwrap every key and compare it with its id. With --recovery: check that the\n"
                   "recovery key opens the keyring, and change nothing; do it before you need it.",
        .options = own,
        .option_count = 1,
    };
    const int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command, .work = "verifying" };
    return recovery == NULL ? verify_keys(&s, &options) : verify_recovery(&s, &options, recovery);
}
