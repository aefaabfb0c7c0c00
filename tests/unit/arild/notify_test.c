/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager is told, and where. */
#include "check.h"
#include "notify.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int bind_datagrams(const char *name)
{
    struct sockaddr_un a;
    socklen_t len = 0;
    assert_true(notify_address(name, &a, &len));
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)&a, len), 0);
    return fd;
}

static void expect_message(int fd, const char *text)
{
    char got[256] = "";
    const ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    assert_string_equal(got, text);
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static void a_path_and_an_abstract_name_are_addresses(void **state)
{
    struct sockaddr_un a;
    socklen_t len = 0;
    (void)state;
    assert_true(notify_address("/run/x", &a, &len));
    assert_string_equal(a.sun_path, "/run/x");
    assert_int_equal(len, offsetof(struct sockaddr_un, sun_path) + 7);
    assert_true(notify_address("@x/y", &a, &len));
    assert_int_equal(a.sun_path[0], '\0');
    assert_memory_equal(a.sun_path + 1, "x/y", 3);
    assert_int_equal(len, offsetof(struct sockaddr_un, sun_path) + 4);
}

static void everything_else_is_none(void **state)
{
    struct sockaddr_un a;
    socklen_t len = 7;
    char longest[sizeof a.sun_path + 1];
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0'; /* one byte too long */
    assert_false(notify_address(longest, &a, &len));
    assert_false(notify_address("", &a, &len));
    assert_false(notify_address("/", &a, &len));
    assert_false(notify_address("@", &a, &len));
    assert_false(notify_address("relative", &a, &len));
    assert_false(notify_address("vsock:2:1", &a, &len));
    assert_int_equal(len, 7);
    longest[sizeof longest - 2] = '\0';
    assert_true(notify_address(longest, &a, &len));
}

static void messages_reach_a_socket_of_either_kind(void **state)
{
    char folder[] = "/tmp/arild_notify_XXXXXX";
    char path[64], name[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(name, sizeof name, "@arild-test-%d", (int)getpid());
    const char *const both[] = { path, name };
    for (size_t i = 0; i < 2; i++) {
        const int fd = bind_datagrams(both[i]);
        set("NOTIFY_SOCKET", both[i]);
        notify_init();
        assert_null(getenv("NOTIFY_SOCKET"));
        assert_true(notify_send("READY=1"));
        expect_message(fd, "READY=1");
        assert_true(notify_reloading());
        char got[256] = "";
        unsigned long long us = 0;
        assert_true(recv(fd, got, sizeof got - 1, MSG_DONTWAIT) > 0);
        assert_int_equal(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%llu\n", &us), 1);
        assert_true(us > 0);
        close(fd);
    }
    unlink(path);
    assert_false(notify_send("READY=1")); /* the abstract name went with its socket */
    rmdir(folder);
}

static void without_a_socket_nothing_is_sent(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    notify_init();
    assert_false(notify_send("READY=1"));
    assert_false(notify_reloading());
    set("NOTIFY_SOCKET", "nonsense");
    notify_init();
    assert_false(notify_send("READY=1"));
}

static void the_watchdog_is_meant_for_one_process(void **state)
{
    char pid[24];
    (void)state;
    set("WATCHDOG_USEC", "30000000");
    notify_init();
    assert_int_equal(notify_watchdog_us(), 30000000);
    assert_null(getenv("WATCHDOG_USEC"));
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    set("WATCHDOG_USEC", "5");
    set("WATCHDOG_PID", pid);
    notify_init();
    assert_int_equal(notify_watchdog_us(), 5);
    set("WATCHDOG_USEC", "5");
    set("WATCHDOG_PID", "1");
    notify_init();
    assert_int_equal(notify_watchdog_us(), 0);
    static const char *const wrong[] = { "", "x", "5x", "99999999999999999999" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        set("WATCHDOG_USEC", wrong[i]);
        notify_init();
        assert_int_equal(notify_watchdog_us(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_and_an_abstract_name_are_addresses),
        cmocka_unit_test(everything_else_is_none),
        cmocka_unit_test(messages_reach_a_socket_of_either_kind),
        cmocka_unit_test(without_a_socket_nothing_is_sent),
        cmocka_unit_test(the_watchdog_is_meant_for_one_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
