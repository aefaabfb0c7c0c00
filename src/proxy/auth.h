/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_AUTH_H
#define ARILI_PROXY_AUTH_H
#include "proxy/config.h"
#include <aril/runtime.h>

/*
 * Who a client is. A machine token is 256 random bits in text, "arilt_" and 43 characters of
 * base64url; what is kept of it is its SHA-256, so checking one is a hash and a look-up whatever
 * the load. A passphrase is a person's: Argon2id, on a worker thread, and few tries.
 *
 * The password file has a line for each credential and is written by `aril proxy`:
 *   TENANT:NAME:token:HEX64:CREATED
 *   TENANT:NAME:argon2id:MEMORY_KIB,ITERATIONS,LANES:SALT_HEX:HASH_HEX:CREATED
 * TENANT is the user name of AUTH; NAME tells several credentials of one tenant apart,
 * [A-Za-z0-9._-] up to 64. CREATED is in seconds since 1970. A line that begins with '#' is a
 * comment, and an empty one is skipped. In tenant ids everything but graphic ASCII, and ':', '%'
 * and '#', is written %XX; hexadecimal digits are small, those of %XX are large. Every line ends in
 * LF, the last one too, so that a file that was cut off is noticed. Nothing is there twice: no NAME
 * of a tenant, no token.
 */
#define ARILI_TOKEN_PREFIX               "arilt_"
#define ARILI_TOKEN_TEXT                 50u /* with NUL: 6 + 43 + 1 */
#define ARILI_CREDENTIAL_NAME_MAX        64u
#define ARILI_CREDENTIALS_MAX            65536u
#define ARILI_CREDENTIALS_BYTES_MAX      ((size_t)ARILI_CREDENTIALS_MAX * 512) /* of the file */
#define ARILI_CREDENTIAL_TENANT_MAX      255u
#define ARILI_PASSPHRASE_MAX             1024u
#define ARILI_PASSPHRASE_MIN             8u
#define ARILI_PASSPHRASES_PER_TENANT_MAX 4u /* each one is tried at a login */

/* Argon2id of new lines: the second choice of RFC 9106 section 4. */
#define ARILI_ARGON2_MEMORY_KIB 65536u
#define ARILI_ARGON2_ITERATIONS 3u
#define ARILI_ARGON2_LANES      4u
/* What a file may ask for. The least work, memory times iterations, is the smallest of OWASP's
 * Password Storage Cheat Sheet (7168 KiB, 5); the most takes a second or two. */
#define ARILI_ARGON2_MEMORY_KIB_MIN 7168u
#define ARILI_ARGON2_MEMORY_KIB_MAX 262144u
#define ARILI_ARGON2_ITERATIONS_MAX 16u
#define ARILI_ARGON2_LANES_MAX      8u
#define ARILI_ARGON2_WORK_KIB_MIN   35840u
#define ARILI_ARGON2_WORK_KIB_MAX   1048576u

/* An immutable set of credentials; rt is borrowed. Threads: any. */
struct arili_credentials;
/* NOT_FOUND, IO (class), LIMIT (longer, or more lines, than the limits), NOMEM, CRYPTO (class),
 * IO_PERMISSION (others can read or change it: it is the user's or root's and 0600, or root's and
 * 0640), FORMAT_FIELD with the line. *ret is NULL on failure. */
ARIL_MUST_USE aril_status arili_credentials_read(aril_runtime *rt, const char *path,
                                                 struct arili_credentials **ret, aril_error *error);
ARIL_MUST_USE aril_status arili_credentials_parse(aril_runtime *rt, const char *path,
                                                  aril_bytes text, struct arili_credentials **ret,
                                                  aril_error *error);
void arili_credentials_free(struct arili_credentials *c); /* accepts NULL */
size_t arili_credentials_count(const struct arili_credentials *c);

/* What a line says, but for its secrets. The texts are borrowed from the set. */
enum arili_credential_kind { ARILI_CREDENTIAL_TOKEN = 1, ARILI_CREDENTIAL_PASSPHRASE };
struct arili_credential {
    const char *tenant, *name;
    enum arili_credential_kind kind;
    uint32_t line; /* of the file, from 1 */
    uint64_t created_s;
};
/* In the order of the file; index is below the count. */
const struct arili_credential *arili_credentials_at(const struct arili_credentials *c,
                                                    size_t index);
