/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include <stdio.h>
#include <string.h>

/*
 * One connection of a client: its commands are read here, run in run.c, and answered in order.
 */
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_US UINT64_C(1000)
#define ARGS_MIN  8u
#define SPILL_MIN 512u
/* Before a client said who it is, a command is this short. */
#define STRANGER_BYTES_MAX 65536u
#define STRANGER_ARGS_MAX  16u
#define INPUT_OWN          1024u
/* What a command may have although memory is short. */
#define INPUT_FREE 65536u
/* What a server was not sent yet, of a value that is streamed: more, and the client waits. */
#define STREAM_HIGH ((uint64_t)1 << 20)

/* --- New and gone --------------------------------------------------------------------------- */

static struct arili_resp_limits limits_of(const struct arili_client *c)
{
    const struct arili_proxy_config *config = c->settings->config;
    const bool stranger = c->tenant == NULL;
    return (struct arili_resp_limits){ .bulk_max =
                                           stranger ? STRANGER_BYTES_MAX : config->arg_bytes_max,
                                       .count_max = stranger ? STRANGER_ARGS_MAX : config->args_max,
                                       .commands = true };
}

aril_bytes arili_client_from(const struct arili_client *c)
{
    return (aril_bytes){ (const uint8_t *)c->address, strnlen(c->address, sizeof c->address) };
}

void arili_client_refused(struct arili_client *c, aril_status st, const char *why)
{
    struct arili_proxy *proxy = c->peer.loop->proxy;
    struct arili_telling t = { .kind = ARILI_TELL_REFUSED,
                               .status = st,
                               .subject = arili_client_from(c) };
    arili_figure_add(&proxy->figures.login_failures, 1);
    if (arili_proxy_may_tell(proxy, NULL, &t)) {
        arili_proxy_tell(proxy, &t);
        arili_proxy_say(proxy, 2, "client %s: %s", c->address, why);
    }
}

/* Its section; NULL: it has none, or none any more. */
static const struct arili_tenant_config *section_of(const struct arili_client *c,
                                                    const struct arili_tenant *tenant)
{
    const aril_bytes id = { (const uint8_t *)tenant->id, tenant->id_len };
    return arili_config_tenant(c->settings->config, id);
}

/* What follows from the configuration, and from who it is. */
static void take_limits(struct arili_client *c)
{
    const struct arili_tenant_config *section = c->tenant != NULL ? section_of(c, c->tenant) : NULL;
    c->decoder.limits = limits_of(c);
    c->name_max = section != NULL ? section->name_bytes_max : ARILI_CACHE_LISTED_KEY_MAX;
}

/* One more client of a tenant. */
static bool has_room(const struct arili_client *c, struct arili_tenant *tenant)
{
    const struct arili_tenant_config *section = section_of(c, tenant);
    const uint32_t max = section != NULL ? section->clients_max : 0;
    if (atomic_fetch_add(&tenant->clients, 1) < max || max == 0) {
        return true;
    }
    atomic_fetch_sub(&tenant->clients, 1);
    arili_figure_add(&c->peer.loop->proxy->figures.rejected, 1);
    return false;
}

bool arili_client_login(struct arili_client *c, struct arili_tenant *tenant)
{
    if (tenant != NULL && tenant != c->tenant && !has_room(c, tenant)) {
        return false;
    }
    if (c->tenant != NULL && tenant != c->tenant) {
        atomic_fetch_sub(&c->tenant->clients, 1);
    }
    c->tenant = tenant;
    c->local.tenant = tenant != NULL ? tenant->id : NULL;
    take_limits(c);
    c->stranger_ns = c->peer.loop->now_ns;
    if (tenant != NULL) {
        struct arili_proxy *proxy = c->peer.loop->proxy;
        struct arili_telling t = { .kind = ARILI_TELL_LOGIN, .subject = arili_client_from(c) };
        arili_figure_add(&proxy->figures.logins, 1);
        if (arili_proxy_may_tell(proxy, tenant, &t)) {
            arili_proxy_tell(proxy, &t);
        }
    }
    return true;
}

