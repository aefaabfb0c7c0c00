/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_ports.h"
#include "fetch.h"
#include <aril/keystore.h>
#include <aril/store.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TPM_DEVICE  "/dev/tpmrm0"
#define TSS_LIBRARY "libtss2-esys.so.0"
#define DEADLINE_MS 2000u

/* Open a keystore, ask it what it is, and close it. Nothing is made. */
static aril_status try_keystore(aril_runtime *rt, const char *uri, aril_keystore_info *ret_info,
                                aril_error *error)
{
    const aril_keystore_config config = { .uri = uri, .deadline_ms = DEADLINE_MS };
    aril_keystore *keystore = NULL;
    aril_status st = aril_keystore_open(rt, &config, &keystore, error);
    if (st == ARIL_OK) {
        st = aril_keystore_get_info(keystore, ret_info);
    }
    aril_keystore_close(keystore);
    return st;
}

static void explain(struct doctor_port *p, aril_status st, const aril_error *error)
{
    snprintf(p->text, sizeof p->text, "%s",
             error->message[0] == '\0' ? aril_status_text(st) : error->message);
}

static void look_at_tpm(aril_runtime *rt, struct doctor_port *p)
{
    p->feature = "TPM 2.0";
    void *library = dlopen(TSS_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(p->text, sizeof p->text, "%s is not installed (Debian: libtss2-dev)", TSS_LIBRARY);
        return;
    }
    dlclose(library);
    if (access(TPM_DEVICE, R_OK | W_OK) != 0) {
        snprintf(p->text, sizeof p->text, "%s: %s", TPM_DEVICE, strerror(errno));
        return;
    }
    aril_keystore_info info;
    aril_error error = { .status = ARIL_OK };
    /* tpm2-tss would log to standard error. */
    aril_status st = setenv("TSS2_LOG", "all+NONE", 0) == 0 ? ARIL_OK : ARIL_E_NOMEM;
    if (st == ARIL_OK) {
        st = try_keystore(rt, "tpm2:device:" TPM_DEVICE, &info, &error);
    }
    p->works = st == ARIL_OK;
    if (p->works) {
        snprintf(p->text, sizeof p->text, "%s, %s", TPM_DEVICE, info.description);
    } else {
        explain(p, st, &error);
    }
}

/* Which module there is, the user knows; whether this build could load one shows by asking for
 * one that cannot exist. */
static void look_at_pkcs11(aril_runtime *rt, struct doctor_port *p)
{
    aril_keystore_info info;
    aril_error error = { .status = ARIL_OK };
    p->feature = "PKCS#11";
    const aril_status st =
        try_keystore(rt, "pkcs11:token=none?module-path=/dev/null/none", &info, &error);
    p->works = st == ARIL_E_NOT_FOUND;
    if (p->works) {
        snprintf(p->text, sizeof p->text, "loads the module that a pkcs11: URI names");
    } else {
        explain(p, st, &error);
    }
}

/* Bundles come through what the command loads of libcurl, stores through what the library loads,
 * which is more of it. A store opens while nobody answers, so nothing is asked of anybody. */
static void look_at_http(aril_runtime *rt, struct doctor_port *p)
{
    const aril_store_config config = { .uri = "http://127.0.0.1:1/", .deadline_ms = DEADLINE_MS };
    aril_store *store = NULL;
    aril_error error = { .status = ARIL_OK };
    p->feature = "HTTP";
    p->works = fetch_http_works(p->text, sizeof p->text);
    if (!p->works) {
        return;
    }
    const aril_status st = aril_store_open(rt, &config, &store, &error);
    aril_store_close(store);
    const size_t len = strlen(p->text);
    snprintf(p->text + len, sizeof p->text - len, "; for bundles%s%s",
             st == ARIL_OK ? " and stores" : " alone: ", st == ARIL_OK ? "" : error.message);
}

void doctor_look_at_ports(aril_runtime *rt, struct doctor_port ret[DOCTOR_PORTS])
{
    memset(ret, 0, DOCTOR_PORTS * sizeof *ret);
    look_at_tpm(rt, &ret[0]);
    look_at_pkcs11(rt, &ret[1]);
    look_at_http(rt, &ret[2]);
}
