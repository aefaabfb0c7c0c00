/* SPDX-License-Identifier: Apache-2.0 */
#include "codecs.h"
#include <stdlib.h>
#include <string.h>

#define FILLER 0x5c

aril_status codec_parse(enum codec c, aril_bytes in, union codec_value *ret)
{
    switch ((unsigned)c) {
    case CODEC_HEAD:
        return arili_head_parse(in, &ret->head);
    case ARILI_ROW_KEY:
        return arili_key_row_parse(in, &ret->key);
    case ARILI_ROW_STAGED:
        return arili_staged_row_parse(in, &ret->staged);
    case ARILI_ROW_ROTATION:
        return arili_rotation_row_parse(in, &ret->rotation);
    case ARILI_ROW_TOMBSTONE:
        return arili_tombstone_row_parse(in, &ret->tombstone);
    case ARILI_ROW_NODE:
        return arili_node_row_parse(in, &ret->node);
    case ARILI_ROW_BACKUP:
        return arili_backup_row_parse(in, &ret->backup);
    case ARILI_ROW_FLOOR:
        return arili_floor_row_parse(in, &ret->floor);
    case ARILI_ROW_AUTHORITY:
        return arili_authority_row_parse(in, &ret->authority);
    case ARILI_ROW_RECOVERY:
        return arili_recovery_row_parse(in, &ret->recovery_row);
    case CODEC_CARD:
        return arili_card_parse(in, &ret->card);
    case CODEC_BUNDLE:
        return arili_bundle_parse(in, &ret->bundle);
    case CODEC_RECEIPT:
        return arili_receipt_parse(in, &ret->receipt);
    case CODEC_RECOVERY_KEY:
        return arili_recovery_parse(in, 64, &ret->recovery);
    case CODEC_RECOVERY_RECIPIENT:
        return arili_recovery_parse(in, 1568, &ret->recovery);
    default:
        abort();
    }
}

static aril_status write_floor(uint64_t value, uint8_t *ret, size_t cap, size_t *ret_len)
{
    if (cap < 8) {
        return ARIL_E_USAGE_TOO_SMALL;
    }
    arili_floor_row_write(value, ret);
    *ret_len = 8;
    return ARIL_OK;
}

static aril_status write_recovery(aril_bytes key, uint8_t *ret, size_t cap, size_t *ret_len)
{
    if (cap < ARILI_RECOVERY_HEADER_BYTES + key.len) {
        return ARIL_E_USAGE_TOO_SMALL;
    }
    arili_recovery_write_header(ret);
    memcpy(ret + ARILI_RECOVERY_HEADER_BYTES, key.data, key.len);
    *ret_len = ARILI_RECOVERY_HEADER_BYTES + key.len;
    return ARIL_OK;
}

aril_status codec_write(enum codec c, const union codec_value *v, uint8_t *ret, size_t cap,
                        size_t *ret_len)
{
    switch ((unsigned)c) {
    case CODEC_HEAD:
        return arili_head_write(&v->head, ret, cap, ret_len);
    case ARILI_ROW_KEY:
        return arili_key_row_write(&v->key, ret, cap, ret_len);
    case ARILI_ROW_STAGED:
        return arili_staged_row_write(&v->staged, ret, cap, ret_len);
    case ARILI_ROW_ROTATION:
        return arili_rotation_row_write(&v->rotation, ret, cap, ret_len);
    case ARILI_ROW_TOMBSTONE:
        return arili_tombstone_row_write(&v->tombstone, ret, cap, ret_len);
    case ARILI_ROW_NODE:
        return arili_node_row_write(&v->node, ret, cap, ret_len);
    case ARILI_ROW_BACKUP:
        return arili_backup_row_write(&v->backup, ret, cap, ret_len);
    case ARILI_ROW_FLOOR:
        return write_floor(v->floor, ret, cap, ret_len);
    case ARILI_ROW_AUTHORITY:
        return arili_authority_row_write(&v->authority, ret, cap, ret_len);
    case ARILI_ROW_RECOVERY:
        return arili_recovery_row_write(&v->recovery_row, ret, cap, ret_len);
    case CODEC_CARD:
        return arili_card_write(&v->card, ret, cap, ret_len);
    case CODEC_BUNDLE:
        return arili_bundle_write(&v->bundle, ret, cap, ret_len);
    case CODEC_RECEIPT:
        return arili_receipt_write(&v->receipt, ret, cap, ret_len);
    case CODEC_RECOVERY_KEY:
    case CODEC_RECOVERY_RECIPIENT:
        return write_recovery(v->recovery, ret, cap, ret_len);
    default:
        abort();
    }
}

aril_status codec_write_core(enum codec c, const union codec_value *v, uint8_t *ret, size_t cap,
                             size_t *ret_len)
{
    switch (c) {
    case CODEC_CARD:
        return arili_card_write_core(&v->card, ret, cap, ret_len);
    case CODEC_BUNDLE:
        return arili_bundle_write_core(&v->bundle, ret, cap, ret_len);
    case CODEC_RECEIPT:
        return arili_receipt_write_core(&v->receipt, ret, cap, ret_len);
    default:
        abort();
    }
}

/* --- What holds for every input -------------------------------------------------------- */

