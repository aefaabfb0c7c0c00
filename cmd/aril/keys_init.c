/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "files.h"
#include "keys.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMAND "aril keys init"
/* What HIP-5 allows; the library has the same defaults and maxima. */
#define ROOT_DAYS_MAX   365u
#define TENANT_DAYS_MAX 365u
#define DATA_DAYS_MAX   90u
#define API_DAYS_MAX    30u
#define BUNDLE_DAYS_MAX 7u
#define LEAD_S_MAX      86400u
#define PEM_BYTES_MAX   65536u

struct wishes {
    const char *role, *profile, *recovery, *recipient, *node_name, *authority;
    bool no_recovery, overdue_refuses;
    uint64_t root_days, tenant_days, data_days, api_days, bundle_days, lead_s;
};

/* Where the recovery key is until it was printed. */
struct waiting {
    char folder[64];
    char file[96];
};

static int read_names(const struct wishes *w, aril_keyring_init_config *ret)
{
    ret->role = ARIL_KEYRING_AUTHORITY;
    if (w->role != NULL && strcmp(w->role, "node") == 0) {
        ret->role = ARIL_KEYRING_NODE;
    } else if (w->role != NULL && strcmp(w->role, "authority") != 0) {
        return failure_usage(COMMAND, "--role %s: not one of authority, node", w->role);
    }
    if (w->profile == NULL) {
        return 0;
    }
    for (aril_profile p = ARIL_PROFILE_HYBRID; p <= ARIL_PROFILE_STRICT; p++) {
        if (strcmp(w->profile, aril_profile_name(p)) == 0) {
            ret->profile = p;
            return 0;
        }
    }
    return failure_usage(COMMAND, "--profile %s: not one of hybrid, mlkem768, strict", w->profile);
}

static int check_wishes(const struct wishes *w, const aril_keyring_init_config *init, bool json)
{
    const int ways = (w->recovery != NULL) + (w->recipient != NULL) + w->no_recovery;
    if (ways != 1) {
        return failure_usage(
            COMMAND,
            "%s; choose what helps when the keystore is lost:\n"
            "  --recovery FILE            make a recovery key, to be kept offline; - prints it\n"
            "  --recovery-recipient FILE  use one that was made on an offline machine\n"
            "  --no-recovery              nothing does: the keys die with the keystore",
            ways == 0 ? "no way of recovery was chosen" : "ways of recovery exclude one another");
    }
    const bool node = init->role == ARIL_KEYRING_NODE;
    if (node && (w->node_name == NULL || w->authority == NULL)) {
        return failure_usage(COMMAND, "--role node needs %s",
                             w->node_name == NULL ? "--node-name" : "--authority");
    }
    if (!node && (w->node_name != NULL || w->authority != NULL)) {
        return failure_usage(COMMAND, "%s is for --role node",
                             w->node_name != NULL ? "--node-name" : "--authority");
    }
    if (json && w->recovery != NULL && strcmp(w->recovery, "-") == 0) {
        return failure_usage(COMMAND, "--json and --recovery - both print to standard output");
    }
    return 0;
}

/* In memory where that is possible: a disk may keep what was deleted. */
static int waiting_begin(struct waiting *w)
{
    static const char *const places[] = { "/dev/shm", "/tmp" };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(w->folder, sizeof w->folder, "%s/aril-XXXXXX", places[i]);
        if (mkdtemp(w->folder) != NULL) {
            snprintf(w->file, sizeof w->file, "%s/recovery.pem", w->folder);
            return 0;
        }
    }
    const int error = errno;
    w->folder[0] = '\0';
    return failure_errno(COMMAND, "a folder for the recovery key", error);
}

static void waiting_end(struct waiting *w)
{
    if (w->folder[0] == '\0') {
        return;
    }
    static const uint8_t zeros[4096];
    FILE *f = fopen(w->file, "r+e");
    if (f != NULL) {
        struct stat st;
        const off_t size = fstat(fileno(f), &st) == 0 ? st.st_size : 0;
        for (off_t at = 0; at < size; at += (off_t)sizeof zeros) {
            const off_t left = size - at;
            (void)fwrite(zeros, 1, left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros, f);
        }
        (void)fclose(f);
    }
    (void)unlink(w->file);
    (void)rmdir(w->folder);
    w->folder[0] = '\0';
}

/* The only copy of the key: the file goes when the key has been printed, not before. */
static int waiting_print(struct waiting *w)
{
    DEFER(file_contents_free) struct file_contents pem = { .data = NULL };
    const int rc = file_read(COMMAND, w->file, PEM_BYTES_MAX, &pem);
    if (rc == 0 && fwrite(pem.data, 1, pem.len, stdout) == pem.len && fflush(stdout) == 0) {
        return 0;
    }
    const int error = errno;
    const int code = rc != 0 ? rc : failure_errno(COMMAND, "standard output", error);
    fprintf(stderr, "  hint: the keyring was made; its recovery key is in %s: move it away\n",
            w->file);
    w->folder[0] = '\0'; /* and it stays there */
    return code;
}

