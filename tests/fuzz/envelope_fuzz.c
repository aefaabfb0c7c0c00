/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_cachekit_envelope_parse, arili_envelope_open (which has LZ4 and XXH3). Corpus:
 * corpus/envelope/, one envelope a file.
 * Properties: what opens is as long as the envelope says and fits the limit; the same data in the
 * other form opens to the same value; a limit below its length refuses it. */
#include "cache/envelope.h"
#include "format/cachekit.h"
#include "format/msgpack.h"
#include <stdlib.h>

#define VALUE_MAX ((size_t)64 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static void write_octets(struct arili_writer *w, const uint8_t *octets, size_t count)
{
    arili_msgpack_write_array(w, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        arili_msgpack_write_uint(w, octets[i]);
    }
}

static void try_other_form(const struct arili_cachekit_envelope *e,
                           const struct arili_envelope_value *value)
{
    const size_t cap = 2 * e->data_bytes + 64;
    uint8_t *const plain = malloc(e->data_bytes + 1);
    uint8_t *const twin = malloc(cap);
    size_t n = 0;
    demand(plain != NULL && twin != NULL);
    if (e->is_array) {
        arili_cachekit_envelope_decode(e, plain);
    } else {
        memcpy(plain, e->data.data, e->data_bytes);
    }
    struct arili_writer w = arili_writer_init(twin, cap);
    arili_msgpack_write_array(&w, 4);
    if (e->is_array) {
        arili_msgpack_write_bin(&w, (aril_bytes){ plain, e->data_bytes });
    } else {
        write_octets(&w, plain, e->data_bytes);
    }
    write_octets(&w, e->checksum, sizeof e->checksum);
    arili_msgpack_write_uint(&w, e->original_bytes);
    arili_msgpack_write_str(&w, ARILI_LITERAL("orjson"));
    demand(arili_writer_end(&w, &n) == ARIL_OK);
    struct arili_envelope_value again = { 0 };
    demand(arili_envelope_open((aril_bytes){ twin, n }, VALUE_MAX, &again) == ARIL_OK);
    demand(again.len == value->len && memcmp(again.memory, value->memory, value->len) == 0);
    arili_envelope_value_done(&again);
    free(plain);
    free(twin);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const aril_bytes in = { data, len };
    struct arili_cachekit_envelope e;
    struct arili_envelope_value value = { 0 };
    const bool parsed = arili_cachekit_envelope_parse(in, &e) == ARIL_OK;
    if (arili_envelope_open(in, VALUE_MAX, &value) != ARIL_OK) {
        demand(value.memory == NULL);
        return 0;
    }
    demand(parsed && value.len == e.original_bytes && value.len <= VALUE_MAX);
    struct arili_envelope_value none = { 0 };
    demand(value.len == 0 || arili_envelope_open(in, value.len - 1, &none) == ARIL_E_LIMIT);
    try_other_form(&e, &value);
    arili_envelope_value_done(&value);
    return 0;
}
