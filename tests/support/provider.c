/* SPDX-License-Identifier: Apache-2.0 */
#include "provider.h"
#include "check.h"
#include <openssl/err.h>
#include <stdio.h>

#define PUBLIC_MAX 2592u /* of ML-DSA-87 */

static struct arili_crypto shared;

int provider_setup(void **state)
{
    const char *missing = "nothing";
    (void)state;
    const aril_status st = arili_openssl_new(&shared, &missing);
    if (st != ARIL_OK) {
        fprintf(stderr, "no provider: %s, missing is %s\n", aril_status_name(st), missing);
        return -1;
    }
    return 0;
}

int provider_teardown(void **state)
{
    (void)state;
    arili_openssl_free(&shared);
    return 0;
}

const struct arili_crypto *provider(void)
{
    return &shared;
}

void provider_pattern(uint8_t *ret, size_t len, unsigned seed)
{
    uint32_t x = seed * 2654435761u + 12345u;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        ret[i] = (uint8_t)(x >> 24);
    }
}

bool provider_all(const uint8_t *bytes, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

void provider_expect_public(const struct arili_pkey *key, aril_bytes want)
{
    uint8_t out[PUBLIC_MAX];
    size_t len = 0;
    assert_status(provider()->ops->pkey_public(key, out, sizeof out, &len), ARIL_OK);
    assert_int_equal(len, want.len);
    assert_memory_equal(out, want.data, want.len);
}

bool provider_is_quiet(void)
{
    return ERR_peek_error() == 0;
}
