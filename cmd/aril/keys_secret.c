/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"
#include "out.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Asking for a passphrase or PIN on /dev/tty, whatever standard input is.
 *
 * A signal must not leave the terminal without echo, and the keystore may ask from a thread that
 * gets no signals. So the handlers write to a pipe, the reader waits for terminal and pipe, puts
 * terminal and handlers back, and then lets the signal do what it would have done. */

#define TRIES 3

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };
#define SIGNALS (sizeof signals / sizeof signals[0])

/* Where the handlers write. Keystores ask one at a time. */
static volatile sig_atomic_t signal_pipe = -1;

struct terminal {
    int fd;
    int pipe[2];
    struct termios before;
    struct sigaction actions[SIGNALS];
};

enum answer { ANSWER_LINE, ANSWER_TOO_LONG, ANSWER_NONE, ANSWER_SIGNAL };

static void note_signal(int signo)
{
    const int error = errno;
    const uint8_t byte = (uint8_t)signo;
    const ssize_t n = write((int)signal_pipe, &byte, 1);
    (void)n;
    errno = error;
}

/* The signal that came, or 0. */
static int noted_signal(const struct terminal *t)
{
    uint8_t byte = 0;
    return read(t->pipe[0], &byte, 1) == 1 ? byte : 0;
}

static bool set_modes(const struct terminal *t, const struct termios *modes)
{
    while (tcsetattr(t->fd, TCSAFLUSH, modes) != 0) {
        struct pollfd noted = { .fd = t->pipe[0], .events = POLLIN };
        if (errno != EINTR || poll(&noted, 1, 0) != 0) {
            return false; /* in the background, the terminal refuses with SIGTTOU */
        }
    }
    return true;
}