/* Who it is by where it comes from; NULL: it has to say. */
static const char *known_tenant(const struct arili_client *c, const struct arili_identity *identity)
{
    const struct arili_proxy_config *config = c->settings->config;
    const struct arili_listen_config *l = &config->listeners[c->listener];
    char hex[65];
    if (l->tenant != NULL) {
        return l->tenant;
    }
    for (size_t i = 0; i < 32 && identity->certificate.len == 32; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", identity->certificate.data[i]);
    }
    for (size_t t = 0; t < config->tenant_count; t++) {
        const struct arili_tenant_config *tenant = &config->tenants[t];
        for (size_t i = 0;
             (l->auth & ARILI_AUTH_PEER) != 0 && identity->has_peer_cred && i < tenant->uid_count;
             i++) {
            if (tenant->uids[i] == identity->uid) {
                return tenant->id;
            }
        }
        for (size_t i = 0; (l->auth & ARILI_AUTH_CERTIFICATE) != 0 &&
                           identity->certificate.len == 32 && i < tenant->certificate_count;
             i++) {
            if (strcmp(tenant->certificates[i], hex) == 0) {
                return tenant->id;
            }
        }
    }
    return NULL;
}

bool arili_client_may_say(const struct arili_client *c)
{
    return (c->settings->config->listeners[c->listener].auth & ARILI_AUTH_PASSWORD) != 0;
}

/* It cannot become anybody here. What an operator needs to make it somebody is in the log. */
static void tell_nobody(struct arili_client *c, const struct arili_identity *identity)
{
    char why[160];
    if (identity->certificate.len == 32) {
        char hex[65];
        for (size_t i = 0; i < 32; i++) {
            (void)snprintf(hex + 2 * i, 3, "%02x", identity->certificate.data[i]);
        }
        (void)snprintf(why, sizeof why, "its certificate, %s, is that of no tenant", hex);
    } else if (identity->has_peer_cred) {
        (void)snprintf(why, sizeof why, "its user id, %u, is that of no tenant",
                       (unsigned)identity->uid);
    } else {
        (void)snprintf(why, sizeof why, "it has no certificate");
    }
    arili_client_refused(c, ARIL_E_NOT_FOUND, why);
}

/* False: its tenant has enough clients. */
static bool introduce(struct arili_client *c, const struct arili_identity *identity)
{
    struct arili_proxy *proxy = c->peer.loop->proxy;
    const char *id = known_tenant(c, identity);
    struct arili_tenant *tenant = NULL;
    if (id != NULL &&
        arili_proxy_tenant(proxy, c->settings, (aril_bytes){ (const uint8_t *)id, strlen(id) },
                           &tenant) == ARIL_OK) {
        c->introduced = tenant;
        return arili_client_login(c, tenant);
    }
    if (!arili_client_may_say(c)) {
        tell_nobody(c, identity);
    }
    return true;
}

/* A listener at all addresses was reached at one of them, and one whose port the system chose at
 * that port. */
static void set_reached(struct arili_client *c, const struct arili_identity *identity)
{
    c->reached = c->settings->config->listeners[c->listener].address;
    if (!c->reached.is_unix && identity->local.host[0] != '\0') {
        c->reached.port = identity->local.port;
        if (arili_address_is_any(&c->reached)) {
            c->reached = identity->local;
        }
    }
    arili_address_text(&c->reached, c->reached_text);
}

aril_status arili_client_new(struct arili_loop *loop, uint32_t listener,
                             const struct arili_identity *identity, struct arili_client **ret)
{
    struct arili_proxy *proxy = loop->proxy;
    const uint64_t max = loop->settings->config->clients_max;
    if (atomic_fetch_add(&proxy->clients, 1) >= max) {
        atomic_fetch_sub(&proxy->clients, 1);
        arili_figure_add(&proxy->figures.rejected, 1);
        return ARIL_E_LIMIT;
    }
    struct arili_client *c = arili_alloc(sizeof *c);
    if (c == NULL) {
        atomic_fetch_sub(&proxy->clients, 1);
        return ARIL_E_NOMEM;
    }
    c->peer.loop = loop;
    c->listener = listener;
    c->settings = arili_settings_hold(proxy);
    memcpy(c->address, identity->address, sizeof c->address); /* before it is told of */
    c->address[sizeof c->address - 1] = '\0';
    if (!introduce(c, identity)) { /* before anything knows of it */
        arili_settings_drop(proxy, c->settings);
        arili_free(c, sizeof *c);
        atomic_fetch_sub(&proxy->clients, 1);
        return ARIL_E_LIMIT;
    }
    arili_figure_add(&proxy->figures.connections, 1);
    arili_peer_init(&c->peer, loop, ARILI_PEER_CLIENT);
    arili_flow_init(&c->value, &loop->blocks);
    arili_flow_init(&c->tail, &loop->blocks);
    c->id = atomic_fetch_add(&proxy->next_client, 1) + 1;
    c->end = &c->first;
    c->queued_end = &c->queued;
    c->value_arg = UINT32_MAX;
    c->connected_ms = loop->now_ms;
    c->said_ns = c->read_ns = c->stranger_ns = loop->now_ns;
    set_reached(c, identity);
    const struct arili_resp_limits limits = limits_of(c);
    arili_resp_decoder_init(&c->decoder, &limits);
    *ret = c;
    return ARIL_OK;
}

