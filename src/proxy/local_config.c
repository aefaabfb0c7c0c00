/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIG GET: what clients ask for before they work, as it is for this proxy. */
#include "proxy/local_internal.h"
#include <stdio.h>

#define PATTERN_MAX 128u
#define VALUE_MAX   24u

enum parameter { APPENDONLY, CLUSTER_ENABLED, DATABASES, NOTIFY, SAVE, PARAMETERS };
static const char *const NAMES[PARAMETERS] = { "appendonly", "cluster-enabled", "databases",
                                               "notify-keyspace-events", "save" };

/* Nothing is on a disk here, and no messages about keys reach clients. */
static const char *value(const struct arili_local *l, enum parameter what,
                         char ret[static VALUE_MAX])
{
    switch (what) {
    case APPENDONLY:
        return "no";
    case CLUSTER_ENABLED:
        return l->cluster ? "yes" : "no";
    case DATABASES:
        (void)snprintf(ret, VALUE_MAX, "%u", (unsigned)l->databases);
        return ret;
    default:
        return "";
    }
}

/* Names are in lower case, patterns in any. A pattern longer than any name with room for escapes
 * matches nothing. */
static bool matches(aril_bytes pattern, const char *name)
{
    uint8_t low[PATTERN_MAX];
    if (pattern.len > sizeof low) {
        return false;
    }
    for (size_t i = 0; i < pattern.len; i++) {
        const uint8_t c = pattern.data[i];
        low[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20u) : c;
    }
    return arili_glob((aril_bytes){ low, pattern.len },
                      (aril_bytes){ (const uint8_t *)name, strlen(name) });
}

/* A name that was asked for as such is answered in the letters of the client, as Redis does. */
void arili_local_config_get(const struct arili_local_call *c)
{
    aril_bytes wanted[PARAMETERS] = { { NULL, 0 } };
    uint64_t count = 0;
    for (size_t i = 2; i < c->count && count < PARAMETERS; i++) {
        for (size_t p = 0; p < PARAMETERS; p++) {
            if (wanted[p].data == NULL && matches(c->args[i], NAMES[p])) {
                wanted[p] = arili_local_is(c->args[i], NAMES[p])
                                ? c->args[i]
                                : (aril_bytes){ (const uint8_t *)NAMES[p], strlen(NAMES[p]) };
                count++;
            }
        }
    }
    arili_say_map(c->out, c->l->resp3, count);
    for (size_t p = 0; p < PARAMETERS; p++) {
        if (wanted[p].data != NULL) {
            char room[VALUE_MAX];
            arili_say_bulk(c->out, wanted[p]);
            arili_local_say_word(c->out, value(c->l, (enum parameter)p, room));
        }
    }
}
