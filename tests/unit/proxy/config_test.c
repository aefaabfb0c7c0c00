/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration says once it is read: defaults, values, look-ups, comparison, files. */
#include "base/bytes.h"
#include "check.h"
#include "proxy_config.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static aril_bytes bytes_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static void assert_default_policy(const struct arili_policy_config *policy)
{
    assert_string_equal(policy->pattern, "*");
    assert_null(policy->tenant);
    assert_int_equal(policy->values, ARILI_VALUES_SEAL);
    assert_int_equal(policy->on_tamper, ARILI_TAMPER_NIL);
    assert_int_equal(policy->ttl_max_s, 31536000);
    assert_false(policy->streaming);
}

static void assert_defaults(const struct arili_proxy_config *c)
{
    assert_null(c->keystore);
    assert_null(c->unlock_credential);
    assert_null(c->credentials);
    assert_null(c->user);
    assert_null(c->group);
    assert_string_equal(c->space, "redis");
    assert_string_equal(c->quarantine, "aq1:");
    assert_int_equal(c->threads, 0);
    assert_int_equal(c->workers, 2);
    assert_int_equal(c->databases, 16);
    assert_int_equal(c->clients_max, 10000);
    assert_int_equal(c->pipeline_max, 1024);
    assert_int_equal(c->args_max, 1048576);
    assert_int_equal(c->arg_bytes_max, 512u << 20);
    assert_int_equal(c->command_bytes_max, 64u << 20);
    assert_int_equal(c->max_verified_value, 128u << 20);
    assert_int_equal(c->memory_max, 1u << 30);
    assert_int_equal(c->client_out_max, 1u << 20);
    assert_int_equal(c->idle_s, 0);
    assert_int_equal(c->command_ms, 30000);
    assert_int_equal(c->write_ms, 60000);
    assert_int_equal(c->login_ms, 10000);
    assert_int_equal(c->drain_ms, 10000);
    assert_int_equal(c->log_level, 2);
    assert_false(c->admin);
    assert_int_equal(c->upstream.links_max, 64);
    assert_int_equal(c->upstream.connect_ms, 2000);
    assert_int_equal(c->upstream.answer_ms, 10000);
    assert_int_equal(c->policy_count, 1);
    assert_default_policy(&c->policies[0]);
}

static void a_new_one_has_the_defaults(void **state)
{
    (void)state;
    struct arili_proxy_config *c = NULL;
    assert_status(arili_config_new(&c), ARIL_OK);
    assert_defaults(c);
    assert_string_equal(c->path, "(built in)");
    assert_null(c->keyring);
    assert_int_equal(c->listener_count, 0);
    assert_int_equal(c->tenant_count, 0);
    assert_int_equal(c->upstream.seed_count, 0);
    arili_config_free(c);
    arili_config_free(NULL);
}

static void the_least_has_the_defaults_too(void **state)
{
    (void)state;
    struct arili_proxy_config *const c = proxy_config_parse(PROXY_CONFIG_TOP PROXY_CONFIG_REST);
    assert_defaults(c);
    assert_string_equal(c->keyring, "/var/lib/aril/keyring");
    assert_int_equal(c->listener_count, 1);
    assert_string_equal(c->listeners[0].address.host, "127.0.0.1");
    assert_int_equal(c->listeners[0].mode, 0600);
    assert_false(c->listeners[0].tls);
    assert_int_equal(c->listeners[0].auth, 0);
    assert_string_equal(c->listeners[0].tenant, "a");
    assert_string_equal(c->tenants[0].id, "a");
    assert_int_equal(c->tenants[0].clients_max, 0);
    assert_int_equal(c->tenants[0].name_bytes_max, 512);
    assert_int_equal(c->upstream.seed_count, 1);
    assert_int_equal(c->upstream.seeds[0].port, 6380);
    arili_config_free(c);
}

