/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_PARTIES_H
#define ARIL_TESTS_PARTIES_H
/* A tenant and a server that say the same in every process: what fuzz targets work against
 * and what their corpora come from. Everything lives as long as the process; a failure
 * aborts. One thread. */
#include "format/seal.h"
#include <aril/aril.h>

#define PARTIES_TENANT  "acme"
#define PARTIES_SECRET  "nobody may see this plaintext, whatever the input is"
#define PARTIES_RECORDS 8u

aril_runtime *parties_runtime(void);

struct message {
    uint8_t bytes[ARIL_HANDSHAKE_BYTES_MAX];
    size_t len;
};

/* The tenant's end and its offer. Free the handshake; the message is always the same. */
aril_handshake *parties_offer(aril_profile profile, int is_signed, struct message *ret);
/* What the server takes: offers that the transport vouches for, or signed ones. */
aril_accept_config parties_accept_config(aril_profile profile, int is_signed);
/* The server's end and its answer to that offer. */
aril_handshake *parties_accept(aril_profile profile, const struct message *offer,
                               struct message *ret);
/* The tenant's answer to that. */
void parties_confirm(aril_profile profile, struct message *ret);

/* The public key that the trust list names PARTIES_TENANT. */
aril_bytes parties_trusted_key(aril_profile profile);

/* Both ends of the one session that all records come from. Close them. */
aril_session *parties_session(aril_direction sends);
/* Record n as bytes: its seal and its body. The tenant sealed it, as that block. */
const struct message *parties_record(unsigned n);
const aril_kv_block *parties_block(unsigned n);
aril_kv_config parties_view(aril_kv_source source, aril_kv_mode mode);

void parties_demand(int cond);
#endif
