/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that clients connect to: modes, leftovers of dead processes, what is refused. */
#include "check.h"
#include "listen.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define assert_ok(call) assert_status((call), ARIL_OK)

static const struct process_user NOBODY = { .wanted = false };

struct world {
    char folder[64];
    struct arili_listen_config config; /* "socket" in the folder, mode 0600 */
};

static int make_world(void **state)
{
    static struct world w;
    memset(&w, 0, sizeof w);
    snprintf(w.folder, sizeof w.folder, "/tmp/arild_listen_XXXXXX");
    w.config.address.is_unix = true;
    w.config.mode = 0600;
    *state = &w;
    if (mkdtemp(w.folder) == NULL) {
        return -1;
    }
    snprintf(w.config.address.host, sizeof w.config.address.host, "%s/socket", w.folder);
    return 0;
}

static int end_world(void **state)
{
    const struct world *w = *state;
    (void)unlink(w->config.address.host);
    return rmdir(w->folder);
}

static struct arili_listen_config tcp(const char *host, uint16_t port)
{
    struct arili_listen_config c = { .address = { .port = port } };
    snprintf(c.address.host, sizeof c.address.host, "%s", host);
    return c;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    memcpy(a.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&a, sizeof a), 0);
    return fd;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void a_unix_socket_has_the_mode_that_was_asked_for(void **state)
{
    struct world *w = *state;
    static const uint32_t modes[] = { 0600, 0660, 0666, 0700 };
    const mode_t before = umask(0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        aril_error error = { .status = ARIL_OK };
        struct listener l = { .fd = -1 };
        w->config.mode = modes[i];
        assert_ok(listen_open(&w->config, 3, &NOBODY, &l, &error));
        assert_int_equal(l.index, 3);
        assert_int_equal(mode_of(w->config.address.host), modes[i]);
        listen_close(&l);
        assert_int_equal(access(w->config.address.host, F_OK), -1);
    }
    (void)umask(before);
}

static void the_socket_of_a_dead_process_is_replaced(void **state)
{
    struct world *w = *state;
    aril_error error = { .status = ARIL_OK };
    struct listener dead = { .fd = -1 };
    struct listener l = { .fd = -1 };
    assert_ok(listen_open(&w->config, 0, &NOBODY, &dead, &error));
    close(dead.fd); /* its file stays */
    assert_ok(listen_open(&w->config, 0, &NOBODY, &l, &error));
    close(connect_unix(w->config.address.host));
    /* The dead one, had it lived, would not take the new one's file with it. */
    dead.fd = -1;
    if (dead.inode != l.inode) {
        listen_close(&dead);
        close(connect_unix(w->config.address.host));
    }
    listen_close(&l);
}

static void a_socket_that_somebody_listens_at_is_left_alone(void **state)
{
    struct world *w = *state;
    aril_error error = { .status = ARIL_OK };
    struct listener first = { .fd = -1 };
    struct listener second = { .fd = -1 };
    assert_ok(listen_open(&w->config, 0, &NOBODY, &first, &error));
    assert_status(listen_open(&w->config, 0, &NOBODY, &second, &error), ARIL_E_EXISTS);
    assert_non_null(strstr(error.message, w->config.address.host));
    assert_int_equal(second.fd, -1);
    close(connect_unix(w->config.address.host));
    listen_close(&first);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct world *w = *state;
    aril_error error = { .status = ARIL_OK };
    struct listener l = { .fd = -1 };
    const int fd = open(w->config.address.host, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "mine", 4), 4);
    close(fd);
    assert_status(listen_open(&w->config, 0, &NOBODY, &l, &error), ARIL_E_EXISTS);
    struct stat st;
    assert_int_equal(lstat(w->config.address.host, &st), 0);
    assert_int_equal(st.st_size, 4);
    unlink(w->config.address.host);
    /* Nor is a link followed. */
    assert_int_equal(symlink("/dev/null", w->config.address.host), 0);
    assert_status(listen_open(&w->config, 0, &NOBODY, &l, &error), ARIL_E_EXISTS);
    assert_int_equal(lstat(w->config.address.host, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void a_path_that_is_too_long_or_not_there_is_refused(void **state)
{
    struct world *w = *state;
    aril_error error = { .status = ARIL_OK };
    struct listener l = { .fd = -1 };
    struct arili_listen_config c = w->config;
    memset(c.address.host, 'x', sizeof c.address.host - 1);
    c.address.host[0] = '/';
    assert_status(listen_open(&c, 0, &NOBODY, &l, &error), ARIL_E_LIMIT);
    snprintf(c.address.host, sizeof c.address.host, "%s/no/socket", w->folder);
    assert_status(listen_open(&c, 0, &NOBODY, &l, &error), ARIL_E_IO);
}

static void a_port_can_be_any_and_is_told(void **state)
{
    aril_error error = { .status = ARIL_OK };
    struct listener first = { .fd = -1 };
    struct listener second = { .fd = -1 };
    struct arili_listen_config c = tcp("127.0.0.1", 0);
    (void)state;
    assert_ok(listen_open(&c, 0, &NOBODY, &first, &error));
    assert_true(first.address.port > 0);
    c.address.port = first.address.port;
    assert_status(listen_open(&c, 0, &NOBODY, &second, &error), ARIL_E_EXISTS);
    listen_close(&first);
    assert_ok(listen_open(&c, 0, &NOBODY, &second, &error));
    listen_close(&second);
}

static void an_address_of_another_machine_is_refused(void **state)
{
    aril_error error = { .status = ARIL_OK };
    struct listener l = { .fd = -1 };
    const struct arili_listen_config c = tcp("192.0.2.1", 0);
    (void)state;
    assert_status(listen_open(&c, 0, &NOBODY, &l, &error), ARIL_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "192.0.2.1"));
}

static void a_star_is_every_address(void **state)
{
    aril_error error = { .status = ARIL_OK };
    struct listener l = { .fd = -1 };
    const struct arili_listen_config c = tcp("*", 0);
    (void)state;
    assert_ok(listen_open(&c, 0, &NOBODY, &l, &error));
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(l.address.port) };
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&to, sizeof to), 0);
    const int in = accept(l.fd, NULL, NULL);
    struct arili_identity who;
    listen_identify(in, &who);
    assert_string_equal(who.address, "127.0.0.1"); /* not ::ffff:127.0.0.1 */
    assert_false(who.has_peer_cred);
    assert_string_equal(who.local.host, "127.0.0.1");
    assert_int_equal(who.local.port, l.address.port);
    close(in);
    close(fd);
    listen_close(&l);
}

