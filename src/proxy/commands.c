/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands.h"
#include "resp/number.h"

/* --- The table. Short names for the flags, of this file alone. */

enum {
    NONE = 0,
    WRITE = ARILI_COMMAND_WRITE,
    FAST = ARILI_COMMAND_FAST,
    NO_AUTH = ARILI_COMMAND_NO_AUTH,
    NO_MULTI = ARILI_COMMAND_NO_MULTI,
    PASS = ARILI_COMMAND_PASS,
    BLOCKS = ARILI_COMMAND_BLOCKS,
    MOVABLE = ARILI_COMMAND_MOVABLE,
    CONTAINER = ARILI_COMMAND_CONTAINER,
    SUB = ARILI_COMMAND_SUB
};
#define ARILI_REASON(name, text) static const char WHY_##name[] = text;
#include "proxy/commands.def"

#define ARILI_COMMAND(row_name, row_verb, row_arity, row_first, row_last, row_step, row_numkeys, \
                      row_flags, row_group, row_since, row_meaning)                              \
    { .name = row_name,                                                                          \
      .verb = ARILI_VERB_##row_verb,                                                             \
      .arity = row_arity,                                                                        \
      .first_key = row_first,                                                                    \
      .last_key = row_last,                                                                      \
      .key_step = row_step,                                                                      \
      .numkeys = row_numkeys,                                                                    \
      .flags = row_flags,                                                                        \
      .group = row_group,                                                                        \
      .since = row_since,                                                                        \
      .meaning = row_meaning },
static const struct arili_command TABLE[] = {
#include "proxy/commands.def"
};
#define ROWS (sizeof TABLE / sizeof TABLE[0])

/* --- Finding a row: open addressing over the hash of the name. */

#define SLOTS          1024u
#define NAME_MAX_BYTES 48u
/* Row + 1, or 0; the place of a name is its hash, or one of the next. Made by
 * tools/proxy_commands.py, which knows the hash too. */
static const uint16_t INDEX[SLOTS] = {
#include "proxy/commands_index.def"
};

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20u) : c;
}

/* FNV-1a; continues from state. */
static uint32_t hash_more(uint32_t state, aril_bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        state = (state ^ lower(name.data[i])) * 16777619u;
    }
    return state;
}

/* Whether text is the next name.len bytes of *at, which moves behind them. */
static bool takes(const char **at, aril_bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((*at)[i] == '\0' || (uint8_t)(*at)[i] != lower(name.data[i])) {
            return false;
        }
    }
    *at += name.len;
    return true;
}

static bool matches(const char *row_name, const aril_bytes *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!takes(&row_name, parts[i])) {
            return false;
        }
    }
    return *row_name == '\0';
}

/* The row whose name is the parts, one behind the other. */
static const struct arili_command *find(const aril_bytes *parts, size_t count)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > NAME_MAX_BYTES) {
            return NULL;
        }
        hash = hash_more(hash, parts[i]);
    }
    hash ^= hash >> 15;
    for (size_t slot = hash % SLOTS; INDEX[slot] != 0; slot = (slot + 1) % SLOTS) {
        const struct arili_command *const row = &TABLE[INDEX[slot] - 1];
        if (matches(row->name, parts, count)) {
            return row;
        }
    }
    return NULL;
}

const struct arili_command *arili_command_find_any(aril_bytes name)
{
    return find(&name, 1);
}

const struct arili_command *arili_command_find(aril_bytes name)
{
    const struct arili_command *const row = find(&name, 1);
    return row != NULL && (row->flags & ARILI_COMMAND_SUB) == 0 ? row : NULL;
}

const struct arili_command *arili_command_resolve(const aril_bytes *args, size_t count)
{
    const struct arili_command *const row = arili_command_find(args[0]);
    if (row == NULL || (row->flags & ARILI_COMMAND_CONTAINER) == 0 || count < 2) {
        return row;
    }
    const aril_bytes parts[] = { args[0], { (const uint8_t *)"|", 1 }, args[1] };
    return find(parts, 3);
}

const struct arili_command *arili_command_table(size_t *ret_count)
{
    *ret_count = ROWS;
    return TABLE;
}

/* --- What a row says */

bool arili_command_arity_fits(const struct arili_command *c, size_t args)
{
    return c->arity >= 0 ? args == (size_t)c->arity : args >= (size_t)-c->arity;
}

static bool row_is_served(const struct arili_command *c)
{
    return c->verb != ARILI_VERB_REFUSED || (c->flags & ARILI_COMMAND_PASS) != 0;
}

bool arili_command_is_served(const struct arili_command *c)
{
    if ((c->flags & ARILI_COMMAND_CONTAINER) == 0) {
        return row_is_served(c);
    }
    for (c++; c < TABLE + ROWS && (c->flags & ARILI_COMMAND_SUB) != 0; c++) {
        if (row_is_served(c)) {
            return true;
        }
    }
    return false;
}

/* The range of a row without numkeys: last counts from the end when it is negative. */
static struct arili_key_range fixed_range(const struct arili_command *c, size_t count)
{
    struct arili_key_range range = { 0, 0, 0 };
    if (c->first_key > 0 && (size_t)c->first_key < count) {
        const size_t first = (size_t)c->first_key;
        const size_t step = (size_t)c->key_step;
        const size_t back = c->last_key < 0 ? (size_t)-c->last_key : 0;
        const size_t end = back > 0 ? count - (back < count ? back : count) : (size_t)c->last_key;
        const size_t last = end < count ? end : count - 1;
        if (last >= first) {
            range = (struct arili_key_range){ first, last - (last - first) % step, step };
        }
    }
    return range;
}

bool arili_command_keys(const struct arili_command *c, const aril_bytes *args, size_t count,
                        struct arili_command_keys *ret)
{
    *ret = (struct arili_command_keys){ .ranges = { { 0, 0, 0 } } };
    if ((c->flags & ARILI_COMMAND_MOVABLE) != 0) {
        return false;
    }
    struct arili_command_keys keys = { .ranges = { fixed_range(c, count) } };
    if (c->numkeys > 0) {
        const size_t at = (size_t)c->numkeys;
        uint64_t n;
        if (at >= count || !arili_number_length(args[at], &n) || n > count - at - 1) {
            return false;
        }
        if (n > 0) {
            keys.ranges[1] = (struct arili_key_range){ at + 1, at + (size_t)n, 1 };
        }
    }
    *ret = keys;
    return true;
}
