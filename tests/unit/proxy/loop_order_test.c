/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "proxy/credentials.h"
#include "proxy/run.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Whatever a command waits for (a link, a key, memory, a removal, a job, a passphrase), its
 * client's answers come in the order of its commands, each whole. Clients pipeline commands of all
 * kinds to a Cluster of two nodes, which say what they owe in pieces of any size and in any order
 * of the links; who has the next turn is drawn.
 */
#define CLIENTS   3u
#define COMMANDS  60u /* of each */
#define ROUNDS    12u
#define STEPS_MAX 400000u
#define KEYS      10u
#define LARGE     ((size_t)300 * 1024)
/* "correct horse", as in passphrase_test.c. */
#define ALICE                                                            \
    "alice:horse:argon2id:7168,5,1:7369787465656e2d62797465732d6162:"    \
    "b36f3fad576c0ddc24a3737d0551210f41f1b1291d372756e1976603765b214d:7" \
    "\n"
#define MAP                                                         \
    "*2\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$9\r\n127.0.0.1\r\n:7000\r\n" \
    "*3\r\n:8192\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:7001\r\n"

static struct proxy_peers p;
static uint64_t random_state;

static uint32_t draw(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % n;
}

struct text {
    uint8_t *data;
    size_t len, at;
};
static void put(struct text *t, aril_bytes bytes)
{
    if (bytes.len > 0) {
        t->data = realloc(t->data, t->len + bytes.len);
        assert_non_null(t->data);
        memcpy(t->data + t->len, bytes.data, bytes.len);
        t->len += bytes.len;
    }
}
static void put_bulk(struct text *t, aril_bytes bytes)
{
    char line[32];
    (void)snprintf(line, sizeof line, "$%zu\r\n", bytes.len);
    put(t, text_bytes(line));
    put(t, bytes);
    put(t, TEXT("\r\n"));
}
static void put_number(struct text *t, char type, size_t n)
{
    char line[32];
    (void)snprintf(line, sizeof line, "%c%zu\r\n", type, n);
    put(t, text_bytes(line));
}
static void text_done(struct text *t)
{
    free(t->data);
    memset(t, 0, sizeof *t);
}

/* --- The servers ---------------------------------------------------------------------------- */

/* Key i is the one that was put as number i. Of key 0 the value is long, of 1 to 3 bad, of 4 and 5
 * under a former key of the tenant. */
#define IS_BAD(i) ((i) >= 1 && (i) <= 3)
static struct entry {
    uint8_t name[128];
    size_t name_len;
    struct text value;
} store[KEYS];
static size_t stored;
static uint8_t large[LARGE];

static struct server {
    struct text out, queued;
    size_t in_multi; /* 1 and how many commands wait for EXEC; 0: none */
} servers[PROXY_PEERS_MAX];

static const struct entry *find(aril_bytes name)
{
    for (size_t i = 0; i < stored; i++) {
        if (store[i].name_len == name.len && memcmp(store[i].name, name.data, name.len) == 0) {
            return &store[i];
        }
    }
    fail_msg("a name that nobody put");
    return NULL;
}

