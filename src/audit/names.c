/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/names.h"
#include <aril/keyring.h>

const char *aril_event_kind_name(aril_event_kind kind)
{
    switch (kind) {
    case ARIL_EVENT_SESSION:
        return "session";
    case ARIL_EVENT_ENCRYPT:
        return "encrypt";
    case ARIL_EVENT_DECRYPT:
        return "decrypt";
    case ARIL_EVENT_ROTATE:
        return "rotate";
    case ARIL_EVENT_RETIRE:
        return "retire";
    case ARIL_EVENT_CLOSE:
        return "close";
    case ARIL_EVENT_ISOLATION_VIOLATION:
        return "isolation-violation";
    case ARIL_EVENT_REPLAY:
        return "replay";
    case ARIL_EVENT_AUTH_FAILURE:
        return "auth-failure";
    case ARIL_EVENT_KEY:
        return "key";
    case ARIL_EVENT_KEYRING:
        return "keyring";
    case ARIL_EVENT_FLEET:
        return "fleet";
    case ARIL_EVENT_SERVICE:
        return "service";
    }
    return "unknown";
}

const char *arili_rotate_reason_name(aril_rotate_reason reason)
{
    switch (reason) {
    case ARIL_ROTATE_NONE:
        return "none";
    case ARIL_ROTATE_RECORDS:
        return "records";
    case ARIL_ROTATE_BYTES:
        return "bytes";
    case ARIL_ROTATE_AGE:
        return "age";
    case ARIL_ROTATE_MANUAL:
        return "manual";
    case ARIL_ROTATE_PEER:
        return "peer";
    }
    return "unknown";
}

const char *arili_direction_name(aril_direction direction)
{
    switch (direction) {
    case ARIL_TENANT_TO_SERVER:
        return "tenant-to-server";
    case ARIL_SERVER_TO_TENANT:
        return "server-to-tenant";
    }
    return "unknown";
}

static const char *name_at(const char *const *names, size_t count, uint8_t at)
{
    return at < count ? names[at] : "unknown";
}

const char *arili_event_purpose_name(uint8_t purpose)
{
    static const char *const names[ARIL_KEY_PURPOSES] = {
        [0] = "none",
        [ARIL_KEY_ROOT] = "root",
        [ARIL_KEY_TENANT] = "tenant",
        [ARIL_KEY_MODEL] = "model",
        [ARIL_KEY_API] = "api",
        [ARIL_KEY_AUTHORITY] = "authority",
        [ARIL_KEY_NODE] = "node",
        [ARIL_KEY_DATA] = "data",
        [ARIL_KEY_NAME] = "name",
        [ARIL_KEY_LEGACY] = "legacy",
    };
    return name_at(names, sizeof names / sizeof names[0], purpose);
}

const char *arili_event_state_name(uint8_t state)
{
    static const char *const names[] = {
        [0] = "none",
        [ARIL_KEY_PENDING] = "pending",
        [ARIL_KEY_ACTIVE] = "active",
        [ARIL_KEY_DECRYPT_ONLY] = "decrypt-only",
        [ARIL_KEY_RETIRED] = "retired",
        [ARIL_KEY_DESTROYED] = "destroyed",
    };
    return name_at(names, sizeof names / sizeof names[0], state);
}
