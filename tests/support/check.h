/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_CHECK_H
#define ARIL_TESTS_CHECK_H
/* cmocka needs four standard headers before it; tests include this file instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <aril/base.h>

/* By name, so that a failure reads "ARIL_E_IO != ARIL_OK". */
#define assert_status(actual, expected) \
    assert_string_equal(aril_status_name(actual), aril_status_name(expected))
#define assert_status_class(actual, expected) assert_status(aril_status_class(actual), expected)

/* Elements of an array. */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A sanitizer owns part of the address space and of the time. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
#endif
