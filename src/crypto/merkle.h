/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_MERKLE_H
#define ARILI_CRYPTO_MERKLE_H
#include "crypto/crypto.h"

/* Merkle tree hashes and proofs with SHA-256 (RFC 6962 section 2.1, RFC 9162 2.1). */
#define ARILI_MERKLE_BYTES 32u
/* An inclusion or consistency proof of a tree below 2^63 leaves. */
#define ARILI_MERKLE_PROOF_MAX 64u

struct arili_merkle_hash {
    uint8_t bytes[ARILI_MERKLE_BYTES];
};
ARIL_MUST_USE aril_status arili_merkle_empty(const struct arili_crypto *c,
                                             struct arili_merkle_hash *ret);
ARIL_MUST_USE aril_status arili_merkle_leaf(const struct arili_crypto *c, aril_bytes data,
                                            struct arili_merkle_hash *ret);
ARIL_MUST_USE aril_status arili_merkle_node(const struct arili_crypto *c,
                                            const struct arili_merkle_hash *left,
                                            const struct arili_merkle_hash *right,
                                            struct arili_merkle_hash *ret);
/* Root over leaf hashes, count may be 0; keeps 64 hashes, allocates nothing. */
ARIL_MUST_USE aril_status arili_merkle_root(const struct arili_crypto *c,
                                            const struct arili_merkle_hash *leaves, size_t count,
                                            struct arili_merkle_hash *ret);
/* RFC 9162 2.1.3.2: ARIL_E_AUTH when the proof does not lead to root. */
ARIL_MUST_USE aril_status arili_merkle_check_inclusion(const struct arili_crypto *c, uint64_t index,
                                                       uint64_t size,
                                                       const struct arili_merkle_hash *leaf,
                                                       const struct arili_merkle_hash *proof,
                                                       size_t proof_len,
                                                       const struct arili_merkle_hash *root);
/* RFC 9162 2.1.4.2; size1 = 0 is refused, as transparency-dev/merkle does. */
ARIL_MUST_USE aril_status arili_merkle_check_consistency(const struct arili_crypto *c,
                                                         uint64_t size1, uint64_t size2,
                                                         const struct arili_merkle_hash *proof,
                                                         size_t proof_len,
                                                         const struct arili_merkle_hash *root1,
                                                         const struct arili_merkle_hash *root2);
/*
 * The leaves [start, end) of the tree have the root subtree_root
 * (draft-ietf-plants-merkle-tree-certs, "Verifying a Subtree Consistency Proof"). start
 * must be a multiple of the smallest power of two that is not below end - start. The
 * proof of an empty subtree is empty and says nothing of the tree: tree_root is not looked
 * at then.
 */
ARIL_MUST_USE aril_status arili_merkle_check_subtree_consistency(
    const struct arili_crypto *c, uint64_t start, uint64_t end, uint64_t size,
    const struct arili_merkle_hash *proof, size_t proof_len,
    const struct arili_merkle_hash *subtree_root, const struct arili_merkle_hash *tree_root);
#endif
