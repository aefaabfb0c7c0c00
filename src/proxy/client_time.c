/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"

/*
 * Who takes too long. One byte now and then is no progress: a client that sends or reads slower
 * than PACE for the time that its configuration gives it has a link that others wait for, or one of
 * the places of a listener.
 */
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)
#define PACE      16384u /* bytes in a second */
/* After so much the clock begins anew, so that who was quick for long cannot stand still for long.
 */
#define WINDOW ((uint64_t)1 << 20)

/* Whether bytes since then are enough. */
static bool keeps_pace(uint64_t since_ns, uint64_t now_ns, uint64_t bytes, uint32_t allowed_ms)
{
    const uint64_t took = now_ns > since_ns ? now_ns - since_ns : 0;
    return took < allowed_ms * NS_PER_MS + bytes * (NS_PER_S / PACE);
}

void arili_client_wrote(struct arili_client *c, size_t n)
{
    c->read_bytes += n;
    if (c->read_bytes >= WINDOW) {
        c->read_bytes = 0;
        c->read_ns = c->peer.loop->now_ns;
    }
}

void arili_client_got(struct arili_client *c, size_t n)
{
    c->got_bytes += n;
    if (c->got_bytes >= WINDOW) {
        c->got_bytes = 0;
        c->begun_ns = c->peer.loop->now_ns;
    }
}

/* Of an answer, and of a command. */
static bool reads_in_time(struct arili_client *c, uint64_t now_ns)
{
    if (c->peer.out.bytes == 0) {
        c->read_ns = now_ns;
        c->read_bytes = 0;
    }
    return keeps_pace(c->read_ns, now_ns, c->read_bytes, c->settings->config->write_ms);
}

static bool sends_in_time(struct arili_client *c, uint64_t now_ns)
{
    if ((!c->in_command && c->peer.held_len == 0) || c->peer.paused) {
        c->begun_ns = 0; /* it owes nothing, or may not send it */
        return true;
    }
    if (c->begun_ns == 0) {
        c->begun_ns = now_ns;
        c->got_bytes = 0;
    }
    return keeps_pace(c->begun_ns, now_ns, c->got_bytes, c->settings->config->command_ms);
}

bool arili_client_in_time(struct arili_client *c, uint64_t now_ns)
{
    const struct arili_proxy_config *config = c->settings->config;
    const uint64_t quiet = now_ns > c->said_ns ? now_ns - c->said_ns : 0;
    if (c->tenant == NULL && c->login == NULL &&
        !keeps_pace(c->stranger_ns, now_ns, 0, config->login_ms)) {
        return false;
    }
    if (!reads_in_time(c, now_ns) || !sends_in_time(c, now_ns)) {
        return false;
    }
    if (c->count > 0 || c->job != NULL || c->login != NULL || c->in_command ||
        c->peer.out.bytes > 0) {
        c->said_ns = now_ns;
        return true;
    }
    return config->idle_s == 0 || quiet < config->idle_s * NS_PER_S;
}
