/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_format.h"
#include "check.h"
#include <string.h>

#define FILL 0xee

static aril_status parse(const char *uri, struct arili_tpm2_uri *ret, aril_error *error)
{
    return arili_tpm2_uri_parse(uri, uri + 5, ret, error);
}

static void a_uri_names_the_way_the_place_and_the_pcrs(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *tcti, *conf, *path, *pcrs;
        uint32_t mask;
    } CASES[] = {
        { "tpm2:device:/dev/tpmrm0", "device", "/dev/tpmrm0", "/dev/tpmrm0", "none", 0 },
        { "tpm2:swtpm:path=/run/t.sock", "swtpm", "path=/run/t.sock", "/run/t.sock", "none", 0 },
        { "tpm2:swtpm:host=127.0.0.1,port=2321", "swtpm", "host=127.0.0.1,port=2321", NULL, "none",
          0 },
        { "tpm2:mssim:host=a,port=1?pcrs=sha384:0", "mssim", "host=a,port=1", NULL, "sha384:0", 1 },
        { "tpm2:tabrmd", "tabrmd", "", NULL, "none", 0 },
        { "tpm2:tabrmd:?pcrs=sha512:23", "tabrmd", "", NULL, "sha512:23", 1u << 23 },
        { "tpm2:tabrmd:bus_name=x?pcrs=sha256:16,7", "tabrmd", "bus_name=x", NULL, "sha256:7,16",
          1u << 16 | 1u << 7 },
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct arili_tpm2_uri got;
        assert_status(parse(CASES[i].uri, &got, NULL), ARIL_OK);
        assert_string_equal(got.text, CASES[i].uri);
        assert_string_equal(got.tcti, CASES[i].tcti);
        assert_string_equal(got.conf, CASES[i].conf);
        assert_int_equal(got.pcrs.mask, CASES[i].mask);
        char text[ARILI_TPM2_PCRS_TEXT_BYTES];
        arili_tpm2_pcrs_text(&got.pcrs, text, sizeof text);
        assert_string_equal(text, CASES[i].pcrs);
        const char *path = arili_tpm2_uri_path(&got);
        assert_int_equal(path == NULL, CASES[i].path == NULL);
        if (path != NULL) {
            assert_string_equal(path, CASES[i].path);
        }
    }
}

static void other_uris_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *reason;
    } CASES[] = {
        { "tpm2:", "the way to the TPM" },
        { "tpm2:cmd:swtpm socket", "the way to the TPM" },
        { "tpm2:pcap:device:/dev/tpmrm0", "the way to the TPM" },
        { "tpm2:libtpms:", "the way to the TPM" },
        { "tpm2:devices:/dev/tpm0", "the way to the TPM" },
        { "tpm2:/dev/tpm0", "the way to the TPM" },
        { "tpm2:./libevil.so:x", "the way to the TPM" },
        { "tpm2:DEVICE:/dev/tpm0", "the way to the TPM" },
        { "tpm2:device", "which device" },
        { "tpm2:device:", "which device" },
        { "tpm2:swtpm:?pcrs=sha256:7", "which device" },
        { "tpm2:tabrmd?", "pcrs=" },
        { "tpm2:tabrmd?pcr=sha256:7", "pcrs=" },
        { "tpm2:tabrmd?pcrs=sha256:7&x=1", "commas" },
        { "tpm2:tabrmd?pcrs=", "bank" },
        { "tpm2:tabrmd?pcrs=7", "bank" },
        { "tpm2:tabrmd?pcrs=sha1:7", "bank" },
        { "tpm2:tabrmd?pcrs=sha256", "bank" },
        { "tpm2:tabrmd?pcrs=SHA256:7", "bank" },
        { "tpm2:tabrmd?pcrs=sha256:", "0 to 23" },
        { "tpm2:tabrmd?pcrs=sha256:24", "0 to 23" },
        { "tpm2:tabrmd?pcrs=sha256:-1", "0 to 23" },
        { "tpm2:tabrmd?pcrs=sha256:07", "0 to 23" },
        { "tpm2:tabrmd?pcrs=sha256:100", "0 to 23" },
        { "tpm2:tabrmd?pcrs=sha256:4294967303", "0 to 23" },
        { "tpm2:tabrmd?pcrs=sha256:7,", "0 to 23" },
        { "tpm2:tabrmd?pcrs=sha256:,7", "0 to 23" },
        { "tpm2:tabrmd?pcrs=sha256: 7", "0 to 23" },
        { "tpm2:tabrmd?pcrs=sha256:7,7", "twice" },
        { "tpm2:tabrmd?pcrs=sha256:7+sha384:7", "commas" },
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct arili_tpm2_uri got;
        memset(&got, FILL, sizeof got);
        aril_error error = { .message = "" };
        assert_status(parse(CASES[i].uri, &got, &error), ARIL_E_USAGE_RANGE);
        assert_non_null(strstr(error.message, CASES[i].reason));
        assert_int_equal(strncmp(error.message, CASES[i].uri, strlen(CASES[i].uri)), 0);
        assert_int_equal((uint8_t)got.tcti[0], FILL);
    }
}

