/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_KEYSTORE_H
#define ARIL_KEYSTORE_H
#include <aril/base.h>
#include <aril/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Where the root of a keyring is sealed: a key file, a passphrase, a TPM 2.0, a PKCS#11 token.
 * A keystore keeps no data of the keyring; the keyring's file holds what it sealed.
 *
 *   file:PATH                 a key file, mode 0600, owned by the user
 *   passphrase:               a passphrase that is asked for (Argon2id)
 *   passphrase:PATH           the same, from a file of mode 0600
 *   credential:PATH           a key file that is only read: systemd's $CREDENTIALS_DIRECTORY/NAME
 *   tpm2:TCTI[?pcrs=BANK:N,N...]
 *                             TCTI as in tpm2-tss: device:/dev/tpmrm0, swtpm:path=/run/tpm.sock;
 *                             what is sealed opens only while these PCRs are as they were
 *   pkcs11:token=LABEL?module-path=PATH[&pin-source=PATH]
 *                             RFC 7512; an AES-256 key that does not leave the token
 *
 * Threads: any; calls on one keystore wait for one another. Every call ends within the deadline.
 */
typedef struct aril_keystore aril_keystore;

/** How well a keystore protects what it seals. It states this itself. */
typedef enum aril_protection {
    ARIL_PROTECTION_SOFTWARE = 1, /* files and memory of this host */
    ARIL_PROTECTION_TPM = 2,      /* a TPM 2.0; one in software says so in its description */
    ARIL_PROTECTION_HSM = 3       /* a PKCS#11 token; one in software says so as well */
} aril_protection;

/** "software", "tpm", "hsm"; never NULL. */
ARIL_API const char *aril_protection_name(aril_protection protection);

/** What a keystore can do besides sealing. */
enum {
    ARIL_KEYSTORE_COUNTER = 1u << 0, /* counts up and never down: rollback is noticed */
    ARIL_KEYSTORE_DESTROY = 1u << 1, /* what was sealed can be made unreadable, copies too */
    ARIL_KEYSTORE_ASKS = 1u << 2     /* a person has to type something */
};

/** What a keystore asks its user for. */
typedef enum aril_secret_kind {
    ARIL_SECRET_PASSPHRASE = 1,
    ARIL_SECRET_NEW_PASSPHRASE = 2, /* a new one is chosen: ask twice */
    ARIL_SECRET_PIN = 3
} aril_secret_kind;

/** Longest passphrase or PIN, in bytes. */
#define ARIL_SECRET_BYTES_MAX 1024u

/**
 * Asks for a secret. Fills @p ret with at most @p cap bytes; the caller wipes them. Answers
 * ARIL_E_KEYSTORE_SECRET where nobody can be asked. May be called from a thread of the keystore.
 * @param subject  What it is for, as text for a prompt: a file or a token label.
 */
typedef aril_status aril_secret_fn(void *user, aril_secret_kind kind, const char *subject,
                                   uint8_t *ret, size_t cap, size_t *ret_len);

typedef struct aril_keystore_config {
    const char *uri;      /* copied */
    aril_secret_fn *ask;  /* NULL: nobody can be asked. Called while the keystore is in use. */
    void *user;           /* handed to ask; borrowed until close */
    uint32_t deadline_ms; /* for each call, 1 to 600000; 0: 10000. Asking does not count. */
    int create;           /* 1: make the key file or the token's key when it is not there */
    uint32_t argon2_ms;   /* calibration of a new passphrase, 1 to 10000; 0: 500 */
} aril_keystore_config;

/**
 * Open a keystore. Nothing is unsealed yet.
 *
 * @param error  Optional; names the URI, the reason and the remedy, never a secret.
 * @retval ARIL_E_USAGE_RANGE       The URI is none of the above.
 * @retval ARIL_E_NOT_FOUND         The key file, device, socket, module or token is not there.
 * @retval ARIL_E_IO_PERMISSION     The key file could be read by others.
 * @retval ARIL_E_UNAVAILABLE       Built without it, or its library is not installed.
 * @retval ARIL_E_TIMEOUT           It did not answer within the deadline.
 * @retval ARIL_E_KEYSTORE (class)  It answered with a failure.
 * Blocks: for the deadline at most. Allocates: yes. Since: 0.2
 */
ARIL_API ARIL_MUST_USE aril_status aril_keystore_open(aril_runtime *rt,
                                                      const aril_keystore_config *config,
                                                      aril_keystore **ret_keystore,
                                                      aril_error *error);
/** Close. Accepts NULL. No keyring may use it any more. */
ARIL_API void aril_keystore_close(aril_keystore *keystore);

#define ARIL_KEYSTORE_TEXT_BYTES 128u

typedef struct aril_keystore_info {
    aril_protection protection;
    unsigned capabilities;                      /* ARIL_KEYSTORE_* */
    char backend[16];                           /* "file", "tpm2", ... */
    char description[ARIL_KEYSTORE_TEXT_BYTES]; /* for people: manufacturer, firmware, token */
} aril_keystore_info;

/** What the keystore states of itself; asked for when it was opened. Threads: any. Since: 0.2 */
ARIL_API ARIL_MUST_USE aril_status aril_keystore_get_info(const aril_keystore *keystore,
                                                          aril_keystore_info *ret_info);

#ifdef __cplusplus
}
#endif
#endif
