/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_internal.h"
#if ARILI_TPM2_HEADERS
#include "base/ensure.h"
#include <string.h>
#include <time.h>

#define TRIES_MAX       5u
#define PAUSE_NS        UINT64_C(10000000) /* doubles: 10 ms to 160 ms, 310 ms together */
#define LAYER(rc)       ((rc) >> TSS2_RC_LAYER_SHIFT & 0xffu)
#define LAYER_OF(layer) ((layer) >> TSS2_RC_LAYER_SHIFT)
#define CODE_MASK       0xfffu
/* A code of format 1 has the number of what it blames above, and whether that is a parameter. */
#define FORMAT1_MASK (TPM2_RC_FMT1 | 0x3fu)

TPM2_RC arili_tpm2_code(TSS2_RC rc)
{
    /* Codes of the TPM begin at 0x80; resource managers hand them on in layers of their own. */
    const bool passed_on = LAYER(rc) == LAYER_OF(TSS2_RESMGR_RC_LAYER) ||
                           LAYER(rc) == LAYER_OF(TSS2_RESMGR_TPM_RC_LAYER);
    const TPM2_RC code = rc & CODE_MASK;
    if ((LAYER(rc) != 0 && !passed_on) || code < TPM2_RC_FMT1) {
        return 0;
    }
    return (code & TPM2_RC_FMT1) != 0 ? code & FORMAT1_MASK : code;
}

bool arili_tpm2_blames_parameter(TSS2_RC rc)
{
    return arili_tpm2_code(rc) != 0 && (rc & TPM2_RC_FMT1) != 0 && (rc & TPM2_RC_P) != 0;
}

#define AGAIN "retry; close other users of the TPM if it stays so"
#define ROOM \
    "retry; free what others left in it with 'tpm2_flushcontext -t -l -s', or use /dev/tpmrm0"
#define AUTHS "the owner hierarchy must have no password: aril knows none for a TPM"

static const struct {
    TPM2_RC code;
    aril_status st;
    const char *remedy; /* NULL: that of the status */
} MEANINGS[] = {
    { TPM2_RC_POLICY_FAIL, ARIL_E_KEYSTORE_POLICY, NULL },
    { TPM2_RC_POLICY, ARIL_E_KEYSTORE_POLICY, NULL },
    { TPM2_RC_PCR, ARIL_E_KEYSTORE_POLICY, NULL },
    { TPM2_RC_PCR_CHANGED, ARIL_E_KEYSTORE_BUSY, "retry; PCRs changed during the call" },
    { TPM2_RC_LOCKOUT, ARIL_E_KEYSTORE_LOCKOUT, NULL },
    { TPM2_RC_AUTH_FAIL, ARIL_E_KEYSTORE_SECRET, AUTHS },
    { TPM2_RC_BAD_AUTH, ARIL_E_KEYSTORE_SECRET, AUTHS },
    { TPM2_RC_AUTH_UNAVAILABLE, ARIL_E_KEYSTORE_SECRET, AUTHS },
    { TPM2_RC_RETRY, ARIL_E_KEYSTORE_BUSY, AGAIN },
    { TPM2_RC_YIELDED, ARIL_E_KEYSTORE_BUSY, AGAIN },
    { TPM2_RC_TESTING, ARIL_E_KEYSTORE_BUSY, AGAIN },
    { TPM2_RC_CANCELED, ARIL_E_KEYSTORE_BUSY, AGAIN },
    { TPM2_RC_NV_RATE, ARIL_E_KEYSTORE_BUSY, AGAIN },
    { TPM2_RC_NV_UNAVAILABLE, ARIL_E_KEYSTORE_BUSY, AGAIN },
    { TPM2_RC_OBJECT_MEMORY, ARIL_E_KEYSTORE_BUSY, ROOM },
    { TPM2_RC_SESSION_MEMORY, ARIL_E_KEYSTORE_BUSY, ROOM },
    { TPM2_RC_MEMORY, ARIL_E_KEYSTORE_BUSY, ROOM },
    { TPM2_RC_OBJECT_HANDLES, ARIL_E_KEYSTORE_BUSY, ROOM },
    { TPM2_RC_SESSION_HANDLES, ARIL_E_KEYSTORE_BUSY, ROOM },
    { TPM2_RC_NV_DEFINED, ARIL_E_KEYSTORE_BUSY, AGAIN },
    { TPM2_RC_HANDLE, ARIL_E_KEYSTORE_BUSY, AGAIN }, /* gone since we looked */
    { TPM2_RC_REFERENCE_H0, ARIL_E_KEYSTORE_BUSY, AGAIN },
    { TPM2_RC_REFERENCE_S0, ARIL_E_KEYSTORE_BUSY, AGAIN },
    { TPM2_RC_NV_SPACE, ARIL_E_LIMIT,
      "the memory of the TPM is full: retire old roots, or undefine NV indices nobody uses" },
    { TPM2_RC_INTEGRITY, ARIL_E_KEYSTORE_WRONG, NULL },
    { TPM2_RC_INITIALIZE, ARIL_E_KEYSTORE, "the TPM was not started: run 'tpm2_startup -c'" },
    { TPM2_RC_FAILURE, ARIL_E_KEYSTORE, "the TPM is in failure mode: power the host off and on" },
    { TPM2_RC_REBOOT, ARIL_E_KEYSTORE, "the TPM wants a reboot of the host" },
    { TPM2_RC_HIERARCHY, ARIL_E_KEYSTORE,
      "the owner hierarchy is off: switch it on in the firmware" },
    { TPM2_RC_DISABLED, ARIL_E_KEYSTORE, "the command is off: look at the firmware's settings" },
};

