/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of reading a configuration fails once. The address sanitizer sees the leaks. */
#include "check.h"
#include "fault_alloc.h"
#include "proxy/config.h"

static const char text[] =
    "keyring = k\nkeystore = file:x\nunlock_credential = u\ncredentials = p\n"
    "[admin]\naddress = [::1]:9\n"
    "[upstream]\nserver = rediss+cluster://u@a:1,b:1?password-file=q\ntls_ca = ca\n"
    "[listen]\naddress = tls://[::1]:1\ntls_cert = c\ntls_key = k\ntls_client_ca = ca\n"
    "auth = certificate\n[listen]\naddress = unix:s\ntenant = a\n"
    "[tenant a]\nuids = 1, 2\nuids = 3\ncertificates = "
    "0000000000000000000000000000000000000000000000000000000000000001,"
    "0000000000000000000000000000000000000000000000000000000000000002\ncertificates = "
    "0000000000000000000000000000000000000000000000000000000000000003\n"
    "[tenant b]\n[policy x]\ntenant = a\nvalues = pass\n";

static void a_text_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    bool fired = true;
    unsigned allocations = 0;
    for (unsigned nth = 1; fired; nth++) {
        struct arili_proxy_config *c = (struct arili_proxy_config *)&c;
        aril_error error = { ARIL_OK, "" };
        fault_alloc_arm(nth);
        const aril_status st = arili_config_parse(
            "/etc/arild.conf", (aril_bytes){ (const uint8_t *)text, sizeof text - 1 }, &c, &error);
        fault_alloc_disarm();
        fired = fault_alloc_fired();
        assert_status(st, fired ? ARIL_E_NOMEM : ARIL_OK);
        assert_int_equal(c != NULL, !fired);
        assert_status(error.status, st);
        if (fired) {
            assert_string_equal(error.message, "/etc/arild.conf: memory is short");
            allocations++;
        } else {
            assert_int_equal(c->tenants[0].certificate_count, 3);
        }
        arili_config_free(c);
    }
    assert_true(allocations >= 30); /* each string is one */
}

static void defaults_are_whole_or_not_at_all(void **state)
{
    (void)state;
    bool fired = true;
    unsigned allocations = 0;
    for (unsigned nth = 1; fired; nth++) {
        struct arili_proxy_config *c = (struct arili_proxy_config *)&c;
        fault_alloc_arm(nth);
        const aril_status st = arili_config_new(&c);
        fault_alloc_disarm();
        fired = fault_alloc_fired();
        assert_status(st, fired ? ARIL_E_NOMEM : ARIL_OK);
        assert_int_equal(c != NULL, !fired);
        allocations += fired;
        arili_config_free(c);
    }
    assert_int_equal(allocations, 6); /* the struct, policies, namespace, prefix, pattern, path */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_read_whole_or_not_at_all),
        cmocka_unit_test(defaults_are_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
