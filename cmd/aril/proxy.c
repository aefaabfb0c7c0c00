/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"
#include "command.h"
#include "subcommand.h"

static const struct subcommand subcommands[] = {
    { "token", "make, list and remove the tokens of machines", proxy_token },
    { "passwd", "set and remove the passphrases of people", proxy_passwd },
};

int command_proxy(int argc, char **argv)
{
    static const struct subcommand_family family = {
        .command = "aril proxy",
        .summary = "Who may use arild, the proxy in front of Redis: its password file has a line\n"
                   "for each token and passphrase. Of both only hashes are kept.",
        .list = subcommands,
        .count = sizeof subcommands / sizeof subcommands[0],
    };
    return subcommand_run(&family, argc, argv);
}
