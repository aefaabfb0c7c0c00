/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "format/keyring_fields.h"
#include "keyring/keys.h"
#include "keyring/recovery.h"
#include "keyring/schedule.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a new keyring is made of. Secrets are wiped by making_done(). */
struct making {
    aril_keyring *kr;
    const aril_keyring_init_config *init;
    struct arili_head head;
    struct arili_payload root_payload;
    struct arili_kek *root;
    uint8_t blob[ARILI_KEYRING_BLOB_BYTES_MAX];
    struct arili_counter counter;
    bool has_slot;
    char temporary[ARILI_FILE_PATH_BYTES + 32];
    bool has_file, has_recovery;
};

static void making_freep(struct making **made)
{
    struct making *m = *made;
    if (m == NULL) {
        return;
    }
    /* Nothing was published: what the keystore was given goes again, as far as it can. */
    aril_status undone = ARIL_OK;
    if (m->has_slot &&
        (arili_keystore_info(m->kr->keystore)->capabilities & ARIL_KEYSTORE_DESTROY) != 0) {
        undone = arili_keystore_destroy(m->kr->keystore, m->head.root_slot, NULL);
    }
    if (m->head.has_counter) {
        undone = arili_keystore_counter_destroy(m->kr->keystore, &m->counter.store, NULL);
    }
    (void)undone;
    if (m->has_file) {
        arili_database_close(m->kr->db);
        m->kr->db = NULL;
        arili_database_remove(m->temporary);
    }
    if (m->has_recovery) {
        (void)unlink(m->init->recovery_path);
    }
    arili_kek_drop(m->root);
    arili_free(m, sizeof *m);
}

