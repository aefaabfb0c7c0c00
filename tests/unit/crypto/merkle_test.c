/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/merkle.h"
#include "check.h"
#include "faulty_crypto.h"
#include "provider.h"
#include <string.h>

#define LEAVES 70u

typedef struct arili_merkle_hash hash;

static hash leaves[LEAVES];

static int setup(void **state)
{
    if (provider_setup(state) != 0) {
        return -1;
    }
    for (uint8_t i = 0; i < LEAVES; i++) {
        if (arili_merkle_leaf(provider(), (aril_bytes){ &i, 1 }, &leaves[i]) != ARIL_OK) {
            return -1;
        }
    }
    return 0;
}

/* RFC 6962 2.1 written down as it stands there, by recursion: the other way to a root. */
static hash slow_root(const hash *d, size_t n)
{
    hash left;
    hash right;
    hash both;
    if (n == 1) {
        return d[0];
    }
    size_t k = 1;
    while (k * 2 < n) {
        k *= 2;
    }
    left = slow_root(d, k);
    right = slow_root(d + k, n - k);
    assert_status(arili_merkle_node(provider(), &left, &right, &both), ARIL_OK);
    return both;
}

/* RFC 6962 2.1.1, PATH(m, D[n]). */
static size_t slow_path(size_t m, const hash *d, size_t n, hash *ret)
{
    if (n == 1) {
        return 0;
    }
    size_t k = 1;
    while (k * 2 < n) {
        k *= 2;
    }
    size_t len;
    if (m < k) {
        len = slow_path(m, d, k, ret);
        ret[len] = slow_root(d + k, n - k);
    } else {
        len = slow_path(m - k, d + k, n - k, ret);
        ret[len] = slow_root(d, k);
    }
    return len + 1;
}

/* RFC 6962 2.1.2, SUBPROOF(m, D[n], whole), for the leaves from start to end as in
 * draft-ietf-plants-merkle-tree-certs; start is 0 in the RFC. */
static size_t slow_subproof(size_t start, size_t end, const hash *d, size_t n, bool whole,
                            hash *ret)
{
    if (start == 0 && end == n) {
        if (whole) {
            return 0;
        }
        ret[0] = slow_root(d, n);
        return 1;
    }
    size_t k = 1;
    while (k * 2 < n) {
        k *= 2;
    }
    size_t len;
    if (end <= k) {
        len = slow_subproof(start, end, d, k, whole, ret);
        ret[len] = slow_root(d + k, n - k);
    } else {
        const bool across = start < k;
        len = slow_subproof(across ? 0 : start - k, end - k, d + k, n - k, whole && !across, ret);
        ret[len] = slow_root(d, k);
    }
    return len + 1;
}

static aril_status check_inclusion(uint64_t index, uint64_t size, const hash *leaf,
                                   const hash *proof, size_t len, const hash *root)
{
    return arili_merkle_check_inclusion(provider(), index, size, leaf, proof, len, root);
}

static aril_status check_consistency(uint64_t size1, uint64_t size2, const hash *proof, size_t len,
                                     const hash *root1, const hash *root2)
{
    return arili_merkle_check_consistency(provider(), size1, size2, proof, len, root1, root2);
}

static aril_status check_subtree(uint64_t start, uint64_t end, uint64_t size, const hash *proof,
                                 size_t len, const hash *subtree, const hash *tree)
{
    return arili_merkle_check_subtree_consistency(provider(), start, end, size, proof, len, subtree,
                                                  tree);
}

static void roots_follow_the_recursive_definition(void **state)
{
    hash root;
    (void)state;
    for (size_t n = 1; n <= LEAVES; n++) {
        const hash want = slow_root(leaves, n);
        assert_status(arili_merkle_root(provider(), leaves, n, &root), ARIL_OK);
        assert_memory_equal(root.bytes, want.bytes, sizeof root.bytes);
    }
}

