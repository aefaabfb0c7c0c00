/* SPDX-License-Identifier: Apache-2.0 */
/* The driver between sockets and a loop that is a fake: bytes, back-pressure, links, work, ends. */
#include "check.h"
#include "driver.h"
#include "fake_loop.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS   60000 /* nothing takes so long; it ends a test that would hang */
#define BIG_BYTES ((size_t)8 << 20)

struct world {
    struct driver *driver;
    struct wiring *wiring;
    int idle_fd;
};

static int make_world(void **state)
{
    static struct world w;
    aril_error error = { .status = ARIL_OK };
    memset(&w, 0, sizeof w);
    fake.clients_max = 1000;
    fake.worked_elsewhere = 0;
    w.idle_fd = eventfd(0, EFD_CLOEXEC);
    w.wiring = calloc(1, sizeof *w.wiring);
    if (w.idle_fd < 0 || w.wiring == NULL) {
        return -1;
    }
    atomic_init(&w.wiring->refs, 1);
    w.wiring->connect_ms = 200; /* only connections that never come about wait for it */
    w.wiring->login_ms = 10000;
    const struct driver_config config = {
        .wiring = w.wiring, .threads = 2, .workers = 2, .idle_fd = w.idle_fd
    };
    *state = &w;
    return driver_start(&config, &w.driver, &error) == ARIL_OK ? 0 : -1;
}

static int end_world(void **state)
{
    struct world *w = *state;
    if (w->driver != NULL) {
        driver_stop(w->driver);
        driver_free(w->driver);
    }
    const bool all_back = atomic_load(&w->wiring->refs) == 1;
    wiring_drop(w->wiring);
    close(w->idle_fd);
    return all_back && fake.clients == 0 && fake.budget.used == 0 ? 0 : -1;
}

/* --- a client -------------------------------------------------------------------------------- */

static int client_new(const struct world *w)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    driver_accepted(w->driver, ends[1], 0);
    return ends[0];
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void wait_for(int fd, short what)
{
    struct pollfd p = { .fd = fd, .events = what };
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

static void expect(int fd, const char *text)
{
    char got[256];
    const size_t len = strlen(text);
    for (size_t have = 0; have < len;) {
        wait_for(fd, POLLIN);
        const ssize_t n = recv(fd, got + have, len - have, 0);
        assert_true(n > 0);
        have += (size_t)n;
    }
    assert_memory_equal(got, text, len);
}

static void expect_end(int fd)
{
    char byte;
    wait_for(fd, POLLIN);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static void expect_all_ended(const struct world *w)
{
    uint64_t one = 0;
    wait_for(w->idle_fd, POLLIN);
    assert_int_equal(read(w->idle_fd, &one, sizeof one), sizeof one);
    assert_int_equal(one, 1);
}

static int listen_tcp(const char *host)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &a.sin_addr), 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&a, &len), 0);
    fake.server = (struct arili_address){ .port = ntohs(a.sin_port) };
    snprintf(fake.server.host, sizeof fake.server.host, "%s", host);
    return fd;
}

/* --- bytes ----------------------------------------------------------------------------------- */

static void bytes_go_both_ways(void **state)
{
    const struct world *w = *state;
    const int a = client_new(w);
    const int b = client_new(w);
    say(a, "Eone");
    say(b, "Etwo");
    expect(a, "one");
    expect(b, "two");
    say(a, "three");
    expect(a, "three");
    assert_int_equal(driver_clients(w->driver), 2);
    close(a);
    close(b);
}

/* The client reads only when it cannot write any more: the loop pauses it, and the driver goes on
 * where it was. */
static void much_goes_through_a_client_that_is_slow(void **state)
{
    const struct world *w = *state;
    const int fd = client_new(w);
    uint8_t piece[32768];
    size_t sent = 0, got = 0;
    say(fd, "E");
    while (got < BIG_BYTES) {
        struct pollfd p = { .fd = fd, .events = sent < BIG_BYTES ? POLLOUT : POLLIN };
        if (sent < BIG_BYTES && poll(&p, 1, 0) == 1) {
            for (size_t i = 0; i < sizeof piece; i++) {
                piece[i] = (uint8_t)((sent + i) * 131 >> 3);
            }
            const ssize_t n = send(fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT);
            sent += n > 0 ? (size_t)n : 0;
            continue;
        }
        wait_for(fd, POLLIN);
        const ssize_t n = recv(fd, piece, sizeof piece, 0);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) {
            assert_int_equal(piece[i], (uint8_t)((got + (size_t)i) * 131 >> 3));
        }
        got += (size_t)n;
    }
    close(fd);
}

static void who_is_closed_hears_the_last_word(void **state)
{
    const struct world *w = *state;
    const int fd = client_new(w);
    say(fd, "X and more that nobody reads");
    expect(fd, "bye");
    expect_end(fd);
}

static void one_client_too_many_is_told(void **state)
{
    const struct world *w = *state;
    fake.clients_max = 1;
    const int a = client_new(w);
    say(a, "Ehere");
    expect(a, "here");
    const int b = client_new(w);
    expect(b, "-ERR max number of clients reached\r\n");
    expect_end(b);
    say(a, "still");
    expect(a, "still");
    close(a);
}

