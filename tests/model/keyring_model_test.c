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
#include "keyring_run.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPS_DEFAULT   (SANITIZED ? UINT64_C(1000) : UINT64_C(2500))
#define OPS_FOR_ALL   UINT64_C(20000) /* from here on every seed must meet each status */
#define OPS_FOR_ONE   UINT64_C(2500)  /* and the default one from here on */
#define SEED_DEFAULT  UINT64_C(20270301)
#define OPS_IN_ROUND  200u /* then there are new keyrings: lists get long */
#define LABELS_OF_BIG (KM_BATCH + 8u)

static struct km_slot any_slot(void)
{
    const char *label = ring_one_in(2) ? ANY(ring_labels) : "";
    switch (ring_below(9)) {
    case 0:
        return (struct km_slot){ ARIL_KEY_ROOT, "", "" };
    case 1:
    case 2:
        return (struct km_slot){ ARIL_KEY_TENANT, ANY(ring_tenants), "" };
    case 3:
        return (struct km_slot){ ARIL_KEY_MODEL, "m0", "" };
    case 4:
        return (struct km_slot){ ARIL_KEY_API, ring_one_in(2) ? "a0" : "a1", "" };
    case 5:
        return (struct km_slot){ ARIL_KEY_NAME, ANY(ring_owners), label };
    default:
        return (struct km_slot){ ARIL_KEY_DATA, ANY(ring_owners), label };
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
        slot = (struct km_slot){ ARIL_KEY_TENANT, ANY(ring_tenants), "" };
    }
    ring_begin(&o, s);
    const aril_key_slot asked = slot_of(slot.purpose, slot.owner, slot.label);
    km_create(&o.plan, &slot, 1);
    ring_end(&o, "create", aril_keyring_create(o.kr, &asked, 1, &o.error));
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
    ring_begin(&o, s);
    km_create(&o.plan, slots, LABELS_OF_BIG);
    ring_end(&o, "create many", aril_keyring_create(o.kr, asked, LABELS_OF_BIG, &o.error));
}

static bool may_rotate_authority(const struct km_ring *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->keys[i].purpose == ARIL_KEY_AUTHORITY && r->keys[i].version + 2 > KM_SIGNERS_MAX) {
            return false;
        }
    }
    return true;
}

static void op_rotate(struct side *s)
{
    struct operation o;
    struct km_slot slot = any_slot();
    if (ring_one_in(12) && may_rotate_authority(s->model)) {
        slot = (struct km_slot){ ARIL_KEY_AUTHORITY, "", "" };
    }
    ring_begin(&o, s);
    const aril_key_slot asked = slot_of(slot.purpose, slot.owner, slot.label);
    km_rotate(&o.plan, &slot);
    ring_end(&o, "rotate", aril_keyring_rotate(o.kr, &asked, &o.error));
}

static void op_retire(struct side *s)
{
    static const uint8_t nobody[ARIL_KEY_ID_BYTES] = { 1 };
    struct operation o;
    const bool destroy = ring_one_in(2);
    size_t at = ring_one_in(20) ? s->model->count : ring_below(s->model->count);
    for (unsigned i = 0; i < 8 && at < s->model->count && ring_one_in(2) == 0; i++) {
        if (s->model->keys[at].state == ARIL_KEY_DECRYPT_ONLY) {
            break; /* mostly one that can be retired */
        }
        at = ring_below(s->model->count);
    }
    ring_begin(&o, s);
    const uint8_t *id = at < s->model->count ? s->model->keys[at].id : nobody;
    km_retire(&o.plan, at, destroy);
    ring_end(&o, "retire", aril_keyring_retire(o.kr, id, destroy, &o.error));
}

static void op_shred(struct side *s)
{
    struct operation o;
    const char *tenant = ANY(ring_tenants);
    const bool destroy_root = ring_one_in(2);
    ring_begin(&o, s);
    km_shred(&o.plan, tenant, destroy_root);
    ring_end(&o, "shred",
             aril_keyring_shred(o.kr, text_bytes(tenant), destroy_root, NULL, &o.error));
}

