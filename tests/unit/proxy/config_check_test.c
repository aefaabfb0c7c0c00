/* SPDX-License-Identifier: Apache-2.0 */
/* What must fit together, what a reload may change, and the examples. */
#include "base/files.h"
#include "check.h"
#include "proxy/config_internal.h"
#include "proxy_config.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define TOP    PROXY_CONFIG_TOP
#define REST   PROXY_CONFIG_REST
#define SERVER "[upstream]\nserver = redis://127.0.0.1:6380\n" /* lines 2 and 3 behind TOP */
#define D(n)   "00000000000000000000000000000000000000000000000000000000000000" n

static void what_is_demanded_is_missed(void **state)
{
    (void)state;
    proxy_config_refused("", 0, "keyring is missing");
    proxy_config_refused("# nothing\n", 0, "keyring is missing");
    proxy_config_refused(REST, 0, "keyring is missing");
    proxy_config_refused(TOP, 0, "[upstream] is missing");
    proxy_config_refused(TOP "[upstream]\nlinks_max = 1\n[tenant a]\n", 2,
                         "[upstream] server is missing");
    proxy_config_refused(TOP SERVER, 0, "[listen] is missing");
    proxy_config_refused(TOP SERVER "[listen]\ntenant = a\n[tenant a]\n", 4,
                         "[listen] address is missing");
    proxy_config_refused(TOP SERVER "[listen]\naddress = [::1]:1\ntenant = a\n", 0,
                         "[tenant ID] is missing");
    proxy_config_refused(TOP REST "[admin]\n", 8, "[admin] address is missing");
}

static void the_quarantine_is_apart_from_sealed_values(void **state)
{
    (void)state;
    static const char *const bad[] = { "a", "a1", "a1:", "a1:q" };
    char text[400];
    for (size_t i = 0; i < COUNT(bad); i++) {
        (void)snprintf(text, sizeof text, TOP "quarantine_prefix = %s\n" REST, bad[i]);
        proxy_config_refused(text, 2, "names of sealed values begin with a1:");
    }
    arili_config_free(proxy_config_parse(TOP "quarantine_prefix = a2:\n" REST));
}

static void one_command_fits_into_memory(void **state)
{
    (void)state;
    proxy_config_refused(TOP "[limits]\nmemory_max = 100 MiB\n" REST, 2,
                         "memory_max is below max_verified_value");
    proxy_config_refused(TOP "[limits]\nmemory_max = 16 MiB\nmax_verified_value = 16 MiB\n" REST, 2,
                         "memory_max is below command_bytes_max");
    arili_config_free(proxy_config_parse(TOP "[limits]\nmemory_max = 128 MiB\n" REST));
}

static void no_sealed_value_is_longer_than_its_format_allows(void **state)
{
    (void)state;
    static const char fits[] = TOP "[limits]\nmax_verified_value = 320 MiB\n" REST;
    proxy_config_refused(TOP "[limits]\nmax_verified_value = 335544321\n" REST, 3, "to 320 MiB");
    arili_config_free(proxy_config_parse(fits));
}

static void the_admin_listener_is_for_this_machine(void **state)
{
    (void)state;
    static const char *const bad[] = { "0.0.0.0:9121", "[::]:9121", "10.0.0.1:9121", "host:1" };
    static const char *const good[] = { "127.0.0.1:9121", "[::1]:9121", "localhost:1", "unix:a" };
    char text[400];
    for (size_t i = 0; i < COUNT(bad); i++) {
        (void)snprintf(text, sizeof text, TOP "[admin]\naddress = %s\n" REST, bad[i]);
        proxy_config_refused(text, 3, "only 127.0.0.0/8, [::1] or a UNIX socket");
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        (void)snprintf(text, sizeof text, TOP "[admin]\naddress = %s\n" REST, good[i]);
        arili_config_free(proxy_config_parse(text));
    }
}

static void tls_to_the_server_is_whole(void **state)
{
    (void)state;
    static const char *const keys[] = { "tls_ca", "tls_cert", "tls_key" };
    char text[400];
    for (size_t i = 0; i < COUNT(keys); i++) {
        (void)snprintf(text, sizeof text, TOP SERVER "%s = x\n", keys[i]);
        proxy_config_refused(text, 4, "there is no TLS here; write rediss:");
    }
    proxy_config_refused(TOP "[upstream]\nserver = rediss://a\ntls_cert = x\n[tenant a]\n", 2,
                         "tls_key is missing");
    proxy_config_refused(TOP "[upstream]\nserver = rediss://a\ntls_key = x\n[tenant a]\n", 2,
                         "tls_cert is missing");
    proxy_config_refused(TOP "[upstream]\nserver = redis://a\nuser = x\n[tenant a]\n", 2,
                         "user needs password_file");
    proxy_config_refused(TOP "[upstream]\nserver = redis://x@a\n", 2, "user needs password_file");
}

