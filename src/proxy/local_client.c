/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT: what is known of this connection. */
#include "proxy/local_internal.h"
#include "resp/number.h"

/* Redis' rule for names: no spaces, no control characters, nothing above '~'. They end up in lines
 * of "key=value" words. */
static bool is_one_word(aril_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '!' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

/* text, which fits, with its NUL. */
static void keep(char *ret, aril_bytes text)
{
    if (text.len > 0) {
        memcpy(ret, text.data, text.len);
    }
    ret[text.len] = '\0';
}

const char *arili_local_set_name(struct arili_local *l, aril_bytes name)
{
    if (!is_one_word(name)) {
        return "ERR Client names cannot contain spaces, newlines or special characters.";
    }
    if (name.len >= sizeof l->name) {
        return "ERR Client names have at most 127 bytes here.";
    }
    keep(l->name, name);
    return NULL;
}

void arili_local_client_setname(const struct arili_local_call *c)
{
    const char *const why = arili_local_set_name(c->l, c->args[2]);
    if (why != NULL) {
        arili_say_error(c->out, "%s", why);
    } else {
        arili_say_simple(c->out, "OK");
    }
}

void arili_local_client_getname(const struct arili_local_call *c)
{
    if (c->l->name[0] == '\0') {
        arili_say_nil(c->out, c->l->resp3);
    } else {
        arili_local_say_word(c->out, c->l->name);
    }
}

void arili_local_client_setinfo(const struct arili_local_call *c)
{
    const bool is_name = arili_local_is(c->args[2], "lib-name");
    if (!is_name && !arili_local_is(c->args[2], "lib-ver")) {
        char shown[ARILI_LOCAL_SHOWN];
        arili_say_error(c->out, "ERR Unrecognized option '%s'",
                        arili_local_show(c->args[2], shown));
        return;
    }
    const char *const what = is_name ? "lib-name" : "lib-ver";
    if (!is_one_word(c->args[3])) {
        arili_say_error(c->out, "ERR %s cannot contain spaces, newlines or special characters.",
                        what);
    } else if (c->args[3].len >= sizeof c->l->lib_name) {
        arili_say_error(c->out, "ERR %s has at most 63 bytes here.", what);
    } else {
        keep(is_name ? c->l->lib_name : c->l->lib_version, c->args[3]);
        arili_say_simple(c->out, "OK");
    }
}

void arili_local_client_id(const struct arili_local_call *c)
{
    arili_say_integer(c->out, (int64_t)c->l->client_id);
}

/* --- INFO and LIST */

/* A text of the daemon as one word of the line. */
static const char *word(const char *text, char ret[static 256])
{
    size_t len = 0;
    for (; len < 255 && text[len] != '\0'; len++) {
        ret[len] = text[len] >= '!' && text[len] <= '~' ? text[len] : '?';
    }
    ret[len] = '\0';
    return ret;
}

/* The line of Redis 7.2. What this proxy does not count by client is 0, as for one that has just
 * come; fd is no number that a client could use. */
static void add_line(const struct arili_local_call *c, struct arili_local_text *text)
{
    const struct arili_local *const l = c->l;
    const uint64_t since = l->connected_ms;
    const uint64_t age = since > 0 && l->now_ms > since ? (l->now_ms - since) / 1000 : 0;
    char address[256], local[256], user[256];
    arili_local_add(text,
                    "id=%llu addr=%s laddr=%s fd=-1 name=%s age=%llu idle=0 flags=%s db=%u sub=0 "
                    "psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 "
                    "obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=%s user=%s redir=-1 resp=%d "
                    "lib-name=%s lib-ver=%s\n",
                    (unsigned long long)l->client_id, word(l->address, address),
                    word(l->local_address, local), l->name, (unsigned long long)age,
                    l->no_evict ? "e" : "N", (unsigned)l->database, c->command->name,
                    word(l->tenant != NULL ? l->tenant : "default", user), l->resp3 ? 3 : 2,
                    l->lib_name, l->lib_version);
}

void arili_local_client_info(const struct arili_local_call *c)
{
    struct arili_local_text text = { .len = 0 };
    add_line(c, &text);
    arili_local_say_text(c, &text);
}

/* TYPE normal|master|replica|slave|pubsub. False: the error was said. */
static bool is_type(const struct arili_local_call *c, bool *ret_shown)
{
    static const char *const OTHERS[] = { "master", "replica", "slave", "pubsub" };
    *ret_shown = arili_local_is(c->args[3], "normal");
    bool known = *ret_shown;
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        known = known || arili_local_is(c->args[3], OTHERS[i]);
    }
    if (!known) {
        char shown[ARILI_LOCAL_SHOWN];
        arili_say_error(c->out, "ERR Unknown client type '%s'",
                        arili_local_show(c->args[3], shown));
    }
    return known;
}

