/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "base/tablehash.h"
#include "proxy/credentials.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#define SETS 512u /* of each table; a power of two */
#define WAYS 8u

/* One address or one user. Its guilt is the time at which all its tries are forgotten: each one
 * adds an interval (the virtual scheduling algorithm of ITU-T I.371). All zero is free. */
struct seat {
    uint64_t hash; /* odd, so never zero */
    uint64_t clean_ns;
};
struct table {
    uint64_t burst, interval_ns;
    struct seat seats[SETS][WAYS];
};
struct arili_tries {
    pthread_mutex_t lock; /* of both tables; held for some dozen comparisons */
    uint64_t seed;
    struct table addresses, users;
};

aril_status arili_tries_new(struct arili_tries **ret)
{
    *ret = NULL;
    uint64_t seed = 0;
    ARILI_ENSURE(getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed, ARIL_E_RANDOM);
    struct arili_tries *const t = arili_alloc(sizeof *t);
    ARILI_ENSURE(t != NULL, ARIL_E_NOMEM);
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        arili_free(t, sizeof *t);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    t->seed = seed;
    t->addresses.burst = ARILI_TRIES_ADDRESS_BURST;
    t->addresses.interval_ns = ARILI_TRIES_ADDRESS_INTERVAL_NS;
    t->users.burst = ARILI_TRIES_USER_BURST;
    t->users.interval_ns = ARILI_TRIES_USER_INTERVAL_NS;
    *ret = t;
    return ARIL_OK;
}

void arili_tries_free(struct arili_tries *t)
{
    if (t != NULL) {
        (void)pthread_mutex_destroy(&t->lock);
        arili_free(t, sizeof *t);
    }
}

static uint64_t hash_user(const struct arili_tries *t, aril_bytes user)
{
    return arili_table_hash(t->seed, arili_user_name(user)) | 1;
}

/* IPv6 by /64; an IPv4 address that is written as an IPv6 one is that IPv4 address. */
static uint64_t hash_address(const struct arili_tries *t, const char *address)
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    struct in6_addr v6;
    struct in_addr v4;
    aril_bytes bytes = { (const uint8_t *)address, strlen(address) };
    if (inet_pton(AF_INET, address, &v4) == 1) {
        bytes = (aril_bytes){ (const uint8_t *)&v4, sizeof v4 };
    } else if (inet_pton(AF_INET6, address, &v6) == 1) {
        const bool is_mapped = memcmp(v6.s6_addr, mapped, sizeof mapped) == 0;
        bytes = is_mapped ? (aril_bytes){ v6.s6_addr + 12, 4 } : (aril_bytes){ v6.s6_addr, 8 };
    }
    return arili_table_hash(t->seed, bytes) | 1;
}

static struct seat *set_of(struct table *table, uint64_t hash)
{
    return table->seats[hash >> 32 & (SETS - 1)];
}

/* NULL: nothing is known of it. */
static struct seat *find(struct table *table, uint64_t hash)
{
    struct seat *const set = set_of(table, hash);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].hash == hash) {
            return &set[i];
        }
    }
    return NULL;
}

static bool may(struct table *table, uint64_t hash, uint64_t now_ns)
{
    const struct seat *const seat = find(table, hash);
    return seat == NULL || seat->clean_ns <= now_ns ||
           seat->clean_ns - now_ns <= (table->burst - 1) * table->interval_ns;
}

static void count(struct table *table, uint64_t hash, uint64_t now_ns)
{
    struct seat *seat = find(table, hash);
    if (seat == NULL) {
        struct seat *const set = set_of(table, hash);
        seat = set;
        for (size_t i = 1; i < WAYS; i++) {
            seat = set[i].clean_ns < seat->clean_ns ? &set[i] : seat;
        }
        *seat = (struct seat){ .hash = hash };
    }
    seat->clean_ns = (seat->clean_ns > now_ns ? seat->clean_ns : now_ns) + table->interval_ns;
}

static void forgive(struct table *table, uint64_t hash)
{
    struct seat *const seat = find(table, hash);
    if (seat != NULL) {
        seat->clean_ns -= seat->clean_ns < table->interval_ns ? seat->clean_ns : table->interval_ns;
    }
}

bool arili_tries_may(struct arili_tries *t, const char *address, aril_bytes user, uint64_t now_ns)
{
    const uint64_t from = hash_address(t, address);
    const uint64_t who = hash_user(t, user);
    (void)pthread_mutex_lock(&t->lock);
    const bool allowed = may(&t->addresses, from, now_ns) && may(&t->users, who, now_ns);
    if (allowed) {
        count(&t->addresses, from, now_ns);
        count(&t->users, who, now_ns);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return allowed;
}

void arili_tries_right(struct arili_tries *t, const char *address, aril_bytes user)
{
    const uint64_t from = hash_address(t, address);
    const uint64_t who = hash_user(t, user);
    (void)pthread_mutex_lock(&t->lock);
    forgive(&t->addresses, from);
    forgive(&t->users, who);
    (void)pthread_mutex_unlock(&t->lock);
}
