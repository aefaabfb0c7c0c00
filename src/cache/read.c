/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/read.h"
#include "base/ensure.h"
#include "keyring/keyring.h"

#define NS_PER_MS UINT64_C(1000000)
/* Padding to blocks adds less than one block. */
#define PAD_SLACK ((uint64_t)1 << 20)
#define KEY_ID_AT 40u
#define FLAGS_AT  3u
/* From here on an executor pays. */
#define PARALLEL_BYTES ((uint64_t)4 << 20)

/* --- Judging -------------------------------------------------------------------------------- */

static aril_cache_outcome outcome_of(aril_status st, bool from_store)
{
    if (st == ARIL_OK) {
        return ARIL_CACHE_HIT;
    }
    if (st == ARIL_E_EXPIRED_VALUE || st == ARIL_E_REPLAY_SUPERSEDED || st == ARIL_E_LIMIT ||
        st == ARIL_E_USAGE_TOO_SMALL || (st == ARIL_E_NOT_FOUND && from_store)) {
        return ARIL_CACHE_MISS;
    }
    if (from_store || st == ARIL_E_KEY_LOCKED) {
        return ARIL_CACHE_DOWN;
    }
    switch (aril_status_class(st)) {
    case ARIL_E_AUTH:
    case ARIL_E_FORMAT:
    case ARIL_E_ISOLATION:
        return ARIL_CACHE_TAMPERED;
    case ARIL_E_KEY:
    case ARIL_E_NOT_FOUND: /* no such tenant */
        return ARIL_CACHE_KEY_GONE;
    default:
        return ARIL_CACHE_DOWN;
    }
}

static bool fails_closed(const aril_cache_policy *p, aril_cache_outcome outcome)
{
    switch (outcome) {
    case ARIL_CACHE_KEY_GONE:
        return p->on_key_gone == ARIL_CACHE_FAIL_CLOSED;
    case ARIL_CACHE_TAMPERED:
        return p->on_tamper == ARIL_CACHE_FAIL_CLOSED;
    case ARIL_CACHE_DOWN:
        return p->on_store_down == ARIL_CACHE_FAIL_CLOSED;
    default:
        return false;
    }
}

void arili_reading_judge(aril_cache_item *item, const struct arili_policy *policy, aril_status st,
                         bool from_store)
{
    item->result.status = st;
    item->result.outcome = outcome_of(st, from_store);
    if (st == ARIL_OK || st == ARIL_E_USAGE_TOO_SMALL || st == ARIL_E_NOMEM) {
        item->status = st;
    } else {
        item->status = policy != NULL && fails_closed(&policy->said, item->result.outcome)
                           ? st
                           : ARIL_E_NOT_FOUND;
    }
}

/* --- Opening native values ------------------------------------------------------------------ */

/* Where the plaintext goes. */
static aril_status find_room(struct arili_reading *r, uint64_t len)
{
    const aril_span buffer = r->item->buffer;
    r->item->result.len = (size_t)len;
    if (buffer.data != NULL) {
        ARILI_ENSURE(len <= buffer.len, ARIL_E_USAGE_TOO_SMALL);
        r->out = (aril_span){ buffer.data, (size_t)len };
        return ARIL_OK;
    }
    uint8_t *data = arili_alloc(len > 0 ? (size_t)len : 1);
    ARILI_ENSURE(data != NULL, ARIL_E_NOMEM);
    r->out = (aril_span){ data, (size_t)len };
    r->allocated = true;
    return ARIL_OK;
}

/* Its key, by id; and whether that is the one that seals now. */
static aril_status find_key(struct arili_reading *r, const uint8_t id[ARIL_KEY_ID_BYTES])
{
    aril_keyring *kr = r->cache->keyring;
    const aril_bytes tenant = r->item->key.tenant;
    ARILI_TRY(aril_keyring_key_by_id(kr, tenant, id, &r->key, NULL));
    ARILI_ENSURE(aril_tenant_key_purpose(r->key) == ARIL_KEY_DATA, ARIL_E_KEY_UNKNOWN);
    r->old_key = !arili_tenant_key_is_active(kr, r->key);
    return ARIL_OK;
}

