/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator of the corpora of seal, offer, accept, confirm and trust in tests/fuzz/corpus,
 * and the check that they are what it makes: their valid messages have to stay valid when a
 * format changes. With ARIL_WRITE_CORPUS=1 it writes the files instead of comparing.
 * Files with a name of 40 hex digits are findings of the fuzzers and not its business.
 */
#include "check.h"
#include "parties.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS         ARIL_SOURCE_DIR "/tests/fuzz/corpus/"
#define FILE_BYTES_MAX 65536u

static void write_file(const char *path, const uint8_t *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void compare_file(const char *path, const uint8_t *data, size_t len)
{
    static uint8_t there[FILE_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("%s is missing; run this test with ARIL_WRITE_CORPUS=1", path);
        return;
    }
    const size_t n = fread(there, 1, sizeof there, file);
    (void)fclose(file); /* it was only read */
    if (n != len || memcmp(there, data, len) != 0) {
        fail_msg("%s is not what the library makes now", path);
    }
}

static void entry(const char *target, const char *name, const uint8_t *data, size_t len)
{
    char path[512];
    const char *write = getenv("ARIL_WRITE_CORPUS");
    (void)snprintf(path, sizeof path, CORPUS "%s/%s", target, name);
    if (write != NULL && strcmp(write, "1") == 0) {
        write_file(path, data, len);
    } else {
        compare_file(path, data, len);
    }
}

/* The message cut at a length, and with single bytes changed. */
struct change {
    const char *name;
    size_t at;
    uint8_t xor ;
};

static void changed(const char *target, const struct message *m, const struct change *changes,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        static struct message copy;
        copy = *m;
        assert_true(changes[i].at < m->len);
        copy.bytes[changes[i].at] ^= changes[i].xor ;
        entry(target, changes[i].name, copy.bytes, copy.len);
    }
}

static void truncated(const char *target, const struct message *m, size_t len)
{
    char name[40];
    (void)snprintf(name, sizeof name, "first-%zu-bytes", len);
    entry(target, name, m->bytes, len);
}

static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                         ARIL_PROFILE_STRICT };

/* --- Records ------------------------------------------------------------------------- */

static void records_are_those_of_the_corpus(void **state)
{
    (void)state;
    static const struct change changes[] = {
        { "level-2", 0, 0x03 },      { "kind-3", 1, 0x02 },
        { "other-use", 2, 0x04 },    { "other-direction", 3, 1 },
        { "unknown-flag", 3, 2 },    { "epoch-1", 7, 1 },
        { "epoch-256", 6, 1 },       { "other-tenant", 8, 1 },
        { "other-sequence", 23, 8 }, { "sequence-above-2-32", 18, 1 },
        { "other-length", 31, 1 },   { "too-long", 24, 1 },
        { "other-key-id", 32, 1 },   { "other-tag", 79, 0x80 },
        { "other-body", 80, 1 },
    };
    for (unsigned n = 0; n < PARTIES_RECORDS; n++) {
        char name[16];
        (void)snprintf(name, sizeof name, "record-%u", n);
        entry("seal", name, parties_record(n)->bytes, parties_record(n)->len);
    }
    static struct message m;
    m = *parties_record(2);
    changed("seal", &m, changes, COUNT(changes));
    truncated("seal", &m, ARIL_SEAL_BYTES);
    m.bytes[23] = 0; /* its sequence is small */
    entry("seal", "sequence-0", m.bytes, m.len);
}

/* --- Handshakes ---------------------------------------------------------------------- */

static void offers_are_those_of_the_corpus(void **state)
{
    (void)state;
    static const struct change changes[] = {
        { "other-magic", 0, 1 },   { "type-accept", 4, 3 },       { "version-2", 5, 3 },
        { "profile-0", 6, 1 },     { "other-profile", 6, 3 },     { "unsigned-flag-2", 7, 2 },
        { "other-nonce", 8, 1 },   { "tenant-id-0", 41, 4 },      { "nul-in-tenant-id", 42, 'a' },
        { "other-tenant", 42, 1 }, { "longer-tenant-id", 41, 1 }, { "other-key", 100, 1 },
    };
    static struct message m;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        char name[40];
        aril_handshake_free(parties_offer(profiles[i], 0, &m));
        (void)snprintf(name, sizeof name, "%s-vouched", aril_profile_name(profiles[i]));
        entry("offer", name, m.bytes, m.len);
        aril_handshake_free(parties_offer(profiles[i], 1, &m));
        (void)snprintf(name, sizeof name, "%s-signed", aril_profile_name(profiles[i]));
        entry("offer", name, m.bytes, m.len);
    }
    aril_handshake_free(parties_offer(ARIL_PROFILE_HYBRID, 0, &m));
    changed("offer", &m, changes, COUNT(changes));
    truncated("offer", &m, 0);
    truncated("offer", &m, 7);
    truncated("offer", &m, m.len - 1);
    aril_handshake_free(parties_offer(ARIL_PROFILE_HYBRID, 1, &m));
    m.bytes[m.len - 1] ^= 1;
    entry("offer", "other-signature", m.bytes, m.len);
}

