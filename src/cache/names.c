/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/names.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

#define CONTEXT_LABEL  ARILI_LITERAL("aril cache context v1")
#define TENANT_LABEL   ARILI_LITERAL("aril cache tenant v1")
#define SPACE_LABEL    ARILI_LITERAL("aril cache space v1")
#define NAME_LABEL     ARILI_LITERAL("aril cache name v1")
#define HASH_TAG_LABEL ARILI_LITERAL("aril cache hash tag v1")
#define LISTING_LABEL  ARILI_LITERAL("aril cache listing v1")
#define FLOOR_LABEL    ARILI_LITERAL("aril cache floor v1")
#define FLOOR_TEXT     ARILI_LITERAL("cache generation:")

#define PART_BYTES    9u
#define LISTED_MARK   '~'
#define SIV_KEY_BYTES ARILI_SIV_KEY_BYTES
#define SIV_IV_BYTES  ARILI_SIV_IV_BYTES
/* Listed plaintexts are padded to multiples of this, so names tell lengths only roughly. */
#define LISTED_STEP 16u
#define LISTED_MAX  (2u + ARILI_CACHE_LISTED_KEY_MAX + 2u + LISTED_STEP)

/* --- base64url ------------------------------------------------------------------------------ */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t arili_base64url(const uint8_t *bytes, size_t len, char *ret)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i += 3) {
        const size_t have = len - i < 3 ? len - i : 3;
        uint32_t word = (uint32_t)bytes[i] << 16;
        word |= have > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        word |= have > 2 ? bytes[i + 2] : 0;
        for (size_t k = 0; k <= have; k++) {
            ret[out++] = alphabet[word >> (18 - 6 * k) & 63];
        }
    }
    return out;
}

static int digit_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

aril_status arili_base64url_parse(aril_bytes text, uint8_t *ret, size_t cap, size_t *ret_len)
{
    const size_t rest = text.len % 4;
    ARILI_ENSURE(rest != 1, ARIL_E_FORMAT_LENGTH);
    const size_t len = text.len / 4 * 3 + (rest > 0 ? rest - 1 : 0);
    ARILI_ENSURE(len <= cap, ARIL_E_FORMAT_LENGTH);
    uint32_t word = 0;
    unsigned bits = 0;
    size_t out = 0;
    for (size_t i = 0; i < text.len; i++) {
        const int digit = digit_of(text.data[i]);
        ARILI_ENSURE(digit >= 0, ARIL_E_FORMAT_FIELD);
        word = word << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            ret[out++] = (uint8_t)(word >> bits);
        }
    }
    ARILI_ENSURE((word & ((1u << bits) - 1)) == 0, ARIL_E_FORMAT_FIELD);
    *ret_len = out;
    return ARIL_OK;
}

/* --- Context -------------------------------------------------------------------------------- */

aril_status arili_cache_context(const struct arili_crypto *c, enum arili_hash hash,
                                const aril_cache_key *key, uint8_t ret[ARILI_CACHE_CONTEXT_BYTES])
{
    uint8_t tenant_len[2], space_len[2], middle[9], field_len[4];
    uint8_t digest[ARILI_HASH_BYTES_MAX];
    arili_store16(tenant_len, (uint16_t)key->tenant.len);
    arili_store16(space_len, (uint16_t)key->space.len);
    arili_store32(middle, key->database);
    middle[4] = (uint8_t)key->type;
    arili_store32(middle + 5, (uint32_t)key->key.len);
    arili_store32(field_len, (uint32_t)key->field.len);
    const aril_bytes parts[] = { CONTEXT_LABEL, { tenant_len, sizeof tenant_len },
                                 key->tenant,   { space_len, sizeof space_len },
                                 key->space,    { middle, sizeof middle },
                                 key->key,      { field_len, sizeof field_len },
                                 key->field };
    ARILI_TRY(c->ops->hash(c->provider, hash, parts, sizeof parts / sizeof *parts, digest));
    memcpy(ret, digest, ARILI_CACHE_CONTEXT_BYTES);
    return ARIL_OK;
}

/* --- Names ---------------------------------------------------------------------------------- */

static aril_status mac(const struct arili_crypto *c, enum arili_hash hash,
                       const aril_tenant_key *key, aril_bytes label, aril_bytes length,
                       aril_bytes text, uint8_t ret[ARILI_HASH_BYTES_MAX])
{
    const aril_bytes parts[] = { label, length, text };
    return c->ops->hmac(c->provider, hash, arili_tenant_key_bytes(key), parts, 3, ret);
}

