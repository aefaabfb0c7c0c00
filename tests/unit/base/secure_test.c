/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secure.h"
#include "check.h"
#include "child.h"
#include "valgrind.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CELL        ARILI_SECURE_CELL_BYTES
#define CHUNK_BYTES ((size_t)64 * 1024)
#define CHUNK_CELLS (CHUNK_BYTES / CELL)
#define MANY        60000u

static void *cells[MANY];

static bool is_filled(const void *p, size_t len, uint8_t byte)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < len; i++) {
        if (b[i] != byte) {
            return false;
        }
    }
    return true;
}

static struct arili_secure *arena_new(void)
{
    struct arili_secure *arena = NULL;
    assert_status(arili_secure_new(&arena), ARIL_OK);
    assert_non_null(arena);
    return arena;
}

static void a_cell_is_zero_and_aligned(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    for (size_t i = 0; i < 3 * CHUNK_CELLS; i++) {
        cells[i] = arili_secure_take(arena);
        assert_non_null(cells[i]);
        assert_int_equal((uintptr_t)cells[i] % 64, 0);
        assert_true(is_filled(cells[i], CELL, 0));
        memset(cells[i], 0xff, CELL);
    }
    for (size_t i = 0; i < 3 * CHUNK_CELLS; i++) {
        arili_secure_give(arena, cells[i]);
    }
    arili_secure_free(arena);
}

/* Filling each with its own number and looking later shows that none overlap. */
static void sixty_thousand_cells_are_apart(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    for (size_t i = 0; i < MANY; i++) {
        cells[i] = arili_secure_take(arena);
        assert_non_null(cells[i]);
        for (size_t k = 0; k < CELL / sizeof(size_t); k++) {
            ((size_t *)cells[i])[k] = i;
        }
    }
    for (size_t i = 0; i < MANY; i++) {
        for (size_t k = 0; k < CELL / sizeof(size_t); k++) {
            if (((size_t *)cells[i])[k] != i) {
                fail();
            }
        }
    }
    assert_int_equal(arili_secure_stats(arena).bytes, (MANY / CHUNK_CELLS + 1) * CHUNK_BYTES);
    for (size_t i = 0; i < MANY; i++) {
        arili_secure_give(arena, cells[i]);
    }
    arili_secure_free(arena);
}

static void a_used_cell_comes_back_as_zeros(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    uint8_t *cell = arili_secure_take(arena);
    memset(cell, 0xa5, CELL);
    arili_secure_give(arena, cell);
    assert_true(is_filled(cell, CELL, 0)); /* the page is still mapped */
    for (unsigned i = 0; i < 100; i++) {
        uint8_t *again = arili_secure_take(arena);
        assert_true(is_filled(again, CELL, 0));
        memset(again, 0xa5, CELL);
        arili_secure_give(arena, again);
    }
    arili_secure_free(arena);
}

static void neighbours_are_left_alone(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    for (size_t i = 0; i < 10; i++) {
        cells[i] = arili_secure_take(arena);
        memset(cells[i], 0xa5, CELL);
    }
    arili_secure_give(arena, cells[4]);
    for (size_t i = 0; i < 10; i++) {
        assert_true(is_filled(cells[i], CELL, i == 4 ? 0 : 0xa5));
    }
    for (size_t i = 0; i < 10; i++) {
        arili_secure_give(arena, i == 4 ? NULL : cells[i]);
    }
    arili_secure_free(arena);
}

/* A shuffled order of takes and gives; the generator's numbers need no quality. */
static void cells_survive_any_order_of_takes_and_gives(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    uint32_t random = 1;
    memset(cells, 0, sizeof cells);
    for (unsigned step = 0; step < 50000; step++) {
        random = random * 1664525u + 1013904223u;
        const size_t i = (random >> 8) % 3000;
        if (cells[i] == NULL) {
            cells[i] = arili_secure_take(arena);
            assert_true(is_filled(cells[i], CELL, 0));
            memset(cells[i], (int)(i % 255 + 1), CELL);
        } else {
            assert_true(is_filled(cells[i], CELL, (uint8_t)(i % 255 + 1)));
            arili_secure_give(arena, cells[i]);
            cells[i] = NULL;
        }
    }
    for (size_t i = 0; i < 3000; i++) {
        arili_secure_give(arena, cells[i]);
    }
    arili_secure_free(arena);
}

static void pages_go_back_when_their_cells_do(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    for (size_t i = 0; i < 5 * CHUNK_CELLS; i++) {
        cells[i] = arili_secure_take(arena);
    }
    assert_int_equal(arili_secure_stats(arena).bytes, 6 * CHUNK_BYTES);
    for (size_t i = 0; i < 5 * CHUNK_CELLS; i++) {
        arili_secure_give(arena, cells[i]);
    }
    assert_int_equal(arili_secure_stats(arena).bytes, 2 * CHUNK_BYTES); /* one is kept */
    arili_secure_free(arena);
}