struct listen_case {
    const char *lines;
    unsigned line; /* of what is wrong; the first of lines is 5 */
    const char *part;
};

static void listeners_are_whole(void **state)
{
    (void)state;
    static const struct listen_case cases[] = {
        { "address = [::1]:1\ntls_cert = x\ntenant = a", 6, "write tls:// before the address" },
        { "address = [::1]:1\ntls_key = x\ntenant = a", 6, "write tls:// before the address" },
        { "address = [::1]:1\ntenant = a\ntls_client_ca = x", 7, "write tls:// before the addr" },
        { "address = tls://[::1]:1\ntenant = a\ntls_key = k", 4, "tls:// needs tls_cert" },
        { "address = tls://[::1]:1\ntenant = a\ntls_cert = c", 4, "tls:// needs tls_key" },
        { "address = tls://[::1]:1\ntls_cert = c\ntls_key = k\ntls_client_ca = x\ntenant = a", 8,
          "add certificate to auth" },
        { "address = tls://[::1]:1\ntls_cert = c\ntls_key = k\nauth = certificate", 8,
          "auth = certificate needs tls_client_ca" },
        { "address = [::1]:1\nauth = certificate", 6, "and tls:// before the address" },
        { "address = [::1]:1\nauth = peer", 6, "write unix:PATH as the address" },
        { "address = [::1]:1\nsocket_mode = 0600\ntenant = a", 6, "the address is no UNIX socket" },
        { "address = [::1]:1\nannounce = 0.0.0.0:1\ntenant = a", 6,
          "nobody can connect to 0.0.0.0" },
        { "address = [::1]:1\nannounce = [::]:1\ntenant = a", 6, "nobody can connect to ::" },
        { "address = [::1]:1\nannounce = unix:s\ntenant = a", 6, "come by HOST:PORT alone" },
        { "address = unix:s\nannounce = h:1\ntenant = a", 6, "come by HOST:PORT alone" },
        { "address = [::1]:1\nannounce = h\ntenant = a", 6, "HOST:PORT" },
        { "address = [::1]:1\nauth = password\ntenant = a", 6, "leave one of them out" },
        { "address = [::1]:1\ntenant = a\nauth = peer", 7, "leave one of them out" },
        { "address = [::1]:1\nauth = password", 6, "needs credentials = FILE" },
        { "address = [::1]:1", 4, "needs credentials = FILE" },
        { "address = unix:s\nauth = peer, password", 6, "needs credentials = FILE" },
        { "address = [::1]:1\ntenant = b", 4, "there is no section [tenant b]" },
    };
    char text[600];
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(text, sizeof text, TOP SERVER "[listen]\n%s\n[tenant a]\n", cases[i].lines);
        proxy_config_refused(text, cases[i].line, cases[i].part);
    }
    /* The last section of all is looked at, too. */
    proxy_config_refused(TOP SERVER "[tenant a]\n[listen]\naddress = [::1]:1\nauth = peer\n", 7,
                         "write unix:PATH as the address");
}

static void auth_is_password_unless_said_otherwise(void **state)
{
    (void)state;
    struct arili_proxy_config *const c = proxy_config_parse(
        TOP "credentials = p\n" SERVER "[listen]\naddress = [::1]:1\n[tenant a]\n");
    assert_int_equal(c->listeners[0].auth, ARILI_AUTH_PASSWORD);
    arili_config_free(c);
}

static void addresses_are_there_once(void **state)
{
    (void)state;
    proxy_config_refused(TOP REST "[listen]\naddress = 127.0.0.1:6379\ntenant = a\n", 8,
                         "[listen] address 127.0.0.1:6379 is that of line 4");
    proxy_config_refused(TOP REST "[admin]\naddress = 127.0.0.1:6379\n", 4,
                         "that of [admin], line 8");
}

static void nobody_is_two_tenants(void **state)
{
    (void)state;
    proxy_config_refused(TOP REST "[tenant b]\n[tenant a]\n", 9,
                         "[tenant a] id a: [tenant] of line 7 has it already");
    proxy_config_refused(TOP REST "uids = 5\n[tenant b]\nuids = 4,5\n", 9,
                         "[tenant b] user id 5: [tenant] of line 7 has it already");
    proxy_config_refused(TOP REST "uids = 7,7\n", 7, "user id 7");
    proxy_config_refused(TOP REST "certificates = " D("ab") "\n[tenant b]\ncertificates = " D(
                             "01") ", " D("AB") "\n",
                         9, "certificate " D("ab"));
    arili_config_free(proxy_config_parse(TOP REST "uids = 1\ncertificates = " D(
        "01") "\n[tenant b]\n"
              "uids = 2\ncertificates = " D("02") "\n[tenant B]\n"));
}

