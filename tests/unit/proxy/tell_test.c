/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit sink hears of a proxy: of whom, what, and the name in the store; and how often. */
#include "proxy/loop_internal.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

#define SEEN_MAX 256u

static struct proxy_peers p;
static struct seen {
    aril_event_kind kind;
    aril_status status;
    char tenant[16], action[32], subject[ARIL_EVENT_SUBJECT_MAX + 1];
    bool has_key;
    uint64_t records;
} seen[SEEN_MAX];
static size_t seen_count;

static void on_event(void *state, const aril_event *event)
{
    static const uint8_t none[32];
    (void)state;
    if (event->kind == ARIL_EVENT_KEY || event->kind == ARIL_EVENT_KEYRING) {
        return;
    }
    assert_true(seen_count < SEEN_MAX);
    struct seen *s = &seen[seen_count++];
    s->kind = event->kind;
    s->status = event->status;
    s->records = event->records;
    s->has_key = memcmp(event->key_id, none, sizeof none) != 0;
    (void)snprintf(s->tenant, sizeof s->tenant, "%.*s", (int)event->tenant.len,
                   (const char *)event->tenant.data);
    (void)snprintf(s->action, sizeof s->action, "%s", event->action);
    (void)snprintf(s->subject, sizeof s->subject, "%s",
                   event->subject != NULL ? event->subject : "");
}
static const aril_audit_sink sink = { .abi = ARIL_AUDIT_SINK_ABI, .event = on_event };

