/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "files.h"
#include "keys.h"
#include "out.h"
#include "subcommand.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NODE_NAME_TEXT (4 * ARIL_NODE_NAME_BYTES_MAX + 1)
#define DID_TEXT       (4 * ARIL_DID_BYTES_MAX + 1)

/* --- list ------------------------------------------------------------------------------------ */

static json_t *node_json(const aril_node_info *n)
{
    json_t *tenants = json_array();
    for (size_t i = 0; i < n->tenant_count; i++) {
        json_array_append_new(tenants, keys_json_text(n->tenants[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:I, s:o}", "id",
                     keys_json_id(n->id, sizeof n->id), "name", keys_json_text(n->name), "did",
                     keys_json_text(n->did), "revoked", n->revoked != 0, "all_tenants",
                     n->tenant_count == 0, "tenants", tenants, "added_s",
                     keys_json_time(n->added_s), "revoked_s", keys_json_time(n->revoked_s),
                     "confirmed_version", (json_int_t)n->confirmed_version, "confirmed_s",
                     keys_json_time(n->confirmed_s));
}

static void print_node(const aril_node_info *n)
{
    char name[NODE_NAME_TEXT];
    char did[DID_TEXT];
    char date[KEYS_DATE_TEXT];
    char confirmed[24] = "nothing";
    char tenants[24] = "all";
    if (n->confirmed_version > 0) {
        snprintf(confirmed, sizeof confirmed, "%" PRIu64, n->confirmed_version);
    }
    if (n->tenant_count > 0) {
        snprintf(tenants, sizeof tenants, "%zu", n->tenant_count);
    }
    keys_print_padded(keys_safe(n->name, name, sizeof name), 24);
    printf("  %s%-8s%s  %-7s  %-9s  %s  %s\n", n->revoked ? out_on(OUT_BAD) : "",
           n->revoked ? "revoked" : "enrolled", n->revoked ? out_off() : "", tenants, confirmed,
           keys_date(n->added_s, date), keys_safe(n->did, did, sizeof did));
}

struct listing {
    json_t *list; /* NULL: print */
    size_t count;
};

static int visit_node(void *user, const aril_node_info *node)
{
    struct listing *l = user;
    if (l->list != NULL) {
        json_array_append_new(l->list, node_json(node));
        return 0;
    }
    if (l->count++ == 0) {
        keys_print_padded("NODE", 24);
        printf("  STATE     TENANTS  CONFIRMED  %-20s  DID\n", "ADDED");
    }
    print_node(node);
    return 0;
}

static int node_list(int argc, char **argv)
{
    static const char command[] = "aril keys node list";
    struct keys_options options = { .keyring = NULL };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "List the nodes, with the newest bundle that each has confirmed.",
    };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = keys_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    struct listing l = { .list = options.json ? json_array() : NULL };
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_nodes(s.keyring, visit_node, &l, &error);
    if (st != ARIL_OK) {
        json_decref(l.list);
        return failure_error(command, st, &error, s.path);
    }
    if (options.json) {
        return keys_print_json(command, l.list);
    }
    if (l.count == 0) {
        printf("no nodes\n");
    }
    return EXIT_DONE;
}

/* --- add ------------------------------------------------------------------------------------- */

/* Ids of the nodes that were there before one is added: the new one is the other. */
struct known_nodes {
    uint8_t (*ids)[ARIL_NODE_ID_BYTES];
    size_t count, cap;
    bool failed;
    json_t *fresh; /* looking for it: what was found */
};

static void known_nodes_free(struct known_nodes *k)
{
    free(k->ids);
    json_decref(k->fresh);
}

static int note_node(void *user, const aril_node_info *node)
{
    struct known_nodes *k = user;
    if (k->count == k->cap) {
        const size_t cap = k->cap == 0 ? 64 : k->cap * 2;
        uint8_t(*ids)[ARIL_NODE_ID_BYTES] = realloc(k->ids, cap * sizeof *ids);
        k->failed = ids == NULL;
        if (k->failed) {
            return 1;
        }
        k->ids = ids;
        k->cap = cap;
    }
    memcpy(k->ids[k->count++], node->id, sizeof node->id);
    return 0;
}

static int find_fresh(void *user, const aril_node_info *node)
{
    struct known_nodes *k = user;
    for (size_t i = 0; i < k->count; i++) {
        if (memcmp(k->ids[i], node->id, sizeof node->id) == 0) {
            return 0;
        }
    }
    k->fresh = node_json(node);
    return 1;
}

static int add(struct keys_session *s, const char *path, aril_bytes card,
               const struct args_texts *tenants, bool json)
{
    DEFER(known_nodes_free) struct known_nodes known = { .ids = NULL };
    aril_bytes names[ARGS_TEXTS_MAX];
    for (size_t i = 0; i < tenants->count; i++) {
        names[i] = keys_bytes(tenants->values[i]);
    }
    aril_error error = { .status = ARIL_OK };
    aril_status st = aril_keyring_nodes(s->keyring, note_node, &known, &error);
    if (st == ARIL_OK && known.failed) {
        st = ARIL_E_NOMEM;
    }
    if (st == ARIL_OK) {
        st = aril_keyring_node_add(s->keyring, card, names, tenants->count, &error);
    }
    if (st != ARIL_OK) {
        return failure_error(s->command, st, &error, path);
    }
    st = aril_keyring_nodes(s->keyring, find_fresh, &known, &error);
    if (st != ARIL_OK || known.fresh == NULL) {
        return failure_error(s->command, st == ARIL_OK ? ARIL_E_NOT_FOUND : st, &error, path);
    }
    if (json) {
        return keys_print_json(s->command, json_incref(known.fresh));
    }
    printf("enrolled %s\n  %s\n  compare the DID with the one that the node's operator sees\n",
           json_string_value(json_object_get(known.fresh, "name")),
           json_string_value(json_object_get(known.fresh, "did")));
    return EXIT_DONE;
}

static int node_add(int argc, char **argv)
{
    static const char command[] = "aril keys node add";
    struct keys_options options = { .keyring = NULL };
    struct args_texts tenants = { .count = 0 };
    bool all = false;
    const struct args_option own[] = {
        { "tenant", ARGS_TEXTS, &tenants, "NAME", "it gets the keys of this tenant; repeatable", 0,
          0 },
        { "all-tenants", ARGS_FLAG, &all, NULL, "of all tenants, later ones too", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "CARD",
        .summary = "Enrol a node by its card ('aril keys node card'); - is standard input. Whose\n"
                   "card it is decides who gets keys: compare the DID that is printed.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = keys_parse(&spec, &options, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (all == (tenants.count > 0)) {
        return failure_usage(command, "%s",
                             all ? "--tenant and --all-tenants exclude one another"
                                 : "whose keys does it get? Give --tenant NAME or "
                                   "--all-tenants");
    }
    DEFER(file_contents_free) struct file_contents card = { .data = NULL };
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = file_read(command, operands[0], ARIL_CARD_BYTES_MAX, &card);
    if (rc == 0) {
        rc = keys_open(&s, &options);
    }
    return rc != 0 ? rc : add(&s, operands[0], file_bytes(&card), &tenants, options.json);
}

/* --- revoke, confirm ------------------------------------------------------------------------- */

static int node_revoke(int argc, char **argv)
{
    static const char command[] = "aril keys node revoke";
    struct keys_options options = { .keyring = NULL };
    bool yes = false;
    bool keep_names = false;
    const struct args_option own[] = {
        { "yes", ARGS_FLAG, &yes, NULL, "do not ask", 0, 0 },
        { "keep-names", ARGS_FLAG, &keep_names, NULL,
          "rotate data keys alone: caches stay warm, and the node can still tell names", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "NAME",
        .summary = "Revoke a node, for ever, and rotate every data and name key that it could\n"
                   "open. Names change with the name keys: caches of those tenants start cold,\n"
                   "unless --keep-names.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = keys_parse(&spec, &options, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    rc = keys_confirm(command, yes, "the node is revoked for ever, and the keys it had are rotated",
                      operands[0]);
    DEFER(keys_close) struct keys_session s = { .command = command, .work = "rotating" };
    if (rc == 0) {
        rc = keys_open(&s, &options);
    }
    if (rc != 0) {
        return rc;
    }
    size_t rotated = 0;
    aril_error error = { .status = ARIL_OK };
    const aril_status st =
        aril_keyring_node_revoke(s.keyring, keys_bytes(operands[0]),
                                 keep_names ? ARIL_REVOKE_KEEP_NAMES : 0, &rotated, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, operands[0]);
    }
    out_progress_end();
    if (options.json) {
        return keys_print_json(command, json_pack("{s:o, s:I}", "revoked",
                                                  keys_json_text(keys_bytes(operands[0])),
                                                  "keys_rotated", (json_int_t)rotated));
    }
    char name[KEYS_OWNER_TEXT];
    printf("revoked %s; %zu keys rotated\n"
           "next: 'aril keys bundle write', so that the other nodes get the new keys\n",
           keys_safe(keys_bytes(operands[0]), name, sizeof name), rotated);
    return EXIT_DONE;
}

static int node_confirm(int argc, char **argv)
{
    static const char command[] = "aril keys node confirm";
    struct keys_options options = { .keyring = NULL };
    const struct args_spec spec = {
        .command = command,
        .operands = "RECEIPT...",
        .summary = "Note receipts ('aril keys node receipt'); - is standard input. They end\n"
                   "shreds that wait for a node.",
        .operands_min = 1,
        .operands_max = ARGS_OPERANDS_MAX,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    int rc = keys_parse(&spec, &options, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = keys_open(&s, &options);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        DEFER(file_contents_free) struct file_contents receipt = { .data = NULL };
        rc = file_read(command, operands[i], ARIL_RECEIPT_BYTES_MAX, &receipt);
        if (rc == 0) {
            aril_error error = { .status = ARIL_OK };
            const aril_status st = aril_keyring_confirm(s.keyring, file_bytes(&receipt), &error);
            rc = st == ARIL_OK ? 0 : failure_error(command, st, &error, operands[i]);
        }
    }
    if (rc == 0 && options.json) {
        return keys_print_json(command, json_pack("{s:I}", "receipts", (json_int_t)count));
    }
    if (rc == 0) {
        printf("noted %zu receipts\n", count);
    }
    return rc;
}

/* --- card, receipt: PEM to standard output --------------------------------------------------- */

typedef aril_status pem_fn(aril_keyring *keyring, char *ret_pem, size_t cap, size_t *ret_len,
                           aril_error *error);

static int print_pem(const char *command, const char *summary, pem_fn *make, int argc, char **argv)
{
    char pem[ARIL_CARD_BYTES_MAX > ARIL_RECEIPT_BYTES_MAX ? ARIL_CARD_BYTES_MAX
                                                          : ARIL_RECEIPT_BYTES_MAX];
    struct keys_options options = { .without_json = true };
    const struct args_spec spec = { .command = command, .operands = "", .summary = summary };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(keys_close) struct keys_session s = { .command = command };
    rc = keys_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    size_t len = 0;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = make(s.keyring, pem, sizeof pem, &len, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, s.path);
    }
    fwrite(pem, 1, len, stdout);
    return EXIT_DONE;
}

static int node_card(int argc, char **argv)
{
    return print_pem("aril keys node card",
                     "Print the card of this node (PEM), for 'aril keys node add' at its\n"
                     "authority. It holds public keys alone.",
                     aril_keyring_card, argc, argv);
}

static int node_receipt(int argc, char **argv)
{
    return print_pem("aril keys node receipt",
                     "Print which bundle this node holds, signed by it (PEM), for\n"
                     "'aril keys node confirm' at its authority.",
                     aril_keyring_receipt, argc, argv);
}

int keys_node(int argc, char **argv)
{
    static const struct subcommand subcommands[] = {
        { "card", "print the card of this node", node_card },
        { "add", "enrol a node by its card", node_add },
        { "list", "list the nodes", node_list },
        { "revoke", "revoke a node", node_revoke },
        { "receipt", "print which bundle this node holds", node_receipt },
        { "confirm", "note receipts of nodes", node_confirm },
    };
    static const struct subcommand_family family = {
        .command = "aril keys node",
        .summary = "The nodes of a fleet. card and receipt run at a node, the others at its\n"
                   "authority.",
        .list = subcommands,
        .count = sizeof subcommands / sizeof subcommands[0],
    };
    return subcommand_run(&family, argc, argv);
}
