/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_config_parse, and with it arili_conf_next and all that reads a value;
 * arili_config_policy. Corpus: corpus/arild_conf/, one configuration a file.
 * Properties: a text is a configuration or FORMAT_FIELD with a message that names the file and a
 * line that it has; of a configuration all that the man page promises holds: there are a keyring, a
 * server, listeners, tenants, the last policy takes all; who is named is declared; nobody is two
 * tenants; and it does not differ from itself. What is read of a line does not depend on the lines
 * before it. */
#include "base/conf.h"
#include "proxy/config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)1 << 16)
#define FILE_NAME      "/f/c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static aril_bytes text_bytes(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static unsigned count_lines(const uint8_t *data, size_t len)
{
    unsigned lines = 1;
    for (size_t i = 0; i < len; i++) {
        lines += data[i] == '\n';
    }
    return lines;
}

/* "/f/c: text" or "/f/c:LINE: text" */
static void check_message(const aril_error *error, unsigned lines)
{
    const char *at = error->message;
    demand(strncmp(at, FILE_NAME ":", strlen(FILE_NAME) + 1) == 0);
    at += strlen(FILE_NAME) + 1;
    if (*at != ' ') {
        char *end = NULL;
        const unsigned long line = strtoul(at, &end, 10);
        demand(line >= 1 && line <= lines && *end == ':' && end[1] == ' ' && end[2] != '\0');
    }
}

static void check_address(const struct arili_address *a)
{
    char text[ARILI_ADDRESS_TEXT];
    struct arili_address again;
    arili_address_text(a, text);
    demand(arili_address_parse(text_bytes(text), 0, &again) == ARIL_OK);
    demand(arili_address_equal(a, &again));
    demand(!a->is_unix || a->host[0] == '/');
}

static void check_listeners(const struct arili_proxy_config *c)
{
    demand(c->listener_count >= 1 && c->listener_count <= ARILI_CONFIG_LISTENERS_MAX);
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct arili_listen_config *const l = &c->listeners[i];
        check_address(&l->address);
        demand((l->auth == 0) == (l->tenant != NULL) && l->mode <= 0777);
        demand(l->tls == (l->tls_cert != NULL) && l->tls == (l->tls_key != NULL));
        demand(((l->auth & ARILI_AUTH_CERTIFICATE) != 0) == (l->tls_client_ca != NULL));
        demand((l->auth & ARILI_AUTH_PEER) == 0 || l->address.is_unix);
        demand((l->auth & ARILI_AUTH_PASSWORD) == 0 || c->credentials != NULL);
        demand(l->tenant == NULL || arili_config_tenant(c, text_bytes(l->tenant)) != NULL);
    }
}

static void check_tenants(const struct arili_proxy_config *c)
{
    demand(c->tenant_count >= 1 && c->tenant_count <= ARILI_CONFIG_TENANTS_MAX);
    for (size_t i = 0; i < c->tenant_count; i++) {
        const struct arili_tenant_config *const t = &c->tenants[i];
        demand(arili_config_tenant(c, text_bytes(t->id)) == t);
        for (size_t j = 0; j < t->uid_count; j++) {
            demand(arili_config_tenant_by_uid(c, t->uids[j]) == t);
        }
        for (size_t j = 0; j < t->certificate_count; j++) {
            demand(strspn(t->certificates[j], "0123456789abcdef") == 64 &&
                   strlen(t->certificates[j]) == 64);
        }
        demand(t->name_bytes_max >= 1 && t->name_bytes_max <= 512);
    }
}

static void check_policies(const struct arili_proxy_config *c)
{
    demand(c->policy_count >= 1 && c->policy_count <= ARILI_CONFIG_POLICIES_MAX + 1);
    const struct arili_policy_config *const last = &c->policies[c->policy_count - 1];
    demand(last->tenant == NULL && strspn(last->pattern, "*") == strlen(last->pattern));
    for (size_t i = 0; i < c->policy_count; i++) {
        const struct arili_policy_config *const p = &c->policies[i];
        const aril_bytes key = text_bytes(p->pattern);
        const aril_bytes tenant = text_bytes(p->tenant != NULL ? p->tenant : "nobody");
        const struct arili_policy_config *const found = arili_config_policy(c, tenant, key);
        demand(found >= c->policies && found <= last);
        demand(p->ttl_max_s >= 1 && p->values <= ARILI_VALUES_DENY);
    }
}

static void check_lines(aril_bytes text)
{
    struct arili_conf conf = arili_conf_init(text);
    for (;;) {
        struct arili_conf_item item;
        struct arili_conf_item again;
        const char *reason = NULL;
        struct arili_conf later = conf; /* from here on, as a text of its own */
        const uint32_t line = conf.line;
        const aril_status st = arili_conf_next(&conf, &item, &reason);
        later.line = 0;
        demand(arili_conf_next(&later, &again, &reason) == st);
        demand(later.line + line == conf.line && item.kind == again.kind);
        if (st == ARIL_OK && item.kind == ARILI_CONF_END) {
            return;
        }
        demand(st != ARIL_OK ||
               (item.name.len > 0 && item.name.data == again.name.data && item.line == conf.line));
        demand(st == ARIL_OK || reason != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > TEXT_BYTES_MAX) {
        return 0;
    }
    const aril_bytes text = { data, len };
    struct arili_proxy_config *c = NULL;
    aril_error error = { ARIL_OK, "" };
    check_lines(text);
    const aril_status st = arili_config_parse(FILE_NAME, text, &c, &error);
    if (st != ARIL_OK) {
        demand(st == ARIL_E_FORMAT_FIELD && c == NULL);
        check_message(&error, count_lines(data, len));
        return 0;
    }
    demand(c->keyring != NULL && c->upstream.seed_count >= 1);
    for (size_t i = 0; i < c->upstream.seed_count; i++) {
        check_address(&c->upstream.seeds[i]);
    }
    demand(!c->admin || arili_address_is_local(&c->admin_address));
    check_listeners(c);
    check_tenants(c);
    check_policies(c);
    demand(arili_config_fixed_difference(c, c) == NULL);
    arili_config_free(c);
    return 0;
}
