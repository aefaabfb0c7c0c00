/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "cache/cachekit.h"
#include "cache/canonical.h"
#include "cache/envelope.h"
#include "check.h"
#include "format/msgpack.h"
#include "runtime.h"
#include "crypto/runtime.h"
#include "vectors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What cachekit publishes about its formats; shared/vectors/README.md has the origins. */

#define MESSAGE_MAX 4096u
#define VALUE_MAX   ((size_t)1 << 20)

static void name_case(const char *file, const json_t *t)
{
    print_message("  %s: %s\n", file, vectors_string(t, "name"));
}

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

/* --- The tagged JSON of interop-mode.json, as MessagePack ------------------------------- */

/* What a caller who has typed arguments would write. False: they have no MessagePack form. */
struct tagged {
    struct vectors *v;
    struct arili_writer w;
    bool sorts; /* maps by their keys; else they are written as they stand in the file */
};

static bool write_tagged(struct tagged *t, json_t *value);

static bool write_integer(struct tagged *t, const char *digits)
{
    char *end = NULL;
    char again[32];
    if (digits[0] == '-') {
        const long long n = strtoll(digits, &end, 10);
        (void)snprintf(again, sizeof again, "%lld", n);
        arili_msgpack_write_int(&t->w, n);
    } else {
        const unsigned long long n = strtoull(digits, &end, 10);
        (void)snprintf(again, sizeof again, "%llu", n);
        arili_msgpack_write_uint(&t->w, n);
    }
    return *end == '\0' && strcmp(again, digits) == 0; /* else it is out of range */
}

/* Days since 1970-01-01 in the Gregorian calendar. */
static long long days_from(long long y, long long m, long long d)
{
    long long days = d - 1;
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    for (long long i = y < 1970 ? y : 1970; i < (y < 1970 ? 1970 : y); i++) {
        const bool leap = (i % 4 == 0 && i % 100 != 0) || i % 400 == 0;
        days += (y < 1970 ? -1 : 1) * (leap ? 366 : 365);
    }
    const bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return days + before[m - 1] + (leap && m > 2);
}

