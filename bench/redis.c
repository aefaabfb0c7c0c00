/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include "harness.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

unsigned bench_free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
                getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

static void name_things(struct bench_redis *r)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(r->folder, sizeof r->folder, "%.40s/aril-redis-XXXXXX",
                   base != NULL ? base : "/tmp");
    BENCH_CHECK(mkdtemp(r->folder) != NULL);
    r->port = bench_free_port();
    (void)snprintf(r->socket, sizeof r->socket, "%s/s", r->folder);
    (void)snprintf(r->unix_uri, sizeof r->unix_uri, "redis+unix:%s", r->socket);
    (void)snprintf(r->tcp_uri, sizeof r->tcp_uri, "redis://127.0.0.1:%u", r->port);
}

static void become_server(const struct bench_redis *r, size_t processor)
{
    char port[16];
    (void)snprintf(port, sizeof port, "%u", r->port);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)bench_pin(processor % bench_processors());
    BENCH_CHECK(freopen("/dev/null", "w", stdout) != NULL);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket",
           r->socket, "--save", "", "--appendonly", "no", "--dir", r->folder, (char *)NULL);
    _exit(127);
}

bool bench_redis_start(struct bench_redis *r, size_t processor, const char *what)
{
    name_things(r);
    (void)fflush(stdout); /* what is in it would be the child's too */
    r->pid = fork();
    BENCH_CHECK(r->pid >= 0);
    if (r->pid == 0) {
        become_server(r, processor);
    }
    for (int i = 0; i < 1000; i++) {
        const struct timespec pause = { .tv_nsec = 5000000 };
        int status;
        if (access(r->socket, F_OK) == 0) {
            return true;
        }
        if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
            break;
        }
        (void)nanosleep(&pause, NULL);
    }
    (void)rmdir(r->folder);
    (void)fprintf(stderr, "bench: %s is unavailable: redis-server does not start\n", what);
    return false;
}

void bench_redis_stop(const struct bench_redis *r)
{
    (void)kill(r->pid, SIGTERM);
    (void)waitpid(r->pid, NULL, 0);
    (void)unlink(r->socket);
    (void)rmdir(r->folder);
}
