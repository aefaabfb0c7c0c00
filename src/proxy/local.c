/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/local.h"
#include "proxy/local_internal.h"
#include <stdarg.h>
#include <stdio.h>

/* --- Helpers of all local_*.c */

bool arili_local_is(aril_bytes argument, const char *word)
{
    for (size_t i = 0; i < argument.len; i++) {
        const uint8_t c = argument.data[i];
        const uint8_t low = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20u) : c;
        if (word[i] == '\0' || (uint8_t)word[i] != low) {
            return false;
        }
    }
    return word[argument.len] == '\0';
}

const char *arili_local_show(aril_bytes argument, char ret[static ARILI_LOCAL_SHOWN])
{
    size_t len = 0;
    for (; len < argument.len && len + 1 < ARILI_LOCAL_SHOWN; len++) {
        const uint8_t c = argument.data[len];
        ret[len] = c >= ' ' && c <= '~' ? (char)c : '?';
    }
    ret[len] = '\0';
    return ret;
}

void arili_local_say_word(struct arili_flow *out, const char *word)
{
    arili_say_bulk(out, (aril_bytes){ (const uint8_t *)word, strlen(word) });
}

void arili_local_say_syntax(struct arili_flow *out)
{
    arili_say_error(out, "ERR syntax error");
}

void arili_local_add(struct arili_local_text *text, const char *format, ...)
{
    const size_t left = sizeof text->data - text->len;
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text->data + text->len, left, format, args);
    va_end(args);
    if (len > 0 && (size_t)len < left) {
        text->len += (size_t)len;
    }
}

void arili_local_say_text(const struct arili_local_call *c, const struct arili_local_text *text)
{
    arili_say_text(c->out, c->l->resp3, (aril_bytes){ (const uint8_t *)text->data, text->len });
}

/* --- Small answers */

static void ping(const struct arili_local_call *c)
{
    if (c->count == 1) {
        arili_say_simple(c->out, "PONG");
    } else if (c->count == 2) {
        arili_say_bulk(c->out, c->args[1]);
    } else {
        arili_say_arity(c->out, c->command);
    }
}

static void echo(const struct arili_local_call *c)
{
    arili_say_bulk(c->out, c->args[1]);
}

static void tell_time(const struct arili_local_call *c)
{
    char number[24];
    arili_say_header(c->out, '*', 2);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)(c->l->now_ms / 1000));
    arili_local_say_word(c->out, number);
    (void)snprintf(number, sizeof number, "%u", (unsigned)(c->l->now_ms % 1000) * 1000);
    arili_local_say_word(c->out, number);
}

static void role(const struct arili_local_call *c)
{
    arili_say_header(c->out, '*', 3);
    arili_local_say_word(c->out, "master");
    arili_say_integer(c->out, 0);
    arili_say_header(c->out, '*', 0);
}

/* Of clients that know of a Cluster: ASKING, READONLY, READWRITE. */
static void agree(const struct arili_local_call *c)
{
    if (c->l->cluster) {
        arili_say_simple(c->out, "OK");
    } else {
        arili_say_error(c->out, "ERR This instance has cluster support disabled");
    }
}

static void whoami(const struct arili_local_call *c)
{
    arili_local_say_word(c->out, c->l->tenant != NULL ? c->l->tenant : "default");
}

static void nothing(const struct arili_local_call *c)
{
    arili_say_header(c->out, '*', 0);
}

/* --- HELP of a container, from the rows of its sub-commands */

static bool is_sub_of(const struct arili_command *row, const char *container, size_t len)
{
    return strncmp(row->name, container, len) == 0 && row->name[len] == '|';
}

static void help(const struct arili_local_call *c)
{
    const size_t len = (size_t)(strchr(c->command->name, '|') - c->command->name);
    size_t rows;
    const struct arili_command *const table = arili_command_table(&rows);
    uint64_t lines = 1;
    for (size_t i = 0; i < rows; i++) {
        lines += is_sub_of(&table[i], c->command->name, len) ? 2 : 0;
    }
    char line[256];
    arili_say_header(c->out, '*', lines);
    (void)snprintf(line, sizeof line, "%.*s <subcommand> [<arg> ...]. Subcommands are:", (int)len,
                   c->command->name);
    arili_say_simple(c->out, line);
    for (size_t i = 0; i < rows; i++) {
        if (is_sub_of(&table[i], c->command->name, len)) {
            arili_say_simple(c->out, table[i].name + len + 1);
            (void)snprintf(line, sizeof line, "    %s%s",
                           table[i].verb == ARILI_VERB_REFUSED ? "Refused. " : "",
                           table[i].meaning);
            arili_say_simple(c->out, line);
        }
    }
}

/* --- HELLO */

