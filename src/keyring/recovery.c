/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/recovery.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "format/fleet.h"
#include "format/pem.h"
#include "keyring/rotation.h"
#include <string.h>
#include <unistd.h>

#define INFO_LABEL    ARILI_LITERAL("aril keyring recovery v1")
#define SECRET_DER    (ARILI_RECOVERY_HEADER_BYTES + ARILI_ML_KEM_SEED_BYTES)
#define RECIPIENT_DER (ARILI_RECOVERY_HEADER_BYTES + ARILI_ML_KEM_1024_PUBLIC_BYTES)
#define SECRET_PEM    ARILI_PEM_BYTES(sizeof ARILI_RECOVERY_LABEL - 1, (size_t)SECRET_DER)
#define RECIPIENT_PEM ARILI_PEM_BYTES(sizeof ARILI_RECIPIENT_LABEL - 1, (size_t)RECIPIENT_DER)
/* Nodes may have taken bundles that were signed after the backup was made, and take no older one:
 * a recovered authority counts on from far above. */
#define BUNDLES_SKIPPED 1000000u
#define PEM_BYTES_MAX   8192u

static struct arili_hpke_suite recovery_suite(const struct arili_profile *profile)
{
    return (struct arili_hpke_suite){ ARILI_HPKE_ML_KEM_1024, profile->suite.kdf };
}

/* label || keyring id || root key id */
struct recovery_info {
    uint8_t bytes[24 + ARILI_KEYRING_ID_BYTES + ARIL_KEY_ID_BYTES];
};
_Static_assert(sizeof "aril keyring recovery v1" - 1 == 24, "the label");

static aril_bytes info_write(const aril_keyring *kr, const uint8_t *root,
                             struct recovery_info *info)
{
    memcpy(info->bytes, INFO_LABEL.data, 24);
    memcpy(info->bytes + 24, kr->id, sizeof kr->id);
    memcpy(info->bytes + 24 + sizeof kr->id, root, ARIL_KEY_ID_BYTES);
    return (aril_bytes){ info->bytes, sizeof info->bytes };
}

aril_status arili_recovery_put(struct arili_change *ch, aril_bytes recipient,
                               const uint8_t root[ARIL_KEY_ID_BYTES],
                               const struct arili_payload *payload)
{
    struct recovery_info info;
    uint8_t wrap[ARILI_WRAP_BYTES_MAX];
    uint8_t body[ARILI_WRAP_BYTES_MAX + ARILI_ML_KEM_1024_PUBLIC_BYTES + 64];
    size_t len;
    struct arili_recovery_row row = { .since_s = ch->now_s, .public_key = recipient };
    ARILI_TRY(arili_hpke_seal_once(&ch->kr->rt->crypto, recovery_suite(ch->kr->profile), recipient,
                                   info_write(ch->kr, root, &info), NULL, (aril_bytes){ NULL, 0 },
                                   arili_payload_bytes(payload), wrap, sizeof wrap, &row.wrap.len));
    row.wrap.data = wrap;
    ARILI_TRY(arili_recovery_row_write(&row, body, sizeof body, &len));
    return arili_change_put(ch, ARILI_ROW_RECOVERY, (aril_bytes){ NULL, 0 },
                            (aril_bytes){ body, len });
}

/* The RECOVERY row of a set; false when there is none. */
static bool find_row(const struct arili_rowset *set, struct arili_recovery_row *ret)
{
    const struct arili_row *row =
        arili_rowset_find(set, ARILI_ROW_RECOVERY, (aril_bytes){ NULL, 0 });
    return row != NULL && arili_recovery_row_parse(arili_row_body(row), ret) == ARIL_OK;
}

aril_status arili_recovery_renew(struct arili_change *ch, const uint8_t root[ARIL_KEY_ID_BYTES],
                                 const struct arili_payload *payload)
{
    struct arili_recovery_row row;
    return find_row(ch->from, &row) ? arili_recovery_put(ch, row.public_key, root, payload)
                                    : ARIL_OK;
}

/* --- Files --------------------------------------------------------------------------------- */

static aril_status write_pem(const char *path, const char *label, aril_bytes der,
                             enum arili_file_mode mode, aril_error *error)
{
    char pem[RECIPIENT_PEM > SECRET_PEM ? RECIPIENT_PEM : SECRET_PEM];
    size_t len;
    aril_status st = arili_pem_write(label, der, pem, sizeof pem, &len);
    if (st == ARIL_OK) {
        st = arili_file_write(path, (aril_bytes){ (const uint8_t *)pem, len }, mode, false, error);
    }
    arili_wipe(pem, sizeof pem);
    return st;
}

