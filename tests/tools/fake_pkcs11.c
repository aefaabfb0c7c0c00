/* SPDX-License-Identifier: Apache-2.0 */
/* The module of tests/support/fake_pkcs11.h. The cipher is a toy: it notices changes, and that
 * is all that tests of the calls around it need. */
#include "fake_pkcs11.h"
#include <p11-kit/pkcs11.h>
#include <stdint.h>
#include <string.h>

#define EXPORT       __attribute__((visibility("default")))
#define SESSIONS_MAX 16u
#define OBJECTS_MAX  16u
#define KEY_BYTES    32u
#define TAG_BYTES    16u
#define IV_BYTES     12u
#define TRIES        3u

static void reset(void);
static void replug(void);

EXPORT extern struct fake_pkcs11 fake_pkcs11;
struct fake_pkcs11 fake_pkcs11 = {
    .reset = reset,
    .replug = replug,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
};
static struct fake_pkcs11 *const fake = &fake_pkcs11;

struct object {
    CK_OBJECT_HANDLE handle; /* 0: free */
    CK_SESSION_HANDLE owner; /* of a session object */
    CK_BBOOL is_token, is_private, sensitive, extractable;
    unsigned char id[32];
    size_t id_len;
    unsigned char key[KEY_BYTES];
};

struct operation {
    bool active;
    CK_OBJECT_HANDLE key;
    CK_GCM_PARAMS params;
};

struct session {
    CK_SESSION_HANDLE handle; /* 0: free */
    bool finding;
    unsigned char find_id[32];
    size_t find_len, find_next;
    struct operation encrypts, decrypts;
};

static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER;
static bool initialized, logged_in, after;
static unsigned wrong_pins;
static unsigned long next_handle = 1;
static uint64_t random_state = 1;
static struct session sessions[SESSIONS_MAX];
static struct object objects[OBJECTS_MAX];

static void replug(void)
{
    memset(sessions, 0, sizeof sessions);
    logged_in = false;
    fake->sessions = 0;
}

static void reset(void)
{
    replug();
    memset(objects, 0, sizeof objects);
    initialized = false;
    wrong_pins = 0;
    memset(&fake->is, 0, sizeof fake->is);
    fake->fault_in = fake->fault_was = fake->hang_in = NULL;
    fake->fault_nth = 0;
    fake->fault_rv = CKR_OK;
    fake->fault_after = fake->fault_repeats = fake->hangs = fake->let_go = false;
    fake->calls = fake->initialized = fake->finalized = fake->logins = 0;
    fake->objects = 0;
    fake->slot = 0;
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

static CK_RV enter(const char *name)
{
    if (fake->hang_in != NULL && strcmp(fake->hang_in, name) == 0) {
        hang();
    }
    (void)pthread_mutex_lock(&state_lock);
    fake->calls++;
    const bool counts = fake->fault_in == NULL || strcmp(fake->fault_in, name) == 0;
    if (fake->fault_nth > 0 && counts && --fake->fault_nth == 0) {
        fake->fault_was = name;
        fake->fault_nth = fake->fault_repeats ? 1 : 0;
        after = fake->fault_after;
        if (!after) {
            (void)pthread_mutex_unlock(&state_lock);
            return fake->fault_rv;
        }
    }
    return CKR_OK;
}

static CK_RV leave(CK_RV rv)
{
    const bool lie = after;
    after = false;
    (void)pthread_mutex_unlock(&state_lock);
    return lie ? fake->fault_rv : rv;
}

/* The body of a function of the interface. */
#define CALL(name, expr)                                    \
    do {                                                    \
        const CK_RV call_rv_ = enter(name);                 \
        return call_rv_ != CKR_OK ? call_rv_ : leave(expr); \
    } while (0)

/* --- the module */

static CK_RV do_initialize(const CK_C_INITIALIZE_ARGS *args)
{
    if (args == NULL || args->flags != CKF_OS_LOCKING_OK) {
        return CKR_ARGUMENTS_BAD;
    }
    if (initialized || fake->is.foreign) {
        initialized = true;
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    }
    initialized = true;
    fake->initialized++;
    return CKR_OK;
}

static CK_RV c_initialize(void *args)
{
    CALL("C_Initialize", do_initialize(args));
}

static CK_RV do_finalize(void)
{
    if (!initialized) {
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    }
    replug();
    initialized = false;
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
    return initialized ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

static CK_RV c_get_info(CK_INFO *ret)
{
    CALL("C_GetInfo", do_get_info(ret));
}

/* --- the token */

static CK_RV do_get_slot_list(CK_SLOT_ID *ret, CK_ULONG *count)
{
    if (!initialized) {
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

static CK_RV c_get_slot_list(unsigned char present, CK_SLOT_ID *ret, CK_ULONG *count)
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
    ret->flags |= fake->is.final_try || wrong_pins == TRIES - 1 ? CKF_USER_PIN_FINAL_TRY : 0;
    ret->flags |= fake->is.locked || wrong_pins >= TRIES ? CKF_USER_PIN_LOCKED : 0;
    return CKR_OK;
}

static CK_RV c_get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *ret)
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

static CK_RV c_get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret)
{
    (void)slot;
    CALL("C_GetMechanismInfo", do_get_mechanism_info(type, ret));
}

/* --- sessions */

static struct session *session_of(CK_SESSION_HANDLE handle)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (handle != 0 && sessions[i].handle == handle) {
            return &sessions[i];
        }
    }
    return NULL;
}

