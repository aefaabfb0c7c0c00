/* SPDX-License-Identifier: Apache-2.0 */
/* What adds to a list of a tenant. A list that is not whole adds nothing. */
#include "base/ensure.h"
#include "base/mem.h"
#include "base/units.h"
#include "proxy/config_internal.h"
#include <string.h>

static aril_status count_list(const struct arili_config_place *p, aril_bytes list, size_t had,
                              size_t *ret)
{
    aril_bytes item = { NULL, 0 };
    *ret = 0;
    while (arili_conf_list_next(&list, &item)) {
        (*ret)++;
    }
    if (*ret > ARILI_CONFIG_UIDS_MAX - had) {
        return arili_config_refuse(p, "a tenant has 256 at most");
    }
    return ARIL_OK;
}

aril_status arili_config_set_uids(const struct arili_config_place *p, aril_bytes value)
{
    struct arili_tenant_config *const tenant = p->object;
    uint32_t all[ARILI_CONFIG_UIDS_MAX];
    size_t count = tenant->uid_count;
    size_t more = 0;
    ARILI_TRY(count_list(p, value, count, &more));
    for (size_t i = 0; i < count; i++) {
        all[i] = tenant->uids[i];
    }
    aril_bytes item = { NULL, 0 };
    while (arili_conf_list_next(&value, &item)) {
        uint64_t uid = 0;
        ARILI_ENSURE(arili_number_parse(item, &uid) && uid <= p->key->max, ARIL_E_FORMAT_FIELD);
        all[count++] = (uint32_t)uid;
    }
    uint32_t *const fresh = arili_alloc(count * sizeof *fresh);
    ARILI_ENSURE(fresh != NULL, ARIL_E_NOMEM);
    memcpy(fresh, all, count * sizeof *fresh);
    arili_free(tenant->uids, tenant->uid_count * sizeof *tenant->uids);
    tenant->uids = fresh;
    tenant->uid_count = count;
    return ARIL_OK;
}

/* 64 hex digits, as small letters. */
static bool read_digest(aril_bytes from, char ret[static 65])
{
    for (size_t i = 0; i < 64 && from.len == 64; i++) {
        const uint8_t c = from.data[i];
        const uint8_t lower = c >= 'A' && c <= 'F' ? (uint8_t)(c + ('a' - 'A')) : c;
        if ((lower < '0' || lower > '9') && (lower < 'a' || lower > 'f')) {
            return false;
        }
        ret[i] = (char)lower;
    }
    ret[64] = '\0';
    return from.len == 64;
}

aril_status arili_config_set_digests(const struct arili_config_place *p, aril_bytes value)
{
    struct arili_tenant_config *const tenant = p->object;
    const size_t had = tenant->certificate_count;
    size_t more = 0;
    char digest[65];
    aril_bytes item = { NULL, 0 };
    ARILI_TRY(count_list(p, value, had, &more));
    for (aril_bytes list = value; arili_conf_list_next(&list, &item);) {
        ARILI_ENSURE(read_digest(item, digest), ARIL_E_FORMAT_FIELD);
    }
    char **const fresh = arili_alloc((had + more) * sizeof *fresh);
    ARILI_ENSURE(fresh != NULL, ARIL_E_NOMEM);
    for (size_t i = 0; i < had; i++) {
        fresh[i] = tenant->certificates[i];
    }
    size_t count = had;
    bool made = true;
    while (made && arili_conf_list_next(&value, &item) && read_digest(item, digest)) {
        fresh[count] = arili_config_text_new(arili_config_text_bytes(digest));
        made = fresh[count] != NULL;
        count += made ? 1 : 0;
    }
    if (!made) {
        while (count > had) {
            arili_config_text_free(fresh[--count]);
        }
        arili_free(fresh, (had + more) * sizeof *fresh);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    arili_free(tenant->certificates, had * sizeof *tenant->certificates);
    tenant->certificates = fresh;
    tenant->certificate_count = count;
    return ARIL_OK;
}
