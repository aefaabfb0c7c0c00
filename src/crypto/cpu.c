/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cpu.h"
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

static char features[160];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void add(const char *name, bool present)
{
    const size_t used = strlen(features);
    const size_t need = strlen(name) + (used > 0 ? 1 : 0);
    if (!present || need >= sizeof features - used) {
        return;
    }
    char *at = features + used;
    if (used > 0) {
        *at++ = ',';
    }
    memcpy(at, name, strlen(name) + 1);
}

static void detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    add("aes", __builtin_cpu_supports("aes"));
    add("pclmulqdq", __builtin_cpu_supports("pclmul"));
    add("avx2", __builtin_cpu_supports("avx2"));
    add("avx512f", __builtin_cpu_supports("avx512f"));
    add("avx512bw", __builtin_cpu_supports("avx512bw"));
    /* Structured extended features, leaf 7 ECX: older compilers have no name for these. */
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 1) {
        add("vaes", (c >> 9 & 1) != 0);
        add("vpclmulqdq", (c >> 10 & 1) != 0);
    }
#elif defined(__aarch64__)
    /* Bits of AT_HWCAP as in the kernel's arm64 ELF hwcaps document. */
    const unsigned long caps = getauxval(AT_HWCAP);
    add("aes", (caps >> 3 & 1) != 0);
    add("pmull", (caps >> 4 & 1) != 0);
    add("sha2", (caps >> 6 & 1) != 0);
    add("sha3", (caps >> 17 & 1) != 0);
#endif
}

const char *arili_cpu_features(void)
{
    (void)pthread_once(&once, detect);
    return features;
}
