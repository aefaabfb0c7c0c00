/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX_DIGITS_MIN 8u

void keys_set_free(struct keys_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free((void *)(uintptr_t)set->keys[i].owner.data);
        free((void *)(uintptr_t)set->keys[i].label.data);
    }
    free(set->keys);
    *set = (struct keys_set){ .keys = NULL };
}

static bool copy_bytes(aril_bytes from, aril_bytes *ret)
{
    *ret = (aril_bytes){ .data = NULL };
    if (from.len == 0) {
        return true;
    }
    uint8_t *data = malloc(from.len);
    if (data == NULL) {
        return false;
    }
    memcpy(data, from.data, from.len);
    ret->data = data;
    ret->len = from.len;
    return true;
}

static bool make_room(struct keys_set *set)
{
    if (set->count < set->cap) {
        return true;
    }
    const size_t cap = set->cap == 0 ? 64 : set->cap * 2;
    aril_key_info *keys = realloc(set->keys, cap * sizeof *keys);
    if (keys == NULL) {
        return false;
    }
    set->keys = keys;
    set->cap = cap;
    return true;
}

static int collect_one(void *user, const aril_key_info *info)
{
    struct keys_set *set = user;
    if (!make_room(set)) {
        set->failed = true;
        return 1;
    }
    aril_key_info *key = &set->keys[set->count++];
    *key = *info;
    const bool owner = copy_bytes(info->owner, &key->owner);
    const bool label = copy_bytes(info->label, &key->label);
    set->failed = !owner || !label;
    return set->failed ? 1 : 0;
}

int keys_collect(struct keys_session *s, const aril_key_filter *filter, struct keys_set *ret)
{
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_list(s->keyring, filter, collect_one, ret, &error);
    if (ret->failed) {
        return failure_report(s->command, ARIL_E_NOMEM, "the list of keys");
    }
    return st == ARIL_OK ? 0 : failure_error(s->command, st, &error, s->path);
}