/* For every leaf of every tree: the proof holds, and no change of it does. */
static void inclusion_proofs_hold_and_nothing_else_does(void **state)
{
    hash proof[ARILI_MERKLE_PROOF_MAX + 1];
    (void)state;
    for (size_t n = 1; n <= 33; n++) {
        const hash root = slow_root(leaves, n);
        for (size_t m = 0; m < n; m++) {
            const size_t len = slow_path(m, leaves, n, proof);
            assert_status(check_inclusion(m, n, &leaves[m], proof, len, &root), ARIL_OK);
            assert_status(check_inclusion(m + n, n, &leaves[m], proof, len, &root), ARIL_E_AUTH);
            assert_status(check_inclusion(m, 0, &leaves[m], proof, len, &root), ARIL_E_AUTH);
            assert_status(check_inclusion(m, n, &leaves[m + 1], proof, len, &root), ARIL_E_AUTH);
            assert_status(check_inclusion(m, n, &leaves[m], proof, len, &leaves[LEAVES - 1]),
                          ARIL_E_AUTH);
            proof[len] = root;
            assert_status(check_inclusion(m, n, &leaves[m], proof, len + 1, &root), ARIL_E_AUTH);
            for (size_t i = 0; i < len; i++) {
                assert_status(check_inclusion(m, n, &leaves[m], proof, i, &root), ARIL_E_AUTH);
                proof[i].bytes[31] ^= 1;
                assert_status(check_inclusion(m, n, &leaves[m], proof, len, &root), ARIL_E_AUTH);
                proof[i].bytes[31] ^= 1;
            }
            for (size_t other = 0; other < n; other++) {
                assert_status(check_inclusion(other, n, &leaves[m], proof, len, &root),
                              other == m ? ARIL_OK : ARIL_E_AUTH);
            }
        }
    }
}

static void consistency_proofs_hold_and_nothing_else_does(void **state)
{
    hash proof[ARILI_MERKLE_PROOF_MAX + 1];
    (void)state;
    for (size_t n = 1; n <= 33; n++) {
        const hash root2 = slow_root(leaves, n);
        for (size_t m = 1; m <= n; m++) {
            const hash root1 = slow_root(leaves, m);
            const hash other = leaves[LEAVES - 1];
            const size_t len = slow_subproof(0, m, leaves, n, true, proof);
            assert_status(check_consistency(m, n, proof, len, &root1, &root2), ARIL_OK);
            assert_status(check_consistency(m, n, proof, len, &other, &root2), ARIL_E_AUTH);
            assert_status(check_consistency(m, n, proof, len, &root1, &other), ARIL_E_AUTH);
            proof[len] = other;
            assert_status(check_consistency(m, n, proof, len + 1, &root1, &root2), ARIL_E_AUTH);
            for (size_t i = 0; i < len; i++) {
                assert_status(check_consistency(m, n, proof, i, &root1, &root2), ARIL_E_AUTH);
                proof[i].bytes[0] ^= 0x80;
                assert_status(check_consistency(m, n, proof, len, &root1, &root2), ARIL_E_AUTH);
                proof[i].bytes[0] ^= 0x80;
            }
            if (m < n) {
                assert_status(check_consistency(n, m, proof, len, &root2, &root1), ARIL_E_AUTH);
            }
        }
    }
}

/* Whether start is a multiple of the smallest power of two that is not below the width. */
static bool is_subtree(size_t start, size_t end)
{
    size_t width = 1;
    while (width < end - start) {
        width *= 2;
    }
    return start % width == 0;
}

static void expect_one_subtree(size_t start, size_t end, size_t n)
{
    hash proof[ARILI_MERKLE_PROOF_MAX + 1];
    const hash tree = slow_root(leaves, n);
    const hash sub = slow_root(leaves + start, end - start);
    const hash other = leaves[LEAVES - 1];
    const size_t len = slow_subproof(start, end, leaves, n, true, proof);

    /* A later start lies under the same node, so only its place can give it away. */
    for (size_t late = start + 1; late < end; late++) {
        assert_status(check_subtree(late, end, n, proof, len, &sub, &tree), ARIL_E_AUTH);
    }
    assert_status(check_subtree(start, end, n, proof, len, &sub, &tree), ARIL_OK);
    assert_status(check_subtree(start, end, n, proof, len, &other, &tree), ARIL_E_AUTH);
    assert_status(check_subtree(start, end, n, proof, len, &sub, &other), ARIL_E_AUTH);
    assert_status(check_subtree(end, start, n, proof, len, &sub, &tree), ARIL_E_AUTH);
    assert_status(check_subtree(start, end, end - 1, proof, len, &sub, &tree), ARIL_E_AUTH);
    assert_status(check_subtree(start + n, end + n, n, proof, len, &sub, &tree), ARIL_E_AUTH);
    proof[len] = other;
    assert_status(check_subtree(start, end, n, proof, len + 1, &sub, &tree), ARIL_E_AUTH);
    for (size_t i = 0; i < len; i++) {
        assert_status(check_subtree(start, end, n, proof, i, &sub, &tree), ARIL_E_AUTH);
        proof[i].bytes[5] ^= 4;
        assert_status(check_subtree(start, end, n, proof, len, &sub, &tree), ARIL_E_AUTH);
        proof[i].bytes[5] ^= 4;
    }
}

