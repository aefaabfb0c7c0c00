/* SPDX-License-Identifier: Apache-2.0 */
/* The expected bytes come from a few lines of Python over its hmac and hashlib, written from
 * docs/FORMAT.md section 4; the session secret is 00 01 02 ... of the hash's length. */
#include "session/ratchet.h"
#include "faulty_crypto.h"
#include "fixture.h"
#include "provider.h"
#include "vectors.h"
#include <string.h>

struct row {
    enum arili_hash hash;
    aril_direction direction;
    uint32_t epoch;
    const char *ratchet, *keys, *key_id;
};

static const struct row rows[] = {
    { ARILI_SHA256, ARIL_TENANT_TO_SERVER, 0,
      "b319b875c28074a508c1a65820cdb42b15a1f99fa237d722cd179f82663d1ae8",
      "f8037133e84cd89cefa4e790df1f99e71fed1d28e3655195498884672e56b7aed002dc12",
      "9a505c9e04c692260582fe421d16d5f20be98e006fe4cfc421ba40653d74ce44" },
    { ARILI_SHA256, ARIL_TENANT_TO_SERVER, 1,
      "a8a4c8c5f715ec1210804fe5caef92a812b4f130a2885f6e2f54974b37ec9f82",
      "50a47ec1e111b7527a47bd3511bdb241ce87c2f199e79d2827979af7c5bf39e1c61ad67e",
      "cf9b786a490a1ab7351eb7c04ee13cac458c019375d43e1a9901aec725bd3db6" },
    { ARILI_SHA256, ARIL_TENANT_TO_SERVER, 2,
      "c67ddc2980306ac581915225a137a485a2c9dc48375719a57bdeb410e1399fb8",
      "ddb41ccaa2775d8e518b604af0f6a9403c455b727acf0a5bd69b4abb864b53b94b1ad7a8",
      "328ebd256f581791847eb5571381bdf39b161a526f0ac274c5d58a110b021306" },
    { ARILI_SHA256, ARIL_SERVER_TO_TENANT, 0,
      "dfae7aa550aa58456106a80f7e00c2903e9e200393175416e2cd6fd423e7aac6",
      "9c2dfc846f5dbbaab0f0b9038567c1979cde0528a29ee20957eb5702e5c1bc6010331ba5",
      "b0ac2f7e88bfdf937313ec934861b1570909b88c343218c3330bc17e0bfbe627" },
    { ARILI_SHA256, ARIL_SERVER_TO_TENANT, 1,
      "a56f6e17b1eda51e4f5fbab173846aae983e4723f22e1c17d54dd88067fa8806",
      "4c0ec84856338c896a4832053c8d7fb85e321688fd982dc3ad7bdef5b348725a3a0c72d7",
      "4087d4fe6493110e5be76990d90c1c7fe63afe7ab5edaaccc4a215a84fed8d7a" },
    { ARILI_SHA256, ARIL_SERVER_TO_TENANT, 2,
      "2c3366eb55d14dd57029af5aacdeddd081101d64baf7a9f204c7ce9a0c2ec1ef",
      "54dec04d3425d5d562a3da24cab8a69f4f790870855bb3b7eabce2287a6bc2f9025f9338",
      "a3ecc55b2ccd7ab9407a34a93b3accb67eb4a081b8ee245f5d6573cdf949d0ea" },
    { ARILI_SHA384, ARIL_TENANT_TO_SERVER, 0,
      "4c150e681c13732708946fed2d33a3d5def0947a76dce5cd45f1c95a05f484de"
      "89845762dd596eb2b08879280aca1423",
      "798789d14a1c0ffb066fe459aa1e9e5e2d27d228cb89fafc30b7395d5856295da27e7bbb",
      "07796cb2a5f323f36ef631c874b7e4a6084234e9aa28b56128b855a5d63e3da2" },
    { ARILI_SHA384, ARIL_TENANT_TO_SERVER, 1,
      "9927560cfd0395866745af2639b4e0e775c228e9bfddd86ae70a7514df9b893c"
      "90c132dbef7b8d94aba71439b955d142",
      "6f706c5832f3c561a1d00148d34583d95ddbf1d5f01a51d28eb45d3db91e3009f1d9f76f",
      "29305a72dba5a328a7efeb947e28b8d1fb7dd284d71018b2ebca3dc7dc709b8a" },
    { ARILI_SHA384, ARIL_TENANT_TO_SERVER, 2,
      "7dc476e3c866f6451c419c87f2ab9666c84bca7390e00d85f39cc60de277a407"
      "feafe88325e7545720aa8d2a21b5b064",
      "a7d03ff1d6d8fba43963ede36553f51f32717d1052a6ef42e57a354b6b8de664a85910aa",
      "b7c5eeb7b9a38666b995db0c071b471a5ac46d5ed450c948011bd2bc34a020ef" },
    { ARILI_SHA384, ARIL_SERVER_TO_TENANT, 0,
      "8cffec90f8a33d3a3946cf0f6eb2b0eb1ba4fe8533d2f74b0134252b7c743185"
      "3680245016e30a621e16af9de0a77baa",
      "1446644065ba5e6b77342010a04621c4647eea808d459dbe6e1f6b90caee8ba1e1ef5a1c",
      "5d8a9b806910dd4df4b6ce3f6b0f7aa024e2955f3e9b71bf173aec804b1c2a45" },
    { ARILI_SHA384, ARIL_SERVER_TO_TENANT, 1,
      "6aa374053e0edbd31cc32d004d0c2cc5adf4f62d55167906bcc838b852dd5de7"
      "f2c07e9457eeb9fb272cc7915eaf4983",
      "0583743c9f7d49132494c5e42a85b51d40ca04594ceedd4ba0022ad3495e9154959f2e68",
      "ce9c979dbe18225f684ff9c542a36de83cb747877ce63455c5b0bee288c7184d" },
    { ARILI_SHA384, ARIL_SERVER_TO_TENANT, 2,
      "a4b3ced0d89fc8974e41f43d1e4a547a16d3b85047a5c38d23db289b4ff31d5b"
      "551b0df88baebc807c5423aec9904024",
      "6cc4f1dbb26c8187398d1f094425dedb39127e92e151a32df1828515ced4187412e3b827",
      "2c07beea9941668eee4c6a6cffbaaa353ace2b193d51982255db17bba1017b34" },
};

