/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_SEEDED_H
#define ARIL_CMD_SEEDED_H
#include <stddef.h>
#include <stdint.h>

/* Reproducible test data for the demo and the benchmark: splitmix64. Never for keys. */
struct seeded {
    uint64_t state;
};

static inline struct seeded seeded_init(uint64_t seed)
{
    return (struct seeded){ seed };
}

static inline uint64_t seeded_next(struct seeded *s)
{
    s->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = s->state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline void seeded_fill(struct seeded *s, void *ret, size_t len)
{
    uint8_t *out = ret;
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0) {
            word = seeded_next(s);
        }
        out[i] = (uint8_t)(word >> (8 * (i % 8)));
    }
}
#endif