/* Values stay as they were put: a bad one is found again each time. */
static void answer(struct text *out, const aril_bytes *args, size_t count)
{
    if (arili_word_is(args[0], "setex")) {
        struct entry *e = &store[stored++];
        assert_true(args[1].len <= sizeof e->name);
        memcpy(e->name, args[1].data, args[1].len);
        e->name_len = args[1].len;
        put(&e->value, args[3]);
        put(out, TEXT("+OK\r\n"));
    } else if (arili_word_is(args[0], "cluster")) {
        put(out, TEXT(MAP));
    } else if (arili_word_is(args[0], "get") || arili_word_is(args[0], "getrange")) {
        const struct entry *e = find(args[1]);
        const size_t most = count == 2 ? e->value.len : ARILI_VALUE_HEADER_BYTES;
        put_bulk(out, (aril_bytes){ e->value.data, e->value.len < most ? e->value.len : most });
    } else if (arili_word_is(args[0], "mget")) {
        put_number(out, '*', count - 1);
        for (size_t i = 1; i < count; i++) {
            const struct entry *e = find(args[i]);
            put_bulk(out, (aril_bytes){ e->value.data, e->value.len });
        }
    } else if (arili_word_is(args[0], "ttl")) {
        put_number(out, ':', 1000 + (size_t)(find(args[1]) - store));
    } else if (arili_word_is(args[0], "scan")) {
        put(out, TEXT("*2\r\n$1\r\n0\r\n*0\r\n"));
    } else if (arili_word_is(args[0], "watch") || arili_word_is(args[0], "set") ||
               arili_word_is(args[0], "hello")) {
        put(out, TEXT("+OK\r\n"));
    } else if (arili_word_is(args[0], "unlink") || arili_word_is(args[0], "persist")) {
        put(out, TEXT(":1\r\n"));
    } else {
        fail_msg("what is %.*s?", (int)args[0].len, (const char *)args[0].data);
    }
}

static void serve(size_t n)
{
    struct server *s = &servers[n];
    aril_bytes args[8];
    size_t count = 0;
    while (proxy_command(&p.links[n], args, COUNT(args), &count)) {
        if (arili_word_is(args[0], "multi")) {
            s->in_multi = 1;
            put(&s->out, TEXT("+OK\r\n"));
        } else if (arili_word_is(args[0], "exec")) {
            put_number(&s->out, '*', s->in_multi - 1);
            put(&s->out, (aril_bytes){ s->queued.data, s->queued.len });
            text_done(&s->queued);
            s->in_multi = 0;
        } else if (s->in_multi > 0) {
            s->in_multi++;
            answer(&s->queued, args, count);
            put(&s->out, TEXT("+QUEUED\r\n"));
        } else {
            answer(&s->out, args, count);
        }
    }
}

/* Connect, hear, and say up to most of what is owed. */
static void turn(size_t n, size_t most)
{
    struct server *s = &servers[n];
    if (p.links[n].peer == NULL) {
        return;
    }
    (void)proxy_link(&p, n);
    serve(n);
    const size_t left = s->out.len - s->out.at;
    const aril_bytes piece = { s->out.data + s->out.at, left < most ? left : most };
    s->out.at += piece.len;
    if (piece.len > 0) {
        proxy_say(&p.links[n], piece);
    }
}

/* --- Beginning ------------------------------------------------------------------------------ */

static struct proxy_peer *login(void)
{
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "AUTH", "alice", "correct horse");
    proxy_work(&p);
    proxy_heard_is(c, "+OK\r\n");
    return c;
}

static size_t value_of(size_t i, char room[32])
{
    return (size_t)snprintf(room, 32, "value %zu", i);
}

static void put_key(struct proxy_peer *c, size_t i)
{
    struct text t = { .data = NULL };
    char key[32], value[32];
    (void)snprintf(key, sizeof key, "key%zu", i);
    put(&t, TEXT("*4\r\n$5\r\nSETEX\r\n"));
    put_bulk(&t, text_bytes(key));
    put(&t, TEXT("$4\r\n1000\r\n"));
    const aril_bytes text = { (const uint8_t *)value, value_of(i, value) };
    put_bulk(&t, i == 0 ? (aril_bytes){ large, LARGE } : text);
    proxy_say(c, (aril_bytes){ t.data, t.len });
    text_done(&t);
    for (size_t n = 0; n < p.link_count; n++) {
        turn(n, SIZE_MAX);
        for (size_t k = 0; k <= n; k++) {
            turn(k, SIZE_MAX);
        }
    }
    proxy_heard_is(c, "+OK\r\n");
    if (IS_BAD(i)) {
        store[i].value.data[store[i].value.len - 1] ^= 1;
    }
}

