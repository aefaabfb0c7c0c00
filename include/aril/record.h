/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_RECORD_H
#define ARIL_RECORD_H
#include <aril/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A record is a body and its seal. The body is ciphertext, exactly as long as the
 * plaintext. The seal has a fixed size and holds what is needed to find the key and
 * to check the body. It may follow the body or live elsewhere; the bytes are the same.
 * docs/FORMAT.md specifies both.
 */
#define ARIL_SEAL_BYTES 80u

/** Longest body: SP 800-38D allows 2^36 - 32 bytes in one message. */
#define ARIL_BODY_BYTES_MAX ((UINT64_C(1) << 36) - 32)

/** Most spans of one record, and most records of one batch call. */
#define ARIL_SPANS_MAX 256u
#define ARIL_BATCH_MAX (UINT32_C(1) << 24)

/** What a seal tells before any cryptography; nothing of it is checked yet. */
typedef struct aril_seal_info {
    uint8_t version;
    uint8_t use;       /* 1: KV block */
    uint8_t direction; /* aril_direction */
    uint32_t epoch;
    uint64_t tenant_tag;
    uint64_t sequence;
    uint64_t body_bytes;
    uint8_t key_id[32];
} aril_seal_info;

/**
 * Read the fields of a seal, for logs and tools. Authenticates nothing.
 * @retval ARIL_E_FORMAT (class)  The bytes are not a seal.
 * Threads: any. Allocates: no. Source: docs/FORMAT.md section 2. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_seal_inspect(const uint8_t seal[ARIL_SEAL_BYTES],
                                                     aril_seal_info *ret_info);

#ifdef __cplusplus
}
#endif
#endif
