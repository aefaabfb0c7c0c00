/* SPDX-License-Identifier: Apache-2.0 */
#include "format/fleet.h"
#include "codec_checks.h"
#include <string.h>

static const enum codec codecs[] = { CODEC_CARD, CODEC_RECEIPT, CODEC_RECOVERY_KEY,
                                     CODEC_RECOVERY_RECIPIENT };

typedef void sweep_fn(enum codec first, enum codec last);

static void sweep(sweep_fn *fn)
{
    for (size_t i = 0; i < COUNT(codecs); i++) {
        fn(codecs[i], codecs[i]);
    }
}

static void messages_are_read_and_written(void **state)
{
    (void)state;
    sweep(samples_are_read_and_written);
}

static void every_truncation_is_refused_as_truncated(void **state)
{
    (void)state;
    sweep(every_truncation_is_truncated);
}

static void every_appended_byte_is_refused(void **state)
{
    (void)state;
    sweep(every_appended_byte_is_too_long);
}

static void every_changed_byte_has_its_own_meaning_or_none(void **state)
{
    (void)state;
    sweep(every_changed_byte_is_refused_or_canonical);
}

static void a_writer_never_passes_the_end_of_its_buffer(void **state)
{
    (void)state;
    sweep(writers_stay_in_their_buffers);
}

/* --- The first 8 bytes ------------------------------------------------------------------- */

static void the_start_of_a_message_is_checked_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sample s;
        sample_find(codecs[i], "hybrid", &s);
        for (unsigned v = 0; v < 256; v++) {
            for (size_t at = 0; at < 5; at++) {
                assert_status(with_number(&s, at, 1, v),
                              v == s.bytes[at] ? ARIL_OK : ARIL_E_FORMAT_KIND);
            }
            assert_status(with_number(&s, 5, 1, v), v == 1 ? ARIL_OK : ARIL_E_FORMAT_VERSION);
            /* Lengths are those of one profile. */
            assert_status(with_number(&s, 6, 1, v), v == 1 || (v == 2 && s.codec == CODEC_RECEIPT)
                                                        ? ARIL_OK
                                                        : ARIL_E_FORMAT_FIELD);
            assert_status(with_number(&s, 7, 1, v), v == 0 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        }
    }
}

static void one_message_is_not_another(void **state)
{
    (void)state;
    static const enum codec messages[] = { CODEC_CARD, CODEC_RECEIPT, CODEC_BUNDLE };
    struct sample s;
    for (unsigned n = 0; sample_make(n, &s); n++) {
        for (size_t i = 0; i < COUNT(messages); i++) {
            if (s.codec >= CODEC_CARD && s.codec <= CODEC_RECEIPT && s.codec != messages[i]) {
                assert_status(codec_status(messages[i], s.bytes, s.len), ARIL_E_FORMAT_KIND);
            }
        }
    }
}

/* --- Card ------------------------------------------------------------------------------ */

#define NAME_AT 16u

static void a_card_gives_its_fields(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_CARD, "strict", &s);
    const struct arili_card c = sample_value(&s).card;
    assert_int_equal(c.profile, ARIL_PROFILE_STRICT);
    assert_int_equal(c.created_s, 1750000000);
    assert_int_equal(c.name.len, 14);
    assert_memory_equal(c.name.data, "node-1.example", 14);
    assert_int_equal(c.did.len, 74);
    assert_memory_equal(c.did.data, "did:pqaid:0011", 14);
    assert_int_equal(c.kem_public.len, 1568);
    assert_true(is_pattern(c.kem_public.data, 1568, 20));
    assert_int_equal(c.sign_public.len, 2592);
    assert_true(is_pattern(c.sign_public.data, 2592, 21));
    assert_int_equal(c.signature.len, 4627);
    assert_true(is_pattern(c.signature.data, 4627, 22));
    assert_ptr_equal(c.signed_part.data, s.bytes);
    assert_int_equal(c.signed_part.len, s.len - 2 - 4627);
}

