/* SPDX-License-Identifier: Apache-2.0 */
/* An authority and twenty nodes beside a model of them. Nodes pull at random moments, and get old
 * bundles, halves, and those of others, while the authority makes, rotates, retires, shreds,
 * revokes, enrols and changes its signing key. ARIL_MODEL_SEED=n runs one seed alone. */
#include "fleet_forge.h"
#include "fleet_model.h"
#include "keyring/cache.h"
#include "team.h"
#include "temp_folder.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS    (SANITIZED ? 200u : 420u)
#define BUNDLES  400u
#define BOXES    160u
#define LOOKS    24u /* boxes that are tried after a pull */
#define DAY_S    UINT64_C(86400)
#define RECEIPTS 64u

struct kept_box {
    struct sealed_box box;
    unsigned tenant;
    uint32_t version;
};
struct kept_bundle {
    struct model_bundle model;
    aril_span bytes;
};

static struct {
    uint64_t seed, step, random;
    struct world w;
    struct keyring_home authority, stranger, nodes[MODEL_NODES];
    struct model_authority model;
    struct model_node models[MODEL_NODES];
    struct kept_bundle bundles[BUNDLES];
    unsigned bundle_count;
    struct kept_box boxes[BOXES];
    uint64_t box_count;
    uint8_t ids[MODEL_TENANTS][MODEL_VERSIONS][ARIL_KEY_ID_BYTES];
    aril_span foreign;
    struct fleet_text receipts[RECEIPTS];
    uint64_t receipt_count;
    unsigned met[8];
} run;

#define agree(what, got, predicted)                                                            \
    do {                                                                                       \
        if ((got) != (predicted)) {                                                            \
            fail_msg("seed %" PRIu64 ", step %" PRIu64 ": %s: %s, not %s", run.seed, run.step, \
                     what, aril_status_name(got), aril_status_name(predicted));                \
        }                                                                                      \
    } while (0)

static uint64_t below(uint64_t n)
{
    return team_random(&run.random) % n;
}
static bool one_in(uint64_t n)
{
    return below(n) == 0;
}
static uint64_t now_s(void)
{
    return atomic_load(&run.w.clock.unix_s);
}

static const char *tenant_name(unsigned n)
{
    static const char *const names[MODEL_TENANTS] = { "ada", "bob", "cleo", "dora", "emil",
                                                      "fay", "gus", "hal",  "ida",  "joe" };
    return names[n];
}

static aril_bytes floor_name(unsigned n)
{
    static const char *const names[MODEL_FLOORS] = { "cache", "model", "z" };
    return text_bytes(names[n]);
}

static aril_key_slot data_slot(unsigned tenant)
{
    return slot_of(ARIL_KEY_DATA, tenant_name(tenant), NULL);
}

/* The ids of versions that came since. */
static void learn_ids(unsigned tenant)
{
    static const uint8_t zeros[ARIL_KEY_ID_BYTES];
    for (uint32_t v = run.model.newest[tenant]; v > 0; v--) {
        struct key_copy k;
        if (memcmp(run.ids[tenant][v], zeros, sizeof zeros) != 0) {
            break;
        }
        keyring_key(run.authority.kr, data_slot(tenant), v, &k);
        memcpy(run.ids[tenant][v], k.info.id, sizeof k.info.id);
    }
}

/* --- Boxes ---------------------------------------------------------------------------------- */

/* Seals at a node, or at the authority (NULL), if that can be. */
static void seal_box(aril_keyring *kr, const struct model_node *n, unsigned tenant)
{
    struct kept_box *kept = &run.boxes[run.box_count % BOXES];
    struct sealed_box box;
    const aril_status predicted =
        n != NULL ? model_node_seals(n, tenant) : model_seals(&run.model, tenant);
    const aril_status got = box_seal(kr, tenant_name(tenant), &box, NULL);
    agree("seal", got, predicted);
    if (got == ARIL_OK) {
        const uint32_t version = n != NULL ? n->newest[tenant] : run.model.newest[tenant];
        assert_memory_equal(box_key_id(&box), run.ids[tenant][version], ARIL_KEY_ID_BYTES);
        *kept = (struct kept_box){ box, tenant, version };
        run.box_count++;
    }
}

static void open_boxes(aril_keyring *kr, const struct model_node *n, unsigned looks)
{
    const uint64_t count = run.box_count < BOXES ? run.box_count : BOXES;
    for (unsigned i = 0; i < looks && count > 0; i++) {
        const struct kept_box *b = &run.boxes[looks < BOXES ? below(count) : i % count];
        const aril_status predicted = n != NULL ? model_node_opens(n, b->tenant, b->version)
                                                : model_opens(&run.model, b->tenant, b->version);
        agree("open", box_open(kr, &b->box, NULL), predicted);
    }
}

