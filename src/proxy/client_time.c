/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"

/*
 * How long a client may take. A byte now and then is not enough to be in time: what is begun has
 * its time from when it began, and each byte adds no more than a slow line needs for it.
 */
#define NS_PER_MS        UINT64_C(1000000)
#define NS_PER_S         UINT64_C(1000000000)
#define SLOW_BYTES_PER_S 16384u

static uint64_t since(uint64_t then_ns, uint64_t now_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* Where the patience begins that is left after n bytes. */
static uint64_t credit(uint64_t from_ns, size_t n, uint64_t now_ns)
{
    const uint64_t lack_ns = since(from_ns, now_ns);
    const bool enough = n >= lack_ns / NS_PER_S * SLOW_BYTES_PER_S + SLOW_BYTES_PER_S;
    const uint64_t more_ns = enough ? lack_ns : (uint64_t)n * NS_PER_S / SLOW_BYTES_PER_S;
    return from_ns + (more_ns < lack_ns ? more_ns : lack_ns);
}

void arili_client_said(struct arili_client *c, size_t n)
{
    const uint64_t now_ns = c->peer.loop->now_ns;
    const bool has_begun = c->in_command || c->unused > 0;
    c->said_ns = has_begun ? credit(c->said_ns, n - c->unused, now_ns) : now_ns;
}

void arili_client_has_read(struct arili_client *c, size_t n)
{
    const uint64_t now_ns = c->peer.loop->now_ns;
    c->read_ns = c->peer.out.bytes > 0 ? credit(c->read_ns, n, now_ns) : now_ns;
}

bool arili_client_in_time(struct arili_client *c, uint64_t now_ns)
{
    const struct arili_proxy_config *config = c->settings->config;
    if (c->tenant == NULL && c->login == NULL &&
        since(c->stranger_ns, now_ns) >= config->login_ms * NS_PER_MS) {
        return false;
    }
    if (c->peer.paused) { /* what it has to say waits for us */
        c->said_ns = now_ns;
    }
    if (c->peer.out.bytes > 0) {
        return since(c->read_ns, now_ns) < config->write_ms * NS_PER_MS;
    }
    c->read_ns = now_ns;
    if ((c->in_command || c->peer.held_len > 0) && !c->peer.paused) {
        return since(c->said_ns, now_ns) < config->command_ms * NS_PER_MS;
    }
    if (c->count > 0 || c->job != NULL || c->login != NULL) {
        c->said_ns = now_ns;
        return true;
    }
    return config->idle_s == 0 || since(c->said_ns, now_ns) < config->idle_s * NS_PER_S;
}
