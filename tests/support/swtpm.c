/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm.h"
#include "base/bytes.h"
#include "check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS      1000000L /* 1 ms */
#define POLLS_MAX    20000u
#define BODY_MAX     1024u
#define HEADER_BYTES 10u

enum {
    TAG_PLAIN = 0x8001,
    TAG_SESSIONS = 0x8002,
    OWNER = 0x40000001,
    LOCKOUT = 0x4000000a,
    PLATFORM = 0x4000000c,
    PASSWORD = 0x40000009,
    SHA1 = 0x0004,
    SHA256 = 0x000b,
    SHA512 = 0x000d
};

static void pause_shortly(void)
{
    const struct timespec t = { .tv_nsec = POLL_NS };
    (void)nanosleep(&t, NULL);
}

bool swtpm_installed(void)
{
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        const size_t len = strcspn(path, ":");
        char file[512];
        const int n = snprintf(file, sizeof file, "%.*s/swtpm", (int)len, path);
        if (n > 0 && (size_t)n < sizeof file && access(file, X_OK) == 0) {
            return true;
        }
        path += len + (path[len] == ':');
    }
    return false;
}

/* --- The process */

static void child_exec(const struct swtpm *tpm, enum swtpm_how how, pid_t parent)
{
    char state[160], server[200], ctrl[200], log[200], pid[200];
    (void)snprintf(state, sizeof state, "dir=%s", tpm->folder);
    (void)snprintf(server, sizeof server, "type=unixio,path=%s", tpm->socket);
    (void)snprintf(ctrl, sizeof ctrl, "type=unixio,path=%s.ctrl", tpm->socket);
    (void)snprintf(pid, sizeof pid, "file=%s/pid", tpm->folder);
    (void)snprintf(log, sizeof log, "file=%s,level=%d,truncate", tpm->log,
                   how == SWTPM_LOGGED ? 20 : 1);
    const char *flags = how == SWTPM_NOT_STARTED ? "not-need-init" : "not-need-init,startup-clear";
    /* The test may be killed; nothing of it may stay. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(126);
    }
    const int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) {
        _exit(126);
    }
    (void)execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
                 "--ctrl", ctrl, "--flags", flags, "--pid", pid, "--log", log, (char *)NULL);
    _exit(127);
}

static int dial(const struct swtpm *tpm)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(tpm->socket) >= sizeof at.sun_path) {
        return -1;
    }
    memcpy(at.sun_path, tpm->socket, strlen(tpm->socket));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void end(struct swtpm *tpm, int sig)
{
    if (tpm->pid > 0) {
        (void)kill(tpm->pid, sig);
        if (sig != SIGKILL && tpm->is_frozen) {
            (void)kill(tpm->pid, SIGCONT);
        }
        while (waitpid(tpm->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    tpm->pid = 0;
    tpm->is_frozen = false;
}

static bool launch(struct swtpm *tpm, enum swtpm_how how)
{
    (void)unlink(tpm->socket); /* one that is left over looks like one that listens */
    const pid_t parent = getpid();
    tpm->pid = fork();
    if (tpm->pid == 0) {
        child_exec(tpm, how, parent);
    }
    for (unsigned i = 0; tpm->pid > 0 && i < POLLS_MAX; i++) {
        const int fd = dial(tpm);
        if (fd >= 0) {
            (void)close(fd);
            return true;
        }
        if (waitpid(tpm->pid, NULL, WNOHANG) != 0) {
            tpm->pid = 0;
            return false;
        }
        pause_shortly();
    }
    end(tpm, SIGKILL);
    return false;
}

bool swtpm_start(struct swtpm *tpm)
{
    memset(tpm, 0, sizeof *tpm);
    const char *base = getenv("TMPDIR");
    (void)snprintf(tpm->folder, sizeof tpm->folder, "%s/aril-tpm-XXXXXX",
                   base != NULL && base[0] != '\0' ? base : "/tmp");
    if (mkdtemp(tpm->folder) == NULL) {
        tpm->folder[0] = '\0';
        return false;
    }
    (void)snprintf(tpm->socket, sizeof tpm->socket, "%s/s.sock", tpm->folder);
    (void)snprintf(tpm->log, sizeof tpm->log, "%s/log", tpm->folder);
    (void)snprintf(tpm->uri, sizeof tpm->uri, "tpm2:swtpm:path=%s", tpm->socket);
    if (!launch(tpm, SWTPM_STARTED)) {
        swtpm_remove(tpm);
        return false;
    }
    return true;
}

void swtpm_restart(struct swtpm *tpm, enum swtpm_how how)
{
    assert_int_equal(tpm->pid, 0);
    assert_true(launch(tpm, how));
}

void swtpm_stop(struct swtpm *tpm)
{
    end(tpm, SIGTERM);
}

void swtpm_kill(struct swtpm *tpm)
{
    end(tpm, SIGKILL);
}

