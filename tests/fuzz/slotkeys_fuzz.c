/* SPDX-License-Identifier: Apache-2.0 */
/* Target: arili_keys_check, _at, _find, _add, _remove. Corpus: corpus/slotkeys/, one key file of
 * the keystores file: and credential: a file.
 * Properties: what passes has the length of its lines, holds each key that it counts under some
 * slot, is left as it was when a slot is removed that it has not, and is longer or shorter by
 * whole lines after adding and removing. */
#include "keyring/stores/file.h"
#include "parties.h"
#include <stdlib.h>
#include <string.h>

#define SLOT_AT(i) (sizeof ARILI_KEYS_HEAD - 1 + (i)*ARILI_KEYS_LINE_BYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t digit(uint8_t c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void check_lines(aril_bytes text, size_t count, uint8_t *out)
{
    uint8_t slot[ARILI_STORE_SLOT_BYTES];
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    uint8_t found[ARILI_AEAD_KEY_BYTES];
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sizeof slot; k++) {
            const uint8_t *const hex = text.data + SLOT_AT(i) + 2 * k;
            slot[k] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        }
        arili_keys_at(text, i, key);
        parties_demand(arili_keys_find(text, slot, found));
        const size_t less = arili_keys_remove(text, slot, out);
        parties_demand(less < text.len && (text.len - less) % ARILI_KEYS_LINE_BYTES == 0);
        parties_demand(!arili_keys_find((aril_bytes){ out, less }, slot, found));
        const size_t more = arili_keys_add((aril_bytes){ out, less }, slot, key, out);
        parties_demand(arili_keys_find((aril_bytes){ out, more }, slot, found));
        parties_demand(memcmp(found, key, sizeof key) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const aril_bytes text = { data, len };
    size_t count = 0;
    if (arili_keys_check(text, &count) != ARIL_OK) {
        return 0;
    }
    parties_demand(len == ARILI_KEYS_FRAME_BYTES + count * ARILI_KEYS_LINE_BYTES);
    parties_demand(count <= ARILI_KEYS_MAX);
    uint8_t *const out = malloc(len + ARILI_KEYS_LINE_BYTES);
    parties_demand(out != NULL);
    if (out != NULL) {
        static const uint8_t nobody[ARILI_STORE_SLOT_BYTES] = "\xff nobody's slot";
        uint8_t key[ARILI_AEAD_KEY_BYTES];
        if (!arili_keys_find(text, nobody, key)) {
            parties_demand(arili_keys_remove(text, nobody, out) == len);
            parties_demand(memcmp(out, data, len) == 0);
        }
        check_lines(text, count, out);
    }
    free(out);
    return 0;
}
