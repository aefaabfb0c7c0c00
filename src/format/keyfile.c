/* SPDX-License-Identifier: Apache-2.0 */
#include "format/keyfile.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include <assert.h>

enum {
    TAG_INTEGER = 0x02,
    TAG_BIT_STRING = 0x03,
    TAG_OCTET_STRING = 0x04,
    TAG_OID = 0x06,
    TAG_SEQUENCE = 0x30,
    TAG_SEED = 0x80 /* [0] IMPLICIT OCTET STRING */
};

/* 2.16.840.1.101.3.4.3, the arc of the signature algorithms; one byte more names ours. */
static const uint8_t oid_arc[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03 };
#define OID_BYTES (sizeof oid_arc + 1)
/* SEQUENCE { OID }, with its header. */
#define ALG_ID_BYTES (2 + 2 + OID_BYTES)

static const struct params {
    int alg;
    uint8_t oid_last;
    size_t public_bytes;
    size_t expanded_bytes;
} table[] = { { 65, 0x12, 1952, 4032 }, { 87, 0x13, 2592, 4896 } };

static const struct params *params_of(int alg)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].alg == alg) {
            return &table[i];
        }
    }
    return NULL;
}

size_t arili_keyfile_public_bytes(int alg)
{
    const struct params *p = params_of(alg);
    return p != NULL ? p->public_bytes : 0;
}

/* The content of the next value, which must have this tag and a minimal length of at
 * most two length bytes: nothing of ours is as long as 64 KiB. */
static aril_status take(struct arili_reader *r, uint8_t tag, aril_bytes *ret)
{
    const uint8_t found = arili_read8(r);
    const uint8_t first = arili_read8(r);
    size_t len = first;
    size_t least = 0;
    if (first == 0x81) {
        len = arili_read8(r);
        least = 0x80;
    } else if (first == 0x82) {
        len = arili_read16(r);
        least = 0x100;
    } else {
        ARILI_ENSURE(first < 0x80, ARIL_E_FORMAT_LENGTH);
    }
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(found == tag, ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(len >= least, ARIL_E_FORMAT_LENGTH);
    *ret = arili_read_bytes(r, len);
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    return ARIL_OK;
}

/* The one value that fills all of in. */
static aril_status take_only(aril_bytes in, uint8_t tag, aril_bytes *ret)
{
    struct arili_reader r = arili_reader_init(in);
    ARILI_TRY(take(&r, tag, ret));
    return arili_reader_end(&r);
}

/* AlgorithmIdentifier without parameters (RFC 9881 section 2). */
static aril_status take_alg(struct arili_reader *r, const struct params **ret)
{
    aril_bytes id;
    aril_bytes oid;
    ARILI_TRY(take(r, TAG_SEQUENCE, &id));
    struct arili_reader inner = arili_reader_init(id);
    ARILI_TRY(take(&inner, TAG_OID, &oid));
    ARILI_ENSURE(oid.len == OID_BYTES && memcmp(oid.data, oid_arc, sizeof oid_arc) == 0,
                 ARIL_E_FORMAT_KIND);
    const struct params *found = NULL;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        found = table[i].oid_last == oid.data[OID_BYTES - 1] ? &table[i] : found;
    }
    ARILI_ENSURE(found != NULL, ARIL_E_FORMAT_KIND);
    ARILI_TRY(arili_reader_end(&inner));
    *ret = found;
    return ARIL_OK;
}

/* ML-DSA-PrivateKey: CHOICE { seed, expandedKey, both } (RFC 9881 section 6). */
static aril_status parse_choice(aril_bytes in, const struct params *p, struct arili_keyfile *key)
{
    const uint8_t tag = in.len > 0 ? in.data[0] : 0;
    switch (tag) {
    case TAG_SEED:
        ARILI_TRY(take_only(in, TAG_SEED, &key->seed));
        break;
    case TAG_SEQUENCE: {
        aril_bytes both;
        ARILI_TRY(take_only(in, TAG_SEQUENCE, &both));
        struct arili_reader r = arili_reader_init(both);
        ARILI_TRY(take(&r, TAG_OCTET_STRING, &key->seed));
        ARILI_TRY(take(&r, TAG_OCTET_STRING, &key->expanded));
        ARILI_TRY(arili_reader_end(&r));
        ARILI_ENSURE(key->expanded.len == p->expanded_bytes, ARIL_E_FORMAT_LENGTH);
        break;
    }
    case TAG_OCTET_STRING:
        ARILI_FAIL(ARIL_E_FORMAT_KIND);
    default:
        ARILI_FAIL(in.len > 0 ? ARIL_E_FORMAT_FIELD : ARIL_E_FORMAT_TRUNCATED);
    }
    ARILI_ENSURE(key->seed.len == ARILI_KEYFILE_SEED_BYTES, ARIL_E_FORMAT_LENGTH);
    return ARIL_OK;
}

