/* SPDX-License-Identifier: Apache-2.0 */
#include "format/handshake.h"
#include "base/bytes.h"
#include "fixture.h"
#include <stdlib.h>
#include <string.h>

enum { OFFER = 1, ACCEPT = 2, CONFIRM = 3 };
#define ROOM 70000u

/* --- Messages by hand, from the format document ------------------------------------- */

struct message {
    uint8_t bytes[ROOM];
    size_t len;
};

static void put(struct message *m, const void *data, size_t len)
{
    assert_true(len <= ROOM - m->len);
    if (len > 0) {
        memcpy(m->bytes + m->len, data, len);
    }
    m->len += len;
}

static void put_number(struct message *m, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0;) {
        const uint8_t b = (uint8_t)(value >> (8 * i));
        put(m, &b, 1);
    }
}

static void put_vector(struct message *m, size_t len, uint64_t seed)
{
    uint8_t bytes[ROOM];
    fill_pattern(bytes, len, seed);
    put_number(m, len, 2);
    put(m, bytes, len);
}

static void put_head(struct message *m, uint8_t type, uint8_t profile, uint8_t flags)
{
    m->len = 0;
    put(m, "aril", 4);
    put_number(m, type, 1);
    put_number(m, 1, 1);
    put_number(m, profile, 1);
    put_number(m, flags, 1);
}

static void put_offer_start(struct message *m, uint8_t flags)
{
    uint8_t nonce[32];
    fill_pattern(nonce, sizeof nonce, 1);
    put_head(m, OFFER, 1, flags);
    put(m, nonce, sizeof nonce);
}

static void make_offer(struct message *m, bool is_signed)
{
    put_offer_start(m, is_signed);
    put_number(m, 6, 2);
    put(m, "tenant", 6);
    put_vector(m, 40, 2);
    if (is_signed) {
        put_vector(m, 20, 3);
        put_vector(m, 30, 4);
    }
}

static void make_accept(struct message *m)
{
    uint8_t id[16];
    fill_pattern(id, sizeof id, 5);
    put_head(m, ACCEPT, 3, 0);
    put(m, id, sizeof id);
    put_number(m, UINT64_C(0x0102030405060708), 8); /* tenant tag */
    put_number(m, UINT64_C(0x1112131415161718), 8); /* created */
    put_number(m, 100000, 8);
    put_number(m, UINT64_C(1) << 38, 8);
    put_number(m, 300, 4);
    put_number(m, 900, 4);
    put_number(m, 16, 4);
    put_vector(m, 20, 6);
    put_vector(m, 40, 7);
    put_vector(m, 32, 8);
    put_vector(m, 30, 9);
}

static void make_confirm(struct message *m)
{
    uint8_t id[16];
    fill_pattern(id, sizeof id, 5);
    put_head(m, CONFIRM, 2, 0);
    put(m, id, sizeof id);
    put_vector(m, 32, 10);
}

/* --- One parser and writer behind another ------------------------------------------- */

/* Parses a copy in memory of its exact size, so that the sanitizer sees each read past the
 * end. When it parses, writing gives the same bytes; when not, the output is untouched. */
static aril_status parse(unsigned type, const uint8_t *bytes, size_t len)
{
    union {
        struct arili_offer offer;
        struct arili_accept accept;
        struct arili_confirm confirm;
    } m;
    static uint8_t again[ROOM];
    size_t again_len = 0;
    aril_status st;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    const aril_bytes in = { copy, len };
    memset(&m, 0x5c, sizeof m);
    if (type == OFFER) {
        st = arili_offer_parse(in, &m.offer);
    } else if (type == ACCEPT) {
        st = arili_accept_parse(in, &m.accept);
    } else {
        st = arili_confirm_parse(in, &m.confirm);
    }
    if (st != ARIL_OK) {
        assert_status_class(st, ARIL_E_FORMAT);
        assert_true(is_filled(&m, sizeof m, 0x5c));
        free(copy);
        return st;
    }
    if (type == OFFER) {
        assert_status(arili_offer_write(&m.offer, again, sizeof again, &again_len), ARIL_OK);
    } else if (type == ACCEPT) {
        assert_status(arili_accept_write(&m.accept, again, sizeof again, &again_len), ARIL_OK);
    } else {
        assert_status(arili_confirm_write(&m.confirm, again, sizeof again, &again_len), ARIL_OK);
    }
    assert_int_equal(again_len, len);
    assert_memory_equal(again, copy, len);
    free(copy);
    return ARIL_OK;
}

