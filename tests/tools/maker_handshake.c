/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "crypto/hpke.h"
#include "format/handshake.h"
#include "maker.h"
#include "session/transcript.h"
#include <stdio.h>
#include <string.h>

/* handshake.json: the messages of a handshake with all that both ends compute, made with
 * fixed seeds and deterministic signatures; and messages that a parser must refuse. */

#define SIGN_SEED_BYTES 32u

/* One signing key from its seed. */
struct signer {
    uint8_t seed[SIGN_SEED_BYTES];
    uint8_t public_key[ARIL_SIGN_PUBLIC_BYTES_MAX];
    size_t public_len;
    struct arili_pkey *key;
};

static void signer_make(struct signer *s, const struct arili_profile *p, const char *seed)
{
    const struct arili_crypto *c = &maker_runtime()->crypto;
    maker_fill(s->seed, sizeof s->seed, seed);
    MUST(c->ops->sign_import_seed(c->provider, (int)p->sign,
                                  (aril_bytes){ s->seed, sizeof s->seed }, &s->key));
    MUST(c->ops->pkey_public(s->key, s->public_key, sizeof s->public_key, &s->public_len));
}

static aril_bytes signer_sign(const struct signer *s, const struct arili_profile *p,
                              aril_bytes context, aril_bytes message, uint8_t *ret)
{
    const size_t len = arili_sign_signature_bytes((int)p->sign);
    MUST(maker_runtime()->crypto.ops->sign(s->key, context, message, true, ret, len));
    return (aril_bytes){ ret, len };
}

struct handshake {
    const struct arili_profile *profile;
    const char *tenant;
    struct signer tenant_signer, server_signer;
    uint8_t offer[ARIL_HANDSHAKE_BYTES_MAX], accept[ARIL_HANDSHAKE_BYTES_MAX];
    size_t offer_len, accept_len;
};

static void make_offer(struct handshake *h, bool is_signed, aril_bytes kem_public)
{
    uint8_t core[ARIL_HANDSHAKE_BYTES_MAX], sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    struct arili_offer m = { .profile = h->profile->id,
                             .is_signed = is_signed,
                             .tenant_id = { (const uint8_t *)h->tenant, strlen(h->tenant) },
                             .kem_public = kem_public };
    maker_fill(m.nonce, sizeof m.nonce, "offer nonce");
    if (is_signed) {
        size_t len;
        m.sign_public = (aril_bytes){ h->tenant_signer.public_key, h->tenant_signer.public_len };
        MUST(arili_offer_write_core(&m, core, sizeof core, &len));
        m.signature = signer_sign(&h->tenant_signer, h->profile, ARILI_OFFER_CONTEXT,
                                  (aril_bytes){ core, len }, sig);
    }
    MUST(arili_offer_write(&m, h->offer, sizeof h->offer, &h->offer_len));
}

static void set_digest(json_t *j, const char *name, const struct arili_digest *d)
{
    maker_set(j, name, maker_hex(d->bytes, d->len));
}

