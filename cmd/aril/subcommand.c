/* SPDX-License-Identifier: Apache-2.0 */
#include "subcommand.h"
#include "args.h"
#include "failure.h"
#include <stdio.h>
#include <string.h>

#define SUBCOMMANDS_MAX 32u

static void print_overview(const struct subcommand_family *family, FILE *to)
{
    size_t column = 10;
    for (size_t i = 0; i < family->count; i++) {
        const size_t len = strlen(family->list[i].name);
        column = len >= column ? len + 1 : column;
    }
    fprintf(to, "Usage: %s COMMAND [arguments]\n\n%s\n\nCommands:\n", family->command,
            family->summary);
    for (size_t i = 0; i < family->count; i++) {
        fprintf(to, "  %-*s %s\n", (int)column, family->list[i].name, family->list[i].help);
    }
    fprintf(to, "\n'%s COMMAND --help' lists the options of a command.\n", family->command);
}

int subcommand_run(const struct subcommand_family *family, int argc, char **argv)
{
    if (argc < 2) {
        print_overview(family, stderr);
        return EXIT_WRONG_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(family, stdout);
        return EXIT_DONE;
    }
    if (argv[1][0] == '-') {
        return failure_usage(family->command, "unknown option %s; options stand after the command",
                             argv[1]);
    }
    const char *names[SUBCOMMANDS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < family->count && count < SUBCOMMANDS_MAX; i++) {
        names[count++] = family->list[i].name;
        if (strcmp(argv[1], family->list[i].name) == 0) {
            return family->list[i].run(argc - 1, argv + 1);
        }
    }
    const char *nearest = args_nearest(argv[1], names, count);
    return failure_usage(family->command, "unknown command: %s%s%s%s", argv[1],
                         nearest == NULL ? "" : "; did you mean ", nearest == NULL ? "" : nearest,
                         nearest == NULL ? "" : "?");
}
