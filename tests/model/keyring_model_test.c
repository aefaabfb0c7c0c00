/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on the keyrings of an authority and its nodes, each predicted by the reference
 * model of support/keyring_model.h. After each of them the list of keys, their states, dates and
 * parents, revision and generation are those of the model, every box that was sealed opens or is
 * refused as it says, and of each slot the version seals that it says. Operations are also cut
 * off: by the progress function, or by a keystore that fails or whose reply is lost; then the file
 * holds one of the states on the way.
 *
 * ARIL_MODEL_SEED repeats a run, ARIL_MODEL_OPS makes it longer or shorter.
 */
#include "faulty_store.h"
#include "keyring_fixture.h"
#include "keyring_model.h"
#include "temp_folder.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define OPS_DEFAULT   (SANITIZED ? UINT64_C(800) : UINT64_C(3000))
#define OPS_FOR_ALL   UINT64_C(3000) /* from here on each status must have been met */
#define SEED_DEFAULT  UINT64_C(20270301)
#define OPS_IN_ROUND  200u /* then there are new keyrings: lists get long */
#define BOXES_MAX     48u
#define BUNDLES_MAX   6u
#define LABELS_OF_BIG (KM_BATCH + 8u)

static const char *const tenants[] = { "t0", "t1", "t2", "big" };
static const char *const owners[] = { "t0", "t1", "t2", "big", "m0" };
static const char *const labels[] = { "", "x", "y" };

/* --- The run ------------------------------------------------------------------------------- */

/* One keyring, what the model says of it, and the stores of its handles. */
struct side {
    struct keyring_home home;
    struct km_ring *model;
    struct faulty_store *faulty[2]; /* of the first and the second handle */
    struct keyring_handle second;
    bool is_open;
};

struct bundle {
    struct km_bundle said;
    aril_span bytes;
};

static struct {
    uint64_t seed, random, op;
    struct world world;
    struct side authority, node;
    char node_name[KM_NAME_BYTES];
    unsigned nodes_made;
    struct sealed_box boxes[BOXES_MAX];
    size_t boxed;
    struct bundle bundles[BUNDLES_MAX];
    size_t bundled;
    uint32_t materials;
    unsigned stop_at, progress; /* of the operation under way */
    const char *what;           /* the last one */
    aril_status met[256];
    uint64_t met_count[256], cut_off, half_done, stopped;
} run;

