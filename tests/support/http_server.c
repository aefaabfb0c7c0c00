/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* pipe2 */
#include "http_server.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(int input, int output, const char *cert, const char *key, const char *client_ca,
                pid_t parent)
{
    static char script[] = ARIL_SOURCE_DIR "/tests/scripts/cache_http_server.py";
    const char *python = getenv("ARIL_PYTHON");
    /* The test may be killed; nothing of it may stay. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || dup2(input, 0) < 0 ||
        dup2(output, 1) < 0) {
        _exit(126);
    }
    (void)execlp(python != NULL ? python : "python3", "python3", script, cert, key, client_ca,
                 (char *)NULL);
    _exit(127);
}

/* The line with the port. */
static unsigned read_port(int fd)
{
    char text[16] = "";
    size_t len = 0;
    while (len < sizeof text - 1 && memchr(text, '\n', len) == NULL) {
        const ssize_t got = read(fd, text + len, sizeof text - 1 - len);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            return 0;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    return (unsigned)strtoul(text, NULL, 10);
}

bool http_server_start(struct http_server *s, const char *cert, const char *key,
                       const char *client_ca)
{
    int input[2], output[2];
    memset(s, 0, sizeof *s);
    if (pipe2(input, O_CLOEXEC) != 0) {
        return false;
    }
    if (pipe2(output, O_CLOEXEC) != 0) {
        (void)close(input[0]);
        (void)close(input[1]);
        return false;
    }
    const pid_t parent = getpid();
    s->pid = fork();
    if (s->pid == 0) {
        run(input[0], output[1], cert, key, client_ca, parent);
    }
    (void)close(input[0]);
    (void)close(output[1]);
    s->input = input[1];
    s->port = s->pid > 0 ? read_port(output[0]) : 0;
    (void)close(output[0]);
    (void)snprintf(s->rest, sizeof s->rest, "//127.0.0.1:%u", s->port);
    if (s->port == 0) {
        http_server_stop(s);
        return false;
    }
    return true;
}

void http_server_stop(struct http_server *s)
{
    if (s->pid > 0) {
        (void)close(s->input);
        (void)kill(s->pid, SIGKILL);
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    s->pid = 0;
}