void arili_local_hello(const struct arili_local *l, struct arili_flow *out)
{
    arili_say_map(out, l->resp3, 7);
    arili_local_say_word(out, "server");
    arili_local_say_word(out, "redis");
    arili_local_say_word(out, "version");
    arili_local_say_word(out, l->server_version);
    arili_local_say_word(out, "proto");
    arili_say_integer(out, l->resp3 ? 3 : 2);
    arili_local_say_word(out, "id");
    arili_say_integer(out, (int64_t)l->client_id);
    arili_local_say_word(out, "mode");
    arili_local_say_word(out, l->cluster ? "cluster" : "standalone");
    arili_local_say_word(out, "role");
    arili_local_say_word(out, "master");
    arili_local_say_word(out, "modules");
    arili_say_header(out, '*', 0);
}

/* --- Who answers what */

static const struct {
    const char *name;
    arili_local_fn *answer;
} ANSWERS[] = {
    /* the hot one first */
    { "ping", ping },
    { "echo", echo },
    { "info", arili_local_info },
    { "acl|whoami", whoami },
    { "asking", agree },
    { "client|getname", arili_local_client_getname },
    { "client|getredir", arili_local_client_getredir },
    { "client|help", help },
    { "client|id", arili_local_client_id },
    { "client|info", arili_local_client_info },
    { "client|list", arili_local_client_list },
    { "client|no-evict", arili_local_client_no_evict },
    { "client|no-touch", arili_local_client_no_touch },
    { "client|reply", arili_local_client_reply },
    { "client|setinfo", arili_local_client_setinfo },
    { "client|setname", arili_local_client_setname },
    { "client|trackinginfo", arili_local_client_trackinginfo },
    { "client|unblock", arili_local_client_unblock },
    { "cluster|help", help },
    { "cluster|info", arili_local_cluster_info },
    { "cluster|keyslot", arili_local_cluster_keyslot },
    { "cluster|links", arili_local_cluster_links },
    { "cluster|myid", arili_local_cluster_myid },
    { "cluster|myshardid", arili_local_cluster_myshardid },
    { "cluster|nodes", arili_local_cluster_nodes },
    { "cluster|replicas", arili_local_cluster_replicas },
    { "cluster|shards", arili_local_cluster_shards },
    { "cluster|slaves", arili_local_cluster_replicas },
    { "cluster|slots", arili_local_cluster_slots },
    { "command", arili_local_command },
    { "command|count", arili_local_command_count },
    { "command|docs", arili_local_command_docs },
    { "command|getkeys", arili_local_command_getkeys },
    { "command|help", help },
    { "command|info", arili_local_command_info },
    { "command|list", arili_local_command_list },
    { "config|get", arili_local_config_get },
    { "config|help", help },
    { "memory|help", help },
    { "module|list", nothing },
    { "object|help", help },
    { "readonly", agree },
    { "readwrite", agree },
    { "role", role },
    { "time", tell_time },
};

static void say_unknown_sub(struct arili_flow *out, const struct arili_command *container,
                            aril_bytes sub)
{
    char shown[ARILI_LOCAL_SHOWN];
    char upper[16];
    size_t len = 0;
    for (; container->name[len] != '\0' && len + 1 < sizeof upper; len++) {
        const char c = container->name[len];
        upper[len] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    upper[len] = '\0';
    arili_say_error(out, "ERR unknown subcommand '%s'. Try %s HELP.", arili_local_show(sub, shown),
                    upper);
}

const struct arili_command *arili_local_resolve(const aril_bytes *args, size_t count,
                                                struct arili_flow *out)
{
    const struct arili_command *const row = arili_command_resolve(args, count);
    if (row == NULL) {
        const struct arili_command *const container = arili_command_find(args[0]);
        if (container != NULL) {
            say_unknown_sub(out, container, args[1]);
        } else {
            arili_say_unknown(out, args[0]);
        }
        return NULL;
    }
    if (!arili_command_arity_fits(row, count)) {
        arili_say_arity(out, row);
        return NULL;
    }
    return row;
}

void arili_local_answer(struct arili_local *l, const struct arili_command *command,
                        const aril_bytes *args, size_t count, struct arili_flow *out)
{
    if ((command->flags & ARILI_COMMAND_CONTAINER) != 0 && count > 1) {
        command = arili_local_resolve(args, count, out);
        if (command == NULL) {
            return;
        }
    }
    if (command->verb == ARILI_VERB_CLUSTER && !l->cluster) {
        arili_say_error(out, "ERR This instance has cluster support disabled");
        return;
    }
    const struct arili_local_call call = { l, command, args, count, out };
    for (size_t i = 0; i < sizeof ANSWERS / sizeof ANSWERS[0]; i++) {
        if (strcmp(ANSWERS[i].name, command->name) == 0) {
            ANSWERS[i].answer(&call);
            return;
        }
    }
    arili_say_refused(out, command);
}
