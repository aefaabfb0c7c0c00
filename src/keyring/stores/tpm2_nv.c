/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_internal.h"
#if ARILI_TPM2_HEADERS
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/runtime.h"

/*
 * An index is told apart by its tag, which stands in its authPolicy: there from the moment it is
 * defined, readable without authorization, and nothing here is ever authorized by policy, so
 * nobody has to meet it.
 *
 * All are read and written with their own empty password, and NO_DA: there is nothing to guess,
 * so a lockout after guesses at other objects must not stop us.
 */
#define COMMON   (TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA)
#define TYPE(nt) ((TPMA_NV)(nt) << TPMA_NV_TPM2_NT_SHIFT)
/* What the TPM changes by itself. */
#define VOLATILE (TPMA_NV_WRITTEN | TPMA_NV_WRITELOCKED | TPMA_NV_READLOCKED)

static const struct {
    aril_bytes label;
    uint16_t bytes;
    TPMA_NV attributes;
} KINDS[] = {
    [ARILI_TPM2_SLOT] = { { (const uint8_t *)"aril tpm2 slot v1", 17 },
                          ARILI_TPM2_SHARE_BYTES,
                          COMMON | TPMA_NV_WRITEDEFINE | TPMA_NV_WRITEALL |
                              TYPE(TPM2_NT_ORDINARY) },
    [ARILI_TPM2_COUNTER] = { { (const uint8_t *)"aril tpm2 counter v1", 20 },
                             8,
                             COMMON | TYPE(TPM2_NT_COUNTER) },
};

aril_status arili_tpm2_tag(const struct arili_tpm2_link *link, enum arili_tpm2_kind kind,
                           const uint8_t id[ARILI_STORE_SLOT_BYTES],
                           uint8_t ret[ARILI_TPM2_DIGEST_BYTES])
{
    const struct arili_crypto *c = &link->tpm->rt->crypto;
    const aril_bytes parts[] = { KINDS[kind].label, { id, ARILI_STORE_SLOT_BYTES } };
    const aril_status st = c->ops->hash(c->provider, ARILI_SHA256, parts, 2, ret);
    return st == ARIL_OK ? st : arili_tpm2_refuse(link, st, aril_status_text(st));
}

void arili_tpm2_index_close(struct arili_tpm2_link *link, struct arili_tpm2_index *index)
{
    if (index->tr != ESYS_TR_NONE) {
        /* Only memory of tpm2-tss; the index stays in the TPM. */
        (void)link->lib->Esys_TR_Close(link->esys, &index->tr);
    }
    index->tr = ESYS_TR_NONE;
    index->written = index->locked = false;
}

/* What the TPM says of the index at a handle; true in *ret_ours when it is that index. */
static aril_status look_at(struct arili_tpm2_link *link, struct arili_tpm2_index *index,
                           bool *ret_ours)
{
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_TR_FromTPMPublic(link->esys, index->handle, ESYS_TR_NONE,
                                                        ESYS_TR_NONE, ESYS_TR_NONE, &index->tr));
    ARILI_TRY(arili_tpm2_result(link, rc, "looking at an NV index"));
    TPM2B_NV_PUBLIC *is = NULL;
    ARILI_TPM2_RUN(rc, link->lib->Esys_NV_ReadPublic(link->esys, index->tr, ESYS_TR_NONE,
                                                     ESYS_TR_NONE, ESYS_TR_NONE, &is, NULL));
    *ret_ours = false;
    if (rc == TSS2_RC_SUCCESS) {
        const TPMS_NV_PUBLIC *p = &is->nvPublic;
        *ret_ours = p->nvIndex == index->handle && p->nameAlg == TPM2_ALG_SHA256 &&
                    (p->attributes & ~VOLATILE) == KINDS[index->kind].attributes &&
                    p->dataSize == KINDS[index->kind].bytes &&
                    p->authPolicy.size == sizeof index->tag &&
                    arili_equal_ct(p->authPolicy.buffer, index->tag, sizeof index->tag);
        index->written = (p->attributes & TPMA_NV_WRITTEN) != 0;
        index->locked = (p->attributes & TPMA_NV_WRITELOCKED) != 0;
        arili_tpm2_release(link, is, sizeof *is);
    }
    if (!*ret_ours) {
        arili_tpm2_index_close(link, index);
    }
    return arili_tpm2_result(link, rc, "looking at an NV index");
}

