/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an established session: time, rotation, counters, the end. */
#include "talk.h"
#include <string.h>

static struct world w;
static struct pair p;
static aril_kv *from_tenant, *at_server; /* both for records of the peer */
static struct room r;

static void begin(const aril_policy *policy)
{
    const aril_kv_config config = view_config_peer();
    const aril_kv_block block = chain_block(1);
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("tenant"), policy);
    from_tenant = view_new(p.tenant, &config);
    at_server = view_new(p.server, &config);
    room_init(&r, 100, 3, &block);
    world_forget(&w);
}

static void end(void)
{
    room_done(&r);
    aril_kv_free(from_tenant);
    aril_kv_free(at_server);
    pair_done(&p);
    world_done(&w);
}

static aril_session_info info_of(const aril_session *s)
{
    aril_session_info info;
    assert_status(aril_session_get_info(s, &info), ARIL_OK);
    return info;
}

static aril_status try_seal(aril_kv *kv)
{
    aril_kv_item item = room_sealing(&r);
    const aril_status st = aril_kv_seal(kv, &item);
    assert_status(item.status, st);
    room_check(&r);
    return st;
}

static void send_one(void)
{
    room_seal(&r, from_tenant);
    assert_status(room_open(&r, at_server), ARIL_OK);
    assert_true(room_is_open(&r));
}

/* --- What is told about it --------------------------------------------------------------- */

static void a_new_session_has_counted_nothing(void **state)
{
    (void)state;
    begin(NULL);
    const aril_session_info info = info_of(p.server);
    const aril_direction_info none = { .epoch = 0 };
    assert_memory_equal(&info.direction[0], &none, sizeof none);
    assert_memory_equal(&info.direction[1], &none, sizeof none);
    assert_int_equal(info.age_s, 0);
    assert_int_equal(info.ttl_left_s, 900);
    end();
}

static void counters_follow_what_happened_at_each_end(void **state)
{
    (void)state;
    begin(NULL);
    for (unsigned i = 0; i < 5; i++) {
        send_one();
    }
    r.body.data[50] ^= 1;
    assert_status(room_open(&r, at_server), ARIL_E_AUTH);
    r.body.data[50] ^= 1;
    r.seal.data[9] ^= 1;
    assert_status(room_open(&r, at_server), ARIL_E_ISOLATION);
    const aril_session_info tenant = info_of(p.tenant), server = info_of(p.server);
    const aril_direction_info *sent = &tenant.direction[ARIL_TENANT_TO_SERVER];
    const aril_direction_info *got = &server.direction[ARIL_TENANT_TO_SERVER];
    assert_int_equal(sent->records_sealed, 5);
    assert_int_equal(sent->bytes_sealed, 500);
    assert_int_equal(sent->records_opened, 0);
    assert_int_equal(sent->refused, 0);
    assert_int_equal(got->records_sealed, 0);
    assert_int_equal(got->records_opened, 5);
    assert_int_equal(got->bytes_opened, 500);
    assert_int_equal(got->refused, 2);
    const aril_direction_info none = { .epoch = 0 };
    assert_memory_equal(&tenant.direction[1], &none, sizeof none);
    assert_memory_equal(&server.direction[1], &none, sizeof none);
    end();
}

static void counters_outlive_epochs_and_the_end(void **state)
{
    (void)state;
    const aril_policy policy = { .rotate_records = 2, .readable_epochs = 1 };
    begin(&policy);
    for (unsigned i = 0; i < 7; i++) {
        send_one();
    }
    assert_int_equal(info_of(p.server).direction[0].epoch, 3);
    assert_int_equal(info_of(p.server).direction[0].oldest_readable, 3);
    assert_int_equal(info_of(p.server).direction[0].records_opened, 7);
    fake_clock_add_s(&w.clock, 900);
    assert_int_equal(info_of(p.server).direction[0].records_opened, 7);
    assert_int_equal(info_of(p.tenant).direction[0].records_sealed, 7);
    assert_int_equal(info_of(p.tenant).direction[0].bytes_sealed, 700);
    end();
}

static void a_refused_record_is_counted_by_its_direction(void **state)
{
    (void)state;
    begin(NULL);
    const aril_kv_config config = view_config();
    aril_kv *own = view_new(p.server, &config);
    room_seal(&r, own);
    assert_status(room_open(&r, own), ARIL_OK);
    assert_status(room_open(&r, at_server), ARIL_E_AUTH); /* the other direction */
    const aril_session_info info = info_of(p.server);
    assert_int_equal(info.direction[ARIL_SERVER_TO_TENANT].records_sealed, 1);
    assert_int_equal(info.direction[ARIL_SERVER_TO_TENANT].records_opened, 1);
    assert_int_equal(info.direction[ARIL_SERVER_TO_TENANT].refused, 0);
    assert_int_equal(info.direction[ARIL_TENANT_TO_SERVER].refused, 1);
    aril_kv_free(own);
    end();
}

