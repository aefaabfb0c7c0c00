/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "kv/context.h"
#include "kv/pins.h"
#include "record/batch.h"
#include "record/record.h"
#include "session/session.h"
#include <string.h>

_Static_assert(ARILI_KV_CONTEXT_BYTES <= ARILI_CONTEXT_BYTES_MAX, "the context fits");

#define SLOT_PINS_MAX ((size_t)1 << 24)

struct aril_kv {
    aril_session *session; /* held */
    struct arili_kv_scope scope;
    struct arili_record_scope seals, opens;
    aril_direction opens_direction;
    aril_kv_source source;
    bool once;
    const aril_executor *executor;
    struct arili_pins *pins; /* NULL: no slot blocks */
};

/* --- Life --------------------------------------------------------------------- */

static void kv_freep(aril_kv **kv)
{
    aril_kv_free(*kv);
}

static aril_status check_config(const aril_kv_config *config)
{
    ARILI_ENSURE(config->source == ARIL_KV_FROM_SELF || config->source == ARIL_KV_FROM_PEER,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(config->mode == ARIL_KV_REPEATABLE || config->mode == ARIL_KV_ONCE,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(config->slot_pins <= SLOT_PINS_MAX, ARIL_E_USAGE_RANGE);
    if (config->executor != NULL) {
        ARILI_ENSURE(config->executor->abi == ARIL_EXECUTOR_ABI, ARIL_E_USAGE_RANGE);
        ARILI_ENSURE(config->executor->run != NULL, ARIL_E_USAGE_NULL);
    }
    return ARIL_OK;
}

static aril_status make_pins(aril_kv *kv, size_t slot_pins)
{
    if (slot_pins == 0) {
        return ARIL_OK;
    }
    const struct arili_crypto *c = &kv->session->rt->crypto;
    uint64_t seed;
    ARILI_TRY(c->ops->random(c->provider, (uint8_t *)&seed, sizeof seed));
    return arili_pins_new(slot_pins, seed, &kv->pins);
}

aril_status aril_kv_new(aril_session *session, const aril_kv_config *config, aril_kv **ret_kv)
{
    ARILI_ENSURE(ret_kv != NULL, ARIL_E_USAGE_NULL);
    *ret_kv = NULL;
    ARILI_ENSURE(session != NULL && config != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_config(config));
    ARILI_TRY(arili_runtime_check(session->rt));
    ARILI_DEFER(kv_freep) aril_kv *kv = arili_alloc(sizeof *kv);
    ARILI_ENSURE(kv != NULL, ARIL_E_NOMEM);
    arili_session_hold(session);
    kv->session = session;
    kv->source = config->source;
    kv->once = config->mode == ARIL_KV_ONCE;
    kv->executor = config->executor;
    const aril_direction peer =
        session->sends == ARIL_TENANT_TO_SERVER ? ARIL_SERVER_TO_TENANT : ARIL_TENANT_TO_SERVER;
    kv->opens_direction = config->source == ARIL_KV_FROM_SELF ? session->sends : peer;
    kv->seals = (struct arili_record_scope){ .chain = &session->chain[session->sends],
                                             .use = ARILI_USE_KV,
                                             .tenant_tag = session->tenant_tag };
    kv->opens = kv->seals;
    kv->opens.chain = &session->chain[kv->opens_direction];
    ARILI_TRY(arili_kv_scope_make(&session->rt->crypto, session->profile->hash,
                                  aril_session_tenant(session), config->model, &config->layout,
                                  &kv->scope));
    ARILI_TRY(make_pins(kv, config->slot_pins));
    *ret_kv = ARILI_TAKE(kv);
    return ARIL_OK;
}

void aril_kv_free(aril_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    arili_pins_free(kv->pins);
    if (kv->session != NULL) {
        arili_session_drop(kv->session);
    }
    arili_free(kv, sizeof *kv);
}

aril_session *aril_kv_session(const aril_kv *kv)
{
    return kv != NULL ? kv->session : NULL;
}

aril_status aril_kv_forget_slot(aril_kv *kv, uint64_t slot, size_t *ret_forgotten)
{
    ARILI_ENSURE(kv != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(kv->pins != NULL, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(!arili_chain_forked(kv->opens.chain), ARIL_E_FORKED);
    const size_t n = arili_pins_forget(kv->pins, slot);
    if (ret_forgotten != NULL) {
        *ret_forgotten = n;
    }
    return ARIL_OK;
}

/* --- Items -------------------------------------------------------------------- */

static struct arili_record record_of(const aril_kv_item *item, const uint8_t *context)
{
    return (struct arili_record){ .spans = item->spans,
                                  .span_count = item->span_count,
                                  .body = item->body,
                                  .body_len = item->body_len,
                                  .seal = item->seal,
                                  .staging = item->staging,
                                  .in_place = (item->flags & ARIL_KV_IN_PLACE) != 0,
                                  .context = context,
                                  .context_len = ARILI_KV_CONTEXT_BYTES };
}

static aril_status check_item(const aril_kv *kv, const aril_kv_item *item)
{
    ARILI_TRY(arili_kv_block_check(item->block));
    ARILI_ENSURE((item->flags & ~(uint32_t)ARIL_KV_IN_PLACE) == 0, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(item->block->identity != ARIL_KV_SLOT || kv->pins != NULL, ARIL_E_USAGE_STATE);
    const struct arili_record r = record_of(item, NULL);
    return arili_record_check(&r);
}

/* --- Sealing ------------------------------------------------------------------ */

static aril_status seal_at(const aril_kv *kv, const aril_kv_item *item,
                           const struct arili_place *place)
{
    /* The pins are those of the records that the view opens: the other end pins what a view of
     * the peer's records seals, and the ages of two directions do not compare. */
    const bool pinned = item->block->identity == ARIL_KV_SLOT && kv->source == ARIL_KV_FROM_SELF;
    aril_status st = pinned ? arili_pins_reserve(kv->pins, item->block) : ARIL_OK;
    if (st != ARIL_OK) {
        arili_epoch_unused(place->epoch, item->body_len);
        return st;
    }
    uint8_t context[ARILI_KV_CONTEXT_BYTES];
    arili_kv_context_write(&kv->scope, item->block, context);
    const struct arili_record r = record_of(item, context);
    st = arili_record_seal(&kv->seals, &r, place);
    if (pinned && st == ARIL_OK) {
        arili_pins_sealed(kv->pins, item->block,
                          (struct arili_pin_age){ place->number, place->sequence });
    } else if (pinned) {
        arili_pins_unreserve(kv->pins, item->block);
    }
    return st;
}

static uint64_t one_length(const void *records, size_t i)
{
    (void)i;
    const aril_kv_item *item = records;
    return item->body_len;
}

static aril_status seal_reserved(const aril_kv *kv, const aril_kv_item *item,
                                 const struct arili_reservation *reserved)
{
    struct arili_contexts *contexts = kv->session->rt->contexts;
    struct arili_epoch *epoch = reserved->epoch;
    struct arili_context_lease lease;
    aril_status st = arili_contexts_get(contexts, epoch->uid, epoch->keys->key, &lease);
    if (st != ARIL_OK) {
        arili_epoch_unused(epoch, item->body_len);
        return st;
    }
    const struct arili_place place = { epoch, reserved->number, reserved->first, lease.ctx };
    st = seal_at(kv, item, &place);
    arili_contexts_put(contexts, &lease);
    return st;
}

static aril_status seal_one(aril_kv *kv, const aril_kv_item *item)
{
    ARILI_TRY(check_item(kv, item));
    uint64_t now;
    ARILI_TRY(arili_session_now(kv->session, &now));
    struct arili_reservation place;
    ARILI_TRY(arili_chain_reserve(kv->seals.chain, now, one_length, item, 1, &place));
    const aril_status st = seal_reserved(kv, item, &place);
    arili_epoch_unpin(kv->seals.chain, place.epoch);
    arili_session_tick(kv->session, now);
    return st;
}

aril_status aril_kv_seal(aril_kv *kv, aril_kv_item *item)
{
    ARILI_ENSURE(kv != NULL && item != NULL, ARIL_E_USAGE_NULL);
    item->status = seal_one(kv, item);
    return item->status;
}

/* --- Opening ------------------------------------------------------------------ */

static aril_status check_pin(const aril_kv *kv, const aril_kv_block *block,
                             const struct arili_seal_header *h)
{
    if (block->identity != ARIL_KV_SLOT) {
        return ARIL_OK;
    }
    const struct arili_pin_age age = { h->epoch, h->sequence };
    return kv->source == ARIL_KV_FROM_SELF ? arili_pins_check_self(kv->pins, block, age)
                                           : arili_pins_check_peer(kv->pins, block, age);
}

/* The tag is right: let the record count. On failure the caller wipes. */
static aril_status commit(const aril_kv *kv, const aril_kv_block *block, uint64_t now,
                          const struct arili_seal_header *h, struct arili_opening *opening)
{
    /* The pin first: a full table must not use up the one time that the record may be opened. */
    if (block->identity == ARIL_KV_SLOT && kv->source == ARIL_KV_FROM_PEER) {
        const struct arili_pin_age age = { h->epoch, h->sequence };
        ARILI_TRY(arili_pins_verified(kv->pins, block, age));
    }
    return arili_chain_verified(kv->opens.chain, now, h, kv->once, opening);
}

/* ret_header is filled as far as the seal could be read. */
static aril_status open_checked(const aril_kv *kv, const aril_kv_item *item, uint64_t now,
                                struct arili_seal_header *ret_header)
{
    uint8_t context[ARILI_KV_CONTEXT_BYTES];
    arili_kv_context_write(&kv->scope, item->block, context);
    const struct arili_record r = record_of(item, context);
    uint8_t seal[ARIL_SEAL_BYTES];
    ARILI_TRY(arili_chain_check(kv->opens.chain, now));
    ARILI_TRY(arili_record_header(&kv->opens, &r, seal, ret_header));
    struct arili_opening opening;
    ARILI_TRY(arili_chain_find(kv->opens.chain, now, ret_header, kv->once, &opening));
    aril_status st = check_pin(kv, item->block, ret_header);
    if (st == ARIL_OK) {
        st = arili_record_decrypt(&kv->opens, &r, seal, ret_header, &opening);
        if (st == ARIL_OK) {
            st = commit(kv, item->block, now, ret_header, &opening);
            if (st == ARIL_OK) {
                arili_record_publish(&r);
            } else {
                arili_record_wipe(&r);
            }
        }
    }
    arili_chain_release(kv->opens.chain, &opening);
    return st;
}

static aril_status open_at(const aril_kv *kv, const aril_kv_item *item, uint64_t now)
{
    ARILI_TRY(check_item(kv, item));
    struct arili_seal_header h = { 0 };
    const aril_status st = open_checked(kv, item, now, &h);
    if (st != ARIL_OK) {
        arili_session_refused(kv->session, kv->opens_direction, st, &h);
    }
    return st;
}

aril_status aril_kv_open(aril_kv *kv, aril_kv_item *item)
{
    ARILI_ENSURE(kv != NULL && item != NULL, ARIL_E_USAGE_NULL);
    uint64_t now;
    item->status = arili_session_now(kv->session, &now);
    if (item->status == ARIL_OK) {
        item->status = open_at(kv, item, now);
        arili_session_tick(kv->session, now);
    }
    return item->status;
}

/* --- Batches ------------------------------------------------------------------ */

struct run {
    aril_kv *kv;
    aril_kv_item *items;
    uint64_t now;
};

static uint64_t run_length(const void *records, size_t i)
{
    const struct run *run = records;
    return run->items[i].status == ARIL_OK ? run->items[i].body_len : 0;
}

static void run_seal(void *items, size_t i, const struct arili_place *place)
{
    const struct run *run = items;
    aril_kv_item *item = &run->items[i];
    if (item->status != ARIL_OK) {
        arili_epoch_unused(place->epoch, 0); /* refused beforehand: its place stays empty */
        return;
    }
    item->status = seal_at(run->kv, item, place);
}

static void run_refuse(void *items, size_t i, aril_status why)
{
    const struct run *run = items;
    if (run->items[i].status == ARIL_OK) {
        run->items[i].status = why;
    }
}

static void run_open(void *arg, size_t first, size_t end)
{
    const struct run *run = arg;
    for (size_t i = first; i < end; i++) {
        run->items[i].status = open_at(run->kv, &run->items[i], run->now);
    }
}

static aril_status check_batch(const aril_kv *kv, const aril_kv_item *items, size_t count)
{
    ARILI_ENSURE(kv != NULL && (items != NULL || count == 0), ARIL_E_USAGE_NULL);
    ARILI_ENSURE(count <= ARIL_BATCH_MAX, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

static aril_status sum_up(const aril_kv_item *items, size_t count, size_t *ret_failed)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        failed += items[i].status != ARIL_OK;
    }
    if (ret_failed != NULL) {
        *ret_failed = failed;
    }
    ARILI_ENSURE(failed == 0, ARIL_E_BATCH);
    return ARIL_OK;
}

static void fail_all(aril_kv_item *items, size_t count, aril_status why)
{
    for (size_t i = 0; i < count; i++) {
        items[i].status = why;
    }
}

aril_status aril_kv_seal_batch(aril_kv *kv, aril_kv_item *items, size_t count, size_t *ret_failed)
{
    ARILI_TRY(check_batch(kv, items, count));
    struct run run = { .kv = kv, .items = items };
    const aril_status st = arili_session_now(kv->session, &run.now);
    if (st != ARIL_OK) {
        fail_all(items, count, st);
        return sum_up(items, count, ret_failed);
    }
    for (size_t i = 0; i < count; i++) {
        items[i].status = check_item(kv, &items[i]);
    }
    const struct arili_batch batch = { .chain = kv->seals.chain,
                                       .executor = kv->executor,
                                       .items = &run,
                                       .count = count,
                                       .length = run_length,
                                       .seal = run_seal,
                                       .refuse = run_refuse };
    arili_batch_seal(&batch, run.now);
    arili_session_tick(kv->session, run.now);
    return sum_up(items, count, ret_failed);
}

aril_status aril_kv_open_batch(aril_kv *kv, aril_kv_item *items, size_t count, size_t *ret_failed)
{
    ARILI_TRY(check_batch(kv, items, count));
    struct run run = { .kv = kv, .items = items };
    const aril_status st = arili_session_now(kv->session, &run.now);
    if (st != ARIL_OK) {
        fail_all(items, count, st);
        return sum_up(items, count, ret_failed);
    }
    /* The threads of a pool do not exist in a forked child, where every item is refused. */
    const aril_executor *executor = arili_chain_forked(kv->opens.chain) ? NULL : kv->executor;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count && executor != NULL; i++) {
        /* Unchecked lengths: they only decide how the work is cut. */
        bytes += items[i].body_len <= ARIL_BODY_BYTES_MAX ? items[i].body_len : 0;
    }
    arili_batch_run(executor, count, bytes, run_open, &run);
    arili_session_tick(kv->session, run.now);
    return sum_up(items, count, ret_failed);
}
