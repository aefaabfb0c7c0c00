/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/http_internal.h"
#if ARILI_HTTP_HEADERS
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define LIBRARY "libcurl.so.4"

_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "dlsym() answers functions as pointers");

/* Written once, by load(). */
static struct arili_http_curl curl;
static const char *problem;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool load_symbols(void *library)
{
    const struct {
        const char *name;
        void *at;
    } symbols[] = {
        { "curl_global_init", &curl.global_init },
        { "curl_easy_init", &curl.easy_init },
        { "curl_easy_reset", &curl.easy_reset },
        { "curl_easy_setopt", &curl.easy_setopt },
        { "curl_easy_getinfo", &curl.easy_getinfo },
        { "curl_easy_cleanup", &curl.easy_cleanup },
        { "curl_easy_strerror", &curl.easy_strerror },
        { "curl_slist_append", &curl.slist_append },
        { "curl_slist_free_all", &curl.slist_free_all },
        { "curl_multi_init", &curl.multi_init },
        { "curl_multi_setopt", &curl.multi_setopt },
        { "curl_multi_add_handle", &curl.multi_add_handle },
        { "curl_multi_remove_handle", &curl.multi_remove_handle },
        { "curl_multi_perform", &curl.multi_perform },
        { "curl_multi_poll", &curl.multi_poll },
        { "curl_multi_info_read", &curl.multi_info_read },
        { "curl_multi_cleanup", &curl.multi_cleanup },
    };
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (address == NULL) {
            return false;
        }
        memcpy(symbols[i].at, &address, sizeof address);
    }
    return true;
}

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        problem = LIBRARY " is not installed (Debian: libcurl4)";
    } else if (!load_symbols(library)) {
        problem = LIBRARY " is older than 7.66";
    } else if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        problem = LIBRARY " does not start";
    }
}

const struct arili_http_curl *arili_http_curl_load(const char **ret_reason)
{
    if (pthread_once(&once, load) != 0) {
        *ret_reason = LIBRARY " can not be loaded";
        return NULL;
    }
    *ret_reason = problem;
    return problem == NULL ? &curl : NULL;
}

static sigset_t pipe_alone(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    return set;
}

struct arili_http_quiet arili_http_quiet_begin(void)
{
    struct arili_http_quiet q;
    sigset_t pending;
    const sigset_t set = pipe_alone();
    q.was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &set, &q.old);
    return q;
}

void arili_http_quiet_end(struct arili_http_quiet *q)
{
    const struct timespec at_once = { 0 };
    const sigset_t set = pipe_alone();
    if (!q->was_pending) {
        while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &q->old, NULL);
}
#endif
