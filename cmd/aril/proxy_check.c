/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_check.h"
#include "args.h"
#include "defer.h"
#include "failure.h"
#include "keys.h"
#include "out.h"
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define COMMAND        "aril proxy check"
#define DEFAULT_CONFIG "/etc/aril/arild.conf"
#define NOTE_TEXT      1024
#define SUBJECT_TEXT   (4 * 512 + 1)

void proxy_check_note(struct proxy_check *c, bool good, const char *kind, aril_bytes subject,
                      const char *format, ...)
{
    char text[NOTE_TEXT];
    char safe[SUBJECT_TEXT];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->bad = c->bad || !good;
    if (c->json) {
        json_array_append_new(c->list, json_pack("{s:s, s:o, s:b, s:o}", "kind", kind, "subject",
                                                 keys_json_text(subject), "good", good ? 1 : 0,
                                                 "text", keys_json_text(keys_bytes(text))));
        return;
    }
    printf("%s%s%s  %-11s  %s: %s\n", out_on(good ? OUT_GOOD : OUT_BAD), good ? "ok " : "BAD",
           out_off(), kind, keys_safe(subject, safe, sizeof safe), text);
}

/* --- Listeners ------------------------------------------------------------------------------ */

/* "password, certificate", or whose all clients are. */
static void who_text(const struct arili_listen_config *l, char *ret, size_t cap)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } ways[] = { { ARILI_AUTH_PASSWORD, "password" },
                 { ARILI_AUTH_CERTIFICATE, "certificate" },
                 { ARILI_AUTH_PEER, "user id of the other end" } };
    char safe[4 * 255 + 1];
    if (l->tenant != NULL) {
        snprintf(ret, cap, "every client is tenant %s",
                 keys_safe(keys_bytes(l->tenant), safe, sizeof safe));
        return;
    }
    size_t len = (size_t)snprintf(ret, cap, "clients are known by");
    const char *between = " ";
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if ((l->auth & ways[i].bit) != 0 && len < cap) {
            len += (size_t)snprintf(ret + len, cap - len, "%s%s", between, ways[i].name);
            between = ", ";
        }
    }
}

/* The first of the listener's files that cannot be read by who asks; NULL: none. */
static const char *unreadable(const struct arili_listen_config *l)
{
    const char *const files[] = { l->tls_cert, l->tls_key, l->tls_client_ca };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] != NULL && access(files[i], R_OK) != 0) {
            return files[i];
        }
    }
    return NULL;
}

static void check_listeners(struct proxy_check *c)
{
    for (size_t i = 0; i < c->config->listener_count; i++) {
        const struct arili_listen_config *const l = &c->config->listeners[i];
        char address[ARILI_ADDRESS_TEXT];
        char announce[ARILI_ADDRESS_TEXT] = "";
        char who[512];
        const char *const file = unreadable(l);
        arili_address_text(&l->address, address);
        who_text(l, who, sizeof who);
        if (l->announce.host[0] != '\0') {
            arili_address_text(&l->announce, announce);
        }
        if (file != NULL) {
            proxy_check_note(c, false, "listener", keys_bytes(address),
                             "%s cannot be read by this user", file);
        } else {
            proxy_check_note(c, true, "listener", keys_bytes(address), "%s%s%s%s",
                             l->tls ? "TLS; " : "", who,
                             announce[0] != '\0' ? "; announced as " : "", announce);
        }
    }
    if (c->config->listener_count == 0) {
        proxy_check_note(c, false, "listener", keys_bytes("[listen]"),
                         "there is none, so no client could come in");
    }
}

/* --- Policies ------------------------------------------------------------------------------- */