/* Accept and confirm, with what is computed on the way. */
static void make_answer(struct handshake *h, uint64_t tag, aril_bytes kem_public, json_t *j)
{
    const struct arili_crypto *c = &maker_runtime()->crypto;
    const struct arili_profile *p = h->profile;
    const aril_bytes offer = { h->offer, h->offer_len };
    uint8_t info[64], enc[ARILI_HPKE_ENC_BYTES_MAX], rand[64];
    size_t info_len, core_len;
    MUST(arili_transcript_info(c, p, offer, info, &info_len));
    const size_t rand_len = p->id == ARIL_PROFILE_HYBRID ? 64 : 32;
    maker_fill(rand, rand_len, "encapsulation");
    const aril_bytes enc_rand = { rand, rand_len };
    const size_t enc_len = arili_hpke_enc_bytes(p->suite.kem);
    struct arili_hpke_ctx hpke;
    MUST(arili_hpke_setup_sender(c, p->suite, kem_public, (aril_bytes){ info, info_len }, NULL,
                                 &enc_rand, enc, enc_len, &hpke));
    struct arili_accept m = { .profile = p->id,
                              .tenant_tag = tag,
                              .created_unix_s = 1893456000,
                              .policy = { .rotate_records = 100000,
                                          .rotate_bytes = UINT64_C(1) << 38,
                                          .rotate_after_s = 300,
                                          .ttl_s = 900,
                                          .readable_epochs = 16 },
                              .sign_public = { h->server_signer.public_key,
                                               h->server_signer.public_len },
                              .enc = { enc, enc_len } };
    maker_fill(m.session_id, sizeof m.session_id, "session id");
    MUST(arili_accept_write_core(&m, h->accept, sizeof h->accept, &core_len));
    struct arili_digest t, mac;
    struct arili_agreement agreement;
    MUST(arili_transcript_hash(c, p, offer, (aril_bytes){ h->accept, core_len }, &t));
    MUST(arili_transcript_agree(&hpke, p, &t, &agreement, &mac));
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    m.mac = (aril_bytes){ mac.bytes, mac.len };
    m.signature = signer_sign(&h->server_signer, p, ARILI_ACCEPT_CONTEXT,
                              (aril_bytes){ t.bytes, t.len }, sig);
    MUST(arili_accept_write(&m, h->accept, sizeof h->accept, &h->accept_len));
    struct arili_confirm confirm = { .profile = p->id, .mac = { agreement.confirm, t.len } };
    memcpy(confirm.session_id, m.session_id, sizeof confirm.session_id);
    uint8_t message[128];
    size_t len;
    MUST(arili_confirm_write(&confirm, message, sizeof message, &len));

    maker_set(j, "encapsulation_randomness", maker_hex(rand, rand_len));
    maker_set(j, "offer", maker_hex(h->offer, h->offer_len));
    maker_set(j, "accept", maker_hex(h->accept, h->accept_len));
    maker_set(j, "confirm", maker_hex(message, len));
    maker_set(j, "info", maker_hex(info, info_len));
    maker_set(j, "exporter_secret", maker_hex(hpke.exporter, arili_hash_bytes(p->hash)));
    set_digest(j, "transcript_hash", &t);
    maker_set(j, "session_secret", maker_hex(agreement.secret, t.len));
    set_digest(j, "server_mac", &mac);
    maker_set(j, "tenant_mac", maker_hex(agreement.confirm, t.len));
    arili_hpke_done(&hpke);
}

static json_t *handshake_json(aril_profile profile, bool is_signed)
{
    static struct handshake h; /* too big for the stack */
    const struct arili_crypto *c = &maker_runtime()->crypto;
    h.profile = arili_profile_get(profile);
    h.tenant = "alice";
    signer_make(&h.tenant_signer, h.profile, "tenant key");
    signer_make(&h.server_signer, h.profile, "server key");
    uint8_t seed[ARILI_HPKE_SEED_BYTES_MAX], tag_key[32];
    const size_t seed_len = arili_hpke_seed_bytes(h.profile->suite.kem);
    maker_fill(seed, seed_len, "ephemeral key");
    maker_fill(tag_key, sizeof tag_key, "tag key");
    struct arili_hpke_key *key;
    uint64_t tag;
    MUST(arili_hpke_key_import(c, h.profile->suite.kem, (aril_bytes){ seed, seed_len }, &key));
    MUST(arili_tenant_tag(c, (aril_bytes){ tag_key, sizeof tag_key },
                          (aril_bytes){ (const uint8_t *)h.tenant, strlen(h.tenant) }, &tag));
    json_t *j = json_object();
    maker_set(j, "profile", json_string(h.profile->name));
    maker_set(j, "tenant_id", json_string(h.tenant));
    maker_set(j, "tag_key", maker_hex(tag_key, sizeof tag_key));
    maker_set(j, "offer_is_signed", json_boolean(is_signed));
    maker_set(j, "tenant_sign_seed", maker_hex(h.tenant_signer.seed, SIGN_SEED_BYTES));
    maker_set(j, "server_sign_seed", maker_hex(h.server_signer.seed, SIGN_SEED_BYTES));
    maker_set(j, "ephemeral_seed", maker_hex(seed, seed_len));
    make_offer(&h, is_signed, arili_hpke_key_public(key));
    make_answer(&h, tag, arili_hpke_key_public(key), j);
    arili_hpke_key_free(key);
    c->ops->pkey_free(h.tenant_signer.key);
    c->ops->pkey_free(h.server_signer.key);
    return j;
}

/* --- messages that a parser must refuse --------------------------------------------------- */

static void add_message(json_t *messages, const char *type, const char *name, aril_status status,
                        const uint8_t *bytes, size_t len)
{
    json_t *j = json_object();
    maker_set(j, "type", json_string(type));
    maker_set(j, "name", json_string(name));
    maker_set(j, "status", json_string(aril_status_name(status)));
    maker_set(j, "message", maker_hex(bytes, len));
    json_array_append_new(messages, j);
}

