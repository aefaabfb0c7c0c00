/* SPDX-License-Identifier: Apache-2.0 */
#include "format/keyfile.h"
#include "check.h"
#include <stdio.h>
#include <string.h>

#define FILL      0xee
#define LEN_UNSET 99u

/* RFC 9881 appendix C.1: the seed is 00 01 .. 1f; the bytes before it are section 6. */
static const uint8_t seed_der_65[] = {
    0x30, 0x34,                                                             /* SEQUENCE */
    0x02, 0x01, 0x00,                                                       /* version 0 */
    0x30, 0x0b,                                                             /* algorithm */
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12,       /* ML-DSA-65 */
    0x04, 0x22, 0x80, 0x20,                                                 /* [0] seed */
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, /* 0 .. 31 */
    0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
    0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
};
#define SEED_AT 22u
#define ALG_AT  17u

static const char seed_pem_65[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MDQCAQAwCwYJYIZIAWUDBAMSBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ\n"
    "GhscHR4f\n"
    "-----END PRIVATE KEY-----\n";

static aril_bytes span(const void *data, size_t len)
{
    return (aril_bytes){ data, len };
}

static aril_bytes text(const char *s)
{
    return span(s, strlen(s));
}

/* --- PEM */

struct pem {
    aril_status st;
    uint8_t der[128];
    size_t len;
};

static struct pem pem_parse(aril_bytes in, size_t cap)
{
    struct pem r = { .len = LEN_UNSET };
    memset(r.der, FILL, sizeof r.der);
    r.st = arili_pem_parse(in, "PRIVATE KEY", r.der, cap, &r.len);
    return r;
}

static void expect_pem_refused(aril_bytes in, aril_status st)
{
    const struct pem r = pem_parse(in, sizeof r.der);
    assert_status(r.st, st);
    assert_int_equal(r.len, LEN_UNSET);
    for (size_t i = 0; i < sizeof r.der; i++) {
        assert_int_equal(r.der[i], 0);
    }
}

static void pem_gives_the_bytes_of_the_block(void **state)
{
    (void)state;
    const struct pem r = pem_parse(text(seed_pem_65), sizeof r.der);
    assert_status(r.st, ARIL_OK);
    assert_int_equal(r.len, sizeof seed_der_65);
    assert_memory_equal(r.der, seed_der_65, sizeof seed_der_65);
}

static void pem_with_crlf_line_ends_is_the_same_block(void **state)
{
    (void)state;
    char crlf[256];
    size_t n = 0;
    for (const char *p = seed_pem_65; *p != '\0'; p++) {
        if (*p == '\n') {
            crlf[n++] = '\r';
        }
        crlf[n++] = *p;
    }
    const struct pem r = pem_parse(span(crlf, n), sizeof r.der);
    assert_status(r.st, ARIL_OK);
    assert_memory_equal(r.der, seed_der_65, sizeof seed_der_65);
}

static void pem_is_written_as_it_is_read(void **state)
{
    (void)state;
    char out[ARILI_KEYFILE_SEED_PEM_BYTES];
    size_t len = 0;
    assert_status(arili_pem_write("PRIVATE KEY", span(seed_der_65, sizeof seed_der_65), out,
                                  sizeof out, &len),
                  ARIL_OK);
    assert_int_equal(len, strlen(seed_pem_65));
    assert_int_equal(len, sizeof out);
    assert_memory_equal(out, seed_pem_65, len);
}

/* RFC 4648 section 10, but for the empty one. */
static void pem_pads_every_length(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "f", "Zg==" },        { "fo", "Zm8=" },        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char want[128];
        char got[128];
        size_t len = 0;
        const int n =
            snprintf(want, sizeof want, "-----BEGIN X-----\n%s\n-----END X-----\n", cases[i][1]);
        assert_status(arili_pem_write("X", text(cases[i][0]), got, sizeof got, &len), ARIL_OK);
        assert_int_equal(len, n);
        assert_memory_equal(got, want, len);
        uint8_t der[8];
        assert_status(arili_pem_parse(span(want, (size_t)n), "X", der, sizeof der, &len), ARIL_OK);
        assert_int_equal(len, i + 1);
        assert_memory_equal(der, "foobar", len);
    }
}

