/* SPDX-License-Identifier: Apache-2.0 */
/* [upstream] server: the URI of a store, as a store of Redis takes it. */
#include "base/ensure.h"
#include "cache/stores/redis_internal.h"
#include "proxy/config_internal.h"
#include <string.h>

static void text_freep(char **text)
{
    arili_config_text_free(*text);
}

/* What the URI says of who we are; NULL stays NULL. */
static aril_status login_of_uri(const struct arili_config_place *p,
                                const struct arili_redis_uri *uri, char **ret_user,
                                char **ret_password_file)
{
    const struct arili_upstream_config *const up = p->object;
    if ((uri->user[0] != '\0' && up->user != NULL) ||
        (uri->password_file[0] != '\0' && up->password_file != NULL)) {
        return arili_config_refuse(p, "user or password_file stands in the URI and as a key");
    }
    if (uri->user[0] != '\0') {
        *ret_user = arili_config_text_new(arili_config_text_bytes(uri->user));
        ARILI_ENSURE(*ret_user != NULL, ARIL_E_NOMEM);
    }
    if (uri->password_file[0] != '\0') {
        char path[ARILI_CONFIG_PATH_ROOM];
        ARILI_TRY(arili_config_resolve(p, arili_config_text_bytes(uri->password_file), path));
        *ret_password_file = arili_config_text_new(arili_config_text_bytes(path));
        ARILI_ENSURE(*ret_password_file != NULL, ARIL_E_NOMEM);
    }
    return ARIL_OK;
}

/* The URI of a store, read as the store reads it. text is changed: the colon becomes a NUL. */
static aril_status parse_uri(const struct arili_config_place *p, char *text,
                             struct arili_redis_uri *ret)
{
    static const char *const schemes[] = { "redis", "rediss", "redis+unix", "redis+cluster",
                                           "rediss+cluster" };
    aril_error why = { ARIL_OK, "" };
    char *const colon = strchr(text, ':');
    bool known = false;
    ARILI_ENSURE(colon != NULL, ARIL_E_FORMAT_FIELD);
    *colon = '\0';
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        known = known || strcmp(schemes[i], text) == 0;
    }
    ARILI_ENSURE(known, ARIL_E_FORMAT_FIELD);
    if (arili_redis_uri_parse(text, colon + 1, ret, &why) != ARIL_OK) {
        return arili_config_refuse(p, why.message);
    }
    if (ret->db != 0) {
        return arili_config_refuse(
            p, "clients choose the database, with SELECT; leave it out of the URI");
    }
    return ARIL_OK;
}

aril_status arili_config_set_server(const struct arili_config_place *p, aril_bytes value)
{
    struct arili_upstream_config *const up = p->object;
    ARILI_DEFER(text_freep) char *text = arili_config_text_new(value);
    ARILI_DEFER(text_freep) char *user = NULL;
    ARILI_DEFER(text_freep) char *password_file = NULL;
    struct arili_redis_uri uri;
    struct arili_address seeds[ARILI_CONFIG_SEEDS_MAX] = { { .port = 0 } };
    _Static_assert(ARILI_REDIS_SEEDS_MAX == ARILI_CONFIG_SEEDS_MAX, "all seeds have a place");
    _Static_assert(ARILI_REDIS_HOST_BYTES == sizeof seeds[0].host, "all hosts fit");
    ARILI_ENSURE(text != NULL, ARIL_E_NOMEM);
    ARILI_TRY(parse_uri(p, text, &uri));
    for (size_t i = 0; i < uri.seed_count; i++) {
        seeds[i].is_unix = uri.seeds[i].is_unix;
        seeds[i].port = uri.seeds[i].port;
        memcpy(seeds[i].host, uri.seeds[i].host, sizeof seeds[i].host);
        ARILI_TRY(arili_config_resolve_socket(p, &seeds[i]));
        char shown[ARILI_ADDRESS_TEXT];
        struct arili_address again;
        arili_address_text(&seeds[i], shown);
        if (arili_address_parse(arili_config_text_bytes(shown), 0, &again) != ARIL_OK) {
            return arili_config_refuse(p, "a host is no name and no address");
        }
    }
    ARILI_TRY(login_of_uri(p, &uri, &user, &password_file));
    up->cluster = uri.cluster;
    up->tls = uri.tls;
    up->seed_count = uri.seed_count;
    memcpy(up->seeds, seeds, sizeof seeds);
    up->user = user != NULL ? ARILI_TAKE(user) : up->user;
    up->password_file = password_file != NULL ? ARILI_TAKE(password_file) : up->password_file;
    return ARIL_OK;
}
