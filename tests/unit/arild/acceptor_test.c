/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting clients, and what happens when descriptors are short. The driver is a fake. */
#include "acceptor.h"
#include "check.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS   60000
#define FILES_MAX 64

static int accepted[16];
static size_t accepted_count;
static uint32_t accepted_listener;
static uint64_t clients;

/* --- the driver ------------------------------------------------------------------------------ */

void driver_accepted(struct driver *d, int fd, uint32_t listener)
{
    (void)d;
    assert_true(accepted_count < COUNT(accepted));
    accepted[accepted_count++] = fd;
    accepted_listener = listener;
}

uint64_t driver_clients(const struct driver *d)
{
    (void)d;
    return clients;
}

uint64_t monotonic_ns(void)
{
    return 1; /* the log is asked once for all */
}

/* --- the world ------------------------------------------------------------------------------- */

struct world {
    struct event_base *base;
    struct listener listener;
    struct acceptor *acceptor;
};

static int make_world(void **state)
{
    static struct world w;
    aril_error error = { .status = ARIL_OK };
    const struct process_user nobody = { .wanted = false };
    struct arili_listen_config config = { .address = { .port = 0 } };
    memset(&w, 0, sizeof w);
    accepted_count = 0;
    clients = 0;
    snprintf(config.address.host, sizeof config.address.host, "127.0.0.1");
    w.base = event_base_new();
    *state = &w;
    return w.base != NULL && listen_open(&config, 5, &nobody, &w.listener, &error) == ARIL_OK &&
                   acceptor_new(w.base, NULL, &w.listener, 1, 10, &w.acceptor) == ARIL_OK
               ? 0
               : -1;
}

static int end_world(void **state)
{
    struct world *w = *state;
    acceptor_free(w->acceptor);
    listen_close(&w->listener);
    event_base_free(w->base);
    for (size_t i = 0; i < accepted_count; i++) {
        close(accepted[i]);
    }
    return 0;
}

static int connect_to(const struct world *w)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(w->listener.address.port) };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&to, sizeof to), 0);
    return fd;
}

static void expect_end(int fd, const char *text)
{
    char got[128] = "";
    size_t len = 0;
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        const ssize_t n = recv(fd, got + len, sizeof got - 1 - len, 0);
        assert_true(n >= 0);
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    assert_string_equal(got, text);
    close(fd);
}

/* --- the tests ------------------------------------------------------------------------------- */

static void a_client_is_handed_over_with_its_listener(void **state)
{
    const struct world *w = *state;
    const int a = connect_to(w);
    const int b = connect_to(w);
    assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
    assert_int_equal(accepted_count, 2);
    assert_int_equal(accepted_listener, 5);
    assert_true((fcntl(accepted[0], F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(accepted[0], F_GETFD) & FD_CLOEXEC) != 0);
    close(a);
    close(b);
}

static void too_many_are_told_so(void **state)
{
    const struct world *w = *state;
    clients = 10 + ACCEPT_SHAKES_MAX;
    const int fd = connect_to(w);
    assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
    assert_int_equal(accepted_count, 0);
    expect_end(fd, "-ERR max number of clients reached\r\n");
    acceptor_set_clients_max(w->acceptor, 11);
    const int next = connect_to(w);
    assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
    assert_int_equal(accepted_count, 1);
    close(next);
}

/* Without a descriptor the client is closed with the one in reserve; later ones wait in the queue
 * until there is one again. */
static void without_descriptors_nobody_hangs(void **state)
{
    const struct world *w = *state;
    struct rlimit before;
    int taken[FILES_MAX];
    size_t count = 0;
    const int turned_away = connect_to(w);
    const int waits = connect_to(w);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit few = { FILES_MAX, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < FILES_MAX && (taken[count] = dup(w->listener.fd)) >= 0) {
        count++;
    }
    const int why = errno;
    assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
    const size_t during = accepted_count;
    for (size_t i = 0; i < count; i++) {
        close(taken[i]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(why, EMFILE);
    assert_int_equal(during, 0);
    expect_end(turned_away, "");
    while (accepted_count == 0) { /* the pause, and then the client that waited */
        assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
    }
    assert_int_equal(send(accepted[0], "x", 1, MSG_NOSIGNAL), 1);
    char byte = 0;
    assert_int_equal(recv(waits, &byte, 1, 0), 1);
    assert_int_equal(byte, 'x');
    close(waits);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_client_is_handed_over_with_its_listener),
        IN_WORLD(too_many_are_told_so),
        IN_WORLD(without_descriptors_nobody_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
