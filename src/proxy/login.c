/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/mem.h"
#include "proxy/run.h"
#include <string.h>

/* AUTH, HELLO, SELECT, RESET, QUIT: what changes the client itself. */

static const char wrong_text[] = "WRONGPASS invalid username-password pair or user is disabled.";

struct login {
    aril_bytes user, secret;
    bool hello; /* else AUTH */
    bool resp3;
    aril_bytes name; /* HELLO SETNAME; data NULL: none */
};

/* --- What follows from it ------------------------------------------------------------------- */

static void set_name(struct arili_client *c, aril_bytes name)
{
    if (name.data != NULL) {
        (void)arili_local_set_name(&c->local, name); /* it is a good one: hello() looked */
    }
}

/* Right: r gets its answer. */
static void logged_in(struct arili_client *c, struct arili_request *r, const char *id, bool hello,
                      bool resp3)
{
    struct arili_proxy *proxy = c->peer.loop->proxy;
    struct arili_tenant *tenant = NULL;
    const aril_bytes bytes = { (const uint8_t *)id, strlen(id) };
    if (arili_proxy_tenant(proxy, c->settings, bytes, &tenant) != ARIL_OK) {
        arili_client_refused(c, ARIL_E_NOT_FOUND, "the tenant of its password is not configured");
        arili_say_error(&r->out, "%s", wrong_text);
        return;
    }
    if (!arili_client_login(c, tenant)) {
        arili_say_error(&r->out, "ERR aril: this tenant has all the clients that it may have");
        return;
    }
    if (hello) {
        c->resp3 = resp3;
        arili_client_describe(c);
        arili_local_hello(&c->local, &r->out);
    } else {
        arili_say_simple(&r->out, "OK");
    }
}

static void wrong(struct arili_client *c, struct arili_request *r)
{
    arili_client_refused(c, ARIL_E_AUTH, "wrong password or token");
    arili_say_error(&r->out, "%s", wrong_text);
}

/* --- Passphrases, on a worker --------------------------------------------------------------- */

struct login_task {
    struct arili_task task;      /* first */
    struct arili_client *client; /* NULL: it has gone */
    struct arili_settings *settings;
    struct arili_request *r;
    bool hello, resp3, right;
    aril_status status;
    size_t user_len, secret_len;
    uint8_t user[256];
    uint8_t secret[ARILI_PASSPHRASE_MAX];
    char address[64];
    char name[128];
    bool has_name;
    char tenant[256];
};

static void login_run(struct arili_task *task)
{
    struct login_task *t = (struct login_task *)task;
    t->status =
        arili_passphrase_check(t->settings->credentials, (aril_bytes){ t->user, t->user_len },
                               (aril_bytes){ t->secret, t->secret_len }, &t->right, t->tenant);
}

static void login_done(struct arili_task *task)
{
    struct login_task *t = (struct login_task *)task;
    struct arili_loop *loop = task->loop;
    struct arili_client *c = t->client;
    if (t->status != ARIL_OK || t->right) {
        arili_tries_right(loop->proxy->tries, t->address, (aril_bytes){ t->user, t->user_len });
    }
    if (c != NULL) {
        c->login = NULL;
        t->r->answered = true;
        if (t->status != ARIL_OK) {
            arili_say_error(&t->r->out, "ERR aril: the passphrase could not be checked: %s",
                            aril_status_text(t->status));
        } else if (t->right) {
            logged_in(c, t->r, t->tenant, t->hello, t->resp3);
            set_name(c, t->has_name ? (aril_bytes){ (const uint8_t *)t->name, strlen(t->name) }
                                    : (aril_bytes){ NULL, 0 });
        } else {
            wrong(c, t->r);
        }
        arili_client_advance(c);
    }
    arili_settings_drop(t->settings);
    arili_free(t, sizeof *t);
}

static enum arili_ran ask_worker(struct arili_running *run, const struct login *l,
                                 struct arili_request *r)
{
    struct arili_client *c = run->c;
    struct arili_loop *loop = c->peer.loop;
    struct login_task *t = l->secret.len <= ARILI_PASSPHRASE_MAX && l->user.len <= sizeof t->user
                               ? arili_alloc(sizeof *t)
                               : NULL;
    if (t == NULL) {
        wrong(c, r);
        return arili_here_end(run, r);
    }
    if (!arili_tries_may(loop->proxy->tries, c->address, l->user, loop->now_ns)) {
        arili_free(t, sizeof *t);
        arili_say_error(&r->out, "WRONGPASS too many wrong tries; wait a while");
        arili_client_refused(c, ARIL_E_LIMIT, "too many wrong tries");
        return arili_here_end(run, r);
    }
    t->task.run = login_run;
    t->task.done = login_done;
    t->client = c;
    t->settings = c->settings;
    atomic_fetch_add(&c->settings->refs, 1);
    t->r = r;
    t->hello = l->hello;
    t->resp3 = l->resp3;
    memcpy(t->address, c->address, sizeof t->address);
    t->user_len = l->user.len;
    t->secret_len = l->secret.len;
    memcpy(t->user, l->user.data, l->user.len);
    memcpy(t->secret, l->secret.data, l->secret.len);
    t->has_name = l->name.data != NULL;
    if (t->has_name) {
        const size_t n = l->name.len < sizeof t->name - 1 ? l->name.len : sizeof t->name - 1;
        memcpy(t->name, l->name.data, n);
    }
    c->login = &t->client;
    arili_client_append(c, r);
    arili_loop_work(loop, &t->task);
    return ARILI_RAN;
}

