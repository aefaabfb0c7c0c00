/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec now;
    BENCH_CHECK(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_wall_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t bench_thread_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t count, double percent)
{
    BENCH_CHECK(count > 0);
    qsort(values, count, sizeof *values, compare);
    const double at = percent / 100 * (double)(count - 1);
    const size_t below = (size_t)at;
    const size_t above = below + 1 < count ? below + 1 : below;
    const double share = at - (double)below;
    return values[below] * (1 - share) + values[above] * share;
}

double bench_median(double *values, size_t count)
{
    return bench_percentile(values, count, 50);
}

double bench_clock_cost_ns(void)
{
    double cost[1001];
    for (size_t i = 0; i < sizeof cost / sizeof cost[0]; i++) {
        const uint64_t start = bench_wall_ns();
        cost[i] = (double)(bench_wall_ns() - start);
    }
    return bench_median(cost, sizeof cost / sizeof cost[0]);
}

/* schedstat of one thread: time on a processor, time waited for one, turns. */
static uint64_t waited_by(const char *tid)
{
    char path[320]; /* d_name may have 255 bytes */
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", tid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }
    uint64_t ran, waited;
    const int got = fscanf(f, "%" SCNu64 " %" SCNu64, &ran, &waited);
    (void)fclose(f);
    return got == 2 ? waited : 0;
}

uint64_t bench_waited_ns(void)
{
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL) {
        return 0;
    }
    uint64_t sum = 0;
    for (const struct dirent *d = readdir(tasks); d != NULL; d = readdir(tasks)) {
        sum += d->d_name[0] != '.' ? waited_by(d->d_name) : 0;
    }
    (void)closedir(tasks);
    return sum;
}

uint64_t bench_next(uint64_t *state)
{
    /* xorshift64* */
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}
