/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAKE_PKCS11_INTERNAL_H
#define ARIL_TESTS_FAKE_PKCS11_INTERNAL_H
/* What the files of the fake module share. */
#include "fake_pkcs11.h"
#include <p11-kit/pkcs11.h>
#include <stdint.h>
#include <string.h>

#define EXPORT       __attribute__((visibility("default")))
#define SESSIONS_MAX 16u
#define OBJECTS_MAX  16u
#define KEY_BYTES    32u

EXPORT extern struct fake_pkcs11 fake_pkcs11;
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

/* Behind the interface. lock is held during each call. */
struct fake_state {
    pthread_mutex_t lock;
    bool initialized, logged_in;
    bool after; /* the call that runs will lie about its result */
    unsigned wrong_pins;
    unsigned long next_handle;
    uint64_t random_state;
    struct session sessions[SESSIONS_MAX];
    struct object objects[OBJECTS_MAX];
};
extern struct fake_state fake_state;

/* Around each call: faults, hanging, the lock. */
CK_RV fake_enter(const char *name);
CK_RV fake_leave(CK_RV rv);
/* The body of a function of the interface. */
#define CALL(name, expr)                                         \
    do {                                                         \
        const CK_RV call_rv_ = fake_enter(name);                 \
        return call_rv_ != CKR_OK ? call_rv_ : fake_leave(expr); \
    } while (0)

struct session *fake_session_of(CK_SESSION_HANDLE handle);
struct object *fake_object_of(CK_OBJECT_HANDLE handle);
/* Whether private objects can be used. */
CK_RV fake_usable(CK_SESSION_HANDLE handle);
unsigned char fake_random_byte(void);

/* The functions of the list. */
CK_RV fake_c_get_slot_list(unsigned char present, CK_SLOT_ID *ret, CK_ULONG *count);
CK_RV fake_c_get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *ret);
CK_RV fake_c_get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret);
CK_RV fake_c_open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *ret);
CK_RV fake_c_close_session(CK_SESSION_HANDLE handle);
CK_RV fake_c_get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *ret);
CK_RV fake_c_login(CK_SESSION_HANDLE handle, CK_USER_TYPE who, unsigned char *pin, CK_ULONG len);
CK_RV fake_c_generate_key(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *t,
                          CK_ULONG count, CK_OBJECT_HANDLE *ret);
CK_RV fake_c_destroy_object(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object);
CK_RV fake_c_get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *t,
                                 CK_ULONG count);
CK_RV fake_c_find_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *t, CK_ULONG count);
CK_RV fake_c_find(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *ret, CK_ULONG cap, CK_ULONG *count);
CK_RV fake_c_find_final(CK_SESSION_HANDLE handle);
CK_RV fake_c_encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV fake_c_encrypt(CK_SESSION_HANDLE s, unsigned char *in, CK_ULONG len, unsigned char *out,
                     CK_ULONG *out_len);
CK_RV fake_c_decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV fake_c_decrypt(CK_SESSION_HANDLE s, unsigned char *in, CK_ULONG len, unsigned char *out,
                     CK_ULONG *out_len);
CK_RV fake_c_generate_random(CK_SESSION_HANDLE handle, unsigned char *ret, CK_ULONG len);
#endif
