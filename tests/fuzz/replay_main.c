/* SPDX-License-Identifier: Apache-2.0 */
/* Gives each file named on the command line to a fuzz target, once. So the corpus is
 * part of every test run, also with compilers that have no fuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX ((size_t)1 << 20)
#define EXIT_SKIPPED    77

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* In a block of exactly its size, so that a sanitizer sees one byte too far. */
static int run_exact(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    if (exact == NULL) {
        return 1;
    }
    if (len > 0) {
        memcpy(exact, data, len);
    }
    (void)LLVMFuzzerTestOneInput(exact, len); /* fails by abort() */
    free(exact);
    return 0;
}

static int replay(const char *path, uint8_t *buffer)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    const size_t len = fread(buffer, 1, INPUT_BYTES_MAX, file);
    const int whole = ferror(file) == 0 && fgetc(file) == EOF;
    (void)fclose(file); /* it was only read */
    if (!whole) {
        (void)fprintf(stderr, "%s: cannot be read, or is longer than %zu bytes\n", path,
                      INPUT_BYTES_MAX);
        return 1;
    }
    return run_exact(buffer, len);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)puts("skipped: there is no corpus");
        return EXIT_SKIPPED;
    }
    uint8_t *buffer = malloc(INPUT_BYTES_MAX);
    int failed = buffer == NULL;
    for (int i = 1; i < argc && !failed; i++) {
        failed = replay(argv[i], buffer);
    }
    free(buffer);
    (void)printf("%d inputs\n", argc - 1);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
