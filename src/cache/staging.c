/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/staging.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* Size classes: powers of two from 4 KiB to 16 MiB; what is longer is not kept. */
#define CLASS_MIN_LOG2 12u
#define CLASSES        13u
#define KEPT_MAX       8u /* of a class */
#define KEPT_BYTES_MAX ((size_t)64 << 20)

/* Before each buffer lies where its memory begins. */
#define ALIGNMENT ((size_t)4096)

struct arili_staging {
    pthread_mutex_t lock;
    size_t kept_bytes;
    struct {
        size_t count;
        uint8_t *kept[KEPT_MAX];
    } classes[CLASSES];
};

static uint8_t *buffer_new(size_t cap)
{
    uint8_t *memory = cap <= SIZE_MAX - ALIGNMENT ? arili_alloc(cap + ALIGNMENT) : NULL;
    if (memory == NULL) {
        return NULL;
    }
    /* malloc aligns to 16, so there is room for a pointer before the buffer. */
    uint8_t *data = memory + (ALIGNMENT - (uintptr_t)memory % ALIGNMENT);
    memcpy(data - sizeof memory, &memory, sizeof memory);
    return data;
}

static void buffer_free(uint8_t *data, size_t cap)
{
    uint8_t *memory;
    memcpy(&memory, data - sizeof memory, sizeof memory);
    arili_free(memory, cap + ALIGNMENT);
}

aril_status arili_staging_new(struct arili_staging **ret)
{
    struct arili_staging *s = arili_alloc(sizeof *s);
    ARILI_ENSURE(s != NULL, ARIL_E_NOMEM);
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        arili_free(s, sizeof *s);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    *ret = s;
    return ARIL_OK;
}

static size_t class_bytes(size_t class)
{
    return (size_t)1 << (CLASS_MIN_LOG2 + class);
}

void arili_staging_free(struct arili_staging *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t c = 0; c < CLASSES; c++) {
        for (size_t i = 0; i < s->classes[c].count; i++) {
            buffer_free(s->classes[c].kept[i], class_bytes(c));
        }
    }
    (void)pthread_mutex_destroy(&s->lock);
    arili_free(s, sizeof *s);
}

/* CLASSES: too long for any. */
static size_t class_of(size_t len)
{
    size_t class = 0;
    while (class < CLASSES && class_bytes(class) < len) {
        class ++;
    }
    return class;
}

aril_status arili_staging_take(struct arili_staging *s, size_t len, struct arili_stage *ret)
{
    const size_t class = class_of(len);
    const size_t cap = class < CLASSES ? class_bytes(class) : len;
    uint8_t *data = NULL;
    if (class < CLASSES) {
        (void)pthread_mutex_lock(&s->lock);
        if (s->classes[class].count > 0) {
            data = s->classes[class].kept[--s->classes[class].count];
            s->kept_bytes -= cap;
        }
        (void)pthread_mutex_unlock(&s->lock);
    }
    if (data == NULL) {
        data = buffer_new(cap);
        ARILI_ENSURE(data != NULL, ARIL_E_NOMEM);
    }
    *ret = (struct arili_stage){ data, cap };
    return ARIL_OK;
}

void arili_staging_give(struct arili_staging *s, struct arili_stage *stage)
{
    if (stage->data == NULL) {
        return;
    }
    const size_t class = class_of(stage->cap);
    bool kept = false;
    if (class < CLASSES && class_bytes(class) == stage->cap) {
        (void)pthread_mutex_lock(&s->lock);
        if (s->classes[class].count < KEPT_MAX && s->kept_bytes + stage->cap <= KEPT_BYTES_MAX) {
            s->classes[class].kept[s->classes[class].count++] = stage->data;
            s->kept_bytes += stage->cap;
            kept = true;
        }
        (void)pthread_mutex_unlock(&s->lock);
    }
    if (!kept) {
        buffer_free(stage->data, stage->cap);
    }
    *stage = (struct arili_stage){ NULL, 0 };
}
