/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_sealed.h"
#include "check.h"
#include "proxy/loop_internal.h"
#include <stdio.h>
#include <string.h>

static void keep(aril_bytes bytes, struct sealed *ret)
{
    assert_true(bytes.len <= sizeof ret->bytes);
    memcpy(ret->bytes, bytes.data, bytes.len);
    ret->len = bytes.len;
}

void client_asks(struct proxy_peer *c, const char *const *words, size_t count)
{
    char line[32];
    int n = snprintf(line, sizeof line, "*%zu\r\n", count);
    proxy_say(c, (aril_bytes){ (const uint8_t *)line, (size_t)n });
    for (size_t i = 0; i < count; i++) {
        n = snprintf(line, sizeof line, "$%zu\r\n", strlen(words[i]));
        proxy_say(c, (aril_bytes){ (const uint8_t *)line, (size_t)n });
        proxy_say(c, text_bytes(words[i]));
        proxy_say(c, TEXT("\r\n"));
    }
}

void sealed_set(struct proxy_peer *c, size_t n, const char *key, const char *value,
                struct sealed *ret)
{
    aril_bytes args[8];
    ASKS(c, "SET", key, value);
    struct proxy_peer *s = proxy_link(c->all, n);
    assert_true(proxy_command_is(s, "SET", args, COUNT(args)) >= 3);
    keep(args[2], ret);
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
}

void sealed_hset(struct proxy_peer *c, size_t n, const char *key, const char *field,
                 const char *value, struct sealed *ret_field, struct sealed *ret_value)
{
    aril_bytes args[8];
    ASKS(c, "HSET", key, field, value);
    struct proxy_peer *s = proxy_link(c->all, n);
    assert_int_equal(proxy_command_is(s, "HSET", args, COUNT(args)), 4);
    keep(args[2], ret_field);
    keep(args[3], ret_value);
    proxy_say(s, TEXT(":1\r\n"));
    proxy_heard_is(c, ":1\r\n");
}

void sealed_say(struct proxy_peer *link, const struct sealed *s)
{
    char line[32];
    const int n = snprintf(line, sizeof line, "$%zu\r\n", s->len);
    proxy_say(link, (aril_bytes){ (const uint8_t *)line, (size_t)n });
    proxy_say(link, (aril_bytes){ s->bytes, s->len });
    proxy_say(link, TEXT("\r\n"));
}

uint64_t sealed_tampered(const struct proxy_peers *p)
{
    uint64_t n = 0;
    for (struct arili_tenant *t = p->proxy->tenants; t != NULL; t = t->next) {
        n += arili_figure(&t->figures.tampered);
    }
    return n;
}

uint64_t sealed_removed(const struct proxy_peers *p)
{
    uint64_t n = 0;
    for (struct arili_tenant *t = p->proxy->tenants; t != NULL; t = t->next) {
        n += arili_figure(&t->figures.removed) + arili_figure(&t->figures.quarantined);
    }
    return n;
}

aril_bytes sealed_head(const struct sealed *v)
{
    return (aril_bytes){ v->bytes,
                         v->len < ARILI_VALUE_HEADER_BYTES ? v->len : ARILI_VALUE_HEADER_BYTES };
}

void sealed_removal(struct proxy_peers *p, size_t n, const char *verb, aril_bytes head)
{
    aril_bytes args[8];
    char line[32];
    struct proxy_peer *s = proxy_link(p, n);
    (void)proxy_command_is(s, "WATCH", args, COUNT(args));
    (void)proxy_command_is(s, "GETRANGE", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n"));
    const int len = snprintf(line, sizeof line, "$%zu\r\n", head.len);
    proxy_say(s, (aril_bytes){ (const uint8_t *)line, (size_t)len });
    proxy_say(s, head);
    proxy_say(s, TEXT("\r\n"));
    if (verb == NULL) {
        size_t count = 0;
        assert_false(proxy_command(s, args, COUNT(args), &count));
        return;
    }
    (void)proxy_command_is(s, "MULTI", args, COUNT(args));
    (void)proxy_command_is(s, verb, args, COUNT(args));
    (void)proxy_command_is(s, "EXEC", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"));
}

struct heard heard_answers(struct proxy_peer *c, size_t count, bool resp3)
{
    const struct arili_resp_limits limits = { .bulk_max = 1 << 20,
                                              .count_max = 1 << 20,
                                              .resp3 = resp3 };
    struct arili_resp_decoder d;
    struct arili_resp_event e;
    struct heard ret = { ARILI_RESP_MORE, { NULL, 0 } };
    const aril_bytes heard = proxy_heard(c);
    aril_bytes in = heard;
    size_t ended = 0;
    arili_resp_decoder_init(&d, &limits);
    do {
        if (arili_resp_next(&d, &in, &e) != ARIL_OK) {
            fail_msg("no RESP%d: %.*s", resp3 ? 3 : 2, (int)heard.len, (const char *)heard.data);
        }
        if (ended == 0 && ret.kind == ARILI_RESP_MORE) {
            ret.kind = e.kind;
            ret.text = e.text;
        } else if (ended == 0 && e.kind == ARILI_RESP_BODY && e.depth == 0 && e.text.len > 0) {
            ret.text = e.text;
        }
        ended += e.kind == ARILI_RESP_END;
    } while (e.kind != ARILI_RESP_MORE);
    if (ended != count || !arili_resp_is_idle(&d)) {
        fail_msg("%zu answers, not %zu: %.*s", ended, count, (int)heard.len,
                 (const char *)heard.data);
    }
    return ret;
}
