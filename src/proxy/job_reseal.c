/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/job_reseal.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/opening.h"
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
#define TRIES_MAX 64u
#define SEAL_STEP ((uint64_t)1 << 20)

enum stage { STAGE_BEGIN, STAGE_WATCHED, STAGE_VALUE, STAGE_COMMIT };

void arili_reseal_done(struct arili_job *job)
{
    struct arili_reseal *s = (struct arili_reseal *)job;
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

static aril_bytes name_of(const struct arili_reseal *s)
{
    return (aril_bytes){ (const uint8_t *)s->place.name, s->place.name_len };
}

/* --- Values that are none ------------------------------------------------------------------- */

static void say_missing(struct arili_reseal *s)
{
    struct arili_request *r = s->job.request;
    if (r != NULL && s->what == ARILI_RESEAL_EXPIRE) {
        arili_say_integer(&r->out, 0);
    } else if (r != NULL) {
        arili_say_nil(&r->out, r->resp3);
    }
}

/* The value that came did not open: what the policy wants is done before the client hears of it, as
 * with GET. When the client is gone it is told, and found again by the next who reads it. */
static void end_without_value(struct arili_reseal *s, struct arili_request *answer)
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
static bool say_asking(struct arili_reseal *s)
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

static void ask_value(struct arili_reseal *s, const aril_bytes get[2])
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
static bool asks_ttl(const struct arili_reseal *s)
{
    return s->what == ARILI_RESEAL_EXPIRE && (s->only.nx || s->only.xx || s->only.lt);
}

static bool changes_nothing(const struct arili_reseal *s)
{
    const uint64_t now = s->job.loop->now_ms;
    const uint64_t until = now + (s->ttl_ms > 0 ? (uint64_t)s->ttl_ms : 0);
    return asks_ttl(s) &&
           ((s->only.nx && s->ttl_ms >= 0) || (s->only.xx && s->ttl_ms < 0) ||
            (s->only.lt && s->ttl_ms >= 0 && s->wanted_ms > until + ARILI_CLOCK_STEP_MS));
}

static void ask_first(struct arili_reseal *s)
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
    if (s->what != ARILI_RESEAL_GETEX && !say_asking(s)) {
        return;
    }
    if (s->what == ARILI_RESEAL_EXPIRE) {
        (void)arili_job_ask(job, ARILI_SHAPE_COLLECT, head, 4);
    } else if (s->what == ARILI_RESEAL_KEEPTTL) {
        (void)arili_job_ask(job, ARILI_SHAPE_COLLECT, ttl, 2);
    } else {
        ask_value(s, get);
    }
}

/* What follows the value, and the end of the transaction. */
static void commit_rest(struct arili_reseal *s)
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
        aril_bytes args[2 + ARILI_RESEAL_WORDS_MAX] = { text_of(s->verb), name_of(s) };
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
    struct arili_reseal *s = (struct arili_reseal *)job;
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

static aril_status seal_begin(struct arili_reseal *s)
{
    struct arili_job *job = &s->job;
    struct arili_flow *out = &job->link->peer.out;
    uint8_t header[ARILI_VALUE_HEADER_BYTES];
    const uint64_t not_after_ms = s->wanted_ms + ARILI_CLOCK_STEP_MS;
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

static void commit(struct arili_reseal *s)
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

static void fail_with(struct arili_reseal *s, const struct arili_got *got)
{
    char text[300];
    (void)snprintf(text, sizeof text, "%.*s", (int)(got->len < 250 ? got->len : 250), got->text);
    arili_job_fail(&s->job, got->len > 0 ? text : "ERR aril: the server gave no answer");
}

static void say_result(struct arili_reseal *s, const struct arili_got *got)
{
    struct arili_request *r = s->job.request;
    s->job.link->sticky = false;
    if (r != NULL && s->what == ARILI_RESEAL_EXPIRE) {
        arili_say_integer(&r->out, got->inner_number);
    } else if (r != NULL && s->what == ARILI_RESEAL_KEEPTTL) {
        if (got->inner_kind == ARILI_RESP_NIL) {
            arili_say_nil(&r->out, r->resp3);
        } else {
            arili_say_simple(&r->out, "OK");
        }
    }
    arili_job_end(&s->job);
}

/* Nothing was done: all of it again. */
static void begin_anew(struct arili_reseal *s, const char *too_often)
{
    struct arili_job *job = &s->job;
    if (++job->tries >= TRIES_MAX) {
        arili_job_fail(job, too_often);
        return;
    }
    if (s->what != ARILI_RESEAL_KEEPTTL) {
        arili_flow_done(&s->plain);
    }
    if (s->what == ARILI_RESEAL_GETEX && job->request != NULL) {
        arili_flow_done(&job->request->out);
    }
    ask_first(s);
}

/* All of MULTI to EXEC was answered. */
static void committed(struct arili_reseal *s, const struct arili_got *got)
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
static void header_came(struct arili_reseal *s, const struct arili_got *got)
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

static void value_came(struct arili_reseal *s, struct arili_request *answer)
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
    if (s->what == ARILI_RESEAL_GETEX) {
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

static void ttl_came(struct arili_reseal *s, const struct arili_got *got)
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
static void went_elsewhere(struct arili_reseal *s, struct arili_request *answer)
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

void arili_reseal_step(struct arili_job *job, struct arili_request *answer)
{
    struct arili_reseal *s = (struct arili_reseal *)job;
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
        if (s->what == ARILI_RESEAL_EXPIRE) {
            header_came(s, &answer->got);
        } else if (s->what == ARILI_RESEAL_GETEX) {
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