static uint64_t draw(void)
{
    uint64_t z = run.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static uint64_t below(uint64_t n)
{
    return draw() % n;
}
static bool one_in(uint64_t n)
{
    return below(n) == 0;
}
#define ANY(list) ((list)[below(COUNT(list))])

#define demand(cond, ...)                                                                   \
    do {                                                                                    \
        if (!(cond)) {                                                                      \
            print_error("seed %" PRIu64 ", operation %" PRIu64 ", after %s: ", run.seed,    \
                        run.op, run.what);                                                  \
            fail_msg(__VA_ARGS__);                                                          \
        }                                                                                   \
    } while (0)

static uint64_t unix_s(void)
{
    return run.world.clock.unix_s;
}

static void count_status(aril_status st)
{
    size_t i = 0;
    while (run.met_count[i] > 0 && run.met[i] != st) {
        i++;
    }
    run.met[i] = st;
    run.met_count[i]++;
}

static int stop(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return run.stop_at != 0 && ++run.progress == run.stop_at;
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

static void reopen(struct side *s)
{
    close_all(s);
    home_open(&s->home);
}

static void side_init(struct side *s, const char *name)
{
    *s = (struct side){ .is_open = true };
    home_init(&s->home, &run.world, name, one_in(4) ? ARIL_KEYSTORE_DESTROY : MEMORY_STORE_ALL);
    s->home.store = faulty_over;
    s->home.user = s;
    s->home.config.progress = stop;
    s->model = malloc(sizeof *s->model);
    assert_non_null(s->model);
}

static void side_done(struct side *s)
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
    demand(c->at < c->r->count, "there are more keys than the model has");
    struct km_key *k = &c->r->keys[c->at];
    demand(info->purpose == k->purpose && info->version == k->version &&
               info->owner.len == strlen(k->owner) &&
               memcmp(info->owner.data, k->owner, info->owner.len) == 0 &&
               info->label.len == strlen(k->label) &&
               (info->label.len == 0 || memcmp(info->label.data, k->label, info->label.len) == 0),
           "key %zu is %s of %.*s, version %u, not %s of %s, version %u", c->at,
           aril_key_purpose_name(info->purpose), (int)info->owner.len,
           (const char *)info->owner.data, (unsigned)info->version,
           aril_key_purpose_name(k->purpose), k->owner, (unsigned)k->version);
    const aril_key_state state = km_state(c->r, c->at, c->now);
    demand(info->state == state, "%s of %s/%s, version %u is %s, not %s",
           aril_key_purpose_name(k->purpose), k->owner, k->label, (unsigned)k->version,
           aril_key_state_name(info->state), aril_key_state_name(state));
    demand(info->created_s == k->created_s && info->activates_s == k->activates_s &&
               info->rotate_by_s == k->rotate_by_s && info->not_after_s == k->not_after_s,
           "%s of %s/%s, version %u has other dates", aril_key_purpose_name(k->purpose), k->owner,
           k->label, (unsigned)k->version);
    if (!k->has_id) {
        memcpy(k->id, info->id, sizeof k->id);
        k->has_id = true;
    }
    demand(memcmp(k->id, info->id, sizeof k->id) == 0, "%s of %s/%s, version %u has another id",
           aril_key_purpose_name(k->purpose), k->owner, k->label, (unsigned)k->version);
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
            demand(memcmp(c->parents[i], want, ARIL_KEY_ID_BYTES) == 0,
                   "%s of %s/%s, version %u is wrapped by another key",
                   aril_key_purpose_name(k->purpose), k->owner, k->label, (unsigned)k->version);
        }
    }
}

static void compare_info(const struct km_ring *r, aril_keyring *kr)
{
    const aril_keyring_info info = keyring_info(kr);
    demand(info.revision == r->revision, "revision %" PRIu64 ", not %" PRIu64, info.revision,
           r->revision);
    demand(info.generation == r->generation, "generation %" PRIu64 ", not %" PRIu64,
           info.generation, r->generation);
    demand(info.bundle_version == r->bundle_version, "bundle version %" PRIu64 ", not %" PRIu64,
           info.bundle_version, r->bundle_version);
    demand(info.locked == r->locked && info.rotation_pending == r->rotating,
           "locked %d, rotation pending %d", info.locked, info.rotation_pending);
    demand(info.clock_behind_s == (unix_s() < r->clock_s ? r->clock_s - unix_s() : 0),
           "the clock is behind by %" PRIu64, info.clock_behind_s);
    size_t revoked = 0;
    for (size_t i = 0; i < r->node_count; i++) {
        revoked += r->nodes[i].revoked;
    }
    demand(info.nodes + info.nodes_revoked == r->node_count && info.nodes_revoked == revoked,
           "%zu nodes, %zu revoked", info.nodes, info.nodes_revoked);
}

static int compare_shred(void *user, const aril_shred_info *info)
{
    const struct km_ring *r = user;
    size_t i = 0;
    while (i < r->tomb_count && strncmp(r->tombs[i].tenant, (const char *)info->tenant.data,
                                        info->tenant.len) != 0) {
        i++;
    }
    demand(i < r->tomb_count && info->keys == r->tombs[i].keys, "another shred");
    bool open = false;
    for (size_t k = 0; k < r->count; k++) {
        open = open || (r->keys[k].purpose == ARIL_KEY_ROOT &&
                        r->keys[k].version == r->tombs[i].root &&
                        r->keys[k].state != ARIL_KEY_DESTROYED);
    }
    demand(r->role == ARIL_KEYRING_NODE || (info->root_open != 0) == open, "root_open is %d",
           info->root_open);
    return 0;
}

