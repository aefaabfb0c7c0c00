/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAKE_PKCS11_H
#define ARIL_TESTS_FAKE_PKCS11_H
#include <pthread.h>
#include <stdbool.h>

/*
 * A PKCS#11 module in memory (tests/tools/fake_pkcs11.c) that lies and fails on demand. Its token
 * is real as far as calls go: sessions, logins that count tries, objects with attributes, and an
 * authenticated cipher that is a toy. Each file of it is a module of its own.
 */
#define FAKE_LABEL  "fake token"
#define FAKE_SERIAL "0123"
#define FAKE_PIN    "fake pin"

struct fake_pkcs11 {
    void (*reset)(void);
    void (*replug)(void);
    void (*settle)(void);

    /* --- what it is; all zero is a token that behaves. Set it while no call runs. */
    struct {
        bool cryptoki_2_20;     /* in C_GetInfo */
        bool old_list;          /* the list says 2.20 */
        bool no_functions;      /* most members of the list are NULL */
        bool no_list;           /* C_GetFunctionList fails */
        bool no_token;          /* nothing is plugged in */
        bool many_tokens;       /* more than fit any list */
        bool two_tokens;        /* of one label, with serials FAKE_SERIAL and "0124" */
        bool blank;             /* the token is not initialized */
        bool no_gcm;            /* CKM_AES_GCM is not there */
        bool gcm_one_way;       /* it only encrypts */
        bool no_rng;            /* C_GenerateRandom is not there */
        bool pin_pad;           /* PINs are typed at the token, and it takes no other */
        bool no_login;          /* nobody has to log in */
        bool final_try, locked; /* what the flags say */
        bool extractable;       /* keys are, whatever the template says */
        bool not_sensitive;     /* the same */
        bool session_keys;      /* the same: keys end with the session */
        bool empty_attributes;  /* attributes have no length */
        bool finds_nothing;
        bool too_many_found; /* C_FindObjects tells of more than there is room for */
        bool long_output;    /* C_Encrypt and C_Decrypt tell of more bytes than they wrote */
        bool own_iv;         /* C_Encrypt puts an IV of its own into the parameters */
        bool garbles;        /* C_Decrypt gives other bytes and says CKR_OK */
        bool keeps_objects;  /* C_DestroyObject does nothing and says CKR_OK */
        bool foreign;        /* somebody else in the process initialized the module */
    } is;

    /* --- one fault. The nth call from now, of the function with this name or of any, answers
     * rv: before it does anything, or after it did all. */
    const char *fault_in; /* NULL: any */
    unsigned fault_nth;   /* from 1; 0: none */
    unsigned long fault_rv;
    bool fault_after;
    bool fault_repeats;    /* and every call of it that follows */
    const char *fault_was; /* the function that it hit; NULL: not yet */

    /* --- a call that does not come back until it is let go */
    const char *hang_in;
    pthread_mutex_t lock; /* guards the two */
    pthread_cond_t changed;
    bool hangs, let_go;

    /* --- what was called */
    unsigned calls, initialized, finalized, logins;
    unsigned sessions, objects; /* that are there now */
    unsigned long slot;         /* of the newest session */
};

/* Where the module is; NULL when it was not built. */
const char *fake_pkcs11_module(void);
/* The state of a module's file, loading it; ends the test when that is none. */
struct fake_pkcs11 *fake_pkcs11_of(const char *path);
/* Back to a token that behaves: no fault, no objects, no sessions, nothing called. */
void fake_pkcs11_reset(struct fake_pkcs11 *fake);
/* Takes all sessions and the login away, as a token does that is pulled out and put back. */
void fake_pkcs11_replug(struct fake_pkcs11 *fake);
/* What calls of threads that are not joined did is seen by the caller from here on. */
void fake_pkcs11_settle(struct fake_pkcs11 *fake);
/* Waits until a call hangs; lets it go. */
void fake_pkcs11_wait_hanging(struct fake_pkcs11 *fake);
void fake_pkcs11_let_go(struct fake_pkcs11 *fake);
#endif
