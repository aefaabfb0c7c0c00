/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/mem.h"
#include "proxy/run.h"
#include <string.h>

/*
 * Several keys in one command. With one server, or one slot, the command goes as it is. Over a
 * Cluster it becomes one command for each key, whose answers, one behind the other, are its answer.
 */

/* Whether all keys, from argument 1 on, are in one slot; false with *failed: an error was said. */
static bool one_slot(struct arili_running *run, size_t step, bool *failed)
{
    struct arili_place place;
    uint16_t slot = 0;
    *failed = false;
    if (run->c->peer.loop->slots == NULL) {
        return true;
    }
    for (size_t i = 1; i < run->count; i += step) {
        if (!arili_run_place(run, run->args[i], &place)) {
            *failed = true;
            return false;
        }
        if (i > 1 && arili_send_slot(&place) != slot) {
            return false;
        }
        slot = arili_send_slot(&place);
    }
    return true;
}

/* All keys are such that they can be sent; and links to all their servers are there. */
static bool all_ready(struct arili_running *run, size_t step, enum arili_ran *ran)
{
    struct arili_place place;
    for (size_t i = 1; i < run->count; i += step) {
        if (!arili_run_place(run, run->args[i], &place)) {
            *ran = ARILI_RAN;
            return false;
        }
        if (!arili_send_link(run, arili_cluster_node(run->c->peer.loop, arili_send_slot(&place)),
                             ran)) {
            return false;
        }
    }
    return true;
}

/* --- MGET ----------------------------------------------------------------------------------- */

static bool remember_keys(struct arili_running *run)
{
    struct arili_request *r = run->r;
    size_t bytes = 0;
    for (size_t i = 1; i < run->count; i++) {
        bytes += run->args[i].len;
    }
    if (!arili_run_remember(run, run->args[1], NULL) ||
        arili_request_keep_room(r, bytes) != ARIL_OK) {
        return false;
    }
    r->asked = arili_alloc((run->count - 1) * sizeof *r->asked);
    if (r->asked == NULL) {
        return false;
    }
    r->asked_count = (uint32_t)(run->count - 1);
    arili_request_count(r, r->asked_count * sizeof *r->asked + bytes);
    return true;
}