static aril_status not_that(const char *path, const char *what, aril_status st, aril_error *error)
{
    return arili_error_set(error, st, "%s is no %s; name the file that 'aril keys' wrote for it",
                           path, what);
}

static aril_status read_pem(const char *path, const char *label, unsigned checks, uint8_t *ret,
                            size_t cap, aril_error *error)
{
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(arili_file_read(path, PEM_BYTES_MAX, checks, &file, error));
    size_t len;
    const aril_status st =
        arili_pem_parse((aril_bytes){ file.data, file.len }, label, ret, cap, &len);
    ARILI_ENSURE(st != ARIL_OK || len == cap, not_that(path, label, ARIL_E_FORMAT_LENGTH, error));
    return st == ARIL_OK ? st : not_that(path, label, st, error);
}

aril_status arili_recipient_load(const char *path, uint8_t ret[ARILI_ML_KEM_1024_PUBLIC_BYTES],
                                 aril_error *error)
{
    uint8_t der[RECIPIENT_DER];
    aril_bytes key;
    ARILI_TRY(read_pem(path, ARILI_RECIPIENT_LABEL, 0, der, sizeof der, error));
    const aril_status st =
        arili_recovery_parse((aril_bytes){ der, sizeof der }, ARILI_ML_KEM_1024_PUBLIC_BYTES, &key);
    if (st != ARIL_OK) {
        return not_that(path, ARILI_RECIPIENT_LABEL, st, error);
    }
    memcpy(ret, key.data, key.len);
    return ARIL_OK;
}

struct recovery_der {
    uint8_t bytes[SECRET_DER];
};
static void recovery_der_wipe(struct recovery_der *der)
{
    arili_wipe(der, sizeof *der);
}

static aril_status load_secret(aril_runtime *rt, const char *path, struct arili_hpke_key **ret,
                               aril_error *error)
{
    ARILI_DEFER(recovery_der_wipe) struct recovery_der der;
    aril_bytes seed;
    ARILI_TRY(read_pem(path, ARILI_RECOVERY_LABEL, ARILI_FILE_SECRET, der.bytes, sizeof der.bytes,
                       error));
    const aril_status st = arili_recovery_parse((aril_bytes){ der.bytes, sizeof der.bytes },
                                                ARILI_ML_KEM_SEED_BYTES, &seed);
    if (st != ARIL_OK) {
        return not_that(path, ARILI_RECOVERY_LABEL, st, error);
    }
    return arili_hpke_key_import(&rt->crypto, ARILI_HPKE_ML_KEM_1024, seed, ret);
}

aril_status arili_recovery_new(aril_runtime *rt, const char *path,
                               uint8_t ret_public[ARILI_ML_KEM_1024_PUBLIC_BYTES],
                               aril_error *error)
{
    ARILI_DEFER(recovery_der_wipe) struct recovery_der der;
    ARILI_DEFER(arili_hpke_key_freep) struct arili_hpke_key *key = NULL;
    uint8_t *seed = der.bytes + ARILI_RECOVERY_HEADER_BYTES;
    arili_recovery_write_header(der.bytes);
    ARILI_TRY(rt->crypto.ops->random(rt->crypto.provider, seed, ARILI_ML_KEM_SEED_BYTES));
    ARILI_TRY(arili_hpke_key_import(&rt->crypto, ARILI_HPKE_ML_KEM_1024,
                                    (aril_bytes){ seed, ARILI_ML_KEM_SEED_BYTES }, &key));
    memcpy(ret_public, arili_hpke_key_public(key).data, ARILI_ML_KEM_1024_PUBLIC_BYTES);
    return write_pem(path, ARILI_RECOVERY_LABEL, (aril_bytes){ der.bytes, sizeof der.bytes },
                     ARILI_FILE_MODE_PRIVATE, error);
}

