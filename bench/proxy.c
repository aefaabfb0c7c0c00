/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"
#include "harness.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_MS 30000 /* a limit for what hangs; nothing is measured by it */

/* --- Connections ---------------------------------------------------------------------------- */

int bench_dial(unsigned port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(fd >= 0);
    const int on = 1;
    BENCH_CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    BENCH_CHECK(connect(fd, (const struct sockaddr *)&at, sizeof at) == 0);
    return fd;
}

void bench_send(int fd, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        const ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        BENCH_CHECK(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

void bench_receive(int fd, void *ret, size_t len)
{
    uint8_t *at = ret;
    while (len > 0) {
        const ssize_t n = recv(fd, at, len, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        BENCH_CHECK(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

/* --- The daemon ----------------------------------------------------------------------------- */

void bench_proxy_beside(const char *name, char *ret, size_t cap)
{
    char self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    BENCH_CHECK(n > 0);
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    BENCH_CHECK(slash != NULL);
    slash[1] = '\0';
    const int len = snprintf(ret, cap, "%s%s", self, name);
    BENCH_CHECK(len > 0 && (size_t)len < cap);
}

static void file_in(const struct bench_proxy *p, const char *name, char ret[static 96])
{
    (void)snprintf(ret, 96, "%s/%s", p->folder, name);
}

static void write_config(const struct bench_proxy *p)
{
    char path[96];
    file_in(p, "arild.conf", path);
    FILE *f = fopen(path, "we");
    BENCH_CHECK(f != NULL);
    BENCH_CHECK(fprintf(f,
                        "keyring = %s\n"
                        "keystore = file:%s\n"
                        "threads = 1\n"
                        "[limits]\n"
                        "clients_max = 10100\n"
                        "[upstream]\n"
                        "server = %s\n"
                        "[listen]\n"
                        "address = 127.0.0.1:%u\n"
                        "tenant = %.*s\n"
                        "[tenant %.*s]\n"
                        "[policy " BENCH_PROXY_PLAIN "*]\n"
                        "values = pass\n",
                        p->keys.path, p->keys.key_path, p->redis.tcp_uri, p->port,
                        (int)bench_cache_tenant.len, (const char *)bench_cache_tenant.data,
                        (int)bench_cache_tenant.len, (const char *)bench_cache_tenant.data) > 0);
    BENCH_CHECK(fclose(f) == 0);
}

static void open_notify(struct bench_proxy *p)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char path[96];
    file_in(p, "notify", path);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    p->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(p->notify >= 0 && bind(p->notify, (struct sockaddr *)&at, sizeof at) == 0);
}

static size_t proxy_processor(const struct bench_proxy_options *o)
{
    const size_t count = bench_processors();
    return o->one_processor ? 0 : count > 2 ? 2 : count - 1;
}

static size_t redis_processor(const struct bench_proxy_options *o)
{
    return o->one_processor || bench_processors() <= 2 ? 0 : 1;
}

static void become_proxy(const struct bench_proxy *p, const char *program,
                         const struct bench_proxy_options *o)
{
    char conf[96], notify[96], log[96];
    file_in(p, "arild.conf", conf);
    file_in(p, "notify", notify);
    file_in(p, "log", log);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)bench_pin(proxy_processor(o));
    const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 ||
        setenv("NOTIFY_SOCKET", notify, 1) != 0 ||
        (o->preload != NULL && (setenv("LD_PRELOAD", o->preload, 1) != 0 ||
                                setenv("ARIL_BENCH_COPIES", o->counts, 1) != 0))) {
        _exit(126);
    }
    execl(program, program, "--config", conf, (char *)NULL);
    _exit(127);
}

/* Until it says that it is ready; false when it ends first, or is silent for too long. */
static bool is_ready(struct bench_proxy *p)
{
    for (int waited_ms = 0; waited_ms < READY_MS; waited_ms += 100) {
        struct pollfd fd = { p->notify, POLLIN, 0 };
        char text[512];
        if (poll(&fd, 1, 100) > 0) {
            const ssize_t n = recv(p->notify, text, sizeof text - 1, MSG_DONTWAIT);
            text[n > 0 ? n : 0] = '\0';
            if (strstr(text, "READY=1") != NULL) {
                return true;
            }
        }
        int status;
        if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
            p->pid = 0;
            return false;
        }
    }
    return false;
}

static void show_log(const struct bench_proxy *p)
{
    char path[96], line[512];
    file_in(p, "log", path);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        (void)fputs(line, stderr);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

bool bench_proxy_start(struct bench_proxy *p, const struct bench_proxy_options *options,
                       const char *what)
{
    static const aril_cache_policy policy = { .tiers = ARIL_CACHE_L1 };
    char program[PATH_MAX];
    *p = (struct bench_proxy){ .notify = -1 };
    bench_proxy_beside("arild", program, sizeof program);
    if (access(program, X_OK) != 0) {
        (void)fprintf(stderr, "bench: %s is unavailable: there is no %s\n", what, program);
        return false;
    }
    if (!bench_redis_start(&p->redis, redis_processor(options), what)) {
        return false;
    }
    bench_cache_new(&p->keys, NULL, &policy);
    const char *base = getenv("TMPDIR");
    (void)snprintf(p->folder, sizeof p->folder, "%.40s/aril-proxy-XXXXXX",
                   base != NULL ? base : "/tmp");
    BENCH_CHECK(mkdtemp(p->folder) != NULL);
    p->port = bench_free_port();
    write_config(p);
    open_notify(p);
    (void)fflush(stdout); /* what is in it would be the child's too */
    p->pid = fork();
    BENCH_CHECK(p->pid >= 0);
    if (p->pid == 0) {
        become_proxy(p, program, options);
    }
    if (is_ready(p)) {
        return true;
    }
    (void)fprintf(stderr, "bench: %s is unavailable: arild does not start\n", what);
    show_log(p);
    bench_proxy_stop(p);
    return false;
}

uint64_t bench_proxy_cpu_ns(const struct bench_proxy *p)
{
    clockid_t id;
    struct timespec used;
    BENCH_CHECK(clock_getcpuclockid(p->pid, &id) == 0 && clock_gettime(id, &used) == 0);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

void bench_proxy_stop(struct bench_proxy *p)
{
    static const char *const files[] = { "arild.conf", "notify", "log" };
    if (p->pid > 0) {
        (void)kill(p->pid, SIGTERM);
        (void)waitpid(p->pid, NULL, 0);
    }
    (void)close(p->notify);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[96];
        file_in(p, files[i], path);
        (void)unlink(path);
    }
    (void)rmdir(p->folder);
    bench_redis_stop(&p->redis);
    bench_cache_free(&p->keys);
}
