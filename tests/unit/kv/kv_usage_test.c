/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong arguments: each is refused with its status, and nothing is read or written. */
#include "fixture.h"
#include <string.h>

static struct world w;
static struct pair p;
static aril_kv *kv;
static struct room r;

static int setup(void **state)
{
    (void)state;
    const aril_kv_config config = view_config();
    const aril_kv_block block = chain_block(1);
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("tenant"), NULL);
    kv = view_new(p.server, &config);
    room_init(&r, 100, 3, &block);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    room_done(&r);
    aril_kv_free(kv);
    pair_done(&p);
    world_done(&w);
    return 0;
}

/* --- Views ------------------------------------------------------------------------------------ */

static void assert_no_view(const aril_kv_config *config, aril_status want)
{
    aril_kv *view = (aril_kv *)&w;
    assert_status(aril_kv_new(p.server, config, &view), want);
    assert_null(view);
}

static void a_view_needs_a_session_and_a_configuration(void **state)
{
    (void)state;
    const aril_kv_config config = view_config();
    aril_kv *view = (aril_kv *)&w;
    assert_status(aril_kv_new(NULL, &config, &view), ARIL_E_USAGE_NULL);
    assert_null(view);
    assert_no_view(NULL, ARIL_E_USAGE_NULL);
    assert_status(aril_kv_new(p.server, &config, NULL), ARIL_E_USAGE_NULL);
    aril_kv_free(NULL);
    assert_null(aril_kv_session(NULL));
    assert_ptr_equal(aril_kv_session(kv), p.server);
}

static void a_view_checks_its_configuration(void **state)
{
    (void)state;
    static char name[257], dtype[33];
    uint8_t model[4097] = { 1 };
    memset(name, 'n', sizeof name - 1);
    memset(dtype, 'd', sizeof dtype - 1);
    aril_kv_config c = view_config();
    c.source = (aril_kv_source)2;
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
    c = view_config();
    c.mode = (aril_kv_mode)2;
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
    c = view_config();
    c.slot_pins = ((size_t)1 << 24) + 1;
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
    c.slot_pins = SIZE_MAX;
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
    c = view_config();
    c.model = (aril_bytes){ NULL, 7 };
    assert_no_view(&c, ARIL_E_USAGE_NULL);
    c.model = (aril_bytes){ model, 0 };
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
    c.model = (aril_bytes){ model, 4097 };
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
    c = view_config();
    c.layout.name = NULL;
    assert_no_view(&c, ARIL_E_USAGE_NULL);
    c.layout.name = name;
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
    c = view_config();
    c.layout.dtype = NULL;
    assert_no_view(&c, ARIL_E_USAGE_NULL);
    c.layout.dtype = dtype;
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
}

static void run_nothing(void *state, void (*task)(void *arg, size_t index), void *arg, size_t count)
{
    (void)state;
    (void)task;
    (void)arg;
    (void)count;
}

static void a_view_checks_its_executor(void **state)
{
    (void)state;
    aril_executor executor = { .abi = ARIL_EXECUTOR_ABI, .run = run_nothing };
    aril_kv_config c = view_config();
    c.executor = &executor;
    aril_kv_free(view_new(p.server, &c));
    executor.abi = 0;
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
    executor.abi = ARIL_EXECUTOR_ABI + 1;
    assert_no_view(&c, ARIL_E_USAGE_RANGE);
    executor.abi = ARIL_EXECUTOR_ABI;
    executor.run = NULL;
    assert_no_view(&c, ARIL_E_USAGE_NULL);
}

/* --- Items ----------------------------------------------------------------------------------- */

/* Neither sealing nor opening takes the item, and no buffer changes. */
static void assert_no_item(const aril_kv_item *wrong, aril_status want)
{
    aril_kv_item item = *wrong;
    assert_status(aril_kv_seal(kv, &item), want);
    assert_status(item.status, want);
    assert_true(is_filled(r.body.data, r.len, GUARD_FILLER));
    assert_true(is_filled(r.seal.data, ARIL_SEAL_BYTES, GUARD_FILLER));
    item = *wrong;
    item.status = ARIL_OK;
    assert_status(aril_kv_open(kv, &item), want);
    assert_status(item.status, want);
    room_check(&r); /* the plaintext is what opening would write to */
    assert_true(is_filled(r.staging.data, r.len, GUARD_FILLER));
}

static void an_item_needs_its_pointers(void **state)
{
    (void)state;
    aril_kv_item item = room_sealing(&r);
    assert_status(aril_kv_seal(NULL, &item), ARIL_E_USAGE_NULL);
    assert_status(aril_kv_seal(kv, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_kv_open(NULL, &item), ARIL_E_USAGE_NULL);
    assert_status(aril_kv_open(kv, NULL), ARIL_E_USAGE_NULL);
    item.block = NULL;
    assert_no_item(&item, ARIL_E_USAGE_NULL);
    item = room_sealing(&r);
    item.spans = NULL;
    assert_no_item(&item, ARIL_E_USAGE_NULL);
    item = room_sealing(&r);
    item.body = NULL;
    assert_no_item(&item, ARIL_E_USAGE_NULL);
    item = room_sealing(&r);
    item.seal = NULL;
    assert_no_item(&item, ARIL_E_USAGE_NULL);
    const aril_span nowhere = { NULL, 100 };
    item = room_sealing(&r);
    item.spans = &nowhere;
    assert_no_item(&item, ARIL_E_USAGE_NULL);
}

static void an_item_checks_its_lengths(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0, 1, 99, 101, (size_t)1 << 36, SIZE_MAX };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        aril_kv_item item = room_sealing(&r);
        item.body_len = lengths[i];
        assert_no_item(&item, ARIL_E_USAGE_RANGE);
    }
    aril_kv_item item = room_sealing(&r);
    item.span_count = 0;
    assert_no_item(&item, ARIL_E_USAGE_RANGE);
    item.span_count = ARIL_SPANS_MAX + 1;
    assert_no_item(&item, ARIL_E_USAGE_RANGE);
}

