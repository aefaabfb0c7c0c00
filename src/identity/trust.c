/* SPDX-License-Identifier: Apache-2.0 */
#include <aril/identity.h>
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include "identity/trust_list.h"
#include <stdio.h>
#include <string.h>

struct aril_trust {
    aril_runtime *rt;
    struct arili_trust_list list;
};

aril_status aril_trust_new(aril_runtime *rt, aril_trust **ret_trust)
{
    ARILI_ENSURE(rt != NULL && ret_trust != NULL, ARIL_E_USAGE_NULL);
    *ret_trust = NULL;
    aril_trust *trust = arili_alloc(sizeof *trust);
    ARILI_ENSURE(trust != NULL, ARIL_E_NOMEM);
    trust->rt = rt;
    *ret_trust = trust;
    return ARIL_OK;
}

void aril_trust_free(aril_trust *trust)
{
    if (trust != NULL) {
        arili_trust_list_done(&trust->list);
        arili_free(trust, sizeof *trust);
    }
}

static aril_status claim_fill(aril_trust *trust, const char *did, const char *name,
                              struct arili_trust_claim *claim)
{
    const aril_bytes text = { (const uint8_t *)name, strnlen(name, ARILI_TRUST_NAME_ROOM) };
    ARILI_TRY(arili_trust_claim_name(claim, text));
    return arili_trust_claim_did(trust->rt, claim, did);
}

aril_status aril_trust_add(aril_trust *trust, const char *did, const char *name)
{
    ARILI_ENSURE(trust != NULL && did != NULL && name != NULL, ARIL_E_USAGE_NULL);
    struct arili_trust_claim claim = { .revoke = false };
    ARILI_TRY(claim_fill(trust, did, name, &claim));
    const struct arili_trust_entry *before = arili_trust_list_find(&trust->list, &claim.hash);
    ARILI_ENSURE(before == NULL || !before->revoked, ARIL_E_TRUST_REVOKED);
    return arili_trust_list_apply(&trust->list, &claim);
}

aril_status aril_trust_revoke(aril_trust *trust, const char *did, const char *reason)
{
    ARILI_ENSURE(trust != NULL && did != NULL && reason != NULL, ARIL_E_USAGE_NULL);
    struct arili_trust_claim claim = { .revoke = true };
    ARILI_TRY(claim_fill(trust, did, reason, &claim));
    return arili_trust_list_apply(&trust->list, &claim);
}

aril_status aril_trust_load(aril_trust *trust, const char *path, aril_error *error)
{
    ARILI_ENSURE(trust != NULL && path != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(arili_file_read(path, ARIL_TRUST_FILE_BYTES_MAX,
                              ARILI_FILE_TRUSTED | ARILI_FILE_ROOT_MAY_OWN, &file, error));
    /* All or nothing: the lines go into a copy. */
    ARILI_DEFER(arili_trust_list_done) struct arili_trust_list fresh = { 0 };
    aril_status st = arili_trust_list_copy(&trust->list, &fresh);
    if (st != ARIL_OK) {
        return arili_file_failed(error, path, st, aril_status_text(st));
    }
    struct arili_trust_problem problem = { 0 };
    st = arili_trust_list_apply_text(trust->rt, &fresh, (aril_bytes){ file.data, file.len },
                                     &problem);
    if (st != ARIL_OK) {
        char words[160];
        (void)snprintf(words, sizeof words, "line %u: %s", problem.line, problem.text);
        return arili_file_failed(error, path, st, words);
    }
    const struct arili_trust_list old = trust->list;
    trust->list = fresh;
    fresh = old;
    return ARIL_OK;
}

aril_status aril_trust_check(const aril_trust *trust, aril_sign_alg alg, aril_bytes public_key,
                             const char **ret_name)
{
    ARILI_ENSURE(trust != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(arili_check_public(alg, public_key));
    struct arili_key_hash hash;
    ARILI_TRY(arili_key_hash(trust->rt, public_key, &hash));
    const struct arili_trust_entry *e = arili_trust_list_find(&trust->list, &hash);
    ARILI_ENSURE(e != NULL, ARIL_E_TRUST_UNKNOWN);
    if (ret_name != NULL) {
        *ret_name = e->name;
    }
    /* An entry is trusted, revoked or both; revocation wins. */
    ARILI_ENSURE(!e->revoked, ARIL_E_TRUST_REVOKED);
    return ARIL_OK;
}
