/* SPDX-License-Identifier: Apache-2.0 */
#include "record/batch.h"
#include "fake_owner.h"
#include <string.h>

#define KIB UINT64_C(1024)
#define MAX 600u

/* --- Cutting work into pieces ------------------------------------------------------------ */

struct work {
    unsigned times[MAX];
    size_t runs, tasks; /* calls of the executor, and of its tasks */
};

static void touch(void *arg, size_t first, size_t end)
{
    struct work *w = arg;
    assert_true(first <= end && end <= MAX);
    for (size_t i = first; i < end; i++) {
        w->times[i]++;
    }
}

/* Runs the tasks from the last to the first. */
static void run_backwards(void *state, void (*task)(void *arg, size_t index), void *arg,
                          size_t count)
{
    struct work *w = state;
    w->runs++;
    w->tasks = count;
    for (size_t i = count; i-- > 0;) {
        task(arg, i);
    }
}

static void assert_once_each(struct work *w, size_t count)
{
    for (size_t i = 0; i < MAX; i++) {
        assert_int_equal(w->times[i], i < count);
    }
}

static void every_record_runs_once_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t count = 0; count < MAX; count += 1 + count / 9) {
        for (uint64_t pieces = 0; pieces < 40; pieces += 1 + pieces / 4) {
            struct work w = { .runs = 0 };
            const aril_executor executor = { .abi = ARIL_EXECUTOR_ABI,
                                             .state = &w,
                                             .run = run_backwards };
            arili_batch_run(&executor, count, pieces * 256 * KIB, touch, &w);
            assert_once_each(&w, count);
            const size_t want = pieces < count ? (size_t)pieces : count;
            assert_int_equal(w.runs, want >= 2);
            assert_int_equal(w.tasks, want >= 2 ? want : 0);
        }
    }
}

static void small_work_stays_with_the_caller(void **state)
{
    (void)state;
    struct work w = { .runs = 0 };
    const aril_executor executor = { .abi = ARIL_EXECUTOR_ABI, .state = &w, .run = run_backwards };
    arili_batch_run(&executor, 100, 512 * KIB - 1, touch, &w);
    assert_int_equal(w.runs, 0);
    assert_once_each(&w, 100);
    memset(w.times, 0, sizeof w.times);
    arili_batch_run(&executor, 100, 512 * KIB, touch, &w);
    assert_int_equal(w.runs, 1);
    assert_int_equal(w.tasks, 2);
    assert_once_each(&w, 100);
}

static void without_an_executor_the_caller_does_all(void **state)
{
    (void)state;
    struct work w = { .runs = 0 };
    arili_batch_run(NULL, 300, UINT64_MAX, touch, &w);
    assert_once_each(&w, 300);
}

/* --- Places for a batch ------------------------------------------------------------------- */

struct record {
    uint64_t length;
    aril_status status;
    uint32_t epoch;
    uint64_t sequence;
    unsigned times;
};

static unsigned lengths_asked;

static uint64_t length_of(const void *items, size_t i)
{
    lengths_asked++;
    return ((const struct record *)items)[i].length;
}

static void seal(void *items, size_t i, const struct arili_place *place)
{
    struct record *r = &((struct record *)items)[i];
    assert_non_null(place->epoch->keys); /* pinned */
    assert_non_null(place->ctx);
    r->epoch = place->number;
    r->sequence = place->sequence;
    r->times++;
}

static void refuse(void *items, size_t i, aril_status why)
{
    struct record *r = &((struct record *)items)[i];
    r->status = why;
    r->times++;
}

static struct owner o;

static void begin(uint64_t rotate_records, uint64_t rotate_bytes)
{
    aril_policy policy = owner_policy();
    policy.rotate_records = rotate_records;
    policy.rotate_bytes = rotate_bytes;
    owner_init(&o, &policy, true, 0);
}

static void seal_all(struct record *records, size_t count)
{
    const struct arili_batch batch = { .chain = &o.chain,
                                       .items = records,
                                       .count = count,
                                       .length = length_of,
                                       .seal = seal,
                                       .refuse = refuse };
    arili_batch_seal(&batch, owner_now(&o));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(records[i].times, 1);
    }
    assert_int_equal(owner_pins(&o), 0);
}

