/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "provider.h"
#include "vectors.h"
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "sha3/CAVP_SHA3_256ShortMsg.txt"

static void nist_short_messages_of_sha3_256(void **state)
{
    const struct arili_crypto *const c = provider();
    struct vectors v;
    unsigned ran = 0;

    (void)state;
    vectors_open(&v, FILE_NAME);
    const char *cursor = v.text;
    const char *len_line;
    while ((len_line = strstr(cursor, "Len = ")) != NULL) {
        const size_t bits = strtoul(len_line + strlen("Len = "), NULL, 10);
        uint8_t digest[32];
        aril_bytes msg;
        aril_bytes md;
        cursor = len_line;
        assert_true(vectors_line_hex(&v, &cursor, "Msg", &msg));
        assert_true(vectors_line_hex(&v, &cursor, "MD", &md));
        assert_int_equal(bits % 8, 0);
        assert_true(bits / 8 <= msg.len);
        msg.len = bits / 8; /* the empty message is written as one zero byte */
        assert_status(c->ops->hash(c->provider, ARILI_SHA3_256, &msg, 1, digest), ARIL_OK);
        assert_int_equal(md.len, sizeof digest);
        assert_memory_equal(digest, md.data, sizeof digest);
        ran++;
    }
    vectors_report(FILE_NAME, ran, 0, NULL);
    vectors_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nist_short_messages_of_sha3_256),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
