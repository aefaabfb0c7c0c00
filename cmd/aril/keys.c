/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"
#include "command.h"
#include "subcommand.h"

static const struct subcommand subcommands[] = {
    { "init", "make a keyring", keys_init },
    { "status", "how the keyring and its keys stand", keys_status },
    { "list", "list keys", keys_list },
    { "show", "show one key in full", keys_show },
    { "create", "make keys for tenants, models and clients", keys_create },
    { "rotate", "make the next version of keys", keys_rotate },
    { "retire", "end one version of a key", keys_retire },
    { "shred", "destroy all keys of a tenant", keys_shred },
    { "node", "the nodes of a fleet", keys_node },
    { "bundle", "carry keys to the nodes of a fleet", keys_bundle },
    { "backup", "copy the keyring; keep track of copies", keys_backup },
    { "recovery-key", "make a recovery key on an offline machine", keys_recovery_key },
    { "recover", "bring a keyring under a new keystore", keys_recover },
    { "verify", "check every key, or a recovery key", keys_verify },
    { "import", "take keys over from cachekit or LMCache", keys_import },
    { "lock", "make all processes forget the keys", keys_lock },
    { "unlock", "end a lock", keys_unlock },
    { "seal", "encrypt a small file for a tenant", keys_seal },
    { "open", "decrypt what seal made", keys_open_box },
};

int command_keys(int argc, char **argv)
{
    static const struct subcommand_family family = {
        .command = "aril keys",
        .summary = "Keys that outlive a process: one file, sealed by a keystore.\n\n"
                   "A key is named by a selector: root, authority, tenant:NAME, model:NAME,\n"
                   "api:NAME, data:TENANT[/LABEL], name:TENANT[/LABEL], or at least 8 digits of\n"
                   "its id.",
        .list = subcommands,
        .count = sizeof subcommands / sizeof subcommands[0],
    };
    return subcommand_run(&family, argc, argv);
}