static int report(const struct keys_session *s, const aril_keyring_init_config *init,
                  const struct wishes *w, bool json)
{
    const bool node = init->role == ARIL_KEYRING_NODE;
    const bool printed = w->recovery != NULL && strcmp(w->recovery, "-") == 0;
    const char *recovery = w->recovery != NULL ? w->recovery : w->recipient;
    const char *profile =
        aril_profile_name(init->profile == 0 ? ARIL_PROFILE_HYBRID : init->profile);
    if (json) {
        return keys_print_json(s->command,
                               json_pack("{s:s, s:s, s:s, s:s, s:s?}", "keyring", s->path, "role",
                                         node ? "node" : "authority", "profile", profile,
                                         "keystore", s->uri, "recovery", recovery));
    }
    FILE *to = printed ? stderr : stdout;
    fprintf(to, "made %s (%s, %s), sealed by %s\n", s->path, node ? "node" : "authority", profile,
            s->uri);
    if (w->no_recovery) {
        fprintf(to, "no recovery: when the keystore is lost, every key is lost\n");
    } else if (printed) {
        fprintf(to, "the recovery key was printed: keep it offline, on paper or a medium\n");
    } else if (w->recovery != NULL) {
        fprintf(to,
                "recovery key: %s; move it to an offline place, and test it there with\n"
                "  aril keys verify --recovery FILE --keyring COPY\n",
                w->recovery);
    }
    if (node) {
        fprintf(to, "next: 'aril keys node card', for the authority\n");
    }
    return EXIT_DONE;
}

static int make(struct keys_session *s, const struct keys_options *options, const struct wishes *w,
                aril_keyring_init_config *init)
{
    DEFER(waiting_end) struct waiting waiting = { .folder = "" };
    const bool printed = w->recovery != NULL && strcmp(w->recovery, "-") == 0;
    struct stat there;
    int rc = keys_prepare(s, options);
    if (rc == 0) {
        rc = keys_make_folder(s, options);
    }
    if (rc == 0 && lstat(s->path, &there) == 0) {
        /* Looked at here as well, so that no key file is made in vain. */
        rc = failure_explain(COMMAND, ARIL_E_EXISTS, "choose another --keyring",
                             "%.800s: exists and was left alone", s->path);
    }
    if (rc == 0 && printed) {
        rc = waiting_begin(&waiting);
    }
    if (rc == 0) {
        rc = keys_open_keystore(s, options, true);
    }
    if (rc != 0) {
        return rc;
    }
    init->recovery_path = printed ? waiting.file : w->recovery;
    init->recipient_path = w->recipient;
    init->no_recovery = w->no_recovery;
    init->node_name = w->node_name;
    init->authority_path = w->authority;
    const aril_keyring_config config = keys_config(s, options);
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_init(s->rt, &config, init, &error);
    if (st != ARIL_OK) {
        return failure_error(COMMAND, st, &error, s->path);
    }
    rc = printed ? waiting_print(&waiting) : 0;
    return rc != 0 ? rc : report(s, init, w, options->json);
}

int keys_init(int argc, char **argv)
{
    struct keys_options options = { .keyring = NULL };
    struct wishes w = { .role = NULL };
    const struct args_option own[] = {
        { "role", ARGS_TEXT, &w.role, "ROLE", "authority (default) or node", 0, 0 },
        { "profile", ARGS_TEXT, &w.profile, "NAME", "hybrid (default), mlkem768 or strict", 0, 0 },
        { "recovery", ARGS_TEXT, &w.recovery, "FILE", "write a recovery key; - prints it", 0, 0 },
        { "recovery-recipient", ARGS_TEXT, &w.recipient, "FILE",
          "use the recovery key of this recipient", 0, 0 },
        { "no-recovery", ARGS_FLAG, &w.no_recovery, NULL, "no recovery key", 0, 0 },
        { "node-name", ARGS_TEXT, &w.node_name, "NAME", "node: its name", 0, 0 },
        { "authority", ARGS_TEXT, &w.authority, "FILE", "node: public key of its authority (PEM)",
          0, 0 },
        { "root-days", ARGS_NUMBER, &w.root_days, "DAYS", "rotate root by; default and most 365", 1,
          ROOT_DAYS_MAX },
        { "tenant-days", ARGS_NUMBER, &w.tenant_days, "DAYS", "tenant keys; 365", 1,
          TENANT_DAYS_MAX },
        { "data-days", ARGS_NUMBER, &w.data_days, "DAYS", "data keys; 90", 1, DATA_DAYS_MAX },
        { "api-days", ARGS_NUMBER, &w.api_days, "DAYS", "API keys; 30", 1, API_DAYS_MAX },
        { "bundle-days", ARGS_NUMBER, &w.bundle_days, "DAYS", "a bundle is good for; 7", 1,
          BUNDLE_DAYS_MAX },
        { "lead", ARGS_NUMBER, &w.lead_s, "SECONDS", "new keys wait so long before they seal; 0", 0,
          LEAD_S_MAX },
        { "overdue-refuses", ARGS_FLAG, &w.overdue_refuses, NULL,
          "an overdue key seals nothing new", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "",
        .summary = "Make a keyring: its file, its root key, and what its role needs. One of\n"
                   "--recovery, --recovery-recipient and --no-recovery must be given. The key\n"
                   "file or token key of the keystore is made when it is not there.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
    };
    int rc = keys_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    const aril_key_policy policy = {
        .root_days = (uint32_t)w.root_days,
        .tenant_days = (uint32_t)w.tenant_days,
        .data_days = (uint32_t)w.data_days,
        .api_days = (uint32_t)w.api_days,
        .bundle_days = (uint32_t)w.bundle_days,
        .lead_s = (uint32_t)w.lead_s,
        .overdue_refuses = w.overdue_refuses,
    };
    aril_keyring_init_config init = { .policy = &policy };
    rc = read_names(&w, &init);
    if (rc == 0) {
        rc = check_wishes(&w, &init, options.json);
    }
    DEFER(keys_close) struct keys_session s = { .command = COMMAND };
    return rc != 0 ? rc : make(&s, &options, &w, &init);
}