/* --- The authority -----------------------------------------------------------------------------
 */

static bool exists(unsigned tenant)
{
    return run.model.newest[tenant] > 0 && !run.model.buried[tenant];
}

static void create_tenant(unsigned tenant)
{
    const aril_status predicted = run.model.buried[tenant]       ? ARIL_E_KEY_DESTROYED
                                  : run.model.newest[tenant] > 0 ? ARIL_E_EXISTS
                                                                 : ARIL_OK;
    agree("create",
          home_create(&run.authority, slot_of(ARIL_KEY_TENANT, tenant_name(tenant), NULL)),
          predicted);
    if (predicted == ARIL_OK) {
        model_rotate(&run.model, tenant);
        learn_ids(tenant);
    }
}

static void rotate_key(unsigned tenant)
{
    static const aril_key_purpose purposes[] = { ARIL_KEY_DATA, ARIL_KEY_DATA, ARIL_KEY_NAME,
                                                 ARIL_KEY_TENANT, ARIL_KEY_ROOT };
    const aril_key_purpose purpose = purposes[below(COUNT(purposes))];
    const char *owner = purpose == ARIL_KEY_ROOT ? NULL : tenant_name(tenant);
    const aril_status predicted = owner == NULL || exists(tenant) ? ARIL_OK
                                  : run.model.buried[tenant]      ? ARIL_E_KEY_DESTROYED
                                                                  : ARIL_E_NOT_FOUND;
    agree("rotate", home_rotate(&run.authority, slot_of(purpose, owner, NULL)), predicted);
    if (predicted == ARIL_OK && purpose == ARIL_KEY_DATA) {
        model_rotate(&run.model, tenant);
        learn_ids(tenant);
    }
}

static void retire_key(unsigned tenant)
{
    if (run.model.newest[tenant] == 0) {
        return;
    }
    const uint32_t version = 1 + (uint32_t)below(run.model.newest[tenant]);
    const bool active = version == run.model.newest[tenant] && exists(tenant);
    const int destroy = one_in(2);
    enum model_key *key = &run.model.keys[tenant][version];
    agree("retire", aril_keyring_retire(run.authority.kr, run.ids[tenant][version], destroy, NULL),
          active ? ARIL_E_USAGE_STATE : ARIL_OK);
    const enum model_key next = destroy ? MODEL_DESTROYED : MODEL_RETIRED;
    *key = !active && *key < next ? next : *key;
}

static void shred_tenant(unsigned tenant)
{
    const aril_status predicted = run.model.newest[tenant] > 0 ? ARIL_OK : ARIL_E_NOT_FOUND;
    agree("shred",
          aril_keyring_shred(run.authority.kr, text_bytes(tenant_name(tenant)), one_in(2), NULL,
                             NULL),
          predicted);
    if (predicted == ARIL_OK) {
        model_shred(&run.model, tenant);
    }
}

static void change_signer(void)
{
    struct key_copy k;
    const aril_key_slot slot = slot_of(ARIL_KEY_AUTHORITY, NULL, NULL);
    uint32_t version = 1 + (uint32_t)below(run.model.signer);
    if (one_in(2) && run.model.signer + 1 < MODEL_SIGNERS) {
        agree("rotate signer", home_rotate(&run.authority, slot), ARIL_OK);
        run.model.signers[++run.model.signer] = MODEL_ALIVE;
    } else if (version < run.model.signer) {
        keyring_key(run.authority.kr, slot, version, &k);
        agree("retire signer", aril_keyring_retire(run.authority.kr, k.info.id, one_in(2), NULL),
              ARIL_OK);
        run.model.signers[version] = MODEL_RETIRED;
    }
}

