/* SPDX-License-Identifier: Apache-2.0 */
/* Target: arili_resp_next() for replies. Corpus: corpus/resp_reply/: a digit, 2 or 3, the version
 * of RESP, then what a server sends. Properties: those of resp_events.h; where the input is cut
 * changes nothing; a caller who reads bodies by itself sees the same lengths; a decoder of RESP3
 * reads all that one of RESP2 does. */
#include "parties.h"
#include "resp_events.h"
#include <string.h>

#define INPUT_BYTES_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand_same(const struct arili_resp_limits *limits, aril_bytes in, size_t step,
                        const struct resp_events *whole)
{
    struct resp_events e = resp_events_of(limits, in, step);
    parties_demand(e.status == whole->status && (e.used == whole->used || e.status != ARIL_OK) &&
                   e.is_idle == whole->is_idle && strcmp(e.text, whole->text) == 0);
    resp_events_free(&e);
}

/* Every body is skipped, as far as it is there. */
static void skip_bodies(const struct arili_resp_limits *limits, aril_bytes in,
                        const struct resp_events *whole)
{
    struct arili_resp_decoder d;
    struct arili_resp_event e = { .kind = ARILI_RESP_MORE };
    aril_status st = ARIL_OK;
    arili_resp_decoder_init(&d, limits);
    do {
        const uint64_t left = arili_resp_body_left(&d);
        const size_t n = left < in.len ? (size_t)left : in.len;
        arili_resp_skip_body(&d, n);
        if (n > 0) {
            in.data += n;
            in.len -= n;
        }
        st = arili_resp_next(&d, &in, &e);
        parties_demand(e.kind != ARILI_RESP_BODY || (e.text.len == 0 && e.last));
    } while (st == ARIL_OK && e.kind != ARILI_RESP_MORE);
    parties_demand(st == whole->status && arili_resp_is_idle(&d) == whole->is_idle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0 || len > INPUT_BYTES_MAX) {
        return 0;
    }
    const struct arili_resp_limits limits = { .bulk_max = 2000,
                                              .count_max = 1000,
                                              .resp3 = data[0] == '3' };
    const aril_bytes in = { data + 1, len - 1 };
    struct resp_events whole = resp_events_of(&limits, in, 0);
    demand_same(&limits, in, 1, &whole);
    demand_same(&limits, in, 7, &whole);
    skip_bodies(&limits, in, &whole);
    if (!limits.resp3 && whole.status == ARIL_OK) {
        struct arili_resp_limits wider = limits;
        wider.resp3 = true;
        demand_same(&wider, in, 0, &whole);
    }
    resp_events_free(&whole);
    return 0;
}
