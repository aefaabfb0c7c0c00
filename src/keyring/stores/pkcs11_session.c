/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/pkcs11_internal.h"
#if ARILI_P11_BUILT
#include "base/files.h"
#include "base/mem.h"
#include <string.h>

#define READERS_MAX 256u

/* --- the token */

/* Whether a field of a token, padded with blanks or NULs, holds the text. */
static bool field_is(const unsigned char *field, size_t bytes, const char *text)
{
    const size_t len = strlen(text);
    if (len > bytes || memcmp(field, text, len) != 0) {
        return false;
    }
    for (size_t i = len; i < bytes; i++) {
        if (field[i] != ' ' && field[i] != '\0') {
            return false;
        }
    }
    return true;
}

static bool is_wanted(const struct arili_p11_uri *where, const CK_TOKEN_INFO *token)
{
    return (token->flags & CKF_TOKEN_INITIALIZED) != 0 &&
           field_is(token->label, sizeof token->label, where->token) &&
           (where->serial[0] == '\0' ||
            field_is(token->serialNumber, sizeof token->serialNumber, where->serial));
}

static aril_status list_readers(struct arili_p11 *s, CK_SLOT_ID ret[READERS_MAX],
                                CK_ULONG *ret_count, aril_error *error)
{
    /* The call without an array makes the module look for what was plugged in. */
    CK_ULONG count = 0;
    CK_RV rv = s->f->C_GetSlotList(CK_TRUE, NULL, &count);
    if (rv == CKR_OK && count > 0) {
        count = READERS_MAX;
        rv = s->f->C_GetSlotList(CK_TRUE, ret, &count);
    }
    if (rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && count > READERS_MAX)) {
        return arili_p11_refuse(s, ARIL_E_LIMIT, "the module has over 256 tokens; use another one",
                                error);
    }
    if (rv != CKR_OK) {
        return arili_p11_failed(s, "list the tokens", rv, error);
    }
    *ret_count = count;
    return ARIL_OK;
}

static aril_status find_token(struct arili_p11 *s, aril_error *error)
{
    CK_SLOT_ID readers[READERS_MAX];
    CK_ULONG count = 0;
    ARILI_TRY(list_readers(s, readers, &count, error));
    CK_RV bad = CKR_OK; /* of a token that could be the one */
    unsigned found = 0;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO token = { 0 };
        const CK_RV rv = s->f->C_GetTokenInfo(readers[i], &token);
        if (rv != CKR_OK) {
            bad = rv;
        } else if (is_wanted(&s->where, &token)) {
            found++;
            s->slot = readers[i];
            s->token = token;
        }
    }
    if (found > 1) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE,
                                "several tokens have this label; add ;serial=NUMBER of the one",
                                error);
    }
    if (found == 0 && bad != CKR_OK) {
        return arili_p11_failed(s, "read what a token says of itself", bad, error);
    }
    if (found == 0) {
        return arili_p11_refuse(s, ARIL_E_NOT_FOUND,
                                "the module shows no such token; insert it, start its service, or "
                                "correct the label",
                                error);
    }
    return ARIL_OK;
}

static aril_status check_mechanism(struct arili_p11 *s, CK_MECHANISM_TYPE type, CK_FLAGS needed,
                                   const char *name, aril_error *error)
{
    CK_MECHANISM_INFO info = { 0 };
    const CK_RV rv = s->f->C_GetMechanismInfo(s->slot, type, &info);
    if (rv == CKR_OK && (info.flags & needed) == needed) {
        return ARIL_OK;
    }
    return arili_p11_failed(s, name, rv == CKR_OK ? CKR_MECHANISM_INVALID : rv, error);
}

aril_status arili_p11_session_open(struct arili_p11 *s, aril_error *error)
{
    ARILI_TRY(find_token(s, error));
    ARILI_TRY(check_mechanism(s, CKM_AES_GCM, CKF_ENCRYPT | CKF_DECRYPT,
                              "use CKM_AES_GCM with this token", error));
    ARILI_TRY(check_mechanism(s, CKM_AES_KEY_GEN, CKF_GENERATE,
                              "use CKM_AES_KEY_GEN with this token", error));
    const CK_RV rv =
        s->f->C_OpenSession(s->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s->session);
    if (rv != CKR_OK) {
        return arili_p11_failed(s, "open a session", rv, error);
    }
    s->has_session = true;
    return ARIL_OK;
}

/* C_Logout() is never called: the login is that of all sessions of the process with this token,
 * which others may rely on. The token itself ends it with the last session. */
void arili_p11_session_close(struct arili_p11 *s)
{
    if (s->has_session) {
        (void)s->f->C_CloseSession(s->session); /* a session that is gone is closed */
        s->has_session = false;
    }
}

/* --- the login */

struct pin {
    size_t len;
    uint8_t bytes[ARIL_SECRET_BYTES_MAX];
};

static void pin_wipe(struct pin *pin)
{
    arili_wipe(pin, sizeof *pin);
}

bool arili_p11_needs_login(const struct arili_p11 *s)
{
    return (s->token.flags & (CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED)) != 0;
}

