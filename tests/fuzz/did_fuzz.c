/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_did_parse, arili_did_write, arili_base58_*. Corpus: corpus/did/, one
 * DID or base58 text a file, no line end.
 * Properties: what is accepted is written again with the same characters, so each key
 * has one text for each method; base58 maps both ways without loss. */
#include "format/base58.h"
#include "format/did.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static void try_did(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    if (text == NULL) {
        return;
    }
    if (len > 0) {
        memcpy(text, data, len);
    }
    text[len] = '\0';
    struct arili_did did;
    if (arili_did_parse(text, &did) == ARIL_OK) {
        char again[ARIL_DID_BYTES_MAX];
        size_t again_len = 0;
        demand(arili_did_write(&did, again, sizeof again, &again_len) == ARIL_OK);
        demand(again_len == strlen(text) && strcmp(again, text) == 0);
    }
    free(text);
}

static void try_base58(const uint8_t *data, size_t len)
{
    static uint8_t bytes[ARILI_BASE58_BYTES_MAX];
    static char text[ARILI_BASE58_CHARS_MAX];
    size_t n = 0;
    size_t m = 0;
    if (arili_base58_decode((aril_bytes){ data, len }, bytes, sizeof bytes, &n) == ARIL_OK) {
        demand(arili_base58_encode((aril_bytes){ bytes, n }, text, sizeof text, &m) == ARIL_OK);
        demand(m == len && (len == 0 || memcmp(text, data, len) == 0));
    }
    if (arili_base58_encode((aril_bytes){ data, len }, text, sizeof text, &m) == ARIL_OK) {
        demand(arili_base58_decode((aril_bytes){ (const uint8_t *)text, m }, bytes, sizeof bytes,
                                   &n) == ARIL_OK);
        demand(n == len && (len == 0 || memcmp(bytes, data, len) == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_did(data, len);
    try_base58(data, len);
    return 0;
}
