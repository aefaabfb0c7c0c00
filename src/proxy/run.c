/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/run.h"
#include "base/bytes.h"
#include <stdarg.h>
#include <stdio.h>

/* --- Words ---------------------------------------------------------------------------------- */

static char lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : (char)c;
}

bool arili_word_is(aril_bytes arg, const char *word)
{
    size_t i = 0;
    for (; i < arg.len && word[i] != '\0'; i++) {
        if (lower(arg.data[i]) != word[i]) {
            return false;
        }
    }
    return i == arg.len && word[i] == '\0';
}

bool arili_word_number(aril_bytes arg, int64_t *ret)
{
    const bool minus = arg.len > 0 && arg.data[0] == '-';
    uint64_t n = 0;
    const size_t first = minus ? 1 : 0;
    if (arg.len == first || arg.len - first > 19 || (arg.data[first] == '0' && arg.len > 1)) {
        return false;
    }
    for (size_t i = first; i < arg.len; i++) {
        if (arg.data[i] < '0' || arg.data[i] > '9') {
            return false;
        }
        n = n * 10 + (uint64_t)(arg.data[i] - '0');
    }
    if (n > (uint64_t)INT64_MAX) {
        return false;
    }
    *ret = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

bool arili_word_is_option(aril_bytes arg)
{
    static const char *const words[] = { "ex",      "px",    "exat", "pxat",       "nx",
                                         "xx",      "gt",    "lt",   "get",        "keepttl",
                                         "persist", "count", "type", "withvalues", "samples",
                                         "string",  "list",  "set",  "zset",       "hash",
                                         "stream" };
    size_t i = arg.len > 1 && (arg.data[0] == '-' || arg.data[0] == '+') ? 1 : 0;
    while (i < arg.len && arg.data[i] >= '0' && arg.data[i] <= '9') {
        i++;
    }
    if (i == arg.len && i > 0) {
        return true;
    }
    for (i = 0; i < sizeof words / sizeof *words; i++) {
        if (arili_word_is(arg, words[i])) {
            return true;
        }
    }
    return false;
}

/* --- Answers of our own --------------------------------------------------------------------- */

struct arili_request *arili_here(struct arili_running *run)
{
    struct arili_request *r = arili_request_new(run->c->peer.loop);
    if (r == NULL) {
        arili_peer_end(&run->c->peer);
        return NULL;
    }
    r->command = run->command;
    r->resp3 = run->c->resp3;
    return r;
}

enum arili_ran arili_here_end(struct arili_running *run, struct arili_request *r)
{
    r->answered = true;
    arili_client_append(run->c, r);
    arili_client_advance(run->c);
    return ARILI_RAN;
}

enum arili_ran arili_refuse(struct arili_running *run, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct arili_client *c = run->c;
    if (c->tenant != NULL) {
        arili_figure_add(&c->tenant->figures.refused, 1);
    }
    c->multi_bad = c->multi_bad || c->in_multi;
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    arili_say_error(&r->out, "%s", text);
    return arili_here_end(run, r);
}

enum arili_ran arili_wrong_count(struct arili_running *run)
{
    struct arili_place place;
    enum arili_ran ran = ARILI_RAN;
    if (!run->c->in_multi) {
        return arili_refuse(run, "ERR wrong number of arguments for '%s' command",
                            run->command->name);
    }
    if (!arili_run_place(run, run->args[1], &place) || !arili_send_begin(run, &place, &ran)) {
        return ran;
    }
    const size_t more = run->count % 2 == 0 ? 2 : 3; /* as wrong, and without what it holds */
    arili_send_count(run, 2 + more);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, &place);
    for (size_t i = 0; i < more; i++) {
        arili_send_name(run, &place); /* which a Cluster takes for a key, too */
    }
    return arili_send_end(run, ARILI_SHAPE_RAW);
}

enum arili_ran arili_no_memory(struct arili_running *run)
{
    arili_request_free(run->c->peer.loop, run->r);
    run->r = NULL;
    return arili_refuse(run, "ERR aril: out of memory");
}

bool arili_run_alone(const struct arili_running *run)
{
    return run->c->count == 0;
}

/* --- Policies ------------------------------------------------------------------------------- */

/* The next key of a command, from index i on; count: there is none. */
size_t arili_run_key_from(const struct arili_running *run, size_t i)
{
    size_t best = run->count;
    for (size_t k = 0; k < 2; k++) {
        const struct arili_key_range *range = &run->key_args.ranges[k];
        if (range->step == 0 || i > range->last) {
            continue;
        }
        const size_t behind = i > range->first ? i - range->first : 0;
        const size_t at = range->first + (behind + range->step - 1) / range->step * range->step;
        best = at <= range->last && at < best ? at : best;
    }
    return best;
}

