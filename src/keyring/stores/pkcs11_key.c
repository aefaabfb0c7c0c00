/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/pkcs11_internal.h"
#if ARILI_P11_BUILT
#include <string.h>

#define KEY_BYTES          32u
#define DESTROY_ROUNDS_MAX 8u

static char label[] = "aril root";

/* Templates hold pointers to what may be written, so each one gets its own values. */
struct id {
    CK_OBJECT_CLASS class_;
    CK_BBOOL token;
    CK_BYTE bytes[ARILI_STORE_SLOT_BYTES];
};

static struct id id_of(const uint8_t slot[ARILI_STORE_SLOT_BYTES])
{
    struct id id = { .class_ = CKO_SECRET_KEY, .token = CK_TRUE };
    memcpy(id.bytes, slot, sizeof id.bytes);
    return id;
}

static CK_RV find(const struct arili_p11 *s, struct id *id, struct arili_p11_keys *ret)
{
    CK_ATTRIBUTE wanted[] = {
        { CKA_CLASS, &id->class_, sizeof id->class_ },
        { CKA_TOKEN, &id->token, sizeof id->token },
        { CKA_ID, id->bytes, sizeof id->bytes },
    };
    CK_RV rv = s->f->C_FindObjectsInit(s->session, wanted, sizeof wanted / sizeof wanted[0]);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = s->f->C_FindObjects(s->session, ret->handles, ARILI_P11_KEYS_MAX, &ret->count);
    const CK_RV end_rv = s->f->C_FindObjectsFinal(s->session);
    return rv != CKR_OK ? rv : end_rv;
}

aril_status arili_p11_keys_find(struct arili_p11 *s, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                struct arili_p11_keys *ret, aril_error *error)
{
    *ret = (struct arili_p11_keys){ .count = 0 };
    struct id id = id_of(slot);
    const CK_RV rv = find(s, &id, ret);
    if (rv != CKR_OK) {
        ret->count = 0;
        return arili_p11_failed(s, "look for the key of the slot", rv, error);
    }
    if (ret->count > ARILI_P11_KEYS_MAX) {
        ret->count = 0;
        return arili_p11_refuse(s, ARIL_E_KEYSTORE,
                                "the token found more keys than it was asked for; do not trust its "
                                "module",
                                error);
    }
    return ARIL_OK;
}

/* Whether the token itself says that the key stays, and stays inside. */
static aril_status check_key(struct arili_p11 *s, CK_OBJECT_HANDLE key, aril_error *error)
{
    CK_BBOOL is_token = CK_FALSE;
    CK_BBOOL is_private = CK_FALSE;
    CK_BBOOL sensitive = CK_FALSE;
    CK_BBOOL extractable = CK_TRUE;
    CK_ATTRIBUTE asked[] = {
        { CKA_TOKEN, &is_token, sizeof is_token },
        { CKA_PRIVATE, &is_private, sizeof is_private },
        { CKA_SENSITIVE, &sensitive, sizeof sensitive },
        { CKA_EXTRACTABLE, &extractable, sizeof extractable },
    };
    const size_t count = sizeof asked / sizeof asked[0];
    const CK_RV rv = s->f->C_GetAttributeValue(s->session, key, asked, count);
    if (rv != CKR_OK) {
        return arili_p11_failed(s, "read the attributes of the key", rv, error);
    }
    bool as_wanted = is_token == CK_TRUE && is_private == CK_TRUE && sensitive == CK_TRUE &&
                     extractable == CK_FALSE;
    for (size_t i = 0; i < count; i++) {
        as_wanted = as_wanted && asked[i].ulValueLen == sizeof(CK_BBOOL);
    }
    if (!as_wanted) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE,
                                "the key in the token can be read out or is no token object, and "
                                "is not used; take a token that keeps CKA_SENSITIVE keys",
                                error);
    }
    return ARIL_OK;
}

static aril_status generate(struct arili_p11 *s, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                            CK_OBJECT_HANDLE *ret, aril_error *error)
{
    struct id id = id_of(slot);
    CK_KEY_TYPE type = CKK_AES;
    CK_ULONG bytes = KEY_BYTES;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE wanted[] = {
        { CKA_CLASS, &id.class_, sizeof id.class_ },
        { CKA_KEY_TYPE, &type, sizeof type },
        { CKA_VALUE_LEN, &bytes, sizeof bytes },
        { CKA_TOKEN, &yes, sizeof yes },
        { CKA_PRIVATE, &yes, sizeof yes },
        { CKA_SENSITIVE, &yes, sizeof yes },
        { CKA_EXTRACTABLE, &no, sizeof no },
        { CKA_MODIFIABLE, &no, sizeof no },
        { CKA_ENCRYPT, &yes, sizeof yes },
        { CKA_DECRYPT, &yes, sizeof yes },
        /* Some tokens allow what is not mentioned, and a key that decrypts and wraps gives away
         * what it wraps. */
        { CKA_WRAP, &no, sizeof no },
        { CKA_UNWRAP, &no, sizeof no },
        { CKA_SIGN, &no, sizeof no },
        { CKA_VERIFY, &no, sizeof no },
        { CKA_DERIVE, &no, sizeof no },
        { CKA_LABEL, label, sizeof label - 1 },
        { CKA_ID, id.bytes, sizeof id.bytes },
    };
    CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    const CK_RV rv =
        s->f->C_GenerateKey(s->session, &mechanism, wanted, sizeof wanted / sizeof wanted[0], &key);
    if (rv != CKR_OK) {
        return arili_p11_failed(s, "generate a key in the token", rv, error);
    }
    const aril_status st = check_key(s, key, error);
    if (st != ARIL_OK) {
        (void)s->f->C_DestroyObject(s->session, key); /* what made it useless is told */
        return st;
    }
    *ret = key;
    return ARIL_OK;
}

aril_status arili_p11_key_for_sealing(struct arili_p11 *s,
                                      const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                      CK_OBJECT_HANDLE *ret, aril_error *error)
{
    struct arili_p11_keys keys;
    ARILI_TRY(arili_p11_keys_find(s, slot, &keys, error));
    if (keys.count == 0) {
        return generate(s, slot, ret, error);
    }
    /* It may come from an older program or from somebody who planted it. */
    ARILI_TRY(check_key(s, keys.handles[0], error));
    *ret = keys.handles[0];
    return ARIL_OK;
}

aril_status arili_p11_keys_destroy(struct arili_p11 *s, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                   aril_error *error)
{
    for (unsigned round = 0; round < DESTROY_ROUNDS_MAX; round++) {
        struct arili_p11_keys keys;
        ARILI_TRY(arili_p11_keys_find(s, slot, &keys, error));
        if (keys.count == 0) {
            return ARIL_OK;
        }
        for (CK_ULONG i = 0; i < keys.count; i++) {
            const CK_RV rv = s->f->C_DestroyObject(s->session, keys.handles[i]);
            /* Another process was faster: as good. The next round looks again. */
            if (rv != CKR_OK && rv != CKR_OBJECT_HANDLE_INVALID) {
                return arili_p11_failed(s, "destroy the key of the slot", rv, error);
            }
        }
    }
    return arili_p11_refuse(s, ARIL_E_KEYSTORE,
                            "the token still has the key that it was told to destroy; delete it "
                            "with the token's own tool",
                            error);
}

#endif
