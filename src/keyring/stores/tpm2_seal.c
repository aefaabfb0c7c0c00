/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_internal.h"
#if ARILI_TPM2_HEADERS
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"
#include <stdio.h>

/*
 * A secret and its binding, 128 bytes, are split in two shares: a random one, which the TPM keeps
 * in an NV index of the slot, and their XOR, which the TPM seals into an object that stands in
 * the blob. Without the index the blob is noise, so undefining the index ends every copy of it.
 */

/* TPM 2.0 seals at most 128 bytes in one object (MAX_SYM_DATA). */
_Static_assert(ARILI_TPM2_SHARE_BYTES == 128, "one object");

struct share {
    uint8_t bytes[ARILI_TPM2_SHARE_BYTES];
};

static void share_done(struct share *share)
{
    arili_wipe(share, sizeof *share);
}

static void share_xor(struct share *share, const struct share *other)
{
    for (size_t i = 0; i < sizeof share->bytes; i++) {
        share->bytes[i] ^= other->bytes[i];
    }
}

/* The object in the TPM's form, as it stands in the blob. */
struct object {
    TPM2B_PUBLIC public_area;
    TPM2B_PRIVATE private_area;
};

static TPMA_OBJECT object_attributes(bool policy)
{
    /* Opened with the empty password or by the policy, never by both. NODA: there is no password
     * to guess, and a lockout that others caused must not take the keys away. */
    return TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA |
           (policy ? TPMA_OBJECT_ADMINWITHPOLICY : TPMA_OBJECT_USERWITHAUTH);
}

static aril_status create(struct arili_tpm2_link *link, const struct share *share,
                          const TPM2B_DIGEST *policy, struct object *ret)
{
    TPM2B_SENSITIVE_CREATE sensitive = { .sensitive.data.size = sizeof share->bytes };
    memcpy(sensitive.sensitive.data.buffer, share->bytes, sizeof share->bytes);
    const TPM2B_PUBLIC template = {
        .publicArea = { .type = TPM2_ALG_KEYEDHASH,
                        .nameAlg = TPM2_ALG_SHA256,
                        .objectAttributes = object_attributes(policy->size != 0),
                        .authPolicy = *policy,
                        .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL },
    };
    const TPM2B_DATA outside = { .size = 0 };
    const TPML_PCR_SELECTION creation = { .count = 0 };
    TPM2B_PRIVATE *private_area = NULL;
    TPM2B_PUBLIC *public_area = NULL;
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc,
                   link->lib->Esys_Create(link->esys, link->primary, link->session, ESYS_TR_NONE,
                                          ESYS_TR_NONE, &sensitive, &template, &outside, &creation,
                                          &private_area, &public_area, NULL, NULL, NULL));
    arili_wipe(&sensitive, sizeof sensitive);
    ARILI_TRY(arili_tpm2_result(link, rc, "sealing"));
    *ret = (struct object){ .public_area = *public_area, .private_area = *private_area };
    arili_tpm2_release(link, public_area, sizeof *public_area);
    arili_tpm2_release(link, private_area, sizeof *private_area);
    return ARIL_OK;
}

/* What tpm2-tss says of bytes that it cannot turn into a structure or back. */
static aril_status marshalled(const struct arili_tpm2_link *link, TSS2_RC rc)
{
    return rc == TSS2_RC_SUCCESS
               ? ARIL_OK
               : arili_tpm2_refuse(link, ARIL_E_FORMAT_FIELD,
                                   "the sealed object is none; restore the keyring's file");
}

struct object_bytes {
    uint8_t public_area[sizeof(TPM2B_PUBLIC)], private_area[sizeof(TPM2B_PRIVATE)];
    size_t public_len, private_len;
};

static aril_status object_marshal(const struct arili_tpm2_link *link, const struct object *o,
                                  struct object_bytes *ret)
{
    ret->public_len = ret->private_len = 0;
    ARILI_TRY(marshalled(
        link, link->lib->Tss2_MU_TPM2B_PUBLIC_Marshal(&o->public_area, ret->public_area,
                                                      sizeof ret->public_area, &ret->public_len)));
    return marshalled(link, link->lib->Tss2_MU_TPM2B_PRIVATE_Marshal(
                                &o->private_area, ret->private_area, sizeof ret->private_area,
                                &ret->private_len));
}

