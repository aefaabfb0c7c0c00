/* SPDX-License-Identifier: Apache-2.0 */
/* Values that are taken piece by piece, by stores that have them so. Any store may hand a value
 * over whole instead, but never both ways. */
#include "cache_store_cases.h"
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1024)

/* What was handed over of one item. */
struct taker {
    aril_bytes want;
    size_t came;
    unsigned pieces;
    size_t refuse_at; /* the piece that reaches so far is refused; SIZE_MAX: none */
    bool refused, wrong;
    uint8_t *room;
};

static int take(void *user, uint64_t total, uint64_t offset, aril_bytes piece)
{
    struct taker *const t = user;
    t->came = offset == 0 ? 0 : t->came;
    t->wrong = t->wrong || t->refused || total != t->want.len || offset != t->came ||
               piece.len > t->want.len - t->came || (piece.len == 0 && total != 0) ||
               (piece.len > 0 && memcmp(piece.data, t->want.data + t->came, piece.len) != 0);
    t->pieces++;
    t->came += t->wrong ? 0 : piece.len;
    t->refused = t->came >= t->refuse_at;
    return t->refused;
}

static uint8_t *give_room(void *user, size_t len)
{
    struct taker *const t = user;
    t->wrong = t->wrong || t->room != NULL || t->pieces > 0 || len != t->want.len;
    t->room = malloc(len > 0 ? len : 1);
    return t->room;
}

static aril_store_item item_of(struct taker *t, const char *name)
{
    return (aril_store_item){
        .name = text_bytes(name), .take = take, .room = give_room, .user = t, .len = 77
    };
}

/* All was handed over in order, or it lies whole in the room. */
static void assert_came(const struct taker *t, const aril_store_item *item)
{
    assert_status(item->status, ARIL_OK);
    assert_int_equal(item->len, t->want.len);
    assert_false(t->wrong);
    if (t->pieces > 0) {
        assert_null(item->data);
        assert_null(t->room);
        assert_int_equal(t->came, t->want.len);
    } else if (t->want.len > 0) {
        assert_non_null(item->data);
        assert_ptr_equal(item->data, t->room);
        assert_true(memcmp(item->data, t->want.data, t->want.len) == 0);
    }
}

static void assert_passed_over(const struct taker *t, const aril_store_item *item)
{
    assert_true(t->refused);
    assert_false(t->wrong);
    assert_status(item->status, ARIL_E_LIMIT);
    assert_null(item->data);
    assert_null(t->room);
}

static aril_bytes value_new(aril_store *s, const char *name, size_t len)
{
    uint8_t *const p = malloc(len > 0 ? len : 1);
    assert_non_null(p);
    fill_pattern(p, len, len + 1);
    put(s, text_bytes(name), (aril_bytes){ p, len });
    return (aril_bytes){ p, len };
}

static void value_free(aril_bytes v)
{
    free((void *)(uintptr_t)v.data);
}

static const size_t LENGTHS[] = { 0,        1,        2,      16 * KIB - 1,   16 * KIB,
                                  64 * KIB, 65 * KIB, 200001, 4 * 1024 * KIB, 4 * 1024 * KIB + 1 };

static void a_value_comes_in_pieces_or_whole(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    for (size_t i = 0; i < COUNT(LENGTHS); i++) {
        struct taker t = { .want = value_new(s, "v", LENGTHS[i]), .refuse_at = SIZE_MAX };
        aril_store_item item = item_of(&t, "v");
        assert_status(aril_store_get(s, &item, 1, NULL), ARIL_OK);
        assert_came(&t, &item);
        free(t.room);
        value_free(t.want);
    }
    case_close(s);
}

static void a_buffer_does_where_values_are_whole(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    for (size_t i = 0; i < COUNT(LENGTHS); i++) {
        const size_t len = LENGTHS[i];
        struct taker t = { .want = value_new(s, "v", len), .refuse_at = SIZE_MAX };
        struct guarded g;
        guarded_init(&g, len);
        aril_store_item item = item_of(&t, "v");
        item.buffer = (aril_span){ g.data, g.len };
        assert_status(aril_store_get(s, &item, 1, NULL), ARIL_OK);
        assert_status(item.status, ARIL_OK);
        assert_int_equal(item.len, len);
        assert_null(t.room);
        assert_false(t.wrong);
        guarded_check(&g);
        if (t.pieces > 0) {
            assert_null(item.data);
            assert_int_equal(t.came, len);
            assert_true(is_filled(g.data, g.len, GUARD_FILLER));
        } else {
            assert_ptr_equal(item.data, g.data);
            assert_true(len == 0 || memcmp(g.data, t.want.data, len) == 0);
        }
        guarded_done(&g);
        value_free(t.want);
    }
    case_close(s);
}

