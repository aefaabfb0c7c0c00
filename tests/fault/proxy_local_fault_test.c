/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is short while an answer is written: the flow says so, and nothing else breaks. */
#include "check.h"
#include "fault_alloc.h"
#include "local_answers.h"
#include <string.h>

#define WORDS_MAX 4u

/* Answers of every kind: header, bulk, line, number, map, set, nil, text, error, and one that needs
 * several blocks. */
static const char *const COMMANDS[][WORDS_MAX] = {
    { "COMMAND", "DOCS" },
    { "COMMAND" },
    { "INFO" },
    { "CLIENT", "INFO" },
    { "CLIENT", "GETNAME" },
    { "CLIENT", "TRACKINGINFO" },
    { "CONFIG", "GET", "*" },
    { "TIME" },
    { "PING" },
    { "COMMAND", "INFO", "x" },
    { "INCR", "a" },
    { "NOTHING" },
    { "CLIENT", "NOTHING" },
    { "CLIENT", "HELP" },
    { "CLIENT", "ID" },
};

/* As local_ask() does, without looking at the answer. */
static void answer(struct local_answers *la, const char *const *words)
{
    aril_bytes args[WORDS_MAX];
    size_t count = 0;
    for (; count < WORDS_MAX && words[count] != NULL; count++) {
        args[count] = (aril_bytes){ (const uint8_t *)words[count], strlen(words[count]) };
    }
    const struct arili_command *const row = arili_local_resolve(args, count, &la->flow);
    if (row != NULL && row->verb == ARILI_VERB_LOCAL) {
        arili_local_answer(&la->l, row, args, count, &la->flow);
    } else if (row != NULL) {
        arili_say_refused(&la->flow, row);
    }
}

static void a_flow_without_memory_has_failed_and_says_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        for (unsigned nth = 1;; nth++) {
            struct local_answers la;
            local_answers_init(&la);
            la.l.resp3 = true;
            fault_alloc_arm(nth);
            answer(&la, COMMANDS[i]);
            fault_alloc_disarm();
            const bool fired = fault_alloc_fired();
            assert_int_equal(la.flow.failed, fired);
            local_answers_done(&la);
            if (!fired) {
                assert_true(nth > 1); /* it does allocate */
                break;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flow_without_memory_has_failed_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
