/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"
#include "format/cachevalue.h"
#include "proxy/config_internal.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define KIB(n)  ((uint64_t)(n) << 10)
#define MIB(n)  ((uint64_t)(n) << 20)
#define GIB(n)  ((uint64_t)(n) << 30)
#define TIB(n)  ((uint64_t)(n) << 40)
#define MIN(n)  ((uint64_t)(n)*60000)
#define HOUR(n) ((uint64_t)(n)*3600000)
#define DAYS(n) ((uint64_t)(n)*86400) /* in seconds */

#define VALUE_MAX ARILI_VALUE_BODY_MAX /* docs/CACHE-FORMAT.md: no sealed value has more */

#define FIXED    ARILI_KEY_FIXED
#define REQUIRED ARILI_KEY_REQUIRED
#define ADDS     ARILI_KEY_ADDS
#define SERVER   0u /* the whole struct */

const struct arili_config_section_row arili_config_sections[ARILI_SECTIONS] = {
    [ARILI_SECTION_TOP] = { "", NULL, 0, 1 },
    [ARILI_SECTION_LIMITS] = { "limits", NULL, 0, 1 },
    [ARILI_SECTION_TIMEOUTS] = { "timeouts", NULL, 0, 1 },
    [ARILI_SECTION_ADMIN] = { "admin", NULL, 0, 1 },
    [ARILI_SECTION_UPSTREAM] = { "upstream", NULL, 0, 1 },
    [ARILI_SECTION_LISTEN] = { "listen", NULL, 0, ARILI_CONFIG_LISTENERS_MAX },
    [ARILI_SECTION_TENANT] = { "tenant", "the id of a tenant", 255, ARILI_CONFIG_TENANTS_MAX },
    [ARILI_SECTION_POLICY] = { "policy", "a pattern of keys", 512, ARILI_CONFIG_POLICIES_MAX },
};

#define ROW(section, prefix, type, member, name, kind, flags, min, max, fallback, words, help)     \
    {                                                                                              \
        ARILI_SECTION_##section, ARILI_KIND_##kind, name, prefix name,                             \
            (uint32_t)offsetof(struct type, member), (flags), (min), (max), fallback, words, help, \
    }
#define TOP(...)      ROW(TOP, "", arili_proxy_config, __VA_ARGS__)
#define LIMITS(...)   ROW(LIMITS, "[limits] ", arili_proxy_config, __VA_ARGS__)
#define TIMEOUTS(...) ROW(TIMEOUTS, "[timeouts] ", arili_proxy_config, __VA_ARGS__)
#define ADMIN(...)    ROW(ADMIN, "[admin] ", arili_proxy_config, __VA_ARGS__)
#define UPSTREAM(...) ROW(UPSTREAM, "[upstream] ", arili_upstream_config, __VA_ARGS__)
#define LISTEN(...)   ROW(LISTEN, "[listen] ", arili_listen_config, __VA_ARGS__)
#define TENANT(...)   ROW(TENANT, "[tenant] ", arili_tenant_config, __VA_ARGS__)
#define POLICY(...)   ROW(POLICY, "[policy] ", arili_policy_config, __VA_ARGS__)

