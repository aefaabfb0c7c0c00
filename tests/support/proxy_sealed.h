/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_PROXY_SEALED_H
#define ARIL_TESTS_PROXY_SEALED_H
/* What a server of proxy_peers.h holds: sealed values, and answers made of them. */
#include "proxy_peers.h"
#include "resp/resp.h"

struct sealed {
    uint8_t bytes[4096];
    size_t len;
};
/* Has c SET key to value, and keeps what the server was sent; link number n. */
void sealed_set(struct proxy_peer *c, size_t n, const char *key, const char *value,
                struct sealed *ret);
/* The same of a field: HSET. */
void sealed_hset(struct proxy_peer *c, size_t n, const char *key, const char *field,
                 const char *value, struct sealed *ret_field, struct sealed *ret_value);
/* "$len" body CRLF. */
void sealed_say(struct proxy_peer *link, const struct sealed *s);
/* What the tenants' figures say: values that failed their check; that were removed or moved. */
uint64_t sealed_tampered(const struct proxy_peers *p);
uint64_t sealed_removed(const struct proxy_peers *p);
/* What a value is known by when it is to be removed. */
aril_bytes sealed_head(const struct sealed *v);
/* Link n is asked for the beginning of what was found, which is head, and to remove it with verb:
 * UNLINK, RENAME. NULL: it must not be asked to. */
void sealed_removal(struct proxy_peers *p, size_t n, const char *verb, aril_bytes head);
/* Any command as words, from a client. */
void client_asks(struct proxy_peer *c, const char *const *words, size_t count);
#define ASKS(c, ...)                                     \
    client_asks(c, (const char *const[]){ __VA_ARGS__ }, \
                sizeof(const char *const[]){ __VA_ARGS__ } / sizeof(const char *))
/* Demands that c heard exactly that many RESP values, whole, of its protocol, and looks at the kind
 * of the first. text is of a simple string, an error or a bulk; it is borrowed. */
struct heard {
    enum arili_resp_kind kind;
    aril_bytes text;
};
struct heard heard_answers(struct proxy_peer *c, size_t count, bool resp3);
#endif