/* Only what object_marshal() writes is taken: lengths inside the bytes have no play. */
static aril_status object_unmarshal(const struct arili_tpm2_link *link,
                                    const struct arili_tpm2_blob *blob, struct object *ret)
{
    memset(ret, 0, sizeof *ret);
    size_t at = 0;
    ARILI_TRY(marshalled(link, link->lib->Tss2_MU_TPM2B_PUBLIC_Unmarshal(blob->public_area.data,
                                                                         blob->public_area.len, &at,
                                                                         &ret->public_area)));
    at = 0;
    ARILI_TRY(marshalled(
        link, link->lib->Tss2_MU_TPM2B_PRIVATE_Unmarshal(
                  blob->private_area.data, blob->private_area.len, &at, &ret->private_area)));
    struct object_bytes again;
    ARILI_TRY(object_marshal(link, ret, &again));
    const bool same = again.public_len == blob->public_area.len &&
                      again.private_len == blob->private_area.len &&
                      memcmp(again.public_area, blob->public_area.data, again.public_len) == 0 &&
                      memcmp(again.private_area, blob->private_area.data, again.private_len) == 0;
    return same ? ARIL_OK
                : arili_tpm2_refuse(link, ARIL_E_FORMAT_LENGTH,
                                    "the sealed object is longer than it says; restore the "
                                    "keyring's file");
}

/* --- Sealing */

static aril_status write_blob(struct arili_tpm2_link *link, const struct arili_store_place *place,
                              const struct arili_tpm2_index *index, const struct object *object,
                              const uint8_t pcr_digest[ARILI_TPM2_DIGEST_BYTES], uint8_t *ret,
                              size_t cap, size_t *ret_len)
{
    struct object_bytes bytes;
    ARILI_TRY(object_marshal(link, object, &bytes));
    struct arili_tpm2_blob blob = { .pcrs = link->tpm->uri.pcrs,
                                    .handle = index->handle,
                                    .public_area = { bytes.public_area, bytes.public_len },
                                    .private_area = { bytes.private_area, bytes.private_len } };
    memcpy(blob.slot, place->slot, sizeof blob.slot);
    memcpy(blob.parent, link->parent, sizeof blob.parent);
    memcpy(blob.pcr_digest, pcr_digest, sizeof blob.pcr_digest);
    const aril_status st = arili_tpm2_blob_write(&blob, ret, cap, ret_len);
    return st == ARIL_OK ? st : arili_tpm2_refuse(link, st, "the buffer is too small for the blob");
}

/* The share of a slot: the one in its index, or a new one for an index still to be made. */
static aril_status get_share(struct arili_tpm2_link *link, struct arili_tpm2_index *index,
                             struct share *ret)
{
    if (index->written) {
        return arili_tpm2_nv_read(link, index, ret->bytes, sizeof ret->bytes);
    }
    const struct arili_crypto *c = &link->tpm->rt->crypto;
    const aril_status st = c->ops->random(c->provider, ret->bytes, sizeof ret->bytes);
    return st == ARIL_OK ? st : arili_tpm2_refuse(link, st, aril_status_text(st));
}

/* Bring the index to where it belongs: defined, written, locked. Each step may have been the
 * last one of a call that was cut off. */
static aril_status put_share(struct arili_tpm2_link *link, struct arili_tpm2_index *index,
                             const struct share *share)
{
    const bool fresh = index->tr == ESYS_TR_NONE;
    if (fresh) {
        ARILI_TRY(arili_tpm2_nv_define(link, index));
    }
    aril_status st = ARIL_OK;
    if (!index->written) {
        st = arili_tpm2_nv_write(link, index, share->bytes);
    }
    if (st == ARIL_OK && !index->locked) {
        st = arili_tpm2_nv_lock(link, index);
    }
    if (st != ARIL_OK && fresh) {
        arili_tpm2_nv_drop(link, index);
    }
    return st;
}

