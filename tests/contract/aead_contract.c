/* SPDX-License-Identifier: Apache-2.0 */
#include "aead_contract.h"
#include "check.h"
#include "provider.h"
#include <string.h>

#define AAD_BYTES 48u
#define BODY_MAX  4096u

static const struct arili_crypto *crypto;

/* One message with everything that goes in and comes out. */
struct message {
    struct arili_aead_ctx *ctx;
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    uint8_t aad[AAD_BYTES];
    size_t len;
    uint8_t plain[BODY_MAX];
    uint8_t body[BODY_MAX];
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    uint8_t opened[BODY_MAX];
};

static struct arili_aead_ctx *context_new(void)
{
    struct arili_aead_ctx *ctx = NULL;
    assert_status(crypto->ops->aead_new(crypto->provider, &ctx), ARIL_OK);
    assert_non_null(ctx);
    return ctx;
}

static aril_status seal(struct message *m)
{
    const aril_bytes span = { m->plain, m->len };
    return crypto->ops->aead_seal(m->ctx, m->nonce, (aril_bytes){ m->aad, AAD_BYTES }, &span, 1,
                                  m->body, m->tag);
}

static aril_status open_message(struct message *m)
{
    const aril_span span = { m->opened, m->len };
    return crypto->ops->aead_open(m->ctx, m->nonce, (aril_bytes){ m->aad, AAD_BYTES },
                                  (aril_bytes){ m->body, m->len }, m->tag, &span, 1);
}

static void message_init(struct message *m, size_t len)
{
    memset(m, 0, sizeof *m);
    m->len = len;
    provider_pattern(m->key, sizeof m->key, 1);
    provider_pattern(m->nonce, sizeof m->nonce, 2);
    provider_pattern(m->aad, sizeof m->aad, 3);
    provider_pattern(m->plain, len, 4);
    m->ctx = context_new();
    assert_status(crypto->ops->aead_key(m->ctx, m->key), ARIL_OK);
    assert_status(seal(m), ARIL_OK);
}

static void message_done(struct message *m)
{
    crypto->ops->aead_free(m->ctx);
}

static void every_length_opens_to_what_was_sealed(void **state)
{
    struct message m;
    (void)state;
    for (size_t len = 0; len <= 300; len++) {
        message_init(&m, len);
        assert_status(open_message(&m), ARIL_OK);
        assert_memory_equal(m.opened, m.plain, len);
        if (len >= 16) {
            assert_memory_not_equal(m.body, m.plain, len);
        }
        message_done(&m);
    }
}

/* Cuts the plaintext in three, one part maybe empty, and expects the bytes of one part. */
static void spans_give_the_same_bytes_as_one_buffer(void **state)
{
    struct message m;
    uint8_t body[BODY_MAX];
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    uint8_t parts[3][BODY_MAX];
    (void)state;
    message_init(&m, 130);
    for (size_t a = 0; a <= m.len; a += 13) {
        for (size_t b = a; b <= m.len; b += 17) {
            const aril_bytes in[] = { { m.plain, a },
                                      { m.plain + a, b - a },
                                      { m.plain + b, m.len - b } };
            const aril_span out[] = { { parts[0], m.len - b },
                                      { parts[1], b - a },
                                      { parts[2], a } };
            assert_status(crypto->ops->aead_seal(m.ctx, m.nonce, (aril_bytes){ m.aad, AAD_BYTES },
                                                 in, 3, body, tag),
                          ARIL_OK);
            assert_memory_equal(body, m.body, m.len);
            assert_memory_equal(tag, m.tag, sizeof tag);
            assert_status(crypto->ops->aead_open(m.ctx, m.nonce, (aril_bytes){ m.aad, AAD_BYTES },
                                                 (aril_bytes){ body, m.len }, tag, out, 3),
                          ARIL_OK);
            assert_memory_equal(parts[0], m.plain, m.len - b);
            assert_memory_equal(parts[1], m.plain + m.len - b, b - a);
            assert_memory_equal(parts[2], m.plain + m.len - a, a);
        }
    }
    message_done(&m);
}

