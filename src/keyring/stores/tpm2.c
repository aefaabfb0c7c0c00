/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_internal.h"
#include "base/ensure.h"
#include "base/mem.h"

#if ARILI_TPM2_HEADERS
#include <stdio.h>
#include <string.h>

static void tpm2_close(void *state)
{
    struct arili_tpm2 *tpm = state;
    if (tpm != NULL) {
        arili_tpm2_library_done(&tpm->lib);
        arili_free(tpm, sizeof *tpm);
    }
}

static void tpm2_freep(struct arili_tpm2 **tpm)
{
    tpm2_close(*tpm);
}

/* Properties of a TPM are words; those of a text have its characters, padded with zeros. */
static void take_text(const TPML_TAGGED_TPM_PROPERTY *list, TPM2_PT first, unsigned words,
                      char *ret)
{
    size_t len = 0;
    for (uint32_t i = 0; i < list->count && i < TPM2_MAX_TPM_PROPERTIES; i++) {
        const TPMS_TAGGED_PROPERTY *p = &list->tpmProperty[i];
        if (p->property < first || p->property >= first + words) {
            continue;
        }
        for (unsigned shift = 32; shift > 0; shift -= 8) {
            const char c = (char)(p->value >> (shift - 8) & 0xff);
            if (c > ' ' && c <= '~') {
                ret[len++] = c;
            } else if (c == ' ' && len > 0 && ret[len - 1] != ' ') {
                ret[len++] = c;
            }
        }
    }
    while (len > 0 && ret[len - 1] == ' ') {
        len--;
    }
    ret[len] = '\0';
}

static uint32_t take_number(const TPML_TAGGED_TPM_PROPERTY *list, TPM2_PT property)
{
    for (uint32_t i = 0; i < list->count && i < TPM2_MAX_TPM_PROPERTIES; i++) {
        if (list->tpmProperty[i].property == property) {
            return list->tpmProperty[i].value;
        }
    }
    return 0;
}

/* libtpms and IBM's simulator; Microsoft's, in Hyper-V and Azure too; those of Google's and
 * VMware's hypervisors. A TPM in the firmware of a processor has that processor's maker. */
static bool in_software(const char *manufacturer)
{
    static const char *const NAMES[] = { "IBM", "MSFT", "GOOG", "VMW" };
    bool found = false;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        found = found || strcmp(manufacturer, NAMES[i]) == 0;
    }
    return found;
}

static aril_status ask_info(struct arili_tpm2_link *link, aril_keystore_info *ret)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_GetCapability(
                           link->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                           TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER,
                           TPM2_PT_FIRMWARE_VERSION_2 - TPM2_PT_MANUFACTURER + 1, NULL, &data));
    ARILI_TRY(arili_tpm2_result(link, rc, "asking who made the TPM"));
    const TPML_TAGGED_TPM_PROPERTY *list = &data->data.tpmProperties;
    char manufacturer[5], vendor[17];
    take_text(list, TPM2_PT_MANUFACTURER, 1, manufacturer);
    take_text(list, TPM2_PT_VENDOR_STRING_1, 4, vendor);
    const uint32_t high = take_number(list, TPM2_PT_FIRMWARE_VERSION_1);
    const uint32_t low = take_number(list, TPM2_PT_FIRMWARE_VERSION_2);
    arili_tpm2_release(link, data, sizeof *data);

    aril_keystore_info info = { .protection = ARIL_PROTECTION_TPM,
                                .capabilities = ARIL_KEYSTORE_COUNTER | ARIL_KEYSTORE_DESTROY,
                                .backend = "tpm2" };
    (void)snprintf(info.description, sizeof info.description,
                   "TPM 2.0 of %s, %s, firmware "
                   "%u.%u.%u.%u%s",
                   manufacturer, vendor, (unsigned)(high >> 16), (unsigned)(high & 0xffff),
                   (unsigned)(low >> 16), (unsigned)(low & 0xffff),
                   in_software(manufacturer) ? " (software)" : "");
    *ret = info;
    return ARIL_OK;
}

static aril_status tpm2_open(const struct arili_store_options *options, void **ret_state,
                             aril_error *error)
{
    ARILI_DEFER(tpm2_freep) struct arili_tpm2 *tpm = arili_alloc(sizeof *tpm);
    ARILI_ENSURE(tpm != NULL, ARIL_E_NOMEM);
    tpm->rt = options->rt;
    ARILI_TRY(arili_tpm2_uri_parse(options->uri, options->rest, &tpm->uri, error));
    ARILI_TRY(arili_tpm2_library_load(&tpm->uri, &tpm->lib, error));
    ARILI_DEFER(arili_tpm2_link_end) struct arili_tpm2_link link;
    ARILI_TRY(arili_tpm2_link_begin(tpm, &link, error));
    ARILI_TRY(ask_info(&link, &tpm->info));
    /* A bank that the TPM does not keep is better known before a root is made. */
    uint8_t digest[ARILI_TPM2_DIGEST_BYTES];
    ARILI_TRY(arili_tpm2_pcr_digest(&link, &tpm->uri.pcrs, digest));
    *ret_state = ARILI_TAKE(tpm);
    return ARIL_OK;
}

static aril_status tpm2_info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    (void)error;
    const struct arili_tpm2 *tpm = state;
    *ret_info = tpm->info;
    return ARIL_OK;
}

const struct arili_store_ops arili_store_tpm2 = {
    .abi = ARILI_STORE_ABI,
    .scheme = "tpm2",
    .open = tpm2_open,
    .close = tpm2_close,
    .info = tpm2_info,
    .seal = arili_tpm2_seal,
    .unseal = arili_tpm2_unseal,
    .destroy = arili_tpm2_destroy,
    .counter_create = arili_tpm2_counter_create,
    .counter_read = arili_tpm2_counter_read,
    .counter_increment = arili_tpm2_counter_increment,
    .counter_destroy = arili_tpm2_counter_destroy,
};

#else /* no headers of tpm2-tss */

static aril_status tpm2_open(const struct arili_store_options *options, void **ret_state,
                             aril_error *error)
{
    (void)ret_state;
    struct arili_tpm2_uri uri;
    ARILI_TRY(arili_tpm2_uri_parse(options->uri, options->rest, &uri, error));
    return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE),
                           "%s: this aril was built without the headers of tpm2-tss; install "
                           "them (Debian: libtss2-dev) and build it again",
                           options->uri);
}

static void tpm2_close(void *state)
{
    (void)state; /* none is ever opened */
}

const struct arili_store_ops arili_store_tpm2 = {
    .abi = ARILI_STORE_ABI,
    .scheme = "tpm2",
    .open = tpm2_open,
    .close = tpm2_close,
};
#endif