static void cells_that_came_back_are_used_before_new_pages(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    const size_t full = 4 * CHUNK_CELLS - 1; /* with the arena's own cell */
    for (size_t i = 0; i < full; i++) {
        cells[i] = arili_secure_take(arena);
    }
    const size_t bytes = arili_secure_stats(arena).bytes;
    for (size_t i = 0; i < full; i += 100) {
        arili_secure_give(arena, cells[i]);
    }
    for (size_t i = 0; i < full; i += 100) {
        cells[i] = arili_secure_take(arena);
    }
    assert_int_equal(arili_secure_stats(arena).bytes, bytes);
    for (size_t i = 0; i < full; i++) {
        arili_secure_give(arena, cells[i]);
    }
    arili_secure_free(arena);
}

/* Finds the mapping of p in /proc/self/smaps and whether its VmFlags have flag. */
static bool has_vm_flag(const void *p, const char *flag)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool inside = false;
    bool found = false;
    char line[512];
    while (smaps != NULL && fgets(line, sizeof line, smaps) != NULL) {
        uintmax_t from = 0;
        uintmax_t to = 0;
        if (sscanf(line, "%jx-%jx ", &from, &to) == 2) {
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            found = strstr(line + 8, flag) != NULL;
            break;
        }
    }
    if (smaps != NULL) {
        (void)fclose(smaps);
    }
    return found;
}

static void pages_are_left_out_of_core_files_and_of_children(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    void *cell = arili_secure_take(arena);
    const struct arili_secure_stats stats = arili_secure_stats(arena);
    assert_true(stats.no_core);
    assert_true(stats.wipes_on_fork);
    assert_true(has_vm_flag(cell, " dd"));
    assert_true(has_vm_flag(cell, " wf"));
    arili_secure_give(arena, cell);
    arili_secure_free(arena);
}

static void locked_bytes_are_really_locked(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    void *cell = arili_secure_take(arena);
    const struct arili_secure_stats stats = arili_secure_stats(arena);
    assert_int_equal(stats.bytes, CHUNK_BYTES);
    assert_true(stats.locked_bytes == 0 || stats.locked_bytes == CHUNK_BYTES);
    if (!SANITIZED) { /* sanitizers turn mlock() off */
        assert_int_equal(has_vm_flag(cell, " lo"), stats.locked_bytes == CHUNK_BYTES);
    }
    arili_secure_give(arena, cell);
    arili_secure_free(arena);
}

/* In a child, so that the limit and the user stay here as they are. Root may lock
 * without limit, so it becomes another user first. */
static int use_without_mlock(void *arg)
{
    (void)arg;
    const struct rlimit none = { 0, 0 };
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0)) {
        return 1;
    }
    struct arili_secure *arena = NULL;
    if (arili_secure_new(&arena) != ARIL_OK) {
        return 2;
    }
    void *cell = arili_secure_take(arena);
    if (cell == NULL || !is_filled(cell, CELL, 0)) {
        return 3;
    }
    const struct arili_secure_stats stats = arili_secure_stats(arena);
    if ((stats.locked_bytes != 0 && !SANITIZED) || stats.bytes != CHUNK_BYTES || !stats.no_core ||
        !stats.wipes_on_fork) {
        return 4;
    }
    arili_secure_give(arena, cell);
    arili_secure_free(arena);
    return 0;
}

static void without_permission_to_lock_it_works_and_says_so(void **state)
{
    (void)state;
    assert_int_equal(child_run(use_without_mlock, NULL), 0);
}

struct forked {
    struct arili_secure *arena;
    void *cell;
};

static int look_at_secrets(void *arg)
{
    struct forked *f = arg;
    if (!is_filled(f->cell, CELL, 0) || !arili_secure_forked(f->arena)) {
        return 1;
    }
    if (arili_secure_take(f->arena) != NULL) {
        return 2;
    }
    arili_secure_give(f->arena, f->cell);
    if (arili_secure_stats(f->arena).locked_bytes != 0) {
        return 3;
    }
    arili_secure_free(f->arena); /* cells are still out, and that is fine here */
    return 0;
}

static void a_forked_child_reads_zeros_and_can_free(void **state)
{
    (void)state;
    struct forked f = { .arena = arena_new() };
    f.cell = arili_secure_take(f.arena);
    memset(f.cell, 0xa5, CELL);
    assert_int_equal(child_run(look_at_secrets, &f), 0);
    assert_false(arili_secure_forked(f.arena));
    assert_true(is_filled(f.cell, CELL, 0xa5)); /* and the parent keeps its own */
    void *other = arili_secure_take(f.arena);
    assert_non_null(other);
    arili_secure_give(f.arena, other);
    arili_secure_give(f.arena, f.cell);
    arili_secure_free(f.arena);
}