#define MESSAGES 4u
static unsigned make(unsigned n, struct message *m)
{
    switch (n) {
    case 0:
        make_offer(m, false);
        return OFFER;
    case 1:
        make_offer(m, true);
        return OFFER;
    case 2:
        make_accept(m);
        return ACCEPT;
    default:
        make_confirm(m);
        return CONFIRM;
    }
}

/* --- All messages ----------------------------------------------------------------- */

static void the_documented_bytes_are_read_and_written(void **state)
{
    (void)state;
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        assert_status(parse(type, m.bytes, m.len), ARIL_OK);
    }
}

static void every_truncation_is_refused_as_truncated(void **state)
{
    (void)state;
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        for (size_t len = 0; len < m.len; len++) {
            assert_status(parse(type, m.bytes, len), ARIL_E_FORMAT_TRUNCATED);
        }
    }
}

static void every_appended_byte_is_refused(void **state)
{
    (void)state;
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        for (size_t more = 1; more < 70; more++) {
            put_number(&m, 0, 1);
            assert_status(parse(type, m.bytes, m.len), ARIL_E_FORMAT_LENGTH);
        }
    }
}

/* Every value of every byte; parse() demands canonical bytes where it is read. */
static void every_changed_byte_is_refused_or_canonical(void **state)
{
    (void)state;
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        size_t read = 0;
        for (size_t at = 0; at < m.len; at++) {
            for (unsigned x = 1; x < 256; x++) {
                m.bytes[at] ^= (uint8_t)x;
                read += parse(type, m.bytes, m.len) == ARIL_OK;
                m.bytes[at] ^= (uint8_t)x;
            }
        }
        assert_true(read > 0);
    }
}

static void every_wrong_magic_and_type_is_another_kind(void **state)
{
    (void)state;
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        for (size_t at = 0; at < 5; at++) {
            for (unsigned x = 1; x < 256; x++) {
                m.bytes[at] ^= (uint8_t)x;
                assert_status(parse(type, m.bytes, m.len), ARIL_E_FORMAT_KIND);
                m.bytes[at] ^= (uint8_t)x;
            }
        }
        for (unsigned other = OFFER; other <= CONFIRM; other++) {
            if (other != type) {
                assert_status(parse(other, m.bytes, m.len), ARIL_E_FORMAT_KIND);
            }
        }
    }
}

static void every_other_version_is_refused(void **state)
{
    (void)state;
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        for (unsigned v = 0; v < 256; v++) {
            m.bytes[5] = (uint8_t)v;
            assert_status(parse(type, m.bytes, m.len), v == 1 ? ARIL_OK : ARIL_E_FORMAT_VERSION);
        }
    }
}

static void three_profiles_are_known(void **state)
{
    (void)state;
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        for (unsigned v = 0; v < 256; v++) {
            m.bytes[6] = (uint8_t)v;
            assert_status(parse(type, m.bytes, m.len),
                          v >= 1 && v <= 3 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        }
    }
}

static void unknown_flags_are_refused(void **state)
{
    (void)state;
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        const unsigned own = m.bytes[7];
        for (unsigned v = 0; v < 256; v++) {
            m.bytes[7] = (uint8_t)v;
            const aril_status st = parse(type, m.bytes, m.len);
            if (v == own) {
                assert_status(st, ARIL_OK);
            } else if (type == OFFER && v == 1) {
                assert_status(st, ARIL_E_FORMAT_TRUNCATED); /* no signature follows */
            } else if (type == OFFER && v == 0) {
                assert_status(st, ARIL_E_FORMAT_LENGTH); /* one follows */
            } else {
                assert_status(st, ARIL_E_FORMAT_FIELD);
            }
        }
    }
}

static void a_length_that_reaches_past_the_end_is_refused(void **state)
{
    (void)state;
    static const size_t last_vector[MESSAGES] = { 40, 30, 30, 32 };
    static const uint16_t lies[] = { 41, 255, 256, 0x7fff, 0x8000, 0xfffe, 0xffff };
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        for (size_t i = 0; i < COUNT(lies); i++) {
            arili_store16(m.bytes + m.len - last_vector[n] - 2, lies[i]);
            assert_status(parse(type, m.bytes, m.len), ARIL_E_FORMAT_TRUNCATED);
        }
        arili_store16(m.bytes + m.len - last_vector[n] - 2, (uint16_t)(last_vector[n] - 1));
        assert_status(parse(type, m.bytes, m.len), ARIL_E_FORMAT_LENGTH);
        arili_store16(m.bytes + m.len - last_vector[n] - 2, 0);
        assert_status(parse(type, m.bytes, m.len), ARIL_E_FORMAT_LENGTH);
    }
}