/* All keys of a command have policies that treat values alike. False: an error was answered. */
static bool find_policy(struct arili_running *run)
{
    const struct arili_client *c = run->c;
    const aril_bytes tenant = { (const uint8_t *)c->tenant->id, c->tenant->id_len };
    for (size_t i = arili_run_key_from(run, 0); i < run->count;
         i = arili_run_key_from(run, i + 1)) {
        const struct arili_policy_config *p =
            arili_config_policy(c->settings->config, tenant, run->args[i]);
        if (p->values == ARILI_VALUES_DENY) {
            (void)arili_refuse(run, "NOPERM aril: the policy \"%s\" denies this key", p->pattern);
            return false;
        }
        if (run->policy != NULL && run->policy->values != p->values) {
            (void)arili_refuse(run, "ERR aril: some of these keys are sealed and some are not; use "
                                    "them one by one");
            return false;
        }
        run->policy = run->policy == NULL ? p : run->policy;
    }
    return true;
}

/* The row says why. */
static enum arili_ran refused(struct arili_running *run)
{
    struct arili_client *c = run->c;
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    c->multi_bad = c->multi_bad || c->in_multi;
    if (c->tenant != NULL) {
        arili_figure_add(&c->tenant->figures.refused, 1);
    }
    arili_say_refused(&r->out, run->command);
    return arili_here_end(run, r);
}

/* --- Dispatch ------------------------------------------------------------------------------- */

static enum arili_ran local(struct arili_running *run)
{
    struct arili_client *c = run->c;
    struct arili_request *r = NULL;
    arili_client_describe(c);
    if (arili_transaction_is_nowhere(c)) {
        r = arili_transaction_keep(run);
        if (r != NULL) {
            arili_local_answer(&c->local, run->command, run->args, run->count, &r->mine);
        }
        return ARILI_RAN;
    }
    if (c->in_multi) { /* a PING holds its place in the transaction */
        enum arili_ran ran = ARILI_RAN;
        if (!arili_send_begin(run, NULL, &ran)) {
            return ran;
        }
        arili_send_count(run, 1);
        arili_send_arg(run, ARILI_LITERAL("PING"));
        run->r->here = true;
        arili_local_answer(&c->local, run->command, run->args, run->count, &run->r->mine);
        return arili_send_end(run, ARILI_SHAPE_RAW);
    }
    r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    arili_local_answer(&c->local, run->command, run->args, run->count, &r->out);
    return arili_here_end(run, r);
}

uint64_t arili_policy_value_max(const struct arili_proxy_config *config,
                                const struct arili_policy_config *policy)
{
    if (policy->values == ARILI_VALUES_PASS) {
        return UINT64_MAX;
    }
    return policy->streaming ? ARILI_VALUE_BODY_MAX : config->max_verified_value;
}

static enum arili_ran too_long(struct arili_running *run, uint64_t bytes)
{
    if (bytes > ARILI_VALUE_BODY_MAX) {
        return arili_refuse(run,
                            "ERR aril: the value has %llu bytes, and a sealed one %llu at most; "
                            "cut it into several",
                            (unsigned long long)bytes, (unsigned long long)ARILI_VALUE_BODY_MAX);
    }
    return arili_refuse(run,
                        "ERR aril: the value has %llu bytes, more than max_verified_value; "
                        "allow streaming in its policy, or raise the limit",
                        (unsigned long long)bytes);
}

/* No argument is longer than a value may be, or that was said. What was held apart was looked at
 * when it came. */
static bool are_short(struct arili_running *run)
{
    const uint64_t max = arili_policy_value_max(run->c->settings->config, run->policy);
    for (size_t i = 2; i < run->count; i++) {
        if (run->args[i].len > max) {
            (void)too_long(run, run->args[i].len);
            return false;
        }
    }
    return true;
}

/* What gives a server a value of ours. EXPIRE and its kin do only where a value must live longer
 * than it was sealed for: job_reseal.c looks. */
static bool is_sealing(enum arili_verb verb)
{
    switch (verb) {
    case ARILI_VERB_SET:
    case ARILI_VERB_SETEX:
    case ARILI_VERB_SETNX:
    case ARILI_VERB_GETSET:
    case ARILI_VERB_MSET:
    case ARILI_VERB_MSETNX:
    case ARILI_VERB_HSET:
        return true;
    default:
        return false;
    }
}

/* A command with keys whose values are sealed. */
static enum arili_ran sealed(struct arili_running *run)
{
    if (is_sealing(run->command->verb) && (!arili_run_seals(run) || !are_short(run))) {
        return ARILI_RAN;
    }
    switch (run->command->verb) {
    case ARILI_VERB_KEY:
    case ARILI_VERB_COUNT_KEYS:
    case ARILI_VERB_OBJECT:
        return arili_run_keyed(run);
    case ARILI_VERB_GET:
    case ARILI_VERB_SET:
    case ARILI_VERB_SETEX:
    case ARILI_VERB_SETNX:
    case ARILI_VERB_GETSET:
    case ARILI_VERB_STRLEN:
        return arili_run_string(run);
    case ARILI_VERB_MGET:
    case ARILI_VERB_MSET:
    case ARILI_VERB_MSETNX:
        return arili_run_strings(run);
    case ARILI_VERB_GETEX:
        return arili_run_getex(run);
    case ARILI_VERB_EXPIRE:
    case ARILI_VERB_PERSIST:
        return arili_run_expire(run);
    case ARILI_VERB_SMEMBERS_IN:
    case ARILI_VERB_SMEMBERS_OUT:
    case ARILI_VERB_SSCAN:
        return arili_run_set(run);
    case ARILI_VERB_HSET:
    case ARILI_VERB_HGET:
    case ARILI_VERB_HMGET:
    case ARILI_VERB_HGETALL:
    case ARILI_VERB_HVALS:
    case ARILI_VERB_HKEYS:
    case ARILI_VERB_HFIELDS:
    case ARILI_VERB_HSTRLEN:
    case ARILI_VERB_HSCAN:
    case ARILI_VERB_HRANDFIELD:
        return arili_run_hash(run);
    default:
        return refused(run);
    }
}

