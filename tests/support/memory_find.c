/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_find.h"
#include "check.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES 16u

struct range {
    uintptr_t from;
    uintptr_t to;
};

static size_t count_in(uintptr_t from, uintptr_t to, const uint8_t *masked, uint8_t mask)
{
    const volatile uint8_t *const bytes = (const volatile uint8_t *)from;
    const size_t len = to - from;
    size_t found = 0;
    for (size_t i = 0; i + BYTES <= len; i += 4) { /* all that is secret is aligned to 4 */
        size_t k = 0;
        while (k < BYTES && (bytes[i + k] ^ mask) == masked[k]) {
            k++;
        }
        found += k == BYTES;
    }
    return found;
}

/* Pages that were never touched would be filled in by reading them. */
static size_t count_resident(const struct range *r, const uint8_t *masked, uint8_t mask)
{
    static unsigned char resident[4096];
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t found = 0;
    uintptr_t start = r->from; /* of the resident pages before `at` */
    for (uintptr_t block = r->from; block < r->to; block += page * sizeof resident) {
        const size_t pages =
            (r->to - block) / page < sizeof resident ? (r->to - block) / page : sizeof resident;
        if (mincore((void *)block, pages * page, resident) != 0) {
            memset(resident, 0, sizeof resident);
        }
        for (size_t i = 0; i < pages; i++) {
            const uintptr_t at = block + i * page;
            if ((resident[i] & 1) == 0) {
                found += start < at ? count_in(start, at, masked, mask) : 0;
                start = at + page;
            }
        }
    }
    return found + (start < r->to ? count_in(start, r->to, masked, mask) : 0);
}

size_t memory_find(const uint8_t masked[16], uint8_t mask)
{
    struct range ranges[512];
    size_t count = 0;
    char line[512];
    size_t found = 0;

    if (SANITIZED) {
        return 0; /* the sanitizer's own memory is terabytes of mappings */
    }
    FILE *const maps = fopen("/proc/self/maps", "r");
    if (maps == NULL) {
        return 0;
    }
    while (count < sizeof ranges / sizeof *ranges && fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, "/vgpreload_") != NULL) {
            fclose(maps);
            return 0; /* valgrind, which would report each byte that was never written */
        }
        char access[5];
        unsigned long from;
        unsigned long to;
        if (sscanf(line, "%lx-%lx %4s", &from, &to, access) == 3 && strncmp(access, "rw", 2) == 0 &&
            strstr(line, "[stack") == NULL) {
            ranges[count++] = (struct range){ from, to };
        }
    }
    fclose(maps);
    for (size_t i = 0; i < count; i++) {
        found += count_resident(&ranges[i], masked, mask);
    }
    return found;
}
