/* SPDX-License-Identifier: Apache-2.0 */
#include "session_model.h"
#include "check.h"
#include <stdlib.h>
#include <string.h>

/* --- Chains ---------------------------------------------------------------------- */

static void epoch_begin(struct model_chain *c, uint32_t number, uint64_t now_ns)
{
    if (number >= c->cap) {
        const size_t cap = c->cap == 0 ? 64 : 2 * c->cap;
        struct model_epoch *more = realloc(c->epochs, cap * sizeof *more);
        assert_non_null(more);
        c->epochs = more;
        c->cap = cap;
    }
    c->epochs[number] = (struct model_epoch){ .readable = true, .born_ns = now_ns, .next = 1 };
    c->newest = number;
}

static void epoch_end(struct model_chain *c, uint32_t number)
{
    struct model_epoch *e = &c->epochs[number];
    if (e->readable) {
        e->readable = false;
        c->retirements++;
        free(e->opened);
        e->opened = NULL;
    }
}

void model_chain_init(struct model_chain *c, const aril_policy *policy, uint64_t id, bool seals,
                      uint64_t now_ns)
{
    *c = (struct model_chain){ .policy = *policy, .id = id, .seals = seals };
    epoch_begin(c, 0, now_ns);
}

void model_chain_done(struct model_chain *c)
{
    model_chain_end(c);
    free(c->epochs);
    *c = (struct model_chain){ 0 };
}

static void retire_through(struct model_chain *c, uint32_t last)
{
    for (uint32_t n = c->oldest; n <= last; n++) {
        epoch_end(c, n);
        c->oldest = n + 1;
    }
}

void model_chain_rotate(struct model_chain *c, uint64_t now_ns)
{
    const uint32_t number = c->newest + 1;
    epoch_begin(c, number, now_ns);
    c->rotations++;
    if (number >= c->policy.readable_epochs) {
        retire_through(c, number - c->policy.readable_epochs);
    }
}

aril_status model_chain_retire(struct model_chain *c, uint64_t now_ns, uint32_t epoch)
{
    if (epoch > c->newest) {
        return ARIL_E_USAGE_RANGE;
    }
    if (epoch == c->newest) {
        model_chain_rotate(c, now_ns);
    }
    retire_through(c, epoch);
    return ARIL_OK;
}

void model_chain_end(struct model_chain *c)
{
    if (c->epochs != NULL) {
        retire_through(c, c->newest);
    }
}

/* How many of the records the newest epoch has room for. */
static size_t fitting(const struct model_chain *c, const uint64_t *lengths, size_t count)
{
    const struct model_epoch *e = &c->epochs[c->newest];
    uint64_t sequence = e->next;
    uint64_t bytes = e->bytes;
    size_t n = 0;
    while (n < count && sequence <= c->policy.rotate_records &&
           bytes + lengths[n] <= c->policy.rotate_bytes) {
        bytes += lengths[n++];
        sequence++;
    }
    return n;
}

size_t model_chain_reserve(struct model_chain *c, uint64_t now_ns, const uint64_t *lengths,
                           size_t count, uint32_t *ret_epoch, uint64_t *ret_first)
{
    if (lengths[0] > c->policy.rotate_bytes) {
        return 0;
    }
    const struct model_epoch *newest = &c->epochs[c->newest];
    if (now_ns - newest->born_ns >= c->policy.rotate_after_s * MODEL_NS_PER_S ||
        fitting(c, lengths, 1) == 0) {
        model_chain_rotate(c, now_ns);
    }
    struct model_epoch *e = &c->epochs[c->newest];
    const size_t n = fitting(c, lengths, count);
    *ret_epoch = c->newest;
    *ret_first = e->next;
    e->next += n;
    c->records_sealed += n;
    for (size_t i = 0; i < n; i++) {
        e->bytes += lengths[i];
        c->bytes_sealed += lengths[i];
    }
    return n;
}

void model_chain_unused(struct model_chain *c, uint32_t epoch, uint64_t length)
{
    c->epochs[epoch].bytes -= length;
    c->records_sealed--;
    c->bytes_sealed -= length;
}

/* --- Pins ------------------------------------------------------------------------ */

static bool older(uint32_t epoch_a, uint64_t sequence_a, uint32_t epoch_b, uint64_t sequence_b)
{
    return epoch_a < epoch_b || (epoch_a == epoch_b && sequence_a < sequence_b);
}

static const struct model_pin *find_pin(const struct model_pins *p, const aril_kv_block *b)
{
    for (size_t i = 0; i < p->count; i++) {
        const aril_kv_block *a = &p->pins[i].place;
        if (a->slot == b->slot && a->position == b->position && a->layer_first == b->layer_first &&
            a->rank == b->rank && a->group == b->group) {
            return &p->pins[i];
        }
    }
    return NULL;
}

bool model_pins_fit(const struct model_pins *p, const aril_kv_block *block)
{
    return find_pin(p, block) != NULL || p->count < p->capacity;
}

