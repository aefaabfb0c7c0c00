/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore_contract.h"
#include "check.h"
#include "fixture.h"
#include <stdlib.h>
#include <string.h>

#define FILLER 0xa7u

static const struct keystore_subject *subject;

/* An open store, a place and what is sealed for it. */
struct bench {
    struct arili_store store;
    struct arili_store_place place;
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len;
    aril_error error;
};

static void bench_open(struct bench *b)
{
    b->error = (aril_error){ .status = ARIL_OK };
    const aril_status st = subject->open(subject->user, &b->store, &b->error);
    if (st != ARIL_OK) {
        print_message("%s\n", b->error.message);
    }
    assert_status(st, ARIL_OK);
    assert_int_equal(b->store.ops->abi, ARILI_STORE_ABI);
}

static void bench_close(struct bench *b)
{
    if (subject->close != NULL) {
        subject->close(subject->user, &b->store);
    } else {
        b->store.ops->close(b->store.state);
    }
    b->store.state = NULL;
}

static void bench_restart(struct bench *b)
{
    bench_close(b);
    bench_open(b);
}

static void set_place(struct arili_store_place *place, uint64_t number)
{
    fill_pattern(place->slot, sizeof place->slot, 1000 + number);
    fill_pattern(place->binding, sizeof place->binding, 2000 + number);
}

/* Opens, and names a place and a secret by number; nothing is sealed. */
static void bench_init(struct bench *b, uint64_t number)
{
    memset(b, 0, sizeof *b);
    set_place(&b->place, number);
    fill_pattern(b->secret, sizeof b->secret, 3000 + number);
    bench_open(b);
}

static void seal(struct bench *b)
{
    const aril_status st = b->store.ops->seal(b->store.state, &b->place, b->secret, b->blob,
                                              sizeof b->blob, &b->len, &b->error);
    if (st != ARIL_OK) {
        print_message("%s\n", b->error.message);
    }
    assert_status(st, ARIL_OK);
    assert_true(b->len > 0 && b->len <= sizeof b->blob);
}

/* Unseals a copy of exactly that length, and demands that nothing is written on failure. */
static aril_status unseal_at(struct bench *b, const struct arili_store_place *place,
                             const uint8_t *blob, size_t len, uint8_t ret[ARILI_STORE_SECRET_BYTES])
{
    uint8_t *const copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, blob, len);
    memset(ret, FILLER, ARILI_STORE_SECRET_BYTES);
    b->error = (aril_error){ .status = ARIL_OK };
    const aril_status st =
        b->store.ops->unseal(b->store.state, place, (aril_bytes){ copy, len }, ret, &b->error);
    free(copy);
    if (st != ARIL_OK) {
        assert_true(is_filled(ret, ARILI_STORE_SECRET_BYTES, FILLER) ||
                    is_filled(ret, ARILI_STORE_SECRET_BYTES, 0));
        assert_status(b->error.status, st);
        assert_true(strlen(b->error.message) > 10);
    }
    return st;
}

static void assert_opens(struct bench *b)
{
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    const aril_status st = unseal_at(b, &b->place, b->blob, b->len, secret);
    if (st != ARIL_OK) {
        print_message("%s\n", b->error.message);
    }
    assert_status(st, ARIL_OK);
    assert_memory_equal(secret, b->secret, sizeof secret);
}

/* A blob that was changed, or is offered for another place. */
static void assert_refused(struct bench *b, const struct arili_store_place *place,
                           const uint8_t *blob, size_t len)
{
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    const aril_status st = unseal_at(b, place, blob, len, secret);
    const aril_status of = aril_status_class(st);
    if (of != ARIL_E_AUTH && of != ARIL_E_FORMAT && st != ARIL_E_KEYSTORE_WRONG) {
        fail_msg("refused with %s: %s", aril_status_name(st), b->error.message);
    }
}

static void what_was_sealed_opens_again(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 1);
    seal(&b);
    assert_opens(&b);
    assert_opens(&b);
    bench_restart(&b);
    assert_opens(&b);
    bench_close(&b);
}

static void the_blob_holds_nothing_of_the_secret(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 2);
    seal(&b);
    for (size_t at = 0; at + 8 <= sizeof b.secret; at++) {
        for (size_t i = 0; i + 8 <= b.len; i++) {
            assert_memory_not_equal(b.secret + at, b.blob + i, 8);
        }
    }
    bench_close(&b);
}

