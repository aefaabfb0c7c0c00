/* SPDX-License-Identifier: Apache-2.0 */
#include "identity_key.h"
#include "args.h"
#include "command.h"
#include "defer.h"
#include "failure.h"
#include "files.h"
#include "subcommand.h"
#include <stdio.h>
#include <string.h>

const char *identity_alg_name(aril_sign_alg alg)
{
    return alg == ARIL_ML_DSA_87 ? "ml-dsa-87" : "ml-dsa-65";
}

int identity_key_load(const char *command, aril_runtime *rt, const char *path,
                      struct identity_key *ret)
{
    aril_error error = { .status = ARIL_OK };
    if (!file_begins(path, "-----BEGIN PRIVATE KEY-----")) {
        const aril_status st = aril_public_key_load(rt, path, &ret->alg, ret->bytes,
                                                    sizeof ret->bytes, &ret->len, &error);
        return st == ARIL_OK ? 0 : failure_error(command, st, &error, path);
    }
    DEFER(identity_freep) aril_identity *identity = NULL;
    const aril_status st = aril_identity_load(rt, path, &identity, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, path);
    }
    const aril_bytes key = aril_identity_public(identity);
    memcpy(ret->bytes, key.data, key.len);
    ret->len = key.len;
    ret->alg = aril_identity_alg(identity);
    return 0;
}

int identity_key_did(const char *command, aril_runtime *rt, const struct identity_key *key,
                     aril_did_method method, char ret_did[ARIL_DID_BYTES_MAX])
{
    size_t len = 0;
    const aril_status st = aril_did_write(rt, method, key->alg, identity_key_bytes(key), ret_did,
                                          ARIL_DID_BYTES_MAX, &len);
    return st == ARIL_OK ? 0 : failure_report(command, st, "the DID");
}

