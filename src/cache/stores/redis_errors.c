/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "cache/stores/redis_internal.h"
#include <stdio.h>

/* The first word of an error, and what it means. Others are ARIL_E_IO. */
static const struct {
    const char *word;
    aril_status status;
    enum arili_redis_trouble trouble;
} WORDS[] = {
    { "NOAUTH", ARIL_E_AUTH, ARILI_REDIS_FINAL },
    { "WRONGPASS", ARIL_E_AUTH, ARILI_REDIS_FINAL },
    { "NOPERM", ARIL_E_AUTH, ARILI_REDIS_FINAL },
    { "OOM", ARIL_E_IO_FULL, ARILI_REDIS_FINAL },
    { "WRONGTYPE", ARIL_E_FORMAT_KIND, ARILI_REDIS_FINAL },
    { "MOVED", ARIL_E_IO, ARILI_REDIS_MOVED },
    { "ASK", ARIL_E_IO, ARILI_REDIS_ASK },
    { "TRYAGAIN", ARIL_E_IO, ARILI_REDIS_SETTLING },
    { "CLUSTERDOWN", ARIL_E_IO, ARILI_REDIS_SETTLING },
};

static aril_bytes word(aril_bytes *rest)
{
    aril_bytes out = { rest->data, 0 };
    while (out.len < rest->len && rest->data[out.len] != ' ') {
        out.len++;
    }
    const size_t used = out.len < rest->len ? out.len + 1 : out.len;
    *rest = (aril_bytes){ rest->data + used, rest->len - used };
    return out;
}

static bool is(aril_bytes text, const char *want)
{
    return text.len == strlen(want) && memcmp(text.data, want, text.len) == 0;
}

/* "3999 127.0.0.1:6381" */
static bool where(aril_bytes rest, struct arili_redis_verdict *ret)
{
    const aril_bytes slot = word(&rest);
    const aril_bytes address = word(&rest);
    uint32_t n = 0;
    if (slot.len == 0 || slot.len > 5 || rest.len > 0) {
        return false;
    }
    for (size_t i = 0; i < slot.len; i++) {
        if (slot.data[i] < '0' || slot.data[i] > '9') {
            return false;
        }
        n = n * 10 + (uint32_t)(slot.data[i] - '0');
    }
    if (n >= ARILI_RESP_SLOTS || !arili_redis_address_parse(address, &ret->address)) {
        return false;
    }
    ret->slot = (uint16_t)n;
    ret->same_host = ret->address.host[0] == '\0';
    return true;
}

void arili_redis_judge(aril_bytes text, struct arili_redis_verdict *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->status = ARIL_E_IO;
    aril_bytes rest = text;
    const aril_bytes first = word(&rest);
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (is(first, WORDS[i].word)) {
            ret->status = WORDS[i].status;
            ret->trouble = WORDS[i].trouble;
        }
    }
    const bool points = ret->trouble == ARILI_REDIS_MOVED || ret->trouble == ARILI_REDIS_ASK;
    if (points && !where(rest, ret)) {
        ret->trouble = ARILI_REDIS_FINAL;
        ret->status = ARIL_E_FORMAT;
    }
    /* Servers repeat what they were told between quotes; that may be a password. */
    size_t len = 0;
    while (len < text.len && len + 1 < sizeof ret->text && text.data[len] != '\'' &&
           text.data[len] != '`' && text.data[len] != '"' && text.data[len] != '\0') {
        ret->text[len] = (char)text.data[len];
        len++;
    }
    ret->text[len] = '\0';
}

aril_status arili_redis_refused(const struct arili_redis_verdict *v, const char *name,
                                aril_error *error)
{
    const char *const remedy =
        v->status == ARIL_E_AUTH      ? "check user and password, and the rights of the user (ACL)"
        : v->status == ARIL_E_IO_FULL ? "raise maxmemory, or let it evict"
        : v->status == ARIL_E_FORMAT_KIND ? "something else uses the same names"
        : v->trouble == ARILI_REDIS_MOVED || v->trouble == ARILI_REDIS_ASK
            ? "for a Cluster write redis+cluster:"
            : "look at its log";
    return arili_error_set(error, arili_fail(v->status), "%s: the server says \"%s\"; %s", name,
                           v->text, remedy);
}
