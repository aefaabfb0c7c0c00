/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_LEGACY_VALUES_H
#define ARIL_TESTS_LEGACY_VALUES_H
#include "cache/legacy.h"
#include "format/cachekit.h"

/* Values that cachekit and LMCache write, from tests/data/vectors/cache-legacy.json, which
 * tests/scripts/gen_cache_legacy.py makes without this library. */

/* For cmocka_run_group_tests(); they also set up provider(). */
int legacy_values_setup(void **state);
int legacy_values_teardown(void **state);
struct arili_contexts *legacy_values_contexts(void);

struct legacy_case {
    const char *name;
    struct arili_legacy_scope scope; /* its keys are &keys of this struct once legacy_case_get()
                                        or _each() filled it: do not copy it */
    struct arili_legacy_keys keys;   /* cachekit: all four masters; LMCache: the PRK */
    uint8_t prk[32];
    aril_bytes master;        /* LMCache: the content of its master file */
    aril_bytes stored, value; /* borrowed from the file */
    size_t key_index;
};
/* The case of that name of either list. Fails the test when there is none. */
void legacy_case_get(const char *name, struct legacy_case *ret);
/* Every case, with its name in the output. Returns how many. */
unsigned legacy_case_each(void (*fn)(const struct legacy_case *c));

/* Open what is stored there. Demands the value, the index, and zeros after _done. */
void legacy_case_expect(const struct legacy_case *c);
/* Opening must end so, with an untouched output. */
void legacy_case_refused(const struct arili_legacy_scope *scope, aril_bytes stored,
                         aril_status want);

/* Encrypt as cachekit does under a master key of the case, with other parts of the associated
 * data than its own. ret has plain.len + 28 bytes. Uses the primitives alone. */
void legacy_encrypt(const struct legacy_case *c, size_t key, const struct arili_cachekit_aad *aad,
                    aril_bytes plain, uint8_t *ret);
#endif