/* [A-Za-z0-9._-], 1 to ARILI_CREDENTIAL_NAME_MAX. */
bool arili_credential_name_is_good(const char *name);

/*
 * A login, in a loop:
 *   arili_token_check()          YES, NO and LATER are the answer; wrong tokens are not counted
 *   WORK: arili_tries_may()      false: the answer is LATER
 *         arili_passphrase_check() in a task of a worker
 *         arili_tries_right()    when it was right, or failed
 * The set that WORK began with must be there until its task is done: it is not counted.
 */
/* How a check ends. */
enum arili_verdict {
    ARILI_VERDICT_NO = 0,
    ARILI_VERDICT_YES,
    ARILI_VERDICT_WORK, /* a passphrase: arili_passphrase_check() on a worker decides */
    ARILI_VERDICT_LATER /* too many wrong tries from there: wait */
};
/*
 * user: empty or "default" where the token alone says who it is. What begins as a token is decided
 * at once, in time that does not depend on which one it is; LATER when memory was short. The rest
 * is ARILI_VERDICT_WORK whoever the user is, so that time does not tell who exists; NO where nobody
 * has a passphrase, or none can be so short or so long. c may be NULL: nobody has anything.
 * ret_tenant is empty unless the answer is YES.
 */
enum arili_verdict arili_token_check(const struct arili_credentials *c, aril_bytes user,
                                     aril_bytes secret, char ret_tenant[256]);
/*
 * For a worker. An empty user is "default". Takes as long as Argon2id takes, for each passphrase
 * that the user has: about 0.15 s and 64 MiB with the parameters above. A user who does not exist
 * takes as long as one who does: each such name has the work of one tenant of the file, always of
 * the same one. On failure *ret_right is false; NOMEM, CRYPTO (class).
 */
ARIL_MUST_USE aril_status arili_passphrase_check(const struct arili_credentials *c, aril_bytes user,
                                                 aril_bytes secret, bool *ret_right,
                                                 char ret_tenant[256]);

/*
 * Tries of passphrases, by address and by user: after BURST wrong ones, one each INTERVAL. IPv6
 * addresses count by /64, as one host has that many. Tokens are not counted: guessing one is
 * hopeless, and a million wrong ones must not delay the right one.
 *
 * The tables have a fixed size; when one is full, the address or user with the least to answer for
 * is forgotten. Threads: any, at the same time.
 */
#define ARILI_TRIES_ADDRESS_BURST       5u
#define ARILI_TRIES_ADDRESS_INTERVAL_NS UINT64_C(10000000000)
#define ARILI_TRIES_USER_BURST          20u
#define ARILI_TRIES_USER_INTERVAL_NS    UINT64_C(5000000000)
struct arili_tries;
/* NOMEM, RANDOM. */
ARIL_MUST_USE aril_status arili_tries_new(struct arili_tries **ret);
void arili_tries_free(struct arili_tries *t); /* accepts NULL */
/* Whether a passphrase may be tried now. When it may, the try counts as a wrong one from here on:
 * a thousand at the same moment are not fewer than a thousand one after the other. */
bool arili_tries_may(struct arili_tries *t, const char *address, aril_bytes user, uint64_t now_ns);
/* The passphrase was right, or could not be checked: that try does not count after all. */
void arili_tries_right(struct arili_tries *t, const char *address, aril_bytes user);

/* Making them: for `aril proxy`. The lines come without LF and with NUL. USAGE_RANGE with what is
 * wrong: a tenant that is empty, too long or has a NUL, a bad name, a passphrase that is too short,
 * too long, or begins as a token does. RANDOM, NOMEM, CRYPTO (class). Outputs are empty texts on
 * failure. */
#define ARILI_CREDENTIAL_LINE_MAX 1200u
ARIL_MUST_USE aril_status arili_token_make(aril_runtime *rt, aril_bytes tenant, const char *name,
                                           uint64_t now_s, char ret_token[ARILI_TOKEN_TEXT],
                                           char ret_line[ARILI_CREDENTIAL_LINE_MAX],
                                           aril_error *error);
ARIL_MUST_USE aril_status arili_passphrase_make(aril_runtime *rt, aril_bytes tenant,
                                                const char *name, aril_bytes passphrase,
                                                uint64_t now_s,
                                                char ret_line[ARILI_CREDENTIAL_LINE_MAX],
                                                aril_error *error);
#endif
