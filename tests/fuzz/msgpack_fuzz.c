/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_msgpack_check, arili_msgpack_next, arili_canonical. Corpus: corpus/msgpack/, one
 * document a file.
 * Properties: what is checked is read token by token to its end, with as many pairs; a canonical
 * form is a document, at most twice as long, and its own canonical form. */
#include "cache/canonical.h"
#include "format/msgpack.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static void walk(aril_bytes in, size_t pairs)
{
    struct arili_reader r = arili_reader_init(in);
    uint64_t owed = 1;
    while (owed > 0) {
        struct arili_msgpack t = { 0 };
        demand(arili_msgpack_next(&r, &t) == ARIL_OK);
        owed--;
        if (t.type == ARILI_MSGPACK_MAP) {
            owed += 2 * (uint64_t)t.count;
            demand(pairs >= t.count);
            pairs -= t.count;
        } else if (t.type == ARILI_MSGPACK_ARRAY) {
            owed += t.count;
        } else if (t.bytes.len > 0) {
            demand(t.bytes.data >= in.data && t.bytes.data + t.bytes.len <= in.data + in.len);
        }
        demand(owed <= r.len);
    }
    demand(r.len == 0 && pairs == 0);
}

static void canonical(aril_bytes in)
{
    uint8_t *const once = malloc(2 * in.len + 1);
    uint8_t *const twice = malloc(4 * in.len + 1);
    size_t n = 0;
    size_t m = 0;
    demand(once != NULL && twice != NULL);
    if (arili_canonical(in, once, &n) == ARIL_OK) {
        demand(n <= 2 * in.len);
        demand(arili_canonical((aril_bytes){ once, n }, twice, &m) == ARIL_OK);
        demand(n == m && memcmp(once, twice, n) == 0);
    }
    free(once);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const aril_bytes in = { data, len };
    size_t pairs = 0;
    if (arili_msgpack_check(in, ARILI_MSGPACK_DEPTH_MAX, &pairs) == ARIL_OK) {
        walk(in, pairs);
        canonical(in);
    }
    return 0;
}
