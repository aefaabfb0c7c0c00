/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "keys_tree.h"
#include "out.h"
#include <inttypes.h>

#define COMMAND "aril keys status"

static bool is_well(const aril_keyring_info *info)
{
    return info->overdue == 0 && info->clock_behind_s == 0 && !info->rotation_pending;
}

static void line(const char *what, enum out_style style, const char *text)
{
    printf("  %-10s %s%s%s\n", what, style == OUT_DIM ? "" : out_on(style), text,
           style == OUT_DIM ? "" : out_off());
}

static void print_keystore(const aril_keystore_info *ks)
{
    char text[256];
    char safe[ARIL_KEYSTORE_TEXT_BYTES * 4];
    snprintf(text, sizeof text, "%s, protection %s: %s", ks->backend,
             aril_protection_name(ks->protection),
             keys_safe(keys_bytes(ks->description), safe, 160));
    line("keystore", OUT_DIM, text);
}

static void print_fleet(const aril_keyring_info *i)
{
    char text[160];
    if (i->role == ARIL_KEYRING_NODE) {
        snprintf(text, sizeof text, "bundle version %" PRIu64 " was taken last", i->bundle_version);
    } else if (i->nodes == 0 && i->bundle_version == 0) {
        snprintf(text, sizeof text, "no nodes");
    } else {
        snprintf(text, sizeof text,
                 "%zu nodes, %zu of them revoked; bundle version %" PRIu64 " was signed last",
                 i->nodes, i->nodes_revoked, i->bundle_version);
    }
    line("fleet", OUT_DIM, text);
    if (i->backups_open > 0) {
        snprintf(text, sizeof text, "%zu, not confirmed as destroyed ('aril keys backup list')",
                 i->backups_open);
        line("backups", OUT_DIM, text);
    }
    if (i->shreds_pending > 0) {
        snprintf(text, sizeof text,
                 "%zu not finished: 'aril keys shred --status' says what is left",
                 i->shreds_pending);
        line("shreds", OUT_WARN, text);
    }
}

static void print_state(const aril_keyring_info *i)
{
    char text[160];
    const bool guarded = i->rollback == ARIL_ROLLBACK_DETECTED;
    line("rollback", guarded ? OUT_GOOD : OUT_WARN,
         guarded ? "detected, by a counter of the keystore"
                 : "not detected: the keystore has no counter");
    line("recovery", i->has_recovery ? OUT_GOOD : OUT_WARN,
         i->has_recovery ? "there is a recovery key" : "none: the keys are lost with the keystore");
    if (i->locked) {
        line("locked", OUT_WARN, "yes: 'aril keys unlock' ends it");
    }
    if (i->rotation_pending) {
        line("rotation", OUT_WARN, "one was interrupted; the next 'aril keys rotate' ends it");
    }
    if (i->clock_behind_s > 0) {
        snprintf(text, sizeof text,
                 "%" PRIu64 " s behind the last change: nothing can be changed until it is right",
                 i->clock_behind_s);
        line("clock", OUT_BAD, text);
    }
    print_fleet(i);
    snprintf(text, sizeof text, "%zu overdue, %zu due", i->overdue, i->due);
    line("keys", i->overdue > 0 ? OUT_BAD : i->due > 0 ? OUT_WARN : OUT_GOOD, text);
}

static int print_all(const struct keys_session *s, const aril_keyring_info *i,
                     const struct keys_set *set, bool all)
{
    char id[2 * sizeof i->id + 1];
    keys_hex(i->id, sizeof i->id, id, sizeof id);
    printf("%s%s%s\n", out_on(OUT_BOLD), s->path, out_off());
    printf("  %-10s %s, profile %s\n", "role", i->role == ARIL_KEYRING_NODE ? "node" : "authority",
           aril_profile_name(i->profile));
    printf("  %-10s %s, revision %" PRIu64 ", generation %" PRIu64 "\n", "id", id, i->revision,
           i->generation);
    printf("  %-10s %s\n", "did", i->did[0] != '\0' ? i->did : "none");
    print_keystore(&i->keystore);
    print_state(i);
    printf("\n");
    return keys_tree_print(set, all) ? 0 : failure_report(COMMAND, ARIL_E_NOMEM, "the tree");
}

