/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_internal.h"
#if ARILI_TPM2_HEADERS
#include "base/ensure.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* TCTIs write to sockets that may be closed, and a library may not change what SIGPIPE does to
 * the process: it is held back on this thread, and taken away if it was ours. */
static void pipes_hold(struct arili_tpm2_link *link)
{
    sigset_t pipe, pending;
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)sigemptyset(&pending);
    link->pipe_was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    link->masked = pthread_sigmask(SIG_BLOCK, &pipe, &link->mask_before) == 0;
}

static void pipes_release(struct arili_tpm2_link *link)
{
    if (!link->masked) {
        return;
    }
    if (!link->pipe_was_pending) {
        sigset_t pipe;
        (void)sigemptyset(&pipe);
        (void)sigaddset(&pipe, SIGPIPE);
        const struct timespec now = { 0 };
        while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &link->mask_before, NULL);
    link->masked = false;
}

/* The TCTIs say of a missing file only that there was an error, and say so on stderr. */
static aril_status look_for_path(const struct arili_tpm2_link *link)
{
    const char *path = arili_tpm2_uri_path(&link->tpm->uri);
    if (path == NULL || faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0) {
        return ARIL_OK;
    }
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return arili_tpm2_refuse(link, ARIL_E_NOT_FOUND,
                                 "there is no such device or socket; load the driver of the TPM, "
                                 "start swtpm, or name the right path");
    case EACCES:
    case EPERM:
    case EROFS:
        return arili_tpm2_refuse(link, ARIL_E_IO,
                                 "the device or socket may not be used by this user; add the user "
                                 "to the group that owns it (Debian: tss)");
    default:
        return arili_tpm2_refuse(link, ARIL_E_IO,
                                 "the device or socket cannot be looked at; check its path");
    }
}

struct arili_tpm2_link arili_tpm2_link_init(const struct arili_tpm2 *tpm, aril_error *error)
{
    return (struct arili_tpm2_link){ .tpm = tpm,
                                     .lib = &tpm->lib,
                                     .error = error,
                                     .primary = ESYS_TR_NONE,
                                     .session = ESYS_TR_NONE };
}

aril_status arili_tpm2_link_connect(struct arili_tpm2_link *link)
{
    ARILI_TRY(look_for_path(link));
    pipes_hold(link);
    const struct arili_tpm2_uri *uri = &link->tpm->uri;
    const char *conf = uri->conf[0] != '\0' ? uri->conf : NULL;
    TSS2_RC rc = link->lib->Tss2_TctiLdr_Initialize_Ex(uri->tcti, conf, &link->tcti);
    ARILI_TRY(arili_tpm2_result(link, rc, "connecting to the TPM"));
    rc = link->lib->Esys_Initialize(&link->esys, link->tcti, NULL);
    return arili_tpm2_result(link, rc, "connecting to the TPM");
}

aril_status arili_tpm2_link_begin(const struct arili_tpm2 *tpm, struct arili_tpm2_link *ret,
                                  aril_error *error)
{
    *ret = arili_tpm2_link_init(tpm, error);
    return arili_tpm2_link_connect(ret);
}

void arili_tpm2_link_end(struct arili_tpm2_link *link)
{
    arili_tpm2_flush(link, link->session);
    arili_tpm2_flush(link, link->primary);
    link->session = link->primary = ESYS_TR_NONE;
    if (link->esys != NULL) {
        link->lib->Esys_Finalize(&link->esys);
    }
    if (link->tcti != NULL) {
        link->lib->Tss2_TctiLdr_Finalize(&link->tcti);
    }
    pipes_release(link);
}

void arili_tpm2_flush(struct arili_tpm2_link *link, ESYS_TR tr)
{
    if (tr != ESYS_TR_NONE && link->esys != NULL) {
        /* When this fails, the TPM or the way to it is gone, and the context with it. */
        (void)link->lib->Esys_FlushContext(link->esys, tr);
    }
}

void arili_tpm2_release(const struct arili_tpm2_link *link, void *p, size_t bytes)
{
    if (p != NULL) {
        arili_wipe(p, bytes);
        link->lib->Esys_Free(p);
    }
}

/* The storage root key of the TCG's provisioning guidance (2.1, table 2, ECC P-256): the same
 * seed of the owner's hierarchy gives the same key each time. */
static const TPM2B_PUBLIC PRIMARY = {
    .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                            TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .parameters.eccDetail = {
            .symmetric = { .algorithm = TPM2_ALG_AES,
                           .keyBits.aes = 128,
                           .mode.aes = TPM2_ALG_CFB },
            .scheme.scheme = TPM2_ALG_NULL,
            .curveID = TPM2_ECC_NIST_P256,
            .kdf.scheme = TPM2_ALG_NULL,
        },
        .unique.ecc = { .x.size = 32, .y.size = 32 },
    },
};

aril_status arili_tpm2_link_primary(struct arili_tpm2_link *link)
{
    const TPM2B_SENSITIVE_CREATE sensitive = { .size = 0 };
    const TPM2B_DATA outside = { .size = 0 };
    const TPML_PCR_SELECTION creation = { .count = 0 };
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_CreatePrimary(link->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
                                                     ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                                                     &PRIMARY, &outside, &creation, &link->primary,
                                                     NULL, NULL, NULL, NULL));
    ARILI_TRY(arili_tpm2_result(link, rc, "making the storage key"));
    TPM2B_NAME *name = NULL;
    rc = link->lib->Esys_TR_GetName(link->esys, link->primary, &name);
    ARILI_TRY(arili_tpm2_result(link, rc, "making the storage key"));
    const bool expected = name->size == 2 + sizeof link->parent;
    if (expected) {
        memcpy(link->parent, name->name + 2, sizeof link->parent);
    }
    arili_tpm2_release(link, name, sizeof *name);
    return expected ? ARIL_OK
                    : arili_tpm2_refuse(link, ARIL_E_KEYSTORE, "the storage key has an odd name");
}

aril_status arili_tpm2_start_session(struct arili_tpm2_link *link, TPM2_SE kind, ESYS_TR *ret)
{
    const TPMT_SYM_DEF aes = { .algorithm = TPM2_ALG_AES,
                               .keyBits.aes = 128,
                               .mode.aes = TPM2_ALG_CFB };
    const TPMA_SESSION attributes =
        TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;
    ARILI_TPM2_RUN(rc, link->lib->Esys_StartAuthSession(
                           link->esys, link->primary, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                           ESYS_TR_NONE, NULL, kind, &aes, TPM2_ALG_SHA256, &session));
    ARILI_TRY(arili_tpm2_result(link, rc, "starting a session"));
    rc = link->lib->Esys_TRSess_SetAttributes(link->esys, session, attributes, 0xff);
    if (rc != TSS2_RC_SUCCESS) {
        arili_tpm2_flush(link, session);
        return arili_tpm2_result(link, rc, "starting a session");
    }
    *ret = session;
    return ARIL_OK;
}

aril_status arili_tpm2_link_session(struct arili_tpm2_link *link)
{
    return arili_tpm2_start_session(link, TPM2_SE_HMAC, &link->session);
}
#endif