/* Handlers first: from the first change on the terminal is put back. */
static bool terminal_begin(struct terminal *t)
{
    struct sigaction action = { .sa_handler = note_signal };
    sigemptyset(&action.sa_mask);
    if (pipe(t->pipe) != 0) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        (void)fcntl(t->pipe[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(t->pipe[i], F_SETFL, O_NONBLOCK);
    }
    signal_pipe = t->pipe[1];
    for (size_t i = 0; i < SIGNALS; i++) {
        (void)sigaction(signals[i], NULL, &t->actions[i]);
        if (t->actions[i].sa_handler != SIG_IGN) {
            (void)sigaction(signals[i], &action, NULL);
        }
    }
    return true;
}

static void terminal_end(struct terminal *t, bool modes_changed)
{
    if (modes_changed) {
        (void)set_modes(t, &t->before);
    }
    for (size_t i = 0; i < SIGNALS; i++) {
        (void)sigaction(signals[i], &t->actions[i], NULL);
    }
    signal_pipe = -1;
    close(t->pipe[0]);
    close(t->pipe[1]);
}

static void say(const struct terminal *t, const char *text)
{
    size_t at = 0;
    const size_t len = strlen(text);
    while (at < len) {
        const ssize_t n = write(t->fd, text + at, len - at);
        if (n <= 0) {
            return;
        }
        at += (size_t)n;
    }
}

/* One line, byte by byte, so that nothing of it stays in a buffer of stdio. */
static enum answer read_line(const struct terminal *t, uint8_t *ret, size_t cap, size_t *ret_len)
{
    struct pollfd waits[2] = { { .fd = t->fd, .events = POLLIN },
                               { .fd = t->pipe[0], .events = POLLIN } };
    size_t len = 0;
    for (;;) {
        if (poll(waits, 2, -1) < 0 && errno != EINTR) {
            return ANSWER_NONE;
        }
        if ((waits[1].revents & POLLIN) != 0) {
            return ANSWER_SIGNAL;
        }
        if (waits[0].revents == 0) {
            continue;
        }
        uint8_t byte = 0;
        const ssize_t n = read(t->fd, &byte, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (n <= 0) {
            return ANSWER_NONE;
        }
        if (byte == '\n' || byte == '\r') {
            *ret_len = len <= cap ? len : 0;
            return len <= cap ? ANSWER_LINE : ANSWER_TOO_LONG;
        }
        if (len < cap) {
            ret[len] = byte;
        }
        len += len <= cap; /* one more than cap: too long */
    }
}

/* Ask once. *ret_signal: what came instead of an answer. */
static enum answer ask_line(int fd, const char *prompt, uint8_t *ret, size_t cap, size_t *ret_len,
                            int *ret_signal)
{
    struct terminal t = { .fd = fd };
    if (tcgetattr(fd, &t.before) != 0 || !terminal_begin(&t)) {
        return ANSWER_NONE;
    }
    struct termios hidden = t.before;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    hidden.c_lflag |= ICANON | ISIG;
    enum answer answer = ANSWER_SIGNAL;
    const bool changed = set_modes(&t, &hidden);
    if (changed) {
        say(&t, prompt);
        answer = read_line(&t, ret, cap, ret_len);
        say(&t, "\n");
    }
    const int signo = noted_signal(&t);
    terminal_end(&t, changed);
    if (answer != ANSWER_LINE) {
        explicit_bzero(ret, cap);
        *ret_len = 0;
    }
    *ret_signal = signo;
    return answer == ANSWER_SIGNAL && signo == 0 ? ANSWER_NONE : answer;
}

/* In this thread, so that it has happened when this returns. */
static void raise_here(int signo)
{
    sigset_t wanted;
    sigset_t before;
    sigemptyset(&wanted);
    sigaddset(&wanted, signo);
    (void)pthread_sigmask(SIG_UNBLOCK, &wanted, &before);
    (void)raise(signo);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Ask until there is an answer: a process that was stopped and goes on asks again. */
static aril_status ask(int fd, const char *prompt, uint8_t *ret, size_t cap, size_t *ret_len)
{
    for (int tries = 0; tries < TRIES;) {
        int signo = 0;
        const enum answer answer = ask_line(fd, prompt, ret, cap, ret_len, &signo);
        if (answer == ANSWER_LINE) {
            return ARIL_OK;
        }
        if (answer == ANSWER_NONE) {
            return ARIL_E_KEYSTORE_SECRET;
        }
        if (answer == ANSWER_TOO_LONG) {
            tries++;
            dprintf(fd, "That is longer than %zu bytes.\n", cap);
            continue;
        }
        raise_here(signo);
        if (signo != SIGTSTP && signo != SIGTTIN && signo != SIGTTOU) {
            return ARIL_E_INTERRUPTED; /* somebody catches it, or the process has ended */
        }
    }
    return ARIL_E_KEYSTORE_SECRET;
}

/* A new passphrase is asked for twice: a slip of the finger would lock everything away. */
static aril_status ask_new(int fd, const char *prompt, uint8_t *ret, size_t cap, size_t *ret_len)
{
    uint8_t again[ARIL_SECRET_BYTES_MAX];
    aril_status st = ARIL_E_KEYSTORE_SECRET;
    for (int i = 0; i < TRIES; i++) {
        size_t len = 0;
        size_t again_len = 0;
        st = ask(fd, prompt, ret, cap, &len);
        if (st == ARIL_OK && len == 0) {
            dprintf(fd, "It is empty.\n");
            st = ARIL_E_KEYSTORE_SECRET;
            continue;
        }
        if (st == ARIL_OK) {
            st = ask(fd, "Again: ", again, sizeof again, &again_len);
        }
        if (st != ARIL_OK) {
            break;
        }
        /* Both are the same user's typing; time tells nobody anything. */
        const bool same = len == again_len && memcmp(ret, again, len) == 0;
        explicit_bzero(again, sizeof again);
        if (same) {
            *ret_len = len;
            return ARIL_OK;
        }
        dprintf(fd, "They differ.\n");
        st = ARIL_E_KEYSTORE_SECRET;
    }
    explicit_bzero(again, sizeof again);
    explicit_bzero(ret, cap);
    return st;
}

aril_status keys_ask(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                     size_t cap, size_t *ret_len)
{
    (void)user;
    char prompt[512];
    char safe[400];
    const char *what = kind == ARIL_SECRET_PIN              ? "PIN"
                       : kind == ARIL_SECRET_NEW_PASSPHRASE ? "New passphrase"
                                                            : "Passphrase";
    keys_safe(keys_bytes(subject), safe, sizeof safe);
    snprintf(prompt, sizeof prompt, "%s for %s: ", what, safe);
    const int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return ARIL_E_KEYSTORE_SECRET;
    }
    out_progress_end();
    const size_t max = cap < ARIL_SECRET_BYTES_MAX ? cap : ARIL_SECRET_BYTES_MAX;
    const aril_status st = kind == ARIL_SECRET_NEW_PASSPHRASE
                               ? ask_new(fd, prompt, ret, max, ret_len)
                               : ask(fd, prompt, ret, max, ret_len);
    close(fd);
    return st;
}
