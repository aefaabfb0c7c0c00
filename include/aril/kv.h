/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_KV_H
#define ARIL_KV_H
#include <aril/base.h>
#include <aril/executor.h>
#include <aril/record.h>
#include <aril/session.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ARIL_DIGEST_BYTES 32u

/** Whose records a view opens. */
typedef enum aril_kv_source {
    ARIL_KV_FROM_SELF = 0, /* what this end sealed itself: a cache */
    ARIL_KV_FROM_PEER = 1  /* what the other end sealed: a transfer */
} aril_kv_source;

/** How often a record may be opened. */
typedef enum aril_kv_mode {
    ARIL_KV_REPEATABLE = 0, /* as often as wanted, while its epoch is readable */
    ARIL_KV_ONCE = 1        /* once; a window of sequence numbers refuses replays */
} aril_kv_mode;

/** How a block is named inside the model. */
typedef enum aril_kv_identity {
    ARIL_KV_CHAIN = 1, /* content-addressed: hash over the tokens of the whole prefix */
    ARIL_KV_SLOT = 2   /* place: slot, first position, number of positions */
} aril_kv_identity;

/**
 * Which block it is, in serving terms. Everything here is authenticated: a record opens
 * only for the block it was sealed for.
 */
typedef struct aril_kv_block {
    uint32_t layer_first; /* first layer of the block */
    uint32_t layer_count; /* layers in the block, at least 1; all of them for a
                             cross-layer block */
    uint32_t rank;        /* tensor- or pipeline-parallel rank, as the engine counts */
    uint32_t group;       /* KV cache group (vLLM), object group (LMCache); else 0 */
    aril_kv_identity identity;
    uint8_t chain[ARIL_DIGEST_BYTES]; /* ARIL_KV_CHAIN: 256-bit token-hash chain */
    uint64_t slot;                    /* ARIL_KV_SLOT: sequence or slot number */
    uint64_t position;                /* ARIL_KV_SLOT: first token position */
    uint64_t count;                   /* ARIL_KV_SLOT: tokens in the block */
} aril_kv_block;

/**
 * What the bytes of a block mean. Both ends must agree on it; it is hashed and bound to
 * every record, so that a block of one geometry is never read as another. The engine
 * decides what it counts; zero is a legal value everywhere.
 */
typedef struct aril_kv_layout {
    const char *name;      /* the engine's name: "llama.cpp/seq-state/2", "vllm/flash/NHD";
                              at most 255 bytes */
    const char *dtype;     /* "f16", "bf16", "fp8_e4m3", ...; at most 31 bytes */
    uint32_t block_tokens; /* tokens per block */
    uint32_t layers;       /* of the whole model */
    uint32_t kv_heads;     /* per rank; 1 for MLA */
    uint32_t key_dim;      /* elements per head; MLA: latent and rope part together */
    uint32_t value_dim;    /* elements per head; 0 for MLA */
    uint32_t world_size;   /* ranks that share the model */
} aril_kv_layout;

/** All zero but model and layout is a repeatable view of our own records. */
typedef struct aril_kv_config {
    aril_bytes model; /* what identifies the weights: a digest or a name with
                         its revision; 1 to 4096 bytes */
    aril_kv_layout layout;
    aril_kv_source source;
    aril_kv_mode mode;
    size_t slot_pins;              /* slots whose newest block is remembered, at most 2^24;
                                      0: ARIL_KV_SLOT blocks are refused */
    const aril_executor *executor; /* spreads batches; NULL: the caller's thread does all.
                                      Borrowed until the view is freed. */
} aril_kv_config;

/**
 * A view: seals and opens the KV blocks of one session for one model and layout. Threads
 * may use one view at the same time.
 */
typedef struct aril_kv aril_kv;

/**
 * Make a view. It keeps the session alive, but not open.
 * @retval ARIL_E_USAGE_RANGE  A member of @p config is outside its range.
 * Threads: any. Allocates: yes, all that it will ever use. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_kv_new(aril_session *session, const aril_kv_config *config,
                                               aril_kv **ret_kv);
/** Free a view that nobody uses any more. Accepts NULL. */
ARIL_API void aril_kv_free(aril_kv *kv);

/**
 * Options of one record.
 */
enum {
    /** Encrypt or decrypt where the bytes are: the one span is the body. Only for memory that
     * nobody else reads meanwhile. A failed open leaves zeros there, or the body as it was. */
    ARIL_KV_IN_PLACE = 1u << 0
};

/**
 * One record of a batch, sealing or opening.
 *
 * The plaintext is the spans in their order: K and V, an MLA latent, the pieces of a
 * cross-layer block, or one buffer. How it is cut into spans is not part of the record: it
 * may be sealed from two spans and opened into one. spans may not overlap body or seal,
 * except with ARIL_KV_IN_PLACE.
 *
 * The cipher goes over the body twice. So without staging, spans and body must not be written
 * by others during the call: another thread or process that can do so can make the call accept
 * other bytes than those that the tag was made for. Nor may others read the spans of an opening
 * item, which hold unverified bytes for a moment. With staging both are allowed: opening copies
 * the body there first, checks and decrypts it there, copies to the spans only what was verified,
 * and wipes it; sealing encrypts there and copies the ciphertext to the body.
 */
