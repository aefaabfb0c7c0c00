/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_CODECS_H
#define ARIL_TESTS_CODECS_H
/* The parsers and writers of keyrings and fleets behind one pair of functions, for what holds
 * for all of them. No cmocka: fuzz targets use it as well. */
#include "format/fleet.h"
#include "format/keyring.h"

enum codec {
    CODEC_HEAD = 0, /* and the rows by their kinds */
    CODEC_CARD = ARILI_ROW_KINDS,
    CODEC_BUNDLE,
    CODEC_RECEIPT,
    CODEC_RECOVERY_KEY,
    CODEC_RECOVERY_RECIPIENT,
    CODECS
};

union codec_value {
    struct arili_head head;
    struct arili_key_row key;
    struct arili_staged_row staged;
    struct arili_rotation_row rotation;
    struct arili_tombstone_row tombstone;
    struct arili_node_row node;
    struct arili_backup_row backup;
    uint64_t floor;
    struct arili_authority_row authority;
    struct arili_recovery_row recovery_row;
    struct arili_card card;
    struct arili_bundle bundle;
    struct arili_receipt receipt;
    aril_bytes recovery;
};

aril_status codec_parse(enum codec c, aril_bytes in, union codec_value *ret);
aril_status codec_write(enum codec c, const union codec_value *v, uint8_t *ret, size_t cap,
                        size_t *ret_len);
/* Without the signature; only of card, bundle and receipt. */
aril_status codec_write_core(enum codec c, const union codec_value *v, uint8_t *ret, size_t cap,
                             size_t *ret_len);

/*
 * Parses a copy in memory of its exact size, so that a sanitizer sees each read past the end, and
 * looks whether what has to hold for every input does: what parses is written again as the same
 * bytes, also without its signature and element by element; what does not parse is a FORMAT error
 * and leaves the output alone. *ret_st is what the parser said. NULL, or what is wrong.
 */
const char *codec_problem(enum codec c, aril_bytes in, aril_status *ret_st);

/* --- Samples, put together by hand from the format document ---------------------------- */

#define SAMPLE_BYTES_MAX 32768u
struct sample {
    enum codec codec;
    const char *name; /* unique within its codec */
    size_t len;
    uint8_t bytes[SAMPLE_BYTES_MAX];
};
/* Number n, from 0; false when there are no more. Always the same bytes. */
bool sample_make(unsigned n, struct sample *ret);
/* That of a codec and name; aborts when there is none. */
void sample_find(enum codec c, const char *name, struct sample *ret);
#endif