static void the_user_of_a_client_is_handed_over(void **state)
{
    const struct world *w = *state;
    char expected[64];
    const int fd = client_new(w);
    say(fd, "E.");
    expect(fd, ".");
    snprintf(expected, sizeof expected, "unix:%u", (unsigned)geteuid());
    pthread_mutex_lock(&fake.lock);
    const struct arili_identity who = fake.last;
    pthread_mutex_unlock(&fake.lock);
    assert_string_equal(who.address, expected);
    assert_true(who.has_peer_cred);
    assert_int_equal(who.uid, geteuid());
    assert_int_equal(who.certificate.len, 0);
    close(fd);
}

/* --- work and links -------------------------------------------------------------------------- */

static void work_is_done_elsewhere_and_comes_back(void **state)
{
    const struct world *w = *state;
    int fds[8];
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = client_new(w);
        say(fds[i], "W");
    }
    for (size_t i = 0; i < COUNT(fds); i++) {
        expect(fds[i], "worked");
        close(fds[i]);
    }
    assert_int_equal(fake.worked_elsewhere, COUNT(fds));
}

/* Through a number and through a name, which another thread looks up. */
static void a_server_is_reached(void **state)
{
    const struct world *w = *state;
    static const char *const hosts[] = { "127.0.0.1", "localhost" };
    for (size_t i = 0; i < COUNT(hosts); i++) {
        const int listening = listen_tcp(hosts[i]);
        const int fd = client_new(w);
        say(fd, "C");
        wait_for(listening, POLLIN);
        const int server = accept(listening, NULL, NULL);
        expect(server, "hi");
        say(server, "from the server");
        expect(fd, "from the server");
        close(server);
        expect(fd, "lost");
        close(fd);
        close(listening);
    }
}

static void a_server_that_is_not_there_is_lost(void **state)
{
    const struct world *w = *state;
    close(listen_tcp("127.0.0.1")); /* nobody listens there any more */
    const int a = client_new(w);
    say(a, "C");
    expect(a, "lost");
    snprintf(fake.server.host, sizeof fake.server.host, "name.invalid");
    const int b = client_new(w);
    say(b, "C");
    expect(b, "lost");
    fake.server = (struct arili_address){ .is_unix = true };
    snprintf(fake.server.host, sizeof fake.server.host, "/no/such/socket");
    const int c = client_new(w);
    say(c, "C");
    expect(c, "lost");
    memset(fake.server.host, 'x', sizeof fake.server.host - 1);
    const int d = client_new(w);
    say(d, "C");
    expect(d, "lost");
    close(a);
    close(b);
    close(c);
    close(d);
}

/* --- ends ------------------------------------------------------------------------------------ */

static void a_drain_ends_when_the_clients_have_gone(void **state)
{
    const struct world *w = *state;
    const int idle = client_new(w);
    const int held = client_new(w);
    say(idle, "E.");
    expect(idle, ".");
    close(listen_tcp("127.0.0.1"));
    say(held, "C");
    expect(held, "lost"); /* it was read */
    driver_drain(w->driver);
    expect_end(idle);
    expect_end(held);
    expect_all_ended(w);
    const int late = client_new(w);
    (void)late; /* what comes now is closed with the driver */
    close(late);
}

static void a_stop_does_not_wait(void **state)
{
    const struct world *w = *state;
    const int fd = client_new(w);
    say(fd, "H");
    const int other = client_new(w);
    say(other, "E.");
    expect(other, ".");
    driver_drain(w->driver);
    expect_end(other);
    driver_stop(w->driver);
    expect_all_ended(w);
    close(fd);
}

static void threads_show_that_they_are_alive(void **state)
{
    const struct world *w = *state;
    const uint64_t before = driver_alive_ns(w->driver);
    struct pollfd none = { .fd = -1 };
    int turns = 0;
    while (driver_alive_ns(w->driver) == before && turns++ < WAIT_MS) {
        (void)poll(&none, 1, 1);
    }
    assert_true(driver_alive_ns(w->driver) > before);
    assert_true(fake.ticks > 0);
}

static void a_reload_leaves_connections_alone(void **state)
{
    struct world *w = *state;
    const int fd = client_new(w);
    say(fd, "E.");
    expect(fd, ".");
    struct wiring *fresh = calloc(1, sizeof *fresh);
    assert_non_null(fresh);
    atomic_init(&fresh->refs, 1);
    fresh->login_ms = 1;
    driver_rewire(w->driver, fresh);
    say(fd, "on");
    expect(fd, "on");
    assert_int_equal(atomic_load(&fresh->refs), 2);
    const int next = client_new(w);
    say(next, "E!");
    expect(next, "!");
    assert_int_equal(atomic_load(&fresh->refs), 3);
    wiring_drop(fresh);
    close(fd);
    close(next);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(bytes_go_both_ways),
        IN_WORLD(much_goes_through_a_client_that_is_slow),
        IN_WORLD(who_is_closed_hears_the_last_word),
        IN_WORLD(one_client_too_many_is_told),
        IN_WORLD(the_user_of_a_client_is_handed_over),
        IN_WORLD(work_is_done_elsewhere_and_comes_back),
        IN_WORLD(a_server_is_reached),
        IN_WORLD(a_server_that_is_not_there_is_lost),
        IN_WORLD(a_drain_ends_when_the_clients_have_gone),
        IN_WORLD(a_stop_does_not_wait),
        IN_WORLD(threads_show_that_they_are_alive),
        IN_WORLD(a_reload_leaves_connections_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
