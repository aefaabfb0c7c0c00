/* SPDX-License-Identifier: Apache-2.0 */
#include "session/ratchet.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

_Static_assert(ARILI_RATCHET_BYTES >= ARILI_HASH_BYTES_MAX, "a ratchet holds one hash");

/* label || direction (1 byte) || epoch (4 bytes) */
struct label {
    uint8_t bytes[40];
    size_t len;
};

static struct label make_label(aril_bytes text, aril_direction direction, uint32_t epoch)
{
    struct label l;
    struct arili_writer w = arili_writer_init(l.bytes, sizeof l.bytes);
    arili_write_bytes(&w, text);
    arili_write8(&w, (uint8_t)direction);
    arili_write32(&w, epoch);
    l.len = w.len;
    return l;
}

static aril_status expand(const struct arili_crypto *c, enum arili_hash hash, const uint8_t *secret,
                          const struct label *label, uint8_t *ret, size_t len)
{
    return c->ops->hkdf_expand(c->provider, hash, (aril_bytes){ secret, arili_hash_bytes(hash) },
                               (aril_bytes){ label->bytes, label->len }, ret, len);
}

aril_status arili_ratchet_begin(const struct arili_crypto *c, enum arili_hash hash,
                                const uint8_t *secret, aril_direction direction,
                                struct arili_ratchet *ret)
{
    const struct label l = make_label(ARILI_LITERAL("aril ratchet v1"), direction, 0);
    ARILI_TRY(expand(c, hash, secret, &l, ret->secret, arili_hash_bytes(hash)));
    ret->number = 0;
    return ARIL_OK;
}

aril_status arili_ratchet_keys(const struct arili_crypto *c, enum arili_hash hash,
                               aril_direction direction, const struct arili_ratchet *r,
                               struct arili_epoch_keys *ret_keys,
                               uint8_t ret_key_id[ARILI_KEY_ID_BYTES])
{
    /* Key and nonce prefix are one output; the struct has them in this order. */
    _Static_assert(sizeof *ret_keys == ARILI_AEAD_KEY_BYTES + ARILI_NONCE_PREFIX_BYTES,
                   "no padding");
    const struct label l = make_label(ARILI_LITERAL("aril record key v1"), direction, r->number);
    ARILI_TRY(expand(c, hash, r->secret, &l, (uint8_t *)ret_keys, sizeof *ret_keys));
    const aril_status st =
        c->ops->hkdf_expand(c->provider, hash, (aril_bytes){ ret_keys->key, sizeof ret_keys->key },
                            ARILI_LITERAL("aril key id v1"), ret_key_id, ARILI_KEY_ID_BYTES);
    if (st != ARIL_OK) {
        arili_wipe(ret_keys, sizeof *ret_keys);
    }
    return st;
}

static void secret_wipe(uint8_t (*secret)[ARILI_RATCHET_BYTES])
{
    arili_wipe(*secret, sizeof *secret);
}

aril_status arili_ratchet_advance(const struct arili_crypto *c, enum arili_hash hash,
                                  aril_direction direction, struct arili_ratchet *r)
{
    const struct label l = make_label(ARILI_LITERAL("aril ratchet next v1"), direction, r->number);
    ARILI_DEFER(secret_wipe) uint8_t next[ARILI_RATCHET_BYTES] = { 0 };
    ARILI_TRY(expand(c, hash, r->secret, &l, next, arili_hash_bytes(hash)));
    memcpy(r->secret, next, sizeof r->secret);
    r->number++;
    return ARIL_OK;
}
