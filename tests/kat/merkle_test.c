/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "crypto/merkle.h"
#include "provider.h"
#include "vectors.h"
#include <string.h>

#define HASHES_FILE      "tlog/rfc6962_hashes.json"
#define INCLUSION_FILE   "tlog/merkle_inclusion.json"
#define CONSISTENCY_FILE "tlog/merkle_consistency.json"
#define SUBTREE_FILE     "tlog/merkle_subtree_consistency.json"

static void assert_hash(const struct arili_merkle_hash *got, aril_bytes want)
{
    assert_int_equal(want.len, sizeof got->bytes);
    assert_memory_equal(got->bytes, want.data, want.len);
}

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

static void hashes_of_rfc_6962(void **state)
{
    const struct arili_crypto *const c = provider();
    struct vectors v;
    struct arili_merkle_hash h;

    (void)state;
    vectors_open(&v, HASHES_FILE);
    assert_status(arili_merkle_empty(c, &h), ARIL_OK);
    assert_hash(&h, vectors_hex(&v, v.root, "empty_root"));
    assert_status(arili_merkle_root(c, NULL, 0, &h), ARIL_OK);
    assert_hash(&h, vectors_hex(&v, v.root, "empty_root"));
    assert_status(arili_merkle_leaf(c, (aril_bytes){ NULL, 0 }, &h), ARIL_OK);
    assert_hash(&h, vectors_hex(&v, v.root, "empty_leaf"));

    const json_t *const leaf = json_object_get(v.root, "leaf");
    assert_status(arili_merkle_leaf(c, text(vectors_string(leaf, "data_utf8")), &h), ARIL_OK);
    assert_hash(&h, vectors_hex(&v, leaf, "hash"));

    /* Upstream's node test has children of four bytes, so it cannot be run by this
     * interface; the same over the hash. */
    const json_t *const node = json_object_get(v.root, "node");
    static const uint8_t prefix = 1;
    const aril_bytes parts[] = { { &prefix, 1 },
                                 text(vectors_string(node, "left_utf8")),
                                 text(vectors_string(node, "right_utf8")) };
    assert_status(c->ops->hash(c->provider, ARILI_SHA256, parts, 3, h.bytes), ARIL_OK);
    assert_hash(&h, vectors_hex(&v, node, "hash"));
    vectors_report(HASHES_FILE, 5, 0, NULL);
    vectors_close(&v);
}

struct proof {
    struct arili_merkle_hash hashes[ARILI_MERKLE_PROOF_MAX];
    size_t len;
};

/* Some cases have roots like "WrongRoot" or an empty hash. Zeros fill them up to what
 * the type holds, which leaves equal ones equal and wrong ones wrong. */
static struct arili_merkle_hash read_hash(aril_bytes b)
{
    struct arili_merkle_hash h = { { 0 } };
    assert_true(b.len <= sizeof h.bytes);
    memcpy(h.bytes, b.data, b.len);
    return h;
}

static void read_proof(struct vectors *v, const json_t *t, struct proof *ret)
{
    const json_t *const list = json_object_get(t, "proof");
    size_t i;
    const json_t *item;
    ret->len = json_array_size(list);
    assert_true(ret->len <= ARILI_MERKLE_PROOF_MAX);
    json_array_foreach(list, i, item)
    {
        ret->hashes[i] = read_hash(vectors_decode_base64(v, json_string_value(item)));
    }
}

static aril_status expected(const json_t *t)
{
    return json_is_true(json_object_get(t, "wantErr")) ? ARIL_E_AUTH : ARIL_OK;
}

static bool run_inclusion(struct vectors *v, const json_t *group, const json_t *t)
{
    const aril_bytes leaf_bytes = vectors_base64(v, t, "leafHash");
    const aril_bytes root_bytes = vectors_base64(v, t, "root");
    struct proof proof;
    (void)group;
    if (leaf_bytes.len == 0 && root_bytes.len == 0) {
        return false;
    }
    const struct arili_merkle_hash leaf = read_hash(leaf_bytes);
    const struct arili_merkle_hash root = read_hash(root_bytes);
    read_proof(v, t, &proof);
    assert_status(arili_merkle_check_inclusion(provider(), vectors_number(t, "leafIdx"),
                                               vectors_number(t, "treeSize"), &leaf, proof.hashes,
                                               proof.len, &root),
                  expected(t));
    return true;
}

static void inclusion_proofs(void **state)
{
    (void)state;
    vectors_run(INCLUSION_FILE, NULL, NULL, run_inclusion,
                "with empty root and leaf: no such type");
}

static bool run_consistency(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_merkle_hash root1 = read_hash(vectors_base64(v, t, "root1"));
    const struct arili_merkle_hash root2 = read_hash(vectors_base64(v, t, "root2"));
    struct proof proof;
    (void)group;
    read_proof(v, t, &proof);
    assert_status(arili_merkle_check_consistency(provider(), vectors_number(t, "size1"),
                                                 vectors_number(t, "size2"), proof.hashes,
                                                 proof.len, &root1, &root2),
                  expected(t));
    return true;
}

static void consistency_proofs(void **state)
{
    (void)state;
    vectors_run(CONSISTENCY_FILE, NULL, NULL, run_consistency, NULL);
}

static bool run_subtree(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_merkle_hash subtree = read_hash(vectors_base64(v, t, "root1"));
    const struct arili_merkle_hash tree = read_hash(vectors_base64(v, t, "root2"));
    struct proof proof;
    (void)group;
    read_proof(v, t, &proof);
    assert_status(arili_merkle_check_subtree_consistency(
                      provider(), vectors_number(t, "start"), vectors_number(t, "end"),
                      vectors_number(t, "size"), proof.hashes, proof.len, &subtree, &tree),
                  expected(t));
    return true;
}

static void subtree_consistency_proofs(void **state)
{
    (void)state;
    vectors_run(SUBTREE_FILE, NULL, NULL, run_subtree, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_of_rfc_6962),
        cmocka_unit_test(inclusion_proofs),
        cmocka_unit_test(consistency_proofs),
        cmocka_unit_test(subtree_consistency_proofs),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
