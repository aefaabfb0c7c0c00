/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_pkcs11.h"
#include "check.h"
#include <dlfcn.h>
#include <unistd.h>

const char *fake_pkcs11_module(void)
{
#ifdef ARIL_FAKE_PKCS11
    return access(ARIL_FAKE_PKCS11, R_OK) == 0 ? ARIL_FAKE_PKCS11 : NULL;
#else
    return NULL;
#endif
}

struct fake_pkcs11 *fake_pkcs11_of(const char *path)
{
    /* Stays loaded: the state is part of it. */
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        fail_msg("cannot load %s: %s", path, dlerror());
    }
    struct fake_pkcs11 *fake = dlsym(handle, "fake_pkcs11");
    assert_non_null(fake);
    return fake;
}

void fake_pkcs11_reset(struct fake_pkcs11 *fake)
{
    fake->reset();
}

void fake_pkcs11_replug(struct fake_pkcs11 *fake)
{
    fake->replug();
}

void fake_pkcs11_settle(struct fake_pkcs11 *fake)
{
    fake->settle();
}

void fake_pkcs11_wait_hanging(struct fake_pkcs11 *fake)
{
    (void)pthread_mutex_lock(&fake->lock);
    while (!fake->hangs) {
        (void)pthread_cond_wait(&fake->changed, &fake->lock);
    }
    (void)pthread_mutex_unlock(&fake->lock);
}

void fake_pkcs11_let_go(struct fake_pkcs11 *fake)
{
    (void)pthread_mutex_lock(&fake->lock);
    fake->let_go = true;
    (void)pthread_cond_broadcast(&fake->changed);
    (void)pthread_mutex_unlock(&fake->lock);
}
