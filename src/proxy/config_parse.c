/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "proxy/config_internal.h"
#include <stdarg.h>
#include <stdio.h>

#define SHOWN_PATH_CHARS  80u
#define SHOWN_VALUE_CHARS 48
#define SHOWN_NAME_CHARS  32

static int shown(aril_bytes b, int max)
{
    return b.len < (size_t)max ? (int)b.len : max;
}

aril_status arili_config_fail(const struct arili_config_parser *p, uint32_t line,
                              const char *format, ...)
{
    char text[ARIL_ERROR_MESSAGE_BYTES] = "";
    char number[16] = "";
    const size_t len = strlen(p->path);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (line > 0) {
        (void)snprintf(number, sizeof number, "%lu:", (unsigned long)line);
    }
    return arili_error_set(p->error, arili_fail(ARIL_E_FORMAT_FIELD), "%s:%s %s",
                           p->path + (len > SHOWN_PATH_CHARS ? len - SHOWN_PATH_CHARS : 0), number,
                           text);
}

aril_status arili_config_no_memory(const struct arili_config_parser *p)
{
    return arili_error_set(p->error, arili_fail(ARIL_E_NOMEM), "%s: memory is short", p->path);
}

/* --- Sections */

/* ARILI_SECTIONS: there is none of that name. */
static enum arili_config_section find_section(aril_bytes name)
{
    unsigned s = ARILI_SECTION_TOP + 1;
    while (s < ARILI_SECTIONS && !arili_conf_is(name, arili_config_sections[s].name)) {
        s++;
    }
    return s;
}

static aril_status unknown_section(const struct arili_config_parser *p,
                                   const struct arili_conf_item *item)
{
    struct arili_nearest nearest = arili_nearest_init(item->name);
    for (unsigned s = ARILI_SECTION_TOP + 1; s < ARILI_SECTIONS; s++) {
        arili_nearest_offer(&nearest, arili_config_sections[s].name);
    }
    return arili_config_fail(p, item->line, "[%.*s]: there is no such section%s%s%s",
                             shown(item->name, SHOWN_NAME_CHARS), (const char *)item->name.data,
                             nearest.best == NULL ? "; see man arild.conf" : "; did you mean [",
                             nearest.best == NULL ? "" : nearest.best,
                             nearest.best == NULL ? "" : "]?");
}

static aril_status check_argument(const struct arili_config_parser *p,
                                  const struct arili_config_section_row *row,
                                  const struct arili_conf_item *item)
{
    if (row->argument == NULL) {
        return item->value.data == NULL
                   ? ARIL_OK
                   : arili_config_fail(p, item->line, "[%s] takes no argument", row->name);
    }
    if (item->value.len == 0 || item->value.len > row->argument_max) {
        return arili_config_fail(p, item->line, "[%s ...] wants %s, of 1 to %u bytes", row->name,
                                 row->argument, (unsigned)row->argument_max);
    }
    return ARIL_OK;
}

static aril_status begin_tenant(struct arili_config_parser *p, const struct arili_conf_item *item)
{
    struct arili_tenant_config *const tenant = &p->config->tenants[p->config->tenant_count];
    p->tenant_lines[p->config->tenant_count++] = item->line;
    tenant->id = arili_config_text_new(item->value);
    p->object = tenant;
    return tenant->id != NULL ? arili_config_defaults(ARILI_SECTION_TENANT, tenant) : ARIL_E_NOMEM;
}

static aril_status begin_policy(struct arili_config_parser *p, const struct arili_conf_item *item)
{
    p->policy_lines[p->config->policy_count] = item->line;
    p->object = &p->config->policies[p->config->policy_count];
    return arili_config_add_policy(p->config, item->value);
}

static aril_status begin_listener(struct arili_config_parser *p, const struct arili_conf_item *item)
{
    p->listener_lines[p->config->listener_count] = item->line;
    p->object = &p->config->listeners[p->config->listener_count++];
    return arili_config_defaults(ARILI_SECTION_LISTEN, p->object);
}

