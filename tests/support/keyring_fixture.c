/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_MS 600000u
#define FILLER      0xa7u

void assert_error(const aril_error *error, aril_status st, const char *words)
{
    assert_status(error->status, st);
    if (strstr(error->message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error->message, words);
    }
}

/* The call must work, and says why it did not. */
static void must(aril_status st, const aril_error *error, const char *what)
{
    if (st != ARIL_OK) {
        fail_msg("%s: %s: %s", what, aril_status_name(st), error->message);
    }
}

/* --- Life ---------------------------------------------------------------------------------- */

void home_init(struct keyring_home *h, struct world *w, const char *name, unsigned capabilities)
{
    *h = (struct keyring_home){ .w = w,
                                .backing = memory_backing_new(),
                                .capabilities = capabilities };
    (void)snprintf(h->path, sizeof h->path, "%s", temp_path(name));
}

void home_done(struct keyring_home *h)
{
    home_close(h);
    static const char *const ends[] = { "", "-journal", "-wal", "-shm" };
    for (size_t i = 0; i < COUNT(ends); i++) {
        char path[HOME_PATH_BYTES + 16];
        (void)snprintf(path, sizeof path, "%s%s", h->path, ends[i]);
        temp_clear(path);
    }
    memory_backing_free(h->backing);
    h->backing = NULL;
}

aril_keystore *home_keystore(struct keyring_home *h)
{
    aril_keystore *ks = NULL;
    const struct arili_store store =
        h->store != NULL ? h->store(h) : memory_store(h->backing, h->capabilities);
    must(arili_keystore_new_over(h->w->rt, store, DEADLINE_MS, &ks, &h->error), &h->error,
         "keystore");
    return ks;
}

aril_keyring_config home_config(const struct keyring_home *h, aril_keystore *ks)
{
    aril_keyring_config config = h->config;
    config.path = h->path;
    config.keystore = ks;
    return config;
}

aril_status home_try_init(struct keyring_home *h, const aril_keyring_init_config *init)
{
    aril_keystore *ks = home_keystore(h);
    const aril_keyring_config config = home_config(h, ks);
    h->error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_init(h->w->rt, &config, init, &h->error);
    aril_keystore_close(ks);
    return st;
}

void home_make_as(struct keyring_home *h, const aril_keyring_init_config *init)
{
    must(home_try_init(h, init), &h->error, "init");
    home_open(h);
}

void home_make(struct keyring_home *h, aril_profile profile, const aril_key_policy *policy)
{
    const aril_keyring_init_config init = {
        .role = ARIL_KEYRING_AUTHORITY, .profile = profile, .policy = policy, .no_recovery = 1
    };
    home_make_as(h, &init);
}

void home_make_node(struct keyring_home *h, struct keyring_home *authority, const char *name)
{
    const aril_profile profile = keyring_info(authority->kr).profile;
    aril_identity *signer = NULL;
    must(aril_keyring_signing_key(authority->kr, (aril_bytes){ NULL, 0 }, &signer, &h->error),
         &h->error, "signing key of the authority");
    char pem[ARIL_PUBLIC_PEM_BYTES_MAX];
    size_t len = 0;
    assert_status(aril_identity_public_pem(h->w->rt, fixture_alg(profile),
                                           aril_identity_public(signer), pem, sizeof pem, &len),
                  ARIL_OK);
    aril_identity_free(signer);
    const aril_keyring_init_config init = {
        .role = ARIL_KEYRING_NODE,
        .profile = profile,
        .no_recovery = 1,
        .node_name = name,
        .authority_path =
            temp_write("authority.pem", 0644, (aril_bytes){ (const uint8_t *)pem, len }),
    };
    home_make_as(h, &init);
    temp_clear(temp_path("authority.pem"));
}

aril_status home_try_open(struct keyring_home *h)
{
    if (h->ks == NULL) {
        h->ks = home_keystore(h);
    }
    const aril_keyring_config config = home_config(h, h->ks);
    h->error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_open(h->w->rt, &config, &h->kr, &h->error);
}

void home_open(struct keyring_home *h)
{
    must(home_try_open(h), &h->error, "open");
}

void home_close(struct keyring_home *h)
{
    aril_keyring_close(h->kr);
    aril_keystore_close(h->ks);
    h->kr = NULL;
    h->ks = NULL;
}

void home_reopen(struct keyring_home *h)
{
    home_close(h);
    home_open(h);
}

struct keyring_handle home_second(struct keyring_home *h)
{
    struct keyring_handle second = { .ks = home_keystore(h) };
    const aril_keyring_config config = home_config(h, second.ks);
    must(aril_keyring_open(h->w->rt, &config, &second.kr, &h->error), &h->error, "second open");
    return second;
}

