/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "proxy/job_reseal.h"
#include <stdio.h>
#include <string.h>

/* EXPIRE and its kin, PERSIST, GETEX, SET ... KEEPTTL: commands that may have to seal a value
 * again. */

/* --- Beginning ------------------------------------------------------------------------------ */

static struct arili_reseal *begin(struct arili_running *run, enum arili_reseal_what what,
                                  const struct arili_place *place, enum arili_ran *ran)
{
    struct arili_client *c = run->c;
    *ran = ARILI_RAN;
    if (!arili_run_alone(run)) {
        *ran = ARILI_RAN_LATER;
        return NULL;
    }
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return NULL;
    }
    run->r = r;
    r->database = c->database;
    struct arili_reseal *s =
        arili_run_remember(run, run->args[1], NULL)
            ? (struct arili_reseal *)arili_job_new(c->peer.loop, sizeof *s, c, r, arili_reseal_step)
            : NULL;
    if (s == NULL) {
        arili_request_free(c->peer.loop, r);
        (void)arili_refuse(run, "ERR aril: out of memory");
        return NULL;
    }
    s->job.done = arili_reseal_done;
    s->what = what;
    s->tenant = c->tenant;
    s->keys = run->keys;
    atomic_fetch_add(&run->keys->refs, 1);
    s->place = *place;
    s->max_ms = arili_not_after(run, UINT64_MAX);
    arili_flow_init(&s->plain, &c->peer.loop->blocks);
    arili_client_append(c, r);
    return s;
}

static bool keep_word(struct arili_reseal *s, aril_bytes word)
{
    if (s->word_count >= ARILI_RESEAL_WORDS_MAX || word.len >= ARILI_RESEAL_WORD_BYTES) {
        return false;
    }
    if (!arili_word_is_option(word)) { /* the server says what it is not */
        word = ARILI_LITERAL("x");
    }
    memcpy(s->words[s->word_count++], word.data, word.len);
    return true;
}

/* When the key would end, in milliseconds since 1970; 0: at once, UINT64_MAX: not a number. */
static uint64_t wanted_of(const struct arili_running *run)
{
    const char *name = run->command->name;
    const bool absolute = strstr(name, "at") != NULL;
    const bool seconds = name[0] == 'e';
    int64_t n = 0;
    if (!arili_word_number(run->args[2], &n) || (seconds && n > INT64_MAX / 1000)) {
        return UINT64_MAX;
    }
    if (n <= 0) {
        return 0;
    }
    const uint64_t ms = (uint64_t)n * (seconds ? 1000 : 1);
    return absolute ? ms : run->now_ms + ms;
}

/* Arguments of EXPIRE and its kin, with a time that the policy allows. They lie in the object. */
struct cut {
    aril_bytes args[2 + ARILI_RESEAL_WORDS_MAX];
    char room[ARILI_TIME_TEXT];
};
static void cut_time(struct arili_running *run, struct cut *ret)
{
    const char *name = run->command->name;
    for (size_t i = 0; i < run->count; i++) {
        ret->args[i] = run->args[i];
    }
    if (run->count > 2) { /* else it is PERSIST */
        ret->args[2] = arili_time_cut(run, name[0] == 'e', strstr(name, "at") != NULL, run->args[2],
                                      ret->room);
    }
    run->args = ret->args;
}

/* --- In a transaction ----------------------------------------------------------------------- */

/* There nothing can be sealed again, so it is looked first whether that would be needed. */
struct look {
    struct arili_job job; /* first */
    struct arili_place place;
    uint64_t wanted_ms;
};

static void look_step(struct arili_job *job, struct arili_request *answer)
{
    struct look *l = (struct look *)job;
    const aril_bytes name = { (const uint8_t *)l->place.name, l->place.name_len };
    const aril_bytes head[] = { ARILI_LITERAL("GETRANGE"), name, ARILI_LITERAL("0"),
                                ARILI_LITERAL("95") };
    struct arili_value_header h;
    if (answer == NULL) {
        if (arili_job_link(job, arili_cluster_node(job->loop, arili_resp_slot(name)))) {
            (void)arili_job_ask(job, ARILI_SHAPE_COLLECT, head, 4);
        }
        return;
    }
    const struct arili_got *got = &answer->got;
    const bool value = got->kind == ARILI_RESP_BULK && got->len == ARILI_VALUE_HEADER_BYTES &&
                       arili_value_peek(got->text, &h);
    const bool lost = got->kind == ARILI_RESP_MORE;
    if (job->client != NULL) {
        job->client->look = lost || (value && h.not_after_ms < l->wanted_ms) ? 2 : 1;
    }
    arili_job_end(job);
}

