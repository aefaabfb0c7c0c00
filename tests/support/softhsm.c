/* SPDX-License-Identifier: Apache-2.0 */
#include "softhsm.h"
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<p11-kit/pkcs11.h>)
#include <dirent.h>
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512u
#define SLOTS_MAX  32u
#define KEYS_MAX   64u

static char folder[PATH_BYTES / 4];

const char *softhsm_module(void)
{
    static const char *const usual[] = {
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    };
    for (size_t i = 0; i < COUNT(usual); i++) {
        if (access(usual[i], R_OK) == 0) {
            return usual[i];
        }
    }
    return NULL;
}

static const CK_FUNCTION_LIST *functions(void)
{
    static CK_FUNCTION_LIST *list;
    if (list == NULL) {
        void *handle = dlopen(softhsm_module(), RTLD_NOW | RTLD_LOCAL);
        void *symbol = handle != NULL ? dlsym(handle, "C_GetFunctionList") : NULL;
        CK_C_GetFunctionList get = NULL;
        memcpy(&get, &symbol, sizeof get);
        if (get == NULL || get(&list) != CKR_OK) {
            list = NULL;
        }
    }
    return list;
}

/* Removes what is below path, and path. */
static void remove_all(const char *path)
{
    DIR *dir = opendir(path);
    if (dir != NULL) {
        for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
            char below[PATH_BYTES];
            const int len = snprintf(below, sizeof below, "%s/%s", path, e->d_name);
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && len > 0 &&
                (size_t)len < sizeof below) {
                remove_all(below);
            }
        }
        (void)closedir(dir);
    }
    (void)remove(path);
}

static const char *tokens_folder(void)
{
    static char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/tokens", folder);
    return path;
}

int softhsm_setup(void **state)
{
    (void)state;
    if (softhsm_module() == NULL) {
        return 0;
    }
    const char *base = getenv("TMPDIR");
    const int len = snprintf(folder, sizeof folder, "%s/aril-softhsm-XXXXXX",
                             base != NULL && base[0] != '\0' ? base : "/tmp");
    if (len <= 0 || (size_t)len >= sizeof folder || mkdtemp(folder) == NULL) {
        return -1;
    }
    char conf[PATH_BYTES];
    (void)snprintf(conf, sizeof conf, "%s/softhsm2.conf", folder);
    FILE *file = fopen(conf, "w");
    if (file == NULL) {
        return -1;
    }
    const int put = fprintf(file,
                            "directories.tokendir = %s\nobjectstore.backend = file\n"
                            "log.level = ERROR\nslots.removable = false\n",
                            tokens_folder());
    if (fclose(file) != 0 || put <= 0 || mkdir(tokens_folder(), 0700) != 0) {
        return -1;
    }
    return setenv("SOFTHSM2_CONF", conf, 1);
}

int softhsm_teardown(void **state)
{
    (void)state;
    if (folder[0] != '\0') {
        remove_all(folder);
    }
    return 0;
}

void softhsm_lose_tokens(void)
{
    remove_all(tokens_folder());
    assert_int_equal(mkdir(tokens_folder(), 0700), 0);
}

/* The slot of a label, or the one that is free when label is NULL. */
static bool find_slot(const CK_FUNCTION_LIST *f, const char *label, CK_SLOT_ID *ret,
                      CK_TOKEN_INFO *ret_info)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    if (f->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK) {
        return false;
    }
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (f->C_GetTokenInfo(slots[i], &info) != CKR_OK) {
            continue;
        }
        const bool ready = (info.flags & CKF_TOKEN_INITIALIZED) != 0;
        if (label == NULL ? !ready : ready && memcmp(info.label, label, strlen(label)) == 0) {
            *ret = slots[i];
            *ret_info = info;
            return true;
        }
    }
    return false;
}

static bool log_in(const CK_FUNCTION_LIST *f, CK_SLOT_ID slot, CK_USER_TYPE who, const char *pin,
                   CK_SESSION_HANDLE *ret)
{
    unsigned char copy[64];
    memcpy(copy, pin, strlen(pin));
    return f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, ret) == CKR_OK &&
           f->C_Login(*ret, who, copy, strlen(pin)) == CKR_OK;
}

