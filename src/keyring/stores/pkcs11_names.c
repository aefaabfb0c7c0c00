/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/pkcs11_internal.h"
#if ARILI_P11_BUILT
#include <stdio.h>

#define SHOWN_URI_CHARS 150 /* leaves room for reason and remedy in a message */

/* What a code is besides its status. */
enum {
    LOSS = 1u << 0,   /* the session is of no use any more, or the token went away */
    DEVICE = 1u << 1, /* about device, session or login; LOSS is that as well */
};

struct meaning {
    CK_RV rv;
    const char *name;
    aril_status st;
    unsigned what;
    const char *remedy;
};

#define RV(code) code, #code

static const char insert[] = "insert the token, or bring its service back, then retry";
static const char report[] = "look at the token and the log of its module, then retry";
static const char pin[] = "check the PIN; tokens count the tries";
static const char other_user[] = "let nothing else in this process end the module, then reopen";

static const struct meaning meanings[] = {
    { RV(CKR_HOST_MEMORY), ARIL_E_NOMEM, DEVICE, "give the process more memory" },
    { RV(CKR_DEVICE_MEMORY), ARIL_E_LIMIT, DEVICE, "remove objects from the token: it is full" },
    { RV(CKR_SLOT_ID_INVALID), ARIL_E_NOT_FOUND, LOSS, insert },
    { RV(CKR_GENERAL_ERROR), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_FUNCTION_FAILED), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_ARGUMENTS_BAD), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_CANT_LOCK), ARIL_E_UNAVAILABLE, 0, "use a module that is safe for threads" },
    { RV(CKR_NEED_TO_CREATE_THREADS), ARIL_E_UNAVAILABLE, 0, "use another module" },
    { RV(CKR_ATTRIBUTE_READ_ONLY), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_ATTRIBUTE_SENSITIVE), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_ATTRIBUTE_TYPE_INVALID), ARIL_E_KEYSTORE, 0,
      "this token cannot hold such a key; docs/keystore-pkcs11.md lists the attributes" },
    { RV(CKR_ATTRIBUTE_VALUE_INVALID), ARIL_E_KEYSTORE, 0,
      "this token cannot hold such a key; docs/keystore-pkcs11.md lists the attributes" },
    { RV(CKR_ACTION_PROHIBITED), ARIL_E_KEYSTORE, 0, "allow it in the token's policy" },
    { RV(CKR_DATA_INVALID), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_DATA_LEN_RANGE), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_DEVICE_ERROR), ARIL_E_KEYSTORE, DEVICE, report },
    { RV(CKR_DEVICE_REMOVED), ARIL_E_NOT_FOUND, LOSS, insert },
    { RV(CKR_ENCRYPTED_DATA_INVALID), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_ENCRYPTED_DATA_LEN_RANGE), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_FUNCTION_CANCELED), ARIL_E_KEYSTORE, DEVICE, "retry" },
    { RV(CKR_FUNCTION_NOT_SUPPORTED), ARIL_E_UNAVAILABLE, DEVICE, "use another token or module" },
    { RV(CKR_FUNCTION_REJECTED), ARIL_E_KEYSTORE, DEVICE, "allow it at the token" },
    { RV(CKR_KEY_HANDLE_INVALID), ARIL_E_KEYSTORE, DEVICE, report },
    { RV(CKR_KEY_SIZE_RANGE), ARIL_E_UNAVAILABLE, 0, "use a token with AES-256" },
    { RV(CKR_KEY_TYPE_INCONSISTENT), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_KEY_FUNCTION_NOT_PERMITTED), ARIL_E_KEYSTORE, 0, report },
    { RV(CKR_MECHANISM_INVALID), ARIL_E_UNAVAILABLE, 0,
      "use a token that offers CKM_AES_KEY_GEN and CKM_AES_GCM" },
    { RV(CKR_MECHANISM_PARAM_INVALID), ARIL_E_KEYSTORE, 0,
      "look whether the token takes 12-byte IVs and 128-bit tags for CKM_AES_GCM" },
    { RV(CKR_OBJECT_HANDLE_INVALID), ARIL_E_KEYSTORE, DEVICE, report },
    /* Only this thread uses the session, so an operation that failed has got stuck in it. */
    { RV(CKR_OPERATION_ACTIVE), ARIL_E_KEYSTORE_BUSY, LOSS, "retry" },
    { RV(CKR_OPERATION_NOT_INITIALIZED), ARIL_E_KEYSTORE, DEVICE, "retry" },
    { RV(CKR_PIN_INCORRECT), ARIL_E_KEYSTORE_SECRET, DEVICE, pin },
    { RV(CKR_PIN_INVALID), ARIL_E_KEYSTORE_SECRET, DEVICE, pin },
    { RV(CKR_PIN_LEN_RANGE), ARIL_E_KEYSTORE_SECRET, DEVICE, pin },
    { RV(CKR_PIN_EXPIRED), ARIL_E_KEYSTORE, DEVICE, "set a new PIN with the token's own tool" },
    { RV(CKR_PIN_LOCKED), ARIL_E_KEYSTORE_LOCKOUT, DEVICE,
      "have the token's security officer unlock the PIN" },
    { RV(CKR_SESSION_CLOSED), ARIL_E_KEYSTORE, LOSS, "retry" },
    { RV(CKR_SESSION_COUNT), ARIL_E_KEYSTORE_BUSY, DEVICE, "close other users of the token" },
    { RV(CKR_SESSION_HANDLE_INVALID), ARIL_E_KEYSTORE, LOSS, "retry" },
    { RV(CKR_SESSION_READ_ONLY), ARIL_E_KEYSTORE, DEVICE, "make the token writable" },
    { RV(CKR_SESSION_READ_WRITE_SO_EXISTS), ARIL_E_KEYSTORE_BUSY, DEVICE,
      "wait until the security officer has logged out" },
    { RV(CKR_TEMPLATE_INCOMPLETE), ARIL_E_KEYSTORE, 0,
      "this token cannot hold such a key; docs/keystore-pkcs11.md lists the attributes" },
    { RV(CKR_TEMPLATE_INCONSISTENT), ARIL_E_KEYSTORE, 0,
      "this token cannot hold such a key; docs/keystore-pkcs11.md lists the attributes" },
    { RV(CKR_TOKEN_NOT_PRESENT), ARIL_E_NOT_FOUND, LOSS, insert },
    { RV(CKR_TOKEN_NOT_RECOGNIZED), ARIL_E_NOT_FOUND, DEVICE, "check the module and the token" },
    { RV(CKR_TOKEN_WRITE_PROTECTED), ARIL_E_KEYSTORE, DEVICE, "make the token writable" },
    { RV(CKR_USER_ALREADY_LOGGED_IN), ARIL_E_KEYSTORE_BUSY, DEVICE, "retry" },
    { RV(CKR_USER_NOT_LOGGED_IN), ARIL_E_KEYSTORE, LOSS, "retry" },
    { RV(CKR_USER_PIN_NOT_INITIALIZED), ARIL_E_KEYSTORE, DEVICE,
      "set the user PIN with the token's own tool" },
    { RV(CKR_USER_ANOTHER_ALREADY_LOGGED_IN), ARIL_E_KEYSTORE_BUSY, DEVICE,
      "wait until the security officer has logged out" },
    { RV(CKR_USER_TOO_MANY_TYPES), ARIL_E_KEYSTORE_BUSY, DEVICE, "close other users" },
    { RV(CKR_USER_TYPE_INVALID), ARIL_E_KEYSTORE, DEVICE, report },
    { RV(CKR_RANDOM_NO_RNG), ARIL_E_UNAVAILABLE, 0, "use another token" },
    { RV(CKR_BUFFER_TOO_SMALL), ARIL_E_KEYSTORE, DEVICE, report },
    { RV(CKR_CRYPTOKI_NOT_INITIALIZED), ARIL_E_KEYSTORE, DEVICE, other_user },
    { RV(CKR_CRYPTOKI_ALREADY_INITIALIZED), ARIL_E_KEYSTORE, DEVICE, other_user },
};

static const struct meaning *find(CK_RV rv)
{
    static const struct meaning unknown = { 0, NULL, ARIL_E_KEYSTORE, 0, report };
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (meanings[i].rv == rv) {
            return &meanings[i];
        }
    }
    return &unknown;
}

bool arili_p11_rv_is_device(CK_RV rv)
{
    return (find(rv)->what & (LOSS | DEVICE)) != 0;
}

aril_status arili_p11_failed(struct arili_p11 *s, const char *what, CK_RV rv, aril_error *error)
{
    const struct meaning *m = find(rv);
    char number[32];
    (void)snprintf(number, sizeof number, "CKR 0x%lx", (unsigned long)rv);
    s->lost = (m->what & LOSS) != 0;
    return arili_error_set(error, arili_fail(m->st), "%.*s: cannot %s: %s; %s", SHOWN_URI_CHARS,
                           s->uri, what, m->name != NULL ? m->name : number, m->remedy);
}

aril_status arili_p11_refuse(const struct arili_p11 *s, aril_status st, const char *reason,
                             aril_error *error)
{
    return arili_error_set(error, arili_fail(st), "%.*s: %s", SHOWN_URI_CHARS, s->uri, reason);
}

#endif
