/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_NAMES_H
#define ARILI_CACHE_NAMES_H
#include "crypto/runtime.h"
#include "keyring/cache.h"
#include <aril/cache.h>

/*
 * What a value is bound to, and what it is called in a store: docs/CACHE-FORMAT.md sections 3
 * and 4. name = "a1:" tenant part ":" space part ":{" hash tag or own part "}" [own part]
 */
#define ARILI_CACHE_LEVEL_TEXT     "a1:" /* all names begin so */
#define ARILI_CACHE_CONTEXT_BYTES  32u
#define ARILI_CACHE_PART_TEXT      12u /* base64url of 9 bytes */
#define ARILI_CACHE_LISTED_KEY_MAX 512u
/* The longest name that is made here: that of a listable key. */
#define ARILI_CACHE_NAME_TEXT   832u
#define ARILI_CACHE_PREFIX_TEXT (3u + 2u * (ARILI_CACHE_PART_TEXT + 1u))
/* Types of our own records, beside aril_cache_type. */
#define ARILI_CACHE_TAG_ID 0x80u
#define ARILI_CACHE_TAG    0x81u

/* Names under one NAME key for one tenant and namespace. */
struct arili_naming {
    uint8_t key_id[ARIL_KEY_ID_BYTES];
    char prefix[ARILI_CACHE_PREFIX_TEXT]; /* "a1:T:S:" */
    const uint8_t *listing;    /* borrowed: the listing key of the NAME key; NULL: each call that
                                  needs it derives it */
    struct arili_naming *next; /* a former one */
};

/* The 32 bytes that stand for all of a key. Checks nothing. */
ARIL_MUST_USE aril_status arili_cache_context(const struct arili_crypto *c, enum arili_hash hash,
                                              const aril_cache_key *key,
                                              uint8_t ret[ARILI_CACHE_CONTEXT_BYTES]);

ARIL_MUST_USE aril_status arili_naming_init(const struct arili_crypto *c, enum arili_hash hash,
                                            const aril_tenant_key *name_key, aril_bytes space,
                                            struct arili_naming *ret);

/* The key of listable names, and of what else is AES-256-SIV under a NAME key: who keeps it keeps
 * it in a secure cell. */
ARIL_MUST_USE aril_status arili_cache_listing_key(const struct arili_crypto *c,
                                                  enum arili_hash hash,
                                                  const aril_tenant_key *name_key,
                                                  uint8_t ret[ARILI_SIV_KEY_BYTES]);

struct arili_name_want {
    bool listable, hash_tags;
};
/* The name of key, whose context was computed; ret holds ARILI_CACHE_NAME_TEXT bytes.
 * ARIL_E_USAGE_RANGE: too long to be listed. */
ARIL_MUST_USE aril_status arili_cache_name(const struct arili_crypto *c, enum arili_hash hash,
                                           const struct arili_naming *naming,
                                           const aril_tenant_key *name_key,
                                           struct arili_name_want want, const aril_cache_key *key,
                                           const uint8_t context[ARILI_CACHE_CONTEXT_BYTES],
                                           char *ret, size_t *ret_len);

/* What a listable name says; key and field point into ret->room. ARIL_E_NOT_FOUND: it is not
 * listable; ARIL_E_AUTH: not a name of this namespace. */
struct arili_listed_name {
    uint8_t room[2 * ARILI_CACHE_LISTED_KEY_MAX];
    aril_cache_key key; /* without tenant and space */
    bool hash_tagged;   /* the name has the part of a hash tag */
};
ARIL_MUST_USE aril_status arili_cache_name_open(const struct arili_crypto *c, enum arili_hash hash,
                                                const struct arili_naming *naming,
                                                const aril_tenant_key *name_key, aril_bytes space,
                                                aril_bytes name, struct arili_listed_name *ret);

/* The hash tag of a key as Redis finds it: between the first { and the next }; empty: there is
 * none. */
aril_bytes arili_cache_hash_tag(aril_bytes key);

/* What the generation floor of a namespace is called in the keyring. */
#define ARILI_FLOOR_NAME_BYTES 81u
ARIL_MUST_USE aril_status arili_cache_floor_name(const struct arili_crypto *c, enum arili_hash hash,
                                                 aril_bytes tenant, aril_bytes space,
                                                 uint8_t ret[ARILI_FLOOR_NAME_BYTES]);

/* cache_salt of a domain inside the tenant, without a NUL. */
#define ARILI_CACHE_SALT_CHARS 43u
ARIL_MUST_USE aril_status arili_cache_salt(const struct arili_crypto *c, enum arili_hash hash,
                                           const aril_tenant_key *name_key, aril_bytes domain,
                                           char ret[ARILI_CACHE_SALT_CHARS]);
/* The key of a block; checks nothing. */
ARIL_MUST_USE aril_status arili_cache_block_key(const struct arili_crypto *c, enum arili_hash hash,
                                                const aril_cache_block *block,
                                                uint8_t ret[ARIL_CACHE_BLOCK_KEY_BYTES]);

/* base64url without padding; ret has room for (len * 4 + 2) / 3 characters. */
size_t arili_base64url(const uint8_t *bytes, size_t len, char *ret);
/* Strict: no other characters, no bits behind the end. */
ARIL_MUST_USE aril_status arili_base64url_parse(aril_bytes text, uint8_t *ret, size_t cap,
                                                size_t *ret_len);
#endif