static void pem_keeps_every_byte_value_at_every_length(void **state)
{
    (void)state;
    uint8_t in[256];
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)(i * 167 + 13);
    }
    for (size_t len = 1; len <= sizeof in; len++) {
        char out[ARILI_PEM_BYTES(1, sizeof in)];
        uint8_t back[sizeof in];
        size_t out_len = 0;
        size_t back_len = 0;
        assert_status(arili_pem_write("X", span(in, len), out, sizeof out, &out_len), ARIL_OK);
        assert_int_equal(out_len, ARILI_PEM_BYTES(1, len));
        assert_status(arili_pem_parse(span(out, out_len), "X", back, sizeof back, &back_len),
                      ARIL_OK);
        assert_int_equal(back_len, len);
        assert_memory_equal(back, in, len);
    }
}

static void pem_write_needs_its_whole_room(void **state)
{
    (void)state;
    char out[ARILI_KEYFILE_SEED_PEM_BYTES];
    for (size_t cap = 0; cap < sizeof out; cap++) {
        size_t len = LEN_UNSET;
        memset(out, FILL, sizeof out);
        assert_status(
            arili_pem_write("PRIVATE KEY", span(seed_der_65, sizeof seed_der_65), out, cap, &len),
            ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal(len, LEN_UNSET);
        assert_int_equal((uint8_t)out[0], FILL);
    }
}

static void every_truncation_of_a_pem_is_a_format_error(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(seed_pem_65); len++) {
        const struct pem r = pem_parse(span(seed_pem_65, len), sizeof r.der);
        assert_status(r.st, ARIL_E_FORMAT_TRUNCATED);
        assert_int_equal(r.len, LEN_UNSET);
    }
}

/* No flipped bit gives the same key: it is refused, or one base64 digit became
 * another one. The only other text of the same key has CRLF. */
static void every_flipped_bit_of_a_pem_changes_the_outcome(void **state)
{
    (void)state;
    const size_t len = strlen(seed_pem_65);
    for (size_t at = 0; at < len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            char changed[sizeof seed_pem_65];
            memcpy(changed, seed_pem_65, sizeof changed);
            changed[at] = (char)(changed[at] ^ (1 << bit));
            const struct pem r = pem_parse(span(changed, len), sizeof r.der);
            if (r.st == ARIL_OK) {
                assert_int_equal(r.len, sizeof seed_der_65);
                assert_memory_not_equal(r.der, seed_der_65, sizeof seed_der_65);
            } else {
                assert_status_class(r.st, ARIL_E_FORMAT);
                assert_int_equal(r.len, LEN_UNSET);
            }
        }
    }
}