void model_pins_set(struct model_pins *p, const aril_kv_block *block, uint32_t epoch,
                    uint64_t sequence)
{
    const struct model_pin *found = find_pin(p, block);
    struct model_pin *pin = found != NULL ? &p->pins[found - p->pins] : &p->pins[p->count++];
    if (found == NULL || older(pin->epoch, pin->sequence, epoch, sequence)) {
        *pin = (struct model_pin){ .place = *block, .epoch = epoch, .sequence = sequence };
    }
}

size_t model_pins_forget(struct model_pins *p, uint64_t slot)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct model_pin pin = p->pins[i];
        if (pin.place.slot != slot) {
            p->pins[kept++] = pin;
        } else if (older(p->floor_epoch, p->floor_sequence, pin.epoch, pin.sequence)) {
            p->floor_epoch = pin.epoch;
            p->floor_sequence = pin.sequence;
        }
    }
    const size_t forgotten = p->count - kept;
    p->count = kept;
    return forgotten;
}

static aril_status check_pin(const struct model_view *v, const struct model_shown *r)
{
    const struct model_pin *pin = find_pin(&v->pins, r->block);
    if (r->block->identity != ARIL_KV_SLOT) {
        return ARIL_OK;
    }
    if (!v->from_peer) {
        const bool newest = pin != NULL && pin->epoch == r->epoch && pin->sequence == r->sequence;
        return newest ? ARIL_OK : ARIL_E_REPLAY_STALE;
    }
    const bool stale =
        pin != NULL ? older(r->epoch, r->sequence, pin->epoch, pin->sequence)
                    : !older(v->pins.floor_epoch, v->pins.floor_sequence, r->epoch, r->sequence);
    if (stale) {
        return ARIL_E_REPLAY_STALE;
    }
    return model_pins_fit(&v->pins, r->block) ? ARIL_OK : ARIL_E_LIMIT_PINS;
}

/* --- Opening --------------------------------------------------------------------- */

static bool seen(const struct model_chain *c, uint32_t epoch, uint64_t sequence)
{
    const struct model_epoch *e = &c->epochs[epoch];
    if (e->opened == NULL || sequence > e->top) {
        return false;
    }
    return e->top - sequence >= MODEL_WINDOW || e->opened[sequence];
}

bool model_left_window(const struct model_chain *c, const struct model_shown *r)
{
    const struct model_epoch *e = &c->epochs[r->epoch];
    return seen(c, r->epoch, r->sequence) && !e->opened[r->sequence];
}

static void mark(struct model_chain *c, uint32_t epoch, uint64_t sequence)
{
    struct model_epoch *e = &c->epochs[epoch];
    if (e->opened == NULL) {
        e->opened = calloc(c->policy.rotate_records + 1, sizeof *e->opened);
        assert_non_null(e->opened);
    }
    e->opened[sequence] = true;
    e->top = sequence > e->top ? sequence : e->top;
}

static bool same_key(const struct model_chain *c, const struct model_shown *r)
{
    return r->chain_id == c->id && r->key_epoch == r->epoch;
}

/* What the seal and the state say before any cryptography. */
static aril_status check_key(const struct model_view *v, const struct model_shown *r)
{
    const struct model_chain *c = v->chain;
    if (r->epoch > c->newest) {
        if (c->seals) {
            return ARIL_E_KEY_UNKNOWN;
        }
        if (r->epoch - c->newest > ARIL_EPOCHS_AHEAD_MAX) {
            return ARIL_E_KEY_FUTURE;
        }
        return !same_key(c, r) ? ARIL_E_KEY_UNKNOWN : ARIL_OK;
    }
    if (!c->epochs[r->epoch].readable) {
        return ARIL_E_KEY_RETIRED;
    }
    if (!same_key(c, r)) {
        return ARIL_E_KEY_UNKNOWN;
    }
    return v->once && seen(c, r->epoch, r->sequence) ? ARIL_E_REPLAY : ARIL_OK;
}

static aril_status check(const struct model_view *v, const struct model_shown *r)
{
    if (r->format != ARIL_OK) {
        return r->format;
    }
    if (!r->of_kv) {
        return ARIL_E_FORMAT_KIND;
    }
    if (!r->tenant) {
        return ARIL_E_ISOLATION;
    }
    if (!r->length) {
        return ARIL_E_FORMAT_LENGTH;
    }
    if (r->direction != v->direction) {
        return ARIL_E_AUTH;
    }
    aril_status st = check_key(v, r);
    st = st != ARIL_OK ? st : check_pin(v, r);
    return st != ARIL_OK || r->genuine ? st : ARIL_E_AUTH;
}

aril_status model_open(struct model_view *v, uint64_t now_ns, const struct model_shown *r)
{
    struct model_chain *c = v->chain;
    const aril_status st = check(v, r);
    if (st != ARIL_OK) {
        c->refused++;
        return st;
    }
    while (c->newest < r->epoch) {
        model_chain_rotate(c, now_ns);
    }
    if (v->once) {
        mark(c, r->epoch, r->sequence);
    }
    if (v->from_peer && r->block->identity == ARIL_KV_SLOT) {
        model_pins_set(&v->pins, r->block, r->epoch, r->sequence);
    }
    c->records_opened++;
    c->bytes_opened += r->bytes;
    return ARIL_OK;
}
