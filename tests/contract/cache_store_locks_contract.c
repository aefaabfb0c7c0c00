/* SPDX-License-Identifier: Apache-2.0 */
/* Listing names, locks with fences, and messages. */
#include "cache_store_cases.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NAMES        600u
#define LONG_TTL_MS  600000u
#define SHORT_TTL_MS 40u

/* --- Listing ------------------------------------------------------------------------------- */

struct listing {
    aril_store *store;
    unsigned seen[NAMES]; /* of "PREFIXnumber" */
    unsigned others, total, stop_after;
    const char *prefix;
    unsigned fresh;
};

static int count_name(void *user, aril_bytes name)
{
    struct listing *const l = user;
    const size_t n = strlen(l->prefix);
    char text[32] = { 0 };
    l->total++;
    if (name.len > n && name.len < n + 8 && memcmp(name.data, l->prefix, n) == 0) {
        memcpy(text, name.data + n, name.len - n);
        char *rest = NULL;
        const unsigned long number = strtoul(text, &rest, 10);
        if (*rest == '\0' && number < NAMES) {
            l->seen[number]++;
            return l->stop_after != 0 && l->total >= l->stop_after;
        }
    }
    l->others++;
    return l->stop_after != 0 && l->total >= l->stop_after;
}

static void put_names(aril_store *s, const char *prefix, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        put(s, numbered(prefix, i), TEXT("v"));
    }
}

static void every_name_is_listed(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    static struct listing l;
    l = (struct listing){ .prefix = "list:a:" };
    assert_status(aril_store_scan(s, TEXT(""), count_name, &l, NULL), ARIL_OK);
    assert_int_equal(l.total, 0);
    put_names(s, "list:a:", NAMES);
    put_names(s, "list:b:", 20);
    put_names(s, "lisu", 20);
    assert_status(aril_store_scan(s, TEXT("list:a:"), count_name, &l, NULL), ARIL_OK);
    for (unsigned i = 0; i < NAMES; i++) {
        assert_int_equal(l.seen[i], 1);
    }
    assert_int_equal(l.others, 0);
    l = (struct listing){ .prefix = "list:a:" };
    assert_status(aril_store_scan(s, TEXT(""), count_name, &l, NULL), ARIL_OK);
    assert_int_equal(l.total, NAMES + 40);
    l = (struct listing){ .prefix = "list:a:" };
    assert_status(aril_store_scan(s, TEXT("list:a:59"), count_name, &l, NULL), ARIL_OK);
    assert_int_equal(l.total, 11); /* 59, 590 to 599 */
    l = (struct listing){ .prefix = "list:a:" };
    assert_status(aril_store_scan(s, TEXT("list:c"), count_name, &l, NULL), ARIL_OK);
    assert_int_equal(l.total, 0);
    case_close(s);
}

static void listing_ends_when_the_visitor_says_so(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    put_names(s, "n", 100);
    static struct listing l;
    for (unsigned stop = 1; stop <= 100; stop += 33) {
        l = (struct listing){ .prefix = "n", .stop_after = stop };
        assert_status(aril_store_scan(s, TEXT("n"), count_name, &l, NULL), ARIL_OK);
        assert_int_equal(l.total, stop);
    }
    case_close(s);
}

static int count_all(void *user, aril_bytes name)
{
    unsigned *const n = user;
    (void)name;
    (*n)++;
    return 0;
}