static json_t *policy_json(const aril_key_policy *p)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "root_days", (json_int_t)p->root_days,
                     "tenant_days", (json_int_t)p->tenant_days, "data_days",
                     (json_int_t)p->data_days, "api_days", (json_int_t)p->api_days, "bundle_days",
                     (json_int_t)p->bundle_days, "lead_s", (json_int_t)p->lead_s, "overdue_refuses",
                     p->overdue_refuses);
}

static json_t *keystore_json(const aril_keystore_info *k)
{
    return json_pack("{s:s, s:s, s:o, s:b, s:b}", "backend", k->backend, "protection",
                     aril_protection_name(k->protection), "description",
                     keys_json_text(keys_bytes(k->description)), "counter",
                     (k->capabilities & ARIL_KEYSTORE_COUNTER) != 0, "destroys",
                     (k->capabilities & ARIL_KEYSTORE_DESTROY) != 0);
}

static json_t *counts_json(const aril_keyring_info *i)
{
    json_t *counts = json_object();
    for (unsigned p = ARIL_KEY_ROOT; p < ARIL_KEY_PURPOSES; p++) {
        json_object_set_new(counts, aril_key_purpose_name((aril_key_purpose)p),
                            json_integer((json_int_t)i->keys[p]));
    }
    return counts;
}

static int print_json(const struct keys_session *s, const aril_keyring_info *i,
                      const struct keys_set *set, bool all)
{
    json_t *tree = NULL;
    if (!keys_tree_json(set, all, &tree)) {
        return failure_report(COMMAND, ARIL_E_NOMEM, "the tree");
    }
    json_t *json =
        json_pack("{s:b, s:o, s:o, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:b}",
                  "ok", is_well(i), "keyring", keys_json_text(keys_bytes(s->path)), "id",
                  keys_json_id(i->id, sizeof i->id), "role",
                  i->role == ARIL_KEYRING_NODE ? "node" : "authority", "profile",
                  aril_profile_name(i->profile), "policy", policy_json(&i->policy), "keystore",
                  keystore_json(&i->keystore), "created_s", (json_int_t)i->created_s, "revision",
                  (json_int_t)i->revision, "generation", (json_int_t)i->generation,
                  "bundle_version", (json_int_t)i->bundle_version, "rollback_detected",
                  i->rollback == ARIL_ROLLBACK_DETECTED, "locked", i->locked, "has_recovery",
                  i->has_recovery, "rotation_pending", i->rotation_pending);
    json_t *rest = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "did", i->did,
                             "clock_behind_s", (json_int_t)i->clock_behind_s, "due",
                             (json_int_t)i->due, "overdue", (json_int_t)i->overdue, "nodes",
                             (json_int_t)i->nodes, "nodes_revoked", (json_int_t)i->nodes_revoked,
                             "backups_open", (json_int_t)i->backups_open, "shreds_pending",
                             (json_int_t)i->shreds_pending, "counts", counts_json(i), "tree", tree);
    json_object_update(json, rest);
    json_decref(rest);
    return keys_print_json(COMMAND, json);
}

int keys_status(int argc, char **argv)
{
    struct keys_options options = { .keyring = NULL };
    bool all = false;
    bool check = false;
    const struct args_option own[] = {
        { "all", ARGS_FLAG, &all, NULL, "every key, destroyed ones as well", 0, 0 },
        { "check", ARGS_FLAG, &check, NULL, "exit with 1 when something has to be done", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "",
        .summary = "Show how the keyring stands, and the tree of its keys with their dates.\n"
                   "With --check: exit with 1 when a key is overdue, a rotation was interrupted\n"
                   "or the clock is behind.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
    };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = COMMAND };
    DEFER(keys_set_free) struct keys_set set = { .keys = NULL };
    aril_keyring_info info;
    rc = keys_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_get_info(s.keyring, &info, &error);
    if (st != ARIL_OK) {
        return failure_error(COMMAND, st, &error, s.path);
    }
    rc = keys_collect(&s, NULL, &set);
    if (rc == 0) {
        rc = (options.json ? print_json : print_all)(&s, &info, &set, all);
    }
    return rc == 0 && check && !is_well(&info) ? EXIT_CHECKS_FAILED : rc;
}