void arili_client_describe(struct arili_client *c)
{
    struct arili_proxy *proxy = c->peer.loop->proxy;
    const struct arili_proxy_config *config = c->settings->config;
    const struct arili_listen_config *listener = &config->listeners[c->listener];
    struct arili_local *l = &c->local;
    l->resp3 = c->resp3;
    l->client_id = c->id;
    l->database = c->database;
    l->address = c->address;
    l->cluster = c->peer.loop->slots != NULL;
    l->self = listener->announce.host[0] != '\0' ? listener->announce : c->reached;
    l->local_address = c->reached_text;
    memcpy(l->node_id, proxy->run_id, sizeof l->node_id);
    memcpy(l->run_id, proxy->run_id, sizeof l->run_id);
    l->now_ms = c->peer.loop->now_ms;
    l->started_ms = proxy->started_ms;
    l->connected_ms = c->connected_ms;
    l->clients = atomic_load(&proxy->clients);
    l->connections_total = arili_figure(&proxy->figures.connections);
    l->memory_used = atomic_load(&proxy->budget.used);
    l->memory_max = proxy->budget.max;
    l->hits = c->tenant != NULL ? arili_figure(&c->tenant->figures.hits) : 0;
    l->misses = c->tenant != NULL ? arili_figure(&c->tenant->figures.misses) : 0;
    l->commands_total = c->tenant != NULL ? arili_figure(&c->tenant->figures.commands) : 0;
    l->databases = config->databases;
    l->server_version = proxy->server_version;
}

static void free_requests(struct arili_loop *loop, struct arili_request *r)
{
    while (r != NULL) {
        struct arili_request *next = r->next;
        r->client = NULL;
        arili_request_free(loop, r);
        r = next;
    }
}

void arili_client_forget_transaction(struct arili_client *c)
{
    free_requests(c->peer.loop, c->queued);
    c->queued = NULL;
    c->queued_end = &c->queued;
    c->in_multi = c->multi_bad = c->multi_sent = false;
    arili_free(c->changes, c->change_cap * sizeof *c->changes);
    c->changes = NULL;
    c->change_count = c->change_cap = 0;
}

void arili_client_lost(struct arili_client *c)
{
    struct arili_loop *loop = c->peer.loop;
    if (c->waits_for_link) {
        struct arili_client **at = &loop->waiting;
        while (*at != NULL && *at != c) {
            at = &(*at)->next_waiting;
        }
        if (*at == c) {
            *at = c->next_waiting;
        }
        loop->waiting_end = &loop->waiting;
        while (*loop->waiting_end != NULL) {
            loop->waiting_end = &(*loop->waiting_end)->next_waiting;
        }
        c->waits_for_link = false;
    }
    for (struct arili_job *job = loop->jobs; job != NULL; job = job->next) {
        if (job->client == c) {
            job->client = NULL;
            job->request = NULL;
        }
    }
    c->job = NULL;
    if (c->login != NULL) {
        *c->login = NULL; /* its task finds nobody */
        c->login = NULL;
    }
    arili_stream_abort(c);
    /* Links first: what they owe is told to requests that are still there. */
    while (c->link_count > 0) {
        arili_link_give(c->links[--c->link_count]);
    }
    struct arili_request *first = c->first;
    c->first = NULL;
    c->end = &c->first;
    c->count = 0;
    free_requests(loop, first);
    arili_client_forget_transaction(c);
    (void)arili_client_login(c, NULL); /* nobody may always be */
    atomic_fetch_sub(&loop->proxy->clients, 1);
}

/* What a client sends is kept in memory of its own, which counts with the rest; but for the little
 * that every client has, whatever it says. */