/* What other software takes for a pattern, and what has no next prefix. */
static void prefixes_are_bytes_and_no_patterns(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    static const char *const prefixes[] = { "*",    "?",        "[a-z]", "\\",  "a\\", "%",  "_",
                                            "\xff", "\xff\xff", "/",     "../", ".",   "{x}" };
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        put(s, numbered(prefixes[i], 1), TEXT("v"));
        put(s, numbered(prefixes[i], 2), TEXT("v"));
    }
    put(s, TEXT("plain"), TEXT("v"));
    put(s, (aril_bytes){ (const uint8_t *)"\0a", 2 }, TEXT("v"));
    put(s, (aril_bytes){ (const uint8_t *)"\0b", 2 }, TEXT("v"));
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        unsigned n = 0;
        assert_status(aril_store_scan(s, text_bytes(prefixes[i]), count_all, &n, NULL), ARIL_OK);
        const bool also_longer = strcmp(prefixes[i], "\xff") == 0 || strcmp(prefixes[i], ".") == 0;
        assert_int_equal(n, also_longer ? 4 : 2);
    }
    unsigned n = 0;
    assert_status(aril_store_scan(s, (aril_bytes){ (const uint8_t *)"", 1 }, count_all, &n, NULL),
                  ARIL_OK);
    assert_int_equal(n, 2);
    case_close(s);
}

/* Each is the next one of the one before, with nothing in between: none is passed over where a
 * listing goes on. */
static void names_that_begin_with_one_another_are_all_listed(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    static const uint8_t zeros[500];
    for (size_t len = 1; len <= sizeof zeros; len++) {
        put(s, (aril_bytes){ zeros, len }, TEXT("v"));
    }
    unsigned n = 0;
    assert_status(aril_store_scan(s, TEXT(""), count_all, &n, NULL), ARIL_OK);
    assert_int_equal(n, sizeof zeros);
    n = 0;
    assert_status(aril_store_scan(s, (aril_bytes){ zeros, 100 }, count_all, &n, NULL), ARIL_OK);
    assert_int_equal(n, sizeof zeros - 99);
    case_close(s);
}

/* Puts one name and deletes another for each that it sees, up to as many as there were. */
static int change_meanwhile(void *user, aril_bytes name)
{
    struct listing *const l = user;
    (void)count_name(user, name);
    if (l->fresh < 300) {
        put(l->store, numbered("fresh", l->fresh), TEXT("v"));
        const aril_status st = try_delete(l->store, numbered("going", l->fresh));
        assert_true(st == ARIL_OK || st == ARIL_E_NOT_FOUND);
        l->fresh++;
    }
    return 0;
}

static void what_stays_is_listed_while_others_come_and_go(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    put_names(s, "going", 300);
    put_names(s, "stays", NAMES);
    static struct listing l;
    l = (struct listing){ .store = s, .prefix = "stays" };
    assert_status(aril_store_scan(s, TEXT(""), change_meanwhile, &l, NULL), ARIL_OK);
    for (unsigned i = 0; i < NAMES; i++) {
        assert_true(l.seen[i] >= 1);
    }
    assert_int_equal(l.fresh, 300);
    for (unsigned i = 0; i < 300; i++) {
        assert_nothing(s, numbered("going", i));
        assert_value(s, numbered("fresh", i), TEXT("v"));
    }
    case_close(s);
}

/* --- Locks --------------------------------------------------------------------------------- */

static uint64_t lock(aril_store *s, aril_bytes name, uint32_t ttl_ms)
{
    uint64_t fence = 0;
    assert_status(aril_store_lock(s, name, ttl_ms, &fence, NULL), ARIL_OK);
    assert_true(fence > 0);
    return fence;
}

static void assert_locked(aril_store *s, aril_bytes name)
{
    uint64_t fence = 77;
    aril_error error = { .status = ARIL_OK };
    assert_status(aril_store_lock(s, name, LONG_TTL_MS, &fence, &error), ARIL_E_EXISTS);
    assert_int_equal(fence, 0);
    assert_status(error.status, ARIL_E_EXISTS);
}

static aril_status guarded_put(aril_store *s, aril_bytes lock_name, uint64_t fence, aril_bytes name,
                               aril_bytes value)
{
    const aril_store_item item = { .name = name, .lock = lock_name, .fence = fence };
    return try_put_item(s, item, value);
}