static void enrol(unsigned number)
{
    struct model_node *m = &run.models[number];
    struct keyring_home *home = &run.nodes[number];
    aril_bytes tenants[MODEL_TENANTS];
    size_t count = 0;
    char name[16];
    if (!m->is_made) {
        (void)snprintf(name, sizeof name, "node-%02u", number);
        home_init(home, &run.w, name, MEMORY_STORE_ALL);
        home_make_node(home, &run.authority, name);
        *m = (struct model_node){ .is_made = true, .trusts = 1u << run.model.signer };
        return; /* its card comes later */
    }
    m->all = m->enrolled ? m->all : one_in(2);
    for (unsigned t = 0; !m->enrolled && !m->all && t < MODEL_TENANTS; t++) {
        m->scope[t] = one_in(3) || t == number % MODEL_TENANTS;
    }
    for (unsigned t = 0; !m->all && t < MODEL_TENANTS; t++) {
        if (m->scope[t]) {
            tenants[count++] = text_bytes(tenant_name(t));
        }
    }
    struct fleet_text card;
    fleet_card(home->kr, &card);
    agree("enrol",
          aril_keyring_node_add(run.authority.kr, fleet_text_bytes(&card), tenants, count, NULL),
          m->revoked    ? ARIL_E_TRUST_REVOKED
          : m->enrolled ? ARIL_E_EXISTS
                        : ARIL_OK);
    m->enrolled = true;
}

static void revoke_node(unsigned number)
{
    struct model_node *m = &run.models[number];
    char name[16];
    size_t rotated = 0;
    (void)snprintf(name, sizeof name, "node-%02u", number);
    const bool there = m->enrolled && !m->revoked;
    agree("revoke", aril_keyring_node_revoke(run.authority.kr, text_bytes(name), 0, &rotated, NULL),
          there ? ARIL_OK : ARIL_E_NOT_FOUND);
    if (there) {
        assert_int_equal(rotated, 2 * model_revoke(&run.model, m)); /* data and name keys */
        for (unsigned t = 0; t < MODEL_TENANTS; t++) {
            learn_ids(t);
        }
    }
}

/* At the authority, or at a node of its own accord. */
static void raise_floor(aril_keyring *kr, uint64_t floors[MODEL_FLOORS])
{
    const unsigned f = (unsigned)below(MODEL_FLOORS);
    const uint64_t value = floors[f] + below(4) - (floors[f] > 0 ? 1 : 0);
    agree("raise", aril_keyring_floor_raise(kr, floor_name(f), value, NULL),
          value < floors[f] ? ARIL_E_REPLAY_ROLLBACK : ARIL_OK);
    floors[f] = value > floors[f] ? value : floors[f];
}

static void compare_floors(aril_keyring *kr, const uint64_t floors[MODEL_FLOORS])
{
    for (unsigned f = 0; f < MODEL_FLOORS; f++) {
        uint64_t value = 0;
        agree("floor", aril_keyring_floor_get(kr, floor_name(f), &value, NULL), ARIL_OK);
        assert_int_equal(value, floors[f]);
    }
}

static void write_bundle(void)
{
    assert_true(run.bundle_count < BUNDLES);
    struct kept_bundle *b = &run.bundles[run.bundle_count++];
    model_bundle_write(&run.model, run.models, now_s() + 7 * DAY_S, &b->model);
    b->bytes = fleet_next(&run.authority);
}

/* --- A node
 * ----------------------------------------------------------------------------------------- */

static void must_refuse(unsigned number, aril_span bytes)
{
    struct keyring_home *home = &run.nodes[number];
    const struct keyring_trace before = keyring_trace(home->kr);
    const aril_status st = fleet_take(home, bytes);
    const aril_status class = aril_status_class(st);
    if (st != ARIL_E_AUTH && st != ARIL_E_PROFILE && class != ARIL_E_TRUST &&
        class != ARIL_E_FORMAT) {
        fail_msg("seed %" PRIu64 ", step %" PRIu64 ": damaged: %s", run.seed, run.step,
                 aril_status_name(st));
    }
    assert_untouched(home->kr, &before);
    run.met[0]++;
}

static void pull_damaged(unsigned number, const struct kept_bundle *b)
{
    aril_span copy = { malloc(b->bytes.len), b->bytes.len };
    assert_non_null(copy.data);
    memcpy(copy.data, b->bytes.data, copy.len);
    if (one_in(2)) {
        copy.len = below(copy.len); /* a half download */
    } else {
        copy.data[below(copy.len)] ^= (uint8_t)(1u << below(8));
    }
    must_refuse(number, copy);
    free(copy.data);
}

static void keep_receipt(unsigned number)
{
    fleet_receipt(run.nodes[number].kr, &run.receipts[run.receipt_count++ % RECEIPTS]);
}

