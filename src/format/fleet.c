/* SPDX-License-Identifier: Apache-2.0 */
#include "format/fleet.h"
#include "base/ensure.h"
#include "format/did.h"
#include "format/keyring_fields.h"

#define PQAID_DID_BYTES (10u + 2 * ARILI_DID_HASH_BYTES)

/* --- Card ---------------------------------------------------------------------------- */

static bool is_pqaid_did(aril_bytes did)
{
    char text[PQAID_DID_BYTES + 1];
    struct arili_did parsed;
    if (did.len != PQAID_DID_BYTES) {
        return false;
    }
    memcpy(text, did.data, did.len);
    text[did.len] = '\0'; /* an earlier NUL makes it too short to parse */
    return arili_did_parse(text, &parsed) == ARIL_OK && parsed.method == ARIL_DID_PQAID;
}

static bool card_core_is_valid(const struct arili_card *c)
{
    return arili_profile_is_known(c->profile) && arili_node_name_is_valid(c->name) &&
           is_pqaid_did(c->did) &&
           c->kem_public.len == arili_profile_kem_public_bytes(c->profile) &&
           c->sign_public.len == arili_profile_sign_public_bytes(c->profile);
}

static bool card_is_valid(const struct arili_card *c)
{
    return card_core_is_valid(c) && c->signature.len == arili_profile_signature_bytes(c->profile);
}

aril_status arili_card_parse(aril_bytes in, struct arili_card *ret)
{
    ARILI_ENSURE(in.len <= ARIL_CARD_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    struct arili_reader r = arili_reader_init(in);
    struct arili_card c = { .created_s = 0 };
    ARILI_TRY(arili_fleet_head_read(&r, ARILI_FLEET_CARD, &c.profile));
    c.created_s = arili_read64(&r);
    c.name = arili_read_vec16(&r);
    c.did = arili_read_vec16(&r);
    c.kem_public = arili_read_vec16(&r);
    c.sign_public = arili_read_vec16(&r);
    c.signed_part = (aril_bytes){ in.data, in.len - r.len };
    c.signature = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(card_is_valid(&c), ARIL_E_FORMAT_FIELD);
    *ret = c;
    return ARIL_OK;
}

static void put_card_core(struct arili_writer *w, const struct arili_card *c)
{
    arili_fleet_head_write(w, ARILI_FLEET_CARD, c->profile);
    arili_write64(w, c->created_s);
    arili_write_vec16(w, c->name);
    arili_write_vec16(w, c->did);
    arili_write_vec16(w, c->kem_public);
    arili_write_vec16(w, c->sign_public);
}

aril_status arili_card_write_core(const struct arili_card *c, uint8_t *ret, size_t cap,
                                  size_t *ret_len)
{
    ARILI_ENSURE(card_core_is_valid(c), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    put_card_core(&w, c);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_card_write(const struct arili_card *c, uint8_t *ret, size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(card_is_valid(c), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    put_card_core(&w, c);
    arili_write_vec16(&w, c->signature);
    return arili_writer_end(&w, ret_len);
}

/* --- Receipt ------------------------------------------------------------------------- */

static bool receipt_is_valid(const struct arili_receipt *r)
{
    return arili_profile_is_known(r->profile) &&
           r->signature.len == arili_profile_signature_bytes(r->profile);
}

aril_status arili_receipt_parse(aril_bytes in, struct arili_receipt *ret)
{
    ARILI_ENSURE(in.len <= ARIL_RECEIPT_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    struct arili_reader r = arili_reader_init(in);
    struct arili_receipt m = { .time_s = 0 };
    ARILI_TRY(arili_fleet_head_read(&r, ARILI_FLEET_RECEIPT, &m.profile));
    arili_read_into(&r, m.fleet, sizeof m.fleet);
    arili_read_into(&r, m.node, sizeof m.node);
    m.bundle_version = arili_read64(&r);
    m.time_s = arili_read64(&r);
    m.signed_part = (aril_bytes){ in.data, in.len - r.len };
    m.signature = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(receipt_is_valid(&m), ARIL_E_FORMAT_FIELD);
    *ret = m;
    return ARIL_OK;
}

static void put_receipt_core(struct arili_writer *w, const struct arili_receipt *r)
{
    arili_fleet_head_write(w, ARILI_FLEET_RECEIPT, r->profile);
    arili_write_bytes(w, (aril_bytes){ r->fleet, sizeof r->fleet });
    arili_write_bytes(w, (aril_bytes){ r->node, sizeof r->node });
    arili_write64(w, r->bundle_version);
    arili_write64(w, r->time_s);
}

aril_status arili_receipt_write_core(const struct arili_receipt *r, uint8_t *ret, size_t cap,
                                     size_t *ret_len)
{
    ARILI_ENSURE(arili_profile_is_known(r->profile), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    put_receipt_core(&w, r);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_receipt_write(const struct arili_receipt *r, uint8_t *ret, size_t cap,
                                size_t *ret_len)
{
    ARILI_ENSURE(receipt_is_valid(r), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    put_receipt_core(&w, r);
    arili_write_vec16(&w, r->signature);
    return arili_writer_end(&w, ret_len);
}

/* --- Recovery key and recipient ------------------------------------------------------ */

#define RECOVERY_VERSION 1u
#define RECOVERY_KEM     0x0042u /* ML-KEM-1024 */

aril_status arili_recovery_parse(aril_bytes in, size_t key_bytes, aril_bytes *ret)
{
    struct arili_reader r = arili_reader_init(in);
    bool ok = true;
    const uint8_t version = arili_read8(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(version == RECOVERY_VERSION, ARIL_E_FORMAT_VERSION);
    arili_read_zeros(&r, 1, &ok);
    const uint16_t kem = arili_read16(&r);
    const aril_bytes key = arili_read_bytes(&r, key_bytes);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(ok && kem == RECOVERY_KEM, ARIL_E_FORMAT_FIELD);
    *ret = key;
    return ARIL_OK;
}

void arili_recovery_write_header(uint8_t ret[ARILI_RECOVERY_HEADER_BYTES])
{
    ret[0] = RECOVERY_VERSION;
    ret[1] = 0;
    arili_store16(ret + 2, RECOVERY_KEM);
}
