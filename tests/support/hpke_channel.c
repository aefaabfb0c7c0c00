/* SPDX-License-Identifier: Apache-2.0 */
#include "hpke_channel.h"
#include "base/bytes.h"
#include "check.h"
#include "provider.h"

const struct arili_hpke_suite hpke_suites[HPKE_SUITES] = {
    { ARILI_HPKE_X_WING, ARILI_HPKE_HKDF_SHA256 },
    { ARILI_HPKE_ML_KEM_768, ARILI_HPKE_HKDF_SHA256 },
    { ARILI_HPKE_ML_KEM_1024, ARILI_HPKE_HKDF_SHA384 },
    { ARILI_HPKE_X25519, ARILI_HPKE_HKDF_SHA256 },
};

static const uint8_t psk_bytes[32] = { 1, 2, 3 };
static const uint8_t psk_id[] = { 'i', 'd' };
const struct arili_hpke_psk hpke_test_psk = { { psk_bytes, sizeof psk_bytes },
                                              { psk_id, sizeof psk_id } };

struct arili_hpke_key *hpke_key_new(enum arili_hpke_kem kem)
{
    struct arili_hpke_key *key = NULL;
    assert_status(arili_hpke_key_generate(provider(), kem, &key), ARIL_OK);
    return key;
}

void hpke_channel_open(struct hpke_channel *ch, struct arili_hpke_suite suite,
                       const struct arili_hpke_psk *psk)
{
    const size_t len = arili_hpke_enc_bytes(suite.kem);
    const aril_bytes info = ARILI_LITERAL("info");
    ch->key = hpke_key_new(suite.kem);
    assert_status(arili_hpke_setup_sender(provider(), suite, arili_hpke_key_public(ch->key), info,
                                          psk, NULL, ch->enc, len, &ch->tx),
                  ARIL_OK);
    assert_status(arili_hpke_setup_recipient(provider(), suite, ch->key,
                                             (aril_bytes){ ch->enc, len }, info, psk, &ch->rx),
                  ARIL_OK);
}

void hpke_channel_close(struct hpke_channel *ch)
{
    arili_hpke_done(&ch->tx);
    arili_hpke_done(&ch->rx);
    assert_true(provider_all((const uint8_t *)&ch->tx, sizeof ch->tx, 0));
    assert_true(provider_all((const uint8_t *)&ch->rx, sizeof ch->rx, 0));
    arili_hpke_key_free(ch->key);
}
