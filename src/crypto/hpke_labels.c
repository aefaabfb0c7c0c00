/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hpke_kem.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

static const uint8_t version[] = { 'H', 'P', 'K', 'E', '-', 'v', '1' };

aril_status arili_hpke_labeled_extract(const struct arili_hpke_labels *l, aril_bytes salt,
                                       aril_bytes label, aril_bytes ikm, uint8_t *ret_prk)
{
    /* HKDF-Extract is one HMAC under the salt, which can read the parts in place. */
    const aril_bytes parts[] = { { version, sizeof version }, l->suite_id, label, ikm };
    return l->crypto->ops->hmac(l->crypto->provider, l->hash, salt, parts, 4, ret_prk);
}

/* HKDF-Expand block by block for the same reason: info has no upper length. */
aril_status arili_hpke_labeled_expand(const struct arili_hpke_labels *l, const uint8_t *prk,
                                      aril_bytes label, aril_bytes info, uint8_t *ret, size_t len)
{
    const size_t block_len = arili_hash_bytes(l->hash);
    ARILI_ENSURE(len <= 255 * block_len, ARIL_E_USAGE_RANGE);
    uint8_t len16[2];
    arili_store16(len16, (uint16_t)len);

    uint8_t block[ARILI_HASH_BYTES_MAX];
    aril_status st = ARIL_OK;
    size_t done = 0;
    for (uint8_t i = 1; done < len && st == ARIL_OK; i++) {
        const aril_bytes parts[] = { { block, i > 1 ? block_len : 0 },
                                     { len16, sizeof len16 },
                                     { version, sizeof version },
                                     l->suite_id,
                                     label,
                                     info,
                                     { &i, 1 } };
        st = l->crypto->ops->hmac(l->crypto->provider, l->hash, (aril_bytes){ prk, block_len },
                                  parts, sizeof parts / sizeof *parts, block);
        const size_t take = len - done < block_len ? len - done : block_len;
        if (st == ARIL_OK) {
            memcpy(ret + done, block, take);
        }
        done += take;
    }
    arili_wipe(block, sizeof block);
    if (st != ARIL_OK) {
        arili_wipe(ret, len);
    }
    return st;
}
