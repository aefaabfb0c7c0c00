/* SPDX-License-Identifier: Apache-2.0 */
#include "format/cachekit.h"
#include "check.h"
#include "provider.h"
#include <stdio.h>
#include <string.h>

#define BYTES(s) ((aril_bytes){ (const uint8_t *)("" s), sizeof(s) - 1 })
#define FILL     0x5a

/* --- Segments of names */

static void segments_are_those_of_the_pattern(void **state)
{
    (void)state;
    char longest[ARILI_CACHEKIT_SEGMENT_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(arili_cachekit_segment_is_valid(
        (aril_bytes){ (const uint8_t *)longest, ARILI_CACHEKIT_SEGMENT_MAX }));
    assert_false(arili_cachekit_segment_is_valid(
        (aril_bytes){ (const uint8_t *)longest, ARILI_CACHEKIT_SEGMENT_MAX + 1 }));
    assert_false(arili_cachekit_segment_is_valid(BYTES("")));
    assert_false(arili_cachekit_segment_is_valid(BYTES("users\n")));
    assert_false(arili_cachekit_segment_is_valid(BYTES("users\0")));
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t first[2] = { (uint8_t)c, 'x' };
        const uint8_t later[2] = { 'x', (uint8_t)c };
        const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        const bool mark = c == '.' || c == '_' || c == '-';
        assert_int_equal(arili_cachekit_segment_is_valid((aril_bytes){ first, 2 }), word);
        assert_int_equal(arili_cachekit_segment_is_valid((aril_bytes){ later, 2 }), word || mark);
    }
}

/* --- Frames */

#define META                                                                       \
    "\"format\": \"msgpack\", \"encoding\": \"utf-8\", \"compressed\": true, "     \
    "\"original_type\": \"numpy\", \"encrypted\": true, \"tenant_id\": \"acme\", " \
    "\"encryption_algorithm\": \"AES-256-GCM\", "                                  \
    "\"key_fingerprint\": \"000102030405060708090a0b0c0d0eff\""
#define HEADER  "{\"s\": \"default\", \"m\": {" META "}, \"v\": \"2.0\"}"
#define PAYLOAD "the payload"

/* A frame around a header; returns its length. */
static size_t frame_of(const char *header, uint8_t ret[4096])
{
    const size_t len = strlen(header);
    assert_true(len < 4000);
    memcpy(ret, "CK\x03", 3);
    arili_store32(ret + 3, (uint32_t)len);
    memcpy(ret + 7, header, len);
    memcpy(ret + 7 + len, PAYLOAD, sizeof PAYLOAD - 1);
    return 7 + len + sizeof PAYLOAD - 1;
}

static aril_status parse(const char *header)
{
    uint8_t frame[4096];
    struct arili_cachekit_frame f;
    memset(&f, FILL, sizeof f);
    const size_t len = frame_of(header, frame);
    const aril_status st = arili_cachekit_frame_parse((aril_bytes){ frame, len }, &f);
    if (st != ARIL_OK) {
        assert_true(provider_all((const uint8_t *)&f, sizeof f, FILL));
    }
    return st;
}

static void expect_text(aril_bytes got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
}

static void a_frame_as_python_writes_it_is_parsed(void **state)
{
    (void)state;
    uint8_t frame[4096];
    struct arili_cachekit_frame f;
    const size_t len = frame_of(HEADER, frame);
    assert_status(arili_cachekit_frame_parse((aril_bytes){ frame, len }, &f), ARIL_OK);
    expect_text(f.format, "msgpack");
    expect_text(f.original_type, "numpy");
    assert_true(f.compressed);
    expect_text(f.payload, PAYLOAD);
    assert_memory_equal(f.fingerprint,
                        "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff", 16);
}

/* Replaces the first "from" in HEADER. */
static aril_status parse_with(const char *from, const char *to)
{
    char header[2048];
    const char *const at = strstr(HEADER, from);
    assert_non_null(at);
    (void)snprintf(header, sizeof header, "%.*s%s%s", (int)(at - HEADER), HEADER, to,
                   at + strlen(from));
    return parse(header);
}