/* The work must not grow with the square of the epochs that a batch crosses. */
static void each_length_is_asked_a_few_times_however_many_epochs(void **state)
{
    (void)state;
    begin(2, 1000);
    static struct record records[400];
    memset(records, 0, sizeof records);
    for (size_t i = 0; i < 400; i++) {
        records[i].length = 3;
    }
    lengths_asked = 0;
    seal_all(records, 400);
    assert_int_equal(records[399].epoch, 199);
    assert_true(lengths_asked <= 4 * 400);
    owner_done(&o);
}

static void places_follow_the_order_of_the_items(void **state)
{
    (void)state;
    struct record r[25] = { { .length = 0 } };
    begin(10, 1000);
    seal_all(r, COUNT(r));
    for (size_t i = 0; i < COUNT(r); i++) {
        assert_int_equal(r[i].epoch, i / 10);
        assert_int_equal(r[i].sequence, i % 10 + 1);
        assert_status(r[i].status, ARIL_OK);
    }
    owner_done(&o);
}

static void a_record_that_is_too_long_stops_nobody_else(void **state)
{
    (void)state;
    for (size_t at = 0; at < 7; at++) {
        struct record r[7];
        memset(r, 0, sizeof r);
        begin(100, 1000);
        for (size_t i = 0; i < COUNT(r); i++) {
            r[i].length = i == at ? 1001 : 300;
        }
        seal_all(r, COUNT(r));
        for (size_t i = 0; i < COUNT(r); i++) {
            assert_status(r[i].status, i == at ? ARIL_E_LIMIT_RECORD : ARIL_OK);
            const size_t nth = i - (i > at); /* among those that were sealed */
            assert_int_equal(r[i].epoch, i == at ? 0 : nth / 3);
            assert_int_equal(r[i].sequence, i == at ? 0 : nth % 3 + 1);
        }
        owner_done(&o);
    }
}

static void only_records_that_are_too_long_are_all_refused(void **state)
{
    (void)state;
    struct record r[5];
    memset(r, 0, sizeof r);
    begin(100, 10);
    for (size_t i = 0; i < COUNT(r); i++) {
        r[i].length = 11;
    }
    seal_all(r, COUNT(r));
    for (size_t i = 0; i < COUNT(r); i++) {
        assert_status(r[i].status, ARIL_E_LIMIT_RECORD);
    }
    assert_int_equal(owner_info(&o).epoch, 0);
    owner_done(&o);
}

/* What is in the way of one place is in the way of all that follow. */
static void a_rotation_that_fails_refuses_the_rest(void **state)
{
    (void)state;
    struct record r[9];
    memset(r, 0, sizeof r);
    begin(4, 1000);
    o.derive_fails = ARIL_E_NOMEM;
    seal_all(r, COUNT(r));
    for (size_t i = 0; i < COUNT(r); i++) {
        assert_status(r[i].status, i < 4 ? ARIL_OK : ARIL_E_NOMEM);
    }
    o.derive_fails = ARIL_OK;
    memset(r, 0, sizeof r);
    seal_all(r, COUNT(r));
    for (size_t i = 0; i < COUNT(r); i++) {
        assert_status(r[i].status, ARIL_OK);
        assert_int_equal(r[i].epoch, 1 + i / 4);
    }
    owner_done(&o);
}

static void an_ended_chain_refuses_every_record(void **state)
{
    (void)state;
    struct record r[3];
    memset(r, 0, sizeof r);
    begin(4, 1000);
    assert_true(arili_chain_end(&o.chain, ARIL_E_KEY_CLOSED));
    r[1].length = 5000; /* the chain is looked at first */
    seal_all(r, COUNT(r));
    for (size_t i = 0; i < COUNT(r); i++) {
        assert_status(r[i].status, ARIL_E_KEY_CLOSED);
    }
    owner_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_runs_once_however_it_is_cut),
        cmocka_unit_test(small_work_stays_with_the_caller),
        cmocka_unit_test(without_an_executor_the_caller_does_all),
        cmocka_unit_test(each_length_is_asked_a_few_times_however_many_epochs),
        cmocka_unit_test(places_follow_the_order_of_the_items),
        cmocka_unit_test(a_record_that_is_too_long_stops_nobody_else),
        cmocka_unit_test(only_records_that_are_too_long_are_all_refused),
        cmocka_unit_test(a_rotation_that_fails_refuses_the_rest),
        cmocka_unit_test(an_ended_chain_refuses_every_record),
    };
    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
