/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_COMMANDS_H
#define ARILI_PROXY_COMMANDS_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * The table of commands, commands.def: one row for each command of Redis 7 that the proxy knows.
 * What the code does, what tests try, what COMMAND answers and docs/PROXY-COMMANDS.md come from it.
 * What is not in the table is refused.
 */

/* What the proxy does with a command whose key is sealed. */
enum arili_verb {
    ARILI_VERB_REFUSED = 0, /* the reason is in the row */
    ARILI_VERB_LOCAL,       /* answered here, proxy/local.c: PING, ECHO, CLIENT, INFO, COMMAND, ... */
    ARILI_VERB_LOGIN,       /* AUTH, HELLO, RESET, QUIT, SELECT: change the client's state */
    ARILI_VERB_KEY,         /* keys renamed, the answer as it is: TTL, TYPE, HLEN, SCARD, ... */
    ARILI_VERB_COUNT_KEYS,  /* the same; over a Cluster the sum of all parts: DEL, EXISTS, ... */
    ARILI_VERB_OBJECT,      /* OBJECT sub key, MEMORY USAGE key */
    ARILI_VERB_GET,         /* the answer is a value of the key: GET, GETDEL */
    ARILI_VERB_GETEX,
    ARILI_VERB_MGET,
    ARILI_VERB_SET,     /* SET key value [options] */
    ARILI_VERB_SETEX,   /* SETEX, PSETEX key time value */
    ARILI_VERB_SETNX,   /* key value; integer */
    ARILI_VERB_GETSET,  /* key value; the former value */
    ARILI_VERB_MSET,
    ARILI_VERB_MSETNX,
    ARILI_VERB_STRLEN,  /* length of the plaintext */
    ARILI_VERB_EXPIRE,  /* EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT */
    ARILI_VERB_PERSIST,
    ARILI_VERB_HSET,    /* HSET, HMSET key (field value)...; HSETNX */
    ARILI_VERB_HGET,
    ARILI_VERB_HMGET,
    ARILI_VERB_HGETALL,
    ARILI_VERB_HVALS,
    ARILI_VERB_HKEYS,
    ARILI_VERB_HFIELDS, /* fields sealed, the answer as it is: HDEL, HEXISTS */
    ARILI_VERB_HSTRLEN,
    ARILI_VERB_HSCAN,
    ARILI_VERB_HRANDFIELD,
    ARILI_VERB_SMEMBERS_IN,  /* members sealed, the answer as it is: SADD, SREM, SISMEMBER, ... */
    ARILI_VERB_SMEMBERS_OUT, /* members in the answer: SMEMBERS, SPOP, SRANDMEMBER */
    ARILI_VERB_SSCAN,
    ARILI_VERB_SCAN,
    ARILI_VERB_KEYS,
    ARILI_VERB_DBSIZE,
    ARILI_VERB_FLUSH, /* FLUSHDB, FLUSHALL: of this tenant */
    ARILI_VERB_RANDOMKEY,
    ARILI_VERB_MULTI, /* MULTI, EXEC, DISCARD */
    ARILI_VERB_WATCH,
    ARILI_VERB_UNWATCH,
    ARILI_VERB_CLUSTER /* CLUSTER SLOTS, SHARDS, NODES, ...: this proxy has all slots */
};

enum { /* flags of a row */
    ARILI_COMMAND_WRITE = 1u << 0,
    ARILI_COMMAND_FAST = 1u << 1,
    ARILI_COMMAND_NO_AUTH = 1u << 2,  /* allowed before AUTH */
    ARILI_COMMAND_NO_MULTI = 1u << 3, /* refused inside MULTI */
    ARILI_COMMAND_PASS = 1u << 4,     /* with a key of a "pass" policy it goes to the server as it is,
                                         keys renamed; only where no name is in the answer */
    ARILI_COMMAND_BLOCKS = 1u << 5
};

struct arili_command {
    const char *name; /* lower case */
    enum arili_verb verb;
    int16_t arity; /* as COMMAND has it: negative is "at least" */
    int16_t first_key, last_key, key_step; /* as COMMAND has them; 0: no keys */
    uint16_t flags;
    const char *group;   /* "string", "hash", ... for the document */
    const char *meaning; /* what happens to values and names, or why it is refused; one sentence */
};

/* NULL: not in the table. Any case. */
const struct arili_command *arili_command_find(aril_bytes name);
/* All rows, sorted by name. */
const struct arili_command *arili_command_table(size_t *ret_count);
bool arili_command_arity_fits(const struct arili_command *c, size_t args);
#endif
