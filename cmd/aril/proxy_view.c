/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"
#include "out.h"
#include "proxy_top.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA       1
#define BUCKETS      32u
#define NAME_COLUMNS 28u
#define CELL_BYTES   32u
#define LINE_BYTES   1024u
#define DAY_S        86400u

/* --- JSON ------------------------------------------------------------------------------------ */

static uint64_t number(const json_t *object, const char *name)
{
    const json_int_t n = json_integer_value(json_object_get(object, name));
    return n > 0 ? (uint64_t)n : 0;
}

/* What is printable of a text; it came from outside. */
static const char *text(const json_t *object, const char *name, char *ret, size_t cap)
{
    const json_t *value = json_object_get(object, name);
    const char *from = json_string_value(value);
    return from == NULL
               ? ""
               : keys_safe((aril_bytes){ (const uint8_t *)from, json_string_length(value) }, ret,
                           cap);
}

bool proxy_look_is_good(const json_t *status)
{
    return json_integer_value(json_object_get(status, "schema")) == SCHEMA &&
           json_is_string(json_object_get(status, "state")) &&
           json_is_array(json_object_get(status, "tenants")) &&
           json_is_array(json_object_get(status, "servers"));
}

void proxy_look_free(struct proxy_look *look)
{
    json_decref(look->status);
    *look = (struct proxy_look){ .status = NULL };
}

/* --- lines ----------------------------------------------------------------------------------- */

struct lines {
    FILE *to;
    const struct proxy_view *view;
    size_t count;
};

static bool has_room(const struct lines *l)
{
    return l->view->rows == 0 || l->count < l->view->rows;
}

/* One line, cut after so many characters. style: OUT_... or -1. */
__attribute__((format(printf, 3, 4))) static void line(struct lines *l, int style,
                                                       const char *format, ...)
{
    char room[LINE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(room, sizeof room, format, args);
    va_end(args);
    size_t columns = 0;
    size_t len = 0;
    for (; room[len] != '\0'; len++) {
        columns += ((uint8_t)room[len] & 0xc0) != 0x80;
        if (l->view->columns != 0 && columns > l->view->columns) {
            break;
        }
    }
    if (!has_room(l)) {
        return;
    }
    /* The last line of a screen has no end: it would scroll. */
    fprintf(l->to, "%s%s%.*s%s", l->count == 0 ? "" : l->view->line_end,
            style < 0 ? "" : out_on((enum out_style)style), (int)len, room,
            style < 0 ? "" : out_off());
    l->count++;
}

/* Text and spaces up to width columns, or what of it has room. */
static const char *fit(const char *from, size_t width, char *ret, size_t cap)
{
    size_t columns = 0;
    size_t len = 0;
    for (; from[len] != '\0' && len + width + 1 < cap; len++) {
        columns += ((uint8_t)from[len] & 0xc0) != 0x80;
        if (columns > width) {
            columns--;
            break;
        }
    }
    (void)snprintf(ret, cap, "%.*s%*s", (int)len, from,
                   (int)(columns < width ? width - columns : 0), "");
    return ret;
}

/* --- figures --------------------------------------------------------------------------------- */

static const char *span(uint64_t s, char ret[CELL_BYTES])
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = { { DAY_S, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    size_t u = 0;
    while (u + 1 < sizeof units / sizeof units[0] && s < units[u].seconds) {
        u++;
    }
    (void)snprintf(ret, CELL_BYTES, "%" PRIu64 " %s", s / units[u].seconds, units[u].name);
    return ret;
}

static const char *size_text(uint64_t bytes, char ret[CELL_BYTES])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double n = (double)bytes;
    size_t u = 0;
    for (; n >= 1024 && u + 1 < sizeof units / sizeof units[0]; u++) {
        n /= 1024;
    }
    (void)snprintf(ret, CELL_BYTES, u == 0 || n >= 100 ? "%.0f %s" : "%.1f %s", n, units[u]);
    return ret;
}

static const char *micros(double us, char ret[CELL_BYTES])
{
    if (us < 1000) {
        (void)snprintf(ret, CELL_BYTES, "%.0f us", us);
    } else if (us < 1e6) {
        (void)snprintf(ret, CELL_BYTES, "%.1f ms", us / 1000);
    } else {
        (void)snprintf(ret, CELL_BYTES, "%.1f s", us / 1e6);
    }
    return ret;
}

static const char *percent(uint64_t part, uint64_t all, char ret[CELL_BYTES])
{
    if (all == 0) {
        return "-";
    }
    (void)snprintf(ret, CELL_BYTES, "%.1f %%", 100 * (double)part / (double)all);
    return ret;
}

/* As arili_status_quantile_us(). */
static double quantile(const uint64_t buckets[BUCKETS], double share)
{
    double all = 0;
    double below = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        all += (double)buckets[i];
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        const double here = (double)buckets[i];
        if (here > 0 && below + here >= share * all) {
            const double from = i == 0 ? 0 : (double)(UINT64_C(1) << (i - 1));
            const double to = (double)(UINT64_C(1) << i);
            return from + (to - from) * (share * all - below) / here;
        }
        below += here;
    }
    return 0;
}