static void a_uri_has_a_longest_length(void **state)
{
    (void)state;
    char uri[ARILI_TPM2_URI_BYTES + 1];
    memset(uri, 'x', sizeof uri);
    memcpy(uri, "tpm2:device:", 12);
    uri[ARILI_TPM2_URI_BYTES] = '\0';
    struct arili_tpm2_uri got;
    assert_status(parse(uri, &got, NULL), ARIL_E_USAGE_RANGE);
    uri[ARILI_TPM2_URI_BYTES - 1] = '\0';
    assert_status(parse(uri, &got, NULL), ARIL_OK);
}

static void a_selection_is_marshalled_as_the_tpm_reads_it(void **state)
{
    (void)state;
    const struct arili_tpm2_pcrs pcrs = { .bank = ARILI_TPM2_SHA256,
                                          .mask = 1u | 1u << 9 | 1u << 23 };
    static const uint8_t WANT[] = { 0, 0, 0, 1, 0, 0x0b, 3, 0x01, 0x02, 0x80 };
    uint8_t got[ARILI_TPM2_SELECTION_BYTES];
    arili_tpm2_pcrs_marshal(&pcrs, got);
    assert_memory_equal(got, WANT, sizeof WANT);
}

static const uint8_t PUBLIC_AREA[] = { 0, 2, 1, 2 };
static const uint8_t PRIVATE_AREA[] = { 0, 3, 4, 5, 6 };

static struct arili_tpm2_blob sample(void)
{
    struct arili_tpm2_blob b = { .pcrs = { ARILI_TPM2_SHA384, 1u << 16 },
                                 .handle = 0x01812345,
                                 .public_area = { PUBLIC_AREA, sizeof PUBLIC_AREA },
                                 .private_area = { PRIVATE_AREA, sizeof PRIVATE_AREA } };
    memset(b.slot, 0x11, sizeof b.slot);
    memset(b.parent, 0x22, sizeof b.parent);
    memset(b.pcr_digest, 0x33, sizeof b.pcr_digest);
    return b;
}

static size_t write_sample(const struct arili_tpm2_blob *b, uint8_t *ret, size_t cap)
{
    size_t len = 0;
    assert_status(arili_tpm2_blob_write(b, ret, cap, &len), ARIL_OK);
    return len;
}