static aril_status open_begin(struct arili_reading *r, const uint8_t *stored, size_t stored_bytes)
{
    struct arili_value_header h;
    ARILI_TRY(arili_value_parse((aril_bytes){ stored, stored_bytes }, &h));
    ARILI_ENSURE(h.generation >= atomic_load(&r->scope->generation), ARIL_E_REPLAY_SUPERSEDED);
    ARILI_ENSURE(r->now_ms < h.not_after_ms, ARIL_E_EXPIRED_VALUE);
    ARILI_TRY(find_key(r, h.key_id));
    arili_value_open_begin(&r->opening, r->cache->rt, r->key, stored, &h, r->place.context);
    r->opening.executor = r->cache->executor;
    if ((h.flags & ARILI_VALUE_TRAILER) == 0) {
        ARILI_TRY(find_room(r, h.body_bytes));
        r->opening.out = r->out.data;
    }
    r->begun = true;
    return ARIL_OK;
}

/* The whole value is there. */
static aril_status open_whole(struct arili_reading *r, aril_bytes stored, aril_error *error)
{
    const aril_status st = open_begin(r, stored.data, stored.len);
    if (st == ARIL_E_USAGE_TOO_SMALL) {
        ARILI_TRY(arili_value_open_length(&r->opening, stored));
    }
    ARILI_TRY(st);
    if ((r->opening.header.flags & ARILI_VALUE_TRAILER) != 0) {
        ARILI_TRY(arili_value_open_trailer(&r->opening, stored));
        ARILI_TRY(
            arili_tags_check(r->cache, &r->item->key, &r->opening.trailer, &r->until_ns, error));
        ARILI_TRY(find_room(r, r->opening.trailer.value_bytes));
        r->opening.out = r->out.data;
    }
    return arili_value_open_end(&r->opening, stored);
}

/* Give up what was opened so far, verified or not. */
static void forget(struct arili_reading *r)
{
    if (r->begun) {
        arili_forgive(arili_value_open_done(&r->opening)); /* only for what it gives back */
    }
    if (r->out.data != NULL) {
        arili_wipe(r->out.data, r->out.len);
    }
    if (r->allocated) {
        arili_free(r->out.data, r->out.len);
        r->allocated = false;
    }
    r->out = (aril_span){ NULL, 0 };
    aril_tenant_key_put(r->key);
    r->key = NULL;
    r->begun = r->in_pieces = r->staged = false;
    r->came = 0;
}

static aril_status take_stage(struct arili_reading *r, uint64_t len)
{
    ARILI_ENSURE(len <= r->stored_max, ARIL_E_LIMIT);
    return arili_staging_take(r->cache->staging, len > 0 ? (size_t)len : 1, &r->stage);
}

static uint8_t *stage_room(void *user, size_t len)
{
    struct arili_reading *r = user;
    forget(r); /* a store that asks twice tries again */
    arili_staging_give(r->cache->staging, &r->stage);
    r->refused = take_stage(r, len);
    return r->refused == ARIL_OK ? r->stage.data : NULL;
}

/* The header is there: is the value opened as it comes, or has it to be whole? Long ones are opened
 * by several threads where there are some; trailers are at the end; evidence is the whole value; of
 * one that has no room only the length is told, which its last segment has to prove. */
static aril_status choose_way(struct arili_reading *r, uint64_t total)
{
    const uint64_t most = arili_value_stored_bytes(r->item->buffer.len);
    const bool whole = (r->header[FLAGS_AT] & ARILI_VALUE_TRAILER) != 0 ||
                       (r->item->buffer.data != NULL && total > most) ||
                       (r->cache->executor != NULL && total > PARALLEL_BYTES) ||
                       r->scope->policy->said.evidence;
    if (!whole) {
        return open_begin(r, r->header, (size_t)total);
    }
    ARILI_TRY(take_stage(r, total));
    memcpy(r->stage.data, r->header, sizeof r->header);
    r->staged = true;
    return ARIL_OK;
}

