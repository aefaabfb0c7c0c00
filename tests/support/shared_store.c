/* SPDX-License-Identifier: Apache-2.0 */
#include "shared_store.h"
#include "base/ensure.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOB_BYTES (ARILI_STORE_SLOT_BYTES + ARILI_STORE_BINDING_BYTES + ARILI_STORE_SECRET_BYTES)

struct shared_backing {
    _Atomic uint64_t counter;
};

struct shared_backing *shared_backing_new(void)
{
    struct shared_backing *const b =
        mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED) {
        abort();
    }
    atomic_init(&b->counter, 1000);
    return b;
}

void shared_backing_free(struct shared_backing *b)
{
    (void)munmap(b, sizeof *b);
}

uint64_t shared_backing_counter(const struct shared_backing *b)
{
    return atomic_load(&b->counter);
}

static aril_status shared_open(const struct arili_store_options *options, void **ret_state,
                               aril_error *error)
{
    (void)options;
    (void)ret_state;
    return arili_error_set(error, ARIL_E_UNAVAILABLE, "shared: made by shared_store() alone");
}

static void shared_close(void *state)
{
    (void)state;
}

static aril_status shared_info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    (void)state;
    (void)error;
    *ret_info = (aril_keystore_info){ .protection = ARIL_PROTECTION_SOFTWARE,
                                      .capabilities = ARIL_KEYSTORE_COUNTER,
                                      .backend = "shared",
                                      .description = "memory of several processes" };
    return ARIL_OK;
}

static aril_status shared_seal(void *state, const struct arili_store_place *place,
                               const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                               size_t cap, size_t *ret_len, aril_error *error)
{
    (void)state;
    if (cap < BLOB_BYTES) {
        return arili_error_set(error, ARIL_E_USAGE_TOO_SMALL, "shared: the blob is longer");
    }
    memcpy(ret_blob, place->slot, sizeof place->slot);
    memcpy(ret_blob + sizeof place->slot, place->binding, sizeof place->binding);
    memcpy(ret_blob + BLOB_BYTES - ARILI_STORE_SECRET_BYTES, secret, ARILI_STORE_SECRET_BYTES);
    *ret_len = BLOB_BYTES;
    return ARIL_OK;
}

static aril_status shared_unseal(void *state, const struct arili_store_place *place,
                                 aril_bytes blob, uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                 aril_error *error)
{
    (void)state;
    if (blob.len != BLOB_BYTES || memcmp(blob.data, place->slot, sizeof place->slot) != 0 ||
        memcmp(blob.data + sizeof place->slot, place->binding, sizeof place->binding) != 0) {
        return arili_error_set(error, ARIL_E_AUTH, "shared: sealed for something else");
    }
    memcpy(ret_secret, blob.data + BLOB_BYTES - ARILI_STORE_SECRET_BYTES, ARILI_STORE_SECRET_BYTES);
    return ARIL_OK;
}

static aril_status shared_counter_create(void *state, const uint8_t seed[ARILI_STORE_SLOT_BYTES],
                                         struct arili_store_counter *ret_counter,
                                         uint64_t *ret_value, aril_error *error)
{
    struct shared_backing *const b = state;
    (void)seed;
    (void)error;
    *ret_counter = (struct arili_store_counter){ .len = 1, .bytes = { 1 } };
    *ret_value = atomic_load(&b->counter);
    return ARIL_OK;
}

static aril_status shared_counter_read(void *state, const struct arili_store_counter *counter,
                                       uint64_t *ret_value, aril_error *error)
{
    struct shared_backing *const b = state;
    (void)counter;
    (void)error;
    *ret_value = atomic_load(&b->counter);
    return ARIL_OK;
}

static aril_status shared_counter_increment(void *state, const struct arili_store_counter *counter,
                                            uint64_t *ret_value, aril_error *error)
{
    struct shared_backing *const b = state;
    (void)counter;
    (void)error;
    *ret_value = atomic_fetch_add(&b->counter, 1) + 1;
    return ARIL_OK;
}

static aril_status shared_counter_destroy(void *state, const struct arili_store_counter *counter,
                                          aril_error *error)
{
    (void)state;
    (void)counter;
    (void)error;
    return ARIL_OK;
}

struct arili_store shared_store(struct shared_backing *b)
{
    static const struct arili_store_ops ops = {
        .abi = ARILI_STORE_ABI,
        .scheme = "shared",
        .open = shared_open,
        .close = shared_close,
        .info = shared_info,
        .seal = shared_seal,
        .unseal = shared_unseal,
        .counter_create = shared_counter_create,
        .counter_read = shared_counter_read,
        .counter_increment = shared_counter_increment,
        .counter_destroy = shared_counter_destroy,
    };
    return (struct arili_store){ &ops, b };
}
