/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include "check.h"
#include "redis_certs.h"
#include "redis_internal.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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

#define POLL_NS    2000000L /* 2 ms */
#define STARTS_MAX 10u      /* another process may take a port that was free */
#define PATH_BYTES 512u

void redis_pause(void)
{
    const struct timespec t = { .tv_nsec = POLL_NS };
    (void)nanosleep(&t, NULL);
}

bool redis_installed(void)
{
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        const size_t len = strcspn(path, ":");
        char file[PATH_BYTES];
        const int n = snprintf(file, sizeof file, "%.*s/redis-server", (int)len, path);
        if (n > 0 && (size_t)n < sizeof file && access(file, X_OK) == 0) {
            return true;
        }
        path += len + (path[len] == ':');
    }
    return false;
}

const char *redis_file(const struct redis *r, const char *name)
{
    static char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", r->folder, name);
    return path;
}

/* --- Connections */

static int dial(const struct redis *r)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(r->socket) >= sizeof at.sun_path) {
        return -1;
    }
    memcpy(at.sun_path, r->socket, strlen(r->socket));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int redis_dial(const struct redis *r)
{
    const int fd = dial(r);
    assert_true(fd >= 0);
    return fd;
}

static bool send_line(int fd, const char *line)
{
    char text[REDIS_LINE_BYTES];
    const int len = snprintf(text, sizeof text, "%s\r\n", line);
    return len > 0 && (size_t)len < sizeof text &&
           send(fd, text, (size_t)len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Up to CRLF, which is left out. */
static bool read_line(int fd, char *ret, size_t cap, size_t *ret_len)
{
    size_t len = 0;
    char c = '\0';
    while (len + 1 < cap && read(fd, &c, 1) == 1) {
        if (c == '\n' && len > 0 && ret[len - 1] == '\r') {
            ret[len - 1] = '\0';
            *ret_len = len - 1;
            return true;
        }
        ret[len++] = c;
    }
    return false;
}

static bool read_reply(int fd, char *ret, size_t cap, size_t *ret_len)
{
    if (!read_line(fd, ret, cap, ret_len)) {
        return false;
    }
    if (strcmp(ret, "$-1") == 0 || strcmp(ret, "*-1") == 0 || strcmp(ret, "_") == 0) {
        *ret_len = (size_t)snprintf(ret, cap, "_");
        return true;
    }
    if (ret[0] != '$') {
        return true;
    }
    const unsigned long long len = strtoull(ret + 1, NULL, 10);
    if (len + 2 >= cap) {
        return false;
    }
    for (size_t at = 0; at < len + 2;) {
        const ssize_t n = read(fd, ret + at, (size_t)len + 2 - at);
        if (n <= 0) {
            return false;
        }
        at += (size_t)n;
    }
    ret[len] = '\0';
    *ret_len = (size_t)len;
    return true;
}

bool redis_try(const struct redis *r, const char *line, char *ret, size_t cap, size_t *ret_len)
{
    const int fd = dial(r);
    if (fd < 0) {
        return false;
    }
    char text[REDIS_LINE_BYTES];
    size_t len = 0;
    bool done = r->auth[0] == '\0' || (send_line(fd, r->auth) &&
                                       read_reply(fd, text, sizeof text, &len) && text[0] == '+');
    done = done && send_line(fd, line) && read_reply(fd, ret, cap, ret_len);
    (void)close(fd);
    return done;
}

size_t redis_ask(const struct redis *r, const char *line, char *ret, size_t cap)
{
    size_t len = 0;
    if (!redis_try(r, line, ret, cap, &len)) {
        fail_msg("%s: no answer to %s", r->socket, line);
    }
    return len;
}

void redis_expect(const struct redis *r, const char *line, const char *answer)
{
    char text[REDIS_LINE_BYTES];
    (void)redis_ask(r, line, text, sizeof text);
    assert_string_equal(text, answer);
}

long long redis_number(const struct redis *r, const char *line)
{
    char text[REDIS_LINE_BYTES];
    (void)redis_ask(r, line, text, sizeof text);
    assert_int_equal(text[0], ':');
    return strtoll(text + 1, NULL, 10);
}

/* --- The process */

static void child_exec(const struct redis *r, pid_t parent)
{
    char conf[PATH_BYTES];
    (void)snprintf(conf, sizeof conf, "%s/redis.conf", r->folder);
    /* The test may be killed; nothing of it may stay. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(126);
    }
    const int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) {
        _exit(126);
    }
    (void)execlp("redis-server", "redis-server", conf, (char *)NULL);
    _exit(127);
}

static void end(struct redis *r, int sig)
{
    if (r->pid > 0) {
        (void)kill(r->pid, sig);
        (void)kill(r->pid, SIGCONT); /* where it is frozen */
        while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    r->pid = 0;
}

static bool answers(const struct redis *r)
{
    char text[REDIS_LINE_BYTES];
    size_t len = 0;
    return redis_try(r, "PING", text, sizeof text, &len) && strcmp(text, "+PONG") == 0;
}

static bool launch(struct redis *r)
{
    (void)unlink(r->socket); /* one that is left over looks like one that listens */
    const pid_t parent = getpid();
    r->pid = fork();
    if (r->pid == 0) {
        child_exec(r, parent);
    }
    for (unsigned i = 0; r->pid > 0 && i < REDIS_POLLS_MAX; i++) {
        if (answers(r)) {
            return true;
        }
        if (waitpid(r->pid, NULL, WNOHANG) != 0) {
            r->pid = 0;
            return false;
        }
        redis_pause();
    }
    end(r, SIGKILL);
    return false;
}

void redis_restart(struct redis *r)
{
    assert_int_equal(r->pid, 0);
    assert_true(launch(r));
}

void redis_stop(struct redis *r)
{
    end(r, SIGTERM);
}

void redis_kill(struct redis *r)
{
    end(r, SIGKILL);
}

void redis_freeze(struct redis *r)
{
    assert_int_equal(kill(r->pid, SIGSTOP), 0);
    int status = 0;
    assert_int_equal(waitpid(r->pid, &status, WUNTRACED), r->pid);
    assert_true(WIFSTOPPED(status));
}

void redis_thaw(struct redis *r)
{
    assert_int_equal(kill(r->pid, SIGCONT), 0);
}

/* --- Files */

/* The folder has no folders but the one of append-only files, which has none. */
static void remove_files(const char *path, bool is_top)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return;
    }
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char below[PATH_BYTES];
        const int len = snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || len <= 0 ||
            (size_t)len >= sizeof below) {
            continue;
        }
        if (unlink(below) != 0 && is_top) {
            remove_files(below, false);
        }
    }
    (void)closedir(dir);
    (void)rmdir(path);
}

