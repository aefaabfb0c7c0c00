/* SPDX-License-Identifier: Apache-2.0 */
#include "format/did.h"
#include "format/base58.h"
#include "format/keyfile.h"
#include "check.h"
#include <stdbool.h>
#include <string.h>

#define FILL      0xee
#define LEN_UNSET 9999u

#define PQAID_HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define PQAID     "did:pqaid:" PQAID_HEX

static aril_bytes span(const void *data, size_t len)
{
    return (aril_bytes){ data, len };
}

/* --- base58 */

/* draft-msporny-base58 section 5. */
static void base58_gives_the_published_texts(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        { "", 0, "" },
        { "Hello World!", 12, "2NEpo7TZRRrLZSi2U" },
        { "The quick brown fox jumps over the lazy dog.", 44,
          "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z" },
        { "\x00\x00\x28\x7f\xb4\xcd", 6, "11233QC4" },
        { "\x00", 1, "1" },
        { "\x39", 1, "z" },
        { "\x3a", 1, "21" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[80];
        uint8_t bytes[64];
        size_t len = LEN_UNSET;
        assert_status(
            arili_base58_encode(span(cases[i].bytes, cases[i].len), text, sizeof text, &len),
            ARIL_OK);
        assert_int_equal(len, strlen(cases[i].text));
        assert_memory_equal(text, cases[i].text, len);
        assert_status(arili_base58_decode(span(cases[i].text, strlen(cases[i].text)), bytes,
                                          sizeof bytes, &len),
                      ARIL_OK);
        assert_int_equal(len, cases[i].len);
        assert_memory_equal(bytes, cases[i].bytes, len);
    }
}

static void base58_keeps_every_length_up_to_the_longest(void **state)
{
    (void)state;
    static uint8_t in[ARILI_BASE58_BYTES_MAX], out[ARILI_BASE58_BYTES_MAX];
    static char text[ARILI_BASE58_CHARS_MAX];
    static const uint8_t fills[] = { 0x00, 0x01, 0x80, 0xff };
    for (size_t len = 0; len <= sizeof in; len = len < 40 ? len + 1 : len + 640) {
        for (size_t f = 0; f < COUNT(fills); f++) {
            memset(in, fills[f], sizeof in);
            size_t text_len = 0;
            size_t out_len = 0;
            assert_status(arili_base58_encode(span(in, len), text, sizeof text, &text_len),
                          ARIL_OK);
            assert_status(arili_base58_decode(span(text, text_len), out, sizeof out, &out_len),
                          ARIL_OK);
            assert_int_equal(out_len, len);
            assert_memory_equal(out, in, len);
        }
    }
}