static aril_status check_init(const aril_keyring_init_config *init, aril_error *error)
{
    const int ways =
        (init->recovery_path != NULL) + (init->recipient_path != NULL) + (init->no_recovery != 0);
    if (ways != 1) {
        return arili_error_set(error, ARIL_E_USAGE_RANGE,
                               "a keyring needs a recovery key, a recovery recipient, or the word "
                               "that it has none: exactly one of the three");
    }
    const bool is_node = init->role == ARIL_KEYRING_NODE;
    ARILI_ENSURE(is_node || init->role == 0 || init->role == ARIL_KEYRING_AUTHORITY,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(is_node == (init->node_name != NULL) && is_node == (init->authority_path != NULL),
                 ARIL_E_USAGE_RANGE);
    if (is_node && !arili_node_name_is_valid(
                       (aril_bytes){ (const uint8_t *)init->node_name, strlen(init->node_name) })) {
        return arili_error_set(error, ARIL_E_USAGE_RANGE,
                               "the name of a node has 1 to %u printable characters without "
                               "blanks; choose another one",
                               ARIL_NODE_NAME_BYTES_MAX);
    }
    return ARIL_OK;
}

/* --- The root ------------------------------------------------------------------------------ */

static aril_status draw(const aril_keyring *kr, uint8_t *ret, size_t len)
{
    return kr->rt->crypto.ops->random(kr->rt->crypto.provider, ret, len);
}

static aril_status make_root(struct making *m)
{
    aril_keyring *kr = m->kr;
    ARILI_TRY(draw(kr, kr->id, sizeof kr->id));
    memcpy(m->head.id, kr->id, sizeof kr->id);
    ARILI_TRY(draw(kr, m->head.root_slot, sizeof m->head.root_slot));
    ARILI_TRY(arili_payload_draw(&kr->rt->crypto, kr->profile, ARIL_KEY_ROOT, &m->root_payload));
    ARILI_TRY(arili_kek_new(kr->rt, kr->profile, ARIL_KEY_ROOT, &m->root_payload, &m->root));
    memcpy(m->head.root, m->root->id, sizeof m->head.root);
    return arili_keyring_adopt_root(kr, m->root);
}

static aril_status seal_root(struct making *m, aril_error *error)
{
    aril_keyring *kr = m->kr;
    struct arili_store_place place;
    ARILI_TRY(arili_keyring_place(kr, m->head.root, m->head.root_slot, &place));
    m->has_slot = true;
    ARILI_TRY(arili_keystore_seal(kr->keystore, &place, m->root_payload.bytes, m->blob,
                                  sizeof m->blob, &m->head.blob.len, error));
    m->head.blob.data = m->blob;
    return arili_counter_make(kr->keystore, &m->head, &m->counter, error);
}

/* --- The first rows ------------------------------------------------------------------------ */

static aril_status put_root(struct arili_change *ch, const struct making *m)
{
    const struct arili_making making = { .slot = { .purpose = ARIL_KEY_ROOT },
                                         .payload = &m->root_payload,
                                         .slot_in_keystore = m->head.root_slot };
    ARILI_DEFER(arili_made_wipe) struct arili_made made = { .id = { 0 } };
    return arili_key_make(ch, &making, &made);
}

static aril_status put_signer(struct arili_change *ch, const struct making *m)
{
    const bool is_node = m->head.role == ARIL_KEYRING_NODE;
    aril_key_slot slot = { .purpose = ARIL_KEY_AUTHORITY };
    if (is_node) {
        slot.purpose = ARIL_KEY_NODE;
        slot.owner =
            (aril_bytes){ (const uint8_t *)m->init->node_name, strlen(m->init->node_name) };
    }
    const struct arili_making making = { .slot = slot, .parent = m->root };
    ARILI_DEFER(arili_made_wipe) struct arili_made made = { .id = { 0 } };
    return arili_key_make(ch, &making, &made);
}

/* A node believes one authority. */
static aril_status put_authority(struct arili_change *ch, const struct making *m, aril_error *error)
{
    aril_runtime *rt = m->kr->rt;
    uint8_t key[ARIL_SIGN_PUBLIC_BYTES_MAX];
    size_t len;
    struct arili_authority_row row = { .since_s = ch->now_s };
    ARILI_TRY(
        aril_public_key_load(rt, m->init->authority_path, &row.alg, key, sizeof key, &len, error));
    if (row.alg != m->kr->profile->sign) {
        return arili_error_set(error, ARIL_E_PROFILE,
                               "%s is a key of another profile than %s; init the node with the "
                               "profile of its authority",
                               m->init->authority_path, m->kr->profile->name);
    }
    row.public_key = (aril_bytes){ key, len };
    return arili_authority_put(ch, &row);
}

static aril_status put_recovery(struct arili_change *ch, struct making *m, aril_error *error)
{
    uint8_t recipient[ARILI_ML_KEM_1024_PUBLIC_BYTES];
    if (m->init->no_recovery) {
        return ARIL_OK;
    }
    if (m->init->recovery_path != NULL) {
        ARILI_TRY(arili_recovery_new(m->kr->rt, m->init->recovery_path, recipient, error));
        m->has_recovery = true;
    } else {
        ARILI_TRY(arili_recipient_load(m->init->recipient_path, recipient, error));
    }
    return arili_recovery_put(ch, (aril_bytes){ recipient, sizeof recipient }, m->head.root,
                              &m->root_payload);
}

static aril_status first_rows(struct arili_change *ch, struct making *m, aril_error *error)
{
    ARILI_TRY(put_root(ch, m));
    ARILI_TRY(put_signer(ch, m));
    if (m->head.role == ARIL_KEYRING_NODE) {
        ARILI_TRY(put_authority(ch, m, error));
    }
    return put_recovery(ch, m, error);
}

/* --- The file ------------------------------------------------------------------------------ */

static aril_status is_there(const char *path, aril_error *error)
{
    return arili_error_set(error, ARIL_E_EXISTS,
                           "%s is there already and was left alone; choose another name", path);
}

/* Made under another name, so that the name has a whole keyring or none. */
static aril_status make_file(struct making *m, aril_error *error)
{
    uint8_t tail[8];
    ARILI_TRY(draw(m->kr, tail, sizeof tail));
    const char *slash = strrchr(m->kr->path, '/');
    const int folder = slash == NULL ? 0 : (int)(slash - m->kr->path) + 1;
    (void)snprintf(m->temporary, sizeof m->temporary,
                   "%.*s.aril-%02x%02x%02x%02x%02x%02x%02x%02x.tmp", folder, m->kr->path, tail[0],
                   tail[1], tail[2], tail[3], tail[4], tail[5], tail[6], tail[7]);
    struct stat there;
    if (lstat(m->kr->path, &there) == 0) { /* a link to nothing is there, too */
        return is_there(m->kr->path, error);
    }
    ARILI_TRY(arili_database_open(m->temporary, true, m->kr->busy_ms, &m->kr->db, error));
    m->has_file = true;
    return ARIL_OK;
}

static aril_status sync_folder(const char *path)
{
    char folder[ARILI_FILE_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash == NULL || slash == path ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ARILI_ENSURE(fd >= 0, ARIL_E_IO);
    const int synced = fsync(fd);
    (void)close(fd);
    ARILI_ENSURE(synced == 0, ARIL_E_IO);
    return ARIL_OK;
}

static aril_status publish_file(struct making *m, aril_error *error)
{
    arili_database_close(m->kr->db);
    m->kr->db = NULL;
    if (link(m->temporary, m->kr->path) != 0) {
        const int reason = errno;
        return reason == EEXIST
                   ? is_there(m->kr->path, error)
                   : arili_error_set(error, ARIL_E_IO, "%s: %s", m->kr->path, strerror(reason));
    }
    /* From here on the keyring is there, and its slot and counter belong to it. */
    (void)unlink(m->temporary);
    m->has_file = m->has_slot = m->has_recovery = m->head.has_counter = false;
    if (sync_folder(m->kr->path) != ARIL_OK) {
        return arili_error_set(error, ARIL_E_IO,
                               "%s was made, but its folder could not be written to the disk",
                               m->kr->path);
    }
    return ARIL_OK;
}

static aril_status write_first(struct making *m, aril_error *error)
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin_first(m->kr, &m->head, &ch, error));
    ARILI_TRY(first_rows(&ch, m, error));
    return arili_change_commit(&ch, error);
}

