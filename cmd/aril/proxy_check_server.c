/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"
#include "proxy_check.h"
#include <string.h>

/* The server, asked as a store is: the library has everything that it takes to get there. */
#define URI_BYTES 16384u

/* As it stands in a URI: what is not plain becomes %XX. */
static size_t put(char *uri, size_t len, const char *text, const char *plain)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._~";
    for (const char *at = text; *at != '\0' && len + 4 < URI_BYTES; at++) {
        if (strchr(letters, *at) != NULL || strchr(plain, *at) != NULL) {
            uri[len++] = *at;
        } else {
            len += (size_t)snprintf(uri + len, 4, "%%%02X", (unsigned)(unsigned char)*at);
        }
    }
    uri[len] = '\0';
    return len;
}

static void write_uri(const struct arili_upstream_config *up, char uri[URI_BYTES])
{
    char address[ARILI_ADDRESS_TEXT];
    size_t len = 0;
    if (up->seeds[0].is_unix) {
        len = (size_t)snprintf(uri, URI_BYTES, "redis+unix:");
        len = put(uri, len, up->seeds[0].host, "/");
        if (up->user != NULL) {
            len += (size_t)snprintf(uri + len, URI_BYTES - len, "?user=");
            (void)put(uri, len, up->user, "");
        }
        return;
    }
    len = (size_t)snprintf(uri, URI_BYTES, "%s%s://", up->tls ? "rediss" : "redis",
                           up->cluster ? "+cluster" : "");
    if (up->user != NULL) {
        len = put(uri, len, up->user, "");
        uri[len++] = '@';
    }
    for (size_t i = 0; i < up->seed_count; i++) {
        arili_address_text(&up->seeds[i], address);
        if (i > 0) {
            uri[len++] = ',';
        }
        len = put(uri, len, address, "[]:");
    }
}

void proxy_check_server(struct proxy_check *c)
{
    const struct arili_upstream_config *const up = &c->config->upstream;
    char uri[URI_BYTES];
    char address[ARILI_ADDRESS_TEXT];
    aril_error error = { .status = ARIL_OK };
    aril_store *store = NULL;
    aril_store_item item = { .name = keys_bytes("a1:aril-proxy-check") };
    write_uri(up, uri);
    arili_address_text(&up->seeds[0], address);
    const aril_store_config config = { .uri = uri,
                                       .deadline_ms = up->connect_ms + up->answer_ms,
                                       .connections = 1,
                                       .secret_path = up->password_file,
                                       .ca_path = up->tls_ca,
                                       .cert_path = up->tls_cert,
                                       .key_path = up->tls_key };
    aril_status st = aril_store_open(c->rt, &config, &store, &error);
    if (st == ARIL_OK) {
        st = aril_store_exists(store, &item, 1, &error);
    }
    aril_store_close(store);
    proxy_check_note(c, st == ARIL_OK, "server", keys_bytes(address), "%s",
                     st == ARIL_OK              ? "it answers"
                     : error.message[0] != '\0' ? error.message
                                                : aril_status_text(st));
}
