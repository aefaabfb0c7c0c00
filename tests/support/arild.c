/* SPDX-License-Identifier: Apache-2.0 */
#include "arild.h"
#include "check.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 512u
#define STARTS_MAX 10u   /* another process may take a port that was free */
#define READY_MS   60000 /* a limit for what hangs; nothing is decided by it */
#define LOG_SHOWN  2000u

bool arild_is_plain(void)
{
    const char *const text = getenv("ARILD_PLAIN");
    return text != NULL && strcmp(text, "1") == 0;
}

static const char *build_dir(void)
{
    const char *const text = getenv("ARIL_BUILD_DIR");
    return text != NULL ? text : "";
}

const char *arild_missing(void)
{
    char path[PATH_BYTES];
    if (!redis_installed()) {
        return REDIS_MISSING;
    }
    if (arild_is_plain()) {
        return NULL;
    }
    if (build_dir()[0] == '\0') {
        return "ARIL_BUILD_DIR does not say where arild is";
    }
    (void)snprintf(path, sizeof path, "%s/arild", build_dir());
    return access(path, X_OK) == 0 ? NULL : "this build has no arild";
}

const char *arild_file(const struct arild *a, const char *name)
{
    static char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", a->folder, name);
    return path;
}

void arild_token(const struct arild *a, const char *tenant, char ret[static 64])
{
    char name[64];
    (void)snprintf(name, sizeof name, "token.%s", tenant);
    FILE *file = fopen(arild_file(a, name), "r");
    assert_non_null(file);
    assert_non_null(fgets(ret, 64, file));
    assert_int_equal(fclose(file), 0);
    ret[strcspn(ret, "\n")] = '\0';
}

/* --- Connections */

static int dial(const struct sockaddr *at, socklen_t len)
{
    const int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, at, len) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    assert_true(strlen(path) < sizeof at.sun_path);
    memcpy(at.sun_path, path, strlen(path));
    return at;
}

int arild_dial(const struct arild *a)
{
    const struct sockaddr_un at = unix_address(a->socket);
    return dial((const struct sockaddr *)&at, sizeof at);
}

int arild_dial_tcp(const struct arild *a)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)a->port) };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return dial((const struct sockaddr *)&at, sizeof at);
}

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

/* --- The configuration */