static uint64_t counted(size_t bytes)
{
    return bytes > INPUT_OWN ? bytes : 0;
}

static void take_memory(const struct arili_client *c, size_t bytes)
{
    atomic_fetch_add_explicit(&c->peer.loop->proxy->budget.used, counted(bytes),
                              memory_order_relaxed);
}

static void give_memory(const struct arili_client *c, size_t bytes)
{
    atomic_fetch_sub_explicit(&c->peer.loop->proxy->budget.used, counted(bytes),
                              memory_order_relaxed);
}

static void drop_spill(struct arili_client *c)
{
    give_memory(c, c->spill_cap);
    arili_free(c->spill, c->spill_cap);
    c->spill = NULL;
    c->spill_cap = c->spill_len = 0;
}

static void drop_args(struct arili_client *c)
{
    give_memory(c, c->arg_cap * sizeof *c->args);
    arili_free(c->args, c->arg_cap * sizeof *c->args);
    c->args = NULL;
    c->arg_cap = 0;
}

void arili_client_free(struct arili_client *c)
{
    arili_flow_done(&c->value);
    arili_flow_done(&c->tail);
    drop_args(c);
    drop_spill(c);
    arili_free(c->links, c->link_cap * sizeof(struct arili_link *));
    arili_settings_drop(c->peer.loop->proxy, c->settings);
    arili_free(c, sizeof *c);
}

void arili_client_link_lost(struct arili_client *c, struct arili_link *link, const char *why)
{
    for (uint32_t i = 0; i < c->link_count; i++) {
        if (c->links[i] == link) {
            c->links[i] = c->links[--c->link_count];
            break;
        }
    }
    if (c->stream_link == link) { /* half a value was sent, and the rest cannot follow */
        struct arili_request *r = c->stream;
        arili_stream_abort(c);
        if (!arili_reply_fail(r, "ERR aril: the connection to the server was lost")) {
            arili_peer_end(&c->peer);
        }
    }
    if (link->sticky) { /* WATCH and MULTI went with it, and nothing could tell the client later */
        arili_peer_end(&c->peer);
    }
    (void)why;
    arili_client_advance(c);
}

/* --- Answers, in order ---------------------------------------------------------------------- */

void arili_client_append(struct arili_client *c, struct arili_request *r)
{
    r->client = c;
    r->next = NULL;
    *c->end = r;
    c->end = &r->next;
    c->count++;
}

static void count_latency(struct arili_client *c, const struct arili_request *r)
{
    struct arili_proxy *proxy = c->peer.loop->proxy;
    const uint64_t now = c->peer.loop->now_ns;
    const uint64_t us = now > r->began_ns ? (now - r->began_ns) / NS_PER_US : 0;
    unsigned bucket = us == 0 ? 0 : 64u - (unsigned)__builtin_clzll(us);
    bucket = bucket < ARILI_LATENCY_BUCKETS ? bucket : ARILI_LATENCY_BUCKETS - 1;
    arili_figure_add(&proxy->latency.buckets[bucket], 1);
    arili_figure_add(&proxy->latency.sum_us, us);
    if (c->tenant != NULL) {
        arili_figure_add(&c->tenant->figures.commands, 1);
    }
}

static void say_sum(struct arili_client *c, const struct arili_sum *sum)
{
    if (sum->error[0] != '\0') {
        arili_say_error(&c->peer.out, "%s", sum->error);
    } else if (sum->ok_alone) {
        arili_say_simple(&c->peer.out, "OK");
    } else {
        arili_say_integer(&c->peer.out, sum->number);
    }
}

/* The first request is answered: it leaves. */
static void pop(struct arili_client *c)
{
    struct arili_request *r = c->first;
    if (!r->silent) {
        arili_flow_move(&c->peer.out, &r->out);
        count_latency(c, r);
    }
    if (r->sum != NULL && r->sum_last) {
        say_sum(c, r->sum);
        count_latency(c, r);
    }
    c->first = r->next;
    if (c->first == NULL) {
        c->end = &c->first;
    }
    c->count--;
    if (r->cut) {
        arili_peer_end(&c->peer);
    }
    arili_request_free(c->peer.loop, r);
    if (c->first != NULL && !c->first->silent && !c->first->frozen && !c->first->held_back) {
        arili_flow_move(&c->peer.out, &c->first->out);
    }
}

