/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* accept4() */
#include "acceptor.h"
#include "base/ensure.h"
#include "log.h"
#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_EVERY_NS UINT64_C(10000000000)

struct door {
    struct acceptor *acceptor;
    struct listener *listener;
    struct event event;
};

struct acceptor {
    struct driver *driver;
    struct event resume;
    int reserve_fd;
    uint32_t clients_max;
    uint64_t logged_ns;
    size_t count;
    struct door doors[];
};

static void pause_all(struct acceptor *a, int why)
{
    const struct timeval tv = { .tv_sec = 0, .tv_usec = ACCEPT_PAUSE_MS * 1000 };
    const uint64_t now_ns = monotonic_ns();
    for (size_t i = 0; i < a->count; i++) {
        (void)event_del(&a->doors[i].event);
    }
    (void)event_add(&a->resume, &tv);
    if (a->logged_ns == 0 || now_ns - a->logged_ns >= LOG_EVERY_NS) {
        a->logged_ns = now_ns;
        log_line(LOG_ERROR, "clients cannot be accepted: %s", strerror(why));
    }
}

static void on_resume(evutil_socket_t fd, short what, void *user)
{
    struct acceptor *a = user;
    (void)fd;
    (void)what;
    if (a->reserve_fd < 0) {
        a->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (size_t i = 0; i < a->count; i++) {
        (void)event_add(&a->doors[i].event, NULL);
    }
}

/* The next in the queue is sent away with the descriptor that was kept for that. */
static void turn_away(struct acceptor *a, int listening)
{
    if (a->reserve_fd < 0) {
        return;
    }
    close(a->reserve_fd);
    const int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        close(fd);
    }
    a->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* else on_resume() tries again */
}

static void refuse(int fd)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    const ssize_t n = send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n; /* a courtesy */
    close(fd);
}

/* False: not now. */
static bool accept_one(struct acceptor *a, const struct door *door)
{
    const int fd = accept4(door->listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        if (driver_clients(a->driver) >= (uint64_t)a->clients_max + ACCEPT_SHAKES_MAX) {
            refuse(fd);
        } else {
            driver_accepted(a->driver, fd, door->listener->index);
        }
        return true;
    }
    const int why = errno;
    switch (why) {
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
        return false;
    case EMFILE:
    case ENFILE:
        turn_away(a, door->listener->fd);
        pause_all(a, why);
        return false;
    case ENOBUFS:
    case ENOMEM:
        pause_all(a, why);
        return false;
    default: /* of that one connection: ECONNABORTED, EPROTO, and what accept(2) says of networks */
        return true;
    }
}

static void on_client(evutil_socket_t fd, short what, void *user)
{
    const struct door *door = user;
    (void)fd;
    (void)what;
    for (unsigned i = 0; i < ACCEPT_TURN && accept_one(door->acceptor, door); i++) {
    }
}

static void acceptor_freep(struct acceptor **a)
{
    acceptor_free(*a);
}

aril_status acceptor_new(struct event_base *base, struct driver *driver, struct listener *listeners,
                         size_t count, uint32_t clients_max, struct acceptor **ret)
{
    ARILI_DEFER(acceptor_freep)
    struct acceptor *a = calloc(1, sizeof *a + count * sizeof a->doors[0]);
    ARILI_ENSURE(a != NULL, ARIL_E_NOMEM);
    a->driver = driver;
    a->clients_max = clients_max;
    a->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ARILI_ENSURE(a->reserve_fd >= 0, ARIL_E_IO);
    ARILI_ENSURE(event_assign(&a->resume, base, -1, 0, on_resume, a) == 0, ARIL_E_NOMEM);
    for (; a->count < count; a->count++) {
        struct door *door = &a->doors[a->count];
        door->acceptor = a;
        door->listener = &listeners[a->count];
        ARILI_ENSURE(event_assign(&door->event, base, door->listener->fd, EV_READ | EV_PERSIST,
                                  on_client, door) == 0 &&
                         event_add(&door->event, NULL) == 0,
                     ARIL_E_NOMEM);
    }
    *ret = ARILI_TAKE(a);
    return ARIL_OK;
}

void acceptor_set_clients_max(struct acceptor *a, uint32_t clients_max)
{
    a->clients_max = clients_max;
}

void acceptor_free(struct acceptor *a)
{
    if (a == NULL) {
        return;
    }
    if (event_initialized(&a->resume)) {
        (void)event_del(&a->resume);
    }
    for (size_t i = 0; i < a->count; i++) {
        (void)event_del(&a->doors[i].event);
    }
    if (a->reserve_fd >= 0) {
        close(a->reserve_fd);
    }
    free(a);
}
