/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the Redis store fails once, over a real server. Demanded are the status of the
 * fault, a server that has the old value or the new one, and a store that goes on. */
#include "check.h"
#include "fault_alloc.h"
#include "fixture.h"
#include "redis.h"
#include "runtime.h"
#include <aril/store.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEADLINE_MS 120000u
#define LONG_BYTES  150000u /* goes in pieces */
#define ROUNDS_MAX  500u
#define NAMES       400u

static char uri[256];
static aril_store_config config;
static uint8_t old_bytes[LONG_BYTES];
static uint8_t new_bytes[LONG_BYTES];
static const struct redis *flushed;

static aril_status open_it(aril_store **ret, aril_error *error)
{
    config.uri = uri;
    config.deadline_ms = DEADLINE_MS;
    config.breaker_after = UINT32_MAX; /* what this file does must not open it */
    return aril_store_open(rt, &config, ret, error);
}

static aril_status put(aril_store *s, const char *name, const uint8_t *bytes, size_t len)
{
    const aril_bytes part = { bytes, len };
    aril_store_item item = { .name = text_bytes(name), .parts = &part, .part_count = 1 };
    const aril_status st = aril_store_put(s, &item, 1, NULL);
    return st == ARIL_OK ? item.status : st;
}

/* 'o': the old value, 'n': the new one, '-': none, '?': something else. */
static char look(aril_store *s, const char *name, size_t len)
{
    static uint8_t buffer[LONG_BYTES + 1];
    aril_store_item item = { .name = text_bytes(name), .buffer = { buffer, sizeof buffer } };
    assert_status(aril_store_get(s, &item, 1, NULL), ARIL_OK);
    if (item.status == ARIL_E_NOT_FOUND) {
        return '-';
    }
    assert_status(item.status, ARIL_OK);
    return item.len != len                       ? '?'
           : memcmp(buffer, old_bytes, len) == 0 ? 'o'
           : memcmp(buffer, new_bytes, len) == 0 ? 'n'
                                                 : '?';
}

/* --- What is done while something fails ---------------------------------------------------- */

static aril_status put_both(aril_store *s)
{
    const aril_bytes parts[] = { { new_bytes, 100 }, { new_bytes, LONG_BYTES } };
    aril_store_item items[] = {
        { .name = TEXT("short"), .parts = &parts[0], .part_count = 1 },
        { .name = TEXT("long"), .parts = &parts[1], .part_count = 1 },
    };
    return aril_store_put(s, items, COUNT(items), NULL);
}

static int count_bytes(void *user, uint64_t total, uint64_t offset, aril_bytes piece)
{
    size_t *const came = user;
    *came = offset == 0 ? 0 : *came;
    assert_int_equal(total, LONG_BYTES);
    assert_int_equal(offset, *came);
    *came += piece.len;
    return 0;
}

static aril_status get_both(aril_store *s)
{
    static uint8_t buffer[100];
    size_t came = 0;
    aril_store_item items[] = {
        { .name = TEXT("short"), .buffer = { buffer, sizeof buffer } },
        { .name = TEXT("long"), .take = count_bytes, .user = &came },
    };
    memset(buffer, 0, sizeof buffer);
    const aril_status st = aril_store_get(s, items, COUNT(items), NULL);
    if (st == ARIL_OK) {
        assert_memory_equal(buffer, old_bytes, sizeof buffer);
        assert_int_equal(came, LONG_BYTES);
    }
    return st;
}

static aril_status erase_both(aril_store *s)
{
    aril_store_item items[] = { { .name = TEXT("short") }, { .name = TEXT("long") } };
    return aril_store_delete(s, items, COUNT(items), NULL);
}

static int count_name(void *user, aril_bytes name)
{
    (void)name;
    (*(unsigned *)user)++;
    return 0;
}

static aril_status list_all(aril_store *s)
{
    unsigned n = 0;
    const aril_status st = aril_store_scan(s, TEXT(""), count_name, &n, NULL);
    assert_true(st != ARIL_OK || n >= NAMES + 2);
    return st;
}

static aril_status lock_it(aril_store *s)
{
    static unsigned number; /* what could not be given back stays held */
    char name[16];
    uint64_t fence = 0;
    (void)snprintf(name, sizeof name, "l%u", number++);
    const aril_status st = aril_store_lock(s, text_bytes(name), 600000, &fence, NULL);
    assert_int_equal(fence > 0, st == ARIL_OK);
    if (st != ARIL_OK) {
        return st;
    }
    const aril_bytes value = { new_bytes, 100 };
    aril_store_item item = { .name = TEXT("guarded"),
                             .parts = &value,
                             .part_count = 1,
                             .lock = text_bytes(name),
                             .fence = fence };
    const aril_status put_st = aril_store_put(s, &item, 1, NULL);
    const aril_status freed = aril_store_unlock(s, text_bytes(name), fence, NULL);
    return put_st != ARIL_OK ? put_st : item.status != ARIL_OK ? item.status : freed;
}

static void hear(void *user, aril_bytes message)
{
    (void)user, (void)message;
}

static aril_status listen_and_send(aril_store *s)
{
    const aril_status st = aril_store_listen(s, TEXT("c"), hear, NULL, NULL);
    return st == ARIL_OK ? aril_store_publish(s, TEXT("c"), TEXT("message"), NULL) : st;
}

/* --- Memory runs out ----------------------------------------------------------------------- */

static void fill(aril_store *s)
{
    char name[16];
    for (unsigned i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof name, "name%u", i);
        assert_status(put(s, name, old_bytes, 1), ARIL_OK);
    }
}

