/* SPDX-License-Identifier: Apache-2.0 */
#include <aril/base.h>

/* A number that the list lacks comes from a newer library or from a bug. The
 * switches have no default, so the answer for it stands after each of them. */

const char *aril_status_name(aril_status st)
{
    switch (st) {
#define ARIL_STATUS(name, cls, detail, text, hint) \
    case name:                                     \
        return #name;
#include <aril/status.def>
#undef ARIL_STATUS
    }
    return "ARIL_E_UNKNOWN";
}

const char *aril_status_text(aril_status st)
{
    switch (st) {
#define ARIL_STATUS(name, cls, detail, text, hint) \
    case name:                                     \
        return text;
#include <aril/status.def>
#undef ARIL_STATUS
    }
    return "unknown status";
}

const char *aril_status_hint(aril_status st)
{
    switch (st) {
#define ARIL_STATUS(name, cls, detail, text, hint) \
    case name:                                     \
        return hint;
#include <aril/status.def>
#undef ARIL_STATUS
    }
    return "report the number together with the version of the library";
}

const char *aril_version(void)
{
    return ARIL_VERSION;
}