static void one_holds_a_lock_at_a_time(void **state)
{
    (void)state;
    aril_store *const a = case_open();
    aril_store *const b = case_open();
    const uint64_t first = lock(a, TEXT("l"), LONG_TTL_MS);
    assert_locked(a, TEXT("l"));
    assert_locked(b, TEXT("l"));
    const uint64_t other = lock(b, TEXT("m"), LONG_TTL_MS); /* another name, another lock */
    assert_status(aril_store_unlock(a, TEXT("l"), first, NULL), ARIL_OK);
    const uint64_t second = lock(b, TEXT("l"), LONG_TTL_MS);
    assert_true(second > first);
    assert_status(aril_store_unlock(a, TEXT("l"), first, NULL), ARIL_E_REPLAY_STALE);
    assert_locked(a, TEXT("l"));
    assert_status(aril_store_unlock(a, TEXT("l"), second, NULL), ARIL_OK); /* by any store */
    assert_status(aril_store_unlock(b, TEXT("l"), second, NULL), ARIL_E_REPLAY_STALE);
    assert_status(aril_store_unlock(b, TEXT("m"), other, NULL), ARIL_OK);
    assert_status(aril_store_unlock(b, TEXT("never"), 1, NULL), ARIL_E_REPLAY_STALE);
    uint64_t before = second;
    for (unsigned i = 0; i < 20; i++) {
        const uint64_t fence = lock(i % 2 == 0 ? a : b, TEXT("l"), LONG_TTL_MS);
        assert_true(fence > before);
        before = fence;
        assert_status(aril_store_unlock(a, TEXT("l"), fence, NULL), ARIL_OK);
    }
    uint64_t fence = 0;
    assert_status(aril_store_lock(a, TEXT("l"), 0, &fence, NULL), ARIL_E_USAGE_RANGE);
    case_close(a);
    case_close(b);
}

/* Locks and what they guard have one hash tag: over a Cluster it must be so. */
static void who_was_too_slow_writes_nothing(void **state)
{
    (void)state;
    aril_store *const slow = case_open();
    aril_store *const quick = case_open();
    const uint64_t old = lock(slow, TEXT("{g}l"), SHORT_TTL_MS);
    uint64_t now = 0;
    aril_status st = ARIL_OK;
    for (poll_begin();
         (st = aril_store_lock(quick, TEXT("{g}l"), LONG_TTL_MS, &now, NULL)) == ARIL_E_EXISTS;
         poll_again()) {
    }
    assert_status(st, ARIL_OK);
    assert_true(now > old);
    assert_status(guarded_put(slow, TEXT("{g}l"), old, TEXT("{g}n"), TEXT("slow")),
                  ARIL_E_REPLAY_STALE);
    assert_nothing(quick, TEXT("{g}n"));
    assert_status(guarded_put(quick, TEXT("{g}l"), now, TEXT("{g}n"), TEXT("quick")), ARIL_OK);
    assert_status(guarded_put(slow, TEXT("{g}l"), old, TEXT("{g}n"), TEXT("slow")),
                  ARIL_E_REPLAY_STALE);
    assert_value(slow, TEXT("{g}n"), TEXT("quick"));
    assert_status(aril_store_unlock(slow, TEXT("{g}l"), old, NULL), ARIL_E_REPLAY_STALE);
    assert_locked(slow, TEXT("{g}l"));
    assert_status(guarded_put(quick, TEXT("{g}l"), now, TEXT("{g}n"), TEXT("again")), ARIL_OK);
    assert_value(slow, TEXT("{g}n"), TEXT("again"));
    assert_status(aril_store_unlock(quick, TEXT("{g}l"), now, NULL), ARIL_OK);
    assert_status(guarded_put(quick, TEXT("{g}l"), now, TEXT("{g}n"), TEXT("late")),
                  ARIL_E_REPLAY_STALE);
    assert_value(slow, TEXT("{g}n"), TEXT("again"));
    case_close(slow);
    case_close(quick);
}