static void base58_of_the_longest_bytes_takes_the_stated_room(void **state)
{
    (void)state;
    static uint8_t in[ARILI_BASE58_BYTES_MAX + 1];
    static char text[ARILI_BASE58_CHARS_MAX];
    size_t len = LEN_UNSET;
    memset(in, 0xff, sizeof in);
    assert_status(arili_base58_encode(span(in, sizeof in), text, sizeof text, &len),
                  ARIL_E_USAGE_RANGE);
    assert_status(arili_base58_encode(span(in, sizeof in - 1), text, sizeof text - 1, &len),
                  ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(len, LEN_UNSET);
    assert_status(arili_base58_encode(span(in, sizeof in - 1), text, sizeof text, &len), ARIL_OK);
    assert_int_equal(len, ARILI_BASE58_CHARS_MAX);
}

static void base58_refuses_what_is_no_digit_or_too_long(void **state)
{
    (void)state;
    uint8_t out[4] = { FILL, FILL, FILL, FILL };
    size_t len = LEN_UNSET;
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t text[3] = { '2', (uint8_t)c, '2' };
        const bool digit =
            c != 0 && strchr("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", (int)c);
        size_t got = LEN_UNSET;
        assert_status(arili_base58_decode(span(text, 3), out, sizeof out, &got),
                      digit ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    memset(out, FILL, sizeof out);
    /* 2^32 - 1, and one more. */
    assert_status(arili_base58_decode(span("7YXq9G", 6), out, 4, &len), ARIL_OK);
    assert_int_equal(len, 4);
    memset(out, FILL, sizeof out);
    len = LEN_UNSET;
    assert_status(arili_base58_decode(span("7YXq9H", 6), out, 4, &len), ARIL_E_FORMAT_LENGTH);
    assert_status(arili_base58_decode(span("11111", 5), out, 4, &len), ARIL_E_FORMAT_LENGTH);
    static char text[ARILI_BASE58_CHARS_MAX + 1];
    memset(text, 'z', sizeof text);
    assert_status(arili_base58_decode(span(text, sizeof text), out, 4, &len), ARIL_E_FORMAT_LENGTH);
    assert_int_equal(len, LEN_UNSET);
    assert_int_equal(out[0], FILL);
}

/* --- DIDs */

/* A did:key of a made-up public key, with any bytes before it. */
static void did_key_of(const uint8_t *prefix, size_t prefix_len, size_t key_len, char *ret)
{
    uint8_t raw[ARILI_BASE58_BYTES_MAX];
    memcpy(raw, prefix, prefix_len);
    for (size_t i = 0; i < key_len; i++) {
        raw[prefix_len + i] = (uint8_t)(i * 7 + 1);
    }
    size_t len = 0;
    memcpy(ret, "did:key:z", 9);
    assert_status(
        arili_base58_encode(span(raw, prefix_len + key_len), ret + 9, ARILI_BASE58_CHARS_MAX, &len),
        ARIL_OK);
    ret[9 + len] = '\0';
}

static void expect_refused(const char *did, aril_status st)
{
    struct arili_did parsed;
    memset(&parsed, FILL, sizeof parsed);
    struct arili_did before = parsed;
    assert_status(arili_did_parse(did, &parsed), st);
    assert_memory_equal(&parsed, &before, sizeof parsed);
}

static void pqaid_is_read_and_written(void **state)
{
    (void)state;
    struct arili_did did;
    assert_status(arili_did_parse(PQAID, &did), ARIL_OK);
    assert_int_equal(did.method, ARIL_DID_PQAID);
    assert_int_equal(did.alg, 0);
    assert_int_equal(did.len, 32);
    assert_int_equal(did.id[0], 0x00);
    assert_int_equal(did.id[1], 0x11);
    assert_int_equal(did.id[10], 0xaa);
    assert_int_equal(did.id[31], 0xff);
    char text[80];
    size_t len = 0;
    assert_status(arili_did_write(&did, text, sizeof text, &len), ARIL_OK);
    assert_int_equal(len, strlen(PQAID));
    assert_string_equal(text, PQAID);
}

static void did_key_is_read_and_written_for_both_algorithms(void **state)
{
    (void)state;
    static const struct {
        int alg;
        uint8_t prefix[2];
    } algs[] = { { 65, { 0x91, 0x24 } }, { 87, { 0x92, 0x24 } } };
    for (size_t i = 0; i < COUNT(algs); i++) {
        char text[ARIL_DID_BYTES_MAX];
        char again[ARIL_DID_BYTES_MAX];
        const size_t key_len = arili_keyfile_public_bytes(algs[i].alg);
        did_key_of(algs[i].prefix, 2, key_len, text);
        struct arili_did did;
        assert_status(arili_did_parse(text, &did), ARIL_OK);
        assert_int_equal(did.method, ARIL_DID_KEY);
        assert_int_equal(did.alg, algs[i].alg);
        assert_int_equal(did.len, key_len);
        assert_int_equal(did.id[1], 8);
        size_t len = 0;
        assert_status(arili_did_write(&did, again, sizeof again, &len), ARIL_OK);
        assert_int_equal(len, strlen(text));
        assert_string_equal(again, text);

        memset(again, FILL, sizeof again);
        assert_status(arili_did_write(&did, again, len, &len), ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal((uint8_t)again[0], FILL);
        assert_status(arili_did_write(&did, again, len + 1, &len), ARIL_OK);
    }
}

static void pqaid_is_64_lower_case_digits(void **state)
{
    (void)state;
    expect_refused("did:pqaid:", ARIL_E_FORMAT_LENGTH);
    expect_refused("did:pqaid:00112233445566778899aabbccddeeff00112233445566778899aabbccddeef",
                   ARIL_E_FORMAT_LENGTH);
    expect_refused(PQAID "0", ARIL_E_FORMAT_LENGTH);
    expect_refused(PQAID "#key", ARIL_E_FORMAT_LENGTH);
    for (size_t at = 10; at < strlen(PQAID); at++) {
        static const char wrong[] = "ABCDEFGHgzZ -:/@`\x7f\xff";
        for (size_t w = 0; w < sizeof wrong - 1; w++) {
            char did[] = PQAID;
            did[at] = wrong[w];
            expect_refused(did, ARIL_E_FORMAT_FIELD);
        }
        char cut[] = PQAID;
        cut[at] = '\0';
        expect_refused(cut, ARIL_E_FORMAT_LENGTH);
    }
}

static void other_methods_are_of_another_kind(void **state)
{
    (void)state;
    static const char *const dids[] = {
        "",
        "did",
        "did:",
        "did:key:",
        "did:web:example.org",
        "DID:pqaid:" PQAID_HEX,
        "did:PQAID:" PQAID_HEX,
        " " PQAID,
        "did:pqaid" PQAID_HEX,
        "did:key:f9124", /* multibase of base16 */
        "did:key:Z6Mk",
        PQAID_HEX,
    };
    for (size_t i = 0; i < COUNT(dids); i++) {
        expect_refused(dids[i], ARIL_E_FORMAT_KIND);
    }
}

static void did_key_of_other_keys_is_of_another_kind(void **state)
{
    (void)state;
    char did[ARIL_DID_BYTES_MAX];
    did_key_of((const uint8_t[]){ 0x90, 0x24 }, 2, 1312, did); /* ML-DSA-44 */
    expect_refused(did, ARIL_E_FORMAT_KIND);
    did_key_of((const uint8_t[]){ 0x8c, 0x24 }, 2, 1184, did); /* ML-KEM-768 */
    expect_refused(did, ARIL_E_FORMAT_KIND);
    did_key_of((const uint8_t[]){ 0xed, 0x01 }, 2, 32, did); /* Ed25519 */
    expect_refused(did, ARIL_E_FORMAT_KIND);
    /* 0x1211 as a varint that is one byte too long. */
    did_key_of((const uint8_t[]){ 0x91, 0xa4, 0x00 }, 3, 1952, did);
    expect_refused(did, ARIL_E_FORMAT_KIND);
    /* A zero byte in front is the non-canonical '1' in front. */
    did_key_of((const uint8_t[]){ 0x00, 0x91, 0x24 }, 3, 1952, did);
    assert_int_equal(did[9], '1');
    expect_refused(did, ARIL_E_FORMAT_KIND);
}

static void did_key_of_another_length_is_refused(void **state)
{
    (void)state;
    char did[ARIL_DID_BYTES_MAX];
    static const uint8_t p65[2] = { 0x91, 0x24 };
    static const uint8_t p87[2] = { 0x92, 0x24 };
    static const size_t wrong[] = { 0, 1, 1951, 1953, 2592 };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        did_key_of(p65, 2, wrong[i], did);
        expect_refused(did, ARIL_E_FORMAT_LENGTH);
    }
    did_key_of(p87, 2, 1952, did);
    expect_refused(did, ARIL_E_FORMAT_LENGTH);
    expect_refused("did:key:z", ARIL_E_FORMAT_LENGTH);
    expect_refused("did:key:z2", ARIL_E_FORMAT_LENGTH);
}

static void every_truncation_and_every_wrong_character_of_a_did_key_is_refused(void **state)
{
    (void)state;
    char did[ARIL_DID_BYTES_MAX];
    did_key_of((const uint8_t[]){ 0x91, 0x24 }, 2, 1952, did);
    struct arili_did parsed;
    assert_status(arili_did_parse(did, &parsed), ARIL_OK);
    struct arili_did *before = &parsed;
    /* Every seventh length, for time; each decodes a long text. */
    for (size_t at = strlen(did); at > 0; at -= at > 7 ? 7 : at) {
        const char kept = did[at - 1];
        struct arili_did other = { .alg = -1 };
        did[at - 1] = '0';
        assert_status_class(arili_did_parse(did, &other), ARIL_E_FORMAT);
        did[at - 1] = '\0';
        assert_status_class(arili_did_parse(did, &other), ARIL_E_FORMAT);
        assert_int_equal(other.alg, -1);
        did[at - 1] = kept == '2' ? '3' : '2';
        /* Another digit is another key, or no key. */
        if (arili_did_parse(did, &other) == ARIL_OK) {
            assert_memory_not_equal(other.id, before->id, before->len);
        }
        did[at - 1] = kept;
    }
}

static void a_long_string_is_refused_before_it_is_decoded(void **state)
{
    (void)state;
    static char did[5001];
    memset(did, 'z', 5000);
    memcpy(did, "did:key:z", 9);
    expect_refused(did, ARIL_E_FORMAT_LENGTH);
    did[ARIL_DID_BYTES_MAX] = '\0';
    expect_refused(did, ARIL_E_FORMAT_LENGTH);
    did[ARIL_DID_BYTES_MAX - 1] = '\0';
    expect_refused(did, ARIL_E_FORMAT_LENGTH);
    did[3500] = '\0';
    expect_refused(did, ARIL_E_FORMAT_KIND);
    /* No NUL within the bound: not one byte more is read. */
    char exact[ARIL_DID_BYTES_MAX];
    memset(exact, 'z', sizeof exact);
    expect_refused(exact, ARIL_E_FORMAT_LENGTH);
}

static void write_refuses_what_does_not_fit_together(void **state)
{
    (void)state;
    static const struct arili_did bad[] = {
        { .method = ARIL_DID_PQAID, .len = 31 },
        { .method = ARIL_DID_KEY, .alg = 65, .len = 2592 },
        { .method = ARIL_DID_KEY, .alg = 87, .len = 1952 },
        { .method = ARIL_DID_KEY, .alg = 44, .len = 1312 },
        { .method = ARIL_DID_KEY, .alg = 0, .len = 0 },
        { .method = (aril_did_method)2, .alg = 65, .len = 1952 },
    };
    char text[ARIL_DID_BYTES_MAX] = { 0 };
    size_t len = LEN_UNSET;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(arili_did_write(&bad[i], text, sizeof text, &len), ARIL_E_USAGE_RANGE);
    }
    const struct arili_did did = { .method = ARIL_DID_PQAID, .len = 32 };
    for (size_t cap = 0; cap <= strlen(PQAID); cap++) {
        assert_status(arili_did_write(&did, text, cap, &len), ARIL_E_USAGE_TOO_SMALL);
    }
    assert_int_equal(text[0], '\0');
    assert_int_equal(len, LEN_UNSET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base58_gives_the_published_texts),
        cmocka_unit_test(base58_keeps_every_length_up_to_the_longest),
        cmocka_unit_test(base58_of_the_longest_bytes_takes_the_stated_room),
        cmocka_unit_test(base58_refuses_what_is_no_digit_or_too_long),
        cmocka_unit_test(pqaid_is_read_and_written),
        cmocka_unit_test(did_key_is_read_and_written_for_both_algorithms),
        cmocka_unit_test(pqaid_is_64_lower_case_digits),
        cmocka_unit_test(other_methods_are_of_another_kind),
        cmocka_unit_test(did_key_of_other_keys_is_of_another_kind),
        cmocka_unit_test(did_key_of_another_length_is_refused),
        cmocka_unit_test(every_truncation_and_every_wrong_character_of_a_did_key_is_refused),
        cmocka_unit_test(a_long_string_is_refused_before_it_is_decoded),
        cmocka_unit_test(write_refuses_what_does_not_fit_together),
    };
    return cmocka_run_group_tests_name("did", tests, NULL, NULL);
}
