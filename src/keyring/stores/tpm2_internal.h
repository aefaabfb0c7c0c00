/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_STORES_TPM2_INTERNAL_H
#define ARILI_KEYRING_STORES_TPM2_INTERNAL_H
#include "keyring/stores/store.h"
#include "keyring/stores/tpm2_format.h"

/* tpm2-tss is loaded, not linked: only its headers are needed here, from 3.0 on. Without them
 * tpm2.c answers that the library was built without TPM support. */
#if __has_include(<tss2/tss2_esys.h>) && __has_include(<tss2/tss2_tctildr.h>) && \
    __has_include(<tss2/tss2_rc.h>) && __has_include(<tss2/tss2_mu.h>)
#define ARILI_TPM2_HEADERS 1
#else
#define ARILI_TPM2_HEADERS 0
#endif

#if ARILI_TPM2_HEADERS
#include <signal.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

/* --- tpm2_library.c: the functions of tpm2-tss that are used */

#define ARILI_TPM2_ESYS(X)       \
    X(Esys_Initialize)           \
    X(Esys_Finalize)             \
    X(Esys_Free)                 \
    X(Esys_GetCapability)        \
    X(Esys_CreatePrimary)        \
    X(Esys_TR_GetName)           \
    X(Esys_StartAuthSession)     \
    X(Esys_TRSess_SetAttributes) \
    X(Esys_FlushContext)         \
    X(Esys_TR_FromTPMPublic)     \
    X(Esys_TR_Close)             \
    X(Esys_PCR_Read)             \
    X(Esys_PolicyPCR)            \
    X(Esys_Create)               \
    X(Esys_Load)                 \
    X(Esys_Unseal)               \
    X(Esys_NV_DefineSpace)       \
    X(Esys_NV_UndefineSpace)     \
    X(Esys_NV_ReadPublic)        \
    X(Esys_NV_Write)             \
    X(Esys_NV_WriteLock)         \
    X(Esys_NV_Read)              \
    X(Esys_NV_Increment)
#define ARILI_TPM2_MU(X)              \
    X(Tss2_MU_TPM2B_PUBLIC_Marshal)   \
    X(Tss2_MU_TPM2B_PUBLIC_Unmarshal) \
    X(Tss2_MU_TPM2B_PRIVATE_Marshal)  \
    X(Tss2_MU_TPM2B_PRIVATE_Unmarshal)
#define ARILI_TPM2_TCTILDR(X)     \
    X(Tss2_TctiLdr_Initialize_Ex) \
    X(Tss2_TctiLdr_Finalize)
#define ARILI_TPM2_RC(X) X(Tss2_RC_Decode)

#define ARILI_TPM2_LIBRARIES 5u /* four, and the one of the TCTI */

struct arili_tpm2_library {
    void *handles[ARILI_TPM2_LIBRARIES];
#define MEMBER(name) __typeof__(name) *name;
    ARILI_TPM2_ESYS(MEMBER)
    ARILI_TPM2_MU(MEMBER)
    ARILI_TPM2_TCTILDR(MEMBER)
    ARILI_TPM2_RC(MEMBER)
#undef MEMBER
};

/* Load tpm2-tss and the library of the URI's TCTI. ARIL_E_UNAVAILABLE names what to install. */
ARIL_MUST_USE aril_status arili_tpm2_library_load(const struct arili_tpm2_uri *uri,
                                                  struct arili_tpm2_library *ret,
                                                  aril_error *error);
/* Their code stays in the process: other threads of it may have come from there. */
void arili_tpm2_library_done(struct arili_tpm2_library *library);

/* --- tpm2.c: one TPM */

struct arili_tpm2 {
    aril_runtime *rt;
    struct arili_tpm2_uri uri;
    struct arili_tpm2_library lib;
    aril_keystore_info info;
};

/* --- tpm2_link.c: one call's connection. It is made anew for every call, so a TPM that was
 * restarted, or that others use too, costs a call nothing but time. */

struct arili_tpm2_link {
    const struct arili_tpm2 *tpm;
    const struct arili_tpm2_library *lib; /* &tpm->lib */
    aril_error *error;                    /* the caller's; may be NULL */
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR primary;                         /* ESYS_TR_NONE until it is made */
    uint8_t parent[ARILI_TPM2_DIGEST_BYTES]; /* its name */
    ESYS_TR session;                         /* HMAC, salted with primary, encrypts */
    bool masked, pipe_was_pending;
    sigset_t mask_before;
};

