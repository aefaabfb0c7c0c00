/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: the parsers and writers of src/format/keyring.h. Corpus: corpus/keyring_row/, a kind
 * of row as one byte, 0 for the head, and a body.
 * Properties: those of codec_problem(); the info of a wrap has an end and takes no root. */
#include "codecs.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(const char *problem)
{
    if (problem != NULL) {
        (void)fprintf(stderr, "%s\n", problem);
        abort();
    }
}

static void check_info(aril_bytes in)
{
    struct arili_key_row k;
    uint8_t info[ARILI_WRAP_INFO_BYTES_MAX];
    size_t info_len = 0;
    const uint8_t id[ARIL_KEY_ID_BYTES] = { 1 };
    if (arili_key_row_parse(in, &k) == ARIL_OK) {
        const aril_status st = arili_wrap_info_write(id, id, &k, info, sizeof info, &info_len);
        demand(st == (k.purpose == ARIL_KEY_ROOT ? ARIL_E_USAGE_RANGE : ARIL_OK)
                   ? NULL
                   : "a key without an info, or a root with one");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0 || data[0] >= ARILI_ROW_KINDS) {
        return 0;
    }
    const aril_bytes body = { data + 1, len - 1 };
    aril_status st;
    demand(codec_problem((enum codec)data[0], body, &st));
    if (data[0] == ARILI_ROW_KEY) {
        check_info(body);
    }
    return 0;
}
