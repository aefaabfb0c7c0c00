/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_value_parse and arili_value_trailer_parse. Corpus: corpus/cachevalue/, a kind as
 * one byte, 0 for a stored value and 1 for the end of a plaintext, and the bytes.
 * Properties: what parses is written again as the same bytes; a value that parses has the length
 * that its header says, and does not parse with a byte less or more; a trailer that parses lies in
 * its plaintext with its value before it; what is refused is a FORMAT error and leaves the output
 * alone. */
#include "format/cachevalue.h"
#include <stdlib.h>

#define FILLER 0x5a

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static int is_filled(const void *p, size_t len)
{
    const uint8_t *bytes = p;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != FILLER) {
            return 0;
        }
    }
    return 1;
}

static void check_value(aril_bytes in)
{
    struct arili_value_header h;
    struct arili_value_header other;
    uint8_t again[ARILI_VALUE_HEADER_BYTES];
    memset(&h, FILLER, sizeof h);
    const aril_status st = arili_value_parse(in, &h);
    if (st != ARIL_OK) {
        demand(aril_status_class(st) == ARIL_E_FORMAT && is_filled(&h, sizeof h));
        return;
    }
    demand(in.len == arili_value_stored_bytes(h.body_bytes));
    demand(h.created_ms <= h.not_after_ms && h.body_bytes <= ARILI_VALUE_BODY_MAX);
    arili_value_write(&h, again);
    demand(memcmp(again, in.data, sizeof again) == 0);
    demand(arili_value_parse((aril_bytes){ in.data, in.len - 1 }, &other) ==
           ARIL_E_FORMAT_TRUNCATED);
}

static void check_trailer(aril_bytes in)
{
    static struct arili_value_trailer t;
    uint8_t
        again[ARILI_VALUE_TAGS_MAX * ARILI_VALUE_TAG_ENTRY_BYTES + ARILI_VALUE_TRAILER_END_BYTES];
    memset(&t, FILLER, sizeof t);
    const aril_status st = arili_value_trailer_parse(in, in.len, &t);
    if (st != ARIL_OK) {
        demand(aril_status_class(st) == ARIL_E_FORMAT && is_filled(&t, sizeof t));
        return;
    }
    const size_t bytes = arili_value_trailer_bytes(t.tag_count);
    demand(t.tag_count <= ARILI_VALUE_TAGS_MAX && bytes <= in.len);
    demand(t.value_bytes <= in.len - bytes);
    arili_value_trailer_write(&t, again);
    demand(memcmp(again, in.data + in.len - bytes, bytes) == 0);
    /* The same from its own bytes alone, with a longer body before them. */
    static struct arili_value_trailer own;
    const aril_bytes end = { in.data + in.len - bytes, bytes };
    demand(arili_value_trailer_parse(end, in.len, &own) == ARIL_OK);
    demand(own.value_bytes == t.value_bytes && own.tag_count == t.tag_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    const aril_bytes in = { data + 1, len - 1 };
    if (data[0] == 0) {
        check_value(in);
    } else {
        check_trailer(in);
    }
    return 0;
}
