/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_config.h"
#include "check.h"
#include <stdio.h>
#include <string.h>

static aril_status parse(const char *text, struct arili_proxy_config **ret, aril_error *error)
{
    *ret = (struct arili_proxy_config *)ret; /* so that it shows whether it was set */
    *error = (aril_error){ ARIL_OK, "" };
    return arili_config_parse(PROXY_CONFIG_PATH,
                              (aril_bytes){ (const uint8_t *)text, strlen(text) }, ret, error);
}

struct arili_proxy_config *proxy_config_parse(const char *text)
{
    struct arili_proxy_config *config = NULL;
    aril_error error;
    if (parse(text, &config, &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
    assert_string_equal(config->path, PROXY_CONFIG_PATH);
    return config;
}

void proxy_config_refused(const char *text, unsigned line, const char *part)
{
    struct arili_proxy_config *config = NULL;
    aril_error error;
    char begin[64];
    const aril_status st = parse(text, &config, &error);
    if (st != ARIL_E_FORMAT_FIELD) {
        fail_msg("not refused, for %s: %s", part, aril_status_name(st));
    }
    assert_null(config);
    assert_status(error.status, ARIL_E_FORMAT_FIELD);
    if (line > 0) {
        (void)snprintf(begin, sizeof begin, PROXY_CONFIG_PATH ":%u: ", line);
    } else {
        (void)snprintf(begin, sizeof begin, PROXY_CONFIG_PATH ": ");
    }
    if (strncmp(error.message, begin, strlen(begin)) != 0 || strstr(error.message, part) == NULL) {
        fail_msg("wanted %s...%s, got %s", begin, part, error.message);
    }
}