static void subtree_proofs_hold_and_nothing_else_does(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 20; n++) {
        for (size_t start = 0; start < n; start++) {
            for (size_t end = start + 1; end <= n; end++) {
                if (is_subtree(start, end)) {
                    expect_one_subtree(start, end, n);
                }
            }
        }
    }
}

/* Where the difference of the two wraps around to something that looks aligned. */
static void a_subtree_that_ends_before_it_starts_is_refused(void **state)
{
    const uint64_t start = UINT64_C(1) << 63;
    const hash tree = slow_root(leaves, 5);
    (void)state;
    assert_status(check_subtree(start, 0, 5, NULL, 0, &tree, &tree), ARIL_E_AUTH);
    assert_status(check_subtree(start, 1, 1, NULL, 0, &leaves[0], &leaves[0]), ARIL_E_AUTH);
    assert_status(check_subtree(1, 0, 5, NULL, 0, &tree, &tree), ARIL_E_AUTH);
}

static void an_empty_subtree_has_the_empty_root_and_no_proof(void **state)
{
    const hash tree = slow_root(leaves, 5);
    hash empty;
    (void)state;
    assert_status(arili_merkle_empty(provider(), &empty), ARIL_OK);
    for (uint64_t at = 0; at <= 5; at++) {
        assert_status(check_subtree(at, at, 5, NULL, 0, &empty, &tree), ARIL_OK);
        assert_status(check_subtree(at, at, 5, NULL, 0, &tree, &tree), ARIL_E_AUTH);
        assert_status(check_subtree(at, at, 5, &leaves[0], 1, &empty, &tree), ARIL_E_AUTH);
    }
    assert_status(check_subtree(6, 6, 5, NULL, 0, &empty, &tree), ARIL_E_AUTH);
}

static void an_empty_old_tree_is_refused(void **state)
{
    hash empty;
    const hash root = slow_root(leaves, 3);
    (void)state;
    assert_status(arili_merkle_empty(provider(), &empty), ARIL_OK);
    assert_status(check_consistency(0, 0, NULL, 0, &empty, &empty), ARIL_E_AUTH);
    assert_status(check_consistency(0, 3, NULL, 0, &empty, &root), ARIL_E_AUTH);
}

static void a_proof_that_is_too_long_is_refused_whatever_it_leads_to(void **state)
{
    const hash extra = leaves[9];
    const hash three = slow_root(leaves, 3);
    const hash four = slow_root(leaves, 4);
    hash root1;
    hash root2;
    hash proof[4];
    (void)state;
    assert_status(arili_merkle_node(provider(), &extra, &leaves[0], &root1), ARIL_OK);
    assert_status(check_inclusion(0, 1, &leaves[0], &extra, 1, &root1), ARIL_E_AUTH);
    /* The proof from three leaves to four, and then a hash on top of both roots. */
    assert_int_equal(slow_subproof(0, 3, leaves, 4, true, proof), 3);
    proof[3] = extra;
    assert_status(arili_merkle_node(provider(), &extra, &three, &root1), ARIL_OK);
    assert_status(arili_merkle_node(provider(), &extra, &four, &root2), ARIL_OK);
    assert_status(check_consistency(3, 4, proof, 3, &three, &four), ARIL_OK);
    assert_status(check_consistency(3, 4, proof, 4, &root1, &root2), ARIL_E_AUTH);
}