static void compare_slots(const struct km_ring *r, aril_keyring *kr)
{
    for (size_t i = 0; i < COUNT(owners) * COUNT(labels) * 2; i++) {
        const aril_key_purpose purpose = i % 2 == 0 ? ARIL_KEY_DATA : ARIL_KEY_NAME;
        const char *owner = owners[i / 2 % COUNT(owners)];
        const char *label = labels[i / 2 / COUNT(owners)];
        const struct km_slot slot = { purpose, owner, label };
        const aril_key_slot asked = slot_of(purpose, owner, label);
        size_t at = 0;
        const aril_status want = km_sealing(r, &slot, unix_s(), &at);
        aril_tenant_key *key = NULL;
        aril_error error = { .status = ARIL_OK };
        const aril_status got = aril_keyring_slot_key(kr, &asked, &key, &error);
        demand(got == want, "%s of %s/%s seals: %s, not %s: %s", aril_key_purpose_name(purpose),
               owner, label, aril_status_name(got), aril_status_name(want), error.message);
        demand(got != ARIL_OK ||
                   memcmp(aril_tenant_key_id(key), r->keys[at].id, ARIL_KEY_ID_BYTES) == 0,
               "another version of %s of %s/%s seals", aril_key_purpose_name(purpose), owner,
               label);
        count_status(got);
        aril_tenant_key_put(key);
    }
}

static void compare_boxes(const struct km_ring *r, aril_keyring *kr)
{
    for (size_t i = 0; i < run.boxed && i < BOXES_MAX; i++) {
        struct sealed_box box = run.boxes[i];
        aril_error error = { .status = ARIL_OK };
        if (one_in(30)) {
            (void)snprintf(box.tenant, sizeof box.tenant, "%s", ANY(tenants));
        }
        const aril_status want = km_opening(r, box.tenant, box_key_id(&box));
        const aril_status got = box_open(kr, &box, &error);
        demand(got == want, "a box of %s: %s, not %s", box.tenant, aril_status_name(got),
               aril_status_name(want));
        count_status(got);
    }
}

static void compare_list(struct km_ring *r, aril_keyring *kr)
{
    static uint8_t parents[KM_KEYS_MAX][ARIL_KEY_ID_BYTES];
    struct comparing c = { .r = r, .parents = parents, .now = km_now(r, unix_s()) };
    aril_error error = { .status = ARIL_OK };
    demand(aril_keyring_list(kr, NULL, compare_key, &c, &error) == ARIL_OK, "list: %s",
           error.message);
    demand(c.at == r->count, "there are fewer keys than the model has");
    compare_parents(&c);
}

static void compare(struct side *s, aril_keyring *kr)
{
    struct km_ring *r = s->model;
    uint64_t floor = 0;
    compare_info(r, kr);
    compare_list(r, kr);
    assert_status(aril_keyring_shreds(kr, compare_shred, r, NULL), ARIL_OK);
    assert_status(aril_keyring_floor_get(kr, TEXT("floor"), &floor, NULL), ARIL_OK);
    demand(floor == r->floor, "another floor");
    compare_slots(r, kr);
    compare_boxes(r, kr);
}

/* --- One operation ------------------------------------------------------------------------- */

struct operation {
    struct side *s;
    aril_keyring *kr;
    struct faulty_store *faulty;
    struct km_plan plan;
    aril_error error;
};

/* Which handle, and whether it is cut off. */
static void begin(struct operation *o, struct side *s)
{
    *o = (struct operation){ .s = s, .kr = s->home.kr, .faulty = s->faulty[0] };
    if (one_in(8)) {
        reopen(s);
        o->kr = s->home.kr;
        o->faulty = s->faulty[0];
    } else if (one_in(3)) {
        if (s->second.kr == NULL) {
            s->second = home_second(&s->home);
        }
        o->kr = s->second.kr;
        o->faulty = s->faulty[1];
    }
    if (one_in(6)) {
        aril_keyring_forget(o->kr); /* so that the keystore is asked again */
    }
    km_plan_init(&o->plan, s->model, unix_s());
    run.progress = run.stop_at = 0;
    if (one_in(4)) {
        run.stop_at = o->plan.stop_at = 1 + (unsigned)below(2);
    } else if (one_in(4)) {
        const unsigned nth = 1 + (unsigned)below(6);
        (one_in(2) ? faulty_store_arm : faulty_store_arm_lost)(o->faulty, nth, ARIL_E_KEYSTORE);
    }
}