void redis_remove(struct redis *r)
{
    end(r, SIGKILL);
    if (r->folder[0] != '\0') {
        remove_files(r->folder, true);
        r->folder[0] = '\0';
    }
}

/* A port of 127.0.0.1 that nobody has now; 0 when there is none. */
static unsigned free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
                       getsockname(fd, (struct sockaddr *)&at, &len) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return bound ? ntohs(at.sin_port) : 0;
}

static bool write_users(const struct redis *r, const struct redis_options *options)
{
    FILE *file = fopen(redis_file(r, "users.acl"), "w");
    if (file == NULL) {
        return false;
    }
    const int put =
        fprintf(file, "%suser aril-test-support on >support ~* &* +@all\n", options->acl);
    return fclose(file) == 0 && put > 0;
}

static void write_tls(FILE *conf, const struct redis *r, const struct redis_options *options)
{
    (void)fprintf(conf,
                  "tls-port %u\ntls-cert-file %s/server.pem\ntls-key-file %s/server.key\n"
                  "tls-ca-cert-file %s/ca.pem\ntls-auth-clients %s\n",
                  r->tls_port, r->folder, r->folder, r->folder,
                  options->tls_clients ? "yes" : "no");
}

static bool write_conf(struct redis *r, const struct redis_options *options, unsigned bus_port)
{
    FILE *conf = fopen(redis_file(r, "redis.conf"), "w");
    if (conf == NULL) {
        return false;
    }
    (void)fprintf(conf,
                  "bind 127.0.0.1\nport %u\nunixsocket %s\nunixsocketperm 700\ndir %s\n"
                  "daemonize no\nsave \"\"\nappendonly no\nlogfile %s/log\ndatabases 4\n",
                  r->port, r->socket, r->folder, r->folder);
    if (options->tls) {
        write_tls(conf, r, options);
    }
    if (options->password != NULL) {
        (void)fprintf(conf, "requirepass \"%s\"\n", options->password);
        (void)snprintf(r->auth, sizeof r->auth, "AUTH \"%s\"", options->password);
    }
    bool done = true;
    if (options->acl != NULL) {
        (void)fprintf(conf, "aclfile %s/users.acl\n", r->folder);
        (void)snprintf(r->auth, sizeof r->auth, "AUTH aril-test-support support");
        done = write_users(r, options);
    }
    if (bus_port != 0) {
        (void)fprintf(conf,
                      "cluster-enabled yes\ncluster-port %u\ncluster-node-timeout 2000\n"
                      "cluster-config-file nodes.conf\n",
                      bus_port);
    }
    if (options->conf != NULL) {
        (void)fprintf(conf, "%s", options->conf);
    }
    return ferror(conf) == 0 && fclose(conf) == 0 && done;
}

static bool make_folder(struct redis *r, const struct redis_options *options)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(r->folder, sizeof r->folder, "%s/aril-redis-XXXXXX",
                   base != NULL && base[0] != '\0' ? base : "/tmp");
    if (mkdtemp(r->folder) == NULL) {
        r->folder[0] = '\0';
        return false;
    }
    (void)snprintf(r->socket, sizeof r->socket, "%s/s.sock", r->folder);
    return !options->tls || redis_certs_make(r->folder);
}

bool redis_start_node(struct redis *r, const struct redis_options *options, unsigned *ret_bus_port)
{
    memset(r, 0, sizeof *r);
    bool running = false;
    bool able = make_folder(r, options);
    for (unsigned i = 0; able && !running && i < STARTS_MAX; i++) {
        unsigned bus_port = 0;
        r->port = options->tcp ? free_port() : 0;
        r->tls_port = options->tls ? free_port() : 0;
        if (ret_bus_port != NULL) {
            bus_port = free_port();
            *ret_bus_port = bus_port;
        }
        able = write_conf(r, options, bus_port);
        running = able && launch(r);
    }
    if (!running) {
        redis_remove(r);
    }
    return running;
}

bool redis_start(struct redis *r, const struct redis_options *options)
{
    return redis_start_node(r, options, NULL);
}
