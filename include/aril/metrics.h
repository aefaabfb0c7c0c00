/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_METRICS_H
#define ARIL_METRICS_H
#include <aril/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ARIL_METRICS_SINK_ABI 1u

typedef enum aril_metric_type { ARIL_METRIC_COUNTER = 0, ARIL_METRIC_GAUGE = 1 } aril_metric_type;

/** One figure. Names are aril_<part>_<what>_<unit>; strings are borrowed for the call. */
typedef struct aril_metric {
    const char *name; /* "aril_cache_hits_total" */
    const char *help; /* one sentence */
    aril_metric_type type;
    const char *const
        *labels; /* name, value, name, value, ..., NULL; bounded sets of values only */
    double value;
} aril_metric;

/**
 * Where figures go. A part that has metrics hands all of them over when it is asked to, those of
 * one name one after the other. sample() is called from the thread that asked and may not call
 * back.
 */
typedef struct aril_metrics_sink {
    uint32_t abi; /* ARIL_METRICS_SINK_ABI */
    void *state;
    void (*sample)(void *state, const aril_metric *metric);
} aril_metrics_sink;

/**
 * A sink that writes the Prometheus text format, version 0.0.4, into a buffer of the caller's. With
 * a buffer that is too small it goes on counting: len is what it needs, without the final NUL.
 *
 * Threads: one at a time. Blocks: no. Allocates: no. Since: 0.3
 */
typedef struct aril_metrics_text {
    aril_metrics_sink sink; /* hand out &text.sink */
    char *data;             /* NUL-terminated when cap > 0 and it fits */
    size_t cap, len;
    char last[96]; /* the name that had its HELP line last */
} aril_metrics_text;
ARIL_API void aril_metrics_text_init(aril_metrics_text *ret_text, char *data, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