void handle_close(struct keyring_handle *handle)
{
    aril_keyring_close(handle->kr);
    aril_keystore_close(handle->ks);
    *handle = (struct keyring_handle){ NULL, NULL };
}

/* --- Keys ---------------------------------------------------------------------------------- */

static aril_bytes bytes_or_none(const char *text)
{
    return text != NULL ? text_bytes(text) : (aril_bytes){ NULL, 0 };
}

aril_key_slot slot_of(aril_key_purpose purpose, const char *owner, const char *label)
{
    return (aril_key_slot){ purpose, bytes_or_none(owner), bytes_or_none(label) };
}

aril_status home_create(struct keyring_home *h, aril_key_slot slot)
{
    h->error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_create(h->kr, &slot, 1, &h->error);
}

aril_status home_rotate(struct keyring_home *h, aril_key_slot slot)
{
    h->error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_rotate(h->kr, &slot, &h->error);
}

void home_tenant(struct keyring_home *h, const char *tenant)
{
    must(home_create(h, slot_of(ARIL_KEY_TENANT, tenant, NULL)), &h->error, tenant);
}

struct search {
    aril_key_slot slot;
    uint32_t version;
    bool found;
    struct key_copy *ret;
};

static bool same_bytes(aril_bytes a, aril_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static int look_for(void *user, const aril_key_info *info)
{
    struct search *s = user;
    if (info->purpose != s->slot.purpose || !same_bytes(info->owner, s->slot.owner) ||
        !same_bytes(info->label, s->slot.label) ||
        (s->version != 0 ? info->version != s->version
                         : s->found && info->version < s->ret->info.version)) {
        return 0;
    }
    s->found = true;
    s->ret->info = *info;
    if (info->owner.len > 0) {
        memcpy(s->ret->owner, info->owner.data, info->owner.len);
    }
    if (info->label.len > 0) {
        memcpy(s->ret->label, info->label.data, info->label.len);
    }
    s->ret->info.owner.data = s->ret->owner;
    s->ret->info.label.data = s->ret->label;
    return 0;
}

bool keyring_find(aril_keyring *kr, aril_key_slot slot, uint32_t version, struct key_copy *ret)
{
    struct search s = { .slot = slot, .version = version, .ret = ret };
    aril_error error = { .status = ARIL_OK };
    must(aril_keyring_list(kr, NULL, look_for, &s, &error), &error, "list");
    return s.found;
}

void keyring_key(aril_keyring *kr, aril_key_slot slot, uint32_t version, struct key_copy *ret)
{
    if (!keyring_find(kr, slot, version, ret)) {
        fail_msg("no %s key of %.*s, version %u", aril_key_purpose_name(slot.purpose),
                 (int)slot.owner.len, (const char *)slot.owner.data, (unsigned)version);
    }
}

static int count_one(void *user, const aril_key_info *info)
{
    (void)info;
    ++*(size_t *)user;
    return 0;
}

static size_t count_filtered(aril_keyring *kr, const aril_key_filter *filter)
{
    size_t count = 0;
    aril_error error = { .status = ARIL_OK };
    must(aril_keyring_list(kr, filter, count_one, &count, &error), &error, "list");
    return count;
}

size_t keyring_count(aril_keyring *kr, aril_key_purpose purpose, aril_key_state state)
{
    const aril_key_filter filter = { .purposes = purpose != 0 ? 1u << (unsigned)purpose : 0,
                                     .states = 1u << (unsigned)state };
    return count_filtered(kr, &filter);
}

size_t keyring_count_all(aril_keyring *kr)
{
    return count_filtered(kr, NULL);
}

aril_keyring_info keyring_info(aril_keyring *kr)
{
    aril_keyring_info info;
    aril_error error = { .status = ARIL_OK };
    must(aril_keyring_get_info(kr, &info, &error), &error, "info");
    return info;
}

/* --- Boxes --------------------------------------------------------------------------------- */

static const aril_bytes box_context = { (const uint8_t *)"context of boxes", 16 };

aril_status box_seal(aril_keyring *kr, const char *tenant, struct sealed_box *ret,
                     aril_error *error)
{
    static _Atomic uint64_t next_seed;
    uint8_t plain[BOX_PLAIN_BYTES];
    size_t len = 0;
    ret->seed = atomic_fetch_add(&next_seed, 1) + 1;
    (void)snprintf(ret->tenant, sizeof ret->tenant, "%s", tenant);
    fill_pattern(plain, sizeof plain, ret->seed);
    memset(ret->bytes, FILLER, sizeof ret->bytes);
    const aril_status st =
        aril_keyring_seal(kr, text_bytes(tenant), box_context, (aril_bytes){ plain, sizeof plain },
                          ret->bytes, sizeof ret->bytes, &len, error);
    if (st == ARIL_OK) {
        assert_int_equal(len, sizeof ret->bytes);
    } else {
        assert_true(is_filled(ret->bytes, sizeof ret->bytes, FILLER) ||
                    is_filled(ret->bytes, sizeof ret->bytes, 0));
    }
    return st;
}

aril_status box_open(aril_keyring *kr, const struct sealed_box *box, aril_error *error)
{
    uint8_t plain[BOX_PLAIN_BYTES];
    size_t len = 0;
    memset(plain, FILLER, sizeof plain);
    const aril_status st = aril_keyring_open_box(kr, text_bytes(box->tenant), box_context,
                                                 (aril_bytes){ box->bytes, sizeof box->bytes },
                                                 plain, sizeof plain, &len, error);
    if (st == ARIL_OK) {
        assert_int_equal(len, sizeof plain);
        assert_true(is_pattern(plain, sizeof plain, box->seed));
    } else {
        assert_true(is_filled(plain, sizeof plain, FILLER) || is_filled(plain, sizeof plain, 0));
    }
    return st;
}

const uint8_t *box_key_id(const struct sealed_box *box)
{
    return box->bytes + 8;
}

/* --- The file ------------------------------------------------------------------------------ */

aril_span home_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    aril_span ret = { malloc((size_t)size + 1), (size_t)size };
    assert_non_null(ret.data);
    assert_int_equal(fread(ret.data, 1, ret.len, file), ret.len);
    (void)fclose(file);
    return ret;
}

