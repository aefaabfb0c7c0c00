/* SPDX-License-Identifier: Apache-2.0 */
/* The admin listener of arild over a proxy that is none:
 *   fake_admin ADDRESS
 * Prints the address that it listens on, and then obeys lines of standard input, each answered with
 * "ok": "ready", "locked" (not ready), "restart" (all counters begin anew), "tenants N", "tamper
 * N". It ends with standard input. Every look at it is as if 100 commands had come for each tenant.
 */
#include "admin.h"
#include "proxy/status.h"
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TENANTS_MAX 2000u
#define DAY_S       86400u
#define NOW_S       UINT64_C(1790000000)

struct arili_proxy {
    uint64_t looks, tampered, started_s;
    size_t tenants;
    bool locked;
};

static struct arili_status_tenant tenants[TENANTS_MAX];
static char ids[TENANTS_MAX][64];
static struct arili_status_server servers[3];

/* Names that a page or a terminal could trip over. */
static const char *const hostile[] = {
    "acme",
    "<img src=x onerror=document.title='owned'>",
    "\xd7\x90\xd7\x91\xd7\x92 &amp; co",
    "\xe2\x80\xaegnp.exe",
    "a\x1b[31mred\nline\xff",
    "other",
    "M\xc3\xbcnchen",
};
#define HOSTILE (sizeof hostile / sizeof hostile[0])

static void fill_tenants(const struct arili_proxy *p)
{
    for (size_t i = 0; i < p->tenants; i++) {
        struct arili_status_tenant *t = &tenants[i];
        if (i < HOSTILE) {
            (void)snprintf(ids[i], sizeof ids[i], "%s", hostile[i]);
        } else {
            (void)snprintf(ids[i], sizeof ids[i], "tenant-%04zu", i);
        }
        *t = (struct arili_status_tenant){
            .id = { (const uint8_t *)ids[i], strlen(ids[i]) },
            .clients = i + 1,
            .figures = { .commands = 100 * p->looks,
                         .hits = 80 * p->looks,
                         .misses = 10 * p->looks + i,
                         .tampered = i == 1 ? p->tampered : 0 },
            .key_status = i == 2 ? ARIL_E_KEY_OVERDUE : ARIL_OK,
            .key_created_s = NOW_S - (40 + i) * DAY_S,
            .key_rotate_by_s = i == 2   ? NOW_S - DAY_S
                               : i == 3 ? NOW_S + 3 * DAY_S
                                        : NOW_S + 50 * DAY_S,
        };
    }
}

static void fill(const struct arili_proxy *p, struct arili_status *ret)
{
    static const char *const states[] = { "up", "up", "refused" };
    fill_tenants(p);
    for (size_t i = 0; i < 3; i++) {
        servers[i] = (struct arili_status_server){ .up = i < 2,
                                                   .state = states[i],
                                                   .links = i < 2 ? 4 : 0,
                                                   .failures = i < 2 ? 0 : p->looks };
        (void)snprintf(servers[i].address, sizeof servers[i].address, "10.1.0.%zu:6379", i + 1);
    }
    *ret = (struct arili_status){
        .version = "0.0.0-fake",
        .started_s = p->started_s,
        .now_s = NOW_S + 2 * p->looks,
        .not_ready = p->locked ? "the keyring is locked; run: aril keys unlock" : NULL,
        .clients = 28,
        .memory_used = (uint64_t)37 << 20,
        .memory_max = (uint64_t)1 << 30,
        .servers = servers,
        .server_count = 3,
        .tenants = tenants,
        .tenant_count = p->tenants,
        .latency = { .sum_us = 9000 * p->looks },
        .figures = { .connections = 120 + p->looks, .logins = 118, .login_failures = 3 },
    };
    ret->latency.buckets[6] = 90 * p->looks;
    ret->latency.buckets[9] = 9 * p->looks;
    ret->latency.buckets[14] = p->looks;
}

aril_status arili_proxy_ready(struct arili_proxy *proxy, aril_error *error)
{
    if (!proxy->locked) {
        return ARIL_OK;
    }
    error->status = ARIL_E_KEY_LOCKED;
    (void)snprintf(error->message, sizeof error->message, "the keyring is locked");
    return ARIL_E_KEY_LOCKED;
}

void arili_proxy_metrics(struct arili_proxy *proxy, const aril_metrics_sink *sink)
{
    struct arili_status s;
    fill(proxy, &s);
    arili_status_metrics(&s, sink);
}

aril_status arili_proxy_status_json(struct arili_proxy *proxy, char **ret, size_t *ret_bytes)
{
    struct arili_status s;
    proxy->looks++;
    fill(proxy, &s);
    return arili_status_json(&s, ret, ret_bytes);
}

struct fake {
    struct arili_proxy proxy;
    struct event_base *base;
};

static bool obey(struct arili_proxy *p, const char *line)
{
    const bool number = strchr(line, ' ') != NULL;
    const unsigned long n = number ? strtoul(strchr(line, ' '), NULL, 10) : 0;
    if (strcmp(line, "ready") == 0 || strcmp(line, "locked") == 0) {
        p->locked = line[0] == 'l';
    } else if (strcmp(line, "restart") == 0) {
        p->looks = 0;
        p->started_s++;
    } else if (strncmp(line, "tenants ", 8) == 0 && n <= TENANTS_MAX) {
        p->tenants = n;
    } else if (strncmp(line, "tamper ", 7) == 0) {
        p->tampered = n;
    } else {
        return false;
    }
    return true;
}

/* Whoever drives this sends one line and waits for its answer. */
static void on_line(evutil_socket_t fd, short what, void *user)
{
    struct fake *f = user;
    char line[128];
    const ssize_t n = read(fd, line, sizeof line - 1);
    (void)what;
    if (n <= 0) {
        (void)event_base_loopbreak(f->base);
        return;
    }
    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';
    puts(obey(&f->proxy, line) ? "ok" : "what?");
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct fake f = { .proxy = { .tenants = HOSTILE, .started_s = NOW_S - 3 * DAY_S } };
    struct arili_proxy_config config = { .admin = true };
    struct arili_address at;
    char text[ARILI_ADDRESS_TEXT];
    struct admin *admin = NULL;
    aril_error error = { .status = ARIL_OK };
    if (argc != 2) {
        (void)fprintf(stderr, "usage: fake_admin ADDRESS\n");
        return 2;
    }
    config.admin_address.is_unix = argv[1][0] == '/';
    (void)snprintf(config.admin_address.host, sizeof config.admin_address.host, "%s", argv[1]);
    f.base = event_base_new();
    struct event *input =
        f.base == NULL ? NULL : event_new(f.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_line, &f);
    if (input == NULL || event_add(input, NULL) != 0 ||
        admin_start(f.base, &f.proxy, &config, &admin, &error) != ARIL_OK) {
        (void)fprintf(stderr, "fake_admin: %s\n", error.message);
        return 1;
    }
    admin_address(admin, &at);
    arili_address_text(&at, text);
    puts(text);
    (void)fflush(stdout);
    (void)event_base_dispatch(f.base);
    admin_stop(admin);
    event_free(input);
    event_base_free(f.base);
    return 0;
}
