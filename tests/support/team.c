/* SPDX-License-Identifier: Apache-2.0 */
#include "team.h"
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>

struct member {
    const struct team_role *role;
    unsigned number;
    void *arg;
    pthread_barrier_t *start;
    pthread_t thread;
};

static _Atomic(const char *) complaint;

static void *member_main(void *arg)
{
    struct member *m = arg;
    (void)pthread_barrier_wait(m->start);
    m->role->run(m->arg, m->number);
    return NULL;
}

void team_run(const struct team_role *roles, size_t count, void *arg)
{
    struct member members[TEAM_MEMBERS_MAX];
    pthread_barrier_t start;
    unsigned n = 0;
    for (size_t r = 0; r < count; r++) {
        for (unsigned i = 0; i < roles[r].count; i++) {
            assert_true(n < TEAM_MEMBERS_MAX);
            members[n++] = (struct member){ .role = &roles[r], .number = i, .arg = arg };
        }
    }
    atomic_store(&complaint, NULL);
    assert_int_equal(pthread_barrier_init(&start, NULL, n), 0);
    for (unsigned i = 0; i < n; i++) {
        members[i].start = &start;
        assert_int_equal(pthread_create(&members[i].thread, NULL, member_main, &members[i]), 0);
    }
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(pthread_join(members[i].thread, NULL), 0);
    }
    (void)pthread_barrier_destroy(&start);
    const char *first = atomic_load(&complaint);
    if (first != NULL) {
        fail_msg("%s", first);
    }
}

bool team_demand(bool cond, const char *text)
{
    const char *none = NULL;
    if (!cond) {
        (void)atomic_compare_exchange_strong(&complaint, &none, text);
    }
    return cond;
}

bool team_failed(void)
{
    return atomic_load_explicit(&complaint, memory_order_relaxed) != NULL;
}

uint64_t team_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t x = *state;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}
