/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_token.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

struct fake_pkcs11 *fake;

int fake_token_begin(void **state)
{
    return runtime_setup(state) | temp_folder_make(state);
}

int fake_token_end(void **state)
{
    temp_clear(temp_path("pin"));
    return temp_folder_remove(state) | runtime_teardown(state);
}

bool fake_token_missing(void)
{
    const bool missing = fake_pkcs11_module() == NULL;
    if (missing) {
        (void)puts("SKIPPED: no fake PKCS#11 module; install libp11-kit-dev");
    }
    return missing;
}

int fake_token_each(void **state)
{
    (void)state;
    fake = fake_pkcs11_of(fake_pkcs11_module());
    fake_pkcs11_reset(fake);
    return 0;
}

const char *fake_token_pin(const char *pin)
{
    return temp_write("pin", 0600, (aril_bytes){ (const uint8_t *)pin, strlen(pin) });
}

const char *fake_token_uri(void)
{
    return pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), fake_token_pin(FAKE_PIN));
}

const char *fake_token_uri_no_pin(void)
{
    return pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), NULL);
}

void expect_message(const aril_error *error, const char *words)
{
    if (strstr(error->message, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, error->message);
    }
}
