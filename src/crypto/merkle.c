/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/merkle.h"
#include "base/ensure.h"
#include "base/mem.h"

typedef struct arili_merkle_hash merkle_hash;

static aril_status sha256(const struct arili_crypto *c, const aril_bytes *parts, size_t count,
                          merkle_hash *ret)
{
    return c->ops->hash(c->provider, ARILI_SHA256, parts, count, ret->bytes);
}

static bool same(const merkle_hash *a, const merkle_hash *b)
{
    return arili_equal_ct(a->bytes, b->bytes, sizeof a->bytes);
}

aril_status arili_merkle_empty(const struct arili_crypto *c, merkle_hash *ret)
{
    return sha256(c, NULL, 0, ret);
}

aril_status arili_merkle_leaf(const struct arili_crypto *c, aril_bytes data, merkle_hash *ret)
{
    static const uint8_t prefix = 0;
    const aril_bytes parts[] = { { &prefix, 1 }, data };
    return sha256(c, parts, 2, ret);
}

aril_status arili_merkle_node(const struct arili_crypto *c, const merkle_hash *left,
                              const merkle_hash *right, merkle_hash *ret)
{
    static const uint8_t prefix = 1;
    const aril_bytes parts[] = { { &prefix, 1 },
                                 { left->bytes, sizeof left->bytes },
                                 { right->bytes, sizeof right->bytes } };
    return sha256(c, parts, 3, ret);
}

/* stack[] holds the roots of the complete subtrees so far, largest first: one for
 * each bit that is set in the number of leaves read. */
aril_status arili_merkle_root(const struct arili_crypto *c, const merkle_hash *leaves, size_t count,
                              merkle_hash *ret)
{
    merkle_hash stack[64];
    size_t depth = 0;

    if (count == 0) {
        return arili_merkle_empty(c, ret);
    }
    for (size_t i = 0; i < count; i++) {
        stack[depth++] = leaves[i];
        for (size_t carry = i; (carry & 1) != 0; carry >>= 1) {
            depth--;
            ARILI_TRY(arili_merkle_node(c, &stack[depth - 1], &stack[depth], &stack[depth - 1]));
        }
    }
    while (depth > 1) {
        depth--;
        ARILI_TRY(arili_merkle_node(c, &stack[depth - 1], &stack[depth], &stack[depth - 1]));
    }
    *ret = stack[0];
    return ARIL_OK;
}

/* fn and sn of RFC 9162, fn, sn and tn of the draft on subtrees: the nodes on one level
 * above the first leaf of the subtree (0 where there is none), above the leaf whose path
 * the proof follows, and above the last leaf of the tree. */
struct walk {
    uint64_t first;
    uint64_t node;
    uint64_t last;
};

static void walk_up(struct walk *w)
{
    w->first >>= 1;
    w->node >>= 1;
    w->last >>= 1;
}

/* Whether the next hash of the proof is a left sibling. If so and our node is the
 * last of its level, climb to where it is a right child. */
static bool sibling_is_left(struct walk *w)
{
    if ((w->node & 1) == 0 && w->node != w->last) {
        return false;
    }
    while ((w->node & 1) == 0 && w->node != 0) {
        walk_up(w);
    }
    return true;
}

aril_status arili_merkle_check_inclusion(const struct arili_crypto *c, uint64_t index,
                                         uint64_t size, const merkle_hash *leaf,
                                         const merkle_hash *proof, size_t proof_len,
                                         const merkle_hash *root)
{
    ARILI_ENSURE(index < size, ARIL_E_AUTH);
    struct walk w = { 0, index, size - 1 };
    merkle_hash r = *leaf;
    for (size_t i = 0; i < proof_len; i++) {
        ARILI_ENSURE(w.last != 0, ARIL_E_AUTH);
        if (sibling_is_left(&w)) {
            ARILI_TRY(arili_merkle_node(c, &proof[i], &r, &r));
        } else {
            ARILI_TRY(arili_merkle_node(c, &r, &proof[i], &r));
        }
        walk_up(&w);
    }
    ARILI_ENSURE(w.last == 0 && same(&r, root), ARIL_E_AUTH);
    return ARIL_OK;
}

/* Follows the proof from a node that both trees have, with the hash start. A left sibling
 * belongs to the subtree unless the subtree starts to the right of it. */
static aril_status check_growth(const struct arili_crypto *c, struct walk w,
                                const merkle_hash *start, const merkle_hash *proof,
                                size_t proof_len, const merkle_hash *root1,
                                const merkle_hash *root2)
{
    merkle_hash old = *start;
    merkle_hash new = *start;
    for (size_t i = 0; i < proof_len; i++) {
        ARILI_ENSURE(w.last != 0, ARIL_E_AUTH);
        if (sibling_is_left(&w)) {
            if (w.first < w.node) {
                ARILI_TRY(arili_merkle_node(c, &proof[i], &old, &old));
            }
            ARILI_TRY(arili_merkle_node(c, &proof[i], &new, &new));
        } else {
            ARILI_TRY(arili_merkle_node(c, &new, &proof[i], &new));
        }
        walk_up(&w);
    }
    ARILI_ENSURE(w.last == 0 && same(&old, root1) && same(&new, root2), ARIL_E_AUTH);
    return ARIL_OK;
}

/* Whether start is a multiple of the smallest power of two that is not below end - start:
 * it has no bit where the offset of the last leaf may have one. */
static bool is_aligned(uint64_t start, uint64_t end)
{
    for (uint64_t offset = end - start - 1; offset != 0; offset >>= 1) {
        if ((start & 1) != 0) {
            return false;
        }
        start >>= 1;
    }
    return true;
}

aril_status arili_merkle_check_subtree_consistency(const struct arili_crypto *c, uint64_t start,
                                                   uint64_t end, uint64_t size,
                                                   const merkle_hash *proof, size_t proof_len,
                                                   const merkle_hash *subtree_root,
                                                   const merkle_hash *tree_root)
{
    ARILI_ENSURE(start <= end && end <= size, ARIL_E_AUTH);
    if (start == end) {
        merkle_hash empty;
        ARILI_TRY(arili_merkle_empty(c, &empty));
        ARILI_ENSURE(proof_len == 0 && same(&empty, subtree_root), ARIL_E_AUTH);
        return ARIL_OK;
    }
    ARILI_ENSURE(is_aligned(start, end), ARIL_E_AUTH);
    /* Up to the largest node that ends where the subtree ends, in both trees. */
    struct walk w = { start, end - 1, size - 1 };
    while (w.first != w.node && ((w.node & 1) != 0 || w.node == w.last)) {
        walk_up(&w);
    }
    /* Where that is the whole subtree, the verifier knows its hash; it is left out. */
    if (w.first == w.node) {
        return check_growth(c, w, subtree_root, proof, proof_len, subtree_root, tree_root);
    }
    ARILI_ENSURE(proof_len > 0, ARIL_E_AUTH);
    return check_growth(c, w, proof, proof + 1, proof_len - 1, subtree_root, tree_root);
}

aril_status arili_merkle_check_consistency(const struct arili_crypto *c, uint64_t size1,
                                           uint64_t size2, const merkle_hash *proof,
                                           size_t proof_len, const merkle_hash *root1,
                                           const merkle_hash *root2)
{
    ARILI_ENSURE(size1 > 0, ARIL_E_AUTH);
    return arili_merkle_check_subtree_consistency(c, 0, size1, size2, proof, proof_len, root1,
                                                  root2);
}
