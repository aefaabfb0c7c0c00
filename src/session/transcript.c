/* SPDX-License-Identifier: Apache-2.0 */
#include "session/transcript.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

#define LABEL_INFO   ARILI_LITERAL("aril session v1")
#define LABEL_SECRET ARILI_LITERAL("aril session secret v1")
#define LABEL_SERVER ARILI_LITERAL("aril server confirm v1")
#define LABEL_TENANT ARILI_LITERAL("aril tenant confirm v1")
#define LABEL_TAG    ARILI_LITERAL("aril tenant tag v1")
#define INFO_BYTES   64u

_Static_assert(sizeof("aril session v1") - 1 + ARILI_HASH_BYTES_MAX <= INFO_BYTES, "info fits");

aril_status arili_transcript_info(const struct arili_crypto *c, const struct arili_profile *p,
                                  aril_bytes offer, uint8_t ret[64], size_t *ret_len)
{
    struct arili_digest h = { .len = arili_hash_bytes(p->hash) };
    ARILI_TRY(c->ops->hash(c->provider, p->hash, &offer, 1, h.bytes));
    struct arili_writer w = arili_writer_init(ret, INFO_BYTES);
    arili_write_bytes(&w, LABEL_INFO);
    arili_write_bytes(&w, (aril_bytes){ h.bytes, h.len });
    return arili_writer_end(&w, ret_len);
}

aril_status arili_transcript_hash(const struct arili_crypto *c, const struct arili_profile *p,
                                  aril_bytes offer, aril_bytes accept_core,
                                  struct arili_digest *ret)
{
    uint8_t offer_len[4], core_len[4];
    arili_store32(offer_len, (uint32_t)offer.len); /* both are below 2^16: parsed messages */
    arili_store32(core_len, (uint32_t)accept_core.len);
    const aril_bytes parts[] = { { offer_len, 4 }, offer, { core_len, 4 }, accept_core };
    ret->len = arili_hash_bytes(p->hash);
    return c->ops->hash(c->provider, p->hash, parts, sizeof parts / sizeof parts[0], ret->bytes);
}

static void digest_wipe(struct arili_digest *d)
{
    arili_wipe(d, sizeof *d);
}

/* HMAC over T under a key of its own. */
static aril_status confirmation(const struct arili_crypto *c, const struct arili_profile *p,
                                const uint8_t *secret, aril_bytes label,
                                const struct arili_digest *t, uint8_t *ret)
{
    ARILI_DEFER(digest_wipe) struct arili_digest key = { .len = t->len };
    ARILI_TRY(c->ops->hkdf_expand(c->provider, p->hash, (aril_bytes){ secret, t->len }, label,
                                  key.bytes, key.len));
    const aril_bytes message = { t->bytes, t->len };
    return c->ops->hmac(c->provider, p->hash, (aril_bytes){ key.bytes, key.len }, &message, 1, ret);
}

aril_status arili_transcript_agree(const struct arili_hpke_ctx *hpke, const struct arili_profile *p,
                                   const struct arili_digest *t, struct arili_agreement *ret,
                                   struct arili_digest *ret_server_mac)
{
    uint8_t label[96];
    struct arili_writer w = arili_writer_init(label, sizeof label);
    arili_write_bytes(&w, LABEL_SECRET);
    arili_write_bytes(&w, (aril_bytes){ t->bytes, t->len });
    ARILI_TRY(arili_hpke_export(hpke, (aril_bytes){ label, w.len }, ret->secret, t->len));
    ret_server_mac->len = t->len;
    ARILI_TRY(confirmation(hpke->crypto, p, ret->secret, LABEL_SERVER, t, ret_server_mac->bytes));
    return confirmation(hpke->crypto, p, ret->secret, LABEL_TENANT, t, ret->confirm);
}

aril_status arili_tenant_tag(const struct arili_crypto *c, aril_bytes tag_key, aril_bytes tenant_id,
                             uint64_t *ret)
{
    uint8_t mac[ARILI_HASH_BYTES_MAX];
    const aril_bytes parts[] = { LABEL_TAG, tenant_id };
    ARILI_TRY(c->ops->hmac(c->provider, ARILI_SHA384, tag_key, parts, 2, mac));
    *ret = arili_load64(mac);
    return ARIL_OK;
}