static void a_blob_is_laid_out_as_its_header_says(void **state)
{
    (void)state;
    const struct arili_tpm2_blob b = sample();
    static const uint8_t HEAD[] = { 'A', 'T', 'P', 'M', 1,    0,    0x0c, 0,
                                    1,   0,   0,   1,   0x81, 0x23, 0x45, 0x11 };
    uint8_t bytes[256];
    const size_t len = write_sample(&b, bytes, sizeof bytes);
    assert_int_equal(len, 4 + 1 + 2 + 4 + 4 + 16 + 32 + 32 + 2 + 4 + 2 + 5);
    assert_memory_equal(bytes, HEAD, sizeof HEAD);
    assert_int_equal(bytes[31], 0x22);
    assert_int_equal(bytes[63], 0x33);
    assert_memory_equal(bytes + 97, PUBLIC_AREA, sizeof PUBLIC_AREA);
    assert_memory_equal(bytes + 103, PRIVATE_AREA, sizeof PRIVATE_AREA);
    struct arili_tpm2_blob got;
    assert_status(arili_tpm2_blob_parse((aril_bytes){ bytes, len }, &got), ARIL_OK);
    assert_int_equal(got.pcrs.bank, b.pcrs.bank);
    assert_int_equal(got.pcrs.mask, b.pcrs.mask);
    assert_int_equal(got.handle, b.handle);
    assert_memory_equal(got.slot, b.slot, sizeof b.slot);
    assert_memory_equal(got.parent, b.parent, sizeof b.parent);
    assert_memory_equal(got.pcr_digest, b.pcr_digest, sizeof b.pcr_digest);
    assert_int_equal(got.private_area.len, sizeof PRIVATE_AREA);
    assert_memory_equal(got.private_area.data, PRIVATE_AREA, sizeof PRIVATE_AREA);
}

static void every_truncation_and_every_cap_is_noticed(void **state)
{
    (void)state;
    const struct arili_tpm2_blob b = sample();
    uint8_t bytes[256], small[256];
    const size_t len = write_sample(&b, bytes, sizeof bytes);
    struct arili_tpm2_blob got;
    for (size_t n = 0; n < len; n++) {
        assert_status(arili_tpm2_blob_parse((aril_bytes){ bytes, n }, &got),
                      ARIL_E_FORMAT_TRUNCATED);
        size_t unused = 0;
        assert_status(arili_tpm2_blob_write(&b, small, n, &unused), ARIL_E_USAGE_TOO_SMALL);
    }
    assert_status(arili_tpm2_blob_parse((aril_bytes){ bytes, len + 1 }, &got),
                  ARIL_E_FORMAT_LENGTH);
}

static void fields_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        aril_status st;
    } CASES[] = {
        { 0, 'B', ARIL_E_FORMAT_KIND },    { 3, 'C', ARIL_E_FORMAT_KIND },
        { 4, 0, ARIL_E_FORMAT_VERSION },   { 4, 2, ARIL_E_FORMAT_VERSION },
        { 5, 1, ARIL_E_FORMAT_FIELD },     { 6, 0x04, ARIL_E_FORMAT_FIELD }, /* SHA-1 */
        { 6, 0, ARIL_E_FORMAT_FIELD },                                       /* PCRs of no bank */
        { 7, 1, ARIL_E_FORMAT_FIELD },                                       /* PCR 24 */
        { 8, 0, ARIL_E_FORMAT_FIELD },                                       /* no PCR */
        { 11, 0x81, ARIL_E_FORMAT_FIELD }, { 12, 0x7f, ARIL_E_FORMAT_FIELD },
        { 12, 0xc0, ARIL_E_FORMAT_FIELD }, /* handles of others */
    };
    const struct arili_tpm2_blob b = sample();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        uint8_t bytes[256];
        const size_t len = write_sample(&b, bytes, sizeof bytes);
        bytes[CASES[i].at] = CASES[i].value;
        struct arili_tpm2_blob got;
        memset(&got, FILL, sizeof got);
        assert_status(arili_tpm2_blob_parse((aril_bytes){ bytes, len }, &got), CASES[i].st);
        assert_int_equal(got.slot[0], FILL);
    }
    /* A digest of no PCRs is zeros, and an object is never empty. */
    struct arili_tpm2_blob odd = sample(), got;
    uint8_t bytes[256];
    odd.pcrs = (struct arili_tpm2_pcrs){ 0, 0 };
    size_t len = write_sample(&odd, bytes, sizeof bytes);
    assert_status(arili_tpm2_blob_parse((aril_bytes){ bytes, len }, &got), ARIL_E_FORMAT_FIELD);
    memset(odd.pcr_digest, 0, sizeof odd.pcr_digest);
    len = write_sample(&odd, bytes, sizeof bytes);
    assert_status(arili_tpm2_blob_parse((aril_bytes){ bytes, len }, &got), ARIL_OK);
    odd.private_area.len = 2;
    len = write_sample(&odd, bytes, sizeof bytes);
    assert_status(arili_tpm2_blob_parse((aril_bytes){ bytes, len }, &got), ARIL_E_FORMAT_FIELD);
}

