/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/tablehash.h"
#include "proxy/run.h"
#include <string.h>

/*
 * WATCH, MULTI, EXEC, DISCARD. The server hears of MULTI with the first command that has a key,
 * because only then it is known which one it is. What EXEC answers is read command by command, by
 * the requests that were queued for it.
 */
#define CHANGES_MAX 4096u

/* --- What it changes ------------------------------------------------------------------------ */

static uint64_t hash_of(const struct arili_place *place)
{
    return arili_table_hash(0x5eed, (aril_bytes){ place->context, sizeof place->context });
}

void arili_transaction_changes(struct arili_client *c, const struct arili_place *place,
                               uint64_t not_after_ms)
{
    if (!c->in_multi || c->change_count >= CHANGES_MAX) {
        return;
    }
    if (c->change_count == c->change_cap) {
        const uint32_t cap = c->change_cap == 0 ? 8 : 2 * c->change_cap;
        struct arili_change *more = arili_alloc(cap * sizeof *more);
        if (more == NULL) {
            return;
        }
        if (c->change_count > 0) {
            memcpy(more, c->changes, c->change_count * sizeof *more);
        }
        arili_free(c->changes, c->change_cap * sizeof *more);
        c->changes = more;
        c->change_cap = cap;
    }
    c->changes[c->change_count++] =
        (struct arili_change){ .hash = hash_of(place), .not_after_ms = not_after_ms };
}

uint64_t arili_transaction_knows(const struct arili_client *c, const struct arili_place *place)
{
    const uint64_t hash = hash_of(place);
    for (uint32_t i = c->change_count; i > 0; i--) {
        if (c->changes[i - 1].hash == hash) {
            return c->changes[i - 1].not_after_ms;
        }
    }
    return 0;
}

/* --- Verbs ---------------------------------------------------------------------------------- */

static enum arili_ran say_ok(struct arili_running *run)
{
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    arili_say_simple(&r->out, "OK");
    return arili_here_end(run, r);
}

static struct arili_link *sticky_link(const struct arili_client *c)
{
    for (uint32_t i = 0; i < c->link_count; i++) {
        if (c->links[i]->sticky) {
            return c->links[i];
        }
    }
    return NULL;
}

bool arili_transaction_is_nowhere(const struct arili_client *c)
{
    return c->in_multi && c->peer.loop->slots != NULL && sticky_link(c) == NULL;
}

struct arili_request *arili_transaction_keep(struct arili_running *run)
{
    struct arili_client *c = run->c;
    struct arili_request *r = arili_here(run);
    struct arili_request *said = r != NULL ? arili_here(run) : NULL;
    if (said == NULL) {
        arili_request_free(c->peer.loop, r);
        return NULL;
    }
    r->here = true;
    r->base = 1;
    *c->queued_end = r;
    c->queued_end = &r->next;
    arili_say_simple(&said->out, "QUEUED");
    (void)arili_here_end(run, said);
    return r;
}

/* EXEC of a transaction that no server heard of: all that was kept. */
static void say_kept(struct arili_client *c, struct arili_flow *out)
{
    uint64_t count = 0;
    for (const struct arili_request *q = c->queued; q != NULL; q = q->next) {
        count++;
    }
    arili_say_header(out, '*', count);
    for (struct arili_request *q = c->queued; q != NULL; q = q->next) {
        arili_flow_move(out, &q->mine);
    }
}

/* A command without keys to the server that has the transaction; r expects its answer. */
static enum arili_ran send_plain(struct arili_running *run, struct arili_link *link,
                                 aril_bytes word, struct arili_request *r)
{
    arili_link_command(link, &word, 1);
    if (r == NULL) {
        (void)arili_link_expect(link, NULL, ARILI_SWALLOW_ANY);
        return ARILI_RAN;
    }
    arili_client_append(run->c, r);
    (void)arili_link_expect(link, r, ARILI_SWALLOW_OK);
    return ARILI_RAN;
}

/* The server's transaction, and what is watched, end. */
static void end_watch(struct arili_client *c)
{
    for (uint32_t i = 0; i < c->link_count; i++) {
        c->links[i]->sticky = false;
    }
    c->watching = false;
    c->watches = 0;
}

/* Refused, and the transaction goes on: as with Redis. */
static enum arili_ran refuse_softly(struct arili_running *run, const char *text)
{
    const bool bad = run->c->multi_bad;
    const enum arili_ran ran = arili_refuse(run, "%s", text);
    run->c->multi_bad = bad;
    return ran;
}

