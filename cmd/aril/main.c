/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "command.h"
#include "failure.h"
#include "out.h"
#include <aril/base.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int command_help(int argc, char **argv);

static const struct command {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "demo", "two tenants of one llama.cpp: seal, restore, attack", command_demo },
    { "doctor", "check this machine and the cryptography", command_doctor },
    { "identity", "make, show and use signing keys", command_identity },
    { "keys", "keep, rotate and destroy the keys of tenants", command_keys },
    { "cache", "keep values in stores that cannot read them", command_cache },
    { "proxy", "who may use arild: tokens and passphrases", command_proxy },
    { "bench", "measure this machine", command_bench },
    { "help", "explain a command", command_help },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
    }
    const char *nearest = args_nearest(name, names, COMMANDS);
    if (nearest != NULL) {
        return failure_usage("aril", "unknown command: %s; did you mean %s?", name, nearest);
    }
    return failure_usage("aril", "unknown command: %s", name);
}

static void print_overview(FILE *to)
{
    fprintf(to,
            "Usage: aril COMMAND [arguments]\n\n"
            "Post-quantum encryption for the data that an LLM serving stack keeps and moves.\n\n"
            "Commands:\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(to, "\nOptions:\n"
                "  --help     print this; 'aril help COMMAND' explains a command\n"
                "  --version  print the version\n");
}

static int command_help(int argc, char **argv)
{
    static const struct args_spec spec = {
        .command = "aril help",
        .operands = "[COMMAND]",
        .summary = "Print what a command does and which options it takes.",
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    const int rc = args_parse(&spec, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (count == 0) {
        print_overview(stdout);
        return EXIT_DONE;
    }
    const struct command *command = find_command(operands[0]);
    if (command == NULL) {
        return unknown_command(operands[0]);
    }
    char name[32];
    char option[] = "--help";
    snprintf(name, sizeof name, "%s", command->name);
    char *help[] = { name, option, NULL };
    return command->run(2, help);
}

/* Keys live in this process: no core files, no debugger of the same user, no files that
 * others can read. A pipe that closes is a write error, not a signal. */
static void protect_process(void)
{
    const struct rlimit none = { 0, 0 };
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)umask(S_IRWXG | S_IRWXO);
    (void)signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    protect_process();
    out_init();
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_WRONG_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return out_finish(EXIT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("aril %s\n", aril_version());
        return out_finish(EXIT_DONE);
    }
    if (argv[1][0] == '-') {
        static const char *const names[] = { "--help", "--version" };
        const char *nearest = args_nearest(argv[1], names, 2);
        return failure_usage("aril", "unknown option %s%s%s%s", argv[1],
                             nearest == NULL ? "" : "; did you mean ",
                             nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?");
    }
    const struct command *command = find_command(argv[1]);
    if (command == NULL) {
        return unknown_command(argv[1]);
    }
    return out_finish(command->run(argc - 1, argv + 1));
}
