/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tells.h"
#include <stddef.h>

#define NS_PER_S UINT64_C(1000000000)

/* Logins are told that much more rarely: where connections are short, they are no news. */
static uint64_t ns_per_token(enum arili_tell kind)
{
    return kind == ARILI_TELL_LOGIN ? ARILI_TELLS_LOGIN_S * NS_PER_S : NS_PER_S;
}

void arili_tells_init(struct arili_tells *t)
{
    *t = (struct arili_tells){ .owing = false };
    (void)pthread_mutex_init(&t->lock, NULL); /* with default attributes it does not fail (glibc) */
}

void arili_tells_done(struct arili_tells *t)
{
    (void)pthread_mutex_destroy(&t->lock);
}

/* Under lock. */
static bool take_token(struct arili_tell_row *row, enum arili_tell kind, uint64_t now_ns)
{
    const uint64_t each_ns = ns_per_token(kind);
    if (row->at_ns == 0) {
        row->at_ns = now_ns > 0 ? now_ns : 1;
        row->tokens = ARILI_TELLS_BURST;
    }
    const uint64_t fresh = now_ns > row->at_ns ? (now_ns - row->at_ns) / each_ns : 0;
    if (fresh >= ARILI_TELLS_BURST - row->tokens) {
        row->tokens = ARILI_TELLS_BURST;
        row->at_ns = now_ns > row->at_ns ? now_ns : row->at_ns;
    } else {
        row->tokens += (uint32_t)fresh;
        row->at_ns += fresh * each_ns;
    }
    if (row->tokens == 0) {
        return false;
    }
    row->tokens--;
    return true;
}

bool arili_tells_may(struct arili_tells *t, enum arili_tell kind, uint64_t now_ns,
                     uint64_t *ret_left_out)
{
    (void)pthread_mutex_lock(&t->lock);
    struct arili_tell_row *row = &t->rows[kind];
    const bool may = take_token(row, kind, now_ns);
    if (may) {
        *ret_left_out = row->left_out;
        row->left_out = 0;
    } else {
        row->left_out++;
        atomic_store_explicit(&t->owing, true, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return may;
}

bool arili_tells_owes(struct arili_tells *t, enum arili_tell kind, uint64_t now_ns,
                      uint64_t *ret_left_out)
{
    if (!atomic_load_explicit(&t->owing, memory_order_relaxed)) {
        return false;
    }
    (void)pthread_mutex_lock(&t->lock);
    struct arili_tell_row *row = &t->rows[kind];
    const bool owes = row->left_out > 0 && take_token(row, kind, now_ns);
    if (owes) {
        bool more = false;
        *ret_left_out = row->left_out;
        row->left_out = 0;
        for (size_t i = 0; i < ARILI_TELL_KINDS; i++) {
            more = more || t->rows[i].left_out > 0;
        }
        atomic_store_explicit(&t->owing, more, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return owes;
}