static void pem_takes_one_block_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        aril_status st;
    } cases[] = {
        { "", ARIL_E_FORMAT_TRUNCATED },
        { "\n", ARIL_E_FORMAT },
        { "-----BEGIN PUBLIC KEY-----\nZg==\n-----END PUBLIC KEY-----\n", ARIL_E_FORMAT_KIND },
        { "-----BEGIN ENCRYPTED PRIVATE KEY-----\nZg==\n-----END ENCRYPTED PRIVATE KEY-----\n",
          ARIL_E_FORMAT_KIND },
        { "-----BEGIN PRIVATE KEY-----\nZg==\n-----END PUBLIC KEY-----\n", ARIL_E_FORMAT_FIELD },
        { "comment\n-----BEGIN PRIVATE KEY-----\nZg==\n-----END PRIVATE KEY-----\n",
          ARIL_E_FORMAT },
        { " -----BEGIN PRIVATE KEY-----\nZg==\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT },
        { "-----BEGIN PRIVATE KEY----- \nZg==\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_KIND },
        { "-----BEGIN PRIVATE KEY-----\nZg==\n-----END PRIVATE KEY-----\n\n",
          ARIL_E_FORMAT_LENGTH },
        { "-----BEGIN PRIVATE KEY-----\nZg==\n-----END PRIVATE KEY-----\nx", ARIL_E_FORMAT_LENGTH },
        { "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\n\nZg==\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\nProc-Type: 4\nZg==\n-----END PRIVATE KEY-----\n",
          ARIL_E_FORMAT_FIELD },
        /* A short line is the last one; so is a padded one. */
        { "-----BEGIN PRIVATE KEY-----\nZm9v\nZm9v\n-----END PRIVATE KEY-----\n",
          ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\nZg==Zm9v\n-----END PRIVATE KEY-----\n",
          ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\nZg=\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\nZ===\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\nZg=v\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_FIELD },
        /* Bits that the padding cuts off. */
        { "-----BEGIN PRIVATE KEY-----\nZh==\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\nZm9=\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\nZm 9v\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\nZm9-\n-----END PRIVATE KEY-----\n", ARIL_E_FORMAT_FIELD },
        { "-----BEGIN PRIVATE KEY-----\nZm9v\r\r\n-----END PRIVATE KEY-----\n",
          ARIL_E_FORMAT_FIELD },
        /* A line of 68 characters. */
        { "-----BEGIN PRIVATE KEY-----\n"
          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
          "-----END PRIVATE KEY-----\n",
          ARIL_E_FORMAT_FIELD },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_pem_refused(text(cases[i].text), cases[i].st);
    }
}

static void pem_longer_than_the_room_is_refused(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < sizeof seed_der_65; cap++) {
        const struct pem r = pem_parse(text(seed_pem_65), cap);
        assert_status(r.st, ARIL_E_FORMAT_LENGTH);
        assert_int_equal(r.len, LEN_UNSET);
        assert_int_equal(r.der[cap], FILL);
    }
}

/* --- PKCS#8 */

static const struct arili_keyfile unset = { .alg = -1 };

static void expect_pkcs8_refused(const uint8_t *der, size_t len, aril_status st)
{
    struct arili_keyfile key = unset;
    assert_status(arili_pkcs8_parse(span(der, len), &key), st);
    assert_int_equal(key.alg, unset.alg);
    assert_null(key.seed.data);
}

static void seed_only_form_is_read_and_written(void **state)
{
    (void)state;
    uint8_t der[sizeof seed_der_65];
    memcpy(der, seed_der_65, sizeof der);
    static const struct {
        int alg;
        uint8_t oid_last;
    } algs[] = { { 65, 0x12 }, { 87, 0x13 } };
    for (size_t i = 0; i < COUNT(algs); i++) {
        der[ALG_AT] = algs[i].oid_last;
        struct arili_keyfile key = unset;
        assert_status(arili_pkcs8_parse(span(der, sizeof der), &key), ARIL_OK);
        assert_int_equal(key.alg, algs[i].alg);
        assert_int_equal(key.seed.len, 32);
        assert_ptr_equal(key.seed.data, der + SEED_AT);
        assert_int_equal(key.expanded.len, 0);
        uint8_t again[ARILI_KEYFILE_SEED_DER_BYTES];
        arili_pkcs8_write(key.alg, key.seed.data, again);
        assert_memory_equal(again, der, sizeof again);
    }
}

/* The form with both, as OpenSSL writes it: the heads are typed from its output. */
static size_t both_form(int alg, uint8_t *der)
{
    static const uint8_t head_65[] = { 0x30, 0x82, 0x0f, 0xfe, 0x02, 0x01, 0x00, 0x30, 0x0b, 0x06,
                                       0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12,
                                       0x04, 0x82, 0x0f, 0xea, 0x30, 0x82, 0x0f, 0xe6, 0x04, 0x20 };
    static const uint8_t head_87[] = { 0x30, 0x82, 0x13, 0x5e, 0x02, 0x01, 0x00, 0x30, 0x0b, 0x06,
                                       0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13,
                                       0x04, 0x82, 0x13, 0x4a, 0x30, 0x82, 0x13, 0x46, 0x04, 0x20 };
    const size_t expanded = alg == 65 ? 4032 : 4896;
    memcpy(der, alg == 65 ? head_65 : head_87, sizeof head_65);
    size_t len = sizeof head_65;
    memset(der + len, 0x5a, 32);
    len += 32;
    der[len++] = 0x04;
    der[len++] = 0x82;
    der[len++] = (uint8_t)(expanded >> 8);
    der[len++] = (uint8_t)expanded;
    memset(der + len, 0xa5, expanded);
    return len + expanded;
}

