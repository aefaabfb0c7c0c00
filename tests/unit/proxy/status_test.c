/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/status.h"
#include "check.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400u

static aril_bytes bytes_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

/* --- what a sink was given ------------------------------------------------------------------- */

struct given {
    char name[96], label[ARILI_STATUS_LABEL_TEXT], value[ARILI_STATUS_LABEL_TEXT];
    aril_metric_type type;
    double number;
};
#define GIVEN_MAX 8192u
static struct given given[GIVEN_MAX];
static size_t given_count;

static void take(void *state, const aril_metric *m)
{
    struct given *g = &given[given_count++];
    (void)state;
    assert_true(given_count < GIVEN_MAX);
    assert_true(m->help != NULL && strlen(m->help) > 5);
    *g = (struct given){ .type = m->type, .number = m->value };
    snprintf(g->name, sizeof g->name, "%s", m->name);
    if (m->labels != NULL && m->labels[0] != NULL) {
        snprintf(g->label, sizeof g->label, "%s", m->labels[0]);
        snprintf(g->value, sizeof g->value, "%s", m->labels[1]);
        assert_null(m->labels[2]);
    }
}

static void collect(const struct arili_status *s)
{
    const aril_metrics_sink sink = { .abi = ARIL_METRICS_SINK_ABI, .sample = take };
    given_count = 0;
    arili_status_metrics(s, &sink);
}

/* The sample of that name and label value; NULL: none. Any label where value is NULL. */
static const struct given *find(const char *name, const char *value)
{
    for (size_t i = 0; i < given_count; i++) {
        if (strcmp(given[i].name, name) == 0 &&
            (value == NULL || strcmp(given[i].value, value) == 0)) {
            return &given[i];
        }
    }
    return NULL;
}

static double number(const char *name, const char *value)
{
    const struct given *g = find(name, value);
    if (g == NULL) {
        print_error("no sample %s of %s\n", name, value == NULL ? "anything" : value);
    }
    assert_non_null(g);
    return g->number;
}

static json_t *json_of(const struct arili_status *s)
{
    char *text = NULL;
    size_t bytes = 0;
    json_error_t error;
    assert_status(arili_status_json(s, &text, &bytes), ARIL_OK);
    assert_int_equal(bytes, strlen(text) + 1);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        print_error("%s in %s\n", error.text, text);
    }
    assert_non_null(json);
    arili_status_free(text, bytes);
    return json;
}

/* --- a proxy --------------------------------------------------------------------------------- */

static struct arili_status_tenant tenants[ARILI_STATUS_ROWS_MAX + 1];
static char names[COUNT(tenants)][16];
static struct arili_status_server servers[ARILI_STATUS_ROWS_MAX + 1];
static struct arili_status status;

static int setup(void **state)
{
    (void)state;
    memset(tenants, 0, sizeof tenants);
    memset(servers, 0, sizeof servers);
    for (size_t i = 0; i < COUNT(tenants); i++) {
        snprintf(names[i], sizeof names[i], "tenant-%zu", i);
        tenants[i].id = bytes_of(names[i]);
        tenants[i].figures.hits = 1000 + i;
        tenants[i].key_created_s = 10 * DAY_S + i;
        tenants[i].key_rotate_by_s = 100 * DAY_S + i;
        snprintf(servers[i].address, sizeof servers[i].address, "10.0.0.1:%zu", i);
        servers[i].up = true;
        servers[i].state = "up";
        servers[i].links = 2;
        servers[i].failures = i;
    }
    status = (struct arili_status){
        .version = "1.2.3",
        .started_s = 20 * DAY_S,
        .now_s = 20 * DAY_S + 60,
        .clients = 7,
        .memory_used = 4096,
        .memory_max = (uint64_t)1 << 30,
        .tenants = tenants,
        .tenant_count = 2,
        .servers = servers,
        .server_count = 1,
        .figures = { .logins = 5 },
        .latency = { .buckets = { [3] = 90, [10] = 9, [31] = 1 }, .sum_us = 1500000 },
    };
    return 0;
}

