/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_VECTORS_H
#define ARIL_TESTS_VECTORS_H
#include <aril/base.h>
#include <jansson.h>
#include <stdbool.h>

struct arili_profile;

/*
 * Published test vectors, in the folder that the environment variable
 * ARIL_VECTORS_DIR names, else the one named at build time. All functions end the
 * running cmocka test when something is wrong with a file; when the folder is not
 * there, they say so and skip it.
 */
struct vectors {
    json_t *root; /* of a .json file */
    char *text;   /* the whole file, NUL at the end */
    struct vectors_chunk *chunks;
};

void vectors_open(struct vectors *v, const char *path);
/* Frees what was opened and decoded. */
void vectors_close(struct vectors *v);

/* Decoded members of an object; borrowed until vectors_close(). A member that is
 * missing or null is an empty span. */
aril_bytes vectors_hex(struct vectors *v, const json_t *object, const char *member);
aril_bytes vectors_base64(struct vectors *v, const json_t *object, const char *member);
/* The value of the line "NAME = hex" in a text file, from *cursor on, which moves
 * behind it; false when there is none. */
bool vectors_line_hex(struct vectors *v, const char **cursor, const char *name, aril_bytes *ret);

/* Decodes one string of hex or base64. */
aril_bytes vectors_decode_hex(struct vectors *v, const char *hex);
aril_bytes vectors_decode_base64(struct vectors *v, const char *base64);

/* Exact below 2^53, and for 2^64 - 1. */
uint64_t vectors_number(const json_t *object, const char *member);
/* "" when missing. */
const char *vectors_string(const json_t *object, const char *member);

/* Whether a Wycheproof case has the result "valid". */
bool vectors_is_valid(const json_t *t);
/* The profile that the member "profile" of one of our own cases names. */
const struct arili_profile *vectors_profile(const json_t *object);
/* Fails the test unless got is want. */
void vectors_expect(const void *got, size_t len, aril_bytes want);

/* One case; false when it is left out. group is what the list of cases is a member of. */
typedef bool vectors_case(struct vectors *v, const json_t *group, const json_t *t);

/* Opens a JSON file, gives each case to run, reports and closes. The cases are the array
 * that is called list, or with list NULL the whole file; in each element of the array that
 * is called groups, or with groups NULL once in the file. why is as for vectors_report();
 * with NULL, a case that is left out fails the test. Returns how many ran. */
unsigned vectors_run(const char *path, const char *groups, const char *list, vectors_case *run,
                     const char *why);

/* Prints how many cases ran, and how many were left out and why (NULL: none). No
 * case at all fails the test. */
void vectors_report(const char *path, unsigned ran, unsigned left_out, const char *why);

/* What main() returns: the number of failed tests, or 77 (skipped) when none failed but
 * the folder was missing. */
int vectors_exit_status(int failed);
#endif