static aril_status begin_pieces(struct arili_reading *r, uint64_t total)
{
    forget(r);
    arili_staging_give(r->cache->staging, &r->stage);
    ARILI_ENSURE(total <= r->stored_max, ARIL_E_LIMIT);
    r->in_pieces = true;
    if (total < sizeof r->header) { /* the parser says what it is */
        ARILI_TRY(take_stage(r, total));
        r->staged = true;
    }
    return ARIL_OK;
}

static aril_status take_piece(struct arili_reading *r, uint64_t total, uint64_t offset,
                              aril_bytes piece)
{
    if (offset == 0) {
        ARILI_TRY(begin_pieces(r, total));
    }
    ARILI_ENSURE(r->in_pieces && offset == r->came && piece.len <= total - offset, ARIL_E_FORMAT);
    if (!r->staged && r->came < sizeof r->header) {
        const size_t left = sizeof r->header - r->came;
        const size_t len = piece.len < left ? piece.len : left;
        memcpy(r->header + r->came, piece.data, len);
        r->came += len;
        piece = (aril_bytes){ piece.data + len, piece.len - len };
        if (len < left) {
            return ARIL_OK;
        }
        ARILI_TRY(choose_way(r, total));
    }
    if (r->staged && piece.len > 0) {
        memcpy(r->stage.data + r->came, piece.data, piece.len); /* within total: checked above */
    } else {
        ARILI_TRY(arili_value_open_piece(&r->opening, piece));
    }
    r->came += piece.len;
    return ARIL_OK;
}

/* aril_store_item.take */
static int take(void *user, uint64_t total, uint64_t offset, aril_bytes piece)
{
    struct arili_reading *r = user;
    r->refused = take_piece(r, total, offset, piece);
    return r->refused != ARIL_OK;
}

/* --- From begin to end ---------------------------------------------------------------------- */

aril_status arili_reading_begin(struct arili_reading *r, aril_cache *cache, aril_cache_item *item,
                                struct arili_scope *scope, uint64_t now_ns, aril_error *error)
{
    const aril_cache_policy *p = &scope->policy->said;
    *r = (struct arili_reading){
        .cache = cache, .item = item, .scope = scope, .now_ns = now_ns, .until_ns = UINT64_MAX
    };
    r->epoch = atomic_load(&scope->epoch);
    ARILI_TRY(arili_cache_now(cache, NULL, &r->now_ms));
    ARILI_TRY(arili_cache_place(cache, scope, &item->key, &r->place, error));
    r->ticket = arili_l1_ticket(cache->l1, &item->key);
    const struct arili_value_plan longest =
        arili_value_plan(p->value_max, ARIL_CACHE_TAGS_MAX, ARIL_CACHE_PAD_PADME, 0);
    r->stored_max = arili_value_stored_bytes(longest.body_bytes + PAD_SLACK);
    return ARIL_OK;
}

void arili_reading_item(struct arili_reading *r, aril_store_item *ret)
{
    *ret = (aril_store_item){ .name = { (const uint8_t *)r->place.name, r->place.name_len },
                              .take = take,
                              .room = stage_room,
                              .user = r };
}

struct arili_l1_meta arili_l1_meta_of(const struct arili_scope *scope, uint64_t epoch,
                                      uint64_t now_ns, uint64_t now_ms, uint64_t created_ms,
                                      uint64_t not_after_ms, uint64_t generation)
{
    const aril_cache_policy *p = &scope->policy->said;
    const uint64_t left = not_after_ms > now_ms ? not_after_ms - now_ms : 0;
    const bool alone = (p->tiers & ARIL_CACHE_L2) == 0; /* there is no store to ask */
    const uint64_t life = alone || left < p->l1_ttl_ms ? left : p->l1_ttl_ms;
    const uint64_t fresh = left > p->stale_ms ? left - p->stale_ms : 0;
    return (struct arili_l1_meta){ .created_ms = created_ms,
                                   .not_after_ms = not_after_ms,
                                   .generation = generation,
                                   .until_ns = now_ns + life * NS_PER_MS,
                                   .stale_ns =
                                       p->stale_ms > 0 ? now_ns + fresh * NS_PER_MS : UINT64_MAX,
                                   .epoch = epoch,
                                   .format = ARIL_CACHE_NATIVE };
}