static void a_guarded_put_needs_exactly_its_lock(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    const uint64_t a = lock(s, TEXT("{g}a"), LONG_TTL_MS);
    const uint64_t b = lock(s, TEXT("{g}b"), LONG_TTL_MS);
    assert_status(guarded_put(s, TEXT("{g}never"), a, TEXT("{g}n"), TEXT("x")),
                  ARIL_E_REPLAY_STALE);
    assert_status(guarded_put(s, TEXT("{g}a"), a + 1000, TEXT("{g}n"), TEXT("x")),
                  ARIL_E_REPLAY_STALE);
    assert_status(guarded_put(s, TEXT("{g}a"), 0, TEXT("{g}n"), TEXT("x")), ARIL_E_REPLAY_STALE);
    assert_status(guarded_put(s, TEXT("{g}a"), UINT64_MAX, TEXT("{g}n"), TEXT("x")),
                  ARIL_E_REPLAY_STALE);
    assert_nothing(s, TEXT("{g}n"));
    /* In one batch each item has its own. */
    const aril_bytes v = TEXT("v");
    aril_store_item items[] = {
        { .name = TEXT("{g}1"), .parts = &v, .part_count = 1, .lock = TEXT("{g}a"), .fence = a },
        { .name = TEXT("{g}2"),
          .parts = &v,
          .part_count = 1,
          .lock = TEXT("{g}a"),
          .fence = a + 1000 },
        { .name = TEXT("{g}3"), .parts = &v, .part_count = 1, .lock = TEXT("{g}b"), .fence = b },
        { .name = TEXT("{g}4"), .parts = &v, .part_count = 1 },
    };
    assert_status(aril_store_put(s, items, COUNT(items), NULL), ARIL_OK);
    assert_status(items[0].status, ARIL_OK);
    assert_status(items[1].status, ARIL_E_REPLAY_STALE);
    assert_status(items[2].status, ARIL_OK);
    assert_status(items[3].status, ARIL_OK);
    assert_nothing(s, TEXT("{g}2"));
    assert_value(s, TEXT("{g}1"), v);
    case_close(s);
}

static void locks_are_no_values(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    const uint64_t fence = lock(s, TEXT("n"), LONG_TTL_MS);
    assert_nothing(s, TEXT("n"));
    put(s, TEXT("n"), TEXT("value")); /* not guarded: the lock does not keep it away */
    assert_value(s, TEXT("n"), TEXT("value"));
    assert_locked(s, TEXT("n"));
    assert_status(try_delete(s, TEXT("n")), ARIL_OK);
    assert_locked(s, TEXT("n"));
    if ((cache_store_subject->capabilities & ARIL_STORE_LIST) != 0) {
        unsigned n = 0;
        assert_status(aril_store_scan(s, TEXT(""), count_all, &n, NULL), ARIL_OK);
        assert_int_equal(n, 0);
    }
    assert_status(aril_store_unlock(s, TEXT("n"), fence, NULL), ARIL_OK);
    uint8_t name[ARIL_STORE_NAME_BYTES_MAX];
    memset(name, 0xff, sizeof name);
    name[0] = 0;
    (void)lock(s, (aril_bytes){ name, sizeof name }, LONG_TTL_MS);
    assert_locked(s, (aril_bytes){ name, sizeof name });
    case_close(s);
}

/* --- Messages ------------------------------------------------------------------------------ */

struct inbox {
    pthread_mutex_t mutex;
    unsigned right, wrong;
};

static void receive(void *user, aril_bytes message)
{
    struct inbox *const in = user;
    (void)pthread_mutex_lock(&in->mutex);
    if (message.len == 6 && memcmp(message.data, "he\0llo", 6) == 0) {
        in->right++;
    } else if (message.len > 0) { /* len 0: some may have been lost */
        in->wrong++;
    }
    (void)pthread_mutex_unlock(&in->mutex);
}

static unsigned right_ones(struct inbox *in)
{
    (void)pthread_mutex_lock(&in->mutex);
    const unsigned n = in->right;
    (void)pthread_mutex_unlock(&in->mutex);
    return n;
}

