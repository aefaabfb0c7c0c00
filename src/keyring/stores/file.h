/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_STORES_FILE_H
#define ARILI_KEYRING_STORES_FILE_H
#include "base/files.h"
#include "crypto/crypto.h"
#include "keyring/stores/store.h"

/* Shared by the backends that are files: file.c, file_credential.c, file_passphrase.c. */

/* --- Key files: file_keys.c -----------------------------------------------------------------
 *
 * Text, lower-case hex, each line with a newline; nothing else may be in it:
 *
 *     aril key file 1
 *     SLOT KEY          32 and 64 digits: a 16-byte slot and its 32-byte key
 *     ...               up to ARILI_KEYS_MAX of them
 *     end
 */
#define ARILI_KEYS_MAX         1024u
#define ARILI_KEYS_LINE_BYTES  (2 * ARILI_STORE_SLOT_BYTES + 1 + 2 * ARILI_AEAD_KEY_BYTES + 1)
#define ARILI_KEYS_HEAD        "aril key file 1\n"
#define ARILI_KEYS_END         "end\n"
#define ARILI_KEYS_FRAME_BYTES (sizeof ARILI_KEYS_HEAD - 1 + sizeof ARILI_KEYS_END - 1)
#define ARILI_KEYS_BYTES_MAX   (ARILI_KEYS_FRAME_BYTES + ARILI_KEYS_MAX * ARILI_KEYS_LINE_BYTES)

/* FORMAT_KIND, FORMAT_TRUNCATED, FORMAT_FIELD, or how many keys there are. The functions below
 * are for text that passed. */
ARIL_MUST_USE aril_status arili_keys_check(aril_bytes text, size_t *ret_count);
/* The key of a slot, or of number index < count. */
ARIL_MUST_USE bool arili_keys_find(aril_bytes text, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                   uint8_t ret_key[ARILI_AEAD_KEY_BYTES]);
void arili_keys_at(aril_bytes text, size_t index, uint8_t ret_key[ARILI_AEAD_KEY_BYTES]);
/* Writes text with one key more at its end (count < ARILI_KEYS_MAX), or without a slot. ret has
 * room for text.len and, to add, one line more; then it may be text. Returns the length. text.len
 * 0 is a file without keys. */
size_t arili_keys_add(aril_bytes text, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                      const uint8_t key[ARILI_AEAD_KEY_BYTES], uint8_t *ret);
size_t arili_keys_remove(aril_bytes text, const uint8_t slot[ARILI_STORE_SLOT_BYTES], uint8_t *ret);

/* arili_file_read() of a key file, and the check. remedy completes the message about a file that
 * is not there. */
ARIL_MUST_USE aril_status arili_keys_read(const char *path, unsigned checks, const char *remedy,
                                          struct arili_file *ret, size_t *ret_count,
                                          aril_error *error);

/* --- What is sealed under one key: file_box.c ------------------------------------------------ */

#define ARILI_BOX_NONCE_BYTES 24u

#define ARILI_BOX_BYTES (ARILI_BOX_NONCE_BYTES + ARILI_STORE_SECRET_BYTES + ARILI_AEAD_TAG_BYTES)

/* nonce, body and tag of XAES-256-GCM over the secret. The associated data are the label, head
 * (what stands before the box in the blob), slot and binding. */
ARIL_MUST_USE aril_status arili_box_seal(aril_runtime *rt, const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                         aril_bytes head, const struct arili_store_place *place,
                                         const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                                         uint8_t ret[ARILI_BOX_BYTES]);
/* ARIL_E_AUTH; ret_secret is unchanged on failure. */
ARIL_MUST_USE aril_status arili_box_open(aril_runtime *rt, const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                         aril_bytes head, const struct arili_store_place *place,
                                         const uint8_t box[ARILI_BOX_BYTES],
                                         uint8_t ret_secret[ARILI_STORE_SECRET_BYTES]);

/* A blob that needs no more than a key: version, kind, box. */
#define ARILI_FILE_BLOB_VERSION   1u
#define ARILI_FILE_BLOB_KEY       1u /* kinds */
#define ARILI_FILE_BLOB_PASS      2u
#define ARILI_KEY_BLOB_HEAD_BYTES 2u
#define ARILI_KEY_BLOB_BYTES      (ARILI_KEY_BLOB_HEAD_BYTES + ARILI_BOX_BYTES)
ARIL_MUST_USE aril_status arili_key_blob_seal(aril_runtime *rt,
                                              const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                              const struct arili_store_place *place,
                                              const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                                              uint8_t *ret_blob, size_t cap, size_t *ret_len);
ARIL_MUST_USE aril_status arili_key_blob_open(aril_runtime *rt,
                                              const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                              const struct arili_store_place *place,
                                              aril_bytes blob,
                                              uint8_t ret_secret[ARILI_STORE_SECRET_BYTES]);

/* FORMAT (class) unless the blob begins as one of that kind. */
ARIL_MUST_USE aril_status arili_blob_check(aril_bytes blob, unsigned kind, size_t bytes);

/* --- Helpers ---------------------------------------------------------------------------------- */

/* A key on the stack. */
struct arili_file_key {
    uint8_t bytes[ARILI_AEAD_KEY_BYTES];
};
void arili_file_key_wipe(struct arili_file_key *key);

/* Fills *error with the end of path and words, which name the remedy; returns st. */
aril_status arili_store_failed(aril_error *error, const char *path, aril_status st,
                               const char *words);
/* The same for a blob that did not open, or a seal that failed. */
aril_status arili_blob_failed(aril_error *error, const char *path, aril_status st);

struct arili_file_path {
    char text[ARILI_FILE_PATH_BYTES];
};
/* What follows the scheme. USAGE_RANGE for a path that is empty or too long. */
ARIL_MUST_USE aril_status arili_file_path_set(const struct arili_store_options *options,
                                              struct arili_file_path *ret, aril_error *error);
/* "DESCRIPTION" of info: what, a space, and the end of path. */
void arili_store_describe(char ret[ARIL_KEYSTORE_TEXT_BYTES], const char *what, const char *path);

/* arili_store_passphrase.open() with another amount of memory for Argon2id, for tests. */
ARIL_MUST_USE aril_status arili_passphrase_open_with(const struct arili_store_options *options,
                                                     uint32_t memory_kib, void **ret_state,
                                                     aril_error *error);
#endif
