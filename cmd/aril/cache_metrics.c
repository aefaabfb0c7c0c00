/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include <stdlib.h>

#define TEXT_BYTES_FIRST 16384u
#define TEXT_BYTES_MAX   ((size_t)64 << 20)

static void add_json(void *state, const aril_metric *metric)
{
    json_t *labels = json_object();
    for (size_t i = 0;
         metric->labels != NULL && metric->labels[i] != NULL && metric->labels[i + 1] != NULL;
         i += 2) {
        json_object_set_new(labels, metric->labels[i],
                            keys_json_text(keys_bytes(metric->labels[i + 1])));
    }
    json_array_append_new(state,
                          json_pack("{s:s, s:s, s:o, s:f}", "name", metric->name, "type",
                                    metric->type == ARIL_METRIC_COUNTER ? "counter" : "gauge",
                                    "labels", labels, "value", metric->value));
}

static int print_as_json(struct cache_session *s)
{
    json_t *all = json_array();
    const aril_metrics_sink sink = { .abi = ARIL_METRICS_SINK_ABI,
                                     .state = all,
                                     .sample = add_json };
    const aril_status st = aril_cache_metrics(s->cache, &sink);
    if (st != ARIL_OK) {
        json_decref(all);
        return failure_report(s->keys.command, st, "the figures");
    }
    return keys_print_json(s->keys.command, all);
}

/* Figures change between two calls, so the second buffer may be too small as well. */
static int print_text(struct cache_session *s)
{
    size_t cap = TEXT_BYTES_FIRST;
    while (cap <= TEXT_BYTES_MAX) {
        char *data = malloc(cap);
        aril_metrics_text text;
        if (data == NULL) {
            break;
        }
        aril_metrics_text_init(&text, data, cap);
        const aril_status st = aril_cache_metrics(s->cache, &text.sink);
        const bool whole = st == ARIL_OK && text.len < cap;
        if (whole) {
            printf("%s", data);
        }
        free(data);
        if (st != ARIL_OK) {
            return failure_report(s->keys.command, st, "the figures");
        }
        if (whole) {
            return EXIT_DONE;
        }
        cap = text.len >= cap / 2 ? 2 * text.len + 1 : 2 * cap;
    }
    return failure_report(s->keys.command, ARIL_E_NOMEM, "the figures");
}

int cache_metrics(int argc, char **argv)
{
    static const char command[] = "aril cache metrics";
    struct cache_options options = { .takes = CACHE_TAKES_STORE };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary =
            "Print the figures of the cache and its store in the text format of Prometheus.\n"
            "Counters are those of this very process.",
    };
    int rc = cache_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    rc = cache_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    return options.keys.json ? print_as_json(&s) : print_text(&s);
}