static void slots_are_independent(void **state)
{
    static struct bench b[3];
    (void)state;
    bench_init(&b[0], 10);
    for (uint64_t i = 0; i < COUNT(b); i++) {
        b[i].store = b[0].store;
        set_place(&b[i].place, 10 + i);
        fill_pattern(b[i].secret, sizeof b[i].secret, 3010 + i);
        seal(&b[i]);
    }
    for (size_t i = 0; i < COUNT(b); i++) {
        assert_opens(&b[i]);
        assert_refused(&b[i], &b[i].place, b[(i + 1) % COUNT(b)].blob, b[(i + 1) % COUNT(b)].len);
    }
    bench_close(&b[0]);
}

static void a_blob_opens_for_its_slot_and_binding_alone(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 20);
    seal(&b);
    for (size_t i = 0; i < sizeof b.place.slot; i++) {
        struct arili_store_place other = b.place;
        other.slot[i] ^= 0x80;
        assert_refused(&b, &other, b.blob, b.len);
    }
    for (size_t i = 0; i < sizeof b.place.binding; i++) {
        struct arili_store_place other = b.place;
        other.binding[i] ^= 1;
        assert_refused(&b, &other, b.blob, b.len);
    }
    assert_opens(&b);
    bench_close(&b);
}

/* A slot that was sealed too, so that it exists. */
static void a_blob_of_one_slot_is_refused_for_another_that_exists(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 21);
    struct bench other = b;
    set_place(&other.place, 22);
    seal(&b);
    seal(&other);
    assert_refused(&b, &other.place, b.blob, b.len);
    struct arili_store_place mixed = other.place;
    memcpy(mixed.binding, b.place.binding, sizeof mixed.binding);
    assert_refused(&b, &mixed, b.blob, b.len);
    assert_opens(&b);
    assert_opens(&other);
    bench_close(&b);
}

static void every_changed_byte_is_noticed(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 30);
    seal(&b);
    const size_t stride = subject->stride > 0 ? subject->stride : 1;
    for (size_t i = 0; i < b.len; i += stride) {
        const uint8_t flip = (uint8_t)(1u << i % 8);
        b.blob[i] ^= flip;
        assert_refused(&b, &b.place, b.blob, b.len);
        b.blob[i] ^= flip;
    }
    assert_opens(&b);
    bench_close(&b);
}

static void every_truncation_is_noticed(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 31);
    seal(&b);
    const size_t stride = subject->stride > 0 ? subject->stride : 1;
    for (size_t len = 0; len < b.len; len += stride) {
        assert_refused(&b, &b.place, b.blob, len);
    }
    assert_refused(&b, &b.place, b.blob, b.len - 1);
    assert_true(b.len < sizeof b.blob);
    b.blob[b.len] = 0;
    assert_refused(&b, &b.place, b.blob, b.len + 1);
    assert_opens(&b);
    bench_close(&b);
}

static void bytes_that_are_no_blob_are_refused(void **state)
{
    struct bench b;
    uint8_t noise[ARILI_STORE_BLOB_BYTES_MAX];
    (void)state;
    bench_init(&b, 32);
    seal(&b);
    memset(noise, 0, sizeof noise);
    assert_refused(&b, &b.place, noise, b.len);
    memset(noise, 0xff, sizeof noise);
    assert_refused(&b, &b.place, noise, b.len);
    assert_refused(&b, &b.place, noise, sizeof noise);
    for (uint64_t seed = 0; seed < 8; seed++) {
        fill_pattern(noise, sizeof noise, seed);
        assert_refused(&b, &b.place, noise, b.len);
    }
    bench_close(&b);
}

static void a_buffer_that_is_too_small_is_left_alone(void **state)
{
    struct bench b;
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    (void)state;
    bench_init(&b, 40);
    seal(&b);
    const size_t caps[] = { 0, 1, b.len / 2, b.len - 1 };
    for (size_t i = 0; i < COUNT(caps); i++) {
        size_t len = 12345;
        memset(blob, FILLER, sizeof blob);
        b.error = (aril_error){ .status = ARIL_OK };
        assert_status(
            b.store.ops->seal(b.store.state, &b.place, b.secret, blob, caps[i], &len, &b.error),
            ARIL_E_USAGE_TOO_SMALL);
        assert_status(b.error.status, ARIL_E_USAGE_TOO_SMALL);
        assert_true(is_filled(blob, sizeof blob, FILLER));
        assert_int_equal(len, 12345);
    }
    /* And the slot is as good as before. */
    assert_opens(&b);
    bench_close(&b);
}

