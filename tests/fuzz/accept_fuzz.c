/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_accept_parse, arili_accept_write, aril_session_finish. Corpus:
 * corpus/accept/, one accept a file; the genuine ones answer the offer that the target makes.
 * Properties: what parses is written again with the same bytes; a tenant finishes only with
 * the very message that its server signed, and anything else leaves its handshake usable. */
#include "format/handshake.h"
#include "parties.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* One handshake a profile, waiting; and the one answer to it. */
static struct waiting {
    aril_handshake *hs;
    struct message offer, answer;
} waiting[ARIL_PROFILE_STRICT + 1];

static struct waiting *wait_for(aril_profile profile)
{
    struct waiting *w = &waiting[profile];
    if (w->answer.len == 0) {
        w->hs = parties_offer(profile, 0, &w->offer);
        aril_handshake_free(parties_accept(profile, &w->offer, &w->answer));
    }
    if (w->hs == NULL) {
        w->hs = parties_offer(profile, 0, &w->offer);
    }
    return w;
}

static aril_status finish(struct waiting *w, const uint8_t *data, size_t len)
{
    static struct message confirm;
    aril_session *session = NULL;
    const aril_status st = aril_session_finish(w->hs, (aril_bytes){ data, len }, confirm.bytes,
                                               sizeof confirm.bytes, &confirm.len, &session);
    parties_demand((st == ARIL_OK) == (session != NULL));
    aril_session_close(session);
    if (st == ARIL_OK) { /* used up */
        aril_handshake_free(w->hs);
        w->hs = NULL;
    }
    return st;
}

static void check_parse(const uint8_t *data, size_t len, const struct arili_accept *m)
{
    static uint8_t again[ARIL_HANDSHAKE_BYTES_MAX];
    size_t n = 0;
    parties_demand(arili_accept_write(m, again, sizeof again, &n) == ARIL_OK);
    parties_demand(n == len && memcmp(again, data, len) == 0);
    parties_demand(arili_accept_write_core(m, again, sizeof again, &n) == ARIL_OK);
    parties_demand(n == m->core.len && m->core.data == data && memcmp(again, data, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static unsigned inputs;
    struct arili_accept m;
    aril_profile profile = ARIL_PROFILE_HYBRID;
    if (arili_accept_parse((aril_bytes){ data, len }, &m) == ARIL_OK) {
        check_parse(data, len, &m);
        profile = m.profile;
    }
    struct waiting *w = wait_for(profile);
    const int genuine = len == w->answer.len && memcmp(data, w->answer.bytes, len) == 0;
    parties_demand((finish(w, data, len) == ARIL_OK) == genuine);
    if (inputs++ % 64 == 0 && !genuine) {
        parties_demand(finish(w, w->answer.bytes, w->answer.len) == ARIL_OK);
    }
    return 0;
}
