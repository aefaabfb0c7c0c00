/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"
#include "defer.h"
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

/* Call operation(arg) for so many milliseconds. */
static aril_status repeat(aril_status (*operation)(void *arg), void *arg, uint64_t run_ms,
                          struct measurement *ret)
{
    static struct histogram durations; /* too large for a stack; one at a time */
    memset(&durations, 0, sizeof durations);
    aril_status st = operation(arg);
    const uint64_t started = monotonic_ns();
    uint64_t before = started;
    while (st == ARIL_OK && before - started < run_ms * NS_PER_MS) {
        st = operation(arg);
        const uint64_t after = monotonic_ns();
        histogram_add(&durations, after - before);
        before = after;
    }
    *ret = measurement_of(&durations, before - started);
    return st;
}

struct pairing {
    aril_runtime *rt;
    aril_identity *identity;
    aril_profile profile;
};

static aril_status establish(void *arg)
{
    static const uint8_t tag_key[32] = { 1 };
    static const uint8_t tenant[] = { 'b', 'e', 'n', 'c', 'h' };
    const struct pairing *p = arg;
    DEFER(session_closep) aril_session *client = NULL;
    DEFER(session_closep) aril_session *server = NULL;
    return aril_session_pair(p->rt, p->profile, (aril_bytes){ tenant, sizeof tenant }, p->identity,
                             (aril_bytes){ tag_key, sizeof tag_key }, NULL, &client, &server);
}

aril_status bench_sessions(aril_runtime *rt, aril_profile profile, uint64_t run_ms,
                           struct measurement *ret)
{
    DEFER(identity_freep) aril_identity *identity = NULL;
    const aril_sign_alg alg = profile == ARIL_PROFILE_STRICT ? ARIL_ML_DSA_87 : ARIL_ML_DSA_65;
    const aril_status st = aril_identity_generate(rt, alg, &identity);
    struct pairing p = { rt, identity, profile };
    return st == ARIL_OK ? repeat(establish, &p, run_ms, ret) : st;
}

struct signing {
    aril_runtime *rt;
    aril_identity *identity;
    uint8_t message[1024];
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t sig_len;
};

static const aril_bytes sign_context = { (const uint8_t *)"aril bench", 10 };

static aril_status sign(void *arg)
{
    struct signing *s = arg;
    return aril_identity_sign(s->identity, sign_context,
                              (aril_bytes){ s->message, sizeof s->message }, s->sig, sizeof s->sig,
                              &s->sig_len);
}

static aril_status verify(void *arg)
{
    const struct signing *s = arg;
    return aril_signature_verify(
        s->rt, aril_identity_alg(s->identity), aril_identity_public(s->identity), sign_context,
        (aril_bytes){ s->message, sizeof s->message }, (aril_bytes){ s->sig, s->sig_len });
}

aril_status bench_signatures(aril_runtime *rt, aril_sign_alg alg, uint64_t run_ms,
                             struct measurement *ret_sign, struct measurement *ret_verify)
{
    DEFER(identity_freep) aril_identity *identity = NULL;
    aril_status st = aril_identity_generate(rt, alg, &identity);
    struct signing s = { .rt = rt, .identity = identity };
    if (st == ARIL_OK) {
        st = repeat(sign, &s, run_ms, ret_sign);
    }
    return st == ARIL_OK ? repeat(verify, &s, run_ms, ret_verify) : st;
}
