/* SPDX-License-Identifier: Apache-2.0 */
#include "defer.h"
#include "demo_world.h"
#include "seeded.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void another_tenants_blocks(struct demo_world *w)
{
    const struct demo_tenant *alice = &w->tenant[DEMO_ALICE];
    const struct demo_tenant *bob = &w->tenant[DEMO_BOB];
    aril_status st = ARIL_E_ISOLATION;
    for (size_t i = 0; i < alice->sealed.count && st == ARIL_E_ISOLATION; i++) {
        st = demo_open_one(
            bob->kv, &alice->sealed.blocks[i], alice->sealed.bodies + i * DEMO_BLOCK_BYTES,
            demo_block_bytes(&alice->sealed, i), alice->sealed.seals + i * ARIL_SEAL_BYTES);
        w->foreign_records++;
    }
    demo_check(w->report, "bob is given alice's blocks", ARIL_E_ISOLATION, st,
               "%zu of them; refused before any cryptography", alice->sealed.count);
}

static void flipped_bit(struct demo_world *w)
{
    struct demo_tenant *t = &w->tenant[DEMO_ALICE];
    const size_t block = 1;
    const size_t at = block * DEMO_BLOCK_BYTES + 20000;
    const uint8_t bit = 0x10;
    t->sealed.bodies[at] ^= bit;
    const aril_status st = demo_open_one(
        t->kv, &t->sealed.blocks[block], t->sealed.bodies + block * DEMO_BLOCK_BYTES,
        demo_block_bytes(&t->sealed, block), t->sealed.seals + block * ARIL_SEAL_BYTES);
    t->sealed.bodies[at] ^= bit;
    demo_check(w->report, "one bit of a block flips", ARIL_E_AUTH, st, "nothing of it is released");

    bool accepted = false;
    unsigned different = 0;
    const bool ran = demo_flip_bare(w, t, at, bit, &accepted, &different);
    char name[96];
    snprintf(name, sizeof name, "%s alone takes the same flip", w->engine.name);
    demo_fact(w->report, name, ran && accepted && different > 0,
              "no error, and %u of %u outputs are wrong", different, DEMO_STEPS);
}

/* Two layers of one content-addressed block, each a record of its own that is sealed from two
 * spans, K and V, and opened into one. A serving engine fills chain with a hash over the
 * tokens of the prefix; here it is seeded bytes. */
static void swapped_layers(struct demo_world *w)
{
    struct demo_tenant *t = &w->tenant[DEMO_ALICE];
    struct seeded random = seeded_init(w->seed);
    uint8_t plain[2][4096];
    uint8_t bodies[2][4096];
    uint8_t seals[2][ARIL_SEAL_BYTES];
    aril_span spans[2][2];
    aril_kv_block blocks[2];
    aril_kv_item items[2];
    memset(blocks, 0, sizeof blocks);
    seeded_fill(&random, blocks[0].chain, sizeof blocks[0].chain);
    for (uint32_t i = 0; i < 2; i++) {
        seeded_fill(&random, plain[i], sizeof plain[i]);
        blocks[i] = blocks[0];
        blocks[i].identity = ARIL_KV_CHAIN;
        blocks[i].layer_first = i;
        blocks[i].layer_count = 1;
        spans[i][0] = (aril_span){ plain[i], 2048 };
        spans[i][1] = (aril_span){ plain[i] + 2048, 2048 };
        items[i] = (aril_kv_item){ .block = &blocks[i],
                                   .spans = spans[i],
                                   .span_count = 2,
                                   .body = bodies[i],
                                   .body_len = sizeof bodies[i],
                                   .seal = seals[i] };
    }
    aril_status st = aril_kv_seal_batch(t->kv, items, 2, NULL);
    if (st == ARIL_OK) {
        st = demo_open_one(t->kv, &blocks[0], bodies[0], sizeof bodies[0], seals[0]);
    }
    demo_check(w->report, "K and V of a layer: two spans, opened as one", ARIL_OK, st,
               "content-addressed: opens as often as wanted");
    if (st == ARIL_OK) {
        st = demo_open_one(t->kv, &blocks[1], bodies[0], sizeof bodies[0], seals[0]);
    }
    demo_check(w->report, "layer 0 is returned as layer 1", ARIL_E_AUTH, st,
               "the layer range is part of what is authenticated");
}

