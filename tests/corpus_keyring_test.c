/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator of the named files of the corpora of keyring_row, card, bundle, receipt and
 * recovery in tests/fuzz/corpus, and the check that they are what it makes; see corpus_test.c.
 * With ARIL_WRITE_CORPUS=1 it writes the files instead of comparing.
 */
#include "codecs.h"
#include "fixture.h"
#include "format/pem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS ARIL_SOURCE_DIR "/tests/fuzz/corpus/"

static void entry(const char *target, const char *name, const void *data, size_t len)
{
    static uint8_t there[SAMPLE_BYTES_MAX];
    char path[512];
    const char *write = getenv("ARIL_WRITE_CORPUS");
    const bool writes = write != NULL && strcmp(write, "1") == 0;
    (void)snprintf(path, sizeof path, CORPUS "%s/%s", target, name);
    FILE *file = fopen(path, writes ? "wb" : "rb");
    if (file == NULL) {
        fail_msg("%s cannot be opened; run this test with ARIL_WRITE_CORPUS=1", path);
        return;
    }
    const size_t n = writes ? fwrite(data, 1, len, file) : fread(there, 1, sizeof there, file);
    assert_int_equal(fclose(file), 0);
    if (n != len || (!writes && memcmp(there, data, len) != 0)) {
        fail_msg("%s is not what the format says now", path);
    }
}

static void row(const struct sample *s)
{
    static const char *const kinds[ARILI_ROW_KINDS] = { "head",     "key",       "staged",
                                                        "rotation", "tombstone", "node",
                                                        "backup",   "floor",     "authority",
                                                        "recovery" };
    static uint8_t bytes[1 + SAMPLE_BYTES_MAX];
    char name[64];
    (void)snprintf(name, sizeof name, "%s-%s", kinds[s->codec], s->name);
    bytes[0] = (uint8_t)s->codec;
    memcpy(bytes + 1, s->bytes, s->len);
    entry("keyring_row", name, bytes, 1 + s->len);
}

static void rows_are_those_of_the_corpus(void **state)
{
    (void)state;
    static struct sample s;
    for (unsigned n = 0; sample_make(n, &s); n++) {
        if ((unsigned)s.codec < ARILI_ROW_KINDS) {
            row(&s);
        }
    }
}

static void messages_are_those_of_the_corpus(void **state)
{
    (void)state;
    static struct sample s;
    for (unsigned n = 0; sample_make(n, &s); n++) {
        if (s.codec >= CODEC_CARD && s.codec <= CODEC_RECEIPT) {
            entry(s.codec == CODEC_CARD     ? "card"
                  : s.codec == CODEC_BUNDLE ? "bundle"
                                            : "receipt",
                  s.name, s.bytes, s.len);
        }
    }
}

static void recovery_keys_are_those_of_the_corpus(void **state)
{
    (void)state;
    static struct sample s;
    static char pem[SAMPLE_BYTES_MAX];
    for (unsigned n = 0; sample_make(n, &s); n++) {
        if (s.codec >= CODEC_RECOVERY_KEY) {
            const bool key = s.codec == CODEC_RECOVERY_KEY;
            size_t len = 0;
            assert_status(arili_pem_write(key ? ARILI_RECOVERY_LABEL : ARILI_RECIPIENT_LABEL,
                                          (aril_bytes){ s.bytes, s.len }, pem, sizeof pem, &len),
                          ARIL_OK);
            entry("recovery", s.name, s.bytes, s.len);
            entry("recovery", key ? "key-pem" : "recipient-pem", pem, len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_the_corpus),
        cmocka_unit_test(messages_are_those_of_the_corpus),
        cmocka_unit_test(recovery_keys_are_those_of_the_corpus),
    };
    return cmocka_run_group_tests_name("keyring corpora", tests, NULL, NULL);
}
