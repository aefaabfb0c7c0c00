/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "files.h"
#include "keys.h"
#include <stdlib.h>
#include <string.h>

#define CONTEXT_BYTES_MAX 65535u

struct box {
    const char *command, *tenant, *context, *in, *out;
    bool force;
};

typedef aril_status box_fn(aril_keyring *keyring, aril_bytes tenant, aril_bytes context,
                           aril_bytes in, uint8_t *ret, size_t cap, size_t *ret_len,
                           aril_error *error);

static int convert(const struct box *b, const struct keys_options *options, box_fn *change,
                   size_t in_max, size_t more)
{
    DEFER(file_contents_free) struct file_contents in = { .data = NULL };
    DEFER(file_contents_free) struct file_contents out = { .data = NULL };
    DEFER(keys_close) struct keys_session s = { .command = b->command };
    int rc = file_read(b->command, b->in, in_max, &in);
    if (rc == 0) {
        rc = keys_open(&s, options);
    }
    if (rc != 0) {
        return rc;
    }
    out.cap = in.len + more + 1; /* never 0 */
    out.data = malloc(out.cap);
    if (out.data == NULL) {
        out.cap = 0;
        return failure_report(b->command, ARIL_E_NOMEM, "%s", b->in);
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st = change(s.keyring, keys_bytes(b->tenant), keys_bytes(b->context),
                                  file_bytes(&in), out.data, out.cap, &out.len, &error);
    if (st != ARIL_OK) {
        out.len = 0;
        return failure_error(b->command, st, &error, b->in);
    }
    return file_write(b->command, b->out, file_bytes(&out), b->force);
}

static int box(const char *command, const char *summary, box_fn *change, size_t in_max, size_t more,
               int argc, char **argv)
{
    struct keys_options options = { .without_json = true };
    struct box b = { .command = command, .context = "", .in = "-", .out = "-" };
    const struct args_option own[] = {
        { "tenant", ARGS_TEXT, &b.tenant, "NAME", "whose key is used", 0, 0 },
        { "context", ARGS_TEXT, &b.context, "TEXT", "what the file is; the same opens it", 0, 0 },
        { "out", ARGS_TEXT, &b.out, "FILE", "where the result goes; default standard output", 0,
          0 },
        { "force", ARGS_FLAG, &b.force, NULL, "replace the file of --out", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "[FILE]",
        .summary = summary,
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    const int rc = keys_parse(&spec, &options, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (b.tenant == NULL || b.tenant[0] == '\0') {
        return failure_usage(command, "missing option: --tenant");
    }
    if (strlen(b.context) > CONTEXT_BYTES_MAX) {
        return failure_usage(command, "--context is longer than %u bytes", CONTEXT_BYTES_MAX);
    }
    b.in = count > 0 ? operands[0] : "-";
    return convert(&b, &options, change, in_max, more);
}

int keys_seal(int argc, char **argv)
{
    return box("aril keys seal",
               "Encrypt FILE, or standard input, under the data key of a tenant: credentials\n"
               "and settings, up to 1 GiB.",
               aril_keyring_seal, ARIL_BOX_PLAIN_BYTES_MAX, ARIL_BOX_OVERHEAD_BYTES, argc, argv);
}

int keys_open_box(int argc, char **argv)
{
    return box("aril keys open", "Decrypt what 'aril keys seal' made.", aril_keyring_open_box,
               ARIL_BOX_PLAIN_BYTES_MAX + ARIL_BOX_OVERHEAD_BYTES, 0, argc, argv);
}