aril_status aril_recovery_key_new(aril_runtime *rt, const char *secret_path,
                                  const char *recipient_path, aril_error *error)
{
    ARILI_ENSURE(rt != NULL && secret_path != NULL && recipient_path != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(arili_runtime_check(rt));
    uint8_t der[RECIPIENT_DER];
    arili_recovery_write_header(der);
    ARILI_TRY(arili_recovery_new(rt, secret_path, der + ARILI_RECOVERY_HEADER_BYTES, error));
    const aril_status st =
        write_pem(recipient_path, ARILI_RECIPIENT_LABEL, (aril_bytes){ der, sizeof der },
                  ARILI_FILE_MODE_PUBLIC, error);
    if (st != ARIL_OK) {
        (void)unlink(secret_path); /* half a pair is of no use, and in the way of the next try */
    }
    return st;
}

/* --- Opening with it ----------------------------------------------------------------------- */

/* The root of the rows, opened with the recovery key. */
static aril_status open_root(aril_keyring *kr, const struct arili_rowset *set,
                             const struct arili_hpke_key *key, const char *recovery_path,
                             struct arili_payload *ret, aril_error *error)
{
    struct arili_recovery_row row;
    struct recovery_info info;
    if (!find_row(set, &row)) {
        return arili_error_set(error, ARIL_E_NOT_FOUND,
                               "%s has no recovery recipient: it was made with --no-recovery",
                               kr->path);
    }
    const aril_status st = arili_hpke_open_once(
        &kr->rt->crypto, recovery_suite(kr->profile), key, info_write(kr, set->head.root, &info),
        NULL, (aril_bytes){ NULL, 0 }, row.wrap, ret->bytes, sizeof ret->bytes, &ret->len);
    if (st == ARIL_E_AUTH) {
        return arili_error_set(error, st,
                               "%s does not open %s: it is the recovery key of another keyring, or "
                               "the file was changed",
                               recovery_path, kr->path);
    }
    return st;
}

/* A keyring whose root came from a recovery key; *ret_payload is the root's. */
static aril_status open_with(aril_runtime *rt, const aril_keyring_config *config,
                             const char *recovery_path, aril_keyring **ret,
                             struct arili_payload *ret_payload, aril_error *error)
{
    ARILI_TRY(arili_runtime_check(rt));
    ARILI_DEFER(arili_hpke_key_freep) struct arili_hpke_key *key = NULL;
    ARILI_TRY(load_secret(rt, recovery_path, &key, error));
    ARILI_DEFER(arili_keyring_closep) aril_keyring *kr = NULL;
    ARILI_TRY(arili_keyring_new(rt, config, &kr));
    kr->keystore = NULL; /* the recovery key stands in for it */
    ARILI_TRY(arili_keyring_open_file(kr, error));
    ARILI_TRY(arili_database_version(kr->db, &kr->version, error));
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = NULL;
    ARILI_TRY(arili_rowset_read(rt, kr->db, &set, error));
    memcpy(kr->id, set->head.id, sizeof kr->id);
    kr->profile = arili_profile_get(set->head.profile);
    if (kr->profile == NULL) {
        return arili_error_set(error, ARIL_E_PROFILE,
                               "%s has profile %u, which this version does not know; open it with "
                               "the version of aril that made it, or a newer one",
                               kr->path, (unsigned)set->head.profile);
    }
    ARILI_TRY(open_root(kr, set, key, recovery_path, ret_payload, error));
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *root = NULL;
    ARILI_TRY(arili_kek_new(rt, kr->profile, ARIL_KEY_ROOT, ret_payload, &root));
    if (memcmp(root->id, set->head.root, sizeof root->id) != 0) {
        return arili_error_set(error, ARIL_E_AUTH,
                               "%s: the recovery key gave another root than the one that was "
                               "sealed; restore a backup (docs/keyring.md)",
                               kr->path);
    }
    ARILI_TRY(arili_keyring_adopt_root(kr, root));
    const struct arili_macs macs = arili_keyring_macs(kr);
    ARILI_TRY(arili_rowset_check(&macs, set, kr->path, error));
    kr->rows = ARILI_TAKE(set);
    *ret = ARILI_TAKE(kr);
    return ARIL_OK;
}

aril_status aril_keyring_verify_recovery(aril_runtime *rt, const char *path,
                                         const char *recovery_path, aril_error *error)
{
    ARILI_ENSURE(rt != NULL && path != NULL && recovery_path != NULL, ARIL_E_USAGE_NULL);
    const aril_keyring_config config = { .path = path };
    ARILI_DEFER(arili_payload_wipe) struct arili_payload payload = { .len = 0 };
    ARILI_DEFER(arili_keyring_closep) aril_keyring *kr = NULL;
    ARILI_TRY(open_with(rt, &config, recovery_path, &kr, &payload, error));
    return arili_keyring_verify_set(kr, kr->rows, NULL, NULL, error);
}

/* --- Recover ------------------------------------------------------------------------------- */

/* The same root under another keystore, with a counter of its own. */
static aril_status reseal(struct arili_change *ch, aril_keystore *keystore,
                          const struct arili_payload *payload, uint8_t *blob, size_t cap,
                          struct arili_counter *counter, aril_error *error)
{
    aril_keyring *kr = ch->kr;
    struct arili_store_place place;
    ARILI_TRY(kr->rt->crypto.ops->random(kr->rt->crypto.provider, ch->head.root_slot,
                                         sizeof ch->head.root_slot));
    ARILI_TRY(arili_keyring_place(kr, ch->head.root, ch->head.root_slot, &place));
    ARILI_TRY(arili_keystore_seal(keystore, &place, payload->bytes, blob, cap, &ch->head.blob.len,
                                  error));
    ch->head.blob.data = blob;
    const aril_status st = arili_counter_make(keystore, &ch->head, counter, error);
    if (st != ARIL_OK &&
        (arili_keystore_info(keystore)->capabilities & ARIL_KEYSTORE_DESTROY) != 0) {
        const aril_status undone = arili_keystore_destroy(keystore, ch->head.root_slot, NULL);
        (void)undone;
    }
    return st;
}

/* The rows of roots name slots of the keystore; former ones are not in this one. */
static aril_status move_roots(struct arili_change *ch)
{
    for (size_t i = 0; i < ch->from->key_count; i++) {
        const struct arili_key *key = &ch->from->keys[i];
        if (key->said.purpose != ARIL_KEY_ROOT) {
            continue;
        }
        if (memcmp(arili_key_id(key), ch->head.root, ARIL_KEY_ID_BYTES) == 0) {
            struct arili_key_row said = key->said;
            said.wrap = (aril_bytes){ ch->head.root_slot, sizeof ch->head.root_slot };
            ARILI_TRY(arili_change_put_key(ch, arili_key_id(key), &said));
        }
    }
    return ARIL_OK;
}

static aril_status erase_staged(struct arili_change *ch, const uint8_t parent[ARIL_KEY_ID_BYTES])
{
    size_t count;
    const size_t first = arili_rowset_kind(ch->from, ARILI_ROW_STAGED, &count);
    for (size_t i = first; i < first + count; i++) {
        struct arili_staged_row said;
        ARILI_TRY(arili_staged_row_parse(arili_row_body(ch->from->rows[i]), &said));
        if (memcmp(said.parent, parent, sizeof said.parent) == 0) {
            ARILI_TRY(arili_change_erase(ch, ARILI_ROW_STAGED, arili_row_id(ch->from->rows[i])));
        }
    }
    return ARIL_OK;
}

/* A rotation to a root that only the lost keystore can unseal does not go on: it is given up. */
static aril_status give_up_new_root(struct arili_change *ch)
{
    size_t count;
    const size_t first = arili_rowset_kind(ch->from, ARILI_ROW_ROTATION, &count);
    for (size_t i = first; i < first + count; i++) {
        struct arili_rotation_row said;
        ARILI_TRY(arili_rotation_row_parse(arili_row_body(ch->from->rows[i]), &said));
        const struct arili_key *fresh = arili_rowset_key(ch->from, said.successor);
        if (fresh == NULL || fresh->said.purpose != ARIL_KEY_ROOT) {
            continue;
        }
        ARILI_TRY(erase_staged(ch, said.successor));
        ARILI_TRY(arili_change_erase(ch, ARILI_ROW_KEY, arili_row_id(fresh->row)));
        ARILI_TRY(arili_change_erase(ch, ARILI_ROW_ROTATION, arili_row_id(ch->from->rows[i])));
    }
    return ARIL_OK;
}

aril_status aril_keyring_recover(aril_runtime *rt, const aril_keyring_config *config,
                                 const char *recovery_path, aril_error *error)
{
    ARILI_ENSURE(rt != NULL && config != NULL && recovery_path != NULL && config->keystore != NULL,
                 ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_payload_wipe) struct arili_payload payload = { .len = 0 };
    ARILI_DEFER(arili_keyring_closep) aril_keyring *kr = NULL;
    ARILI_TRY(open_with(rt, config, recovery_path, &kr, &payload, error));
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(kr, &held));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, ARILI_CHANGE_LOCKED_TOO | ARILI_CHANGE_ANY_CLOCK, &ch, error));
    uint8_t blob[ARILI_KEYRING_BLOB_BYTES_MAX];
    struct arili_counter counter;
    ARILI_TRY(reseal(&ch, config->keystore, &payload, blob, sizeof blob, &counter, error));
    ARILI_TRY(move_roots(&ch));
    ARILI_TRY(give_up_new_root(&ch));
    if (ch.head.role == ARIL_KEYRING_AUTHORITY) {
        ch.head.bundle_version += BUNDLES_SKIPPED;
    }
    ARILI_TRY(arili_change_commit(&ch, error));
    return arili_keyring_tell(kr, ARIL_EVENT_KEYRING, "recover", ARIL_OK, (aril_bytes){ NULL, 0 },
                              NULL, NULL);
}
