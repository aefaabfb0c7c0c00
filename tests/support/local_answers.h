/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_LOCAL_ANSWERS_H
#define ARIL_TESTS_LOCAL_ANSWERS_H
#include "proxy/local.h"

/*
 * What the proxy answers by itself, as bytes.
 *
 *   struct local_answers la;
 *   local_answers_init(&la);
 *   local_ask(&la, "CLIENT", "ID") ... la.bytes, la.len ...
 *   local_answers_done(&la);
 */
struct local_answers {
    struct arili_local l; /* a client of RESP2, id 7, without a name or a tenant; not a Cluster */
    struct arili_budget budget;
    struct arili_blocks blocks;
    struct arili_flow flow;
    uint8_t *bytes; /* of the last answer, and a NUL; valid until the next one */
    size_t len, cap;
};
#define LOCAL_RUN_ID  "0123456789abcdef0123456789abcdef01234567"
#define LOCAL_NODE_ID "89abcdef0123456789abcdef0123456789abcdef"

void local_answers_init(struct local_answers *la);
void local_answers_done(struct local_answers *la);
/* What is in the flow goes to bytes; the flow is empty then. */
void local_take(struct local_answers *la);
/* The answer to a command: resolved, answered when it is LOCAL or CLUSTER, else refused. */
void local_ask_args(struct local_answers *la, const aril_bytes *args, size_t count);
void local_ask_words(struct local_answers *la, const char *const *words, size_t count);
/* Texts without NUL. */
#define local_ask(la, ...)                                      \
    local_ask_words((la), (const char *const[]){ __VA_ARGS__ }, \
                    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))
/* The words of a line, one blank between two. */
void local_ask_line(struct local_answers *la, const char *line);
/* The last answer is this, whole. */
void local_expect(const struct local_answers *la, const char *answer);
#endif