/* The largest numbers neither loop for ever nor read past a proof. */
static void extreme_sizes_end(void **state)
{
    hash proof[ARILI_MERKLE_PROOF_MAX];
    (void)state;
    memset(proof, 7, sizeof proof);
    const uint64_t sizes[] = { UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63,
                               (UINT64_C(1) << 63) + 1 };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (size_t len = 0; len <= ARILI_MERKLE_PROOF_MAX; len++) {
            assert_status(check_inclusion(0, sizes[i], &proof[0], proof, len, &proof[0]),
                          ARIL_E_AUTH);
            assert_status(check_inclusion(sizes[i] - 1, sizes[i], &proof[0], proof, len, &proof[0]),
                          ARIL_E_AUTH);
            assert_status(check_consistency(1, sizes[i], proof, len, &proof[0], &proof[0]),
                          ARIL_E_AUTH);
            assert_status(check_subtree(UINT64_C(1) << 62, (UINT64_C(1) << 62) + 5, sizes[i], proof,
                                        len, &proof[0], &proof[0]),
                          ARIL_E_AUTH);
            assert_status(
                check_consistency(sizes[i] - 1, sizes[i], proof, len, &proof[0], &proof[0]),
                ARIL_E_AUTH);
        }
    }
}

static void failures_of_the_hash_come_through(void **state)
{
    struct faulty_crypto *const f = faulty_crypto_new(provider());
    const struct arili_crypto *const c = faulty_crypto_table(f);
    hash proof[ARILI_MERKLE_PROOF_MAX];
    const hash root1 = slow_root(leaves, 6);
    const hash root2 = slow_root(leaves, 11);
    hash out;
    (void)state;
    memset(&out, 0xaa, sizeof out);
    for (unsigned n = 1; n <= 10; n++) {
        faulty_crypto_arm(f, n, ARIL_E_CRYPTO);
        assert_status(arili_merkle_root(c, leaves, 11, &out), ARIL_E_CRYPTO);
        assert_true(provider_all(out.bytes, sizeof out.bytes, 0xaa));
    }
    size_t len = slow_path(4, leaves, 11, proof);
    faulty_crypto_arm(f, 2, ARIL_E_CRYPTO);
    assert_status(arili_merkle_check_inclusion(c, 4, 11, &leaves[4], proof, len, &root2),
                  ARIL_E_CRYPTO);
    len = slow_subproof(0, 6, leaves, 11, true, proof);
    for (unsigned n = 1; n <= 3; n++) {
        faulty_crypto_arm(f, n, ARIL_E_CRYPTO);
        assert_status(arili_merkle_check_consistency(c, 6, 11, proof, len, &root1, &root2),
                      ARIL_E_CRYPTO);
    }
    len = slow_subproof(8, 11, leaves, 13, true, proof);
    const hash sub = slow_root(leaves + 8, 3);
    const hash tree = slow_root(leaves, 13);
    for (unsigned n = 1; n <= 5; n++) {
        faulty_crypto_arm(f, n, ARIL_E_CRYPTO);
        assert_status(arili_merkle_check_subtree_consistency(c, 8, 11, 13, proof, len, &sub, &tree),
                      ARIL_E_CRYPTO);
    }
    faulty_crypto_arm(f, 1, ARIL_E_CRYPTO);
    assert_status(arili_merkle_check_subtree_consistency(c, 3, 3, 13, NULL, 0, &sub, &tree),
                  ARIL_E_CRYPTO);
    faulty_crypto_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_follow_the_recursive_definition),
        cmocka_unit_test(inclusion_proofs_hold_and_nothing_else_does),
        cmocka_unit_test(consistency_proofs_hold_and_nothing_else_does),
        cmocka_unit_test(subtree_proofs_hold_and_nothing_else_does),
        cmocka_unit_test(a_subtree_that_ends_before_it_starts_is_refused),
        cmocka_unit_test(an_empty_subtree_has_the_empty_root_and_no_proof),
        cmocka_unit_test(an_empty_old_tree_is_refused),
        cmocka_unit_test(a_proof_that_is_too_long_is_refused_whatever_it_leads_to),
        cmocka_unit_test(extreme_sizes_end),
        cmocka_unit_test(failures_of_the_hash_come_through),
    };
    return cmocka_run_group_tests(tests, setup, provider_teardown);
}
