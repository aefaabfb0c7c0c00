/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_model.h"
#include "check.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define QUEUED_MAX  256u
#define HISTORY     40u
#define NAMES_MAX   4096u
#define CURSOR_MAX  32u
#define ROUNDS_MAX  100000u /* of one scan: a cursor that never comes back to 0 */
#define SCANS_EVERY 40u     /* bursts */

struct client {
    int fds[2];
    bool resp3, in_multi;
    enum pmodel_alike queued[QUEUED_MAX];
    size_t queued_count;
};
struct run {
    const struct pmodel_setup *setup;
    struct pmodel_source source;
    struct client clients[PMODEL_CLIENTS];
    char history[HISTORY][224];
    unsigned done;
    struct wire_bytes out, in[2];
};

static void fail_with_history(const struct run *r, const char *what, aril_bytes plain,
                              aril_bytes other)
{
    const unsigned first = r->done > HISTORY ? r->done - HISTORY : 0;
    for (unsigned i = first; i < r->done; i++) {
        print_message("%s\n", r->history[i % HISTORY]);
    }
    print_message("plain: %s\nother: %s\n", wire_shown(plain), wire_shown(other));
    fail_msg("command %u: %s; again with ARIL_MODEL_SEED=%llu", r->done, what,
             (unsigned long long)r->setup->seed);
}

static void remember(struct run *r, unsigned client, const char *shown, aril_bytes reply)
{
    (void)snprintf(r->history[r->done % HISTORY], sizeof r->history[0],
                   "%6u client %u: %s -> %.40s", r->done + 1, client, shown, wire_shown(reply));
    r->done++;
}

static aril_bytes reply_at(const struct wire_bytes *in, size_t at)
{
    const aril_bytes rest = { in->data + at, in->len - at };
    return (aril_bytes){ rest.data, wire_reply_len(rest) };
}

/* --- Transactions */

static const char *transaction_difference(const struct client *c, aril_bytes a, aril_bytes b)
{
    static aril_bytes x[QUEUED_MAX];
    static aril_bytes y[QUEUED_MAX];
    size_t x_count = 0;
    size_t y_count = 0;
    if (!wire_parts(a, x, QUEUED_MAX, &x_count) || !wire_parts(b, y, QUEUED_MAX, &y_count) ||
        x_count == 0) {
        return pmodel_difference(PMODEL_BYTES, a, b);
    }
    if (x_count != y_count || x_count != c->queued_count) {
        return "another number of answers to EXEC";
    }
    for (size_t i = 0; i < x_count; i++) {
        const char *const what = pmodel_difference(c->queued[i], x[i], y[i]);
        if (what != NULL) {
            return what;
        }
    }
    return NULL;
}

static bool is_text(aril_bytes reply, const char *text)
{
    return reply.len == strlen(text) && memcmp(reply.data, text, reply.len) == 0;
}

/* Compares, and follows what the plain server says of the transaction. */
static const char *command_difference(struct client *c, const struct pmodel_command *command,
                                      aril_bytes a, aril_bytes b)
{
    const char *what = NULL;
    if (c->in_multi && command->executes) {
        what = transaction_difference(c, a, b);
    } else if (c->in_multi && is_text(a, "+QUEUED\r\n")) {
        what = pmodel_difference(PMODEL_BYTES, a, b);
        c->queued[c->queued_count++] = command->how;
    } else {
        what = pmodel_difference(command->how, a, b);
    }
    if (command->begins && is_text(a, "+OK\r\n")) {
        c->in_multi = true;
        c->queued_count = 0;
    } else if (command->ends) {
        c->in_multi = false;
    }
    return what;
}

/* --- Bursts */

static void exchange(struct run *r, unsigned n, size_t replies)
{
    for (unsigned side = 0; side < 2; side++) {
        if (!wire_exchange(r->clients[n].fds[side], &r->out, &r->in[side], replies)) {
            fail_with_history(r,
                              side == 0 ? "the plain server's answers ended"
                                        : "the other server's answers ended",
                              (aril_bytes){ r->in[0].data, r->in[0].len },
                              (aril_bytes){ r->in[1].data, r->in[1].len });
        }
    }
}

