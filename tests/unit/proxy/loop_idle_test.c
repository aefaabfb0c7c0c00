/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"
#include "proxy_sealed.h"
#include "temp_folder.h"

/* What a client costs that says nothing: there may be 10,000 of them. */

#define CLIENTS 50u

static struct proxy_peers p;

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_peers_config());
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

/* A command that came in two pieces, a value, and an answer of our own. */
static void use(struct proxy_peer *c, const struct sealed *v)
{
    proxy_say(c, TEXT("*2\r\n$3\r\nGET\r\n$1"));
    proxy_say(c, TEXT("\r\nk\r\nPING\r\n"));
    sealed_say(&p.links[0], v);
    proxy_heard_is(c, "$13\r\nthe plaintext\r\n+PONG\r\n");
}

static void a_client_that_has_its_answers_keeps_no_block_of_them(void **state)
{
    (void)state;
    struct sealed v;
    uint64_t used = 0;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    for (unsigned i = 0; i < CLIENTS; i++) {
        use(proxy_accept(&p), &v);
        if (i == 0) {
            used = atomic_load(&p.proxy->budget.used);
        }
    }
    /* Arguments and spill count with the memory of all: what is kept of them is for the next
     * command. */
    assert_in_range(atomic_load(&p.proxy->budget.used) - used, 0, (CLIENTS - 1) * 1024);
    assert_int_equal(p.link_count, 1);
}

/* 10,000 take 40 MB at most. */
static void a_client_has_few_bytes_of_its_own(void **state)
{
    (void)state;
    assert_true(sizeof(struct arili_client) <= 3072);
    struct proxy_peer *peer = proxy_accept(&p);
    proxy_say(peer, TEXT("*2\r\n$4\r\nPING\r\n$1"));
    proxy_say(peer, TEXT("\r\nk\r\n"));
    proxy_heard_is(peer, "$1\r\nk\r\n");
    const struct arili_client *c = (const struct arili_client *)peer->peer;
    assert_true(c->arg_cap * sizeof *c->args + c->spill_cap <= 1024);
    assert_null(c->peer.held);
    assert_int_equal(c->link_count, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_client_that_has_its_answers_keeps_no_block_of_them),
        T(a_client_has_few_bytes_of_its_own),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