static CK_RV do_open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret)
{
    if (!initialized) {
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    }
    if (fake->is.no_token) {
        return CKR_TOKEN_NOT_PRESENT;
    }
    if ((flags & CKF_SERIAL_SESSION) == 0) {
        return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    }
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (sessions[i].handle == 0) {
            sessions[i] = (struct session){ .handle = next_handle++ };
            fake->sessions++;
            fake->slot = slot;
            *ret = sessions[i].handle;
            return CKR_OK;
        }
    }
    return CKR_SESSION_COUNT;
}

static CK_RV c_open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                            CK_SESSION_HANDLE *ret)
{
    (void)application;
    (void)notify;
    CALL("C_OpenSession", do_open_session(slot, flags, ret));
}

static CK_RV do_close_session(CK_SESSION_HANDLE handle)
{
    struct session *s = session_of(handle);
    if (s == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        if (objects[i].handle != 0 && objects[i].owner == handle) {
            objects[i] = (struct object){ 0 };
            fake->objects--;
        }
    }
    *s = (struct session){ 0 };
    fake->sessions--;
    logged_in = logged_in && fake->sessions > 0;
    return CKR_OK;
}

static CK_RV c_close_session(CK_SESSION_HANDLE handle)
{
    CALL("C_CloseSession", do_close_session(handle));
}

static CK_RV do_get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->state = logged_in ? CKS_RW_USER_FUNCTIONS : CKS_RW_PUBLIC_SESSION;
    return session_of(handle) != NULL ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

static CK_RV c_get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *ret)
{
    CALL("C_GetSessionInfo", do_get_session_info(handle, ret));
}

