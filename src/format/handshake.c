/* SPDX-License-Identifier: Apache-2.0 */
#include "format/handshake.h"
#include "base/bytes.h"
#include "base/ensure.h"

enum message_type { OFFER = 1, ACCEPT = 2, CONFIRM = 3 };
#define FLAG_SIGNED 1u

static const uint8_t magic[4] = { 'a', 'r', 'i', 'l' };

struct head {
    aril_profile profile;
    uint8_t flags;
};

static aril_status read_head(struct arili_reader *r, enum message_type type, struct head *ret)
{
    ARILI_ENSURE(r->len <= ARIL_HANDSHAKE_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    uint8_t m[sizeof magic];
    arili_read_into(r, m, sizeof m);
    const uint8_t got_type = arili_read8(r);
    const uint8_t version = arili_read8(r);
    const uint8_t profile = arili_read8(r);
    const uint8_t flags = arili_read8(r);
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(memcmp(m, magic, sizeof m) == 0 && got_type == type, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(version == ARILI_HANDSHAKE_VERSION, ARIL_E_FORMAT_VERSION);
    ARILI_ENSURE(profile >= ARIL_PROFILE_HYBRID && profile <= ARIL_PROFILE_STRICT,
                 ARIL_E_FORMAT_FIELD);
    *ret = (struct head){ (aril_profile)profile, flags };
    return ARIL_OK;
}

static void write_head(struct arili_writer *w, enum message_type type, aril_profile profile,
                       uint8_t flags)
{
    arili_write_bytes(w, (aril_bytes){ magic, sizeof magic });
    arili_write8(w, (uint8_t)type);
    arili_write8(w, ARILI_HANDSHAKE_VERSION);
    arili_write8(w, (uint8_t)profile);
    arili_write8(w, flags);
}

static bool tenant_id_is_valid(aril_bytes id)
{
    return id.len >= 1 && id.len <= ARIL_TENANT_ID_BYTES_MAX && memchr(id.data, 0, id.len) == NULL;
}

aril_status arili_offer_parse(aril_bytes in, struct arili_offer *ret)
{
    struct arili_reader r = arili_reader_init(in);
    struct head head;
    ARILI_TRY(read_head(&r, OFFER, &head));
    ARILI_ENSURE((head.flags & ~FLAG_SIGNED) == 0, ARIL_E_FORMAT_FIELD);
    struct arili_offer m = { .profile = head.profile, .is_signed = head.flags != 0 };
    arili_read_into(&r, m.nonce, sizeof m.nonce);
    m.tenant_id = arili_read_vec16(&r);
    m.kem_public = arili_read_vec16(&r);
    if (m.is_signed) {
        m.sign_public = arili_read_vec16(&r);
        m.to_be_signed = (aril_bytes){ in.data, in.len - r.len };
        m.signature = arili_read_vec16(&r);
    }
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(tenant_id_is_valid(m.tenant_id), ARIL_E_FORMAT_FIELD);
    *ret = m;
    return ARIL_OK;
}

static void put_offer_core(struct arili_writer *w, const struct arili_offer *m)
{
    write_head(w, OFFER, m->profile, m->is_signed ? FLAG_SIGNED : 0);
    arili_write_bytes(w, (aril_bytes){ m->nonce, sizeof m->nonce });
    arili_write_vec16(w, m->tenant_id);
    arili_write_vec16(w, m->kem_public);
    if (m->is_signed) {
        arili_write_vec16(w, m->sign_public);
    }
}

aril_status arili_offer_write_core(const struct arili_offer *m, uint8_t *ret, size_t cap,
                                   size_t *ret_len)
{
    struct arili_writer w = arili_writer_init(ret, cap);
    put_offer_core(&w, m);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_offer_write(const struct arili_offer *m, uint8_t *ret, size_t cap,
                              size_t *ret_len)
{
    struct arili_writer w = arili_writer_init(ret, cap);
    put_offer_core(&w, m);
    if (m->is_signed) {
        arili_write_vec16(&w, m->signature);
    }
    return arili_writer_end(&w, ret_len);
}

aril_status arili_accept_parse(aril_bytes in, struct arili_accept *ret)
{
    struct arili_reader r = arili_reader_init(in);
    struct head head;
    ARILI_TRY(read_head(&r, ACCEPT, &head));
    ARILI_ENSURE(head.flags == 0, ARIL_E_FORMAT_FIELD);
    struct arili_accept m = { .profile = head.profile };
    arili_read_into(&r, m.session_id, sizeof m.session_id);
    m.tenant_tag = arili_read64(&r);
    m.created_unix_s = arili_read64(&r);
    m.policy.rotate_records = arili_read64(&r);
    m.policy.rotate_bytes = arili_read64(&r);
    m.policy.rotate_after_s = arili_read32(&r);
    m.policy.ttl_s = arili_read32(&r);
    m.policy.readable_epochs = arili_read32(&r);
    m.sign_public = arili_read_vec16(&r);
    m.enc = arili_read_vec16(&r);
    m.core = (aril_bytes){ in.data, in.len - r.len };
    m.mac = arili_read_vec16(&r);
    m.signature = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    *ret = m;
    return ARIL_OK;
}

static void put_accept_core(struct arili_writer *w, const struct arili_accept *m)
{
    write_head(w, ACCEPT, m->profile, 0);
    arili_write_bytes(w, (aril_bytes){ m->session_id, sizeof m->session_id });
    arili_write64(w, m->tenant_tag);
    arili_write64(w, m->created_unix_s);
    arili_write64(w, m->policy.rotate_records);
    arili_write64(w, m->policy.rotate_bytes);
    arili_write32(w, m->policy.rotate_after_s);
    arili_write32(w, m->policy.ttl_s);
    arili_write32(w, m->policy.readable_epochs);
    arili_write_vec16(w, m->sign_public);
    arili_write_vec16(w, m->enc);
}

aril_status arili_accept_write_core(const struct arili_accept *m, uint8_t *ret, size_t cap,
                                    size_t *ret_len)
{
    struct arili_writer w = arili_writer_init(ret, cap);
    put_accept_core(&w, m);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_accept_write(const struct arili_accept *m, uint8_t *ret, size_t cap,
                               size_t *ret_len)
{
    struct arili_writer w = arili_writer_init(ret, cap);
    put_accept_core(&w, m);
    arili_write_vec16(&w, m->mac);
    arili_write_vec16(&w, m->signature);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_confirm_parse(aril_bytes in, struct arili_confirm *ret)
{
    struct arili_reader r = arili_reader_init(in);
    struct head head;
    ARILI_TRY(read_head(&r, CONFIRM, &head));
    ARILI_ENSURE(head.flags == 0, ARIL_E_FORMAT_FIELD);
    struct arili_confirm m = { .profile = head.profile };
    arili_read_into(&r, m.session_id, sizeof m.session_id);
    m.mac = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    *ret = m;
    return ARIL_OK;
}

aril_status arili_confirm_write(const struct arili_confirm *m, uint8_t *ret, size_t cap,
                                size_t *ret_len)
{
    struct arili_writer w = arili_writer_init(ret, cap);
    write_head(&w, CONFIRM, m->profile, 0);
    arili_write_bytes(&w, (aril_bytes){ m->session_id, sizeof m->session_id });
    arili_write_vec16(&w, m->mac);
    return arili_writer_end(&w, ret_len);
}
