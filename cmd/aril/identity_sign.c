/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "command.h"
#include "defer.h"
#include "failure.h"
#include "files.h"
#include "identity_key.h"
#include <stdio.h>
#include <string.h>

/* What a signature of this command is about, so that it counts nowhere else. */
#define DEFAULT_CONTEXT "aril file signature v1"

static int check_context(const char *command, const char *context)
{
    if (strlen(context) <= ARIL_SIGN_CONTEXT_BYTES_MAX) {
        return 0;
    }
    return failure_usage(command, "--context is longer than %u bytes", ARIL_SIGN_CONTEXT_BYTES_MAX);
}

static aril_bytes text_bytes(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static int sign_file(const char *command, const char *key_path, const char *context,
                     const char *in_path, const char *out_path, bool force)
{
    DEFER(runtime_freep) aril_runtime *rt = NULL;
    DEFER(identity_freep) aril_identity *identity = NULL;
    DEFER(file_contents_free) struct file_contents message = { .data = NULL };
    aril_error error = { .status = ARIL_OK };
    aril_status st = aril_runtime_new(NULL, &rt);
    if (st != ARIL_OK) {
        return failure_report(command, st, "the library cannot start");
    }
    st = aril_identity_load(rt, key_path, &identity, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, key_path);
    }
    const int rc = file_read(command, in_path, FILES_BYTES_MAX, &message);
    if (rc != 0) {
        return rc;
    }
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = 0;
    st = aril_identity_sign(identity, text_bytes(context), file_bytes(&message), sig, sizeof sig,
                            &len);
    if (st != ARIL_OK) {
        return failure_report(command, st, "signing %s", in_path);
    }
    return file_write(command, out_path, (aril_bytes){ sig, len }, force);
}

int command_identity_sign(int argc, char **argv)
{
    static const char command[] = "aril identity sign";
    const char *context = DEFAULT_CONTEXT;
    const char *in = NULL;
    const char *out = NULL;
    bool force = false;
    const struct args_option options[] = {
        { "in", ARGS_TEXT, &in, "FILE", "what to sign, up to 1 GiB; - is standard input", 0, 0 },
        { "out", ARGS_TEXT, &out, "FILE", "where the signature goes; - is standard output", 0, 0 },
        { "context", ARGS_TEXT, &context, "LABEL",
          "what kind of statement it is (see aril-identity(1))", 0, 0 },
        { "force", ARGS_FLAG, &force, NULL, "replace the file of --out", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "KEYFILE",
        .summary = "Sign a file with the key in KEYFILE (ML-DSA, pure, hedged). The signature is\n"
                   "the bare bytes of FIPS 204. The default label is \"" DEFAULT_CONTEXT "\".",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = args_parse(&spec, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (in == NULL || out == NULL) {
        return failure_usage(command, "missing option: %s", in == NULL ? "--in" : "--out");
    }
    rc = check_context(command, context);
    return rc != 0 ? rc : sign_file(command, operands[0], context, in, out, force);
}

struct verification {
    const char *key, *did, *context, *in, *sig, *trust;
};

/* Whether the key is the one that was asked for, and its holder is trusted. Only then does
 * a signature mean anything. */
static int check_signer(const char *command, aril_runtime *rt, const struct verification *v,
                        const struct identity_key *key, char *ret_name, size_t name_cap)
{
    if (v->did != NULL) {
        const aril_status st = aril_did_check(rt, v->did, key->alg, identity_key_bytes(key));
        if (st != ARIL_OK) {
            return failure_report(command, st, "%s and --did %s", v->key, v->did);
        }
    }
    if (v->trust == NULL) {
        return 0;
    }
    DEFER(trust_freep) aril_trust *trust = NULL;
    aril_error error = { .status = ARIL_OK };
    aril_status st = aril_trust_new(rt, &trust);
    if (st == ARIL_OK) {
        st = aril_trust_load(trust, v->trust, &error);
    }
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, v->trust);
    }
    const char *name = NULL;
    st = aril_trust_check(trust, key->alg, identity_key_bytes(key), &name);
    if (st != ARIL_OK) {
        return failure_report(command, st, "%s and the list %s", v->key, v->trust);
    }
    snprintf(ret_name, name_cap, "%s", name);
    return 0;
}

static int verify_file(const char *command, const struct verification *v)
{
    DEFER(runtime_freep) aril_runtime *rt = NULL;
    DEFER(file_contents_free) struct file_contents message = { .data = NULL };
    DEFER(file_contents_free) struct file_contents sig = { .data = NULL };
    struct identity_key key = { .len = 0 };
    char name[ARIL_TRUST_NAME_BYTES_MAX + 1] = "";
    char did[ARIL_DID_BYTES_MAX];
    aril_status st = aril_runtime_new(NULL, &rt);
    if (st != ARIL_OK) {
        return failure_report(command, st, "the library cannot start");
    }
    int rc = identity_key_load(command, rt, v->key, &key);
    if (rc == 0) {
        rc = check_signer(command, rt, v, &key, name, sizeof name);
    }
    if (rc == 0) {
        rc = file_read(command, v->sig, ARIL_SIGN_SIGNATURE_BYTES_MAX, &sig);
    }
    if (rc == 0) {
        rc = file_read(command, v->in, FILES_BYTES_MAX, &message);
    }
    if (rc == 0) {
        rc = identity_key_did(command, rt, &key, ARIL_DID_PQAID, did);
    }
    if (rc != 0) {
        return rc;
    }
    st = aril_signature_verify(rt, key.alg, identity_key_bytes(&key), text_bytes(v->context),
                               file_bytes(&message), file_bytes(&sig));
    if (st == ARIL_E_AUTH) {
        return failure_explain(command, st,
                               "check file, key and --context; if they are right, do not use it",
                               "%s: the signature %s does not fit", v->in, v->sig);
    }
    if (st != ARIL_OK) {
        return failure_report(command, st, "checking %s", v->in);
    }
    printf("good signature by %s%s%s%s\n", did, name[0] == '\0' ? "" : " (", name,
           name[0] == '\0' ? "" : ")");
    return EXIT_DONE;
}

int command_identity_verify(int argc, char **argv)
{
    static const char command[] = "aril identity verify";
    struct verification v = { .context = DEFAULT_CONTEXT };
    const struct args_option options[] = {
        { "key", ARGS_TEXT, &v.key, "FILE", "the signer's public key (PEM)", 0, 0 },
        { "did", ARGS_TEXT, &v.did, "DID", "and the DID that it must have", 0, 0 },
        { "trust", ARGS_TEXT, &v.trust, "LIST", "and a trust list that must name it", 0, 0 },
        { "in", ARGS_TEXT, &v.in, "FILE", "what was signed; - is standard input", 0, 0 },
        { "sig", ARGS_TEXT, &v.sig, "FILE", "the signature", 0, 0 },
        { "context", ARGS_TEXT, &v.context, "LABEL", "the label that it was signed under", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "Check the signature of a file. A DID proves nothing alone, so the key comes\n"
                   "from --key; --did and --trust say whose key it has to be.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    int rc = args_parse(&spec, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (v.key == NULL || v.in == NULL || v.sig == NULL) {
        return failure_usage(command, "missing option: %s",
                             v.key == NULL  ? "--key"
                             : v.in == NULL ? "--in"
                                            : "--sig");
    }
    if (strcmp(v.in, "-") == 0 && strcmp(v.sig, "-") == 0) {
        return failure_usage(command, "--in and --sig cannot both be standard input");
    }
    rc = check_context(command, v.context);
    return rc != 0 ? rc : verify_file(command, &v);
}
