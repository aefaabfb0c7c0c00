/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "maker_cases.h"
#include <stdio.h>
#include <string.h>

/* records.json: records that somebody changed. */

#define EPOCH    5u
#define SEQUENCE 9u
#define LENGTH   20u

static struct sealed record; /* too big for the stack */

static struct opener at_epoch(void)
{
    struct opener o = maker_opener;
    o.newest = EPOCH;
    return o;
}

static void altered(json_t *cases, const char *cls, const char *name, aril_status status,
                    const uint8_t *seal, const uint8_t *body, size_t len)
{
    const struct attempt a = { .cls = cls,
                               .name = name,
                               .status = status,
                               .block = &record.block,
                               .body = body,
                               .len = len,
                               .seal = seal };
    maker_case(cases, &a);
}

static aril_status forged_epoch(uint32_t epoch)
{
    return epoch > EPOCH + 8 ? ARIL_E_KEY_FUTURE : ARIL_E_KEY_UNKNOWN;
}

/* What a changed byte of the seal must give, docs/FORMAT.md section 4.5. */
static aril_status forged_status(const uint8_t *seal, size_t at, unsigned bit)
{
    if (at == 0) {
        return ARIL_E_FORMAT_VERSION;
    }
    if (at <= 2) {
        return ARIL_E_FORMAT_KIND;
    }
    if (at == 3) {
        return bit == 0 ? ARIL_E_AUTH : ARIL_E_FORMAT_FIELD;
    }
    if (at < 8) {
        return forged_epoch(arili_load32(seal + 4));
    }
    if (at < 16) {
        return ARIL_E_ISOLATION;
    }
    if (at < 24) {
        const uint64_t sequence = arili_load64(seal + 16);
        return sequence >= 1 && sequence <= UINT64_C(1) << 32 ? ARIL_E_AUTH : ARIL_E_FORMAT_FIELD;
    }
    if (at < 32) {
        return ARIL_E_FORMAT_LENGTH;
    }
    return at < 64 ? ARIL_E_KEY_UNKNOWN : ARIL_E_AUTH;
}

static void flip_seal(json_t *cases, size_t at, unsigned bit)
{
    char name[48];
    uint8_t seal[ARIL_SEAL_BYTES];
    memcpy(seal, record.seal, sizeof seal);
    seal[at] ^= (uint8_t)(1u << bit);
    snprintf(name, sizeof name, "seal, byte %zu, bit %u", at, bit);
    altered(cases, "forged", name, forged_status(seal, at, bit), seal, record.body, record.len);
}

/* The body with another length; agrees: the seal says so too. */
static void resized(json_t *cases, const char *cls, size_t len, bool agrees)
{
    char name[64];
    uint8_t seal[ARIL_SEAL_BYTES];
    memcpy(seal, record.seal, sizeof seal);
    if (agrees) {
        arili_store64(seal + 24, len);
    }
    snprintf(name, sizeof name, "%zu bytes instead of %u%s", len, LENGTH,
             agrees ? ", and the seal says so" : "");
    altered(cases, cls, name, agrees ? ARIL_E_AUTH : ARIL_E_FORMAT_LENGTH, seal, record.body, len);
}

void maker_forged(json_t *groups)
{
    const struct opener o = at_epoch();
    const aril_kv_block block = maker_chain_block();
    json_t *cases = maker_group(groups, &o);
    maker_seal(&o, &block, EPOCH, SEQUENCE, LENGTH, &record);
    for (size_t at = 0; at < ARIL_SEAL_BYTES; at++) {
        flip_seal(cases, at, (unsigned)(at % 8));
    }
    flip_seal(cases, 3, 0); /* the direction */
    flip_seal(cases, 7, 0); /* the epoch before */
    flip_seal(cases, 7, 1); /* an epoch ahead that an opener derives */
    flip_seal(cases, 23, 0);
    for (size_t at = 0; at < LENGTH; at++) {
        char name[32];
        uint8_t body[LENGTH];
        memcpy(body, record.body, sizeof body);
        body[at] ^= (uint8_t)(1u << at % 8);
        snprintf(name, sizeof name, "body, byte %zu", at);
        altered(cases, "forged", name, ARIL_E_AUTH, record.seal, body, sizeof body);
    }
    altered(cases, "forged", "no body at all", ARIL_E_FORMAT_LENGTH, record.seal, record.body, 0);
    for (size_t i = 0; i < 2; i++) {
        resized(cases, "truncated", LENGTH - 1, i == 1);
        resized(cases, "truncated", 1, i == 1);
        resized(cases, "truncated", 0, i == 1);
        resized(cases, "extended", LENGTH + 1, i == 1);
        resized(cases, "extended", LENGTH + 16, i == 1);
    }
}

