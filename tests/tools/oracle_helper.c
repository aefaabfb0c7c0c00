/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/legacy.h"
#include "check.h"
#include "crypto/hpke.h"
#include "crypto/xwing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The primitives of the library for test scripts in other languages. Reads one command
 * a line, answers one line: "ok FIELD..." or "error STATUS". Fields are separated by
 * spaces and are hex, "-" for no bytes, or decimal numbers where the table says so.
 */

#define FIELDS_MAX     12u
#define FIELD_MAX      8192u
#define LINE_MAX_BYTES (FIELDS_MAX * 2 * FIELD_MAX)

struct field {
    uint8_t bytes[FIELD_MAX];
    size_t len;
    long number;
};

static struct field in[FIELDS_MAX];
static struct arili_crypto crypto;

static aril_bytes bytes_of(size_t i)
{
    return (aril_bytes){ in[i].bytes, in[i].len };
}

static void print_hex(const uint8_t *bytes, size_t len)
{
    putchar(' ');
    if (len == 0) {
        putchar('-');
    }
    for (size_t i = 0; i < len; i++) {
        printf("%02x", bytes[i]);
    }
}

/* Each command prints its output fields after all calls succeeded. */

static aril_status import(bool sign, bool is_public, struct arili_pkey **ret)
{
    const struct arili_crypto_ops *const ops = crypto.ops;
    const int alg = (int)in[0].number;
    const enum arili_kem kem = (enum arili_kem)alg;
    if (sign) {
        return is_public ? ops->sign_import_public(crypto.provider, alg, bytes_of(1), ret)
                         : ops->sign_import_seed(crypto.provider, alg, bytes_of(1), ret);
    }
    return is_public ? ops->kem_import_public(crypto.provider, kem, bytes_of(1), ret)
                     : ops->kem_import_seed(crypto.provider, kem, bytes_of(1), ret);
}

static aril_status print_public(bool sign)
{
    struct arili_pkey *key = NULL;
    uint8_t out[2592];
    size_t len = 0;
    aril_status st = import(sign, false, &key);
    if (st == ARIL_OK) {
        st = crypto.ops->pkey_public(key, out, sizeof out, &len);
    }
    crypto.ops->pkey_free(key);
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(out, len);
    }
    return st;
}

static aril_status kem_public(void)
{
    return print_public(false);
}

static aril_status sign_public(void)
{
    return print_public(true);
}

static aril_status kem_encaps(void)
{
    struct arili_pkey *key = NULL;
    uint8_t ct[ARILI_ML_KEM_1024_CT_BYTES];
    uint8_t ss[ARILI_ML_KEM_SHARED_BYTES];
    const size_t len = arili_kem_ct_bytes((enum arili_kem)in[0].number);
    aril_status st = import(false, true, &key);
    if (st == ARIL_OK) {
        st = crypto.ops->kem_encaps(key, NULL, ct, len, ss);
    }
    crypto.ops->pkey_free(key);
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(ct, len);
        print_hex(ss, sizeof ss);
    }
    return st;
}

static aril_status kem_decaps(void)
{
    struct arili_pkey *key = NULL;
    uint8_t ss[ARILI_ML_KEM_SHARED_BYTES];
    aril_status st = import(false, false, &key);
    if (st == ARIL_OK) {
        st = crypto.ops->kem_decaps(key, bytes_of(2), ss);
    }
    crypto.ops->pkey_free(key);
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(ss, sizeof ss);
    }
    return st;
}

static aril_status sign(void)
{
    struct arili_pkey *key = NULL;
    uint8_t sig[4627];
    const size_t len = arili_sign_signature_bytes((int)in[0].number);
    aril_status st = import(true, false, &key);
    if (st == ARIL_OK) {
        st = crypto.ops->sign(key, bytes_of(2), bytes_of(3), false, sig, len);
    }
    crypto.ops->pkey_free(key);
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(sig, len);
    }
    return st;
}

static aril_status verify(void)
{
    struct arili_pkey *key = NULL;
    aril_status st = import(true, true, &key);
    if (st == ARIL_OK) {
        st = crypto.ops->verify(key, bytes_of(2), bytes_of(3), bytes_of(4));
    }
    crypto.ops->pkey_free(key);
    if (st == ARIL_OK) {
        printf("ok");
    }
    return st;
}

static aril_status xwing_public(void)
{
    struct arili_xwing_key *key = NULL;
    uint8_t out[ARILI_XWING_PUBLIC_BYTES];
    if (in[0].len != ARILI_XWING_SEED_BYTES) {
        return ARIL_E_USAGE;
    }
    const aril_status st = arili_xwing_import(&crypto, in[0].bytes, out, &key);
    arili_xwing_free(key);
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(out, sizeof out);
    }
    return st;
}