static void form_with_both_gives_seed_and_expanded_key(void **state)
{
    (void)state;
    static const int algs[] = { 65, 87 };
    for (size_t i = 0; i < COUNT(algs); i++) {
        uint8_t der[ARILI_KEYFILE_DER_BYTES_MAX];
        const size_t len = both_form(algs[i], der);
        assert_int_equal(len, algs[i] == 65 ? 4098 : 4962);
        struct arili_keyfile key = unset;
        assert_status(arili_pkcs8_parse(span(der, len), &key), ARIL_OK);
        assert_int_equal(key.alg, algs[i]);
        assert_int_equal(key.seed.len, 32);
        assert_int_equal(key.seed.data[31], 0x5a);
        assert_int_equal(key.expanded.len, algs[i] == 65 ? 4032 : 4896);
        assert_ptr_equal(key.expanded.data + key.expanded.len, der + len);
        for (size_t cut = 0; cut < len; cut++) {
            expect_pkcs8_refused(der, cut, ARIL_E_FORMAT_TRUNCATED);
        }
    }
}

static void expanded_key_alone_is_of_another_kind(void **state)
{
    (void)state;
    uint8_t der[4060] = { 0x30, 0x82, 0x0f, 0xd8, 0x02, 0x01, 0x00, 0x30, 0x0b, 0x06,
                          0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12,
                          0x04, 0x82, 0x0f, 0xc4, 0x04, 0x82, 0x0f, 0xc0 };
    expect_pkcs8_refused(der, sizeof der, ARIL_E_FORMAT_KIND);
}

static void every_truncation_of_a_der_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof seed_der_65; len++) {
        expect_pkcs8_refused(seed_der_65, len, ARIL_E_FORMAT_TRUNCATED);
    }
}

static void every_changed_byte_before_the_seed_is_refused(void **state)
{
    (void)state;
    for (size_t at = 0; at < SEED_AT; at++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t changed[sizeof seed_der_65];
            memcpy(changed, seed_der_65, sizeof changed);
            changed[at] = (uint8_t)value;
            if (value == seed_der_65[at] || (at == ALG_AT && value == 0x13)) {
                continue;
            }
            struct arili_keyfile key = unset;
            const aril_status st = arili_pkcs8_parse(span(changed, sizeof changed), &key);
            assert_status_class(st, ARIL_E_FORMAT);
            assert_int_equal(key.alg, unset.alg);
        }
    }
}

