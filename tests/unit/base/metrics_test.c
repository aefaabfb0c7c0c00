/* SPDX-License-Identifier: Apache-2.0 */
#include <aril/metrics.h>
#include "check.h"
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char room[4096];
static aril_metrics_text text;

static int setup(void **state)
{
    (void)state;
    memset(room, 'x', sizeof room);
    aril_metrics_text_init(&text, room, sizeof room);
    return 0;
}

static void give(const char *name, const char *const *labels, double value)
{
    const aril_metric m = { .name = name,
                            .help = "What it is.",
                            .type = ARIL_METRIC_COUNTER,
                            .labels = labels,
                            .value = value };
    text.sink.sample(text.sink.state, &m);
}

static void a_new_sink_is_an_empty_text(void **state)
{
    (void)state;
    assert_int_equal(text.sink.abi, ARIL_METRICS_SINK_ABI);
    assert_string_equal(room, "");
    assert_int_equal(text.len, 0);
    aril_metrics_text_init(NULL, room, sizeof room);
}

static void samples_of_one_name_have_one_head(void **state)
{
    static const char *const hit[] = { "namespace", "a", "result", "hit", NULL };
    static const char *const miss[] = { "namespace", "a", "result", "miss", NULL };
    const aril_metric gauge = {
        .name = "aril_cache_entries", .help = "Entries.", .type = ARIL_METRIC_GAUGE, .value = 3
    };
    (void)state;
    give("aril_cache_gets_total", hit, 10);
    give("aril_cache_gets_total", miss, 2.5);
    text.sink.sample(text.sink.state, &gauge);
    give("aril_cache_gets_total_2", NULL, 0);
    assert_string_equal(room, "# HELP aril_cache_gets_total What it is.\n"
                              "# TYPE aril_cache_gets_total counter\n"
                              "aril_cache_gets_total{namespace=\"a\",result=\"hit\"} 10\n"
                              "aril_cache_gets_total{namespace=\"a\",result=\"miss\"} 2.5\n"
                              "# HELP aril_cache_entries Entries.\n"
                              "# TYPE aril_cache_entries gauge\n"
                              "aril_cache_entries 3\n"
                              "# HELP aril_cache_gets_total_2 What it is.\n"
                              "# TYPE aril_cache_gets_total_2 counter\n"
                              "aril_cache_gets_total_2 0\n");
    assert_int_equal(text.len, strlen(room));
}

static void values_and_help_cannot_break_a_line(void **state)
{
    static const char *const labels[] = { "tenant", "a\"b\\c\nd", "empty", "", "odd", NULL };
    const aril_metric m = { .name = "n",
                            .help = "A \\ and\na \"line\".",
                            .type = ARIL_METRIC_GAUGE,
                            .labels = labels,
                            .value = -1 };
    (void)state;
    text.sink.sample(text.sink.state, &m);
    assert_string_equal(room, "# HELP n A \\\\ and\\na \"line\".\n"
                              "# TYPE n gauge\n"
                              "n{tenant=\"a\\\"b\\\\c\\nd\",empty=\"\"} -1\n");
}

static const char *number(double value)
{
    aril_metrics_text_init(&text, room, sizeof room);
    give("n", NULL, value);
    char *const line = strstr(room, "\nn ");
    assert_non_null(line);
    line[strlen(line) - 1] = '\0';
    return line + 3;
}

static void numbers_are_short_and_exact(void **state)
{
    static const double values[] = { 0.1, 1.0 / 3, 1e-9, 123456.789, 1e300, 5e-324, -0.0625 };
    (void)state;
    assert_string_equal(number(9007199254740992.0), "9007199254740992");
    assert_string_equal(number(1700000000), "1700000000");
    assert_string_equal(number(0.1), "0.1");
    assert_string_equal(number(NAN), "NaN");
    assert_string_equal(number(INFINITY), "+Inf");
    assert_string_equal(number(-INFINITY), "-Inf");
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_true(strtod(number(values[i]), NULL) == values[i]);
    }
}

/* Where the machine has a locale with another sign. */
static void the_locale_of_the_program_changes_nothing(void **state)
{
    static const char *const locales[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "ps_AF" };
    (void)state;
    for (size_t i = 0; i < COUNT(locales); i++) {
        if (setlocale(LC_NUMERIC, locales[i]) != NULL) {
            assert_string_equal(number(2.5), "2.5");
            (void)setlocale(LC_NUMERIC, "C");
            return;
        }
    }
    print_message("no locale with a decimal comma is installed\n");
    skip();
}

static void a_buffer_that_is_too_small_is_counted_and_not_passed(void **state)
{
    static const char *const labels[] = { "l", "\"\"\n", NULL };
    (void)state;
    give("name", labels, 1.5);
    give("name", NULL, 2);
    const size_t whole = text.len;
    char *const want = strdup(room);
    assert_non_null(want);
    for (size_t cap = 0; cap <= whole + 2; cap++) {
        memset(room, 'x', sizeof room);
        aril_metrics_text_init(&text, room, cap);
        give("name", labels, 1.5);
        give("name", NULL, 2);
        assert_int_equal(text.len, whole);
        const size_t kept = cap == 0 ? 0 : cap - 1 < whole ? cap - 1 : whole;
        assert_memory_equal(room, want, kept);
        if (cap > 0) {
            assert_int_equal(room[kept], '\0');
        }
        for (size_t i = cap; i < whole + 3; i++) {
            assert_int_equal(room[i], 'x');
        }
    }
    aril_metrics_text_init(&text, NULL, 100); /* counts alone */
    give("name", labels, 1.5);
    give("name", NULL, 2);
    assert_int_equal(text.len, whole);
    free(want);
}

static void long_names_keep_the_struct_whole(void **state)
{
    char name[300];
    (void)state;
    for (size_t len = 90; len < 100; len++) {
        memset(name, 'n', len);
        name[len] = '\0';
        aril_metrics_text_init(&text, room, sizeof room);
        give(name, NULL, 1);
        give(name, NULL, 2);
        assert_non_null(strstr(room, " 2\n"));
        assert_true(text.last[0] == (len < sizeof text.last ? 'n' : '\0'));
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_sink_is_an_empty_text),
        TEST(samples_of_one_name_have_one_head),
        TEST(values_and_help_cannot_break_a_line),
        TEST(numbers_are_short_and_exact),
        TEST(the_locale_of_the_program_changes_nothing),
        TEST(a_buffer_that_is_too_small_is_counted_and_not_passed),
        TEST(long_names_keep_the_struct_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