static CK_RV do_login(CK_SESSION_HANDLE handle, const unsigned char *pin, CK_ULONG len)
{
    if (session_of(handle) == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    fake->logins++;
    if (logged_in) {
        return CKR_USER_ALREADY_LOGGED_IN;
    }
    if (fake->is.locked || wrong_pins >= TRIES) {
        return CKR_PIN_LOCKED;
    }
    const bool right = fake->is.pin_pad ? pin == NULL && len == 0
                                        : pin != NULL && len == strlen(FAKE_PIN) &&
                                              memcmp(pin, FAKE_PIN, len) == 0;
    wrong_pins = right ? 0 : wrong_pins + 1;
    logged_in = right;
    return right ? CKR_OK : CKR_PIN_INCORRECT;
}

static CK_RV c_login(CK_SESSION_HANDLE handle, CK_USER_TYPE who, unsigned char *pin, CK_ULONG len)
{
    CALL("C_Login", who == CKU_USER ? do_login(handle, pin, len) : CKR_USER_TYPE_INVALID);
}

static CK_RV usable(CK_SESSION_HANDLE handle)
{
    if (session_of(handle) == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    return logged_in || fake->is.no_login ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
}

/* --- objects */

static struct object *object_of(CK_OBJECT_HANDLE handle)
{
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        if (handle != 0 && objects[i].handle == handle) {
            return &objects[i];
        }
    }
    return NULL;
}

static const CK_ATTRIBUTE *attribute(const CK_ATTRIBUTE *t, CK_ULONG count, CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < count; i++) {
        if (t[i].type == type) {
            return &t[i];
        }
    }
    return NULL;
}

static CK_BBOOL flag(const CK_ATTRIBUTE *t, CK_ULONG count, CK_ATTRIBUTE_TYPE type)
{
    const CK_ATTRIBUTE *a = attribute(t, count, type);
    CK_BBOOL value = 0xff; /* not given */
    if (a != NULL && a->ulValueLen == sizeof value) {
        memcpy(&value, a->pValue, sizeof value);
    }
    return value;
}

static unsigned char random_byte(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned char)(random_state >> 56);
}

/* What the documents say of the keys of slots. */
static bool is_as_documented(const CK_ATTRIBUTE *t, CK_ULONG count)
{
    static const CK_ATTRIBUTE_TYPE on[] = { CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_ENCRYPT,
                                            CKA_DECRYPT };
    static const CK_ATTRIBUTE_TYPE off[] = { CKA_EXTRACTABLE, CKA_MODIFIABLE, CKA_WRAP,  CKA_UNWRAP,
                                             CKA_SIGN,        CKA_VERIFY,     CKA_DERIVE };
    const CK_ATTRIBUTE *len = attribute(t, count, CKA_VALUE_LEN);
    const CK_ATTRIBUTE *label = attribute(t, count, CKA_LABEL);
    CK_ULONG bytes = 0;
    if (len == NULL || label == NULL || len->ulValueLen != sizeof bytes || label->ulValueLen != 9) {
        return false;
    }
    memcpy(&bytes, len->pValue, sizeof bytes);
    bool fits = bytes == KEY_BYTES && memcmp(label->pValue, "aril root", 9) == 0;
    for (size_t i = 0; i < sizeof on / sizeof on[0]; i++) {
        fits = fits && flag(t, count, on[i]) == CK_TRUE;
    }
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
        fits = fits && flag(t, count, off[i]) == CK_FALSE;
    }
    return fits;
}

static CK_RV do_generate_key(CK_SESSION_HANDLE handle, const CK_MECHANISM *mechanism,
                             const CK_ATTRIBUTE *t, CK_ULONG count, CK_OBJECT_HANDLE *ret)
{
    const CK_RV rv = usable(handle);
    const CK_ATTRIBUTE *id = attribute(t, count, CKA_ID);
    if (rv != CKR_OK || mechanism->mechanism != CKM_AES_KEY_GEN) {
        return rv != CKR_OK ? rv : CKR_MECHANISM_INVALID;
    }
    if (!is_as_documented(t, count) || id == NULL || id->ulValueLen > sizeof objects[0].id) {
        return CKR_TEMPLATE_INCONSISTENT;
    }
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        struct object *o = &objects[i];
        if (o->handle != 0) {
            continue;
        }
        *o = (struct object){ .handle = next_handle++,
                              .owner = fake->is.session_keys ? handle : 0,
                              .is_token = !fake->is.session_keys,
                              .is_private = CK_TRUE,
                              .sensitive = !fake->is.not_sensitive,
                              .extractable = fake->is.extractable,
                              .id_len = id->ulValueLen };
        memcpy(o->id, id->pValue, o->id_len);
        for (size_t k = 0; k < sizeof o->key; k++) {
            o->key[k] = random_byte();
        }
        fake->objects++;
        *ret = o->handle;
        return CKR_OK;
    }
    return CKR_DEVICE_MEMORY;
}