static void keep_in_l1(struct arili_reading *r)
{
    const struct arili_value_header *h = &r->opening.header;
    const aril_cache_policy *p = &r->scope->policy->said;
    if ((p->tiers & ARIL_CACHE_L1) == 0 || r->out.len > p->l1_value_max) {
        return;
    }
    struct arili_l1_meta meta = arili_l1_meta_of(r->scope, r->epoch, r->now_ns, r->now_ms,
                                                 h->created_ms, h->not_after_ms, h->generation);
    meta.old_key = r->old_key;
    meta.until_ns = r->until_ns < meta.until_ns ? r->until_ns : meta.until_ns;
    arili_l1_put_if(r->cache->l1, &r->item->key, (aril_bytes){ r->out.data, r->out.len }, &meta,
                    r->ticket);
}

/* Say what was refused, and hand it out for who investigates. */
static void tell_refusal(const struct arili_reading *r, aril_status st, aril_bytes stored)
{
    const aril_cache *cache = r->cache;
    if (st != ARIL_E_ISOLATION) { /* that the keyring has told, with both tenants */
        arili_cache_tell(cache, ARIL_EVENT_AUTH_FAILURE, st, "cache-get", &r->item->key,
                         stored.len >= ARILI_VALUE_HEADER_BYTES ? stored.data + KEY_ID_AT : NULL);
    }
    if (r->scope->policy->said.evidence && cache->evidence != NULL) {
        cache->evidence(cache->user, &r->item->key,
                        (aril_bytes){ (const uint8_t *)r->place.name, r->place.name_len }, stored,
                        st);
    }
}

static void fill_hit(struct arili_reading *r)
{
    aril_cache_result *result = &r->item->result;
    const struct arili_value_header *h = &r->opening.header;
    const uint64_t stale_ms = r->scope->policy->said.stale_ms;
    result->tier = ARIL_CACHE_L2;
    result->format = ARIL_CACHE_NATIVE;
    result->old_key = r->old_key;
    result->len = r->out.len;
    result->created_ms = h->created_ms;
    result->not_after_ms = h->not_after_ms;
    result->stale = stale_ms > 0 && r->now_ms + stale_ms >= h->not_after_ms;
    if (r->allocated) {
        r->item->buffer = r->out;
        r->allocated = false;
    }
}

static void release(struct arili_reading *r)
{
    arili_staging_give(r->cache->staging, &r->stage);
    aril_tenant_key_put(r->key);
    r->key = NULL;
}

void arili_reading_end(struct arili_reading *r, const aril_store_item *stored, aril_error *error)
{
    const bool ours = stored->status == ARIL_E_LIMIT && r->refused != ARIL_OK;
    const bool from_store = stored->status != ARIL_OK && !ours;
    const bool has_header = r->in_pieces && !r->staged && r->came >= sizeof r->header;
    aril_status st = ours ? r->refused : stored->status;
    aril_bytes bytes = { stored->data, stored->len };
    if (r->staged) {
        bytes = (aril_bytes){ r->stage.data, r->came };
    }
    if (st == ARIL_OK) {
        st = r->in_pieces && !r->staged ? arili_value_open_done(&r->opening)
                                        : open_whole(r, bytes, error);
    }
    if (st == ARIL_OK) {
        keep_in_l1(r);
        fill_hit(r);
    } else {
        if (has_header) {
            bytes = (aril_bytes){ r->header, sizeof r->header };
        }
        forget(r); /* also what was verified: the rest never came */
    }
    arili_reading_judge(r->item, r->scope->policy, st, from_store);
    if (r->item->result.outcome == ARIL_CACHE_TAMPERED || st == ARIL_E_KEY_UNKNOWN) {
        tell_refusal(r, st, bytes);
    }
    release(r);
}
