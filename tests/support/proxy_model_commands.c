/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_model.h"
#include "check.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define KEYS_OF_A_KIND 8u
#define FIELDS         12u
#define REPEATS_MAX    4u
#define VALUE_MAX      ((size_t)1 << 20)

uint64_t pmodel_below(struct pmodel_random *r, uint64_t n) /* splitmix64 */
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % n;
}

/*
 * Words of a template, which stand for something by chance:
 *   $S $H $M  a key that has a string, a hash, a set; now and then one of another kind
 *   $K        any key        $V  a value      $F  a field or member
 *   $T $P     a time to live in seconds, in milliseconds; even seconds
 *   $U        the same, odd: so that GT and LT do not depend on the moment
 *   $A $B     the same as a date              $G  a pattern      $D  a database
 *   {a b}     a b, once or some times
 */
enum {            /* flags */
       ALONE = 1, /* not in a transaction: arild needs several exchanges for it */
       THREE = 2, /* pairs of its answer are nested in RESP3 */
       TIED = 4   /* its keys have to be in one slot */
};
struct row {
    unsigned weight;
    enum pmodel_alike how;
    unsigned flags;
    const char *text;
};
static const struct row rows[] = {
    { 60, PMODEL_BYTES, 0, "GET $S" },
    { 30, PMODEL_BYTES, 0, "SET $S $V" },
    { 10, PMODEL_BYTES, 0, "SET $S $V EX $T" },
    { 6, PMODEL_BYTES, 0, "SET $S $V PX $P" },
    { 4, PMODEL_BYTES, 0, "SET $S $V EXAT $A" },
    { 4, PMODEL_BYTES, 0, "SET $S $V PXAT $B" },
    { 8, PMODEL_BYTES, 0, "SET $S $V NX" },
    { 8, PMODEL_BYTES, 0, "SET $S $V XX EX $T" },
    { 8, PMODEL_BYTES, 0, "SET $S $V GET" },
    { 4, PMODEL_BYTES, 0, "SET $S $V NX GET" },
    { 4, PMODEL_BYTES, 0, "SET $S $V XX GET EX $T" },
    { 8, PMODEL_BYTES, ALONE, "SET $S $V KEEPTTL" },
    { 4, PMODEL_BYTES, 0, "SETEX $S $T $V" },
    { 4, PMODEL_BYTES, 0, "PSETEX $S $P $V" },
    { 6, PMODEL_BYTES, 0, "SETNX $S $V" },
    { 6, PMODEL_BYTES, 0, "GETSET $S $V" },
    { 6, PMODEL_BYTES, 0, "GETDEL $S" },
    { 4, PMODEL_BYTES, 0, "GETEX $S" },
    { 6, PMODEL_BYTES, ALONE, "GETEX $S EX $T" },
    { 3, PMODEL_BYTES, ALONE, "GETEX $S PXAT $B" },
    { 3, PMODEL_BYTES, ALONE, "GETEX $S PERSIST" },
    { 20, PMODEL_BYTES, 0, "MGET {$S}" },
    { 8, PMODEL_BYTES, 0, "MSET {$S $V}" },
    { 4, PMODEL_BYTES, TIED, "MSETNX {$S $V}" },
    { 10, PMODEL_BYTES, 0, "STRLEN $S" },

    { 20, PMODEL_BYTES, 0, "HSET $H {$F $V}" },
    { 3, PMODEL_BYTES, 0, "HMSET $H {$F $V}" },
    { 5, PMODEL_BYTES, 0, "HSETNX $H $F $V" },
    { 20, PMODEL_BYTES, 0, "HGET $H $F" },
    { 10, PMODEL_BYTES, 0, "HMGET $H {$F}" },
    { 12, PMODEL_PAIRS, 0, "HGETALL $H" },
    { 6, PMODEL_SET, 0, "HKEYS $H" },
    { 6, PMODEL_SET, 0, "HVALS $H" },
    { 8, PMODEL_BYTES, 0, "HDEL $H {$F}" },
    { 6, PMODEL_BYTES, 0, "HEXISTS $H $F" },
    { 6, PMODEL_BYTES, 0, "HLEN $H" },
    { 6, PMODEL_BYTES, 0, "HSTRLEN $H $F" },
    { 3, PMODEL_KIND, 0, "HRANDFIELD $H" },
    { 3, PMODEL_SET, 0, "HRANDFIELD $H 1000" },
    { 3, PMODEL_PAIRS, THREE, "HRANDFIELD $H 1000 WITHVALUES" },
    { 2, PMODEL_COUNT, 0, "HRANDFIELD $H -5" },

    { 20, PMODEL_BYTES, 0, "SADD $M {$F}" },
    { 8, PMODEL_BYTES, 0, "SREM $M {$F}" },
    { 8, PMODEL_BYTES, 0, "SISMEMBER $M $F" },
    { 6, PMODEL_BYTES, 0, "SMISMEMBER $M {$F}" },
    { 6, PMODEL_BYTES, 0, "SCARD $M" },
    { 10, PMODEL_SET, 0, "SMEMBERS $M" },
    { 2, PMODEL_SET, 0, "SPOP $M 1000" },
    { 1, PMODEL_BYTES, 0, "SPOP $M 0" },
    { 3, PMODEL_KIND, 0, "SRANDMEMBER $M" },
    { 3, PMODEL_SET, 0, "SRANDMEMBER $M 1000" },
    { 2, PMODEL_COUNT, 0, "SRANDMEMBER $M -5" },

    { 10, PMODEL_BYTES, ALONE, "EXPIRE $K $T" },
    { 4, PMODEL_BYTES, ALONE, "PEXPIRE $K $P" },
    { 4, PMODEL_BYTES, ALONE, "EXPIREAT $K $A" },
    { 4, PMODEL_BYTES, ALONE, "PEXPIREAT $K $B" },
    { 3, PMODEL_BYTES, ALONE, "EXPIRE $K $T NX" },
    { 3, PMODEL_BYTES, ALONE, "EXPIRE $K $T XX" },
    { 3, PMODEL_BYTES, ALONE, "EXPIRE $K $U GT" },
    { 3, PMODEL_BYTES, ALONE, "EXPIRE $K $U LT" },
    { 2, PMODEL_BYTES, ALONE, "EXPIRE $K 0" },
    { 1, PMODEL_BYTES, ALONE, "PEXPIREAT $K 1000" },
    { 6, PMODEL_BYTES, ALONE, "PERSIST $K" },
    { 10, PMODEL_SECONDS, 0, "TTL $K" },
    { 8, PMODEL_MS, 0, "PTTL $K" },
    { 4, PMODEL_SECONDS, 0, "EXPIRETIME $K" },
    { 4, PMODEL_MS, 0, "PEXPIRETIME $K" },
    { 8, PMODEL_BYTES, 0, "TYPE $K" },
    { 8, PMODEL_BYTES, 0, "EXISTS {$K}" },
    { 8, PMODEL_BYTES, 0, "DEL {$K}" },
    { 3, PMODEL_BYTES, 0, "UNLINK {$K}" },
    { 3, PMODEL_BYTES, 0, "TOUCH {$K}" },
    { 3, PMODEL_SET, ALONE, "KEYS $G" },
    { 5, PMODEL_BYTES, ALONE, "DBSIZE" },
    { 2, PMODEL_KIND, ALONE, "RANDOMKEY" },
    { 1, PMODEL_BYTES, ALONE, "FLUSHDB" },
    { 3, PMODEL_BYTES, ALONE, "SELECT $D" },

    { 25, PMODEL_BYTES, 0, "MULTI" },
    { 30, PMODEL_BYTES, 0, "EXEC" },
    { 5, PMODEL_BYTES, 0, "DISCARD" },
    { 12, PMODEL_BYTES, TIED, "WATCH {$K}" },
    { 3, PMODEL_BYTES, 0, "UNWATCH" },
    { 3, PMODEL_BYTES, 0, "PING" },
    { 2, PMODEL_BYTES, 0, "PING $V" },
    { 3, PMODEL_BYTES, 0, "ECHO $V" },

    { 1, PMODEL_BYTES, 0, "GET" },
    { 1, PMODEL_BYTES, 0, "GET $S $S" },
    { 1, PMODEL_BYTES, 0, "SET $S" },
    { 1, PMODEL_BYTES, 0, "SET $S $V EX" },
    { 1, PMODEL_BYTES, 0, "SET $S $V EX 0" },
    { 1, PMODEL_BYTES, 0, "SET $S $V EX -1" },
    { 1, PMODEL_BYTES, 0, "SET $S $V PX soon" },
    { 1, PMODEL_BYTES, 0, "SET $S $V NX XX" },
    { 1, PMODEL_BYTES, 0, "SET $S $V EX $T PX $P" },
    { 1, PMODEL_BYTES, 0, "SET $S $V LATER" },
    { 1, PMODEL_BYTES, 0, "SET $S $V EX 9223372036854775807" },
    { 1, PMODEL_BYTES, 0, "SETEX $S 0 $V" },
    { 1, PMODEL_BYTES, 0, "SETEX $S x $V" },
    { 1, PMODEL_BYTES, 0, "GETEX $S EX" },
    { 1, PMODEL_BYTES, 0, "MSET $S" },
    { 1, PMODEL_BYTES, 0, "MSET $S $V $S" },
    { 1, PMODEL_BYTES, 0, "HSET $H $F" },
    { 1, PMODEL_BYTES, 0, "HSET $H $F $V $F" },
    { 1, PMODEL_BYTES, 0, "HRANDFIELD $H x" },
    { 1, PMODEL_BYTES, ALONE, "EXPIRE $K x" },
    { 1, PMODEL_BYTES, ALONE, "EXPIRE $K $T NX XX" },
    { 1, PMODEL_BYTES, ALONE, "EXPIRE $K $T x" },
    { 1, PMODEL_BYTES, 0, "SPOP $M -1" },
    { 1, PMODEL_BYTES, 0, "EXISTS" },
};

