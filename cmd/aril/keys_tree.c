/* SPDX-License-Identifier: Apache-2.0 */
#include "keys_tree.h"
#include "out.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NO_PARENT  SIZE_MAX
#define COLUMN_MAX 44u
#define INDENT     2

struct slot {
    const aril_key_info *head;
    size_t others; /* versions besides the head that are not destroyed */
};

/* A key-encryption key, to find the slot of a parent. */
struct kek {
    const uint8_t *id;
    size_t slot;
};

struct child {
    size_t parent; /* its slot; NO_PARENT: below the root */
    size_t slot;
    bool labelled; /* keys without a label come first */
};

struct tree {
    bool all;
    uint64_t now_s;
    struct slot *slots;
    struct kek *keks;
    struct child *children; /* everything but root, in the order of printing */
    size_t slot_count, kek_count, child_count;
    size_t root; /* its slot; NO_PARENT when there is none */
    size_t width;
};

static void tree_free(struct tree *t)
{
    free(t->slots);
    free(t->keks);
    free(t->children);
}

static int compare_keks(const void *a, const void *b)
{
    return memcmp(((const struct kek *)a)->id, ((const struct kek *)b)->id, ARIL_KEY_ID_BYTES);
}

static int compare_sizes(size_t a, size_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_children(const void *left, const void *right)
{
    const struct child *a = left;
    const struct child *b = right;
    if (a->parent != b->parent) {
        return compare_sizes(a->parent, b->parent);
    }
    if (a->labelled != b->labelled) {
        return a->labelled ? 1 : -1;
    }
    return compare_sizes(a->slot, b->slot);
}

static bool wraps_data(aril_key_purpose purpose)
{
    return purpose == ARIL_KEY_TENANT || purpose == ARIL_KEY_MODEL;
}

static void add_slots(struct tree *t, const struct keys_set *set)
{
    size_t end = 0;
    for (size_t i = 0; i < set->count; i = end) {
        struct slot slot = { .head = keys_slot_head(set, i, &end) };
        for (size_t j = i; j < end; j++) {
            const aril_key_info *key = &set->keys[j];
            slot.others += key != slot.head && key->state != ARIL_KEY_DESTROYED;
            if (wraps_data(key->purpose)) {
                t->keks[t->kek_count++] = (struct kek){ key->id, t->slot_count };
            }
        }
        if (slot.head->purpose == ARIL_KEY_ROOT) {
            t->root = t->slot_count;
        }
        t->slots[t->slot_count++] = slot;
    }
}

static bool tree_build(struct tree *t, const struct keys_set *set, bool all)
{
    const size_t count = set->count == 0 ? 1 : set->count;
    *t = (struct tree){ .all = all, .now_s = keys_now_s(), .root = NO_PARENT };
    t->slots = calloc(count, sizeof *t->slots);
    t->keks = calloc(count, sizeof *t->keks);
    t->children = calloc(count, sizeof *t->children);
    if (t->slots == NULL || t->keks == NULL || t->children == NULL) {
        tree_free(t);
        return false;
    }
    add_slots(t, set);
    qsort(t->keks, t->kek_count, sizeof *t->keks, compare_keks);
    for (size_t i = 0; i < t->slot_count; i++) {
        const aril_key_info *key = t->slots[i].head;
        if (i == t->root || (!all && key->state == ARIL_KEY_DESTROYED)) {
            continue;
        }
        const struct kek wanted = { .id = key->parent };
        const struct kek *parent = t->kek_count == 0 ? NULL
                                                     : bsearch(&wanted, t->keks, t->kek_count,
                                                               sizeof wanted, compare_keks);
        t->children[t->child_count++] =
            (struct child){ .parent = parent == NULL ? NO_PARENT : parent->slot,
                            .slot = i,
                            .labelled = key->label.len > 0 };
    }
    qsort(t->children, t->child_count, sizeof *t->children, compare_children);
    return true;
}

/* The first child of a parent; those of one parent stand together. */
static size_t first_child(const struct tree *t, size_t parent)
{
    size_t low = 0;
    size_t high = t->child_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (t->children[middle].parent < parent) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* --- rows ------------------------------------------------------------------------------------ */

typedef void row_fn(struct tree *t, size_t depth, const char *name, const struct slot *slot);

static const char *row_name(const struct slot *slot, size_t depth, char ret[KEYS_NAME_TEXT])
{
    char label[KEYS_LABEL_TEXT];
    if (depth < 2) {
        return keys_name(slot->head, ret);
    }
    snprintf(ret, KEYS_NAME_TEXT, "%s%s%s", aril_key_purpose_name(slot->head->purpose),
             slot->head->label.len > 0 ? "/" : "",
             keys_safe(slot->head->label, label, sizeof label));
    return ret;
}

/* The children of one parent, and what is below them; then how many are left out. */
static void walk(struct tree *t, size_t parent, size_t depth, row_fn *row)
{
    char name[KEYS_NAME_TEXT];
    const size_t max = t->all       ? SIZE_MAX
                       : depth == 1 ? KEYS_TREE_BELOW_ROOT
                                    : KEYS_TREE_BELOW_TENANT;
    size_t left_out = 0;
    size_t late = 0;
    size_t shown = 0;
    for (size_t i = first_child(t, parent); i < t->child_count && t->children[i].parent == parent;
         i++) {
        const struct slot *slot = &t->slots[t->children[i].slot];
        if (shown == max) {
            left_out++;
            late += slot->head->due >= ARIL_KEY_OVERDUE;
            continue;
        }
        shown++;
        row(t, depth, row_name(slot, depth, name), slot);
        if (wraps_data(slot->head->purpose)) {
            walk(t, t->children[i].slot, depth + 1, row);
        }
    }
    if (left_out > 0) {
        char overdue[48] = "";
        if (late > 0) {
            snprintf(overdue, sizeof overdue, ", %zu of them overdue", late);
        }
        snprintf(name, sizeof name, "... %zu more%s (--all)", left_out, overdue);
        row(t, depth, name, NULL);
    }
}

static void walk_all(struct tree *t, row_fn *row)
{
    char name[KEYS_NAME_TEXT];
    if (t->root != NO_PARENT) {
        row(t, 0, row_name(&t->slots[t->root], 0, name), &t->slots[t->root]);
    }
    walk(t, NO_PARENT, 1, row);
}

static void measure(struct tree *t, size_t depth, const char *name, const struct slot *slot)
{
    const size_t columns = depth * INDENT + keys_columns(name);
    if (slot != NULL && columns > t->width && columns <= COLUMN_MAX) {
        t->width = columns;
    }
}

static void print_row(struct tree *t, size_t depth, const char *name, const struct slot *slot)
{
    static const char *const marks[] = {
        [ARIL_KEY_DUE] = "DUE", [ARIL_KEY_OVERDUE] = "OVERDUE", [ARIL_KEY_ENDED] = "ENDED"
    };
    char age[24];
    char due[24];
    printf("%*s", (int)(depth * INDENT), "");
    if (slot == NULL) {
        printf("%s%s%s\n", out_on(OUT_DIM), name, out_off());
        return;
    }
    const aril_key_info *key = slot->head;
    keys_print_padded(name, t->width - depth * INDENT);
    snprintf(age, sizeof age, "%" PRIu64 " d", keys_days_since(t->now_s, key->created_s));
    printf("  v%-4u %-12s  %-7s %s", key->version, aril_key_state_name(key->state), age,
           keys_rotate_text(key, t->now_s, due));
    if (key->due != ARIL_KEY_NOT_DUE) {
        printf(" %s%s%s", out_on(key->due == ARIL_KEY_DUE ? OUT_WARN : OUT_BAD), marks[key->due],
               out_off());
    }
    if (slot->others > 0) {
        printf(" +%zu older", slot->others);
    }
    printf("\n");
}

bool keys_tree_print(const struct keys_set *set, bool all)
{
    DEFER(tree_free) struct tree t;
    if (!tree_build(&t, set, all)) {
        t = (struct tree){ .slots = NULL };
        return false;
    }
    t.width = strlen("KEY") + 20;
    walk_all(&t, measure);
    keys_print_padded("KEY", t.width);
    printf("  %-5s %-12s  %-7s %s\n", "", "STATE", "AGE", "ROTATE");
    walk_all(&t, print_row);
    return true;
}

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *children_json(const struct tree *t, size_t parent)
{
    json_t *list = json_array();
    for (size_t i = first_child(t, parent); i < t->child_count && t->children[i].parent == parent;
         i++) {
        const struct slot *slot = &t->slots[t->children[i].slot];
        json_t *key = keys_json_key(slot->head);
        json_object_set_new(key, "older_versions", json_integer((json_int_t)slot->others));
        if (wraps_data(slot->head->purpose)) {
            json_object_set_new(key, "keys", children_json(t, t->children[i].slot));
        }
        json_array_append_new(list, key);
    }
    return list;
}

bool keys_tree_json(const struct keys_set *set, bool all, json_t **ret)
{
    DEFER(tree_free) struct tree t;
    if (!tree_build(&t, set, all)) {
        t = (struct tree){ .slots = NULL };
        return false;
    }
    json_t *root = t.root == NO_PARENT ? json_object() : keys_json_key(t.slots[t.root].head);
    if (t.root != NO_PARENT) {
        json_object_set_new(root, "older_versions",
                            json_integer((json_int_t)t.slots[t.root].others));
    }
    json_object_set_new(root, "keys", children_json(&t, NO_PARENT));
    *ret = root;
    return root != NULL;
}