static void other_orders_spaces_and_members_are_fine(void **state)
{
    (void)state;
    assert_status(parse("{\"v\":\"2.0\",\"m\":{" META "}}"), ARIL_OK);
    assert_status(parse(" {\t\"v\" :\r\n \"2.0\" , \"m\" : {" META " } } "), ARIL_OK);
    assert_status(parse_with("\"s\": \"default\"", "\"s\": null, \"x\": -12, \"y\": 0"), ARIL_OK);
    assert_status(parse_with("\"acme\"", "\"caf\xc3\xa9 \\\" \\\\ \\u00e9 \\n\""), ARIL_OK);
    assert_status(parse_with("\"original_type\": \"numpy\", ", ""), ARIL_OK);
    assert_status(parse_with("\"numpy\"", "null"), ARIL_OK);
    assert_status(parse_with("\"msgpack\"", "\"arrow\""), ARIL_OK);
    assert_status(parse_with("\"msgpack\"", "\"orjson\""), ARIL_OK);
    assert_status(parse_with("\"compressed\": true", "\"compressed\": false"), ARIL_OK);
}

static void what_says_that_it_is_plain_is_of_another_kind(void **state)
{
    (void)state;
    assert_status(parse_with("\"encrypted\": true", "\"encrypted\": false"), ARIL_E_FORMAT_KIND);
    assert_status(parse_with("\"encrypted\": true, ", ""), ARIL_E_FORMAT_KIND);
    assert_status(parse("{\"s\": \"default\", \"m\": {\"format\": \"msgpack\", \"compressed\": "
                        "false}, \"v\": \"2.0\"}"),
                  ARIL_E_FORMAT_KIND);
    assert_status(parse("{\"m\": {}, \"v\": \"2.0\"}"), ARIL_E_FORMAT_KIND);
    assert_status(parse("{\"v\": \"2.0\"}"), ARIL_E_FORMAT_KIND);
    uint8_t frame[4096];
    struct arili_cachekit_frame f;
    const size_t len = frame_of(HEADER, frame);
    frame[1] = 'J';
    assert_status(arili_cachekit_frame_parse((aril_bytes){ frame, len }, &f), ARIL_E_FORMAT_KIND);
    assert_status(arili_cachekit_frame_parse(BYTES("{\"data\": \"\"}"), &f), ARIL_E_FORMAT_KIND);
}

static void fields_that_the_format_does_not_allow_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } cases[] = {
        { "\"encrypted\": true", "\"encrypted\": \"true\"" },
        { "\"encrypted\": true", "\"encrypted\": 1" },
        { "\"encrypted\": true", "\"encrypted\": null" },
        { "AES-256-GCM", "AES-128-GCM" },
        { "AES-256-GCM", "none" },
        { "\"AES-256-GCM\"", "null" },
        { "\"msgpack\"", "\"pickle\"" },
        { "\"msgpack\"", "\"MSGPACK\"" },
        { "\"msgpack\"", "\"msgpac\\u006b\"" },
        { "\"msgpack\"", "1" },
        { "\"compressed\": true", "\"compressed\": \"True\"" },
        { "\"compressed\": true", "\"compressed\": null" },
        { "\"compressed\": true, ", "" },
        { "\"numpy\"", "\"num\\npy\"" },
        { "\"numpy\"", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"" },
        { "\"numpy\"", "true" },
        { "0d0eff", "0d0eff00" },
        { "0d0eff", "0d0e" },
        { "0d0eff", "0d0eFF" },
        { "0d0eff", "0d0exf" },
        { "\"000102030405060708090a0b0c0d0eff\"", "null" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_status(parse_with(cases[i].from, cases[i].to), ARIL_E_FORMAT_FIELD);
    }
    assert_status(parse_with("\"2.0\"", "\"3.0\""), ARIL_E_FORMAT_VERSION);
    assert_status(parse_with("\"2.0\"", "2"), ARIL_E_FORMAT_FIELD);
    assert_status(parse_with(", \"v\": \"2.0\"", ""), ARIL_E_FORMAT_FIELD);
}