static void policies_can_be_reached(void **state)
{
    (void)state;
    proxy_config_refused(TOP REST "[policy x]\n[policy y]\n[policy x]\nvalues = deny\n", 10,
                         "[policy x] is never reached: [policy x] in line 8 has its keys");
    proxy_config_refused(TOP REST "[policy *]\n[policy x]\n", 9, "[policy *] in line 8");
    proxy_config_refused(TOP REST "[policy **]\n[policy x]\ntenant = a\n", 9,
                         "[policy **] in line 8");
    proxy_config_refused(TOP REST "[policy x]\n[policy x]\ntenant = a\n", 9, "never reached");
    proxy_config_refused(TOP REST "[policy *]\ntenant = a\n[policy x]\ntenant = a\n", 10,
                         "never reached");
    proxy_config_refused(TOP REST "[policy x]\ntenant = b\n", 8, "no section [tenant b]");
    proxy_config_refused(TOP REST "[policy x]\nvalues = pass\non_tamper = error\n", 10,
                         "on_tamper is about sealed values; leave it out, or values = pass");
    proxy_config_refused(TOP REST "[policy x]\nstreaming = yes\nvalues = deny\n", 9,
                         "streaming is about sealed values; leave it out, or values = deny");
    struct arili_proxy_config *const c = proxy_config_parse(
        TOP REST "[policy x]\ntenant = a\n[policy x]\n[policy *]\ntenant = a\n[policy y]\n");
    assert_int_equal(c->policy_count, 5); /* the one of tenant a is not for all */
    assert_string_equal(c->policies[4].pattern, "*");
    assert_null(c->policies[4].tenant);
    arili_config_free(c);
}

/* --- What a reload may change */

static const char running[] =
    "keyring = k\nkeystore = file:x\nunlock_credential = u\ncredentials = p\nnamespace = n\n"
    "user = u\ngroup = g\nthreads = 1\nworkers = 1\ndatabases = 1\nlog_level = error\n"
    "[limits]\nmemory_max = 1 GiB\nclients_max = 1\n[timeouts]\nidle = 1 s\n"
    "[admin]\naddress = [::1]:9\n"
    "[upstream]\nserver = rediss+cluster://a:1,b:1\npassword_file = q\ntls_ca = ca0\n"
    "tls_cert = cert0\ntls_key = key0\nlinks_max = 1\n"
    "[listen]\naddress = tls://[::1]:1\ntls_cert = cert1\ntls_key = key1\ntls_client_ca = ca1\n"
    "auth = certificate\n[listen]\naddress = unix:s\nsocket_mode = 0600\ntenant = a\n"
    "[tenant a]\n[tenant b]\n[policy *]\nvalues = seal\n";

/* running with the first "from" replaced. */
static struct arili_proxy_config *changed(const char *from, const char *to)
{
    char text[2 * sizeof running];
    const char *const at = strstr(running, from);
    assert_non_null(at);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - running), running, to,
                   at + strlen(from));
    return proxy_config_parse(text);
}

static void what_cannot_change_while_running_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *name;
    } cases[] = {
        { "keyring = k", "keyring = l", "keyring" },
        { "file:x", "file:y", "keystore" },
        { "keystore = file:x\n", "", "keystore" },
        { "credential = u", "credential = v", "unlock_credential" },
        { "namespace = n", "namespace = m", "namespace" },
        { "user = u", "user = v", "user" },
        { "group = g\n", "", "group" },
        { "threads = 1", "threads = 2", "threads" },
        { "workers = 1", "workers = 2", "workers" },
        { "databases = 1", "databases = 2", "databases" },
        { "memory_max = 1 GiB", "memory_max = 2 GiB", "[limits] memory_max" },
        { "[admin]\naddress = [::1]:9\n", "", "[admin]" },
        { "[::1]:9", "[::1]:8", "[admin] address" },
        { "a:1,b:1", "a:1,c:1", "[upstream] server" },
        { "a:1,b:1", "a:1", "[upstream] server" },
        { "+cluster://a:1,b:1", "://a:1", "[upstream] server" },
        { "ca0", "x", "[upstream] tls_ca" },
        { "cert0", "x", "[upstream] tls_cert" },
        { "key0", "x", "[upstream] tls_key" },
        { "[::1]:1", "[::1]:2", "[listen] address" },
        { "cert1", "x", "[listen] tls_cert" },
        { "key1", "x", "[listen] tls_key" },
        { "ca1", "x", "[listen] tls_client_ca" },
        { "auth = certificate", "auth = certificate, password", "[listen] auth" },
        { "0600", "0660", "[listen] socket_mode" },
        { "tenant = a", "tenant = b", "[listen] tenant" },
        { "[listen]\naddress = unix:s\nsocket_mode = 0600\ntenant = a\n", "", "[listen]" },
    };
    bool named[ARILI_CONFIG_KEYS_MAX] = { false };
    struct arili_proxy_config *const a = proxy_config_parse(running);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arili_proxy_config *const b = changed(cases[i].from, cases[i].to);
        const char *const there = arili_config_fixed_difference(a, b);
        const char *const back = arili_config_fixed_difference(b, a);
        if (there == NULL || strcmp(there, cases[i].name) != 0 || there != back) {
            fail_msg("%s to %s: %s", cases[i].from, cases[i].to, there == NULL ? "-" : there);
        }
        for (size_t k = 0; k < arili_config_key_count; k++) {
            named[k] = named[k] || strcmp(arili_config_keys[k].label, there) == 0;
        }
        arili_config_free(b);
    }
    for (size_t k = 0; k < arili_config_key_count; k++) { /* no row is forgotten */
        assert_int_equal(named[k], (arili_config_keys[k].flags & ARILI_KEY_FIXED) != 0);
    }
    arili_config_free(a);
}