static uint64_t sum(const json_t *status, const char *name)
{
    uint64_t all = 0;
    size_t i = 0;
    const json_t *t = NULL;
    json_array_foreach(json_object_get(status, "tenants"), i, t)
    {
        all += number(json_object_get(t, "figures"), name);
    }
    return all;
}

/* A counter per second since before; -1: not known. One that is less than it was began anew. */
static double rate(uint64_t now, uint64_t then, const struct proxy_look *a,
                   const struct proxy_look *b)
{
    const bool known = b->status != NULL && a->at_ns > b->at_ns && now >= then;
    return known ? (double)(now - then) * 1e9 / (double)(a->at_ns - b->at_ns) : -1;
}

static const char *rate_text(double per_s, char ret[CELL_BYTES])
{
    if (per_s < 0) {
        return "-";
    }
    (void)snprintf(ret, CELL_BYTES, per_s >= 100 ? "%.0f" : "%.1f", per_s);
    return ret;
}

/* --- the head -------------------------------------------------------------------------------- */

static void print_latency(struct lines *l, const struct proxy_look *now,
                          const struct proxy_look *before)
{
    uint64_t buckets[BUCKETS];
    uint64_t lately[BUCKETS];
    bool any = before->status != NULL;
    uint64_t count = 0;
    char a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES], d[CELL_BYTES];
    const json_t *list = json_object_get(json_object_get(now->status, "latency"), "buckets");
    const json_t *former = json_object_get(json_object_get(before->status, "latency"), "buckets");
    for (size_t i = 0; i < BUCKETS; i++) {
        const json_int_t n = json_integer_value(json_array_get(list, i));
        const json_int_t m = json_integer_value(json_array_get(former, i));
        buckets[i] = n > 0 ? (uint64_t)n : 0;
        any = any && n >= m;
        lately[i] = any ? (uint64_t)(n - m) : 0;
        count += lately[i];
    }
    any = any && count > 0;
    const uint64_t *of = any ? lately : buckets;
    char since[CELL_BYTES + 8] = "since the start";
    if (any) {
        const uint64_t s = (now->at_ns - before->at_ns + 500000000) / 1000000000;
        (void)snprintf(since, sizeof since, "last %s", span(s > 0 ? s : 1, d));
    }
    line(l, -1, "latency   p50 %s   p99 %s   p99.9 %s   (%s)", micros(quantile(of, 0.5), a),
         micros(quantile(of, 0.99), b), micros(quantile(of, 0.999), c), since);
}

static void print_head(struct lines *l, const struct proxy_look *now,
                       const struct proxy_look *before)
{
    char a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES];
    char version[64], reason[256];
    const json_t *s = now->status;
    const json_t *memory = json_object_get(s, "memory");
    const uint64_t start = number(s, "started");
    const bool ready = strcmp(json_string_value(json_object_get(s, "state")), "ready") == 0;
    const uint64_t hits = sum(s, "hits");
    const uint64_t tampered = sum(s, "tampered");
    const uint64_t then = sum(before->status, "commands");
    line(l, OUT_BOLD, "arild %s at %s   up %s%s", text(s, "version", version, sizeof version),
         l->view->address, span(number(s, "now") > start ? number(s, "now") - start : 0, a),
         l->view->paused ? "   paused" : "");
    line(l, ready ? OUT_GOOD : OUT_BAD, ready ? "ready%s%s" : "not ready%s%s", ready ? "" : ": ",
         ready ? "" : text(s, "reason", reason, sizeof reason));
    line(l, -1, "%" PRIu64 " clients   %s commands/s   hits %s   memory %s of %s",
         number(s, "clients"), rate_text(rate(sum(s, "commands"), then, now, before), a),
         percent(hits, hits + sum(s, "misses"), b), size_text(number(memory, "used"), c),
         size_text(number(memory, "max"), version));
    line(l, tampered > 0 ? OUT_BAD : -1, "%" PRIu64 " tampered values", tampered);
    print_latency(l, now, before);
}

static void print_servers(struct lines *l, const json_t *status)
{
    char address[320], state[128];
    size_t i = 0;
    size_t up = 0;
    const json_t *server = NULL;
    const json_t *list = json_object_get(status, "servers");
    json_array_foreach(list, i, server)
    {
        up += number(server, "up") != 0;
    }
    line(l, -1, "%zu of %" PRIu64 " servers up", up, number(status, "servers_in_all"));
    json_array_foreach(list, i, server)
    {
        if (number(server, "up") == 0) {
            line(l, OUT_BAD, "  %s: %s", text(server, "address", address, sizeof address),
                 text(server, "state", state, sizeof state));
        }
    }
}

/* --- tenants --------------------------------------------------------------------------------- */

struct row {
    const json_t *tenant;
    const char *id;
    uint64_t tampered;
    double per_s;
};