void swtpm_freeze(struct swtpm *tpm)
{
    assert_int_equal(kill(tpm->pid, SIGSTOP), 0);
    int status = 0;
    assert_int_equal(waitpid(tpm->pid, &status, WUNTRACED), tpm->pid);
    assert_true(WIFSTOPPED(status));
    tpm->is_frozen = true;
}

void swtpm_thaw(struct swtpm *tpm)
{
    assert_int_equal(kill(tpm->pid, SIGCONT), 0);
    tpm->is_frozen = false;
}

void swtpm_remove(struct swtpm *tpm)
{
    end(tpm, SIGKILL);
    DIR *dir = tpm->folder[0] != '\0' ? opendir(tpm->folder) : NULL;
    if (dir == NULL) {
        return;
    }
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            (void)unlinkat(dirfd(dir), e->d_name, 0);
        }
    }
    (void)closedir(dir);
    (void)rmdir(tpm->folder);
    tpm->folder[0] = '\0';
}

/* --- Commands */

static void send_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        assert_true(n > 0);
        data += n;
        len -= (size_t)n;
    }
}

static void read_all(int fd, uint8_t *ret, size_t len)
{
    while (len > 0) {
        const ssize_t n = read(fd, ret, len);
        assert_true(n > 0);
        ret += n;
        len -= (size_t)n;
    }
}

uint32_t swtpm_command(struct swtpm *tpm, uint16_t tag, uint32_t code, aril_bytes body,
                       uint8_t *ret, size_t cap, size_t *ret_len)
{
    uint8_t buffer[HEADER_BYTES + BODY_MAX];
    struct arili_writer w = arili_writer_init(buffer, sizeof buffer);
    arili_write16(&w, tag);
    arili_write32(&w, (uint32_t)(HEADER_BYTES + body.len));
    arili_write32(&w, code);
    arili_write_bytes(&w, body);
    size_t len = 0;
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    const int fd = dial(tpm);
    assert_true(fd >= 0);
    send_all(fd, buffer, len);
    read_all(fd, buffer, HEADER_BYTES);
    const uint32_t size = arili_load32(buffer + 2);
    const uint32_t rc = arili_load32(buffer + 6);
    assert_in_range(size, HEADER_BYTES, sizeof buffer);
    read_all(fd, buffer + HEADER_BYTES, size - HEADER_BYTES);
    (void)close(fd);
    if (ret != NULL) {
        assert_in_range(size - HEADER_BYTES, 0, cap);
        memcpy(ret, buffer + HEADER_BYTES, size - HEADER_BYTES);
        *ret_len = size - HEADER_BYTES;
    }
    return rc;
}

/* The authorization area of an empty password. */
static void write_auth(struct arili_writer *w)
{
    arili_write32(w, 9);
    arili_write32(w, PASSWORD);
    arili_write16(w, 0);
    arili_write8(w, 0);
    arili_write16(w, 0);
}

uint32_t swtpm_authorized(struct swtpm *tpm, uint32_t code, uint32_t handle, aril_bytes params)
{
    uint8_t body[BODY_MAX];
    struct arili_writer w = arili_writer_init(body, sizeof body);
    arili_write32(&w, handle);
    write_auth(&w);
    arili_write_bytes(&w, params);
    size_t len = 0;
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    return swtpm_command(tpm, TAG_SESSIONS, code, (aril_bytes){ body, len }, NULL, 0, NULL);
}

size_t swtpm_handles(struct swtpm *tpm, uint32_t kind, uint32_t *ret, size_t cap)
{
    uint8_t body[12], answer[BODY_MAX];
    size_t len = 0;
    arili_store32(body, 1); /* TPM_CAP_HANDLES */
    arili_store32(body + 4, kind << 24);
    arili_store32(body + 8, 64);
    assert_int_equal(swtpm_command(tpm, TAG_PLAIN, 0x17a, (aril_bytes){ body, sizeof body }, answer,
                                   sizeof answer, &len),
                     0);
    struct arili_reader r = arili_reader_init((aril_bytes){ answer, len });
    (void)arili_read8(&r);
    assert_int_equal(arili_read32(&r), 1);
    const uint32_t count = arili_read32(&r);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t handle = arili_read32(&r);
        if (i < cap) {
            ret[i] = handle;
        }
    }
    assert_status(arili_reader_end(&r), ARIL_OK);
    return count;
}

static void expect(struct swtpm *tpm, uint32_t code, uint32_t handle, const uint8_t *params,
                   size_t len)
{
    assert_int_equal(swtpm_authorized(tpm, code, handle, (aril_bytes){ params, len }), 0);
}

void swtpm_pcr_extend(struct swtpm *tpm, uint32_t pcr)
{
    uint8_t params[4 + 2 + 32] = { 0 };
    arili_store32(params, 1);
    arili_store16(params + 4, SHA256);
    memset(params + 6, 0x5a, 32);
    expect(tpm, 0x182, pcr, params, sizeof params);
}