static void the_rest_may_change(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "log_level = error", "log_level = debug" },
        { "credentials = p", "credentials = o\nquarantine_prefix = z" },
        { "clients_max = 1", "clients_max = 2" },
        { "idle = 1 s", "idle = 2 s" },
        { "links_max = 1", "links_max = 2" },
        { "password_file = q", "password_file = r\nuser = v" },
        { "[tenant b]\n", "[tenant c]\nclients_max = 1\n" },
        { "values = seal", "values = pass" },
    };
    struct arili_proxy_config *const a = proxy_config_parse(running);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arili_proxy_config *const b = changed(cases[i][0], cases[i][1]);
        const char *const found = arili_config_fixed_difference(a, b);
        if (found != NULL) {
            fail_msg("%s: %s", cases[i][1], found);
        }
        arili_config_free(b);
    }
    struct arili_proxy_config *empty = NULL;
    assert_status(arili_config_new(&empty), ARIL_OK);
    assert_null(arili_config_fixed_difference(empty, empty));
    assert_string_equal(arili_config_fixed_difference(a, empty), "keyring");
    arili_config_free(empty);
    arili_config_free(a);
}

/* --- The examples */

static void every_example_is_one(void **state)
{
    (void)state;
    DIR *const dir = opendir(ARIL_SOURCE_DIR "/examples/arild");
    const struct dirent *entry;
    unsigned found = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        const size_t len = strlen(entry->d_name);
        if (len < 5 || strcmp(entry->d_name + len - 5, ".conf") != 0) {
            continue;
        }
        char path[600];
        aril_error error = { ARIL_OK, "" };
        struct arili_proxy_config *c = NULL;
        (void)snprintf(path, sizeof path, ARIL_SOURCE_DIR "/examples/arild/%s", entry->d_name);
        /* As a text: others may be allowed to write to the files of a checkout. */
        struct arili_file file = { 0 };
        if (arili_file_read(path, ARILI_CONFIG_BYTES_MAX, 0, &file, &error) != ARIL_OK ||
            arili_config_parse(path, (aril_bytes){ file.data, file.len }, &c, &error) != ARIL_OK) {
            fail_msg("%s", error.message);
        }
        arili_file_done(&file);
        assert_true(c->tenant_count > 0 && c->listener_count > 0 && c->admin);
        arili_config_free(c);
        found++;
    }
    assert_int_equal(closedir(dir), 0);
    assert_int_equal(found, 3); /* single, cluster, fleet */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_demanded_is_missed),
        cmocka_unit_test(the_quarantine_is_apart_from_sealed_values),
        cmocka_unit_test(one_command_fits_into_memory),
        cmocka_unit_test(no_sealed_value_is_longer_than_its_format_allows),
        cmocka_unit_test(the_admin_listener_is_for_this_machine),
        cmocka_unit_test(tls_to_the_server_is_whole),
        cmocka_unit_test(listeners_are_whole),
        cmocka_unit_test(auth_is_password_unless_said_otherwise),
        cmocka_unit_test(addresses_are_there_once),
        cmocka_unit_test(nobody_is_two_tenants),
        cmocka_unit_test(policies_can_be_reached),
        cmocka_unit_test(what_cannot_change_while_running_is_named),
        cmocka_unit_test(the_rest_may_change),
        cmocka_unit_test(every_example_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