static void a_card_has_the_lengths_of_its_profile(void **state)
{
    (void)state;
    static const char *const names[] = { "hybrid", "mlkem768", "strict" };
    for (size_t i = 0; i < COUNT(names); i++) {
        struct sample s;
        sample_find(CODEC_CARD, names[i], &s);
        const union codec_value good = sample_value(&s);
        size_t at = behind_vector(&s, behind_vector(&s, NAME_AT));
        const size_t lens[] = { good.card.kem_public.len, good.card.sign_public.len,
                                good.card.signature.len };
        for (size_t k = 0; k < COUNT(lens); k++) {
            assert_status(with_vector_length(&s, at, lens[k]), ARIL_OK);
            assert_status(with_vector_length(&s, at, lens[k] - 1), ARIL_E_FORMAT_FIELD);
            assert_status(with_vector_length(&s, at, lens[k] + 1), ARIL_E_FORMAT_FIELD);
            assert_status(with_vector_length(&s, at, 0), ARIL_E_FORMAT_FIELD);
            at = behind_vector(&s, at);
        }
        union codec_value v = good;
        v.card.kem_public.len--;
        assert_not_written(CODEC_CARD, &v);
        v = good;
        v.card.sign_public.len--;
        assert_not_written(CODEC_CARD, &v);
        v = good;
        v.card.signature.len--;
        assert_not_written(CODEC_CARD, &v);
        v = good;
        v.card.profile = (aril_profile)4;
        assert_not_written(CODEC_CARD, &v);
    }
}

static void the_name_on_a_card_is_printable_without_spaces(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_CARD, "hybrid", &s);
    for (size_t len = 0; len <= 70; len++) {
        assert_status(with_vector_length(&s, NAME_AT, len),
                      len >= 1 && len <= 63 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    for (unsigned v = 0; v < 256; v++) {
        assert_status(with_number(&s, NAME_AT + 5, 1, v),
                      v >= 0x21 && v <= 0x7e ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    union codec_value v = sample_value(&s);
    v.card.name = TEXT("a b");
    assert_not_written(CODEC_CARD, &v);
    v.card.name = TEXT("");
    assert_not_written(CODEC_CARD, &v);
}

#define HEX63 "000000000000000000000000000000000000000000000000000000000000000"

static void the_did_on_a_card_has_one_form(void **state)
{
    (void)state;
    const struct {
        aril_bytes did;
        bool ok;
    } cases[] = {
        { TEXT("did:pqaid:" HEX63 "0"), true },   { TEXT("did:pqaid:" HEX63 "f"), true },
        { TEXT("did:pqaid:" HEX63 "F"), false },  { TEXT("did:pqaid:" HEX63 "g"), false },
        { TEXT("did:pqaid:" HEX63 "\0"), false }, { TEXT("did:pqaid:" HEX63), false },
        { TEXT("did:pqaid:" HEX63 "00"), false }, { TEXT("did:PQAID:" HEX63 "0"), false },
        { TEXT("did:other:" HEX63 "0"), false },  { TEXT("did:key:zz" HEX63 "0"), false },
        { TEXT("\0id:pqaid:" HEX63 "0"), false }, { TEXT(""), false },
    };
    struct sample s;
    sample_find(CODEC_CARD, "hybrid", &s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_status(with_vector(&s, behind_vector(&s, NAME_AT), cases[i].did),
                      cases[i].ok ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        if (!cases[i].ok) {
            union codec_value v = sample_value(&s);
            v.card.did = cases[i].did;
            assert_not_written(CODEC_CARD, &v);
        }
    }
}

static void a_card_is_16384_bytes_at_most(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_CARD, "strict", &s);
    const size_t at = s.len - 2 - 4627;
    assert_status(with_vector_length(&s, at, ARIL_CARD_BYTES_MAX - at - 2), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, at, ARIL_CARD_BYTES_MAX - at - 1), ARIL_E_FORMAT_LENGTH);
}

/* --- Receipt --------------------------------------------------------------------------- */

static void a_receipt_gives_its_fields(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_RECEIPT, "strict", &s);
    const struct arili_receipt r = sample_value(&s).receipt;
    assert_int_equal(r.profile, ARIL_PROFILE_STRICT);
    assert_true(is_pattern(r.fleet, sizeof r.fleet, 23));
    assert_true(is_pattern(r.node, sizeof r.node, 24));
    assert_int_equal(r.bundle_version, 5);
    assert_int_equal(r.time_s, 1750000000);
    assert_int_equal(r.signature.len, 4627);
    assert_true(is_pattern(r.signature.data, 4627, 25));
    assert_ptr_equal(r.signed_part.data, s.bytes);
    assert_int_equal(r.signed_part.len, 72);
}

static void a_receipt_has_the_signature_of_its_profile(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_RECEIPT, "strict", &s);
    assert_status(with_vector_length(&s, 72, 4626), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, 72, 4628), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, 72, 3309), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, 72, 0), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, 72, ARIL_RECEIPT_BYTES_MAX), ARIL_E_FORMAT_LENGTH);
    union codec_value v = sample_value(&s);
    v.receipt.signature.len = 3309;
    assert_not_written(CODEC_RECEIPT, &v);
    v.receipt.profile = (aril_profile)0;
    assert_not_written(CODEC_RECEIPT, &v);
}

