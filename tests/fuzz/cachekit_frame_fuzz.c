/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_cachekit_frame_parse, arili_cachekit_segment_is_valid. Corpus:
 * corpus/cachekit_frame/, one frame a file.
 * Properties: spans of an accepted frame lie in it, its payload is all that follows its header,
 * its texts are short tokens without escapes; a shorter input than the header is refused. */
#include "format/cachekit.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static void demand_token(aril_bytes text, aril_bytes in)
{
    demand(text.len <= ARILI_CACHEKIT_TOKEN_BYTES_MAX);
    if (text.len == 0) {
        return;
    }
    demand(text.data > in.data && text.data + text.len < in.data + in.len);
    demand(text.data[-1] == '"' && text.data[text.len] == '"');
    demand(memchr(text.data, '\\', text.len) == NULL && arili_utf8_is_valid(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const aril_bytes in = { data, len };
    struct arili_cachekit_frame f;
    if (arili_cachekit_segment_is_valid(in)) {
        demand(len >= 1 && len <= ARILI_CACHEKIT_SEGMENT_MAX && memchr(data, ':', len) == NULL);
    }
    if (arili_cachekit_frame_parse(in, &f) != ARIL_OK) {
        return 0;
    }
    const size_t head = 7 + (size_t)arili_load32(data + 3);
    demand(head <= len && f.payload.len == len - head);
    demand(f.payload.len == 0 || f.payload.data == data + head);
    demand(f.format.len > 0);
    demand_token(f.format, in);
    demand_token(f.original_type, in);
    demand(arili_cachekit_frame_parse((aril_bytes){ data, head - 1 }, &f) ==
           ARIL_E_FORMAT_TRUNCATED);
    return 0;
}
