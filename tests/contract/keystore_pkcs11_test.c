/* SPDX-License-Identifier: Apache-2.0 */
/* What every keystore promises, over SoftHSM and over the fake module. */
#include "fake_pkcs11.h"
#include "keystore_contract.h"
#include "pkcs11_store.h"
#include "runtime.h"
#include "softhsm.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

#define LABEL "contract"

static aril_status open_uri(const char *uri, aril_secret_fn *ask, void *user,
                            struct arili_store *ret, aril_error *error)
{
    ret->ops = &arili_store_pkcs11;
    return pkcs11_open(uri, ask, user, &ret->state, error);
}

static const char *write_pin(const char *pin)
{
    return temp_write("pin", 0600, (aril_bytes){ (const uint8_t *)pin, strlen(pin) });
}

static aril_status open_softhsm(void *user, struct arili_store *ret, aril_error *error)
{
    (void)user;
    return open_uri(pkcs11_uri(LABEL, softhsm_module(), write_pin(SOFTHSM_PIN)), NULL, NULL, ret,
                    error);
}

static aril_status open_softhsm_asking(void *user, struct arili_store *ret, aril_error *error)
{
    return open_uri(pkcs11_uri(LABEL, softhsm_module(), NULL), asked_answer, user, ret, error);
}

static aril_status open_fake(void *user, struct arili_store *ret, aril_error *error)
{
    (void)user;
    return open_uri(pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), write_pin(FAKE_PIN)), NULL, NULL,
                    ret, error);
}

static void reset_fake(void *user)
{
    fake_pkcs11_reset(user);
}

static int run_over_softhsm(void)
{
    if (softhsm_module() == NULL) {
        (void)puts("SKIPPED: no SoftHSM; install softhsm2");
        return 0;
    }
    if (softhsm_setup(NULL) != 0 || !softhsm_add_token(LABEL)) {
        return 1;
    }
    struct asked asked = { .pin = SOFTHSM_PIN };
    const struct keystore_subject subjects[] = {
        { .name = "PKCS#11, SoftHSM with a PIN in a file",
          .open = open_softhsm,
          .protection = ARIL_PROTECTION_HSM,
          .capabilities = ARIL_KEYSTORE_DESTROY },
        { .name = "PKCS#11, SoftHSM with a PIN that is typed",
          .user = &asked,
          .open = open_softhsm_asking,
          .protection = ARIL_PROTECTION_HSM,
          .capabilities = ARIL_KEYSTORE_DESTROY | ARIL_KEYSTORE_ASKS },
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        failed += keystore_contract_run(&subjects[i]);
    }
    return failed + softhsm_teardown(NULL);
}

static int run_over_fake(void)
{
    if (fake_pkcs11_module() == NULL) {
        (void)puts("SKIPPED: no fake PKCS#11 module; install libp11-kit-dev");
        return 0;
    }
    const struct keystore_subject subject = { .name = "PKCS#11, a fake module",
                                              .user = fake_pkcs11_of(fake_pkcs11_module()),
                                              .open = open_fake,
                                              .reset = reset_fake,
                                              .protection = ARIL_PROTECTION_HSM,
                                              .capabilities = ARIL_KEYSTORE_DESTROY };
    return keystore_contract_run(&subject);
}

int main(void)
{
    if (runtime_setup(NULL) != 0 || temp_folder_make(NULL) != 0) {
        return 1;
    }
    int failed = run_over_softhsm();
    failed += run_over_fake();
    temp_clear(temp_path("pin"));
    failed += temp_folder_remove(NULL) != 0;
    runtime_teardown(NULL);
    return failed == 0 && softhsm_module() == NULL ? 77 : failed;
}
