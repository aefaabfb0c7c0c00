/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_KEYSTORE_CONTRACT_H
#define ARIL_TESTS_KEYSTORE_CONTRACT_H
#include "keyring/stores/store.h"

/* A backend of the port keyring/stores/store.h, and how a test gets at it. */
struct keystore_subject {
    const char *name; /* for the report */
    void *user;       /* handed to the functions */
    /* Opens the store. What was sealed or counted through an earlier one is there: closing and
     * opening again is a restart. A failure ends the test. */
    aril_status (*open)(void *user, struct arili_store *ret, aril_error *error);
    /* Closes it. NULL: ops->close. */
    void (*close)(void *user, struct arili_store *store);
    /* After each test, with the store closed: back to where the first test began. NULL: what the
     * test leaves behind does not matter. */
    void (*reset)(void *user);
    aril_protection protection; /* that info must state */
    unsigned capabilities;      /* that info must state, and that are tested */
    size_t stride; /* of the tests that go through a blob byte by byte; 0: every byte */
};

/* What every backend promises. Runs all tests and returns how many failed. */
int keystore_contract_run(const struct keystore_subject *subject);
#endif