static aril_status put_part(const struct arili_crypto *c, enum arili_hash hash,
                            const aril_tenant_key *key, aril_bytes label, aril_bytes text,
                            char ret[ARILI_CACHE_PART_TEXT])
{
    uint8_t digest[ARILI_HASH_BYTES_MAX];
    uint8_t len[4];
    arili_store32(len, (uint32_t)text.len);
    ARILI_TRY(mac(c, hash, key, label, (aril_bytes){ len, sizeof len }, text, digest));
    (void)arili_base64url(digest, PART_BYTES, ret);
    return ARIL_OK;
}

aril_status arili_naming_init(const struct arili_crypto *c, enum arili_hash hash,
                              const aril_tenant_key *name_key, aril_bytes space,
                              struct arili_naming *ret)
{
    const size_t level = sizeof ARILI_CACHE_LEVEL_TEXT - 1;
    struct arili_naming n = { .next = NULL };
    memcpy(n.key_id, aril_tenant_key_id(name_key), sizeof n.key_id);
    memcpy(n.prefix, ARILI_CACHE_LEVEL_TEXT, level);
    char *at = n.prefix + level;
    ARILI_TRY(put_part(c, hash, name_key, TENANT_LABEL, (aril_bytes){ NULL, 0 }, at));
    at += ARILI_CACHE_PART_TEXT;
    *at++ = ':';
    ARILI_TRY(put_part(c, hash, name_key, SPACE_LABEL, space, at));
    at[ARILI_CACHE_PART_TEXT] = ':';
    *ret = n;
    return ARIL_OK;
}

aril_bytes arili_cache_hash_tag(aril_bytes key)
{
    const uint8_t *open = memchr(key.data, '{', key.len);
    if (open == NULL) {
        return (aril_bytes){ NULL, 0 };
    }
    const uint8_t *from = open + 1;
    const uint8_t *end = memchr(from, '}', key.len - (size_t)(from - key.data));
    return end == NULL ? (aril_bytes){ NULL, 0 } : (aril_bytes){ from, (size_t)(end - from) };
}

static void wipe_siv_key(uint8_t (*key)[SIV_KEY_BYTES])
{
    arili_wipe(*key, sizeof *key);
}

aril_status arili_cache_listing_key(const struct arili_crypto *c, enum arili_hash hash,
                                    const aril_tenant_key *name_key, uint8_t ret[SIV_KEY_BYTES])
{
    return c->ops->hkdf_expand(c->provider, hash, arili_tenant_key_bytes(name_key), LISTING_LABEL,
                               ret, SIV_KEY_BYTES);
}

/* That of naming, or it is derived to room. */
static aril_status listing_key(const struct arili_crypto *c, enum arili_hash hash,
                               const struct arili_naming *naming, const aril_tenant_key *name_key,
                               uint8_t room[SIV_KEY_BYTES], const uint8_t **ret)
{
    *ret = naming->listing;
    if (*ret == NULL) {
        ARILI_TRY(arili_cache_listing_key(c, hash, name_key, room));
        *ret = room;
    }
    return ARIL_OK;
}

/* prefix of the namespace || database || type: what a listed name is bound to. */
#define LISTED_AAD_BYTES (ARILI_CACHE_PREFIX_TEXT + 5u)
static void listed_aad(const struct arili_naming *naming, uint32_t database, unsigned type,
                       uint8_t ret[LISTED_AAD_BYTES])
{
    memcpy(ret, naming->prefix, ARILI_CACHE_PREFIX_TEXT);
    arili_store32(ret + ARILI_CACHE_PREFIX_TEXT, database);
    ret[ARILI_CACHE_PREFIX_TEXT + 4] = (uint8_t)type;
}

/* database || type || iv || body, in base64url. */
#define LISTED_HEAD 5u
_Static_assert(ARILI_CACHE_PREFIX_TEXT + 2 + ARILI_CACHE_PART_TEXT + 1 +
                       (LISTED_HEAD + SIV_IV_BYTES + LISTED_MAX + 2) / 3 * 4 <=
                   ARILI_CACHE_NAME_TEXT,
               "the longest name has room");