static void assert_whole(aril_store *s, aril_status st, aril_status (*fn)(aril_store *))
{
    const char a = look(s, "short", 100);
    const char b = look(s, "long", LONG_BYTES);
    if (fn == put_both) {
        assert_true(st == ARIL_OK ? a == 'n' && b == 'n'
                                  : (a == 'o' || a == 'n') && (b == 'o' || b == 'n'));
    } else if (fn == erase_both) {
        assert_true(st == ARIL_OK ? a == '-' && b == '-'
                                  : (a == 'o' || a == '-') && (b == 'o' || b == '-'));
    } else {
        assert_int_equal(a, 'o');
        assert_int_equal(b, 'o');
    }
}

/* cold: the store has no connection yet when the call is made. */
static unsigned sweep(aril_status (*fn)(aril_store *), bool cold)
{
    for (unsigned n = 1; n < ROUNDS_MAX; n++) {
        aril_store *s = NULL;
        assert_status(open_it(&s, NULL), ARIL_OK);
        assert_status(put(s, "short", old_bytes, 100), ARIL_OK);
        assert_status(put(s, "long", old_bytes, LONG_BYTES), ARIL_OK);
        if (cold) {
            redis_expect(flushed, "CLIENT KILL TYPE normal SKIPME yes", ":1");
        }
        fault_alloc_arm(n);
        const aril_status st = fn(s);
        fault_alloc_disarm();
        const bool fired = fault_alloc_fired();
        /* A listener that found no memory tries again. */
        assert_true(st == ARIL_OK || (fired && st == ARIL_E_NOMEM));
        assert_true(!fired || st == ARIL_E_NOMEM || fn == listen_and_send);
        assert_whole(s, st, fn);
        assert_status(put(s, "after", new_bytes, 10), ARIL_OK);
        aril_store_close(s);
        if (!fired) {
            return n;
        }
    }
    fail();
    return 0;
}

static void sweep_calls(bool cold)
{
    aril_store *s = NULL;
    assert_status(open_it(&s, NULL), ARIL_OK);
    fill(s);
    aril_store_close(s);
    const unsigned more = cold ? 1 : 0; /* of the connection */
    assert_true(sweep(put_both, cold) >= 3 + more);
    assert_true(sweep(get_both, cold) >= 3 + more);
    assert_true(sweep(erase_both, cold) >= 3 + more);
    assert_true(sweep(list_all, cold) >= 2 + more);
    assert_true(sweep(lock_it, cold) >= 1 + more);
    assert_true(sweep(listen_and_send, cold) >= 2 + more);
}

static void sweep_open(void)
{
    bool fired = true;
    for (unsigned n = 1; fired; n++) {
        aril_store *s = NULL;
        aril_error error = { .status = ARIL_OK };
        assert_true(n < ROUNDS_MAX);
        fault_alloc_arm(n);
        const aril_status st = open_it(&s, &error);
        fault_alloc_disarm();
        fired = fault_alloc_fired();
        assert_status(st, fired ? ARIL_E_NOMEM : ARIL_OK);
        assert_int_equal(s != NULL, !fired);
        assert_true(!fired || strlen(error.message) > 10);
        if (s != NULL) {
            assert_status(put(s, "n", new_bytes, 10), ARIL_OK);
        }
        aril_store_close(s);
        assert_true(fired || n >= 4);
    }
}

static void a_plain_server(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct redis server;
    assert_true(redis_start(&server, &(struct redis_options){ .tcp = true }));
    config = (aril_store_config){ 0 };
    flushed = &server;
    (void)snprintf(uri, sizeof uri, "redis://127.0.0.1:%u", server.port);
    sweep_open();
    sweep_calls(false);
    sweep_calls(true);
    redis_remove(&server);
}

/* Certificates and a password take memory, too. */
static void a_server_with_tls_and_a_password(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct redis server;
    const struct redis_options options = { .tls = true, .tls_clients = true, .password = "sesame" };
    char ca[192], cert[192], key[192], secret[192];
    assert_true(redis_start(&server, &options));
    (void)snprintf(ca, sizeof ca, "%s", redis_file(&server, "ca.pem"));
    (void)snprintf(cert, sizeof cert, "%s", redis_file(&server, "client.pem"));
    (void)snprintf(key, sizeof key, "%s", redis_file(&server, "client.key"));
    (void)snprintf(secret, sizeof secret, "%s", redis_file(&server, "secret"));
    FILE *const file = fopen(secret, "w");
    assert_non_null(file);
    assert_int_equal(chmod(secret, 0600), 0);
    assert_true(fputs("sesame\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    config = (aril_store_config){
        .secret_path = secret, .ca_path = ca, .cert_path = cert, .key_path = key
    };
    flushed = &server;
    (void)snprintf(uri, sizeof uri, "rediss://127.0.0.1:%u", server.tls_port);
    sweep_open();
    assert_true(sweep(put_both, true) >= 4);
    assert_true(sweep(get_both, true) >= 4);
    redis_remove(&server);
}

static void a_cluster(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct redis_cluster cluster;
    assert_true(redis_cluster_start(&cluster, NULL));
    config = (aril_store_config){ 0 };
    (void)snprintf(uri, sizeof uri, "redis+cluster://127.0.0.1:%u", cluster.node[0].port);
    sweep_open();
    assert_true(sweep(put_both, false) >= 3);
    assert_true(sweep(get_both, false) >= 3);
    redis_cluster_remove(&cluster);
}

static int set_up(void **state)
{
    fill_pattern(old_bytes, sizeof old_bytes, 1);
    fill_pattern(new_bytes, sizeof new_bytes, 2);
    return runtime_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_server),
        cmocka_unit_test(a_server_with_tls_and_a_password),
        cmocka_unit_test(a_cluster),
    };
    return cmocka_run_group_tests(tests, set_up, runtime_teardown);
}