static void answer(struct arili_client *c)
{
    while (c->first != NULL && c->first->answered && c->first->link == NULL && !c->first->frozen &&
           !c->peer.ended) {
        if (c->first->bad != NULL) {
            arili_job_remove(c->first); /* which may have ended already, and popped it */
            continue;
        }
        pop(c);
    }
}

void arili_client_give_links(struct arili_client *c)
{
    for (uint32_t i = 0; i < c->link_count;) {
        if (c->links[i]->sticky) {
            i++;
            continue;
        }
        struct arili_link *link = c->links[i];
        c->links[i] = c->links[--c->link_count];
        arili_link_give(link);
    }
}

/* Those that owe nothing, while a job holds the client up: it may wait for one of them, or for
 * others who do, and what is held back for it may be the memory that they wait for. */
static void give_spare_links(struct arili_client *c)
{
    for (uint32_t i = 0; i < c->link_count;) {
        struct arili_link *link = c->links[i];
        if (link->sticky || link->half_sent || link->count > 0) {
            i++;
            continue;
        }
        c->links[i] = c->links[--c->link_count];
        arili_link_give(link);
    }
}

/* A server does not take what it was sent. */
static bool servers_are_full(const struct arili_client *c)
{
    for (uint32_t i = 0; i < c->link_count; i++) {
        if (c->links[i]->peer.out.bytes > STREAM_HIGH) {
            return true;
        }
    }
    return false;
}

/* With more under way than memory has room for, a client has one command at a time. */
static bool too_many(const struct arili_client *c)
{
    return c->count > 0 && c->stream == NULL &&
           (c->count >= c->settings->config->pipeline_max ||
            !arili_budget_has(&c->peer.loop->proxy->budget, 0));
}

bool arili_client_is_held(const struct arili_client *c)
{
    return c->job != NULL || c->login != NULL || c->waits_for_link || servers_are_full(c) ||
           too_many(c) || c->peer.out.bytes > c->settings->config->client_out_max ||
           c->peer.closing;
}

void arili_client_advance(struct arili_client *c)
{
    if (c->peer.ended) {
        return;
    }
    answer(c);
    if (c->job != NULL) {
        give_spare_links(c);
    }
    if (c->count == 0 && c->stream == NULL) {
        arili_client_give_links(c);
        if (c->refused_input || (c->peer.loop->draining && !c->in_command && c->job == NULL)) {
            c->peer.closing = true;
        }
    }
    if (c->peer.paused && !arili_client_is_held(c)) {
        arili_peer_resume(&c->peer);
    }
    arili_peer_touch(&c->peer);
}

void arili_client_flow(struct arili_client *c)
{
    const uint64_t high = c->settings->config->client_out_max;
    if (c->peer.out.bytes > high / 2) {
        return;
    }
    for (uint32_t i = 0; i < c->link_count; i++) {
        struct arili_link *link = c->links[i];
        if (link->peer.paused && !link->stuck) {
            arili_peer_resume(&link->peer);
        }
    }
    if (c->peer.paused && !arili_client_is_held(c)) {
        arili_peer_resume(&c->peer);
    }
}

/* --- Commands in ---------------------------------------------------------------------------- */

static void say_protocol_error(struct arili_client *c, const char *text)
{
    struct arili_request *r = arili_request_new(c->peer.loop);
    arili_figure_add(&c->peer.loop->proxy->figures.protocol_errors, 1);
    if (r == NULL) {
        arili_peer_end(&c->peer);
        return;
    }
    if (c->stream_link != NULL) { /* the server waits for the rest of a value that has none */
        arili_link_lost(c->stream_link, ARIL_E_INTERRUPTED, "the client's value has no end");
    }
    arili_say_error(&r->out, "ERR Protocol error: %s", text);
    r->answered = true;
    arili_client_append(c, r);
    c->refused_input = true;
    c->in_command = false;
    arili_client_advance(c);
    c->peer.closing = c->count == 0;
    c->peer.paused = true;
}

/* Little is always there, so that a client can hear why it has no more. */
static bool may_grow(const struct arili_client *c, size_t bytes)
{
    return bytes <= INPUT_FREE || arili_budget_has(&c->peer.loop->proxy->budget, bytes);
}

