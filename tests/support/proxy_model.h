/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_PROXY_MODEL_H
#define ARIL_TESTS_PROXY_MODEL_H
#include "wire.h"

/*
 * Two servers get the same random commands and must give the same answers: the one is a plain
 * Redis, the other is what is tested. Commands go in bursts without waiting, over several
 * connections of RESP2 and RESP3 that take turns, so that both see one order. Whatever depends on
 * chance or on the moment is left out, or compared as far as it is determined:
 * proxy_model_commands.c has the table.
 */
#define PMODEL_CLIENTS   4u
#define PMODEL_BURST_MAX 30u
#define PMODEL_DATABASES 2u

/* What two answers must have in common. */
enum pmodel_alike {
    PMODEL_BYTES = 0, /* all bytes */
    PMODEL_SET,       /* the same elements in any order */
    PMODEL_PAIRS,     /* the same pairs in any order */
    PMODEL_SECONDS,   /* numbers that are 1 apart at most; both not negative, or the same */
    PMODEL_MS,        /* the same with 1000 */
    PMODEL_COUNT,     /* as many elements */
    PMODEL_KIND       /* the type: an element by chance, or nothing */
};
/* Why they are not alike; NULL: they are. */
const char *pmodel_difference(enum pmodel_alike how, aril_bytes a, aril_bytes b);

/* Chance: the same for the same seed. */
struct pmodel_random {
    uint64_t state;
};
uint64_t pmodel_below(struct pmodel_random *r, uint64_t n);

/* A command by chance, appended to out. now_s: for times that are absolute. */
struct pmodel_command {
    enum pmodel_alike how;
    bool begins, ends; /* MULTI; EXEC or DISCARD */
    bool executes;     /* EXEC */
    char shown[160];   /* for people */
};
struct pmodel_source {
    struct pmodel_random random;
    uint64_t now_s;
    unsigned tag; /* 0: keys as they are. n: some have a hash tag, and those of transactions and of
                     MSETNX have tag n: a Cluster wants them in one slot */
    bool tied;    /* of the command that is made */
};
/* in_multi: without those that cannot be in a transaction. */
void pmodel_command(struct pmodel_source *s, bool in_multi, bool resp3, struct wire_bytes *out,
                    struct pmodel_command *ret);
/* A key by chance of any kind; a pattern that matches some of them. */
aril_bytes pmodel_key(struct pmodel_source *s, char kind);
const char *pmodel_pattern(struct pmodel_source *s);

/* Runs so many commands over both: fds are connections to the plain server and to the other. On a
 * difference the running test fails with seed and history. */
struct pmodel_setup {
    uint64_t seed;
    unsigned commands;
    bool cluster; /* the other one is a Cluster: each client's transactions have one hash tag */
    int fds[PMODEL_CLIENTS][2]; /* of each client: plain, other; databases 0 and empty */
};
void pmodel_run(const struct pmodel_setup *setup);
#endif
