/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/names.h"
#include "proxy/config_internal.h"
#include <stdio.h>
#include <stdlib.h>

/* The line of a key of the section that has ended; 0: it is not there. */
static uint32_t line_of(const struct arili_config_parser *p, const char *name)
{
    const struct arili_config_key *const key =
        arili_config_key_find(p->section, arili_config_text_bytes(name));
    return key == NULL ? 0 : p->seen[key - arili_config_keys];
}

static aril_status check_required(const struct arili_config_parser *p)
{
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        if (key->section == p->section && (key->flags & ARILI_KEY_REQUIRED) != 0 &&
            p->seen[i] == 0) {
            return arili_config_fail(p, p->section_line, "%s is missing: %s", key->label,
                                     key->help);
        }
    }
    return ARIL_OK;
}

static aril_status check_top(const struct arili_config_parser *p)
{
    const char *const prefix = p->config->quarantine;
    const size_t len = strlen(prefix);
    const size_t ours = strlen(ARILI_CACHE_LEVEL_TEXT);
    if (strncmp(prefix, ARILI_CACHE_LEVEL_TEXT, len < ours ? len : ours) == 0) {
        return arili_config_fail(
            p, line_of(p, "quarantine_prefix"),
            "quarantine_prefix = %s: names of sealed values begin with " ARILI_CACHE_LEVEL_TEXT
            "; take another one",
            prefix);
    }
    return ARIL_OK;
}

static aril_status check_limits(const struct arili_config_parser *p)
{
    const struct arili_proxy_config *const c = p->config;
    const bool verified = c->max_verified_value > c->memory_max;
    if (verified || c->command_bytes_max > c->memory_max) {
        return arili_config_fail(p, p->section_line,
                                 "[limits] memory_max is below %s: one command "
                                 "could never be served; raise it or lower that",
                                 verified ? "max_verified_value" : "command_bytes_max");
    }
    return ARIL_OK;
}

static aril_status check_admin(const struct arili_config_parser *p)
{
    if (!arili_address_is_local(&p->config->admin_address)) {
        return arili_config_fail(
            p, line_of(p, "address"),
            "[admin] address: only 127.0.0.0/8, [::1] or a UNIX socket; it has "
            "no login of its own");
    }
    return ARIL_OK;
}

/* tls_cert and the others without TLS. what: how to get it. */
static aril_status check_no_tls(const struct arili_config_parser *p, const char *what)
{
    static const char *const names[] = { "tls_cert", "tls_key", "tls_ca", "tls_client_ca" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const uint32_t line = line_of(p, names[i]);
        if (line > 0) {
            return arili_config_fail(p, line, "[%s] %s: there is no TLS here; %s",
                                     arili_config_sections[p->section].name, names[i], what);
        }
    }
    return ARIL_OK;
}

static aril_status check_upstream(const struct arili_config_parser *p)
{
    const struct arili_upstream_config *const up = &p->config->upstream;
    if (!up->tls) {
        ARILI_TRY(check_no_tls(p, "write rediss: or rediss+cluster: into server"));
    }
    if ((up->tls_cert == NULL) != (up->tls_key == NULL)) {
        return arili_config_fail(p, p->section_line,
                                 "[upstream] tls_cert and tls_key belong together: %s is missing",
                                 up->tls_cert == NULL ? "tls_cert" : "tls_key");
    }
    if (up->user != NULL && up->password_file == NULL) {
        return arili_config_fail(p, p->section_line,
                                 "[upstream] user needs password_file, in the URI or as a key");
    }
    return ARIL_OK;
}

