/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/tablehash.h"
#include "proxy/run.h"
#include <stdio.h>
#include <string.h>

/*
 * What concerns all keys of a tenant and nobody else's: KEYS, DBSIZE, RANDOMKEY, FLUSHDB, FLUSHALL.
 * All servers are walked through with SCAN, by the prefix of the tenant's names.
 */
#define PAGE     ARILI_LITERAL("1000")
#define SEEN_MIN 1024u
#define SEEN_MAX ((uint64_t)1 << 26)

/* Names that were seen: SCAN may give one twice. Hashes of 64 bits under a random key. */
struct seen {
    uint64_t *rows; /* 0: empty */
    uint64_t cap, count;
};

struct walk {
    struct arili_job job; /* first */
    enum arili_verb verb;
    struct arili_tenant *tenant;
    struct arili_tenant_keys *keys;
    uint32_t node, databases; /* databases: how many are left, this one included */
    uint64_t cursor, seed, count;
    char pattern[ARILI_CACHE_PREFIX_TEXT + 1];
    uint8_t *match;
    size_t match_len;
    bool has_match;
    struct arili_flow items; /* KEYS */
    struct seen seen;
    uint8_t chosen[ARILI_CACHE_LISTED_KEY_MAX]; /* RANDOMKEY */
    size_t chosen_len;
    uint32_t unlinks; /* of this page, whose answers are still to be expected */
    bool failed;
};

static void walk_done(struct arili_job *job)
{
    struct walk *w = (struct walk *)job;
    arili_flow_done(&w->items);
    arili_tenant_keys_drop(w->keys);
    arili_free(w->match, w->match_len);
    arili_free(w->seen.rows, w->seen.cap * sizeof *w->seen.rows);
}

/* --- Names ---------------------------------------------------------------------------------- */

static void seen_put(struct seen *s, uint64_t hash)
{
    uint64_t i = hash & (s->cap - 1);
    while (s->rows[i] != 0) {
        i = (i + 1) & (s->cap - 1);
    }
    s->rows[i] = hash;
}

static bool seen_grow(struct seen *s)
{
    struct seen more = { .cap = s->cap == 0 ? SEEN_MIN : 2 * s->cap, .count = s->count };
    if (more.cap > SEEN_MAX) {
        return false;
    }
    more.rows = arili_alloc(more.cap * sizeof *more.rows);
    if (more.rows == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < s->cap; i++) {
        if (s->rows[i] != 0) {
            seen_put(&more, s->rows[i]);
        }
    }
    arili_free(s->rows, s->cap * sizeof *s->rows);
    *s = more;
    return true;
}

/* Whether the name is new; *failed: memory is short. */
static bool is_new(struct walk *w, aril_bytes name)
{
    struct seen *s = &w->seen;
    const uint64_t hash = arili_table_hash(w->seed, name) | 1;
    if (2 * (s->count + 1) > s->cap && !seen_grow(s)) {
        w->failed = true;
        return false;
    }
    for (uint64_t i = hash & (s->cap - 1); s->rows[i] != 0; i = (i + 1) & (s->cap - 1)) {
        if (s->rows[i] == hash) {
            return false;
        }
    }
    seen_put(s, hash);
    s->count++;
    return true;
}

static void erase(struct walk *w, aril_bytes name)
{
    const aril_bytes args[] = { ARILI_LITERAL("UNLINK"), name };
    if (w->job.link != NULL) {
        w->unlinks++;
        arili_link_command(w->job.link, args, 2);
    }
}

static void name_came(struct arili_job *job, aril_bytes name)
{
    struct walk *w = (struct walk *)job;
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    size_t len = 0;
    if (w->failed ||
        arili_place_open(w->tenant, w->keys, job->database, name, room, &len) != ARIL_OK) {
        return;
    }
    const aril_bytes key = { room, len };
    if (w->has_match && !arili_glob((aril_bytes){ w->match, w->match_len }, key)) {
        return;
    }
    if (w->verb == ARILI_VERB_FLUSH) {
        erase(w, name);
        return;
    }
    if (!is_new(w, name)) {
        return;
    }
    w->count++;
    if (w->verb == ARILI_VERB_KEYS) {
        arili_say_bulk(&w->items, key);
        w->failed = w->failed || w->items.failed ||
                    !arili_budget_has(&job->loop->proxy->budget, ARILI_BLOCK_BYTES);
    } else if (w->verb == ARILI_VERB_RANDOMKEY) { /* each of n is kept with 1 in n */
        w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
        if ((w->seed >> 33) % w->count == 0) {
            memcpy(w->chosen, room, len);
            w->chosen_len = len;
        }
    }
}

/* --- Pages ---------------------------------------------------------------------------------- */

static struct arili_node *node_from(struct arili_loop *loop, uint32_t first)
{
    struct arili_node *best = NULL;
    for (struct arili_node *n = loop->nodes; n != NULL; n = n->next) {
        if (n->has_slots && n->index >= first && (best == NULL || n->index < best->index)) {
            best = n;
        }
    }
    return best;
}

