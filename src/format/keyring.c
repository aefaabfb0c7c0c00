/* SPDX-License-Identifier: Apache-2.0 */
#include "format/keyring.h"
#include "base/ensure.h"
#include "format/keyring_fields.h"

/* --- Head ---------------------------------------------------------------------------- */

enum head_flag { FLAG_LOCKED = 1, FLAG_OVERDUE_REFUSES = 2, FLAG_COUNTER = 4 };
#define FLAGS_KNOWN       (FLAG_LOCKED | FLAG_OVERDUE_REFUSES | FLAG_COUNTER)
#define COUNTER_BYTES_MIN 9u
#define COUNTER_BYTES_MAX 72u
#define LEAD_S_MAX        86400u

static bool days_are_valid(uint32_t days, uint32_t most)
{
    return days >= 1 && days <= most;
}

static bool policy_is_valid(const aril_key_policy *p)
{
    return days_are_valid(p->root_days, 365) && days_are_valid(p->tenant_days, 365) &&
           days_are_valid(p->data_days, 90) && days_are_valid(p->api_days, 30) &&
           days_are_valid(p->bundle_days, 7) && p->lead_s <= LEAD_S_MAX &&
           (p->overdue_refuses == 0 || p->overdue_refuses == 1);
}

static bool head_is_valid(const struct arili_head *h)
{
    return (h->role == ARIL_KEYRING_AUTHORITY || h->role == ARIL_KEYRING_NODE) &&
           arili_profile_is_known(h->profile) && policy_is_valid(&h->policy) &&
           !arili_is_zero32(h->root) && h->blob.len >= 1 &&
           h->blob.len <= ARILI_KEYRING_BLOB_BYTES_MAX && h->has_counter == (h->counter.len > 0) &&
           (!h->has_counter || h->counter.len >= COUNTER_BYTES_MIN) &&
           h->counter.len <= COUNTER_BYTES_MAX;
}

