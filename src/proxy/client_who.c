/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "proxy/client_internal.h"
#include <stdio.h>
#include <string.h>

/* Who a client is, and what follows from it. */

struct arili_resp_limits arili_client_limits(const struct arili_client *c)
{
    const struct arili_proxy_config *config = c->settings->config;
    const bool stranger = c->tenant == NULL;
    return (struct arili_resp_limits){
        .bulk_max = stranger ? ARILI_STRANGER_BYTES_MAX : config->arg_bytes_max,
        .count_max = stranger ? ARILI_STRANGER_ARGS_MAX : config->args_max,
        .commands = true
    };
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

void arili_client_take_limits(struct arili_client *c)
{
    const struct arili_tenant_config *section = c->tenant != NULL ? section_of(c, c->tenant) : NULL;
    c->decoder.limits = arili_client_limits(c);
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
    arili_client_take_limits(c);
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
    const struct arili_tenant_config *known = NULL;
    if (l->tenant != NULL) {
        return l->tenant;
    }
    if ((l->auth & ARILI_AUTH_PEER) != 0 && identity->has_peer_cred) {
        known = arili_config_tenant_by_uid(config, identity->uid);
    }
    if (known == NULL && (l->auth & ARILI_AUTH_CERTIFICATE) != 0) {
        known = arili_config_tenant_by_certificate(config, identity->certificate);
    }
    return known != NULL ? known->id : NULL;
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

bool arili_client_introduce(struct arili_client *c, const struct arili_identity *identity)
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
