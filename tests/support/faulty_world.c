/* SPDX-License-Identifier: Apache-2.0 */
#include "faulty_world.h"
#include "crypto/runtime.h"
#include "fault_alloc.h"
#include "provider.h"
#include <pthread.h>
#include <string.h>

/* --- Nonces ------------------------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct arili_crypto_ops *inner;
static struct arili_crypto_ops ops;
static struct arili_crypto table;
static struct key_uses uses;
static size_t nonces;
static bool used_twice;

/* The header in the associated data names key and sequence. Failed calls count: what they
 * wrote may have been seen. */
static aril_status watch_seal(struct arili_aead_ctx *ctx,
                              const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                              const aril_bytes *spans, size_t count, uint8_t *ret_body,
                              uint8_t ret_tag[ARILI_AEAD_TAG_BYTES])
{
    aril_seal_info info;
    uint8_t seal[ARIL_SEAL_BYTES] = { 0 };
    (void)pthread_mutex_lock(&lock);
    nonces++;
    if (aad.len >= 64) { /* not the one that overwrites a key schedule */
        memcpy(seal, aad.data, 64);
        used_twice =
            used_twice || aril_seal_inspect(seal, &info) != ARIL_OK || !key_uses_add(&uses, &info);
    }
    (void)pthread_mutex_unlock(&lock);
    return inner->aead_seal(ctx, nonce, aad, spans, count, ret_body, ret_tag);
}

size_t faulty_world_nonces(void)
{
    return nonces;
}

/* --- The world ----------------------------------------------------------------------------- */

void faulty_world_init(struct faulty_world *f)
{
    memset(f, 0, sizeof *f);
    f->crypto = faulty_crypto_new(provider());
    assert_non_null(f->crypto);
    inner = faulty_crypto_table(f->crypto)->ops;
    ops = *inner;
    ops.aead_seal = watch_seal;
    table = (struct arili_crypto){ &ops, faulty_crypto_table(f->crypto)->provider };
    nonces = 0;
    used_twice = false;
    world_init_over(&f->w, &table);
    assert_status(aril_identity_generate(f->w.rt, ARIL_ML_DSA_65, &f->server), ARIL_OK);
    assert_status(aril_identity_generate(f->w.rt, ARIL_ML_DSA_65, &f->tenant), ARIL_OK);
}

void faulty_world_done(struct faulty_world *f)
{
    aril_identity_free(f->server);
    aril_identity_free(f->tenant);
    world_done(&f->w);
    assert_int_equal(faulty_crypto_alive(f->crypto), 0);
    faulty_crypto_free(f->crypto);
    key_uses_done(&uses);
    assert_false(used_twice);
}

static void write_did(struct faulty_world *f, const aril_identity *identity,
                      char ret[ARIL_DID_BYTES_MAX])
{
    size_t len;
    assert_status(aril_did_write(f->w.rt, ARIL_DID_PQAID, ARIL_ML_DSA_65,
                                 aril_identity_public(identity), ret, ARIL_DID_BYTES_MAX, &len),
                  ARIL_OK);
}

void faulty_talk_init(struct faulty_world *f, struct talk *t, bool is_signed)
{
    char did[ARIL_DID_BYTES_MAX];
    talk_init(t, &f->w, ARIL_PROFILE_HYBRID, false);
    write_did(f, f->server, t->did);
    t->accept_config.identity = f->server;
    if (is_signed) {
        write_did(f, f->tenant, did);
        assert_status(aril_trust_add(t->trust, did, "tenant"), ARIL_OK);
        t->offer_config.identity = f->tenant;
        t->accept_config.vouched_tenant_id = (aril_bytes){ NULL, 0 };
    }
}

void faulty_pair_init(struct faulty_world *f, struct pair *p, const aril_policy *policy)
{
    assert_status(aril_session_pair(f->w.rt, ARIL_PROFILE_HYBRID, TEXT("tenant"), f->server,
                                    fixture_tag_key(), policy, &p->tenant, &p->server),
                  ARIL_OK);
}

/* --- Faults ----------------------------------------------------------------------------------- */

#define CELLS 8192u
static void *cells[CELLS];
static size_t cell_count;

/* Takes every free cell, so that the next one makes the arena grow. */
static void fill_arena(struct arili_secure *arena)
{
    const size_t full = arili_secure_stats(arena).bytes;
    while (cell_count < CELLS) {
        void *cell = arili_secure_take(arena);
        assert_non_null(cell);
        cells[cell_count++] = cell;
        if (arili_secure_stats(arena).bytes > full) {
            break;
        }
    }
    for (unsigned i = 1; i < 512; i++) { /* the rest of the chunk that came last */
        cells[cell_count++] = arili_secure_take(arena);
    }
}

void fault_arm(struct faulty_world *f, enum fault what, unsigned nth)
{
    if (what == FAULT_CRYPTO) {
        faulty_crypto_arm(f->crypto, nth, ARIL_E_CRYPTO);
        return;
    }
    if (what == FAULT_ARENA) {
        fill_arena(f->w.rt->secure);
    }
    fault_alloc_arm(nth);
}

bool fault_disarm(struct faulty_world *f, enum fault what)
{
    if (what == FAULT_CRYPTO) {
        faulty_crypto_disarm(f->crypto);
        return faulty_crypto_fired(f->crypto);
    }
    fault_alloc_disarm();
    while (cell_count > 0) {
        arili_secure_give(f->w.rt->secure, cells[--cell_count]);
    }
    return fault_alloc_fired();
}

aril_status fault_status(enum fault what)
{
    return what == FAULT_CRYPTO ? ARIL_E_CRYPTO : ARIL_E_NOMEM;
}

const char *fault_name(const struct faulty_world *f, enum fault what)
{
    return what == FAULT_CRYPTO  ? faulty_crypto_last(f->crypto)
           : what == FAULT_ARENA ? "allocation, arena full"
                                 : "allocation";
}

void assert_fault(const struct faulty_world *f, enum fault what, unsigned nth, aril_status got)
{
    if (got != fault_status(what)) {
        fail_msg("%s, number %u: %s", fault_name(f, what), nth, aril_status_name(got));
    }
}
