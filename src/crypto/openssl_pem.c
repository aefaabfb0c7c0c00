/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include "crypto/openssl_internal.h"
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)8 << 20) /* the system's list of CAs has 220 KiB */

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

static void x509_freep(X509 **x)
{
    X509_free(*x);
}

static void certs_freep(STACK_OF(X509) * *certs)
{
    OSSL_STACK_OF_X509_free(*certs);
}

/* Mounted secrets and the lists of some distributions are symbolic links, which
 * arili_file_read() does not follow. */
static aril_status read_linked(const char *path, unsigned checks, struct arili_file *ret,
                               aril_error *error)
{
    char target[PATH_MAX];
    if (realpath(path, target) == NULL) {
        const int reason = errno;
        const bool missing = reason == ENOENT || reason == ENOTDIR;
        return arili_error_set(error, missing ? ARIL_E_NOT_FOUND : ARIL_E_IO,
                               "%s cannot be read: %s", path, strerror(reason));
    }
    return arili_file_read(target, FILE_BYTES_MAX, checks, ret, error);
}

static BIO *bio_over(const struct arili_file *file)
{
    return BIO_new_mem_buf(file->data, (int)file->len); /* FILE_BYTES_MAX fits an int */
}

/* One certificate. *ret_end when there are no more. */
static aril_status read_cert(struct arili_provider *p, BIO *bio, X509 **ret, bool *ret_end)
{
    ARILI_DEFER(x509_freep) X509 *x = X509_new_ex(p->lib, p->properties);
    ARILI_TRY(ARILI_OSSL(x != NULL, ARIL_E_NOMEM));
    if (PEM_read_bio_X509(bio, &x, NULL, NULL) == NULL) {
        *ret_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        const aril_status st = arili_openssl_fail(ARIL_E_FORMAT);
        return *ret_end ? ARIL_OK : st;
    }
    *ret = ARILI_TAKE(x);
    return ARIL_OK;
}

static aril_status parse_certs(struct arili_provider *p, const struct arili_file *file,
                               STACK_OF(X509) * *ret)
{
    ARILI_DEFER(bio_freep) BIO *bio = bio_over(file);
    ARILI_TRY(ARILI_OSSL(bio != NULL, ARIL_E_NOMEM));
    ARILI_DEFER(certs_freep) STACK_OF(X509) *certs = sk_X509_new_null();
    ARILI_TRY(ARILI_OSSL(certs != NULL, ARIL_E_NOMEM));
    for (bool end = false; !end;) {
        ARILI_DEFER(x509_freep) X509 *x = NULL;
        ARILI_TRY(read_cert(p, bio, &x, &end));
        if (!end) {
            ARILI_TRY(ARILI_OSSL(sk_X509_push(certs, x), ARIL_E_NOMEM));
            x = NULL; /* the stack owns it */
        }
    }
    ARILI_ENSURE(sk_X509_num(certs) > 0, ARIL_E_FORMAT);
    *ret = ARILI_TAKE(certs);
    return ARIL_OK;
}

aril_status arili_openssl_read_certs(struct arili_provider *p, const char *path, unsigned checks,
                                     STACK_OF(X509) * *ret, aril_error *error)
{
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(read_linked(path, checks, &file, error));
    const aril_status st = parse_certs(p, &file, ret);
    if (st == ARIL_E_FORMAT) {
        return arili_error_set(error, st,
                               "%s holds no PEM certificate, or one that cannot be read: look at "
                               "it with 'openssl x509 -text -in FILE'",
                               path);
    }
    return st;
}

/* OpenSSL would ask the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *user)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)user;
    return -1;
}

aril_status arili_openssl_read_key(struct arili_provider *p, const char *path, EVP_PKEY **ret,
                                   aril_error *error)
{
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(read_linked(path,
                          ARILI_FILE_SECRET | ARILI_FILE_ROOT_MAY_OWN | ARILI_FILE_ROOT_MAY_SHARE,
                          &file, error));
    ARILI_DEFER(bio_freep) BIO *bio = bio_over(&file);
    ARILI_TRY(ARILI_OSSL(bio != NULL, ARIL_E_NOMEM));
    EVP_PKEY *const key =
        PEM_read_bio_PrivateKey_ex(bio, NULL, no_passphrase, NULL, p->lib, p->properties);
    if (key == NULL) {
        return arili_error_set(error, arili_openssl_fail(ARIL_E_FORMAT),
                               "%s holds no PEM private key that can be read: it must be one of "
                               "OpenSSL's, without a passphrase",
                               path);
    }
    *ret = key;
    return ARIL_OK;
}