static bool write_datetime(struct tagged *t, const char *iso)
{
    int y, mo, d, h, mi, s;
    int used = 0;
    long long micros = 0;
    if (sscanf(iso, "%4d-%2d-%2dT%2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &s, &used) != 6) {
        return false;
    }
    const char *at = iso + used;
    if (*at == '.') {
        for (long long unit = 100000; *++at >= '0' && *at <= '9'; unit /= 10) {
            micros += (*at - '0') * unit;
        }
    }
    int oh, om;
    if ((*at != '+' && *at != '-') || sscanf(at + 1, "%2d:%2d", &oh, &om) != 2) {
        return false; /* naive */
    }
    const long long offset = (*at == '-' ? -1 : 1) * (oh * 3600LL + om * 60LL);
    const long long seconds = days_from(y, mo, d) * 86400 + h * 3600LL + mi * 60LL + s - offset;
    arili_msgpack_write_real(&t->w, (double)(seconds * 1000000 + micros) / 1e6);
    return true;
}

static bool write_uuid(struct tagged *t, const char *uuid)
{
    char lower[64] = "";
    for (size_t i = 0; uuid[i] != '\0' && i + 1 < sizeof lower; i++) {
        lower[i] = uuid[i] >= 'A' && uuid[i] <= 'F' ? (char)(uuid[i] + 32) : uuid[i];
    }
    arili_msgpack_write_str(&t->w, text(lower));
    return true;
}

struct element {
    uint8_t bytes[64];
    size_t len;
};

static int element_order(const void *a, const void *b)
{
    const struct element *const x = a;
    const struct element *const y = b;
    const int order = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Elements in canonical form, sorted by it, each once: a set has no form of its own. */
static bool write_set(struct tagged *t, const json_t *set)
{
    static struct element elements[16];
    size_t count = 0;
    size_t i;
    json_t *e;
    json_array_foreach(set, i, e)
    {
        uint8_t raw[64];
        struct tagged one = { t->v, arili_writer_init(raw, sizeof raw / 2), false };
        if (!write_tagged(&one, e) ||
            arili_canonical((aril_bytes){ raw, one.w.len }, elements[count].bytes,
                            &elements[count].len) != ARIL_OK) {
            return false;
        }
        count++;
    }
    qsort(elements, count, sizeof elements[0], element_order);
    size_t kept = 0;
    for (i = 0; i < count; i++) {
        if (kept == 0 || element_order(&elements[kept - 1], &elements[i]) != 0) {
            elements[kept++] = elements[i];
        }
    }
    arili_msgpack_write_array(&t->w, (uint32_t)kept);
    for (i = 0; i < kept; i++) {
        arili_write_bytes(&t->w, (aril_bytes){ elements[i].bytes, elements[i].len });
    }
    return true;
}

static int name_order(const void *a, const void *b)
{
    const char *const *const x = a;
    const char *const *const y = b;
    return strcmp(*x, *y);
}

static bool write_map(struct tagged *t, json_t *object)
{
    const size_t count = json_object_size(object);
    const char *key;
    json_t *value;
    size_t n = 0;
    const char **const mine = malloc(sizeof *mine * (count + 1));
    assert_non_null(mine);
    json_object_foreach(object, key, value)
    {
        mine[n++] = key;
    }
    if (t->sorts) {
        qsort(mine, count, sizeof *mine, name_order);
    }
    arili_msgpack_write_map(&t->w, (uint32_t)count);
    bool fine = true;
    for (size_t i = 0; fine && i < count; i++) {
        arili_msgpack_write_str(&t->w, text(mine[i]));
        fine = write_tagged(t, json_object_get(object, mine[i]));
    }
    free(mine);
    return fine;
}

static bool write_tag(struct tagged *t, const char *tag, const json_t *inner)
{
    const char *const s = json_is_string(inner) ? json_string_value(inner) : "";
    if (strcmp(tag, "$bytes") == 0) {
        arili_msgpack_write_bin(&t->w, vectors_decode_hex(t->v, s));
        return true;
    }
    if (strcmp(tag, "$float") == 0) {
        arili_msgpack_write_real(&t->w, strtod(s, NULL));
        return true;
    }
    return strcmp(tag, "$int") == 0        ? write_integer(t, s)
           : strcmp(tag, "$datetime") == 0 ? write_datetime(t, s)
           : strcmp(tag, "$uuid") == 0     ? write_uuid(t, s)
           : strcmp(tag, "$set") == 0      ? write_set(t, inner)
                                           : false;
}

static bool write_tagged(struct tagged *t, json_t *value)
{
    size_t i;
    json_t *e;
    if (json_is_object(value)) {
        const char *const first = json_object_iter_key(json_object_iter(value));
        const bool is_tag = json_object_size(value) == 1 && first[0] == '$';
        return is_tag ? write_tag(t, first, json_object_get(value, first)) : write_map(t, value);
    }
    if (json_is_array(value)) {
        arili_msgpack_write_array(&t->w, (uint32_t)json_array_size(value));
        json_array_foreach(value, i, e)
        {
            if (!write_tagged(t, e)) {
                return false;
            }
        }
    } else if (json_is_string(value)) {
        arili_msgpack_write_str(&t->w, text(json_string_value(value)));
    } else if (json_is_integer(value)) {
        arili_msgpack_write_int(&t->w, json_integer_value(value));
    } else if (json_is_real(value)) {
        arili_msgpack_write_real(&t->w, json_real_value(value));
    } else if (json_is_boolean(value)) {
        arili_msgpack_write_bool(&t->w, json_is_true(value));
    } else {
        arili_msgpack_write_nil(&t->w);
    }
    return true;
}

/* --- interop-mode.json ------------------------------------------------------------------- */

static bool key_case(struct vectors *v, const json_t *group, const json_t *t)
{
    uint8_t raw[MESSAGE_MAX];
    uint8_t canonical[2 * MESSAGE_MAX];
    size_t len = 0;
    char key[ARIL_CACHEKIT_KEY_TEXT];
    struct tagged args = { v, arili_writer_init(raw, sizeof raw), false };
    (void)group;
    name_case("interop key", t);
    assert_true(write_tagged(&args, json_object_get(t, "args")));
    assert_true(args.w.len <= sizeof raw);
    const aril_bytes message = { raw, args.w.len };
    assert_status(arili_canonical(message, canonical, &len), ARIL_OK);
    vectors_expect(canonical, len, vectors_hex(v, t, "canonical_args_hex"));
    assert_status(aril_cachekit_key(rt, text(vectors_string(t, "namespace")),
                                    text(vectors_string(t, "operation")), message, key, NULL),
                  ARIL_OK);
    assert_string_equal(key, vectors_string(t, "expected_key"));
    return true;
}

static void interop_keys(void **state)
{
    (void)state;
    assert_int_equal(vectors_run("cachekit/interop-mode.json", NULL, "key_vectors", key_case, NULL),
                     33);
}

static bool error_case(struct vectors *v, const json_t *group, const json_t *t)
{
    uint8_t raw[MESSAGE_MAX];
    char key[ARIL_CACHEKIT_KEY_TEXT] = "untouched";
    struct tagged args = { v, arili_writer_init(raw, sizeof raw), false };
    const char *const space = vectors_string(t, "namespace");
    const char *const operation = vectors_string(t, "operation");
    (void)group;
    name_case("interop error", t);
    if (!write_tagged(&args, json_object_get(t, "args"))) {
        return true; /* MessagePack has no such number, or the time has no zone */
    }
    const bool named = space[0] != '\0';
    assert_status_class(aril_cachekit_key(rt, text(named ? space : "t"),
                                          text(named ? operation : "op"),
                                          (aril_bytes){ raw, args.w.len }, key, NULL),
                        named ? ARIL_E_USAGE : ARIL_E_FORMAT);
    assert_string_equal(key, "untouched");
    return true;
}

static void interop_errors(void **state)
{
    (void)state;
    assert_int_equal(
        vectors_run("cachekit/interop-mode.json", NULL, "error_vectors", error_case, NULL), 9);
}

/* Values keep their numbers: what is sealed is what the application wrote. */
static bool value_case(struct vectors *v, const json_t *group, const json_t *t)
{
    (void)group;
    name_case("interop value", t);
    const aril_bytes value = vectors_hex(v, t, "canonical_msgpack_hex");
    assert_status(arili_msgpack_check(value, ARILI_MSGPACK_DEPTH_MAX, NULL), ARIL_OK);
    return true;
}

static void interop_values(void **state)
{
    (void)state;
    assert_int_equal(
        vectors_run("cachekit/interop-mode.json", NULL, "value_vectors", value_case, NULL), 4);
}

/* The associated data of a case of either file. */
static void expect_aad(struct vectors *v, const json_t *t, const char *tenant)
{
    uint8_t aad[ARILI_CACHEKIT_AAD_BYTES_MAX];
    size_t len = 0;
    const struct arili_cachekit_aad parts = {
        .tenant = text(tenant),
        .name = text(vectors_string(t, "cache_key")),
        .format = text(vectors_string(t, "format")),
        .compressed = json_is_true(json_object_get(t, "compressed")),
        .original_type = text(vectors_string(t, "original_type")),
    };
    struct arili_writer w = arili_writer_init(aad, sizeof aad);
    arili_cachekit_aad_write(&parts, &w);
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    vectors_expect(aad, len, vectors_hex(v, t, "aad_hex"));
}

static bool aad_case(struct vectors *v, const json_t *group, const json_t *t)
{
    (void)group;
    name_case("interop aad", t);
    expect_aad(v, t, vectors_string(t, "tenant_id"));
    return true;
}

static void interop_associated_data(void **state)
{
    (void)state;
    assert_int_equal(vectors_run("cachekit/interop-mode.json", NULL, "aad_vectors", aad_case, NULL),
                     1);
}

/* --- encryption.json, and the one of interop-mode.json ----------------------------------- */

struct opened {
    aril_bytes master, fingerprint;
    const char *tenant;
};

static void expect_fingerprint(const struct opened *o, uint8_t ret_key[32])
{
    uint8_t fingerprint[ARILI_CACHEKIT_FINGERPRINT_BYTES];
    assert_status(arili_cachekit_derive(&rt->crypto, o->master, text(o->tenant), ret_key), ARIL_OK);
    assert_status(arili_cachekit_fingerprint(&rt->crypto, ret_key, fingerprint), ARIL_OK);
    vectors_expect(fingerprint, sizeof fingerprint, o->fingerprint);
}

/* A value of the form that says nothing of itself goes through the whole of opening. */
static void expect_opens(struct vectors *v, const json_t *t, const struct opened *o)
{
    const struct arili_legacy_keys keys = { .key = { o->master }, .count = 1 };
    const struct arili_legacy_scope scope = { .crypto = &rt->crypto,
                                              .contexts = rt->contexts,
                                              .format = ARIL_CACHE_CACHEKIT_INTEROP,
                                              .tenant = text(o->tenant),
                                              .name = text(vectors_string(t, "cache_key")),
                                              .value_max = VALUE_MAX,
                                              .keys = &keys };
    const aril_bytes plain = vectors_hex(v, t, "plaintext_hex");
    struct arili_legacy_value value = { 0 };
    const aril_status st = arili_legacy_open(&scope, vectors_hex(v, t, "ciphertext_hex"), &value);
    if (arili_msgpack_check(plain, ARILI_MSGPACK_DEPTH_MAX, NULL) != ARIL_OK) {
        assert_status_class(st, ARIL_E_FORMAT); /* authentic, and no single document */
        return;
    }
    assert_status(st, ARIL_OK);
    vectors_expect(value.bytes.data, value.bytes.len, plain);
    arili_legacy_value_done(&value);
}

/* Decrypt with the associated data of the file, whatever form the value has. */
static void expect_decrypts(struct vectors *v, const json_t *t, const uint8_t key[32])
{
    const aril_bytes sealed = vectors_hex(v, t, "ciphertext_hex");
    uint8_t plain[64];
    assert_true(sealed.len > 28 && sealed.len - 28 <= sizeof plain);
    const aril_span span = { plain, sealed.len - 28 };
    struct arili_context_lease lease;
    assert_status(arili_contexts_get(rt->contexts, 0, key, &lease), ARIL_OK);
    assert_status(rt->crypto.ops->aead_open(lease.ctx, sealed.data, vectors_hex(v, t, "aad_hex"),
                                            (aril_bytes){ sealed.data + 12, span.len },
                                            sealed.data + 12 + span.len, &span, 1),
                  ARIL_OK);
    arili_contexts_put(rt->contexts, &lease);
    vectors_expect(plain, span.len, vectors_hex(v, t, "plaintext_hex"));
}

static bool sealed_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const json_t *const from = json_object_get(t, "master_key_hex") != NULL ? t : v->root;
    uint8_t key[32];
    (void)group;
    print_message("  encryption: %s\n", json_object_get(t, "name") != NULL
                                            ? vectors_string(t, "name")
                                            : vectors_string(t, "cache_key"));
    const struct opened o = { vectors_hex(v, from, "master_key_hex"),
                              vectors_hex(v, from, "derived_key_fingerprint_hex"),
                              vectors_string(from, "tenant_id") };
    expect_fingerprint(&o, key);
    expect_aad(v, t, o.tenant);
    expect_decrypts(v, t, key);
    if (!json_is_true(json_object_get(t, "compressed")) &&
        json_object_get(t, "original_type") == NULL) {
        expect_opens(v, t, &o);
    }
    return true;
}

static void encryption(void **state)
{
    (void)state;
    assert_int_equal(vectors_run("cachekit/encryption.json", NULL, "vectors", sealed_case, NULL),
                     5);
    assert_int_equal(
        vectors_run("cachekit/encryption.json", NULL, "keyring_vectors", sealed_case, NULL), 1);
    assert_int_equal(
        vectors_run("cachekit/interop-mode.json", NULL, "encryption_vectors", sealed_case, NULL),
        1);
}

/* Sealing under the nonce of the published value gives the published bytes. */
static bool seal_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_legacy_keys keys = { .key = { vectors_hex(v, t, "master_key_hex") },
                                            .count = 1 };
    const struct arili_legacy_scope scope = { .crypto = &rt->crypto,
                                              .contexts = rt->contexts,
                                              .format = ARIL_CACHE_CACHEKIT_INTEROP,
                                              .tenant = text(vectors_string(t, "tenant_id")),
                                              .name = text(vectors_string(t, "cache_key")),
                                              .value_max = VALUE_MAX,
                                              .keys = &keys };
    const aril_bytes plain = vectors_hex(v, t, "plaintext_hex");
    const aril_bytes nonce = vectors_hex(v, t, "nonce_hex");
    struct arili_legacy_writer writer = { .used_max = UINT64_C(1) << 32 };
    uint8_t sealed[256];
    (void)group;
    name_case("seal", t);
    memcpy(writer.instance, nonce.data, sizeof writer.instance);
    atomic_init(&writer.used, arili_load32(nonce.data + sizeof writer.instance));
    assert_status(arili_legacy_seal(&scope, &writer, plain, sealed), ARIL_OK);
    vectors_expect(sealed, plain.len + arili_legacy_overhead(scope.format),
                   vectors_hex(v, t, "ciphertext_hex"));
    return true;
}

