/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where secrets are in memory: the tests search every resident page of their own process. What
 * they search for is kept masked, so that they do not find themselves.
 */
#include "fixture.h"
#include "session/session.h"
#include "valgrind.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MASK         0x5au
#define NEEDLE_BYTES 32u
#define NEEDLES_MAX  8u
#define REGIONS_MAX  2048u

struct needle {
    const char *what;
    uint8_t masked[NEEDLE_BYTES];
};
static struct needle needles[NEEDLES_MAX];
static size_t needle_count;

static void look_for(const char *what, const uint8_t *secret)
{
    struct needle *n = &needles[needle_count++];
    n->what = what;
    for (size_t i = 0; i < NEEDLE_BYTES; i++) {
        n->masked[i] = secret[i] ^ MASK;
    }
}

static bool is_here(const struct needle *n, const volatile uint8_t *at)
{
    for (size_t i = 0; i < NEEDLE_BYTES; i++) {
        if ((at[i] ^ MASK) != n->masked[i]) {
            return false;
        }
    }
    return true;
}

struct region {
    uintptr_t begin, end;
    bool searched; /* readable, and memory of a program */
    bool dumped;   /* a core file would hold it */
    char name[128];
};
static struct region regions[REGIONS_MAX];

static unsigned search_page(const struct region *r, uintptr_t page, uintptr_t page_bytes)
{
    unsigned found = 0;
    const uintptr_t end = page + page_bytes < r->end ? page + page_bytes : r->end - NEEDLE_BYTES;
    for (uintptr_t at = page; at < end && at + NEEDLE_BYTES <= r->end; at++) {
        for (size_t k = 0; k < needle_count; k++) {
            if (is_here(&needles[k], (const uint8_t *)at)) {
                found++;
                if (r->dumped) {
                    print_message("%s is in dumpable memory: %s\n", needles[k].what, r->name);
                }
            }
        }
    }
    return found;
}

static unsigned search_region(const struct region *r)
{
    const uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned found = 0;
    for (uintptr_t page = r->begin; page < r->end; page += page_bytes) {
        unsigned char resident = 1;
        if (mincore((void *)page, page_bytes, &resident) != 0 || (resident & 1) != 0) {
            found += search_page(r, page, page_bytes);
        }
    }
    return found;
}

static size_t read_regions(void)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    assert_non_null(f);
    size_t count = 0;
    char line[512];
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long begin, end;
        char perms[8];
        int at = 0;
        if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %n", &begin, &end, perms, &at) == 3 && at > 0) {
            assert_true(count < REGIONS_MAX);
            struct region *r = &regions[count++];
            *r = (struct region){ .begin = begin, .end = end, .dumped = true };
            r->searched = perms[0] == 'r' && strncmp(line + at, "[v", 2) != 0;
            (void)snprintf(r->name, sizeof r->name, "%.100s", line + at);
        } else if (strncmp(line, "VmFlags:", 8) == 0 && count > 0) {
            regions[count - 1].dumped = strstr(line, " dd") == NULL;
        }
    }
    (void)fclose(f);
    return count;
}

struct finds {
    unsigned dumped, protected;
};

static struct finds search_all(void)
{
    struct finds f = { 0, 0 };
    const size_t count = read_regions();
    for (size_t i = 0; i < count; i++) {
        if (regions[i].searched) {
            *(regions[i].dumped ? &f.dumped : &f.protected) += search_region(&regions[i]);
        }
    }
    return f;
}

static void use_a_session(aril_session *s)
{
    aril_kv_config config = view_config();
    aril_kv *kv = view_new(s, &config);
    struct room room;
    const aril_kv_block block = chain_block(1);
    room_init(&room, 4096, 1, &block);
    room_seal(&room, kv);
    assert_status(room_open(&room, kv), ARIL_OK);
    room_done(&room);
    aril_kv_free(kv);
}

static void collect(const aril_session *s)
{
    for (size_t d = 0; d < 2; d++) {
        const struct arili_epoch *e = atomic_load(&s->chain[d].current);
        look_for(d == 0 ? "a record key (tenant to server)" : "a record key (server to tenant)",
                 e->keys->key);
        look_for(d == 0 ? "a ratchet (tenant to server)" : "a ratchet (server to tenant)",
                 s->chain[d].ratchet->secret);
    }
}

/* A sanitizer's own memory is too large to search, and valgrind watches every read. */
static void skip_where_memory_is_not_ours(void)
{
    if (SANITIZED || under_valgrind()) {
        print_message("skipped: a tool that watches memory runs this process\n");
        skip();
    }
}

static void no_key_of_a_session_is_in_memory_that_a_core_file_would_hold(void **state)
{
    (void)state;
    skip_where_memory_is_not_ours();
    struct world w;
    world_init(&w);
    aril_runtime_info info;
    assert_status(aril_runtime_get_info(w.rt, &info), ARIL_OK);
    if (!info.excluded_from_core_dumps) {
        world_done(&w);
        print_message("skipped: libcrypto uses the C library's heap in this build\n");
        skip();
    }
    struct pair p;
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("alice"), NULL);
    use_a_session(p.server);
    use_a_session(p.tenant);
    needle_count = 0;
    collect(p.server);
    collect(p.tenant);
    const struct finds f = search_all();
    assert_int_equal(f.dumped, 0);
    /* The search works: every key is there, in pages that are left out. */
    assert_true(f.protected >= needle_count);
    pair_done(&p);
    world_done(&w);
}

static void a_closed_session_leaves_no_key_anywhere(void **state)
{
    (void)state;
    skip_where_memory_is_not_ours();
    struct world w;
    world_init(&w);
    struct pair p;
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("alice"), NULL);
    use_a_session(p.server);
    needle_count = 0;
    collect(p.server);
    pair_done(&p);
    const struct finds f = search_all();
    assert_int_equal(f.dumped + f.protected, 0);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_of_a_session_is_in_memory_that_a_core_file_would_hold),
        cmocka_unit_test(a_closed_session_leaves_no_key_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
