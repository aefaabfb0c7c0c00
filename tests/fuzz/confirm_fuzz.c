/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_confirm_parse, arili_confirm_write, aril_session_confirm. Corpus:
 * corpus/confirm/, one confirm a file.
 * Properties: what parses is written again with the same bytes; a server establishes a
 * session only with the very message of its tenant, and anything else leaves its handshake
 * usable. */
#include "format/handshake.h"
#include "parties.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct waiting {
    aril_handshake *hs;
    struct message offer, answer, confirm;
} waiting[ARIL_PROFILE_STRICT + 1];

static struct waiting *wait_for(aril_profile profile)
{
    struct waiting *w = &waiting[profile];
    if (w->confirm.len == 0) {
        aril_handshake_free(parties_offer(profile, 0, &w->offer));
        parties_confirm(profile, &w->confirm);
    }
    if (w->hs == NULL) {
        w->hs = parties_accept(profile, &w->offer, &w->answer);
    }
    return w;
}

static aril_status confirm(struct waiting *w, const uint8_t *data, size_t len)
{
    aril_session *session = NULL;
    const aril_status st = aril_session_confirm(w->hs, (aril_bytes){ data, len }, &session);
    parties_demand((st == ARIL_OK) == (session != NULL));
    aril_session_close(session);
    if (st == ARIL_OK) { /* used up */
        aril_handshake_free(w->hs);
        w->hs = NULL;
    }
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static unsigned inputs;
    struct arili_confirm m;
    aril_profile profile = ARIL_PROFILE_HYBRID;
    if (arili_confirm_parse((aril_bytes){ data, len }, &m) == ARIL_OK) {
        static uint8_t again[ARIL_HANDSHAKE_BYTES_MAX];
        size_t n = 0;
        parties_demand(arili_confirm_write(&m, again, sizeof again, &n) == ARIL_OK);
        parties_demand(n == len && memcmp(again, data, len) == 0);
        profile = m.profile;
    }
    struct waiting *w = wait_for(profile);
    const int genuine = len == w->confirm.len && memcmp(data, w->confirm.bytes, len) == 0;
    parties_demand((confirm(w, data, len) == ARIL_OK) == genuine);
    if (inputs++ % 256 == 0 && !genuine) {
        parties_demand(confirm(w, w->confirm.bytes, w->confirm.len) == ARIL_OK);
    }
    return 0;
}
