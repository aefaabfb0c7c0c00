/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_format.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include <stdio.h>

/* tpm2-tss has more of them. "cmd" runs a program that the URI names, and "pcap", "libtpms" and
 * chains of TCTIs have no use here. */
static const struct {
    const char *name;
    bool conf_needed;
} TCTIS[] = {
    { "device", true },
    { "swtpm", true },
    { "mssim", true },
    { "tabrmd", false },
};

static const struct {
    const char *name;
    uint16_t bank;
} BANKS[] = {
    { "sha256", ARILI_TPM2_SHA256 },
    { "sha384", ARILI_TPM2_SHA384 },
    { "sha512", ARILI_TPM2_SHA512 },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static aril_status refused(const struct arili_tpm2_uri *uri, aril_error *error, const char *reason)
{
    return arili_error_set(error, ARIL_E_USAGE_RANGE,
                           "%s: %s; write tpm2:device:/dev/tpmrm0 or tpm2:swtpm:path=SOCKET, and "
                           "?pcrs=sha256:7,11 behind it for a PCR policy",
                           uri->text, reason);
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* A decimal number below 100 without sign, spaces and leading zeros. */
static bool take_number(const char **at, unsigned *ret)
{
    const char *p = *at;
    unsigned n = 0;
    size_t digits = 0;
    for (; *p >= '0' && *p <= '9' && digits < 3; p++, digits++) {
        n = n * 10 + (unsigned)(*p - '0');
    }
    if (digits == 0 || digits > 2 || (digits == 2 && **at == '0')) {
        return false;
    }
    *at = p;
    *ret = n;
    return true;
}

static const char *parse_pcrs(const char *text, struct arili_tpm2_pcrs *ret)
{
    const char *at = NULL;
    for (size_t i = 0; i < COUNT(BANKS); i++) {
        const size_t len = strlen(BANKS[i].name);
        if (starts_with(text, BANKS[i].name) && text[len] == ':') {
            ret->bank = BANKS[i].bank;
            at = text + len + 1;
        }
    }
    if (at == NULL) {
        return "the bank of the PCRs is none of sha256, sha384, sha512";
    }
    for (;; at++) {
        unsigned pcr = 0;
        if (!take_number(&at, &pcr) || pcr >= ARILI_TPM2_PCRS) {
            return "a PCR is no number from 0 to 23";
        }
        if ((ret->mask & 1u << pcr) != 0) {
            return "a PCR is there twice";
        }
        ret->mask |= 1u << pcr;
        if (*at == '\0') {
            return NULL;
        }
        if (*at != ',') {
            return "PCRs are numbers with commas between them";
        }
    }
}

static const char *parse_tcti(const char *text, size_t len, struct arili_tpm2_uri *ret)
{
    for (size_t i = 0; i < COUNT(TCTIS); i++) {
        const size_t name = strlen(TCTIS[i].name);
        if (len < name || !starts_with(text, TCTIS[i].name) || (len > name && text[name] != ':')) {
            continue;
        }
        memcpy(ret->tcti, TCTIS[i].name, name);
        if (len > name + 1) {
            memcpy(ret->conf, text + name + 1, len - name - 1);
        } else if (TCTIS[i].conf_needed) {
            return "it does not say which device or socket";
        }
        return NULL;
    }
    return "the way to the TPM is none of device, swtpm, mssim, tabrmd";
}

aril_status arili_tpm2_uri_parse(const char *uri, const char *rest, struct arili_tpm2_uri *ret,
                                 aril_error *error)
{
    struct arili_tpm2_uri out = { 0 };
    if (strlen(uri) >= sizeof out.text || strlen(rest) >= sizeof out.conf) {
        return arili_error_set(error, ARIL_E_USAGE_RANGE,
                               "the URI of the TPM is longer than %u characters",
                               ARILI_TPM2_URI_BYTES - 1);
    }
    memcpy(out.text, uri, strlen(uri));
    const char *query = strchr(rest, '?');
    const size_t len = query != NULL ? (size_t)(query - rest) : strlen(rest);
    const char *reason = parse_tcti(rest, len, &out);
    if (reason == NULL && query != NULL) {
        static const char KEY[] = "?pcrs=";
        reason = starts_with(query, KEY) ? parse_pcrs(query + sizeof KEY - 1, &out.pcrs)
                                         : "the only word behind the question mark is pcrs=";
    }
    if (reason != NULL) {
        return refused(&out, error, reason);
    }
    *ret = out;
    return ARIL_OK;
}

const char *arili_tpm2_uri_path(const struct arili_tpm2_uri *uri)
{
    if (strcmp(uri->tcti, "device") == 0) {
        return uri->conf;
    }
    static const char KEY[] = "path=";
    return strcmp(uri->tcti, "swtpm") == 0 && starts_with(uri->conf, KEY)
               ? uri->conf + sizeof KEY - 1
               : NULL;
}

void arili_tpm2_pcrs_text(const struct arili_tpm2_pcrs *pcrs, char *ret, size_t cap)
{
    const char *bank = "none";
    for (size_t i = 0; i < COUNT(BANKS); i++) {
        bank = BANKS[i].bank == pcrs->bank ? BANKS[i].name : bank;
    }
    size_t used = (size_t)snprintf(ret, cap, "%s", bank);
    for (unsigned pcr = 0; pcr < ARILI_TPM2_PCRS && used < cap; pcr++) {
        if ((pcrs->mask & 1u << pcr) != 0) {
            const char mark = (pcrs->mask & ((1u << pcr) - 1)) == 0 ? ':' : ',';
            used += (size_t)snprintf(ret + used, cap - used, "%c%u", mark, pcr);
        }
    }
}

void arili_tpm2_pcrs_marshal(const struct arili_tpm2_pcrs *pcrs,
                             uint8_t ret[ARILI_TPM2_SELECTION_BYTES])
{
    arili_store32(ret, 1);
    arili_store16(ret + 4, pcrs->bank);
    ret[6] = ARILI_TPM2_PCRS / 8;
    for (unsigned i = 0; i < ARILI_TPM2_PCRS / 8; i++) {
        ret[7 + i] = (uint8_t)(pcrs->mask >> 8 * i);
    }
}
