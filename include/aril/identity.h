/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_IDENTITY_H
#define ARIL_IDENTITY_H
#include <aril/base.h>
#include <aril/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Signature algorithms (FIPS 204, pure, hedged). */
typedef enum aril_sign_alg {
    ARIL_ML_DSA_65 = 65, /* public key 1952 bytes, signature 3309 */
    ARIL_ML_DSA_87 = 87  /* public key 2592 bytes, signature 4627 */
} aril_sign_alg;

#define ARIL_SIGN_PUBLIC_BYTES_MAX    2592u
#define ARIL_SIGN_SIGNATURE_BYTES_MAX 4627u
#define ARIL_SIGN_CONTEXT_BYTES_MAX   255u

/** How a DID is written. */
typedef enum aril_did_method {
    ARIL_DID_PQAID = 0, /* did:pqaid:<SHA3-256 of the public key, 64 hex digits> */
    ARIL_DID_KEY = 1    /* did:key:z<base58btc of multicodec prefix and public key> */
} aril_did_method;
/** Room for any DID of ours with its final NUL; parsers refuse longer ones. */
#define ARIL_DID_BYTES_MAX 4096u

/** A signing key and its public key. Immutable, so threads may share it. */
typedef struct aril_identity aril_identity;

/**
 * Make a new identity from fresh randomness.
 * @retval ARIL_E_USAGE_RANGE  @p alg is not one of the enum.
 * @retval ARIL_E_RANDOM       The system gave no randomness.
 * Threads: any. Source: FIPS 204 section 5.1. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_identity_generate(aril_runtime *rt, aril_sign_alg alg,
                                                          aril_identity **ret_identity);

/**
 * Read a key file: PEM "PRIVATE KEY", PKCS#8 with the 32-byte seed (RFC 9881,
 * seed-only form, or the form with seed and expanded key if they agree).
 *
 * The file must be a regular file that the effective user owns and that nobody
 * else can read or write (mode 0600 or less); symbolic links are not followed.
 *
 * @retval ARIL_E_NOT_FOUND      There is no such file.
 * @retval ARIL_E_IO             It cannot be opened or read, or is no regular file.
 * @retval ARIL_E_IO_PERMISSION  Others could read it, or it is not ours.
 * @retval ARIL_E_FORMAT (class) It is not such a key file.
 * @param error  Optional; names the file and the remedy.
 * Threads: any. Blocks: on the file. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_identity_load(aril_runtime *rt, const char *path,
                                                      aril_identity **ret_identity,
                                                      aril_error *error);

/**
 * Write the key file, mode 0600, in the seed-only form: to a temporary file,
 * fsync, link to the name, fsync of the folder. Never replaces a file.
 * @retval ARIL_E_EXISTS     There is a file of that name; it is unchanged.
 * @retval ARIL_E_NOT_FOUND  The folder does not exist.
 * @retval ARIL_E_IO         It cannot be written.
 * @retval ARIL_E_FORKED     The process was forked since; the seed is not here.
 * @param error  Optional; names the file and the remedy.
 * Threads: any. Blocks: on the disk. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_identity_save(const aril_identity *identity,
                                                      const char *path, aril_error *error);

/** End an identity; wipes. Accepts NULL. */
ARIL_API void aril_identity_free(aril_identity *identity);

/** Its algorithm. @p identity is required. */
ARIL_API aril_sign_alg aril_identity_alg(const aril_identity *identity);

/** The raw public key; borrowed, valid as long as the identity. */
ARIL_API aril_bytes aril_identity_public(const aril_identity *identity);

/**
 * Sign a message under a context label (FIPS 204 section 5.2, hedged).
 *
 * @param context   0 to 255 bytes; names what kind of statement is signed.
 * @param ret_sig   Must not overlap @p context or @p message.
 * @param cap       Enough is ARIL_SIGN_SIGNATURE_BYTES_MAX.
 * @retval ARIL_E_USAGE_RANGE      The context is longer than 255 bytes.
 * @retval ARIL_E_USAGE_TOO_SMALL  Nothing was written.
 * @retval ARIL_E_FORKED           The process was forked since the key was made.
 * Threads: any, also on one identity. Allocates: inside libcrypto. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_identity_sign(const aril_identity *identity,
                                                      aril_bytes context, aril_bytes message,
                                                      uint8_t *ret_sig, size_t cap,
                                                      size_t *ret_len);

/**
 * Check a signature (FIPS 204 section 5.3).
 * @retval ARIL_E_AUTH         The signature does not fit; never says why.
 * @retval ARIL_E_USAGE_RANGE  Unknown @p alg, context longer than 255 bytes, or a
 *                             public key of another length than @p alg has.
 * Threads: any. Allocates: inside libcrypto. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_signature_verify(aril_runtime *rt, aril_sign_alg alg,
                                                         aril_bytes public_key, aril_bytes context,
                                                         aril_bytes message, aril_bytes sig);

/** Room for the text of any public key of ours with its final NUL. */
#define ARIL_PUBLIC_PEM_BYTES_MAX 3596u

