/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "proxy.h"
#include <string.h>

#define TENANT_TEXT (4 * ARILI_CREDENTIAL_TENANT_MAX + 1)

const char *proxy_kind_name(enum arili_credential_kind kind)
{
    return kind == ARILI_CREDENTIAL_TOKEN ? "token" : "passphrase";
}

const char *proxy_subject(const char *tenant, const char *name, char ret[PROXY_SUBJECT_TEXT])
{
    char safe[TENANT_TEXT];
    snprintf(ret, PROXY_SUBJECT_TEXT, "\"%s\" of %s", name,
             keys_safe(keys_bytes(tenant), safe, sizeof safe));
    return ret;
}

static json_t *list_json(const struct arili_credentials *c, const char *tenant)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < arili_credentials_count(c); i++) {
        const struct arili_credential *const one = arili_credentials_at(c, i);
        if (tenant == NULL || strcmp(tenant, one->tenant) == 0) {
            json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:o}", "tenant",
                                                  keys_json_text(keys_bytes(one->tenant)), "name",
                                                  one->name, "kind", proxy_kind_name(one->kind),
                                                  "created", keys_json_time(one->created_s)));
        }
    }
    return json_pack("{s:o}", "credentials", list);
}

static void print_list(const struct arili_credentials *c, const char *tenant)
{
    char safe[TENANT_TEXT];
    char date[KEYS_DATE_TEXT];
    size_t widths[2] = { 6, 4 };
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            printf("%-*s  %-*s  %-10s  %s\n", (int)widths[0], "TENANT", (int)widths[1], "NAME",
                   "KIND", "CREATED");
        }
        for (size_t i = 0; i < arili_credentials_count(c); i++) {
            const struct arili_credential *const one = arili_credentials_at(c, i);
            if (tenant != NULL && strcmp(tenant, one->tenant) != 0) {
                continue;
            }
            keys_safe(keys_bytes(one->tenant), safe, sizeof safe);
            if (pass == 0) {
                const size_t columns[2] = { keys_columns(safe), strlen(one->name) };
                for (size_t k = 0; k < 2; k++) {
                    widths[k] = columns[k] > widths[k] ? columns[k] : widths[k];
                }
                continue;
            }
            keys_print_padded(safe, widths[0]);
            printf("  %-*s  %-10s  %s\n", (int)widths[1], one->name, proxy_kind_name(one->kind),
                   keys_date(one->created_s, date));
        }
    }
}

int proxy_list(const char *command, const char *path, const char *tenant, bool json)
{
    DEFER(proxy_file_close) struct proxy_file f = PROXY_FILE_NEW(command, path);
    const int rc = proxy_file_open(&f);
    if (rc != 0) {
        return rc;
    }
    if (json) {
        return keys_print_json(command, list_json(f.credentials, tenant));
    }
    print_list(f.credentials, tenant);
    return EXIT_DONE;
}

int proxy_remove(const char *command, const char *path, const char *tenant, const char *name,
                 enum arili_credential_kind kind, bool json)
{
    char subject[PROXY_SUBJECT_TEXT];
    DEFER(proxy_file_close) struct proxy_file f = PROXY_FILE_NEW(command, path);
    int rc = proxy_file_edit(&f);
    if (rc != 0) {
        return rc;
    }
    proxy_subject(tenant, name, subject);
    const struct arili_credential *const old = proxy_file_find(&f, tenant, name);
    if (old == NULL || old->kind != kind) {
        return failure_explain(
            command, ARIL_E_NOT_FOUND, "'aril proxy token --list FILE' lists what there is",
            "%s: %s has no %s of that name", subject, path, proxy_kind_name(kind));
    }
    rc = proxy_file_write(&f, old, NULL);
    if (rc != 0) {
        return rc;
    }
    if (json) {
        return keys_print_json(command, json_pack("{s:o, s:s, s:b}", "tenant",
                                                  keys_json_text(keys_bytes(tenant)), "name", name,
                                                  "removed", 1));
    }
    printf("removed the %s %s\n", proxy_kind_name(kind), subject);
    return EXIT_DONE;
}
