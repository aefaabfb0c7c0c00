/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_top.h"
#include "failure.h"
#include "fetch.h"
#include "keys.h"
#include "out.h"
#include <string.h>
#include <sys/un.h>
#include <time.h>

#define COMMAND          "aril proxy top"
#define STATUS_BYTES_MAX ((size_t)16 << 20)
#define INTERVAL_MS      2000u
#define TIMEOUT_MS       4000u
#define UNIX_PREFIX      "unix:" /* as [admin] has it */
#define HINT             "is arild running, and does its configuration have this [admin] address?"

struct top {
    const char *address;
    char url[128];
    struct fetch fetch;
    uint64_t interval_ms; /* 0: not given */
    bool once, json;
    struct proxy_look now, before;
    char trouble[ARIL_ERROR_MESSAGE_BYTES]; /* of the last look; empty: none */
};

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* "127.0.0.1:9121", "[::1]:9121", "/run/arild/admin.sock", "unix:admin.sock" */
static int parse_address(struct top *t)
{
    const char *a = t->address;
    const bool is_unix = strncmp(a, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
    const char *path = is_unix ? a + strlen(UNIX_PREFIX) : a;
    if ((is_unix && path[0] != '\0') || path[0] == '/') {
        if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
            return failure_usage(COMMAND, "%s: too long for the path of a UNIX socket", a);
        }
        t->fetch.unix_socket = path;
        (void)snprintf(t->url, sizeof t->url, "http://localhost/status.json");
        return 0;
    }
    const char *colon = strrchr(a, ':');
    const size_t port = colon == NULL ? 0 : strspn(colon + 1, "0123456789");
    const bool is_port = port > 0 && port <= 5 && colon[1 + port] == '\0';
    const size_t host = is_port ? (size_t)(colon - a) : 0;
    if (host == 0 || host > 64 || strcspn(a, "/?#@% \\") != strlen(a)) {
        return failure_usage(COMMAND,
                             "%s: not an address like 127.0.0.1:9121 or /run/arild/admin.sock", a);
    }
    (void)snprintf(t->url, sizeof t->url, "http://%s/status.json", a);
    return 0;
}

static aril_status read_status(struct top *t, json_t **ret, aril_error *error)
{
    DEFER(file_contents_free) struct file_contents text = { .data = NULL };
    bool same = false;
    const aril_status st = fetch(&t->fetch, &text, &same, error);
    if (st != ARIL_OK) {
        return st;
    }
    json_t *json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!proxy_look_is_good(json)) {
        json_decref(json);
        return fetch_fail(&t->fetch, ARIL_E_FORMAT_KIND, error,
                          "it is no status of arild that this command understands");
    }
    *ret = json;
    return ARIL_OK;
}

/* A new look; the one before is kept for rates. What went wrong is in trouble. */
static aril_status look(struct top *t)
{
    aril_error error = { .status = ARIL_OK };
    json_t *json = NULL;
    const aril_status st = read_status(t, &json, &error);
    if (st != ARIL_OK) {
        /* Without the URL, which for a UNIX socket is not what was asked for. */
        const size_t url = strlen(t->url) + 2;
        const char *what = strlen(error.message) > url ? error.message + url : error.message;
        (void)snprintf(t->trouble, sizeof t->trouble, "%.110s: %.190s", t->address, what);
        return st;
    }
    t->trouble[0] = '\0';
    proxy_look_free(&t->before);
    t->before = t->now;
    t->now = (struct proxy_look){ .status = json, .at_ns = now_ns() };
    return ARIL_OK;
}

/* --- without a terminal ---------------------------------------------------------------------- */

static void print_look(const struct top *t, bool first)
{
    const struct proxy_view view = { .address = t->address, .line_end = "\n" };
    if (t->json) {
        json_dumpf(t->now.status, stdout, t->interval_ms == 0 ? JSON_INDENT(2) : JSON_COMPACT);
    } else {
        if (!first) {
            printf("\n");
        }
        proxy_view_print(stdout, &view, &t->now, &t->before);
    }
    printf("\n");
}