static aril_status fill_head(struct making *m)
{
    const aril_keyring_init_config *init = m->init;
    m->head.role = init->role != 0 ? init->role : ARIL_KEYRING_AUTHORITY;
    m->head.profile = m->kr->profile->id;
    ARILI_TRY(arili_key_policy_complete(init->policy, &m->head.policy));
    ARILI_TRY(m->kr->rt->clock.unix_s(m->kr->rt->clock.state, &m->head.created_s));
    m->head.clock_s = m->head.created_s;
    return ARIL_OK;
}

aril_status aril_keyring_init(aril_runtime *rt, const aril_keyring_config *config,
                              const aril_keyring_init_config *init, aril_error *error)
{
    ARILI_ENSURE(rt != NULL && config != NULL && init != NULL && config->keystore != NULL,
                 ARIL_E_USAGE_NULL);
    ARILI_TRY(check_init(init, error));
    ARILI_DEFER(arili_keyring_closep) aril_keyring *kr = NULL;
    ARILI_TRY(arili_keyring_new(rt, config, &kr));
    kr->profile = arili_profile_get(init->profile != 0 ? init->profile : ARIL_PROFILE_HYBRID);
    ARILI_ENSURE(kr->profile != NULL, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(making_freep) struct making *m = arili_alloc(sizeof *m);
    ARILI_ENSURE(m != NULL, ARIL_E_NOMEM);
    m->kr = kr;
    m->init = init;
    ARILI_TRY(fill_head(m));
    ARILI_TRY(make_file(m, error));
    ARILI_TRY(make_root(m));
    ARILI_TRY(seal_root(m, error));
    ARILI_TRY(write_first(m, error));
    ARILI_TRY(publish_file(m, error));
    return arili_keyring_tell(kr, ARIL_EVENT_KEYRING, "init", ARIL_OK, (aril_bytes){ NULL, 0 },
                              NULL, NULL);
}
