/* SPDX-License-Identifier: Apache-2.0 */
#include "codecs.h"
#include "fixture.h"
#include <stdlib.h>
#include <string.h>

/* Bytes from docs/KEYRING-FORMAT.md alone: nothing of the writers is used here. */

static void put(struct sample *s, const void *data, size_t len)
{
    if (len > SAMPLE_BYTES_MAX - s->len) {
        abort();
    }
    memcpy(s->bytes + s->len, data, len);
    s->len += len;
}

static void number(struct sample *s, size_t bytes, uint64_t value)
{
    for (size_t i = bytes; i-- > 0;) {
        const uint8_t b = (uint8_t)(value >> (8 * i));
        put(s, &b, 1);
    }
}

static void pattern(struct sample *s, size_t len, uint64_t seed)
{
    uint8_t bytes[8192];
    fill_pattern(bytes, len, seed);
    put(s, bytes, len);
}

static void vector(struct sample *s, size_t len, uint64_t seed)
{
    number(s, 2, len);
    pattern(s, len, seed);
}

static void text(struct sample *s, const char *value)
{
    number(s, 2, strlen(value));
    put(s, value, strlen(value));
}

static void zeros(struct sample *s, size_t len)
{
    static const uint8_t none[64];
    put(s, none, len);
}

struct sizes {
    size_t kem_public, enc, sign_public, signature;
};
static const struct sizes sizes[4] = {
    [1] = { 1216, 1120, 1952, 3309 },
    [2] = { 1184, 1088, 1952, 3309 },
    [3] = { 1568, 1568, 2592, 4627 },
};

/* --- Head ------------------------------------------------------------------------------ */

static void head(struct sample *s, unsigned role, unsigned profile, unsigned flags)
{
    number(s, 2, 1);
    number(s, 1, role);
    number(s, 1, profile);
    number(s, 2, flags);
    number(s, 2, 0);
    pattern(s, 16, 1); /* keyring id */
    number(s, 8, 0x0102030405060708);
    number(s, 8, 0x1112131415161718);
    number(s, 8, 1750000000);
    number(s, 8, 1750000001);
    number(s, 8, 3);
    number(s, 4, 365);
    number(s, 4, 364);
    number(s, 4, 90);
    number(s, 4, 30);
    number(s, 4, 7);
    number(s, 4, 120); /* lead */
    pattern(s, 16, 6); /* fleet */
    pattern(s, 32, 7); /* bundle digest */
    pattern(s, 32, 2); /* root */
    pattern(s, 16, 3); /* its slot */
    vector(s, 200, 4);
    vector(s, (flags & 4) != 0 ? 24 : 0, 5);
}

static void head_authority(struct sample *s)
{
    head(s, 1, 1, 0);
}

static void head_node(struct sample *s)
{
    head(s, 2, 3, 7);
}

/* --- KEY ------------------------------------------------------------------------------- */

struct key {
    unsigned purpose, state, profile;
    const char *owner, *label;
    size_t public_len, wrap_len;
};

static void key(struct sample *s, struct key k)
{
    number(s, 1, k.purpose);
    number(s, 1, k.state);
    number(s, 1, k.profile);
    number(s, 1, 0);
    number(s, 4, 2); /* version */
    number(s, 8, 1750000000);
    number(s, 8, 1750000001);
    number(s, 8, 1750000002);
    number(s, 8, 1750000003);
    number(s, 8, 1750000004);
    if (k.purpose == 1) {
        zeros(s, 32);
    } else {
        pattern(s, 32, 6); /* parent */
    }
    pattern(s, 32, 7); /* predecessor */
    text(s, k.owner);
    text(s, k.label);
    vector(s, k.public_len, 8);
    vector(s, k.wrap_len, 9);
}

static void key_root(struct sample *s)
{
    key(s, (struct key){ 1, 2, 1, "", "", 1568, 16 });
}

static void key_root_destroyed(struct sample *s)
{
    key(s, (struct key){ 1, 5, 3, "", "", 1568, 0 });
}