static CK_RV c_generate_key(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *t,
                            CK_ULONG count, CK_OBJECT_HANDLE *ret)
{
    CALL("C_GenerateKey", do_generate_key(handle, mechanism, t, count, ret));
}

static CK_RV do_destroy_object(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
    const CK_RV rv = usable(handle);
    struct object *o = object_of(object);
    if (rv != CKR_OK || o == NULL) {
        return rv != CKR_OK ? rv : CKR_OBJECT_HANDLE_INVALID;
    }
    if (!fake->is.keeps_objects) {
        *o = (struct object){ 0 };
        fake->objects--;
    }
    return CKR_OK;
}

static CK_RV c_destroy_object(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
    CALL("C_DestroyObject", do_destroy_object(handle, object));
}

static CK_RV do_get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object,
                                    CK_ATTRIBUTE *t, CK_ULONG count)
{
    const struct object *o = object_of(object);
    const CK_RV rv = usable(handle);
    if (rv != CKR_OK || o == NULL) {
        return rv != CKR_OK ? rv : CKR_OBJECT_HANDLE_INVALID;
    }
    for (CK_ULONG i = 0; i < count; i++) {
        const CK_BBOOL value = t[i].type == CKA_TOKEN     ? o->is_token
                               : t[i].type == CKA_PRIVATE ? o->is_private
                               : t[i].type == CKA_SENSITIVE
                                   ? o->sensitive && !fake->is.not_sensitive
                                   : o->extractable || fake->is.extractable;
        memcpy(t[i].pValue, &value, sizeof value);
        t[i].ulValueLen = fake->is.empty_attributes ? 0 : sizeof value;
    }
    return CKR_OK;
}

static CK_RV c_get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object,
                                   CK_ATTRIBUTE *t, CK_ULONG count)
{
    CALL("C_GetAttributeValue", do_get_attribute_value(handle, object, t, count));
}

static CK_RV do_find_init(CK_SESSION_HANDLE handle, const CK_ATTRIBUTE *t, CK_ULONG count)
{
    struct session *s = session_of(handle);
    const CK_ATTRIBUTE *id = attribute(t, count, CKA_ID);
    if (s == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    if (s->finding) {
        return CKR_OPERATION_ACTIVE;
    }
    if (id == NULL || id->ulValueLen > sizeof s->find_id) {
        return CKR_TEMPLATE_INCONSISTENT;
    }
    s->finding = true;
    s->find_len = id->ulValueLen;
    s->find_next = 0;
    memcpy(s->find_id, id->pValue, s->find_len);
    return CKR_OK;
}

static CK_RV c_find_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *t, CK_ULONG count)
{
    CALL("C_FindObjectsInit", do_find_init(handle, t, count));
}

static CK_RV do_find(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *ret, CK_ULONG cap, CK_ULONG *count)
{
    struct session *s = session_of(handle);
    if (s == NULL || !s->finding) {
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_NOT_INITIALIZED;
    }
    *count = 0;
    /* Private objects are there for those who logged in. */
    for (; usable(handle) == CKR_OK && s->find_next < OBJECTS_MAX && *count < cap; s->find_next++) {
        const struct object *o = &objects[s->find_next];
        if (o->handle != 0 && o->id_len == s->find_len &&
            memcmp(o->id, s->find_id, o->id_len) == 0) {
            ret[(*count)++] = o->handle;
        }
    }
    *count = fake->is.too_many_found ? cap + 1 : fake->is.finds_nothing ? 0 : *count;
    return CKR_OK;
}