/* A message is signed before there is a signature. */
static void a_core_needs_no_signature_but_a_profile(void **state)
{
    (void)state;
    static uint8_t out[SAMPLE_BYTES_MAX];
    static const enum codec with_core[] = { CODEC_CARD, CODEC_RECEIPT };
    for (size_t i = 0; i < COUNT(with_core); i++) {
        struct sample s;
        size_t len = 12345;
        sample_find(with_core[i], "strict", &s);
        union codec_value v = sample_value(&s);
        v.card.signature.len = s.codec == CODEC_CARD ? 0 : v.card.signature.len;
        v.receipt.signature.len = s.codec == CODEC_RECEIPT ? 0 : v.receipt.signature.len;
        assert_status(codec_write_core(s.codec, &v, out, sizeof out, &len), ARIL_OK);
        assert_int_equal(len, s.len - 2 - 4627);
        assert_memory_equal(out, s.bytes, len);
        v.card.profile = (aril_profile)9; /* the first member of both */
        len = 12345;
        assert_status(codec_write_core(s.codec, &v, out, sizeof out, &len), ARIL_E_USAGE_RANGE);
        assert_int_equal(len, 12345);
    }
}

/* --- Recovery -------------------------------------------------------------------------- */

static void a_recovery_key_is_a_header_and_its_bytes(void **state)
{
    (void)state;
    struct sample s;
    uint8_t header[ARILI_RECOVERY_HEADER_BYTES];
    sample_find(CODEC_RECOVERY_KEY, "key", &s);
    arili_recovery_write_header(header);
    assert_memory_equal(header, "\x01\x00\x00\x42", 4);
    const aril_bytes seed = sample_value(&s).recovery;
    assert_ptr_equal(seed.data, s.bytes + 4);
    assert_int_equal(seed.len, 64);
    for (unsigned v = 0; v < 256; v++) {
        assert_status(with_number(&s, 0, 1, v), v == 1 ? ARIL_OK : ARIL_E_FORMAT_VERSION);
        assert_status(with_number(&s, 1, 1, v), v == 0 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, 2, 1, v), v == 0 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, 3, 1, v), v == 0x42 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
}

static void a_key_is_no_recipient(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_RECOVERY_KEY, "key", &s);
    assert_status(codec_status(CODEC_RECOVERY_RECIPIENT, s.bytes, s.len), ARIL_E_FORMAT_TRUNCATED);
    sample_find(CODEC_RECOVERY_RECIPIENT, "recipient", &s);
    assert_status(codec_status(CODEC_RECOVERY_KEY, s.bytes, s.len), ARIL_E_FORMAT_LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_read_and_written),
        cmocka_unit_test(every_truncation_is_refused_as_truncated),
        cmocka_unit_test(every_appended_byte_is_refused),
        cmocka_unit_test(every_changed_byte_has_its_own_meaning_or_none),
        cmocka_unit_test(a_writer_never_passes_the_end_of_its_buffer),
        cmocka_unit_test(the_start_of_a_message_is_checked_in_order),
        cmocka_unit_test(one_message_is_not_another),
        cmocka_unit_test(a_card_gives_its_fields),
        cmocka_unit_test(a_card_has_the_lengths_of_its_profile),
        cmocka_unit_test(the_name_on_a_card_is_printable_without_spaces),
        cmocka_unit_test(the_did_on_a_card_has_one_form),
        cmocka_unit_test(a_card_is_16384_bytes_at_most),
        cmocka_unit_test(a_receipt_gives_its_fields),
        cmocka_unit_test(a_receipt_has_the_signature_of_its_profile),
        cmocka_unit_test(a_core_needs_no_signature_but_a_profile),
        cmocka_unit_test(a_recovery_key_is_a_header_and_its_bytes),
        cmocka_unit_test(a_key_is_no_recipient),
    };
    return cmocka_run_group_tests_name("fleet format", tests, NULL, NULL);
}