static aril_status xwing_encaps(void)
{
    uint8_t ct[ARILI_XWING_CT_BYTES];
    uint8_t ss[ARILI_XWING_SHARED_BYTES];
    const aril_status st = arili_xwing_encaps(&crypto, bytes_of(0), NULL, ct, ss);
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(ct, sizeof ct);
        print_hex(ss, sizeof ss);
    }
    return st;
}

static aril_status xwing_decaps(void)
{
    struct arili_xwing_key *key = NULL;
    uint8_t public_key[ARILI_XWING_PUBLIC_BYTES];
    uint8_t ss[ARILI_XWING_SHARED_BYTES];
    if (in[0].len != ARILI_XWING_SEED_BYTES) {
        return ARIL_E_USAGE;
    }
    aril_status st = arili_xwing_import(&crypto, in[0].bytes, public_key, &key);
    if (st == ARIL_OK) {
        st = arili_xwing_decaps(key, bytes_of(1), ss);
    }
    arili_xwing_free(key);
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(ss, sizeof ss);
    }
    return st;
}

static struct arili_hpke_suite suite(void)
{
    return (struct arili_hpke_suite){ (enum arili_hpke_kem)in[0].number,
                                      (enum arili_hpke_kdf)in[1].number };
}

static aril_status hpke_public(void)
{
    struct arili_hpke_key *key = NULL;
    const aril_status st =
        arili_hpke_key_import(&crypto, (enum arili_hpke_kem)in[0].number, bytes_of(1), &key);
    if (st == ARIL_OK) {
        const aril_bytes p = arili_hpke_key_public(key);
        printf("ok");
        print_hex(p.data, p.len);
    }
    arili_hpke_key_free(key);
    return st;
}

static aril_status hpke_seal(void)
{
    const struct arili_hpke_psk psk = { bytes_of(4), bytes_of(5) };
    const size_t enc_len = arili_hpke_enc_bytes(suite().kem);
    struct arili_hpke_ctx ctx = { 0 };
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    uint8_t ct[2][FIELD_MAX + ARILI_AEAD_TAG_BYTES];
    uint8_t exported[40];
    size_t len[2] = { 0, 0 };
    aril_status st = arili_hpke_setup_sender(&crypto, suite(), bytes_of(2), bytes_of(3), &psk, NULL,
                                             enc, enc_len, &ctx);
    for (size_t i = 0; i < 2 && st == ARIL_OK; i++) {
        st = arili_hpke_seal(&ctx, bytes_of(6), bytes_of(7 + i), ct[i], sizeof ct[i], &len[i]);
    }
    if (st == ARIL_OK) {
        st = arili_hpke_export(&ctx, bytes_of(9), exported, sizeof exported);
    }
    arili_hpke_done(&ctx);
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(enc, enc_len);
        print_hex(ct[0], len[0]);
        print_hex(ct[1], len[1]);
        print_hex(exported, sizeof exported);
    }
    return st;
}

static aril_status hpke_open(void)
{
    const struct arili_hpke_psk psk = { bytes_of(5), bytes_of(6) };
    struct arili_hpke_key *key = NULL;
    struct arili_hpke_ctx ctx = { 0 };
    uint8_t plain[2][FIELD_MAX];
    uint8_t exported[40];
    size_t len[2] = { 0, 0 };
    aril_status st = arili_hpke_key_import(&crypto, suite().kem, bytes_of(2), &key);
    if (st == ARIL_OK) {
        st =
            arili_hpke_setup_recipient(&crypto, suite(), key, bytes_of(3), bytes_of(4), &psk, &ctx);
    }
    for (size_t i = 0; i < 2 && st == ARIL_OK; i++) {
        st =
            arili_hpke_open(&ctx, bytes_of(7), bytes_of(8 + i), plain[i], sizeof plain[i], &len[i]);
    }
    if (st == ARIL_OK) {
        st = arili_hpke_export(&ctx, bytes_of(10), exported, sizeof exported);
    }
    arili_hpke_done(&ctx);
    arili_hpke_key_free(key);
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(plain[0], len[0]);
        print_hex(plain[1], len[1]);
        print_hex(exported, sizeof exported);
    }
    return st;
}

/* The fields format, key bits, tenant or salt, name, key. LMCache's key is its master file. */
static aril_status legacy_scope(struct arili_legacy_scope *ret, struct arili_legacy_keys *keys,
                                uint8_t prk[32])
{
    *ret = (struct arili_legacy_scope){ .crypto = &crypto,
                                        .format = (aril_cache_format)in[0].number,
                                        .lmcache_key_bits = (uint32_t)in[1].number,
                                        .tenant = bytes_of(2),
                                        .name = bytes_of(3),
                                        .value_max = FIELD_MAX,
                                        .keys = keys };
    *keys = (struct arili_legacy_keys){ .key = { bytes_of(4) }, .count = 1 };
    if (ret->format == ARIL_CACHE_LMCACHE) {
        keys->key[0] = (aril_bytes){ prk, 32 };
        const aril_status st = arili_lmcache_prk(&crypto, bytes_of(4), prk);
        if (st != ARIL_OK) {
            return st;
        }
    }
    return arili_contexts_new(&crypto, &ret->contexts);
}

