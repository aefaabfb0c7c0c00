/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "proxy.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

struct token_options {
    const char *file, *tenant, *name, *output, *remove;
    bool list, json;
};

/* What stays of a token in this process is wiped. */
struct fresh {
    char token[ARILI_TOKEN_TEXT + 1]; /* and LF, for a file */
    char line[ARILI_CREDENTIAL_LINE_MAX];
};
static void fresh_wipe(struct fresh *fresh)
{
    explicit_bzero(fresh, sizeof *fresh);
}

/* The file is there before the hash of what it holds is: a token is never lost. */
static int write_output(const char *command, const struct token_options *o, struct fresh *fresh)
{
    const size_t len = strlen(fresh->token);
    fresh->token[len] = '\n';
    const int number =
        file_store(o->output, (aril_bytes){ (const uint8_t *)fresh->token, len + 1 }, false);
    fresh->token[len] = '\0';
    if (number == EEXIST) {
        return failure_explain(command, ARIL_E_EXISTS, "remove it, or choose another --output",
                               "%s: exists and was left alone", o->output);
    }
    return number == 0 ? 0 : failure_errno(command, o->output, number);
}

static int tell(const char *command, const struct token_options *o, const struct fresh *fresh)
{
    char subject[PROXY_SUBJECT_TEXT];
    int rc = EXIT_DONE;
    if (o->json) {
        const char *const key = o->output == NULL ? "token" : "output";
        rc = keys_print_json(
            command, json_pack("{s:o, s:s, s:s}", "tenant", keys_json_text(keys_bytes(o->tenant)),
                               "name", o->name, key, o->output == NULL ? fresh->token : o->output));
    } else if (o->output == NULL) {
        printf("%s\n", fresh->token);
    } else {
        printf("the token %s is in %s\n", proxy_subject(o->tenant, o->name, subject), o->output);
    }
    if (o->output == NULL && rc == EXIT_DONE && fflush(stdout) != 0) {
        return failure_explain(command, ARIL_E_IO, "--remove it, and make another one",
                               "%s: the token could not be printed, and is in %s though",
                               proxy_subject(o->tenant, o->name, subject), o->file);
    }
    return rc;
}

static int make_token(const char *command, const struct token_options *o)
{
    DEFER(proxy_file_close) struct proxy_file f = PROXY_FILE_NEW(command, o->file);
    DEFER(fresh_wipe) struct fresh fresh = { .line = "" };
    char subject[PROXY_SUBJECT_TEXT];
    aril_error error = { .status = ARIL_OK };
    int rc = proxy_file_edit(&f);
    if (rc != 0) {
        return rc;
    }
    proxy_subject(o->tenant, o->name, subject);
    if (proxy_file_find(&f, o->tenant, o->name) != NULL) {
        return failure_explain(command, ARIL_E_EXISTS,
                               "choose another --name, or --remove it first",
                               "%s: is in %s already", subject, o->file);
    }
    const aril_status st = arili_token_make(f.rt, keys_bytes(o->tenant), o->name, keys_now_s(),
                                            fresh.token, fresh.line, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, subject);
    }
    if (o->output != NULL) {
        rc = write_output(command, o, &fresh);
    }
    if (rc != 0) {
        return rc;
    }
    rc = proxy_file_write(&f, NULL, fresh.line);
    if (rc != 0) {
        if (o->output != NULL) {
            (void)unlink(o->output); /* nobody takes that token */
        }
        return rc;
    }
    return tell(command, o, &fresh);
}

static int check_options(const char *command, const struct token_options *o, const char *name)
{
    if (o->list + (o->remove != NULL) + (name != NULL || o->output != NULL) > 1) {
        return failure_usage(command, "--list, --remove and --name or --output exclude each other");
    }
    if (!o->list && o->tenant == NULL) {
        return failure_usage(command, "--tenant is missing");
    }
    return 0;
}

int proxy_token(int argc, char **argv)
{
    static const char command[] = "aril proxy token";
    struct token_options o = { .file = NULL };
    const struct args_option own[] = {
        { "tenant", ARGS_TEXT, &o.tenant, "ID", "whose token it is", 0, 0 },
        { "name", ARGS_TEXT, &o.name, "NAME", "tells tokens of a tenant apart (token)", 0, 0 },
        { "output", ARGS_TEXT, &o.output, "FILE",
          "write it there, mode 0600, and not to the screen", 0, 0 },
        { "remove", ARGS_TEXT, &o.remove, "NAME", "remove that token of the tenant", 0, 0 },
        { "list", ARGS_FLAG, &o.list, NULL, "list all credentials, or those of --tenant", 0, 0 },
        { "json", ARGS_FLAG, &o.json, NULL, "print JSON", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "FILE",
        .summary = "Make a token for a machine, and put its hash into the password file of arild.\n"
                   "The token is printed once and kept nowhere.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = args_parse(&spec, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    rc = check_options(command, &o, o.name);
    if (rc != 0) {
        return rc;
    }
    o.file = operands[0];
    o.name = o.name == NULL ? "token" : o.name;
    if (o.list) {
        return proxy_list(command, o.file, o.tenant, o.json);
    }
    if (o.remove != NULL) {
        return proxy_remove(command, o.file, o.tenant, o.remove, ARILI_CREDENTIAL_TOKEN, o.json);
    }
    return make_token(command, &o);
}