static const char everything[] =
    "keyring = keys/ring.db\n"
    "keystore = credential:ring.key\n"
    "unlock_credential = pin\n"
    "credentials = ../passwords\n"
    "namespace = \"my space\"\n"
    "user = aril\ngroup = _aril\n"
    "quarantine_prefix = 'q:'\n"
    "threads = 4\nworkers = 3\ndatabases = 1\nlog_level = debug\n"
    "[limits]\n"
    "clients_max = 5\npipeline_max = 6\nargs_max = 100\narg_bytes_max = 1 MiB\n"
    "command_bytes_max = 2 MiB\nmax_verified_value = 3 MiB\nmemory_max = 32 MiB\n"
    "client_out_max = 64 KiB\n"
    "[timeouts]\n"
    "idle = 1 h\ncommand = 1500 ms\nwrite = 2 s\nlogin = 3 s\ndrain = 4 s\n"
    "[admin]\naddress = unix:admin.sock\n"
    "[upstream]\n"
    "server = rediss+cluster://me@one:1,two,[::3]:3?password-file=up.pass\n"
    "tls_ca = ca.pem\ntls_cert = up.pem\ntls_key = up.key\n"
    "links_max = 7\nconnect_timeout = 50 ms\nanswer_timeout = 8 s\n"
    "[listen]\n"
    "address = tls://[::]:6390\nannounce = proxy.example:7000\n"
    "tls_cert = /abs/cert.pem\ntls_key = key.pem\ntls_client_ca = clients.pem\n"
    "auth = certificate, password\n"
    "[listen]\n"
    "address = unix:arild.sock\nsocket_mode = 0660\nauth = peer\n"
    "[tenant a]\n"
    "uids = 1000, 0\nuids = 1001\nclients_max = 9\nname_max = 100 B\n"
    "certificates = "
    "AB00000000000000000000000000000000000000000000000000000000000001,"
    "ab00000000000000000000000000000000000000000000000000000000000002\n"
    "[tenant 'b c']\n"
    "certificates = cd00000000000000000000000000000000000000000000000000000000000001\n"
    "[policy counter:*]\ntenant = a\nvalues = pass\nttl_max = 30 d\n"
    "[policy \"secret [ab] *\"]\nvalues = deny\n"
    "[policy *]\non_tamper = quarantine\nstreaming = yes\n";

static void every_key_reaches_its_place(void **state)
{
    (void)state;
    struct arili_proxy_config *const c = proxy_config_parse(everything);
    assert_string_equal(c->keyring, "/etc/aril/keys/ring.db");
    assert_string_equal(c->keystore, "credential:/etc/aril/ring.key");
    assert_string_equal(c->unlock_credential, "pin");
    assert_string_equal(c->credentials, "/etc/aril/../passwords");
    assert_string_equal(c->space, "my space");
    assert_string_equal(c->user, "aril");
    assert_string_equal(c->group, "_aril");
    assert_string_equal(c->quarantine, "q:");
    assert_int_equal(c->threads, 4);
    assert_int_equal(c->workers, 3);
    assert_int_equal(c->databases, 1);
    assert_int_equal(c->log_level, 3);
    assert_int_equal(c->clients_max, 5);
    assert_int_equal(c->pipeline_max, 6);
    assert_int_equal(c->args_max, 100);
    assert_int_equal(c->arg_bytes_max, 1u << 20);
    assert_int_equal(c->command_bytes_max, 2u << 20);
    assert_int_equal(c->max_verified_value, 3u << 20);
    assert_int_equal(c->memory_max, 32u << 20);
    assert_int_equal(c->client_out_max, 64u << 10);
    assert_int_equal(c->idle_s, 3600);
    assert_int_equal(c->command_ms, 1500);
    assert_int_equal(c->write_ms, 2000);
    assert_int_equal(c->login_ms, 3000);
    assert_int_equal(c->drain_ms, 4000);
    assert_true(c->admin && c->admin_address.is_unix);
    assert_string_equal(c->admin_address.host, "/etc/aril/admin.sock");
    arili_config_free(c);
}

static void every_key_of_the_upstream_reaches_its_place(void **state)
{
    (void)state;
    struct arili_proxy_config *const c = proxy_config_parse(everything);
    const struct arili_upstream_config *const up = &c->upstream;
    assert_true(up->cluster && up->tls);
    assert_int_equal(up->seed_count, 3);
    assert_string_equal(up->seeds[0].host, "one");
    assert_int_equal(up->seeds[0].port, 1);
    assert_string_equal(up->seeds[1].host, "two");
    assert_int_equal(up->seeds[1].port, 6379);
    assert_string_equal(up->seeds[2].host, "::3");
    assert_string_equal(up->user, "me");
    assert_string_equal(up->password_file, "/etc/aril/up.pass");
    assert_string_equal(up->tls_ca, "/etc/aril/ca.pem");
    assert_string_equal(up->tls_cert, "/etc/aril/up.pem");
    assert_string_equal(up->tls_key, "/etc/aril/up.key");
    assert_int_equal(up->links_max, 7);
    assert_int_equal(up->connect_ms, 50);
    assert_int_equal(up->answer_ms, 8000);
    arili_config_free(c);
}

