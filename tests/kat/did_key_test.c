/* SPDX-License-Identifier: Apache-2.0 */
/* Seed, public key and DIDs of keys that another implementation made. */
#include <aril/identity.h>
#include "check.h"
#include "format/keyfile.h"
#include "runtime.h"
#include "temp_folder.h"
#include "vectors.h"
#include <string.h>

#define FILE_NAME "did-key/generated_did_key.json"

/* SHA3-256 of the public keys of the file, from Python's hashlib. */
static const struct {
    unsigned number; /* of the case */
    const char *did;
} pqaids[] = {
    { 0, "did:pqaid:ec146f241f3f961ba8229e0df454a271ba024badd0a1c9657d379fcd506b218d" },
    { 1, "did:pqaid:c89f7b28d5884dc17f44629a7006d57bb9ce5de8ab42b8fba18b329e0ceb2fe3" },
    { 4, "did:pqaid:7e20ba0c62a43a8300fa6fd1f9f211b9f6bcfa593505c7396faf7b06ede1c8e1" },
    { 5, "did:pqaid:f5578e5eaa27aa876b931ec9374a7903c00b1fa3a6d9d0a6902fb2557966433a" },
};

/* 0 for a key that is not for signatures of ours. */
static aril_sign_alg alg_of(const char *key_type)
{
    if (strcmp(key_type, "ML-DSA-65") == 0) {
        return ARIL_ML_DSA_65;
    }
    return strcmp(key_type, "ML-DSA-87") == 0 ? ARIL_ML_DSA_87 : 0;
}

static bool run_did(struct vectors *v, const json_t *group, const json_t *t)
{
    const char *did = vectors_string(t, "did");
    const aril_bytes pk = vectors_hex(v, t, "public_key");
    const aril_sign_alg alg = alg_of(vectors_string(t, "key_type"));
    (void)group;
    if (alg == 0) {
        /* ML-KEM and X25519 keys sign nothing. */
        assert_status(aril_did_check(rt, did, ARIL_ML_DSA_65, pk), ARIL_E_FORMAT_KIND);
        return true;
    }
    char text[ARIL_DID_BYTES_MAX];
    size_t len = 0;
    assert_status(aril_did_check(rt, did, alg, pk), ARIL_OK);
    assert_status(aril_did_write(rt, ARIL_DID_KEY, alg, pk, text, sizeof text, &len), ARIL_OK);
    assert_string_equal(text, did);
    return true;
}

static void did_of_a_key_is_that_of_the_file(void **state)
{
    (void)state;
    vectors_run(FILE_NAME, NULL, "cases", run_did, NULL);
}

static void pqaid_is_the_sha3_256_of_the_public_key(void **state)
{
    struct vectors v;
    (void)state;
    vectors_open(&v, FILE_NAME);
    for (size_t i = 0; i < COUNT(pqaids); i++) {
        const json_t *t = json_array_get(json_object_get(v.root, "cases"), pqaids[i].number);
        const aril_bytes pk = vectors_hex(&v, t, "public_key");
        const aril_sign_alg alg = alg_of(vectors_string(t, "key_type"));
        char text[ARIL_DID_BYTES_MAX];
        size_t len = 0;
        assert_status(aril_did_write(rt, ARIL_DID_PQAID, alg, pk, text, sizeof text, &len),
                      ARIL_OK);
        assert_string_equal(text, pqaids[i].did);
        assert_status(aril_did_check(rt, pqaids[i].did, alg, pk), ARIL_OK);
    }
    vectors_close(&v);
}

static bool run_key_file(struct vectors *v, const json_t *group, const json_t *t)
{
    const aril_sign_alg alg = alg_of(vectors_string(t, "key_type"));
    const aril_bytes seed = vectors_hex(v, t, "seed");
    (void)group;
    if (alg == 0) {
        return false;
    }
    uint8_t der[ARILI_KEYFILE_SEED_DER_BYTES];
    char pem[ARILI_KEYFILE_SEED_PEM_BYTES];
    size_t len = 0;
    assert_int_equal(seed.len, ARILI_KEYFILE_SEED_BYTES);
    arili_pkcs8_write((int)alg, seed.data, der);
    assert_status(
        arili_pem_write("PRIVATE KEY", (aril_bytes){ der, sizeof der }, pem, sizeof pem, &len),
        ARIL_OK);
    const char *path = temp_write("seed.pem", 0600, (aril_bytes){ (uint8_t *)pem, len });
    aril_identity *id = NULL;
    assert_status(aril_identity_load(rt, path, &id, NULL), ARIL_OK);
    assert_int_equal(aril_identity_alg(id), alg);
    const aril_bytes pk = aril_identity_public(id);
    vectors_expect(pk.data, pk.len, vectors_hex(v, t, "public_key"));
    aril_identity_free(id);
    return true;
}

/* A key file with the seed gives the public key, and so the DID. */
static void key_file_of_a_seed_gives_the_public_key(void **state)
{
    (void)state;
    assert_int_equal(
        vectors_run(FILE_NAME, NULL, "cases", run_key_file, "of keys that sign nothing"),
        COUNT(pqaids));
}

static int set_up(void **state)
{
    return temp_folder_make(state) == 0 ? runtime_setup(state) : -1;
}

static int tear_down(void **state)
{
    (void)runtime_teardown(state);
    return temp_folder_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(did_of_a_key_is_that_of_the_file),
        cmocka_unit_test(pqaid_is_the_sha3_256_of_the_public_key),
        cmocka_unit_test(key_file_of_a_seed_gives_the_public_key),
    };
    return vectors_exit_status(
        cmocka_run_group_tests_name("did:key vectors", tests, set_up, tear_down));
}