static void key_tenant(struct sample *s)
{
    key(s, (struct key){ 2, 2, 1, "acme", "", 1216, 1568 + 32 + 32 + 16 });
}

static void key_model(struct sample *s)
{
    key(s, (struct key){ 3, 1, 2, "model@1", "", 1184, 1568 + 64 + 32 + 16 });
}

static void key_tenant_strict(struct sample *s)
{
    key(s, (struct key){ 2, 3, 3, "acme", "", 1568, 1568 + 64 + 32 + 16 });
}

static void key_api(struct sample *s)
{
    key(s, (struct key){ 4, 2, 1, "client", "", 1952, 1568 + 32 + 16 });
}

static void key_authority(struct sample *s)
{
    key(s, (struct key){ 5, 2, 3, "", "", 2592, 1568 + 32 + 16 });
}

static void key_node(struct sample *s)
{
    key(s, (struct key){ 6, 2, 2, "node-1", "", 1184 + 1952, 1568 + 64 + 32 + 16 });
}

static void key_data(struct sample *s)
{
    key(s, (struct key){ 7, 2, 1, "acme", "", 0, 1120 + 32 + 16 });
}

static void key_data_label(struct sample *s)
{
    key(s, (struct key){ 7, 4, 3, "acme", "a label", 0, 1568 + 32 + 16 });
}

static void key_name(struct sample *s)
{
    key(s, (struct key){ 8, 2, 2, "acme", "x", 0, 1088 + 32 + 16 });
}

static void key_legacy_destroyed(struct sample *s)
{
    key(s, (struct key){ 9, 5, 1, "acme", "", 0, 0 });
}

/* --- Other rows ------------------------------------------------------------------------ */

static void staged(struct sample *s)
{
    pattern(s, 32, 10);
    vector(s, 1168, 11);
}

static void rotation(struct sample *s)
{
    pattern(s, 32, 12);
    number(s, 8, 1750000000);
    number(s, 2, 0);
}

static void rotation_root(struct sample *s)
{
    pattern(s, 32, 12);
    number(s, 8, 1750000000);
    vector(s, 300, 13);
}

static void tombstone(struct sample *s)
{
    number(s, 8, 1750000000);
    number(s, 8, 17);
    number(s, 8, 4);
    number(s, 4, 6);
    pattern(s, 32, 14);
}

static void node(struct sample *s, unsigned revoked, unsigned profile)
{
    number(s, 1, revoked);
    number(s, 1, profile);
    number(s, 2, 0);
    number(s, 8, 1750000000);
    number(s, 8, revoked != 0 ? 1750000009 : 0);
    number(s, 8, 5);
    number(s, 8, 1750000005);
    text(s, "node-1");
    vector(s, sizes[profile].kem_public, 15);
    vector(s, sizes[profile].sign_public, 16);
}

static void node_of_all_tenants(struct sample *s)
{
    node(s, 0, 1);
    number(s, 2, 0);
}

static void node_revoked(struct sample *s)
{
    node(s, 1, 3);
    number(s, 2, 3);
    text(s, "ac");
    text(s, "acme");
    text(s, "bee");
}

static void backup(struct sample *s)
{
    number(s, 1, 1);
    zeros(s, 7);
    number(s, 8, 1750000000);
    number(s, 8, 12);
    text(s, "/var/backups/keyring");
}

static void floor_value(struct sample *s)
{
    number(s, 8, 0x0102030405060708);
}

static void authority(struct sample *s)
{
    number(s, 1, 0);
    number(s, 1, 65);
    number(s, 2, 0);
    number(s, 8, 1750000000);
    vector(s, 1952, 17);
}

static void authority_revoked(struct sample *s)
{
    number(s, 1, 1);
    number(s, 1, 87);
    number(s, 2, 0);
    number(s, 8, 1750000000);
    vector(s, 2592, 17);
}

static void recovery_row(struct sample *s)
{
    number(s, 8, 1750000000);
    vector(s, 1568, 18);
    vector(s, 1568 + 96 + 16, 19);
}

/* --- Messages -------------------------------------------------------------------------- */