static void sealing_a_slot_again_works(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 41);
    seal(&b);
    seal(&b);
    assert_opens(&b);
    bench_restart(&b);
    seal(&b);
    assert_opens(&b);
    bench_restart(&b);
    assert_opens(&b);
    bench_close(&b);
}

static void it_states_what_it_is(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 50);
    for (int i = 0; i < 2; i++) {
        aril_keystore_info info;
        memset(&info, FILLER, sizeof info);
        assert_status(b.store.ops->info(b.store.state, &info, &b.error), ARIL_OK);
        assert_int_equal(info.protection, subject->protection);
        assert_int_equal(info.capabilities, subject->capabilities);
        assert_true(memchr(info.backend, '\0', sizeof info.backend) != NULL);
        assert_true(memchr(info.description, '\0', sizeof info.description) != NULL);
        assert_string_equal(info.backend, b.store.ops->scheme);
        assert_true(strlen(info.description) > 0);
    }
    const struct arili_store_ops *const ops = b.store.ops;
    const bool counts = (subject->capabilities & ARIL_KEYSTORE_COUNTER) != 0;
    assert_int_equal((subject->capabilities & ARIL_KEYSTORE_DESTROY) != 0, ops->destroy != NULL);
    assert_int_equal(counts, ops->counter_create != NULL);
    assert_int_equal(counts, ops->counter_read != NULL);
    assert_int_equal(counts, ops->counter_increment != NULL);
    assert_int_equal(counts, ops->counter_destroy != NULL);
    bench_close(&b);
}

static void errors_are_optional(void **state)
{
    struct bench b;
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    (void)state;
    bench_init(&b, 51);
    assert_status(
        b.store.ops->seal(b.store.state, &b.place, b.secret, b.blob, sizeof b.blob, &b.len, NULL),
        ARIL_OK);
    b.blob[b.len - 1] ^= 1;
    assert_int_not_equal(
        b.store.ops->unseal(b.store.state, &b.place, (aril_bytes){ b.blob, b.len }, secret, NULL),
        ARIL_OK);
    b.store.ops->close(NULL);
    bench_close(&b);
}

/* --- Destroying ---------------------------------------------------------------------------- */

static void destroy(struct bench *b)
{
    const aril_status st = b->store.ops->destroy(b->store.state, b->place.slot, &b->error);
    if (st != ARIL_OK) {
        print_message("%s\n", b->error.message);
    }
    assert_status(st, ARIL_OK);
}

static void assert_gone(struct bench *b)
{
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    const aril_status st = unseal_at(b, &b->place, b->blob, b->len, secret);
    assert_status(st, ARIL_E_KEYSTORE_WRONG);
}

static void what_was_destroyed_does_not_open(void **state)
{
    struct bench b;
    struct bench other;
    (void)state;
    bench_init(&b, 60);
    other = b;
    set_place(&other.place, 61);
    seal(&b);
    seal(&other);
    destroy(&b);
    assert_gone(&b);
    assert_opens(&other);
    destroy(&b); /* twice is as good as once */
    bench_restart(&b);
    other.store = b.store;
    assert_gone(&b);
    assert_opens(&other);
    bench_close(&b);
}

/* Also when the slot is used again: the old blob was a copy, and stays unreadable. */
static void a_destroyed_blob_stays_closed_when_its_slot_is_used_again(void **state)
{
    struct bench b;
    struct bench old;
    (void)state;
    bench_init(&b, 62);
    seal(&b);
    old = b;
    destroy(&b);
    seal(&b);
    assert_refused(&b, &b.place, old.blob, old.len);
    assert_opens(&b);
    bench_close(&b);
}

static void destroying_what_is_not_there_is_success(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, 63);
    destroy(&b);
    bench_close(&b);
}

/* --- Counting ------------------------------------------------------------------------------ */

static uint64_t read_counter(struct bench *b, const struct arili_store_counter *c)
{
    uint64_t value = 0;
    assert_status(b->store.ops->counter_read(b->store.state, c, &value, &b->error), ARIL_OK);
    return value;
}

static uint64_t increment(struct bench *b, const struct arili_store_counter *c)
{
    uint64_t value = 0;
    assert_status(b->store.ops->counter_increment(b->store.state, c, &value, &b->error), ARIL_OK);
    return value;
}