bool arili_tpm2_again(TSS2_RC rc, unsigned *tries)
{
    switch (arili_tpm2_code(rc)) {
    case TPM2_RC_RETRY:
    case TPM2_RC_YIELDED:
    case TPM2_RC_TESTING:
    case TPM2_RC_CANCELED:
    case TPM2_RC_NV_RATE:
    case TPM2_RC_NV_UNAVAILABLE:
    case TPM2_RC_OBJECT_MEMORY:
    case TPM2_RC_SESSION_MEMORY:
    case TPM2_RC_MEMORY:
        break;
    default:
        return false;
    }
    if (*tries >= TRIES_MAX) {
        return false;
    }
    const struct timespec pause = { .tv_nsec = (long)(PAUSE_NS << *tries) };
    ++*tries;
    (void)nanosleep(&pause, NULL); /* a signal only makes it shorter */
    return true;
}

aril_status arili_tpm2_status(TSS2_RC rc, const char **ret_remedy)
{
    const TPM2_RC code = arili_tpm2_code(rc);
    aril_status st = ARIL_E_KEYSTORE;
    *ret_remedy = NULL;
    for (size_t i = 0; code != 0 && i < sizeof MEANINGS / sizeof MEANINGS[0]; i++) {
        if (MEANINGS[i].code == code) {
            st = MEANINGS[i].st;
            *ret_remedy = MEANINGS[i].remedy;
        }
    }
    if (code == 0) {
        switch (rc & ~(TSS2_RC)TSS2_RC_LAYER_MASK) {
        case TSS2_BASE_RC_MEMORY:
            st = ARIL_E_NOMEM;
            break;
        case TSS2_BASE_RC_TRY_AGAIN:
            st = ARIL_E_KEYSTORE_BUSY;
            break;
        case TSS2_BASE_RC_IO_ERROR:
        case TSS2_BASE_RC_NO_CONNECTION:
            *ret_remedy = "the connection failed: see that the TPM is up, and retry";
            break;
        case TSS2_BASE_RC_RSP_AUTH_FAILED:
            *ret_remedy = "the answer did not come from the TPM: look for what is between";
            break;
        default:
            break;
        }
    }
    if (*ret_remedy == NULL) {
        *ret_remedy = aril_status_hint(st);
    }
    return st;
}

aril_status arili_tpm2_result(const struct arili_tpm2_link *link, TSS2_RC rc, const char *doing)
{
    if (rc == TSS2_RC_SUCCESS) {
        return ARIL_OK;
    }
    const char *remedy = NULL;
    const aril_status st = arili_tpm2_status(rc, &remedy);
    return arili_error_set(link->error, arili_fail(st), "%s: %s failed: %s (0x%x); %s",
                           link->tpm->uri.text, doing, link->lib->Tss2_RC_Decode(rc), (unsigned)rc,
                           remedy);
}

aril_status arili_tpm2_refuse(const struct arili_tpm2_link *link, aril_status st,
                              const char *reason)
{
    return arili_error_set(link->error, arili_fail(st), "%s: %s", link->tpm->uri.text, reason);
}
#endif