/* The handles in use among count of them from first on, as bits. */
static aril_status used_handles(struct arili_tpm2_link *link, uint32_t first, uint32_t count,
                                uint32_t *ret_bits)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_GetCapability(link->esys, ESYS_TR_NONE, ESYS_TR_NONE,
                                                     ESYS_TR_NONE, TPM2_CAP_HANDLES, first, count,
                                                     NULL, &data));
    ARILI_TRY(arili_tpm2_result(link, rc, "listing NV indices"));
    uint32_t bits = 0;
    const TPML_HANDLE *list = &data->data.handles;
    for (uint32_t i = 0; i < list->count && i < TPM2_MAX_CAP_HANDLES; i++) {
        if (list->handle[i] >= first && list->handle[i] - first < count) {
            bits |= 1u << (list->handle[i] - first);
        }
    }
    arili_tpm2_release(link, data, sizeof *data);
    *ret_bits = bits;
    return ARIL_OK;
}

static struct arili_tpm2_index
index_init(enum arili_tpm2_kind kind, const uint8_t tag[ARILI_TPM2_DIGEST_BYTES], uint32_t handle)
{
    struct arili_tpm2_index index = { .kind = kind, .handle = handle, .tr = ESYS_TR_NONE };
    memcpy(index.tag, tag, sizeof index.tag);
    return index;
}

aril_status arili_tpm2_nv_at(struct arili_tpm2_link *link, enum arili_tpm2_kind kind,
                             const uint8_t tag[ARILI_TPM2_DIGEST_BYTES], uint32_t handle,
                             struct arili_tpm2_index *ret)
{
    uint32_t used = 0;
    ARILI_TRY(used_handles(link, handle, 1, &used));
    *ret = index_init(kind, tag, handle);
    bool ours = false;
    return used != 0 ? look_at(link, ret, &ours) : ARIL_OK;
}

aril_status arili_tpm2_nv_find(struct arili_tpm2_link *link, enum arili_tpm2_kind kind,
                               const uint8_t tag[ARILI_TPM2_DIGEST_BYTES],
                               struct arili_tpm2_index *ret)
{
    const uint32_t first = arili_tpm2_nv_handle(tag);
    uint32_t used = 0;
    ARILI_TRY(used_handles(link, first, ARILI_TPM2_NV_WINDOW, &used));
    uint32_t vacant = 0;
    for (uint32_t i = 0; i < ARILI_TPM2_NV_WINDOW; i++) {
        if ((used & 1u << i) == 0) {
            vacant = vacant == 0 ? first + i : vacant;
            continue;
        }
        /* Also behind a gap: the index before it may have been removed since. */
        bool ours = false;
        *ret = index_init(kind, tag, first + i);
        ARILI_TRY(look_at(link, ret, &ours));
        if (ours) {
            return ARIL_OK;
        }
    }
    *ret = index_init(kind, tag, vacant); /* 0: nowhere */
    return ARIL_OK;
}

aril_status arili_tpm2_nv_define(struct arili_tpm2_link *link, struct arili_tpm2_index *index)
{
    if (index->handle == 0) {
        return arili_tpm2_refuse(link, ARIL_E_LIMIT,
                                 "no NV handle is free around the one of this slot; undefine "
                                 "indices of 0x01800000 to 0x01bfffff that nobody uses");
    }
    const TPM2B_AUTH auth = { .size = 0 };
    TPM2B_NV_PUBLIC public_area = {
        .nvPublic = { .nvIndex = index->handle,
                      .nameAlg = TPM2_ALG_SHA256,
                      .attributes = KINDS[index->kind].attributes,
                      .authPolicy.size = sizeof index->tag,
                      .dataSize = KINDS[index->kind].bytes },
    };
    memcpy(public_area.nvPublic.authPolicy.buffer, index->tag, sizeof index->tag);
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_NV_DefineSpace(link->esys, ESYS_TR_RH_OWNER,
                                                      ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                                      &auth, &public_area, &index->tr));
    return arili_tpm2_result(link, rc, "defining an NV index");
}

