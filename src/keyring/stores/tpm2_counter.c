/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_internal.h"
#if ARILI_TPM2_HEADERS
#include "base/bytes.h"
#include "base/ensure.h"

/* A counter of the TPM begins above every counter that the TPM ever had, so one that was removed
 * and made again is not behind the old one. It cannot be read before its first increment. */

static aril_status value_of(struct arili_tpm2_link *link, const struct arili_tpm2_index *index,
                            uint64_t *ret)
{
    uint8_t bytes[8];
    ARILI_TRY(arili_tpm2_nv_read(link, index, bytes, sizeof bytes));
    *ret = arili_load64(bytes);
    return ARIL_OK;
}

static aril_status make(struct arili_tpm2_link *link, struct arili_tpm2_index *index)
{
    const bool fresh = index->tr == ESYS_TR_NONE;
    if (fresh) {
        ARILI_TRY(arili_tpm2_nv_define(link, index));
    }
    if (index->written) {
        return ARIL_OK; /* of a call with the same seed that was cut off */
    }
    const aril_status st = arili_tpm2_nv_increment(link, index);
    if (st != ARIL_OK && fresh) {
        arili_tpm2_nv_drop(link, index);
    }
    return st;
}

aril_status arili_tpm2_counter_create(void *state, const uint8_t seed[ARILI_STORE_SLOT_BYTES],
                                      struct arili_store_counter *ret_counter, uint64_t *ret_value,
                                      aril_error *error)
{
    ARILI_DEFER(arili_tpm2_link_end) struct arili_tpm2_link link;
    ARILI_TRY(arili_tpm2_link_begin(state, &link, error));
    struct arili_tpm2_locator locator;
    struct arili_tpm2_index index;
    ARILI_TRY(arili_tpm2_tag(&link, ARILI_TPM2_COUNTER, seed, locator.tag));
    ARILI_TRY(arili_tpm2_nv_find(&link, ARILI_TPM2_COUNTER, locator.tag, &index));
    ARILI_TRY(arili_tpm2_link_primary(&link));
    ARILI_TRY(arili_tpm2_link_session(&link));
    ARILI_TRY(make(&link, &index));
    uint64_t value = 0;
    ARILI_TRY(value_of(&link, &index, &value));
    locator.handle = index.handle;
    arili_tpm2_locator_write(&locator, ret_counter);
    *ret_value = value;
    return ARIL_OK;
}

static aril_status parse_locator(const struct arili_tpm2 *tpm,
                                 const struct arili_store_counter *counter,
                                 struct arili_tpm2_locator *ret, aril_error *error)
{
    const aril_status st = arili_tpm2_locator_parse(counter, ret);
    return st == ARIL_OK
               ? st
               : arili_error_set(error, st, "%s: the place of the counter is none of a TPM: %s",
                                 tpm->uri.text, aril_status_text(st));
}

static aril_status read_counter(const struct arili_tpm2 *tpm,
                                const struct arili_store_counter *counter, bool increment,
                                uint64_t *ret_value, aril_error *error)
{
    struct arili_tpm2_locator locator;
    ARILI_TRY(parse_locator(tpm, counter, &locator, error));
    ARILI_DEFER(arili_tpm2_link_end) struct arili_tpm2_link link;
    ARILI_TRY(arili_tpm2_link_begin(tpm, &link, error));
    struct arili_tpm2_index index;
    ARILI_TRY(arili_tpm2_nv_at(&link, ARILI_TPM2_COUNTER, locator.tag, locator.handle, &index));
    if (index.tr == ESYS_TR_NONE || !index.written) {
        return arili_tpm2_refuse(&link, ARIL_E_NOT_FOUND,
                                 "the counter of this keyring is not there: it was removed, the "
                                 "TPM was cleared, or it is another TPM");
    }
    ARILI_TRY(arili_tpm2_link_primary(&link));
    ARILI_TRY(arili_tpm2_link_session(&link));
    if (increment) {
        ARILI_TRY(arili_tpm2_nv_increment(&link, &index));
    }
    return value_of(&link, &index, ret_value);
}

aril_status arili_tpm2_counter_read(void *state, const struct arili_store_counter *counter,
                                    uint64_t *ret_value, aril_error *error)
{
    return read_counter(state, counter, false, ret_value, error);
}

aril_status arili_tpm2_counter_increment(void *state, const struct arili_store_counter *counter,
                                         uint64_t *ret_value, aril_error *error)
{
    return read_counter(state, counter, true, ret_value, error);
}

aril_status arili_tpm2_counter_destroy(void *state, const struct arili_store_counter *counter,
                                       aril_error *error)
{
    struct arili_tpm2_locator locator;
    ARILI_TRY(parse_locator(state, counter, &locator, error));
    ARILI_DEFER(arili_tpm2_link_end) struct arili_tpm2_link link;
    ARILI_TRY(arili_tpm2_link_begin(state, &link, error));
    struct arili_tpm2_index index;
    ARILI_TRY(arili_tpm2_nv_at(&link, ARILI_TPM2_COUNTER, locator.tag, locator.handle, &index));
    return index.tr == ESYS_TR_NONE ? ARIL_OK : arili_tpm2_nv_undefine(&link, &index);
}
#endif