static enum arili_ran mget(struct arili_running *run)
{
    struct arili_place place;
    enum arili_ran ran = ARILI_RAN;
    if (!arili_run_place(run, run->args[1], &place) || !arili_send_begin(run, &place, &ran)) {
        return ran;
    }
    if (!remember_keys(run)) {
        return arili_no_memory(run);
    }
    struct arili_request *r = run->r;
    /* Names first: a key that is too long is found before anything is written. */
    for (size_t i = 1; i < run->count; i++) {
        if (!arili_run_place(run, run->args[i], &place)) {
            arili_request_free(run->c->peer.loop, run->r);
            return ARILI_RAN;
        }
        struct arili_asked *a = &r->asked[i - 1];
        memcpy(a->context, place.context, sizeof a->context);
        memcpy(r->room + r->room_at, run->args[i].data, run->args[i].len);
        a->text = (aril_bytes){ r->room + r->room_at, run->args[i].len };
        r->room_at += run->args[i].len;
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    for (size_t i = 1; i < run->count; i++) {
        if (!arili_send_key(run, run->args[i], &place)) {
            return ARILI_RAN;
        }
    }
    return arili_send_end(run, ARILI_SHAPE_VALUES);
}

/* "*n", and then the answers of n GETs. */
static enum arili_ran mget_apart(struct arili_running *run)
{
    struct arili_place place;
    enum arili_ran ran = ARILI_RAN;
    if (!all_ready(run, 1, &ran)) {
        return ran;
    }
    struct arili_request *head = arili_here(run);
    if (head == NULL) {
        return ARILI_RAN;
    }
    arili_say_header(&head->out, '*', run->count - 1);
    head->answered = true;
    arili_client_append(run->c, head);
    for (size_t i = 1; i < run->count; i++) {
        if (!arili_run_place(run, run->args[i], &place) || !arili_send_begin(run, &place, &ran)) {
            arili_peer_end(&run->c->peer); /* part of the answer is promised already */
            return ARILI_RAN;
        }
        struct arili_request *r = run->r;
        if (!arili_run_remember(run, run->args[i], NULL)) {
            arili_request_free(run->c->peer.loop, r);
            arili_peer_end(&run->c->peer);
            return ARILI_RAN;
        }
        memcpy(r->asked_one.context, place.context, sizeof r->asked_one.context);
        r->asked_one.text = (aril_bytes){ r->key, r->key_len };
        r->asked = &r->asked_one;
        r->asked_count = 1;
        r->wrong_type_is_nil = true;
        arili_send_count(run, 2);
        arili_send_arg(run, ARILI_LITERAL("GET"));
        arili_send_name(run, &place);
        (void)arili_send_end(run, ARILI_SHAPE_VALUE);
    }
    arili_client_advance(run->c);
    return ARILI_RAN;
}

/* --- MSET ----------------------------------------------------------------------------------- */

static enum arili_ran mset(struct arili_running *run)
{
    struct arili_place place;
    enum arili_ran ran = ARILI_RAN;
    const uint64_t not_after = arili_not_after(run, UINT64_MAX);
    for (size_t i = 1; i < run->count; i += 2) {
        if (!arili_run_place(run, run->args[i], &place)) {
            return ARILI_RAN;
        }
    }
    if (!arili_send_begin(run, &place, &ran)) {
        return ran;
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    for (size_t i = 1; i < run->count; i += 2) {
        if (!arili_send_key(run, run->args[i], &place) ||
            !arili_send_value(run, place.context, not_after, run->args[i + 1], NULL)) {
            return ARILI_RAN;
        }
        arili_transaction_changes(run->c, &place, not_after);
    }
    return arili_send_end(run, ARILI_SHAPE_RAW);
}

/* With a reference of the caller's: its parts may be answered, and gone, before the last is sent.
 */
static struct arili_sum *sum_new(bool ok_alone)
{
    struct arili_sum *sum = arili_alloc(sizeof *sum);
    if (sum != NULL) {
        sum->ok_alone = ok_alone;
        sum->refs = 1;
    }
    return sum;
}

static void sum_drop(struct arili_sum *sum)
{
    if (--sum->refs == 0) {
        arili_free(sum, sizeof *sum);
    }
}

static void part_of(struct arili_request *r, struct arili_sum *sum, bool last)
{
    r->sum = sum;
    sum->refs++;
    r->silent = true;
    r->sum_last = last;
}

static enum arili_ran mset_apart(struct arili_running *run)
{
    struct arili_place place;
    enum arili_ran ran = ARILI_RAN;
    const uint64_t not_after = arili_not_after(run, UINT64_MAX);
    if (!all_ready(run, 2, &ran)) {
        return ran;
    }
    struct arili_sum *sum = sum_new(true);
    if (sum == NULL) {
        return arili_refuse(run, "ERR aril: out of memory");
    }
    for (size_t i = 1; i < run->count; i += 2) {
        if (!arili_run_place(run, run->args[i], &place) || !arili_send_begin(run, &place, &ran)) {
            arili_peer_end(&run->c->peer);
            break;
        }
        part_of(run->r, sum, i + 2 >= run->count);
        arili_send_count(run, 3);
        arili_send_arg(run, ARILI_LITERAL("SET"));
        arili_send_name(run, &place);
        if (!arili_send_value(run, place.context, not_after, run->args[i + 1], NULL)) {
            arili_peer_end(&run->c->peer);
            break;
        }
        (void)arili_send_end(run, ARILI_SHAPE_NOTHING);
    }
    sum_drop(sum);
    return ARILI_RAN;
}

/* --- DEL, UNLINK, EXISTS, TOUCH: numbers that are added ------------------------------------- */

enum arili_ran arili_run_count_apart(struct arili_running *run)
{
    struct arili_place place;
    enum arili_ran ran = ARILI_RAN;
    if (!all_ready(run, 1, &ran)) {
        return ran;
    }
    struct arili_sum *sum = sum_new(false);
    if (sum == NULL) {
        return arili_refuse(run, "ERR aril: out of memory");
    }
    for (size_t i = 1; i < run->count; i++) {
        if (!arili_run_place(run, run->args[i], &place) || !arili_send_begin(run, &place, &ran)) {
            arili_peer_end(&run->c->peer);
            break;
        }
        part_of(run->r, sum, i + 1 == run->count);
        arili_send_count(run, 2);
        arili_send_arg(run, run->args[0]);
        arili_send_name(run, &place);
        (void)arili_send_end(run, ARILI_SHAPE_COUNT);
    }
    sum_drop(sum);
    return ARILI_RAN;
}

bool arili_run_is_apart(struct arili_running *run, size_t step, bool *failed)
{
    return !run->c->in_multi && !one_slot(run, step, failed) && !*failed;
}

enum arili_ran arili_run_strings(struct arili_running *run)
{
    const bool get = run->command->verb == ARILI_VERB_MGET;
    bool failed = false;
    if (!get && run->count % 2 == 0) {
        return arili_wrong_count(run);
    }
    const bool apart = arili_run_is_apart(run, get ? 1 : 2, &failed);
    if (failed) {
        return ARILI_RAN;
    }
    if (apart && run->command->verb == ARILI_VERB_MSETNX) {
        return arili_refuse(run,
                            "CROSSSLOT aril: keys of MSETNX must be in one slot; give them one "
                            "{hash tag}");
    }
    if (get) {
        return apart ? mget_apart(run) : mget(run);
    }
    return apart ? mset_apart(run) : mset(run);
}