static aril_status put_listed(const struct arili_crypto *c, enum arili_hash hash,
                              const struct arili_naming *naming, const aril_tenant_key *name_key,
                              const aril_cache_key *key, char *ret, size_t *ret_len)
{
    ARILI_ENSURE(key->key.len + key->field.len <= ARILI_CACHE_LISTED_KEY_MAX, ARIL_E_USAGE_RANGE);
    uint8_t plain[LISTED_MAX] = { 0 };
    uint8_t sealed[LISTED_HEAD + SIV_IV_BYTES + LISTED_MAX];
    uint8_t aad[LISTED_AAD_BYTES];
    struct arili_writer w = arili_writer_init(plain, sizeof plain);
    arili_write_vec16(&w, key->key);
    arili_write_vec16(&w, key->field);
    const size_t len = (w.len + LISTED_STEP - 1) / LISTED_STEP * LISTED_STEP;
    arili_store32(sealed, key->database);
    sealed[4] = (uint8_t)key->type;
    listed_aad(naming, key->database, key->type, aad);
    const uint8_t *siv;
    ARILI_DEFER(wipe_siv_key) uint8_t room[SIV_KEY_BYTES];
    ARILI_TRY(listing_key(c, hash, naming, name_key, room, &siv));
    ARILI_TRY(c->ops->siv_seal(c->provider, siv, (aril_bytes){ aad, sizeof aad },
                               (aril_bytes){ plain, len }, sealed + LISTED_HEAD,
                               sealed + LISTED_HEAD + SIV_IV_BYTES));
    *ret_len = arili_base64url(sealed, LISTED_HEAD + SIV_IV_BYTES + len, ret);
    return ARIL_OK;
}

aril_status arili_cache_name(const struct arili_crypto *c, enum arili_hash hash,
                             const struct arili_naming *naming, const aril_tenant_key *name_key,
                             struct arili_name_want want, const aril_cache_key *key,
                             const uint8_t context[ARILI_CACHE_CONTEXT_BYTES], char *ret,
                             size_t *ret_len)
{
    char *at = ret;
    memcpy(at, naming->prefix, ARILI_CACHE_PREFIX_TEXT);
    at += ARILI_CACHE_PREFIX_TEXT;
    *at++ = '{';
    const aril_bytes tag =
        want.hash_tags ? arili_cache_hash_tag(key->key) : (aril_bytes){ NULL, 0 };
    if (tag.len > 0) {
        ARILI_TRY(put_part(c, hash, name_key, HASH_TAG_LABEL, tag, at));
        at += ARILI_CACHE_PART_TEXT;
        *at++ = '}';
    }
    /* Records of our own are not listed. */
    if (want.listable && (unsigned)key->type < ARILI_CACHE_TAG_ID) {
        size_t len;
        *at++ = LISTED_MARK;
        ARILI_TRY(put_listed(c, hash, naming, name_key, key, at, &len));
        at += len;
    } else {
        uint8_t digest[ARILI_HASH_BYTES_MAX];
        ARILI_TRY(mac(c, hash, name_key, NAME_LABEL, (aril_bytes){ NULL, 0 },
                      (aril_bytes){ context, ARILI_CACHE_CONTEXT_BYTES }, digest));
        at += arili_base64url(digest, 32, at);
    }
    if (tag.len == 0) {
        *at++ = '}';
    }
    *ret_len = (size_t)(at - ret);
    return ARIL_OK;
}

/* The part of a name that follows its mark, and its hash tag, NULL without one; false: it is not
 * listable. */
static bool listed_part(const struct arili_naming *naming, aril_bytes name, aril_bytes *ret,
                        const uint8_t **ret_tag)
{
    *ret_tag = NULL;
    if (name.len < ARILI_CACHE_PREFIX_TEXT + 3 ||
        memcmp(name.data, naming->prefix, ARILI_CACHE_PREFIX_TEXT) != 0) {
        return false;
    }
    const uint8_t *at = name.data + ARILI_CACHE_PREFIX_TEXT;
    const uint8_t *end = name.data + name.len;
    if (*at++ != '{') {
        return false;
    }
    if (*at != LISTED_MARK) { /* a hash tag comes first */
        if ((size_t)(end - at) < ARILI_CACHE_PART_TEXT + 2 || at[ARILI_CACHE_PART_TEXT] != '}') {
            return false;
        }
        *ret_tag = at;
        at += ARILI_CACHE_PART_TEXT + 1;
    } else if (*--end != '}') {
        return false;
    }
    if (at >= end || *at != LISTED_MARK) {
        return false;
    }
    *ret = (aril_bytes){ at + 1, (size_t)(end - at - 1) };
    return true;
}

