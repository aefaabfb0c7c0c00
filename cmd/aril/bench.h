/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_BENCH_H
#define ARIL_CMD_BENCH_H
#include "histogram.h"
#include <aril/aril.h>
#include <stddef.h>

/* Measurements of "aril bench". Each runs for about run_ms milliseconds and returns the first
 * status that was not ARIL_OK. */

struct measurement {
    double per_second; /* operations, all threads together */
    double p50_us, p99_us;
};

/* Seal, then open, records of so many bytes on so many threads, which share one view. */
aril_status bench_records(aril_runtime *rt, size_t bytes, unsigned threads, uint64_t run_ms,
                          struct measurement *ret_seal, struct measurement *ret_open);

/* Both ends of a session, the three messages between them included. */
aril_status bench_sessions(aril_runtime *rt, aril_profile profile, uint64_t run_ms,
                           struct measurement *ret);

/* Sign, then verify, 1 KiB. */
aril_status bench_signatures(aril_runtime *rt, aril_sign_alg alg, uint64_t run_ms,
                             struct measurement *ret_sign, struct measurement *ret_verify);

static inline struct measurement measurement_of(const struct histogram *h, uint64_t elapsed_ns)
{
    return (struct measurement){
        .per_second = elapsed_ns == 0 ? 0 : (double)h->total * 1e9 / (double)elapsed_ns,
        .p50_us = (double)histogram_ns(h, 0.50) / 1e3,
        .p99_us = (double)histogram_ns(h, 0.99) / 1e3,
    };
}
#endif