static aril_status legacy_open(void)
{
    uint8_t prk[32];
    struct arili_legacy_keys keys;
    struct arili_legacy_scope scope;
    struct arili_legacy_value value = { 0 };
    aril_status st = legacy_scope(&scope, &keys, prk);
    if (st == ARIL_OK) {
        st = arili_legacy_open(&scope, bytes_of(5), &value);
        arili_contexts_free(scope.contexts);
    }
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(value.bytes.data, value.bytes.len);
    }
    arili_legacy_value_done(&value);
    return st;
}

static aril_status legacy_seal(void)
{
    uint8_t prk[32];
    static uint8_t sealed[FIELD_MAX + 64];
    struct arili_legacy_keys keys;
    struct arili_legacy_scope scope;
    struct arili_legacy_writer writer = { .used_max = 1 };
    aril_status st = crypto.ops->random(crypto.provider, writer.instance, sizeof writer.instance);
    if (st == ARIL_OK) {
        st = legacy_scope(&scope, &keys, prk);
    }
    if (st == ARIL_OK) {
        st = arili_legacy_seal(&scope, &writer, bytes_of(5), sealed);
        arili_contexts_free(scope.contexts);
    }
    if (st == ARIL_OK) {
        printf("ok");
        print_hex(sealed, in[5].len + arili_legacy_overhead(scope.format));
    }
    return st;
}

static const struct {
    const char *name;
    size_t numbers; /* the first fields, decimal */
    size_t fields;  /* with them */
    aril_status (*run)(void);
} commands[] = {
    { "kem-public", 1, 2, kem_public },     /* kem seed -> public */
    { "kem-encaps", 1, 2, kem_encaps },     /* kem public -> ct secret */
    { "kem-decaps", 1, 3, kem_decaps },     /* kem seed ct -> secret */
    { "sign-public", 1, 2, sign_public },   /* alg seed -> public */
    { "sign", 1, 4, sign },                 /* alg seed context message -> sig */
    { "verify", 1, 5, verify },             /* alg public context message sig -> */
    { "xwing-public", 0, 1, xwing_public }, /* seed -> public */
    { "xwing-encaps", 0, 1, xwing_encaps }, /* public -> ct secret */
    { "xwing-decaps", 0, 2, xwing_decaps }, /* seed ct -> secret */
    { "hpke-public", 1, 2, hpke_public },   /* kem seed -> public */
    /* kem kdf public info psk psk-id aad plain plain label -> enc ct ct exported(40) */
    { "hpke-seal", 2, 10, hpke_seal },
    /* kem kdf seed enc info psk psk-id aad ct ct label -> plain plain exported(40) */
    { "hpke-open", 2, 11, hpke_open },
    { "legacy-open", 2, 6, legacy_open }, /* format bits tenant name key stored -> value */
    { "legacy-seal", 2, 6, legacy_seal }, /* format bits tenant name key value -> stored */
};

static bool read_hex(const char *s, struct field *ret)
{
    const size_t len = strlen(s);
    ret->len = 0;
    if (strcmp(s, "-") == 0) {
        return true;
    }
    if (len % 2 != 0 || len / 2 > FIELD_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i += 2) {
        unsigned v;
        const char pair[3] = { s[i], s[i + 1], '\0' };
        if (strspn(pair, "0123456789abcdef") != 2 || sscanf(pair, "%x", &v) != 1) {
            return false;
        }
        ret->bytes[ret->len++] = (uint8_t)v;
    }
    return true;
}

/* Splits the line into in[]; false when there are too few fields, or bad ones. */
static bool read_fields(char **rest, size_t numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *const word = strtok_r(NULL, " \n", rest);
        if (word == NULL) {
            return false;
        }
        if (i < numbers) {
            in[i].number = strtol(word, NULL, 10);
        } else if (!read_hex(word, &in[i])) {
            return false;
        }
    }
    return strtok_r(NULL, " \n", rest) == NULL;
}

static aril_status run(char *line)
{
    char *rest = NULL;
    const char *const name = strtok_r(line, " \n", &rest);
    for (size_t i = 0; name != NULL && i < COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return read_fields(&rest, commands[i].numbers, commands[i].fields) ? commands[i].run()
                                                                               : ARIL_E_USAGE;
        }
    }
    return ARIL_E_USAGE;
}

int main(void)
{
    static char line[LINE_MAX_BYTES];
    if (arili_openssl_new(&crypto, NULL) != ARIL_OK) {
        fprintf(stderr, "oracle_helper: no provider\n");
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        const aril_status st = run(line);
        if (st != ARIL_OK) {
            printf("error %s", aril_status_name(st));
        }
        putchar('\n');
        fflush(stdout);
    }
    arili_openssl_free(&crypto);
    return 0;
}