static void pull(unsigned number, const struct kept_bundle *b)
{
    struct keyring_home *home = &run.nodes[number];
    struct model_node *m = &run.models[number];
    bool changed = false;
    const struct keyring_trace before = keyring_trace(home->kr);
    const aril_status predicted = model_apply(m, number, &b->model, now_s(), &changed);
    agree("pull", fleet_take(home, b->bytes), predicted);
    run.met[predicted == ARIL_OK                           ? 1 + changed
            : aril_status_class(predicted) == ARIL_E_TRUST ? 3
                                                           : 4]++;
    if (!changed) {
        assert_untouched(home->kr, &before);
        return;
    }
    assert_int_equal(keyring_info(home->kr).bundle_version, b->model.version);
    keep_receipt(number);
}

static void check_node(unsigned number, unsigned looks)
{
    struct keyring_home *home = &run.nodes[number];
    const struct model_node *m = &run.models[number];
    open_boxes(home->kr, m, looks);
    compare_floors(home->kr, m->floors);
    seal_box(home->kr, m, (unsigned)below(MODEL_TENANTS));
}

static void visit_node(unsigned number)
{
    struct model_node *m = &run.models[number];
    if (!m->is_made || run.bundle_count == 0) {
        return;
    }
    const struct kept_bundle *newest = &run.bundles[run.bundle_count - 1];
    if (one_in(8)) {
        raise_floor(run.nodes[number].kr, m->floors);
    }
    switch (below(10)) {
    case 0:
        pull_damaged(number, newest);
        break;
    case 1:
        must_refuse(number, run.foreign);
        break;
    case 2:
        pull(number, &run.bundles[below(run.bundle_count)]);
        break;
    case 3:
        home_reopen(&run.nodes[number]);
        break;
    default:
        pull(number, newest);
    }
    check_node(number, LOOKS);
}

/* A receipt that was sent a while ago arrives, perhaps once more. */
static void deliver_receipt(void)
{
    if (run.receipt_count == 0) {
        return;
    }
    const uint64_t count = run.receipt_count < RECEIPTS ? run.receipt_count : RECEIPTS;
    const struct fleet_text *t = &run.receipts[below(count)];
    struct fleet_inside in;
    struct model_node *m = NULL;
    fleet_receipt_inside(t, &in);
    for (unsigned i = 0; i < MODEL_NODES && m == NULL; i++) {
        uint8_t id[ARIL_NODE_ID_BYTES];
        if (run.models[i].is_made) {
            forge_node_id(run.nodes[i].kr, id);
            m = memcmp(id, in.receipt.node, sizeof id) == 0 ? &run.models[i] : NULL;
        }
    }
    assert_non_null(m);
    agree("confirm", aril_keyring_confirm(run.authority.kr, fleet_text_bytes(t), NULL),
          m->revoked ? ARIL_E_TRUST_REVOKED : ARIL_OK);
    if (!m->revoked && in.receipt.bundle_version > m->confirmed) {
        m->confirmed = in.receipt.bundle_version;
    }
}

/* --- Steps ---------------------------------------------------------------------------------------
 */

static void step_authority(void)
{
    const unsigned tenant = (unsigned)below(MODEL_TENANTS);
    const unsigned number = (unsigned)below(MODEL_NODES);
    switch (below(21)) {
    case 20:
        raise_floor(run.authority.kr, run.model.floors);
        compare_floors(run.authority.kr, run.model.floors);
        break;
    case 0:
    case 1:
        create_tenant(tenant);
        break;
    case 2:
    case 3:
    case 4:
        rotate_key(tenant);
        break;
    case 5:
        retire_key(tenant);
        break;
    case 6:
        if (one_in(8)) {
            shred_tenant(tenant);
        }
        break;
    case 7:
    case 8:
    case 9:
        enrol(number);
        break;
    case 10:
        if (one_in(4)) {
            revoke_node(number);
        }
        break;
    case 11:
        if (one_in(8)) {
            change_signer();
        }
        break;
    case 12:
        home_reopen(&run.authority);
        break;
    case 13:
        fake_clock_add_s(&run.w.clock, below(one_in(8) ? 4 * DAY_S : DAY_S / 12));
        break;
    case 14:
        deliver_receipt();
        break;
    default:
        write_bundle();
    }
}

static int compare_node(void *user, const aril_node_info *info)
{
    unsigned *seen = user;
    unsigned number = 0;
    (void)sscanf((const char *)info->name.data, "node-%02u", &number);
    assert_int_equal(info->revoked, run.models[number].revoked);
    assert_int_equal(info->confirmed_version, run.models[number].confirmed);
    assert_true(run.models[number].enrolled);
    ++*seen;
    return 0;
}

