/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

int child_run(int (*body)(void *arg), void *arg)
{
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(body(arg));
    }
    int status = 0;
    pid_t waited;
    do {
        waited = pid > 0 ? waitpid(pid, &status, 0) : -1;
    } while (waited < 0 && errno == EINTR);
    if (waited != pid || pid < 0) {
        return -1;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