/* What needs a look first, then who does most. */
static int compare(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    if (x->tampered != y->tampered) {
        return x->tampered > y->tampered ? -1 : 1;
    }
    if (x->per_s < y->per_s || x->per_s > y->per_s) {
        return x->per_s > y->per_s ? -1 : 1;
    }
    return strcmp(x->id, y->id);
}

static uint64_t commands_of(const json_t *status, size_t guess, const char *id)
{
    size_t i = 0;
    const json_t *t = NULL;
    const json_t *list = json_object_get(status, "tenants");
    const json_t *same = json_array_get(list, guess);
    const char *name = json_string_value(json_object_get(same, "tenant"));
    if (name != NULL && strcmp(name, id) == 0) {
        return number(json_object_get(same, "figures"), "commands");
    }
    json_array_foreach(list, i, t)
    {
        name = json_string_value(json_object_get(t, "tenant"));
        if (name != NULL && strcmp(name, id) == 0) {
            return number(json_object_get(t, "figures"), "commands");
        }
    }
    return 0;
}

static void print_tenant(struct lines *l, const struct row *row, uint64_t now_s)
{
    char id[1024], name[256], key_text[128], left[CELL_BYTES + 16] = "-";
    char a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES], d[CELL_BYTES];
    const json_t *figures = json_object_get(row->tenant, "figures");
    const json_t *key = json_object_get(row->tenant, "key");
    const char *status = json_string_value(json_object_get(key, "status"));
    const uint64_t hits = number(figures, "hits");
    const uint64_t created = number(key, "created");
    const uint64_t by = number(key, "rotate_by");
    const bool seals = status != NULL && strcmp(status, "ARIL_OK") == 0;
    if (by != 0) {
        (void)snprintf(left, sizeof left, by < now_s ? "%s late" : "in %s",
                       span(by < now_s ? now_s - by : by - now_s, d));
    }
    (void)text(row->tenant, "tenant", id, sizeof id);
    line(l,
         row->tampered > 0 || !seals ? OUT_BAD
         : by != 0 && by < now_s     ? OUT_WARN
                                     : -1,
         "%s %7" PRIu64 " %10s %7s %8" PRIu64 " %7s %10s  %s",
         fit(id, NAME_COLUMNS, name, sizeof name), number(row->tenant, "clients"),
         rate_text(row->per_s, a), percent(hits, hits + number(figures, "misses"), b),
         row->tampered, created == 0 ? "-" : span(now_s > created ? now_s - created : 0, c), left,
         seals ? "seals" : text(key, "text", key_text, sizeof key_text));
}

static void print_tenants(struct lines *l, const struct proxy_look *now,
                          const struct proxy_look *before)
{
    const json_t *list = json_object_get(now->status, "tenants");
    const size_t count = json_array_size(list);
    struct row *rows = calloc(count + 1, sizeof *rows);
    size_t shown = 0;
    if (rows == NULL) {
        line(l, OUT_BAD, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *t = json_array_get(list, i);
        const json_t *figures = json_object_get(t, "figures");
        const char *id = json_string_value(json_object_get(t, "tenant"));
        rows[i] = (struct row){ .tenant = t, .id = id == NULL ? "" : id };
        rows[i].tampered = number(figures, "tampered");
        rows[i].per_s = rate(number(figures, "commands"),
                             commands_of(before->status, i, rows[i].id), now, before);
    }
    qsort(rows, count, sizeof *rows, compare);
    line(l, OUT_DIM, "%-*s CLIENTS COMMANDS/S    HITS TAMPERED KEY AGE   ROTATION  KEY",
         (int)NAME_COLUMNS, "TENANT");
    /* One line is kept for what is left out, and one for the keys. */
    const size_t kept = 1u + l->view->keys;
    while (shown < count && (l->view->rows == 0 || l->count + kept < l->view->rows)) {
        print_tenant(l, &rows[shown++], number(now->status, "now"));
    }
    const uint64_t all = number(now->status, "tenants_in_all");
    if (all > shown) {
        line(l, OUT_DIM, "and %" PRIu64 " more", all - shown);
    }
    free(rows);
}

void proxy_view_print(FILE *to, const struct proxy_view *view, const struct proxy_look *now,
                      const struct proxy_look *before)
{
    static const struct proxy_look none = { .status = NULL };
    struct lines l = { .to = to, .view = view };
    if (view->trouble != NULL) {
        line(&l, OUT_BAD, "%s", view->trouble);
    }
    if (now->status != NULL) {
        /* Another process: its counters began anew. */
        const bool same = number(now->status, "started") == number(before->status, "started");
        const struct proxy_look *since = same ? before : &none;
        print_head(&l, now, since);
        print_servers(&l, now->status);
        line(&l, -1, "%s", "");
        print_tenants(&l, now, since);
    }
    if (view->keys) {
        line(&l, OUT_DIM, "q quits   p %s", view->paused ? "goes on" : "pauses");
    }
}
