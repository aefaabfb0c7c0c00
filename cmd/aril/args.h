/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_ARGS_H
#define ARIL_CMD_ARGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Options and operands of one command. The help text is made from the same table that the
 * parser uses. Options may stand anywhere, as "--name value" or "--name=value"; "--" ends
 * them, and "-" is an operand. */

#define ARGS_SIZES_MAX    16u
#define ARGS_TEXTS_MAX    256u
#define ARGS_OPERANDS_MAX 256u

enum args_kind {
    ARGS_FLAG,   /* target: bool */
    ARGS_TEXT,   /* target: const char * */
    ARGS_TEXTS,  /* target: struct args_texts; one each time it is given */
    ARGS_NUMBER, /* target: uint64_t, decimal, between min and max */
    ARGS_SIZES,  /* target: struct args_sizes; "128,64K,2M", each between min and max;
                    may be given more than once */
};

struct args_sizes {
    uint64_t values[ARGS_SIZES_MAX];
    size_t count;
};

struct args_texts {
    const char *values[ARGS_TEXTS_MAX];
    size_t count;
};

struct args_option {
    const char *name; /* without the dashes */
    enum args_kind kind;
    void *target;           /* unchanged when the option is not given */
    const char *value_name; /* for the help; NULL for a flag */
    const char *help;
    uint64_t min, max;
};

struct args_spec {
    const char *command;  /* "aril identity sign", for help and messages */
    const char *operands; /* for the help: "FILE" */
    const char *summary;  /* one or more whole lines */
    const struct args_option *options;
    size_t option_count;
    const struct args_option *common; /* what a family of commands shares; listed last */
    size_t common_count;
    size_t operands_min, operands_max;
};

/* Returned by args_parse() when the command is to run. */
#define ARGS_RUN (-1)

/* Parse argv[1] and what follows. Anything but ARGS_RUN is the exit code: help was printed,
 * or what is wrong was. ret_operands may be NULL for a command that takes none, and ret_count
 * where their number is fixed. */
int args_parse(const struct args_spec *spec, int argc, char **argv,
               const char *ret_operands[ARGS_OPERANDS_MAX], size_t *ret_count);

/* The name most like word, or NULL when none is near. */
const char *args_nearest(const char *word, const char *const *names, size_t count);
#endif