static void handles_and_their_windows_stay_in_the_range_of_the_owner(void **state)
{
    (void)state;
    uint8_t tag[ARILI_TPM2_DIGEST_BYTES] = { 0 };
    assert_int_equal(arili_tpm2_nv_handle(tag), ARILI_TPM2_NV_FIRST);
    for (uint32_t i = 0; i < 100000; i++) {
        const uint32_t v = i * 2654435761u;
        memcpy(tag, &v, sizeof v);
        const uint32_t handle = arili_tpm2_nv_handle(tag);
        assert_in_range(handle, ARILI_TPM2_NV_FIRST,
                        ARILI_TPM2_NV_LAST - (ARILI_TPM2_NV_WINDOW - 1));
    }
}

static void a_locator_is_read_as_it_was_written_and_not_otherwise(void **state)
{
    (void)state;
    struct arili_tpm2_locator locator = { .handle = 0x01bfffff }, got;
    memset(locator.tag, 0x44, sizeof locator.tag);
    struct arili_store_counter c;
    arili_tpm2_locator_write(&locator, &c);
    assert_int_equal(c.len, ARILI_TPM2_LOCATOR_BYTES);
    assert_memory_equal(c.bytes, "ATPC\x01\xbf\xff\xff\x44", 9);
    assert_status(arili_tpm2_locator_parse(&c, &got), ARIL_OK);
    assert_int_equal(got.handle, locator.handle);
    assert_memory_equal(got.tag, locator.tag, sizeof locator.tag);
    for (size_t n = 0; n < sizeof c.bytes; n++) {
        struct arili_store_counter cut = c;
        cut.len = n;
        assert_status_class(arili_tpm2_locator_parse(&cut, &got),
                            n == c.len ? ARIL_OK : ARIL_E_FORMAT);
    }
    struct arili_store_counter odd = c;
    odd.len = sizeof odd.bytes + 1;
    assert_status(arili_tpm2_locator_parse(&odd, &got), ARIL_E_FORMAT_LENGTH);
    odd = c;
    odd.bytes[0] ^= 1;
    assert_status(arili_tpm2_locator_parse(&odd, &got), ARIL_E_FORMAT_KIND);
    odd = c;
    odd.bytes[5] = 0xc0;
    assert_status(arili_tpm2_locator_parse(&odd, &got), ARIL_E_FORMAT_FIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uri_names_the_way_the_place_and_the_pcrs),
        cmocka_unit_test(other_uris_are_refused_with_the_reason),
        cmocka_unit_test(a_uri_has_a_longest_length),
        cmocka_unit_test(a_selection_is_marshalled_as_the_tpm_reads_it),
        cmocka_unit_test(a_blob_is_laid_out_as_its_header_says),
        cmocka_unit_test(every_truncation_and_every_cap_is_noticed),
        cmocka_unit_test(fields_that_make_no_sense_are_refused),
        cmocka_unit_test(handles_and_their_windows_stay_in_the_range_of_the_owner),
        cmocka_unit_test(a_locator_is_read_as_it_was_written_and_not_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