/* clang-format off */
const struct arili_config_key arili_config_keys[] = {
    TOP(keyring, "keyring", PATH, REQUIRED | FIXED, 1, 4095, NULL, NULL,
        "file of the keyring, see aril-keys(1)"),
    TOP(keystore, "keystore", KEYSTORE, FIXED, 1, 4095, NULL, NULL,
        "what seals the keyring; unset: file: and the keyring with .key behind it"),
    TOP(unlock_credential, "unlock_credential", CREDENTIAL, FIXED, 1, 4095, NULL, NULL,
        "credential of systemd, or file, with what the keystore asks for"),
    TOP(credentials, "credentials", PATH, 0, 1, 4095, NULL, NULL,
        "password file, written by aril proxy"),
    TOP(space, "namespace", TEXT, FIXED, 1, 255, "redis", NULL,
        "namespace of the values, as aril cache calls it"),
    TOP(user, "user", NAME, FIXED, 1, 31, NULL, NULL,
        "user to become once all sockets are open"),
    TOP(group, "group", NAME, FIXED, 1, 31, NULL, NULL, "group to become; unset: that of the user"),
    TOP(quarantine, "quarantine_prefix", TEXT, 0, 1, 64, "aq1:", NULL,
        "before the names of values that were moved aside"),
    TOP(audit_log, "audit_log", PATH, 0, 1, 4095, NULL, NULL,
        "file that gets a line of JSON for each audit event; unset: they go to the log"),
    TOP(threads, "threads", COUNT, FIXED, 1, 64, "auto", "auto",
        "event loops; auto: one for each processor, 8 at most"),
    TOP(workers, "workers", COUNT, FIXED, 1, 64, "2", NULL,
        "threads for what may block: passphrases, keys"),
    TOP(databases, "databases", COUNT, FIXED, 1, 65536, "16", NULL, "what SELECT takes"),
    TOP(log_level, "log_level", WORD, 0, 0, 0, "notice", "error warning notice debug",
        "what is logged, from the gravest on"),

    LIMITS(clients_max, "clients_max", COUNT, 0, 1, 1000000, "10000", NULL,
           "clients at a time; one more is turned away"),
    LIMITS(pipeline_max, "pipeline_max", COUNT, 0, 1, 1048576, "1024", NULL,
           "commands of one client under way before no more is read from it"),
    LIMITS(args_max, "args_max", COUNT, 0, 16, 1048576, "1048576", NULL,
           "arguments of one command"),
    LIMITS(arg_bytes_max, "arg_bytes_max", SIZE, 0, KIB(64), MIB(512), "512 MiB", NULL,
           "one argument"),
    LIMITS(command_bytes_max, "command_bytes_max", SIZE, 0, KIB(64), GIB(1), "64 MiB", NULL,
           "all arguments of one command that is not streamed"),
    LIMITS(max_verified_value, "max_verified_value", SIZE, 0, KIB(64), VALUE_MAX, "128 MiB", NULL,
           "values up to this size are verified as a whole before their first byte leaves"),
    LIMITS(memory_max, "memory_max", SIZE, FIXED, MIB(16), TIB(1), "1 GiB", NULL,
           "all buffers together"),
    LIMITS(client_out_max, "client_out_max", SIZE, 0, KIB(16), GIB(1), "1 MiB", NULL,
           "unread answers of one client before no more is read from it"),

    TIMEOUTS(idle_s, "idle", SECONDS, 0, 1, DAYS(365), "never", "never",
             "clients that say nothing for so long are closed"),
    TIMEOUTS(command_ms, "command", MS, 0, 100, HOUR(1), "30 s", NULL,
             "a command that has begun must be whole"),
    TIMEOUTS(write_ms, "write", MS, 0, 100, HOUR(1), "1 m", NULL,
             "a client that reads nothing is closed"),
    TIMEOUTS(login_ms, "login", MS, 0, 100, MIN(10), "10 s", NULL,
             "a client must have said who it is"),
    TIMEOUTS(drain_ms, "drain", MS, 0, 1, HOUR(1), "10 s", NULL,
             "time for what is under way after SIGTERM"),

    ADMIN(admin_address, "address", ADDRESS, REQUIRED | FIXED, 0, 0, NULL, NULL,
          "of metrics, health and status page; on this machine only"),

    { ARILI_SECTION_UPSTREAM, ARILI_KIND_SERVER, "server", "[upstream] server", SERVER,
      REQUIRED | FIXED, 0, 0, NULL, NULL, "the server, or hosts of the Cluster" },
    UPSTREAM(user, "user", TEXT, 0, 1, 127, NULL, NULL, "name for AUTH"),
    UPSTREAM(password_file, "password_file", PATH, 0, 1, 4095, NULL, NULL,
             "file with the password for AUTH, mode 0600"),
    UPSTREAM(tls_ca, "tls_ca", PATH, FIXED, 1, 4095, NULL, NULL,
             "PEM file of who may have signed the server's certificate; unset: the system's"),
    UPSTREAM(tls_cert, "tls_cert", PATH, FIXED, 1, 4095, NULL, NULL,
             "PEM file of the certificate that is shown to the server"),
    UPSTREAM(tls_key, "tls_key", PATH, FIXED, 1, 4095, NULL, NULL, "PEM file of its key"),
    UPSTREAM(links_max, "links_max", COUNT, 0, 1, 1024, "64", NULL,
             "connections of one thread to one node"),
    UPSTREAM(connect_ms, "connect_timeout", MS, 0, 10, MIN(5), "2 s", NULL, "to get a connection"),
    UPSTREAM(answer_ms, "answer_timeout", MS, 0, 10, HOUR(1), "10 s", NULL,
             "without a byte while an answer is due"),

    LISTEN(address, "address", LISTEN, REQUIRED | FIXED, 0, 0, NULL, NULL, "where clients come in"),
    LISTEN(announce, "announce", ADDRESS, 0, 0, 0, NULL, NULL,
           "where clients reach it, for those of a Cluster; unset: where they came in"),
    LISTEN(mode, "socket_mode", MODE, FIXED, 0, 0777, "0600", NULL, "of a UNIX socket"),
    LISTEN(tls_cert, "tls_cert", PATH, FIXED, 1, 4095, NULL, NULL,
           "PEM file of the certificate and those that lead to its root"),
    LISTEN(tls_key, "tls_key", PATH, FIXED, 1, 4095, NULL, NULL, "PEM file of its key, mode 0600"),
    LISTEN(tls_client_ca, "tls_client_ca", PATH, FIXED, 1, 4095, NULL, NULL,
           "PEM file of who may have signed a client's certificate; unset: none is asked for"),
    LISTEN(auth, "auth", WORDS, FIXED, 0, 0, NULL, "password certificate peer",
           "how clients say who they are; unset: password, unless tenant is set"),
    LISTEN(tenant, "tenant", TEXT, FIXED, 1, 255, NULL, NULL,
           "every client of this listener is this tenant"),

    { ARILI_SECTION_TENANT, ARILI_KIND_UIDS, "uids", "[tenant] uids", 0, ADDS, 0, UINT32_MAX - 1,
      NULL, NULL, "users of this machine that are this tenant" },
    { ARILI_SECTION_TENANT, ARILI_KIND_DIGESTS, "certificates", "[tenant] certificates", 0, ADDS,
      0, 0, NULL, NULL, "public keys of certificates that are this tenant" },
    TENANT(clients_max, "clients_max", COUNT, 0, 1, 1000000, "unlimited", "unlimited",
           "clients of this tenant at a time"),
    TENANT(name_bytes_max, "name_max", SIZE, 0, 1, 512, "512 B", NULL, "longest key"),

    POLICY(tenant, "tenant", TEXT, 0, 1, 255, NULL, NULL,
           "whose keys; unset: those of all tenants"),
    POLICY(values, "values", WORD, 0, 0, 0, "seal", "seal pass deny",
           "pass: in clear, counters for one; deny: commands on these keys are refused"),
    POLICY(on_tamper, "on_tamper", WORD, 0, 0, 0, "nil", "nil error quarantine",
           "what clients hear of a value that is not what was put there"),
    POLICY(ttl_max_s, "ttl_max", SECONDS64, 0, 1, DAYS(3650), "365 d", NULL,
           "upper bound of every time to live, and that of values without one"),
    POLICY(streaming, "streaming", TRUTH, 0, 0, 0, "no", NULL,
           "values above max_verified_value leave segment by segment, each verified"),
};
/* clang-format on */
const size_t arili_config_key_count = sizeof arili_config_keys / sizeof arili_config_keys[0];
_Static_assert(sizeof arili_config_keys / sizeof arili_config_keys[0] <= ARILI_CONFIG_KEYS_MAX,
               "a parser has a line number for each key");