/* --- Words */

/* A key with a hash tag: that of the source, or any. */
static aril_bytes tagged_key(struct pmodel_source *s, char kind, bool tied)
{
    static char name[32];
    const unsigned tag = tied ? s->tag : 1 + (unsigned)pmodel_below(&s->random, PMODEL_CLIENTS);
    const int len = snprintf(name, sizeof name, "key:%c:%u{tag%u}", kind,
                             (unsigned)pmodel_below(&s->random, KEYS_OF_A_KIND), tag);
    return (aril_bytes){ (const uint8_t *)name, (size_t)len };
}

aril_bytes pmodel_key(struct pmodel_source *s, char kind)
{
    /* What may not matter in a name: bytes that patterns and protocols use, and its length. */
    static const char *const tails[KEYS_OF_A_KIND] = { "",          ":a b",    "\r\n$-1\r\n",
                                                       "{tag}x",    "*?[a]\\", "\xff\xfe",
                                                       ":metadata", NULL };
    static char name[320];
    if (s->tag != 0 && (s->tied || pmodel_below(&s->random, 3) == 0)) {
        return tagged_key(s, kind, s->tied);
    }
    const unsigned n = (unsigned)pmodel_below(&s->random, KEYS_OF_A_KIND);
    if (tails[n] != NULL) {
        (void)snprintf(name, sizeof name, "key:%c:%u%s", kind, n, tails[n]);
        return (aril_bytes){ (const uint8_t *)name, strlen(name) };
    }
    memset(name, 'l', 300);
    memcpy(name, "key:", 4);
    name[4] = kind;
    name[5] = '\0'; /* the bytes of a name may be any */
    return (aril_bytes){ (const uint8_t *)name, 300 };
}

