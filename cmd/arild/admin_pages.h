/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_ADMIN_PAGES_H
#define ARILD_ADMIN_PAGES_H
#include "admin_http.h"
#include "proxy/proxy.h"

struct evbuffer;

/* What belongs to the status page; made of cmd/arild/page/ by the build. */
struct page_asset {
    const char *path; /* "/app.js"; "/index.html" is "/" as well */
    const unsigned char *data;
    size_t len;
};
extern const struct page_asset page_assets[];
extern const size_t page_asset_count;

/* Append the whole answer. False: memory is short, and out may have a part of it. */
bool admin_answer(struct arili_proxy *proxy, const struct http_request *request,
                  struct evbuffer *out);
/* The same of an error. */
bool admin_refuse(int code, struct evbuffer *out);
#endif