/* Not connected yet; good for messages. arili_tpm2_link_end() must follow, on the same thread. */
struct arili_tpm2_link arili_tpm2_link_init(const struct arili_tpm2 *tpm, aril_error *error);
ARIL_MUST_USE aril_status arili_tpm2_link_connect(struct arili_tpm2_link *link);
/* Both, with the same end whatever it answers. */
ARIL_MUST_USE aril_status arili_tpm2_link_begin(const struct arili_tpm2 *tpm,
                                                struct arili_tpm2_link *ret, aril_error *error);
/* Flushes what is in the TPM, and disconnects. */
void arili_tpm2_link_end(struct arili_tpm2_link *link);
/* The storage key, which is the same at each call until the TPM is cleared. */
ARIL_MUST_USE aril_status arili_tpm2_link_primary(struct arili_tpm2_link *link);
/* After it, link->session authorizes, encrypts parameters both ways, and stays open. */
ARIL_MUST_USE aril_status arili_tpm2_link_session(struct arili_tpm2_link *link);
/* Such a session of a kind; the caller flushes it. */
ARIL_MUST_USE aril_status arili_tpm2_start_session(struct arili_tpm2_link *link, TPM2_SE kind,
                                                   ESYS_TR *ret);
/* Flush one transient object or session; ESYS_TR_NONE is fine. */
void arili_tpm2_flush(struct arili_tpm2_link *link, ESYS_TR tr);
/* Release what tpm2-tss allocated, wiped; NULL is fine. */
void arili_tpm2_release(const struct arili_tpm2_link *link, void *p, size_t bytes);

/* --- tpm2_status.c: what a response code means */

/* Run a command, again after a pause while the TPM is busy. rc is a TSS2_RC. */
#define ARILI_TPM2_RUN(rc, command)                \
    do {                                           \
        unsigned tries_ = 0;                       \
        do {                                       \
            (rc) = (command);                      \
        } while (arili_tpm2_again((rc), &tries_)); \
    } while (0)

bool arili_tpm2_again(TSS2_RC rc, unsigned *tries);
/* The code of the TPM itself without the number of handle, parameter or session; 0 when it came
 * from the software between. */
TPM2_RC arili_tpm2_code(TSS2_RC rc);
/* Whether the TPM found fault with a parameter of the command. */
bool arili_tpm2_blames_parameter(TSS2_RC rc);
aril_status arili_tpm2_status(TSS2_RC rc, const char **ret_remedy);
/* ARIL_OK for success; else the status, and the message "URI: doing failed: reason; remedy". */
ARIL_MUST_USE aril_status arili_tpm2_result(const struct arili_tpm2_link *link, TSS2_RC rc,
                                            const char *doing);
/* The status with a message that the TPM has no part in: "URI: reason; remedy". */
aril_status arili_tpm2_refuse(const struct arili_tpm2_link *link, aril_status st,
                              const char *reason);

/* --- tpm2_nv.c: indices of ours in the TPM's memory */

enum arili_tpm2_kind {
    ARILI_TPM2_SLOT,   /* ARILI_TPM2_SHARE_BYTES of data, written once */
    ARILI_TPM2_COUNTER /* counts up */
};
#define ARILI_TPM2_SHARE_BYTES (ARILI_STORE_SECRET_BYTES + ARILI_STORE_BINDING_BYTES)

struct arili_tpm2_index {
    enum arili_tpm2_kind kind;
    uint8_t tag[ARILI_TPM2_DIGEST_BYTES]; /* tells ours from others': SHA-256 of kind and id */
    uint32_t handle;                      /* where it is, or where it would go */
    ESYS_TR tr;                           /* ESYS_TR_NONE: it is not there */
    bool written, locked;
};
void arili_tpm2_index_close(struct arili_tpm2_link *link, struct arili_tpm2_index *index);

ARIL_MUST_USE aril_status arili_tpm2_tag(const struct arili_tpm2_link *link,
                                         enum arili_tpm2_kind kind,
                                         const uint8_t id[ARILI_STORE_SLOT_BYTES],
                                         uint8_t ret[ARILI_TPM2_DIGEST_BYTES]);