/* Threads hammer the mutex; a child forked meanwhile may inherit it locked. */
static atomic_bool stop_hammering;

static void *hammer(void *arg)
{
    while (!stop_hammering) {
        void *cell = arili_secure_take(arg);
        arili_secure_give(arg, cell);
    }
    return NULL;
}

static void a_child_never_waits_for_a_lock_of_the_parent(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip(); /* the tool itself may wait after a fork with threads */
    }
    struct forked f = { .arena = arena_new() };
    f.cell = arili_secure_take(f.arena);
    stop_hammering = false;
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, f.arena), 0);
    }
    int worst = 0;
    for (unsigned i = 0; i < 200; i++) {
        const int result = child_run(look_at_secrets, &f);
        worst = result != 0 ? result : worst;
    }
    stop_hammering = true;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(worst, 0);
    arili_secure_give(f.arena, f.cell);
    arili_secure_free(f.arena);
}

static void *fill_and_check(void *arg)
{
    size_t *errors = calloc(1, sizeof *errors);
    for (unsigned round = 0; round < 200; round++) {
        uint8_t *mine[20];
        for (unsigned i = 0; i < COUNT(mine); i++) {
            mine[i] = arili_secure_take(arg);
            *errors += mine[i] == NULL || !is_filled(mine[i], CELL, 0);
            memset(mine[i], (int)(i + 1), CELL);
        }
        for (unsigned i = 0; i < COUNT(mine); i++) {
            *errors += !is_filled(mine[i], CELL, (uint8_t)(i + 1));
            arili_secure_give(arg, mine[i]);
        }
    }
    return errors;
}

static void threads_never_get_the_same_cell(void **state)
{
    (void)state;
    struct arili_secure *arena = arena_new();
    pthread_t threads[8];
    for (unsigned i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fill_and_check, arena), 0);
    }
    for (unsigned i = 0; i < COUNT(threads); i++) {
        void *errors = NULL;
        assert_int_equal(pthread_join(threads[i], &errors), 0);
        assert_int_equal(*(size_t *)errors, 0);
        free(errors);
    }
    arili_secure_free(arena);
}

static void nothing_is_a_fine_argument(void **state)
{
    (void)state;
    arili_secure_free(NULL);
    struct arili_secure *arena = arena_new();
    arili_secure_give(arena, NULL);
    arili_secure_free(arena);
}

/* Without address space, mmap() fails. */
static int use_without_address_space(void *arg)
{
    (void)arg;
    struct arili_secure *arena = NULL;
    if (arili_secure_new(&arena) != ARIL_OK) {
        return 1;
    }
    const struct rlimit little = { 1, 1 };
    if (setrlimit(RLIMIT_AS, &little) != 0) {
        return 2;
    }
    size_t taken = 0;
    while (taken < MANY && (cells[taken] = arili_secure_take(arena)) != NULL) {
        taken++;
    }
    if (taken != CHUNK_CELLS - 1) {
        return 3;
    }
    struct arili_secure *other = NULL;
    if (arili_secure_new(&other) != ARIL_E_NOMEM || other != NULL) {
        return 4;
    }
    for (size_t i = 0; i < taken; i++) {
        arili_secure_give(arena, cells[i]);
    }
    arili_secure_free(arena);
    return 0;
}

static void without_address_space_it_says_so(void **state)
{
    (void)state;
    if (SANITIZED || under_valgrind()) {
        skip(); /* the address space is taken */
    }
    assert_int_equal(child_run(use_without_address_space, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cell_is_zero_and_aligned),
        cmocka_unit_test(sixty_thousand_cells_are_apart),
        cmocka_unit_test(a_used_cell_comes_back_as_zeros),
        cmocka_unit_test(neighbours_are_left_alone),
        cmocka_unit_test(cells_survive_any_order_of_takes_and_gives),
        cmocka_unit_test(pages_go_back_when_their_cells_do),
        cmocka_unit_test(cells_that_came_back_are_used_before_new_pages),
        cmocka_unit_test(pages_are_left_out_of_core_files_and_of_children),
        cmocka_unit_test(locked_bytes_are_really_locked),
        cmocka_unit_test(without_permission_to_lock_it_works_and_says_so),
        cmocka_unit_test(a_forked_child_reads_zeros_and_can_free),
        cmocka_unit_test(a_child_never_waits_for_a_lock_of_the_parent),
        cmocka_unit_test(threads_never_get_the_same_cell),
        cmocka_unit_test(nothing_is_a_fine_argument),
        cmocka_unit_test(without_address_space_it_says_so),
    };
    return cmocka_run_group_tests_name("secure", tests, NULL, NULL);
}