static void make_secret(uint8_t ret[ARILI_HASH_BYTES_MAX])
{
    for (size_t i = 0; i < ARILI_HASH_BYTES_MAX; i++) {
        ret[i] = (uint8_t)i;
    }
}

static void assert_hex(const void *got, size_t len, const char *hex)
{
    struct vectors v = { 0 };
    const aril_bytes want = vectors_decode_hex(&v, hex);
    assert_int_equal(want.len, len);
    assert_memory_equal(got, want.data, len);
    vectors_close(&v);
}

static void keys_are_what_the_format_document_says(void **state)
{
    (void)state;
    uint8_t secret[ARILI_HASH_BYTES_MAX];
    make_secret(secret);
    struct arili_ratchet r = { .number = 99 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct arili_epoch_keys keys;
        uint8_t key_id[ARILI_KEY_ID_BYTES];
        if (row->epoch == 0) {
            assert_status(arili_ratchet_begin(provider(), row->hash, secret, row->direction, &r),
                          ARIL_OK);
        } else {
            assert_status(arili_ratchet_advance(provider(), row->hash, row->direction, &r),
                          ARIL_OK);
        }
        assert_int_equal(r.number, row->epoch);
        assert_hex(r.secret, arili_hash_bytes(row->hash), row->ratchet);
        const struct arili_ratchet before = r;
        assert_status(arili_ratchet_keys(provider(), row->hash, row->direction, &r, &keys, key_id),
                      ARIL_OK);
        assert_memory_equal(&r, &before, sizeof r);
        assert_hex(&keys, sizeof keys, row->keys);
        assert_hex(key_id, sizeof key_id, row->key_id);
    }
}

