/* SPDX-License-Identifier: Apache-2.0 */
/* The token of the fake module, its sessions and its login. */
#include "fake_pkcs11_internal.h"

#define TRIES 3u

static CK_RV do_get_slot_list(CK_SLOT_ID *ret, CK_ULONG *count)
{
    if (!fake_state.initialized) {
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    }
    const CK_ULONG cap = *count;
    *count = fake->is.no_token ? 0 : fake->is.two_tokens ? 2 : 1;
    if (fake->is.many_tokens) {
        *count = 100000;
        return CKR_OK; /* also when they do not fit: a lie */
    }
    if (ret == NULL) {
        return CKR_OK;
    }
    if (cap < *count) {
        return CKR_BUFFER_TOO_SMALL;
    }
    for (CK_ULONG i = 0; i < *count; i++) {
        ret[i] = 7 + i;
    }
    return CKR_OK;
}

CK_RV fake_c_get_slot_list(unsigned char present, CK_SLOT_ID *ret, CK_ULONG *count)
{
    (void)present;
    CALL("C_GetSlotList", do_get_slot_list(ret, count));
}

static void pad(unsigned char *field, size_t bytes, const char *text)
{
    memset(field, ' ', bytes);
    memcpy(field, text, strlen(text));
}

static CK_RV do_get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *ret)
{
    if (fake->is.no_token) {
        return CKR_TOKEN_NOT_PRESENT;
    }
    memset(ret, 0, sizeof *ret);
    pad(ret->label, sizeof ret->label, FAKE_LABEL);
    pad(ret->manufacturerID, sizeof ret->manufacturerID, "Fake\nMaker");
    pad(ret->model, sizeof ret->model, "M1");
    pad(ret->serialNumber, sizeof ret->serialNumber, slot == 7 ? FAKE_SERIAL : "0124");
    ret->flags = fake->is.blank ? 0 : CKF_TOKEN_INITIALIZED;
    ret->flags |= fake->is.no_login ? 0 : CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED;
    ret->flags |= fake->is.pin_pad ? CKF_PROTECTED_AUTHENTICATION_PATH : 0;
    ret->flags |=
        fake->is.final_try || fake_state.wrong_pins == TRIES - 1 ? CKF_USER_PIN_FINAL_TRY : 0;
    ret->flags |= fake->is.locked || fake_state.wrong_pins >= TRIES ? CKF_USER_PIN_LOCKED : 0;
    return CKR_OK;
}

CK_RV fake_c_get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *ret)
{
    CALL("C_GetTokenInfo", do_get_token_info(slot, ret));
}

static CK_RV do_get_mechanism_info(CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret)
{
    memset(ret, 0, sizeof *ret);
    if (type == CKM_AES_GCM && !fake->is.no_gcm) {
        ret->flags = CKF_ENCRYPT | (fake->is.gcm_one_way ? 0 : CKF_DECRYPT);
        return CKR_OK;
    }
    ret->flags = CKF_GENERATE;
    return type == CKM_AES_KEY_GEN ? CKR_OK : CKR_MECHANISM_INVALID;
}

CK_RV fake_c_get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret)
{
    (void)slot;
    CALL("C_GetMechanismInfo", do_get_mechanism_info(type, ret));
}

/* --- sessions */

struct session *fake_session_of(CK_SESSION_HANDLE handle)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (handle != 0 && fake_state.sessions[i].handle == handle) {
            return &fake_state.sessions[i];
        }
    }
    return NULL;
}

static CK_RV do_open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret)
{
    if (!fake_state.initialized) {
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    }
    if (fake->is.no_token) {
        return CKR_TOKEN_NOT_PRESENT;
    }
    if ((flags & CKF_SERIAL_SESSION) == 0) {
        return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    }
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (fake_state.sessions[i].handle == 0) {
            fake_state.sessions[i] = (struct session){ .handle = fake_state.next_handle++ };
            fake->sessions++;
            fake->slot = slot;
            *ret = fake_state.sessions[i].handle;
            return CKR_OK;
        }
    }
    return CKR_SESSION_COUNT;
}

CK_RV fake_c_open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *ret)
{
    (void)application;
    (void)notify;
    CALL("C_OpenSession", do_open_session(slot, flags, ret));
}

static CK_RV do_close_session(CK_SESSION_HANDLE handle)
{
    struct session *s = fake_session_of(handle);
    if (s == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        if (fake_state.objects[i].handle != 0 && fake_state.objects[i].owner == handle) {
            fake_state.objects[i] = (struct object){ 0 };
            fake->objects--;
        }
    }
    *s = (struct session){ 0 };
    fake->sessions--;
    fake_state.logged_in = fake_state.logged_in && fake->sessions > 0;
    return CKR_OK;
}

CK_RV fake_c_close_session(CK_SESSION_HANDLE handle)
{
    CALL("C_CloseSession", do_close_session(handle));
}

static CK_RV do_get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->state = fake_state.logged_in ? CKS_RW_USER_FUNCTIONS : CKS_RW_PUBLIC_SESSION;
    return fake_session_of(handle) != NULL ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

CK_RV fake_c_get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *ret)
{
    CALL("C_GetSessionInfo", do_get_session_info(handle, ret));
}

static CK_RV do_login(CK_SESSION_HANDLE handle, const unsigned char *pin, CK_ULONG len)
{
    if (fake_session_of(handle) == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    fake->logins++;
    if (fake_state.logged_in) {
        return CKR_USER_ALREADY_LOGGED_IN;
    }
    if (fake->is.locked || fake_state.wrong_pins >= TRIES) {
        return CKR_PIN_LOCKED;
    }
    const bool right = fake->is.pin_pad ? pin == NULL && len == 0
                                        : pin != NULL && len == strlen(FAKE_PIN) &&
                                              memcmp(pin, FAKE_PIN, len) == 0;
    fake_state.wrong_pins = right ? 0 : fake_state.wrong_pins + 1;
    fake_state.logged_in = right;
    return right ? CKR_OK : CKR_PIN_INCORRECT;
}

CK_RV fake_c_login(CK_SESSION_HANDLE handle, CK_USER_TYPE who, unsigned char *pin, CK_ULONG len)
{
    CALL("C_Login", who == CKU_USER ? do_login(handle, pin, len) : CKR_USER_TYPE_INVALID);
}

CK_RV fake_usable(CK_SESSION_HANDLE handle)
{
    if (fake_session_of(handle) == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    return fake_state.logged_in || fake->is.no_login ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
}