aril_status arili_tpm2_nv_undefine(struct arili_tpm2_link *link, struct arili_tpm2_index *index)
{
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc,
                   link->lib->Esys_NV_UndefineSpace(link->esys, ESYS_TR_RH_OWNER, index->tr,
                                                    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE));
    ARILI_TRY(arili_tpm2_result(link, rc, "undefining an NV index"));
    index->tr = ESYS_TR_NONE; /* tpm2-tss has closed it */
    index->written = index->locked = false;
    return ARIL_OK;
}

void arili_tpm2_nv_drop(struct arili_tpm2_link *link, struct arili_tpm2_index *index)
{
    struct arili_tpm2_link quiet = *link; /* the message is that of the failure before */
    quiet.error = NULL;
    if (arili_tpm2_nv_undefine(&quiet, index) != ARIL_OK) {
        arili_tpm2_index_close(link, index);
    }
}

aril_status arili_tpm2_nv_write(struct arili_tpm2_link *link, struct arili_tpm2_index *index,
                                const uint8_t share[ARILI_TPM2_SHARE_BYTES])
{
    TPM2B_MAX_NV_BUFFER data = { .size = ARILI_TPM2_SHARE_BYTES };
    _Static_assert(sizeof data.buffer >= ARILI_TPM2_SHARE_BYTES, "a share goes in one command");
    memcpy(data.buffer, share, ARILI_TPM2_SHARE_BYTES);
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_NV_Write(link->esys, index->tr, index->tr, link->session,
                                                ESYS_TR_NONE, ESYS_TR_NONE, &data, 0));
    arili_wipe(&data, sizeof data);
    ARILI_TRY(arili_tpm2_result(link, rc, "writing an NV index"));
    index->written = true;
    return ARIL_OK;
}

aril_status arili_tpm2_nv_lock(struct arili_tpm2_link *link, struct arili_tpm2_index *index)
{
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_NV_WriteLock(link->esys, index->tr, index->tr, link->session,
                                                    ESYS_TR_NONE, ESYS_TR_NONE));
    ARILI_TRY(arili_tpm2_result(link, rc, "locking an NV index"));
    index->locked = true;
    return ARIL_OK;
}

aril_status arili_tpm2_nv_read(struct arili_tpm2_link *link, const struct arili_tpm2_index *index,
                               uint8_t *ret, uint16_t bytes)
{
    TPM2B_MAX_NV_BUFFER *data = NULL;
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_NV_Read(link->esys, index->tr, index->tr, link->session,
                                               ESYS_TR_NONE, ESYS_TR_NONE, bytes, 0, &data));
    ARILI_TRY(arili_tpm2_result(link, rc, "reading an NV index"));
    const bool whole = data->size == bytes;
    if (whole) {
        memcpy(ret, data->buffer, bytes);
    }
    arili_tpm2_release(link, data, sizeof *data);
    return whole ? ARIL_OK
                 : arili_tpm2_refuse(link, ARIL_E_KEYSTORE, "an NV index has an odd length");
}

aril_status arili_tpm2_nv_increment(struct arili_tpm2_link *link, struct arili_tpm2_index *index)
{
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_NV_Increment(link->esys, index->tr, index->tr, link->session,
                                                    ESYS_TR_NONE, ESYS_TR_NONE));
    ARILI_TRY(arili_tpm2_result(link, rc, "incrementing a counter"));
    index->written = true;
    return ARIL_OK;
}
#endif
