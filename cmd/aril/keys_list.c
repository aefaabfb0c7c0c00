/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "out.h"
#include <inttypes.h>
#include <string.h>

#define COLUMN_MAX 48u

static bool state_parse(const char *name, aril_key_state *ret)
{
    for (unsigned s = ARIL_KEY_PENDING; s <= ARIL_KEY_DESTROYED; s++) {
        if (strcmp(name, aril_key_state_name((aril_key_state)s)) == 0) {
            *ret = (aril_key_state)s;
            return true;
        }
    }
    return false;
}

static const char *mark_of(aril_key_due due)
{
    static const char *const marks[] = { [ARIL_KEY_NOT_DUE] = "",
                                         [ARIL_KEY_DUE] = "DUE",
                                         [ARIL_KEY_OVERDUE] = "OVERDUE",
                                         [ARIL_KEY_ENDED] = "ENDED" };
    return marks[due];
}

static void print_table(const struct keys_set *set)
{
    char name[KEYS_NAME_TEXT];
    char id[KEYS_ID_TEXT];
    char due[24];
    char age[24];
    const uint64_t now = keys_now_s();
    size_t width = strlen("KEY");
    for (size_t i = 0; i < set->count; i++) {
        const size_t columns = keys_columns(keys_name(&set->keys[i], name));
        width = columns > width && columns <= COLUMN_MAX ? columns : width;
    }
    printf("%-*s  ", KEYS_ID_SHORT, "ID");
    keys_print_padded("KEY", width);
    printf("  VERSION  STATE         AGE     ROTATE\n");
    for (size_t i = 0; i < set->count; i++) {
        const aril_key_info *key = &set->keys[i];
        const char *mark = mark_of(key->due);
        keys_hex(key->id, ARIL_KEY_ID_BYTES, id, sizeof id);
        snprintf(age, sizeof age, "%" PRIu64 " d", keys_days_since(now, key->created_s));
        printf("%.*s  ", KEYS_ID_SHORT, id);
        keys_print_padded(keys_name(key, name), width);
        printf("  %-7u  %-12s  %-6s  %s", key->version, aril_key_state_name(key->state), age,
               keys_rotate_text(key, now, due));
        if (mark[0] != '\0') {
            printf(" %s%s%s", out_on(key->due == ARIL_KEY_DUE ? OUT_WARN : OUT_BAD), mark,
                   out_off());
        }
        printf("\n");
    }
}

static int print_keys(const char *command, const struct keys_set *set, bool json)
{
    if (!json) {
        print_table(set);
        return EXIT_DONE;
    }
    json_t *all = json_array();
    for (size_t i = 0; i < set->count; i++) {
        json_array_append_new(all, keys_json_key(&set->keys[i]));
    }
    return keys_print_json(command, all);
}

/* What --tenant, --purpose and --state ask for. */
static int read_filter(const char *command, const char *tenant, const struct args_texts *purposes,
                       const struct args_texts *states, aril_key_filter *ret)
{
    const uint32_t of_tenants =
        1u << ARIL_KEY_TENANT | 1u << ARIL_KEY_DATA | 1u << ARIL_KEY_NAME | 1u << ARIL_KEY_LEGACY;
    uint32_t wanted = 0;
    for (size_t i = 0; i < purposes->count; i++) {
        aril_key_purpose purpose = ARIL_KEY_ROOT;
        if (!keys_purpose_parse(purposes->values[i], strlen(purposes->values[i]), &purpose)) {
            return failure_usage(command,
                                 "--purpose %s: not one of root, tenant, model, api, authority, "
                                 "node, data, name, legacy",
                                 purposes->values[i]);
        }
        wanted |= 1u << purpose;
    }
    for (size_t i = 0; i < states->count; i++) {
        aril_key_state state = ARIL_KEY_ACTIVE;
        if (!state_parse(states->values[i], &state)) {
            return failure_usage(command,
                                 "--state %s: not one of pending, active, decrypt-only, retired, "
                                 "destroyed",
                                 states->values[i]);
        }
        ret->states |= 1u << state;
    }
    if (tenant != NULL) {
        ret->owner = keys_bytes(tenant);
        wanted = wanted == 0 ? of_tenants : wanted & of_tenants;
        if (ret->owner.len == 0 || wanted == 0) {
            return failure_usage(command, "--tenant %s: %s", tenant,
                                 wanted == 0 ? "tenants have no keys of that purpose"
                                             : "a name has 1 to 255 bytes");
        }
    }
    ret->purposes = wanted;
    return 0;
}

