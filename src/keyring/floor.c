/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "keyring/change.h"
#include "keyring/fleet.h"

static aril_status check_name(aril_bytes name)
{
    ARILI_ENSURE(name.data != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(name.len >= 1 && name.len <= ARILI_ROW_ID_BYTES_MAX, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

static aril_status floor_of(const struct arili_rowset *set, aril_bytes name, uint64_t *ret)
{
    const struct arili_row *row = arili_rowset_find(set, ARILI_ROW_FLOOR, name);
    *ret = 0;
    return row != NULL ? arili_floor_row_parse(arili_row_body(row), ret) : ARIL_OK;
}

static aril_status put_floor(struct arili_change *ch, aril_bytes name, uint64_t value)
{
    uint8_t body[8];
    arili_floor_row_write(value, body);
    return arili_change_put(ch, ARILI_ROW_FLOOR, name, (aril_bytes){ body, sizeof body });
}

aril_status arili_floors_take(struct arili_change *ch, const struct arili_bundle *b)
{
    aril_bytes list = b->floors;
    for (uint32_t i = 0; i < b->floor_count; i++) {
        struct arili_bundle_floor f;
        uint64_t here = 0;
        ARILI_TRY(arili_bundle_next_floor(&list, &f));
        ARILI_TRY(floor_of(ch->from, f.name, &here));
        if (f.value > here) {
            ARILI_TRY(put_floor(ch, f.name, f.value));
        }
    }
    return ARIL_OK;
}

aril_status aril_keyring_floor_get(aril_keyring *keyring, aril_bytes name, uint64_t *ret_value,
                                   aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && ret_value != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_name(name));
    uint64_t now_ns = 0;
    ARILI_TRY(arili_keyring_use(keyring, &now_ns, error));
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = arili_keyring_rows(keyring);
    return floor_of(set, name, ret_value);
}

aril_status aril_keyring_floor_raise(aril_keyring *keyring, aril_bytes name, uint64_t value,
                                     aril_error *error)
{
    ARILI_ENSURE(keyring != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_name(name));
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(keyring, ARILI_CHANGE_ANY_CLOCK, &ch, error));
    uint64_t floor = 0;
    ARILI_TRY(floor_of(ch.from, name, &floor));
    if (value < floor) {
        return arili_error_set(error, ARIL_E_REPLAY_ROLLBACK,
                               "%s: the floor is %llu, above %llu; floors only go up",
                               keyring->path, (unsigned long long)floor, (unsigned long long)value);
    }
    if (value == floor) {
        return ARIL_OK;
    }
    ARILI_TRY(put_floor(&ch, name, value));
    ch.raises = true;
    return arili_change_commit(&ch, error);
}
