/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "daemon.h"
#include "failure.h"
#include "out.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND        "arild"
#define DEFAULT_CONFIG "/etc/aril/arild.conf"

static int run(const struct daemon_options *o, bool check)
{
    const char *odd = o->standalone       ? NULL
                      : o->data != NULL   ? "--data"
                      : o->listen != NULL ? "--listen"
                                          : NULL;
    struct daemon_options options = *o;
    if (odd != NULL) {
        return failure_usage(COMMAND, "%s is for --standalone", odd);
    }
    if (o->standalone && o->config != NULL) {
        return failure_usage(COMMAND, "--standalone has no --config: it makes its own");
    }
    if (o->standalone && check) {
        return failure_usage(COMMAND, "--check-config checks a file, and --standalone has none");
    }
    if (o->json && !o->standalone && !check) {
        return failure_usage(COMMAND, "--json is for --check-config and --standalone");
    }
    if (options.config == NULL) {
        options.config = DEFAULT_CONFIG;
    }
    return check ? daemon_check(&options) : daemon_run(&options);
}

int main(int argc, char **argv)
{
    struct daemon_options options = { .config = NULL };
    bool check = false;
    bool version = false; /* looked for before anything else */
    const struct args_option known[] = {
        { "config", ARGS_TEXT, &options.config, "FILE", "also -c; default " DEFAULT_CONFIG, 0, 0 },
        { "check-config", ARGS_FLAG, &check, NULL, "look at the configuration, and end", 0, 0 },
        { "standalone", ARGS_FLAG, &options.standalone, NULL,
          "with a private server and keys of its own, for a first try", 0, 0 },
        { "data", ARGS_TEXT, &options.data, "DIR", "of --standalone: where everything lies", 0, 0 },
        { "listen", ARGS_TEXT, &options.listen, "ADDRESS",
          "of --standalone; default 127.0.0.1:6379, or the next port that is free", 0, 0 },
        { "json", ARGS_FLAG, &options.json, NULL, "print JSON", 0, 0 },
        { "version", ARGS_FLAG, &version, NULL, "print the version", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "",
        .summary = "Serve Redis clients from a Redis or Valkey that only ever holds ciphertext.\n"
                   "SIGTERM ends it when its clients have their answers, SIGHUP makes it read\n"
                   "its configuration again. man arild(8) has more.",
        .options = known,
        .option_count = sizeof known / sizeof known[0],
    };
    out_init();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
            printf(COMMAND " %s\n", aril_version());
            return out_finish(EXIT_DONE);
        }
        if (strcmp(argv[i], "-c") == 0) {
            static char config[] = "--config";
            argv[i] = config;
        }
    }
    const int rc = args_parse(&spec, argc, argv, NULL, NULL);
    return out_finish(rc == ARGS_RUN ? run(&options, check) : rc);
}