static void empty_spans_may_be_null(void **state)
{
    struct message m;
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    (void)state;
    message_init(&m, 0);
    const aril_bytes aad = { m.aad, AAD_BYTES };
    const aril_bytes none = { NULL, 0 };
    const aril_bytes empty[] = { { NULL, 0 }, { NULL, 0 } };
    const aril_span out[] = { { NULL, 0 }, { NULL, 0 } };
    assert_status(crypto->ops->aead_seal(m.ctx, m.nonce, aad, NULL, 0, NULL, tag), ARIL_OK);
    assert_memory_equal(tag, m.tag, sizeof tag);
    assert_status(crypto->ops->aead_seal(m.ctx, m.nonce, aad, empty, 2, NULL, tag), ARIL_OK);
    assert_memory_equal(tag, m.tag, sizeof tag);
    assert_status(crypto->ops->aead_open(m.ctx, m.nonce, aad, none, tag, NULL, 0), ARIL_OK);
    assert_status(crypto->ops->aead_open(m.ctx, m.nonce, aad, none, tag, out, 2), ARIL_OK);
    tag[0] ^= 1;
    assert_status(crypto->ops->aead_open(m.ctx, m.nonce, aad, none, tag, NULL, 0), ARIL_E_AUTH);
    /* Nothing at all still has a tag, and one of its own. */
    assert_status(crypto->ops->aead_seal(m.ctx, m.nonce, none, NULL, 0, NULL, tag), ARIL_OK);
    assert_memory_not_equal(tag, m.tag, sizeof tag);
    assert_status(crypto->ops->aead_open(m.ctx, m.nonce, none, none, tag, NULL, 0), ARIL_OK);
    message_done(&m);
}

static void a_buffer_can_be_sealed_and_opened_in_place(void **state)
{
    struct message m;
    uint8_t buffer[1000];
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    (void)state;
    message_init(&m, sizeof buffer);
    memcpy(buffer, m.plain, sizeof buffer);
    const aril_bytes in = { buffer, sizeof buffer };
    const aril_span out = { buffer, sizeof buffer };
    const aril_bytes aad = { m.aad, AAD_BYTES };
    assert_status(crypto->ops->aead_seal(m.ctx, m.nonce, aad, &in, 1, buffer, tag), ARIL_OK);
    assert_memory_equal(buffer, m.body, sizeof buffer);
    assert_memory_equal(tag, m.tag, sizeof tag);
    assert_status(crypto->ops->aead_open(m.ctx, m.nonce, aad, in, tag, &out, 1), ARIL_OK);
    assert_memory_equal(buffer, m.plain, sizeof buffer);
    message_done(&m);
}

/* Flips each bit of [bytes, bytes + len) in turn: none may open. */
static void assert_each_bit_counts(struct message *m, uint8_t *bytes, size_t len)
{
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_status(open_message(m), ARIL_E_AUTH);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_status(open_message(m), ARIL_OK);
}

static void every_bit_of_body_tag_nonce_and_associated_data_counts(void **state)
{
    struct message m;
    (void)state;
    message_init(&m, 67);
    assert_each_bit_counts(&m, m.body, m.len);
    assert_each_bit_counts(&m, m.tag, sizeof m.tag);
    assert_each_bit_counts(&m, m.nonce, sizeof m.nonce);
    assert_each_bit_counts(&m, m.aad, sizeof m.aad);
    message_done(&m);
}

static void lengths_of_body_and_associated_data_count(void **state)
{
    struct message m;
    (void)state;
    message_init(&m, 32);
    const aril_span out = { m.opened, m.len - 1 };
    const aril_bytes aad = { m.aad, AAD_BYTES };
    const aril_bytes shorter = { m.aad, AAD_BYTES - 1 };
    const aril_span whole = { m.opened, m.len };
    assert_status(crypto->ops->aead_open(m.ctx, m.nonce, aad, (aril_bytes){ m.body, m.len - 1 },
                                         m.tag, &out, 1),
                  ARIL_E_AUTH);
    assert_status(crypto->ops->aead_open(m.ctx, m.nonce, shorter, (aril_bytes){ m.body, m.len },
                                         m.tag, &whole, 1),
                  ARIL_E_AUTH);
    message_done(&m);
}

static void spans_that_do_not_sum_up_to_the_body_are_usage_errors(void **state)
{
    struct message m;
    (void)state;
    message_init(&m, 32);
    const aril_bytes aad = { m.aad, AAD_BYTES };
    const aril_bytes body = { m.body, m.len };
    for (size_t len = 0; len <= 40; len++) {
        const aril_span out = { m.opened, len };
        const aril_status st = crypto->ops->aead_open(m.ctx, m.nonce, aad, body, m.tag, &out, 1);
        assert_status_class(st, len == m.len ? ARIL_OK : ARIL_E_USAGE);
    }
    assert_status(open_message(&m), ARIL_OK);
    message_done(&m);
}