static enum arili_ran login(struct arili_running *run, const struct login *l)
{
    struct arili_client *c = run->c;
    const struct arili_listen_config *listener = &c->settings->config->listeners[c->listener];
    char tenant[256];
    if (!arili_run_alone(run)) {
        return ARILI_RAN_LATER;
    }
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    if ((listener->auth & ARILI_AUTH_PASSWORD) == 0 || c->settings->credentials == NULL) {
        arili_say_error(&r->out, "ERR aril: this listener takes no passwords");
        return arili_here_end(run, r);
    }
    switch (arili_token_check(c->settings->credentials, l->user, l->secret, tenant)) {
    case ARILI_VERDICT_YES:
        logged_in(c, r, tenant, l->hello, l->resp3);
        set_name(c, l->name);
        break;
    case ARILI_VERDICT_WORK:
        return ask_worker(run, l, r);
    case ARILI_VERDICT_LATER:
        arili_say_error(&r->out, "ERR aril: the token could not be checked; try again");
        break;
    default:
        wrong(c, r);
        break;
    }
    return arili_here_end(run, r);
}

/* --- Commands ------------------------------------------------------------------------------- */

static enum arili_ran auth(struct arili_running *run)
{
    if (run->count > 3) {
        return arili_refuse(run, "ERR syntax error");
    }
    const struct login l = { .user = run->count == 3 ? run->args[1] : ARILI_LITERAL("default"),
                             .secret = run->args[run->count - 1],
                             .resp3 = run->c->resp3 };
    return login(run, &l);
}

static enum arili_ran hello_alone(struct arili_running *run, const struct login *l)
{
    struct arili_client *c = run->c;
    if (c->tenant == NULL && !arili_client_may_say(c)) {
        return arili_refuse(run, ARILI_NOBODY_TEXT);
    }
    if (c->tenant == NULL) {
        return arili_refuse(run,
                            "NOAUTH HELLO must be called with the client already authenticated, "
                            "otherwise the HELLO <proto> AUTH <user> <pass> option can be used "
                            "to authenticate the client and select the RESP protocol version "
                            "at the same time");
    }
    if (!arili_run_alone(run)) {
        return ARILI_RAN_LATER;
    }
    c->resp3 = l->resp3;
    set_name(c, l->name);
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    arili_client_describe(c);
    arili_local_hello(&c->local, &r->out);
    return arili_here_end(run, r);
}

static enum arili_ran hello(struct arili_running *run)
{
    struct login l = { .hello = true, .resp3 = run->c->resp3 };
    bool with_auth = false;
    if (run->count > 1) {
        const bool three = arili_word_is(run->args[1], "3");
        if (!three && !arili_word_is(run->args[1], "2")) {
            return arili_refuse(run, "NOPROTO unsupported protocol version");
        }
        l.resp3 = three;
    }
    for (size_t i = 2; i < run->count; i++) {
        if (arili_word_is(run->args[i], "auth") && i + 2 < run->count) {
            with_auth = true;
            l.user = run->args[i + 1];
            l.secret = run->args[i + 2];
            i += 2;
        } else if (arili_word_is(run->args[i], "setname") && i + 1 < run->count) {
            struct arili_local scratch = { .name = "" };
            l.name = run->args[++i];
            const char *const why = arili_local_set_name(&scratch, l.name);
            if (why != NULL) {
                return arili_refuse(run, "%s", why);
            }
        } else {
            return arili_refuse(run, "ERR Syntax error in HELLO option");
        }
    }
    return with_auth ? login(run, &l) : hello_alone(run, &l);
}

static enum arili_ran select_database(struct arili_running *run)
{
    struct arili_client *c = run->c;
    int64_t n = 0;
    if (!arili_word_number(run->args[1], &n)) {
        return arili_refuse(run, "ERR value is not an integer or out of range");
    }
    if (c->peer.loop->slots != NULL && n != 0) {
        return arili_refuse(run, "ERR SELECT is not allowed in cluster mode");
    }
    if (n < 0 || (uint64_t)n >= c->settings->config->databases) {
        return arili_refuse(run, "ERR DB index is out of range");
    }
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    c->database = (uint32_t)n;
    arili_say_simple(&r->out, "OK");
    return arili_here_end(run, r);
}

static enum arili_ran reset(struct arili_running *run)
{
    struct arili_client *c = run->c;
    if (!arili_run_alone(run)) {
        return ARILI_RAN_LATER;
    }
    arili_client_forget_transaction(c);
    c->watching = false;
    c->watches = 0;
    for (uint32_t i = c->link_count; i > 0; i--) { /* sticky ones are closed: nothing is watched */
        struct arili_link *link = c->links[i - 1];
        c->links[i - 1] = c->links[--c->link_count];
        arili_link_give(link);
    }
    c->database = 0;
    c->resp3 = false;
    c->local.name[0] = '\0';
    if (c->tenant != c->introduced && !arili_client_login(c, c->introduced)) {
        (void)arili_client_login(c, NULL);
    }
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    arili_say_simple(&r->out, "RESET");
    return arili_here_end(run, r);
}

static enum arili_ran quit(struct arili_running *run)
{
    struct arili_client *c = run->c;
    if (!arili_run_alone(run)) {
        return ARILI_RAN_LATER;
    }
    struct arili_request *r = arili_here(run);
    if (r == NULL) {
        return ARILI_RAN;
    }
    arili_say_simple(&r->out, "OK");
    (void)arili_here_end(run, r);
    c->peer.closing = true;
    return ARILI_RAN;
}

enum arili_ran arili_run_login(struct arili_running *run)
{
    switch (run->command->name[0]) {
    case 'a':
        return auth(run);
    case 'h':
        return hello(run);
    case 's':
        return select_database(run);
    case 'r':
        return reset(run);
    default:
        return quit(run);
    }
}
