/* SPDX-License-Identifier: Apache-2.0 */
/* Target: the loop of the proxy, with clients and servers that say anything, at any time. Corpus:
 * corpus/proxy_loop/, made by tests/scripts/gen_proxy_loop_corpus.py, which says what an input is:
 * steps of one byte and what they need.
 * Properties: whatever is said, what a server hears are commands and no plaintext; what a client
 * hears are answers, at most one for each command and one for what is none; when all is over no
 * client, link, block or reservation is left. */
#include "proxy_peers.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX ((size_t)1 << 13)
#define PEERS_MAX       24u
#define CLIENTS_MAX     4u
#define SEALED_MIN      ARILI_VALUE_HEADER_BYTES
/* Clients say it, and no server may hear it. */
#define SECRET "plaintext of nobody else"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(int cond)
{
    if (!cond) {
        abort();
    }
}

static struct proxy_peers p;
static struct said {
    uint8_t bytes[INPUT_BYTES_MAX];
    size_t len;
} said[PEERS_MAX];

static void clean_up(void)
{
    proxy_peers_begin(&p);
    proxy_peers_done(&p);
    (void)temp_folder_remove(NULL);
}

static void set_up(void)
{
    static int ready;
    if (ready) {
        return;
    }
    ready = 1;
    demand(setenv("CMOCKA_TEST_ABORT", "1", 1) == 0); /* what the fixtures demand, too */
    demand(temp_folder_make_quick(NULL) == 0);
    struct arili_proxy_config *config = proxy_peers_config();
    config->memory_max = (uint64_t)1 << 20;
    config->max_verified_value = (uint64_t)1 << 19;
    config->pipeline_max = 16;
    config->client_out_max = 4096;
    proxy_peers_init(&p, config);
    proxy_peers_end(&p);
    demand(atexit(clean_up) == 0);
}

/* --- What holds ----------------------------------------------------------------------------- */

static struct arili_resp_decoder decoder(bool commands)
{
    struct arili_resp_decoder d;
    const struct arili_resp_limits limits = {
        .bulk_max = UINT64_C(1) << 40, .count_max = UINT32_MAX, .resp3 = true, .commands = commands
    };
    arili_resp_decoder_init(&d, &limits);
    return d;
}

/* How many whole values there are; ret_bad: something was none. */
static uint64_t count(bool commands, aril_bytes in, bool *ret_bad)
{
    struct arili_resp_decoder d = decoder(commands);
    struct arili_resp_event e;
    uint64_t n = 0;
    *ret_bad = false;
    do {
        if (arili_resp_next(&d, &in, &e) != ARIL_OK) {
            *ret_bad = true;
            return n;
        }
        n += e.kind == ARILI_RESP_END;
    } while (e.kind != ARILI_RESP_MORE);
    return n;
}

static bool holds(aril_bytes text, const char *word)
{
    const size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++) {
        if (text.data[i] == (uint8_t)word[0] && memcmp(text.data + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

static void check(void)
{
    bool bad = false;
    for (size_t i = 0; i < p.link_count; i++) {
        const aril_bytes heard = { p.links[i].heard, p.links[i].heard_len };
        (void)count(true, heard, &bad);
        demand(!bad && !holds(heard, SECRET));
    }
    for (size_t i = 0; i < p.client_count; i++) {
        const aril_bytes heard = { p.clients[i].heard, p.clients[i].heard_len };
        const uint64_t answers = count(false, heard, &bad);
        demand(!bad);
        demand(answers <= count(true, (aril_bytes){ said[i].bytes, said[i].len }, &bad) + 1);
    }
}

/* --- Steps ---------------------------------------------------------------------------------- */

/* The last sealed value that a link heard, put as an answer; flip: which byte is changed. */
static void say_sealed(struct proxy_peer *link, uint8_t flip)
{
    struct arili_resp_decoder d = decoder(true);
    struct arili_resp_event e;
    aril_bytes in = { link->heard, link->heard_len };
    aril_bytes last = { NULL, 0 };
    char line[32];
    while (link->heard_len > 0 && arili_resp_next(&d, &in, &e) == ARIL_OK &&
           e.kind != ARILI_RESP_MORE) {
        last = e.kind == ARILI_RESP_BODY && e.text.len > SEALED_MIN ? e.text : last;
    }
    if (last.data == NULL) {
        return;
    }
    uint8_t *const copy = malloc(last.len);
    demand(copy != NULL);
    memcpy(copy, last.data, last.len);
    copy[flip % last.len] ^= flip != 0;
    const int n = snprintf(line, sizeof line, "$%zu\r\n", last.len);
    proxy_say(link, (aril_bytes){ (const uint8_t *)line, (size_t)n });
    proxy_say(link, (aril_bytes){ copy, last.len });
    proxy_say(link, TEXT("\r\n"));
    free(copy);
}

static void client_step(unsigned op, struct proxy_peer *c, struct said *s, aril_bytes text)
{
    switch (op) {
    case 1:
        memcpy(s->bytes + s->len, text.data, text.len); /* not more than the input has */
        s->len += text.len;
        proxy_say(c, text);
        break;
    case 6:
        proxy_go(c);
        break;
    default:
        c->deaf = !c->deaf;
        if (!c->deaf) {
            proxy_listen(c);
        }
        break;
    }
}

static void link_step(unsigned op, struct proxy_peer *link, uint8_t number, aril_bytes text)
{
    switch (op) {
    case 2:
        if (!link->connecting) {
            proxy_say(link, text);
        }
        break;
    case 3:
        (void)proxy_link(&p, (size_t)(link - p.links));
        break;
    case 4:
        for (unsigned i = 0; i <= number % 8u && !link->connecting; i++) {
            proxy_say(link, TEXT("+OK\r\n"));
        }
        break;
    case 5:
        say_sealed(link, number);
        break;
    default:
        proxy_go(link);
        break;
    }
}

/* One step with its number, and its text where it has one. */
static void one(unsigned op, unsigned who, uint8_t number, aril_bytes text)
{
    switch (op) {
    case 0:
        if (p.client_count < CLIENTS_MAX) {
            said[p.client_count].len = 0;
            (void)proxy_accept_at(&p, who % 2);
        }
        break;
    case 1:
    case 6:
    case 9:
        if (p.client_count > 0) {
            const size_t i = who % p.client_count;
            client_step(op, &p.clients[i], &said[i], text);
        }
        break;
    case 2:
    case 3:
    case 4:
    case 5:
    case 7:
        if (p.link_count > 0) {
            link_step(op, &p.links[who % p.link_count], number, text);
        }
        break;
    case 8:
        proxy_tick(&p, number * UINT64_C(100));
        break;
    case 10:
        p.tasks_wait = who % 2 != 0;
        proxy_work(&p);
        break;
    default:
        p.step = who;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > INPUT_BYTES_MAX) {
        return 0;
    }
    set_up();
    proxy_peers_begin(&p);
    while (len >= 2 && p.link_count < PEERS_MAX) {
        const unsigned op = data[0] % 16u;
        const bool has_text = op == 1 || op == 2;
        const uint8_t number = data[1];
        const size_t n = !has_text ? 0 : number < len - 2 ? number : len - 2;
        one(op, data[0] / 16u, number, (aril_bytes){ data + 2, n });
        data += 2 + n;
        len -= 2 + n;
    }
    check();
    proxy_peers_end(&p);
    return 0;
}