static void op_import(struct side *s)
{
    struct operation o;
    const char *tenant = ANY(ring_tenants);
    const size_t count = 1 + ring_below(2);
    uint32_t materials[2];
    uint8_t keys[2][32];
    aril_bytes spans[2];
    for (size_t i = 0; i < count; i++) {
        materials[i] = i == 0 && ring.materials > 0 && ring_one_in(6)
                           ? 1 + (uint32_t)ring_below(ring.materials)
                           : ++ring.materials;
        fill_pattern(keys[i], sizeof keys[i], UINT64_C(1) << 40 | materials[i]);
        spans[i] = (aril_bytes){ keys[i], sizeof keys[i] };
    }
    ring_begin(&o, s);
    km_import(&o.plan, tenant, materials, count);
    ring_end(&o, "import",
             aril_keyring_import_cachekit(o.kr, text_bytes(tenant), spans, count, &o.error));
}

static void op_lock(struct side *s, bool locked)
{
    struct operation o;
    ring_begin(&o, s);
    km_lock(&o.plan, locked);
    ring_end(&o, locked ? "lock" : "unlock",
             (locked ? aril_keyring_lock : aril_keyring_unlock)(o.kr, &o.error));
}

static void op_floor(struct side *s)
{
    struct operation o;
    const uint64_t value = s->model->floor + ring_below(4) - (s->model->floor > 0 ? 1 : 0);
    ring_begin(&o, s);
    km_floor_raise(&o.plan, value);
    ring_end(&o, "floor", aril_keyring_floor_raise(o.kr, TEXT("floor"), value, &o.error));
}

static void op_seal(struct side *s)
{
    const char *tenant = ANY(ring_tenants);
    const struct km_slot slot = { ARIL_KEY_DATA, tenant, "" };
    struct sealed_box box;
    size_t at = 0;
    aril_error error = { .status = ARIL_OK };
    const aril_status want = km_sealing(s->model, &slot, ring_unix_s(), &at);
    assert_status(aril_keyring_refresh(s->home.kr, NULL, NULL), ARIL_OK); /* of the second handle */
    const aril_status got = box_seal(s->home.kr, tenant, &box, &error);
    ring_demand(got == want, "seal: %s, not %s: %s", aril_status_name(got), aril_status_name(want),
                error.message);
    ring_count(got);
    if (got == ARIL_OK) {
        ring_demand(memcmp(box_key_id(&box), s->model->keys[at].id, ARIL_KEY_ID_BYTES) == 0,
                    "sealed by another version");
        ring.boxes[ring.boxed++ % BOXES_MAX] = box;
    }
}

static void op_time(void)
{
    const uint64_t dice = ring_below(20);
    if (dice < 12) {
        fake_clock_add_s(&ring.world.clock, ring_below(200));
    } else if (dice < 16) {
        fake_clock_add_s(&ring.world.clock, ring_below(20) * 86400 + ring_below(2));
    } else if (dice < 18) {
        ring.world.clock.unix_s -= ring_below(KM_CLOCK_BACK_S + 2);
    } else if (dice == 18) {
        ring.world.clock.unix_s -= ring_below(3) * 86400;
    } else if (ring_unix_s() < ring.authority.model->clock_s) {
        ring.world.clock.unix_s = ring.authority.model->clock_s;
    }
    fake_clock_add_ns(&ring.world.clock, ring_below(400) * 1000000);
    ring_compare(&ring.authority, ring.authority.home.kr);
    ring_compare(&ring.node, ring.node.home.kr);
}

/* --- The fleet ----------------------------------------------------------------------------- */

