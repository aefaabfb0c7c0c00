/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_BASE_H
#define ARIL_BASE_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ARIL_API      __attribute__((visibility("default")))
#define ARIL_MUST_USE __attribute__((warn_unused_result))

#define ARIL_VERSION_MAJOR 0
#define ARIL_VERSION_MINOR 4
#define ARIL_VERSION_PATCH 0
#define ARIL_VERSION       "0.4.0"

/**
 * Result of every call that can fail.
 *
 * The low byte is the class, made for switch and stable for ever. The bits
 * above it are the detail, made for people; new details may appear in any
 * release, so compare classes, not details. aril/status.def lists them all.
 */
typedef enum aril_status {
#define ARIL_STATUS(name, cls, detail, text, hint) name = (cls) | (detail) << 8,
#include <aril/status.def>
#undef ARIL_STATUS
} aril_status;

/** The class of @p st: ARIL_E_FORMAT for ARIL_E_FORMAT_LENGTH. */
static inline aril_status aril_status_class(aril_status st)
{
    return (aril_status)((unsigned)st & 0xffu);
}

/**
 * Name ("ARIL_E_AUTH"), sentence, and next step for the operator.
 *
 * Never NULL, also for numbers of a newer library. Static storage.
 * Threads: any. Blocks: never. Allocates: no. Since: 0.1
 */
ARIL_API const char *aril_status_name(aril_status st);
ARIL_API const char *aril_status_text(aril_status st);
ARIL_API const char *aril_status_hint(aril_status st);

/** Version of the library that is loaded, "0.4.0". Static storage. */
ARIL_API const char *aril_version(void);

/** A borrowed, read-only span. data may be NULL only when len is 0. */
typedef struct aril_bytes {
    const uint8_t *data;
    size_t len;
} aril_bytes;

/** A borrowed, writable span. data may be NULL only when len is 0. */
typedef struct aril_span {
    uint8_t *data;
    size_t len;
} aril_span;

/** Bytes of a message in struct aril_error, with the final NUL. */
#define ARIL_ERROR_MESSAGE_BYTES 320u

/**
 * What went wrong, for people: names the file, the value and the remedy.
 *
 * Owned by the caller, optional everywhere (pass NULL). A call that succeeds
 * leaves it alone. Never holds a secret.
 */
typedef struct aril_error {
    aril_status status;
    char message[ARIL_ERROR_MESSAGE_BYTES];
} aril_error;

#ifdef __cplusplus
}
#endif
#endif
