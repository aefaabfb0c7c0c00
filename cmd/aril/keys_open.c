/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "keys.h"
#include "out.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM_KEYRING "/var/lib/aril/keyring"
#define USER_KEYRING   "aril/keyring" /* below $XDG_DATA_HOME */
#define THREADS_MAX    15
#define PROGRESS_NS    100000000u
#define NS_PER_S       1000000000u
#define CREDENTIAL     "credential:"

void keys_shared_options(struct keys_options *options, struct args_option ret[KEYS_SHARED_OPTIONS])
{
    const struct args_option shared[KEYS_SHARED_OPTIONS] = {
        { "keyring", ARGS_TEXT, &options->keyring, "FILE", "the keyring; default $ARIL_KEYRING", 0,
          0 },
        { "keystore", ARGS_TEXT, &options->keystore, "URI",
          "what seals it; default $ARIL_KEYSTORE, or file:FILE.key", 0, 0 },
        { "timeout", ARGS_NUMBER, &options->timeout_ms, "MS",
          "wait so long for the keystore and for others", 1, KEYS_TIMEOUT_MS_MAX },
        { "json", ARGS_FLAG, &options->json, NULL, "print one JSON object", 0, 0 },
    };
    memcpy(ret, shared, sizeof shared);
}

int keys_parse(const struct args_spec *spec, struct keys_options *options, int argc, char **argv,
               const char *ret_operands[ARGS_OPERANDS_MAX], size_t *ret_count)
{
    struct args_option shared[KEYS_SHARED_OPTIONS];
    struct args_spec whole = *spec;
    keys_shared_options(options, shared);
    whole.common = shared;
    whole.common_count = KEYS_SHARED_OPTIONS - (options->without_json ? 1 : 0);
    return args_parse(&whole, argc, argv, ret_operands, ret_count);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static int too_long(const char *command, const char *what)
{
    return failure_usage(command, "%s: longer than %d bytes", what, PATH_MAX - 1);
}

/* Where the keyring is when neither an option nor a variable says so. */
static int default_path(const char *command, char ret[PATH_MAX])
{
    const char *data = variable("XDG_DATA_HOME");
    const char *home = variable("HOME");
    int len = 0;
    if (geteuid() == 0) {
        len = snprintf(ret, PATH_MAX, "%s", SYSTEM_KEYRING);
    } else if (data != NULL && data[0] == '/') {
        len = snprintf(ret, PATH_MAX, "%s/%s", data, USER_KEYRING);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(ret, PATH_MAX, "%s/.local/share/%s", home, USER_KEYRING);
    } else {
        return failure_usage(command, "which keyring? Give --keyring FILE or set ARIL_KEYRING");
    }
    return len < PATH_MAX ? 0 : too_long(command, "the keyring");
}

static bool has_default_path(const struct keys_options *options)
{
    return options->keyring == NULL && variable("ARIL_KEYRING") == NULL;
}

static int find_path(struct keys_session *s, const struct keys_options *options)
{
    if (has_default_path(options)) {
        return default_path(s->command, s->path);
    }
    const char *path = options->keyring != NULL ? options->keyring : variable("ARIL_KEYRING");
    if (path[0] == '\0') {
        return failure_usage(s->command, "--keyring: an empty name");
    }
    const int len = snprintf(s->path, sizeof s->path, "%s", path);
    return len < (int)sizeof s->path ? 0 : too_long(s->command, "--keyring");
}

/* credential:NAME, as systemd hands it to a service. */
static int find_credential(struct keys_session *s, const char *name)
{
    const char *folder = variable("CREDENTIALS_DIRECTORY");
    if (folder == NULL) {
        return failure_explain(s->command, ARIL_E_NOT_FOUND,
                               "start it from a systemd unit with LoadCredential= or "
                               "LoadCredentialEncrypted=, or give the whole path",
                               "credential:%.200s: CREDENTIALS_DIRECTORY is not set", name);
    }
    const int len = snprintf(s->uri, sizeof s->uri, CREDENTIAL "%s/%s", folder, name);
    return len < (int)sizeof s->uri ? 0 : too_long(s->command, "--keystore");
}

static int find_uri(struct keys_session *s, const struct keys_options *options)
{
    const char *uri = options->keystore != NULL ? options->keystore : variable("ARIL_KEYSTORE");
    int len = 0;
    if (uri == NULL) {
        len = snprintf(s->uri, sizeof s->uri, "file:%s.key", s->path);
    } else if (strncmp(uri, CREDENTIAL, strlen(CREDENTIAL)) == 0 && strchr(uri, '/') == NULL &&
               uri[strlen(CREDENTIAL)] != '\0') {
        return find_credential(s, uri + strlen(CREDENTIAL));
    } else {
        len = snprintf(s->uri, sizeof s->uri, "%s", uri);
    }
    return len < (int)sizeof s->uri ? 0 : too_long(s->command, "--keystore");
}

int keys_prepare(struct keys_session *s, const struct keys_options *options)
{
    if (s->rt != NULL) {
        return 0; /* done before */
    }
    const int rc = find_path(s, options);
    if (rc != 0) {
        return rc;
    }
    aril_error why = { .message = "the library cannot start" };
    const aril_runtime_config config = { .error = &why };
    const aril_status st = aril_runtime_new(&config, &s->rt);
    return st == ARIL_OK ? 0 : failure_report(s->command, st, "%s", why.message);
}

int keys_open_keystore(struct keys_session *s, const struct keys_options *options, bool create)
{
    int rc = keys_prepare(s, options);
    if (rc == 0) {
        rc = find_uri(s, options);
    }
    if (rc != 0) {
        return rc;
    }
    /* tpm2-tss logs to standard error by itself; failures are told by the library. */
    if (strncmp(s->uri, "tpm2:", 5) == 0 && setenv("TSS2_LOG", "all+NONE", 0) != 0) {
        return failure_errno(s->command, "TSS2_LOG", errno);
    }
    const aril_keystore_config config = {
        .uri = s->uri,
        .ask = keys_ask,
        .deadline_ms = (uint32_t)options->timeout_ms,
        .create = create,
    };
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keystore_open(s->rt, &config, &s->keystore, &error);
    if (st == ARIL_E_USAGE_RANGE && error.message[0] != '\0') {
        return failure_usage(s->command, "--keystore: %s", error.message); /* the URI is wrong */
    }
    return st == ARIL_OK ? 0 : failure_error(s->command, st, &error, s->uri);
}

static uint64_t monotonic_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int show_progress(void *user, uint64_t done, uint64_t total)
{
    struct keys_session *s = user;
    const uint64_t now = monotonic_ns();
    if (now - s->shown_ns >= PROGRESS_NS) {
        s->shown_ns = now;
        out_progress("%s: %llu of %llu keys", s->work, (unsigned long long)done,
                     (unsigned long long)total);
    }
    return keys_stopped != 0;
}

aril_keyring_config keys_config(struct keys_session *s, const struct keys_options *options)
{
    if (s->work != NULL && s->pool == NULL) {
        const long processors = sysconf(_SC_NPROCESSORS_ONLN);
        const long threads = processors - 1 < THREADS_MAX ? processors - 1 : THREADS_MAX;
        keys_catch_stop();
        /* Without threads it takes longer, nothing else. */
        if (threads < 1 || aril_pool_new((size_t)threads, &s->pool) != ARIL_OK) {
            s->pool = NULL;
        }
    }
    return (aril_keyring_config){
        .path = s->path,
        .keystore = s->keystore,
        .executor = s->pool == NULL ? NULL : aril_pool_executor(s->pool),
        .progress = s->work == NULL ? NULL : show_progress,
        .user = s,
        .busy_ms = (uint32_t)options->timeout_ms,
    };
}

int keys_open(struct keys_session *s, const struct keys_options *options)
{
    const int rc = keys_open_keystore(s, options, false);
    if (rc != 0) {
        return rc;
    }
    const aril_keyring_config config = keys_config(s, options);
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_open(s->rt, &config, &s->keyring, &error);
    return st == ARIL_OK ? 0 : failure_error(s->command, st, &error, s->path);
}

void keys_close(struct keys_session *s)
{
    out_progress_end();
    aril_keyring_close(s->keyring);
    aril_keystore_close(s->keystore);
    aril_pool_free(s->pool);
    aril_runtime_free(s->rt);
    s->keyring = NULL;
    s->keystore = NULL;
    s->pool = NULL;
    s->rt = NULL;
}

int keys_make_folder(const struct keys_session *s, const struct keys_options *options)
{
    char folder[PATH_MAX];
    if (!has_default_path(options)) {
        return 0;
    }
    snprintf(folder, sizeof folder, "%s", s->path);
    for (char *at = folder + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        if (mkdir(folder, S_IRWXU) != 0 && errno != EEXIST) {
            return failure_errno(s->command, folder, errno);
        }
        *at = '/';
    }
    return 0;
}