/* A node's keyring; the one before it is gone. */
static void new_node(void)
{
    const aril_key_policy policy = ring.authority.model->policy;
    uint32_t signer = 0;
    if (ring.authority.model->locked) {
        op_lock(&ring.authority, false);
    }
    for (size_t i = 0; i < ring.authority.model->count; i++) {
        const struct km_key *k = &ring.authority.model->keys[i];
        if (k->purpose == ARIL_KEY_AUTHORITY &&
            (k->state == ARIL_KEY_ACTIVE || k->state == ARIL_KEY_DECRYPT_ONLY)) {
            signer = k->version;
        }
    }
    const struct km_slot slot = { ARIL_KEY_AUTHORITY, "", "" };
    size_t at = 0;
    if (km_sealing(ring.authority.model, &slot, ring_unix_s(), &at) != ARIL_OK) {
        return; /* overdue: nobody gets its public key in this way */
    }
    side_done(&ring.node);
    side_init(&ring.node, "node.aril");
    (void)snprintf(ring.node_name, sizeof ring.node_name, "n%u", ring.nodes_made++);
    home_make_node(&ring.node.home, &ring.authority.home, ring.node_name);
    const aril_keyring_info info = keyring_info(ring.node.home.kr);
    (void)policy;
    km_init(ring.node.model, ARIL_KEYRING_NODE, &info.policy, ring_unix_s(), ring.node_name,
            signer);
    ring.node.model->revision = info.revision;
    ring.node.model->generation = info.generation;
    ring_compare(&ring.node, ring.node.home.kr);
}

static void op_enrol(void)
{
    static char card[ARIL_CARD_BYTES_MAX];
    struct operation o;
    size_t len = 0;
    const char *tenant = ring_one_in(2) ? "" : ANY(ring_tenants);
    const aril_bytes only = text_bytes(tenant);
    if (ring.node.model->locked) {
        op_lock(&ring.node, false);
    }
    if (ring.node.model->locked) {
        return;
    }
    assert_status(aril_keyring_card(ring.node.home.kr, card, sizeof card, &len, NULL), ARIL_OK);
    ring_begin(&o, &ring.authority);
    km_node_add(&o.plan, ring.node_name, tenant);
    ring_end(&o, "node add",
             aril_keyring_node_add(o.kr, (aril_bytes){ (const uint8_t *)card, len }, &only,
                                   tenant[0] != '\0', &o.error));
}

static void op_revoke(void)
{
    struct operation o;
    size_t rotated = 0;
    ring_begin(&o, &ring.authority);
    km_node_revoke(&o.plan, ring.node_name);
    const size_t want = o.plan.rotated;
    const aril_status got =
        aril_keyring_node_revoke(o.kr, text_bytes(ring.node_name), 0, &rotated, &o.error);
    ring_demand(got != ARIL_OK || rotated == want, "revoke rotated %zu keys, not %zu", rotated,
                want);
    ring_end(&o, "node revoke", got);
}

static void op_bundle_write(void)
{
    struct operation o;
    struct km_bundle said = { .from = NULL };
    uint64_t version = 0;
    const char *path = temp_path("bundle");
    ring_begin(&o, &ring.authority);
    km_bundle_write(&o.plan, &said);
    const aril_status got = aril_keyring_bundle_write(o.kr, path, &version, &o.error);
    ring_demand(got != ARIL_OK || version == said.version, "another bundle version");
    ring_end(&o, "bundle write", got);
    if (got != ARIL_OK) {
        free(said.from);
        return;
    }
    /* Ids of keys that this operation made are known now. */
    km_copy(said.from, ring.authority.model);
    struct bundle *b = &ring.bundles[ring.bundled++ % BUNDLES_MAX];
    free(b->said.from);
    free(b->bytes.data);
    *b = (struct bundle){ .said = said, .bytes = home_read(path) };
}

static void op_bundle_apply(void)
{
    struct operation o;
    if (ring.bundled == 0) {
        return;
    }
    const size_t kept = ring.bundled < BUNDLES_MAX ? ring.bundled : BUNDLES_MAX;
    const size_t back = ring_one_in(3) ? ring_below(kept) : 0;
    const struct bundle *b = &ring.bundles[(ring.bundled - 1 - back) % BUNDLES_MAX];
    int changed = 0;
    ring_begin(&o, &ring.node);
    km_bundle_apply(&o.plan, &b->said, ring.node_name);
    const aril_status got = aril_keyring_bundle_apply(
        o.kr, (aril_bytes){ b->bytes.data, b->bytes.len }, &changed, &o.error);
    ring_end(&o, "bundle apply", got);
}

/* --- Rounds -------------------------------------------------------------------------------- */

static void verify(struct side *s)
{
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_verify(s->home.kr, NULL, NULL, &error);
    ring_demand(st == (s->model->locked ? ARIL_E_KEY_LOCKED : ARIL_OK), "verify: %s",
                error.message);
}