static int exit_code(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void set(const char *name, const char *value)
{
    (void)setenv(name, value != NULL ? value : "", 1);
}

static bool prepare(const struct arild *a, const struct redis *behind,
                    const struct arild_options *options)
{
    char upstream[PATH_BYTES];
    char port[16];
    char program[PATH_BYTES];
    (void)snprintf(upstream, sizeof upstream, "redis+unix:%s", behind->socket);
    (void)snprintf(port, sizeof port, "%u", a->port);
    (void)snprintf(program, sizeof program, "%s/aril", build_dir());
    const pid_t pid = fork();
    if (pid == 0) {
        set("PROXY_ARIL", program);
        set("PROXY_PORT", port);
        set("PROXY_UPSTREAM", options->upstream != NULL ? options->upstream : upstream);
        set("PROXY_TENANTS", ARILD_TENANT " " ARILD_OTHER);
        set("PROXY_CONF", options->conf);
        set("PROXY_TOP", options->top);
        set("PROXY_PLAIN_CONF", options->plain_conf);
        (void)execlp("bash", "bash", ARIL_SOURCE_DIR "/tests/support/proxy_prepare.sh", a->folder,
                     (char *)NULL);
        _exit(127);
    }
    return pid > 0 && exit_code(pid) == 0;
}

/* --- The process */

static void child_exec(const struct arild *a, pid_t parent)
{
    char program[PATH_BYTES];
    char conf[PATH_BYTES];
    char notify[PATH_BYTES];
    const bool plain = arild_is_plain();
    (void)snprintf(program, sizeof program, "%s/arild", build_dir());
    (void)snprintf(conf, sizeof conf, "%s/%s", a->folder, plain ? "plain.conf" : "arild.conf");
    (void)snprintf(notify, sizeof notify, "%s/notify", a->folder);
    /* The test may be killed; nothing of it may stay. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(126);
    }
    const int null = open("/dev/null", O_RDONLY);
    const int log = open(arild_file(a, "log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) {
        _exit(126);
    }
    set("NOTIFY_SOCKET", notify);
    if (plain) {
        (void)execlp("redis-server", "redis-server", conf, (char *)NULL);
    } else {
        (void)execl(program, program, "--config", conf, (char *)NULL);
    }
    _exit(127);
}

/* Until a message has this line; false when the process ends, or is silent for too long. */
static bool says(const struct arild *a, const char *line)
{
    const int process = (int)syscall(SYS_pidfd_open, a->pid, 0);
    struct pollfd fds[2] = { { a->notify, POLLIN, 0 }, { process, POLLIN, 0 } };
    bool said = false;
    while (process >= 0 && !said && poll(fds, 2, READY_MS) > 0 && (fds[0].revents & POLLIN) != 0) {
        char text[1024];
        const ssize_t n = recv(a->notify, text, sizeof text - 1, MSG_DONTWAIT);
        text[n > 0 ? n : 0] = '\0';
        char *rest = text;
        for (char *one = strsep(&rest, "\n"); one != NULL; one = strsep(&rest, "\n")) {
            said = said || strcmp(one, line) == 0;
        }
    }
    if (process >= 0) {
        (void)close(process);
    }
    return said;
}

static void drain_notify(const struct arild *a)
{
    char text[1024];
    while (recv(a->notify, text, sizeof text, MSG_DONTWAIT) > 0) {
    }
}

static bool launch(struct arild *a)
{
    const pid_t parent = getpid();
    drain_notify(a);
    a->pid = fork();
    if (a->pid == 0) {
        child_exec(a, parent);
    }
    if (a->pid > 0 && says(a, "READY=1")) {
        return true;
    }
    arild_kill(a);
    return false;
}

void arild_restart(struct arild *a)
{
    assert_int_equal(a->pid, 0);
    assert_true(launch(a));
}

static int end(struct arild *a, int sig)
{
    int code = -1;
    if (a->pid > 0) {
        (void)kill(a->pid, sig);
        code = exit_code(a->pid);
    }
    a->pid = 0;
    return code;
}

int arild_stop(struct arild *a)
{
    assert_true(a->pid > 0);
    return end(a, SIGTERM);
}

void arild_kill(struct arild *a)
{
    (void)end(a, SIGKILL);
}

void arild_reload(struct arild *a, const struct redis *behind, const struct arild_options *options)
{
    assert_false(arild_is_plain());
    assert_true(prepare(a, behind, options));
    drain_notify(a);
    assert_int_equal(kill(a->pid, SIGHUP), 0);
    assert_true(says(a, "RELOADING=1"));
    assert_true(says(a, "READY=1"));
}

/* --- Files */

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

void arild_remove(struct arild *a)
{
    if (a->folder[0] != '\0') {
        (void)end(a, SIGKILL);
        if (a->notify >= 0) {
            (void)close(a->notify);
        }
        remove_files(a->folder, true);
    }
    memset(a, 0, sizeof *a);
}

static void show_log(const struct arild *a)
{
    char text[LOG_SHOWN + 1];
    FILE *file = fopen(arild_file(a, "log"), "r");
    if (file != NULL) {
        const size_t len = fread(text, 1, LOG_SHOWN, file);
        text[len] = '\0';
        print_message("%s\n", text);
        (void)fclose(file);
    }
}

static bool make_folder(struct arild *a)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(a->folder, sizeof a->folder, "%s/aril-arild-XXXXXX",
                   base != NULL && base[0] != '\0' ? base : "/tmp");
    if (mkdtemp(a->folder) == NULL) {
        a->folder[0] = '\0';
        return false;
    }
    (void)snprintf(a->socket, sizeof a->socket, "%s/arild.sock", a->folder);
    a->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_un at = unix_address(arild_file(a, "notify"));
    return a->notify >= 0 && bind(a->notify, (const struct sockaddr *)&at, sizeof at) == 0;
}

bool arild_start(struct arild *a, const struct redis *behind, const struct arild_options *options)
{
    const struct arild_options none = { 0 };
    memset(a, 0, sizeof *a);
    bool running = false;
    bool able = make_folder(a);
    for (unsigned i = 0; able && !running && i < STARTS_MAX; i++) {
        a->port = free_port();
        able = prepare(a, behind, options != NULL ? options : &none);
        running = able && launch(a);
    }
    if (!running) {
        show_log(a);
        arild_remove(a);
    }
    return running;
}