/* --- figures --------------------------------------------------------------------------------- */

static void every_figure_is_given_once_and_has_its_place(void **state)
{
    (void)state;
    collect(&status);
    for (size_t i = 0; i < given_count; i++) {
        assert_int_equal(strncmp(given[i].name, "aril_proxy_", 11), 0);
        for (size_t k = 0; k < i; k++) {
            const bool same_name = strcmp(given[i].name, given[k].name) == 0;
            assert_false(same_name && strcmp(given[i].value, given[k].value) == 0);
            /* One name is given in one run, or the text format repeats its head. */
            assert_true(!same_name || strcmp(given[i - 1].name, given[i].name) == 0);
            assert_true(!same_name || given[i].type == given[k].type);
        }
    }
#define X(member, name, help) assert_non_null(find("aril_proxy_" name, "tenant-1"));
    ARILI_TENANT_FIGURES(X)
#undef X
#define X(member, name, help) assert_non_null(find("aril_proxy_" name, ""));
    ARILI_PROXY_FIGURES(X)
#undef X
}

static void counters_end_in_total_and_gauges_do_not(void **state)
{
    (void)state;
    collect(&status);
    for (size_t i = 0; i < given_count; i++) {
        const char *name = given[i].name;
        const size_t len = strlen(name);
        const bool total = len > 6 && strcmp(name + len - 6, "_total") == 0;
        const bool latency = strstr(name, "_latency_seconds_") != NULL;
        assert_int_equal(given[i].type == ARIL_METRIC_COUNTER, total || latency);
    }
}

static void the_text_has_a_head_for_every_name(void **state)
{
    static char room[1 << 20];
    aril_metrics_text text;
    (void)state;
    aril_metrics_text_init(&text, room, sizeof room);
    arili_status_metrics(&status, &text.sink);
    assert_true(text.len < sizeof room);
    collect(&status);
    for (size_t i = 0; i < given_count; i++) {
        char head[160];
        snprintf(head, sizeof head, "# TYPE %.95s ", given[i].name);
        const char *at = strstr(room, head);
        assert_non_null(at);
        assert_null(strstr(at + 1, head));
        snprintf(head, sizeof head, "# HELP %.95s ", given[i].name);
        assert_non_null(strstr(room, head));
    }
}

static void figures_have_the_values_of_the_snapshot(void **state)
{
    (void)state;
    servers[0].up = false;
    tenants[1].key_status = ARIL_E_KEY_LOCKED;
    collect(&status);
    assert_true(number("aril_proxy_build_info", "1.2.3") == 1);
    assert_true(number("aril_proxy_start_time_seconds", "") == 20 * DAY_S);
    assert_true(number("aril_proxy_ready", "") == 1);
    assert_true(number("aril_proxy_clients", "") == 7);
    assert_true(number("aril_proxy_memory_used_bytes", "") == 4096);
    assert_true(number("aril_proxy_memory_max_bytes", "") == 1073741824.0);
    assert_true(number("aril_proxy_tenants", "") == 2);
    assert_true(number("aril_proxy_logins_total", "") == 5);
    assert_true(number("aril_proxy_hits_total", "tenant-1") == 1001);
    assert_true(number("aril_proxy_key_age_seconds", "tenant-1") == 10 * DAY_S + 59);
    assert_true(number("aril_proxy_key_rotate_by_seconds", "tenant-1") == 100 * DAY_S + 1);
    assert_true(number("aril_proxy_key_usable", "tenant-0") == 1);
    assert_true(number("aril_proxy_key_usable", "tenant-1") == 0);
    assert_true(number("aril_proxy_server_up", "10.0.0.1:0") == 0);
    assert_true(number("aril_proxy_server_links", "10.0.0.1:0") == 2);
    status.not_ready = "no server answers";
    collect(&status);
    assert_true(number("aril_proxy_ready", "") == 0);
}