static void round_begin(void)
{
    const aril_key_policy policy = { .root_days = 1 + (uint32_t)ring_below(365),
                                     .data_days = 1 + (uint32_t)ring_below(90),
                                     .api_days = 30,
                                     .tenant_days = 365,
                                     .bundle_days = 1 + (uint32_t)ring_below(7),
                                     .lead_s = ring_one_in(2) ? 0 : 1 + (uint32_t)ring_below(600),
                                     .overdue_refuses = ring_one_in(2) };
    side_init(&ring.authority, "authority.aril");
    home_make(&ring.authority.home, ARIL_PROFILE_ML_KEM_768, &policy);
    km_init(ring.authority.model, ARIL_KEYRING_AUTHORITY, &policy, ring_unix_s(), "", 0);
    const aril_keyring_info info = keyring_info(ring.authority.home.kr);
    ring.authority.model->revision = info.revision;
    ring.authority.model->generation = info.generation;
    ring_compare(&ring.authority, ring.authority.home.kr);
    ring.nodes_made = 0;
    new_node();
}

static void round_end(void)
{
    verify(&ring.authority);
    verify(&ring.node);
    side_done(&ring.authority);
    side_done(&ring.node);
    ring.boxed = 0;
    for (size_t i = 0; i < BUNDLES_MAX; i++) {
        free(ring.bundles[i].said.from);
        free(ring.bundles[i].bytes.data);
        ring.bundles[i] = (struct bundle){ .bytes = { NULL, 0 } };
    }
    ring.bundled = 0;
}

static void op_any(void)
{
    struct side *s = ring_one_in(8) ? &ring.node : &ring.authority;
    const uint64_t dice = ring_below(100);
    if (s->model->locked && ring_one_in(2)) {
        op_lock(s, false);
    } else if (dice < 14 || (ring.op - 1) % OPS_IN_ROUND < 16) {
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
    const bool is_long = ops >= (ring.seed == SEED_DEFAULT ? OPS_FOR_ONE : OPS_FOR_ALL);
    for (size_t i = 0; i < COUNT(all); i++) {
        uint64_t n = 0;
        for (size_t m = 0; m < COUNT(ring.met); m++) {
            n += ring.met[m] == all[i] ? ring.met_count[m] : 0;
        }
        (void)printf("  %-22s %9" PRIu64 "\n", aril_status_name(all[i]), n);
        ring_demand(n > 0 || !is_long, "%s was never met", aril_status_name(all[i]));
    }
    ring_demand(ring.half_done > 0 || !is_long, "no operation was cut off half way");
}

static void every_operation_gives_what_the_model_predicts(void **state)
{
    (void)state;
    const uint64_t ops = from_environment("ARIL_MODEL_OPS", OPS_DEFAULT);
    ring.seed = ring.random = from_environment("ARIL_MODEL_SEED", SEED_DEFAULT);
    (void)printf("model: seed %" PRIu64 ", %" PRIu64 " operations%s\n", ring.seed, ops,
                 SANITIZED ? " (fewer, because a sanitizer runs)" : "");
    (void)fflush(stdout);
    world_init(&ring.world);
    for (ring.op = 1; ring.op <= ops; ring.op++) {
        const uint64_t place = (ring.op - 1) % OPS_IN_ROUND;
        if (place == 0) {
            round_begin();
        }
        if (place == 20 && (ring.op / OPS_IN_ROUND) % 5 == 1) {
            op_create_big(&ring.authority);
        }
        op_any();
        if (place == OPS_IN_ROUND - 1 || ring.op == ops) {
            round_end();
        }
    }
    demand_every_status(ops);
    (void)printf("  %" PRIu64 " calls of keystores failed, %" PRIu64
                 " rotations were stopped, %" PRIu64 " operations ended half way\n",
                 ring.cut_off, ring.stopped, ring.half_done);
    world_done(&ring.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_operation_gives_what_the_model_predicts,
                                        temp_folder_make, temp_folder_remove),
    };
    return cmocka_run_group_tests_name("keyring model", tests, NULL, NULL);
}