/* --- values that level 1 does not have ------------------------------------------------- */

struct field {
    const char *cls, *name;
    size_t at, bytes;
    uint64_t value;
    aril_status status;
};

static void store(uint8_t *seal, const struct field *f)
{
    for (size_t i = 0; i < f->bytes; i++) {
        seal[f->at + i] = (uint8_t)(f->value >> 8 * (f->bytes - 1 - i));
    }
}

void maker_fields(json_t *groups)
{
    static const struct field fields[] = {
        { "wrong-version", "level 0x00", 0, 1, 0x00, ARIL_E_FORMAT_VERSION },
        { "wrong-version", "level 0xa0", 0, 1, 0xa0, ARIL_E_FORMAT_VERSION },
        { "wrong-version", "level 0xa2", 0, 1, 0xa2, ARIL_E_FORMAT_VERSION },
        { "wrong-version", "level 0xff", 0, 1, 0xff, ARIL_E_FORMAT_VERSION },
        { "wrong-kind", "kind 0", 1, 1, 0, ARIL_E_FORMAT_KIND },
        { "wrong-kind", "kind 2", 1, 1, 2, ARIL_E_FORMAT_KIND },
        { "wrong-kind", "kind 255", 1, 1, 255, ARIL_E_FORMAT_KIND },
        { "wrong-use", "use 0", 2, 1, 0, ARIL_E_FORMAT_KIND },
        { "wrong-use", "use 2", 2, 1, 2, ARIL_E_FORMAT_KIND },
        { "wrong-use", "use 255", 2, 1, 255, ARIL_E_FORMAT_KIND },
        { "wrong-field", "flags 0x02", 3, 1, 0x02, ARIL_E_FORMAT_FIELD },
        { "wrong-field", "flags 0x80", 3, 1, 0x80, ARIL_E_FORMAT_FIELD },
        { "wrong-field", "sequence 0", 16, 8, 0, ARIL_E_FORMAT_FIELD },
        { "wrong-field", "sequence 2^32 + 1", 16, 8, (UINT64_C(1) << 32) + 1, ARIL_E_FORMAT_FIELD },
        { "wrong-field", "sequence 2^64 - 1", 16, 8, UINT64_MAX, ARIL_E_FORMAT_FIELD },
        { "wrong-field", "body length 2^36 - 31", 24, 8, (UINT64_C(1) << 36) - 31,
          ARIL_E_FORMAT_LENGTH },
        { "wrong-field", "body length 2^64 - 1", 24, 8, UINT64_MAX, ARIL_E_FORMAT_LENGTH },
    };
    const struct opener o = at_epoch();
    const aril_kv_block block = maker_chain_block();
    json_t *cases = maker_group(groups, &o);
    maker_seal(&o, &block, EPOCH, SEQUENCE, LENGTH, &record);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        uint8_t seal[ARIL_SEAL_BYTES];
        memcpy(seal, record.seal, sizeof seal);
        store(seal, &fields[i]);
        altered(cases, fields[i].cls, fields[i].name, fields[i].status, seal, record.body,
                record.len);
    }
}

/* --- several things wrong --------------------------------------------------------------- */

enum {
    LEVEL,
    KIND,
    FLAGS,
    TOO_LONG,
    USE,
    TENANT,
    WRONG_LENGTH,
    DIRECTION,
    FUTURE,
    RETIRED,
    KEY_ID,
    TAG
};