static int setup(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    aril_error error;
    config->upstream.cluster = true;
    config->upstream.links_max = 2;
    config->upstream.answer_ms = config->login_ms = config->command_ms = 3600000;
    config->memory_max = 700000; /* no room for two long values at a time */
    arili_free(config->listeners[0].tenant, strlen(config->listeners[0].tenant) + 1);
    config->listeners[0].tenant = NULL;
    config->listeners[0].auth = ARILI_AUTH_PASSWORD;
    memset(large, 'v', LARGE);
    proxy_peers_init(&p, config);
    assert_status(arili_credentials_parse(p.w.rt, "users", TEXT(ALICE),
                                          &p.proxy->settings->credentials, &error),
                  ARIL_OK);
    struct proxy_peer *c = login();
    static const size_t former[] = { 0, 1, 2, 3, 4, 5 };
    stored = 0;
    for (size_t i = 0; i < COUNT(former); i++) {
        put_key(c, i);
    }
    assert_status(home_rotate(&p.h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    arili_proxy_refresh(p.proxy);
    for (size_t i = COUNT(former); i < KEYS; i++) {
        put_key(c, i);
    }
    return 0;
}

static void forget_servers(void)
{
    for (size_t n = 0; n < PROXY_PEERS_MAX; n++) {
        text_done(&servers[n].out);
        text_done(&servers[n].queued);
        servers[n].in_multi = 0;
    }
}

static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    forget_servers();
    for (size_t i = 0; i < KEYS; i++) {
        text_done(&store[i].value);
    }
    return 0;
}

/* --- The clients ---------------------------------------------------------------------------- */

static struct script {
    struct proxy_peer *peer;
    struct text asks, hears; /* hears.at: so much of it was heard */
} scripts[CLIENTS];

static void hears_value(struct script *s, size_t i)
{
    char value[32];
    if (IS_BAD(i)) {
        put(&s->hears, TEXT("$-1\r\n"));
    } else if (i == 0) {
        put_bulk(&s->hears, (aril_bytes){ large, LARGE });
    } else {
        const aril_bytes text = { (const uint8_t *)value, value_of(i, value) };
        put_bulk(&s->hears, text);
    }
}

/* One more command, and what it is answered with. */
static void write_command(struct script *s, size_t number)
{
    char line[128];
    const unsigned i = draw(KEYS);
    const unsigned j = draw(KEYS);
    switch (draw(9)) {
    case 0:
        (void)snprintf(line, sizeof line, "ECHO %zu\r\n", number);
        char text[32];
        (void)snprintf(text, sizeof text, "%zu", number);
        put_bulk(&s->hears, text_bytes(text));
        break;
    case 1:
        (void)snprintf(line, sizeof line, "TTL key%u\r\n", i);
        put_number(&s->hears, ':', 1000 + i);
        break;
    case 2:
        (void)snprintf(line, sizeof line, "GETEX key%u PERSIST\r\n", i);
        hears_value(s, i);
        break;
    case 3:
        (void)snprintf(line, sizeof line, "PERSIST key%u\r\n", i);
        put(&s->hears, IS_BAD(i) ? TEXT(":0\r\n") : TEXT(":1\r\n"));
        break;
    case 4:
        (void)snprintf(line, sizeof line, "MGET key%u key%u\r\n", i, j);
        put_number(&s->hears, '*', 2);
        hears_value(s, i);
        hears_value(s, j);
        break;
    case 5:
        (void)snprintf(line, sizeof line, "DBSIZE\r\n");
        put(&s->hears, TEXT(":0\r\n"));
        break;
    case 6:
        if (draw(4) == 0) {
            (void)snprintf(line, sizeof line, "AUTH alice \"correct horse\"\r\n");
            put(&s->hears, TEXT("+OK\r\n"));
            break;
        }
        /* fall through */
    default:
        (void)snprintf(line, sizeof line, "GET key%u\r\n", i);
        hears_value(s, i);
        break;
    }
    put(&s->asks, text_bytes(line));
}

/* What it heard goes on as it shall. */
static void check_heard(struct script *s)
{
    const aril_bytes heard = proxy_heard(s->peer);
    const uint8_t *wanted = s->hears.data + s->hears.at;
    assert_false(proxy_is_closed(s->peer));
    assert_true(heard.len <= s->hears.len - s->hears.at);
    if (heard.len > 0 && memcmp(heard.data, wanted, heard.len) != 0) {
        size_t at = 0;
        while (heard.data[at] == wanted[at]) {
            at++;
        }
        fail_msg("heard \"%.*s\", not \"%.*s\"", (int)(heard.len - at < 60 ? heard.len - at : 60),
                 (const char *)heard.data + at, 60, (const char *)wanted + at);
    }
    s->hears.at += heard.len;
}

static bool all_heard(void)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (scripts[i].hears.at < scripts[i].hears.len) {
            return false;
        }
    }
    return true;
}

