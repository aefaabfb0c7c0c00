/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_VECTORS_H
#define ARIL_TESTS_VECTORS_H
#include <aril/base.h>
#include <jansson.h>
#include <stdbool.h>

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

/* Prints how many cases ran, and how many were left out and why (NULL: none). No
 * case at all fails the test. */
void vectors_report(const char *path, unsigned ran, unsigned left_out, const char *why);

/* What main() returns: the number of failed tests, or 77 (skipped) when none failed but
 * the folder was missing. */
int vectors_exit_status(int failed);
#endif
