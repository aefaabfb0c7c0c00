/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_offer_parse, arili_offer_write, aril_session_accept. Corpus: corpus/offer/,
 * one offer a file.
 * Properties: what parses is written again with the same bytes, and its spans lie inside it;
 * a server accepts only the tenant that its transport vouches for, or the very offers that
 * the trusted tenant signed. */
#include "format/handshake.h"
#include "parties.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int inside(aril_bytes part, aril_bytes whole)
{
    return part.len == 0 || (part.data >= whole.data && part.len <= whole.len &&
                             (size_t)(part.data - whole.data) <= whole.len - part.len);
}

static int same(aril_bytes a, aril_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void check_parse(aril_bytes in, const struct arili_offer *m)
{
    static uint8_t again[ARIL_HANDSHAKE_BYTES_MAX];
    size_t len = 0;
    parties_demand(inside(m->tenant_id, in) && inside(m->kem_public, in));
    parties_demand(inside(m->sign_public, in) && inside(m->signature, in));
    parties_demand(m->tenant_id.len >= 1 && m->tenant_id.len <= ARIL_TENANT_ID_BYTES_MAX);
    parties_demand(arili_offer_write(m, again, sizeof again, &len) == ARIL_OK);
    parties_demand(same((aril_bytes){ again, len }, in));
    parties_demand(arili_offer_write_core(m, again, sizeof again, &len) == ARIL_OK);
    if (m->is_signed) {
        parties_demand(same((aril_bytes){ again, len }, m->to_be_signed));
    }
}

static int is_signed_by_the_tenant(aril_profile profile, aril_bytes in)
{
    static struct message genuine[ARIL_PROFILE_STRICT + 1];
    struct message *m = &genuine[profile];
    if (m->len == 0) {
        aril_handshake_free(parties_offer(profile, 1, m));
    }
    return same((aril_bytes){ m->bytes, m->len }, in);
}

static void try_accept(aril_bytes in, const struct arili_offer *m, int is_signed)
{
    static struct message answer;
    const aril_accept_config config = parties_accept_config(m->profile, is_signed);
    aril_handshake *hs = NULL;
    answer.len = 0;
    const aril_status st = aril_session_accept(parties_runtime(), &config, in, &hs, answer.bytes,
                                               sizeof answer.bytes, &answer.len);
    parties_demand((st == ARIL_OK) == (hs != NULL));
    if (st == ARIL_OK) {
        const aril_bytes vouched = { (const uint8_t *)PARTIES_TENANT, strlen(PARTIES_TENANT) };
        parties_demand(same(m->tenant_id, vouched));
        parties_demand(is_signed ? is_signed_by_the_tenant(m->profile, in) : !m->is_signed);
    }
    aril_handshake_free(hs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const aril_bytes in = { data, len };
    struct arili_offer m;
    const aril_status st = arili_offer_parse(in, &m);
    if (st != ARIL_OK) {
        parties_demand(aril_status_class(st) == ARIL_E_FORMAT);
        return 0;
    }
    check_parse(in, &m);
    try_accept(in, &m, 0);
    try_accept(in, &m, 1);
    return 0;
}
