/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/report.h"
#include "proxy/loop_internal.h"
#include <string.h>

/* What the audit sink hears of the proxy, and the log beside it: docs/audit.md has the list. */

static const struct {
    aril_event_kind kind;
    const char *action;
} rows[ARILI_TELL_KINDS] = {
    [ARILI_TELL_TAMPERED] = { ARIL_EVENT_AUTH_FAILURE, "value" },
    [ARILI_TELL_NAME] = { ARIL_EVENT_AUTH_FAILURE, "name" },
    [ARILI_TELL_FOREIGN] = { ARIL_EVENT_ISOLATION_VIOLATION, "value" },
    [ARILI_TELL_REPLAYED] = { ARIL_EVENT_REPLAY, "value" },
    [ARILI_TELL_REMOVED] = { ARIL_EVENT_AUTH_FAILURE, "removed" },
    [ARILI_TELL_ASIDE] = { ARIL_EVENT_AUTH_FAILURE, "moved-aside" },
    [ARILI_TELL_LOGIN] = { ARIL_EVENT_SESSION, "login" },
    [ARILI_TELL_REFUSED] = { ARIL_EVENT_SESSION, "login" },
    [ARILI_TELL_START] = { ARIL_EVENT_SERVICE, "start" },
    [ARILI_TELL_RELOAD] = { ARIL_EVENT_SERVICE, "reload" },
    [ARILI_TELL_END] = { ARIL_EVENT_SERVICE, "end" },
};

static uint64_t now_ns(const struct arili_proxy *proxy)
{
    uint64_t ns = 0;
    return proxy->rt->clock.boot_ns(proxy->rt->clock.state, &ns) == ARIL_OK ? ns : 0;
}

static struct arili_tells *tells_of(struct arili_proxy *proxy, struct arili_tenant *tenant)
{
    return tenant != NULL ? &tenant->tells : &proxy->tells;
}

bool arili_proxy_may_tell(struct arili_proxy *proxy, struct arili_tenant *tenant,
                          struct arili_telling *t)
{
    t->tenant = tenant;
    if (arili_tells_may(tells_of(proxy, tenant), t->kind, now_ns(proxy), &t->left_out)) {
        return true;
    }
    arili_figure_add(&proxy->figures.audit_suppressed, 1);
    return false;
}