aril_status arili_pkcs8_parse(aril_bytes der, struct arili_keyfile *ret)
{
    aril_bytes info;
    aril_bytes version;
    aril_bytes octets;
    const struct params *p = NULL;
    ARILI_TRY(take_only(der, TAG_SEQUENCE, &info));
    struct arili_reader r = arili_reader_init(info);
    ARILI_TRY(take(&r, TAG_INTEGER, &version));
    ARILI_ENSURE(version.len == 1 && version.data[0] == 0, ARIL_E_FORMAT_VERSION);
    ARILI_TRY(take_alg(&r, &p));
    ARILI_TRY(take(&r, TAG_OCTET_STRING, &octets));
    /* Attributes would follow here. */
    ARILI_TRY(arili_reader_end(&r));

    struct arili_keyfile key = { .alg = p->alg };
    ARILI_TRY(parse_choice(octets, p, &key));
    *ret = key;
    return ARIL_OK;
}

/* Tag and minimal length of a value below 64 KiB. */
static void write_header(struct arili_writer *w, uint8_t tag, size_t len)
{
    arili_write8(w, tag);
    if (len >= 0x100) {
        arili_write8(w, 0x82);
        arili_write16(w, (uint16_t)len);
        return;
    }
    if (len >= 0x80) {
        arili_write8(w, 0x81);
    }
    arili_write8(w, (uint8_t)len);
}

static void write_alg(struct arili_writer *w, const struct params *p)
{
    write_header(w, TAG_SEQUENCE, 2 + OID_BYTES);
    write_header(w, TAG_OID, OID_BYTES);
    arili_write_bytes(w, (aril_bytes){ oid_arc, sizeof oid_arc });
    arili_write8(w, p->oid_last);
}

void arili_pkcs8_write(int alg, const uint8_t seed[ARILI_KEYFILE_SEED_BYTES],
                       uint8_t ret[ARILI_KEYFILE_SEED_DER_BYTES])
{
    const struct params *p = params_of(alg);
    assert(p != NULL);
    struct arili_writer w = arili_writer_init(ret, ARILI_KEYFILE_SEED_DER_BYTES);
    write_header(&w, TAG_SEQUENCE, ARILI_KEYFILE_SEED_DER_BYTES - 2);
    write_header(&w, TAG_INTEGER, 1);
    arili_write8(&w, 0);
    write_alg(&w, p);
    write_header(&w, TAG_OCTET_STRING, 2 + ARILI_KEYFILE_SEED_BYTES);
    write_header(&w, TAG_SEED, ARILI_KEYFILE_SEED_BYTES);
    arili_write_bytes(&w, (aril_bytes){ seed, ARILI_KEYFILE_SEED_BYTES });
    assert(w.len == ARILI_KEYFILE_SEED_DER_BYTES);
}

aril_status arili_spki_parse(aril_bytes der, int *ret_alg, aril_bytes *ret_public)
{
    aril_bytes info;
    aril_bytes bits;
    const struct params *p = NULL;
    ARILI_TRY(take_only(der, TAG_SEQUENCE, &info));
    struct arili_reader r = arili_reader_init(info);
    ARILI_TRY(take_alg(&r, &p));
    ARILI_TRY(take(&r, TAG_BIT_STRING, &bits));
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(bits.len == 1 + p->public_bytes, ARIL_E_FORMAT_LENGTH);
    ARILI_ENSURE(bits.data[0] == 0, ARIL_E_FORMAT_FIELD); /* no unused bits */
    *ret_alg = p->alg;
    *ret_public = (aril_bytes){ bits.data + 1, p->public_bytes };
    return ARIL_OK;
}

aril_status arili_spki_write(int alg, aril_bytes public_key, uint8_t *ret, size_t cap,
                             size_t *ret_len)
{
    const struct params *p = params_of(alg);
    ARILI_ENSURE(p != NULL && public_key.len == p->public_bytes, ARIL_E_USAGE_RANGE);
    /* Both lengths are above 256, so both headers have four bytes. */
    const size_t inner = ALG_ID_BYTES + 4 + 1 + p->public_bytes;
    ARILI_ENSURE(4 + inner <= cap, ARIL_E_USAGE_TOO_SMALL);
    struct arili_writer w = arili_writer_init(ret, cap);
    write_header(&w, TAG_SEQUENCE, inner);
    write_alg(&w, p);
    write_header(&w, TAG_BIT_STRING, 1 + p->public_bytes);
    arili_write8(&w, 0);
    arili_write_bytes(&w, public_key);
    return arili_writer_end(&w, ret_len);
}