static aril_status check_listen_tls(const struct arili_config_parser *p,
                                    const struct arili_listen_config *l)
{
    if (!l->tls) {
        return check_no_tls(p, "write tls:// before the address");
    }
    if (l->tls_cert == NULL || l->tls_key == NULL) {
        return arili_config_fail(p, p->section_line, "[listen] tls:// needs %s",
                                 l->tls_cert == NULL ? "tls_cert" : "tls_key");
    }
    if (l->tls_client_ca != NULL && (l->auth & ARILI_AUTH_CERTIFICATE) == 0) {
        return arili_config_fail(p, line_of(p, "tls_client_ca"),
                                 "[listen] tls_client_ca: certificates would be asked for and not "
                                 "looked at; add certificate to auth");
    }
    return ARIL_OK;
}

static aril_status check_listen_auth(const struct arili_config_parser *p,
                                     struct arili_listen_config *l)
{
    const uint32_t line = line_of(p, "auth");
    if (l->tenant != NULL) {
        return line == 0
                   ? ARIL_OK
                   : arili_config_fail(p, line,
                                       "[listen] auth: with tenant nobody is asked; leave one "
                                       "of them out");
    }
    l->auth = line == 0 ? ARILI_AUTH_PASSWORD : l->auth;
    if ((l->auth & ARILI_AUTH_CERTIFICATE) != 0 && l->tls_client_ca == NULL) {
        return arili_config_fail(p, line, "[listen] auth = certificate needs tls_client_ca%s",
                                 l->tls ? "" : ", and tls:// before the address");
    }
    if ((l->auth & ARILI_AUTH_PEER) != 0 && !l->address.is_unix) {
        return arili_config_fail(p, line,
                                 "[listen] auth = peer: only the other end of a UNIX socket is "
                                 "known; write unix:PATH as the address");
    }
    if ((l->auth & ARILI_AUTH_PASSWORD) != 0 && p->config->credentials == NULL) {
        return arili_config_fail(p, line > 0 ? line : p->section_line,
                                 "[listen] auth = password needs credentials = FILE, before the "
                                 "first section");
    }
    return ARIL_OK;
}

static aril_status check_listen(const struct arili_config_parser *p)
{
    struct arili_listen_config *const l = p->object;
    const uint32_t mode_line = line_of(p, "socket_mode");
    if (mode_line > 0 && !l->address.is_unix) {
        return arili_config_fail(p, mode_line,
                                 "[listen] socket_mode: the address is no UNIX socket");
    }
    if (l->announce.is_unix || (l->announce.host[0] != '\0' && l->address.is_unix)) {
        return arili_config_fail(p, line_of(p, "announce"),
                                 "[listen] announce: clients of a Cluster come by HOST:PORT alone; "
                                 "leave it out");
    }
    if (arili_address_is_any(&l->announce)) {
        return arili_config_fail(p, line_of(p, "announce"),
                                 "[listen] announce: nobody can connect to %s; write an address or "
                                 "a name that clients can reach",
                                 l->announce.host);
    }
    ARILI_TRY(check_listen_auth(p, l));
    return check_listen_tls(p, l);
}

static aril_status check_policy(const struct arili_config_parser *p)
{
    static const char *const of_sealed[] = { "on_tamper", "streaming" };
    const struct arili_policy_config *const policy = p->object;
    for (size_t i = 0; i < sizeof of_sealed / sizeof of_sealed[0]; i++) {
        const uint32_t line = line_of(p, of_sealed[i]);
        if (line > 0 && policy->values != ARILI_VALUES_SEAL) {
            return arili_config_fail(p, line,
                                     "[policy] %s is about sealed values; leave it out, or "
                                     "values = %s",
                                     of_sealed[i],
                                     policy->values == ARILI_VALUES_PASS ? "pass" : "deny");
        }
    }
    return ARIL_OK;
}

aril_status arili_config_check_section(const struct arili_config_parser *p)
{
    ARILI_TRY(check_required(p));
    switch (p->section) {
    case ARILI_SECTION_TOP:
        return check_top(p);
    case ARILI_SECTION_LIMITS:
        return check_limits(p);
    case ARILI_SECTION_ADMIN:
        return check_admin(p);
    case ARILI_SECTION_UPSTREAM:
        return check_upstream(p);
    case ARILI_SECTION_LISTEN:
        return check_listen(p);
    case ARILI_SECTION_POLICY:
        return check_policy(p);
    default:
        return ARIL_OK;
    }
}