/* The file holds what the plan says, or where it was cut off one of the states on the way. */
static void end(struct operation *o, const char *what, aril_status got)
{
    struct km_plan *p = &o->plan;
    run.what = what;
    faulty_store_disarm(o->faulty);
    run.stop_at = 0;
    const bool fired = faulty_store_fired(o->faulty);
    const uint64_t revision = keyring_info(o->kr).revision;
    const size_t at = (size_t)(revision - p->states[0]->revision);
    demand(revision >= p->states[0]->revision && at < p->count, "%s made %zu changes, not %zu: %s",
           what, at, p->count - 1, o->error.message);
    demand(got == p->st || (fired && got == ARIL_E_KEYSTORE), "%s: %s, not %s: %s", what,
           aril_status_name(got), aril_status_name(p->st), o->error.message);
    demand(at == p->count - 1 || (fired && got != ARIL_OK), "%s: %s after %zu changes of %zu", what,
           aril_status_name(got), at, p->count - 1);
    demand(got == ARIL_OK || o->error.status == got, "%s: the error says %s", what,
           aril_status_name(o->error.status));
    count_status(got);
    run.cut_off += fired;
    run.stopped += got == ARIL_E_INTERRUPTED;
    run.half_done += at + 1 < p->count;
    km_copy(o->s->model, p->states[at]);
    km_plan_done(p);
    if ((fired || got == ARIL_E_INTERRUPTED) && one_in(2)) {
        reopen(o->s); /* the process died */
        o->kr = o->s->home.kr;
    }
    compare(o->s, o->kr);
    if (o->s->second.kr != NULL && one_in(4)) {
        compare(o->s, o->kr == o->s->home.kr ? o->s->second.kr : o->s->home.kr);
    }
}

static struct km_slot any_slot(void)
{
    const char *label = one_in(2) ? ANY(labels) : "";
    switch (below(9)) {
    case 0:
        return (struct km_slot){ ARIL_KEY_ROOT, "", "" };
    case 1:
    case 2:
        return (struct km_slot){ ARIL_KEY_TENANT, ANY(tenants), "" };
    case 3:
        return (struct km_slot){ ARIL_KEY_MODEL, "m0", "" };
    case 4:
        return (struct km_slot){ ARIL_KEY_API, one_in(2) ? "a0" : "a1", "" };
    case 5:
        return (struct km_slot){ ARIL_KEY_NAME, ANY(owners), label };
    default:
        return (struct km_slot){ ARIL_KEY_DATA, ANY(owners), label };
    }
}

static void op_create(struct side *s)
{
    struct operation o;
    struct km_slot slot = any_slot();
    while (slot.purpose == ARIL_KEY_ROOT) {
        slot = any_slot();
    }
    if (s->model->count < 8) { /* a new keyring */
        slot = (struct km_slot){ ARIL_KEY_TENANT, ANY(tenants), "" };
    }
    begin(&o, s);
    const aril_key_slot asked = slot_of(slot.purpose, slot.owner, slot.label);
    km_create(&o.plan, &slot, 1);
    end(&o, "create", aril_keyring_create(o.kr, &asked, 1, &o.error));
}