static bool spill_room(struct arili_client *c, size_t n)
{
    if (c->spill_cap - c->spill_len >= n) {
        return true;
    }
    size_t cap = c->spill_cap < SPILL_MIN ? SPILL_MIN : c->spill_cap;
    while (cap - c->spill_len < n) {
        cap *= 2;
    }
    uint8_t *more = may_grow(c, cap) ? arili_alloc(cap) : NULL;
    if (more == NULL) {
        return false;
    }
    const size_t len = c->spill_len;
    if (len > 0) {
        memcpy(more, c->spill, len);
    }
    drop_spill(c);
    take_memory(c, cap);
    c->spill = more;
    c->spill_cap = cap;
    c->spill_len = len;
    return true;
}

static bool spill_put(struct arili_client *c, aril_bytes bytes)
{
    if (!spill_room(c, bytes.len)) {
        arili_peer_end(&c->peer);
        return false;
    }
    if (bytes.len > 0) {
        memmove(c->spill + c->spill_len, bytes.data, bytes.len); /* it may be there already */
        c->spill_len += bytes.len;
    }
    return true;
}

/* The input ends and the command does not: what is there of it is kept. From now on arguments are
 * offsets until it is run. */
static void spill(struct arili_client *c)
{
    if (c->spilled) {
        return;
    }
    c->spilled = true;
    c->spill_len = 0;
    for (uint32_t i = 0; i < c->arg_count; i++) {
        const size_t at = c->spill_len;
        if (!spill_put(c, c->args[i])) {
            return;
        }
        c->args[i].data = (const uint8_t *)at;
    }
}

static void unspill(struct arili_client *c)
{
    for (uint32_t i = 0; c->spilled && i < c->arg_count; i++) {
        c->args[i].data = c->spill + (size_t)(uintptr_t)c->args[i].data;
    }
    c->spilled = false;
}

static bool args_room(struct arili_client *c)
{
    if (c->arg_count < c->arg_cap) {
        return true;
    }
    const uint32_t cap = c->arg_cap < ARGS_MIN ? ARGS_MIN : 2 * c->arg_cap;
    aril_bytes *more = may_grow(c, cap * sizeof *more) ? arili_alloc(cap * sizeof *more) : NULL;
    if (more == NULL) {
        arili_peer_end(&c->peer);
        return false;
    }
    if (c->arg_count > 0) {
        memcpy(more, c->args, c->arg_count * sizeof *more);
    }
    drop_args(c);
    take_memory(c, cap * sizeof *more);
    c->args = more;
    c->arg_cap = cap;
    return true;
}

static void begin_command(struct arili_client *c, uint64_t count)
{
    c->in_command = true;
    c->begun_ns = c->peer.loop->now_ns;
    c->no_room = false;
    c->arg_want = count;
    c->arg_count = 0;
    c->command_bytes = 0;
    c->spilled = c->streamed = c->stream_asked = c->value_held = c->value_too_long = false;
    c->spill_len = 0;
    c->value_arg = UINT32_MAX;
    struct arili_settings *now = c->peer.loop->settings;
    if (c->settings != now) { /* a new configuration is followed from here */
        arili_settings_drop(c->peer.loop->proxy, c->settings);
        c->settings = now;
        atomic_fetch_add(&now->refs, 1);
        take_limits(c);
    }
}

static void end_command(struct arili_client *c)
{
    c->in_command = c->ready = c->spilled = false;
    c->begun_ns = 0;
    arili_flow_done(&c->value);
    c->value_arg = UINT32_MAX;
    c->arg_count = 0;
    if (c->spill_cap > ARILI_BLOCK_BYTES) {
        drop_spill(c);
    }
    c->spill_len = 0;
    if (c->arg_cap > 1024) {
        drop_args(c);
    }
}

/* The whole command is there. False: it has to wait. */
static bool run(struct arili_client *c)
{
    unspill(c);
    c->ready = true;
    if (c->arg_count > 0 && arili_run(c) == ARILI_RAN_LATER) {
        c->peer.paused = true;
        return false;
    }
    end_command(c);
    return true;
}

