/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FIXTURE_H
#define ARIL_TESTS_FIXTURE_H
/* What tests of sessions, views and registries start from. The functions end the running
 * cmocka test when something does not work, unless they say otherwise. */
#include "check.h"
#include <aril/aril.h>
#include <stdatomic.h>
#include <stdbool.h>

/* A string literal as a borrowed span, without its NUL. */
#define TEXT(s) ((aril_bytes){ (const uint8_t *)("" s), sizeof(s) - 1 })
/* Any string as a borrowed span. */
aril_bytes text_bytes(const char *s);

/* --- Time ------------------------------------------------------------------------ */

/* A clock that stands still until the test moves it. Threads may read it meanwhile. */
struct fake_clock {
    aril_clock table;
    _Atomic uint64_t boot_ns; /* starts at FAKE_BOOT_NS */
    _Atomic uint64_t unix_s;  /* starts at FAKE_UNIX_S */
    atomic_int status;        /* what both functions answer; starts as ARIL_OK */
    atomic_uint reads;        /* calls of boot_ns */
};
#define FAKE_NS_PER_S UINT64_C(1000000000)
#define FAKE_BOOT_NS  (1000 * FAKE_NS_PER_S)
#define FAKE_UNIX_S   UINT64_C(1750000000)
void fake_clock_init(struct fake_clock *c);
/* Moves both clocks on. */
void fake_clock_add_s(struct fake_clock *c, uint64_t seconds);
/* Moves the boot clock on. */
void fake_clock_add_ns(struct fake_clock *c, uint64_t ns);

/* --- A runtime with everything that a test looks at -------------------------------- */

struct arili_crypto;

/* Must stay where it is: the runtime points to its clock. */
struct world {
    struct fake_clock clock;
    aril_audit_memory *audit;
    aril_runtime *rt;
};
void world_init(struct world *w);
/* Over a provider of the caller's, which must outlive w: to make primitives fail. */
void world_init_over(struct world *w, const struct arili_crypto *crypto);
void world_done(struct world *w);
/* Events of that kind since the start or the last world_forget(), lost ones too. */
uint64_t world_events(const struct world *w, aril_event_kind kind);
/* The newest kept event of that kind, without its tenant; the test ends without one. */
aril_event world_last(const struct world *w, aril_event_kind kind);
/* Whether that event carries this tenant id. */
bool world_last_tenant_is(const struct world *w, aril_event_kind kind, aril_bytes tenant);
void world_forget(struct world *w);

/* --- Keys ------------------------------------------------------------------------ */

/* One identity for each algorithm and number (0 to 3), made when first asked for and kept
 * until the process ends. It belongs to a runtime of its own. */
aril_identity *fixture_identity(aril_sign_alg alg, unsigned number);
/* That which a profile asks for. */
aril_sign_alg fixture_alg(aril_profile profile);
/* did:pqaid of one of those; static storage until the next call of this thread. */
const char *fixture_did(const aril_identity *identity);
/* 32 bytes, the same in every test. */
aril_bytes fixture_tag_key(void);

/* --- Sessions and views ------------------------------------------------------------ */

/* Both ends of a session in one process, over identity number 0. */
struct pair {
    aril_session *tenant, *server;
};
/* policy NULL: the defaults. */
void pair_init(struct pair *p, struct world *w, aril_profile profile, aril_bytes tenant_id,
               const aril_policy *policy);
/* Closes both ends, where they are not NULL. */
void pair_done(struct pair *p);

/* Model "model@1", a small f16 layout, repeatable view of own records, 64 slot pins. */
aril_kv_config view_config(void);
/* The same for records of the peer. */
aril_kv_config view_config_peer(void);
aril_kv *view_new(aril_session *session, const aril_kv_config *config);

/* Block number n by chain, and a block by slot: one layer of rank 0. */
aril_kv_block chain_block(uint64_t n);
aril_kv_block slot_block(uint64_t slot, uint64_t position);

/* --- Memory ----------------------------------------------------------------------- */

/* Bytes that depend on seed and place; no long run of zeros or of one value. */
void fill_pattern(uint8_t *ret, size_t len, uint64_t seed);
bool is_pattern(const uint8_t *p, size_t len, uint64_t seed);
bool is_filled(const void *p, size_t len, uint8_t value);

/* A buffer with guard bytes on both sides, so that a write past an end is seen also
 * without a sanitizer. */
#define GUARD_BYTES  64u
#define GUARD_FILLER 0xa7u
struct guarded {
    uint8_t *base, *data;
    size_t len;
};
void guarded_init(struct guarded *g, size_t len);
/* Ends the test when a guard byte changed. */
void guarded_check(const struct guarded *g);
void guarded_done(struct guarded *g);

/* The memory of one record: plaintext (a pattern), body, seal, where it is opened to, and
 * staging. Everything but the plaintext starts as GUARD_FILLER. Must stay where it is. */
struct room {
    size_t len;
    uint64_t seed;
    aril_kv_block block;
    struct guarded plain, body, seal, out, staging;
    aril_span plain_span, out_span;
};
void room_init(struct room *r, size_t len, uint64_t seed, const aril_kv_block *block);
/* Items over that memory, one span each, without staging. */
aril_kv_item room_sealing(struct room *r);
aril_kv_item room_opening(struct room *r);
/* Fills out and staging with GUARD_FILLER again. */
void room_reset_out(struct room *r);
/* Seals, and demands success; opens to out and gives the status. The plaintext and all
 * guards are checked. */
void room_seal(struct room *r, aril_kv *kv);
aril_status room_open(struct room *r, aril_kv *kv);
/* Whether out is the plaintext. */
bool room_is_open(const struct room *r);
/* Whether out holds none of it: each byte is zero, or all of it was left alone. */
bool room_is_clean(const struct room *r);
/* Checks all guards, and that the plaintext was not changed. */
void room_check(const struct room *r);
void room_done(struct room *r);
#endif
