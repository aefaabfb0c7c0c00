/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "fault_alloc.h"
#include "proxy/status.h"
#include <string.h>

/* The only allocation of the two writers is the text itself. */
static void a_text_without_memory_leaves_the_outputs(void **state)
{
    const struct arili_status s = { .version = "1" };
    char other = 'x';
    char *text = &other;
    size_t bytes = 7;
    (void)state;
    fault_alloc_arm(1);
    assert_status(arili_status_json(&s, &text, &bytes), ARIL_E_NOMEM);
    fault_alloc_disarm();
    assert_true(fault_alloc_fired());
    assert_ptr_equal(text, &other);
    assert_int_equal(bytes, 7);
    fault_alloc_arm(2);
    assert_status(arili_status_json(&s, &text, &bytes), ARIL_OK);
    fault_alloc_disarm();
    assert_false(fault_alloc_fired());
    assert_int_equal(bytes, strlen(text) + 1);
    arili_status_free(text, bytes);
    arili_status_free(NULL, 0);
}

static void count(void *state, const aril_metric *metric)
{
    (void)metric;
    ++*(size_t *)state;
}

static void figures_need_no_memory(void **state)
{
    const struct arili_status s = { .version = "1" };
    size_t samples = 0;
    const aril_metrics_sink sink = { .abi = ARIL_METRICS_SINK_ABI,
                                     .state = &samples,
                                     .sample = count };
    (void)state;
    fault_alloc_arm(1);
    arili_status_metrics(&s, &sink);
    fault_alloc_disarm();
    assert_false(fault_alloc_fired());
    assert_true(samples > ARILI_LATENCY_BUCKETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_without_memory_leaves_the_outputs),
        cmocka_unit_test(figures_need_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
