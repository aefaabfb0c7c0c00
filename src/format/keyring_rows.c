/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "format/keyring.h"
#include "format/keyring_fields.h"

/* A 32-byte key under ML-KEM-768; an ML-KEM seed and a PSK under a root. */
#define WRAP_BYTES_MIN (1088u + 32u + ARILI_WRAP_TAG_BYTES)
#define WRAP_BYTES_MAX (ARILI_ROOT_ENC_BYTES + 96u + ARILI_WRAP_TAG_BYTES)
#define PATH_BYTES_MAX 4096u

/* --- STAGED -------------------------------------------------------------------------- */

static bool staged_is_valid(const struct arili_staged_row *s)
{
    return !arili_is_zero32(s->parent) && s->wrap.len >= WRAP_BYTES_MIN &&
           s->wrap.len <= WRAP_BYTES_MAX;
}

aril_status arili_staged_row_parse(aril_bytes in, struct arili_staged_row *ret)
{
    struct arili_reader r = arili_reader_init(in);
    struct arili_staged_row s = { .wrap = { NULL, 0 } };
    arili_read_into(&r, s.parent, sizeof s.parent);
    s.wrap = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(staged_is_valid(&s), ARIL_E_FORMAT_FIELD);
    *ret = s;
    return ARIL_OK;
}