static bool make_token(const CK_FUNCTION_LIST *f, const char *label)
{
    unsigned char padded[32];
    unsigned char so_pin[] = SOFTHSM_SO_PIN;
    unsigned char pin[] = SOFTHSM_PIN;
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    memset(padded, ' ', sizeof padded);
    memcpy(padded, label, strlen(label));
    return find_slot(f, NULL, &slot, &info) &&
           f->C_InitToken(slot, so_pin, sizeof so_pin - 1, padded) == CKR_OK &&
           find_slot(f, label, &slot, &info) && log_in(f, slot, CKU_SO, SOFTHSM_SO_PIN, &session) &&
           f->C_InitPIN(session, pin, sizeof pin - 1) == CKR_OK &&
           f->C_CloseSession(session) == CKR_OK;
}

bool softhsm_add_token(const char *label)
{
    const CK_FUNCTION_LIST *f = functions();
    if (f == NULL || f->C_Initialize(NULL) != CKR_OK) {
        return false;
    }
    const bool made = make_token(f, label);
    return f->C_Finalize(NULL) == CKR_OK && made;
}

unsigned long softhsm_flags(const char *label)
{
    const CK_FUNCTION_LIST *f = functions();
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO info = { .flags = 0 };
    const bool begun = f->C_Initialize(NULL) == CKR_OK;
    const bool found = find_slot(f, label, &slot, &info);
    if (begun) {
        (void)f->C_Finalize(NULL);
    }
    return found ? info.flags : 0;
}

static bool stays_inside(const CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    unsigned char value[64] = { 0 };
    CK_ATTRIBUTE asked = { CKA_VALUE, value, sizeof value };
    return f->C_GetAttributeValue(session, key, &asked, 1) == CKR_ATTRIBUTE_SENSITIVE &&
           asked.ulValueLen == CK_UNAVAILABLE_INFORMATION;
}

static bool list_keys(const CK_FUNCTION_LIST *f, const char *label, size_t *ret_count,
                      bool *ret_stay_inside)
{
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_OBJECT_CLASS kind = CKO_SECRET_KEY;
    CK_ATTRIBUTE wanted = { CKA_CLASS, &kind, sizeof kind };
    CK_OBJECT_HANDLE keys[KEYS_MAX];
    CK_ULONG count = 0;
    if (!find_slot(f, label, &slot, &info) || !log_in(f, slot, CKU_USER, SOFTHSM_PIN, &session) ||
        f->C_FindObjectsInit(session, &wanted, 1) != CKR_OK ||
        f->C_FindObjects(session, keys, KEYS_MAX, &count) != CKR_OK ||
        f->C_FindObjectsFinal(session) != CKR_OK) {
        return false;
    }
    *ret_stay_inside = true;
    for (CK_ULONG i = 0; i < count; i++) {
        *ret_stay_inside = *ret_stay_inside && stays_inside(f, session, keys[i]);
    }
    *ret_count = count;
    return f->C_CloseSession(session) == CKR_OK;
}

bool softhsm_keys(const char *label, size_t *ret_count, bool *ret_stay_inside)
{
    const CK_FUNCTION_LIST *f = functions();
    if (f->C_Initialize(NULL) != CKR_OK) {
        return false;
    }
    const bool listed = list_keys(f, label, ret_count, ret_stay_inside);
    return f->C_Finalize(NULL) == CKR_OK && listed;
}

#else

const char *softhsm_module(void)
{
    return NULL;
}
int softhsm_setup(void **state)
{
    (void)state;
    return 0;
}
int softhsm_teardown(void **state)
{
    (void)state;
    return 0;
}
bool softhsm_add_token(const char *label)
{
    (void)label;
    return false;
}
void softhsm_lose_tokens(void)
{
}
unsigned long softhsm_flags(const char *label)
{
    (void)label;
    return 0;
}
bool softhsm_keys(const char *label, size_t *ret_count, bool *ret_stay_inside)
{
    (void)label;
    (void)ret_count;
    (void)ret_stay_inside;
    return false;
}

#endif

void softhsm_need(void)
{
    if (softhsm_module() == NULL) {
        print_message("no SoftHSM: install softhsm2 and libp11-kit-dev\n");
        skip();
    }
}
