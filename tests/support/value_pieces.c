/* SPDX-License-Identifier: Apache-2.0 */
#include "value_pieces.h"
#include "check.h"
#include "crypto/runtime.h"
#include "fixture.h"
#include "provider.h"
#include <stdlib.h>
#include <string.h>

struct value_world vw;

static aril_status chosen_random(struct arili_provider *p, uint8_t *ret, size_t len)
{
    if (vw.same_nonce) {
        fill_pattern(ret, len, 77);
        return ARIL_OK;
    }
    return faulty_crypto_table(vw.counting)->ops->random(p, ret, len);
}

int value_world_setup(void **state)
{
    static struct arili_crypto_ops ops;
    static struct arili_crypto table;
    uint8_t secret[32];
    uint8_t id[32];
    if (provider_setup(state) != 0 || (vw.counting = faulty_crypto_new(provider())) == NULL) {
        return -1;
    }
    ops = *faulty_crypto_table(vw.counting)->ops;
    ops.random = chosen_random;
    table = (struct arili_crypto){ &ops, faulty_crypto_table(vw.counting)->provider };
    fill_pattern(secret, sizeof secret, 1);
    fill_pattern(id, sizeof id, 2);
    fill_pattern(vw.context, sizeof vw.context, 5);
    return arili_runtime_new_over(&table, NULL, &vw.rt) == ARIL_OK &&
                   arili_tenant_key_new(vw.rt, ARIL_KEY_DATA, text_bytes("acme"), id, secret,
                                        &vw.key) == ARIL_OK
               ? 0
               : -1;
}

int value_world_teardown(void **state)
{
    aril_tenant_key_put(vw.key);
    aril_runtime_free(vw.rt);
    const unsigned left = faulty_crypto_alive(vw.counting);
    faulty_crypto_free(vw.counting);
    return left == 0 ? provider_teardown(state) : -1;
}

/* Every lease went back: with one missing, others would have made a second context. */
int value_check_leases(void **state)
{
    (void)state;
    vw.same_nonce = false;
    struct arili_context_lease lease;
    if (arili_contexts_get(vw.rt->contexts, 0, NULL, &lease) != ARIL_OK) {
        return -1;
    }
    arili_contexts_put(vw.rt->contexts, &lease);
    return faulty_crypto_alive(vw.counting) == 1 ? 0 : -1;
}

/* --- Values ---------------------------------------------------------------------------------- */

struct stored stored_new(size_t value_len)
{
    struct stored s = { .value_len = value_len, .len = arili_value_stored_bytes(value_len) };
    s.value = malloc(value_len + 1);
    s.bytes = malloc(s.len);
    assert_true(s.value != NULL && s.bytes != NULL);
    fill_pattern(s.value, value_len, value_len);
    return s;
}

void stored_done(struct stored *s)
{
    free(s->value);
    free(s->bytes);
}

/* Sealed whole: what the openers open. */
struct stored stored_sealed(size_t value_len)
{
    struct stored s = stored_new(value_len);
    const struct arili_value_sealing how = {
        .rt = vw.rt,
        .key = vw.key,
        .context = vw.context,
        .created_ms = 1000,
        .not_after_ms = 2000,
        .generation = 7,
        .plan = arili_value_plan(value_len, 0, ARIL_CACHE_PAD_NONE, 0),
        .value = { s.value, value_len },
    };
    assert_status(arili_value_seal(&how, s.bytes), ARIL_OK);
    return s;
}

size_t cut_at(const struct cuts *cuts, size_t i, size_t left)
{
    const size_t size = cuts->sizes[i < cuts->count ? i : cuts->count - 1];
    return size < left ? size : left;
}

/* --- Opening --------------------------------------------------------------------------------- */

/* A run that failed shows nothing, and stays failed. now is what the input has become. */
static void assert_failed_run(struct arili_value_opener *o, aril_span in, const uint8_t *before,
                              const aril_span *now, const aril_span *run, bool verified,
                              aril_status st)
{
    aril_span none = in;
    aril_span run2 = { NULL, 9 };
    assert_true(now->data == in.data && now->len == in.len);
    assert_int_equal(run->len, 0);
    assert_false(verified);
    for (size_t i = 0; i < in.len; i++) {
        assert_true(in.data[i] == before[i] || in.data[i] == 0);
    }
    assert_status(arili_value_opener_run(o, &none, &run2, &verified), st);
    assert_int_equal(run2.len, 0);
    assert_false(verified);
    assert_status(arili_value_opener_done(o), st);
}

/* Open bytes, which are as many as the header says plus extra, in pieces of memory of their own. */
aril_status open_pieces(const struct arili_value_header *h, const uint8_t *bytes, size_t len,
                        const struct cuts *cuts, struct opened *ret)
{
    struct arili_value_opener o;
    ret->len = ret->believed = 0;
    ret->segments = 0;
    arili_value_opener_begin(&o, vw.rt, vw.key, bytes, h, vw.context);
    for (size_t at = HEADER, i = 0, n; at < len; at += n, i++) {
        n = cut_at(cuts, i, len - at);
        uint8_t *const own = malloc(n + GUARD);
        assert_non_null(own);
        memcpy(own, bytes + at, n);
        memset(own + n, 0xa7, GUARD);
        aril_span in = { own, n };
        do {
            const aril_span before = in;
            aril_span run = { NULL, 9 };
            bool verified = true;
            const aril_status st = arili_value_opener_run(&o, &in, &run, &verified);
            assert_true(is_filled(own + n, GUARD, 0xa7));
            if (st != ARIL_OK) {
                assert_failed_run(&o, before, bytes + at + (size_t)(before.data - own), &in, &run,
                                  verified, st);
                free(own);
                return st;
            }
            assert_ptr_equal(run.data, before.data);
            assert_true(in.len == 0 || verified);
            assert_true(before.len - in.len >= run.len && before.len - in.len <= run.len + TAG);
            memcpy(ret->out + ret->len, run.data, run.len);
            ret->len += run.len;
            ret->believed = verified ? ret->len : ret->believed;
            ret->segments += verified;
        } while (in.len > 0);
        free(own);
    }
    const aril_status st = arili_value_opener_done(&o);
    assert_status(arili_value_opener_done(&o), st); /* may be called again */
    return st;
}

aril_status open_stored(const struct stored *s, size_t len, const struct cuts *cuts,
                        struct opened *ret)
{
    struct arili_value_header h;
    assert_status(arili_value_parse((aril_bytes){ s->bytes, s->len }, &h), ARIL_OK);
    return open_pieces(&h, s->bytes, len, cuts, ret);
}

void assert_opens(const struct stored *s, const struct cuts *cuts, struct opened *o)
{
    assert_status(open_stored(s, s->len, cuts, o), ARIL_OK);
    assert_int_equal(o->len, s->value_len);
    assert_int_equal(o->believed, s->value_len);
    assert_true(o->segments == arili_value_segments(s->value_len));
    assert_memory_equal(o->out, s->value, s->value_len);
}