static void what_is_no_flat_json_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "{",
        "null",
        "[]",
        HEADER "x",
        HEADER HEADER,
        "{\"v\": \"2.0\", \"m\": {" META "},}",
        "{\"v\": \"2.0\" \"m\": {" META "}}",
        "{\"v\": \"2.0\", \"m\": [" META "]}",
        "{\"v\": \"2.0\", \"m\": null}",
        "{\"v\": \"2.0\", \"v\": \"2.0\", \"m\": {" META "}}",
        "{\"v\": \"2.0\", \"m\": {" META "}, \"m\": {" META "}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"encrypted\": true}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": {}}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": []}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": 1.5}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": 01}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": -}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": tru}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": NaN}}",
        "{\"v\": \"2.0\", \"m\": {" META ", x: 1}}",
        "{\"v\": \"2.0\", \"m\": {" META ", 'x': 1}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"\\u0078\": 1}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": \"\\x\"}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": \"\\u12g4\"}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": \"\\u12",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": \"\n\"}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": \"\xff\"}}",
        "{\"v\": \"2.0\", \"m\": {" META ", \"x\": \"open}}",
    };
    assert_status(parse("{\"v\": \"2.0\", \"m\": {" META "}}"), ARIL_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("  %s\n", cases[i]);
        assert_status(parse(cases[i]), ARIL_E_FORMAT_FIELD);
    }
}

static void every_truncation_of_the_frame_is_refused(void **state)
{
    (void)state;
    uint8_t frame[4096];
    struct arili_cachekit_frame f;
    const size_t len = frame_of(HEADER, frame) - (sizeof PAYLOAD - 1);
    for (size_t cut = 0; cut < len; cut++) {
        assert_status(arili_cachekit_frame_parse((aril_bytes){ frame, cut }, &f),
                      ARIL_E_FORMAT_TRUNCATED);
    }
    assert_status(arili_cachekit_frame_parse((aril_bytes){ frame, len }, &f), ARIL_OK);
    assert_int_equal(f.payload.len, 0);
    /* And a header that ends early although its length is right. */
    for (size_t cut = 0; cut < sizeof HEADER - 1; cut++) {
        char header[sizeof HEADER];
        memcpy(header, HEADER, cut);
        header[cut] = '\0';
        assert_status(parse(header), ARIL_E_FORMAT_FIELD);
    }
}

static void a_length_is_compared_before_it_is_believed(void **state)
{
    (void)state;
    uint8_t frame[4096];
    struct arili_cachekit_frame f;
    const size_t len = frame_of(HEADER, frame);
    arili_store32(frame + 3, UINT32_MAX);
    assert_status(arili_cachekit_frame_parse((aril_bytes){ frame, len }, &f), ARIL_E_FORMAT_LENGTH);
    arili_store32(frame + 3, ARILI_CACHEKIT_HEADER_BYTES_MAX + 1);
    assert_status(arili_cachekit_frame_parse((aril_bytes){ frame, len }, &f), ARIL_E_FORMAT_LENGTH);
    arili_store32(frame + 3, ARILI_CACHEKIT_HEADER_BYTES_MAX);
    assert_status(arili_cachekit_frame_parse((aril_bytes){ frame, len }, &f),
                  ARIL_E_FORMAT_TRUNCATED);
    frame[2] = 4;
    assert_status(arili_cachekit_frame_parse((aril_bytes){ frame, len }, &f),
                  ARIL_E_FORMAT_VERSION);
}

/* --- Associated data: what the published vectors do not have */

static void the_longest_parts_fit_the_stated_room(void **state)
{
    (void)state;
    static uint8_t bytes[4096], out[ARILI_CACHEKIT_AAD_BYTES_MAX];
    const struct arili_cachekit_aad aad = {
        .tenant = { bytes, ARILI_CACHEKIT_TENANT_BYTES_MAX },
        .name = { bytes, ARILI_CACHEKIT_NAME_BYTES_MAX },
        .format = { bytes, ARILI_CACHEKIT_TOKEN_BYTES_MAX },
        .original_type = { bytes, ARILI_CACHEKIT_TOKEN_BYTES_MAX },
    };
    size_t len = 0;
    struct arili_writer w = arili_writer_init(out, sizeof out);
    arili_cachekit_aad_write(&aad, &w);
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    assert_int_equal(len, sizeof out); /* "False" is the longer of the two */
}

/* --- Envelopes */

#define SUM "\x98\x01\x02\x03\x04\x05\x06\x07\xcc\xff"

static aril_status envelope(aril_bytes in, struct arili_cachekit_envelope *ret)
{
    memset(ret, FILL, sizeof *ret);
    const aril_status st = arili_cachekit_envelope_parse(in, ret);
    if (st != ARIL_OK) {
        assert_true(provider_all((const uint8_t *)ret, sizeof *ret, FILL));
    }
    return st;
}