/* How many of the sections that may be repeated were read. */
static size_t how_many(const struct arili_config_parser *p, enum arili_config_section section)
{
    switch (section) {
    case ARILI_SECTION_LISTEN:
        return p->config->listener_count;
    case ARILI_SECTION_TENANT:
        return p->config->tenant_count;
    case ARILI_SECTION_POLICY:
        return p->config->policy_count;
    default:
        return p->section_lines[section] > 0 ? 1 : 0;
    }
}

static aril_status begin_section(struct arili_config_parser *p, const struct arili_conf_item *item)
{
    const enum arili_config_section section = find_section(item->name);
    if (section >= ARILI_SECTIONS) {
        return unknown_section(p, item);
    }
    const struct arili_config_section_row *const row = &arili_config_sections[section];
    ARILI_TRY(check_argument(p, row, item));
    if (row->max == 1 && p->section_lines[section] > 0) {
        return arili_config_fail(p, item->line, "[%s] stands in line %lu already", row->name,
                                 (unsigned long)p->section_lines[section]);
    }
    if (how_many(p, section) == row->max) {
        return arili_config_fail(p, item->line, "[%s] is there too often; %zu at most", row->name,
                                 row->max);
    }
    p->section = section;
    p->section_line = item->line;
    p->section_lines[section] = item->line;
    memset(p->seen, 0, sizeof p->seen);
    p->config->admin = p->config->admin || section == ARILI_SECTION_ADMIN;
    p->object = arili_config_object(p->config, section);
    aril_status st = ARIL_OK;
    if (section == ARILI_SECTION_LISTEN) {
        st = begin_listener(p, item);
    } else if (section == ARILI_SECTION_TENANT) {
        st = begin_tenant(p, item);
    } else if (section == ARILI_SECTION_POLICY) {
        st = begin_policy(p, item);
    }
    return st == ARIL_OK ? ARIL_OK : arili_config_no_memory(p);
}

/* --- Keys */

static aril_status unknown_key(const struct arili_config_parser *p,
                               const struct arili_conf_item *item)
{
    const char *const section = arili_config_sections[p->section].name;
    struct arili_nearest nearest = arili_nearest_init(item->name);
    const char *hint = "; see man arild.conf";
    const char *what = "";
    const char *end = "";
    for (size_t i = 0; i < arili_config_key_count; i++) {
        if (arili_config_keys[i].section == p->section) {
            arili_nearest_offer(&nearest, arili_config_keys[i].name);
        }
    }
    if (nearest.best != NULL) {
        hint = "; did you mean ";
        what = nearest.best;
        end = "?";
    }
    for (unsigned s = 0; s < ARILI_SECTIONS; s++) {
        if (arili_config_key_find(s, item->name) != NULL) {
            hint = s == ARILI_SECTION_TOP ? "; it belongs before the first section"
                                          : "; it belongs into [";
            what = arili_config_sections[s].name;
            end = s == ARILI_SECTION_TOP ? "" : "]";
            break;
        }
    }
    /* The value stays out of it: it may be a password. */
    return arili_config_fail(p, item->line, "%s%s%s%.*s: there is no such key%s%s%s",
                             section[0] == '\0' ? "" : "[", section, section[0] == '\0' ? "" : "] ",
                             shown(item->name, SHOWN_NAME_CHARS), (const char *)item->name.data,
                             hint, what, end);
}

