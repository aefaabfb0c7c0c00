/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_run.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ring_tenants[4] = { "t0", "t1", "t2", "big" };
const char *const ring_owners[5] = { "t0", "t1", "t2", "big", "m0" };
const char *const ring_labels[3] = { "", "x", "y" };

struct keyring_run ring;

uint64_t ring_draw(void)
{
    uint64_t z = ring.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
uint64_t ring_below(uint64_t n)
{
    return ring_draw() % n;
}
bool ring_one_in(uint64_t n)
{
    return ring_below(n) == 0;
}
uint64_t ring_unix_s(void)
{
    return ring.world.clock.unix_s;
}

void ring_count(aril_status st)
{
    size_t i = 0;
    while (ring.met_count[i] > 0 && ring.met[i] != st) {
        i++;
    }
    ring.met[i] = st;
    ring.met_count[i]++;
}

static int stop(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return ring.stop_at != 0 && ++ring.progress == ring.stop_at;
}

/* --- Handles ------------------------------------------------------------------------------- */

static void forget_store(struct side *s, size_t at)
{
    if (s->faulty[at] != NULL) {
        faulty_store_free(s->faulty[at]);
        s->faulty[at] = NULL;
    }
}

static struct arili_store faulty_over(struct keyring_home *h)
{
    struct side *s = h->user;
    struct faulty_store *f = faulty_store_new(memory_store(h->backing, h->capabilities));
    if (s->faulty[0] != NULL && faulty_store_closed(s->faulty[0])) {
        forget_store(s, 0); /* it was for making the keyring */
    }
    const size_t at = s->faulty[0] == NULL ? 0 : 1;
    assert_null(s->faulty[at]);
    s->faulty[at] = f;
    return faulty_store_store(f);
}

static void close_second(struct side *s)
{
    if (s->second.kr != NULL) {
        handle_close(&s->second);
        forget_store(s, 1);
    }
}

static void close_all(struct side *s)
{
    close_second(s);
    home_close(&s->home);
    forget_store(s, 0);
}

void side_reopen(struct side *s)
{
    close_all(s);
    home_open(&s->home);
}

void side_init(struct side *s, const char *name)
{
    *s = (struct side){ .is_open = true };
    home_init(&s->home, &ring.world, name,
              ring_one_in(4) ? ARIL_KEYSTORE_DESTROY : MEMORY_STORE_ALL);
    s->home.store = faulty_over;
    s->home.user = s;
    s->home.config.progress = stop;
    s->model = malloc(sizeof *s->model);
    assert_non_null(s->model);
}

void side_done(struct side *s)
{
    if (s->is_open) {
        close_all(s);
        home_done(&s->home);
        free(s->model);
        s->is_open = false;
    }
}

/* --- Comparing ----------------------------------------------------------------------------- */

struct comparing {
    struct km_ring *r;
    size_t at;
    uint8_t (*parents)[ARIL_KEY_ID_BYTES];
    uint64_t now;
};

static int compare_key(void *user, const aril_key_info *info)
{
    struct comparing *c = user;
    ring_demand(c->at < c->r->count, "there are more keys than the model has");
    struct km_key *k = &c->r->keys[c->at];
    ring_demand(
        info->purpose == k->purpose && info->version == k->version &&
            info->owner.len == strlen(k->owner) &&
            memcmp(info->owner.data, k->owner, info->owner.len) == 0 &&
            info->label.len == strlen(k->label) &&
            (info->label.len == 0 || memcmp(info->label.data, k->label, info->label.len) == 0),
        "key %zu is %s of %.*s, version %u, not %s of %s, version %u", c->at,
        aril_key_purpose_name(info->purpose), (int)info->owner.len, (const char *)info->owner.data,
        (unsigned)info->version, aril_key_purpose_name(k->purpose), k->owner, (unsigned)k->version);
    const aril_key_state state = km_state(c->r, c->at, c->now);
    ring_demand(info->state == state, "%s of %s/%s, version %u is %s, not %s",
                aril_key_purpose_name(k->purpose), k->owner, k->label, (unsigned)k->version,
                aril_key_state_name(info->state), aril_key_state_name(state));
    ring_demand(info->created_s == k->created_s && info->activates_s == k->activates_s &&
                    info->rotate_by_s == k->rotate_by_s && info->not_after_s == k->not_after_s,
                "%s of %s/%s, version %u has other dates", aril_key_purpose_name(k->purpose),
                k->owner, k->label, (unsigned)k->version);
    if (!k->has_id) {
        memcpy(k->id, info->id, sizeof k->id);
        k->has_id = true;
    }
    ring_demand(memcmp(k->id, info->id, sizeof k->id) == 0,
                "%s of %s/%s, version %u has another id", aril_key_purpose_name(k->purpose),
                k->owner, k->label, (unsigned)k->version);
    memcpy(c->parents[c->at], info->parent, sizeof info->parent);
    c->at++;
    return 0;
}

static void compare_parents(const struct comparing *c)
{
    static const uint8_t zeros[ARIL_KEY_ID_BYTES];
    for (size_t i = 0; i < c->r->count; i++) {
        const struct km_key *k = &c->r->keys[i];
        if (k->state != ARIL_KEY_DESTROYED) {
            const size_t parent = km_parent(c->r, i);
            const uint8_t *want = parent == c->r->count ? zeros : c->r->keys[parent].id;
            ring_demand(memcmp(c->parents[i], want, ARIL_KEY_ID_BYTES) == 0,
                        "%s of %s/%s, version %u is wrapped by another key",
                        aril_key_purpose_name(k->purpose), k->owner, k->label,
                        (unsigned)k->version);
        }
    }
}

static void compare_info(const struct km_ring *r, aril_keyring *kr)
{
    const aril_keyring_info info = keyring_info(kr);
    ring_demand(info.revision == r->revision, "revision %" PRIu64 ", not %" PRIu64, info.revision,
                r->revision);
    ring_demand(info.generation == r->generation, "generation %" PRIu64 ", not %" PRIu64,
                info.generation, r->generation);
    ring_demand(info.bundle_version == r->bundle_version,
                "bundle version %" PRIu64 ", not %" PRIu64, info.bundle_version, r->bundle_version);
    ring_demand(info.locked == r->locked && info.rotation_pending == r->rotating,
                "locked %d, rotation pending %d", info.locked, info.rotation_pending);
    ring_demand(info.clock_behind_s ==
                    (ring_unix_s() < r->clock_s ? r->clock_s - ring_unix_s() : 0),
                "the clock is behind by %" PRIu64, info.clock_behind_s);
    size_t revoked = 0;
    for (size_t i = 0; i < r->node_count; i++) {
        revoked += r->nodes[i].revoked;
    }
    ring_demand(info.nodes + info.nodes_revoked == r->node_count && info.nodes_revoked == revoked,
                "%zu nodes, %zu revoked", info.nodes, info.nodes_revoked);
}

static int compare_shred(void *user, const aril_shred_info *info)
{
    const struct km_ring *r = user;
    size_t i = 0;
    while (i < r->tomb_count &&
           strncmp(r->tombs[i].tenant, (const char *)info->tenant.data, info->tenant.len) != 0) {
        i++;
    }
    ring_demand(i < r->tomb_count && info->keys == r->tombs[i].keys, "another shred");
    bool open = false;
    for (size_t k = 0; k < r->count; k++) {
        open = open ||
               (r->keys[k].purpose == ARIL_KEY_ROOT && r->keys[k].version == r->tombs[i].root &&
                r->keys[k].state != ARIL_KEY_DESTROYED);
    }
    ring_demand(r->role == ARIL_KEYRING_NODE || (info->root_open != 0) == open, "root_open is %d",
                info->root_open);
    return 0;
}

static void compare_slots(const struct km_ring *r, aril_keyring *kr)
{
    for (size_t i = 0; i < COUNT(ring_owners) * COUNT(ring_labels) * 2; i++) {
        const aril_key_purpose purpose = i % 2 == 0 ? ARIL_KEY_DATA : ARIL_KEY_NAME;
        const char *owner = ring_owners[i / 2 % COUNT(ring_owners)];
        const char *label = ring_labels[i / 2 / COUNT(ring_owners)];
        const struct km_slot slot = { purpose, owner, label };
        const aril_key_slot asked = slot_of(purpose, owner, label);
        size_t at = 0;
        const aril_status want = km_sealing(r, &slot, ring_unix_s(), &at);
        aril_tenant_key *key = NULL;
        aril_error error = { .status = ARIL_OK };
        const aril_status got = aril_keyring_slot_key(kr, &asked, &key, &error);
        ring_demand(got == want, "%s of %s/%s seals: %s, not %s: %s",
                    aril_key_purpose_name(purpose), owner, label, aril_status_name(got),
                    aril_status_name(want), error.message);
        ring_demand(got != ARIL_OK ||
                        memcmp(aril_tenant_key_id(key), r->keys[at].id, ARIL_KEY_ID_BYTES) == 0,
                    "another version of %s of %s/%s seals", aril_key_purpose_name(purpose), owner,
                    label);
        ring_count(got);
        aril_tenant_key_put(key);
    }
}

static void compare_boxes(const struct km_ring *r, aril_keyring *kr)
{
    for (size_t i = 0; i < ring.boxed && i < BOXES_MAX; i++) {
        struct sealed_box box = ring.boxes[i];
        aril_error error = { .status = ARIL_OK };
        if (ring_one_in(30)) {
            (void)snprintf(box.tenant, sizeof box.tenant, "%s", ANY(ring_tenants));
        }
        const aril_status want = km_opening(r, box.tenant, box_key_id(&box));
        const aril_status got = box_open(kr, &box, &error);
        ring_demand(got == want, "a box of %s: %s, not %s", box.tenant, aril_status_name(got),
                    aril_status_name(want));
        ring_count(got);
    }
}

static void compare_list(struct km_ring *r, aril_keyring *kr)
{
    static uint8_t parents[KM_KEYS_MAX][ARIL_KEY_ID_BYTES];
    struct comparing c = { .r = r, .parents = parents, .now = km_now(r, ring_unix_s()) };
    aril_error error = { .status = ARIL_OK };
    ring_demand(aril_keyring_list(kr, NULL, compare_key, &c, &error) == ARIL_OK, "list: %s",
                error.message);
    ring_demand(c.at == r->count, "there are fewer keys than the model has");
    compare_parents(&c);
}

void ring_compare(struct side *s, aril_keyring *kr)
{
    struct km_ring *r = s->model;
    uint64_t floor = 0;
    compare_info(r, kr);
    compare_list(r, kr);
    assert_status(aril_keyring_shreds(kr, compare_shred, r, NULL), ARIL_OK);
    assert_status(aril_keyring_floor_get(kr, TEXT("floor"), &floor, NULL), ARIL_OK);
    ring_demand(floor == r->floor, "another floor");
    compare_slots(r, kr);
    compare_boxes(r, kr);
}

/* --- One operation ------------------------------------------------------------------------- */

/* Which handle, and whether it is cut off. */
void ring_begin(struct operation *o, struct side *s)
{
    *o = (struct operation){ .s = s, .kr = s->home.kr, .faulty = s->faulty[0] };
    if (ring_one_in(8)) {
        side_reopen(s);
        o->kr = s->home.kr;
        o->faulty = s->faulty[0];
    } else if (ring_one_in(3)) {
        if (s->second.kr == NULL) {
            s->second = home_second(&s->home);
        }
        o->kr = s->second.kr;
        o->faulty = s->faulty[1];
    }
    if (ring_one_in(6)) {
        aril_keyring_forget(o->kr); /* so that the keystore is asked again */
    }
    km_plan_init(&o->plan, s->model, ring_unix_s());
    ring.progress = ring.stop_at = 0;
    if (ring_one_in(4)) {
        ring.stop_at = o->plan.stop_at = 1 + (unsigned)ring_below(2);
    } else if (ring_one_in(4)) {
        const unsigned nth = 1 + (unsigned)ring_below(6);
        (ring_one_in(2) ? faulty_store_arm : faulty_store_arm_lost)(o->faulty, nth,
                                                                    ARIL_E_KEYSTORE);
    }
}

/* The file holds what the plan says, or where it was cut off one of the states on the way. */
void ring_end(struct operation *o, const char *what, aril_status got)
{
    struct km_plan *p = &o->plan;
    ring.what = what;
    faulty_store_disarm(o->faulty);
    ring.stop_at = 0;
    const bool fired = faulty_store_fired(o->faulty);
    const uint64_t revision = keyring_info(o->kr).revision;
    const size_t at = (size_t)(revision - p->states[0]->revision);
    ring_demand(revision >= p->states[0]->revision && at < p->count,
                "%s made %zu changes, not %zu: %s", what, at, p->count - 1, o->error.message);
    ring_demand(got == p->st || (fired && got == ARIL_E_KEYSTORE), "%s: %s, not %s: %s", what,
                aril_status_name(got), aril_status_name(p->st), o->error.message);
    ring_demand(at == p->count - 1 || (fired && got != ARIL_OK), "%s: %s after %zu changes of %zu",
                what, aril_status_name(got), at, p->count - 1);
    ring_demand(got == ARIL_OK || o->error.status == got, "%s: the error says %s", what,
                aril_status_name(o->error.status));
    ring_count(got);
    ring.cut_off += fired;
    ring.stopped += got == ARIL_E_INTERRUPTED;
    ring.half_done += at + 1 < p->count;
    km_copy(o->s->model, p->states[at]);
    km_plan_done(p);
    if ((fired || got == ARIL_E_INTERRUPTED) && ring_one_in(2)) {
        side_reopen(o->s); /* the process died */
        o->kr = o->s->home.kr;
    }
    ring_compare(o->s, o->kr);
    if (o->s->second.kr != NULL && ring_one_in(4)) {
        ring_compare(o->s, o->kr == o->s->home.kr ? o->s->second.kr : o->s->home.kr);
    }
}