/* ID id ... False: the error was said. */
static bool is_id(const struct arili_local_call *c, bool *ret_shown)
{
    *ret_shown = false;
    for (size_t i = 3; i < c->count; i++) {
        int64_t id;
        if (!arili_number_integer(c->args[i], &id) || id < 1) {
            arili_say_error(c->out, "ERR Invalid client ID");
            return false;
        }
        *ret_shown = *ret_shown || (uint64_t)id == c->l->client_id;
    }
    return true;
}

/* A client is told of itself alone. */
void arili_local_client_list(const struct arili_local_call *c)
{
    bool shown = true;
    if (c->count == 4 && arili_local_is(c->args[2], "type")) {
        if (!is_type(c, &shown)) {
            return;
        }
    } else if (c->count > 3 && arili_local_is(c->args[2], "id")) {
        if (!is_id(c, &shown)) {
            return;
        }
    } else if (c->count > 2) {
        arili_local_say_syntax(c->out);
        return;
    }
    struct arili_local_text text = { .len = 0 };
    if (shown) {
        add_line(c, &text);
    }
    arili_local_say_text(c, &text);
}

/* --- Switches */

/* ON or OFF; false: the error was said. */
static bool is_switch(const struct arili_local_call *c, bool *ret_on)
{
    *ret_on = arili_local_is(c->args[2], "on");
    if (*ret_on || arili_local_is(c->args[2], "off")) {
        return true;
    }
    arili_local_say_syntax(c->out);
    return false;
}

void arili_local_client_no_evict(const struct arili_local_call *c)
{
    bool on;
    if (is_switch(c, &on)) {
        c->l->no_evict = on;
        arili_say_simple(c->out, "OK");
    }
}

void arili_local_client_no_touch(const struct arili_local_call *c)
{
    bool on;
    if (!is_switch(c, &on)) {
        return;
    }
    if (on) {
        arili_say_error(c->out, "ERR CLIENT NO-TOUCH ON is refused here: connections to the server "
                                "are shared with other clients");
    } else {
        arili_say_simple(c->out, "OK");
    }
}

void arili_local_client_reply(const struct arili_local_call *c)
{
    if (arili_local_is(c->args[2], "on")) {
        arili_say_simple(c->out, "OK");
    } else if (arili_local_is(c->args[2], "off") || arili_local_is(c->args[2], "skip")) {
        arili_say_error(c->out, "ERR CLIENT REPLY OFF and SKIP are refused here: every command has "
                                "its answer; read and drop it");
    } else {
        arili_local_say_syntax(c->out);
    }
}

/* --- What never is */

void arili_local_client_unblock(const struct arili_local_call *c)
{
    int64_t id;
    if (c->count > 4) {
        arili_local_say_syntax(c->out);
    } else if (c->count == 4 && !arili_local_is(c->args[3], "timeout") &&
               !arili_local_is(c->args[3], "error")) {
        arili_say_error(c->out, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    } else if (!arili_number_integer(c->args[2], &id)) {
        arili_say_error(c->out, "ERR value is not an integer or out of range");
    } else {
        arili_say_integer(c->out, 0);
    }
}

void arili_local_client_getredir(const struct arili_local_call *c)
{
    arili_say_integer(c->out, -1); /* tracking is off */
}

void arili_local_client_trackinginfo(const struct arili_local_call *c)
{
    arili_say_map(c->out, c->l->resp3, 3);
    arili_local_say_word(c->out, "flags");
    arili_say_set(c->out, c->l->resp3, 1);
    arili_local_say_word(c->out, "off");
    arili_local_say_word(c->out, "redirect");
    arili_say_integer(c->out, -1);
    arili_local_say_word(c->out, "prefixes");
    arili_say_header(c->out, '*', 0);
}
