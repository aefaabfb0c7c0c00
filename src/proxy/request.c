/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/request.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include "proxy/opening.h"
#include <stddef.h>
#include <string.h>

/*
 * Memory of requests. One is large, and there is one for each command: a loop keeps some that were
 * freed, with the memory of their flows, and clears of them only what says something.
 */
#if defined(__SANITIZE_ADDRESS__)
#define KEPT_MAX 0u /* so that the sanitizer sees one that is used after its end */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEPT_MAX 0u
#endif
#endif
#ifndef KEPT_MAX
#define KEPT_MAX 256u
#endif

/* All but what is empty already. */
static void clear(struct arili_request *r)
{
    const size_t from = offsetof(struct arili_request, next);
    memset((uint8_t *)r + from, 0, offsetof(struct arili_request, value) - from);
    memset(&r->value, 0, offsetof(struct arili_opening, context));
    memset(&r->got, 0, offsetof(struct arili_got, text));
}

struct arili_request *arili_request_new(struct arili_loop *loop)
{
    struct arili_request *r = loop->requests;
    if (r != NULL) {
        loop->requests = r->next;
        loop->request_count--;
        clear(r);
    } else {
        r = arili_alloc(sizeof *r);
        if (r == NULL) {
            return NULL;
        }
        arili_flow_init(&r->out, &loop->blocks);
        arili_flow_init(&r->hold, &loop->blocks);
        arili_flow_init(&r->items, &loop->blocks);
        arili_flow_init(&r->mine, &loop->blocks);
    }
    r->loop = loop;
    r->began_ns = loop->now_ns;
    return r;
}

void arili_bad_free(struct arili_bad *bad)
{
    while (bad != NULL) {
        struct arili_bad *next = bad->next;
        arili_free(bad, sizeof *bad + bad->key_len + bad->field_len);
        bad = next;
    }
}

/* What it refers to, and what it says of the client's data. */
static void release(struct arili_loop *loop, struct arili_request *r)
{
    arili_opening_done(r);
    atomic_fetch_sub_explicit(&loop->proxy->budget.used, r->counted, memory_order_relaxed);
    arili_block_drop(&loop->blocks, r->waiting);
    arili_free(r->sent, r->sent_len);
    arili_tenant_keys_drop(r->keys);
    arili_settings_drop(r->settings);
    if (r->key == r->key_room) {
        arili_wipe(r->key_room, r->key_len);
    } else {
        arili_free(r->key, r->key_len);
    }
    arili_free(r->place, sizeof *r->place);
    if (r->asked != &r->asked_one) {
        arili_free(r->asked, r->asked_count * sizeof *r->asked);
    }
    arili_free(r->room, r->room_len);
    arili_free(r->gather, r->gather_cap);
    arili_free(r->field, r->field_cap);
    arili_bad_free(r->bad);
    if (r->sum != NULL && --r->sum->refs == 0) {
        arili_free(r->sum, sizeof *r->sum);
    }
    arili_wipe(r->got.text, r->got.len);
}

static void forget(struct arili_request *r)
{
    arili_flow_done(&r->out);
    arili_flow_done(&r->hold);
    arili_flow_done(&r->items);
    arili_flow_done(&r->mine);
    arili_free(r, sizeof *r);
}

void arili_request_free(struct arili_loop *loop, struct arili_request *r)
{
    if (r == NULL) {
        return;
    }
    struct arili_request *inner = r->transaction;
    while (inner != NULL) {
        struct arili_request *next = inner->next;
        arili_request_free(loop, inner);
        inner = next;
    }
    release(loop, r);
    if (loop->request_count + 1 > KEPT_MAX) { /* KEPT_MAX may be 0 */
        forget(r);
        return;
    }
    arili_flow_clear(&r->out);
    arili_flow_clear(&r->hold);
    arili_flow_clear(&r->items);
    arili_flow_clear(&r->mine);
    r->next = loop->requests;
    loop->requests = r;
    loop->request_count++;
}

void arili_requests_done(struct arili_loop *loop)
{
    while (loop->requests != NULL) {
        struct arili_request *r = loop->requests;
        loop->requests = r->next;
        forget(r);
    }
    loop->request_count = 0;
}

void arili_request_count(struct arili_request *r, size_t bytes)
{
    r->counted += bytes;
    atomic_fetch_add_explicit(&r->loop->proxy->budget.used, bytes, memory_order_relaxed);
}

aril_status arili_request_keep_key(struct arili_request *r, aril_bytes key)
{
    if (key.len > 0 && key.len <= sizeof r->key_room) {
        r->key = r->key_room;
        r->key_len = key.len;
        memcpy(r->key, key.data, key.len);
        return ARIL_OK;
    }
    r->key = arili_alloc(key.len > 0 ? key.len : 1);
    ARILI_ENSURE(r->key != NULL, ARIL_E_NOMEM);
    r->key_len = key.len > 0 ? key.len : 1;
    memcpy(r->key, key.data, key.len);
    return ARIL_OK;
}

aril_status arili_request_keep_room(struct arili_request *r, size_t n)
{
    r->room = arili_alloc(n > 0 ? n : 1);
    ARILI_ENSURE(r->room != NULL, ARIL_E_NOMEM);
    r->room_len = n > 0 ? n : 1;
    return ARIL_OK;
}