/* More children than one change wraps anew. */
static void op_create_big(struct side *s)
{
    static char names[LABELS_OF_BIG][KM_NAME_BYTES];
    static struct km_slot slots[LABELS_OF_BIG];
    static aril_key_slot asked[LABELS_OF_BIG];
    struct operation o;
    for (size_t i = 0; i < LABELS_OF_BIG; i++) {
        (void)snprintf(names[i], sizeof names[i], "l%zu", i);
        slots[i] = (struct km_slot){ ARIL_KEY_DATA, "big", names[i] };
        asked[i] = slot_of(ARIL_KEY_DATA, "big", names[i]);
    }
    begin(&o, s);
    km_create(&o.plan, slots, LABELS_OF_BIG);
    end(&o, "create many", aril_keyring_create(o.kr, asked, LABELS_OF_BIG, &o.error));
}

static bool may_rotate_authority(const struct km_ring *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->keys[i].purpose == ARIL_KEY_AUTHORITY &&
            (r->keys[i].state == ARIL_KEY_DECRYPT_ONLY || r->keys[i].version + 2 > KM_SIGNERS_MAX)) {
            return false; /* one after the other: the former one is retired first */
        }
    }
    return true;
}

static void op_rotate(struct side *s)
{
    struct operation o;
    struct km_slot slot = any_slot();
    if (one_in(12) && may_rotate_authority(s->model)) {
        slot = (struct km_slot){ ARIL_KEY_AUTHORITY, "", "" };
    }
    begin(&o, s);
    const aril_key_slot asked = slot_of(slot.purpose, slot.owner, slot.label);
    km_rotate(&o.plan, &slot);
    end(&o, "rotate", aril_keyring_rotate(o.kr, &asked, &o.error));
}

static void op_retire(struct side *s)
{
    static const uint8_t nobody[ARIL_KEY_ID_BYTES] = { 1 };
    struct operation o;
    const bool destroy = one_in(2);
    size_t at = one_in(20) ? s->model->count : below(s->model->count);
    for (unsigned i = 0; i < 8 && at < s->model->count && one_in(2) == 0; i++) {
        if (s->model->keys[at].state == ARIL_KEY_DECRYPT_ONLY) {
            break; /* mostly one that can be retired */
        }
        at = below(s->model->count);
    }
    begin(&o, s);
    const uint8_t *id = at < s->model->count ? s->model->keys[at].id : nobody;
    km_retire(&o.plan, at, destroy);
    end(&o, "retire", aril_keyring_retire(o.kr, id, destroy, &o.error));
}

static void op_shred(struct side *s)
{
    struct operation o;
    const char *tenant = ANY(tenants);
    const bool destroy_root = one_in(2);
    begin(&o, s);
    km_shred(&o.plan, tenant, destroy_root);
    end(&o, "shred",
        aril_keyring_shred(o.kr, text_bytes(tenant), destroy_root, NULL, &o.error));
}

static void op_import(struct side *s)
{
    struct operation o;
    const char *tenant = ANY(tenants);
    const size_t count = 1 + below(2);
    uint32_t materials[2];
    uint8_t keys[2][32];
    aril_bytes spans[2];
    for (size_t i = 0; i < count; i++) {
        materials[i] = i == 0 && run.materials > 0 && one_in(6)
                           ? 1 + (uint32_t)below(run.materials)
                           : ++run.materials;
        fill_pattern(keys[i], sizeof keys[i], UINT64_C(1) << 40 | materials[i]);
        spans[i] = (aril_bytes){ keys[i], sizeof keys[i] };
    }
    begin(&o, s);
    km_import(&o.plan, tenant, materials, count);
    end(&o, "import",
        aril_keyring_import_cachekit(o.kr, text_bytes(tenant), spans, count, &o.error));
}

static void op_lock(struct side *s, bool locked)
{
    struct operation o;
    begin(&o, s);
    km_lock(&o.plan, locked);
    end(&o, locked ? "lock" : "unlock",
        (locked ? aril_keyring_lock : aril_keyring_unlock)(o.kr, &o.error));
}

static void op_floor(struct side *s)
{
    struct operation o;
    const uint64_t value = s->model->floor + below(4) - (s->model->floor > 0 ? 1 : 0);
    begin(&o, s);
    km_floor_raise(&o.plan, value);
    end(&o, "floor", aril_keyring_floor_raise(o.kr, TEXT("floor"), value, &o.error));
}

