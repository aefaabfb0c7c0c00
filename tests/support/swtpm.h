/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_SWTPM_H
#define ARIL_TESTS_SWTPM_H
#include <aril/base.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * A TPM in software on a UNIX socket: swtpm, with its state in a folder of its own below $TMPDIR.
 * It ends with the process that started it, whatever happens. Failures end the running test,
 * but for those of swtpm_installed() and swtpm_start().
 *
 * Commands are written byte by byte here, so they know nothing of the code under test.
 */
struct swtpm {
    char folder[128];
    char socket[160];
    char log[160];
    char uri[200]; /* "tpm2:swtpm:path=..." */
    pid_t pid;     /* 0: not running */
    bool is_frozen;
};

/* Whether there is a swtpm to start; else tests are skipped with this reason. */
bool swtpm_installed(void);
#define SWTPM_MISSING "swtpm is not installed (Debian: swtpm)"

/* A new TPM, running and started up. False, with nothing left, when it does not answer. */
bool swtpm_start(struct swtpm *tpm);
/* How it runs again after swtpm_stop() or swtpm_kill(): with the state it had. */
enum swtpm_how {
    SWTPM_STARTED,     /* and started up, as a host's firmware does */
    SWTPM_NOT_STARTED, /* powered, and no more */
    SWTPM_LOGGED       /* started up; writes what it reads and answers to tpm->log */
};
void swtpm_restart(struct swtpm *tpm, enum swtpm_how how);
void swtpm_stop(struct swtpm *tpm); /* SIGTERM */
void swtpm_kill(struct swtpm *tpm); /* SIGKILL, frozen or not */
void swtpm_freeze(struct swtpm *tpm);
void swtpm_thaw(struct swtpm *tpm);
/* Stops it, where it runs, and removes its folder. All zero is fine. */
void swtpm_remove(struct swtpm *tpm);

/* Sends a command with its header; the response code. Fills ret, where it is not NULL, with what
 * comes behind the header: exactly *ret_len bytes, cap at most. */
uint32_t swtpm_command(struct swtpm *tpm, uint16_t tag, uint32_t code, aril_bytes body,
                       uint8_t *ret, size_t cap, size_t *ret_len);
/* The same with an empty password for one handle, and parameters behind it. */
uint32_t swtpm_authorized(struct swtpm *tpm, uint32_t code, uint32_t handle, aril_bytes params);

/* How many handles there are of a kind; fills ret with the first cap of them. */
enum {
    SWTPM_NV = 0x01,
    SWTPM_LOADED_SESSIONS = 0x02,
    SWTPM_SAVED_SESSIONS = 0x03,
    SWTPM_TRANSIENT = 0x80,
    SWTPM_PERSISTENT = 0x81
};
size_t swtpm_handles(struct swtpm *tpm, uint32_t kind, uint32_t *ret, size_t cap);

void swtpm_pcr_extend(struct swtpm *tpm, uint32_t pcr);
void swtpm_pcr_reset(struct swtpm *tpm, uint32_t pcr); /* 16 and 23 only */
/* Leaves one bank of PCRs; takes effect with the next restart. */
void swtpm_pcr_keep_bank(struct swtpm *tpm, uint16_t bank);
/* The state after too many wrong passwords. */
void swtpm_lock_out(struct swtpm *tpm);
/* What an owner does who gives the machine away. */
void swtpm_clear(struct swtpm *tpm);
void swtpm_owner_password(struct swtpm *tpm, const char *text);
/* Of the owner; authPolicy may be empty. The response code. */
uint32_t swtpm_nv_define(struct swtpm *tpm, uint32_t handle, uint32_t attributes,
                         aril_bytes auth_policy, uint16_t bytes);
void swtpm_nv_undefine(struct swtpm *tpm, uint32_t handle);
/* A key that somebody leaves in the TPM. */
uint32_t swtpm_fill_object(struct swtpm *tpm);
void swtpm_flush(struct swtpm *tpm, uint32_t handle);
#endif
