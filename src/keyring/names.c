/* SPDX-License-Identifier: Apache-2.0 */
#include <aril/keyring.h>

const char *aril_key_purpose_name(aril_key_purpose purpose)
{
    switch (purpose) {
    case ARIL_KEY_ROOT:
        return "root";
    case ARIL_KEY_TENANT:
        return "tenant";
    case ARIL_KEY_MODEL:
        return "model";
    case ARIL_KEY_API:
        return "api";
    case ARIL_KEY_AUTHORITY:
        return "authority";
    case ARIL_KEY_NODE:
        return "node";
    case ARIL_KEY_DATA:
        return "data";
    case ARIL_KEY_NAME:
        return "name";
    case ARIL_KEY_LEGACY:
        return "legacy";
    }
    return "unknown";
}

const char *aril_key_state_name(aril_key_state state)
{
    switch (state) {
    case ARIL_KEY_PENDING:
        return "pending";
    case ARIL_KEY_ACTIVE:
        return "active";
    case ARIL_KEY_DECRYPT_ONLY:
        return "decrypt-only";
    case ARIL_KEY_RETIRED:
        return "retired";
    case ARIL_KEY_DESTROYED:
        return "destroyed";
    }
    return "unknown";
}
