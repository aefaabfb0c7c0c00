/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"

typedef aril_status lock_fn(aril_keyring *keyring, aril_error *error);

static int change_lock(const char *command, const char *summary, lock_fn *change, bool locked,
                       int argc, char **argv)
{
    struct keys_options options = { .keyring = NULL };
    const struct args_spec spec = { .command = command, .operands = "", .summary = summary };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = keys_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st = change(s.keyring, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, s.path);
    }
    if (options.json) {
        return keys_print_json(command, json_pack("{s:b}", "locked", locked));
    }
    printf("%s %s\n", locked ? "locked" : "unlocked", s.path);
    return EXIT_DONE;
}

int keys_lock(int argc, char **argv)
{
    return change_lock("aril keys lock",
                       "Make every process that has the keyring open forget its keys. Nothing\n"
                       "can be sealed or opened until 'aril keys unlock'.",
                       aril_keyring_lock, true, argc, argv);
}

int keys_unlock(int argc, char **argv)
{
    return change_lock("aril keys unlock", "End a lock.", aril_keyring_unlock, false, argc, argv);
}