static const struct field faults[] = {
    [LEVEL] = { "", "level", 0, 1, 0xa2, ARIL_E_FORMAT_VERSION },
    [KIND] = { "", "kind", 1, 1, 2, ARIL_E_FORMAT_KIND },
    [FLAGS] = { "", "flags", 3, 1, 0x40, ARIL_E_FORMAT_FIELD },
    [TOO_LONG] = { "", "body length too big", 24, 8, UINT64_MAX, ARIL_E_FORMAT_LENGTH },
    [USE] = { "", "use", 2, 1, 2, ARIL_E_FORMAT_KIND },
    [TENANT] = { "", "tenant tag", 8, 8, 1, ARIL_E_ISOLATION },
    [WRONG_LENGTH] = { "", "body length", 24, 8, LENGTH + 1, ARIL_E_FORMAT_LENGTH },
    [DIRECTION] = { "", "direction", 3, 1, 1, ARIL_E_AUTH },
    [FUTURE] = { "", "epoch too far ahead", 4, 4, 100, ARIL_E_KEY_FUTURE },
    [RETIRED] = { "", "epoch retired", 4, 4, 0, ARIL_E_KEY_RETIRED },
    [KEY_ID] = { "", "key id", 32, 8, 0, ARIL_E_KEY_UNKNOWN },
    [TAG] = { "", "tag", 64, 8, 0, ARIL_E_AUTH },
};

/* Both faults; the first one decides. again: the record was opened before. */
static void both(json_t *cases, int first, int second, bool again, aril_status status)
{
    char name[96];
    uint8_t seal[ARIL_SEAL_BYTES];
    memcpy(seal, record.seal, sizeof seal);
    store(seal, &faults[first]);
    store(seal, &faults[second]);
    snprintf(name, sizeof name, "%s, %s%s", faults[first].name, faults[second].name,
             again ? ", opened before" : "");
    const struct attempt a = { .cls = "order",
                               .name = name,
                               .status = status,
                               .block = &record.block,
                               .body = record.body,
                               .len = record.len,
                               .seal = seal,
                               .before = again ? maker_before(&record) : NULL };
    maker_case(cases, &a);
}

void maker_order(json_t *groups)
{
    static const int order[] = { LEVEL,        KIND,      FLAGS,  TOO_LONG, USE, TENANT,
                                 WRONG_LENGTH, DIRECTION, FUTURE, KEY_ID,   TAG };
    struct opener o = at_epoch();
    o.readable = 2;
    o.once = true;
    const aril_kv_block block = maker_chain_block();
    json_t *cases = maker_group(groups, &o);
    maker_seal(&o, &block, EPOCH, SEQUENCE, LENGTH, &record);
    for (size_t i = 0; i + 1 < sizeof order / sizeof order[0]; i++) {
        both(cases, order[i], order[i + 1], false, faults[order[i]].status);
    }
    both(cases, RETIRED, KEY_ID, false, ARIL_E_KEY_RETIRED);
    both(cases, KEY_ID, TAG, true, ARIL_E_KEY_UNKNOWN);
    both(cases, TAG, TAG, true, ARIL_E_REPLAY);

    o.once = false;
    o.pins = 4;
    const aril_kv_block slot = maker_slot_block();
    cases = maker_group(groups, &o);
    static struct sealed newer;
    maker_seal(&o, &slot, EPOCH, SEQUENCE + 1, LENGTH, &newer);
    maker_seal(&o, &slot, EPOCH, SEQUENCE, LENGTH, &record);
    uint8_t seal[ARIL_SEAL_BYTES];
    memcpy(seal, record.seal, sizeof seal);
    store(seal, &faults[TAG]);
    const struct attempt a = { .cls = "order",
                               .name = "an older one of its slot, tag",
                               .status = ARIL_E_REPLAY_STALE,
                               .block = &record.block,
                               .body = record.body,
                               .len = record.len,
                               .seal = seal,
                               .before = maker_before(&newer) };
    maker_case(cases, &a);
}
