/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_CREDENTIALS_H
#define ARILI_PROXY_CREDENTIALS_H
#include "proxy/credential_line.h"

/* The inside of a set of credentials, for the files of auth. */
struct arili_token_row {
    uint8_t hash[ARILI_CREDENTIAL_HASH_BYTES];
    uint32_t index; /* in all */
};
struct arili_passphrase_row {
    uint32_t index; /* in all */
    struct arili_argon2 argon2;
    uint8_t salt[ARILI_CREDENTIAL_SALT_BYTES_MAX];
    size_t salt_len;
    uint8_t hash[ARILI_CREDENTIAL_HASH_BYTES];
    const struct arili_credential *about;
};
/* A tenant with passphrases: rows first to first + count - 1. */
struct arili_person {
    const char *tenant;
    uint32_t first, count;
};

struct arili_credentials {
    aril_runtime *rt; /* borrowed */
    size_t cap;       /* of each array */
    size_t count, token_count, passphrase_count, person_count;
    struct arili_credential *all;             /* in the order of the file */
    struct arili_token_row *tokens;           /* by hash, no two alike */
    struct arili_passphrase_row *passphrases; /* by tenant and name */
    struct arili_person *persons;             /* by tenant */
    char *texts;                              /* tenants and names, each with its NUL */
    size_t texts_len, texts_cap;
};

/* Whether a user name that came over the wire is that tenant. */
bool arili_user_is(aril_bytes user, const char *tenant);
/* Empty means "default", as Redis has it. */
aril_bytes arili_user_name(aril_bytes user);
/* Fills ret_tenant, all 256 bytes of it. */
void arili_tenant_copy(char ret_tenant[256], const char *tenant);
bool arili_begins_as_token(aril_bytes secret);
#endif
