/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_BENCH_PRELOAD_COPIES_H
#define ARIL_BENCH_PRELOAD_COPIES_H
#include <stdatomic.h>
#include <stdint.h>

/* What the library copies.c counts, in the file that $ARIL_BENCH_COPIES names. Bytes. */
struct bench_copies {
    _Atomic uint64_t in;     /* from the kernel: read, recv */
    _Atomic uint64_t out;    /* to the kernel: write, writev, send */
    _Atomic uint64_t memory; /* memcpy, memmove */
};
#define BENCH_COPIES_LIBRARY "libaril_bench_copies.so"
#endif