/* --- All of it */

static aril_status check_there(const struct arili_config_parser *p)
{
    const struct arili_proxy_config *const c = p->config;
    if (c->upstream.seed_count == 0) {
        return arili_config_fail(p, 0,
                                 "[upstream] is missing: server = redis://HOST:PORT says "
                                 "where the values go");
    }
    if (c->listener_count == 0) {
        return arili_config_fail(p, 0,
                                 "[listen] is missing: address = 127.0.0.1:6379 says where "
                                 "clients come in");
    }
    if (c->tenant_count == 0) {
        return arili_config_fail(p, 0, "[tenant ID] is missing: there is one for each tenant");
    }
    return ARIL_OK;
}

static aril_status check_addresses(const struct arili_config_parser *p)
{
    const struct arili_proxy_config *const c = p->config;
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct arili_address *const a = &c->listeners[i].address;
        char text[ARILI_ADDRESS_TEXT];
        arili_address_text(a, text);
        if (c->admin && arili_address_equal(a, &c->admin_address)) {
            return arili_config_fail(p, p->listener_lines[i],
                                     "[listen] address %s is that of [admin], line %lu", text,
                                     (unsigned long)p->section_lines[ARILI_SECTION_ADMIN]);
        }
        for (size_t j = 0; j < i; j++) {
            if (arili_address_equal(a, &c->listeners[j].address)) {
                return arili_config_fail(p, p->listener_lines[i],
                                         "[listen] address %s is that of line %lu", text,
                                         (unsigned long)p->listener_lines[j]);
            }
        }
    }
    return ARIL_OK;
}

static aril_status check_declared(const struct arili_config_parser *p, const char *tenant,
                                  uint32_t line, const char *where)
{
    if (tenant == NULL || arili_config_tenant(p->config, arili_config_text_bytes(tenant)) != NULL) {
        return ARIL_OK;
    }
    return arili_config_fail(p, line, "[%s] tenant = %.48s: there is no section [tenant %.48s]",
                             where, tenant, tenant);
}

/* Every key that later has is one of earlier. */
static bool covers(const struct arili_policy_config *earlier,
                   const struct arili_policy_config *later)
{
    const bool for_all = strspn(earlier->pattern, "*") == strlen(earlier->pattern);
    const bool of_tenant = earlier->tenant == NULL ||
                           (later->tenant != NULL && strcmp(earlier->tenant, later->tenant) == 0);
    return of_tenant && (for_all || strcmp(earlier->pattern, later->pattern) == 0);
}

static aril_status check_policies(const struct arili_config_parser *p)
{
    const struct arili_proxy_config *const c = p->config;
    for (size_t i = 0; i < c->policy_count; i++) {
        ARILI_TRY(check_declared(p, c->policies[i].tenant, p->policy_lines[i], "policy"));
        for (size_t j = 0; j < i; j++) {
            if (covers(&c->policies[j], &c->policies[i])) {
                return arili_config_fail(p, p->policy_lines[i],
                                         "[policy %.48s] is never reached: [policy %.48s] in line "
                                         "%lu has its keys",
                                         c->policies[i].pattern, c->policies[j].pattern,
                                         (unsigned long)p->policy_lines[j]);
            }
        }
    }
    return ARIL_OK;
}

/* What only one tenant may have. */
struct claim {
    const char *text; /* NULL: it is the number */
    uint32_t number;
    uint32_t tenant;
};

static int claim_order(const void *a, const void *b)
{
    const struct claim *const x = a;
    const struct claim *const y = b;
    if (x->text != NULL && y->text != NULL) {
        const int order = strcmp(x->text, y->text);
        return order != 0 ? order : (x->tenant > y->tenant) - (x->tenant < y->tenant);
    }
    if (x->number != y->number) {
        return x->number < y->number ? -1 : 1;
    }
    return (x->tenant > y->tenant) - (x->tenant < y->tenant);
}