static CK_RV c_find(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *ret, CK_ULONG cap, CK_ULONG *count)
{
    CALL("C_FindObjects", do_find(handle, ret, cap, count));
}

static CK_RV do_find_final(CK_SESSION_HANDLE handle)
{
    struct session *s = session_of(handle);
    if (s == NULL || !s->finding) {
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_NOT_INITIALIZED;
    }
    s->finding = false;
    return CKR_OK;
}

static CK_RV c_find_final(CK_SESSION_HANDLE handle)
{
    CALL("C_FindObjectsFinal", do_find_final(handle));
}

/* --- the toy cipher */

static uint64_t mix(uint64_t h, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        h = (h ^ bytes[i]) * UINT64_C(1099511628211);
        h ^= h >> 29;
    }
    return h;
}

static uint64_t seed_of(const struct operation *op, uint64_t salt)
{
    uint64_t h = mix(salt, object_of(op->key)->key, KEY_BYTES);
    h = mix(h, op->params.pIv, op->params.ulIvLen);
    return mix(h, op->params.pAAD, op->params.ulAADLen);
}

static void stream(const struct operation *op, const unsigned char *in, size_t len,
                   unsigned char *out)
{
    uint64_t h = seed_of(op, 1);
    for (size_t i = 0; i < len; i++) {
        h = h * UINT64_C(6364136223846793005) + 1442695040888963407u;
        out[i] = (unsigned char)(in[i] ^ (h >> 56));
    }
}

static void tag_of(const struct operation *op, const unsigned char *body, size_t len,
                   unsigned char tag[TAG_BYTES])
{
    for (size_t half = 0; half < 2; half++) {
        const uint64_t h = mix(seed_of(op, 2 + half), body, len);
        memcpy(tag + 8 * half, &h, sizeof h);
    }
}

static CK_RV begin(CK_SESSION_HANDLE handle, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                   bool encrypts)
{
    const CK_RV rv = usable(handle);
    if (rv != CKR_OK) {
        return rv;
    }
    struct session *s = session_of(handle);
    struct operation *op = encrypts ? &s->encrypts : &s->decrypts;
    if (op->active) {
        return CKR_OPERATION_ACTIVE;
    }
    if (mechanism->mechanism != CKM_AES_GCM || mechanism->ulParameterLen != sizeof op->params) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    memcpy(&op->params, mechanism->pParameter, sizeof op->params);
    if (op->params.ulIvLen != IV_BYTES || op->params.ulTagBits != 8 * TAG_BYTES) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    op->key = key;
    op->active = object_of(key) != NULL;
    return op->active ? CKR_OK : CKR_KEY_HANDLE_INVALID;
}

static CK_RV do_encrypt(CK_SESSION_HANDLE handle, const unsigned char *in, CK_ULONG len,
                        unsigned char *out, CK_ULONG *out_len)
{
    const CK_RV rv = usable(handle);
    if (rv != CKR_OK) {
        return rv;
    }
    struct operation *op = &session_of(handle)->encrypts;
    if (!op->active) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (*out_len < len + TAG_BYTES) {
        *out_len = len + TAG_BYTES;
        return CKR_BUFFER_TOO_SMALL;
    }
    op->active = false;
    for (size_t i = 0; fake->is.own_iv && i < op->params.ulIvLen; i++) {
        op->params.pIv[i] = random_byte();
    }
    stream(op, in, len, out);
    tag_of(op, out, len, out + len);
    *out_len = fake->is.long_output ? 1000000 : len + TAG_BYTES;
    return CKR_OK;
}