/* Look for it around its own handle. ARIL_OK also when it is not there. */
ARIL_MUST_USE aril_status arili_tpm2_nv_find(struct arili_tpm2_link *link,
                                             enum arili_tpm2_kind kind,
                                             const uint8_t tag[ARILI_TPM2_DIGEST_BYTES],
                                             struct arili_tpm2_index *ret);
/* The same at one handle alone. */
ARIL_MUST_USE aril_status arili_tpm2_nv_at(struct arili_tpm2_link *link, enum arili_tpm2_kind kind,
                                           const uint8_t tag[ARILI_TPM2_DIGEST_BYTES],
                                           uint32_t handle, struct arili_tpm2_index *ret);
ARIL_MUST_USE aril_status arili_tpm2_nv_define(struct arili_tpm2_link *link,
                                               struct arili_tpm2_index *index);
ARIL_MUST_USE aril_status arili_tpm2_nv_undefine(struct arili_tpm2_link *link,
                                                 struct arili_tpm2_index *index);
/* Undefine an index that could not be finished. Should that fail as well, the next call for the
 * same slot or seed finds it and goes on from there. */
void arili_tpm2_nv_drop(struct arili_tpm2_link *link, struct arili_tpm2_index *index);
/* These want link->session. */
ARIL_MUST_USE aril_status arili_tpm2_nv_write(struct arili_tpm2_link *link,
                                              struct arili_tpm2_index *index,
                                              const uint8_t share[ARILI_TPM2_SHARE_BYTES]);
ARIL_MUST_USE aril_status arili_tpm2_nv_lock(struct arili_tpm2_link *link,
                                             struct arili_tpm2_index *index);
ARIL_MUST_USE aril_status arili_tpm2_nv_read(struct arili_tpm2_link *link,
                                             const struct arili_tpm2_index *index, uint8_t *ret,
                                             uint16_t bytes);
ARIL_MUST_USE aril_status arili_tpm2_nv_increment(struct arili_tpm2_link *link,
                                                  struct arili_tpm2_index *index);

/* --- tpm2_pcr.c */

/* SHA-256 over the values of these PCRs; zeros for none. ARIL_E_UNAVAILABLE when the TPM does
 * not keep that bank: a policy over it would be met by anything. */
ARIL_MUST_USE aril_status arili_tpm2_pcr_digest(struct arili_tpm2_link *link,
                                                const struct arili_tpm2_pcrs *pcrs,
                                                uint8_t ret[ARILI_TPM2_DIGEST_BYTES]);
/* The policy that TPM2_PolicyPCR makes of them; size 0 for none. */
ARIL_MUST_USE aril_status arili_tpm2_pcr_policy(const struct arili_tpm2_link *link,
                                                const struct arili_tpm2_pcrs *pcrs,
                                                const uint8_t digest[ARILI_TPM2_DIGEST_BYTES],
                                                TPM2B_DIGEST *ret);

/* --- tpm2_seal.c, tpm2_counter.c: of the table */

ARIL_MUST_USE aril_status arili_tpm2_seal(void *state, const struct arili_store_place *place,
                                          const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                                          uint8_t *ret_blob, size_t cap, size_t *ret_len,
                                          aril_error *error);
ARIL_MUST_USE aril_status arili_tpm2_unseal(void *state, const struct arili_store_place *place,
                                            aril_bytes blob,
                                            uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                            aril_error *error);
ARIL_MUST_USE aril_status arili_tpm2_destroy(void *state,
                                             const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                             aril_error *error);
ARIL_MUST_USE aril_status arili_tpm2_counter_create(void *state,
                                                    const uint8_t seed[ARILI_STORE_SLOT_BYTES],
                                                    struct arili_store_counter *ret_counter,
                                                    uint64_t *ret_value, aril_error *error);
ARIL_MUST_USE aril_status arili_tpm2_counter_read(void *state,
                                                  const struct arili_store_counter *counter,
                                                  uint64_t *ret_value, aril_error *error);
ARIL_MUST_USE aril_status arili_tpm2_counter_increment(void *state,
                                                       const struct arili_store_counter *counter,
                                                       uint64_t *ret_value, aril_error *error);
ARIL_MUST_USE aril_status arili_tpm2_counter_destroy(void *state,
                                                     const struct arili_store_counter *counter,
                                                     aril_error *error);
#endif
#endif
