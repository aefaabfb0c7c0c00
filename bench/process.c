/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* processor sets */
#include "harness.h"
#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The processors that this program was started with; read once, before the first pin. */
static const cpu_set_t *allowed(void)
{
    static cpu_set_t set;
    static bool known;
    if (!known) {
        CPU_ZERO(&set);
        known = sched_getaffinity(0, sizeof set, &set) == 0;
    }
    return known ? &set : NULL;
}

size_t bench_processors(void)
{
    const cpu_set_t *set = allowed();
    return set != NULL ? (size_t)CPU_COUNT(set) : 1;
}

bool bench_pin(size_t nth)
{
    const cpu_set_t *set = allowed();
    for (size_t cpu = 0; set != NULL && cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, set) || nth-- != 0) {
            continue;
        }
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        return sched_setaffinity(0, sizeof one, &one) == 0;
    }
    return false;
}

/* All that comes from fd, cut to cap with its final NUL; the rest is read and dropped. */
static void read_all(int fd, char *ret, size_t cap)
{
    size_t len = 0;
    for (;;) {
        char buf[512];
        const ssize_t got = read(fd, buf, sizeof buf);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        const size_t room = cap - 1 - len;
        const size_t take = (size_t)got < room ? (size_t)got : room;
        memcpy(ret + len, buf, take);
        len += take;
    }
    ret[len] = '\0';
}

static bool spawn(char *const argv[], int out, int unused, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    BENCH_CHECK(posix_spawn_file_actions_init(&actions) == 0);
    BENCH_CHECK(posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO) == 0);
    BENCH_CHECK(posix_spawn_file_actions_addclose(&actions, out) == 0);
    BENCH_CHECK(posix_spawn_file_actions_addclose(&actions, unused) == 0);
    const int error = posix_spawnp(ret, argv[0], &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        (void)fprintf(stderr, "bench: cannot run %s: %s\n", argv[0], strerror(error));
    }
    return error == 0;
}

bool bench_child(char *const argv[], char *ret, size_t cap)
{
    int ends[2];
    BENCH_CHECK(pipe(ends) == 0);
    pid_t pid = 0;
    const bool started = spawn(argv, ends[1], ends[0], &pid);
    (void)close(ends[1]);
    if (!started) {
        (void)close(ends[0]);
        return false;
    }
    read_all(ends[0], ret, cap);
    (void)close(ends[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        BENCH_CHECK(errno == EINTR);
    }
    if (status != 0) {
        (void)fprintf(stderr, "bench: %s failed\n", argv[0]);
    }
    return status == 0;
}