static void swapped_places(struct demo_world *w)
{
    const struct demo_sealed *s = &w->tenant[DEMO_ALICE].sealed;
    const aril_status st =
        demo_open_one(w->tenant[DEMO_ALICE].kv, &s->blocks[0], s->bodies + DEMO_BLOCK_BYTES,
                      DEMO_BLOCK_BYTES, s->seals + ARIL_SEAL_BYTES);
    demo_check(w->report, "two blocks of a slot change places", ARIL_E_REPLAY_STALE, st,
               "each place knows its newest block");
}

static bool older_state(struct demo_world *w)
{
    struct demo_tenant *t = &w->tenant[DEMO_ALICE];
    struct demo_sealed older = { .count = 0 };
    if (!demo_serve_more(w, t, &older)) {
        demo_sealed_free(&older);
        return false;
    }
    const aril_status st = demo_open_one(t->kv, &older.blocks[0], older.bodies,
                                         demo_block_bytes(&older, 0), older.seals);
    demo_check(w->report, "the store returns an older state", ARIL_E_REPLAY_STALE, st,
               "authentic, but not the newest of its slot");
    demo_sealed_free(&older);
    return true;
}

/* A transfer: alice's end seals, the server opens each record once. */
static void replayed_transfer(struct demo_world *w)
{
    struct demo_tenant *t = &w->tenant[DEMO_ALICE];
    DEFER(kv_freep) aril_kv *sender = NULL;
    DEFER(kv_freep) aril_kv *receiver = NULL;
    aril_kv_config config = demo_kv_config(w);
    aril_status st = aril_kv_new(t->client, &config, &sender);
    config.source = ARIL_KV_FROM_PEER;
    config.mode = ARIL_KV_ONCE;
    if (st == ARIL_OK) {
        st = aril_kv_new(aril_tenant_session(t->held), &config, &receiver);
    }
    uint8_t plain[1024] = { 1 };
    uint8_t body[sizeof plain];
    uint8_t seal[ARIL_SEAL_BYTES];
    const aril_kv_block block = { .layer_count = 1, .identity = ARIL_KV_CHAIN, .chain = { 7 } };
    if (st == ARIL_OK) {
        st = demo_seal_one(sender, &block, plain, sizeof plain, body, seal);
    }
    if (st == ARIL_OK) {
        st = demo_open_one(receiver, &block, body, sizeof body, seal);
    }
    if (st == ARIL_OK) {
        st = demo_open_one(receiver, &block, body, sizeof body, seal);
    }
    demo_check(w->report, "a transfer is delivered twice", ARIL_E_REPLAY, st,
               "the first time it opened");
}

/* All blocks in one batch; one of them lost its last byte. */
static bool truncated_batch(struct demo_world *w)
{
    const struct demo_tenant *t = &w->tenant[DEMO_ALICE];
    struct demo_batch batch;
    if (!demo_batch_init(&batch, &t->sealed)) {
        return demo_stop(w->report, "a batch", ARIL_E_NOMEM);
    }
    const size_t cut = 2;
    size_t failed = 0;
    batch.items[cut].body_len--;
    batch.spans[cut].len--;
    const aril_status st = aril_kv_open_batch(t->kv, batch.items, batch.count, &failed);
    demo_check(w->report, "one block of a batch is cut short", ARIL_E_FORMAT_LENGTH,
               batch.items[cut].status, "that block alone");
    size_t opened = 0;
    for (size_t i = 0; i < batch.count; i++) {
        opened += batch.items[i].status == ARIL_OK;
    }
    demo_check(w->report, "the batch says so", ARIL_E_BATCH, st, "%zu failed, %zu opened", failed,
               opened);
    demo_fact(w->report, "the other blocks of the batch are there",
              failed == 1 && opened == batch.count - 1, "%zu of %zu", opened, batch.count);
    demo_batch_done(&batch);
    return true;
}

bool demo_attacks(struct demo_world *w)
{
    demo_section(w->report, "Whoever holds the stored blocks tries");
    another_tenants_blocks(w);
    flipped_bit(w);
    swapped_layers(w);
    swapped_places(w);
    if (!older_state(w)) {
        return false;
    }
    replayed_transfer(w);
    return truncated_batch(w);
}