void arili_proxy_tell(struct arili_proxy *proxy, const struct arili_telling *t)
{
    char subject[ARIL_EVENT_SUBJECT_MAX + 1];
    aril_event event = { .kind = rows[t->kind].kind,
                         .status = t->status,
                         .action = t->action != NULL ? t->action : rows[t->kind].action,
                         .records = t->left_out };
    if (t->tenant != NULL) {
        event.tenant = (aril_bytes){ (const uint8_t *)t->tenant->id, t->tenant->id_len };
    }
    if (t->key_id != NULL) {
        memcpy(event.key_id, t->key_id, sizeof event.key_id);
    }
    if (t->subject.len > 0 && t->subject.len < sizeof subject) {
        for (size_t i = 0; i < t->subject.len; i++) {
            const uint8_t c = t->subject.data[i];
            subject[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
        }
        subject[t->subject.len] = '\0';
        event.subject = subject;
    }
    arili_figure_add(&proxy->figures.audit_events, 1);
    arili_audit_emit(proxy->rt->audit, &proxy->rt->clock, &event);
}

static void tell_owed(struct arili_proxy *proxy, struct arili_tenant *tenant)
{
    const uint64_t now = now_ns(proxy);
    for (unsigned k = 0; k < ARILI_TELL_KINDS; k++) {
        struct arili_telling t = { .kind = (enum arili_tell)k, .tenant = tenant };
        if (arili_tells_owes(tells_of(proxy, tenant), t.kind, now, &t.left_out)) {
            t.status = k == ARILI_TELL_LOGIN      ? ARIL_OK
                       : k == ARILI_TELL_FOREIGN  ? ARIL_E_ISOLATION
                       : k == ARILI_TELL_REPLAYED ? ARIL_E_EXPIRED
                                                  : ARIL_E_AUTH;
            arili_proxy_tell(proxy, &t);
            if (t.kind != ARILI_TELL_LOGIN) {
                arili_proxy_say(proxy, 2,
                                "%s%s%s: so many more were left out of log and audit: %llu",
                                tenant != NULL ? tenant->id : "", tenant != NULL ? ": " : "",
                                rows[k].action, (unsigned long long)t.left_out);
            }
        }
    }
}

void arili_proxy_tell_owed(struct arili_proxy *proxy)
{
    (void)pthread_mutex_lock(&proxy->lock);
    struct arili_tenant *t = proxy->tenants;
    (void)pthread_mutex_unlock(&proxy->lock);
    tell_owed(proxy, NULL);
    for (; t != NULL; t = t->next) { /* the list only grows at its head */
        if (atomic_load_explicit(&t->tells.owing, memory_order_relaxed)) {
            tell_owed(proxy, t);
        }
    }
}

/* --- Values ---------------------------------------------------------------------------------- */

static void tell_place(struct arili_request *r, struct arili_telling *t, aril_bytes key)
{
    struct arili_place place = { .name_len = 0 };
    if (r->place != NULL) {
        place = *r->place;
    } else if (r->keys == NULL || arili_place_make(r->loop->names, r->tenant, r->keys, r->database,
                                                   key, &place) != ARIL_OK) {
        place.name_len = 0; /* then it is told without */
    }
    t->subject = (aril_bytes){ (const uint8_t *)place.name, place.name_len };
    arili_proxy_tell(r->loop->proxy, t);
}

static aril_bytes key_of(const struct arili_request *r, aril_bytes text)
{
    return r->in_hash ? (aril_bytes){ r->key, r->key_len } : text;
}

void arili_bad_tell(struct arili_request *r, aril_bytes text)
{
    struct arili_proxy *proxy = r->loop->proxy;
    const aril_status st = r->value.status != ARIL_OK ? r->value.status : ARIL_E_AUTH;
    struct arili_telling t = { .kind = aril_status_class(st) == ARIL_E_ISOLATION
                                           ? ARILI_TELL_FOREIGN
                                           : ARILI_TELL_TAMPERED,
                               .status = st,
                               .action = r->in_hash ? "field" : NULL,
                               .key_id = r->value.said.key_id };
    if (r->tenant != NULL && arili_proxy_may_tell(proxy, r->tenant, &t)) {
        tell_place(r, &t, key_of(r, text));
        arili_proxy_say(proxy, 1, "tenant %s: a value failed its check: %s", r->tenant->id,
                        aril_status_text(st));
    }
}

void arili_bad_name_tell(struct arili_request *r)
{
    struct arili_telling t = { .kind = ARILI_TELL_NAME, .status = ARIL_E_AUTH };
    if (arili_proxy_may_tell(r->loop->proxy, r->tenant, &t)) {
        tell_place(r, &t, (aril_bytes){ r->key, r->key_len });
        arili_proxy_say(r->loop->proxy, 1, "tenant %s: a field or member failed its check",
                        r->tenant->id);
    }
}

void arili_replay_tell(struct arili_request *r, aril_bytes text)
{
    const uint64_t not_after_ms = r->value.said.not_after_ms;
    const uint64_t now_ms = r->loop->now_ms;
    struct arili_telling t = { .kind = ARILI_TELL_REPLAYED,
                               .status = ARIL_E_EXPIRED,
                               .action = r->in_hash ? "field" : NULL,
                               .key_id = r->value.said.key_id };
    if (now_ms > not_after_ms && now_ms - not_after_ms > ARILI_REPLAY_GRACE_MS &&
        arili_proxy_may_tell(r->loop->proxy, r->tenant, &t)) {
        tell_place(r, &t, key_of(r, text));
        arili_proxy_say(r->loop->proxy, 1,
                        "tenant %s: the server still gives out a value whose time was over",
                        r->tenant->id);
    }
}