int keys_list(int argc, char **argv)
{
    static const char command[] = "aril keys list";
    struct keys_options options = { .keyring = NULL };
    const char *tenant = NULL;
    struct args_texts purposes = { .count = 0 };
    struct args_texts states = { .count = 0 };
    const struct args_option own[] = {
        { "tenant", ARGS_TEXT, &tenant, "NAME", "keys of this tenant", 0, 0 },
        { "purpose", ARGS_TEXTS, &purposes, "NAME", "root, tenant, data, ...; may be repeated", 0,
          0 },
        { "state", ARGS_TEXTS, &states, "NAME", "active, decrypt-only, ...; may be repeated", 0,
          0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "List keys, one line each, by purpose, owner, label and version.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
    };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    DEFER(keys_set_free) struct keys_set set = { .keys = NULL };
    aril_key_filter filter = { .purposes = 0 };
    rc = read_filter(command, tenant, &purposes, &states, &filter);
    if (rc == 0) {
        rc = keys_open(&s, &options);
    }
    if (rc == 0) {
        rc = keys_collect(&s, &filter, &set);
    }
    return rc != 0 ? rc : print_keys(command, &set, options.json);
}

static void print_time(const char *what, uint64_t unix_s, const char *never)
{
    char date[KEYS_DATE_TEXT];
    printf("%-12s %s\n", what, unix_s == 0 ? never : keys_date(unix_s, date));
}

static void print_id(const char *what, const uint8_t id[ARIL_KEY_ID_BYTES])
{
    static const uint8_t none[ARIL_KEY_ID_BYTES];
    char text[KEYS_ID_TEXT];
    keys_hex(id, ARIL_KEY_ID_BYTES, text, sizeof text);
    printf("%-12s %s\n", what, memcmp(id, none, sizeof none) == 0 ? "none" : text);
}

static void print_key(const aril_key_info *key)
{
    char name[KEYS_NAME_TEXT];
    char due[24];
    printf("%-12s %s\n", "key", keys_name(key, name));
    print_id("id", key->id);
    printf("%-12s %u\n", "version", key->version);
    printf("%-12s %s\n", "state", aril_key_state_name(key->state));
    printf("%-12s %s, rotate %s\n", "due", keys_due_name(key->due),
           keys_rotate_text(key, keys_now_s(), due));
    print_time("created", key->created_s, "-");
    print_time("activates", key->activates_s, "-");
    print_time("rotate by", key->rotate_by_s, "never");
    print_time("not after", key->not_after_s, "never");
    print_time("changed", key->changed_s, "-");
    print_id("parent", key->parent);
    print_id("predecessor", key->predecessor);
    printf("%-12s %u\n", "children", key->children);
}

/* The public key of a key that signs, as others need it. */
static int show_pem(struct keys_session *s, const aril_key_info *key)
{
    DEFER(identity_freep) aril_identity *identity = NULL;
    char pem[ARIL_PUBLIC_PEM_BYTES_MAX];
    size_t len = 0;
    aril_error error = { .status = ARIL_OK };
    char name[KEYS_NAME_TEXT];
    if ((key->purpose != ARIL_KEY_API && key->purpose != ARIL_KEY_AUTHORITY) ||
        key->state != ARIL_KEY_ACTIVE) {
        return failure_usage(s->command, "--pem is for active api and authority keys, not for %s",
                             keys_name(key, name));
    }
    aril_status st = aril_keyring_signing_key(s->keyring, key->owner, &identity, &error);
    if (st != ARIL_OK) {
        return failure_error(s->command, st, &error, keys_name(key, name));
    }
    st = aril_identity_public_pem(s->rt, aril_identity_alg(identity),
                                  aril_identity_public(identity), pem, sizeof pem, &len);
    if (st != ARIL_OK) {
        return failure_report(s->command, st, "the public key");
    }
    printf("%s", pem);
    return EXIT_DONE;
}

int keys_show(int argc, char **argv)
{
    static const char command[] = "aril keys show";
    struct keys_options options = { .keyring = NULL };
    bool pem = false;
    const struct args_option own[] = {
        { "pem", ARGS_FLAG, &pem, NULL, "the public key of an api or authority key", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "SELECTOR",
        .summary = "Show one key in full: of a slot the active version, else the newest.",
        .options = own,
        .option_count = 1,
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = keys_parse(&spec, &options, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (pem && options.json) {
        return failure_usage(command, "--json and --pem exclude one another");
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    DEFER(keys_set_free) struct keys_set set = { .keys = NULL };
    struct keys_selector selector;
    size_t index = 0;
    rc = keys_selector_parse(command, operands[0], &selector);
    if (rc == 0) {
        rc = keys_open(&s, &options);
    }
    if (rc == 0) {
        rc = keys_collect(&s, NULL, &set);
    }
    if (rc == 0) {
        rc = keys_selector_find(command, &selector, &set, &index);
    }
    if (rc != 0) {
        return rc;
    }
    if (pem) {
        return show_pem(&s, &set.keys[index]);
    }
    if (options.json) {
        return keys_print_json(command, keys_json_key(&set.keys[index]));
    }
    print_key(&set.keys[index]);
    return EXIT_DONE;
}