static int setup_policy(enum arili_on_tamper on_tamper)
{
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].on_tamper = on_tamper;
    proxy_peers_init(&p, config);
    p.w.rt->audit = &sink;
    seen_count = 0;
    return 0;
}
static int setup(void **state)
{
    (void)state;
    return setup_policy(ARILI_TAMPER_ERROR); /* no removal to be served */
}
static int setup_nil(void **state)
{
    (void)state;
    return setup_policy(ARILI_TAMPER_NIL);
}
static int setup_quarantine(void **state)
{
    (void)state;
    return setup_policy(ARILI_TAMPER_QUARANTINE);
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static const struct seen *last(void)
{
    assert_true(seen_count > 0);
    return &seen[seen_count - 1];
}

static void last_is(aril_event_kind kind, aril_status st, const char *tenant, const char *action)
{
    assert_string_equal(aril_event_kind_name(last()->kind), aril_event_kind_name(kind));
    assert_status(last()->status, st);
    assert_string_equal(last()->tenant, tenant);
    assert_string_equal(last()->action, action);
}

/* c sets k; its name in the store. */
static const char *set_k(struct proxy_peer *c, struct sealed *v)
{
    static char name[ARILI_CACHE_NAME_TEXT + 1];
    aril_bytes args[8];
    ASKS(c, "SET", "k", "the plaintext");
    struct proxy_peer *s = proxy_link(&p, 0);
    assert_true(proxy_command_is(s, "SET", args, COUNT(args)) >= 3);
    (void)snprintf(name, sizeof name, "%.*s", (int)args[1].len, (const char *)args[1].data);
    memcpy(v->bytes, args[2].data, args[2].len);
    v->len = args[2].len;
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
    return name;
}

static void a_changed_value_is_told_with_its_name_and_key(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    const char *name = set_k(c, &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "GET", "k");
    sealed_say(proxy_link(&p, 0), &v);
    proxy_heard_begins(c, "-ERR aril: ");
    last_is(ARIL_EVENT_AUTH_FAILURE, ARIL_E_AUTH, "alice", "value");
    assert_string_equal(last()->subject, name);
    assert_true(last()->has_key);
}

static void a_removed_and_a_moved_value_are_told(void **state)
{
    struct sealed v;
    aril_bytes args[8];
    char line[64];
    const bool aside = *state != NULL;
    struct proxy_peer *c = proxy_accept(&p);
    const char *name = set_k(c, &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "GET", "k");
    sealed_say(proxy_link(&p, 0), &v);
    last_is(ARIL_EVENT_AUTH_FAILURE, ARIL_E_AUTH, "alice", "value");
    struct proxy_peer *s = proxy_link(&p, 1);
    (void)proxy_command_is(s, "WATCH", args, COUNT(args));
    (void)proxy_command_is(s, "GETRANGE", args, COUNT(args));
    (void)snprintf(line, sizeof line, "+OK\r\n$%u\r\n", (unsigned)ARILI_VALUE_HEADER_BYTES);
    proxy_say(s, (aril_bytes){ (const uint8_t *)line, strlen(line) });
    proxy_say(s, (aril_bytes){ v.bytes, ARILI_VALUE_HEADER_BYTES });
    proxy_say(s, TEXT("\r\n"));
    (void)proxy_command_is(s, "MULTI", args, COUNT(args));
    const size_t count = proxy_command_is(s, aside ? "RENAME" : "UNLINK", args, COUNT(args));
    char to[sizeof last()->subject];
    (void)snprintf(to, sizeof to, "%.*s", (int)args[count - 1].len,
                   (const char *)args[count - 1].data);
    proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"));
    last_is(ARIL_EVENT_AUTH_FAILURE, ARIL_E_AUTH, "alice", aside ? "moved-aside" : "removed");
    assert_string_equal(last()->subject, to);
    assert_non_null(strstr(to, name));
    assert_int_equal(strncmp(to, "aq1:", 4) == 0, aside);
}

/* The key of another tenant is in the keyring, and it is not to be used. */
static void a_value_under_another_tenants_key_is_a_violation(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    (void)set_k(c, &v);
    struct proxy_peer *bob = proxy_accept_at(&p, 1);
    ASKS(bob, "GET", "k");
    sealed_say(proxy_link(&p, 0), &v);
    proxy_heard_begins(bob, "-ERR aril: ");
    last_is(ARIL_EVENT_ISOLATION_VIOLATION, ARIL_E_ISOLATION, "bob", "value");
    assert_int_equal(strncmp(last()->subject, "a1:", 3), 0);
    assert_true(last()->has_key);
}

static void a_bad_field_and_a_bad_name_are_told(void **state)
{
    (void)state;
    struct sealed field, v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_hset(c, 0, "h", "f", "the plaintext", &field, &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "HGET", "h", "f");
    sealed_say(proxy_link(&p, 0), &v);
    proxy_heard_begins(c, "-ERR aril: ");
    last_is(ARIL_EVENT_AUTH_FAILURE, ARIL_E_AUTH, "alice", "field");
    assert_int_equal(strncmp(last()->subject, "a1:", 3), 0);
    char name[sizeof last()->subject];
    (void)snprintf(name, sizeof name, "%s", last()->subject);
    field.bytes[field.len / 2] ^= 1;
    ASKS(c, "HKEYS", "h");
    proxy_say(proxy_link(&p, 0), TEXT("*1\r\n"));
    sealed_say(proxy_link(&p, 0), &field);
    last_is(ARIL_EVENT_AUTH_FAILURE, ARIL_E_AUTH, "alice", "name");
    assert_string_equal(last()->subject, name);
    assert_false(last()->has_key);
}

/* Given out so many seconds after a time to live of 10. */
static void read_late(uint64_t late_s)
{
    struct sealed v;
    aril_bytes args[8];
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "SETEX", "k", "10", "the plaintext");
    struct proxy_peer *s = proxy_link(&p, 0);
    assert_int_equal(proxy_command_is(s, "SETEX", args, COUNT(args)), 4);
    memcpy(v.bytes, args[3].data, args[3].len);
    v.len = args[3].len;
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
    fake_clock_add_s(&p.w.clock, 10 + late_s);
    proxy_tick(&p, (10 + late_s) * 1000);
    ASKS(c, "GET", "k");
    sealed_say(s, &v);
    proxy_heard_is(c, "$-1\r\n");
}

static void a_value_given_out_after_its_end_is_a_replay(void **state)
{
    (void)state;
    read_late(4);
    last_is(ARIL_EVENT_REPLAY, ARIL_E_EXPIRED, "alice", "value");
    assert_int_equal(strncmp(last()->subject, "a1:", 3), 0);
}

static void a_clock_that_is_a_little_behind_is_none(void **state)
{
    (void)state;
    read_late(1);
    last_is(ARIL_EVENT_SESSION, ARIL_OK, "alice", "login");
}