static aril_status set_key(struct arili_config_parser *p, const struct arili_conf_item *item)
{
    const struct arili_config_key *const key = arili_config_key_find(p->section, item->name);
    if (key == NULL) {
        return unknown_key(p, item);
    }
    uint32_t *const seen = &p->seen[key - arili_config_keys];
    if (*seen > 0 && (key->flags & ARILI_KEY_ADDS) == 0) {
        return arili_config_fail(p, item->line, "%s stands in line %lu already", key->label,
                                 (unsigned long)*seen);
    }
    *seen = item->line;
    char reason[ARILI_CONFIG_REASON_TEXT];
    char range[ARILI_CONFIG_RANGE_TEXT];
    const aril_status st = arili_config_set(key, p->path, p->object, item->value, reason);
    if (st == ARIL_OK) {
        return ARIL_OK;
    }
    if (st == ARIL_E_NOMEM) {
        return arili_config_no_memory(p);
    }
    if (reason[0] != '\0') {
        return arili_config_fail(p, item->line, "%s: %s", key->label, reason);
    }
    arili_config_range_text(key, range);
    if (key->kind == ARILI_KIND_SERVER) { /* what is no URI may be a password */
        return arili_config_fail(p, item->line, "%s: not %s", key->label, range);
    }
    const bool whole = item->value.len <= SHOWN_VALUE_CHARS;
    return arili_config_fail(p, item->line, "%s = %.*s%s: not %s", key->label,
                             shown(item->value, SHOWN_VALUE_CHARS), (const char *)item->value.data,
                             whole ? "" : "...", range);
}

/* --- All of it */

/* Room for all sections that may be repeated, up to one too many. */
static aril_status make_room(struct arili_config_parser *p, aril_bytes text)
{
    size_t counts[ARILI_SECTIONS + 1] = { 0 };
    struct arili_conf conf = arili_conf_init(text);
    struct arili_conf_item item;
    const char *reason = NULL;
    do {
        const aril_status st = arili_conf_next(&conf, &item, &reason);
        if (st == ARIL_OK && item.kind == ARILI_CONF_SECTION) {
            const unsigned s = find_section(item.name);
            counts[s] += s == ARILI_SECTIONS || counts[s] < arili_config_sections[s].max ? 1 : 0;
        }
    } while (conf.rest.len > 0);
    const aril_status st =
        arili_config_new_for(counts[ARILI_SECTION_LISTEN], counts[ARILI_SECTION_TENANT],
                             counts[ARILI_SECTION_POLICY] + 1, &p->config);
    p->tenant_room = counts[ARILI_SECTION_TENANT];
    p->tenant_lines = p->tenant_room > 0 && st == ARIL_OK
                          ? arili_alloc(p->tenant_room * sizeof *p->tenant_lines)
                          : NULL;
    if (st != ARIL_OK || (p->tenant_room > 0 && p->tenant_lines == NULL)) {
        return arili_config_no_memory(p);
    }
    p->config->path = arili_config_text_new(arili_config_text_bytes(p->path));
    return p->config->path != NULL ? ARIL_OK : arili_config_no_memory(p);
}

static aril_status read_all(struct arili_config_parser *p, aril_bytes text)
{
    struct arili_conf conf = arili_conf_init(text);
    p->object = arili_config_object(p->config, ARILI_SECTION_TOP);
    for (;;) {
        struct arili_conf_item item;
        const char *reason = NULL;
        if (arili_conf_next(&conf, &item, &reason) != ARIL_OK) {
            /* The line stays out of it: it may hold a password. */
            return arili_config_fail(p, conf.line, "%s", reason);
        }
        if (item.kind == ARILI_CONF_PAIR) {
            ARILI_TRY(set_key(p, &item));
            continue;
        }
        ARILI_TRY(arili_config_check_section(p));
        if (item.kind == ARILI_CONF_END) {
            return arili_config_check_whole(p);
        }
        ARILI_TRY(begin_section(p, &item));
    }
}

static void parser_done(struct arili_config_parser *p)
{
    arili_free(p->tenant_lines, p->tenant_room * sizeof *p->tenant_lines);
    arili_config_free(p->config);
}

aril_status arili_config_parse(const char *path, aril_bytes text, struct arili_proxy_config **ret,
                               aril_error *error)
{
    *ret = NULL;
    ARILI_DEFER(parser_done) struct arili_config_parser p = { .path = path, .error = error };
    if (text.len > ARILI_CONFIG_BYTES_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_LIMIT), "%s: longer than %zu bytes", path,
                               ARILI_CONFIG_BYTES_MAX);
    }
    ARILI_TRY(make_room(&p, text));
    ARILI_TRY(read_all(&p, text));
    *ret = ARILI_TAKE(p.config);
    return ARIL_OK;
}
