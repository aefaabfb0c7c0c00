/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_COMMANDS_H
#define ARILI_PROXY_COMMANDS_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * The table of commands, commands.def: one row for each command and sub-command of Redis 7 that the
 * proxy knows. What the code does, what tests try, what COMMAND answers and docs/PROXY-COMMANDS.md
 * come from it. What is not in the table is refused.
 *
 * Commands with sub-commands (ARILI_COMMAND_CONTAINER) have a row that says little, and one for
 * each sub-command, "client|id", with verb, arity, keys and flags of its own:
 * arili_command_resolve().
 */

/* What the proxy does with a command whose key is sealed. */
enum arili_verb {
    ARILI_VERB_REFUSED = 0, /* the reason is in the row */
    ARILI_VERB_LOCAL, /* answered here, proxy/local.c: PING, ECHO, CLIENT, INFO, COMMAND, ... */
    ARILI_VERB_LOGIN, /* AUTH, HELLO, RESET, QUIT, SELECT: change the client's state */
    ARILI_VERB_KEY,   /* keys renamed, the answer as it is: TTL, TYPE, HLEN, SCARD, ... */
    ARILI_VERB_COUNT_KEYS, /* the same; over a Cluster the sum of all parts: DEL, EXISTS, ... */
    ARILI_VERB_OBJECT,     /* OBJECT sub key, MEMORY USAGE key */
    ARILI_VERB_GET,        /* the answer is a value of the key: GET, GETDEL */
    ARILI_VERB_GETEX,
    ARILI_VERB_MGET,
    ARILI_VERB_SET,    /* SET key value [options] */
    ARILI_VERB_SETEX,  /* SETEX, PSETEX key time value */
    ARILI_VERB_SETNX,  /* key value; integer */
    ARILI_VERB_GETSET, /* key value; the former value */
    ARILI_VERB_MSET,
    ARILI_VERB_MSETNX,
    ARILI_VERB_STRLEN, /* length of the plaintext */
    ARILI_VERB_EXPIRE, /* EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT */
    ARILI_VERB_PERSIST,
    ARILI_VERB_HSET, /* HSET, HMSET key (field value)...; HSETNX */
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
       ARILI_COMMAND_NO_MULTI = 1u << 3, /* refused inside MULTI, but for keys that are passed */
       ARILI_COMMAND_PASS = 1u << 4, /* with a key of a "pass" policy it goes to the server as it
                                        is, keys renamed; only where no name is in the answer */
       ARILI_COMMAND_BLOCKS = 1u << 5,
       ARILI_COMMAND_MOVABLE = 1u << 6,   /* it has keys that this table cannot find */
       ARILI_COMMAND_CONTAINER = 1u << 7, /* args[1] is a sub-command */
       ARILI_COMMAND_SUB = 1u << 8        /* a row of a sub-command */
};

struct arili_command {
    const char *name; /* lower case; "client|id" of a sub-command */
    enum arili_verb verb;
    int16_t arity;                         /* as COMMAND has it: negative is "at least" */
    int16_t first_key, last_key, key_step; /* as COMMAND has them; 0: no keys */
    int16_t numkeys; /* the argument that says how many keys follow it, ZUNION; 0: none does */
    uint16_t flags;
    const char *group;   /* "string", "hash", ... for the document */
    const char *since;   /* version of Redis, "7.0.0" */
    const char *meaning; /* what happens to values and names, or why it is refused; one sentence */
};

/* NULL: not in the table. Any case. The row of a container, never one of a sub-command. */
const struct arili_command *arili_command_find(aril_bytes name);
/* The same for "client|id" too, as COMMAND INFO has it. */
const struct arili_command *arili_command_find_any(aril_bytes name);
/* The row that tells what to do: that of the sub-command, where there is one. count is at least 1.
 * A container alone is its own row, of an arity that does not fit. NULL: not in the table. */
const struct arili_command *arili_command_resolve(const aril_bytes *args, size_t count);
/* All rows, sorted by name; those of sub-commands stand behind their container. */
const struct arili_command *arili_command_table(size_t *ret_count);
/* args counts the name, and that of a sub-command. */
bool arili_command_arity_fits(const struct arili_command *c, size_t args);
/* Whether it is ever answered or passed: what COMMAND lists. */
bool arili_command_is_served(const struct arili_command *c);

/* Where keys are among the arguments: two ranges at most, as in ZUNIONSTORE, whose destination
 * stands before the number of keys. step 0: an empty range. */
struct arili_key_range {
    size_t first, last, step; /* indexes, last included and reached in whole steps */
};
struct arili_command_keys {
    struct arili_key_range ranges[2];
};
/* False, with *ret all zero: the number of keys is no number or more than there are arguments, or
 * the row cannot tell (MOVABLE). No keys at all is true. The arity fits. Every index is below
 * count. */
bool arili_command_keys(const struct arili_command *c, const aril_bytes *args, size_t count,
                        struct arili_command_keys *ret);
#endif
