/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include "base/ensure.h"
#include "driver.h"
#include "log.h"
#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_EVERY_MS 20
#define STEADY_NS     UINT64_C(60000000000) /* alive for so long: the next delay is short again */
#define NS_PER_MS     UINT64_C(1000000)
#define ARGS_MAX      32

struct redis {
    char folder[PATH_MAX];
    char program[PATH_MAX];
    char socket[PATH_MAX + 16], log[PATH_MAX + 16];
    int lock_fd;
    pid_t pid; /* 0: it does not run */
    uint64_t started_ns;
    uint32_t delay_ms;
    bool stopping;
    struct event again;
};

extern char **environ;

static void sleep_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

/* --- finding and starting -------------------------------------------------------------------- */

static bool find_in(const char *folder, size_t len, const char *name, char ret[PATH_MAX])
{
    const int n = snprintf(ret, PATH_MAX, "%.*s/%s", (int)len, folder, name);
    return len > 0 && len < PATH_MAX && n < PATH_MAX && access(ret, X_OK) == 0;
}

static aril_status find_program(char ret[PATH_MAX], aril_error *error)
{
    static const char *const names[] = { "redis-server", "valkey-server" };
    const char *path = getenv("PATH");
    if (path == NULL || path[0] == '\0') {
        path = "/usr/local/bin:/usr/bin:/bin";
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (const char *at = path;; at++) {
            const size_t len = strcspn(at, ":");
            if (find_in(at, len, names[i], ret)) {
                return ARIL_OK;
            }
            at += len;
            if (*at == '\0') {
                break;
            }
        }
    }
    return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE),
                           "neither redis-server nor valkey-server is in PATH: install one "
                           "(apt-get install redis-server)");
}

/* In the child, between fork() and exec(): only what signal handlers may do. */
static void become_server(const struct redis *r, char *const *argv, pid_t parent)
{
    struct sigaction usual = { .sa_handler = SIG_DFL };
    sigset_t none;
    sigemptyset(&usual.sa_mask);
    sigemptyset(&none);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (getppid() != parent) {
        _exit(127); /* it ended meanwhile, and nobody would tell us */
    }
    for (int s = 1; s < NSIG; s++) {
        (void)sigaction(s, &usual, NULL); /* some cannot be changed */
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0); /* an interrupt from the terminal is for us: we end it when we are done */
    const int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0 || fcntl(r->lock_fd, F_SETFD, 0) != 0) {
        _exit(127);
    }
    (void)execve(r->program, argv, environ);
    _exit(127);
}

static aril_status launch(struct redis *r, aril_error *error)
{
    char *const argv[ARGS_MAX] = {
        r->program,
        (char *)(uintptr_t) "--port",
        (char *)(uintptr_t) "0",
        (char *)(uintptr_t) "--unixsocket",
        r->socket,
        (char *)(uintptr_t) "--unixsocketperm",
        (char *)(uintptr_t) "600",
        (char *)(uintptr_t) "--dir",
        r->folder,
        (char *)(uintptr_t) "--appendonly",
        (char *)(uintptr_t) "yes",
        (char *)(uintptr_t) "--save",
        (char *)(uintptr_t) "",
        (char *)(uintptr_t) "--daemonize",
        (char *)(uintptr_t) "no",
        (char *)(uintptr_t) "--pidfile",
        (char *)(uintptr_t) "",
        (char *)(uintptr_t) "--loglevel",
        (char *)(uintptr_t) "notice",
        (char *)(uintptr_t) "--logfile",
        r->log,
        NULL,
    };
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0) {
        return arili_error_set(error, arili_fail(ARIL_E_IO), "%s: %s", r->program, strerror(errno));
    }
    if (pid == 0) {
        become_server(r, argv, parent);
    }
    r->pid = pid;
    r->started_ns = monotonic_ns();
    return ARIL_OK;
}

static bool has_ended(struct redis *r, int *ret_how)
{
    if (r->pid > 0 && waitpid(r->pid, ret_how, WNOHANG) == r->pid) {
        r->pid = 0;
        return true;
    }
    return false;
}

static bool read_pong(int fd)
{
    static const char pong[] = "+PONG\r\n";
    char answer[sizeof pong] = "";
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    return send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && poll(&wait, 1, 1000) == 1 &&
           recv(fd, answer, sizeof answer - 1, 0) == (ssize_t)sizeof pong - 1 &&
           memcmp(answer, pong, sizeof pong - 1) == 0;
}