static void what_is_not_known_of_a_key_is_left_out(void **state)
{
    (void)state;
    tenants[0].key_created_s = 0;
    tenants[0].key_rotate_by_s = 0;
    tenants[1].key_created_s = status.now_s + 100;
    collect(&status);
    assert_null(find("aril_proxy_key_age_seconds", "tenant-0"));
    assert_null(find("aril_proxy_key_rotate_by_seconds", "tenant-0"));
    assert_true(number("aril_proxy_key_age_seconds", "tenant-1") == 0);
    json_t *json = json_of(&status);
    json_t *key = json_object_get(json_array_get(json_object_get(json, "tenants"), 0), "key");
    assert_null(json_object_get(key, "created"));
    assert_null(json_object_get(key, "rotate_by"));
    json_decref(json);
}

static void tenants_beyond_the_bound_share_one_label(void **state)
{
    (void)state;
    status.tenant_count = ARILI_STATUS_LABELS_MAX;
    collect(&status);
    assert_null(find("aril_proxy_hits_total", "other"));
    status.tenant_count = ARILI_STATUS_LABELS_MAX + 3; /* 64, 65 and 66 are too many */
    tenants[65].key_status = ARIL_E_KEY_LOCKED;
    collect(&status);
    assert_true(number("aril_proxy_hits_total", "other") == 1064 + 1065 + 1066);
    assert_true(number("aril_proxy_hits_total", "tenant-63") == 1063);
    assert_null(find("aril_proxy_hits_total", "tenant-64"));
    assert_true(number("aril_proxy_key_usable", "other") == 0);
    assert_true(number("aril_proxy_key_age_seconds", "other") == 10 * DAY_S + 60 - 64);
    assert_true(number("aril_proxy_key_rotate_by_seconds", "other") == 100 * DAY_S + 64);
    status.tenant_count = COUNT(tenants);
    collect(&status);
    size_t labels = 0;
    for (size_t i = 0; i < given_count; i++) {
        labels += strcmp(given[i].name, "aril_proxy_hits_total") == 0;
    }
    assert_int_equal(labels, ARILI_STATUS_LABELS_MAX + 1);
}

static void servers_beyond_the_bound_share_one_label(void **state)
{
    (void)state;
    status.server_count = ARILI_STATUS_LABELS_MAX + 2;
    servers[65].up = false;
    collect(&status);
    assert_true(number("aril_proxy_server_up", "other") == 1);
    assert_true(number("aril_proxy_server_links", "other") == 4);
    assert_true(number("aril_proxy_server_failures_total", "other") == 64 + 65);
    assert_null(find("aril_proxy_server_up", "10.0.0.1:64"));
    status.server_count = 0;
    collect(&status);
    assert_null(find("aril_proxy_server_up", NULL));
}

static void buckets_are_cumulative_and_end_with_all(void **state)
{
    double before = 0;
    size_t buckets = 0;
    (void)state;
    collect(&status);
    for (size_t i = 0; i < given_count; i++) {
        if (strcmp(given[i].name, "aril_proxy_latency_seconds_bucket") == 0) {
            assert_string_equal(given[i].label, "le");
            assert_true(given[i].number >= before);
            before = given[i].number;
            buckets++;
        }
    }
    assert_int_equal(buckets, ARILI_LATENCY_BUCKETS);
    assert_true(number("aril_proxy_latency_seconds_bucket", "0.000004") == 0);
    assert_true(number("aril_proxy_latency_seconds_bucket", "0.000008") == 90);
    assert_true(number("aril_proxy_latency_seconds_bucket", "1.048576") == 99);
    assert_true(number("aril_proxy_latency_seconds_bucket", "+Inf") == 100);
    assert_true(number("aril_proxy_latency_seconds_count", "") == 100);
    assert_true(number("aril_proxy_latency_seconds_sum", "") == 1.5);
}

static void quantiles_lie_inside_their_bucket(void **state)
{
    struct arili_status_latency l = { .sum_us = 0 };
    (void)state;
    assert_int_equal(arili_status_quantile_us(&l, 500), 0);
    assert_int_equal(arili_status_quantile_us(&status.latency, 900), 8);
    assert_int_equal(arili_status_quantile_us(&status.latency, 450), 6);
    assert_int_equal(arili_status_quantile_us(&status.latency, 990), 1024);
    assert_int_equal(arili_status_quantile_us(&status.latency, 1000), UINT64_C(1) << 31);
    l.buckets[0] = 1;
    assert_int_equal(arili_status_quantile_us(&l, 1000), 1);
}