static CK_RV do_decrypt(CK_SESSION_HANDLE handle, const unsigned char *in, CK_ULONG len,
                        unsigned char *out, CK_ULONG *out_len)
{
    const CK_RV rv = usable(handle);
    if (rv != CKR_OK) {
        return rv;
    }
    struct operation *op = &session_of(handle)->decrypts;
    if (!op->active) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    op->active = false;
    unsigned char tag[TAG_BYTES];
    if (len < TAG_BYTES || *out_len < len - TAG_BYTES) {
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    }
    tag_of(op, in, len - TAG_BYTES, tag);
    if (memcmp(tag, in + len - TAG_BYTES, TAG_BYTES) != 0) {
        return CKR_ENCRYPTED_DATA_INVALID;
    }
    stream(op, in, len - TAG_BYTES, out);
    out[0] = (unsigned char)(out[0] ^ (fake->is.garbles ? 1 : 0));
    *out_len = fake->is.long_output ? 1000000 : len - TAG_BYTES;
    return CKR_OK;
}

static CK_RV c_encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CALL("C_EncryptInit", begin(s, mechanism, key, true));
}

static CK_RV c_encrypt(CK_SESSION_HANDLE s, unsigned char *in, CK_ULONG len, unsigned char *out,
                       CK_ULONG *out_len)
{
    CALL("C_Encrypt", do_encrypt(s, in, len, out, out_len));
}

static CK_RV c_decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CALL("C_DecryptInit", begin(s, mechanism, key, false));
}

static CK_RV c_decrypt(CK_SESSION_HANDLE s, unsigned char *in, CK_ULONG len, unsigned char *out,
                       CK_ULONG *out_len)
{
    CALL("C_Decrypt", do_decrypt(s, in, len, out, out_len));
}

static CK_RV do_generate_random(CK_SESSION_HANDLE handle, unsigned char *ret, CK_ULONG len)
{
    if (fake->is.no_rng) {
        return CKR_RANDOM_NO_RNG;
    }
    for (CK_ULONG i = 0; i < len; i++) {
        ret[i] = random_byte();
    }
    return session_of(handle) != NULL ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

static CK_RV c_generate_random(CK_SESSION_HANDLE handle, unsigned char *ret, CK_ULONG len)
{
    CALL("C_GenerateRandom", do_generate_random(handle, ret, len));
}

static CK_FUNCTION_LIST list_now(void)
{
    CK_FUNCTION_LIST list = { .version = { 2, fake->is.old_list ? 20 : 40 },
                              .C_Initialize = c_initialize,
                              .C_Finalize = c_finalize };
    if (!fake->is.no_functions) {
        list.C_GetInfo = c_get_info;
        list.C_GetSlotList = c_get_slot_list;
        list.C_GetTokenInfo = c_get_token_info;
        list.C_GetMechanismInfo = c_get_mechanism_info;
        list.C_OpenSession = c_open_session;
        list.C_CloseSession = c_close_session;
        list.C_GetSessionInfo = c_get_session_info;
        list.C_Login = c_login;
        list.C_GenerateKey = c_generate_key;
        list.C_DestroyObject = c_destroy_object;
        list.C_GetAttributeValue = c_get_attribute_value;
        list.C_FindObjectsInit = c_find_init;
        list.C_FindObjects = c_find;
        list.C_FindObjectsFinal = c_find_final;
        list.C_EncryptInit = c_encrypt_init;
        list.C_Encrypt = c_encrypt;
        list.C_DecryptInit = c_decrypt_init;
        list.C_Decrypt = c_decrypt;
        list.C_GenerateRandom = c_generate_random;
    }
    return list;
}

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    /* Two, so that nothing is written while another thread calls through it. */
    static CK_FUNCTION_LIST good, bad;
    (void)pthread_mutex_lock(&state_lock);
    const bool lies = fake->is.old_list || fake->is.no_functions;
    if (lies) {
        bad = list_now();
    } else if (good.C_Finalize == NULL) {
        good = list_now();
    }
    *ret = lies ? &bad : &good;
    (void)pthread_mutex_unlock(&state_lock);
    return fake->is.no_list ? CKR_GENERAL_ERROR : CKR_OK;
}