static int identity_new(int argc, char **argv)
{
    static const char command[] = "aril identity new";
    const char *alg_name = "ml-dsa-65";
    const struct args_option options[] = {
        { "alg", ARGS_TEXT, &alg_name, "ALG", "ml-dsa-65 (default) or ml-dsa-87", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "FILE",
        .summary = "Make a signing key and write it to FILE, readable by its owner alone. A file\n"
                   "that exists is left alone. Prints the DID of the key.",
        .options = options,
        .option_count = 1,
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    const int rc = args_parse(&spec, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    const bool is_87 = strcmp(alg_name, "ml-dsa-87") == 0;
    if (!is_87 && strcmp(alg_name, "ml-dsa-65") != 0) {
        return failure_usage(command, "--alg %s: not one of ml-dsa-65, ml-dsa-87", alg_name);
    }
    DEFER(runtime_freep) aril_runtime *rt = NULL;
    DEFER(identity_freep) aril_identity *identity = NULL;
    aril_status st = aril_runtime_new(NULL, &rt);
    if (st == ARIL_OK) {
        st = aril_identity_generate(rt, is_87 ? ARIL_ML_DSA_87 : ARIL_ML_DSA_65, &identity);
    }
    if (st != ARIL_OK) {
        return failure_report(command, st, "making a key");
    }
    aril_error error = { .status = ARIL_OK };
    st = aril_identity_save(identity, operands[0], &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, operands[0]);
    }
    char did[ARIL_DID_BYTES_MAX];
    size_t len = 0;
    st = aril_did_write(rt, ARIL_DID_PQAID, aril_identity_alg(identity),
                        aril_identity_public(identity), did, sizeof did, &len);
    if (st != ARIL_OK) {
        return failure_report(command, st, "the DID of %s", operands[0]);
    }
    printf("%s\n", did);
    return EXIT_DONE;
}

static int show_all(const char *command, aril_runtime *rt, const struct identity_key *key,
                    bool as_json)
{
    char pqaid[ARIL_DID_BYTES_MAX];
    char did_key[ARIL_DID_BYTES_MAX];
    char pem[ARIL_PUBLIC_PEM_BYTES_MAX];
    size_t len = 0;
    int rc = identity_key_did(command, rt, key, ARIL_DID_PQAID, pqaid);
    if (rc == 0) {
        rc = identity_key_did(command, rt, key, ARIL_DID_KEY, did_key);
    }
    if (rc != 0) {
        return rc;
    }
    const aril_status st =
        aril_identity_public_pem(rt, key->alg, identity_key_bytes(key), pem, sizeof pem, &len);
    if (st != ARIL_OK) {
        return failure_report(command, st, "the public key");
    }
    if (as_json) {
        DEFER(json_freep)
        json_t *all = json_pack("{s:s, s:s, s:s, s:s}", "algorithm", identity_alg_name(key->alg),
                                "did_pqaid", pqaid, "did_key", did_key, "public_pem", pem);
        json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        printf("algorithm  %s\ndid:pqaid  %s\ndid:key    %.48s... (%zu characters; --did key)\n",
               identity_alg_name(key->alg), pqaid, did_key, strlen(did_key));
    }
    return EXIT_DONE;
}

static int show_did(const char *command, aril_runtime *rt, const struct identity_key *key,
                    const char *method)
{
    const bool is_key = strcmp(method, "key") == 0;
    if (!is_key && strcmp(method, "pqaid") != 0) {
        return failure_usage(command, "--did %s: not one of key, pqaid", method);
    }
    char did[ARIL_DID_BYTES_MAX];
    const int rc = identity_key_did(command, rt, key, is_key ? ARIL_DID_KEY : ARIL_DID_PQAID, did);
    if (rc == 0) {
        printf("%s\n", did);
    }
    return rc;
}

static int show_pem(const char *command, aril_runtime *rt, const struct identity_key *key)
{
    char pem[ARIL_PUBLIC_PEM_BYTES_MAX];
    size_t len = 0;
    const aril_status st =
        aril_identity_public_pem(rt, key->alg, identity_key_bytes(key), pem, sizeof pem, &len);
    if (st != ARIL_OK) {
        return failure_report(command, st, "the public key");
    }
    printf("%s", pem);
    return EXIT_DONE;
}

static int identity_show(int argc, char **argv)
{
    static const char command[] = "aril identity show";
    bool json = false;
    bool pem = false;
    const char *did = NULL;
    const struct args_option options[] = {
        { "json", ARGS_FLAG, &json, NULL, "print one JSON object", 0, 0 },
        { "pem", ARGS_FLAG, &pem, NULL, "print the public key as PEM", 0, 0 },
        { "did", ARGS_TEXT, &did, "METHOD", "print the DID alone: key or pqaid", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "FILE",
        .summary = "Show the public side of a key. FILE is a private key file or a PEM public key.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    const int rc = args_parse(&spec, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (json + pem + (did != NULL) > 1) {
        return failure_usage(command, "--json, --pem and --did exclude one another");
    }
    DEFER(runtime_freep) aril_runtime *rt = NULL;
    const aril_status st = aril_runtime_new(NULL, &rt);
    if (st != ARIL_OK) {
        return failure_report(command, st, "the library cannot start");
    }
    struct identity_key key = { .len = 0 };
    const int failed = identity_key_load(command, rt, operands[0], &key);
    if (failed != 0) {
        return failed;
    }
    if (did != NULL) {
        return show_did(command, rt, &key, did);
    }
    return pem ? show_pem(command, rt, &key) : show_all(command, rt, &key, json);
}

static const struct subcommand subcommands[] = {
    { "new", "make a key file", identity_new },
    { "show", "print the public key and its DIDs", identity_show },
    { "sign", "sign a file", command_identity_sign },
    { "verify", "check the signature of a file", command_identity_verify },
};

int command_identity(int argc, char **argv)
{
    static const struct subcommand_family family = {
        .command = "aril identity",
        .summary = "Signing keys: ML-DSA (FIPS 204), with DIDs as names.",
        .list = subcommands,
        .count = sizeof subcommands / sizeof subcommands[0],
    };
    return subcommand_run(&family, argc, argv);
}