static void op_seal(struct side *s)
{
    const char *tenant = ANY(tenants);
    const struct km_slot slot = { ARIL_KEY_DATA, tenant, "" };
    struct sealed_box box;
    size_t at = 0;
    aril_error error = { .status = ARIL_OK };
    const aril_status want = km_sealing(s->model, &slot, unix_s(), &at);
    assert_status(aril_keyring_refresh(s->home.kr, NULL, NULL), ARIL_OK); /* of the second handle */
    const aril_status got = box_seal(s->home.kr, tenant, &box, &error);
    demand(got == want, "seal: %s, not %s: %s", aril_status_name(got), aril_status_name(want),
           error.message);
    count_status(got);
    if (got == ARIL_OK) {
        demand(memcmp(box_key_id(&box), s->model->keys[at].id, ARIL_KEY_ID_BYTES) == 0,
               "sealed by another version");
        run.boxes[run.boxed++ % BOXES_MAX] = box;
    }
}

static void op_time(void)
{
    const uint64_t dice = below(20);
    if (dice < 12) {
        fake_clock_add_s(&run.world.clock, below(200));
    } else if (dice < 16) {
        fake_clock_add_s(&run.world.clock, below(20) * 86400 + below(2));
    } else if (dice < 18) {
        run.world.clock.unix_s -= below(KM_CLOCK_BACK_S + 2);
    } else if (dice == 18) {
        run.world.clock.unix_s -= below(3) * 86400;
    } else if (unix_s() < run.authority.model->clock_s) {
        run.world.clock.unix_s = run.authority.model->clock_s;
    }
    fake_clock_add_ns(&run.world.clock, below(400) * 1000000);
    compare(&run.authority, run.authority.home.kr);
    compare(&run.node, run.node.home.kr);
}

/* --- The fleet ----------------------------------------------------------------------------- */

/* A node's keyring; the one before it is gone. */
static void new_node(void)
{
    const aril_key_policy policy = run.authority.model->policy;
    uint32_t signer = 0;
    if (run.authority.model->locked) {
        op_lock(&run.authority, false);
    }
    for (size_t i = 0; i < run.authority.model->count; i++) {
        const struct km_key *k = &run.authority.model->keys[i];
        if (k->purpose == ARIL_KEY_AUTHORITY &&
            (k->state == ARIL_KEY_ACTIVE || k->state == ARIL_KEY_DECRYPT_ONLY)) {
            signer = k->version;
        }
    }
    const struct km_slot slot = { ARIL_KEY_AUTHORITY, "", "" };
    size_t at = 0;
    if (km_sealing(run.authority.model, &slot, unix_s(), &at) != ARIL_OK) {
        return; /* overdue: nobody gets its public key in this way */
    }
    side_done(&run.node);
    side_init(&run.node, "node.aril");
    (void)snprintf(run.node_name, sizeof run.node_name, "n%u", run.nodes_made++);
    home_make_node(&run.node.home, &run.authority.home, run.node_name);
    const aril_keyring_info info = keyring_info(run.node.home.kr);
    (void)policy;
    km_init(run.node.model, ARIL_KEYRING_NODE, &info.policy, unix_s(), run.node_name, signer);
    run.node.model->revision = info.revision;
    run.node.model->generation = info.generation;
    compare(&run.node, run.node.home.kr);
}

static void op_enrol(void)
{
    static char card[ARIL_CARD_BYTES_MAX];
    struct operation o;
    size_t len = 0;
    const char *tenant = one_in(2) ? "" : ANY(tenants);
    const aril_bytes only = text_bytes(tenant);
    if (run.node.model->locked) {
        op_lock(&run.node, false);
    }
    if (run.node.model->locked) {
        return;
    }
    assert_status(aril_keyring_card(run.node.home.kr, card, sizeof card, &len, NULL), ARIL_OK);
    begin(&o, &run.authority);
    km_node_add(&o.plan, run.node_name, tenant);
    end(&o, "node add",
        aril_keyring_node_add(o.kr, (aril_bytes){ (const uint8_t *)card, len }, &only,
                              tenant[0] != '\0', &o.error));
}