const struct arili_config_key *arili_config_key_find(enum arili_config_section section,
                                                     aril_bytes name)
{
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        if (key->section == section && arili_conf_is(name, key->name)) {
            return key;
        }
    }
    return NULL;
}

aril_bytes arili_config_word(const char *words, size_t i)
{
    for (;; i--) {
        const size_t len = strcspn(words, " ");
        if (i == 0 || words[len] == '\0') {
            return i == 0 ? (aril_bytes){ (const uint8_t *)words, len } : (aril_bytes){ NULL, 0 };
        }
        words += len + 1;
    }
}

/* "one of seal, pass, deny" */
static void words_text(const char *begin, const char *words,
                       char ret[static ARILI_CONFIG_RANGE_TEXT])
{
    size_t at = (size_t)snprintf(ret, ARILI_CONFIG_RANGE_TEXT, "%s", begin);
    aril_bytes word = arili_config_word(words, 0);
    for (size_t i = 0; word.len > 0; word = arili_config_word(words, ++i)) {
        at += (size_t)snprintf(ret + at, ARILI_CONFIG_RANGE_TEXT - at, "%s%.*s", i == 0 ? "" : ", ",
                               (int)word.len, (const char *)word.data);
        assert(at < ARILI_CONFIG_RANGE_TEXT);
    }
}

