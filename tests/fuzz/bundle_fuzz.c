/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_bundle_parse and its writers. Corpus: corpus/bundle/, one bundle a file.
 * Properties: those of codec_problem(). */
#include "codecs.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    aril_status st;
    const char *problem = codec_problem(CODEC_BUNDLE, (aril_bytes){ data, len }, &st);
    if (problem != NULL) {
        (void)fprintf(stderr, "%s\n", problem);
        abort();
    }
    return 0;
}