static void op_revoke(void)
{
    struct operation o;
    size_t rotated = 0;
    begin(&o, &run.authority);
    km_node_revoke(&o.plan, run.node_name);
    const size_t want = o.plan.rotated;
    const aril_status got =
        aril_keyring_node_revoke(o.kr, text_bytes(run.node_name), &rotated, &o.error);
    demand(got != ARIL_OK || rotated == want, "revoke rotated %zu keys, not %zu", rotated, want);
    end(&o, "node revoke", got);
}

static void op_bundle_write(void)
{
    struct operation o;
    struct km_bundle said = { .from = NULL };
    uint64_t version = 0;
    const char *path = temp_path("bundle");
    begin(&o, &run.authority);
    km_bundle_write(&o.plan, &said);
    const aril_status got = aril_keyring_bundle_write(o.kr, path, &version, &o.error);
    demand(got != ARIL_OK || version == said.version, "another bundle version");
    end(&o, "bundle write", got);
    if (got != ARIL_OK) {
        free(said.from);
        return;
    }
    /* Ids of keys that this operation made are known now. */
    km_copy(said.from, run.authority.model);
    struct bundle *b = &run.bundles[run.bundled++ % BUNDLES_MAX];
    free(b->said.from);
    free(b->bytes.data);
    *b = (struct bundle){ .said = said, .bytes = home_read(path) };
}

static void op_bundle_apply(void)
{
    struct operation o;
    if (run.bundled == 0) {
        return;
    }
    const size_t kept = run.bundled < BUNDLES_MAX ? run.bundled : BUNDLES_MAX;
    const size_t back = one_in(3) ? below(kept) : 0;
    const struct bundle *b = &run.bundles[(run.bundled - 1 - back) % BUNDLES_MAX];
    int changed = 0;
    begin(&o, &run.node);
    km_bundle_apply(&o.plan, &b->said, run.node_name);
    const aril_status got = aril_keyring_bundle_apply(
        o.kr, (aril_bytes){ b->bytes.data, b->bytes.len }, &changed, &o.error);
    end(&o, "bundle apply", got);
}

/* --- Rounds -------------------------------------------------------------------------------- */

static void verify(struct side *s)
{
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_verify(s->home.kr, NULL, NULL, &error);
    demand(st == (s->model->locked ? ARIL_E_KEY_LOCKED : ARIL_OK), "verify: %s", error.message);
}

static void round_begin(void)
{
    const aril_key_policy policy = { .root_days = 1 + (uint32_t)below(365),
                                     .data_days = 1 + (uint32_t)below(90),
                                     .api_days = 30,
                                     .tenant_days = 365,
                                     .bundle_days = 1 + (uint32_t)below(7),
                                     .lead_s = one_in(2) ? 0 : 1 + (uint32_t)below(600),
                                     .overdue_refuses = one_in(2) };
    side_init(&run.authority, "authority.aril");
    home_make(&run.authority.home, ARIL_PROFILE_ML_KEM_768, &policy);
    km_init(run.authority.model, ARIL_KEYRING_AUTHORITY, &policy, unix_s(), "", 0);
    const aril_keyring_info info = keyring_info(run.authority.home.kr);
    run.authority.model->revision = info.revision;
    run.authority.model->generation = info.generation;
    compare(&run.authority, run.authority.home.kr);
    run.nodes_made = 0;
    new_node();
}

static void round_end(void)
{
    verify(&run.authority);
    verify(&run.node);
    side_done(&run.authority);
    side_done(&run.node);
    run.boxed = 0;
    for (size_t i = 0; i < BUNDLES_MAX; i++) {
        free(run.bundles[i].said.from);
        free(run.bundles[i].bytes.data);
        run.bundles[i] = (struct bundle){ .bytes = { NULL, 0 } };
    }
    run.bundled = 0;
}