static void check_policies(struct proxy_check *c)
{
    static const char *const values[] = { "seal", "pass", "deny" };
    static const char *const tamper[] = { "nil", "error", "quarantine" };
    for (size_t i = 0; i < c->config->policy_count; i++) {
        const struct arili_policy_config *const p = &c->config->policies[i];
        const aril_bytes pattern = keys_bytes(p->pattern);
        char safe[4 * 255 + 1] = "all";
        if (p->tenant != NULL) {
            keys_safe(keys_bytes(p->tenant), safe, sizeof safe);
        }
        if (p->values != ARILI_VALUES_SEAL) {
            proxy_check_note(c, true, "policy", pattern, "tenants: %s; values = %s", safe,
                             values[p->values]);
            continue;
        }
        proxy_check_note(c, true, "policy", pattern,
                         "tenants: %s; values = seal, on_tamper = %s, ttl_max = %llu s, "
                         "streaming = %s",
                         safe, tamper[p->on_tamper], (unsigned long long)p->ttl_max_s,
                         p->streaming ? "yes" : "no");
    }
}

/* --- All of it ------------------------------------------------------------------------------ */

static void check_credentials(struct proxy_check *c, struct arili_credentials **ret)
{
    aril_error error = { .status = ARIL_OK };
    const char *const path = c->config->credentials;
    if (path == NULL) {
        return;
    }
    const aril_status st = arili_credentials_read(c->rt, path, ret, &error);
    if (st != ARIL_OK) {
        proxy_check_note(c, false, "credentials", keys_bytes(path), "%s",
                         error.message[0] != '\0' ? error.message : aril_status_text(st));
        return;
    }
    proxy_check_note(c, true, "credentials", keys_bytes(path), "%zu tokens and passphrases",
                     arili_credentials_count(*ret));
}

static void check_all(struct proxy_check *c, bool connect)
{
    struct arili_credentials *credentials = NULL;
    char address[ARILI_ADDRESS_TEXT];
    check_listeners(c);
    if (c->config->admin) {
        arili_address_text(&c->config->admin_address, address);
        proxy_check_note(c, true, "admin", keys_bytes(address), "metrics, health, status page");
    }
    check_policies(c);
    check_credentials(c, &credentials);
    proxy_check_keyring(c, credentials);
    if (connect) {
        proxy_check_server(c);
    }
    arili_credentials_free(credentials);
}

static int run(struct proxy_check *c, const char *path, bool connect)
{
    aril_error error = { .status = ARIL_OK };
    DEFER(runtime_freep) aril_runtime *rt = NULL;
    const aril_runtime_config config = { .error = &error };
    aril_status st = aril_runtime_new(&config, &rt);
    if (st != ARIL_OK) {
        return failure_error(COMMAND, st, &error, "the library cannot start");
    }
    c->rt = rt;
    st = arili_config_read(path, &c->config, &error);
    if (st != ARIL_OK) {
        return failure_error(COMMAND, st, &error, path);
    }
    c->list = json_array();
    check_all(c, connect);
    arili_config_free(c->config);
    if (c->json) {
        const int rc = keys_print_json(COMMAND, json_pack("{s:o, s:b, s:o}", "config",
                                                          keys_json_text(keys_bytes(path)), "good",
                                                          c->bad ? 0 : 1, "checks", c->list));
        return rc != 0 ? rc : c->bad ? EXIT_CHECKS_FAILED : EXIT_DONE;
    }
    json_decref(c->list);
    return c->bad ? EXIT_CHECKS_FAILED : EXIT_DONE;
}

int proxy_check(int argc, char **argv)
{
    struct proxy_check c = { .command = COMMAND };
    bool connect = false;
    const struct args_option own[] = {
        { "connect", ARGS_FLAG, &connect, NULL, "ask the server, too", 0, 0 },
        { "json", ARGS_FLAG, &c.json, NULL, "print JSON", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "[FILE]",
        .summary = "Look at a configuration of arild and at what it names: listeners, tenants,\n"
                   "policies, password file, keyring. Without FILE it is " DEFAULT_CONFIG ".",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    const int rc = args_parse(&spec, argc, argv, operands, &count);
    return rc != ARGS_RUN ? rc : run(&c, count > 0 ? operands[0] : DEFAULT_CONFIG, connect);
}
