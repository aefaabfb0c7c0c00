/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include <stdio.h>
#include <string.h>

/* The numbers are a promise to callers: a line here never changes, a new status
 * adds one. value = class + 256 * detail. */
static const struct {
    aril_status st;
    const char *name;
    int value;
} frozen[] = {
    { ARIL_OK, "ARIL_OK", 0 },
    { ARIL_E_USAGE, "ARIL_E_USAGE", 1 },
    { ARIL_E_USAGE_NULL, "ARIL_E_USAGE_NULL", 257 },
    { ARIL_E_USAGE_TOO_SMALL, "ARIL_E_USAGE_TOO_SMALL", 513 },
    { ARIL_E_USAGE_RANGE, "ARIL_E_USAGE_RANGE", 769 },
    { ARIL_E_USAGE_OVERLAP, "ARIL_E_USAGE_OVERLAP", 1025 },
    { ARIL_E_USAGE_STATE, "ARIL_E_USAGE_STATE", 1281 },
    { ARIL_E_NOMEM, "ARIL_E_NOMEM", 2 },
    { ARIL_E_FORMAT, "ARIL_E_FORMAT", 3 },
    { ARIL_E_FORMAT_TRUNCATED, "ARIL_E_FORMAT_TRUNCATED", 259 },
    { ARIL_E_FORMAT_VERSION, "ARIL_E_FORMAT_VERSION", 515 },
    { ARIL_E_FORMAT_LENGTH, "ARIL_E_FORMAT_LENGTH", 771 },
    { ARIL_E_FORMAT_KIND, "ARIL_E_FORMAT_KIND", 1027 },
    { ARIL_E_FORMAT_FIELD, "ARIL_E_FORMAT_FIELD", 1283 },
    { ARIL_E_AUTH, "ARIL_E_AUTH", 4 },
    { ARIL_E_IO, "ARIL_E_IO", 5 },
    { ARIL_E_IO_PERMISSION, "ARIL_E_IO_PERMISSION", 261 },
    { ARIL_E_IO_FULL, "ARIL_E_IO_FULL", 517 },
    { ARIL_E_IO_READ_ONLY, "ARIL_E_IO_READ_ONLY", 773 },
    { ARIL_E_TIMEOUT, "ARIL_E_TIMEOUT", 6 },
    { ARIL_E_LIMIT, "ARIL_E_LIMIT", 7 },
    { ARIL_E_LIMIT_RECORD, "ARIL_E_LIMIT_RECORD", 263 },
    { ARIL_E_LIMIT_PINS, "ARIL_E_LIMIT_PINS", 519 },
    { ARIL_E_LIMIT_TENANTS, "ARIL_E_LIMIT_TENANTS", 775 },
    { ARIL_E_LIMIT_EPOCHS, "ARIL_E_LIMIT_EPOCHS", 1031 },
    { ARIL_E_UNAVAILABLE, "ARIL_E_UNAVAILABLE", 8 },
    { ARIL_E_UNAVAILABLE_STORE, "ARIL_E_UNAVAILABLE_STORE", 264 },
    { ARIL_E_ISOLATION, "ARIL_E_ISOLATION", 9 },
    { ARIL_E_REPLAY, "ARIL_E_REPLAY", 10 },
    { ARIL_E_REPLAY_STALE, "ARIL_E_REPLAY_STALE", 266 },
    { ARIL_E_REPLAY_ROLLBACK, "ARIL_E_REPLAY_ROLLBACK", 522 },
    { ARIL_E_REPLAY_SUPERSEDED, "ARIL_E_REPLAY_SUPERSEDED", 778 },
    { ARIL_E_KEY, "ARIL_E_KEY", 11 },
    { ARIL_E_KEY_RETIRED, "ARIL_E_KEY_RETIRED", 267 },
    { ARIL_E_KEY_FUTURE, "ARIL_E_KEY_FUTURE", 523 },
    { ARIL_E_KEY_UNKNOWN, "ARIL_E_KEY_UNKNOWN", 779 },
    { ARIL_E_KEY_CLOSED, "ARIL_E_KEY_CLOSED", 1035 },
    { ARIL_E_KEY_LOCKED, "ARIL_E_KEY_LOCKED", 1291 },
    { ARIL_E_KEY_DESTROYED, "ARIL_E_KEY_DESTROYED", 1547 },
    { ARIL_E_KEY_OVERDUE, "ARIL_E_KEY_OVERDUE", 1803 },
    { ARIL_E_KEY_INACTIVE, "ARIL_E_KEY_INACTIVE", 2059 },
    { ARIL_E_EXPIRED, "ARIL_E_EXPIRED", 12 },
    { ARIL_E_EXPIRED_BUNDLE, "ARIL_E_EXPIRED_BUNDLE", 268 },
    { ARIL_E_EXPIRED_VALUE, "ARIL_E_EXPIRED_VALUE", 524 },
    { ARIL_E_FORKED, "ARIL_E_FORKED", 13 },
    { ARIL_E_RANDOM, "ARIL_E_RANDOM", 14 },
    { ARIL_E_CRYPTO, "ARIL_E_CRYPTO", 15 },
    { ARIL_E_TRUST, "ARIL_E_TRUST", 16 },
    { ARIL_E_TRUST_UNKNOWN, "ARIL_E_TRUST_UNKNOWN", 272 },
    { ARIL_E_TRUST_REVOKED, "ARIL_E_TRUST_REVOKED", 528 },
    { ARIL_E_TRUST_DID, "ARIL_E_TRUST_DID", 784 },
    { ARIL_E_TRUST_AUTHORITY, "ARIL_E_TRUST_AUTHORITY", 1040 },
    { ARIL_E_PROFILE, "ARIL_E_PROFILE", 17 },
    { ARIL_E_NOT_FOUND, "ARIL_E_NOT_FOUND", 18 },
    { ARIL_E_EXISTS, "ARIL_E_EXISTS", 19 },
    { ARIL_E_BATCH, "ARIL_E_BATCH", 20 },
    { ARIL_E_KEYSTORE, "ARIL_E_KEYSTORE", 21 },
    { ARIL_E_KEYSTORE_SECRET, "ARIL_E_KEYSTORE_SECRET", 277 },
    { ARIL_E_KEYSTORE_POLICY, "ARIL_E_KEYSTORE_POLICY", 533 },
    { ARIL_E_KEYSTORE_LOCKOUT, "ARIL_E_KEYSTORE_LOCKOUT", 789 },
    { ARIL_E_KEYSTORE_BUSY, "ARIL_E_KEYSTORE_BUSY", 1045 },
    { ARIL_E_KEYSTORE_WRONG, "ARIL_E_KEYSTORE_WRONG", 1301 },
    { ARIL_E_CLOCK, "ARIL_E_CLOCK", 22 },
    { ARIL_E_INTERRUPTED, "ARIL_E_INTERRUPTED", 23 },
};