/* An argument begins. */
static bool begin_argument(struct arili_client *c, uint64_t len)
{
    const struct arili_proxy_config *config = c->settings->config;
    const uint32_t at = c->arg_count;
    if (!args_room(c)) {
        return false;
    }
    c->body_begun = false;
    if (arili_run_is_value(c, at, len)) {
        c->args[c->arg_count++] = (aril_bytes){ NULL, 0 };
        c->value_arg = at;
        c->value_bytes = len;
        c->stream_asked = at + 1 == c->arg_want;
        c->no_room = !c->stream_asked && !may_grow(c, len);
        c->value_too_long = len > arili_run_value_max(c);
        c->value_held = !c->stream_asked && !c->value_too_long && !c->no_room;
        c->stream_asked = c->stream_asked && !c->value_too_long;
        return true;
    }
    c->command_bytes += len;
    if (c->command_bytes > config->command_bytes_max ||
        (c->tenant == NULL && c->command_bytes > STRANGER_BYTES_MAX)) {
        say_protocol_error(c, "the command is too long");
        return false;
    }
    c->args[c->arg_count++] = (aril_bytes){ NULL, 0 };
    return true;
}

static bool argument_piece(struct arili_client *c, const struct arili_resp_event *e,
                           struct arili_block *block)
{
    const uint32_t at = c->arg_count - 1;
    if (at == c->value_arg) {
        const aril_span piece = { (uint8_t *)(uintptr_t)e->text.data, e->text.len };
        if (c->stream != NULL) {
            arili_stream_piece(c, block, piece, e->last);
        } else if (c->value_held) {
            arili_flow_share(&c->value, block, e->text);
            if (c->value.failed) {
                arili_peer_end(&c->peer);
                return false;
            }
        }
        return !c->peer.ended;
    }
    if (e->last && !c->body_begun && !c->spilled) { /* it is there in one piece */
        c->args[at] = e->text;
        return true;
    }
    if (!c->spilled) {
        c->arg_count--;
        spill(c);
        c->arg_count++;
    }
    if (!c->body_begun) {
        c->args[at] = (aril_bytes){ (const uint8_t *)c->spill_len, 0 };
        c->body_begun = true;
    }
    c->args[at].len += e->text.len;
    return !c->peer.ended && spill_put(c, e->text);
}

/* The value is to be streamed: now, or when a link is free. */
static bool try_stream(struct arili_client *c)
{
    bool streams = false;
    const bool spilled = c->spilled;
    unspill(c);
    const enum arili_ran ran = arili_run_stream(c, c->value_bytes, &streams);
    if (spilled || ran == ARILI_RAN_LATER) {
        spill(c);
    }
    if (ran == ARILI_RAN_LATER) {
        c->peer.paused = true;
        return false;
    }
    c->stream_asked = false;
    c->no_room = !streams && !may_grow(c, c->value_bytes);
    c->value_held = !streams && !c->no_room;
    return true;
}

/* True: go on. */
static bool one_event(struct arili_client *c, const struct arili_resp_event *e,
                      struct arili_block *block)
{
    switch (e->kind) {
    case ARILI_RESP_ARRAY:
        begin_command(c, e->count);
        return true;
    case ARILI_RESP_BULK:
        return begin_argument(c, e->body_len) && (!c->stream_asked || try_stream(c));
    case ARILI_RESP_BODY:
        return argument_piece(c, e, block);
    case ARILI_RESP_END:
        return run(c);
    default:
        return true;
    }
}

/* What was begun before and could not go on. True: it did. */
static bool go_on(struct arili_client *c)
{
    if (arili_client_is_held(c)) {
        c->peer.paused = true;
        return false;
    }
    if (c->ready) {
        return run(c);
    }
    return !c->stream_asked || try_stream(c);
}

size_t arili_client_came(struct arili_client *c, struct arili_block *block, uint8_t *data, size_t n)
{
    struct arili_resp_event e;
    aril_bytes in = { data, n };
    if (c->refused_input) {
        return n;
    }
    c->said_ns = c->peer.loop->now_ns;
    while (!c->peer.ended && !c->peer.closing && go_on(c)) {
        const aril_status st = arili_resp_next(&c->decoder, &in, &e);
        if (st != ARIL_OK) {
            say_protocol_error(c, aril_status_class(st) == ARIL_E_LIMIT
                                      ? "more than the limits of this proxy allow"
                                      : "this is not RESP");
            return n;
        }
        if (e.kind == ARILI_RESP_MORE || !one_event(c, &e, block)) {
            break;
        }
    }
    if (c->refused_input) {
        return n;
    }
    arili_client_got(c, n - in.len);
    if (c->in_command && !c->peer.ended) {
        spill(c);
    }
    return n - in.len;
}