static aril_status seal_in(struct arili_tpm2_link *link, struct arili_tpm2_index *index,
                           const struct arili_store_place *place,
                           const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                           size_t cap, size_t *ret_len)
{
    ARILI_DEFER(share_done) struct share kept = { { 0 } }, sealed = { { 0 } };
    memcpy(sealed.bytes, secret, ARILI_STORE_SECRET_BYTES);
    memcpy(sealed.bytes + ARILI_STORE_SECRET_BYTES, place->binding, ARILI_STORE_BINDING_BYTES);
    ARILI_TRY(get_share(link, index, &kept));
    share_xor(&sealed, &kept);

    uint8_t pcr_digest[ARILI_TPM2_DIGEST_BYTES];
    TPM2B_DIGEST policy;
    ARILI_TRY(arili_tpm2_pcr_digest(link, &link->tpm->uri.pcrs, pcr_digest));
    ARILI_TRY(arili_tpm2_pcr_policy(link, &link->tpm->uri.pcrs, pcr_digest, &policy));
    struct object object;
    ARILI_TRY(create(link, &sealed, &policy, &object));

    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len = 0;
    const size_t room = cap < sizeof blob ? cap : sizeof blob;
    ARILI_TRY(write_blob(link, place, index, &object, pcr_digest, blob, room, &len));
    ARILI_TRY(put_share(link, index, &kept));
    memcpy(ret_blob, blob, len);
    *ret_len = len;
    return ARIL_OK;
}

aril_status arili_tpm2_seal(void *state, const struct arili_store_place *place,
                            const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                            size_t cap, size_t *ret_len, aril_error *error)
{
    ARILI_DEFER(arili_tpm2_link_end) struct arili_tpm2_link link;
    ARILI_TRY(arili_tpm2_link_begin(state, &link, error));
    uint8_t tag[ARILI_TPM2_DIGEST_BYTES];
    struct arili_tpm2_index index;
    ARILI_TRY(arili_tpm2_tag(&link, ARILI_TPM2_SLOT, place->slot, tag));
    ARILI_TRY(arili_tpm2_nv_find(&link, ARILI_TPM2_SLOT, tag, &index));
    ARILI_TRY(arili_tpm2_link_primary(&link));
    ARILI_TRY(arili_tpm2_link_session(&link));
    return seal_in(&link, &index, place, secret, ret_blob, cap, ret_len);
}

/* --- Unsealing */

static aril_status changed(const struct arili_tpm2_link *link)
{
    return arili_tpm2_refuse(
        link, ARIL_E_AUTH,
        "the sealed root was changed, or is of another place; restore the keyring's file");
}

/* Whether the public area is what was made for this policy. Load then proves it genuine. */
static bool object_expected(const struct object *object, const TPM2B_DIGEST *policy)
{
    const TPMT_PUBLIC *p = &object->public_area.publicArea;
    return p->type == TPM2_ALG_KEYEDHASH && p->nameAlg == TPM2_ALG_SHA256 &&
           p->objectAttributes == object_attributes(policy->size != 0) &&
           p->authPolicy.size == policy->size &&
           memcmp(p->authPolicy.buffer, policy->buffer, policy->size) == 0 &&
           p->parameters.keyedHashDetail.scheme.scheme == TPM2_ALG_NULL;
}

static aril_status load(struct arili_tpm2_link *link, const struct object *object, ESYS_TR *ret)
{
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_Load(link->esys, link->primary, link->session, ESYS_TR_NONE,
                                            ESYS_TR_NONE, &object->private_area,
                                            &object->public_area, ret));
    /* The index of the slot and the parent are here, so this is the TPM: the object is not. */
    if (arili_tpm2_blames_parameter(rc) || arili_tpm2_code(rc) == TPM2_RC_SENSITIVE) {
        return changed(link);
    }
    return arili_tpm2_result(link, rc, "loading the sealed root");
}

