/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "fetch.h"
#include "files.h"
#include "keys.h"
#include <inttypes.h>
#include <string.h>

#define COMMAND     "aril keys bundle pull"
#define WATCH_S_MAX 3600u

struct pull {
    struct keys_session session;
    struct fetch fetch;
    const char *receipt;
    bool receipt_due; /* a bundle was taken, and its receipt is not written yet */
    bool json;
    bool watching;
};

static aril_status write_receipt(struct pull *p, aril_error *error)
{
    char pem[ARIL_RECEIPT_BYTES_MAX];
    size_t len = 0;
    const aril_status st = aril_keyring_receipt(p->session.keyring, pem, sizeof pem, &len, error);
    if (st != ARIL_OK) {
        return st;
    }
    const int failed = file_store(p->receipt, (aril_bytes){ (const uint8_t *)pem, len }, true);
    if (failed != 0) {
        error->status = ARIL_E_IO;
        snprintf(error->message, sizeof error->message, "%.200s: %s", p->receipt, strerror(failed));
        return ARIL_E_IO;
    }
    p->receipt_due = false;
    return ARIL_OK;
}

/* Fetch, take over, write the receipt. What failed is tried again by the next call. */
static aril_status pull_once(struct pull *p, bool *ret_changed, aril_error *error)
{
    DEFER(file_contents_free) struct file_contents bundle = { .data = NULL };
    bool same = false;
    int changed = 0;
    aril_status st = fetch(&p->fetch, &bundle, &same, error);
    if (st == ARIL_OK && !same) {
        st = aril_keyring_bundle_apply(p->session.keyring, file_bytes(&bundle), &changed, error);
        if (st == ARIL_OK) {
            fetch_accept(&p->fetch);
            p->receipt_due = p->receipt != NULL;
        }
    }
    *ret_changed = changed != 0;
    if (st == ARIL_OK && p->receipt_due) {
        st = write_receipt(p, error);
    }
    return st;
}

static int report(struct pull *p, bool changed)
{
    aril_keyring_info info;
    aril_error error = { .status = ARIL_OK };
    char date[KEYS_DATE_TEXT];
    const aril_status st = aril_keyring_get_info(p->session.keyring, &info, &error);
    if (st != ARIL_OK) {
        return failure_error(COMMAND, st, &error, p->session.path);
    }
    if (p->json) {
        DEFER(json_freep)
        json_t *line = json_pack("{s:I, s:b, s:I}", "version", (json_int_t)info.bundle_version,
                                 "changed", changed, "time_s", (json_int_t)keys_now_s());
        json_dumpf(line, stdout, JSON_COMPACT); /* a line each, for --watch */
        printf("\n");
    } else if (p->watching) {
        printf("%s took bundle version %" PRIu64 "\n", keys_date(keys_now_s(), date),
               info.bundle_version);
    } else {
        printf("bundle version %" PRIu64 " %s\n", info.bundle_version,
               changed ? "was taken" : "is here already");
    }
    fflush(stdout);
    return EXIT_DONE;
}

static int pull_and_report(struct pull *p)
{
    bool changed = false;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = pull_once(p, &changed, &error);
    return st == ARIL_OK ? report(p, changed) : failure_error(COMMAND, st, &error, p->fetch.source);
}

/* Until a signal. A failure is told when it is another than the one before. */
static int watch(struct pull *p, uint64_t seconds)
{
    aril_error last = { .status = ARIL_OK };
    keys_catch_stop();
    while (keys_stopped == 0) {
        bool changed = false;
        aril_error error = { .status = ARIL_OK };
        const aril_status st = pull_once(p, &changed, &error);
        if (changed) {
            (void)report(p, changed);
        }
        const bool news = st != last.status || strcmp(error.message, last.message) != 0;
        if (keys_stopped == 0 && st != ARIL_OK && news) {
            (void)failure_error(COMMAND, st, &error, p->fetch.source);
        } else if (st == ARIL_OK && last.status != ARIL_OK) {
            fprintf(stderr, "%s: it works again\n", COMMAND);
        }
        last = (aril_error){ .status = st };
        if (st != ARIL_OK) {
            memcpy(last.message, error.message, sizeof last.message);
        }
        keys_wait(seconds * 1000);
    }
    return EXIT_DONE;
}

int keys_bundle_pull(int argc, char **argv)
{
    struct keys_options options = { .keyring = NULL };
    struct pull p = { .session = { .command = COMMAND },
                      .fetch = { .bytes_max = ARIL_BUNDLE_BYTES_MAX, .stop = &keys_stopped } };
    uint64_t seconds = 0;
    const struct args_option own[] = {
        { "watch", ARGS_NUMBER, &seconds, "SECONDS", "pull again and again, until a signal", 1,
          WATCH_S_MAX },
        { "receipt", ARGS_TEXT, &p.receipt, "FILE", "write the receipt there", 0, 0 },
        { "ca", ARGS_TEXT, &p.fetch.ca, "FILE", "https: trust these certificates (PEM)", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "URL|FILE",
        .summary = "Take a bundle over, from a file, file://, http:// or https://; - is standard\n"
                   "input. It counts only when the authority of this node has signed it and it\n"
                   "is not older than the one before.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    int rc = keys_parse(&spec, &options, argc, argv, operands, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    p.fetch.source = operands[0];
    p.fetch.timeout_ms = (uint32_t)options.timeout_ms;
    p.json = options.json;
    p.watching = seconds > 0;
    if (p.watching && strcmp(operands[0], "-") == 0) {
        return failure_usage(COMMAND, "--watch cannot read standard input again and again");
    }
    rc = fetch_check(COMMAND, operands[0]);
    if (rc == 0) {
        rc = keys_open(&p.session, &options);
    }
    if (rc == 0) {
        rc = p.watching ? watch(&p, seconds) : pull_and_report(&p);
    }
    keys_close(&p.session);
    return rc;
}
