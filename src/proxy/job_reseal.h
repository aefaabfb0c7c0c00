/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_JOB_RESEAL_H
#define ARILI_PROXY_JOB_RESEAL_H
#include "proxy/run.h"

/* A value that is sealed again under WATCH: what the commands that want it fill in. */
#define ARILI_RESEAL_WORDS_MAX  3u
#define ARILI_RESEAL_WORD_BYTES 32u
#define ARILI_CLOCK_STEP_MS     1000u

enum arili_reseal_what { ARILI_RESEAL_EXPIRE, ARILI_RESEAL_GETEX, ARILI_RESEAL_KEEPTTL };

struct arili_expire_only { /* when EXPIRE has an effect */
    bool nx, xx, lt;
};
struct arili_reseal {
    struct arili_job job; /* first */
    enum arili_reseal_what what;
    struct arili_tenant *tenant;
    struct arili_tenant_keys *keys;
    struct arili_place place;
    uint64_t wanted_ms; /* the value must be allowed to live so long */
    uint64_t max_ms;    /* what the policy allows */
    /* What follows the name in the last command: "EXPIRE" name word word. */
    char verb[16];
    char words[ARILI_RESEAL_WORDS_MAX][ARILI_RESEAL_WORD_BYTES];
    size_t word_count;
    bool nx, xx; /* of SET */
    struct arili_expire_only only;
    int64_t ttl_ms;          /* with one of these: what the server says; below 0: none */
    struct arili_flow plain; /* the value to seal */
    bool seals;
    uint32_t answers;                 /* of a commit */
    struct arili_got refused;         /* why the server did not queue a command; kind ERROR if so */
    struct arili_value_sealer sealer; /* of a long value; slice and within: how far it is */
    bool sealing;
    uint32_t slice;
    size_t within;
    bool elsewhere;            /* a server of a Cluster said so: it begins anew */
    struct arili_node *ask_at; /* there, at once; NULL: where the map says */
    bool asking;               /* that is to be said before each command */
};

/* Begin it, and whatever comes. */
void arili_reseal_step(struct arili_job *job, struct arili_request *answer);
void arili_reseal_done(struct arili_job *job);
#endif
