/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un address;
static socklen_t address_len; /* 0: nobody to tell */
static uint64_t watchdog_us;

bool notify_address(const char *text, struct sockaddr_un *ret, socklen_t *ret_len)
{
    const size_t len = strlen(text);
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (len < 2 || len >= sizeof a.sun_path || (text[0] != '/' && text[0] != '@')) {
        return false;
    }
    memcpy(a.sun_path, text, len);
    socklen_t a_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (text[0] == '@') {
        a.sun_path[0] = '\0'; /* the length says where the name ends */
    } else {
        a_len++;
    }
    *ret = a;
    *ret_len = a_len;
    return true;
}

static uint64_t number(const char *text)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long v = text == NULL ? 0 : strtoull(text, &end, 10);
    return text == NULL || errno != 0 || end == text || *end != '\0' ? 0 : v;
}

void notify_init(void)
{
    const char *text = getenv("NOTIFY_SOCKET");
    const char *pid = getenv("WATCHDOG_PID");
    if (text == NULL || !notify_address(text, &address, &address_len)) {
        address_len = 0;
    }
    watchdog_us = number(getenv("WATCHDOG_USEC"));
    if (pid != NULL && number(pid) != (uint64_t)getpid()) {
        watchdog_us = 0; /* meant for another process */
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

bool notify_send(const char *state)
{
    if (address_len == 0) {
        return false;
    }
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    const size_t len = strlen(state);
    const ssize_t sent = sendto(fd, state, len, MSG_NOSIGNAL,
                                (const struct sockaddr *)(const void *)&address, address_len);
    close(fd);
    return sent >= 0 && (size_t)sent == len;
}

bool notify_reloading(void)
{
    struct timespec now = { 0 };
    char text[96];
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading",
             (unsigned long long)now.tv_sec * 1000000u + (unsigned long long)now.tv_nsec / 1000u);
    return notify_send(text);
}

uint64_t notify_watchdog_us(void)
{
    return watchdog_us;
}