/* The message whole, and with each byte of its head changed, cut and extended. */
static void add_damaged(json_t *messages, const char *type, const uint8_t *whole, size_t len)
{
    static const struct {
        const char *name;
        size_t at;
        uint8_t value;
        aril_status status;
    } heads[] = {
        { "magic", 0, 'A', ARIL_E_FORMAT_KIND },
        { "magic", 3, 'n', ARIL_E_FORMAT_KIND },
        { "type 0", 4, 0, ARIL_E_FORMAT_KIND },
        { "type 4", 4, 4, ARIL_E_FORMAT_KIND },
        { "version 0", 5, 0, ARIL_E_FORMAT_VERSION },
        { "version 2", 5, 2, ARIL_E_FORMAT_VERSION },
        { "profile 0", 6, 0, ARIL_E_FORMAT_FIELD },
        { "profile 4", 6, 4, ARIL_E_FORMAT_FIELD },
        { "flags 0x02", 7, 2, ARIL_E_FORMAT_FIELD },
        { "flags 0x80", 7, 0x80, ARIL_E_FORMAT_FIELD },
    };
    uint8_t bytes[512];
    add_message(messages, type, "whole", ARIL_OK, whole, len);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        memcpy(bytes, whole, len);
        bytes[heads[i].at] = heads[i].value;
        add_message(messages, type, heads[i].name, heads[i].status, bytes, len);
    }
    memcpy(bytes, whole, len);
    bytes[len] = 0;
    add_message(messages, type, "one byte more", ARIL_E_FORMAT_LENGTH, bytes, len + 1);
    static const size_t cuts[] = { 0, 1, 7, 8, 20 };
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "cut to %zu bytes", cuts[i]);
        add_message(messages, type, name, ARIL_E_FORMAT_TRUNCATED, whole, cuts[i]);
    }
    add_message(messages, type, "one byte less", ARIL_E_FORMAT_TRUNCATED, whole, len - 1);
}

/* Short keys: a parser does not know the lengths of a profile. */
static json_t *messages_json(void)
{
    static const uint8_t some[32] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    json_t *messages = json_array();
    uint8_t bytes[400];
    size_t len;
    struct arili_offer offer = { .profile = ARIL_PROFILE_HYBRID,
                                 .tenant_id = ARILI_LITERAL("alice"),
                                 .kem_public = { some, 16 } };
    MUST(arili_offer_write(&offer, bytes, sizeof bytes, &len));
    add_damaged(messages, "offer", bytes, len);
    offer.tenant_id = ARILI_LITERAL("");
    MUST(arili_offer_write(&offer, bytes, sizeof bytes, &len));
    add_message(messages, "offer", "no tenant id", ARIL_E_FORMAT_FIELD, bytes, len);
    offer.tenant_id = ARILI_LITERAL("al\0ce");
    MUST(arili_offer_write(&offer, bytes, sizeof bytes, &len));
    add_message(messages, "offer", "a NUL in the tenant id", ARIL_E_FORMAT_FIELD, bytes, len);
    uint8_t id[256];
    memset(id, 'a', sizeof id);
    offer.tenant_id = (aril_bytes){ id, sizeof id };
    MUST(arili_offer_write(&offer, bytes, sizeof bytes, &len));
    add_message(messages, "offer", "a tenant id of 256 bytes", ARIL_E_FORMAT_FIELD, bytes, len);
    const struct arili_accept accept = { .profile = ARIL_PROFILE_STRICT,
                                         .sign_public = { some, 8 },
                                         .enc = { some, 9 },
                                         .mac = { some, 10 },
                                         .signature = { some, 11 } };
    MUST(arili_accept_write(&accept, bytes, sizeof bytes, &len));
    add_damaged(messages, "accept", bytes, len);
    const struct arili_confirm confirm = { .profile = ARIL_PROFILE_ML_KEM_768,
                                           .mac = { some, 32 } };
    MUST(arili_confirm_write(&confirm, bytes, sizeof bytes, &len));
    add_damaged(messages, "confirm", bytes, len);
    return messages;
}

json_t *maker_handshake(void)
{
    json_t *handshakes = json_array();
    json_array_append_new(handshakes, handshake_json(ARIL_PROFILE_HYBRID, true));
    json_array_append_new(handshakes, handshake_json(ARIL_PROFILE_HYBRID, false));
    json_array_append_new(handshakes, handshake_json(ARIL_PROFILE_ML_KEM_768, false));
    json_array_append_new(handshakes, handshake_json(ARIL_PROFILE_STRICT, false));
    json_t *root = json_object();
    maker_set(root, "format", json_string("aril handshake, version 1"));
    maker_set(root, "handshakes", handshakes);
    maker_set(root, "messages", messages_json());
    return root;
}
