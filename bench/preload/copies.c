/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE    /* syscall() */
#undef _FORTIFY_SOURCE /* it makes the functions that are replaced here inline ones */
#include "copies.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Loaded in front of the C library (LD_PRELOAD) it counts the bytes that a program copies: between
 * itself and the kernel, and within its memory. It is built without optimizations that would turn
 * its own loops into calls of what it replaces. What the compiler made of a memcpy() of constant
 * length is not seen, nor what the C library copies inside; both are short.
 */
#define SHOWN __attribute__((visibility("default")))

static struct bench_copies nowhere;
static struct bench_copies *counts = &nowhere;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("ARIL_BENCH_COPIES");
    const int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *at = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) {
        counts = at;
    }
    (void)close(fd);
}

static void add(_Atomic uint64_t *count, uint64_t n)
{
    (void)atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

static ssize_t counted(_Atomic uint64_t *count, ssize_t n)
{
    if (n > 0) {
        add(count, (uint64_t)n);
    }
    return n;
}

/* volatile: no compiler makes a call of memcpy() of these loops. */
static void copy_up(volatile char *to, const volatile char *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

SHOWN void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    add(&counts->memory, n);
    copy_up(to, from, n);
    return to;
}

SHOWN void *memmove(void *to, const void *from, size_t n)
{
    add(&counts->memory, n);
    if ((uintptr_t)to <= (uintptr_t)from) {
        copy_up(to, from, n);
        return to;
    }
    for (size_t i = n; i-- > 0;) {
        ((volatile char *)to)[i] = ((const volatile char *)from)[i];
    }
    return to;
}

/* The checked forms of _FORTIFY_SOURCE; no header declares them. */
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t n, size_t room);
void *__memmove_chk(void *to, const void *from, size_t n, size_t room);

SHOWN void *__memcpy_chk(void *restrict to, const void *restrict from, size_t n, size_t room)
{
    if (n > room) {
        abort();
    }
    return memcpy(to, from, n);
}

SHOWN void *__memmove_chk(void *to, const void *from, size_t n, size_t room)
{
    if (n > room) {
        abort();
    }
    return memmove(to, from, n);
}

SHOWN ssize_t read(int fd, void *ret, size_t n)
{
    return counted(&counts->in, syscall(SYS_read, fd, ret, n));
}

SHOWN ssize_t recv(int fd, void *ret, size_t n, int flags)
{
    return counted(&counts->in, syscall(SYS_recvfrom, fd, ret, n, flags, NULL, NULL));
}

SHOWN ssize_t write(int fd, const void *data, size_t n)
{
    return counted(&counts->out, syscall(SYS_write, fd, data, n));
}

SHOWN ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    return counted(&counts->out, syscall(SYS_writev, fd, pieces, count));
}

SHOWN ssize_t send(int fd, const void *data, size_t n, int flags)
{
    return counted(&counts->out, syscall(SYS_sendto, fd, data, n, flags, NULL, 0));
}
