/* SPDX-License-Identifier: Apache-2.0 */
#include "redis_certs.h"
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAY_S 86400L

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static void identity_done(struct identity *i)
{
    EVP_PKEY_free(i->key);
    X509_free(i->cert);
    *i = (struct identity){ NULL, NULL };
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    const bool done = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return done;
}

static bool add_extensions(X509 *cert, X509 *issuer)
{
    if (cert == issuer) {
        return add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
               add_extension(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
               add_extension(cert, issuer, NID_subject_key_identifier, "hash");
    }
    return add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature") &&
           add_extension(cert, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(cert, issuer, NID_authority_key_identifier, "keyid") &&
           add_extension(cert, issuer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1");
}

/* authority NULL: its own. */
static bool make(const char *name, long serial, const struct identity *authority,
                 struct identity *ret)
{
    ret->key = EVP_EC_gen("P-256");
    ret->cert = X509_new();
    if (ret->key == NULL || ret->cert == NULL) {
        return false;
    }
    const struct identity *const by = authority != NULL ? authority : ret;
    X509_NAME *subject = X509_get_subject_name(ret->cert);
    return X509_set_version(ret->cert, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(ret->cert), serial) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(ret->cert), -DAY_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(ret->cert), 7 * DAY_S) != NULL &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(ret->cert, X509_get_subject_name(by->cert)) == 1 &&
           X509_set_pubkey(ret->cert, ret->key) == 1 && add_extensions(ret->cert, by->cert) &&
           X509_sign(ret->cert, by->key, EVP_sha256()) > 0;
}

static FILE *create(const char *folder, const char *name, const char *suffix)
{
    char path[256];
    const int len = snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
    if (len <= 0 || (size_t)len >= sizeof path) {
        return NULL;
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (fd >= 0 && file == NULL) {
        (void)close(fd);
    }
    return file;
}

static bool write_cert(const char *folder, const char *name, X509 *cert)
{
    FILE *file = create(folder, name, ".pem");
    const bool put = file != NULL && PEM_write_X509(file, cert) == 1;
    return file != NULL && fclose(file) == 0 && put;
}

static bool write_key(const char *folder, const char *name, EVP_PKEY *key)
{
    FILE *file = create(folder, name, ".key");
    const bool put = file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    return file != NULL && fclose(file) == 0 && put;
}

bool redis_certs_make(const char *folder)
{
    struct identity ca = { NULL, NULL };
    struct identity other = { NULL, NULL };
    struct identity server = { NULL, NULL };
    struct identity client = { NULL, NULL };
    const bool done =
        make("aril test authority", 1, NULL, &ca) && make("another authority", 1, NULL, &other) &&
        make("localhost", 2, &ca, &server) && make("client", 3, &ca, &client) &&
        write_cert(folder, "ca", ca.cert) && write_cert(folder, "other", other.cert) &&
        write_cert(folder, "server", server.cert) && write_key(folder, "server", server.key) &&
        write_cert(folder, "client", client.cert) && write_key(folder, "client", client.key);
    identity_done(&ca);
    identity_done(&other);
    identity_done(&server);
    identity_done(&client);
    return done;
}