static void every_key_of_repeated_sections_reaches_its_place(void **state)
{
    (void)state;
    struct arili_proxy_config *const c = proxy_config_parse(everything);
    assert_int_equal(c->listener_count, 2);
    const struct arili_listen_config *l = &c->listeners[0];
    assert_string_equal(l->announce.host, "proxy.example");
    assert_int_equal(l->announce.port, 7000);
    assert_string_equal(c->listeners[1].announce.host, "");
    assert_true(l->tls && !l->address.is_unix);
    assert_string_equal(l->address.host, "::");
    assert_string_equal(l->tls_cert, "/abs/cert.pem");
    assert_string_equal(l->tls_key, "/etc/aril/key.pem");
    assert_string_equal(l->tls_client_ca, "/etc/aril/clients.pem");
    assert_int_equal(l->auth, ARILI_AUTH_PASSWORD | ARILI_AUTH_CERTIFICATE);
    assert_null(l->tenant);
    l = &c->listeners[1];
    assert_true(!l->tls && l->address.is_unix);
    assert_string_equal(l->address.host, "/etc/aril/arild.sock");
    assert_int_equal(l->mode, 0660);
    assert_int_equal(l->auth, ARILI_AUTH_PEER);
    assert_int_equal(c->tenant_count, 2);
    assert_int_equal(c->tenants[0].uid_count, 3);
    assert_int_equal(c->tenants[0].uids[0], 1000);
    assert_int_equal(c->tenants[0].uids[1], 0);
    assert_int_equal(c->tenants[0].uids[2], 1001);
    assert_int_equal(c->tenants[0].certificate_count, 2);
    assert_memory_equal(c->tenants[0].certificates[0], "ab0", 3);
    assert_int_equal(c->tenants[0].clients_max, 9);
    assert_int_equal(c->tenants[0].name_bytes_max, 100);
    assert_string_equal(c->tenants[1].id, "b c");
    assert_int_equal(c->policy_count, 3); /* "*" is there: none is added */
    assert_string_equal(c->policies[0].tenant, "a");
    assert_int_equal(c->policies[0].values, ARILI_VALUES_PASS);
    assert_int_equal(c->policies[0].ttl_max_s, 30 * 86400);
    assert_string_equal(c->policies[1].pattern, "secret [ab] *");
    assert_int_equal(c->policies[1].values, ARILI_VALUES_DENY);
    assert_int_equal(c->policies[2].on_tamper, ARILI_TAMPER_QUARANTINE);
    assert_true(c->policies[2].streaming);
    arili_config_free(c);
}

static void a_unix_server_is_one_too(void **state)
{
    (void)state;
    struct arili_proxy_config *const c =
        proxy_config_parse("keyring = k\n[upstream]\nserver = redis+unix:redis.sock\n"
                           "user = me\npassword_file = /p\n"
                           "[listen]\naddress = localhost:1\ntenant = a\n[tenant a]\n");
    assert_true(c->upstream.seeds[0].is_unix && !c->upstream.tls && !c->upstream.cluster);
    assert_string_equal(c->upstream.seeds[0].host, "/etc/aril/redis.sock");
    assert_string_equal(c->upstream.user, "me");
    assert_string_equal(c->upstream.password_file, "/p");
    arili_config_free(c);
}

static void the_first_policy_that_matches_counts(void **state)
{
    (void)state;
    struct arili_proxy_config *const c = proxy_config_parse(
        PROXY_CONFIG_TOP PROXY_CONFIG_REST "[policy s:*]\ntenant = a\nvalues = pass\n"
                                           "[policy s:x]\nvalues = deny\n"
                                           "[policy ?:*]\non_tamper = error\n");
    assert_int_equal(c->policy_count, 4);
    const struct arili_policy_config *const p = c->policies;
    assert_ptr_equal(arili_config_policy(c, bytes_of("a"), bytes_of("s:x")), &p[0]);
    assert_ptr_equal(arili_config_policy(c, bytes_of("b"), bytes_of("s:x")), &p[1]);
    assert_ptr_equal(arili_config_policy(c, bytes_of("aa"), bytes_of("s:x")), &p[1]);
    assert_ptr_equal(arili_config_policy(c, bytes_of("b"), bytes_of("s:y")), &p[2]);
    assert_ptr_equal(arili_config_policy(c, bytes_of("a"), bytes_of("other")), &p[3]);
    assert_ptr_equal(arili_config_policy(c, bytes_of("a"), (aril_bytes){ NULL, 0 }), &p[3]);
    assert_default_policy(&p[3]);
    arili_config_free(c);
}