static void a_key_replaces_the_one_before_in_both_directions(void **state)
{
    struct message m;
    uint8_t other[ARILI_AEAD_KEY_BYTES];
    uint8_t first_body[64];
    (void)state;
    message_init(&m, sizeof first_body);
    memcpy(first_body, m.body, sizeof first_body);
    for (size_t bit = 0; bit < 8 * sizeof other; bit += 37) {
        memcpy(other, m.key, sizeof other);
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_status(crypto->ops->aead_key(m.ctx, other), ARIL_OK);
        assert_status(open_message(&m), ARIL_E_AUTH);
        assert_status(crypto->ops->aead_key(m.ctx, m.key), ARIL_OK);
        assert_status(open_message(&m), ARIL_OK);
        assert_status(seal(&m), ARIL_OK);
        assert_memory_equal(m.body, first_body, sizeof first_body);
    }
    message_done(&m);
}

static void a_context_without_a_key_refuses_to_work(void **state)
{
    struct message m;
    (void)state;
    message_init(&m, 16);
    crypto->ops->aead_free(m.ctx);
    m.ctx = context_new();
    assert_status_class(seal(&m), ARIL_E_USAGE);
    assert_status_class(open_message(&m), ARIL_E_USAGE);
    message_done(&m);
}

static void a_wiped_context_needs_a_new_key(void **state)
{
    struct message m;
    (void)state;
    message_init(&m, 16);
    crypto->ops->aead_wipe(m.ctx);
    assert_status_class(seal(&m), ARIL_E_USAGE);
    assert_status_class(open_message(&m), ARIL_E_USAGE);
    crypto->ops->aead_wipe(m.ctx);
    assert_status(crypto->ops->aead_key(m.ctx, m.key), ARIL_OK);
    assert_status(open_message(&m), ARIL_OK);
    assert_status(seal(&m), ARIL_OK);
    message_done(&m);
}

static void failures_leave_the_context_usable(void **state)
{
    struct message m;
    (void)state;
    message_init(&m, 200);
    uint8_t body[200];
    memcpy(body, m.body, sizeof body);
    for (unsigned i = 0; i < 20; i++) {
        m.tag[i % 16] ^= 0x80;
        assert_status(open_message(&m), ARIL_E_AUTH);
        m.tag[i % 16] ^= 0x80;
        assert_status(open_message(&m), ARIL_OK);
        assert_memory_equal(m.opened, m.plain, m.len);
        assert_status(seal(&m), ARIL_OK);
        assert_memory_equal(m.body, body, sizeof body);
    }
    message_done(&m);
}

static void contexts_do_not_disturb_each_other(void **state)
{
    struct message a;
    struct message b;
    (void)state;
    message_init(&a, 100);
    message_init(&b, 100);
    b.key[0] ^= 1;
    assert_status(crypto->ops->aead_key(b.ctx, b.key), ARIL_OK);
    assert_status(open_message(&a), ARIL_OK);
    assert_status(open_message(&b), ARIL_E_AUTH);
    assert_status(seal(&b), ARIL_OK);
    assert_status(open_message(&a), ARIL_OK);
    assert_status(open_message(&b), ARIL_OK);
    message_done(&a);
    message_done(&b);
}

static void freeing_null_is_fine(void **state)
{
    (void)state;
    crypto->ops->aead_free(NULL);
    crypto->ops->pkey_free(NULL);
}

int aead_contract_run(const char *name, const struct arili_crypto *c)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_opens_to_what_was_sealed),
        cmocka_unit_test(spans_give_the_same_bytes_as_one_buffer),
        cmocka_unit_test(empty_spans_may_be_null),
        cmocka_unit_test(a_buffer_can_be_sealed_and_opened_in_place),
        cmocka_unit_test(every_bit_of_body_tag_nonce_and_associated_data_counts),
        cmocka_unit_test(lengths_of_body_and_associated_data_count),
        cmocka_unit_test(spans_that_do_not_sum_up_to_the_body_are_usage_errors),
        cmocka_unit_test(a_key_replaces_the_one_before_in_both_directions),
        cmocka_unit_test(a_context_without_a_key_refuses_to_work),
        cmocka_unit_test(a_wiped_context_needs_a_new_key),
        cmocka_unit_test(failures_leave_the_context_usable),
        cmocka_unit_test(contexts_do_not_disturb_each_other),
        cmocka_unit_test(freeing_null_is_fine),
    };
    crypto = c;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