/* One attempt. With a policy, in a session that shows the PCRs as they are now. */
static TSS2_RC try_unseal(struct arili_tpm2_link *link, ESYS_TR object,
                          const struct arili_tpm2_pcrs *pcrs, ESYS_TR session,
                          TPM2B_SENSITIVE_DATA **ret)
{
    TSS2_RC rc = TSS2_RC_SUCCESS;
    if (pcrs->bank != 0) {
        const TPM2B_DIGEST as_they_are = { .size = 0 };
        TPML_PCR_SELECTION s = { .count = 1 };
        s.pcrSelections[0].hash = pcrs->bank;
        s.pcrSelections[0].sizeofSelect = ARILI_TPM2_PCRS / 8;
        for (unsigned b = 0; b < ARILI_TPM2_PCRS / 8; b++) {
            s.pcrSelections[0].pcrSelect[b] = (BYTE)(pcrs->mask >> 8 * b);
        }
        ARILI_TPM2_RUN(rc, link->lib->Esys_PolicyPCR(link->esys, session, ESYS_TR_NONE,
                                                     ESYS_TR_NONE, ESYS_TR_NONE, &as_they_are, &s));
    }
    if (rc == TSS2_RC_SUCCESS) {
        ARILI_TPM2_RUN(rc, link->lib->Esys_Unseal(link->esys, object, session, ESYS_TR_NONE,
                                                  ESYS_TR_NONE, ret));
    }
    return rc;
}

#define UNSEAL_TRIES_MAX 8u

static aril_status unseal_object(struct arili_tpm2_link *link, ESYS_TR object,
                                 const struct arili_tpm2_pcrs *pcrs, struct share *ret)
{
    TPM2B_SENSITIVE_DATA *data = NULL;
    TSS2_RC rc = TPM2_RC_PCR_CHANGED;
    /* Any PCR that changes between the two commands breaks the policy session: again. */
    for (unsigned i = 0; i < UNSEAL_TRIES_MAX && arili_tpm2_code(rc) == TPM2_RC_PCR_CHANGED; i++) {
        ESYS_TR session = link->session;
        if (pcrs->bank != 0) {
            ARILI_TRY(arili_tpm2_start_session(link, TPM2_SE_POLICY, &session));
        }
        rc = try_unseal(link, object, pcrs, session, &data);
        if (pcrs->bank != 0) {
            arili_tpm2_flush(link, session);
        }
    }
    if (arili_tpm2_code(rc) == TPM2_RC_POLICY_FAIL) {
        char text[ARILI_TPM2_PCRS_TEXT_BYTES];
        char reason[ARILI_TPM2_PCRS_TEXT_BYTES + 128];
        arili_tpm2_pcrs_text(pcrs, text, sizeof text);
        (void)snprintf(
            reason, sizeof reason,
            "the PCRs %s are not what they were when the root was sealed (TPM: 0x%x); %s", text,
            (unsigned)rc, aril_status_hint(ARIL_E_KEYSTORE_POLICY));
        return arili_tpm2_refuse(link, ARIL_E_KEYSTORE_POLICY, reason);
    }
    ARILI_TRY(arili_tpm2_result(link, rc, "unsealing the root"));
    const bool whole = data->size == sizeof ret->bytes;
    if (whole) {
        memcpy(ret->bytes, data->buffer, sizeof ret->bytes);
    }
    arili_tpm2_release(link, data, sizeof *data);
    return whole ? ARIL_OK : changed(link);
}

static aril_status unseal_in(struct arili_tpm2_link *link, const struct arili_tpm2_index *index,
                             const struct arili_store_place *place,
                             const struct arili_tpm2_blob *blob, const struct object *object,
                             uint8_t ret_secret[ARILI_STORE_SECRET_BYTES])
{
    ARILI_DEFER(share_done) struct share kept = { { 0 } }, sealed = { { 0 } };
    ESYS_TR loaded = ESYS_TR_NONE;
    ARILI_TRY(load(link, object, &loaded));
    const aril_status st = unseal_object(link, loaded, &blob->pcrs, &sealed);
    arili_tpm2_flush(link, loaded);
    ARILI_TRY(st);
    ARILI_TRY(arili_tpm2_nv_read(link, index, kept.bytes, sizeof kept.bytes));
    share_xor(&sealed, &kept);
    if (!arili_equal_ct(sealed.bytes + ARILI_STORE_SECRET_BYTES, place->binding,
                        ARILI_STORE_BINDING_BYTES)) {
        return changed(link);
    }
    memcpy(ret_secret, sealed.bytes, ARILI_STORE_SECRET_BYTES);
    return ARIL_OK;
}

