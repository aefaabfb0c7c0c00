/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include "proxy/tenant.h"

/* Fields of hashes and members of sets: docs/CACHE-FORMAT.md section 11. */
#define FIELD_LABEL  ARILI_LITERAL("aril proxy field v1")
#define MEMBER_LABEL ARILI_LITERAL("aril proxy member v1")

#define FIELD_MARK '~'
#define IV_BYTES   ARILI_SIV_IV_BYTES
_Static_assert(ARILI_MEMBER_OVERHEAD == IV_BYTES, "a member is longer by its iv");

/* label || whether the text is empty || context of the key */
#define AAD_BYTES_MAX (sizeof "aril proxy member v1" - 1 + 1 + ARILI_CACHE_CONTEXT_BYTES)
static aril_bytes aad_of(const struct arili_place *place, enum arili_inner what, bool empty,
                         uint8_t room[AAD_BYTES_MAX])
{
    const aril_bytes label = what == ARILI_INNER_FIELD ? FIELD_LABEL : MEMBER_LABEL;
    memcpy(room, label.data, label.len);
    room[label.len] = empty ? 1 : 0;
    memcpy(room + label.len + 1, place->context, ARILI_CACHE_CONTEXT_BYTES);
    return (aril_bytes){ room, label.len + 1 + ARILI_CACHE_CONTEXT_BYTES };
}

static aril_status check(const struct arili_tenant_keys *keys)
{
    ARILI_TRY(keys->status);
    ARILI_ENSURE(!arili_is_forked(&keys->guard), ARIL_E_FORKED);
    return ARIL_OK;
}

/* AES-SIV of OpenSSL takes no empty text: an empty one is the iv of one zero byte, under associated
 * data of its own. */
static aril_status empty_iv(const struct arili_tenant_keys *keys, const struct arili_place *place,
                            enum arili_inner what, uint8_t ret[IV_BYTES])
{
    static const uint8_t zero[1];
    const struct arili_crypto *c = &keys->rt->crypto;
    uint8_t aad[AAD_BYTES_MAX];
    uint8_t body[1];
    return c->ops->siv_seal(c->provider, keys->siv, aad_of(place, what, true, aad),
                            (aril_bytes){ zero, sizeof zero }, ret, body);
}

/* iv || ciphertext: text.len + IV_BYTES. */
static aril_status seal(const struct arili_tenant_keys *keys, const struct arili_place *place,
                        enum arili_inner what, aril_bytes text, uint8_t *ret)
{
    const struct arili_crypto *c = &keys->rt->crypto;
    uint8_t aad[AAD_BYTES_MAX];
    if (text.len == 0) {
        return empty_iv(keys, place, what, ret);
    }
    return c->ops->siv_seal(c->provider, keys->siv, aad_of(place, what, false, aad), text, ret,
                            ret + IV_BYTES);
}

aril_status arili_inner_seal(const struct arili_tenant *t, const struct arili_tenant_keys *keys,
                             const struct arili_place *place, enum arili_inner what,
                             aril_bytes text, uint8_t *ret, size_t *ret_len)
{
    (void)t; /* the context of place has it */
    ARILI_TRY(check(keys));
    ARILI_ENSURE(text.len <= ARILI_SIV_PLAIN_BYTES_MAX, ARIL_E_LIMIT);
    const size_t len = text.len + IV_BYTES;
    if (what == ARILI_INNER_MEMBER) {
        ARILI_TRY(seal(keys, place, what, text, ret));
        *ret_len = len;
        return ARIL_OK;
    }
    /* Sealed at the end of the room, then written from its beginning: 4 characters for each 3 bytes
     * never come to bytes that are not read yet. */
    uint8_t *raw = ret + ARILI_SEALED_NAME_BYTES(text.len) - len;
    ARILI_TRY(seal(keys, place, what, text, raw));
    ret[0] = FIELD_MARK;
    *ret_len = 1 + arili_base64url(raw, len, (char *)ret + 1);
    return ARIL_OK;
}

/* ret has iv || ciphertext, len bytes; then the text, from its beginning. */
static aril_status open_in_place(const struct arili_tenant_keys *keys,
                                 const struct arili_place *place, enum arili_inner what,
                                 uint8_t *ret, size_t len)
{
    const struct arili_crypto *c = &keys->rt->crypto;
    uint8_t aad[AAD_BYTES_MAX];
    uint8_t iv[IV_BYTES];
    ARILI_ENSURE(len >= IV_BYTES, ARIL_E_FORMAT_TRUNCATED);
    if (len == IV_BYTES) {
        ARILI_TRY(empty_iv(keys, place, what, iv));
        ARILI_ENSURE(arili_equal_ct(iv, ret, sizeof iv), ARIL_E_AUTH);
        return ARIL_OK;
    }
    ARILI_ENSURE(len - IV_BYTES <= ARILI_SIV_PLAIN_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    memcpy(iv, ret, sizeof iv);
    memmove(ret, ret + IV_BYTES, len - IV_BYTES);
    return c->ops->siv_open(c->provider, keys->siv, aad_of(place, what, false, aad), iv,
                            (aril_bytes){ ret, len - IV_BYTES }, ret);
}

static aril_status open(const struct arili_tenant_keys *keys, const struct arili_place *place,
                        enum arili_inner what, aril_bytes sealed, uint8_t *ret, size_t *ret_len)
{
    size_t len = sealed.len;
    if (what == ARILI_INNER_FIELD) {
        ARILI_ENSURE(sealed.len >= 1 && sealed.data[0] == FIELD_MARK, ARIL_E_FORMAT_KIND);
        ARILI_TRY(arili_base64url_parse((aril_bytes){ sealed.data + 1, sealed.len - 1 }, ret,
                                        sealed.len, &len));
    } else if (len > 0) {
        memcpy(ret, sealed.data, len);
    }
    ARILI_TRY(open_in_place(keys, place, what, ret, len));
    *ret_len = len - IV_BYTES;
    return ARIL_OK;
}

aril_status arili_inner_open(const struct arili_tenant *t, const struct arili_tenant_keys *keys,
                             const struct arili_place *place, enum arili_inner what,
                             aril_bytes sealed, uint8_t *ret, size_t *ret_len)
{
    (void)t;
    ARILI_TRY(check(keys));
    const aril_status st = open(keys, place, what, sealed, ret, ret_len);
    if (st != ARIL_OK) {
        arili_wipe(ret, sealed.len);
    }
    return st;
}

/* --- Lengths of values ---------------------------------------------------------------------- */

uint64_t arili_sealed_bytes(uint64_t value_bytes)
{
    return arili_value_stored_bytes(value_bytes);
}

aril_status arili_plain_bytes(uint64_t stored_bytes, uint64_t *ret)
{
    const uint64_t full = ARILI_VALUE_SEGMENT_BYTES + ARILI_VALUE_TAG_BYTES;
    const uint64_t most = arili_value_stored_bytes(ARILI_VALUE_BODY_MAX);
    ARILI_ENSURE(stored_bytes >= ARILI_VALUE_HEADER_BYTES + ARILI_VALUE_TAG_BYTES &&
                     stored_bytes <= most,
                 ARIL_E_FORMAT_LENGTH);
    const uint64_t rest = stored_bytes - ARILI_VALUE_HEADER_BYTES;
    const uint64_t segments = (rest + full - 1) / full;
    const uint64_t body = rest - segments * ARILI_VALUE_TAG_BYTES;
    /* Else the last segment would be empty, or have less than its tag. */
    ARILI_ENSURE(arili_value_segments(body) == segments, ARIL_E_FORMAT_LENGTH);
    *ret = body;
    return ARIL_OK;
}