static enum arili_ran look_first(struct arili_running *run, const struct arili_place *place,
                                 uint64_t wanted_ms)
{
    struct arili_client *c = run->c;
    struct look *l = (struct look *)arili_job_new(c->peer.loop, sizeof *l, c, NULL, look_step);
    if (l == NULL) {
        return arili_refuse(run, "ERR aril: out of memory");
    }
    l->place = *place;
    l->wanted_ms = wanted_ms;
    look_step(&l->job, NULL);
    return ARILI_RAN_LATER;
}

static enum arili_ran in_transaction(struct arili_running *run, const struct arili_place *place,
                                     uint64_t wanted_ms)
{
    struct arili_client *c = run->c;
    const uint64_t known = arili_transaction_knows(c, place);
    const int look = c->look;
    c->look = 0;
    if (known != 0 ? known >= wanted_ms : look == 1) {
        return arili_run_keyed(run);
    }
    if (known == 0 && look == 0) {
        return look_first(run, place, wanted_ms);
    }
    return arili_refuse(run,
                        "ERR aril: '%s' would make a sealed value live longer than its seal "
                        "says, which MULTI cannot do; set the key with its time to live, or "
                        "do it outside MULTI",
                        run->command->name);
}

/* --- Verbs ---------------------------------------------------------------------------------- */

/* The options of EXPIRE. False: the server refuses them. */
static bool expire_options(const struct arili_running *run, struct arili_expire_only *ret)
{
    bool gt = false;
    *ret = (struct arili_expire_only){ .nx = false };
    for (size_t i = 3; i < run->count; i++) {
        bool *const option = arili_word_is(run->args[i], "nx")   ? &ret->nx
                             : arili_word_is(run->args[i], "xx") ? &ret->xx
                             : arili_word_is(run->args[i], "gt") ? &gt
                             : arili_word_is(run->args[i], "lt") ? &ret->lt
                                                                 : NULL;
        if (option == NULL) {
            return false;
        }
        *option = true;
    }
    return !(gt && ret->lt) && !(ret->nx && (ret->xx || gt || ret->lt));
}

enum arili_ran arili_run_expire(struct arili_running *run)
{
    struct arili_place place;
    struct cut cut;
    enum arili_ran ran = ARILI_RAN;
    const bool persist = run->command->verb == ARILI_VERB_PERSIST;
    if (!arili_run_place(run, run->args[1], &place)) {
        return ARILI_RAN;
    }
    const uint64_t max = arili_not_after(run, UINT64_MAX) - ARILI_CLOCK_STEP_MS;
    uint64_t wanted = persist ? max : wanted_of(run);
    struct arili_expire_only only = { .nx = false };
    if (wanted == UINT64_MAX || wanted <= run->now_ms || run->count > 2 + ARILI_RESEAL_WORDS_MAX ||
        (!persist && !expire_options(run, &only))) {
        return arili_run_keyed(run); /* the server says what is wrong with it, or ends the key */
    }
    wanted = wanted < max ? wanted : max;
    cut_time(run, &cut);
    if (run->c->in_multi) {
        return in_transaction(run, &place, wanted);
    }
    struct arili_reseal *s = begin(run, ARILI_RESEAL_EXPIRE, &place, &ran);
    if (s == NULL) {
        return ran;
    }
    s->wanted_ms = wanted;
    s->only = only;
    memcpy(s->verb, run->command->name, strlen(run->command->name));
    for (size_t i = 2; i < run->count; i++) {
        if (!keep_word(s, run->args[i])) {
            arili_job_fail(&s->job, "ERR syntax error");
            return ARILI_RAN;
        }
    }
    arili_reseal_step(&s->job, NULL);
    return ARILI_RAN;
}