void swtpm_pcr_reset(struct swtpm *tpm, uint32_t pcr)
{
    expect(tpm, 0x13d, pcr, NULL, 0);
}

void swtpm_pcr_keep_bank(struct swtpm *tpm, uint16_t bank)
{
    uint8_t params[64];
    struct arili_writer w = arili_writer_init(params, sizeof params);
    arili_write32(&w, 4);
    for (uint16_t alg = SHA1; alg <= SHA512; alg = alg == SHA1 ? SHA256 : (uint16_t)(alg + 1)) {
        const uint8_t all = alg == bank ? 0xff : 0;
        arili_write16(&w, alg);
        arili_write8(&w, 3);
        arili_write_bytes(&w, (aril_bytes){ (const uint8_t[]){ all, all, all }, 3 });
    }
    size_t len = 0;
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    expect(tpm, 0x12b, PLATFORM, params, len);
}

void swtpm_lock_out(struct swtpm *tpm)
{
    uint8_t params[12];
    arili_store32(params, 0); /* no try is left from now on */
    arili_store32(params + 4, 1000);
    arili_store32(params + 8, 1000);
    expect(tpm, 0x13a, LOCKOUT, params, sizeof params);
}

void swtpm_clear(struct swtpm *tpm)
{
    expect(tpm, 0x126, LOCKOUT, NULL, 0);
}

void swtpm_owner_password(struct swtpm *tpm, const char *text)
{
    uint8_t params[64];
    const size_t len = strlen(text);
    assert_in_range(len, 0, 32);
    arili_store16(params, (uint16_t)len);
    memcpy(params + 2, text, len);
    expect(tpm, 0x129, OWNER, params, 2 + len);
}

uint32_t swtpm_nv_define(struct swtpm *tpm, uint32_t handle, uint32_t attributes,
                         aril_bytes auth_policy, uint16_t bytes)
{
    uint8_t params[128];
    struct arili_writer w = arili_writer_init(params, sizeof params);
    arili_write16(&w, 0); /* no password */
    arili_write16(&w, (uint16_t)(14 + auth_policy.len));
    arili_write32(&w, handle);
    arili_write16(&w, SHA256);
    arili_write32(&w, attributes);
    arili_write_vec16(&w, auth_policy);
    arili_write16(&w, bytes);
    size_t len = 0;
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    return swtpm_authorized(tpm, 0x12a, OWNER, (aril_bytes){ params, len });
}

void swtpm_nv_undefine(struct swtpm *tpm, uint32_t handle)
{
    uint8_t body[64];
    struct arili_writer w = arili_writer_init(body, sizeof body);
    arili_write32(&w, OWNER);
    arili_write32(&w, handle);
    write_auth(&w);
    size_t len = 0;
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    assert_int_equal(
        swtpm_command(tpm, TAG_SESSIONS, 0x122, (aril_bytes){ body, len }, NULL, 0, NULL), 0);
}

uint32_t swtpm_fill_object(struct swtpm *tpm)
{
    /* TPM2_CreatePrimary of an ECC storage key, sensitive and outside data empty. */
    static const uint8_t PARAMS[] = {
        0,    4,    0,    0,    0, 0,    /* inSensitive */
        0,    26,   0,    35,   0, 11,   /* ECC, SHA-256 */
        0x00, 0x03, 0x04, 0x72,          /* attributes */
        0,    0,                         /* authPolicy */
        0,    6,    0,    128,  0, 0x43, /* AES-128-CFB */
        0,    0x10, 0,    3,    0, 0x10, /* no scheme, P-256, no KDF */
        0,    0,    0,    0,             /* unique */
        0,    0,                         /* outsideInfo */
        0,    0,    0,    0,             /* creationPCR */
    };
    uint8_t body[4 + 13 + sizeof PARAMS], answer[BODY_MAX];
    struct arili_writer w = arili_writer_init(body, sizeof body);
    arili_write32(&w, OWNER);
    write_auth(&w);
    arili_write_bytes(&w, (aril_bytes){ PARAMS, sizeof PARAMS });
    size_t len = 0;
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    assert_int_equal(swtpm_command(tpm, TAG_SESSIONS, 0x131, (aril_bytes){ body, len }, answer,
                                   sizeof answer, &len),
                     0);
    assert_in_range(len, 4, sizeof answer);
    return arili_load32(answer);
}

void swtpm_flush(struct swtpm *tpm, uint32_t handle)
{
    uint8_t body[4];
    arili_store32(body, handle);
    assert_int_equal(
        swtpm_command(tpm, TAG_PLAIN, 0x165, (aril_bytes){ body, sizeof body }, NULL, 0, NULL), 0);
}