static void a_message_may_be_12288_bytes_long(void **state)
{
    (void)state;
    static const size_t last_vector[MESSAGES] = { 40, 30, 30, 32 };
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        const unsigned type = make(n, &m);
        const size_t start = m.len - last_vector[n] - 2;
        m.len = start;
        put_vector(&m, ARIL_HANDSHAKE_BYTES_MAX - start - 2, 1);
        assert_int_equal(m.len, 12288);
        assert_status(parse(type, m.bytes, m.len), ARIL_OK);
        m.len = start;
        put_vector(&m, ARIL_HANDSHAKE_BYTES_MAX - start - 1, 1);
        assert_status(parse(type, m.bytes, m.len), ARIL_E_FORMAT_LENGTH);
        m.len = start;
        put_vector(&m, UINT16_MAX, 1);
        assert_status(parse(type, m.bytes, m.len), ARIL_E_FORMAT_LENGTH);
    }
}

static void empty_vectors_are_the_callers_affair(void **state)
{
    (void)state;
    struct message m;
    put_offer_start(&m, 1);
    put_vector(&m, 1, 0); /* only the tenant id may not be empty */
    put_number(&m, 0, 2);
    put_number(&m, 0, 2);
    put_number(&m, 0, 2);
    assert_status(parse(OFFER, m.bytes, m.len), ARIL_OK);
    put_head(&m, CONFIRM, 1, 0);
    put_vector(&m, 14, 3); /* 16 bytes, whatever they mean */
    put_number(&m, 0, 2);
    assert_status(parse(CONFIRM, m.bytes, m.len), ARIL_OK);
}

static void no_message_at_all_is_truncated(void **state)
{
    (void)state;
    struct arili_offer offer;
    struct arili_accept accept;
    struct arili_confirm confirm;
    const aril_bytes nothing = { NULL, 0 };
    assert_status(arili_offer_parse(nothing, &offer), ARIL_E_FORMAT_TRUNCATED);
    assert_status(arili_accept_parse(nothing, &accept), ARIL_E_FORMAT_TRUNCATED);
    assert_status(arili_confirm_parse(nothing, &confirm), ARIL_E_FORMAT_TRUNCATED);
}

/* --- Fields ----------------------------------------------------------------------- */

static aril_status parse_with_tenant(const uint8_t *id, size_t len)
{
    struct message m;
    put_offer_start(&m, 0);
    put_number(&m, len, 2);
    put(&m, id, len);
    put_vector(&m, 40, 2);
    return parse(OFFER, m.bytes, m.len);
}

