/* SPDX-License-Identifier: Apache-2.0 */
#include "shake128.h"
#include "check.h"
#include <openssl/evp.h>

/* The struct is only a name for OpenSSL's context. */
static EVP_MD_CTX *context(struct shake128 *s)
{
    return (EVP_MD_CTX *)s;
}

struct shake128 *shake128_new(void)
{
    EVP_MD_CTX *const ctx = EVP_MD_CTX_new();
    assert_non_null(ctx);
    assert_int_equal(EVP_DigestInit_ex2(ctx, EVP_shake128(), NULL), 1);
    return (struct shake128 *)ctx;
}

void shake128_free(struct shake128 *s)
{
    EVP_MD_CTX_free(context(s));
}

void shake128_write(struct shake128 *s, const void *data, size_t len)
{
    assert_int_equal(EVP_DigestUpdate(context(s), data, len), 1);
}

void shake128_read(struct shake128 *s, uint8_t *ret, size_t len)
{
    assert_int_equal(EVP_DigestSqueeze(context(s), ret, len), 1);
}

void shake128_end(struct shake128 *s, const uint8_t want[32])
{
    uint8_t got[32];
    shake128_read(s, got, sizeof got);
    assert_memory_equal(got, want, sizeof got);
    shake128_free(s);
}