static void message(struct sample *s, unsigned type, unsigned profile)
{
    put(s, "aril", 4);
    number(s, 1, type);
    number(s, 1, 1);
    number(s, 1, profile);
    number(s, 1, 0);
}

static void card(struct sample *s, unsigned profile)
{
    message(s, 4, profile);
    number(s, 8, 1750000000);
    text(s, "node-1.example");
    text(s, "did:pqaid:00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef");
    vector(s, sizes[profile].kem_public, 20);
    vector(s, sizes[profile].sign_public, 21);
    vector(s, sizes[profile].signature, 22);
}

static void card_hybrid(struct sample *s)
{
    card(s, 1);
}

static void card_mlkem768(struct sample *s)
{
    card(s, 2);
}

static void card_strict(struct sample *s)
{
    card(s, 3);
}

static void receipt(struct sample *s, unsigned profile)
{
    message(s, 6, profile);
    pattern(s, 16, 23);
    pattern(s, 32, 24);
    number(s, 8, 5);
    number(s, 8, 1750000000);
    vector(s, sizes[profile].signature, 25);
}

static void receipt_hybrid(struct sample *s)
{
    receipt(s, 1);
}

static void receipt_strict(struct sample *s)
{
    receipt(s, 3);
}

static void bundle_start(struct sample *s, unsigned profile, bool successor)
{
    message(s, 5, profile);
    pattern(s, 16, 23);
    number(s, 8, 5);
    number(s, 8, 1750000000);
    number(s, 8, 1750604800);
    vector(s, sizes[profile].sign_public, 26);
    vector(s, successor ? sizes[profile].sign_public : 0, 27);
}

/* An id that begins with a byte, for the order of lists. */
static void id(struct sample *s, uint8_t first)
{
    number(s, 1, first);
    pattern(s, 31, 28);
}

static void bundle_tombstone(struct sample *s, const char *tenant)
{
    text(s, tenant);
    number(s, 8, 1750000000);
    number(s, 8, 9);
}

static void bundle_key(struct sample *s, uint8_t first, unsigned purpose, unsigned state,
                       const char *label)
{
    id(s, first);
    number(s, 1, purpose);
    number(s, 1, state);
    number(s, 2, 0);
    number(s, 4, 3);
    number(s, 8, 1750000000);
    number(s, 8, 1750000001);
    number(s, 8, 0);
    number(s, 8, 1750000003);
    number(s, 8, 1750000004);
    pattern(s, 32, 29);
    text(s, "acme");
    text(s, label);
}

static void bundle_floor(struct sample *s, const char *name, uint64_t value)
{
    text(s, name);
    number(s, 8, value);
}

static void section_start(struct sample *s, unsigned profile, uint8_t first, uint32_t count)
{
    id(s, first);
    vector(s, sizes[profile].enc, 30);
    number(s, 4, count);
}

static void entry(struct sample *s, uint32_t index)
{
    number(s, 4, index);
    pattern(s, 48, 31);
}

static void bundle_empty(struct sample *s)
{
    bundle_start(s, 1, false);
    zeros(s, 24);
    vector(s, sizes[1].signature, 32);
}

static void bundle_one_key(struct sample *s)
{
    bundle_start(s, 2, false);
    zeros(s, 16);
    number(s, 4, 1);
    bundle_key(s, 1, 7, 2, "");
    number(s, 4, 1);
    section_start(s, 2, 1, 1);
    entry(s, 0);
    vector(s, sizes[2].signature, 32);
}

static void bundle_two_nodes(struct sample *s)
{
    bundle_start(s, 3, true);
    number(s, 4, 2); /* authorities */
    id(s, 1);
    id(s, 2);
    number(s, 4, 3); /* tombstones */
    bundle_tombstone(s, "ab");
    bundle_tombstone(s, "abc");
    bundle_tombstone(s, "b");
    number(s, 4, 1); /* nodes */
    id(s, 200);
    number(s, 4, 3); /* floors */
    bundle_floor(s, "a", UINT64_MAX);
    bundle_floor(s, "a\x01", 1);
    bundle_floor(s, "model", 7);
    number(s, 4, 4); /* keys */
    bundle_key(s, 3, 7, 1, "a label");
    bundle_key(s, 4, 8, 2, "");
    bundle_key(s, 5, 9, 3, "lmcache");
    bundle_key(s, 6, 4, 4, "");
    number(s, 4, 2); /* sections */
    section_start(s, 3, 10, 3);
    entry(s, 0);
    entry(s, 2);
    entry(s, 3);
    section_start(s, 3, 11, 0);
    vector(s, sizes[3].signature, 32);
}

