/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_TOOLS_MAKER_H
#define ARIL_TESTS_TOOLS_MAKER_H
#include "session/session.h"
#include <aril/kv.h>
#include <jansson.h>

/*
 * What the parts of make_vectors share. Everything is made from fixed bytes, so a run
 * gives the same files for ever. A call that fails ends the program.
 */

/* Ends the program unless st is ARIL_OK. */
void must(aril_status st, const char *what);
#define MUST(call) must((call), #call)

aril_runtime *maker_runtime(void);

/* len bytes that depend on seed and on nothing else. */
void maker_fill(uint8_t *ret, size_t len, const char *seed);

json_t *maker_hex(const uint8_t *bytes, size_t len);
json_t *maker_hex64(uint64_t value);
/* Adds a member; the object takes the value. */
void maker_set(json_t *object, const char *name, json_t *value);

/* The end that meets the records of a group, and the end that sealed them. */
struct opener {
    aril_profile profile;
    const char *secret; /* seed of the session secret */
    const char *tenant;
    uint64_t tag;
    aril_direction direction; /* of the records */
    bool self;                /* it seals in this direction itself */
    uint32_t newest;          /* epoch that it knows */
    uint32_t readable;
    bool once;
    size_t pins;
    const char *model;
    aril_kv_layout layout;
};
extern const struct opener maker_opener; /* the usual one */

#define MAKER_BODY_BYTES_MAX 65536u

/* A sealed record and what it was sealed from. */
struct sealed {
    aril_kv_block block;
    size_t len;
    uint8_t plain[MAKER_BODY_BYTES_MAX];
    uint8_t body[MAKER_BODY_BYTES_MAX];
    uint8_t seal[ARIL_SEAL_BYTES];
};
/* Seals len bytes of plaintext at that place of the session of o. */
void maker_seal(const struct opener *o, const aril_kv_block *block, uint32_t epoch,
                uint64_t sequence, size_t len, struct sealed *ret);

/* A block named by a chain, and one named by a slot. */
aril_kv_block maker_chain_block(void);
aril_kv_block maker_slot_block(void);

/* The session end that o describes: sends in direction when it seals. */
void maker_session(const struct opener *o, bool seals, aril_session **ret);

json_t *maker_opener_json(const struct opener *o);
json_t *maker_block_json(const aril_kv_block *block);
json_t *maker_layout_json(const aril_kv_layout *layout);

/* The files. */
json_t *maker_keys(void);
json_t *maker_records(void);
json_t *maker_handshake(void);
#endif