static void op_any(void)
{
    struct side *s = one_in(8) ? &run.node : &run.authority;
    const uint64_t dice = below(100);
    if (s->model->locked && one_in(2)) {
        op_lock(s, false);
    } else if (dice < 14 || (run.op - 1) % OPS_IN_ROUND < 16) {
        op_create(s);
    } else if (dice < 36) {
        op_rotate(s);
    } else if (dice < 46) {
        op_retire(s);
    } else if (dice < 48) {
        op_shred(s);
    } else if (dice < 52) {
        op_import(s);
    } else if (dice < 54) {
        op_lock(s, true);
    } else if (dice < 56) {
        op_floor(s);
    } else if (dice < 68) {
        op_seal(s);
    } else if (dice < 80) {
        op_time();
    } else if (dice < 84) {
        op_enrol();
    } else if (dice < 86) {
        op_revoke();
    } else if (dice < 91) {
        op_bundle_write();
    } else if (dice < 99) {
        op_bundle_apply();
    } else {
        new_node();
    }
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    char *last = NULL;
    const uint64_t value = text != NULL ? strtoull(text, &last, 0) : 0;
    return text != NULL && last != text && *last == '\0' ? value : otherwise;
}

static void demand_every_status(uint64_t ops)
{
    static const aril_status all[] = {
        ARIL_OK,
        ARIL_E_NOT_FOUND,
        ARIL_E_EXISTS,
        ARIL_E_USAGE_STATE,
        ARIL_E_KEY_LOCKED,
        ARIL_E_KEY_UNKNOWN,
        ARIL_E_KEY_RETIRED,
        ARIL_E_KEY_DESTROYED,
        ARIL_E_KEY_OVERDUE,
        ARIL_E_ISOLATION,
        ARIL_E_CLOCK,
        ARIL_E_KEYSTORE,
        ARIL_E_INTERRUPTED,
        ARIL_E_REPLAY_ROLLBACK,
        ARIL_E_EXPIRED_BUNDLE,
        ARIL_E_TRUST_REVOKED,
        ARIL_E_TRUST_AUTHORITY,
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        uint64_t n = 0;
        for (size_t m = 0; m < COUNT(run.met); m++) {
            n += run.met[m] == all[i] ? run.met_count[m] : 0;
        }
        (void)printf("  %-22s %9" PRIu64 "\n", aril_status_name(all[i]), n);
        demand(n > 0 || ops < OPS_FOR_ALL, "%s was never met", aril_status_name(all[i]));
    }
    demand(run.half_done > 0 || ops < OPS_FOR_ALL, "no operation was cut off half way");
}

static void every_operation_gives_what_the_model_predicts(void **state)
{
    (void)state;
    const uint64_t ops = from_environment("ARIL_MODEL_OPS", OPS_DEFAULT);
    run.seed = run.random = from_environment("ARIL_MODEL_SEED", SEED_DEFAULT);
    (void)printf("model: seed %" PRIu64 ", %" PRIu64 " operations%s\n", run.seed, ops,
                 SANITIZED ? " (fewer, because a sanitizer runs)" : "");
    (void)fflush(stdout);
    world_init(&run.world);
    for (run.op = 1; run.op <= ops; run.op++) {
        const uint64_t place = (run.op - 1) % OPS_IN_ROUND;
        if (place == 0) {
            round_begin();
        }
        if (place == 20 && (run.op / OPS_IN_ROUND) % 5 == 1) {
            op_create_big(&run.authority);
        }
        op_any();
        if (place == OPS_IN_ROUND - 1 || run.op == ops) {
            round_end();
        }
    }
    demand_every_status(ops);
    (void)printf("  %" PRIu64 " calls of keystores failed, %" PRIu64 " rotations were stopped, %"
                 PRIu64 " operations ended half way\n", run.cut_off, run.stopped, run.half_done);
    world_done(&run.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_operation_gives_what_the_model_predicts,
                                        temp_folder_make, temp_folder_remove),
    };
    return cmocka_run_group_tests_name("keyring model", tests, NULL, NULL);
}