/* --- Time ------------------------------------------------------------------------------------ */

static void assert_over(aril_status why)
{
    assert_status(try_seal(from_tenant), why);
    assert_status(room_open(&r, at_server), why);
    assert_true(room_is_clean(&r));
    assert_status(aril_session_rotate(p.tenant), why);
    assert_status(aril_session_retire(p.tenant, ARIL_TENANT_TO_SERVER, 0), why);
    assert_status(aril_session_retire(p.tenant, ARIL_SERVER_TO_TENANT, 0), why);
}

static void a_session_expires_at_its_last_nanosecond(void **state)
{
    (void)state;
    const aril_policy policy = { .ttl_s = 900, .rotate_after_s = 10000 };
    begin(&policy);
    fake_clock_add_ns(&w.clock, 900 * FAKE_NS_PER_S - 1);
    send_one();
    assert_int_equal(info_of(p.tenant).ttl_left_s, 1);
    assert_int_equal(info_of(p.tenant).age_s, 899);
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 0);
    fake_clock_add_ns(&w.clock, 1);
    assert_over(ARIL_E_EXPIRED);
    assert_int_equal(info_of(p.tenant).ttl_left_s, 0);
    assert_int_equal(info_of(p.tenant).age_s, 900);
    end();
}

static void a_time_to_live_of_one_second_is_one_second(void **state)
{
    (void)state;
    const aril_policy policy = { .ttl_s = 1 };
    begin(&policy);
    fake_clock_add_ns(&w.clock, FAKE_NS_PER_S - 1);
    send_one();
    fake_clock_add_ns(&w.clock, 1);
    assert_over(ARIL_E_EXPIRED);
    end();
}

static void expiry_is_reported_once_and_wipes_the_keys(void **state)
{
    (void)state;
    begin(NULL);
    send_one();
    fake_clock_add_s(&w.clock, 900);
    world_forget(&w);
    assert_status(try_seal(from_tenant), ARIL_E_EXPIRED);
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 1);
    assert_status(world_last(&w, ARIL_EVENT_CLOSE).status, ARIL_E_EXPIRED);
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_CLOSE, TEXT("tenant")));
    assert_int_equal(world_events(&w, ARIL_EVENT_RETIRE), 2); /* one epoch a direction */
    assert_status(try_seal(from_tenant), ARIL_E_EXPIRED);
    assert_status(room_open(&r, from_tenant), ARIL_E_EXPIRED);
    aril_session_close(p.tenant);
    p.tenant = NULL;
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 1);
    assert_status(try_seal(from_tenant), ARIL_E_EXPIRED); /* the first reason stays */
    end();
}

/* Nobody uses it any more: looking at it is enough. */
static void looking_at_a_session_ends_it_when_its_time_is_over(void **state)
{
    (void)state;
    begin(NULL);
    fake_clock_add_s(&w.clock, 5000);
    (void)info_of(p.server);
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 1);
    assert_int_equal(world_events(&w, ARIL_EVENT_RETIRE), 2);
    end();
}

/* The boot clock goes on while the machine sleeps; the wall clock does not matter. */
static void time_in_suspend_counts_and_wall_time_does_not(void **state)
{
    (void)state;
    begin(NULL);
    atomic_store(&w.clock.unix_s, FAKE_UNIX_S + 1000000);
    send_one();
    atomic_store(&w.clock.unix_s, 0);
    send_one();
    fake_clock_add_ns(&w.clock, 3600 * FAKE_NS_PER_S);
    assert_over(ARIL_E_EXPIRED);
    end();
}

static void a_boot_clock_that_goes_back_does_no_harm(void **state)
{
    (void)state;
    begin(NULL);
    atomic_store(&w.clock.boot_ns, 1);
    send_one();
    assert_int_equal(info_of(p.tenant).age_s, 0);
    assert_int_equal(info_of(p.tenant).ttl_left_s, 900);
    atomic_store(&w.clock.boot_ns, FAKE_BOOT_NS + 1);
    send_one();
    end();
}

static void a_clock_that_fails_stops_everything_and_ends_nothing(void **state)
{
    (void)state;
    aril_session_info info;
    begin(NULL);
    room_seal(&r, from_tenant);
    atomic_store(&w.clock.status, ARIL_E_UNAVAILABLE);
    assert_over(ARIL_E_UNAVAILABLE);
    assert_status(aril_session_get_info(p.tenant, &info), ARIL_E_UNAVAILABLE);
    aril_session_flush_audit(p.tenant);
    atomic_store(&w.clock.status, ARIL_OK);
    assert_status(room_open(&r, at_server), ARIL_OK);
    send_one();
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 0);
    end();
}

