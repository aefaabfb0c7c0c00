/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_TEAM_H
#define ARIL_TESTS_TEAM_H
/* Threads that work at the same time. cmocka's asserts belong to the main thread, so
 * members use team_demand(), and team_run() ends the test with the first complaint. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct team_role {
    const char *name;
    void (*run)(void *arg, unsigned number); /* number: 0 to count - 1 */
    unsigned count;
};
#define TEAM_MEMBERS_MAX 64u

/* Starts every member of every role at one moment and waits for all of them. */
void team_run(const struct team_role *roles, size_t count, void *arg);

/* Keeps the first complaint. Gives cond, so that a member can leave. */
bool team_demand(bool cond, const char *complaint);
/* Whether somebody complained: long loops end early. */
bool team_failed(void);

/* A small generator; begin with any number. */
uint64_t team_random(uint64_t *state);
#endif