/* The first look must succeed; a later one is told, and tried again. */
static int run_plain(struct top *t)
{
    const bool once = t->once || t->interval_ms == 0;
    for (bool first = true; keys_stopped == 0; first = false) {
        const aril_status st = look(t);
        if (st != ARIL_OK && (first || once)) {
            return keys_stopped != 0 ? EXIT_DONE
                                     : failure_explain(COMMAND, st, HINT, "%s", t->trouble);
        }
        if (st != ARIL_OK) {
            fprintf(stderr, "%s: %s\n", COMMAND, t->trouble);
        } else {
            print_look(t, first);
        }
        if (once || fflush(stdout) != 0) {
            break; /* out_finish() says what went wrong */
        }
        keys_wait(t->interval_ms);
    }
    return EXIT_DONE;
}

/* --- on a terminal --------------------------------------------------------------------------- */

static void draw(const struct top *t, const struct proxy_screen *screen, bool paused)
{
    struct proxy_view view = { .address = t->address,
                               .line_end = "\033[K\n",
                               .keys = screen->raw,
                               .paused = paused,
                               .trouble = t->trouble[0] == '\0' ? NULL : t->trouble };
    char *text = NULL;
    size_t len = 0;
    proxy_screen_size(&view.columns, &view.rows);
    FILE *to = open_memstream(&text, &len);
    if (to == NULL) {
        return;
    }
    proxy_view_print(to, &view, &t->now, &t->before);
    fputs("\033[K", to);
    if (fclose(to) == 0) {
        proxy_screen_draw(text, len);
    }
    free(text);
}

static void run_screen(struct top *t, struct proxy_screen *screen)
{
    bool paused = false;
    uint64_t due_ns = now_ns() + t->interval_ms * 1000000u;
    while (keys_stopped == 0 && ferror(stdout) == 0) {
        const uint64_t now = now_ns();
        if (!paused && now >= due_ns) {
            (void)look(t); /* trouble is on the screen */
            due_ns = now_ns() + t->interval_ms * 1000000u;
        }
        draw(t, screen, paused);
        const uint64_t left = due_ns > now_ns() ? (due_ns - now_ns() + 999999) / 1000000 : 0;
        const char key = proxy_screen_key(screen, paused ? 3600000 : left);
        if (key == 'q' || key == 'Q' || key == 4) { /* 4: Ctrl-D */
            return;
        }
        if (key == 'p' || key == 'P') {
            paused = !paused;
        }
    }
}

static int run_live(struct top *t)
{
    struct proxy_screen screen;
    t->interval_ms = t->interval_ms == 0 ? INTERVAL_MS : t->interval_ms;
    const aril_status st = look(t);
    if (st != ARIL_OK) {
        return keys_stopped != 0 ? EXIT_DONE : failure_explain(COMMAND, st, HINT, "%s", t->trouble);
    }
    proxy_screen_open(&screen);
    run_screen(t, &screen);
    proxy_screen_close(&screen);
    return EXIT_DONE;
}

int proxy_top(int argc, char **argv)
{
    struct top t = { .fetch = { .timeout_ms = TIMEOUT_MS,
                                .bytes_max = STATUS_BYTES_MAX,
                                .stop = &keys_stopped,
                                .direct = true } };
    const struct args_option options[] = {
        { "once", ARGS_FLAG, &t.once, NULL, "print one look and end", 0, 0 },
        { "interval", ARGS_NUMBER, &t.interval_ms, "MS",
          "between two looks, 100 to 3600000, on a terminal 2000; elsewhere it goes on only "
          "with this",
          100, 3600000 },
        { "json", ARGS_FLAG, &t.json, NULL, "print JSON; with --interval one line for each look", 0,
          0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "ADDRESS",
        .summary =
            "Show how arild stands: its tenants, hit rates, tampering, key ages, latencies\n"
            "and servers. ADDRESS is that of [admin] in its configuration, HOST:PORT or the\n"
            "path of a UNIX socket, unix: before it or not. On a terminal q quits and p pauses.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = args_parse(&spec, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    t.address = operands[0];
    if (t.once && t.interval_ms != 0) {
        return failure_usage(COMMAND, "--once and --interval contradict each other");
    }
    rc = parse_address(&t);
    if (rc != 0) {
        return rc;
    }
    t.fetch.source = t.url;
    keys_catch_stop();
    rc = t.once || t.json || !out_is_terminal() ? run_plain(&t) : run_live(&t);
    proxy_look_free(&t.now);
    proxy_look_free(&t.before);
    return rc;
}