static enum arili_ran plain_getex(struct arili_running *run, const struct arili_place *place)
{
    enum arili_ran ran = ARILI_RAN;
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    struct arili_request *r = run->r;
    if (!arili_run_remember(run, run->args[1], NULL)) {
        arili_request_free(run->c->peer.loop, r);
        return arili_refuse(run, "ERR aril: out of memory");
    }
    memcpy(r->asked_one.context, place->context, sizeof r->asked_one.context);
    r->asked_one.text = (aril_bytes){ r->key, r->key_len };
    r->asked = &r->asked_one;
    r->asked_count = 1;
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    for (size_t i = 2; i < run->count; i++) {
        arili_send_option(run, run->args[i]);
    }
    return arili_send_end(run, ARILI_SHAPE_VALUE);
}

enum arili_ran arili_run_getex(struct arili_running *run)
{
    struct arili_place place;
    struct arili_set_options o;
    enum arili_ran ran = ARILI_RAN;
    if (!arili_run_place(run, run->args[1], &place)) {
        return ARILI_RAN;
    }
    arili_set_options(run->args + 2, run->count - 2, run->now_ms, &o);
    const bool one = o.persist != o.has_ttl && !o.other && !o.nx && !o.xx && !o.get && !o.keepttl;
    if (!one || o.bad_ttl || run->count > (o.persist ? 3u : 4u)) {
        return plain_getex(run, &place); /* no option, or one that the server refuses */
    }
    if (run->c->in_multi) {
        return arili_refuse(run,
                            "ERR aril: GETEX with options is refused inside MULTI: it may have "
                            "to seal the value again");
    }
    struct arili_reseal *s = begin(run, ARILI_RESEAL_GETEX, &place, &ran);
    if (s == NULL) {
        return ran;
    }
    const uint64_t max = s->max_ms - ARILI_CLOCK_STEP_MS;
    s->wanted_ms = o.persist || o.ttl_ms > max - run->now_ms ? max : run->now_ms + o.ttl_ms;
    /* The same in a command that does not send the value again. */
    (void)snprintf(s->verb, sizeof s->verb, "%s",
                   o.persist                             ? "PERSIST"
                   : arili_word_is(run->args[2], "ex")   ? "EXPIRE"
                   : arili_word_is(run->args[2], "px")   ? "PEXPIRE"
                   : arili_word_is(run->args[2], "exat") ? "EXPIREAT"
                                                         : "PEXPIREAT");
    const bool seconds = arili_word_is(run->args[2], "ex") || arili_word_is(run->args[2], "exat");
    char room[ARILI_TIME_TEXT];
    if (!o.persist &&
        !keep_word(s, arili_time_cut(run, seconds, run->args[2].len == 4, run->args[3], room))) {
        arili_job_fail(&s->job, "ERR value is not an integer or out of range");
        return ARILI_RAN;
    }
    arili_reseal_step(&s->job, NULL);
    return ARILI_RAN;
}

enum arili_ran arili_run_keepttl(struct arili_running *run, const struct arili_place *place)
{
    struct arili_set_options o;
    enum arili_ran ran = ARILI_RAN;
    arili_set_options(run->args + 3, run->count - 3, run->now_ms, &o);
    if (o.other || o.has_ttl || o.persist || (o.nx && o.xx)) {
        return arili_refuse(run, "ERR syntax error");
    }
    if (o.get || run->c->in_multi) {
        return arili_refuse(run, "ERR aril: SET with KEEPTTL is refused %s",
                            o.get ? "together with GET" : "inside MULTI");
    }
    struct arili_reseal *s = begin(run, ARILI_RESEAL_KEEPTTL, place, &ran);
    if (s == NULL) {
        return ran;
    }
    s->seals = true;
    s->nx = o.nx;
    s->xx = o.xx;
    if (run->c->value_arg == 2) {
        arili_flow_move(&s->plain, &run->c->value);
    } else {
        arili_flow_put(&s->plain, run->args[2]);
    }
    arili_reseal_step(&s->job, NULL);
    return ARILI_RAN;
}