static struct arili_store_counter create(struct bench *b, uint64_t seed, uint64_t *ret_value)
{
    uint8_t bytes[ARILI_STORE_SLOT_BYTES];
    struct arili_store_counter c = { 0 };
    fill_pattern(bytes, sizeof bytes, 4000 + seed);
    const aril_status st =
        b->store.ops->counter_create(b->store.state, bytes, &c, ret_value, &b->error);
    if (st != ARIL_OK) {
        print_message("%s\n", b->error.message);
    }
    assert_status(st, ARIL_OK);
    assert_true(c.len > 0 && c.len <= sizeof c.bytes);
    return c;
}

static void drop(struct bench *b, const struct arili_store_counter *c)
{
    assert_status(b->store.ops->counter_destroy(b->store.state, c, &b->error), ARIL_OK);
}

static void a_counter_goes_up_by_one_and_survives_restarts(void **state)
{
    struct bench b;
    uint64_t value = 0;
    (void)state;
    bench_init(&b, 70);
    const struct arili_store_counter c = create(&b, 1, &value);
    assert_int_equal(read_counter(&b, &c), value);
    for (uint64_t i = 1; i <= 5; i++) {
        assert_int_equal(increment(&b, &c), value + i);
        assert_int_equal(read_counter(&b, &c), value + i);
    }
    bench_restart(&b);
    assert_int_equal(read_counter(&b, &c), value + 5);
    assert_int_equal(increment(&b, &c), value + 6);
    drop(&b, &c);
    bench_close(&b);
}

static void counters_are_independent(void **state)
{
    struct bench b;
    uint64_t first = 0;
    uint64_t second = 0;
    (void)state;
    bench_init(&b, 71);
    const struct arili_store_counter c = create(&b, 1, &first);
    const struct arili_store_counter d = create(&b, 2, &second);
    assert_true(c.len != d.len || memcmp(c.bytes, d.bytes, c.len) != 0);
    assert_int_equal(increment(&b, &c), first + 1);
    assert_int_equal(read_counter(&b, &d), second);
    drop(&b, &c);
    assert_int_equal(increment(&b, &d), second + 1);
    drop(&b, &d);
    bench_close(&b);
}

static void a_counter_that_is_not_there_is_not_found(void **state)
{
    struct bench b;
    uint64_t value = 77;
    (void)state;
    bench_init(&b, 72);
    const struct arili_store_counter c = create(&b, 3, &value);
    drop(&b, &c);
    drop(&b, &c); /* twice is as good as once */
    value = 77;
    assert_status(b.store.ops->counter_read(b.store.state, &c, &value, &b.error), ARIL_E_NOT_FOUND);
    assert_status(b.store.ops->counter_increment(b.store.state, &c, &value, &b.error),
                  ARIL_E_NOT_FOUND);
    assert_int_equal(value, 77);
    bench_close(&b);
}

static int reset(void **state)
{
    (void)state;
    if (subject->reset != NULL) {
        subject->reset(subject->user);
    }
    return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, reset)

int keystore_contract_run(const struct keystore_subject *s)
{
    const struct CMUnitTest sealing[] = {
        TEST(what_was_sealed_opens_again),
        TEST(the_blob_holds_nothing_of_the_secret),
        TEST(slots_are_independent),
        TEST(a_blob_opens_for_its_slot_and_binding_alone),
        TEST(a_blob_of_one_slot_is_refused_for_another_that_exists),
        TEST(every_changed_byte_is_noticed),
        TEST(every_truncation_is_noticed),
        TEST(bytes_that_are_no_blob_are_refused),
        TEST(a_buffer_that_is_too_small_is_left_alone),
        TEST(sealing_a_slot_again_works),
        TEST(it_states_what_it_is),
        TEST(errors_are_optional),
    };
    const struct CMUnitTest destroying[] = {
        TEST(what_was_destroyed_does_not_open),
        TEST(a_destroyed_blob_stays_closed_when_its_slot_is_used_again),
        TEST(destroying_what_is_not_there_is_success),
    };
    const struct CMUnitTest counting[] = {
        TEST(a_counter_goes_up_by_one_and_survives_restarts),
        TEST(counters_are_independent),
        TEST(a_counter_that_is_not_there_is_not_found),
    };
    subject = s;
    int failed = cmocka_run_group_tests_name(s->name, sealing, NULL, NULL);
    if ((s->capabilities & ARIL_KEYSTORE_DESTROY) != 0) {
        failed += cmocka_run_group_tests_name(s->name, destroying, NULL, NULL);
    }
    if ((s->capabilities & ARIL_KEYSTORE_COUNTER) != 0) {
        failed += cmocka_run_group_tests_name(s->name, counting, NULL, NULL);
    }
    return failed;
}
