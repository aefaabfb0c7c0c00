/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "subcommand.h"
#include <inttypes.h>
#include <sys/stat.h>

static int bundle_write(int argc, char **argv)
{
    static const char command[] = "aril keys bundle write";
    struct keys_options options = { .keyring = NULL };
    const struct args_spec spec = {
        .command = command,
        .operands = "FILE",
        .summary = "Sign the next bundle and write it to FILE, which is replaced as a whole.\n"
                   "Put it where the nodes pull from; it holds no key that others can read.",
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = keys_parse(&spec, &options, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = keys_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    uint64_t version = 0;
    aril_error error = { .status = ARIL_OK };
    /* A web server of another user has to read it; what is in it is sealed. */
    const mode_t mask = umask(S_IWGRP | S_IWOTH);
    const aril_status st = aril_keyring_bundle_write(s.keyring, operands[0], &version, &error);
    (void)umask(mask);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, operands[0]);
    }
    if (options.json) {
        return keys_print_json(command, json_pack("{s:I, s:o}", "version", (json_int_t)version,
                                                  "file", keys_json_text(keys_bytes(operands[0]))));
    }
    printf("signed bundle version %" PRIu64 ": %s\n", version, operands[0]);
    return EXIT_DONE;
}

/* Nodes that have confirmed the newest bundle, and those that have not. */
struct spread {
    uint64_t version;
    size_t confirmed, behind;
};

static int count_node(void *user, const aril_node_info *node)
{
    struct spread *s = user;
    if (!node->revoked) {
        (*(node->confirmed_version >= s->version ? &s->confirmed : &s->behind))++;
    }
    return 0;
}

static int show(struct keys_session *s, bool json)
{
    aril_keyring_info info;
    aril_error error = { .status = ARIL_OK };
    aril_status st = aril_keyring_get_info(s->keyring, &info, &error);
    if (st != ARIL_OK) {
        return failure_error(s->command, st, &error, s->path);
    }
    struct spread spread = { .version = info.bundle_version };
    const bool node = info.role == ARIL_KEYRING_NODE;
    if (!node) {
        st = aril_keyring_nodes(s->keyring, count_node, &spread, &error);
        if (st != ARIL_OK) {
            return failure_error(s->command, st, &error, s->path);
        }
    }
    if (json) {
        json_t *all = json_pack("{s:s, s:I}", "role", node ? "node" : "authority", "version",
                                (json_int_t)info.bundle_version);
        if (!node) {
            json_object_set_new(all, "good_for_days",
                                json_integer((json_int_t)info.policy.bundle_days));
            json_object_set_new(all, "nodes_confirmed", json_integer((json_int_t)spread.confirmed));
            json_object_set_new(all, "nodes_behind", json_integer((json_int_t)spread.behind));
        }
        return keys_print_json(s->command, all);
    }
    if (info.bundle_version == 0) {
        printf("no bundle was %s yet\n", node ? "taken" : "signed");
    } else if (node) {
        printf("bundle version %" PRIu64 " was taken last\n", info.bundle_version);
    } else {
        printf("bundle version %" PRIu64 " was signed last, good for %u days\n"
               "%zu nodes have confirmed it, %zu have not\n",
               info.bundle_version, info.policy.bundle_days, spread.confirmed, spread.behind);
    }
    return EXIT_DONE;
}

static int bundle_show(int argc, char **argv)
{
    static const char command[] = "aril keys bundle show";
    struct keys_options options = { .keyring = NULL };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "Show which bundle this keyring has signed or taken last, and at an authority\n"
                   "how many nodes have confirmed it.",
    };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = keys_open(&s, &options);
    return rc != 0 ? rc : show(&s, options.json);
}

int keys_bundle(int argc, char **argv)
{
    static const struct subcommand subcommands[] = {
        { "write", "sign the next bundle", bundle_write },
        { "pull", "take a bundle over", keys_bundle_pull },
        { "show", "which bundle was signed or taken last", bundle_show },
    };
    static const struct subcommand_family family = {
        .command = "aril keys bundle",
        .summary = "Bundles carry the keys of tenants from an authority to its nodes: a signed\n"
                   "file, encrypted to each node. write runs at the authority, pull at a node.",
        .list = subcommands,
        .count = sizeof subcommands / sizeof subcommands[0],
    };
    return subcommand_run(&family, argc, argv);
}