static void finish(struct walk *w)
{
    struct arili_request *r = w->job.request;
    if (r != NULL) {
        switch (w->verb) {
        case ARILI_VERB_DBSIZE:
            arili_say_integer(&r->out, (int64_t)w->count);
            break;
        case ARILI_VERB_KEYS:
            arili_say_header(&r->out, '*', w->count);
            arili_flow_move(&r->out, &w->items);
            break;
        case ARILI_VERB_RANDOMKEY:
            if (w->count == 0) {
                arili_say_nil(&r->out, r->resp3);
            } else {
                arili_say_bulk(&r->out, (aril_bytes){ w->chosen, w->chosen_len });
            }
            break;
        default:
            arili_say_simple(&r->out, "OK");
            break;
        }
    }
    arili_job_end(&w->job);
}

static void next_page(struct walk *w)
{
    struct arili_job *job = &w->job;
    char cursor[24];
    if (arili_cluster_any(job->loop) == NULL) {
        job->waits = true; /* the map is being read */
        return;
    }
    struct arili_node *node = node_from(job->loop, w->node);
    if (node == NULL || !arili_job_link(job, node)) {
        if (node == NULL) {
            finish(w);
        }
        return;
    }
    w->node = node->index;
    const int n = snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)w->cursor);
    const aril_bytes args[] = {
        ARILI_LITERAL("SCAN"),  { (const uint8_t *)cursor, (size_t)n },
        ARILI_LITERAL("MATCH"), { (const uint8_t *)w->pattern, sizeof w->pattern },
        ARILI_LITERAL("COUNT"), PAGE
    };
    w->unlinks = 0;
    (void)arili_job_ask(job, ARILI_SHAPE_NAMES, args, sizeof args / sizeof *args);
}

/* A page is there, and what it asked for was done. */
static void page_ended(struct walk *w)
{
    struct arili_job *job = &w->job;
    if (w->cursor == 0) {
        w->node++;
        if (node_from(job->loop, w->node) == NULL) {
            if (--w->databases == 0) {
                finish(w);
                return;
            }
            w->node = 0;
            job->database++;
        }
    }
    next_page(w);
}

static void step(struct arili_job *job, struct arili_request *answer)
{
    struct walk *w = (struct walk *)job;
    if (answer == NULL) {
        next_page(w);
        return;
    }
    if (answer->got.kind == ARILI_RESP_MORE || answer->got.kind == ARILI_RESP_ERROR || w->failed) {
        arili_job_fail(job, w->failed ? "ERR aril: there are too many keys for the memory of the "
                                        "proxy; use SCAN"
                                      : "ERR aril: a server could not be asked; try again");
        return;
    }
    if (job->request == NULL && w->verb != ARILI_VERB_FLUSH) { /* nobody waits for it any more */
        arili_job_end(job);
        return;
    }
    if (answer->shape == ARILI_SHAPE_NAMES) {
        w->cursor = (uint64_t)answer->got.number;
        for (uint32_t i = 0; i < w->unlinks; i++) {
            if (arili_job_expect(job, ARILI_SHAPE_COLLECT) == NULL) {
                return;
            }
        }
    }
    if (job->owed == 0) {
        page_ended(w);
    }
}

enum arili_ran arili_run_walk(struct arili_running *run)
{
    struct arili_client *c = run->c;
    const struct arili_crypto *crypto = &c->peer.loop->proxy->rt->crypto;
    if (!arili_run_alone(run)) {
        return ARILI_RAN_LATER;
    }
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    struct walk *w = (struct walk *)arili_job_new(c->peer.loop, sizeof *w, c, r, step);
    if (w == NULL) {
        arili_request_free(c->peer.loop, r);
        return arili_refuse(run, "ERR aril: out of memory");
    }
    w->job.done = walk_done;
    w->job.name = name_came;
    w->verb = run->command->verb;
    w->tenant = c->tenant;
    w->keys = run->keys;
    atomic_fetch_add(&run->keys->refs, 1);
    arili_flow_init(&w->items, &c->peer.loop->blocks);
    memcpy(w->pattern, arili_place_prefix(run->keys), ARILI_CACHE_PREFIX_TEXT);
    w->pattern[ARILI_CACHE_PREFIX_TEXT] = '*';
    const bool all = arili_word_is(run->args[0], "flushall");
    w->databases = all && c->peer.loop->slots == NULL ? c->settings->config->databases : 1;
    w->job.database = all ? 0 : c->database;
    arili_client_append(c, r);
    if (crypto->ops->random(crypto->provider, (uint8_t *)&w->seed, sizeof w->seed) != ARIL_OK) {
        arili_job_fail(&w->job, "ERR aril: no randomness");
        return ARILI_RAN;
    }
    if (w->verb == ARILI_VERB_KEYS) {
        w->has_match = true;
        w->match_len = run->args[1].len;
        w->match = w->match_len > 0 ? arili_alloc(w->match_len) : NULL;
        if (w->match_len > 0 && w->match == NULL) {
            arili_job_fail(&w->job, "ERR aril: out of memory");
            return ARILI_RAN;
        }
        if (w->match_len > 0) {
            memcpy(w->match, run->args[1].data, w->match_len);
        }
    }
    step(&w->job, NULL);
    return ARILI_RAN;
}
