/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "proxy/run.h"

/* Commands of which only the keys are changed: what they do with values needs none, or the policy
 * leaves values in clear. */

static bool is_key(const struct arili_running *run, size_t i)
{
    const struct arili_command *cmd = run->command;
    const size_t first = (size_t)cmd->first_key;
    const size_t last =
        cmd->last_key >= 0 ? (size_t)cmd->last_key : run->count - (size_t)(-cmd->last_key);
    const size_t step = cmd->key_step > 0 ? (size_t)cmd->key_step : 1;
    return i >= first && i <= last && (i - first) % step == 0;
}

enum arili_ran arili_run_keyed(struct arili_running *run)
{
    struct arili_place place;
    enum arili_ran ran = ARILI_RAN;
    bool failed = false;
    if (run->command->verb == ARILI_VERB_COUNT_KEYS && arili_run_is_apart(run, 1, &failed)) {
        return arili_run_count_apart(run);
    }
    if (failed) {
        return ARILI_RAN;
    }
    for (size_t i = 0; i < run->count; i++) { /* before anything is written */
        if (is_key(run, i) && !arili_run_place(run, run->args[i], &place)) {
            return ARILI_RAN;
        }
    }
    if ((size_t)run->command->first_key >= run->count ||
        !arili_run_place(run, run->args[run->command->first_key], &place)) {
        return arili_refuse(run, "ERR wrong number of arguments for '%s' command",
                            run->command->name);
    }
    if (!arili_send_begin(run, &place, &ran)) {
        return ran;
    }
    arili_send_count(run, run->count);
    for (size_t i = 0; i < run->count; i++) {
        if (is_key(run, i) && arili_run_place(run, run->args[i], &place)) {
            arili_send_name(run, &place);
        } else {
            const bool held = run->c->value_arg == i;
            held ? arili_send_flow(run, &run->c->value) : arili_send_arg(run, run->args[i]);
        }
    }
    return arili_send_end(run, ARILI_SHAPE_RAW);
}
