/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_ADMIN_HTTP_H
#define ARILD_ADMIN_HTTP_H
#include <stdbool.h>
#include <stddef.h>

/* As much of HTTP/1.1 (RFC 9112) as the admin listener needs: one request for a connection, without
 * a body. Nothing here does I/O or allocates. */
#define HTTP_HEAD_MAX   8192u /* request line and fields */
#define HTTP_PATH_MAX   255u
#define HTTP_ANSWER_MAX 1024u /* status line and fields of an answer */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER };

struct http_request {
    enum http_method method;
    bool has_body;
    char path[HTTP_PATH_MAX + 1]; /* without what follows '?' */
};

/*
 * A whole head, from the request line to the empty line. host: a name that is accepted in Host
 * besides localhost, 127.0.0.1 and [::1], any port; NULL: none. A browser always sends the name
 * that it was told to open, so a page of another name that resolves to this machine is refused.
 * Returns 0, or the status code to answer with: 400, 414, 421, 505.
 */
int http_parse(const char *head, size_t len, const char *host, struct http_request *ret);

/* The status line and all fields, with the empty line. type: NULL when there is no body. */
size_t http_answer(int code, const char *type, size_t body_len, char ret[static HTTP_ANSWER_MAX]);
/* "Not Found" */
const char *http_reason(int code);
#endif
