/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"
#include "crypto/openssl_internal.h"
#include <openssl/crypto.h>
#include <pthread.h>

/* Under a sanitizer libcrypto keeps the C library's heap, which the sanitizer watches. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define WATCHED 1
#endif
#endif

static bool in_use;

bool arili_openssl_heap_in_use(void)
{
    return in_use;
}

#ifdef WATCHED
void arili_openssl_heap_begin(void)
{
}
#else
/* OpenSSL's signatures; file and line are those of its own source. */
static void *heap_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return arili_heap_alloc(size);
}

static void *heap_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return arili_heap_realloc(p, size);
}

static void heap_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    arili_heap_free(p);
}

static void begin(void)
{
    /* Refused when libcrypto has allocated already: a program that links it statically and used
     * it before us. It then keeps its heap. */
    in_use = arili_heap_begin() && CRYPTO_set_mem_functions(heap_alloc, heap_realloc, heap_free);
}

void arili_openssl_heap_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, begin);
}
#endif