static void burst(struct run *r, unsigned n)
{
    static struct pmodel_command commands[PMODEL_BURST_MAX];
    struct client *const c = &r->clients[n];
    const size_t count = 1 + pmodel_below(&r->source.random, PMODEL_BURST_MAX);
    /* What is sent before its answers are there cannot know whether it is in a transaction. */
    bool maybe_multi = c->in_multi;
    r->source.tag = r->setup->cluster ? n + 1 : 0;
    r->out.len = 0;
    for (size_t i = 0; i < count; i++) {
        const bool full = c->queued_count + i + 1 >= QUEUED_MAX - PMODEL_BURST_MAX;
        do {
            const size_t len = r->out.len;
            pmodel_command(&r->source, maybe_multi, c->resp3, &r->out, &commands[i]);
            if (full && maybe_multi && !commands[i].ends) {
                r->out.len = len;
                commands[i].shown[0] = '\0';
            }
        } while (commands[i].shown[0] == '\0');
        maybe_multi = (maybe_multi || commands[i].begins) && !commands[i].ends;
    }
    exchange(r, n, count);
    size_t at[2] = { 0, 0 };
    for (size_t i = 0; i < count; i++) {
        const aril_bytes a = reply_at(&r->in[0], at[0]);
        const aril_bytes b = reply_at(&r->in[1], at[1]);
        at[0] += a.len;
        at[1] += b.len;
        remember(r, n, commands[i].shown, a);
        const char *const what = command_difference(c, &commands[i], a, b);
        if (what != NULL) {
            fail_with_history(r, what, a, b);
        }
    }
}

/* --- Scans: the cursors of two servers have nothing in common, what is found has */

struct scan {
    const char *command;
    char kind;    /* of the key; 0: none */
    size_t parts; /* of an element */
    enum pmodel_alike how;
};
static const struct scan scans[] = { { "SCAN", '\0', 1, PMODEL_SET },
                                     { "HSCAN", 'H', 2, PMODEL_PAIRS },
                                     { "SSCAN", 'M', 1, PMODEL_SET } };

struct found {
    struct wire_bytes all; /* elements as replies, side by side */
    size_t count;          /* of replies */
};

/* An element that was found before is one all the same: servers may shrink their tables meanwhile.
 */
static void found_add(struct found *f, const aril_bytes *parts, size_t part_count)
{
    const uint8_t *const first = parts[0].data;
    const aril_bytes last = parts[part_count - 1];
    const size_t len = (size_t)(last.data + last.len - first);
    for (size_t at = 0; at < f->all.len;) {
        size_t run = 0;
        for (size_t i = 0; i < part_count; i++) {
            run += wire_reply_len((aril_bytes){ f->all.data + at + run, f->all.len - at - run });
        }
        if (run == len && memcmp(f->all.data + at, first, len) == 0) {
            return;
        }
        at += run;
    }
    wire_put(&f->all, first, len);
    f->count += part_count;
}

static void scan_command(struct run *r, const struct scan *what, aril_bytes key, const char *cursor,
                         const char *pattern, const char *count)
{
    const char *const words[] = { cursor, "MATCH", pattern, "COUNT", count };
    r->out.len = 0;
    wire_begin(&r->out, 1u + (key.len > 0 ? 1u : 0u) + COUNT(words));
    wire_arg(&r->out, (aril_bytes){ (const uint8_t *)what->command, strlen(what->command) });
    if (key.len > 0) {
        wire_arg(&r->out, key);
    }
    for (size_t i = 0; i < COUNT(words); i++) {
        wire_arg(&r->out, (aril_bytes){ (const uint8_t *)words[i], strlen(words[i]) });
    }
}