aril_status arili_head_parse(aril_bytes in, struct arili_head *ret)
{
    ARILI_ENSURE(in.len <= ARILI_HEAD_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    struct arili_reader r = arili_reader_init(in);
    const uint16_t version = arili_read16(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(version == ARILI_KEYRING_VERSION, ARIL_E_FORMAT_VERSION);
    bool ok = true;
    struct arili_head h = { .role = (aril_keyring_role)arili_read8(&r) };
    h.profile = (aril_profile)arili_read8(&r);
    const uint16_t flags = arili_read16(&r);
    h.locked = (flags & FLAG_LOCKED) != 0;
    h.has_counter = (flags & FLAG_COUNTER) != 0;
    arili_read_zeros(&r, 2, &ok);
    arili_read_into(&r, h.id, sizeof h.id);
    h.revision = arili_read64(&r);
    h.generation = arili_read64(&r);
    h.created_s = arili_read64(&r);
    h.clock_s = arili_read64(&r);
    h.bundle_version = arili_read64(&r);
    h.policy.root_days = arili_read32(&r);
    h.policy.tenant_days = arili_read32(&r);
    h.policy.data_days = arili_read32(&r);
    h.policy.api_days = arili_read32(&r);
    h.policy.bundle_days = arili_read32(&r);
    h.policy.lead_s = arili_read32(&r);
    h.policy.overdue_refuses = (flags & FLAG_OVERDUE_REFUSES) != 0;
    arili_read_into(&r, h.fleet, sizeof h.fleet);
    arili_read_into(&r, h.bundle_digest, sizeof h.bundle_digest);
    arili_read_into(&r, h.root, sizeof h.root);
    arili_read_into(&r, h.root_slot, sizeof h.root_slot);
    h.blob = arili_read_vec16(&r);
    h.counter = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(ok && (flags & ~FLAGS_KNOWN) == 0 && head_is_valid(&h), ARIL_E_FORMAT_FIELD);
    *ret = h;
    return ARIL_OK;
}

aril_status arili_head_write(const struct arili_head *h, uint8_t *ret, size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(head_is_valid(h), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write16(&w, ARILI_KEYRING_VERSION);
    arili_write8(&w, (uint8_t)h->role);
    arili_write8(&w, (uint8_t)h->profile);
    arili_write16(&w, (uint16_t)((h->locked ? FLAG_LOCKED : 0) |
                                 (h->policy.overdue_refuses ? FLAG_OVERDUE_REFUSES : 0) |
                                 (h->has_counter ? FLAG_COUNTER : 0)));
    arili_write16(&w, 0);
    arili_write_bytes(&w, (aril_bytes){ h->id, sizeof h->id });
    arili_write64(&w, h->revision);
    arili_write64(&w, h->generation);
    arili_write64(&w, h->created_s);
    arili_write64(&w, h->clock_s);
    arili_write64(&w, h->bundle_version);
    arili_write32(&w, h->policy.root_days);
    arili_write32(&w, h->policy.tenant_days);
    arili_write32(&w, h->policy.data_days);
    arili_write32(&w, h->policy.api_days);
    arili_write32(&w, h->policy.bundle_days);
    arili_write32(&w, h->policy.lead_s);
    arili_write_bytes(&w, (aril_bytes){ h->fleet, sizeof h->fleet });
    arili_write_bytes(&w, (aril_bytes){ h->bundle_digest, sizeof h->bundle_digest });
    arili_write_bytes(&w, (aril_bytes){ h->root, sizeof h->root });
    arili_write_bytes(&w, (aril_bytes){ h->root_slot, sizeof h->root_slot });
    arili_write_vec16(&w, h->blob);
    arili_write_vec16(&w, h->counter);
    return arili_writer_end(&w, ret_len);
}

/* --- Keys ---------------------------------------------------------------------------- */

static size_t public_bytes(aril_key_purpose purpose, aril_profile profile)
{
    switch (purpose) {
    case ARIL_KEY_ROOT:
        return ARILI_ROOT_PUBLIC_BYTES;
    case ARIL_KEY_TENANT:
    case ARIL_KEY_MODEL:
        return arili_profile_kem_public_bytes(profile);
    case ARIL_KEY_API:
    case ARIL_KEY_AUTHORITY:
        return arili_profile_sign_public_bytes(profile);
    case ARIL_KEY_NODE:
        return arili_profile_kem_public_bytes(profile) + arili_profile_sign_public_bytes(profile);
    case ARIL_KEY_DATA:
    case ARIL_KEY_NAME:
    case ARIL_KEY_LEGACY:
        break;
    }
    return 0;
}

/* enc, what is wrapped, tag. */
static size_t wrap_bytes(aril_key_purpose purpose, aril_profile profile)
{
    switch (purpose) {
    case ARIL_KEY_ROOT:
        return ARILI_KEYRING_SLOT_BYTES;
    case ARIL_KEY_TENANT: /* KEM seed and PSK */
    case ARIL_KEY_MODEL:
    case ARIL_KEY_NODE: /* KEM seed and signature seed */
        return ARILI_ROOT_ENC_BYTES + arili_profile_kem_seed_bytes(profile) + 32 +
               ARILI_WRAP_TAG_BYTES;
    case ARIL_KEY_API:
    case ARIL_KEY_AUTHORITY:
        return ARILI_ROOT_ENC_BYTES + 32 + ARILI_WRAP_TAG_BYTES;
    case ARIL_KEY_DATA:
    case ARIL_KEY_NAME:
    case ARIL_KEY_LEGACY:
        break;
    }
    return arili_profile_kem_enc_bytes(profile) + 32 + ARILI_WRAP_TAG_BYTES;
}

/* What the info of a wrap says of a key. */
static bool key_is_valid(const struct arili_key_row *k)
{
    return k->purpose >= ARIL_KEY_ROOT && k->purpose <= ARIL_KEY_LEGACY &&
           arili_profile_is_known(k->profile) && k->version >= 1 &&
           arili_key_times_are_valid(k->activates_s, k->rotate_by_s, k->not_after_s) &&
           arili_is_zero32(k->parent) == (k->purpose == ARIL_KEY_ROOT) &&
           arili_slot_is_valid(k->purpose, k->owner, k->label);
}

static bool key_row_is_valid(const struct arili_key_row *k)
{
    return k->state >= ARIL_KEY_PENDING && k->state <= ARIL_KEY_DESTROYED && key_is_valid(k) &&
           k->public_key.len == public_bytes(k->purpose, k->profile) &&
           k->wrap.len == (k->state == ARIL_KEY_DESTROYED ? 0 : wrap_bytes(k->purpose, k->profile));
}

aril_status arili_key_row_parse(aril_bytes in, struct arili_key_row *ret)
{
    struct arili_reader r = arili_reader_init(in);
    bool ok = true;
    struct arili_key_row k = { .purpose = (aril_key_purpose)arili_read8(&r) };
    k.state = (aril_key_state)arili_read8(&r);
    k.profile = (aril_profile)arili_read8(&r);
    arili_read_zeros(&r, 1, &ok);
    k.version = arili_read32(&r);
    k.created_s = arili_read64(&r);
    k.activates_s = arili_read64(&r);
    k.rotate_by_s = arili_read64(&r);
    k.not_after_s = arili_read64(&r);
    k.changed_s = arili_read64(&r);
    arili_read_into(&r, k.parent, sizeof k.parent);
    arili_read_into(&r, k.predecessor, sizeof k.predecessor);
    k.owner = arili_read_vec16(&r);
    k.label = arili_read_vec16(&r);
    k.public_key = arili_read_vec16(&r);
    k.wrap = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(ok && key_row_is_valid(&k), ARIL_E_FORMAT_FIELD);
    *ret = k;
    return ARIL_OK;
}

aril_status arili_key_row_write(const struct arili_key_row *k, uint8_t *ret, size_t cap,
                                size_t *ret_len)
{
    ARILI_ENSURE(key_row_is_valid(k), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write8(&w, (uint8_t)k->purpose);
    arili_write8(&w, (uint8_t)k->state);
    arili_write8(&w, (uint8_t)k->profile);
    arili_write8(&w, 0);
    arili_write32(&w, k->version);
    arili_write64(&w, k->created_s);
    arili_write64(&w, k->activates_s);
    arili_write64(&w, k->rotate_by_s);
    arili_write64(&w, k->not_after_s);
    arili_write64(&w, k->changed_s);
    arili_write_bytes(&w, (aril_bytes){ k->parent, sizeof k->parent });
    arili_write_bytes(&w, (aril_bytes){ k->predecessor, sizeof k->predecessor });
    arili_write_vec16(&w, k->owner);
    arili_write_vec16(&w, k->label);
    arili_write_vec16(&w, k->public_key);
    arili_write_vec16(&w, k->wrap);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_wrap_info_write(const uint8_t keyring_id[ARILI_KEYRING_ID_BYTES],
                                  const uint8_t id[ARIL_KEY_ID_BYTES],
                                  const struct arili_key_row *k, uint8_t *ret, size_t cap,
                                  size_t *ret_len)
{
    /* The wrap is not there yet when this is asked for. A root has none. */
    ARILI_ENSURE(key_is_valid(k) && k->purpose != ARIL_KEY_ROOT, ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write_bytes(&w, ARILI_LITERAL("aril keyring wrap v1"));
    arili_write_bytes(&w, (aril_bytes){ keyring_id, ARILI_KEYRING_ID_BYTES });
    arili_write_bytes(&w, (aril_bytes){ k->parent, sizeof k->parent });
    arili_write_bytes(&w, (aril_bytes){ id, ARIL_KEY_ID_BYTES });
    arili_write8(&w, (uint8_t)k->purpose);
    arili_write8(&w, (uint8_t)k->profile);
    arili_write32(&w, k->version);
    arili_write64(&w, k->created_s);
    arili_write64(&w, k->activates_s);
    arili_write64(&w, k->rotate_by_s);
    arili_write64(&w, k->not_after_s);
    arili_write_bytes(&w, (aril_bytes){ k->predecessor, sizeof k->predecessor });
    arili_write_vec16(&w, k->owner);
    arili_write_vec16(&w, k->label);
    return arili_writer_end(&w, ret_len);
}