static void tenants_are_found(void **state)
{
    (void)state;
    struct arili_proxy_config *const c = proxy_config_parse(everything);
    uint8_t digest[32] = { 0xab };
    digest[31] = 2;
    assert_ptr_equal(arili_config_tenant(c, bytes_of("b c")), &c->tenants[1]);
    assert_null(arili_config_tenant(c, bytes_of("b")));
    assert_null(arili_config_tenant(c, (aril_bytes){ NULL, 0 }));
    assert_ptr_equal(arili_config_tenant_by_uid(c, 0), &c->tenants[0]);
    assert_ptr_equal(arili_config_tenant_by_uid(c, 1001), &c->tenants[0]);
    assert_null(arili_config_tenant_by_uid(c, 1002));
    const aril_bytes whole = { digest, 32 };
    assert_ptr_equal(arili_config_tenant_by_certificate(c, whole), &c->tenants[0]);
    assert_null(arili_config_tenant_by_certificate(c, (aril_bytes){ digest, 31 }));
    assert_null(arili_config_tenant_by_certificate(c, (aril_bytes){ NULL, 0 }));
    digest[31] = 3;
    assert_null(arili_config_tenant_by_certificate(c, whole));
    digest[31] = 1;
    digest[0] = 0xcd;
    assert_ptr_equal(arili_config_tenant_by_certificate(c, whole), &c->tenants[1]);
    arili_config_free(c);
}

/* --- Files */

static char folder[64];

static void in_folder(const char *name, char ret[static 128])
{
    (void)snprintf(ret, 128, "%s/%s", folder, name);
}

static void put_file(const char *path, const char *text, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void a_file_is_read_also_through_a_link(void **state)
{
    (void)state;
    char path[128];
    char link_path[128];
    aril_error error = { ARIL_OK, "" };
    struct arili_proxy_config *c = NULL;
    in_folder("arild.conf", path);
    in_folder("link.conf", link_path);
    put_file(path, "keyring = ring\n" PROXY_CONFIG_REST, 0644);
    assert_int_equal(symlink("arild.conf", link_path), 0);
    const char *const paths[] = { path, link_path };
    for (size_t i = 0; i < COUNT(paths); i++) {
        char keyring[128];
        in_folder("ring", keyring);
        assert_status(arili_config_read(paths[i], &c, &error), ARIL_OK);
        assert_string_equal(c->path, paths[i]);
        assert_string_equal(c->keyring, keyring);
        arili_config_free(c);
    }
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(unlink(path), 0);
}

static void files_that_cannot_be_believed_are_refused(void **state)
{
    (void)state;
    char path[128];
    aril_error error = { ARIL_OK, "" };
    struct arili_proxy_config *c = (struct arili_proxy_config *)path;
    in_folder("arild.conf", path);
    assert_status(arili_config_read(path, &c, &error), ARIL_E_NOT_FOUND);
    assert_null(c);
    assert_non_null(strstr(error.message, path));
    put_file(path, PROXY_CONFIG_TOP PROXY_CONFIG_REST, 0646);
    c = (struct arili_proxy_config *)path;
    assert_status(arili_config_read(path, &c, &error), ARIL_E_IO_PERMISSION);
    assert_null(c);
    put_file(path, "keyring\n", 0600);
    c = (struct arili_proxy_config *)path;
    assert_status(arili_config_read(path, &c, &error), ARIL_E_FORMAT_FIELD);
    assert_null(c);
    assert_int_equal(unlink(path), 0);
    assert_status_class(arili_config_read(folder, &c, &error), ARIL_E_IO);
}

static int folder_new(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/aril-config-test-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_one_has_the_defaults),
        cmocka_unit_test(the_least_has_the_defaults_too),
        cmocka_unit_test(every_key_reaches_its_place),
        cmocka_unit_test(every_key_of_the_upstream_reaches_its_place),
        cmocka_unit_test(every_key_of_repeated_sections_reaches_its_place),
        cmocka_unit_test(a_unix_server_is_one_too),
        cmocka_unit_test(the_first_policy_that_matches_counts),
        cmocka_unit_test(tenants_are_found),
        cmocka_unit_test(a_file_is_read_also_through_a_link),
        cmocka_unit_test(files_that_cannot_be_believed_are_refused),
    };
    return cmocka_run_group_tests(tests, folder_new, folder_remove);
}