static void messages_reach_who_listens_on_the_channel(void **state)
{
    (void)state;
    static struct inbox in[2];
    aril_store *const listeners[2] = { case_open(), case_open() };
    aril_store *const sender = case_open();
    for (size_t i = 0; i < 2; i++) {
        in[i] = (struct inbox){ .mutex = PTHREAD_MUTEX_INITIALIZER };
        assert_status(aril_store_listen(listeners[i], TEXT("channel\xff"), receive, &in[i], NULL),
                      ARIL_OK);
        assert_status(aril_store_listen(listeners[i], TEXT("channel"), receive, &in[i], NULL),
                      ARIL_E_USAGE_STATE);
    }
    const aril_bytes message = { (const uint8_t *)"he\0llo", 6 };
    /* Sent again until it comes: a subscription may take its time. */
    for (poll_begin(); right_ones(&in[0]) == 0 || right_ones(&in[1]) == 0; poll_again()) {
        assert_status(aril_store_publish(sender, TEXT("channel"), TEXT("wrong"), NULL), ARIL_OK);
        assert_status(aril_store_publish(sender, TEXT("channel\xff"), message, NULL), ARIL_OK);
    }
    assert_status(aril_store_publish(sender, TEXT("channel"), TEXT(""), NULL), ARIL_E_USAGE_RANGE);
    for (size_t i = 0; i < 2; i++) {
        case_close(listeners[i]); /* nothing comes after it */
        assert_int_equal(in[i].wrong, 0);
    }
    case_close(sender);
}

static void a_store_can_be_closed_while_messages_come(void **state)
{
    (void)state;
    static struct inbox in;
    for (unsigned round = 0; round < 10; round++) {
        in = (struct inbox){ .mutex = PTHREAD_MUTEX_INITIALIZER };
        aril_store *const s = case_open();
        assert_status(aril_store_listen(s, TEXT("c"), receive, &in, NULL), ARIL_OK);
        for (unsigned i = 0; i < 50; i++) {
            assert_status(aril_store_publish(s, TEXT("c"), numbered("m", i), NULL), ARIL_OK);
        }
        case_close(s);
    }
}

const struct cache_store_case cache_store_scan_cases[] = {
    { "every_name_is_listed", every_name_is_listed, ARIL_STORE_LIST, 0 },
    { "listing_ends_when_the_visitor_says_so", listing_ends_when_the_visitor_says_so,
      ARIL_STORE_LIST, 0 },
    { "prefixes_are_bytes_and_no_patterns", prefixes_are_bytes_and_no_patterns, ARIL_STORE_LIST,
      0 },
    { "names_that_begin_with_one_another_are_all_listed",
      names_that_begin_with_one_another_are_all_listed, ARIL_STORE_LIST, 0 },
    { "what_stays_is_listed_while_others_come_and_go",
      what_stays_is_listed_while_others_come_and_go, ARIL_STORE_LIST, 0 },
    { NULL, NULL, 0, 0 },
};
const struct cache_store_case cache_store_lock_cases[] = {
    { "one_holds_a_lock_at_a_time", one_holds_a_lock_at_a_time, ARIL_STORE_LOCK, 0 },
    { "who_was_too_slow_writes_nothing", who_was_too_slow_writes_nothing, ARIL_STORE_LOCK, 0 },
    { "a_guarded_put_needs_exactly_its_lock", a_guarded_put_needs_exactly_its_lock, ARIL_STORE_LOCK,
      0 },
    { "locks_are_no_values", locks_are_no_values, ARIL_STORE_LOCK, 0 },
    { "messages_reach_who_listens_on_the_channel", messages_reach_who_listens_on_the_channel,
      ARIL_STORE_NOTIFY, 0 },
    { "a_store_can_be_closed_while_messages_come", a_store_can_be_closed_while_messages_come,
      ARIL_STORE_NOTIFY, 0 },
    { NULL, NULL, 0, 0 },
};
