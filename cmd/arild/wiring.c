/* SPDX-License-Identifier: Apache-2.0 */
#include "wiring.h"
#include "base/ensure.h"
#include <stdlib.h>

struct wiring *wiring_hold(struct wiring *w)
{
    atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    return w;
}

void wiring_drop(struct wiring *w)
{
    if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    arili_tls_free(w->upstream);
    for (size_t i = 0; i < ARILI_CONFIG_LISTENERS_MAX; i++) {
        arili_tls_free(w->listeners[i]);
    }
    free(w);
}

void wiring_dropp(struct wiring **w)
{
    wiring_drop(*w);
}

static aril_status make_listener(aril_runtime *rt, const struct arili_listen_config *c,
                                 struct arili_tls **ret, aril_error *error)
{
    const struct arili_tls_server_config config = {
        .cert_path = c->tls_cert,
        .key_path = c->tls_key,
        .client_ca_path = c->tls_client_ca,
        /* Who may also log in with a password need not have one. */
        .client_required = c->tls_client_ca != NULL && (c->auth & ARILI_AUTH_PASSWORD) == 0,
    };
    return arili_tls_server_new(rt, &config, ret, error);
}

aril_status wiring_new(aril_runtime *rt, const struct arili_proxy_config *config,
                       struct wiring **ret, aril_error *error)
{
    const struct arili_upstream_config *up = &config->upstream;
    ARILI_DEFER(wiring_dropp) struct wiring *w = calloc(1, sizeof *w);
    ARILI_ENSURE(w != NULL, ARIL_E_NOMEM);
    atomic_init(&w->refs, 1);
    w->connect_ms = up->connect_ms;
    w->login_ms = config->login_ms;
    w->drain_ms = config->drain_ms;
    w->clients_max = config->clients_max;
    if (up->tls) {
        const struct arili_tls_config tls = { .ca_path = up->tls_ca,
                                              .cert_path = up->tls_cert,
                                              .key_path = up->tls_key };
        ARILI_TRY(arili_tls_new(rt, &tls, &w->upstream, error));
    }
    for (size_t i = 0; i < config->listener_count && i < ARILI_CONFIG_LISTENERS_MAX; i++) {
        if (config->listeners[i].tls) {
            ARILI_TRY(make_listener(rt, &config->listeners[i], &w->listeners[i], error));
        }
    }
    *ret = ARILI_TAKE(w);
    return ARIL_OK;
}