/* --- Rotation and retirement ---------------------------------------------------------------------
 */

static void rotation_by_age_is_followed_by_the_peer(void **state)
{
    (void)state;
    begin(NULL);
    fake_clock_add_s(&w.clock, 299);
    send_one();
    assert_int_equal(world_events(&w, ARIL_EVENT_ROTATE), 0);
    fake_clock_add_s(&w.clock, 1);
    room_seal(&r, from_tenant);
    assert_int_equal(world_events(&w, ARIL_EVENT_ROTATE), 1);
    assert_int_equal(world_last(&w, ARIL_EVENT_ROTATE).reason, ARIL_ROTATE_AGE);
    assert_int_equal(info_of(p.tenant).direction[0].epoch, 1);
    assert_int_equal(info_of(p.tenant).direction[1].epoch, 0);
    assert_int_equal(info_of(p.server).direction[0].epoch, 0);
    assert_status(room_open(&r, at_server), ARIL_OK);
    assert_int_equal(world_last(&w, ARIL_EVENT_ROTATE).reason, ARIL_ROTATE_PEER);
    assert_int_equal(info_of(p.server).direction[0].epoch, 1);
    assert_int_equal(info_of(p.server).direction[1].epoch, 0);
    end();
}

static void rotation_by_hand_moves_the_own_direction(void **state)
{
    (void)state;
    begin(NULL);
    assert_status(aril_session_rotate(p.server), ARIL_OK);
    assert_int_equal(world_last(&w, ARIL_EVENT_ROTATE).reason, ARIL_ROTATE_MANUAL);
    assert_int_equal(world_last(&w, ARIL_EVENT_ROTATE).direction, ARIL_SERVER_TO_TENANT);
    assert_int_equal(info_of(p.server).direction[ARIL_SERVER_TO_TENANT].epoch, 1);
    assert_int_equal(info_of(p.server).direction[ARIL_TENANT_TO_SERVER].epoch, 0);
    send_one(); /* the other direction did not notice */
    assert_int_equal(info_of(p.tenant).direction[ARIL_TENANT_TO_SERVER].epoch, 0);
    end();
}

static void a_retired_epoch_of_the_peer_does_not_open(void **state)
{
    (void)state;
    begin(NULL);
    room_seal(&r, from_tenant);
    assert_status(aril_session_retire(p.server, ARIL_TENANT_TO_SERVER, 0), ARIL_OK);
    assert_status(room_open(&r, at_server), ARIL_E_KEY_RETIRED);
    assert_status(try_seal(at_server), ARIL_OK); /* the other direction lives */
    assert_status(aril_session_rotate(p.tenant), ARIL_OK);
    send_one();
    end();
}

static void a_retired_sending_epoch_is_replaced(void **state)
{
    (void)state;
    begin(NULL);
    send_one();
    assert_status(aril_session_retire(p.tenant, ARIL_TENANT_TO_SERVER, 0), ARIL_OK);
    assert_int_equal(info_of(p.tenant).direction[0].epoch, 1);
    assert_int_equal(info_of(p.tenant).direction[0].oldest_readable, 1);
    send_one();
    assert_int_equal(r.seal.data[7], 1); /* sealed in the new one */
    end();
}

static void retiring_checks_its_arguments(void **state)
{
    (void)state;
    begin(NULL);
    assert_status(aril_session_retire(p.tenant, ARIL_TENANT_TO_SERVER, 1), ARIL_E_USAGE_RANGE);
    assert_status(aril_session_retire(p.tenant, ARIL_SERVER_TO_TENANT, UINT32_MAX),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_session_retire(p.tenant, (aril_direction)2, 0), ARIL_E_USAGE_RANGE);
    assert_status(aril_session_retire(p.tenant, (aril_direction)-1, 0), ARIL_E_USAGE_RANGE);
    assert_status(aril_session_retire(NULL, ARIL_TENANT_TO_SERVER, 0), ARIL_E_USAGE_NULL);
    assert_status(aril_session_rotate(NULL), ARIL_E_USAGE_NULL);
    aril_session_info info;
    assert_status(aril_session_get_info(NULL, &info), ARIL_E_USAGE_NULL);
    assert_status(aril_session_get_info(p.tenant, NULL), ARIL_E_USAGE_NULL);
    assert_int_equal(aril_session_tenant(NULL).len, 0);
    aril_session_flush_audit(NULL);
    send_one();
    end();
}

