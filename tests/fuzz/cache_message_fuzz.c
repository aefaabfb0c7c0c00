/* SPDX-License-Identifier: Apache-2.0 */
/* Target: arili_cache_change_parse. Corpus: corpus/cache_message/, one plaintext of a message a
 * file.
 * Properties: what parses is written again as the same bytes, and not one of its beginnings parses;
 * what is refused is a FORMAT error and leaves the output alone. */
#include "format/cachemessage.h"
#include <stdlib.h>

#define FILLER 0x5a
#define TRIED  64u /* beginnings that are tried */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static void check_refused(aril_bytes in)
{
    struct arili_cache_change c;
    struct arili_cache_change untouched;
    memset(&untouched, FILLER, sizeof untouched);
    memcpy(&c, &untouched, sizeof c);
    demand(aril_status_class(arili_cache_change_parse(in, &c)) == ARIL_E_FORMAT);
    demand(memcmp(&c, &untouched, sizeof c) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const aril_bytes in = { data, len };
    struct arili_cache_change c;
    if (arili_cache_change_parse(in, &c) != ARIL_OK) {
        check_refused(in);
        return 0;
    }
    uint8_t *const again = malloc(len);
    size_t n = 0;
    demand(again != NULL);
    struct arili_writer w = arili_writer_init(again, len);
    arili_cache_change_write(&c, &w);
    demand(arili_writer_end(&w, &n) == ARIL_OK && n == len && memcmp(again, data, len) == 0);
    free(again);
    for (size_t cut = 1; cut <= TRIED && cut <= len; cut++) {
        check_refused((aril_bytes){ data, len - cut });
    }
    return 0;
}