static void the_user_at_the_other_end_is_known(void **state)
{
    struct world *w = *state;
    aril_error error = { .status = ARIL_OK };
    struct listener l = { .fd = -1 };
    struct arili_identity who;
    char expected[64];
    assert_ok(listen_open(&w->config, 0, &NOBODY, &l, &error));
    const int fd = connect_unix(w->config.address.host);
    const int in = accept(l.fd, NULL, NULL);
    listen_identify(in, &who);
    snprintf(expected, sizeof expected, "unix:%u", (unsigned)geteuid());
    assert_true(who.has_peer_cred);
    assert_int_equal(who.uid, geteuid());
    assert_int_equal(who.gid, getegid());
    assert_string_equal(who.address, expected);
    assert_int_equal(who.certificate.len, 0);
    assert_string_equal(who.local.host, "");
    listen_identify(-1, &who);
    assert_string_equal(who.address, "?");
    assert_string_equal(who.local.host, "");
    close(in);
    close(fd);
    listen_close(&l);
}

/* The descriptors of a service manager begin with 3, which may be anything here. */
static void sockets_that_were_handed_over_are_used(void **state)
{
    aril_error error = { .status = ARIL_OK };
    struct listener made = { .fd = -1 };
    struct listener l = { .fd = -1 };
    struct arili_listen_config c = tcp("127.0.0.1", 0);
    char pid[24];
    (void)state;
    assert_ok(listen_open(&c, 0, &NOBODY, &made, &error));
    const int third = fcntl(3, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(made.fd, 3), 3);
    c.address.port = made.address.port;
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(listen_inherit(), 0); /* meant for another process */
    assert_null(getenv("LISTEN_FDS"));
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(listen_inherit(), 1);
    assert_int_equal(listen_inherited_left(), 1);
    assert_true((fcntl(3, F_GETFD) & FD_CLOEXEC) != 0);
    assert_ok(listen_open(&c, 0, &NOBODY, &l, &error)); /* binding again would be EXISTS */
    assert_int_equal(l.fd, 3);
    assert_int_equal(listen_inherited_left(), 0);
    if (third >= 0) {
        dup2(third, 3);
        close(third);
    } else {
        close(3);
    }
    if (made.fd != 3) {
        listen_close(&made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_unix_socket_has_the_mode_that_was_asked_for, make_world,
                                        end_world),
        cmocka_unit_test_setup_teardown(the_socket_of_a_dead_process_is_replaced, make_world,
                                        end_world),
        cmocka_unit_test_setup_teardown(a_socket_that_somebody_listens_at_is_left_alone, make_world,
                                        end_world),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_left_alone, make_world,
                                        end_world),
        cmocka_unit_test_setup_teardown(a_path_that_is_too_long_or_not_there_is_refused, make_world,
                                        end_world),
        cmocka_unit_test(a_port_can_be_any_and_is_told),
        cmocka_unit_test(an_address_of_another_machine_is_refused),
        cmocka_unit_test(a_star_is_every_address),
        cmocka_unit_test_setup_teardown(the_user_at_the_other_end_is_known, make_world, end_world),
        cmocka_unit_test(sockets_that_were_handed_over_are_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