/* Whether it answers; not while it loads what it has. */
static bool answers(const struct redis *r)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    memcpy(a.sun_path, r->socket, strlen(r->socket) + 1); /* redis_start() looked at its length */
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    const bool well =
        connect(fd, (const struct sockaddr *)(const void *)&a, sizeof a) == 0 && read_pong(fd);
    close(fd);
    return well;
}

static aril_status wait_ready(struct redis *r, aril_error *error)
{
    const uint64_t deadline_ns = monotonic_ns() + REDIS_READY_MS * NS_PER_MS;
    while (monotonic_ns() < deadline_ns) {
        int how = 0;
        if (has_ended(r, &how)) {
            return arili_error_set(error, arili_fail(ARIL_E_IO), "%s ended at once (%s %d): see %s",
                                   r->program, WIFSIGNALED(how) ? "signal" : "exit code",
                                   WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how), r->log);
        }
        if (answers(r)) {
            return ARIL_OK;
        }
        sleep_ms(LOOK_EVERY_MS);
    }
    return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                           "%s did not answer within %u s: see %s", r->program,
                           REDIS_READY_MS / 1000, r->log);
}

static void redis_stopp(struct redis **r)
{
    redis_stop(*r);
}

aril_status redis_start(const char *folder, int lock_fd, struct redis **ret, aril_error *error)
{
    ARILI_DEFER(redis_stopp) struct redis *r = calloc(1, sizeof *r);
    ARILI_ENSURE(r != NULL, ARIL_E_NOMEM);
    snprintf(r->folder, sizeof r->folder, "%s", folder);
    snprintf(r->socket, sizeof r->socket, "%s/" REDIS_SOCKET, folder);
    snprintf(r->log, sizeof r->log, "%s/redis.log", folder);
    r->lock_fd = lock_fd;
    r->delay_ms = REDIS_DELAY_MIN;
    ARILI_ENSURE(strlen(r->socket) < sizeof((struct sockaddr_un *)NULL)->sun_path, ARIL_E_LIMIT);
    ARILI_TRY(find_program(r->program, error));
    ARILI_TRY(launch(r, error));
    ARILI_TRY(wait_ready(r, error));
    *ret = ARILI_TAKE(r);
    return ARIL_OK;
}

/* --- starting again -------------------------------------------------------------------------- */

static void start_later(struct redis *r)
{
    const struct timeval tv = { .tv_sec = r->delay_ms / 1000,
                                .tv_usec = (suseconds_t)(r->delay_ms % 1000) * 1000 };
    (void)event_add(&r->again, &tv);
    r->delay_ms = r->delay_ms * 2 < REDIS_DELAY_MAX ? r->delay_ms * 2 : REDIS_DELAY_MAX;
}

static void on_again(evutil_socket_t fd, short what, void *user)
{
    struct redis *r = user;
    aril_error error = { .status = ARIL_OK };
    (void)fd;
    (void)what;
    if (!r->stopping && launch(r, &error) != ARIL_OK) {
        log_line(LOG_ERROR, "%s", error.message);
        start_later(r);
    }
}

aril_status redis_watch(struct redis *r, struct event_base *base)
{
    ARILI_ENSURE(event_assign(&r->again, base, -1, 0, on_again, r) == 0, ARIL_E_NOMEM);
    redis_child_ended(r); /* it may have died before anybody looked */
    return ARIL_OK;
}

void redis_child_ended(struct redis *r)
{
    int how = 0;
    if (!has_ended(r, &how) || r->stopping) {
        return;
    }
    if (monotonic_ns() - r->started_ns >= STEADY_NS) {
        r->delay_ms = REDIS_DELAY_MIN;
    }
    log_line(LOG_ERROR, "the private server ended (%s %d) and is started again in %u ms; see %s",
             WIFSIGNALED(how) ? "signal" : "exit code",
             WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how), (unsigned)r->delay_ms, r->log);
    start_later(r);
}

void redis_stop(struct redis *r)
{
    if (r == NULL) {
        return;
    }
    int how = 0;
    r->stopping = true;
    if (event_initialized(&r->again)) {
        (void)event_del(&r->again);
    }
    if (r->pid > 0 && kill(r->pid, SIGTERM) == 0) {
        const uint64_t deadline_ns = monotonic_ns() + REDIS_STOP_MS * NS_PER_MS;
        while (!has_ended(r, &how) && monotonic_ns() < deadline_ns) {
            sleep_ms(LOOK_EVERY_MS);
        }
        if (r->pid > 0) {
            log_line(LOG_WARN, "the private server did not end within %u s and is killed",
                     REDIS_STOP_MS / 1000);
            (void)kill(r->pid, SIGKILL);
            (void)waitpid(r->pid, &how, 0);
        }
    }
    free(r);
}