static enum arili_ran multi(struct arili_running *run)
{
    if (run->c->in_multi) {
        return refuse_softly(run, "ERR MULTI calls can not be nested");
    }
    run->c->in_multi = true;
    return say_ok(run);
}

static enum arili_ran discard(struct arili_running *run)
{
    struct arili_client *c = run->c;
    if (!c->in_multi) {
        return arili_refuse(run, "ERR DISCARD without MULTI");
    }
    struct arili_link *link = sticky_link(c);
    const bool sent = c->multi_sent;
    arili_client_forget_transaction(c);
    if (link != NULL) {
        (void)send_plain(run, link, sent ? ARILI_LITERAL("DISCARD") : ARILI_LITERAL("UNWATCH"),
                         NULL);
    }
    end_watch(c);
    return say_ok(run);
}

static enum arili_ran exec_aborted(struct arili_running *run)
{
    struct arili_client *c = run->c;
    struct arili_link *link = sticky_link(c);
    const bool sent = c->multi_sent;
    arili_client_forget_transaction(c);
    if (link != NULL) {
        (void)send_plain(run, link, sent ? ARILI_LITERAL("DISCARD") : ARILI_LITERAL("UNWATCH"),
                         NULL);
    }
    end_watch(c);
    return arili_refuse(run, "EXECABORT Transaction discarded because of previous errors.");
}

static enum arili_ran exec(struct arili_running *run)
{
    struct arili_client *c = run->c;
    if (!c->in_multi) {
        return arili_refuse(run, "ERR EXEC without MULTI");
    }
    if (c->multi_bad) {
        return exec_aborted(run);
    }
    struct arili_link *link = sticky_link(c);
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    if (link == NULL) { /* nothing was asked, nothing is watched */
        say_kept(c, &r->out);
        arili_client_forget_transaction(c);
        return arili_here_end(run, r);
    }
    if (!c->multi_sent) {
        const aril_bytes word = ARILI_LITERAL("MULTI");
        arili_link_command(link, &word, 1);
        (void)arili_link_expect(link, NULL, ARILI_SWALLOW_OK);
    }
    r->shape = ARILI_SHAPE_EXEC;
    r->transaction = c->queued;
    for (struct arili_request *q = r->transaction; q != NULL; q = q->next) {
        q->exec = r;
        q->client = c;
    }
    c->queued = NULL;
    c->queued_end = &c->queued;
    arili_client_forget_transaction(c);
    end_watch(c);
    return send_plain(run, link, ARILI_LITERAL("EXEC"), r);
}

static enum arili_ran watch(struct arili_running *run)
{
    struct arili_place place;
    enum arili_ran ran = ARILI_RAN;
    if (run->c->in_multi) {
        return refuse_softly(run, "ERR WATCH inside MULTI is not allowed");
    }
    for (size_t i = 1; i < run->count; i++) {
        if (!arili_run_place(run, run->args[i], &place)) {
            return ARILI_RAN;
        }
    }
    if (!arili_send_begin(run, &place, &ran)) {
        return ran;
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    for (size_t i = 1; i < run->count; i++) {
        if (!arili_send_key(run, run->args[i], &place)) {
            return ARILI_RAN;
        }
    }
    run->link->sticky = true;
    run->c->watching = true;
    run->c->watches++;
    return arili_send_end(run, ARILI_SHAPE_RAW);
}

static enum arili_ran unwatch(struct arili_running *run)
{
    struct arili_client *c = run->c;
    struct arili_link *link = sticky_link(c);
    if (arili_transaction_is_nowhere(c)) {
        struct arili_request *r = arili_transaction_keep(run);
        if (r != NULL) {
            arili_say_simple(&r->mine, "OK");
        }
        return ARILI_RAN;
    }
    if (c->in_multi) {
        enum arili_ran ran = ARILI_RAN;
        if (!arili_send_begin(run, NULL, &ran)) {
            return ran;
        }
        arili_send_count(run, 1);
        arili_send_arg(run, run->args[0]);
        return arili_send_end(run, ARILI_SHAPE_RAW);
    }
    if (link != NULL) {
        (void)send_plain(run, link, ARILI_LITERAL("UNWATCH"), NULL);
    }
    end_watch(c);
    return say_ok(run);
}

enum arili_ran arili_run_transaction(struct arili_running *run)
{
    switch (run->command->verb) {
    case ARILI_VERB_WATCH:
        return watch(run);
    case ARILI_VERB_UNWATCH:
        return unwatch(run);
    default:
        return run->command->name[0] == 'm'   ? multi(run)
               : run->command->name[0] == 'e' ? exec(run)
                                              : discard(run);
    }
}
