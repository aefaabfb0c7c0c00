/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_internal.h"
#if ARILI_TPM2_HEADERS
#include "base/bytes.h"
#include "base/ensure.h"
#include "crypto/runtime.h"

_Static_assert(ARILI_TPM2_SHA256 == TPM2_ALG_SHA256 && ARILI_TPM2_SHA384 == TPM2_ALG_SHA384 &&
                   ARILI_TPM2_SHA512 == TPM2_ALG_SHA512,
               "banks are numbered as in the TPM");

#define PCR_BYTES_MAX 64u
#define ROUNDS_MAX    8u

struct pcr_values {
    uint8_t bytes[ARILI_TPM2_PCRS * PCR_BYTES_MAX]; /* one after the other, by number */
    size_t len;
};

static uint32_t selected(const TPML_PCR_SELECTION *list, uint16_t bank)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < list->count && i < TPM2_NUM_PCR_BANKS; i++) {
        const TPMS_PCR_SELECTION *s = &list->pcrSelections[i];
        for (uint32_t b = 0; s->hash == bank && b < s->sizeofSelect && b < ARILI_TPM2_PCRS / 8;
             b++) {
            mask |= (uint32_t)s->pcrSelect[b] << 8 * b;
        }
    }
    return mask;
}

static TPML_PCR_SELECTION selection(const struct arili_tpm2_pcrs *pcrs, uint32_t mask)
{
    TPML_PCR_SELECTION s = { .count = 1 };
    s.pcrSelections[0].hash = pcrs->bank;
    s.pcrSelections[0].sizeofSelect = ARILI_TPM2_PCRS / 8;
    for (unsigned b = 0; b < ARILI_TPM2_PCRS / 8; b++) {
        s.pcrSelections[0].pcrSelect[b] = (BYTE)(mask >> 8 * b);
    }
    return s;
}

/* One command: as many of the PCRs in *left as the TPM answers; takes them out of *left. */
static aril_status read_some(struct arili_tpm2_link *link, const struct arili_tpm2_pcrs *pcrs,
                             uint32_t *left, uint32_t *ret_counter, struct pcr_values *values)
{
    const TPML_PCR_SELECTION want = selection(pcrs, *left);
    TPML_PCR_SELECTION *got = NULL;
    TPML_DIGEST *digests = NULL;
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_PCR_Read(link->esys, ESYS_TR_NONE, ESYS_TR_NONE,
                                                ESYS_TR_NONE, &want, ret_counter, &got, &digests));
    ARILI_TRY(arili_tpm2_result(link, rc, "reading PCRs"));
    const uint32_t mask = selected(got, pcrs->bank);
    bool fits =
        mask != 0 && (mask & ~*left) == 0 && digests->count == (uint32_t)__builtin_popcount(mask);
    for (uint32_t i = 0; fits && i < digests->count; i++) {
        const TPM2B_DIGEST *d = &digests->digests[i];
        fits = d->size <= PCR_BYTES_MAX && d->size <= sizeof values->bytes - values->len;
        if (fits) {
            memcpy(values->bytes + values->len, d->buffer, d->size);
            values->len += d->size;
        }
    }
    *left &= ~mask;
    arili_tpm2_release(link, got, sizeof *got);
    arili_tpm2_release(link, digests, sizeof *digests);
    return fits ? ARIL_OK
                : arili_tpm2_refuse(link, ARIL_E_UNAVAILABLE,
                                    "the TPM does not keep these PCRs in this bank; choose a bank "
                                    "that 'tpm2_getcap pcrs' lists");
}

aril_status arili_tpm2_pcr_digest(struct arili_tpm2_link *link, const struct arili_tpm2_pcrs *pcrs,
                                  uint8_t ret[ARILI_TPM2_DIGEST_BYTES])
{
    if (pcrs->bank == 0) {
        memset(ret, 0, ARILI_TPM2_DIGEST_BYTES);
        return ARIL_OK;
    }
    /* More than 8 PCRs take several commands. When one of any PCR changed in between (an IMA
     * log does that all the time), the values may belong to no moment: again. */
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        struct pcr_values values = { .len = 0 };
        uint32_t left = pcrs->mask;
        uint32_t first = 0;
        ARILI_TRY(read_some(link, pcrs, &left, &first, &values));
        uint32_t last = first;
        while (left != 0) {
            ARILI_TRY(read_some(link, pcrs, &left, &last, &values));
        }
        if (last == first) {
            const struct arili_crypto *c = &link->tpm->rt->crypto;
            const aril_bytes part = { values.bytes, values.len };
            const aril_status st = c->ops->hash(c->provider, ARILI_SHA256, &part, 1, ret);
            return st == ARIL_OK ? st : arili_tpm2_refuse(link, st, aril_status_text(st));
        }
    }
    return arili_tpm2_refuse(link, ARIL_E_KEYSTORE_BUSY,
                             "PCRs change faster than they can be read; retry, or select at most "
                             "8 of them");
}

aril_status arili_tpm2_pcr_policy(const struct arili_tpm2_link *link,
                                  const struct arili_tpm2_pcrs *pcrs,
                                  const uint8_t digest[ARILI_TPM2_DIGEST_BYTES], TPM2B_DIGEST *ret)
{
    TPM2B_DIGEST out = { .size = 0 };
    if (pcrs->bank != 0) {
        /* TPM 2.0 part 3, 23.7: policyDigest = H(old || TPM_CC_PolicyPCR || pcrs || digest). */
        static const uint8_t OLD[ARILI_TPM2_DIGEST_BYTES];
        uint8_t command[4];
        uint8_t marshalled[ARILI_TPM2_SELECTION_BYTES];
        arili_store32(command, TPM2_CC_PolicyPCR);
        arili_tpm2_pcrs_marshal(pcrs, marshalled);
        const aril_bytes parts[] = {
            { OLD, sizeof OLD },
            { command, sizeof command },
            { marshalled, sizeof marshalled },
            { digest, ARILI_TPM2_DIGEST_BYTES },
        };
        const struct arili_crypto *c = &link->tpm->rt->crypto;
        const aril_status st = c->ops->hash(c->provider, ARILI_SHA256, parts, 4, out.buffer);
        if (st != ARIL_OK) {
            return arili_tpm2_refuse(link, st, aril_status_text(st));
        }
        out.size = ARILI_TPM2_DIGEST_BYTES;
    }
    *ret = out;
    return ARIL_OK;
}
#endif
