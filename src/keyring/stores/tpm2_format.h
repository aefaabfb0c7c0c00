/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_STORES_TPM2_FORMAT_H
#define ARILI_KEYRING_STORES_TPM2_FORMAT_H
#include "keyring/stores/store.h"

/* What the TPM's keystore reads from outside, the URI and the blob. Knows no TPM library. */

/* Algorithms of PCR banks as the TPM numbers them. */
#define ARILI_TPM2_SHA256 0x000bu
#define ARILI_TPM2_SHA384 0x000cu
#define ARILI_TPM2_SHA512 0x000du

#define ARILI_TPM2_PCRS         24u
#define ARILI_TPM2_DIGEST_BYTES 32u

/* PCRs of one bank. bank 0 and mask 0: none. */
struct arili_tpm2_pcrs {
    uint16_t bank;
    uint32_t mask; /* bit n: PCR n */
};

#define ARILI_TPM2_URI_BYTES 512u

struct arili_tpm2_uri {
    char text[ARILI_TPM2_URI_BYTES]; /* whole, for messages */
    char tcti[8];                    /* "device", "swtpm", "mssim", "tabrmd" */
    char conf[ARILI_TPM2_URI_BYTES]; /* what follows the TCTI's name and its colon */
    struct arili_tpm2_pcrs pcrs;
};

/* rest is the URI behind "tpm2:". ARIL_E_USAGE_RANGE with the reason. */
ARIL_MUST_USE aril_status arili_tpm2_uri_parse(const char *uri, const char *rest,
                                               struct arili_tpm2_uri *ret, aril_error *error);
/* The path of the device or socket that the URI names; NULL when it names none. */
const char *arili_tpm2_uri_path(const struct arili_tpm2_uri *uri);

/* "sha256:7,16", as a URI has it. */
#define ARILI_TPM2_PCRS_TEXT_BYTES 80u
void arili_tpm2_pcrs_text(const struct arili_tpm2_pcrs *pcrs, char *ret, size_t cap);

/* As TPML_PCR_SELECTION goes over the wire: count 1, bank, 3 bytes. */
#define ARILI_TPM2_SELECTION_BYTES 10u
void arili_tpm2_pcrs_marshal(const struct arili_tpm2_pcrs *pcrs,
                             uint8_t ret[ARILI_TPM2_SELECTION_BYTES]);

/*
 * The blob: what a sealed secret needs besides the TPM. Big-endian.
 *
 *   4  "ATPM"
 *   1  version, 1
 *   2  bank of the PCR policy, 0 for none
 *   4  mask of its PCRs
 *   4  handle of the slot's NV index
 *  16  slot
 *  32  name of the parent key, without its algorithm (SHA-256)
 *  32  digest of the PCRs when it was sealed, zeros without a policy
 *   2  length, then TPM2B_PUBLIC
 *   2  length, then TPM2B_PRIVATE
 */
struct arili_tpm2_blob {
    struct arili_tpm2_pcrs pcrs;
    uint32_t handle;
    uint8_t slot[ARILI_STORE_SLOT_BYTES];
    uint8_t parent[ARILI_TPM2_DIGEST_BYTES];
    uint8_t pcr_digest[ARILI_TPM2_DIGEST_BYTES];
    aril_bytes public_area, private_area; /* borrowed */
};
/* Spans point into in. ARIL_E_FORMAT (class). */
ARIL_MUST_USE aril_status arili_tpm2_blob_parse(aril_bytes in, struct arili_tpm2_blob *ret);
/* ARIL_E_USAGE_TOO_SMALL */
ARIL_MUST_USE aril_status arili_tpm2_blob_write(const struct arili_tpm2_blob *blob, uint8_t *ret,
                                                size_t cap, size_t *ret_len);

/* The range of NV handles that the TCG gives to the owner of the TPM. */
#define ARILI_TPM2_NV_FIRST 0x01800000u
#define ARILI_TPM2_NV_LAST  0x01bfffffu
/* An index lies in the first free one of so many handles from its own on. */
#define ARILI_TPM2_NV_WINDOW 8u
/* The first handle for an index with this tag. */
uint32_t arili_tpm2_nv_handle(const uint8_t tag[ARILI_TPM2_DIGEST_BYTES]);

/* Where a counter is: "ATPC", handle, tag. */
#define ARILI_TPM2_LOCATOR_BYTES (4u + 4u + ARILI_TPM2_DIGEST_BYTES)
struct arili_tpm2_locator {
    uint32_t handle;
    uint8_t tag[ARILI_TPM2_DIGEST_BYTES];
};
ARIL_MUST_USE aril_status arili_tpm2_locator_parse(const struct arili_store_counter *in,
                                                   struct arili_tpm2_locator *ret);
void arili_tpm2_locator_write(const struct arili_tpm2_locator *locator,
                              struct arili_store_counter *ret);
#endif
