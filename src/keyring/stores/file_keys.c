/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/file.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <string.h>

#define HEAD_BYTES (sizeof ARILI_KEYS_HEAD - 1)
#define END_BYTES  (sizeof ARILI_KEYS_END - 1)
#define SLOT_HEX   (2 * ARILI_STORE_SLOT_BYTES)
#define KEY_HEX    (2 * ARILI_AEAD_KEY_BYTES)
#define KEY_AT     (SLOT_HEX + 1)

/* Digits of keys: no branch and no table on them. Only '0' to '9' and 'a' to 'f' pass. */
static unsigned nibble(uint8_t c, unsigned *bad)
{
    const unsigned digit = c - (unsigned)'0';
    const unsigned letter = c - (unsigned)'a';
    const unsigned is_digit = (digit - 10) >> 31; /* 1: digit < 10 */
    const unsigned is_letter = (letter - 6) >> 31;
    /* Both differences wrap to above 2^31 for characters below '0' or 'a'. */
    const unsigned ok_digit = is_digit & ~(digit >> 31) & 1u;
    const unsigned ok_letter = is_letter & ~(letter >> 31) & 1u;
    *bad |= 1u ^ (ok_digit | ok_letter);
    return (digit & (0u - ok_digit)) | ((letter + 10) & (0u - ok_letter));
}

/* ret may be NULL: only checks. */
static bool unhex(const uint8_t *hex, size_t bytes, uint8_t *ret)
{
    unsigned bad = 0;
    for (size_t i = 0; i < bytes; i++) {
        const unsigned high = nibble(hex[2 * i], &bad);
        const unsigned low = nibble(hex[2 * i + 1], &bad);
        if (ret != NULL) {
            ret[i] = (uint8_t)(high << 4 | low);
        }
    }
    return bad == 0;
}

static void write_hex(const uint8_t *bytes, size_t len, uint8_t *ret)
{
    for (size_t i = 0; i < 2 * len; i++) {
        const unsigned n = i % 2 == 0 ? bytes[i / 2] >> 4 : bytes[i / 2] & 15u;
        /* 39 more for a to f. */
        ret[i] = (uint8_t)(n + '0' + (((9u - n) >> 31) & 1u) * 39u);
    }
}

static const uint8_t *line(aril_bytes text, size_t index)
{
    return text.data + HEAD_BYTES + index * ARILI_KEYS_LINE_BYTES;
}

static size_t count_of(aril_bytes text)
{
    return text.len < ARILI_KEYS_FRAME_BYTES
               ? 0
               : (text.len - ARILI_KEYS_FRAME_BYTES) / ARILI_KEYS_LINE_BYTES;
}

