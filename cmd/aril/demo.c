/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "command.h"
#include "demo_world.h"
#include "failure.h"
#include "out.h"
#include <inttypes.h>
#include <stdio.h>

#define COMMAND "aril demo"

/* llama.cpp where there is one, else the stand-in, which says why. */
static bool open_engine(struct demo_world *w, const char *dir)
{
    char reason[sizeof w->engine.about + 64];
    if (dir == NULL) {
        snprintf(reason, sizeof reason, "no folder was given with --llama");
    } else if (demo_llama_open(&w->engine, dir, w->seed)) {
        w->engine_open = true;
        return true;
    } else {
        snprintf(reason, sizeof reason, "%s", w->engine.about);
    }
    w->engine_open = demo_synthetic_open(&w->engine, reason, w->seed);
    return w->engine_open;
}

static void introduce(struct demo_world *w)
{
    struct demo_report *r = w->report;
    const struct demo_engine *e = &w->engine;
    const struct gguf_shape *s = &e->shape;
    const bool real = e->model_bytes > 0;
    json_object_set_new(r->root, "version", json_string(aril_version()));
    json_object_set_new(r->root, "engine", json_string(real ? "llama.cpp" : "synthetic"));
    json_object_set_new(r->root, real ? "library" : "reason", json_string(e->about));
    json_object_set_new(r->root, "seed", json_integer((json_int_t)w->seed));
    if (r->json) {
        return;
    }
    printf("%saril %s: two tenants of one serving engine%s\n\n", out_on(OUT_BOLD), aril_version(),
           out_off());
    if (real) {
        demo_line(r, "engine   llama.cpp (%s), one CPU thread", e->about);
        demo_line(r, "model    random weights, seed %" PRIu64 ", %.1f MB of GGUF in a memfd",
                  w->seed, (double)e->model_bytes / 1e6);
    } else {
        demo_line(r, "%sengine   synthetic tensors (no llama.cpp: %s)%s", out_on(OUT_WARN),
                  e->about, out_off());
        demo_line(r, "         'make demo' fetches a llama.cpp; --llama DIR takes one");
    }
    demo_line(r, "shape    %u layers, %u heads, %u KV heads of %u, f16: %zu bytes a token",
              s->layers, s->heads, s->kv_heads, s->embedding / s->heads, demo_token_bytes(e));
    demo_line(r, "suite    hybrid: X-Wing (ML-KEM-768 + X25519), ML-DSA-65, AES-256-GCM");
}

static void tell(struct demo_world *w)
{
    introduce(w);
    if (demo_setup(w) && demo_serve(w) && demo_attacks(w) && demo_peers(w) && demo_keys(w)) {
        (void)demo_figures(w);
    }
}

static int run(const char *llama, bool json, bool verbose, uint64_t seed)
{
    struct demo_report report;
    demo_report_init(&report, json, verbose);
    struct demo_world world = { .report = &report, .seed = seed };
    if (!open_engine(&world, llama)) {
        demo_report_done(&report);
        return failure_report(COMMAND, ARIL_E_NOMEM, "the engine");
    }
    tell(&world);
    if (world.engine.model_bytes == 0) {
        demo_line(&report, "%sNo llama.cpp ran: %s.%s", out_on(OUT_WARN), world.engine.about,
                  out_off());
    }
    demo_finish(&report);
    demo_teardown(&world);
    const bool ok = report.failed == 0;
    demo_report_done(&report);
    return ok ? EXIT_DONE : EXIT_CHECKS_FAILED;
}

int command_demo(int argc, char **argv)
{
    const char *llama = NULL;
    bool json = false;
    bool verbose = false;
    uint64_t seed = 1;
    const struct args_option options[] = {
        { "llama", ARGS_TEXT, &llama, "DIR", "use the libllama in DIR or a folder below", 0, 0 },
        { "json", ARGS_FLAG, &json, NULL, "print one JSON object", 0, 0 },
        { "verbose", ARGS_FLAG, &verbose, NULL, "explain every refusal", 0, 0 },
        { "seed", ARGS_NUMBER, &seed, "N", "of model and prompts (1)", 0, INT64_MAX },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "",
        .summary = "Two tenants of one llama.cpp: their KV state is sealed, kept and restored bit\n"
                   "for bit, and every attack on it is refused. Without a llama.cpp the same runs\n"
                   "on synthetic tensors. Exits with 1 when a check fails.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    const int rc = args_parse(&spec, argc, argv, NULL, NULL);
    return rc != ARGS_RUN ? rc : run(llama, json, verbose, seed);
}
