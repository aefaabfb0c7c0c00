/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/config.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include "proxy/config_internal.h"
#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#define BUILT_IN "(built in)"

void *arili_config_object(struct arili_proxy_config *config, enum arili_config_section section)
{
    return section == ARILI_SECTION_UPSTREAM ? (void *)&config->upstream : (void *)config;
}

aril_status arili_config_defaults(enum arili_config_section section, void *object)
{
    char reason[ARILI_CONFIG_REASON_TEXT];
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        if (key->section == section && key->fallback != NULL) {
            const aril_status st = arili_config_set(key, BUILT_IN, object,
                                                    arili_config_text_bytes(key->fallback), reason);
            assert(st == ARIL_OK || st == ARIL_E_NOMEM); /* a default is in its range */
            ARILI_TRY(st);
        }
    }
    return ARIL_OK;
}

/* *ret is NULL for none. */
static aril_status new_array(size_t count, size_t size, void **ret)
{
    *ret = count == 0 ? NULL : arili_alloc(count * size);
    ARILI_ENSURE(count == 0 || *ret != NULL, ARIL_E_NOMEM);
    return ARIL_OK;
}

aril_status arili_config_new_for(size_t listeners, size_t tenants, size_t policies,
                                 struct arili_proxy_config **ret)
{
    *ret = NULL;
    ARILI_DEFER(arili_config_freep) struct arili_proxy_config *out = arili_alloc(sizeof *out);
    void *array = NULL;
    ARILI_ENSURE(out != NULL, ARIL_E_NOMEM);
    ARILI_TRY(new_array(listeners, sizeof *out->listeners, &array));
    out->listeners = array;
    ARILI_TRY(new_array(tenants, sizeof *out->tenants, &array));
    out->tenants = array;
    ARILI_TRY(new_array(policies, sizeof *out->policies, &array));
    out->policies = array;
    for (unsigned s = ARILI_SECTION_TOP; s <= ARILI_SECTION_UPSTREAM; s++) {
        ARILI_TRY(arili_config_defaults(s, arili_config_object(out, s)));
    }
    *ret = ARILI_TAKE(out);
    return ARIL_OK;
}

aril_status arili_config_add_policy(struct arili_proxy_config *config, aril_bytes pattern)
{
    struct arili_policy_config *const policy = &config->policies[config->policy_count++];
    policy->pattern = arili_config_text_new(pattern);
    ARILI_ENSURE(policy->pattern != NULL, ARIL_E_NOMEM);
    return arili_config_defaults(ARILI_SECTION_POLICY, policy);
}

aril_status arili_config_new(struct arili_proxy_config **ret)
{
    *ret = NULL;
    ARILI_DEFER(arili_config_freep) struct arili_proxy_config *out = NULL;
    ARILI_TRY(arili_config_new_for(0, 0, 1, &out));
    ARILI_TRY(arili_config_add_policy(out, ARILI_LITERAL("*")));
    out->path = arili_config_text_new(ARILI_LITERAL(BUILT_IN));
    ARILI_ENSURE(out->path != NULL, ARIL_E_NOMEM);
    *ret = ARILI_TAKE(out);
    return ARIL_OK;
}

aril_status arili_config_read(const char *path, struct arili_proxy_config **ret, aril_error *error)
{
    *ret = NULL;
    /* Where configurations are mounted, their names are symbolic links. Owner and mode are those of
     * the file that is read. */
    char real[PATH_MAX];
    const char *const target = realpath(path, real) != NULL ? real : path;
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(arili_file_read(target, ARILI_CONFIG_BYTES_MAX,
                              ARILI_FILE_TRUSTED | ARILI_FILE_ROOT_MAY_OWN, &file, error));
    return arili_config_parse(path, (aril_bytes){ file.data, file.len }, ret, error);
}

/* --- The end */

static bool is_string(const struct arili_config_key *key)
{
    return key->kind <= ARILI_KIND_KEYSTORE;
}

static void *slot(const struct arili_config_key *key, const void *object)
{
    return (uint8_t *)(uintptr_t)object + key->offset;
}

static void free_strings(enum arili_config_section section, void *object)
{
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        if (key->section == section && is_string(key)) {
            arili_config_text_free(*(char **)slot(key, object));
        }
    }
}

static void free_tenant(struct arili_tenant_config *tenant)
{
    for (size_t i = 0; i < tenant->certificate_count; i++) {
        arili_config_text_free(tenant->certificates[i]);
    }
    arili_free(tenant->certificates, tenant->certificate_count * sizeof *tenant->certificates);
    arili_free(tenant->uids, tenant->uid_count * sizeof *tenant->uids);
    arili_config_text_free(tenant->id);
}

void arili_config_free(struct arili_proxy_config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        free_strings(ARILI_SECTION_LISTEN, &config->listeners[i]);
    }
    for (size_t i = 0; i < config->tenant_count; i++) {
        free_tenant(&config->tenants[i]);
    }
    for (size_t i = 0; i < config->policy_count; i++) {
        free_strings(ARILI_SECTION_POLICY, &config->policies[i]);
        arili_config_text_free(config->policies[i].pattern);
    }
    arili_free(config->listeners, config->listener_count * sizeof *config->listeners);
    arili_free(config->tenants, config->tenant_count * sizeof *config->tenants);
    arili_free(config->policies, config->policy_count * sizeof *config->policies);
    for (unsigned s = ARILI_SECTION_TOP; s <= ARILI_SECTION_UPSTREAM; s++) {
        free_strings(s, arili_config_object(config, s));
    }
    arili_config_text_free(config->path);
    arili_free(config, sizeof *config);
}

