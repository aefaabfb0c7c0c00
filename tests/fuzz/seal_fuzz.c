/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_seal_parse, arili_seal_write, aril_kv_open. Corpus: corpus/seal/, a seal and
 * its body a file. A file opens in sessions whose keys are always the same.
 * Properties: a seal that parses is written again with the same bytes; only the records that
 * the session's tenant sealed open, each as its own block; what does not open leaves no byte
 * of plaintext; nothing opens twice where records open once. */
#include "parties.h"
#include <string.h>

#define BODY_BYTES_MAX 4096u
#define FILLER         0x5a

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_parse(const uint8_t *data)
{
    struct arili_seal_header h;
    aril_seal_info info;
    uint8_t again[ARILI_SEAL_HEADER_BYTES];
    const aril_status st = arili_seal_parse(data, &h);
    parties_demand(aril_seal_inspect(data, &info) == st);
    if (st != ARIL_OK) {
        parties_demand(aril_status_class(st) == ARIL_E_FORMAT);
        return;
    }
    arili_seal_write(&h, again);
    parties_demand(memcmp(again, data, sizeof again) == 0);
    parties_demand(info.sequence == h.sequence && info.epoch == h.epoch && info.use == h.use);
}

static int is_record(unsigned n, const uint8_t *data, size_t len)
{
    const struct message *m = parties_record(n);
    return m->len == len && memcmp(m->bytes, data, len) == 0;
}

static void check_plain(const uint8_t *out, size_t len, int opened)
{
    int zeros = 1, fillers = 1;
    for (size_t i = 0; i < len; i++) {
        if (opened) {
            const size_t at = i % (sizeof PARTIES_SECRET - 1);
            parties_demand(out[i] == (uint8_t)PARTIES_SECRET[at]);
        }
        zeros = zeros && out[i] == 0;
        fillers = fillers && out[i] == FILLER;
    }
    parties_demand(opened || zeros || fillers);
}

/* Opens the input as block n was sealed, to memory of exactly its size. */
static aril_status open_as(aril_kv *kv, unsigned n, const uint8_t *data, size_t len)
{
    static uint8_t body[BODY_BYTES_MAX], out[BODY_BYTES_MAX], staging[BODY_BYTES_MAX];
    uint8_t seal[ARIL_SEAL_BYTES];
    const size_t body_len = len - sizeof seal;
    memcpy(seal, data, sizeof seal);
    memcpy(body, data + sizeof seal, body_len);
    memset(out, FILLER, body_len);
    const aril_span span = { out, body_len };
    aril_kv_item item = { .block = parties_block(n),
                          .spans = &span,
                          .span_count = 1,
                          .body = body,
                          .body_len = body_len,
                          .seal = seal,
                          .staging = n % 2 == 0 ? staging : NULL };
    const aril_status st = aril_kv_open(kv, &item);
    check_plain(out, body_len, st == ARIL_OK);
    return st;
}

/* Bits of the records that open by chain and by slot. */
struct openable {
    unsigned by[2];
};

static void try_open(aril_session *session, aril_kv_source source, aril_kv_mode mode,
                     struct openable openable, const uint8_t *data, size_t len)
{
    const aril_kv_config config = parties_view(source, mode);
    aril_kv *kv = NULL;
    parties_demand(aril_kv_new(session, &config, &kv) == ARIL_OK);
    for (unsigned how = 0; how < 2; how++) {
        const unsigned block = 2 + how;
        int genuine = 0;
        for (unsigned n = 0; n < PARTIES_RECORDS; n++) {
            genuine = genuine || (is_record(n, data, len) && (openable.by[how] >> n & 1) != 0);
        }
        const aril_status st = open_as(kv, block, data, len);
        parties_demand((st == ARIL_OK) == genuine);
        if (st == ARIL_OK) {
            const aril_status again = open_as(kv, block, data, len);
            parties_demand(again == (mode == ARIL_KV_ONCE ? ARIL_E_REPLAY : ARIL_OK));
        }
    }
    aril_kv_free(kv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < ARIL_SEAL_BYTES || len > ARIL_SEAL_BYTES + BODY_BYTES_MAX) {
        return 0;
    }
    try_parse(data);
    aril_session *tenant = parties_session(ARIL_TENANT_TO_SERVER);
    aril_session *server = parties_session(ARIL_SERVER_TO_TENANT);
    const struct openable cached = { { 1u << 0 | 1u << 2, 0 } }; /* of its epoch, unpinned */
    const struct openable none = { { 0, 0 } };
    const struct openable sent = { { 1u << 0 | 1u << 2 | 1u << 4 | 1u << 6, 1u << 3 } };
    try_open(tenant, ARIL_KV_FROM_SELF, ARIL_KV_REPEATABLE, cached, data, len);
    try_open(tenant, ARIL_KV_FROM_PEER, ARIL_KV_REPEATABLE, none, data, len); /* reflected */
    try_open(server, ARIL_KV_FROM_PEER, ARIL_KV_ONCE, sent, data, len);
    aril_session_close(tenant);
    aril_session_close(server);
    return 0;
}
