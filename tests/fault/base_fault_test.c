/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of src/base fails once. The address sanitizer sees the leaks. */
#include "base/files.h"
#include <aril/executor.h>
#include "base/secure.h"
#include "check.h"
#include "fault_alloc.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_CELLS (64u * 1024 / ARILI_SECURE_CELL_BYTES)

static void a_new_arena_survives_every_failed_allocation(void **state)
{
    (void)state;
    bool fired = true;
    for (unsigned nth = 1; fired; nth++) {
        struct arili_secure *arena = (struct arili_secure *)&arena;
        fault_alloc_arm(nth);
        const aril_status st = arili_secure_new(&arena);
        fault_alloc_disarm();
        fired = fault_alloc_fired();
        assert_status(st, fired ? ARIL_E_NOMEM : ARIL_OK);
        assert_int_equal(arena != NULL, !fired);
        assert_true(fired || nth == 4); /* arena, table, chunk */
        arili_secure_free(arena);
    }
}

static void an_arena_that_could_not_grow_stays_usable(void **state)
{
    (void)state;
    static void *cells[16 * CHUNK_CELLS];
    struct arili_secure *arena = NULL;
    assert_status(arili_secure_new(&arena), ARIL_OK);
    const size_t full = COUNT(cells) - 1; /* the table of chunks is full then, too */
    for (size_t i = 0; i < full; i++) {
        cells[i] = arili_secure_take(arena);
        assert_non_null(cells[i]);
    }
    for (unsigned nth = 1; nth <= 2; nth++) { /* the larger table, the chunk */
        fault_alloc_arm(nth);
        assert_null(arili_secure_take(arena));
        fault_alloc_disarm();
        assert_true(fault_alloc_fired());
    }
    cells[full] = arili_secure_take(arena);
    assert_non_null(cells[full]);
    for (size_t i = 0; i < COUNT(cells); i++) {
        arili_secure_give(arena, cells[i]);
    }
    arili_secure_free(arena);
}

static void a_pool_without_memory_is_none(void **state)
{
    (void)state;
    aril_pool *pool = (aril_pool *)&pool;
    fault_alloc_arm(1);
    assert_status(aril_pool_new(2, &pool), ARIL_E_NOMEM);
    fault_alloc_disarm();
    assert_true(fault_alloc_fired());
    assert_null(pool);
}

static void write_index(void *arg, size_t index)
{
    ((size_t *)arg)[index] = index;
}

static void running_a_batch_allocates_nothing(void **state)
{
    (void)state;
    aril_pool *pool = NULL;
    assert_status(aril_pool_new(3, &pool), ARIL_OK);
    const aril_executor *executor = aril_pool_executor(pool);
    size_t out[100] = { 0 };
    fault_alloc_arm(1);
    executor->run(executor->state, write_index, out, COUNT(out));
    fault_alloc_disarm();
    assert_false(fault_alloc_fired());
    assert_int_equal(out[99], 99);
    aril_pool_free(pool);
}

static void a_file_that_finds_no_memory_is_not_read(void **state)
{
    (void)state;
    char path[] = "/tmp/aril-fault-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hello", 5), 5);
    assert_int_equal(close(fd), 0);
    struct arili_file file = { (uint8_t *)path, 1, 1 };
    aril_error error = { ARIL_OK, "" };
    fault_alloc_arm(1);
    const aril_status st = arili_file_read(path, 100, 0, &file, &error);
    fault_alloc_disarm();
    (void)unlink(path);
    assert_status(st, ARIL_E_NOMEM);
    assert_status(error.status, ARIL_E_NOMEM);
    assert_non_null(strstr(error.message, path));
    assert_null(file.data);
    assert_int_equal(file.len, 0);
    assert_int_equal(file.alloc_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_arena_survives_every_failed_allocation),
        cmocka_unit_test(an_arena_that_could_not_grow_stays_usable),
        cmocka_unit_test(a_pool_without_memory_is_none),
        cmocka_unit_test(running_a_batch_allocates_nothing),
        cmocka_unit_test(a_file_that_finds_no_memory_is_not_read),
    };
    return cmocka_run_group_tests_name("base faults", tests, NULL, NULL);
}