static void both_forms_of_the_data_are_read(void **state)
{
    (void)state;
    struct arili_cachekit_envelope e;
    uint8_t out[3];
    assert_status(envelope(BYTES("\x94\xc4\x03\x01\x80\xff" SUM "\xcd\x01\x00\xa7msgpack"), &e),
                  ARIL_OK);
    assert_false(e.is_array);
    assert_int_equal(e.data_bytes, 3);
    assert_memory_equal(e.data.data, "\x01\x80\xff", 3);
    assert_memory_equal(e.checksum, "\x01\x02\x03\x04\x05\x06\x07\xff", 8);
    assert_int_equal(e.original_bytes, 256);
    /* The old form, also with integers that are wider than they need to be. */
    assert_status(
        envelope(BYTES("\x94\x93\x01\xcc\x80\xcd\x00\xff" SUM "\xcd\x01\x00\xa7msgpack"), &e),
        ARIL_OK);
    assert_true(e.is_array);
    assert_int_equal(e.data_bytes, 3);
    arili_cachekit_envelope_decode(&e, out);
    assert_memory_equal(out, "\x01\x80\xff", 3);
}

static void envelopes_of_another_shape_are_refused(void **state)
{
    (void)state;
    static const aril_bytes cases[] = {
        { (const uint8_t *)"\xc0", 1 },
        { (const uint8_t *)"\x84\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0", 9 },
        { (const uint8_t *)"\x93\xc4\x01\x00" SUM "\x01", 15 },
        { (const uint8_t *)"\x94\xa1\x00" SUM "\x01\xa1m", 16 },         /* data: str */
        { (const uint8_t *)"\x94\x91\xcd\x01\x00" SUM "\x01\xa1m", 18 }, /* 256 in the data */
        { (const uint8_t *)"\x94\x91\xff" SUM "\x01\xa1m", 16 },         /* -1 */
        { (const uint8_t *)"\x94\xc4\x01\x00\xc4\x08\1\2\3\4\5\6\7\x08\x01\xa1m", 17 },
        { (const uint8_t *)"\x94\xc4\x01\x00\x97\1\2\3\4\5\6\7\x01\xa1m", 15 },
        { (const uint8_t *)"\x94\xc4\x01\x00" SUM "\xff\xa1m", 17 }, /* size: -1 */
        { (const uint8_t *)"\x94\xc4\x01\x00" SUM "\xcb\0\0\0\0\0\0\0\0\xa1m", 25 },
        { (const uint8_t *)"\x94\xc4\x01\x00" SUM "\x01\xc4\x01m", 18 }, /* format: bin */
        { (const uint8_t *)"\x94\xc4\x01\x00" SUM "\x01\xa1\xff", 17 },  /* no UTF-8 */
    };
    struct arili_cachekit_envelope e;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_status(envelope(cases[i], &e), ARIL_E_FORMAT_FIELD);
    }
    const aril_bytes good = BYTES("\x94\xc4\x01\x00" SUM "\x01\xa1m");
    assert_status(envelope(good, &e), ARIL_OK);
    for (size_t cut = 0; cut < good.len; cut++) {
        assert_status_class(envelope((aril_bytes){ good.data, cut }, &e), ARIL_E_FORMAT);
    }
    assert_status(envelope(BYTES("\x94\xc4\x01\x00" SUM "\x01\xa1m\xc0"), &e),
                  ARIL_E_FORMAT_LENGTH);
    assert_status(envelope(BYTES("\x94\xc6\xff\xff\xff\xff"), &e), ARIL_E_FORMAT_TRUNCATED);
    assert_status(envelope(BYTES("\x94\xdd\xff\xff\xff\xff"), &e), ARIL_E_FORMAT_TRUNCATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_are_those_of_the_pattern),
        cmocka_unit_test(a_frame_as_python_writes_it_is_parsed),
        cmocka_unit_test(other_orders_spaces_and_members_are_fine),
        cmocka_unit_test(what_says_that_it_is_plain_is_of_another_kind),
        cmocka_unit_test(fields_that_the_format_does_not_allow_are_refused),
        cmocka_unit_test(what_is_no_flat_json_is_refused),
        cmocka_unit_test(every_truncation_of_the_frame_is_refused),
        cmocka_unit_test(a_length_is_compared_before_it_is_believed),
        cmocka_unit_test(the_longest_parts_fit_the_stated_room),
        cmocka_unit_test(both_forms_of_the_data_are_read),
        cmocka_unit_test(envelopes_of_another_shape_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