static void number_text(const struct arili_config_key *key,
                        char ret[static ARILI_CONFIG_RANGE_TEXT])
{
    char low[ARILI_UNITS_TEXT];
    char high[ARILI_UNITS_TEXT];
    const bool seconds = key->kind == ARILI_KIND_SECONDS || key->kind == ARILI_KIND_SECONDS64;
    const char *what = "a time";
    const char *end = seconds ? " in whole seconds" : "";
    if (key->kind == ARILI_KIND_COUNT) {
        what = "a number";
        (void)snprintf(low, sizeof low, "%llu", (unsigned long long)key->min);
        (void)snprintf(high, sizeof high, "%llu", (unsigned long long)key->max);
    } else if (key->kind == ARILI_KIND_SIZE) {
        what = "a size";
        arili_size_text(key->min, low);
        arili_size_text(key->max, high);
    } else {
        arili_duration_text(seconds ? key->min * 1000 : key->min, low);
        arili_duration_text(seconds ? key->max * 1000 : key->max, high);
    }
    (void)snprintf(ret, ARILI_CONFIG_RANGE_TEXT, "%s from %s to %s%s%s%s", what, low, high, end,
                   key->words == NULL ? "" : ", or ", key->words == NULL ? "" : key->words);
}

void arili_config_range_text(const struct arili_config_key *key,
                             char ret[static ARILI_CONFIG_RANGE_TEXT])
{
    static const char *const fixed[] = {
        [ARILI_KIND_NAME] = "a name of up to 31 letters, digits, '.', '_' and '-'",
        [ARILI_KIND_PATH] = "a path of up to 4095 bytes",
        [ARILI_KIND_CREDENTIAL] = "the name of a credential, or a path with '/'",
        [ARILI_KIND_KEYSTORE] = "a keystore such as file:PATH, passphrase:PATH or credential:PATH",
        [ARILI_KIND_TRUTH] = "yes or no",
        [ARILI_KIND_MODE] = "an octal number from 0000 to 0777",
        [ARILI_KIND_ADDRESS] = "HOST:PORT, [IPV6]:PORT or unix:PATH of up to 107 bytes",
        [ARILI_KIND_LISTEN] =
            "HOST:PORT, [IPV6]:PORT, the same behind tls://, or unix:PATH of up to 107 bytes",
        [ARILI_KIND_SERVER] = "a redis:, rediss:, redis+unix:, redis+cluster: or rediss+cluster: "
                              "URI",
        [ARILI_KIND_UIDS] = "user ids with commas between them, up to 256",
        [ARILI_KIND_DIGESTS] =
            "SHA-256 digests of public keys in 64 hex digits, with commas between them, up to 256",
    };
    switch (key->kind) {
    case ARILI_KIND_TEXT:
        (void)snprintf(ret, ARILI_CONFIG_RANGE_TEXT, "a text of %llu to %llu bytes",
                       (unsigned long long)key->min, (unsigned long long)key->max);
        return;
    case ARILI_KIND_COUNT:
    case ARILI_KIND_SIZE:
    case ARILI_KIND_MS:
    case ARILI_KIND_SECONDS:
    case ARILI_KIND_SECONDS64:
        number_text(key, ret);
        return;
    case ARILI_KIND_WORD:
        words_text("one of ", key->words, ret);
        return;
    case ARILI_KIND_WORDS:
        words_text("one or more, with commas between them, of ", key->words, ret);
        return;
    default:
        (void)snprintf(ret, ARILI_CONFIG_RANGE_TEXT, "%s", fixed[key->kind]);
        return;
    }
}