static void sealing(void **state)
{
    (void)state;
    assert_int_equal(
        vectors_run("cachekit/interop-mode.json", NULL, "encryption_vectors", seal_case, NULL), 1);
}

/* --- wire-format.json -------------------------------------------------------------------- */

static bool envelope_case(struct vectors *v, const json_t *group, const json_t *t)
{
    struct arili_envelope_value value = { 0 };
    (void)group;
    name_case("envelope", t);
    const aril_bytes envelope = vectors_hex(v, t, "envelope_hex");
    const aril_bytes input = vectors_hex(v, t, "input_hex");
    assert_int_equal(envelope.len, vectors_number(t, "envelope_size"));
    assert_status(arili_envelope_open(envelope, VALUE_MAX, &value), ARIL_OK);
    assert_int_equal(value.len, input.len);
    if (input.len > 0) {
        vectors_expect(value.memory, value.len, input);
    }
    arili_envelope_value_done(&value);
    return true;
}

static void envelopes(void **state)
{
    (void)state;
    assert_int_equal(vectors_run("cachekit/wire-format.json", NULL, "vectors", envelope_case, NULL),
                     12);
}

/* --- cache-keys.json ---------------------------------------------------------------------- */

/* cachekit-py's own keys hash [args, kwargs] without bringing numbers into one form: 3.0 stays a
 * float. Only BLAKE2b is the library's. */
