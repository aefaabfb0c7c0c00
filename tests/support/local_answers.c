/* SPDX-License-Identifier: Apache-2.0 */
#include "local_answers.h"
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 32u

void local_answers_init(struct local_answers *la)
{
    memset(la, 0, sizeof *la);
    la->budget.max = UINT64_C(64) << 20;
    arili_blocks_init(&la->blocks, &la->budget);
    arili_flow_init(&la->flow, &la->blocks);
    la->l = (struct arili_local){ .client_id = 7,
                                  .address = "127.0.0.1:40000",
                                  .local_address = "127.0.0.1:6379",
                                  .self = { .port = 6379, .host = "127.0.0.1" },
                                  .node_id = LOCAL_NODE_ID,
                                  .run_id = LOCAL_RUN_ID,
                                  .now_ms = UINT64_C(1700000123456),
                                  .started_ms = UINT64_C(1700000000000),
                                  .connected_ms = UINT64_C(1700000100000),
                                  .clients = 3,
                                  .commands_total = 11,
                                  .connections_total = 5,
                                  .memory_used = 1536,
                                  .memory_max = UINT64_C(1) << 30,
                                  .hits = 2,
                                  .misses = 1,
                                  .databases = 16,
                                  .server_version = "7.0.15" };
}

void local_answers_done(struct local_answers *la)
{
    arili_flow_done(&la->flow);
    arili_blocks_done(&la->blocks);
    free(la->bytes);
    memset(la, 0, sizeof *la);
}

void local_take(struct local_answers *la)
{
    assert_false(la->flow.failed);
    la->len = (size_t)la->flow.bytes;
    if (la->len + 1 > la->cap) {
        free(la->bytes);
        la->cap = la->len + 1;
        la->bytes = malloc(la->cap);
        assert_non_null(la->bytes);
    }
    assert_int_equal(arili_flow_read(&la->flow, la->bytes, la->len), la->len);
    la->bytes[la->len] = '\0';
    arili_flow_consume(&la->flow, la->len);
}

void local_ask_args(struct local_answers *la, const aril_bytes *args, size_t count)
{
    const struct arili_command *const row = arili_local_resolve(args, count, &la->flow);
    if (row != NULL && (row->verb == ARILI_VERB_LOCAL || row->verb == ARILI_VERB_CLUSTER)) {
        arili_local_answer(&la->l, row, args, count, &la->flow);
    } else if (row != NULL) {
        arili_say_refused(&la->flow, row);
    }
    local_take(la);
}

void local_ask_words(struct local_answers *la, const char *const *words, size_t count)
{
    aril_bytes args[WORDS_MAX];
    assert_true(count <= WORDS_MAX);
    for (size_t i = 0; i < count; i++) {
        args[i] = (aril_bytes){ (const uint8_t *)words[i], strlen(words[i]) };
    }
    local_ask_args(la, args, count);
}

void local_ask_line(struct local_answers *la, const char *line)
{
    aril_bytes args[WORDS_MAX];
    size_t count = 0;
    for (const char *at = line;; at++) {
        const size_t len = strcspn(at, " ");
        assert_true(count < WORDS_MAX);
        args[count++] = (aril_bytes){ (const uint8_t *)at, len };
        at += len;
        if (*at == '\0') {
            break;
        }
    }
    local_ask_args(la, args, count);
}

void local_expect(const struct local_answers *la, const char *answer)
{
    assert_string_equal((const char *)la->bytes, answer);
    assert_int_equal(la->len, strlen(answer));
}
