/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_DEFER_H
#define ARIL_CMD_DEFER_H
#include <aril/aril.h>
#include <jansson.h>

/* Run fn(&var) whenever var leaves its scope, on every path. */
#define DEFER(fn) __attribute__((cleanup(fn)))

static inline void runtime_freep(aril_runtime **rt)
{
    aril_runtime_free(*rt);
}
static inline void identity_freep(aril_identity **identity)
{
    aril_identity_free(*identity);
}
static inline void trust_freep(aril_trust **trust)
{
    aril_trust_free(*trust);
}
static inline void handshake_freep(aril_handshake **hs)
{
    aril_handshake_free(*hs);
}
static inline void session_closep(aril_session **session)
{
    aril_session_close(*session);
}
static inline void kv_freep(aril_kv **kv)
{
    aril_kv_free(*kv);
}
static inline void json_freep(json_t **json)
{
    json_decref(*json);
}
#endif
