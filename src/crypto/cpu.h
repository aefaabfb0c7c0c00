/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_CPU_H
#define ARILI_CRYPTO_CPU_H

/* The CPU features that decide the speed of AES-GCM and the hashes, comma separated,
 * for people: "aes,pclmulqdq,vaes,avx512f". Empty where unknown. Static storage. */
const char *arili_cpu_features(void);
#endif
