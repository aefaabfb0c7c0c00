/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"
#include "command.h"
#include "proxy_check.h"
#include "proxy_top.h"
#include "subcommand.h"

static const struct subcommand subcommands[] = {
    { "token", "make, list and remove the tokens of machines", proxy_token },
    { "passwd", "set and remove the passphrases of people", proxy_passwd },
    { "check", "look at a configuration and at what it names", proxy_check },
    { "top", "show how a running arild stands", proxy_top },
};

int command_proxy(int argc, char **argv)
{
    static const struct subcommand_family family = {
        .command = "aril proxy",
        .summary = "arild, the proxy in front of Redis: who may use it, and how it stands. Its\n"
                   "password file has a line for each token and passphrase, of which only hashes\n"
                   "are kept.",
        .list = subcommands,
        .count = sizeof subcommands / sizeof subcommands[0],
    };
    return subcommand_run(&family, argc, argv);
}