void arili_config_freep(struct arili_proxy_config **config)
{
    arili_config_free(*config);
}

/* --- Looking at it */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_server(const struct arili_upstream_config *a,
                        const struct arili_upstream_config *b)
{
    bool same = a->cluster == b->cluster && a->tls == b->tls && a->seed_count == b->seed_count;
    for (size_t i = 0; same && i < a->seed_count; i++) {
        same = arili_address_equal(&a->seeds[i], &b->seeds[i]);
    }
    return same;
}

static bool same_listen(const struct arili_listen_config *a, const struct arili_listen_config *b)
{
    return a->tls == b->tls && arili_address_equal(&a->address, &b->address);
}

/* Of what the table calls fixed, which are no lists. */
static bool same(const struct arili_config_key *key, const void *a, const void *b)
{
    if (is_string(key)) {
        return same_text(*(char **)slot(key, a), *(char **)slot(key, b));
    }
    switch (key->kind) {
    case ARILI_KIND_SERVER:
        return same_server(a, b);
    case ARILI_KIND_LISTEN:
        return same_listen(a, b);
    case ARILI_KIND_ADDRESS:
        return arili_address_equal(slot(key, a), slot(key, b));
    case ARILI_KIND_SIZE:
        return memcmp(slot(key, a), slot(key, b), sizeof(uint64_t)) == 0;
    default:
        assert(key->kind == ARILI_KIND_COUNT || key->kind == ARILI_KIND_WORDS ||
               key->kind == ARILI_KIND_MODE);
        return memcmp(slot(key, a), slot(key, b), sizeof(uint32_t)) == 0;
    }
}

static const char *difference(enum arili_config_section section, const void *a, const void *b)
{
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        if (key->section == section && (key->flags & ARILI_KEY_FIXED) != 0 && !same(key, a, b)) {
            return key->label;
        }
    }
    return NULL;
}

const char *arili_config_fixed_difference(const struct arili_proxy_config *a,
                                          const struct arili_proxy_config *b)
{
    const char *found = difference(ARILI_SECTION_TOP, a, b);
    found = found != NULL ? found : difference(ARILI_SECTION_LIMITS, a, b);
    found = found != NULL ? found : difference(ARILI_SECTION_TIMEOUTS, a, b);
    found = found != NULL || a->admin == b->admin ? found : "[admin]";
    found = found != NULL ? found : difference(ARILI_SECTION_ADMIN, a, b);
    found = found != NULL ? found : difference(ARILI_SECTION_UPSTREAM, &a->upstream, &b->upstream);
    found = found != NULL || a->listener_count == b->listener_count ? found : "[listen]";
    for (size_t i = 0; found == NULL && i < a->listener_count; i++) {
        found = difference(ARILI_SECTION_LISTEN, &a->listeners[i], &b->listeners[i]);
    }
    return found;
}

const struct arili_policy_config *arili_config_policy(const struct arili_proxy_config *config,
                                                      aril_bytes tenant, aril_bytes key)
{
    for (size_t i = 0; i + 1 < config->policy_count; i++) {
        const struct arili_policy_config *const policy = &config->policies[i];
        if ((policy->tenant == NULL || arili_conf_is(tenant, policy->tenant)) &&
            arili_glob(arili_config_text_bytes(policy->pattern), key)) {
            return policy;
        }
    }
    assert(config->policy_count > 0);
    return &config->policies[config->policy_count - 1]; /* takes all that is left */
}

const struct arili_tenant_config *arili_config_tenant(const struct arili_proxy_config *config,
                                                      aril_bytes id)
{
    for (size_t i = 0; i < config->tenant_count; i++) {
        if (arili_conf_is(id, config->tenants[i].id)) {
            return &config->tenants[i];
        }
    }
    return NULL;
}

const struct arili_tenant_config *
arili_config_tenant_by_uid(const struct arili_proxy_config *config, uint32_t uid)
{
    for (size_t i = 0; i < config->tenant_count; i++) {
        for (size_t j = 0; j < config->tenants[i].uid_count; j++) {
            if (config->tenants[i].uids[j] == uid) {
                return &config->tenants[i];
            }
        }
    }
    return NULL;
}

const struct arili_tenant_config *
arili_config_tenant_by_certificate(const struct arili_proxy_config *config, aril_bytes digest)
{
    static const char digits[] = "0123456789abcdef";
    char text[65] = "";
    if (digest.len != 32) {
        return NULL;
    }
    for (size_t i = 0; i < digest.len; i++) {
        text[2 * i] = digits[digest.data[i] >> 4];
        text[2 * i + 1] = digits[digest.data[i] & 15];
    }
    for (size_t i = 0; i < config->tenant_count; i++) {
        for (size_t j = 0; j < config->tenants[i].certificate_count; j++) {
            if (strcmp(config->tenants[i].certificates[j], text) == 0) {
                return &config->tenants[i];
            }
        }
    }
    return NULL;
}