const char *pmodel_pattern(struct pmodel_source *s)
{
    static const char *const patterns[] = { "*",          "key:*",       "key:S:*",
                                            "key:[SH]:?", "key:?:4\\**", "*tag*",
                                            "none",       "key:[^S]*",   "*\xff*" };
    return patterns[pmodel_below(&s->random, COUNT(patterns))];
}

static aril_bytes value(struct pmodel_source *s)
{
    static uint8_t room[VALUE_MAX];
    struct pmodel_random *const r = &s->random;
    static const struct {
        unsigned below;
        size_t bytes;
    } sizes[] = { { 4, 0 }, { 60, 16 }, { 85, 200 }, { 96, 4096 }, { 999, 70000 } };
    const unsigned chance = (unsigned)pmodel_below(r, 100);
    size_t i = 0;
    while (chance >= sizes[i].below) {
        i++;
    }
    size_t len = (size_t)pmodel_below(r, sizes[i].bytes + 1);
    len = pmodel_below(r, 3000) == 0 ? VALUE_MAX : len;
    for (size_t at = 0; at < len; at += 8) {
        const uint64_t bits = pmodel_below(r, UINT64_MAX);
        memcpy(room + at, &bits, len - at < 8 ? len - at : 8);
    }
    return (aril_bytes){ room, len };
}

static aril_bytes field(struct pmodel_source *s)
{
    static char text[32];
    const unsigned n = (unsigned)pmodel_below(&s->random, FIELDS);
    if (n == 0) {
        return (aril_bytes){ (const uint8_t *)text, 0 };
    }
    const int len = snprintf(text, sizeof text, "f%s%u", n % 2 == 0 ? "" : "\r\n\xff", n);
    return (aril_bytes){ (const uint8_t *)text, (size_t)len };
}