static void der_that_is_not_minimal_or_has_more_is_refused(void **state)
{
    (void)state;
    uint8_t der[80];

    memcpy(der, seed_der_65, sizeof seed_der_65);
    der[sizeof seed_der_65] = 0;
    expect_pkcs8_refused(der, sizeof seed_der_65 + 1, ARIL_E_FORMAT_LENGTH);

    /* 30 81 34: one length byte too many. 30 82 00 34: two. 30 80: no length. */
    const uint8_t *rest = seed_der_65 + 2;
    const size_t rest_len = sizeof seed_der_65 - 2;
    memcpy(der, (const uint8_t[]){ 0x30, 0x81, 0x34 }, 3);
    memcpy(der + 3, rest, rest_len);
    expect_pkcs8_refused(der, 3 + rest_len, ARIL_E_FORMAT_LENGTH);
    memcpy(der, (const uint8_t[]){ 0x30, 0x82, 0x00, 0x34 }, 4);
    memcpy(der + 4, rest, rest_len);
    expect_pkcs8_refused(der, 4 + rest_len, ARIL_E_FORMAT_LENGTH);
    memcpy(der, (const uint8_t[]){ 0x30, 0x80 }, 2);
    memcpy(der + 2, rest, rest_len);
    expect_pkcs8_refused(der, 2 + rest_len, ARIL_E_FORMAT_LENGTH);
    memcpy(der, (const uint8_t[]){ 0x30, 0x83, 0x00, 0x00, 0x34 }, 5);
    memcpy(der + 5, rest, rest_len);
    expect_pkcs8_refused(der, 5 + rest_len, ARIL_E_FORMAT_LENGTH);

    /* Empty attributes: [0] of no bytes. */
    memcpy(der, seed_der_65, sizeof seed_der_65);
    der[1] += 2;
    der[sizeof seed_der_65] = 0xa0;
    der[sizeof seed_der_65 + 1] = 0;
    expect_pkcs8_refused(der, sizeof seed_der_65 + 2, ARIL_E_FORMAT_LENGTH);

    /* Version 1 belongs to keys with their public key. Version 00 00 is not minimal. */
    memcpy(der, seed_der_65, sizeof seed_der_65);
    der[4] = 1;
    expect_pkcs8_refused(der, sizeof seed_der_65, ARIL_E_FORMAT_VERSION);
    memcpy(der, (const uint8_t[]){ 0x30, 0x35, 0x02, 0x02, 0x00, 0x00 }, 6);
    memcpy(der + 6, seed_der_65 + 5, sizeof seed_der_65 - 5);
    expect_pkcs8_refused(der, sizeof seed_der_65 + 1, ARIL_E_FORMAT_VERSION);

    /* Algorithm parameters NULL. */
    memcpy(der, seed_der_65, 18);
    der[1] += 2;
    der[6] += 2;
    der[18] = 0x05;
    der[19] = 0x00;
    memcpy(der + 20, seed_der_65 + 18, sizeof seed_der_65 - 18);
    expect_pkcs8_refused(der, sizeof seed_der_65 + 2, ARIL_E_FORMAT_LENGTH);
}

static void keys_of_other_algorithms_are_of_another_kind(void **state)
{
    (void)state;
    uint8_t der[sizeof seed_der_65];
    memcpy(der, seed_der_65, sizeof der);
    der[ALG_AT] = 0x11; /* ML-DSA-44 */
    expect_pkcs8_refused(der, sizeof der, ARIL_E_FORMAT_KIND);
    der[ALG_AT] = 0x20; /* HashML-DSA-65 is .32 */
    expect_pkcs8_refused(der, sizeof der, ARIL_E_FORMAT_KIND);
    /* Ed25519, RFC 8410 section 10.3. */
    static const uint8_t ed25519[48] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                         0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };
    expect_pkcs8_refused(ed25519, sizeof ed25519, ARIL_E_FORMAT_KIND);
}

static void seed_of_another_length_is_refused(void **state)
{
    (void)state;
    uint8_t der[sizeof seed_der_65 + 1] = { 0 };
    memcpy(der, seed_der_65, sizeof seed_der_65);
    der[1]--;
    der[19]--;
    der[21]--;
    expect_pkcs8_refused(der, sizeof seed_der_65 - 1, ARIL_E_FORMAT_LENGTH);
    der[1] += 2;
    der[19] += 2;
    der[21] += 2;
    expect_pkcs8_refused(der, sizeof seed_der_65 + 1, ARIL_E_FORMAT_LENGTH);
}

static void expanded_key_of_the_other_algorithm_is_refused(void **state)
{
    (void)state;
    uint8_t der[ARILI_KEYFILE_DER_BYTES_MAX];
    size_t len = both_form(65, der);
    der[19] = 0x13;
    expect_pkcs8_refused(der, len, ARIL_E_FORMAT_LENGTH);
    len = both_form(87, der);
    der[19] = 0x12;
    expect_pkcs8_refused(der, len, ARIL_E_FORMAT_LENGTH);
}

/* --- SubjectPublicKeyInfo */