/* A name has the hash tag of its key, so nobody gives one value many names. */
static aril_status check_hash_tag(const struct arili_crypto *c, enum arili_hash hash,
                                  const aril_tenant_key *name_key, aril_bytes key,
                                  const uint8_t part[ARILI_CACHE_PART_TEXT])
{
    char want[ARILI_CACHE_PART_TEXT];
    const aril_bytes tag = arili_cache_hash_tag(key);
    ARILI_ENSURE(tag.len > 0, ARIL_E_AUTH);
    ARILI_TRY(put_part(c, hash, name_key, HASH_TAG_LABEL, tag, want));
    ARILI_ENSURE(arili_equal_ct((const uint8_t *)want, part, sizeof want), ARIL_E_AUTH);
    return ARIL_OK;
}

aril_status arili_cache_name_open(const struct arili_crypto *c, enum arili_hash hash,
                                  const struct arili_naming *naming,
                                  const aril_tenant_key *name_key, aril_bytes space,
                                  aril_bytes name, struct arili_listed_name *ret)
{
    aril_bytes text;
    uint8_t sealed[LISTED_HEAD + SIV_IV_BYTES + LISTED_MAX];
    uint8_t aad[LISTED_AAD_BYTES];
    size_t len;
    const uint8_t *tag;
    ARILI_ENSURE(listed_part(naming, name, &text, &tag), ARIL_E_NOT_FOUND);
    ARILI_TRY(arili_base64url_parse(text, sealed, sizeof sealed, &len));
    ARILI_ENSURE(len > LISTED_HEAD + SIV_IV_BYTES, ARIL_E_FORMAT_TRUNCATED);
    const aril_bytes body = { sealed + LISTED_HEAD + SIV_IV_BYTES,
                              len - LISTED_HEAD - SIV_IV_BYTES };
    const uint32_t database = arili_load32(sealed);
    listed_aad(naming, database, sealed[4], aad);
    const uint8_t *siv;
    ARILI_DEFER(wipe_siv_key) uint8_t room[SIV_KEY_BYTES];
    ARILI_TRY(listing_key(c, hash, naming, name_key, room, &siv));
    ARILI_TRY(c->ops->siv_open(c->provider, siv, (aril_bytes){ aad, sizeof aad },
                               sealed + LISTED_HEAD, body, ret->room));
    struct arili_reader r = arili_reader_init((aril_bytes){ ret->room, body.len });
    const aril_bytes key = arili_read_vec16(&r);
    const aril_bytes field = arili_read_vec16(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    if (tag != NULL) {
        ARILI_TRY(check_hash_tag(c, hash, name_key, key, tag));
    }
    ret->key = (aril_cache_key){ .space = space,
                                 .key = key,
                                 .field = field,
                                 .database = database,
                                 .type = (aril_cache_type)sealed[4] };
    ret->hash_tagged = tag != NULL;
    return ARIL_OK;
}

/* --- Floors --------------------------------------------------------------------------------- */

_Static_assert(ARILI_FLOOR_NAME_BYTES == sizeof "cache generation:" - 1 + 64, "text and digest");

aril_status arili_cache_floor_name(const struct arili_crypto *c, enum arili_hash hash,
                                   aril_bytes tenant, aril_bytes space,
                                   uint8_t ret[ARILI_FLOOR_NAME_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t len[2];
    uint8_t digest[ARILI_HASH_BYTES_MAX];
    arili_store16(len, (uint16_t)tenant.len);
    const aril_bytes parts[] = { FLOOR_LABEL, { len, sizeof len }, tenant, space };
    ARILI_TRY(c->ops->hash(c->provider, hash, parts, 4, digest));
    memcpy(ret, FLOOR_TEXT.data, FLOOR_TEXT.len);
    for (size_t i = 0; i < 32; i++) {
        ret[FLOOR_TEXT.len + 2 * i] = (uint8_t)hex[digest[i] >> 4];
        ret[FLOOR_TEXT.len + 2 * i + 1] = (uint8_t)hex[digest[i] & 15];
    }
    return ARIL_OK;
}