static void adding_reads_every_figure(void **state)
{
    static struct arili_tenant_figures tenant;
    static struct arili_proxy_figures proxy;
    static struct arili_latency latency;
    struct arili_status_tenant_figures t = { .hits = 1 };
    struct arili_status_proxy_figures p = { .logins = 1 };
    struct arili_status_latency l = { .sum_us = 1 };
    uint64_t n = 0;
    (void)state;
#define X(member, name, help) arili_figure_add(&tenant.member, ++n);
    ARILI_TENANT_FIGURES(X)
#undef X
#define X(member, name, help) arili_figure_add(&proxy.member, ++n);
    ARILI_PROXY_FIGURES(X)
#undef X
    arili_figure_add(&latency.buckets[0], 3);
    arili_figure_add(&latency.buckets[31], 4);
    arili_figure_add(&latency.sum_us, 5);
    arili_status_add_tenant(&t, &tenant);
    arili_status_add_proxy(&p, &proxy);
    arili_status_add_latency(&l, &latency);
    arili_status_add_latency(&l, &latency);
    n = 0;
    t.hits -= 1;
    p.logins -= 1;
#define X(member, name, help) assert_int_equal(t.member, ++n);
    ARILI_TENANT_FIGURES(X)
#undef X
#define X(member, name, help) assert_int_equal(p.member, ++n);
    ARILI_PROXY_FIGURES(X)
#undef X
    assert_int_equal(l.buckets[0], 6);
    assert_int_equal(l.buckets[31], 8);
    assert_int_equal(l.sum_us, 11);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void the_json_has_all_of_the_snapshot(void **state)
{
    int schema = 0, ready_after = 0, clients = 0, count = 0, p50 = 0, hits = 0, logins = 0, up = 0;
    const char *version = NULL, *said = NULL, *tenant = NULL, *key = NULL, *address = NULL;
    (void)state;
    json_t *json = json_of(&status);
    json_t *first = NULL, *server = NULL;
    assert_int_equal(json_unpack(json, "{s:i, s:s, s:s, s:i, s:i, s:{s:i, s:i}, s:[o], s:{s:i}}",
                                 "schema", &schema, "version", &version, "state", &said, "now",
                                 &ready_after, "clients", &clients, "latency", "count", &count,
                                 "p50_us", &p50, "servers", &server, "figures", "logins", &logins),
                     0);
    assert_int_equal(schema, ARILI_STATUS_SCHEMA);
    assert_string_equal(version, "1.2.3");
    assert_string_equal(said, "ready");
    assert_int_equal(ready_after, 20 * DAY_S + 60);
    assert_int_equal(clients, 7);
    assert_int_equal(count, 100);
    assert_int_equal(p50, 6);
    assert_int_equal(logins, 5);
    assert_int_equal(json_unpack(server, "{s:s, s:i}", "address", &address, "up", &up), 0);
    assert_string_equal(address, "10.0.0.1:0");
    assert_int_equal(up, 1);
    json_t *list = json_object_get(json, "tenants");
    assert_int_equal(json_array_size(list), 2);
    first = json_array_get(list, 1);
    assert_int_equal(json_unpack(first, "{s:s, s:{s:s}, s:{s:i}}", "tenant", &tenant, "key",
                                 "status", &key, "figures", "hits", &hits),
                     0);
    assert_string_equal(tenant, "tenant-1");
    assert_string_equal(key, "ARIL_OK");
    assert_int_equal(hits, 1001);
    assert_int_equal(json_array_size(json_object_get(json_object_get(json, "latency"), "buckets")),
                     ARILI_LATENCY_BUCKETS);
#define X(member, name, help) \
    assert_non_null(json_object_get(json_object_get(first, "figures"), #member));
    ARILI_TENANT_FIGURES(X)
#undef X
#define X(member, name, help) \
    assert_non_null(json_object_get(json_object_get(json, "figures"), #member));
    ARILI_PROXY_FIGURES(X)
#undef X
    json_decref(json);
}

static void the_json_says_why_it_is_not_ready(void **state)
{
    (void)state;
    status.not_ready = "the keyring is \"locked\"\n";
    tenants[0].key_status = ARIL_E_KEY_LOCKED;
    json_t *json = json_of(&status);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "not ready");
    assert_string_equal(json_string_value(json_object_get(json, "reason")), status.not_ready);
    json_t *key = json_object_get(json_array_get(json_object_get(json, "tenants"), 0), "key");
    assert_string_equal(json_string_value(json_object_get(key, "status")), "ARIL_E_KEY_LOCKED");
    assert_string_equal(json_string_value(json_object_get(key, "text")),
                        aril_status_text(ARIL_E_KEY_LOCKED));
    json_decref(json);
}

static void the_json_is_bounded_and_says_what_is_left_out(void **state)
{
    (void)state;
    status.tenant_count = COUNT(tenants);
    status.server_count = COUNT(servers);
    servers[0].state = NULL;
    json_t *json = json_of(&status);
    assert_int_equal(json_array_size(json_object_get(json, "tenants")), ARILI_STATUS_ROWS_MAX);
    assert_int_equal(json_array_size(json_object_get(json, "servers")), ARILI_STATUS_ROWS_MAX);
    assert_int_equal(json_integer_value(json_object_get(json, "tenants_in_all")), COUNT(tenants));
    assert_int_equal(json_integer_value(json_object_get(json, "servers_in_all")), COUNT(servers));
    json_decref(json);
    status.tenant_count = 0;
    status.server_count = 0;
    json = json_of(&status);
    assert_int_equal(json_array_size(json_object_get(json, "tenants")), 0);
    json_decref(json);
}

/* --- hostile names --------------------------------------------------------------------------- */

static void labels_show_what_is_there(void **state)
{
    static const struct {
        const char *id, *label;
    } cases[] = {
        { "", "" },
        { "acme", "acme" },
        { "a b:c/d", "a b:c/d" },
        { "<b>\"&'\\", "<b>\"&'\\" },
        { "M\xc3\xbcnchen", "M\xc3\xbcnchen" },
        { "\xe5\xb1\xb1", "\xe5\xb1\xb1" },
        { "\xf0\x9f\x8c\xb0", "\xf0\x9f\x8c\xb0" },
        { "100%", "100%25" },
        { "a\nb\x1b[2J\x7f", "a%0Ab%1B[2J%7F" },
        { "\xc2\x9b", "%C2%9B" },               /* CSI of C1 */
        { "\xe2\x80\xae", "%E2%80%AE" },        /* right-to-left override */
        { "\xe2\x80\x8b", "%E2%80%8B" },        /* zero width */
        { "\xe2\x81\xa6", "%E2%81%A6" },        /* isolate */
        { "\xef\xbb\xbf", "%EF%BB%BF" },        /* byte order mark */
        { "\xf3\xa0\x81\x81", "%F3%A0%81%81" }, /* tag */
        { "\xff\xc3", "%FF%C3" },
        { "\xed\xa0\x80", "%ED%A0%80" }, /* a surrogate */
        { "\xc0\xaf", "%C0%AF" },        /* a longer form than needed */
        { "other", "%6Fther" },
        { "%6Fther", "%256Fther" },
        { "others", "others" },
    };
    char label[ARILI_STATUS_LABEL_TEXT];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        arili_status_label(bytes_of(cases[i].id), label);
        assert_string_equal(label, cases[i].label);
    }
    arili_status_label((aril_bytes){ (const uint8_t *)"a\0b", 3 }, label);
    assert_string_equal(label, "a%00b");
}

static void the_longest_id_has_room_and_a_longer_one_is_cut(void **state)
{
    char id[300];
    char label[ARILI_STATUS_LABEL_TEXT];
    (void)state;
    memset(id, 0xff, sizeof id);
    arili_status_label((aril_bytes){ (const uint8_t *)id, 255 }, label);
    assert_int_equal(strlen(label), 765);
    arili_status_label((aril_bytes){ (const uint8_t *)id, sizeof id }, label);
    assert_true(strlen(label) < sizeof label);
    assert_int_equal(strlen(label) % 3, 0);
}

static void no_byte_of_a_tenant_breaks_a_text(void **state)
{
    static char room[1 << 18];
    char id[1];
    (void)state;
    status.tenant_count = 1;
    for (unsigned byte = 0; byte < 256; byte++) {
        aril_metrics_text text;
        id[0] = (char)byte;
        tenants[0].id = (aril_bytes){ (const uint8_t *)id, 1 };
        memcpy(servers[0].address, "x:1", 4);
        servers[0].address[0] = id[0];
        json_t *json = json_of(&status);
        char label[ARILI_STATUS_LABEL_TEXT];
        arili_status_label(tenants[0].id, label);
        json_t *row = json_array_get(json_object_get(json, "tenants"), 0);
        assert_string_equal(json_string_value(json_object_get(row, "tenant")), label);
        json_decref(json);
        aril_metrics_text_init(&text, room, sizeof room);
        arili_status_metrics(&status, &text.sink);
        assert_true(text.len < sizeof room);
        for (const char *line = room; *line != '\0'; line = strchr(line, '\n') + 1) {
            assert_true(strncmp(line, "# HELP aril_proxy_", 18) == 0 ||
                        strncmp(line, "# TYPE aril_proxy_", 18) == 0 ||
                        strncmp(line, "aril_proxy_", 11) == 0);
            assert_non_null(strchr(line, '\n'));
        }
    }
}

/* --- the document ---------------------------------------------------------------------------- */

static void every_figure_is_in_the_document(void **state)
{
    static char page[1 << 18];
    size_t missing = 0;
    (void)state;
    FILE *file = fopen(ARIL_SOURCE_DIR "/docs/OPERATIONS.md", "rb");
    assert_non_null(file);
    const size_t len = fread(page, 1, sizeof page - 1, file);
    fclose(file);
    assert_true(len > 0 && len < sizeof page - 1);
    page[len] = '\0';
    collect(&status);
    for (size_t i = 0; i < given_count; i++) {
        char quoted[100];
        snprintf(quoted, sizeof quoted, "`%.95s`", given[i].name);
        if (strstr(page, quoted) == NULL) {
            print_error("docs/OPERATIONS.md does not explain %s\n", given[i].name);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
    /* And it names none that is not there. */
    for (const char *at = page; (at = strstr(at, "`aril_proxy_")) != NULL; at++) {
        char name[96];
        const size_t n = strcspn(at + 1, "`{");
        assert_true(n < sizeof name);
        snprintf(name, sizeof name, "%.*s", (int)n, at + 1);
        if (find(name, NULL) == NULL) {
            print_error("docs/OPERATIONS.md names %s, which is no figure\n", name);
            fail();
        }
    }
}

#define CASE(test) cmocka_unit_test_setup(test, setup)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_figure_is_given_once_and_has_its_place),
        CASE(counters_end_in_total_and_gauges_do_not),
        CASE(the_text_has_a_head_for_every_name),
        CASE(figures_have_the_values_of_the_snapshot),
        CASE(what_is_not_known_of_a_key_is_left_out),
        CASE(tenants_beyond_the_bound_share_one_label),
        CASE(servers_beyond_the_bound_share_one_label),
        CASE(buckets_are_cumulative_and_end_with_all),
        CASE(quantiles_lie_inside_their_bucket),
        CASE(adding_reads_every_figure),
        CASE(the_json_has_all_of_the_snapshot),
        CASE(the_json_says_why_it_is_not_ready),
        CASE(the_json_is_bounded_and_says_what_is_left_out),
        CASE(labels_show_what_is_there),
        CASE(the_longest_id_has_room_and_a_longer_one_is_cut),
        CASE(no_byte_of_a_tenant_breaks_a_text),
        CASE(every_figure_is_in_the_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
