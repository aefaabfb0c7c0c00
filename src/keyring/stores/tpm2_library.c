/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/tpm2_internal.h"
#if ARILI_TPM2_HEADERS
#include "base/ensure.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* One function of one library, and where its address goes in struct arili_tpm2_library. */
struct symbol {
    const char *name;
    size_t at;
};
#define SYMBOL(function) { #function, offsetof(struct arili_tpm2_library, function) },
static const struct symbol ESYS[] = { ARILI_TPM2_ESYS(SYMBOL){ NULL, 0 } };
static const struct symbol MU[] = { ARILI_TPM2_MU(SYMBOL){ NULL, 0 } };
static const struct symbol TCTILDR[] = { ARILI_TPM2_TCTILDR(SYMBOL){ NULL, 0 } };
static const struct symbol RC[] = { ARILI_TPM2_RC(SYMBOL){ NULL, 0 } };
static const struct symbol TCTI[] = { { NULL, 0 } };

_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "dlsym() answers functions as pointers");

static aril_status missing(const struct arili_tpm2_uri *uri, const char *reason, aril_error *error)
{
    return arili_error_set(error, ARIL_E_UNAVAILABLE,
                           "%s: %s; install tpm2-tss 3.0 or newer (Debian: libtss2-esys-3.0.2-0, "
                           "libtss2-tctildr0, libtss2-rc0, libtss2-mu0, libtss2-tcti-%s0)",
                           uri->text, reason, uri->tcti);
}

static aril_status load_one(const struct arili_tpm2_uri *uri, const char *file,
                            const struct symbol *symbols, struct arili_tpm2_library *lib,
                            void **ret_handle, aril_error *error)
{
    char reason[160];
    /* Unloading would pull the code away from a call that a deadline has given up. */
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL) {
        const char *why = dlerror();
        (void)snprintf(reason, sizeof reason, "%s", why != NULL ? why : file);
        return missing(uri, reason, error);
    }
    *ret_handle = handle;
    for (const struct symbol *s = symbols; s->name != NULL; s++) {
        void *address = dlsym(handle, s->name);
        if (address == NULL) {
            (void)snprintf(reason, sizeof reason, "%s has no %s", file, s->name);
            return missing(uri, reason, error);
        }
        memcpy((uint8_t *)lib + s->at, &address, sizeof address);
    }
    return ARIL_OK;
}

static void library_donep(struct arili_tpm2_library *lib)
{
    arili_tpm2_library_done(lib);
}

aril_status arili_tpm2_library_load(const struct arili_tpm2_uri *uri,
                                    struct arili_tpm2_library *ret, aril_error *error)
{
    char tcti[64];
    (void)snprintf(tcti, sizeof tcti, "libtss2-tcti-%s.so.0", uri->tcti);
    const struct {
        const char *file;
        const struct symbol *symbols;
    } files[ARILI_TPM2_LIBRARIES] = {
        { "libtss2-esys.so.0", ESYS },
        { "libtss2-mu.so.0", MU },
        { "libtss2-tctildr.so.0", TCTILDR },
        { "libtss2-rc.so.0", RC },
        { tcti, TCTI },
    };
    ARILI_DEFER(library_donep) struct arili_tpm2_library lib = { 0 };
    for (size_t i = 0; i < ARILI_TPM2_LIBRARIES; i++) {
        ARILI_TRY(load_one(uri, files[i].file, files[i].symbols, &lib, &lib.handles[i], error));
    }
    *ret = lib;
    memset(lib.handles, 0, sizeof lib.handles);
    return ARIL_OK;
}

void arili_tpm2_library_done(struct arili_tpm2_library *library)
{
    for (size_t i = 0; i < ARILI_TPM2_LIBRARIES; i++) {
        if (library->handles[i] != NULL) {
            (void)dlclose(library->handles[i]); /* counts down; what is loaded stays */
            library->handles[i] = NULL;
        }
    }
}
#endif