static aril_status check_claims(const struct arili_config_parser *p, struct claim *claims,
                                size_t count, const char *what)
{
    qsort(claims, count, sizeof *claims, claim_order);
    for (size_t i = 1; i < count; i++) {
        const struct claim *const a = &claims[i - 1];
        const struct claim *const b = &claims[i];
        const bool same = a->text != NULL ? strcmp(a->text, b->text) == 0 : a->number == b->number;
        if (same) {
            char number[16];
            (void)snprintf(number, sizeof number, "%lu", (unsigned long)b->number);
            return arili_config_fail(p, p->tenant_lines[b->tenant],
                                     "[tenant %.48s] %s %.64s: [tenant] of line %lu has it already",
                                     p->config->tenants[b->tenant].id, what,
                                     b->text != NULL ? b->text : number,
                                     (unsigned long)p->tenant_lines[a->tenant]);
        }
    }
    return ARIL_OK;
}

/* Nobody is two tenants. */
static aril_status check_tenants_with(const struct arili_config_parser *p, struct claim *claims)
{
    const struct arili_proxy_config *const c = p->config;
    size_t n = 0;
    for (uint32_t i = 0; i < c->tenant_count; i++) {
        claims[n++] = (struct claim){ c->tenants[i].id, 0, i };
    }
    ARILI_TRY(check_claims(p, claims, n, "id"));
    n = 0;
    for (uint32_t i = 0; i < c->tenant_count; i++) {
        for (size_t j = 0; j < c->tenants[i].uid_count; j++) {
            claims[n++] = (struct claim){ NULL, c->tenants[i].uids[j], i };
        }
    }
    ARILI_TRY(check_claims(p, claims, n, "user id"));
    n = 0;
    for (uint32_t i = 0; i < c->tenant_count; i++) {
        for (size_t j = 0; j < c->tenants[i].certificate_count; j++) {
            claims[n++] = (struct claim){ c->tenants[i].certificates[j], 0, i };
        }
    }
    return check_claims(p, claims, n, "certificate");
}

static aril_status check_tenants(const struct arili_config_parser *p)
{
    const struct arili_proxy_config *const c = p->config;
    size_t uids = 0;
    size_t certificates = 0;
    for (size_t i = 0; i < c->tenant_count; i++) {
        uids += c->tenants[i].uid_count;
        certificates += c->tenants[i].certificate_count;
    }
    size_t room = c->tenant_count > uids ? c->tenant_count : uids;
    room = room > certificates ? room : certificates;
    struct claim *const claims = arili_alloc(room * sizeof *claims);
    if (claims == NULL) {
        return arili_config_no_memory(p);
    }
    const aril_status st = check_tenants_with(p, claims);
    arili_free(claims, room * sizeof *claims);
    return st;
}

aril_status arili_config_check_whole(const struct arili_config_parser *p)
{
    struct arili_proxy_config *const c = p->config;
    ARILI_TRY(check_there(p));
    ARILI_TRY(check_addresses(p));
    ARILI_TRY(check_tenants(p));
    for (size_t i = 0; i < c->listener_count; i++) {
        ARILI_TRY(check_declared(p, c->listeners[i].tenant, p->listener_lines[i], "listen"));
    }
    ARILI_TRY(check_policies(p));
    const struct arili_policy_config *const last =
        c->policy_count > 0 ? &c->policies[c->policy_count - 1] : NULL;
    if (last != NULL && last->tenant == NULL &&
        strspn(last->pattern, "*") == strlen(last->pattern)) {
        return ARIL_OK;
    }
    return arili_config_add_policy(c, ARILI_LITERAL("*")) == ARIL_OK ? ARIL_OK
                                                                     : arili_config_no_memory(p);
}
