/* SPDX-License-Identifier: Apache-2.0 */
/* The module of tests/support/fake_pkcs11.h: its state, faults, beginning and end. */
#include "fake_pkcs11_internal.h"

static void reset(void);
static void replug(void);
static void settle(void);

struct fake_pkcs11 fake_pkcs11 = {
    .reset = reset,
    .replug = replug,
    .settle = settle,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
};
struct fake_state fake_state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .next_handle = 1,
    .random_state = 1,
};

static void replug(void)
{
    memset(fake_state.sessions, 0, sizeof fake_state.sessions);
    fake_state.logged_in = false;
    fake->sessions = 0;
}

static void reset(void)
{
    replug();
    memset(fake_state.objects, 0, sizeof fake_state.objects);
    fake_state.initialized = false;
    fake_state.wrong_pins = 0;
    memset(&fake->is, 0, sizeof fake->is);
    fake->fault_in = fake->fault_was = fake->hang_in = NULL;
    fake->fault_nth = 0;
    fake->fault_rv = CKR_OK;
    fake->fault_after = fake->fault_repeats = fake->hangs = fake->let_go = false;
    fake->calls = fake->initialized = fake->finalized = fake->logins = 0;
    fake->objects = 0;
    fake->slot = 0;
}

static void settle(void)
{
    (void)pthread_mutex_lock(&fake_state.lock);
    (void)pthread_mutex_unlock(&fake_state.lock);
}

/* --- around each call */

static void hang(void)
{
    (void)pthread_mutex_lock(&fake->lock);
    fake->hangs = true;
    (void)pthread_cond_broadcast(&fake->changed);
    while (!fake->let_go) {
        (void)pthread_cond_wait(&fake->changed, &fake->lock);
    }
    fake->hangs = false;
    (void)pthread_mutex_unlock(&fake->lock);
}

CK_RV fake_enter(const char *name)
{
    if (fake->hang_in != NULL && strcmp(fake->hang_in, name) == 0) {
        hang();
    }
    (void)pthread_mutex_lock(&fake_state.lock);
    fake->calls++;
    const bool counts = fake->fault_in == NULL || strcmp(fake->fault_in, name) == 0;
    if (fake->fault_nth > 0 && counts && --fake->fault_nth == 0) {
        fake->fault_was = name;
        fake->fault_nth = fake->fault_repeats ? 1 : 0;
        fake_state.after = fake->fault_after;
        if (!fake_state.after) {
            (void)pthread_mutex_unlock(&fake_state.lock);
            return fake->fault_rv;
        }
    }
    return CKR_OK;
}

CK_RV fake_leave(CK_RV rv)
{
    const bool lie = fake_state.after;
    fake_state.after = false;
    (void)pthread_mutex_unlock(&fake_state.lock);
    return lie ? fake->fault_rv : rv;
}

/* --- the module */

static CK_RV do_initialize(const CK_C_INITIALIZE_ARGS *args)
{
    if (args == NULL || args->flags != CKF_OS_LOCKING_OK) {
        return CKR_ARGUMENTS_BAD;
    }
    if (fake_state.initialized || fake->is.foreign) {
        fake_state.initialized = true;
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    }
    fake_state.initialized = true;
    fake->initialized++;
    return CKR_OK;
}

static CK_RV c_initialize(void *args)
{
    CALL("C_Initialize", do_initialize(args));
}

static CK_RV do_finalize(void)
{
    if (!fake_state.initialized) {
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    }
    replug();
    fake_state.initialized = false;
    fake->finalized++;
    return CKR_OK;
}

static CK_RV c_finalize(void *reserved)
{
    (void)reserved;
    CALL("C_Finalize", do_finalize());
}

static CK_RV do_get_info(CK_INFO *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->cryptokiVersion.major = 2;
    ret->cryptokiVersion.minor = fake->is.cryptoki_2_20 ? 20 : 40;
    return fake_state.initialized ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

static CK_RV c_get_info(CK_INFO *ret)
{
    CALL("C_GetInfo", do_get_info(ret));
}

static CK_FUNCTION_LIST list_now(void)
{
    CK_FUNCTION_LIST list = { .version = { 2, fake->is.old_list ? 20 : 40 },
                              .C_Initialize = c_initialize,
                              .C_Finalize = c_finalize };
    if (!fake->is.no_functions) {
        list.C_GetInfo = c_get_info;
        list.C_GetSlotList = fake_c_get_slot_list;
        list.C_GetTokenInfo = fake_c_get_token_info;
        list.C_GetMechanismInfo = fake_c_get_mechanism_info;
        list.C_OpenSession = fake_c_open_session;
        list.C_CloseSession = fake_c_close_session;
        list.C_GetSessionInfo = fake_c_get_session_info;
        list.C_Login = fake_c_login;
        list.C_GenerateKey = fake_c_generate_key;
        list.C_DestroyObject = fake_c_destroy_object;
        list.C_GetAttributeValue = fake_c_get_attribute_value;
        list.C_FindObjectsInit = fake_c_find_init;
        list.C_FindObjects = fake_c_find;
        list.C_FindObjectsFinal = fake_c_find_final;
        list.C_EncryptInit = fake_c_encrypt_init;
        list.C_Encrypt = fake_c_encrypt;
        list.C_DecryptInit = fake_c_decrypt_init;
        list.C_Decrypt = fake_c_decrypt;
        list.C_GenerateRandom = fake_c_generate_random;
    }
    return list;
}

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    /* Two, so that nothing is written while another thread calls through it. */
    static CK_FUNCTION_LIST good, bad;
    (void)pthread_mutex_lock(&fake_state.lock);
    const bool lies = fake->is.old_list || fake->is.no_functions;
    if (lies) {
        bad = list_now();
    } else if (good.C_Finalize == NULL) {
        good = list_now();
    }
    *ret = lies ? &bad : &good;
    (void)pthread_mutex_unlock(&fake_state.lock);
    return fake->is.no_list ? CKR_GENERAL_ERROR : CKR_OK;
}