/* --- Summaries
 * ------------------------------------------------------------------------------------ */

static void summaries_come_every_ten_seconds_of_use(void **state)
{
    (void)state;
    begin(NULL);
    for (unsigned i = 0; i < 50; i++) {
        send_one();
    }
    fake_clock_add_ns(&w.clock, 10 * FAKE_NS_PER_S - 1);
    send_one();
    assert_int_equal(world_events(&w, ARIL_EVENT_ENCRYPT), 0);
    assert_int_equal(world_events(&w, ARIL_EVENT_DECRYPT), 0);
    fake_clock_add_ns(&w.clock, 1);
    send_one();
    assert_int_equal(world_events(&w, ARIL_EVENT_ENCRYPT), 1);
    assert_int_equal(world_events(&w, ARIL_EVENT_DECRYPT), 1);
    const aril_event ev = world_last(&w, ARIL_EVENT_ENCRYPT);
    assert_int_equal(ev.records, 52);
    assert_int_equal(ev.bytes, 5200);
    assert_int_equal(ev.interval_start_ns, FAKE_BOOT_NS);
    assert_int_equal(ev.direction, ARIL_TENANT_TO_SERVER);
    assert_int_equal(world_last(&w, ARIL_EVENT_DECRYPT).records, 52);
    send_one();
    assert_int_equal(world_events(&w, ARIL_EVENT_ENCRYPT), 1);
    end();
}

static void a_flush_tells_what_is_still_untold(void **state)
{
    (void)state;
    begin(NULL);
    send_one();
    aril_session_flush_audit(p.tenant);
    assert_int_equal(world_events(&w, ARIL_EVENT_ENCRYPT), 1);
    assert_int_equal(world_events(&w, ARIL_EVENT_DECRYPT), 0);
    aril_session_flush_audit(p.server);
    assert_int_equal(world_events(&w, ARIL_EVENT_DECRYPT), 1);
    aril_session_flush_audit(p.tenant);
    aril_session_flush_audit(p.server);
    assert_int_equal(world_events(&w, ARIL_EVENT_ENCRYPT), 1);
    assert_int_equal(world_events(&w, ARIL_EVENT_DECRYPT), 1);
    end();
}

static void closing_tells_everything_that_is_untold(void **state)
{
    (void)state;
    aril_audit_totals totals;
    begin(NULL);
    for (unsigned i = 0; i < 9; i++) {
        send_one();
    }
    pair_done(&p);
    assert_status(aril_audit_memory_totals(w.audit, &totals), ARIL_OK);
    assert_int_equal(totals.records_sealed, 9);
    assert_int_equal(totals.bytes_sealed, 900);
    assert_int_equal(totals.records_opened, 9);
    assert_int_equal(totals.bytes_opened, 900);
    end();
}

/* --- The end
 * --------------------------------------------------------------------------------------- */

static void views_outlive_the_session_but_not_its_keys(void **state)
{
    (void)state;
    begin(NULL);
    send_one();
    world_forget(&w);
    pair_done(&p);
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 2);
    assert_status(world_last(&w, ARIL_EVENT_CLOSE).status, ARIL_E_KEY_CLOSED);
    assert_int_equal(world_events(&w, ARIL_EVENT_RETIRE), 4);
    assert_status(try_seal(from_tenant), ARIL_E_KEY_CLOSED);
    assert_status(room_open(&r, at_server), ARIL_E_KEY_CLOSED);
    assert_true(room_is_clean(&r));
    aril_session *still = aril_kv_session(from_tenant);
    assert_non_null(still);
    assert_int_equal(info_of(still).direction[0].records_sealed, 1);
    assert_int_equal(aril_session_tenant(still).len, 6);
    assert_status(aril_session_rotate(still), ARIL_E_KEY_CLOSED);
    fake_clock_add_s(&w.clock, 5000); /* closed before it could expire */
    assert_status(try_seal(from_tenant), ARIL_E_KEY_CLOSED);
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 2);
    end();
}

static void a_view_may_be_made_of_a_session_that_is_over(void **state)
{
    (void)state;
    begin(NULL);
    const aril_kv_config config = view_config();
    fake_clock_add_s(&w.clock, 900);
    aril_kv *late = view_new(p.tenant, &config);
    assert_status(try_seal(late), ARIL_E_EXPIRED);
    aril_kv_free(late);
    end();
}