aril_status arili_keys_check(aril_bytes text, size_t *ret_count)
{
    const size_t head = text.len < HEAD_BYTES ? text.len : HEAD_BYTES;
    ARILI_ENSURE(head > 0 && memcmp(text.data, ARILI_KEYS_HEAD, head) == 0, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(text.len >= ARILI_KEYS_FRAME_BYTES, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(memcmp(text.data + text.len - END_BYTES, ARILI_KEYS_END, END_BYTES) == 0,
                 ARIL_E_FORMAT_TRUNCATED);
    const size_t body = text.len - ARILI_KEYS_FRAME_BYTES;
    ARILI_ENSURE(body % ARILI_KEYS_LINE_BYTES == 0, ARIL_E_FORMAT_FIELD);
    const size_t count = body / ARILI_KEYS_LINE_BYTES;
    ARILI_ENSURE(count <= ARILI_KEYS_MAX, ARIL_E_FORMAT_LENGTH);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *const at = line(text, i);
        ARILI_ENSURE(unhex(at, ARILI_STORE_SLOT_BYTES, NULL) && at[SLOT_HEX] == ' ' &&
                         unhex(at + KEY_AT, ARILI_AEAD_KEY_BYTES, NULL) &&
                         at[KEY_AT + KEY_HEX] == '\n',
                     ARIL_E_FORMAT_FIELD);
    }
    *ret_count = count;
    return ARIL_OK;
}

static bool is_slot(aril_bytes text, size_t index, const uint8_t *slot)
{
    uint8_t name[ARILI_STORE_SLOT_BYTES];
    (void)unhex(line(text, index), sizeof name, name); /* was checked */
    return memcmp(name, slot, sizeof name) == 0;       /* slots are public */
}

void arili_keys_at(aril_bytes text, size_t index, uint8_t ret_key[ARILI_AEAD_KEY_BYTES])
{
    (void)unhex(line(text, index) + KEY_AT, ARILI_AEAD_KEY_BYTES, ret_key); /* was checked */
}

bool arili_keys_find(aril_bytes text, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                     uint8_t ret_key[ARILI_AEAD_KEY_BYTES])
{
    for (size_t i = 0; i < count_of(text); i++) {
        if (is_slot(text, i, slot)) {
            arili_keys_at(text, i, ret_key);
            return true;
        }
    }
    return false;
}

size_t arili_keys_add(aril_bytes text, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                      const uint8_t key[ARILI_AEAD_KEY_BYTES], uint8_t *ret)
{
    size_t len = HEAD_BYTES + count_of(text) * ARILI_KEYS_LINE_BYTES;
    memmove(ret, text.len > 0 ? text.data : (const uint8_t *)ARILI_KEYS_HEAD, len);
    write_hex(slot, ARILI_STORE_SLOT_BYTES, ret + len);
    ret[len + SLOT_HEX] = ' ';
    write_hex(key, ARILI_AEAD_KEY_BYTES, ret + len + KEY_AT);
    ret[len + KEY_AT + KEY_HEX] = '\n';
    len += ARILI_KEYS_LINE_BYTES;
    memcpy(ret + len, ARILI_KEYS_END, END_BYTES);
    return len + END_BYTES;
}

size_t arili_keys_remove(aril_bytes text, const uint8_t slot[ARILI_STORE_SLOT_BYTES], uint8_t *ret)
{
    size_t len = HEAD_BYTES;
    memcpy(ret, ARILI_KEYS_HEAD, HEAD_BYTES);
    for (size_t i = 0; i < count_of(text); i++) {
        if (!is_slot(text, i, slot)) {
            memcpy(ret + len, line(text, i), ARILI_KEYS_LINE_BYTES);
            len += ARILI_KEYS_LINE_BYTES;
        }
    }
    memcpy(ret + len, ARILI_KEYS_END, END_BYTES);
    return len + END_BYTES;
}

/* What a key file is not, in words. */
static const char *problem(aril_status st)
{
    switch (st) {
    case ARIL_E_FORMAT_KIND:
        return "is no key file of aril, version 1; check the path";
    case ARIL_E_FORMAT_TRUNCATED:
        return "ends too early; restore the key file from its backup";
    default:
        return "has a line that is no slot with its key; restore the key file from its backup";
    }
}

aril_status arili_keys_read(const char *path, unsigned checks, const char *remedy,
                            struct arili_file *ret, size_t *ret_count, aril_error *error)
{
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    aril_status st = arili_file_read(path, ARILI_KEYS_BYTES_MAX, checks, &file, error);
    if (st == ARIL_E_NOT_FOUND) {
        return arili_store_failed(error, path, st, remedy);
    }
    if (st == ARIL_E_LIMIT) {
        return arili_store_failed(error, path, ARIL_E_FORMAT_LENGTH,
                                  "is longer than any key file; check the path");
    }
    ARILI_TRY(st);
    size_t count = 0;
    st = arili_keys_check((aril_bytes){ file.data, file.len }, &count);
    if (st != ARIL_OK) {
        return arili_store_failed(error, path, st, problem(st));
    }
    *ret = file;
    file = (struct arili_file){ 0 };
    *ret_count = count;
    return ARIL_OK;
}
