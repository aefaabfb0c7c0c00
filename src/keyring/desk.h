/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_DESK_H
#define ARILI_KEYRING_DESK_H
#include "base/files.h"
#include "keyring/stores/store.h"
#include "keyring/worker.h"

/*
 * What a keystore's worker works on: the store, and one request with its inputs and outputs. A
 * call that never returns has nothing else under its hands, so its caller can go on.
 */

/* A scheme, a path and the parameters of a URI. */
#define ARILI_DESK_URI_BYTES (ARILI_FILE_PATH_BYTES + 512u)
/* What messages show of it. */
#define ARILI_DESK_SHOWN_BYTES 120u

struct arili_desk {
    aril_runtime *rt; /* held */
    struct arili_worker *worker;
    struct arili_store store; /* state NULL: not open */
    aril_secret_fn *ask;
    void *user;
    uint32_t argon2_ms;
    bool create;
    char whole_uri[ARILI_DESK_URI_BYTES];
    char uri[ARILI_DESK_SHOWN_BYTES]; /* shortened, without a PIN */

    /* The request. */
    struct arili_store_place place; /* the slot alone for destroy; as seed of a counter */
    uint8_t *secret;                /* a secure cell */
    size_t blob_cap, blob_len;
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    struct arili_store_counter counter;
    uint64_t value;
    aril_keystore_info info;
    aril_error error; /* of the request that failed */
};

/* Holds rt; copies what config says. The store is the caller's to set. */
ARIL_MUST_USE aril_status arili_desk_new(aril_runtime *rt, const aril_keystore_config *config,
                                         struct arili_desk **ret, aril_error *error);
/* Closes the store and ends the rest. */
void arili_desk_release(void *desk);
/* In a forked child: ends all but the store, which it leaves to the parent. */
void arili_desk_forget(struct arili_desk *desk);
/* Wipes the request. */
void arili_desk_clear(struct arili_desk *desk);

/* What the worker runs: each one call of the store. */
arili_worker_fn arili_desk_open, arili_desk_info, arili_desk_seal, arili_desk_unseal,
    arili_desk_destroy, arili_desk_counter_create, arili_desk_counter_read,
    arili_desk_counter_increment, arili_desk_counter_destroy;
#endif
