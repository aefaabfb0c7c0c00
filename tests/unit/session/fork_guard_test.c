/* SPDX-License-Identifier: Apache-2.0 */
/* On a host whose kernel cannot wipe pages on fork, the process id tells the child. */
#include "child.h"
#include "deny.h"
#include "fixture.h"
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int child_of_a_process_without_wiping(void *arg)
{
    (void)arg;
    /* Every madvise(2) fails, MADV_WIPEONFORK with the others. */
    if (!deny_syscall(SYS_madvise, DENY_ANY, EINVAL)) {
        return 77;
    }
    struct world w;
    world_init(&w);
    aril_runtime_info info;
    if (aril_runtime_get_info(w.rt, &info) != ARIL_OK || info.wipes_on_fork) {
        return 2;
    }
    struct pair p;
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("alice"), NULL);
    const aril_kv_config config = view_config();
    aril_kv *kv = view_new(p.server, &config);
    struct room r;
    const aril_kv_block block = chain_block(1);
    room_init(&r, 64, 1, &block);
    room_seal(&r, kv);
    const pid_t pid = fork();
    int result = 4;
    if (pid == 0) {
        aril_kv_item item = room_sealing(&r);
        const bool refused =
            aril_kv_seal(kv, &item) == ARIL_E_FORKED && room_open(&r, kv) == ARIL_E_FORKED;
        result = refused ? 0 : 3;
    } else if (pid > 0) {
        int status = 0;
        const bool ended = waitpid(pid, &status, 0) == pid && WIFEXITED(status);
        result = ended ? WEXITSTATUS(status) : 4;
    }
    room_done(&r);
    aril_kv_free(kv);
    pair_done(&p);
    world_done(&w);
    if (pid == 0) {
        _exit(result);
    }
    return result;
}

static void a_child_is_told_by_its_process_id_where_pages_stay(void **state)
{
    (void)state;
    const int got = child_run(child_of_a_process_without_wiping, NULL);
    if (got == 77) {
        print_message("skipped: this host allows no system call filter\n");
        skip();
    }
    assert_int_equal(got, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_is_told_by_its_process_id_where_pages_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
