/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/names.h"

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
