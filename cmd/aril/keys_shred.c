/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "out.h"
#include <inttypes.h>
#include <string.h>

#define COMMAND "aril keys shred"

static bool is_open(const aril_shred_info *i)
{
    return i->nodes_open > 0 || i->backups_open > 0 || i->root_open != 0;
}

/* What still can open the tenant's data, and how that ends. */
static void print_open(const aril_shred_info *i)
{
    if (i->nodes_open > 0) {
        printf("  %u nodes have not confirmed: 'aril keys bundle write' a bundle, let them pull\n"
               "    it, and 'aril keys node confirm' their receipts, or 'aril keys node revoke'\n",
               i->nodes_open);
    }
    if (i->backups_open > 0) {
        printf("  %u backups from before hold the keys: destroy them, then\n"
               "    'aril keys backup destroyed ID' ('aril keys backup list' has the ids)\n",
               i->backups_open);
    }
    if (i->root_open != 0) {
        printf("  the root of that time is in the keystore: 'aril keys retire root@VERSION\n"
               "    --destroy' ('aril keys list --purpose root' has the versions)\n");
    }
    if (!is_open(i)) {
        printf("  nothing is open; a copy of the file that nobody counted opens with the recovery\n"
               "    key of that time alone\n");
    }
}

static void print_shred(aril_bytes tenant, const aril_shred_info *i)
{
    char safe[KEYS_OWNER_TEXT];
    char date[KEYS_DATE_TEXT];
    printf("%s%s%s: %u keys destroyed on %s\n", out_on(is_open(i) ? OUT_WARN : OUT_GOOD),
           keys_safe(tenant, safe, sizeof safe), out_off(), i->keys,
           keys_date(i->shredded_s, date));
    print_open(i);
}

static json_t *shred_json(aril_bytes tenant, const aril_shred_info *i)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "tenant", keys_json_text(tenant),
                     "shredded_s", (json_int_t)i->shredded_s, "generation",
                     (json_int_t)i->generation, "keys", (json_int_t)i->keys, "nodes_open",
                     (json_int_t)i->nodes_open, "backups_open", (json_int_t)i->backups_open,
                     "root_open", i->root_open != 0, "done", !is_open(i));
}

struct listing {
    json_t *list; /* NULL: print */
    size_t count;
};

static int visit(void *user, const aril_shred_info *info)
{
    struct listing *l = user;
    l->count++;
    if (l->list == NULL) {
        print_shred(info->tenant, info);
    } else {
        json_array_append_new(l->list, shred_json(info->tenant, info));
    }
    return 0;
}

static int print_all(struct keys_session *s, bool json)
{
    struct listing l = { .list = json ? json_array() : NULL };
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_shreds(s->keyring, visit, &l, &error);
    if (st != ARIL_OK) {
        json_decref(l.list);
        return failure_error(COMMAND, st, &error, s->path);
    }
    if (json) {
        return keys_print_json(COMMAND, l.list);
    }
    if (l.count == 0) {
        printf("no tenant was shredded\n");
    }
    return EXIT_DONE;
}

static int shred(struct keys_session *s, const char *tenant, bool root, bool json)
{
    aril_shred_info info = { .keys = 0 };
    aril_error error = { .status = ARIL_OK };
    const aril_bytes name = keys_bytes(tenant);
    const aril_status st = aril_keyring_shred(s->keyring, name, root, &info, &error);
    const bool done = st == ARIL_OK || (st == ARIL_E_UNAVAILABLE && root);
    if (done && json) {
        const int rc = keys_print_json(COMMAND, shred_json(name, &info));
        if (rc != 0) {
            return rc;
        }
    } else if (done) {
        print_shred(name, &info);
    }
    if (st == ARIL_E_NOT_FOUND && strncmp(tenant, "tenant:", 7) == 0) {
        return failure_explain(COMMAND, st, "give the name alone, without tenant:", "%s",
                               error.message);
    }
    return st == ARIL_OK ? 0 : failure_error(COMMAND, st, &error, tenant);
}

int keys_shred(int argc, char **argv)
{
    struct keys_options options = { .keyring = NULL };
    bool root = false;
    bool status = false;
    bool yes = false;
    const struct args_option own[] = {
        { "destroy-old-root", ARGS_FLAG, &root, NULL,
          "destroy former roots in the keystore as well", 0, 0 },
        { "status", ARGS_FLAG, &status, NULL, "show what is left of earlier ones", 0, 0 },
        { "yes", ARGS_FLAG, &yes, NULL, "do not ask", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "TENANT | --status",
        .summary = "Destroy all keys of a tenant, for ever: nobody opens its data again. Says\n"
                   "which nodes, backups and roots still hold the keys, and how that ends.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    int rc = keys_parse(&spec, &options, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (status == (count > 0)) {
        return failure_usage(COMMAND, status ? "--status takes no tenant"
                                             : "missing argument: TENANT, or --status");
    }
    DEFER(keys_close)
    struct keys_session s = { .command = COMMAND, .work = status ? NULL : "wrapping anew" };
    if (!status) {
        if (operands[0][0] == '\0' || strlen(operands[0]) > ARIL_KEY_OWNER_BYTES_MAX) {
            return failure_usage(COMMAND, "a tenant has 1 to %u bytes", ARIL_KEY_OWNER_BYTES_MAX);
        }
        rc = keys_confirm(COMMAND, yes,
                          root ? "all keys of the tenant are destroyed for ever, and former roots"
                               : "all keys of the tenant are destroyed for ever",
                          operands[0]);
        if (rc != 0) {
            return rc;
        }
    }
    rc = keys_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    return status ? print_all(&s, options.json) : shred(&s, operands[0], root, options.json);
}