static void scan_side(struct run *r, unsigned n, unsigned side, const struct scan *what,
                      aril_bytes key, struct found *ret)
{
    static aril_bytes elements[NAMES_MAX];
    aril_bytes parts[2];
    char cursor[CURSOR_MAX] = "0";
    char count[16];
    const char *const pattern = pmodel_pattern(&r->source);
    (void)snprintf(count, sizeof count, "%u", 1 + (unsigned)pmodel_below(&r->source.random, 20));
    for (unsigned round = 0;; round++) {
        scan_command(r, what, key, cursor, pattern, count);
        aril_bytes next = { NULL, 0 };
        size_t part_count = 0;
        size_t element_count = 0;
        struct wire_bytes *const in = &r->in[side];
        const bool answered = wire_exchange(r->clients[n].fds[side], &r->out, in, 1);
        const aril_bytes reply = { in->data, in->len };
        if (answered && round == 0 && reply.data[0] == '-') {
            found_add(ret, &reply, 1);
            return;
        }
        if (!answered || round == ROUNDS_MAX || !wire_parts(reply, parts, 2, &part_count) ||
            part_count != 2 || !wire_content(parts[0], &next) || next.len >= sizeof cursor ||
            !wire_parts(parts[1], elements, NAMES_MAX, &element_count) ||
            element_count % what->parts != 0) {
            fail_with_history(r, what->command, reply, reply);
        }
        for (size_t i = 0; i < element_count; i += what->parts) {
            found_add(ret, &elements[i], what->parts);
        }
        memcpy(cursor, next.data, next.len);
        cursor[next.len] = '\0';
        if (strcmp(cursor, "0") == 0) {
            return;
        }
    }
}

static void as_array(const struct found *f, struct wire_bytes *ret)
{
    char text[32];
    (void)snprintf(text, sizeof text, "*%zu\r\n", f->count);
    wire_text(ret, text);
    wire_put(ret, f->all.data, f->all.len);
}

static void scan(struct run *r, unsigned n)
{
    const struct scan *const what = &scans[pmodel_below(&r->source.random, COUNT(scans))];
    aril_bytes key = { NULL, 0 };
    if (what->kind != '\0') {
        key = pmodel_key(&r->source, what->kind);
    }
    struct found found[2] = { { .count = 0 }, { .count = 0 } };
    struct wire_bytes arrays[2] = { { .len = 0 }, { .len = 0 } };
    const struct pmodel_random before = r->source.random;
    for (unsigned side = 0; side < 2; side++) {
        r->source.random = before; /* the same pattern and count */
        scan_side(r, n, side, what, key, &found[side]);
        as_array(&found[side], &arrays[side]);
    }
    const aril_bytes a = { arrays[0].data, arrays[0].len };
    const aril_bytes b = { arrays[1].data, arrays[1].len };
    remember(r, n, what->command, a);
    /* One that failed has one part, an error: that is no pair. */
    const bool failed = found[0].count == 1 || found[1].count == 1;
    const char *const differs = pmodel_difference(failed ? PMODEL_BYTES : what->how, a, b);
    if (differs != NULL) {
        fail_with_history(r, differs, a, b);
    }
    for (unsigned side = 0; side < 2; side++) {
        wire_free(&found[side].all);
        wire_free(&arrays[side]);
    }
}

/* --- The run */

static void greet(struct run *r, unsigned n)
{
    struct client *const c = &r->clients[n];
    c->fds[0] = r->setup->fds[n][0];
    c->fds[1] = r->setup->fds[n][1];
    c->resp3 = n % 2 == 1;
    r->out.len = 0;
    if (c->resp3) { /* versions and ids in it differ */
        wire_text(&r->out, "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
        exchange(r, n, 1);
        assert_int_equal(r->in[0].data[0], '%');
        assert_int_equal(r->in[1].data[0], '%');
    }
}

void pmodel_run(const struct pmodel_setup *setup)
{
    static struct run r;
    r = (struct run){ .setup = setup };
    r.source.random.state = setup->seed;
    r.source.now_s = (uint64_t)time(NULL);
    for (unsigned n = 0; n < PMODEL_CLIENTS; n++) {
        greet(&r, n);
    }
    for (unsigned bursts = 1; r.done < setup->commands; bursts++) {
        const unsigned n = (unsigned)pmodel_below(&r.source.random, PMODEL_CLIENTS);
        burst(&r, n);
        if (bursts % SCANS_EVERY == 0 && !r.clients[n].in_multi) {
            scan(&r, n);
        }
    }
    wire_free(&r.out);
    wire_free(&r.in[0]);
    wire_free(&r.in[1]);
}
