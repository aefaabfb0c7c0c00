/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the stores of files and of HTTP fails once. */
#include "cache/stores/http_internal.h"
#include "fault_alloc.h"
#include "files_store.h"
#include "fixture.h"
#include "http_server.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world w;
static uint8_t value[(3u << 20) + 100];

static void assert_swept(bool fired, aril_status st)
{
    assert_status(st, fired ? ARIL_E_NOMEM : ARIL_OK);
}

static void opening_files_survives_every_failed_allocation(void **state)
{
    (void)state;
    char folder[256];
    (void)snprintf(folder, sizeof folder, "%s", temp_path("cache"));
    bool fired = true;
    for (unsigned nth = 1; fired; nth++) {
        struct raw_store s;
        fault_alloc_arm(nth);
        const aril_status st = raw_open(&s, &arili_cache_store_files, w.rt, NULL, "file", folder);
        fault_alloc_disarm();
        fired = fault_alloc_fired();
        assert_swept(fired, st);
        assert_int_equal(s.state != NULL, !fired);
        raw_close(&s);
    }
    assert_true(tree_remove(folder));
}

/* Values past the page cache need memory of ours when they do not lie as blocks do; without it
 * they go the other way. */
static void direct_values_need_no_memory(void **state)
{
    (void)state;
    char folder[256];
    (void)snprintf(folder, sizeof folder, "%s", temp_path("cache"));
    struct raw_store s;
    const aril_store_config config = { .direct_io = 1 };
    assert_status(raw_open(&s, &arili_cache_store_files, w.rt, &config, "file", folder), ARIL_OK);
    fill_pattern(value + 1, sizeof value - 1, 1);
    bool fired = true;
    for (unsigned nth = 1; fired; nth++) {
        uint8_t *out = malloc(sizeof value);
        assert_non_null(out);
        fault_alloc_arm(nth);
        const aril_status put =
            raw_put(&s, TEXT("a"), (aril_bytes){ value + 1, sizeof value - 1 }, 0);
        const aril_status got =
            raw_get(&s, TEXT("a"), (aril_span){ out + 1, sizeof value - 1 }, NULL);
        fault_alloc_disarm();
        fired = fault_alloc_fired();
        assert_status(put, ARIL_OK);
        assert_status(got, ARIL_OK);
        assert_true(is_pattern(out + 1, sizeof value - 1, 1));
        free(out);
    }
    raw_close(&s);
    assert_true(tree_remove(folder));
}

#if ARILI_HTTP_HEADERS
static void http_survives_every_failed_allocation(void **state)
{
    (void)state;
    const char *reason = NULL;
    struct http_server server;
    if (arili_http_curl_load(&reason) == NULL || !http_server_start(&server, NULL, NULL, NULL)) {
        print_message("SKIPPED: there is no libcurl, or no python3 for the server\n");
        skip();
    }
    char ok[96], chunked[96];
    const char *const token = temp_write("token", 0600, TEXT("sesame"));
    (void)snprintf(ok, sizeof ok, "%s/ok", server.rest);
    (void)snprintf(chunked, sizeof chunked, "%s/chunked", server.rest);
    const aril_store_config config = { .secret_path = token };
    const aril_bytes part = { value, sizeof value };
    uint8_t *out = malloc(sizeof value);
    assert_non_null(out);
    fill_pattern(value, sizeof value, 2);
    bool fired = true;
    for (unsigned nth = 1; fired; nth++) {
        struct raw_store put = { 0 };
        struct raw_store get = { 0 };
        fault_alloc_arm(nth);
        aril_status st = raw_open(&put, &arili_cache_store_http, w.rt, &config, "http", ok);
        st = st != ARIL_OK ? st : raw_put(&put, TEXT("v"), part, 0);
        st = st != ARIL_OK
                 ? st
                 : raw_open(&get, &arili_cache_store_http, w.rt, &config, "http", chunked);
        memset(out, 0, sizeof value);
        if (st == ARIL_OK) {
            st = raw_has(&get, TEXT("v"), part) ? ARIL_OK : get.error.status;
        }
        fault_alloc_disarm();
        fired = fault_alloc_fired();
        assert_swept(fired, st);
        raw_close(&put);
        raw_close(&get);
    }
    free(out);
    http_server_stop(&server);
}
#endif

static int set_up(void **state)
{
    world_init(&w);
    return temp_folder_make(state);
}

static int tear_down(void **state)
{
    world_done(&w);
    return temp_folder_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_files_survives_every_failed_allocation),
        cmocka_unit_test(direct_values_need_no_memory),
#if ARILI_HTTP_HEADERS
        cmocka_unit_test(http_survives_every_failed_allocation),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