/* All four bytes of the epoch are in the label. */
static void the_largest_epochs_have_keys_of_their_own(void **state)
{
    (void)state;
    struct arili_ratchet r = { .number = UINT32_MAX - 1 };
    struct arili_epoch_keys keys;
    uint8_t key_id[ARILI_KEY_ID_BYTES];
    make_secret(r.secret);
    assert_status(
        arili_ratchet_keys(provider(), ARILI_SHA256, ARIL_SERVER_TO_TENANT, &r, &keys, key_id),
        ARIL_OK);
    assert_hex(&keys, sizeof keys,
               "197b9679b5b78ed3b77291edd51201b1ba3377be897ce1beb4672c7f4165b980cd4e5f7a");
    assert_status(arili_ratchet_advance(provider(), ARILI_SHA256, ARIL_SERVER_TO_TENANT, &r),
                  ARIL_OK);
    assert_hex(r.secret, 32, "9bbd2c6188019b95ea33128aa93987ce55ed3dcd8129e4051299ca9cd9d3eba4");
    assert_int_equal(r.number, UINT32_MAX);
}

/* Of 32-byte hashes nothing of a longer, older secret stays behind. */
static void advancing_overwrites_the_whole_secret(void **state)
{
    (void)state;
    struct arili_ratchet r = { .number = 0 };
    memset(r.secret, 0xee, sizeof r.secret);
    assert_status(arili_ratchet_advance(provider(), ARILI_SHA256, ARIL_TENANT_TO_SERVER, &r),
                  ARIL_OK);
    assert_true(is_filled(r.secret + 32, sizeof r.secret - 32, 0));
}

static void a_failed_derivation_changes_nothing(void **state)
{
    (void)state;
    struct faulty_crypto *f = faulty_crypto_new(provider());
    assert_non_null(f);
    const struct arili_crypto *c = faulty_crypto_table(f);
    struct arili_ratchet r = { .number = 5 };
    make_secret(r.secret);
    const struct arili_ratchet before = r;
    faulty_crypto_arm(f, 1, ARIL_E_CRYPTO);
    assert_status(arili_ratchet_advance(c, ARILI_SHA384, ARIL_TENANT_TO_SERVER, &r), ARIL_E_CRYPTO);
    assert_memory_equal(&r, &before, sizeof r);
    for (unsigned nth = 1; nth <= 2; nth++) { /* the key, then its id */
        struct arili_epoch_keys keys = { .key = { 0 } };
        uint8_t key_id[ARILI_KEY_ID_BYTES] = { 0 };
        faulty_crypto_arm(f, nth, ARIL_E_NOMEM);
        assert_status(arili_ratchet_keys(c, ARILI_SHA384, ARIL_TENANT_TO_SERVER, &r, &keys, key_id),
                      ARIL_E_NOMEM);
        assert_true(is_filled(&keys, sizeof keys, 0));
        assert_memory_equal(&r, &before, sizeof r);
    }
    faulty_crypto_arm(f, 1, ARIL_E_CRYPTO);
    uint8_t secret[ARILI_HASH_BYTES_MAX];
    make_secret(secret);
    assert_status(arili_ratchet_begin(c, ARILI_SHA256, secret, ARIL_TENANT_TO_SERVER, &r),
                  ARIL_E_CRYPTO);
    assert_memory_equal(&r, &before, sizeof r);
    faulty_crypto_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_what_the_format_document_says),
        cmocka_unit_test(the_largest_epochs_have_keys_of_their_own),
        cmocka_unit_test(advancing_overwrites_the_whole_secret),
        cmocka_unit_test(a_failed_derivation_changes_nothing),
    };
    return cmocka_run_group_tests_name("ratchet", tests, provider_setup, provider_teardown);
}
