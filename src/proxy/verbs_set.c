/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/run.h"

/* Sets: members are deterministic ciphertext, the same in one set and different in every other. */

static enum arili_ran members_in(struct arili_running *run, const struct arili_place *place)
{
    enum arili_ran ran = ARILI_RAN;
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    for (size_t i = 2; i < run->count; i++) {
        if (!arili_send_inner(run, place, ARILI_INNER_MEMBER, run->args[i])) {
            arili_request_free(run->c->peer.loop, run->r);
            run->r = NULL;
            arili_link_lost(run->link, ARIL_E_INTERRUPTED, "a member could not be sealed");
            return arili_refuse(run,
                                "ERR aril: a member is longer than %zu bytes, or memory is "
                                "short",
                                (size_t)ARILI_SIV_PLAIN_BYTES_MAX);
        }
    }
    arili_transaction_changes(run->c, place, arili_not_after(run, UINT64_MAX));
    return arili_send_end(run, ARILI_SHAPE_RAW);
}

static enum arili_ran members_out(struct arili_running *run, const struct arili_place *place)
{
    enum arili_ran ran = ARILI_RAN;
    if (!arili_send_begin(run, place, &ran)) {
        return ran;
    }
    if (!arili_run_remember(run, run->args[1], place)) {
        arili_request_free(run->c->peer.loop, run->r);
        return arili_refuse(run, "ERR aril: out of memory");
    }
    arili_send_count(run, run->count);
    arili_send_arg(run, run->args[0]);
    arili_send_name(run, place);
    for (size_t i = 2; i < run->count; i++) {
        arili_send_option(run, run->args[i]);
    }
    return arili_send_end(run, ARILI_SHAPE_MEMBERS);
}

enum arili_ran arili_run_set(struct arili_running *run)
{
    struct arili_place place;
    if (!arili_run_place(run, run->args[1], &place)) {
        return ARILI_RAN;
    }
    switch (run->command->verb) {
    case ARILI_VERB_SMEMBERS_IN:
        return members_in(run, &place);
    case ARILI_VERB_SMEMBERS_OUT:
        return members_out(run, &place);
    default:
        return arili_run_inner_scan(run, &place, ARILI_SHAPE_SSCAN);
    }
}