typedef struct aril_kv_item {
    const aril_kv_block *block;
    const aril_span *spans; /* sealing reads them, opening writes them; up to ARIL_SPANS_MAX.
                               Their lengths together are the length of the body. */
    size_t span_count;      /* 0 is an empty record */
    uint8_t *body;          /* sealing writes it, opening reads it */
    size_t body_len;        /* exactly the sum of the spans */
    uint8_t *seal;          /* ARIL_SEAL_BYTES; sealing writes it, opening reads it. May be
                               body + body_len (attached) or lie anywhere (side by side). */
    uint8_t *staging;       /* optional: body_len bytes of memory that nobody else can touch,
                               for records in memory that others can read or write; costs a
                               copy. See above. */
    uint32_t flags;         /* ARIL_KV_IN_PLACE or 0 */
    aril_status status;     /* out: each item gets its own, whatever happened to others */
} aril_kv_item;

/**
 * Seal one block: encrypt the spans to item->body and write item->seal.
 *
 * On failure body and seal are zero or unchanged (in place: the plaintext is unchanged,
 * unless the cipher itself failed half-way, ARIL_E_CRYPTO, when it is zeros).
 * Rotates by itself when the policy says so.
 *
 * @retval ARIL_E_USAGE (class)  A wrong argument; item->status says the same.
 * @retval ARIL_E_LIMIT_RECORD   Longer than rotate_bytes.
 * @retval ARIL_E_LIMIT_PINS     A slot block of a view of own records, and the table of pins
 *                               is full.
 * @retval ARIL_E_EXPIRED        The session's time to live is over.
 * @retval ARIL_E_KEY_CLOSED     The session was closed.
 * @retval ARIL_E_FORKED         This is a forked child.
 * Threads: any. Blocks: only for a rotation. Allocates: when an epoch begins, and for the
 * first record that a thread seals or opens with a key; else no. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_kv_seal(aril_kv *kv, aril_kv_item *item);

/**
 * Check and open one block into its spans.
 *
 * On failure no byte of plaintext stays in spans or staging: they are zero or unchanged.
 *
 * @retval ARIL_E_FORMAT (class)  Not a seal of a KV block, or its length differs.
 * @retval ARIL_E_ISOLATION       A record of another tenant. Refused before any
 *                                cryptography, and reported.
 * @retval ARIL_E_KEY_RETIRED     Its epoch is no longer readable: a miss.
 * @retval ARIL_E_KEY_FUTURE      Its epoch is more than ARIL_EPOCHS_AHEAD_MAX ahead.
 * @retval ARIL_E_KEY_UNKNOWN     Sealed in another session of this tenant: a miss.
 * @retval ARIL_E_REPLAY          Opened before (ARIL_KV_ONCE).
 * @retval ARIL_E_REPLAY_STALE    Not the newest block of its slot.
 * @retval ARIL_E_LIMIT_PINS      A slot block of the peer, and the table of pins is full.
 * @retval ARIL_E_AUTH            Block, model, direction or data is wrong; never says which.
 * @retval ARIL_E_EXPIRED, ARIL_E_KEY_CLOSED, ARIL_E_FORKED  As above.
 * Threads: any. Blocks: never for long. Allocates: as aril_kv_seal(). Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_kv_open(aril_kv *kv, aril_kv_item *item);

/**
 * Seal or open many blocks. Every item is tried and gets its own status; sequence numbers
 * follow the order of the items. A batch that crosses an epoch is split by itself.
 *
 * @param ret_failed  Optional: how many items failed.
 * @retval ARIL_OK             All of them succeeded.
 * @retval ARIL_E_BATCH        Some failed; see each item.
 * @retval ARIL_E_USAGE_NULL, ARIL_E_USAGE_RANGE  @p kv or @p items is wrong; nothing was
 *                             tried, no status was written.
 * Threads: any; with an executor on its threads too. Allocates: as aril_kv_seal().
 * Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_kv_seal_batch(aril_kv *kv, aril_kv_item *items,
                                                      size_t count, size_t *ret_failed);
ARIL_API ARIL_MUST_USE aril_status aril_kv_open_batch(aril_kv *kv, aril_kv_item *items,
                                                      size_t count, size_t *ret_failed);

/**
 * Forget the pins of a slot that ended. Its sealed blocks do not open any more: not from
 * ourselves, where a slot without a pin is refused, and not from the peer, whose blocks
 * must be newer than the forgotten ones: those of other slots too, as long as they have no pin.
 * @param ret_forgotten  Optional: pins that were removed.
 * @retval ARIL_E_USAGE_STATE  The view has no slot_pins.
 * @retval ARIL_E_FORKED       This is a forked child.
 */
ARIL_API ARIL_MUST_USE aril_status aril_kv_forget_slot(aril_kv *kv, uint64_t slot,
                                                       size_t *ret_forgotten);

/** The session that the view belongs to; borrowed. */
ARIL_API aril_session *aril_kv_session(const aril_kv *kv);

#ifdef __cplusplus
}
#endif
#endif