static void closing_one_end_leaves_the_other_alone(void **state)
{
    (void)state;
    begin(NULL);
    room_seal(&r, from_tenant);
    aril_session_close(p.tenant);
    p.tenant = NULL;
    assert_status(room_open(&r, at_server), ARIL_OK);
    assert_status(try_seal(from_tenant), ARIL_E_KEY_CLOSED);
    assert_status(try_seal(at_server), ARIL_OK);
    aril_session_close(NULL);
    end();
}

/* --- Pairs
 * ---------------------------------------------------------------------------------------------- */

static void a_pair_needs_its_arguments(void **state)
{
    (void)state;
    struct world world;
    aril_session *a = (aril_session *)&world, *b = (aril_session *)&world;
    world_init(&world);
    const aril_identity *id = fixture_identity(ARIL_ML_DSA_65, 0);
    const aril_bytes key = fixture_tag_key();
    const aril_bytes name = TEXT("t");
    assert_status(aril_session_pair(NULL, 0, name, id, key, NULL, &a, &b), ARIL_E_USAGE_NULL);
    assert_status(aril_session_pair(world.rt, 0, name, NULL, key, NULL, &a, &b), ARIL_E_USAGE_NULL);
    assert_status(aril_session_pair(world.rt, 0, name, id, key, NULL, &a, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_session_pair(world.rt, (aril_profile)4, name, id, key, NULL, &a, &b),
                  ARIL_E_USAGE_RANGE);
    assert_null(a);
    assert_null(b);
    assert_status(aril_session_pair(world.rt, ARIL_PROFILE_STRICT, name, id, key, NULL, &a, &b),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_session_pair(world.rt, 0, TEXT(""), id, key, NULL, &a, &b),
                  ARIL_E_USAGE_RANGE);
    assert_status(
        aril_session_pair(world.rt, 0, name, id, (aril_bytes){ key.data, 31 }, NULL, &a, &b),
        ARIL_E_USAGE_RANGE);
    assert_status(aril_session_pair(world.rt, 0, name, id, key,
                                    &(aril_policy){ .readable_epochs = 1025 }, &a, &b),
                  ARIL_E_USAGE_RANGE);
    assert_null(a);
    assert_null(b);
    world_done(&world);
}

static void a_pair_is_hybrid_by_default_and_may_drop_the_tenant(void **state)
{
    (void)state;
    struct world world;
    aril_session *server = NULL;
    world_init(&world);
    assert_status(aril_session_pair(world.rt, 0, TEXT("t"), fixture_identity(ARIL_ML_DSA_65, 0),
                                    fixture_tag_key(), NULL, NULL, &server),
                  ARIL_OK);
    assert_int_equal(info_of(server).profile, ARIL_PROFILE_HYBRID);
    assert_int_equal(info_of(server).sends, ARIL_SERVER_TO_TENANT);
    assert_int_equal(world_events(&world, ARIL_EVENT_CLOSE), 1); /* the tenant's end */
    aril_session_close(server);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_session_has_counted_nothing),
        cmocka_unit_test(counters_follow_what_happened_at_each_end),
        cmocka_unit_test(counters_outlive_epochs_and_the_end),
        cmocka_unit_test(a_refused_record_is_counted_by_its_direction),
        cmocka_unit_test(a_session_expires_at_its_last_nanosecond),
        cmocka_unit_test(a_time_to_live_of_one_second_is_one_second),
        cmocka_unit_test(expiry_is_reported_once_and_wipes_the_keys),
        cmocka_unit_test(looking_at_a_session_ends_it_when_its_time_is_over),
        cmocka_unit_test(time_in_suspend_counts_and_wall_time_does_not),
        cmocka_unit_test(a_boot_clock_that_goes_back_does_no_harm),
        cmocka_unit_test(a_clock_that_fails_stops_everything_and_ends_nothing),
        cmocka_unit_test(rotation_by_age_is_followed_by_the_peer),
        cmocka_unit_test(rotation_by_hand_moves_the_own_direction),
        cmocka_unit_test(a_retired_epoch_of_the_peer_does_not_open),
        cmocka_unit_test(a_retired_sending_epoch_is_replaced),
        cmocka_unit_test(retiring_checks_its_arguments),
        cmocka_unit_test(summaries_come_every_ten_seconds_of_use),
        cmocka_unit_test(a_flush_tells_what_is_still_untold),
        cmocka_unit_test(closing_tells_everything_that_is_untold),
        cmocka_unit_test(views_outlive_the_session_but_not_its_keys),
        cmocka_unit_test(a_view_may_be_made_of_a_session_that_is_over),
        cmocka_unit_test(closing_one_end_leaves_the_other_alone),
        cmocka_unit_test(a_pair_needs_its_arguments),
        cmocka_unit_test(a_pair_is_hybrid_by_default_and_may_drop_the_tenant),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