static const aril_status listed[] = {
#define ARIL_STATUS(name, cls, detail, text, hint) name,
#include <aril/status.def>
#undef ARIL_STATUS
};

static void every_number_is_as_it_was_promised(void **state)
{
    (void)state;
    assert_int_equal(COUNT(listed), COUNT(frozen));
    for (size_t i = 0; i < COUNT(frozen); i++) {
        assert_int_equal(listed[i], frozen[i].st);
        assert_int_equal(frozen[i].st, frozen[i].value);
        assert_string_equal(aril_status_name(frozen[i].st), frozen[i].name);
    }
}

static void numbers_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(listed); i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(listed[i], listed[k]);
        }
    }
}

static void every_status_has_its_own_text_and_a_hint(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(listed); i++) {
        assert_true(strlen(aril_status_text(listed[i])) > 0);
        assert_true(strlen(aril_status_hint(listed[i])) > 0);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(aril_status_text(listed[i]), aril_status_text(listed[k]));
        }
    }
}

static void every_detail_is_named_after_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(listed); i++) {
        const aril_status cls = aril_status_class(listed[i]);
        const char *name = aril_status_name(cls);
        assert_memory_equal(aril_status_name(listed[i]), name, strlen(name));
        assert_int_equal(cls, listed[i] & 0xff);
    }
}

static void numbers_of_a_newer_library_are_answered(void **state)
{
    (void)state;
    const aril_status newer = (aril_status)0x7fff;
    assert_string_equal(aril_status_name(newer), "ARIL_E_UNKNOWN");
    assert_string_equal(aril_status_text(newer), "unknown status");
    assert_true(strlen(aril_status_hint(newer)) > 0);
}

static void the_version_is_that_of_the_header(void **state)
{
    (void)state;
    char expected[32];
    (void)snprintf(expected, sizeof expected, "%d.%d.%d", ARIL_VERSION_MAJOR, ARIL_VERSION_MINOR,
                   ARIL_VERSION_PATCH);
    assert_string_equal(aril_version(), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_as_it_was_promised),
        cmocka_unit_test(numbers_are_unique),
        cmocka_unit_test(every_status_has_its_own_text_and_a_hint),
        cmocka_unit_test(every_detail_is_named_after_its_class),
        cmocka_unit_test(numbers_of_a_newer_library_are_answered),
        cmocka_unit_test(the_version_is_that_of_the_header),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
