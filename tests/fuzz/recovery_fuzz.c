/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_recovery_parse and arili_recovery_write_header, as key and as recipient, and
 * arili_pem_parse under their labels. Corpus: corpus/recovery/, PEM texts and what is in them.
 * Properties: those of codec_problem(), for the bytes and for what a PEM text holds. */
#include "codecs.h"
#include "format/pem.h"
#include <stdio.h>
#include <stdlib.h>

#define DER_BYTES_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(enum codec c, aril_bytes in)
{
    aril_status st;
    const char *problem = codec_problem(c, in, &st);
    if (problem != NULL) {
        (void)fprintf(stderr, "%s\n", problem);
        abort();
    }
}

static void check_pem(enum codec c, const char *label, aril_bytes text)
{
    static uint8_t der[DER_BYTES_MAX];
    size_t len = 0;
    if (arili_pem_parse(text, label, der, sizeof der, &len) == ARIL_OK) {
        check(c, (aril_bytes){ der, len });
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const aril_bytes in = { data, len };
    check(CODEC_RECOVERY_KEY, in);
    check(CODEC_RECOVERY_RECIPIENT, in);
    check_pem(CODEC_RECOVERY_KEY, ARILI_RECOVERY_LABEL, in);
    check_pem(CODEC_RECOVERY_RECIPIENT, ARILI_RECIPIENT_LABEL, in);
    return 0;
}
