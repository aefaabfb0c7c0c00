/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/files_internal.h"
#include <stdio.h>
#include <string.h>

/*
 * Where a value lies: FOLDER/xx/yy/FILE. xx and yy are 16 bits of the FNV-1a hash of the name,
 * folded. FILE is
 *
 *   the name               when it is made of A-Z a-z 0-9 _ - : . { } alone, does not begin with
 *                          a dot, and has at most 200 bytes;
 *   with %XX in it         for every other byte, when that has at most 200 bytes;
 *   %~ and 32 hex digits   else: two hashes of the name.
 *
 * So no two of the three kinds meet. The whole name is in the head of the file, and a file answers
 * for that name alone: two long names of one hash, or two names that a file system takes for the
 * same (it may ignore case), only push each other out. A leading dot is left for what is ours and
 * no value.
 */

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t hash_from(uint64_t h, aril_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        h = (h ^ bytes.data[i]) * FNV_PRIME;
    }
    return h;
}

uint64_t arili_files_hash(aril_bytes bytes)
{
    return hash_from(FNV_BASIS, bytes);
}

static bool is_plain(uint8_t c, size_t at)
{
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    return letter || digit || c == '_' || c == '-' || c == ':' || c == '{' || c == '}' ||
           (c == '.' && at > 0);
}

/* False when it would be longer than a file name may be. */
static bool encode(aril_bytes name, char ret[ARILI_FILES_FILE_BYTES])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        const uint8_t c = name.data[i];
        const bool plain = is_plain(c, i);
        if (ARILI_FILES_FILE_CHARS - len < (plain ? 1u : 3u)) {
            return false;
        }
        if (plain) {
            ret[len++] = (char)c;
        } else {
            ret[len++] = '%';
            ret[len++] = digits[c >> 4];
            ret[len++] = digits[c & 15];
        }
    }
    ret[len] = '\0';
    return true;
}

void arili_files_leaf_path(uint32_t leaf, char ret[ARILI_FILES_LEAF_BYTES])
{
    (void)snprintf(ret, ARILI_FILES_LEAF_BYTES, "%02x/%02x", (leaf >> 8) & 0xff, leaf & 0xff);
}

void arili_files_place_at(uint32_t leaf, const char *file, struct arili_files_place *ret)
{
    char folder[ARILI_FILES_LEAF_BYTES];
    arili_files_leaf_path(leaf, folder);
    ret->leaf = leaf;
    if (file != ret->file) {
        (void)snprintf(ret->file, sizeof ret->file, "%s", file);
    }
    (void)snprintf(ret->path, sizeof ret->path, "%s/%s", folder, ret->file);
}

void arili_files_place_of(aril_bytes name, struct arili_files_place *ret)
{
    const uint64_t h = arili_files_hash(name);
    if (!encode(name, ret->file)) {
        const uint64_t second = hash_from(~FNV_BASIS, name);
        (void)snprintf(ret->file, sizeof ret->file, "%%~%016llx%016llx", (unsigned long long)h,
                       (unsigned long long)second);
    }
    const uint32_t leaf = (uint32_t)(h ^ h >> 16 ^ h >> 32 ^ h >> 48) & (ARILI_FILES_LEAVES - 1);
    arili_files_place_at(leaf, ret->file, ret);
}
