/* SPDX-License-Identifier: Apache-2.0 */
/* The keys in the fake module's token. */
#include "fake_pkcs11_internal.h"

struct object *fake_object_of(CK_OBJECT_HANDLE handle)
{
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        if (handle != 0 && fake_state.objects[i].handle == handle) {
            return &fake_state.objects[i];
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

unsigned char fake_random_byte(void)
{
    fake_state.random_state =
        fake_state.random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned char)(fake_state.random_state >> 56);
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
    const CK_RV rv = fake_usable(handle);
    const CK_ATTRIBUTE *id = attribute(t, count, CKA_ID);
    if (rv != CKR_OK || mechanism->mechanism != CKM_AES_KEY_GEN) {
        return rv != CKR_OK ? rv : CKR_MECHANISM_INVALID;
    }
    if (!is_as_documented(t, count) || id == NULL ||
        id->ulValueLen > sizeof fake_state.objects[0].id) {
        return CKR_TEMPLATE_INCONSISTENT;
    }
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        struct object *o = &fake_state.objects[i];
        if (o->handle != 0) {
            continue;
        }
        *o = (struct object){ .handle = fake_state.next_handle++,
                              .owner = fake->is.session_keys ? handle : 0,
                              .is_token = !fake->is.session_keys,
                              .is_private = CK_TRUE,
                              .sensitive = !fake->is.not_sensitive,
                              .extractable = fake->is.extractable,
                              .id_len = id->ulValueLen };
        memcpy(o->id, id->pValue, o->id_len);
        for (size_t k = 0; k < sizeof o->key; k++) {
            o->key[k] = fake_random_byte();
        }
        fake->objects++;
        *ret = o->handle;
        return CKR_OK;
    }
    return CKR_DEVICE_MEMORY;
}

CK_RV fake_c_generate_key(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *t,
                          CK_ULONG count, CK_OBJECT_HANDLE *ret)
{
    CALL("C_GenerateKey", do_generate_key(handle, mechanism, t, count, ret));
}

static CK_RV do_destroy_object(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
    const CK_RV rv = fake_usable(handle);
    struct object *o = fake_object_of(object);
    if (rv != CKR_OK || o == NULL) {
        return rv != CKR_OK ? rv : CKR_OBJECT_HANDLE_INVALID;
    }
    if (!fake->is.keeps_objects) {
        *o = (struct object){ 0 };
        fake->objects--;
    }
    return CKR_OK;
}

CK_RV fake_c_destroy_object(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
    CALL("C_DestroyObject", do_destroy_object(handle, object));
}

static CK_RV do_get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object,
                                    CK_ATTRIBUTE *t, CK_ULONG count)
{
    const struct object *o = fake_object_of(object);
    const CK_RV rv = fake_usable(handle);
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

CK_RV fake_c_get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *t,
                                 CK_ULONG count)
{
    CALL("C_GetAttributeValue", do_get_attribute_value(handle, object, t, count));
}

static CK_RV do_find_init(CK_SESSION_HANDLE handle, const CK_ATTRIBUTE *t, CK_ULONG count)
{
    struct session *s = fake_session_of(handle);
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

CK_RV fake_c_find_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *t, CK_ULONG count)
{
    CALL("C_FindObjectsInit", do_find_init(handle, t, count));
}

static CK_RV do_find(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *ret, CK_ULONG cap, CK_ULONG *count)
{
    struct session *s = fake_session_of(handle);
    if (s == NULL || !s->finding) {
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_NOT_INITIALIZED;
    }
    *count = 0;
    /* Private objects are there for those who logged in. */
    for (; fake_usable(handle) == CKR_OK && s->find_next < OBJECTS_MAX && *count < cap;
         s->find_next++) {
        const struct object *o = &fake_state.objects[s->find_next];
        if (o->handle != 0 && o->id_len == s->find_len &&
            memcmp(o->id, s->find_id, o->id_len) == 0) {
            ret[(*count)++] = o->handle;
        }
    }
    *count = fake->is.too_many_found ? cap + 1 : fake->is.finds_nothing ? 0 : *count;
    return CKR_OK;
}

CK_RV fake_c_find(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *ret, CK_ULONG cap, CK_ULONG *count)
{
    CALL("C_FindObjects", do_find(handle, ret, cap, count));
}

static CK_RV do_find_final(CK_SESSION_HANDLE handle)
{
    struct session *s = fake_session_of(handle);
    if (s == NULL || !s->finding) {
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_NOT_INITIALIZED;
    }
    s->finding = false;
    return CKR_OK;
}

CK_RV fake_c_find_final(CK_SESSION_HANDLE handle)
{
    CALL("C_FindObjectsFinal", do_find_final(handle));
}