static enum arili_ran keyed(struct arili_running *run)
{
    const uint16_t flags = run->command->flags;
    if (!find_policy(run) || !arili_run_keys(run)) {
        return ARILI_RAN;
    }
    if (run->command->verb == ARILI_VERB_WATCH) {
        return arili_run_transaction(run);
    }
    if (run->policy->values == ARILI_VALUES_PASS) {
        return (flags & ARILI_COMMAND_PASS) != 0 ? arili_run_keyed(run) : refused(run);
    }
    if (run->c->in_multi && (flags & ARILI_COMMAND_NO_MULTI) != 0) {
        return arili_refuse(run, "ERR aril: '%s' is refused inside MULTI", run->command->name);
    }
    return sealed(run);
}

static enum arili_ran dispatch(struct arili_running *run)
{
    switch (run->command->verb) {
    case ARILI_VERB_LOCAL:
    case ARILI_VERB_CLUSTER:
        return local(run);
    case ARILI_VERB_LOGIN:
        return arili_run_login(run);
    case ARILI_VERB_MULTI:
    case ARILI_VERB_UNWATCH:
        return arili_run_transaction(run);
    case ARILI_VERB_REFUSED:
        if ((run->command->flags & ARILI_COMMAND_PASS) == 0) {
            return refused(run);
        }
        break;
    case ARILI_VERB_SCAN:
        return arili_run_keys(run) ? arili_run_scan(run) : ARILI_RAN;
    case ARILI_VERB_KEYS:
    case ARILI_VERB_DBSIZE:
    case ARILI_VERB_FLUSH:
    case ARILI_VERB_RANDOMKEY:
        return arili_run_keys(run) ? arili_run_walk(run) : ARILI_RAN;
    default:
        break;
    }
    if (!arili_command_keys(run->command, run->args, run->count, &run->key_args)) {
        return refused(run);
    }
    return arili_run_key_from(run, 0) < run->count ? keyed(run) : refused(run);
}

/* Not in the table, or of the wrong length. */
static enum arili_ran no_command(struct arili_running *run)
{
    struct arili_client *c = run->c;
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    c->multi_bad = c->multi_bad || c->in_multi;
    if (arili_local_resolve(run->args, run->count, &r->out) != NULL) {
        arili_say_error(&r->out,
                        "ERR aril: the command cannot be run"); /* it was looked up before */
    }
    return arili_here_end(run, r);
}

static enum arili_ran check_and_dispatch(struct arili_running *run)
{
    struct arili_client *c = run->c;
    const struct arili_command *command = run->command;
    if (command == NULL || !arili_command_arity_fits(command, run->count)) {
        return no_command(run);
    }
    if (c->tenant == NULL && (command->flags & ARILI_COMMAND_NO_AUTH) == 0) {
        return arili_refuse(run, "%s",
                            arili_client_may_say(c) ? "NOAUTH Authentication required."
                                                    : ARILI_NOBODY_TEXT);
    }
    const bool own = command->verb == ARILI_VERB_MULTI || command->verb == ARILI_VERB_WATCH;
    if (c->in_multi && (command->flags & ARILI_COMMAND_NO_MULTI) != 0 && !own &&
        command->first_key == 0) {
        return arili_refuse(run, "ERR aril: '%s' is refused inside MULTI", command->name);
    }
    return dispatch(run);
}

enum arili_ran arili_run(struct arili_client *c)
{
    struct arili_running run = { .c = c,
                                 .command = arili_command_resolve(c->args, c->arg_count),
                                 .args = c->args,
                                 .count = c->arg_count,
                                 .now_ms = c->peer.loop->now_ms };
    if (c->stream_held) {
        return arili_held_more(c);
    }
    if (c->streamed) { /* it has gone already */
        arili_stream_end(c);
        return ARILI_RAN;
    }
    if (c->no_room) {
        return arili_refuse(&run, "ERR aril: there is no memory for this value now; try again");
    }
    if (c->value_too_long) {
        return too_long(&run, c->value_bytes);
    }
    const enum arili_ran ran = check_and_dispatch(&run);
    arili_tenant_keys_drop(run.keys);
    return ran;
}
