/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_pem_parse, arili_pkcs8_parse, arili_spki_parse and their writers.
 * Corpus: corpus/keyfile/, key files as text and as DER.
 * Properties: spans lie inside the input; writing what was read gives the same bytes
 * (PEM but for its line ends, PKCS#8 in the seed-only form). */
#include "format/keyfile.h"
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)1 << 14)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static int inside(aril_bytes part, aril_bytes whole)
{
    return part.data >= whole.data && part.len <= whole.len &&
           (size_t)(part.data - whole.data) <= whole.len - part.len;
}

static void try_pkcs8(aril_bytes der)
{
    struct arili_keyfile key;
    if (arili_pkcs8_parse(der, &key) != ARIL_OK) {
        return;
    }
    demand(key.alg == 65 || key.alg == 87);
    demand(key.seed.len == ARILI_KEYFILE_SEED_BYTES && inside(key.seed, der));
    if (key.expanded.len > 0) {
        demand(key.expanded.len == (key.alg == 65 ? 4032u : 4896u));
        demand(inside(key.expanded, der));
        return;
    }
    uint8_t again[ARILI_KEYFILE_SEED_DER_BYTES];
    arili_pkcs8_write(key.alg, key.seed.data, again);
    demand(der.len == sizeof again && memcmp(again, der.data, sizeof again) == 0);
}

static void try_spki(aril_bytes der)
{
    int alg = 0;
    aril_bytes public_key = { NULL, 0 };
    if (arili_spki_parse(der, &alg, &public_key) != ARIL_OK) {
        return;
    }
    demand(inside(public_key, der));
    uint8_t again[ARILI_KEYFILE_SPKI_BYTES_MAX];
    size_t len = 0;
    demand(arili_spki_write(alg, public_key, again, sizeof again, &len) == ARIL_OK);
    demand(len == der.len && memcmp(again, der.data, len) == 0);
}

/* The text with LF line ends. */
static size_t without_cr(const uint8_t *data, size_t len, char *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (data[i] != '\r' || i + 1 == len || data[i + 1] != '\n') {
            ret[n++] = (char)data[i];
        }
    }
    return n;
}

static void try_pem(const uint8_t *data, size_t len, const char *label)
{
    static uint8_t der[TEXT_BYTES_MAX];
    static char text[TEXT_BYTES_MAX], again[TEXT_BYTES_MAX + 64];
    size_t der_len = 0;
    const aril_status st =
        arili_pem_parse((aril_bytes){ data, len }, label, der, sizeof der, &der_len);
    if (st != ARIL_OK) {
        for (size_t i = 0; i < sizeof der; i++) {
            demand(der[i] == 0);
        }
        return;
    }
    size_t again_len = 0;
    demand(arili_pem_write(label, (aril_bytes){ der, der_len }, again, sizeof again, &again_len) ==
           ARIL_OK);
    const size_t text_len = without_cr(data, len, text);
    demand(again_len == text_len && memcmp(again, text, text_len) == 0);
    try_pkcs8((aril_bytes){ der, der_len });
    try_spki((aril_bytes){ der, der_len });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > TEXT_BYTES_MAX) {
        return 0;
    }
    try_pem(data, len, ARILI_KEYFILE_LABEL_PRIVATE);
    try_pem(data, len, ARILI_KEYFILE_LABEL_PUBLIC);
    try_pkcs8((aril_bytes){ data, len });
    try_spki((aril_bytes){ data, len });
    return 0;
}