void home_write(const char *path, aril_span content)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content.data, 1, content.len, file), content.len);
    assert_int_equal(fclose(file), 0);
}

size_t home_files(const struct keyring_home *h)
{
    char folder[HOME_PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(h->path, '/') - h->path), h->path);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t count = 0;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    }
    (void)closedir(dir);
    return count;
}

struct home_mark home_mark(struct keyring_home *h)
{
    return (struct home_mark){ .file = home_read(h->path),
                               .files = home_files(h),
                               .slots = memory_backing_slots(h->backing),
                               .counters = memory_backing_counters(h->backing),
                               .revision = keyring_info(h->kr).revision };
}

void home_unchanged(struct keyring_home *h, struct home_mark *mark)
{
    const aril_span now = home_read(h->path);
    assert_int_equal(now.len, mark->file.len);
    assert_memory_equal(now.data, mark->file.data, now.len);
    free(now.data);
    free(mark->file.data);
    assert_int_equal(home_files(h), mark->files);
    assert_int_equal(memory_backing_slots(h->backing), mark->slots);
    assert_int_equal(memory_backing_counters(h->backing), mark->counters);
    assert_int_equal(keyring_info(h->kr).revision, mark->revision);
}

/* --- A fleet ------------------------------------------------------------------------------- */

aril_status fleet_enrol(struct keyring_home *authority, struct keyring_home *node,
                        const char *tenant)
{
    static char card[ARIL_CARD_BYTES_MAX];
    size_t len = 0;
    must(aril_keyring_card(node->kr, card, sizeof card, &len, &node->error), &node->error, "card");
    const aril_bytes only = bytes_or_none(tenant);
    authority->error = (aril_error){ .status = ARIL_OK };
    return aril_keyring_node_add(authority->kr, (aril_bytes){ (const uint8_t *)card, len },
                                 tenant != NULL ? &only : NULL, tenant != NULL ? 1 : 0,
                                 &authority->error);
}

const char *fleet_bundle(struct keyring_home *authority, const char *name)
{
    const char *path = temp_path(name);
    uint64_t version = 0;
    must(aril_keyring_bundle_write(authority->kr, path, &version, &authority->error),
         &authority->error, "bundle");
    assert_int_equal(version, keyring_info(authority->kr).bundle_version);
    return path;
}

aril_status fleet_apply(struct keyring_home *node, const char *path, int *ret_changed)
{
    const aril_span bundle = home_read(path);
    node->error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_bundle_apply(
        node->kr, (aril_bytes){ bundle.data, bundle.len }, ret_changed, &node->error);
    free(bundle.data);
    return st;
}

void fleet_pull(struct keyring_home *authority, struct keyring_home *node)
{
    static char receipt[ARIL_RECEIPT_BYTES_MAX];
    size_t len = 0;
    const char *path = fleet_bundle(authority, "pulled.bundle");
    must(fleet_apply(node, path, NULL), &node->error, "apply");
    temp_clear(path);
    must(aril_keyring_receipt(node->kr, receipt, sizeof receipt, &len, &node->error), &node->error,
         "receipt");
    must(aril_keyring_confirm(authority->kr, (aril_bytes){ (const uint8_t *)receipt, len },
                              &authority->error),
         &authority->error, "confirm");
}
