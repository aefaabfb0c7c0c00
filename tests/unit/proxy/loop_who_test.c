/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"
#include "proxy_config.h"
#include "proxy_peers.h"
#include "temp_folder.h"
#include <string.h>

/* Who a client is by where it comes from: only as its listener says, whatever else is known. */

#define DIGEST "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
enum { BY_USER, BY_CERTIFICATE };

static struct proxy_peers p;

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_config_parse("keyring = keys.aril\n"
                                            "[upstream]\nserver = redis://127.0.0.1:6380\n"
                                            "[listen]\naddress = unix:a.sock\nauth = peer\n"
                                            "[listen]\naddress = tls://127.0.0.1:6390\n"
                                            "tls_cert = c.pem\ntls_key = k.pem\n"
                                            "tls_client_ca = a.pem\nauth = certificate\n"
                                            "[tenant alice]\nuids = 1001\n"
                                            "[tenant bob]\ncertificates = " DIGEST "\n"));
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

/* id NULL: nobody. A client that has both comes in there. */
static void is_at(uint32_t listener, uint32_t uid, size_t digest_len, const char *id)
{
    uint8_t digest[32];
    struct proxy_peer *c = &p.clients[p.client_count++];
    for (size_t i = 0; i < sizeof digest; i++) {
        digest[i] = (uint8_t)i;
    }
    const struct arili_identity identity = { .has_peer_cred = true,
                                             .uid = uid,
                                             .certificate = { digest, digest_len },
                                             .address = "192.0.2.1" };
    c->all = &p;
    assert_status(arili_loop_accept(p.loop, listener, &identity, c, p.now_ns, &c->peer), ARIL_OK);
    const struct arili_tenant *tenant = ((const struct arili_client *)c->peer)->tenant;
    if (id == NULL) {
        assert_null(tenant);
        proxy_say(c, TEXT("GET k\r\n"));
        proxy_heard_begins(c, "-NOAUTH ");
        return;
    }
    assert_non_null(tenant);
    assert_string_equal(tenant->id, id);
}

static void a_user_counts_where_users_are_asked_for(void **state)
{
    (void)state;
    is_at(BY_USER, 1001, 0, "alice");
    is_at(BY_USER, 1002, 0, NULL);
    is_at(BY_CERTIFICATE, 1001, 0, NULL);
}

static void a_certificate_counts_where_certificates_are_asked_for(void **state)
{
    (void)state;
    is_at(BY_CERTIFICATE, 1002, 32, "bob");
    is_at(BY_CERTIFICATE, 1002, 31, NULL);
    is_at(BY_USER, 1002, 32, NULL);
}

static void of_two_the_listener_takes_its_own(void **state)
{
    (void)state;
    is_at(BY_USER, 1001, 32, "alice");
    is_at(BY_CERTIFICATE, 1001, 32, "bob");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_user_counts_where_users_are_asked_for),
        T(a_certificate_counts_where_certificates_are_asked_for),
        T(of_two_the_listener_takes_its_own),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