/**
 * Write a public key as PEM "PUBLIC KEY" (SubjectPublicKeyInfo), with a final NUL.
 *
 * @param cap      Enough is ARIL_PUBLIC_PEM_BYTES_MAX.
 * @param ret_len  Excludes the NUL.
 * @retval ARIL_E_USAGE_RANGE      @p public_key is no key of @p alg.
 * @retval ARIL_E_USAGE_TOO_SMALL  Nothing was written.
 * Threads: any. Source: RFC 9881 section 4, RFC 7468 section 13. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_identity_public_pem(aril_runtime *rt, aril_sign_alg alg,
                                                            aril_bytes public_key, char *ret_pem,
                                                            size_t cap, size_t *ret_len);

/**
 * Read a PEM "PUBLIC KEY" file of an ML-DSA-65 or -87 key. Whoever may write the
 * file decides whose signatures count; its owner and mode are not looked at.
 *
 * @param cap    Of @p ret_public; enough is ARIL_SIGN_PUBLIC_BYTES_MAX.
 * @param error  Optional; names the file and the remedy.
 * @retval ARIL_E_NOT_FOUND        There is no such file.
 * @retval ARIL_E_IO               It cannot be opened or read, or is no regular file.
 * @retval ARIL_E_FORMAT (class)   It is not such a key file.
 * @retval ARIL_E_USAGE_TOO_SMALL  Nothing was written.
 * Threads: any. Blocks: on the file. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_public_key_load(aril_runtime *rt, const char *path,
                                                        aril_sign_alg *ret_alg, uint8_t *ret_public,
                                                        size_t cap, size_t *ret_len,
                                                        aril_error *error);

/**
 * Write the DID of a public key, with a final NUL. *ret_len excludes the NUL.
 * @retval ARIL_E_USAGE_RANGE      Unknown @p method, or @p public_key is no key of @p alg.
 * @retval ARIL_E_USAGE_TOO_SMALL  Nothing was written.
 */
ARIL_API ARIL_MUST_USE aril_status aril_did_write(aril_runtime *rt, aril_did_method method,
                                                  aril_sign_alg alg, aril_bytes public_key,
                                                  char *ret_did, size_t cap, size_t *ret_len);

/**
 * Whether a DID and a key belong together. A DID alone proves nothing.
 * @retval ARIL_E_TRUST_DID       They do not.
 * @retval ARIL_E_FORMAT (class)  @p did is no did:pqaid or did:key of ML-DSA-65 or -87.
 * @retval ARIL_E_USAGE_RANGE     Unknown @p alg.
 */
ARIL_API ARIL_MUST_USE aril_status aril_did_check(aril_runtime *rt, const char *did,
                                                  aril_sign_alg alg, aril_bytes public_key);

/**
 * DIDs that are trusted or revoked. Revocation wins over trust, for ever.
 * A DID may be written in either method; both forms of one key are one entry.
 */
typedef struct aril_trust aril_trust;

/** Longest name or reason of an entry, most entries of a list, longest list file. */
#define ARIL_TRUST_NAME_BYTES_MAX 127u
#define ARIL_TRUST_ENTRIES_MAX    65536u
#define ARIL_TRUST_FILE_BYTES_MAX (32u << 20)

/** An empty list. Free it before the runtime. */
ARIL_API ARIL_MUST_USE aril_status aril_trust_new(aril_runtime *rt, aril_trust **ret_trust);
/** End a list. Accepts NULL. */
ARIL_API void aril_trust_free(aril_trust *trust);

/**
 * Add a DID with a name for people (printable ASCII, not empty).
 * @retval ARIL_E_EXISTS          It is listed.
 * @retval ARIL_E_TRUST_REVOKED   It is revoked, and stays so.
 * @retval ARIL_E_FORMAT (class)  @p did is no DID of ours.
 * @retval ARIL_E_USAGE_RANGE     The name is empty, too long or not printable.
 * @retval ARIL_E_LIMIT           The list holds ARIL_TRUST_ENTRIES_MAX.
 */
ARIL_API ARIL_MUST_USE aril_status aril_trust_add(aril_trust *trust, const char *did,
                                                  const char *name);
/**
 * Revoke a DID, known or not; again is no error, and the first reason stays.
 * @param reason  For people, printable ASCII, may be empty.
 * Statuses as for aril_trust_add().
 */
ARIL_API ARIL_MUST_USE aril_status aril_trust_revoke(aril_trust *trust, const char *did,
                                                     const char *reason);

/**
 * Read entries from a text file, one a line: "trust DID NAME", "revoke DID
 * REASON", "#" comments, blank lines. All or nothing. The order does not matter: a
 * DID on a trust and on a revoke line is revoked; one on two trust lines, or trusted
 * in the list before, is ARIL_E_EXISTS. The file must belong to the effective user or
 * root and must not be writable by group or others.
 * @param error  Optional; names file, line and remedy.
 * @retval ARIL_E_NOT_FOUND       There is no such file.
 * @retval ARIL_E_IO_PERMISSION   Others could write it.
 * @retval ARIL_E_FORMAT (class)  A line is none of the above.
 */
ARIL_API ARIL_MUST_USE aril_status aril_trust_load(aril_trust *trust, const char *path,
                                                   aril_error *error);

/**
 * Whether the holder of a key is trusted.
 * @param ret_name  Optional; the name, borrowed until the next change of the list.
 *                  With ARIL_E_TRUST_REVOKED the reason; else unchanged on failure.
 * @retval ARIL_E_TRUST_UNKNOWN  Not in the list.
 * @retval ARIL_E_TRUST_REVOKED  Revoked.
 * @retval ARIL_E_USAGE_RANGE    @p public_key is no key of @p alg.
 * Threads: checks may run at the same time; changes need the list alone.
 */
ARIL_API ARIL_MUST_USE aril_status aril_trust_check(const aril_trust *trust, aril_sign_alg alg,
                                                    aril_bytes public_key, const char **ret_name);

#ifdef __cplusplus
}
#endif
#endif