static void accepts_are_those_of_the_corpus(void **state)
{
    (void)state;
    static const struct change changes[] = {
        { "type-offer", 4, 3 },      { "version-0", 5, 1 },          { "flags-1", 7, 1 },
        { "other-profile", 6, 2 },   { "other-session-id", 8, 1 },   { "other-tenant-tag", 24, 1 },
        { "other-time", 39, 1 },     { "other-rotation", 47, 1 },    { "other-ttl", 63, 1 },
        { "other-readable", 67, 1 }, { "other-server-key", 70, 1 },  { "other-enc", 2100, 1 },
        { "other-mac", 3170, 1 },    { "other-signature", 4000, 1 },
    };
    static struct message offer, m;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        aril_handshake_free(parties_offer(profiles[i], 0, &offer));
        aril_handshake_free(parties_accept(profiles[i], &offer, &m));
        entry("accept", aril_profile_name(profiles[i]), m.bytes, m.len);
    }
    aril_handshake_free(parties_offer(ARIL_PROFILE_HYBRID, 0, &offer));
    aril_handshake_free(parties_accept(ARIL_PROFILE_HYBRID, &offer, &m));
    changed("accept", &m, changes, COUNT(changes));
    truncated("accept", &m, 8);
    truncated("accept", &m, m.len - 1);
}

static void confirms_are_those_of_the_corpus(void **state)
{
    (void)state;
    static const struct change changes[] = {
        { "type-offer", 4, 2 },    { "version-2", 5, 3 },        { "flags-1", 7, 1 },
        { "other-profile", 6, 3 }, { "other-session-id", 8, 1 }, { "mac-length-33", 25, 1 },
        { "other-mac", 26, 1 },    { "profile-4", 6, 5 },
    };
    static struct message m;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        parties_confirm(profiles[i], &m);
        entry("confirm", aril_profile_name(profiles[i]), m.bytes, m.len);
    }
    parties_confirm(ARIL_PROFILE_HYBRID, &m);
    changed("confirm", &m, changes, COUNT(changes));
    truncated("confirm", &m, 0);
    truncated("confirm", &m, 24);
    m.bytes[m.len++] = 0;
    entry("confirm", "one-byte-more", m.bytes, m.len);
}

/* --- Trust lists --------------------------------------------------------------------- */

#define HASH_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HASH_B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

static void text_entry(const char *name, const char *text)
{
    entry("trust", name, (const uint8_t *)text, strlen(text));
}

static void trust_lists_are_those_of_the_corpus(void **state)
{
    (void)state;
    static const char nul[] = "trust did:pqaid:" HASH_A "\0 acme\n";
    static char text[2 * ARIL_DID_BYTES_MAX];
    char did[ARIL_DID_BYTES_MAX];
    size_t len;
    text_entry("empty", "");
    text_entry("comments", "# nobody yet\n\n   \t\n#\n");
    text_entry("one", "trust did:pqaid:" HASH_A " acme\n");
    text_entry("no-line-end", "trust did:pqaid:" HASH_A " acme");
    text_entry("crlf", "trust did:pqaid:" HASH_A " acme\r\nrevoke did:pqaid:" HASH_B "\r\n");
    text_entry("tabs", "\ttrust\tdid:pqaid:" HASH_A "\tAcme  Corp \t \n");
    text_entry("revoked-first", "revoke did:pqaid:" HASH_A " lost\ntrust did:pqaid:" HASH_A " a\n");
    text_entry("revoked-later", "trust did:pqaid:" HASH_A " a\nrevoke did:pqaid:" HASH_A " lost\n");
    text_entry("revoked-twice", "revoke did:pqaid:" HASH_A " 1\nrevoke did:pqaid:" HASH_A " 2\n");
    text_entry("trusted-twice", "trust did:pqaid:" HASH_A " a\ntrust did:pqaid:" HASH_A " b\n");
    text_entry("no-name", "trust did:pqaid:" HASH_A "\n");
    text_entry("no-reason", "revoke did:pqaid:" HASH_B "\n");
    text_entry("no-did", "trust\n");
    text_entry("other-word", "allow did:pqaid:" HASH_A " acme\n");
    text_entry("other-method", "trust did:web:example.org acme\n");
    text_entry("utf-8", "trust did:pqaid:" HASH_A " caf\xc3\xa9\n");
    entry("trust", "nul-after-did", (const uint8_t *)nul, sizeof nul - 1);
    for (size_t i = 0; i < 2; i++) {
        const aril_profile profile = i == 0 ? ARIL_PROFILE_HYBRID : ARIL_PROFILE_STRICT;
        assert_status(aril_did_write(parties_runtime(), ARIL_DID_KEY,
                                     i == 0 ? ARIL_ML_DSA_65 : ARIL_ML_DSA_87,
                                     parties_trusted_key(profile), did, sizeof did, &len),
                      ARIL_OK);
        (void)snprintf(text, sizeof text, "trust %s key of the tenant\n", did);
        text_entry(i == 0 ? "did-key-65" : "did-key-87", text);
    }
    (void)snprintf(text, sizeof text, "trust did:pqaid:" HASH_A " %0127d\n", 1);
    text_entry("longest-name", text);
    (void)snprintf(text, sizeof text, "trust did:pqaid:" HASH_A " %0128d\n", 1);
    text_entry("too-long-name", text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_those_of_the_corpus),
        cmocka_unit_test(offers_are_those_of_the_corpus),
        cmocka_unit_test(accepts_are_those_of_the_corpus),
        cmocka_unit_test(confirms_are_those_of_the_corpus),
        cmocka_unit_test(trust_lists_are_those_of_the_corpus),
    };
    return cmocka_run_group_tests_name("fuzz corpora", tests, NULL, NULL);
}
