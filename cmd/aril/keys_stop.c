/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"
#include <pthread.h>
#include <sys/select.h>
#include <time.h>

volatile sig_atomic_t keys_stopped;

static void note_stop(int signo)
{
    (void)signo;
    keys_stopped = 1;
}

void keys_catch_stop(void)
{
    struct sigaction action = { .sa_handler = note_stop, .sa_flags = (int)SA_RESETHAND };
    static const int signals[] = { SIGINT, SIGTERM };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction before;
        /* Ignored: the shell runs it in the background, and Ctrl-C is for others. */
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            (void)sigaction(signals[i], &action, NULL);
        }
    }
}

/* The signals are blocked while the flag is looked at, so that one that arrives just then ends
 * the wait. */
void keys_wait(uint64_t ms)
{
    sigset_t stops;
    sigset_t before;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &stops, &before);
    if (keys_stopped == 0) {
        const struct timespec time = { .tv_sec = (time_t)(ms / 1000),
                                       .tv_nsec = (long)(ms % 1000) * 1000000 };
        (void)pselect(0, NULL, NULL, NULL, &time, &before);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}
