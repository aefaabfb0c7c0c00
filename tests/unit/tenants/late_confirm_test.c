/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "talk.h"

/* Somebody on the path holds a confirm back. */

static struct world w;

static aril_tenants *registry(void)
{
    const aril_kv_config model = view_config();
    const aril_tenants_config config = { .models = &model,
                                         .model_count = 1,
                                         .identity = fixture_identity(ARIL_ML_DSA_65, 0),
                                         .tag_key = fixture_tag_key() };
    aril_tenants *t = NULL;
    assert_status(aril_tenants_new(w.rt, &config, &t), ARIL_OK);
    return t;
}

static void a_confirm_that_comes_late_displaces_nothing_newer(void **state)
{
    (void)state;
    world_init(&w);
    aril_tenants *t = registry();
    struct talk first, second;
    talk_init(&first, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&first, TALK_FINISH);
    talk_init(&second, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&second, TALK_CONFIRM);
    assert_status(aril_tenants_adopt(t, second.server), ARIL_OK);
    aril_session *newer = second.server;
    second.server = NULL; /* the registry owns it */
    assert_status(talk_confirm(&first), ARIL_OK);
    assert_status(aril_tenants_adopt(t, first.server), ARIL_E_EXISTS);
    aril_tenant *held = NULL;
    assert_status(aril_tenants_get(t, TEXT("tenant"), &held), ARIL_OK);
    assert_ptr_equal(aril_tenant_session(held), newer);
    assert_status(aril_session_rotate(newer), ARIL_OK);
    aril_tenant_put(held);
    talk_done(&first);
    talk_done(&second);
    aril_tenants_free(t);
    world_done(&w);
}

static void a_confirm_is_waited_for_sixty_seconds(void **state)
{
    (void)state;
    world_init(&w);
    struct talk t;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_FINISH);
    fake_clock_add_ns(&w.clock, 60 * FAKE_NS_PER_S - 1);
    assert_status(talk_confirm(&t), ARIL_OK);
    talk_done(&t);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_FINISH);
    fake_clock_add_s(&w.clock, 60);
    assert_status(talk_confirm(&t), ARIL_E_EXPIRED);
    assert_null(t.server);
    talk_done(&t);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_confirm_that_comes_late_displaces_nothing_newer),
        cmocka_unit_test(a_confirm_is_waited_for_sixty_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
