/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log of arild: one line for each event, whatever the disk says. */
#include "audit.h"
#include "check.h"
#include "temp_folder.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct audit a;
static aril_error error;
static char text[1 << 20];

static int setup(void **state)
{
    (void)state;
    audit_init(&a);
    temp_clear(temp_path("audit"));
    memset(&error, 0, sizeof error);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    audit_done(&a);
    return 0;
}

static void use(const char *name)
{
    int fd = -1;
    assert_status(audit_open(temp_path(name), &fd, &error), ARIL_OK);
    audit_use(&a, fd);
}

static void send(const char *subject)
{
    const aril_event event = { .kind = ARIL_EVENT_AUTH_FAILURE,
                               .status = ARIL_E_AUTH,
                               .action = "value",
                               .subject = subject };
    a.sink.event(a.sink.state, &event);
}

static const char *content(const char *name)
{
    const size_t n = file_read(temp_path(name), text, sizeof text - 1);
    assert_true(n < sizeof text);
    text[n] = '\0';
    return text;
}

/* How many lines there are, each of them JSON but for the ones that may be torn. */
static size_t lines(const char *name, size_t torn)
{
    size_t n = 0;
    size_t bad = 0;
    char *at = NULL;
    (void)content(name);
    for (char *line = strtok_r(text, "\n", &at); line != NULL; line = strtok_r(NULL, "\n", &at)) {
        json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        bad += json == NULL;
        n += json != NULL;
        json_decref(json);
    }
    assert_int_equal(bad, torn);
    return n;
}

static void an_event_is_a_line_that_is_there_at_once(void **state)
{
    (void)state;
    struct stat st;
    use("audit");
    send("a1:one");
    send("a1:two");
    const char *got = content("audit");
    assert_non_null(strstr(got, "\"subject\":\"a1:one\"}\n{"));
    assert_non_null(strstr(got, "\"subject\":\"a1:two\"}\n"));
    assert_int_equal(lines("audit", 0), 2);
    assert_int_equal(stat(temp_path("audit"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(atomic_load(&a.lost), 0);
}

static void what_is_there_stays(void **state)
{
    (void)state;
    (void)temp_write("audit", 0640, (aril_bytes){ (const uint8_t *)"{}\n", 3 });
    use("audit");
    send("a1:one");
    assert_memory_equal(content("audit"), "{}\n", 3);
    assert_int_equal(lines("audit", 0), 2);
}

static void a_file_that_was_moved_away_is_left_at_the_next_opening(void **state)
{
    (void)state;
    use("audit");
    send("a1:one");
    assert_int_equal(rename(temp_path("audit"), temp_path("audit.1")), 0);
    send("a1:two");
    use("audit");
    send("a1:three");
    assert_int_equal(lines("audit.1", 0), 2);
    assert_int_equal(lines("audit", 0), 1);
    temp_clear(temp_path("audit.1"));
}

static void a_file_that_was_cut_is_written_from_its_new_end(void **state)
{
    (void)state;
    use("audit");
    send("a1:one");
    assert_int_equal(truncate(temp_path("audit"), 0), 0); /* copytruncate */
    send("a1:two");
    assert_int_equal(content("audit")[0], '{');
    assert_int_equal(lines("audit", 0), 1);
}

/* Files may not grow beyond limit; the process is not ended for it. */
static void limit_files(rlim_t limit)
{
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void a_full_disk_loses_events_and_nothing_else(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    use("audit");
    send("a1:one");
    const size_t one = strlen(content("audit"));
    limit_files((rlim_t)(one + one / 2));
    for (unsigned i = 0; i < 5; i++) {
        send("a1:lost");
    }
    limit_files(RLIM_INFINITY);
    assert_int_equal(atomic_load(&a.lost), 5);
    assert_true(a.failing);
    send("a1:again");
    assert_false(a.failing);
    assert_int_equal(atomic_load(&a.lost), 5);
    assert_int_equal(lines("audit", 1), 2); /* the one that was cut is a line of its own */
    assert_non_null(strstr(content("audit"), "a1:again"));
}

static void what_is_no_file_of_ours_is_refused_by_name(void **state)
{
    (void)state;
    int fd = 7;
    const char *path = temp_path("audit");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_status_class(audit_open(path, &fd, &error), ARIL_E_IO);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(error.message, path));
    temp_clear(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody reads: a writer would wait */
    assert_status_class(audit_open(path, &fd, &error), ARIL_E_IO);
    const int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_status_class(audit_open(path, &fd, &error), ARIL_E_IO);
    assert_non_null(strstr(error.message, "no regular file"));
    close(reader);
    temp_clear(path);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_status_class(audit_open(path, &fd, &error), ARIL_E_IO);
    assert_non_null(strstr(error.message, "symbolic link"));
    temp_clear(path);
    (void)temp_write("audit", 0622, (aril_bytes){ (const uint8_t *)"", 0 });
    assert_status(audit_open(path, &fd, &error), ARIL_E_IO_PERMISSION);
    assert_non_null(strstr(error.message, "chmod 600"));
    assert_int_equal(fd, -1);
    assert_status_class(audit_open(temp_path("none/audit"), &fd, &error), ARIL_E_IO);
    assert_non_null(strstr(error.message, strerror(ENOENT)));
}

static void without_a_path_there_is_no_file(void **state)
{
    (void)state;
    int fd = 7;
    assert_status(audit_open(NULL, &fd, &error), ARIL_OK);
    assert_int_equal(fd, -1);
    audit_use(&a, fd);
    send("a1:one"); /* to the log */
    assert_int_equal(atomic_load(&a.lost), 0);
    assert_int_equal(access(temp_path("audit"), F_OK), -1);
}

#define THREADS 4u
#define EACH    200u

static void *send_many(void *user)
{
    (void)user;
    for (unsigned i = 0; i < EACH; i++) {
        send("a1:many");
    }
    return NULL;
}

static void lines_of_threads_do_not_mix_while_files_change(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    use("audit");
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, NULL), 0);
    }
    for (unsigned i = 0; i < 50; i++) {
        use("audit");
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(lines("audit", 0), THREADS * EACH);
    assert_int_equal(atomic_load(&a.lost), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_event_is_a_line_that_is_there_at_once),
        T(what_is_there_stays),
        T(a_file_that_was_moved_away_is_left_at_the_next_opening),
        T(a_file_that_was_cut_is_written_from_its_new_end),
        T(a_full_disk_loses_events_and_nothing_else),
        T(what_is_no_file_of_ours_is_refused_by_name),
        T(without_a_path_there_is_no_file),
        T(lines_of_threads_do_not_mix_while_files_change),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