static void nothing_is_taken_of_what_is_not_there(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    struct taker none = { .refuse_at = SIZE_MAX };
    struct taker there = { .want = value_new(s, "there", 100), .refuse_at = SIZE_MAX };
    aril_store_item items[] = { item_of(&none, "absent"), item_of(&there, "there") };
    assert_status(aril_store_get(s, items, COUNT(items), NULL), ARIL_OK);
    assert_status(items[0].status, ARIL_E_NOT_FOUND);
    assert_null(items[0].data);
    assert_int_equal(items[0].len, 0);
    assert_int_equal(none.pieces, 0);
    assert_null(none.room);
    assert_came(&there, &items[1]);
    free(there.room);
    value_free(there.want);
    case_close(s);
}

/* Of each length one that is refused at its beginning, one half way, one with its last piece; and
 * behind each one that is wanted. */
static void what_is_refused_does_not_disturb_the_next_value(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    enum { WAYS = 3, N = 2 * WAYS };
    for (size_t i = 0; i < COUNT(LENGTHS); i++) {
        const aril_bytes v = value_new(s, "refused", LENGTHS[i]);
        const aril_bytes next = value_new(s, "next", 64 * KIB + i);
        const size_t at[WAYS] = { 0, v.len / 2, v.len };
        struct taker takers[N] = { 0 };
        aril_store_item items[N];
        for (size_t j = 0; j < N; j++) {
            takers[j] = j % 2 == 0 ? (struct taker){ .want = v, .refuse_at = at[j / 2] }
                                   : (struct taker){ .want = next, .refuse_at = SIZE_MAX };
            items[j] = item_of(&takers[j], j % 2 == 0 ? "refused" : "next");
        }
        assert_status(aril_store_get(s, items, N, NULL), ARIL_OK);
        for (size_t j = 0; j < N; j++) {
            if (takers[j].refuse_at != SIZE_MAX && takers[j].pieces > 0) {
                assert_passed_over(&takers[j], &items[j]);
            } else {
                assert_came(&takers[j], &items[j]);
            }
            free(takers[j].room);
        }
        assert_value(s, TEXT("refused"), v);
        value_free(v);
        value_free(next);
    }
    case_close(s);
}

/* Pieces, rooms and buffers in one batch, and a buffer that is too small. */
static void each_item_of_a_batch_comes_its_way(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    enum { N = 40 };
    static uint8_t buffer[N][64 * 1024];
    aril_bytes values[N];
    struct taker takers[N];
    aril_store_item items[N];
    char names[N][24];
    for (unsigned i = 0; i < N; i++) {
        const aril_bytes name = numbered("b", i);
        memcpy(names[i], name.data, name.len + 1);
        values[i] = value_new(s, names[i], i % 5 == 0 ? 100 * KIB + i : (size_t)i * 700);
        takers[i] = (struct taker){ .want = values[i], .refuse_at = SIZE_MAX };
        items[i] = item_of(&takers[i], names[i]);
        if (i % 3 != 0) {
            items[i].take = NULL;
            items[i].room = NULL;
            items[i].buffer = (aril_span){ buffer[i], sizeof buffer[i] };
        }
    }
    assert_status(aril_store_get(s, items, N, NULL), ARIL_OK);
    for (unsigned i = 0; i < N; i++) {
        if (i % 3 == 0) {
            assert_came(&takers[i], &items[i]);
        } else if (values[i].len > sizeof buffer[i]) {
            assert_status(items[i].status, ARIL_E_USAGE_TOO_SMALL);
            assert_int_equal(items[i].len, values[i].len);
        } else {
            assert_status(items[i].status, ARIL_OK);
            assert_int_equal(items[i].len, values[i].len);
            assert_true(memcmp(buffer[i], values[i].data, values[i].len) == 0);
        }
        free(takers[i].room);
        value_free(values[i]);
    }
    case_close(s);
}

const struct cache_store_case cache_store_piece_cases[] = {
    { "a_value_comes_in_pieces_or_whole", a_value_comes_in_pieces_or_whole, 0, 0 },
    { "a_buffer_does_where_values_are_whole", a_buffer_does_where_values_are_whole, 0, 0 },
    { "nothing_is_taken_of_what_is_not_there", nothing_is_taken_of_what_is_not_there, 0, 0 },
    { "what_is_refused_does_not_disturb_the_next_value",
      what_is_refused_does_not_disturb_the_next_value, 0, 0 },
    { "each_item_of_a_batch_comes_its_way", each_item_of_a_batch_comes_its_way, 0, 0 },
    { NULL, NULL, 0, 0 },
};