static aril_bytes number(uint64_t n)
{
    static char text[32];
    const int len = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    return (aril_bytes){ (const uint8_t *)text, (size_t)len };
}

static aril_bytes word(struct pmodel_source *s, const char *w, size_t len)
{
    if (w[0] != '$') {
        return (aril_bytes){ (const uint8_t *)w, len };
    }
    struct pmodel_random *const r = &s->random;
    static const char kinds[] = "SHM";
    const uint64_t ttl_s = 1000 + 2 * pmodel_below(r, 4000);
    switch (w[1]) {
    case 'K':
        return pmodel_key(s, kinds[pmodel_below(r, 3)]);
    case 'V':
        return value(s);
    case 'F':
        return field(s);
    case 'T':
        return number(ttl_s);
    case 'U':
        return number(ttl_s + 1);
    case 'P':
        return number(ttl_s * 1000);
    case 'A':
        return number(s->now_s + ttl_s);
    case 'B':
        return number((s->now_s + ttl_s) * 1000);
    case 'D':
        return number(s->tag == 0 ? pmodel_below(r, PMODEL_DATABASES) : 0);
    case 'G': {
        const char *const pattern = pmodel_pattern(s);
        return (aril_bytes){ (const uint8_t *)pattern, strlen(pattern) };
    }
    default:
        return pmodel_key(s, pmodel_below(r, 25) == 0 ? kinds[pmodel_below(r, 3)] : w[1]);
    }
}

/* --- Commands */

static const struct row *row_by_chance(struct pmodel_source *s, bool in_multi)
{
    unsigned sum = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        sum += rows[i].weight;
    }
    for (;;) {
        unsigned at = (unsigned)pmodel_below(&s->random, sum);
        size_t i = 0;
        while (at >= rows[i].weight) {
            at -= rows[i++].weight;
        }
        if (!in_multi || (rows[i].flags & ALONE) == 0) {
            return &rows[i];
        }
    }
}

struct builder {
    struct wire_bytes args; /* encoded, without their number */
    size_t count;
    struct pmodel_command *shown;
};

static void add(struct builder *b, aril_bytes arg)
{
    char *const text = b->shown->shown;
    const size_t len = strlen(text);
    (void)snprintf(text + len, sizeof b->shown->shown - len, "%s%.40s", len > 0 ? " " : "",
                   arg.len > 0 ? wire_shown(arg) : "\"\"");
    wire_arg(&b->args, arg);
    b->count++;
}

/* Commands are known in any case. */
static aril_bytes name_in_some_case(struct pmodel_source *s, const char *w, size_t len)
{
    static char name[32];
    const bool lower = pmodel_below(&s->random, 4) == 0;
    for (size_t i = 0; i < len; i++) {
        name[i] = lower ? (char)tolower((unsigned char)w[i]) : w[i];
    }
    return (aril_bytes){ (const uint8_t *)name, len };
}

static void add_words(struct pmodel_source *s, struct builder *b, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        const size_t brace = text[at] == '{' ? strcspn(text + at, "}") : 0;
        if (brace > 0) {
            for (uint64_t n = 1 + pmodel_below(&s->random, REPEATS_MAX); n > 0; n--) {
                add_words(s, b, text + at + 1, brace - 1);
            }
            at += brace + 2;
            continue;
        }
        size_t end = at;
        while (end < len && text[end] != ' ') {
            end++;
        }
        add(b, b->count == 0 ? name_in_some_case(s, text, end) : word(s, text + at, end - at));
        at = end + 1;
    }
}

void pmodel_command(struct pmodel_source *s, bool in_multi, bool resp3, struct wire_bytes *out,
                    struct pmodel_command *ret)
{
    const struct row *const row = row_by_chance(s, in_multi);
    *ret = (struct pmodel_command){ .how = row->how };
    if ((row->flags & THREE) != 0 && resp3) {
        ret->how = PMODEL_SET;
    }
    ret->begins = strcmp(row->text, "MULTI") == 0;
    ret->executes = strcmp(row->text, "EXEC") == 0;
    ret->ends = ret->executes || strcmp(row->text, "DISCARD") == 0;
    struct builder b = { .shown = ret };
    s->tied = in_multi || (row->flags & TIED) != 0;
    add_words(s, &b, row->text, strlen(row->text));
    wire_begin(out, b.count);
    wire_put(out, b.args.data, b.args.len);
    wire_free(&b.args);
}