static bool auto_key_case(struct vectors *v, const json_t *group, const json_t *t)
{
    uint8_t raw[MESSAGE_MAX];
    uint8_t hash[32];
    char hex[65];
    struct tagged args = { v, arili_writer_init(raw, sizeof raw), true };
    (void)group;
    name_case("auto key", t);
    arili_msgpack_write_array(&args.w, 2);
    assert_true(write_tagged(&args, json_object_get(t, "args")));
    assert_true(write_tagged(&args, json_object_get(t, "kwargs")));
    const aril_bytes part = { raw, args.w.len };
    assert_status(rt->crypto.ops->blake2b(rt->crypto.provider, &part, 1, hash, sizeof hash),
                  ARIL_OK);
    for (size_t i = 0; i < sizeof hash; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }
    const char *const at = strstr(vectors_string(t, "expected_key"), ":args:");
    assert_non_null(at);
    assert_memory_equal(at + 6, hex, 64);
    return true;
}

static void auto_keys(void **state)
{
    (void)state;
    assert_int_equal(vectors_run("cachekit/cache-keys.json", NULL, "vectors", auto_key_case, NULL),
                     10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interop_keys),   cmocka_unit_test(interop_errors),
        cmocka_unit_test(interop_values), cmocka_unit_test(interop_associated_data),
        cmocka_unit_test(encryption),     cmocka_unit_test(sealing),
        cmocka_unit_test(envelopes),      cmocka_unit_test(auto_keys),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, runtime_setup, runtime_teardown));
}