static void a_tenant_id_is_1_to_255_bytes(void **state)
{
    (void)state;
    uint8_t id[300];
    memset(id, 0xff, sizeof id);
    for (size_t len = 0; len <= sizeof id; len++) {
        assert_status(parse_with_tenant(id, len),
                      len >= 1 && len <= 255 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
}

static void a_tenant_id_has_no_nul_anywhere(void **state)
{
    (void)state;
    uint8_t id[255];
    for (size_t at = 0; at < sizeof id; at++) {
        memset(id, 'x', sizeof id);
        id[at] = 0;
        assert_status(parse_with_tenant(id, sizeof id), ARIL_E_FORMAT_FIELD);
    }
    for (unsigned v = 1; v < 256; v++) { /* every other byte is allowed */
        id[0] = (uint8_t)v;
        assert_status(parse_with_tenant(id, 1), ARIL_OK);
    }
}

static void swapped_fields_of_an_offer_are_refused(void **state)
{
    (void)state;
    struct message m;
    put_offer_start(&m, 0);
    put_vector(&m, 1184, 2); /* a key where the tenant id belongs */
    put_number(&m, 6, 2);
    put(&m, "tenant", 6);
    assert_status(parse(OFFER, m.bytes, m.len), ARIL_E_FORMAT_FIELD);
}

static void an_offer_gives_its_fields(void **state)
{
    (void)state;
    for (int is_signed = 0; is_signed <= 1; is_signed++) {
        struct message m;
        struct arili_offer offer;
        make_offer(&m, is_signed != 0);
        assert_status(arili_offer_parse((aril_bytes){ m.bytes, m.len }, &offer), ARIL_OK);
        assert_int_equal(offer.profile, ARIL_PROFILE_HYBRID);
        assert_int_equal(offer.is_signed, is_signed);
        assert_true(is_pattern(offer.nonce, sizeof offer.nonce, 1));
        assert_int_equal(offer.tenant_id.len, 6);
        assert_memory_equal(offer.tenant_id.data, "tenant", 6);
        assert_int_equal(offer.kem_public.len, 40);
        assert_true(is_pattern(offer.kem_public.data, 40, 2));
        assert_int_equal(offer.sign_public.len, is_signed ? 20 : 0);
        assert_true(is_pattern(offer.sign_public.data, offer.sign_public.len, 3));
        assert_int_equal(offer.signature.len, is_signed ? 30 : 0);
        assert_true(is_pattern(offer.signature.data, offer.signature.len, 4));
        if (is_signed) { /* all but the signature and its length */
            assert_ptr_equal(offer.to_be_signed.data, m.bytes);
            assert_int_equal(offer.to_be_signed.len, m.len - 32);
        }
    }
}

static void an_accept_gives_its_fields(void **state)
{
    (void)state;
    struct message m;
    struct arili_accept accept;
    make_accept(&m);
    assert_status(arili_accept_parse((aril_bytes){ m.bytes, m.len }, &accept), ARIL_OK);
    assert_int_equal(accept.profile, ARIL_PROFILE_STRICT);
    assert_true(is_pattern(accept.session_id, sizeof accept.session_id, 5));
    assert_int_equal(accept.tenant_tag, UINT64_C(0x0102030405060708));
    assert_int_equal(accept.created_unix_s, UINT64_C(0x1112131415161718));
    assert_int_equal(accept.policy.rotate_records, 100000);
    assert_int_equal(accept.policy.rotate_bytes, UINT64_C(1) << 38);
    assert_int_equal(accept.policy.rotate_after_s, 300);
    assert_int_equal(accept.policy.ttl_s, 900);
    assert_int_equal(accept.policy.readable_epochs, 16);
    assert_int_equal(accept.sign_public.len, 20);
    assert_true(is_pattern(accept.sign_public.data, 20, 6));
    assert_int_equal(accept.enc.len, 40);
    assert_true(is_pattern(accept.enc.data, 40, 7));
    assert_int_equal(accept.mac.len, 32);
    assert_true(is_pattern(accept.mac.data, 32, 8));
    assert_int_equal(accept.signature.len, 30);
    assert_true(is_pattern(accept.signature.data, 30, 9));
    assert_ptr_equal(accept.core.data, m.bytes); /* up to the MAC */
    assert_int_equal(accept.core.len, m.len - 32 - 34);
}

static void numbers_of_an_accept_take_every_value(void **state)
{
    (void)state;
    struct message m;
    for (size_t at = 24; at < 68; at++) { /* judged by the caller, not by the format */
        make_accept(&m);
        m.bytes[at] = 0;
        assert_status(parse(ACCEPT, m.bytes, m.len), ARIL_OK);
        m.bytes[at] = 0xff;
        assert_status(parse(ACCEPT, m.bytes, m.len), ARIL_OK);
    }
}

static void a_confirm_gives_its_fields(void **state)
{
    (void)state;
    struct message m;
    struct arili_confirm confirm;
    make_confirm(&m);
    assert_status(arili_confirm_parse((aril_bytes){ m.bytes, m.len }, &confirm), ARIL_OK);
    assert_int_equal(confirm.profile, ARIL_PROFILE_ML_KEM_768);
    assert_true(is_pattern(confirm.session_id, sizeof confirm.session_id, 5));
    assert_int_equal(confirm.mac.len, 32);
    assert_true(is_pattern(confirm.mac.data, 32, 10));
}

/* --- Writers ---------------------------------------------------------------------- */

typedef aril_status write_fn(unsigned n, uint8_t *ret, size_t cap, size_t *ret_len);

static aril_status write_message(unsigned n, uint8_t *ret, size_t cap, size_t *ret_len)
{
    struct message m;
    const unsigned type = make(n, &m);
    const aril_bytes in = { m.bytes, m.len };
    if (type == OFFER) {
        struct arili_offer offer;
        assert_status(arili_offer_parse(in, &offer), ARIL_OK);
        return arili_offer_write(&offer, ret, cap, ret_len);
    }
    if (type == ACCEPT) {
        struct arili_accept accept;
        assert_status(arili_accept_parse(in, &accept), ARIL_OK);
        return arili_accept_write(&accept, ret, cap, ret_len);
    }
    struct arili_confirm confirm;
    assert_status(arili_confirm_parse(in, &confirm), ARIL_OK);
    return arili_confirm_write(&confirm, ret, cap, ret_len);
}

static aril_status write_core(unsigned n, uint8_t *ret, size_t cap, size_t *ret_len)
{
    struct message m;
    const unsigned type = make(n, &m);
    const aril_bytes in = { m.bytes, m.len };
    if (type == OFFER) {
        struct arili_offer offer;
        assert_status(arili_offer_parse(in, &offer), ARIL_OK);
        return arili_offer_write_core(&offer, ret, cap, ret_len);
    }
    struct arili_accept accept;
    assert_status(arili_accept_parse(in, &accept), ARIL_OK);
    return arili_accept_write_core(&accept, ret, cap, ret_len);
}

static void fits_only_with_room(write_fn *write, unsigned n, size_t need)
{
    struct guarded g;
    for (size_t cap = 0; cap <= need; cap++) {
        size_t len = 12345;
        guarded_init(&g, cap);
        const aril_status st = write(n, g.data, cap, &len);
        assert_status(st, cap < need ? ARIL_E_USAGE_TOO_SMALL : ARIL_OK);
        assert_int_equal(len, cap < need ? 12345 : need);
        guarded_check(&g);
        guarded_done(&g);
    }
}

static void a_writer_never_passes_the_end_of_its_buffer(void **state)
{
    (void)state;
    for (unsigned n = 0; n < MESSAGES; n++) {
        struct message m;
        (void)make(n, &m);
        fits_only_with_room(write_message, n, m.len);
    }
}

static void the_core_is_what_comes_before_the_signature(void **state)
{
    (void)state;
    static const size_t left_out[] = { 0, 32, 34 + 32 }; /* offers, accept with its MAC */
    for (unsigned n = 0; n < 3; n++) {
        struct message m;
        uint8_t core[ARIL_HANDSHAKE_BYTES_MAX];
        size_t len;
        (void)make(n, &m);
        assert_status(write_core(n, core, sizeof core, &len), ARIL_OK);
        assert_int_equal(len, m.len - left_out[n]);
        assert_memory_equal(core, m.bytes, len);
        fits_only_with_room(write_core, n, len);
    }
}

static void a_field_of_65536_bytes_cannot_be_written(void **state)
{
    (void)state;
    static uint8_t field[UINT16_MAX + 1u], out[4 * sizeof field];
    size_t len = 12345;
    struct arili_confirm confirm = { .profile = ARIL_PROFILE_HYBRID, .mac = { field, UINT16_MAX } };
    assert_status(arili_confirm_write(&confirm, out, sizeof out, &len), ARIL_OK);
    assert_int_equal(len, 8 + 16 + 2 + UINT16_MAX);
    confirm.mac.len++;
    len = 12345;
    assert_status(arili_confirm_write(&confirm, out, sizeof out, &len), ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(len, 12345);
    struct arili_offer offer = { .profile = ARIL_PROFILE_HYBRID,
                                 .tenant_id = TEXT("t"),
                                 .kem_public = { field, sizeof field } };
    assert_status(arili_offer_write(&offer, out, sizeof out, &len), ARIL_E_USAGE_TOO_SMALL);
    struct arili_accept accept = { .profile = ARIL_PROFILE_HYBRID, .enc = { field, sizeof field } };
    assert_status(arili_accept_write(&accept, out, sizeof out, &len), ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(len, 12345);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_bytes_are_read_and_written),
        cmocka_unit_test(every_truncation_is_refused_as_truncated),
        cmocka_unit_test(every_appended_byte_is_refused),
        cmocka_unit_test(every_changed_byte_is_refused_or_canonical),
        cmocka_unit_test(every_wrong_magic_and_type_is_another_kind),
        cmocka_unit_test(every_other_version_is_refused),
        cmocka_unit_test(three_profiles_are_known),
        cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(a_length_that_reaches_past_the_end_is_refused),
        cmocka_unit_test(a_message_may_be_12288_bytes_long),
        cmocka_unit_test(empty_vectors_are_the_callers_affair),
        cmocka_unit_test(no_message_at_all_is_truncated),
        cmocka_unit_test(a_tenant_id_is_1_to_255_bytes),
        cmocka_unit_test(a_tenant_id_has_no_nul_anywhere),
        cmocka_unit_test(swapped_fields_of_an_offer_are_refused),
        cmocka_unit_test(an_offer_gives_its_fields),
        cmocka_unit_test(an_accept_gives_its_fields),
        cmocka_unit_test(numbers_of_an_accept_take_every_value),
        cmocka_unit_test(a_confirm_gives_its_fields),
        cmocka_unit_test(a_writer_never_passes_the_end_of_its_buffer),
        cmocka_unit_test(the_core_is_what_comes_before_the_signature),
        cmocka_unit_test(a_field_of_65536_bytes_cannot_be_written),
    };
    return cmocka_run_group_tests_name("handshake format", tests, NULL, NULL);
}
