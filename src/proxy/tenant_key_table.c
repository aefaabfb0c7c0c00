/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/cache.h"
#include "proxy/tenant.h"

#define KEPT_NS ARILI_NS_PER_S

/* A row with neither key nor status is empty. */
static bool is_empty(const struct arili_key_table *table, size_t i)
{
    return table->rows[i].key == NULL && table->rows[i].status == ARIL_OK;
}

static void row_clear(struct arili_key_table *table, size_t i)
{
    aril_tenant_key_put(table->rows[i].key);
    arili_wipe(&table->rows[i], sizeof table->rows[i]);
}

void arili_key_table_done(struct arili_key_table *table)
{
    for (size_t i = 0; i < ARILI_KEY_TABLE; i++) {
        row_clear(table, i);
    }
}

static bool row_is(const struct arili_key_table *table, size_t i, uint32_t tenant,
                   const uint8_t id[ARIL_KEY_ID_BYTES])
{
    /* Key ids are public: they stand in every value. */
    return !is_empty(table, i) && table->rows[i].tenant == tenant &&
           memcmp(table->rows[i].id, id, ARIL_KEY_ID_BYTES) == 0;
}

aril_status arili_key_table_find(struct arili_key_table *table, const struct arili_tenant *t,
                                 const struct arili_tenant_keys *keys,
                                 const uint8_t id[ARIL_KEY_ID_BYTES], uint64_t now_ns,
                                 aril_tenant_key **ret)
{
    *ret = NULL;
    ARILI_TRY(keys->status);
    if (keys->data != NULL && memcmp(aril_tenant_key_id(keys->data), id, ARIL_KEY_ID_BYTES) == 0) {
        arili_tenant_key_hold(keys->data);
        *ret = keys->data;
        return ARIL_OK;
    }
    for (size_t i = 0; i < ARILI_KEY_TABLE; i++) {
        if (!row_is(table, i, t->number, id)) {
            continue;
        }
        if (now_ns >= table->rows[i].until_ns) {
            row_clear(table, i);
            return ARIL_OK;
        }
        table->rows[i].used_ns = now_ns;
        if (table->rows[i].key == NULL) {
            return table->rows[i].status;
        }
        arili_tenant_key_hold(table->rows[i].key);
        *ret = table->rows[i].key;
        return ARIL_OK;
    }
    return ARIL_OK;
}

/* The row of that key; else an empty one, or one whose time is over, or that which was not used for
 * longest. */
static size_t choose_row(const struct arili_key_table *table, uint32_t tenant,
                         const uint8_t id[ARIL_KEY_ID_BYTES], uint64_t now_ns)
{
    size_t best = 0;
    uint64_t best_ns = UINT64_MAX;
    for (size_t i = 0; i < ARILI_KEY_TABLE; i++) {
        if (row_is(table, i, tenant, id)) {
            return i;
        }
        const bool free = is_empty(table, i) || now_ns >= table->rows[i].until_ns;
        const uint64_t used_ns = free ? 0 : table->rows[i].used_ns;
        if (used_ns < best_ns) {
            best = i;
            best_ns = used_ns;
        }
    }
    return best;
}

void arili_key_table_put(struct arili_key_table *table, const struct arili_tenant *t,
                         const uint8_t id[ARIL_KEY_ID_BYTES], aril_tenant_key *key,
                         aril_status status, uint64_t now_ns)
{
    if (key != NULL && aril_tenant_key_purpose(key) != ARIL_KEY_DATA) {
        aril_tenant_key_put(key);
        key = NULL;
        status = ARIL_E_KEY_UNKNOWN;
    }
    const size_t i = choose_row(table, t->number, id, now_ns);
    row_clear(table, i);
    memcpy(table->rows[i].id, id, ARIL_KEY_ID_BYTES);
    table->rows[i].tenant = t->number;
    table->rows[i].key = key;
    table->rows[i].status = key != NULL ? ARIL_OK : status;
    table->rows[i].until_ns = now_ns + KEPT_NS;
    table->rows[i].used_ns = now_ns;
}