static bool same(aril_bytes a, aril_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool has_core(enum codec c)
{
    return c == CODEC_CARD || c == CODEC_BUNDLE || c == CODEC_RECEIPT;
}

static aril_bytes signed_part(enum codec c, const union codec_value *v)
{
    return c == CODEC_CARD     ? v->card.signed_part
           : c == CODEC_BUNDLE ? v->bundle.signed_part
                               : v->receipt.signed_part;
}

/* Whether the first bytes of list, which *at passed, are these. */
static bool is_next(aril_bytes list, aril_bytes after, const uint8_t *again, size_t len)
{
    return list.len - after.len == len && memcmp(list.data, again, len) == 0;
}

static const char *keys_problem(const struct arili_bundle *b)
{
    uint8_t again[1024];
    aril_bytes left = b->keys;
    uint32_t count = 0;
    for (; left.len > 0; count++) {
        struct arili_bundle_key k;
        size_t len = 0;
        const aril_bytes before = left;
        if (arili_bundle_next_key(&left, &k) != ARIL_OK) {
            return "a key of a list that was parsed does not parse";
        }
        if (arili_bundle_key_write(&k, again, sizeof again, &len) != ARIL_OK ||
            !is_next(before, left, again, len) || !same(k.encoded, (aril_bytes){ again, len })) {
            return "a key is written as other bytes";
        }
    }
    return count == b->key_count ? NULL : "the list of keys has another length";
}

static const char *tombstones_problem(const struct arili_bundle *b)
{
    uint8_t again[512];
    aril_bytes left = b->tombstones;
    uint32_t count = 0;
    for (; left.len > 0; count++) {
        struct arili_bundle_tombstone t;
        size_t len = 0;
        const aril_bytes before = left;
        if (arili_bundle_next_tombstone(&left, &t) != ARIL_OK ||
            arili_bundle_tombstone_write(&t, again, sizeof again, &len) != ARIL_OK ||
            !is_next(before, left, again, len)) {
            return "a tombstone is written as other bytes";
        }
    }
    return count == b->tombstone_count ? NULL : "the list of tombstones has another length";
}

static const char *floors_problem(const struct arili_bundle *b)
{
    uint8_t again[512];
    aril_bytes left = b->floors;
    uint32_t count = 0;
    for (; left.len > 0; count++) {
        struct arili_bundle_floor f;
        size_t len = 0;
        const aril_bytes before = left;
        if (arili_bundle_next_floor(&left, &f) != ARIL_OK ||
            arili_bundle_floor_write(&f, again, sizeof again, &len) != ARIL_OK ||
            !is_next(before, left, again, len)) {
            return "a floor is written as other bytes";
        }
    }
    return count == b->floor_count ? NULL : "the list of floors has another length";
}

static const char *sections_problem(const struct arili_bundle *b)
{
    uint8_t again[2048];
    aril_bytes left = b->sections;
    uint32_t count = 0;
    for (; left.len > 0; count++) {
        struct arili_bundle_section s;
        size_t len = 0;
        const aril_bytes before = left;
        if (arili_bundle_next_section(&left, &s) != ARIL_OK ||
            arili_bundle_section_write(&s, again, sizeof again, &len) != ARIL_OK ||
            memcmp(before.data, again, len) != 0 || s.entries.data != before.data + len ||
            s.entries.len != (size_t)s.entry_count * (4 + ARILI_BUNDLE_SEALED_BYTES)) {
            return "a section is written as other bytes";
        }
        for (uint32_t n = 0; n < s.entry_count; n++) {
            uint32_t index;
            uint8_t sealed[ARILI_BUNDLE_SEALED_BYTES];
            arili_bundle_entry(&s, n, &index, sealed);
            if (index >= b->key_count) {
                return "an entry is of no key";
            }
        }
    }
    return count == b->section_count ? NULL : "the list of sections has another length";
}

static const char *lists_problem(const struct arili_bundle *b)
{
    const char *problem = keys_problem(b);
    problem = problem != NULL ? problem : tombstones_problem(b);
    problem = problem != NULL ? problem : floors_problem(b);
    return problem != NULL ? problem : sections_problem(b);
}

static const char *parsed_problem(enum codec c, aril_bytes in, const union codec_value *v)
{
    uint8_t *again = malloc(in.len);
    size_t len = 0;
    const char *problem = NULL;
    if (again == NULL || codec_write(c, v, again, in.len, &len) != ARIL_OK ||
        !same((aril_bytes){ again, len }, in)) {
        problem = "what was parsed is written as other bytes";
    } else if (has_core(c)) {
        const aril_bytes core = signed_part(c, v);
        if (core.data != in.data || codec_write_core(c, v, again, in.len, &len) != ARIL_OK ||
            !same((aril_bytes){ again, len }, core)) {
            problem = "the signed part is written as other bytes";
        }
    }
    if (problem == NULL && c == CODEC_BUNDLE) {
        problem = lists_problem(&v->bundle);
    }
    free(again);
    return problem;
}

static bool is_untouched(const union codec_value *v)
{
    const uint8_t *bytes = (const uint8_t *)v;
    for (size_t i = 0; i < sizeof *v; i++) {
        if (bytes[i] != FILLER) {
            return false;
        }
    }
    return true;
}

const char *codec_problem(enum codec c, aril_bytes in, aril_status *ret_st)
{
    union codec_value v;
    memset(&v, FILLER, sizeof v);
    uint8_t *copy = malloc(in.len > 0 ? in.len : 1);
    if (copy == NULL) {
        return "no memory";
    }
    if (in.len > 0) {
        memcpy(copy, in.data, in.len);
    }
    const aril_bytes exact = { copy, in.len };
    const char *problem = NULL;
    *ret_st = codec_parse(c, exact, &v);
    if (*ret_st == ARIL_OK) {
        problem = parsed_problem(c, exact, &v);
    } else if (aril_status_class(*ret_st) != ARIL_E_FORMAT) {
        problem = "a parser fails with something else than FORMAT";
    } else if (!is_untouched(&v)) {
        problem = "a parser that failed changed its output";
    }
    free(copy);
    return problem;
}