static bool has_pin_pad(const struct arili_p11 *s)
{
    return (s->token.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
}

bool arili_p11_asks(const struct arili_p11 *s)
{
    return arili_p11_needs_login(s) && (has_pin_pad(s) || s->where.pin_path[0] == '\0');
}

static aril_status read_pin(const struct arili_p11 *s, struct pin *ret, aril_error *error)
{
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(
        arili_file_read(s->where.pin_path, sizeof ret->bytes + 1, ARILI_FILE_SECRET, &file, error));
    size_t len = file.len;
    if (len > 0 && file.data[len - 1] == '\n') {
        len--;
    }
    if (len > sizeof ret->bytes) {
        return arili_p11_refuse(s, ARIL_E_LIMIT, "the PIN in pin-source is over 1024 bytes long",
                                error);
    }
    memcpy(ret->bytes, file.data, len);
    ret->len = len;
    return ARIL_OK;
}

static aril_status ask_pin(const struct arili_p11 *s, struct pin *ret, aril_error *error)
{
    if (s->ask == NULL) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE_SECRET,
                                "needs a PIN and nobody can be asked; add pin-source=FILE", error);
    }
    size_t len = 0;
    const aril_status st =
        s->ask(s->user, ARIL_SECRET_PIN, s->where.token, ret->bytes, sizeof ret->bytes, &len);
    if (st != ARIL_OK) {
        return arili_p11_refuse(s, st, "no PIN was given; retry, or add pin-source=FILE", error);
    }
    if (len > sizeof ret->bytes) {
        return arili_p11_refuse(s, ARIL_E_USAGE_RANGE, "ask() gave more than it had room for",
                                error);
    }
    ret->len = len;
    return ARIL_OK;
}

/* Says no as long as that costs no try. */
static aril_status check_tries(const struct arili_p11 *s, aril_error *error)
{
    const bool from_file = s->where.pin_path[0] != '\0' && !has_pin_pad(s);
    if ((s->token.flags & CKF_USER_PIN_LOCKED) != 0) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE_LOCKOUT,
                                "the PIN is locked; have the token's security officer unlock it",
                                error);
    }
    if (from_file && s->pin_refused) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE_SECRET,
                                "the token refused the PIN in pin-source, and is not asked again; "
                                "correct the file, then open the keystore anew",
                                error);
    }
    /* A service that is started again and again would lock the token. */
    if (from_file && (s->token.flags & CKF_USER_PIN_FINAL_TRY) != 0) {
        return arili_p11_refuse(s, ARIL_E_KEYSTORE_LOCKOUT,
                                "one try of the PIN is left, which is not spent on pin-source; log "
                                "in by hand once, for example with pkcs11-tool --login",
                                error);
    }
    return ARIL_OK;
}

/* One try, whatever comes of it: tokens count them. */
static aril_status try_pin(struct arili_p11 *s, struct pin *pin, aril_error *error)
{
    const CK_RV rv =
        s->f->C_Login(s->session, CKU_USER, pin->len > 0 ? pin->bytes : NULL, (CK_ULONG)pin->len);
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) {
        return ARIL_OK;
    }
    const aril_status st = arili_p11_failed(s, "log in", rv, error);
    s->pin_refused = st == ARIL_E_KEYSTORE_SECRET;
    s->lost = false; /* nothing that follows may try again */
    return st;
}

static aril_status login(struct arili_p11 *s, aril_error *error)
{
    /* The state of the token as it is now: others may have spent tries. */
    const CK_RV rv = s->f->C_GetTokenInfo(s->slot, &s->token);
    if (rv != CKR_OK) {
        return arili_p11_failed(s, "read what the token says of itself", rv, error);
    }
    ARILI_TRY(check_tries(s, error));
    ARILI_DEFER(pin_wipe) struct pin pin = { 0 };
    if (!has_pin_pad(s)) {
        ARILI_TRY(s->where.pin_path[0] != '\0' ? read_pin(s, &pin, error)
                                               : ask_pin(s, &pin, error));
        if (pin.len == 0) {
            return arili_p11_refuse(s, ARIL_E_KEYSTORE_SECRET,
                                    "the PIN is empty, and was not tried; give the right one",
                                    error);
        }
    }
    return try_pin(s, &pin, error);
}

static aril_status ready(struct arili_p11 *s, aril_error *error)
{
    if (!s->has_session) {
        ARILI_TRY(arili_p11_session_open(s, error));
    }
    CK_SESSION_INFO info = { 0 };
    const CK_RV rv = s->f->C_GetSessionInfo(s->session, &info);
    if (rv != CKR_OK) {
        return arili_p11_failed(s, "examine the session", rv, error);
    }
    const bool logged_in =
        info.state == CKS_RW_USER_FUNCTIONS || info.state == CKS_RO_USER_FUNCTIONS;
    return logged_in || !arili_p11_needs_login(s) ? ARIL_OK : login(s, error);
}

/* --- jobs */

/* Whether the session can be half way through something. */
static bool is_expected(aril_status st)
{
    return st == ARIL_OK || st == ARIL_E_AUTH || st == ARIL_E_KEYSTORE_WRONG ||
           st == ARIL_E_KEYSTORE_SECRET || st == ARIL_E_KEYSTORE_LOCKOUT;
}

static aril_status run_once(struct arili_p11 *s, arili_p11_job *job, void *arg, aril_error *error)
{
    s->lost = false;
    aril_status st = ready(s, error);
    if (st == ARIL_OK) {
        st = job(s, arg, error);
    }
    if (!is_expected(st)) {
        arili_p11_session_close(s);
    }
    return st;
}

aril_status arili_p11_run(struct arili_p11 *s, arili_p11_job *job, void *arg, aril_error *error)
{
    /* Its own: a second run that succeeds leaves the caller's alone. */
    aril_error first = { .status = ARIL_OK };
    const aril_status st = run_once(s, job, arg, &first);
    if (st != ARIL_OK && s->lost) {
        return run_once(s, job, arg, error);
    }
    if (st != ARIL_OK && error != NULL) {
        *error = first;
    }
    return st;
}

#endif