/* All that can be told without the TPM. */
static aril_status read_blob(const struct arili_tpm2_link *link,
                             const struct arili_store_place *place, aril_bytes in,
                             struct arili_tpm2_blob *ret, struct object *ret_object)
{
    const aril_status st = arili_tpm2_blob_parse(in, ret);
    if (st != ARIL_OK) {
        return arili_error_set(link->error, st, "%s: the sealed root is none of a TPM: %s",
                               link->tpm->uri.text, aril_status_text(st));
    }
    if (!arili_equal_ct(ret->slot, place->slot, sizeof ret->slot)) {
        return changed(link);
    }
    TPM2B_DIGEST policy;
    ARILI_TRY(object_unmarshal(link, ret, ret_object));
    ARILI_TRY(arili_tpm2_pcr_policy(link, &ret->pcrs, ret->pcr_digest, &policy));
    return object_expected(ret_object, &policy) ? ARIL_OK : changed(link);
}

/* What the TPM holds must fit the blob before a secret is asked for. */
static aril_status check_place(struct arili_tpm2_link *link, const struct arili_tpm2_blob *blob,
                               const struct arili_tpm2_index *index)
{
    if (index->tr == ESYS_TR_NONE || !index->written) {
        return arili_tpm2_refuse(link, ARIL_E_KEYSTORE_WRONG,
                                 "it holds nothing for this keyring: the root was destroyed, the "
                                 "TPM was cleared, or it is another TPM; open the keyring with "
                                 "the right one, or recover as docs/keyring.md says");
    }
    /* A parent with another name in the TPM of the index is a key that somebody on the bus put
     * in its place, to read the session: nothing is sent under it. */
    const bool fits = index->handle == blob->handle &&
                      arili_equal_ct(link->parent, blob->parent, sizeof blob->parent);
    return fits ? ARIL_OK : changed(link);
}

aril_status arili_tpm2_unseal(void *state, const struct arili_store_place *place, aril_bytes blob,
                              uint8_t ret_secret[ARILI_STORE_SECRET_BYTES], aril_error *error)
{
    ARILI_DEFER(arili_tpm2_link_end)
    struct arili_tpm2_link link = arili_tpm2_link_init(state, error);
    struct arili_tpm2_blob b;
    struct object object;
    ARILI_TRY(read_blob(&link, place, blob, &b, &object));
    ARILI_TRY(arili_tpm2_link_connect(&link));
    uint8_t tag[ARILI_TPM2_DIGEST_BYTES];
    struct arili_tpm2_index index;
    ARILI_TRY(arili_tpm2_tag(&link, ARILI_TPM2_SLOT, place->slot, tag));
    ARILI_TRY(arili_tpm2_nv_find(&link, ARILI_TPM2_SLOT, tag, &index));
    ARILI_TRY(arili_tpm2_link_primary(&link));
    ARILI_TRY(check_place(&link, &b, &index));
    ARILI_TRY(arili_tpm2_link_session(&link));
    return unseal_in(&link, &index, place, &b, &object, ret_secret);
}

aril_status arili_tpm2_destroy(void *state, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                               aril_error *error)
{
    ARILI_DEFER(arili_tpm2_link_end) struct arili_tpm2_link link;
    ARILI_TRY(arili_tpm2_link_begin(state, &link, error));
    uint8_t tag[ARILI_TPM2_DIGEST_BYTES];
    struct arili_tpm2_index index;
    ARILI_TRY(arili_tpm2_tag(&link, ARILI_TPM2_SLOT, slot, tag));
    ARILI_TRY(arili_tpm2_nv_find(&link, ARILI_TPM2_SLOT, tag, &index));
    return index.tr == ESYS_TR_NONE ? ARIL_OK : arili_tpm2_nv_undefine(&link, &index);
}
#endif
