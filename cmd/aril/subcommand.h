/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_SUBCOMMAND_H
#define ARIL_CMD_SUBCOMMAND_H
#include <stddef.h>

/* A command that is a family of commands: "aril identity", "aril keys node". */
struct subcommand {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
};

struct subcommand_family {
    const char *command; /* "aril identity" */
    const char *summary; /* one or more whole lines */
    const struct subcommand *list;
    size_t count;
};

/* Run the one that argv[1] names, or print the overview, or say what is wrong. Returns the exit
 * code. */
int subcommand_run(const struct subcommand_family *family, int argc, char **argv);
#endif
