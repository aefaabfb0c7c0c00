/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "proxy.h"
#include <string.h>

struct passwd_options {
    const char *file, *tenant, *name, *passphrase_file, *remove;
    bool json;
};

struct passphrase {
    uint8_t bytes[ARILI_PASSPHRASE_MAX];
    size_t len;
};
static void passphrase_wipe(struct passphrase *p)
{
    explicit_bzero(p, sizeof *p);
}

static int ask_for(const char *command, const struct passwd_options *o, struct passphrase *ret)
{
    char subject[PROXY_SUBJECT_TEXT];
    proxy_subject(o->tenant, o->name, subject);
    const aril_status st = keys_ask(NULL, ARIL_SECRET_NEW_PASSPHRASE, subject, ret->bytes,
                                    sizeof ret->bytes, &ret->len);
    if (st == ARIL_OK) {
        return 0;
    }
    return failure_explain(command, st,
                           "run it on a terminal, or give --passphrase-file FILE, or - for "
                           "standard input",
                           "%s: no passphrase was given", subject);
}

/* One line, with or without its end. */
static int read_from(const char *command, const char *path, struct passphrase *ret)
{
    struct file_contents text = { .data = NULL };
    int rc = strcmp(path, "-") == 0 ? 0 : file_check_secret(command, path);
    if (rc == 0) {
        rc = file_read(command, path, sizeof ret->bytes + 1, &text);
    }
    if (rc != 0) {
        return rc;
    }
    const size_t len = text.len > 0 && text.data[text.len - 1] == '\n' ? text.len - 1 : text.len;
    if (len > sizeof ret->bytes ||
        (len > 0 && (memchr(text.data, '\n', len) != NULL || memchr(text.data, '\r', len) != NULL ||
                     memchr(text.data, '\0', len) != NULL))) {
        rc = failure_explain(command, ARIL_E_USAGE_RANGE, "put the passphrase alone into it",
                             "%s: is not one line of at most %u bytes", path, ARILI_PASSPHRASE_MAX);
    } else {
        if (len > 0) {
            memcpy(ret->bytes, text.data, len);
        }
        ret->len = len;
    }
    file_contents_free(&text);
    return rc;
}

/* The file is locked for the change alone, not while somebody types. */
static int set_passphrase(const char *command, const struct passwd_options *o)
{
    DEFER(proxy_file_close) struct proxy_file f = PROXY_FILE_NEW(command, o->file);
    DEFER(passphrase_wipe) struct passphrase p = { .len = 0 };
    char line[ARILI_CREDENTIAL_LINE_MAX];
    char subject[PROXY_SUBJECT_TEXT];
    aril_error error = { .status = ARIL_OK };
    int rc = o->passphrase_file == NULL ? ask_for(command, o, &p)
                                        : read_from(command, o->passphrase_file, &p);
    if (rc != 0) {
        return rc;
    }
    rc = proxy_file_edit(&f);
    if (rc != 0) {
        return rc;
    }
    proxy_subject(o->tenant, o->name, subject);
    const struct arili_credential *const old = proxy_file_find(&f, o->tenant, o->name);
    if (old != NULL && old->kind != ARILI_CREDENTIAL_PASSPHRASE) {
        return failure_explain(command, ARIL_E_EXISTS, "choose another --name",
                               "%s: is a token in %s", subject, o->file);
    }
    const aril_status st =
        arili_passphrase_make(f.rt, keys_bytes(o->tenant), o->name, (aril_bytes){ p.bytes, p.len },
                              keys_now_s(), line, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, subject);
    }
    const bool changed = old != NULL;
    rc = proxy_file_write(&f, old, line);
    if (rc != 0) {
        return rc;
    }
    if (o->json) {
        return keys_print_json(command, json_pack("{s:o, s:s, s:b}", "tenant",
                                                  keys_json_text(keys_bytes(o->tenant)), "name",
                                                  o->name, "changed", changed));
    }
    printf("%s the passphrase %s\n", changed ? "changed" : "set", subject);
    return EXIT_DONE;
}

int proxy_passwd(int argc, char **argv)
{
    static const char command[] = "aril proxy passwd";
    struct passwd_options o = { .file = NULL };
    const struct args_option own[] = {
        { "tenant", ARGS_TEXT, &o.tenant, "ID", "whose passphrase it is", 0, 0 },
        { "name", ARGS_TEXT, &o.name, "NAME", "tells people of a tenant apart (passphrase)", 0, 0 },
        { "passphrase-file", ARGS_TEXT, &o.passphrase_file, "FILE",
          "read it from there; - is standard input", 0, 0 },
        { "remove", ARGS_TEXT, &o.remove, "NAME", "remove that passphrase of the tenant", 0, 0 },
        { "json", ARGS_FLAG, &o.json, NULL, "print JSON", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "FILE",
        .summary = "Set or change the passphrase of a person, and put its Argon2id hash into the\n"
                   "password file of arild. It is asked for twice on the terminal.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    const int rc = args_parse(&spec, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (o.tenant == NULL) {
        return failure_usage(command, "--tenant is missing");
    }
    if (o.remove != NULL && (o.name != NULL || o.passphrase_file != NULL)) {
        return failure_usage(command,
                             "--remove and --name or --passphrase-file exclude each other");
    }
    o.file = operands[0];
    o.name = o.name == NULL ? "passphrase" : o.name;
    if (o.remove != NULL) {
        return proxy_remove(command, o.file, o.tenant, o.remove, ARILI_CREDENTIAL_PASSPHRASE,
                            o.json);
    }
    return set_passphrase(command, &o);
}
