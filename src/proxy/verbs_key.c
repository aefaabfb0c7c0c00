/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/run.h"

/* Commands of which only the keys are changed: what they do with values needs none, or the policy
 * leaves values in clear. */

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
    const size_t first = arili_run_key_from(run, 0);
    for (size_t i = first; i < run->count; i = arili_run_key_from(run, i + 1)) {
        if (!arili_run_place(run, run->args[i], &place)) { /* before anything is written */
            return ARILI_RAN;
        }
    }
    if (!arili_run_place(run, run->args[first], &place)) {
        return ARILI_RAN;
    }
    if (!arili_send_begin(run, &place, &ran)) {
        return ran;
    }
    arili_send_count(run, run->count);
    for (size_t i = 0; i < run->count; i++) {
        if (arili_run_key_from(run, i) == i) {
            if (!arili_send_key(run, run->args[i], &place)) {
                return ARILI_RAN;
            }
        } else if (run->c->value_arg == i) {
            arili_send_flow(run, &run->c->value);
        } else if (i > first && run->policy->values == ARILI_VALUES_SEAL) {
            arili_send_option(run, run->args[i]);
        } else {
            arili_send_arg(run, run->args[i]);
        }
    }
    return arili_send_end(run, ARILI_SHAPE_RAW);
}
