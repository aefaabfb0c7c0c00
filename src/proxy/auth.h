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
 * TENANT is the user name of AUTH; NAME tells several credentials of one tenant apart, [A-Za-z0-9._-]
 * up to 64. '#' begins a comment. Tenant ids with ':' or spaces are written %XX.
 */
#define ARILI_TOKEN_PREFIX     "arilt_"
#define ARILI_TOKEN_TEXT       50u /* with NUL: 6 + 43 + 1 */
#define ARILI_CREDENTIAL_NAME_MAX 64u
#define ARILI_CREDENTIALS_MAX  65536u
#define ARILI_PASSPHRASE_MAX   1024u
#define ARILI_PASSPHRASE_MIN   8u

/* An immutable set of credentials. */
struct arili_credentials;
/* NOT_FOUND, IO (class), IO_PERMISSION (others can read it), FORMAT_FIELD with the line. */
ARIL_MUST_USE aril_status arili_credentials_read(aril_runtime *rt, const char *path,
                                                 struct arili_credentials **ret,
                                                 aril_error *error);
ARIL_MUST_USE aril_status arili_credentials_parse(aril_runtime *rt, const char *path,
                                                  aril_bytes text, struct arili_credentials **ret,
                                                  aril_error *error);
void arili_credentials_free(struct arili_credentials *c); /* accepts NULL */
size_t arili_credentials_count(const struct arili_credentials *c);

/* How a check ends. */
enum arili_verdict {
    ARILI_VERDICT_NO = 0,
    ARILI_VERDICT_YES,
    ARILI_VERDICT_WORK, /* a passphrase: arili_passphrase_check() on a worker decides */
    ARILI_VERDICT_LATER /* too many wrong tries from there: wait */
};
/*
 * user: empty or "default" where the token alone says who it is. A token is decided at once, in
 * time that does not depend on which one it is. The rest may be ARILI_VERDICT_WORK, also for
 * users that do not exist, so that time does not tell who does.
 */
enum arili_verdict arili_token_check(const struct arili_credentials *c, aril_bytes user,
                                     aril_bytes secret, char ret_tenant[256]);
/* Takes as long as Argon2id takes (about 50 ms), for a user that does not exist too. */
ARIL_MUST_USE aril_status arili_passphrase_check(const struct arili_credentials *c,
                                                 aril_bytes user, aril_bytes secret,
                                                 bool *ret_right, char ret_tenant[256]);

/* Wrong tries, by address and by user: after BURST of them, one each INTERVAL; a table of fixed
 * size, for many loops at once. Right ones are never delayed by an address's wrong tokens. */
struct arili_tries;
ARIL_MUST_USE aril_status arili_tries_new(struct arili_tries **ret);
void arili_tries_free(struct arili_tries *t);
/* Whether a passphrase may be tried now. */
bool arili_tries_may(struct arili_tries *t, const char *address, aril_bytes user, uint64_t now_ns);
void arili_tries_wrong(struct arili_tries *t, const char *address, aril_bytes user,
                       uint64_t now_ns);

/* Making them: for `aril proxy`. The lines come without LF and with NUL. */
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
