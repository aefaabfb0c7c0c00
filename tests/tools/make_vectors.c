/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the format's own test vectors, docs/FORMAT.md section 8.
 *
 *     make_vectors FOLDER      usually tests/data/vectors
 */
#include "maker.h"
#include <stdio.h>
#include <stdlib.h>

static void write_file(const char *folder, const char *name, json_t *root)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (f == NULL || json_dumpf(root, f, JSON_INDENT(1)) != 0 || fputc('\n', f) == EOF ||
        fclose(f) != 0) {
        fprintf(stderr, "make_vectors: cannot write %s\n", path);
        exit(1);
    }
    json_decref(root);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_vectors FOLDER\n");
        return 2;
    }
    write_file(argv[1], "keys.json", maker_keys());
    write_file(argv[1], "records.json", maker_records());
    write_file(argv[1], "handshake.json", maker_handshake());
    aril_runtime_free(maker_runtime());
    return 0;
}
