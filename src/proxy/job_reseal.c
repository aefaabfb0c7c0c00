/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/opening.h"
#include "proxy/run.h"
#include <stdio.h>
#include <string.h>

/*
 * A sealed value has an upper bound of its life inside. What makes a value live longer than that
 * seals it again: EXPIRE and its kin, PERSIST, GETEX, SET ... KEEPTTL. All of it happens between
 * WATCH and EXEC on a link of its own, so that nothing that others write is lost.
 *
 *   WATCH name   then   EXPIRE, PERSIST: the value's header     GETEX: the value     KEEPTTL: PTTL
 *   MULTI   [SET name VALUE KEEPTTL]   [EXPIRE name ...]   EXEC        again when EXEC is nil
 */
#define TRIES_MAX     64u
#define WORDS_MAX     3u
#define WORD_BYTES    32u
#define SEAL_STEP     ((uint64_t)1 << 20)
#define CLOCK_STEP_MS 1000u

enum what { WHAT_EXPIRE, WHAT_GETEX, WHAT_KEEPTTL };
enum stage { STAGE_BEGIN, STAGE_WATCHED, STAGE_VALUE, STAGE_COMMIT };

struct only { /* when EXPIRE has an effect */
    bool nx, xx, lt;
};
struct reseal {
    struct arili_job job; /* first */
    enum what what;
    struct arili_tenant *tenant;
    struct arili_tenant_keys *keys;
    struct arili_place place;
    uint64_t wanted_ms; /* the value must be allowed to live so long */
    uint64_t max_ms;    /* what the policy allows */
    /* What follows the name in the last command: "EXPIRE" name word word. */
    char verb[16];
    char words[WORDS_MAX][WORD_BYTES];
    size_t word_count;
    bool nx, xx; /* of SET */
    struct only only;
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

static void reseal_done(struct arili_job *job)
{
    struct reseal *s = (struct reseal *)job;
    if (s->sealing) {
        arili_forgive(arili_value_sealer_done(&s->sealer));
    }
    arili_flow_done(&s->plain);
    arili_tenant_keys_drop(s->keys);
}

static aril_bytes text_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static aril_bytes name_of(const struct reseal *s)
{
    return (aril_bytes){ (const uint8_t *)s->place.name, s->place.name_len };
}

/* --- Values that are none ------------------------------------------------------------------- */

static void say_missing(struct reseal *s)
{
    struct arili_request *r = s->job.request;
    if (r != NULL && s->what == WHAT_EXPIRE) {
        arili_say_integer(&r->out, 0);
    } else if (r != NULL) {
        arili_say_nil(&r->out, r->resp3);
    }
}

/* The value that came did not open: what the policy wants is done before the client hears of it, as
 * with GET. When the client is gone it is told, and found again by the next who reads it. */
static void end_without_value(struct reseal *s, struct arili_request *answer)
{
    struct arili_request *r = s->job.request;
    const enum arili_ending ending = answer->value.ending;
    const aril_bytes key = r != NULL ? (aril_bytes){ r->key, r->key_len } : (aril_bytes){ NULL, 0 };
    if (r == NULL && (answer->place = arili_alloc(sizeof s->place)) != NULL) {
        *answer->place = s->place; /* its name is told */
    }
    if (ending == ARILI_ENDING_TAMPERED) {
        arili_bad_tell(answer, key);
    } else if (ending == ARILI_ENDING_EXPIRED) {
        arili_replay_tell(answer, key);
    }
    if (ending == ARILI_ENDING_TAMPERED && r != NULL) {
        answer->policy = r->policy;
        arili_opening_bad(answer, key);
        r->bad = answer->bad;
        answer->bad = NULL;
    }
    if (r != NULL && arili_ending_is_error(r, ending)) {
        arili_ending_say(&r->out, ending, answer->value.status, answer->value.plain_bytes);
    } else {
        say_missing(s);
    }
    arili_job_end(&s->job);
}

/* --- Steps ---------------------------------------------------------------------------------- */

/* False: no memory, and the job was failed. */
static bool say_asking(struct reseal *s)
{
    const aril_bytes asking = ARILI_LITERAL("ASKING");
    struct arili_link *link = s->job.link;
    if (!s->asking || link == NULL) {
        return true;
    }
    if (!arili_link_has_room(link)) {
        link->sticky = true;
        arili_job_fail(&s->job, "ERR aril: out of memory");
        return false;
    }
    arili_link_command(link, &asking, 1);
    (void)arili_link_expect(link, NULL, ARILI_SWALLOW_OK);
    return true;
}

static void ask_value(struct reseal *s, const aril_bytes get[2])
{
    if (!say_asking(s)) {
        return;
    }
    struct arili_request *r = arili_job_ask(&s->job, ARILI_SHAPE_PLAIN, get, 2);
    if (r != NULL) { /* else the job has ended, and s with it */
        arili_job_opens(r, s->tenant, s->keys, s->place.context);
    }
}

/* EXPIRE that changes nothing leaves the value alone: who watches it sees no change. */
static bool asks_ttl(const struct reseal *s)
{
    return s->what == WHAT_EXPIRE && (s->only.nx || s->only.xx || s->only.lt);
}

static bool changes_nothing(const struct reseal *s)
{
    const uint64_t now = s->job.loop->now_ms;
    const uint64_t until = now + (s->ttl_ms > 0 ? (uint64_t)s->ttl_ms : 0);
    return asks_ttl(s) && ((s->only.nx && s->ttl_ms >= 0) || (s->only.xx && s->ttl_ms < 0) ||
                           (s->only.lt && s->ttl_ms >= 0 && s->wanted_ms > until + CLOCK_STEP_MS));
}

static void ask_first(struct reseal *s)
{
    struct arili_job *job = &s->job;
    const aril_bytes watch[] = { ARILI_LITERAL("WATCH"), name_of(s) };
    const aril_bytes head[] = { ARILI_LITERAL("GETRANGE"), name_of(s), ARILI_LITERAL("0"),
                                ARILI_LITERAL("95") };
    const aril_bytes get[] = { ARILI_LITERAL("GET"), name_of(s) };
    const aril_bytes ttl[] = { ARILI_LITERAL("PTTL"), name_of(s) };
    struct arili_node *node = s->ask_at;
    s->asking = node != NULL;
    s->ask_at = NULL; /* where it has to wait for a link, it is told again */
    if (node == NULL) {
        node = arili_cluster_node(job->loop, arili_resp_slot(name_of(s)));
    }
    if (!arili_job_link(job, node)) {
        return;
    }
    job->stage = STAGE_WATCHED;
    s->answers = 0;
    job->link->sticky = true;
    if (!say_asking(s) || arili_job_ask(job, ARILI_SHAPE_COLLECT, watch, 2) == NULL) {
        return;
    }
    if (asks_ttl(s) &&
        (!say_asking(s) || arili_job_ask(job, ARILI_SHAPE_COLLECT, ttl, 2) == NULL)) {
        return;
    }
    if (s->what != WHAT_GETEX && !say_asking(s)) {
        return;
    }
    if (s->what == WHAT_EXPIRE) {
        (void)arili_job_ask(job, ARILI_SHAPE_COLLECT, head, 4);
    } else if (s->what == WHAT_KEEPTTL) {
        (void)arili_job_ask(job, ARILI_SHAPE_COLLECT, ttl, 2);
    } else {
        ask_value(s, get);
    }
}

/* What follows the value, and the end of the transaction. */
static void commit_rest(struct reseal *s)
{
    struct arili_job *job = &s->job;
    const aril_bytes exec = ARILI_LITERAL("EXEC");
    if (s->seals) {
        struct arili_flow *out = &job->link->peer.out;
        arili_say_bulk(out, ARILI_LITERAL("KEEPTTL"));
        if (s->nx || s->xx) {
            arili_say_bulk(out, s->nx ? ARILI_LITERAL("NX") : ARILI_LITERAL("XX"));
        }
        arili_peer_touch(&job->link->peer);
        if (arili_job_expect(job, ARILI_SHAPE_COLLECT) == NULL) {
            return;
        }
        arili_figure_add(&s->tenant->figures.resealed, 1);
    }
    if (s->verb[0] != '\0') {
        aril_bytes args[2 + WORDS_MAX] = { text_of(s->verb), name_of(s) };
        for (size_t i = 0; i < s->word_count; i++) {
            args[2 + i] = text_of(s->words[i]);
        }
        if (arili_job_ask(job, ARILI_SHAPE_COLLECT, args, 2 + s->word_count) == NULL) {
            return;
        }
    }
    (void)arili_job_ask(job, ARILI_SHAPE_COLLECT, &exec, 1);
}

/* A long value is sealed as fast as the server takes it, so that others have their turns. */
static void seal_more(struct arili_job *job)
{
    struct reseal *s = (struct reseal *)job;
    struct arili_flow *out = &job->link->peer.out;
    uint64_t done = 0;
    while (s->slice < s->plain.count && done < SEAL_STEP && out->bytes < SEAL_STEP) {
        const struct arili_slice *slice = &s->plain.slices[s->plain.first + s->slice];
        const size_t left = slice->len - s->within;
        const size_t n = left < ARILI_BLOCK_BYTES ? left : ARILI_BLOCK_BYTES;
        const uint8_t *from = slice->block->data + slice->at + s->within;
        if (arili_seal_span(&s->sealer, (aril_bytes){ from, n }, out) != ARIL_OK) {
            arili_job_fail(job, "ERR aril: the value could not be sealed");
            return;
        }
        done += n;
        s->within += n;
        if (s->within == slice->len) {
            s->slice++;
            s->within = 0;
        }
    }
    arili_peer_touch(&job->link->peer);
    if (s->slice < s->plain.count) {
        return; /* again when some of it was written */
    }
    job->wrote = NULL;
    s->sealing = false;
    job->link->half_sent = false;
    if (arili_value_sealer_done(&s->sealer) != ARIL_OK) {
        arili_job_fail(job, "ERR aril: the value could not be sealed");
        return;
    }
    arili_flow_put(out, ARILI_LITERAL("\r\n"));
    commit_rest(s);
}

static aril_status seal_begin(struct reseal *s)
{
    struct arili_job *job = &s->job;
    struct arili_flow *out = &job->link->peer.out;
    uint8_t header[ARILI_VALUE_HEADER_BYTES];
    const uint64_t not_after_ms = s->wanted_ms + CLOCK_STEP_MS;
    if (s->plain.bytes <= SEAL_STEP) {
        return arili_seal_bulk(job->loop, s->keys, s->place.context, not_after_ms,
                               (aril_bytes){ NULL, 0 }, &s->plain, out);
    }
    ARILI_TRY(arili_value_sealer_begin(&s->sealer, job->loop->proxy->rt, s->keys->data,
                                       s->place.context, job->loop->now_ms, not_after_ms,
                                       s->keys->generation, s->plain.bytes, header));
    s->sealing = true;
    s->slice = 0;
    s->within = 0;
    job->link->half_sent = true;
    job->wrote = seal_more;
    arili_say_header(out, '$', arili_sealed_bytes(s->plain.bytes));
    arili_flow_put(out, (aril_bytes){ header, sizeof header });
    return ARIL_OK;
}

static void commit(struct reseal *s)
{
    struct arili_job *job = &s->job;
    const aril_bytes multi = ARILI_LITERAL("MULTI");
    job->stage = STAGE_COMMIT;
    s->answers = 0;
    s->refused.kind = ARILI_RESP_MORE;
    if (s->seals && s->keys->seal_status != ARIL_OK) {
        arili_job_fail(job, "ERR aril: the value would have to be sealed anew, and this tenant's "
                            "values can be read, not written; rotate its key");
        return;
    }
    /* ASKING before MULTI holds until EXEC. */
    if (!say_asking(s) || arili_job_ask(job, ARILI_SHAPE_COLLECT, &multi, 1) == NULL) {
        return;
    }
    if (s->seals) {
        struct arili_flow *out = &job->link->peer.out;
        arili_say_header(out, '*', s->nx || s->xx ? 5 : 4);
        arili_say_bulk(out, ARILI_LITERAL("SET"));
        arili_say_bulk(out, name_of(s));
        if (seal_begin(s) != ARIL_OK) {
            arili_job_fail(job, "ERR aril: the value could not be sealed");
            return;
        }
        if (s->sealing) {
            seal_more(job);
            return;
        }
    }
    commit_rest(s);
}

static void fail_with(struct reseal *s, const struct arili_got *got)
{
    char text[300];
    (void)snprintf(text, sizeof text, "%.*s", (int)(got->len < 250 ? got->len : 250), got->text);
    arili_job_fail(&s->job, got->len > 0 ? text : "ERR aril: the server gave no answer");
}

static void say_result(struct reseal *s, const struct arili_got *got)
{
    struct arili_request *r = s->job.request;
    s->job.link->sticky = false;
    if (r != NULL && s->what == WHAT_EXPIRE) {
        arili_say_integer(&r->out, got->inner_number);
    } else if (r != NULL && s->what == WHAT_KEEPTTL) {
        if (got->inner_kind == ARILI_RESP_NIL) {
            arili_say_nil(&r->out, r->resp3);
        } else {
            arili_say_simple(&r->out, "OK");
        }
    }
    arili_job_end(&s->job);
}

/* Nothing was done: all of it again. */
static void begin_anew(struct reseal *s, const char *too_often)
{
    struct arili_job *job = &s->job;
    if (++job->tries >= TRIES_MAX) {
        arili_job_fail(job, too_often);
        return;
    }
    if (s->what != WHAT_KEEPTTL) {
        arili_flow_done(&s->plain);
    }
    if (s->what == WHAT_GETEX && job->request != NULL) {
        arili_flow_done(&job->request->out);
    }
    ask_first(s);
}

/* All of MULTI to EXEC was answered. */
static void committed(struct reseal *s, const struct arili_got *got)
{
    struct arili_job *job = &s->job;
    if (got->kind == ARILI_RESP_NIL) { /* somebody was quicker */
        job->link->sticky = false;
        begin_anew(s, "ERR aril: the key was changed again and again; try again");
        return;
    }
    if (got->kind != ARILI_RESP_ARRAY || got->inner_error) {
        job->link->sticky = false;
        fail_with(s, s->refused.kind == ARILI_RESP_ERROR ? &s->refused : got);
        return;
    }
    say_result(s, got);
}

/* The header of what is there, or the beginning of what is no value of ours. */
static void header_came(struct reseal *s, const struct arili_got *got)
{
    struct arili_value_header h;
    struct arili_job *job = &s->job;
    const aril_bytes get[] = { ARILI_LITERAL("GET"), name_of(s) };
    const bool whole = got->kind == ARILI_RESP_BULK && got->len == ARILI_VALUE_HEADER_BYTES;
    const bool own = whole && arili_value_peek(got->text, &h);
    const bool bad = got->kind == ARILI_RESP_BULK && got->len > 0 && !own;
    s->seals = own && !changes_nothing(s) && h.not_after_ms < s->wanted_ms;
    if (!s->seals && !bad) { /* nothing there, a hash or a set, or long enough: the server's own
                              * clock rules */
        commit(s);
        return;
    }
    job->stage = STAGE_VALUE;
    ask_value(s, get);
}

static void value_came(struct reseal *s, struct arili_request *answer)
{
    const bool hit = answer->got.kind == ARILI_RESP_BULK;
    if (hit && answer->value.ending != ARILI_ENDING_HIT) {
        end_without_value(s, answer);
        return;
    }
    s->seals = hit && answer->value.said.not_after_ms < s->wanted_ms;
    if (hit) {
        arili_flow_move(&s->plain, &answer->hold);
    }
    if (s->what == WHAT_GETEX) {
        struct arili_request *r = s->job.request;
        if (answer->got.kind == ARILI_RESP_ERROR) {
            fail_with(s, &answer->got);
            return;
        }
        if (!hit) { /* a miss has no time to live */
            arili_figure_add(&s->tenant->figures.misses, 1);
            say_missing(s);
            arili_job_end(&s->job);
            return;
        }
        if (r != NULL) {
            arili_say_header(&r->out, '$', s->plain.bytes);
            arili_flow_copy(&r->out, &s->plain);
            arili_flow_put(&r->out, ARILI_LITERAL("\r\n"));
        }
    }
    commit(s);
}

static void ttl_came(struct reseal *s, const struct arili_got *got)
{
    const uint64_t now = s->job.loop->now_ms;
    s->wanted_ms = got->kind == ARILI_RESP_INTEGER && got->number >= 0 &&
                           (uint64_t)got->number < s->max_ms - now
                       ? now + (uint64_t)got->number
                       : s->max_ms;
    commit(s);
}

/* MOVED or ASK: with the last answer it begins there. A transaction of which a command was answered
 * so is not done. */
static void went_elsewhere(struct reseal *s, struct arili_request *answer)
{
    bool ask = false;
    struct arili_node *node = NULL;
    s->elsewhere = true;
    if (answer->moved && arili_cluster_learn(answer, &ask, &node)) {
        s->ask_at = ask ? node : NULL;
    }
    if (s->job.owed == 0) {
        s->elsewhere = false;
        begin_anew(s, "TRYAGAIN aril: the slot of this key is on its way; try again");
    }
}

static void step(struct arili_job *job, struct arili_request *answer)
{
    struct reseal *s = (struct reseal *)job;
    if (answer == NULL) {
        ask_first(s);
        return;
    }
    if (answer->moved || (s->elsewhere && answer->got.kind != ARILI_RESP_MORE)) {
        went_elsewhere(s, answer);
        return;
    }
    if (answer->got.kind == ARILI_RESP_MORE) {
        arili_job_fail(job, "ERR aril: the connection to the server was lost; whether the command "
                            "was done is not known");
        return;
    }
    s->answers++;
    switch (job->stage) {
    case STAGE_WATCHED:
        if (s->answers < 2) { /* WATCH itself */
            if (answer->got.kind == ARILI_RESP_ERROR) {
                fail_with(s, &answer->got);
            }
            return;
        }
        if (s->answers == 2 && asks_ttl(s)) {
            s->ttl_ms = answer->got.kind == ARILI_RESP_INTEGER ? answer->got.number : -1;
            return;
        }
        if (s->what == WHAT_EXPIRE) {
            header_came(s, &answer->got);
        } else if (s->what == WHAT_GETEX) {
            value_came(s, answer);
        } else {
            ttl_came(s, &answer->got);
        }
        return;
    case STAGE_VALUE:
        value_came(s, answer);
        return;
    default:
        if (job->owed == 0 && !s->sealing) { /* else MULTI alone was */
            committed(s, &answer->got);
        } else if (answer->got.kind == ARILI_RESP_ERROR && s->refused.kind != ARILI_RESP_ERROR) {
            s->refused = answer->got; /* OOM, READONLY; EXEC will only say that there was one */
        }
        return;
    }
}

/* --- Beginning ------------------------------------------------------------------------------ */

static struct reseal *begin(struct arili_running *run, enum what what,
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
    struct reseal *s = arili_run_remember(run, run->args[1], NULL)
                           ? (struct reseal *)arili_job_new(c->peer.loop, sizeof *s, c, r, step)
                           : NULL;
    if (s == NULL) {
        arili_request_free(c->peer.loop, r);
        (void)arili_refuse(run, "ERR aril: out of memory");
        return NULL;
    }
    s->job.done = reseal_done;
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

static bool keep_word(struct reseal *s, aril_bytes word)
{
    if (s->word_count >= WORDS_MAX || word.len >= WORD_BYTES) {
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
    aril_bytes args[2 + WORDS_MAX];
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
static bool expire_options(const struct arili_running *run, struct only *ret)
{
    bool gt = false;
    *ret = (struct only){ .nx = false };
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
    const uint64_t max = arili_not_after(run, UINT64_MAX) - CLOCK_STEP_MS;
    uint64_t wanted = persist ? max : wanted_of(run);
    struct only only = { .nx = false };
    if (wanted == UINT64_MAX || wanted <= run->now_ms || run->count > 2 + WORDS_MAX ||
        (!persist && !expire_options(run, &only))) {
        return arili_run_keyed(run); /* the server says what is wrong with it, or ends the key */
    }
    wanted = wanted < max ? wanted : max;
    cut_time(run, &cut);
    if (run->c->in_multi) {
        return in_transaction(run, &place, wanted);
    }
    struct reseal *s = begin(run, WHAT_EXPIRE, &place, &ran);
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
    step(&s->job, NULL);
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
    struct reseal *s = begin(run, WHAT_GETEX, &place, &ran);
    if (s == NULL) {
        return ran;
    }
    const uint64_t max = s->max_ms - CLOCK_STEP_MS;
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
    step(&s->job, NULL);
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
    struct reseal *s = begin(run, WHAT_KEEPTTL, place, &ran);
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
    step(&s->job, NULL);
    return ARILI_RAN;
}