static void a_login_is_told_with_its_address(void **state)
{
    (void)state;
    (void)proxy_accept(&p);
    last_is(ARIL_EVENT_SESSION, ARIL_OK, "alice", "login");
    assert_string_not_equal(last()->subject, "");
    (void)proxy_accept_at(&p, 1);
    last_is(ARIL_EVENT_SESSION, ARIL_OK, "bob", "login");
}

/* A server that gives out the same bad value a thousand times. */
static void a_flood_is_bounded_and_summed(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    (void)set_k(c, &v);
    v.bytes[v.len - 1] ^= 1;
    const size_t before = seen_count;
    for (unsigned i = 0; i < 1000; i++) {
        ASKS(c, "GET", "k");
        sealed_say(proxy_link(&p, 0), &v);
        proxy_heard_begins(c, "-ERR aril: ");
    }
    assert_int_equal(seen_count, before + ARILI_TELLS_BURST);
    assert_int_equal(arili_figure(&p.proxy->figures.audit_suppressed), 1000 - ARILI_TELLS_BURST);
    arili_proxy_tell_owed(p.proxy); /* not yet */
    assert_int_equal(seen_count, before + ARILI_TELLS_BURST);
    fake_clock_add_s(&p.w.clock, 1);
    arili_proxy_refresh(p.proxy);
    assert_int_equal(seen_count, before + ARILI_TELLS_BURST + 1);
    last_is(ARIL_EVENT_AUTH_FAILURE, ARIL_E_AUTH, "alice", "value");
    assert_int_equal(last()->records, 1000 - ARILI_TELLS_BURST);
    assert_string_equal(last()->subject, "");
    fake_clock_add_s(&p.w.clock, 60);
    arili_proxy_refresh(p.proxy); /* once */
    assert_int_equal(seen_count, before + ARILI_TELLS_BURST + 1);
}

static void a_flood_of_one_tenant_leaves_the_other_its_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        proxy_go(proxy_accept(&p));
    }
    const size_t before = seen_count;
    (void)proxy_accept(&p);
    assert_int_equal(seen_count, before);
    (void)proxy_accept_at(&p, 1);
    last_is(ARIL_EVENT_SESSION, ARIL_OK, "bob", "login");
    fake_clock_add_s(&p.w.clock, ARILI_TELLS_LOGIN_S);
    arili_proxy_refresh(p.proxy);
    last_is(ARIL_EVENT_SESSION, ARIL_OK, "alice", "login");
    assert_int_equal(last()->records, 11);
}

static void configurations_are_told_also_those_that_are_refused(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    assert_status(arili_proxy_reload(p.proxy, config, &p.h.error), ARIL_OK);
    last_is(ARIL_EVENT_SERVICE, ARIL_OK, "", "reload");
    config = proxy_peers_config();
    config->threads += 1;
    assert_status(arili_proxy_reload(p.proxy, config, &p.h.error), ARIL_E_USAGE_STATE);
    arili_config_free(config);
    last_is(ARIL_EVENT_SERVICE, ARIL_E_USAGE_STATE, "", "reload");
    assert_int_equal(arili_figure(&p.proxy->figures.reload_failures), 1);
    arili_proxy_reload_refused(p.proxy, ARIL_E_FORMAT_FIELD);
    last_is(ARIL_EVENT_SERVICE, ARIL_E_FORMAT_FIELD, "", "reload");
    assert_int_equal(arili_figure(&p.proxy->figures.reload_failures), 2);
    assert_int_equal(arili_figure(&p.proxy->figures.reloads), 1);
}

int main(void)
{
    static bool yes = true;
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(a_changed_value_is_told_with_its_name_and_key, setup),
        T(a_removed_and_a_moved_value_are_told, setup_nil),
        { "the_same_in_quarantine", a_removed_and_a_moved_value_are_told, setup_quarantine,
          teardown, &yes },
        T(a_value_under_another_tenants_key_is_a_violation, setup),
        T(a_bad_field_and_a_bad_name_are_told, setup),
        T(a_value_given_out_after_its_end_is_a_replay, setup),
        T(a_clock_that_is_a_little_behind_is_none, setup),
        T(a_login_is_told_with_its_address, setup),
        T(a_flood_is_bounded_and_summed, setup),
        T(a_flood_of_one_tenant_leaves_the_other_its_room, setup),
        T(configurations_are_told_also_those_that_are_refused, setup),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
