/* SPDX-License-Identifier: Apache-2.0 */
#include "format/did.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "format/base58.h"
#include "format/keyfile.h"

#define PREFIX_BYTES 2u /* multicodec as varint */

static const char pqaid_head[] = "did:pqaid:";
static const char key_head[] = "did:key:z"; /* z: multibase, base58btc */
static const char hex_digits[] = "0123456789abcdef";

_Static_assert(PREFIX_BYTES + ARIL_SIGN_PUBLIC_BYTES_MAX <= ARILI_BASE58_BYTES_MAX,
               "the longest key fits");
_Static_assert(sizeof key_head + ARILI_BASE58_CHARS_MAX <= ARIL_DID_BYTES_MAX,
               "the longest DID fits, with its NUL");

/* 0x1211 and 0x1212 as unsigned varints. */
static const struct codec {
    int alg;
    uint8_t prefix[PREFIX_BYTES];
} codecs[] = { { 65, { 0x91, 0x24 } }, { 87, { 0x92, 0x24 } } };

static aril_status parse_pqaid(const char *hex, size_t len, struct arili_did *did)
{
    ARILI_ENSURE(len == 2 * ARILI_DID_HASH_BYTES, ARIL_E_FORMAT_LENGTH);
    for (size_t i = 0; i < len; i++) {
        /* A NUL cannot be among the first len characters. */
        const char *at = strchr(hex_digits, hex[i]);
        ARILI_ENSURE(at != NULL, ARIL_E_FORMAT_FIELD);
        did->id[i / 2] = (uint8_t)(did->id[i / 2] << 4 | (at - hex_digits));
    }
    did->method = ARIL_DID_PQAID;
    did->len = ARILI_DID_HASH_BYTES;
    return ARIL_OK;
}

static aril_status parse_key(const char *text, size_t len, struct arili_did *did)
{
    uint8_t raw[ARILI_BASE58_BYTES_MAX];
    size_t raw_len = 0;
    ARILI_TRY(
        arili_base58_decode((aril_bytes){ (const uint8_t *)text, len }, raw, sizeof raw, &raw_len));
    ARILI_ENSURE(raw_len >= PREFIX_BYTES, ARIL_E_FORMAT_LENGTH);
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        /* Public bytes. */
        if (memcmp(raw, codecs[i].prefix, PREFIX_BYTES) == 0) {
            did->alg = codecs[i].alg;
        }
    }
    ARILI_ENSURE(did->alg != 0, ARIL_E_FORMAT_KIND);
    did->len = arili_keyfile_public_bytes(did->alg);
    ARILI_ENSURE(raw_len - PREFIX_BYTES == did->len, ARIL_E_FORMAT_LENGTH);
    memcpy(did->id, raw + PREFIX_BYTES, did->len);
    did->method = ARIL_DID_KEY;
    return ARIL_OK;
}

aril_status arili_did_parse(const char *did, struct arili_did *ret)
{
    const size_t len = strnlen(did, ARIL_DID_BYTES_MAX);
    ARILI_ENSURE(len < ARIL_DID_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    struct arili_did local = { .alg = 0 };
    const size_t pqaid_len = sizeof pqaid_head - 1;
    const size_t key_len = sizeof key_head - 1;
    if (len >= pqaid_len && memcmp(did, pqaid_head, pqaid_len) == 0) {
        ARILI_TRY(parse_pqaid(did + pqaid_len, len - pqaid_len, &local));
    } else {
        ARILI_ENSURE(len >= key_len && memcmp(did, key_head, key_len) == 0, ARIL_E_FORMAT_KIND);
        ARILI_TRY(parse_key(did + key_len, len - key_len, &local));
    }
    *ret = local;
    return ARIL_OK;
}

static aril_status write_pqaid(const struct arili_did *did, char *ret, size_t cap, size_t *ret_len)
{
    const size_t head_len = sizeof pqaid_head - 1;
    const size_t len = head_len + 2 * ARILI_DID_HASH_BYTES;
    ARILI_ENSURE(did->len == ARILI_DID_HASH_BYTES, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(len < cap, ARIL_E_USAGE_TOO_SMALL);
    memcpy(ret, pqaid_head, head_len);
    for (size_t i = 0; i < ARILI_DID_HASH_BYTES; i++) {
        ret[head_len + 2 * i] = hex_digits[did->id[i] >> 4];
        ret[head_len + 2 * i + 1] = hex_digits[did->id[i] & 15];
    }
    ret[len] = '\0';
    *ret_len = len;
    return ARIL_OK;
}

static aril_status write_key(const struct arili_did *did, char *ret, size_t cap, size_t *ret_len)
{
    uint8_t raw[PREFIX_BYTES + ARIL_SIGN_PUBLIC_BYTES_MAX];
    const struct codec *codec = NULL;
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        codec = codecs[i].alg == did->alg ? &codecs[i] : codec;
    }
    ARILI_ENSURE(codec != NULL && did->len == arili_keyfile_public_bytes(did->alg),
                 ARIL_E_USAGE_RANGE);
    memcpy(raw, codec->prefix, PREFIX_BYTES);
    memcpy(raw + PREFIX_BYTES, did->id, did->len);

    char text[ARILI_BASE58_CHARS_MAX];
    size_t text_len = 0;
    ARILI_TRY(arili_base58_encode((aril_bytes){ raw, PREFIX_BYTES + did->len }, text, sizeof text,
                                  &text_len));
    const size_t head_len = sizeof key_head - 1;
    ARILI_ENSURE(head_len + text_len < cap, ARIL_E_USAGE_TOO_SMALL);
    memcpy(ret, key_head, head_len);
    memcpy(ret + head_len, text, text_len);
    ret[head_len + text_len] = '\0';
    *ret_len = head_len + text_len;
    return ARIL_OK;
}

aril_status arili_did_write(const struct arili_did *did, char *ret, size_t cap, size_t *ret_len)
{
    switch (did->method) {
    case ARIL_DID_PQAID:
        return write_pqaid(did, ret, cap, ret_len);
    case ARIL_DID_KEY:
        return write_key(did, ret, cap, ret_len);
    }
    ARILI_FAIL(ARIL_E_USAGE_RANGE);
}