static bool same_bytes(aril_bytes a, aril_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool keys_same_slot(const aril_key_info *a, const aril_key_info *b)
{
    return a->purpose == b->purpose && same_bytes(a->owner, b->owner) &&
           same_bytes(a->label, b->label);
}

const aril_key_info *keys_slot_head(const struct keys_set *set, size_t first, size_t *ret_end)
{
    const aril_key_info *head = NULL;
    size_t end = first;
    for (; end < set->count && keys_same_slot(&set->keys[first], &set->keys[end]); end++) {
        const aril_key_info *key = &set->keys[end];
        if (head == NULL || head->state != ARIL_KEY_ACTIVE) {
            head = key;
        }
        if (key->state == ARIL_KEY_ACTIVE) {
            head = key;
        }
    }
    *ret_end = end;
    return head;
}

bool keys_purpose_parse(const char *name, size_t len, aril_key_purpose *ret)
{
    for (unsigned p = ARIL_KEY_ROOT; p < ARIL_KEY_PURPOSES; p++) {
        const char *known = aril_key_purpose_name((aril_key_purpose)p);
        if (strlen(known) == len && strncmp(known, name, len) == 0) {
            *ret = (aril_key_purpose)p;
            return true;
        }
    }
    return false;
}

/* At least 8 digits, and nothing else. */
static bool is_id(const char *text)
{
    const size_t len = strlen(text);
    return len >= PREFIX_DIGITS_MIN && len < KEYS_ID_TEXT &&
           strspn(text, "0123456789abcdefABCDEF") == len;
}

static int unknown_selector(const char *command, const char *text)
{
    return failure_usage(command,
                         "%s: not a key; write root, authority, tenant:NAME, model:NAME, "
                         "api:NAME, data:TENANT[/LABEL], name:TENANT[/LABEL], "
                         "legacy:TENANT[/LABEL] or at least %u digits of a key id",
                         text, PREFIX_DIGITS_MIN);
}

/* The last slash is before the label. */
static void split_label(const char *owner, size_t *owner_len, aril_bytes *ret_label)
{
    for (size_t i = *owner_len; i > 0; i--) {
        if (owner[i - 1] == '/') {
            *ret_label = (aril_bytes){ (const uint8_t *)owner + i, *owner_len - i };
            *owner_len = i - 1;
            return;
        }
    }
}

static int parse(const char *command, const char *text, size_t len, struct keys_selector *ret)
{
    const char *colon = memchr(text, ':', len);
    const size_t word = colon == NULL ? len : (size_t)(colon - text);
    aril_key_purpose purpose = ARIL_KEY_ROOT;
    if (!keys_purpose_parse(text, word, &purpose)) {
        return unknown_selector(command, text);
    }
    const bool alone = purpose == ARIL_KEY_ROOT || purpose == ARIL_KEY_AUTHORITY;
    if (alone != (colon == NULL)) {
        return unknown_selector(command, text);
    }
    ret->slot = (aril_key_slot){ .purpose = purpose };
    if (alone) {
        return 0;
    }
    const char *owner = colon + 1;
    size_t owner_len = len - word - 1;
    if (keys_has_label(purpose)) {
        split_label(owner, &owner_len, &ret->slot.label);
    }
    ret->slot.owner = (aril_bytes){ (const uint8_t *)owner, owner_len };
    if (owner_len == 0 || owner_len > ARIL_KEY_OWNER_BYTES_MAX) {
        return failure_usage(command, "%s: a name has 1 to %u bytes", text,
                             ARIL_KEY_OWNER_BYTES_MAX);
    }
    if (ret->slot.label.len > ARIL_KEY_LABEL_BYTES_MAX) {
        return failure_usage(command, "%s: a label has at most %u characters", text,
                             ARIL_KEY_LABEL_BYTES_MAX);
    }
    return 0;
}

int keys_selector_parse(const char *command, const char *text, struct keys_selector *ret)
{
    *ret = (struct keys_selector){ .text = text, .by_id = is_id(text) };
    return ret->by_id ? 0 : parse(command, text, strlen(text), ret);
}

int keys_selector_parse_version(const char *command, const char *text, struct keys_selector *ret)
{
    *ret = (struct keys_selector){ .text = text, .by_id = is_id(text) };
    if (ret->by_id) {
        return 0;
    }
    const char *at = strrchr(text, '@');
    char *end = NULL;
    const unsigned long version = at == NULL ? 0 : strtoul(at + 1, &end, 10);
    if (at == NULL || at[1] < '0' || at[1] > '9' || *end != '\0' || version == 0 ||
        version > UINT32_MAX) {
        return failure_usage(command, "%s: which version? Write it behind an @, as in data:acme@3",
                             text);
    }
    ret->version = (uint32_t)version;
    return parse(command, text, (size_t)(at - text), ret);
}

static int find_id(const char *command, const char *text, const struct keys_set *set,
                   size_t *ret_index)
{
    size_t found = 0;
    for (size_t i = 0; i < set->count; i++) {
        char id[KEYS_ID_TEXT];
        keys_hex(set->keys[i].id, ARIL_KEY_ID_BYTES, id, sizeof id);
        if (strncasecmp(id, text, strlen(text)) == 0) {
            *ret_index = i;
            found++;
        }
    }
    if (found > 1) {
        return failure_usage(command, "%s: %zu keys begin with it; give more digits", text, found);
    }
    return found == 1 ? 0
                      : failure_explain(command, ARIL_E_NOT_FOUND, "'aril keys list' lists them",
                                        "%s: no key has this id", text);
}

int keys_selector_find(const char *command, const struct keys_selector *selector,
                       const struct keys_set *set, size_t *ret_index)
{
    if (selector->by_id) {
        return find_id(command, selector->text, set, ret_index);
    }
    const aril_key_info wanted = { .purpose = selector->slot.purpose,
                                   .owner = selector->slot.owner,
                                   .label = selector->slot.label };
    for (size_t i = 0; i < set->count; i++) {
        if (!keys_same_slot(&wanted, &set->keys[i])) {
            continue;
        }
        if (selector->version == 0) {
            size_t end = 0;
            *ret_index = (size_t)(keys_slot_head(set, i, &end) - set->keys);
            return 0;
        }
        if (set->keys[i].version == selector->version) {
            *ret_index = i;
            return 0;
        }
    }
    return failure_explain(command, ARIL_E_NOT_FOUND, "'aril keys list' lists them",
                           "%s: there is no such key", selector->text);
}