aril_status arili_staged_row_write(const struct arili_staged_row *s, uint8_t *ret, size_t cap,
                                   size_t *ret_len)
{
    ARILI_ENSURE(staged_is_valid(s), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write_bytes(&w, (aril_bytes){ s->parent, sizeof s->parent });
    arili_write_vec16(&w, s->wrap);
    return arili_writer_end(&w, ret_len);
}

/* --- ROTATION ------------------------------------------------------------------------ */

static bool rotation_is_valid(const struct arili_rotation_row *row)
{
    return !arili_is_zero32(row->successor) && row->blob.len <= ARILI_KEYRING_BLOB_BYTES_MAX;
}

aril_status arili_rotation_row_parse(aril_bytes in, struct arili_rotation_row *ret)
{
    struct arili_reader r = arili_reader_init(in);
    struct arili_rotation_row row = { .started_s = 0 };
    arili_read_into(&r, row.successor, sizeof row.successor);
    row.started_s = arili_read64(&r);
    row.blob = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(rotation_is_valid(&row), ARIL_E_FORMAT_FIELD);
    *ret = row;
    return ARIL_OK;
}

aril_status arili_rotation_row_write(const struct arili_rotation_row *r, uint8_t *ret, size_t cap,
                                     size_t *ret_len)
{
    ARILI_ENSURE(rotation_is_valid(r), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write_bytes(&w, (aril_bytes){ r->successor, sizeof r->successor });
    arili_write64(&w, r->started_s);
    arili_write_vec16(&w, r->blob);
    return arili_writer_end(&w, ret_len);
}

/* --- TOMBSTONE ----------------------------------------------------------------------- */

aril_status arili_tombstone_row_parse(aril_bytes in, struct arili_tombstone_row *ret)
{
    struct arili_reader r = arili_reader_init(in);
    struct arili_tombstone_row t = { .time_s = arili_read64(&r) };
    t.generation = arili_read64(&r);
    t.bundle_version = arili_read64(&r);
    t.keys = arili_read32(&r);
    arili_read_into(&r, t.root, sizeof t.root);
    ARILI_TRY(arili_reader_end(&r));
    *ret = t;
    return ARIL_OK;
}

aril_status arili_tombstone_row_write(const struct arili_tombstone_row *t, uint8_t *ret, size_t cap,
                                      size_t *ret_len)
{
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write64(&w, t->time_s);
    arili_write64(&w, t->generation);
    arili_write64(&w, t->bundle_version);
    arili_write32(&w, t->keys);
    arili_write_bytes(&w, (aril_bytes){ t->root, sizeof t->root });
    return arili_writer_end(&w, ret_len);
}

/* --- NODE ---------------------------------------------------------------------------- */

static bool tenants_are_valid(const struct arili_node_row *n)
{
    for (size_t i = 0; i < n->tenant_count; i++) {
        if (!arili_owner_is_valid(n->tenants[i]) ||
            (i > 0 && arili_bytes_order(n->tenants[i - 1], n->tenants[i]) >= 0)) {
            return false;
        }
    }
    return true;
}

static bool node_is_valid(const struct arili_node_row *n)
{
    return arili_profile_is_known(n->profile) && (n->revoked || n->revoked_s == 0) &&
           arili_node_name_is_valid(n->name) &&
           n->kem_public.len == arili_profile_kem_public_bytes(n->profile) &&
           n->sign_public.len == arili_profile_sign_public_bytes(n->profile) &&
           n->tenant_count <= ARILI_NODE_TENANTS_MAX && tenants_are_valid(n);
}

aril_status arili_node_row_parse(aril_bytes in, struct arili_node_row *ret)
{
    ARILI_ENSURE(in.len <= ARILI_ROW_BODY_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    struct arili_reader r = arili_reader_init(in);
    bool ok = true;
    struct arili_node_row n = { .tenant_count = 0 };
    n.revoked = arili_read_bool(&r, &ok);
    n.profile = (aril_profile)arili_read8(&r);
    arili_read_zeros(&r, 2, &ok);
    n.added_s = arili_read64(&r);
    n.revoked_s = arili_read64(&r);
    n.confirmed_version = arili_read64(&r);
    n.confirmed_s = arili_read64(&r);
    n.name = arili_read_vec16(&r);
    n.kem_public = arili_read_vec16(&r);
    n.sign_public = arili_read_vec16(&r);
    n.tenant_count = arili_read16(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(n.tenant_count <= ARILI_NODE_TENANTS_MAX, ARIL_E_FORMAT_FIELD);
    for (size_t i = 0; i < n.tenant_count; i++) {
        n.tenants[i] = arili_read_vec16(&r);
    }
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(ok && node_is_valid(&n), ARIL_E_FORMAT_FIELD);
    *ret = n;
    return ARIL_OK;
}

static void put_node(struct arili_writer *w, const struct arili_node_row *n)
{
    arili_write8(w, n->revoked);
    arili_write8(w, (uint8_t)n->profile);
    arili_write16(w, 0);
    arili_write64(w, n->added_s);
    arili_write64(w, n->revoked_s);
    arili_write64(w, n->confirmed_version);
    arili_write64(w, n->confirmed_s);
    arili_write_vec16(w, n->name);
    arili_write_vec16(w, n->kem_public);
    arili_write_vec16(w, n->sign_public);
    arili_write16(w, (uint16_t)n->tenant_count);
    for (size_t i = 0; i < n->tenant_count; i++) {
        arili_write_vec16(w, n->tenants[i]);
    }
}

aril_status arili_node_row_write(const struct arili_node_row *n, uint8_t *ret, size_t cap,
                                 size_t *ret_len)
{
    ARILI_ENSURE(node_is_valid(n), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    put_node(&w, n);
    ARILI_ENSURE(w.len <= ARILI_ROW_BODY_BYTES_MAX, ARIL_E_USAGE_RANGE);
    return arili_writer_end(&w, ret_len);
}

/* --- BACKUP -------------------------------------------------------------------------- */

static bool backup_is_valid(const struct arili_backup_row *b)
{
    return b->path.len >= 1 && b->path.len <= PATH_BYTES_MAX &&
           memchr(b->path.data, 0, b->path.len) == NULL;
}

aril_status arili_backup_row_parse(aril_bytes in, struct arili_backup_row *ret)
{
    struct arili_reader r = arili_reader_init(in);
    bool ok = true;
    struct arili_backup_row b = { .destroyed = arili_read_bool(&r, &ok) };
    arili_read_zeros(&r, 7, &ok);
    b.time_s = arili_read64(&r);
    b.generation = arili_read64(&r);
    b.path = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(ok && backup_is_valid(&b), ARIL_E_FORMAT_FIELD);
    *ret = b;
    return ARIL_OK;
}

aril_status arili_backup_row_write(const struct arili_backup_row *b, uint8_t *ret, size_t cap,
                                   size_t *ret_len)
{
    ARILI_ENSURE(backup_is_valid(b), ARIL_E_USAGE_RANGE);
    static const uint8_t zeros[7];
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write8(&w, b->destroyed);
    arili_write_bytes(&w, (aril_bytes){ zeros, sizeof zeros });
    arili_write64(&w, b->time_s);
    arili_write64(&w, b->generation);
    arili_write_vec16(&w, b->path);
    return arili_writer_end(&w, ret_len);
}

/* --- FLOOR --------------------------------------------------------------------------- */

aril_status arili_floor_row_parse(aril_bytes in, uint64_t *ret_value)
{
    struct arili_reader r = arili_reader_init(in);
    const uint64_t value = arili_read64(&r);
    ARILI_TRY(arili_reader_end(&r));
    *ret_value = value;
    return ARIL_OK;
}

void arili_floor_row_write(uint64_t value, uint8_t ret[8])
{
    arili_store64(ret, value);
}

/* --- AUTHORITY ----------------------------------------------------------------------- */

static bool authority_is_valid(const struct arili_authority_row *a)
{
    const size_t bytes = arili_alg_public_bytes(a->alg);
    return bytes > 0 && a->public_key.len == bytes;
}

aril_status arili_authority_row_parse(aril_bytes in, struct arili_authority_row *ret)
{
    struct arili_reader r = arili_reader_init(in);
    bool ok = true;
    struct arili_authority_row a = { .revoked = arili_read_bool(&r, &ok) };
    a.alg = (aril_sign_alg)arili_read8(&r);
    arili_read_zeros(&r, 2, &ok);
    a.since_s = arili_read64(&r);
    a.public_key = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(ok && authority_is_valid(&a), ARIL_E_FORMAT_FIELD);
    *ret = a;
    return ARIL_OK;
}

aril_status arili_authority_row_write(const struct arili_authority_row *a, uint8_t *ret, size_t cap,
                                      size_t *ret_len)
{
    ARILI_ENSURE(authority_is_valid(a), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write8(&w, a->revoked);
    arili_write8(&w, (uint8_t)a->alg);
    arili_write16(&w, 0);
    arili_write64(&w, a->since_s);
    arili_write_vec16(&w, a->public_key);
    return arili_writer_end(&w, ret_len);
}

/* --- RECOVERY ------------------------------------------------------------------------ */

static bool recovery_is_valid(const struct arili_recovery_row *row)
{
    return row->public_key.len == ARILI_ROOT_PUBLIC_BYTES &&
           row->wrap.len == ARILI_ROOT_ENC_BYTES + ARILI_ROOT_PAYLOAD_BYTES + ARILI_WRAP_TAG_BYTES;
}

aril_status arili_recovery_row_parse(aril_bytes in, struct arili_recovery_row *ret)
{
    struct arili_reader r = arili_reader_init(in);
    struct arili_recovery_row row = { .since_s = arili_read64(&r) };
    row.public_key = arili_read_vec16(&r);
    row.wrap = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(recovery_is_valid(&row), ARIL_E_FORMAT_FIELD);
    *ret = row;
    return ARIL_OK;
}

aril_status arili_recovery_row_write(const struct arili_recovery_row *r, uint8_t *ret, size_t cap,
                                     size_t *ret_len)
{
    ARILI_ENSURE(recovery_is_valid(r), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write64(&w, r->since_s);
    arili_write_vec16(&w, r->public_key);
    arili_write_vec16(&w, r->wrap);
    return arili_writer_end(&w, ret_len);
}
