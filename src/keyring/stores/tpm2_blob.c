/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_format.h"
#include "base/bytes.h"
#include "base/ensure.h"

static const uint8_t MAGIC[4] = { 'A', 'T', 'P', 'M' };
static const uint8_t LOCATOR_MAGIC[4] = { 'A', 'T', 'P', 'C' };
#define VERSION 1u

static bool in_range(uint32_t handle)
{
    return handle >= ARILI_TPM2_NV_FIRST && handle <= ARILI_TPM2_NV_LAST;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

static bool pcrs_valid(const struct arili_tpm2_blob *b)
{
    if (b->pcrs.bank == 0) {
        return b->pcrs.mask == 0 && all_zero(b->pcr_digest, sizeof b->pcr_digest);
    }
    return b->pcrs.bank >= ARILI_TPM2_SHA256 && b->pcrs.bank <= ARILI_TPM2_SHA512 &&
           b->pcrs.mask != 0 && b->pcrs.mask >> ARILI_TPM2_PCRS == 0;
}

aril_status arili_tpm2_blob_parse(aril_bytes in, struct arili_tpm2_blob *ret)
{
    struct arili_reader r = arili_reader_init(in);
    const aril_bytes magic = arili_read_bytes(&r, sizeof MAGIC);
    const uint8_t version = arili_read8(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(memcmp(magic.data, MAGIC, sizeof MAGIC) == 0, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(version == VERSION, ARIL_E_FORMAT_VERSION);
    struct arili_tpm2_blob out;
    out.pcrs.bank = arili_read16(&r);
    out.pcrs.mask = arili_read32(&r);
    out.handle = arili_read32(&r);
    arili_read_into(&r, out.slot, sizeof out.slot);
    arili_read_into(&r, out.parent, sizeof out.parent);
    arili_read_into(&r, out.pcr_digest, sizeof out.pcr_digest);
    out.public_area = arili_read_vec16(&r);
    out.private_area = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(in_range(out.handle) && pcrs_valid(&out), ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(out.public_area.len > 2 && out.private_area.len > 2, ARIL_E_FORMAT_FIELD);
    *ret = out;
    return ARIL_OK;
}

aril_status arili_tpm2_blob_write(const struct arili_tpm2_blob *blob, uint8_t *ret, size_t cap,
                                  size_t *ret_len)
{
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write_bytes(&w, (aril_bytes){ MAGIC, sizeof MAGIC });
    arili_write8(&w, VERSION);
    arili_write16(&w, blob->pcrs.bank);
    arili_write32(&w, blob->pcrs.mask);
    arili_write32(&w, blob->handle);
    arili_write_bytes(&w, (aril_bytes){ blob->slot, sizeof blob->slot });
    arili_write_bytes(&w, (aril_bytes){ blob->parent, sizeof blob->parent });
    arili_write_bytes(&w, (aril_bytes){ blob->pcr_digest, sizeof blob->pcr_digest });
    arili_write_vec16(&w, blob->public_area);
    arili_write_vec16(&w, blob->private_area);
    return arili_writer_end(&w, ret_len);
}

uint32_t arili_tpm2_nv_handle(const uint8_t tag[ARILI_TPM2_DIGEST_BYTES])
{
    const uint32_t first = ARILI_TPM2_NV_LAST - ARILI_TPM2_NV_FIRST + 1 - ARILI_TPM2_NV_WINDOW;
    return ARILI_TPM2_NV_FIRST + arili_load32(tag) % (first + 1);
}

_Static_assert(ARILI_TPM2_LOCATOR_BYTES <= ARILI_STORE_COUNTER_BYTES_MAX, "the locator fits");

aril_status arili_tpm2_locator_parse(const struct arili_store_counter *in,
                                     struct arili_tpm2_locator *ret)
{
    ARILI_ENSURE(in->len <= sizeof in->bytes, ARIL_E_FORMAT_LENGTH);
    struct arili_reader r = arili_reader_init((aril_bytes){ in->bytes, in->len });
    uint8_t magic[sizeof LOCATOR_MAGIC];
    struct arili_tpm2_locator out;
    arili_read_into(&r, magic, sizeof magic);
    out.handle = arili_read32(&r);
    arili_read_into(&r, out.tag, sizeof out.tag);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(memcmp(magic, LOCATOR_MAGIC, sizeof magic) == 0, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(in_range(out.handle), ARIL_E_FORMAT_FIELD);
    *ret = out;
    return ARIL_OK;
}

void arili_tpm2_locator_write(const struct arili_tpm2_locator *locator,
                              struct arili_store_counter *ret)
{
    struct arili_store_counter out = { .len = ARILI_TPM2_LOCATOR_BYTES };
    memcpy(out.bytes, LOCATOR_MAGIC, sizeof LOCATOR_MAGIC);
    arili_store32(out.bytes + 4, locator->handle);
    memcpy(out.bytes + 8, locator->tag, sizeof locator->tag);
    *ret = out;
}