/* Names are made with one key on every node that has it. */
static void compare_names(void)
{
    for (unsigned t = 0; t < MODEL_TENANTS; t++) {
        aril_tenant_key *first = NULL;
        const aril_bytes tenant = text_bytes(tenant_name(t));
        if (!exists(t)) {
            continue;
        }
        assert_status(
            aril_keyring_tenant_key(run.authority.kr, tenant, ARIL_KEY_NAME, &first, NULL),
            ARIL_OK);
        for (unsigned i = 0; i < MODEL_NODES; i++) {
            aril_tenant_key *key = NULL;
            if (run.models[i].taken != run.model.version || run.models[i].newest[t] == 0) {
                continue;
            }
            agree("name",
                  aril_keyring_tenant_key(run.nodes[i].kr, tenant, ARIL_KEY_NAME, &key, NULL),
                  ARIL_OK);
            assert_memory_equal(aril_tenant_key_id(key), aril_tenant_key_id(first),
                                ARIL_KEY_ID_BYTES);
            aril_tenant_key_put(key);
        }
        aril_tenant_key_put(first);
    }
}

/* All that can take the last bundle do; then everybody knows what he should. */
static void converge(void)
{
    unsigned seen = 0;
    unsigned up_to_date = 0;
    write_bundle();
    for (unsigned i = 0; i < MODEL_NODES; i++) {
        if (run.models[i].is_made) {
            pull(i, &run.bundles[run.bundle_count - 1]);
            up_to_date += run.models[i].taken == run.model.version;
        }
    }
    for (unsigned t = 0; t < MODEL_TENANTS; t++) {
        seal_box(run.authority.kr, NULL, t);
    }
    for (unsigned i = 0; i < MODEL_NODES; i++) {
        if (run.models[i].is_made) {
            open_boxes(run.nodes[i].kr, &run.models[i], BOXES);
            assert_status(aril_keyring_verify(run.nodes[i].kr, NULL, NULL, NULL), ARIL_OK);
        }
    }
    open_boxes(run.authority.kr, NULL, BOXES);
    compare_names();
    assert_status(aril_keyring_verify(run.authority.kr, NULL, NULL, NULL), ARIL_OK);
    assert_status(aril_keyring_nodes(run.authority.kr, compare_node, &seen, NULL), ARIL_OK);
    assert_true(seen > 0);
    print_message("seed %" PRIu64 ": %u bundles, %" PRIu64 " boxes; pulls: %u damaged, %u again, "
                  "%u new, %u not trusted, %u too late; %u nodes of %u at the end\n",
                  run.seed, run.bundle_count, run.box_count, run.met[0], run.met[1], run.met[2],
                  run.met[3], run.met[4], up_to_date, seen);
}

static void begin(uint64_t seed)
{
    memset(&run, 0, sizeof run);
    run.seed = run.random = seed;
    world_init(&run.w);
    home_init(&run.authority, &run.w, "authority", MEMORY_STORE_ALL);
    home_make(&run.authority, ARIL_PROFILE_ML_KEM_768, NULL);
    run.model.signer = 1;
    run.model.signers[1] = MODEL_ALIVE;
    home_init(&run.stranger, &run.w, "stranger", MEMORY_STORE_ALL);
    home_make(&run.stranger, ARIL_PROFILE_ML_KEM_768, NULL);
    home_tenant(&run.stranger, "ada");
    run.foreign = fleet_next(&run.stranger);
}

static void end(void)
{
    for (unsigned i = 0; i < MODEL_NODES; i++) {
        if (run.models[i].is_made) {
            home_done(&run.nodes[i]);
        }
    }
    for (unsigned i = 0; i < run.bundle_count; i++) {
        free(run.bundles[i].bytes.data);
    }
    free(run.foreign.data);
    home_done(&run.stranger);
    home_done(&run.authority);
    world_done(&run.w);
}

static void run_seed(uint64_t seed)
{
    begin(seed);
    for (run.step = 0; run.step < STEPS; run.step++) {
        step_authority();
        for (unsigned i = 0; i < 2; i++) {
            visit_node((unsigned)below(MODEL_NODES));
        }
        seal_box(run.authority.kr, NULL, (unsigned)below(MODEL_TENANTS));
        open_boxes(run.authority.kr, NULL, 2);
    }
    converge();
    end();
}

static void the_fleet_agrees_with_its_model(void **state)
{
    (void)state;
    const char *one = getenv("ARIL_MODEL_SEED");
    if (one != NULL) {
        run_seed(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= (SANITIZED ? 1 : 3); seed++) {
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fleet_agrees_with_its_model),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