static void public_key_is_written_and_read(void **state)
{
    (void)state;
    static const uint8_t head_65[] = { 0x30, 0x82, 0x07, 0xb2, 0x30, 0x0b, 0x06, 0x09,
                                       0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03,
                                       0x12, 0x03, 0x82, 0x07, 0xa1, 0x00 };
    static const uint8_t head_87[] = { 0x30, 0x82, 0x0a, 0x32, 0x30, 0x0b, 0x06, 0x09,
                                       0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03,
                                       0x13, 0x03, 0x82, 0x0a, 0x21, 0x00 };
    uint8_t pk[2592];
    memset(pk, 0x77, sizeof pk);
    for (int alg = 65; alg <= 87; alg += 22) {
        uint8_t der[ARILI_KEYFILE_SPKI_BYTES_MAX];
        size_t len = 0;
        const size_t pk_len = arili_keyfile_public_bytes(alg);
        assert_status(arili_spki_write(alg, span(pk, pk_len), der, sizeof der, &len), ARIL_OK);
        assert_int_equal(len, sizeof head_65 + pk_len);
        assert_memory_equal(der, alg == 65 ? head_65 : head_87, sizeof head_65);
        assert_memory_equal(der + sizeof head_65, pk, pk_len);

        int got_alg = 0;
        aril_bytes got = { NULL, 0 };
        assert_status(arili_spki_parse(span(der, len), &got_alg, &got), ARIL_OK);
        assert_int_equal(got_alg, alg);
        assert_int_equal(got.len, pk_len);
        assert_ptr_equal(got.data, der + sizeof head_65);

        for (size_t cut = 0; cut < len; cut++) {
            assert_status(arili_spki_parse(span(der, cut), &got_alg, &got),
                          ARIL_E_FORMAT_TRUNCATED);
        }
        for (size_t at = 0; at < sizeof head_65; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                der[at] ^= (uint8_t)(1u << bit);
                assert_status_class(arili_spki_parse(span(der, len), &got_alg, &got),
                                    ARIL_E_FORMAT);
                der[at] ^= (uint8_t)(1u << bit);
            }
        }
    }
}

static void public_key_must_fit_algorithm_and_room(void **state)
{
    (void)state;
    uint8_t pk[2592] = { 0 };
    uint8_t der[ARILI_KEYFILE_SPKI_BYTES_MAX];
    size_t len = LEN_UNSET;
    assert_status(arili_spki_write(65, span(pk, 2592), der, sizeof der, &len), ARIL_E_USAGE_RANGE);
    assert_status(arili_spki_write(87, span(pk, 1952), der, sizeof der, &len), ARIL_E_USAGE_RANGE);
    assert_status(arili_spki_write(44, span(pk, 1312), der, sizeof der, &len), ARIL_E_USAGE_RANGE);
    assert_status(arili_spki_write(65, span(pk, 1952), der, 1973, &len), ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(len, LEN_UNSET);
    assert_int_equal(arili_keyfile_public_bytes(44), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pem_gives_the_bytes_of_the_block),
        cmocka_unit_test(pem_with_crlf_line_ends_is_the_same_block),
        cmocka_unit_test(pem_is_written_as_it_is_read),
        cmocka_unit_test(pem_pads_every_length),
        cmocka_unit_test(pem_keeps_every_byte_value_at_every_length),
        cmocka_unit_test(pem_write_needs_its_whole_room),
        cmocka_unit_test(every_truncation_of_a_pem_is_a_format_error),
        cmocka_unit_test(every_flipped_bit_of_a_pem_changes_the_outcome),
        cmocka_unit_test(pem_takes_one_block_and_nothing_else),
        cmocka_unit_test(pem_longer_than_the_room_is_refused),
        cmocka_unit_test(seed_only_form_is_read_and_written),
        cmocka_unit_test(form_with_both_gives_seed_and_expanded_key),
        cmocka_unit_test(expanded_key_alone_is_of_another_kind),
        cmocka_unit_test(every_truncation_of_a_der_is_refused),
        cmocka_unit_test(every_changed_byte_before_the_seed_is_refused),
        cmocka_unit_test(der_that_is_not_minimal_or_has_more_is_refused),
        cmocka_unit_test(keys_of_other_algorithms_are_of_another_kind),
        cmocka_unit_test(seed_of_another_length_is_refused),
        cmocka_unit_test(expanded_key_of_the_other_algorithm_is_refused),
        cmocka_unit_test(public_key_is_written_and_read),
        cmocka_unit_test(public_key_must_fit_algorithm_and_room),
    };
    return cmocka_run_group_tests_name("keyfile", tests, NULL, NULL);
}
