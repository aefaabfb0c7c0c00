/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "proxy/run.h"
#include <string.h>

/* GET, SET and their kin: one string. */

/* --- Options -------------------------------------------------------------------------------- */

static void option_time(aril_bytes unit, aril_bytes number, uint64_t now_ms,
                        struct arili_set_options *ret)
{
    int64_t n = 0;
    const bool seconds = arili_word_is(unit, "ex") || arili_word_is(unit, "exat");
    const bool absolute = arili_word_is(unit, "exat") || arili_word_is(unit, "pxat");
    ret->has_ttl = true;
    if (!arili_word_number(number, &n) || n <= 0 || (seconds && n > INT64_MAX / 1000)) {
        ret->bad_ttl = true; /* the server says what is wrong with it */
        return;
    }
    const uint64_t ms = (uint64_t)n * (seconds ? 1000 : 1);
    ret->ttl_ms = !absolute ? ms : ms > now_ms ? ms - now_ms : 0;
}

void arili_set_options(const aril_bytes *args, size_t count, uint64_t now_ms,
                       struct arili_set_options *ret)
{
    *ret = (struct arili_set_options){ .ttl_ms = UINT64_MAX };
    for (size_t i = 0; i < count; i++) {
        if (arili_word_is(args[i], "nx")) {
            ret->nx = true;
        } else if (arili_word_is(args[i], "xx")) {
            ret->xx = true;
        } else if (arili_word_is(args[i], "get")) {
            ret->get = true;
        } else if (arili_word_is(args[i], "keepttl")) {
            ret->keepttl = true;
        } else if (arili_word_is(args[i], "persist")) {
            ret->persist = true;
        } else if (i + 1 < count &&
                   (arili_word_is(args[i], "ex") || arili_word_is(args[i], "px") ||
                    arili_word_is(args[i], "exat") || arili_word_is(args[i], "pxat"))) {
            option_time(args[i], args[i + 1], now_ms, ret);
            i++;
        } else {
            ret->other = true;
        }
    }
}

/* --- Writing -------------------------------------------------------------------------------- */

/* SETEX and PSETEX: the time in argument 2. */
static uint64_t time_of(const struct arili_running *run)
{
    int64_t n = 0;
    const bool seconds = run->command->name[0] == 's';
    if (!arili_word_number(run->args[2], &n) || n <= 0 || (seconds && n > INT64_MAX / 1000)) {
        return UINT64_MAX;
    }
    return (uint64_t)n * (seconds ? 1000 : 1);
}

static size_t value_index(const struct arili_running *run)
{
    return run->command->verb == ARILI_VERB_SETEX ? 3 : 2;
}

static const struct arili_flow *held_value(const struct arili_running *run, size_t index)
{
    return run->c->value_arg == index ? &run->c->value : NULL;
}

static bool remember_value(struct arili_running *run, const struct arili_place *place)
{
    struct arili_request *r = run->r;
    if (!arili_run_remember(run, run->args[1], NULL)) {
        return false;
    }
    memcpy(r->asked_one.context, place->context, sizeof r->asked_one.context);
    r->asked_one.text = (aril_bytes){ r->key, r->key_len };
    r->asked = &r->asked_one;
    r->asked_count = 1;
    return true;
}

/* Whether argument i is a unit of time in the options of SET, whose number follows. */
static bool is_time(const struct arili_running *run, size_t i)
{
    const aril_bytes a = run->args[i];
    return run->command->verb == ARILI_VERB_SET && i >= 3 && i + 1 < run->count &&
           (arili_word_is(a, "ex") || arili_word_is(a, "px") || arili_word_is(a, "exat") ||
            arili_word_is(a, "pxat"));
}

static aril_bytes option_of(aril_bytes word)
{
    return arili_word_is_option(word) ? word : ARILI_LITERAL("x");
}

/* All but the value, with a time that its seal allows. Who forgets the quotes has half of a value
 * here: the server's error needs none of it. Returns the index of the next argument. */
size_t arili_send_set_option(struct arili_running *run, size_t i)
{
    char room[ARILI_TIME_TEXT];
    const aril_bytes a = option_of(run->args[i]);
    if (run->command->verb == ARILI_VERB_SETEX) {
        arili_send_arg(run, arili_time_cut(run, run->command->name[0] == 's', false, a, room));
        return i + 1;
    }
    arili_send_arg(run, a);
    if (!is_time(run, i)) {
        return i + 1;
    }
    const bool seconds = arili_word_is(a, "ex") || arili_word_is(a, "exat");
    const aril_bytes n = option_of(run->args[i + 1]);
    arili_send_arg(run, arili_time_cut(run, seconds, a.len == 4, n, room));
    return i + 2;
}

static enum arili_ran set(struct arili_running *run, const struct arili_place *place)
{
    struct arili_set_options o = { .ttl_ms = UINT64_MAX };
    const size_t value = value_index(run);
    enum arili_ran ran = ARILI_RAN;
    if (run->command->verb == ARILI_VERB_SET) {
        arili_set_options(run->args + 3, run->count - 3, run->now_ms, &o);
    } else if (run->command->verb == ARILI_VERB_SETEX) {
        o.ttl_ms = time_of(run);
    }
    if (o.keepttl) {
        return arili_run_keepttl(run, place);
    }
    const bool former = o.get || run->command->verb == ARILI_VERB_GETSET;
    const uint64_t not_after = arili_not_after(run, o.ttl_ms);
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    if (former && !remember_value(run, place)) {
        return arili_no_memory(run);
    }
    if (held_value(run, value) != NULL && !run->c->in_multi) {
        return arili_held_begin(run, place, not_after,
                                former ? ARILI_SHAPE_VALUE : ARILI_SHAPE_RAW);
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    for (size_t i = 2; i < run->count;) {
        if (i != value) {
            i = arili_send_set_option(run, i);
            continue;
        }
        if (!arili_send_value(run, place->context, not_after, run->args[i], held_value(run, i))) {
            return ARILI_RAN;
        }
        i++;
    }
    arili_transaction_changes(run->c, place, not_after);
    return arili_send_end(run, former ? ARILI_SHAPE_VALUE : ARILI_SHAPE_RAW);
}

/* --- Reading -------------------------------------------------------------------------------- */

static enum arili_ran get(struct arili_running *run, const struct arili_place *place)
{
    enum arili_ran ran = ARILI_RAN;
    const bool value = run->command->verb == ARILI_VERB_GET;
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    if (value && !remember_value(run, place)) {
        return arili_no_memory(run);
    }
    arili_send_count(run, 2);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    return arili_send_end(run, value ? ARILI_SHAPE_VALUE : ARILI_SHAPE_LENGTH);
}

enum arili_ran arili_run_string(struct arili_running *run)
{
    struct arili_place place;
    if (!arili_run_place(run, run->args[1], &place)) {
        return ARILI_RAN;
    }
    return run->command->verb == ARILI_VERB_GET || run->command->verb == ARILI_VERB_STRLEN
               ? get(run, &place)
               : set(run, &place);
}
