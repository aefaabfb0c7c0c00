/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"

/*
 * Who takes too long. One byte now and then is no progress: a client that sends or reads slower
 * than PACE for the time that its configuration gives it has a link that others wait for, or one of
 * the places of a listener. Nobody saves time up: what the system's buffers take at once is worth
 * no more than what was quick.
 */
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)
#define PACE      16384u /* bytes in a second */

static uint64_t passed(uint64_t since_ns, uint64_t now_ns)
{
    return now_ns > since_ns ? now_ns - since_ns : 0;
}

static bool is_late(uint64_t since_ns, uint64_t now_ns, uint32_t allowed_ms)
{
    return passed(since_ns, now_ns) >= allowed_ms * NS_PER_MS;
}

/* Since when it is late after n more bytes; not later than now. */
static uint64_t catch_up(uint64_t since_ns, uint64_t now_ns, size_t n)
{
    const uint64_t late_ns = passed(since_ns, now_ns);
    const uint64_t worth_ns = n > UINT32_MAX ? late_ns : n * (NS_PER_S / PACE);
    return since_ns + (worth_ns < late_ns ? worth_ns : late_ns);
}

void arili_client_wrote(struct arili_client *c, size_t n)
{
    c->read_ns = catch_up(c->read_ns, c->peer.loop->now_ns, n);
}

void arili_client_got(struct arili_client *c, size_t n)
{
    if (c->begun_ns != 0) {
        c->begun_ns = catch_up(c->begun_ns, c->peer.loop->now_ns, n);
    }
}

/* Of an answer, and of a command. */
static bool reads_in_time(struct arili_client *c, uint64_t now_ns)
{
    if (c->peer.out.bytes == 0) {
        c->read_ns = now_ns;
    }
    return !is_late(c->read_ns, now_ns, c->settings->config->write_ms);
}

static bool sends_in_time(struct arili_client *c, uint64_t now_ns)
{
    if ((!c->in_command && c->peer.held_len == 0) || c->peer.paused) {
        c->begun_ns = 0; /* it owes nothing, or may not send it */
        return true;
    }
    if (c->begun_ns == 0) {
        c->begun_ns = now_ns;
    }
    return !is_late(c->begun_ns, now_ns, c->settings->config->command_ms);
}

bool arili_client_in_time(struct arili_client *c, uint64_t now_ns)
{
    const struct arili_proxy_config *config = c->settings->config;
    if (c->tenant == NULL && c->login == NULL &&
        is_late(c->stranger_ns, now_ns, config->login_ms)) {
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
    return config->idle_s == 0 || passed(c->said_ns, now_ns) < config->idle_s * NS_PER_S;
}