static void recovery_key(struct sample *s)
{
    number(s, 1, 1);
    number(s, 1, 0);
    number(s, 2, 0x0042);
    pattern(s, 64, 33);
}

static void recovery_recipient(struct sample *s)
{
    number(s, 1, 1);
    number(s, 1, 0);
    number(s, 2, 0x0042);
    pattern(s, 1568, 34);
}

/* --- All of them ----------------------------------------------------------------------- */

static const struct maker {
    unsigned codec;
    const char *name;
    void (*make)(struct sample *s);
} makers[] = {
    { CODEC_HEAD, "authority", head_authority },
    { CODEC_HEAD, "node-locked-counter", head_node },
    { ARILI_ROW_KEY, "root", key_root },
    { ARILI_ROW_KEY, "root-destroyed", key_root_destroyed },
    { ARILI_ROW_KEY, "tenant", key_tenant },
    { ARILI_ROW_KEY, "model", key_model },
    { ARILI_ROW_KEY, "tenant-strict", key_tenant_strict },
    { ARILI_ROW_KEY, "api", key_api },
    { ARILI_ROW_KEY, "authority", key_authority },
    { ARILI_ROW_KEY, "node", key_node },
    { ARILI_ROW_KEY, "data", key_data },
    { ARILI_ROW_KEY, "data-label", key_data_label },
    { ARILI_ROW_KEY, "name", key_name },
    { ARILI_ROW_KEY, "legacy-destroyed", key_legacy_destroyed },
    { ARILI_ROW_STAGED, "data", staged },
    { ARILI_ROW_ROTATION, "tenant", rotation },
    { ARILI_ROW_ROTATION, "root", rotation_root },
    { ARILI_ROW_TOMBSTONE, "one", tombstone },
    { ARILI_ROW_NODE, "all-tenants", node_of_all_tenants },
    { ARILI_ROW_NODE, "three-tenants-revoked", node_revoked },
    { ARILI_ROW_BACKUP, "destroyed", backup },
    { ARILI_ROW_FLOOR, "one", floor_value },
    { ARILI_ROW_AUTHORITY, "mldsa65", authority },
    { ARILI_ROW_AUTHORITY, "mldsa87-revoked", authority_revoked },
    { ARILI_ROW_RECOVERY, "one", recovery_row },
    { CODEC_CARD, "hybrid", card_hybrid },
    { CODEC_CARD, "mlkem768", card_mlkem768 },
    { CODEC_CARD, "strict", card_strict },
    { CODEC_RECEIPT, "hybrid", receipt_hybrid },
    { CODEC_RECEIPT, "strict", receipt_strict },
    { CODEC_BUNDLE, "empty", bundle_empty },
    { CODEC_BUNDLE, "one-key", bundle_one_key },
    { CODEC_BUNDLE, "two-nodes", bundle_two_nodes },
    { CODEC_RECOVERY_KEY, "key", recovery_key },
    { CODEC_RECOVERY_RECIPIENT, "recipient", recovery_recipient },
};

bool sample_make(unsigned n, struct sample *ret)
{
    if (n >= COUNT(makers)) {
        return false;
    }
    ret->codec = (enum codec)makers[n].codec;
    ret->name = makers[n].name;
    ret->len = 0;
    makers[n].make(ret);
    return true;
}

void sample_find(enum codec c, const char *name, struct sample *ret)
{
    for (unsigned n = 0; sample_make(n, ret); n++) {
        if (ret->codec == c && strcmp(ret->name, name) == 0) {
            return;
        }
    }
    abort();
}