static void an_item_checks_its_block(void **state)
{
    (void)state;
    const aril_kv_item item = room_sealing(&r);
    const aril_kv_block good = r.block;
    r.block.layer_count = 0;
    assert_no_item(&item, ARIL_E_USAGE_RANGE);
    r.block = good;
    r.block.layer_first = UINT32_MAX;
    r.block.layer_count = 2;
    assert_no_item(&item, ARIL_E_USAGE_RANGE);
    r.block = good;
    for (int i = -1; i < 5; i++) {
        r.block.identity = (aril_kv_identity)i;
        if (i != ARIL_KV_CHAIN && i != ARIL_KV_SLOT) {
            assert_no_item(&item, ARIL_E_USAGE_RANGE);
        }
    }
}

static void an_item_checks_its_flags_and_staging(void **state)
{
    (void)state;
    aril_kv_item item = room_sealing(&r);
    for (unsigned bit = 1; bit < 32; bit++) {
        item.flags = 1u << bit;
        assert_no_item(&item, ARIL_E_USAGE_RANGE);
        item.flags |= ARIL_KV_IN_PLACE;
        assert_no_item(&item, ARIL_E_USAGE_RANGE);
    }
    item.flags = ARIL_KV_IN_PLACE; /* but the span is not the body */
    assert_no_item(&item, ARIL_E_USAGE_RANGE);
    item = room_sealing(&r);
    item.staging = r.staging.data; /* what is in place needs none */
    item.flags = ARIL_KV_IN_PLACE;
    item.body = r.plain.data;
    assert_no_item(&item, ARIL_E_USAGE_RANGE);
}

static void an_item_checks_its_overlaps(void **state)
{
    (void)state;
    aril_kv_item item = room_sealing(&r);
    item.body = r.plain.data;
    assert_no_item(&item, ARIL_E_USAGE_OVERLAP);
    item.body = r.plain.data + 99;
    assert_no_item(&item, ARIL_E_USAGE_OVERLAP);
    item = room_sealing(&r);
    item.seal = r.body.data + 50;
    assert_no_item(&item, ARIL_E_USAGE_OVERLAP);
    item.seal = r.plain.data + 99;
    assert_no_item(&item, ARIL_E_USAGE_OVERLAP);
    aril_kv_item opening = room_opening(&r);
    uint8_t *const wrong[] = { r.out.data + 99, r.body.data, r.seal.data + 79 };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        opening.staging = wrong[i];
        assert_status(aril_kv_open(kv, &opening), ARIL_E_USAGE_OVERLAP);
        assert_true(is_filled(r.out.data, r.len, GUARD_FILLER));
    }
}

static void slots_need_pins(void **state)
{
    (void)state;
    aril_kv_config config = view_config();
    config.slot_pins = 0;
    aril_kv *const with_pins = kv;
    kv = view_new(p.server, &config);
    r.block = slot_block(1, 1);
    const aril_kv_item item = room_sealing(&r);
    assert_no_item(&item, ARIL_E_USAGE_STATE);
    size_t forgotten = 4711;
    assert_status(aril_kv_forget_slot(kv, 1, &forgotten), ARIL_E_USAGE_STATE);
    assert_int_equal(forgotten, 4711);
    assert_status(aril_kv_forget_slot(NULL, 1, &forgotten), ARIL_E_USAGE_NULL);
    aril_kv_free(kv);
    kv = with_pins;
    assert_status(aril_kv_forget_slot(kv, 1, NULL), ARIL_OK);
}

/* A mistake of the caller is no attack, and uses up no sequence. */
static void wrong_arguments_are_not_counted(void **state)
{
    (void)state;
    world_forget(&w);
    aril_kv_item item = room_sealing(&r);
    item.body_len = 99;
    for (unsigned i = 0; i < 5; i++) {
        assert_status(aril_kv_seal(kv, &item), ARIL_E_USAGE_RANGE);
        assert_status(aril_kv_open(kv, &item), ARIL_E_USAGE_RANGE);
    }
    aril_session_info info;
    assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
    assert_int_equal(info.direction[1].refused, 0);
    assert_int_equal(info.direction[1].records_sealed, 0);
    assert_int_equal(world_events(&w, ARIL_EVENT_AUTH_FAILURE), 0);
    room_seal(&r, kv);
    assert_int_equal(r.seal.data[23], 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_view_needs_a_session_and_a_configuration),
        CASE(a_view_checks_its_configuration),
        CASE(a_view_checks_its_executor),
        CASE(an_item_needs_its_pointers),
        CASE(an_item_checks_its_lengths),
        CASE(an_item_checks_its_block),
        CASE(an_item_checks_its_flags_and_staging),
        CASE(an_item_checks_its_overlaps),
        CASE(slots_need_pins),
        CASE(wrong_arguments_are_not_counted),
    };
    return cmocka_run_group_tests_name("kv usage", tests, NULL, NULL);
}
