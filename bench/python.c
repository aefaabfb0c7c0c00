/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How the same is done without this library: AESGCM of python3-cryptography, with bytes as
 * hex in JSON. The script lies beside this file. */

static void report_ratio(const char *stem, double python_ns)
{
    char key[BENCH_KEY_BYTES];
    double ours;
    bench_report(stem, "python_ns", python_ns);
    (void)snprintf(key, sizeof key, "%s.ns", stem);
    if (bench_reported(key, &ours)) {
        bench_report(stem, "ratio_python", python_ns / ours);
    }
}

void bench_python(void)
{
    if (!bench_wants("kv.seal.2KiB.ratio_python") && !bench_wants("kv.open.2KiB.ratio_python")) {
        return;
    }
    const char *chosen = getenv("ARIL_PYTHON");
    char python[4096], script[4096], text[128];
    (void)snprintf(python, sizeof python, "%s",
                   chosen != NULL && chosen[0] != '\0' ? chosen : "/usr/bin/python3");
    const char *slash = strrchr(__FILE__, '/');
    (void)snprintf(script, sizeof script, "%.*s%s", slash != NULL ? (int)(slash - __FILE__ + 1) : 0,
                   __FILE__, "python_reference.py");
    char *const argv[] = { python, script, NULL };
    double seal_ns, open_ns;
    if (!bench_child(argv, text, sizeof text) || sscanf(text, "%lf %lf", &seal_ns, &open_ns) != 2) {
        (void)fprintf(stderr, "bench: no comparison with Python: %s %s gave no figures\n", python,
                      script);
        return;
    }
    report_ratio("kv.seal.2KiB", seal_ns);
    report_ratio("kv.open.2KiB", open_ns);
}