/* What was waited for: each must have come up, or the test shows nothing of it. */
static struct {
    bool link, memory, key, job, removal, login;
} met;

static void look_who_waits(void)
{
    for (const struct arili_peer *q = p.loop->all_links; q != NULL; q = q->next) {
        const struct arili_link *link = (const struct arili_link *)q;
        if (link->stuck && link->count > 0) {
            const struct arili_request *r = link->expected[link->first].request;
            met.memory = met.memory || r->wants_memory;
            met.key = met.key || r->waiting != NULL;
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        const struct arili_client *c = (const struct arili_client *)scripts[i].peer->peer;
        met.link = met.link || c->waits_for_link;
        met.login = met.login || c->login != NULL;
        met.job = met.job || c->job != NULL;
        met.removal = met.removal || (c->first != NULL && c->first->frozen);
    }
}

static void step(void)
{
    static const uint32_t pieces[] = { 1, 20, 200, 5000, 400000 };
    struct script *s = &scripts[draw(CLIENTS)];
    const uint32_t most = 1 + draw(pieces[draw(COUNT(pieces))]);
    switch (draw(8)) {
    case 0:
    case 1: {
        const size_t left = s->asks.len - s->asks.at;
        const size_t n = left < most ? left : most;
        if (n > 0) {
            proxy_say(s->peer, (aril_bytes){ s->asks.data + s->asks.at, n });
            s->asks.at += n;
        }
        break;
    }
    case 2:
        proxy_work(&p);
        break;
    case 3:
        proxy_tick(&p, draw(50));
        break;
    case 4:
        arili_key_table_done(&p.loop->keys); /* as if they had not been used for long */
        break;
    default:
        if (p.link_count > 0) {
            turn(draw((uint32_t)p.link_count), most);
        }
        break;
    }
}

static void answers_come_in_the_order_of_their_commands(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        proxy_peers_end(&p);
        forget_servers();
        const uint64_t now_ns = p.now_ns;
        proxy_peers_begin(&p);
        p.now_ns = now_ns; /* the limit of wrong passphrases goes by a clock that never goes back */
        proxy_tick(&p, 1);
        random_state = round;
        p.tasks_wait = true;
        for (size_t i = 0; i < CLIENTS; i++) {
            scripts[i] = (struct script){ .peer = login() };
            for (size_t k = 0; k < COMMANDS; k++) {
                write_command(&scripts[i], 100 * i + k);
            }
        }
        for (unsigned n = 0; !all_heard(); n++) {
            if (n == STEPS_MAX) {
                for (size_t i = 0; i < CLIENTS; i++) {
                    print_message("client %zu heard %zu of %zu\n", i, scripts[i].hears.at,
                                  scripts[i].hears.len);
                }
                fail_msg("round %u stands still", (unsigned)round);
            }
            step();
            look_who_waits();
            for (size_t i = 0; i < CLIENTS; i++) {
                check_heard(&scripts[i]);
            }
        }
        for (size_t i = 0; i < CLIENTS; i++) {
            text_done(&scripts[i].asks);
            text_done(&scripts[i].hears);
        }
    }
    assert_true(met.link && met.memory && met.key && met.job && met.removal && met.login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_come_in_the_order_of_their_commands, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
