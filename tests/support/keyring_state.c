/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_state.h"
#include <stdio.h>
#include <string.h>

#define FNV_START UINT64_C(14695981039346656037)

static uint64_t mix(uint64_t digest, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        digest = (digest ^ p[i]) * UINT64_C(1099511628211);
    }
    return (digest ^ len) * UINT64_C(1099511628211);
}

static int add_key(void *user, const aril_key_info *info)
{
    struct keyring_state *s = user;
    const uint32_t numbers[] = { (uint32_t)info->purpose, (uint32_t)info->state, info->version };
    s->names = mix(s->names, numbers, sizeof numbers);
    s->names = mix(s->names, info->owner.data, info->owner.len);
    s->names = mix(s->names, info->label.data, info->label.len);
    s->keys = mix(s->keys, numbers, sizeof numbers);
    s->keys = mix(s->keys, info->owner.data, info->owner.len);
    s->keys = mix(s->keys, info->label.data, info->label.len);
    s->keys = mix(s->keys, info->id, sizeof info->id);
    s->keys = mix(s->keys, info->parent, sizeof info->parent);
    s->keys = mix(s->keys, info->predecessor, sizeof info->predecessor);
    const uint64_t dates[] = { info->created_s, info->activates_s, info->rotate_by_s,
                               info->not_after_s, info->changed_s };
    s->keys = mix(s->keys, dates, sizeof dates);
    s->count++;
    return 0;
}

static int add_shred(void *user, const aril_shred_info *info)
{
    struct keyring_state *s = user;
    s->shreds = mix(s->shreds, info->tenant.data, info->tenant.len);
    return 0;
}

static int add_node(void *user, const aril_node_info *info)
{
    struct keyring_state *s = user;
    s->nodes = mix(s->nodes, info->name.data, info->name.len);
    s->nodes = mix(s->nodes, &info->revoked, sizeof info->revoked);
    return 0;
}

static int add_backup(void *user, const aril_backup_info *info)
{
    (void)info;
    ((struct keyring_state *)user)->backup_count++;
    return 0;
}

aril_status keyring_state(aril_keyring *kr, struct keyring_state *ret, aril_error *error)
{
    struct keyring_state s = {
        .keys = FNV_START, .names = FNV_START, .shreds = FNV_START, .nodes = FNV_START
    };
    aril_status st = aril_keyring_get_info(kr, &s.info, error);
    st = st != ARIL_OK ? st : aril_keyring_list(kr, NULL, add_key, &s, error);
    st = st != ARIL_OK ? st : aril_keyring_shreds(kr, add_shred, &s, error);
    st = st != ARIL_OK ? st : aril_keyring_backups(kr, add_backup, &s, error);
    if (st == ARIL_OK && s.info.role == ARIL_KEYRING_AUTHORITY) {
        st = aril_keyring_nodes(kr, add_node, &s, error);
    }
    if (st == ARIL_OK) {
        *ret = s;
    }
    return st;
}

bool keyring_state_equal(const struct keyring_state *a, const struct keyring_state *b)
{
    return a->keys == b->keys && a->count == b->count && a->shreds == b->shreds &&
           a->nodes == b->nodes && a->backup_count == b->backup_count &&
           a->info.bundle_version == b->info.bundle_version && a->info.locked == b->info.locked;
}

/* --- Sound ---------------------------------------------------------------------------------- */

struct slots {
    aril_key_info last; /* spans point to owner and label */
    uint8_t owner[ARIL_KEY_OWNER_BYTES_MAX], label[ARIL_KEY_LABEL_BYTES_MAX];
    size_t count; /* keys of this slot */
    size_t active, alive;
    const char *wrong;
};

static bool equal(aril_bytes a, aril_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void end_slot(struct slots *s)
{
    if (s->wrong == NULL && s->count > 0 && s->alive > 0 && s->active != 1) {
        s->wrong = s->active > 1 ? "two active versions" : "no active version";
    }
    s->count = s->active = s->alive = 0;
}

static int add_to_slot(void *user, const aril_key_info *info)
{
    struct slots *s = user;
    static const uint8_t zeros[ARIL_KEY_ID_BYTES] = { 0 };
    const bool same = s->count > 0 && s->last.purpose == info->purpose &&
                      equal(s->last.owner, info->owner) && equal(s->last.label, info->label);
    if (!same) {
        end_slot(s);
    }
    if (info->version != s->count + 1) {
        s->wrong = "versions have a gap";
    }
    if (memcmp(info->predecessor, same ? s->last.id : zeros, sizeof zeros) != 0) {
        s->wrong = "a predecessor is another key";
    }
    s->count++;
    s->active += info->state == ARIL_KEY_ACTIVE;
    s->alive += info->state < ARIL_KEY_RETIRED;
    s->last = *info;
    memcpy(s->owner, info->owner.data, info->owner.len);
    if (info->label.len > 0) {
        memcpy(s->label, info->label.data, info->label.len);
    }
    s->last.owner.data = s->owner;
    s->last.label.data = s->label;
    return s->wrong != NULL;
}

const char *keyring_unsound(aril_keyring *kr)
{
    static char text[ARIL_ERROR_MESSAGE_BYTES + 64];
    aril_error error = { .status = ARIL_OK };
    struct slots s = { .wrong = NULL };
    aril_status st = aril_keyring_verify(kr, NULL, NULL, &error);
    if (st == ARIL_OK) {
        st = aril_keyring_list(kr, NULL, add_to_slot, &s, &error);
    }
    end_slot(&s);
    if (st == ARIL_OK && s.wrong == NULL) {
        return NULL;
    }
    (void)snprintf(text, sizeof text, "%s: %s", s.wrong != NULL ? s.wrong : aril_status_name(st),
                   error.message);
    return text;
}
