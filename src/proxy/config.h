/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_CONFIG_H
#define ARILI_PROXY_CONFIG_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * arild.conf as a struct: man arild.conf(5) has every key with its range and default, the table in
 * config_keys.c is what it is made from. Lines as base/conf.h has them; unknown keys, keys that are
 * there twice and values out of range are errors with file, line and remedy. Relative paths are
 * those of the folder that the file lies in. Nothing here opens a socket or a file other than the
 * configuration itself.
 *
 * All strings are owned, by arili_alloc() with the bytes that strlen() + 1 says. Whoever wants a
 * configuration that is not in a file writes it as text and calls arili_config_parse().
 */
#define ARILI_CONFIG_LISTENERS_MAX 16u
#define ARILI_CONFIG_SEEDS_MAX     16u
#define ARILI_CONFIG_TENANTS_MAX   4096u
#define ARILI_CONFIG_POLICIES_MAX  256u
#define ARILI_CONFIG_UIDS_MAX      256u /* of one tenant; as many certificates */
#define ARILI_CONFIG_BYTES_MAX     ((size_t)4 << 20)

struct arili_address {
    bool is_unix; /* host is a path */
    uint16_t port;
    char host[256]; /* name, number or path */
};
#define ARILI_ADDRESS_PATH_MAX 107u /* of a UNIX socket, without NUL */
/* "127.0.0.1:6379", "[::1]:6379", "/run/redis.sock", "unix:redis.sock". NUL included. */
#define ARILI_ADDRESS_TEXT 266u
void arili_address_text(const struct arili_address *a, char ret[static ARILI_ADDRESS_TEXT]);
/* The same the other way, and "unix:" before any path; a port is demanded unless default_port > 0.
 * FORMAT_FIELD: *ret is unchanged. */
ARIL_MUST_USE aril_status arili_address_parse(aril_bytes text, uint16_t default_port,
                                              struct arili_address *ret);
bool arili_address_equal(const struct arili_address *a, const struct arili_address *b);
/* Only this machine gets there: a UNIX socket, 127.0.0.0/8, ::1, localhost. */
bool arili_address_is_local(const struct arili_address *a);
/* To listen at, not to connect to: 0.0.0.0, ::, *. */
bool arili_address_is_any(const struct arili_address *a);

enum { /* how clients of a listener say who they are; several may be allowed */
       ARILI_AUTH_PASSWORD = 1u << 0,    /* AUTH or HELLO AUTH: token or passphrase */
       ARILI_AUTH_CERTIFICATE = 1u << 1, /* of TLS */
       ARILI_AUTH_PEER = 1u << 2         /* user id of the other end of a UNIX socket */
};
/* [listen] */
struct arili_listen_config {
    struct arili_address address;
    struct arili_address announce; /* where clients reach it, for a Cluster's clients; host empty:
                                      where they came in */
    uint32_t mode;                 /* of a UNIX socket, 0600 */
    bool tls;
    char *tls_cert, *tls_key; /* PEM files */
    char *tls_client_ca;      /* NULL: certificates are not asked for */
    uint32_t auth;            /* 0 with tenant */
    char *tenant;             /* every client is this one; NULL: they say */
};
/* [upstream] */
struct arili_upstream_config {
    bool cluster, tls;
    size_t seed_count;
    struct arili_address seeds[ARILI_CONFIG_SEEDS_MAX];
    char *user, *password_file; /* NULL: none */
    char *tls_ca, *tls_cert, *tls_key;
    uint32_t links_max;  /* for each loop and node, 64 */
    uint32_t connect_ms; /* 2000 */
    uint32_t answer_ms;  /* 10000: no byte for so long while something is owed */
};
enum arili_on_tamper { ARILI_TAMPER_NIL = 0, ARILI_TAMPER_ERROR, ARILI_TAMPER_QUARANTINE };
enum arili_values { ARILI_VALUES_SEAL = 0, ARILI_VALUES_PASS, ARILI_VALUES_DENY };
/* [policy PATTERN], the first that matches the key counts; there is always one for "*" at the end.
 * Patterns are those of KEYS. */
struct arili_policy_config {
    char *pattern;
    char *tenant;             /* NULL: of all tenants */
    enum arili_values values; /* seal */
    enum arili_on_tamper on_tamper;
    uint64_t ttl_max_s; /* upper bound of every not-after, 31536000 */
    bool streaming;     /* values above max_verified_value leave segment by segment */
};
/* [tenant ID]: who may be it. Credentials are in the password file. */
struct arili_tenant_config {
    char *id;
    uint32_t *uids; /* of UNIX peers */
    size_t uid_count;
    char **certificates; /* SHA-256 of the public key as SPKI, 64 hex digits */
    size_t certificate_count;
    uint32_t clients_max;    /* 0: as many as there are */
    uint64_t name_bytes_max; /* longest key, 512 */
};

struct arili_proxy_config {
    char *path;     /* of the file, for messages; "(built in)" */
    char *keyring;  /* its file, as of aril-keys(1) */
    char *keystore; /* URI of aril/keystore.h; NULL: "file:" keyring ".key" */
    char *
        unlock_credential; /* name of a systemd credential or path; NULL: the keystore needs none */
    char *credentials;     /* the password file; NULL: none */
    char *space;           /* namespace of the values, "redis" */
    char *user, *group;    /* to become after the start; NULL: stay */
    char *quarantine;      /* prefix of names that are moved aside, "aq1:" */
    char *audit_log;       /* file of the audit events; NULL: they go to the log */
    uint32_t threads;      /* loops; 0: one for each processor, at most 8 */
    uint32_t workers;      /* threads for what may block, 2 */
    uint32_t databases;    /* 16 */
    uint32_t clients_max;  /* 10000 */
    uint32_t pipeline_max; /* commands of one client under way, 1024 */
    uint32_t args_max;     /* of a command, 1048576 */
    uint64_t arg_bytes_max;      /* 512 MiB */
    uint64_t command_bytes_max;  /* of one command that is not a stream, all arguments: 64 MiB */
    uint64_t max_verified_value; /* 128 MiB */
    uint64_t memory_max;         /* of all buffers, 1 GiB */
    uint64_t client_out_max;     /* unread answers of one client before nothing more is read for it,
                                    1 MiB */
    uint32_t idle_s;             /* clients that say nothing are closed, 0: never */
    uint32_t command_ms;         /* a command that has begun must be there, 30000 */
    uint32_t write_ms;           /* a client that does not read is closed, 60000 */
    uint32_t login_ms;           /* to authenticate, 10000 */
    uint32_t drain_ms;           /* at SIGTERM, 10000 */
    uint32_t log_level;          /* 0 error, 1 warning, 2 notice (default), 3 debug */

    bool admin;                         /* [admin] is there */
    struct arili_address admin_address; /* loopback or UNIX */
    struct arili_upstream_config upstream;
    struct arili_listen_config *listeners;
    size_t listener_count;
    struct arili_tenant_config *tenants;
    size_t tenant_count;
    struct arili_policy_config *policies;
    size_t policy_count;
};

/* All defaults, one policy, no listener, no keyring, no server. */
ARIL_MUST_USE aril_status arili_config_new(struct arili_proxy_config **ret);
/* Parse text, which came from path. FORMAT_FIELD with file, line, value and remedy in the message,
 * LIMIT for a text above ARILI_CONFIG_BYTES_MAX, NOMEM; *ret is NULL then. */
ARIL_MUST_USE aril_status arili_config_parse(const char *path, aril_bytes text,
                                             struct arili_proxy_config **ret, aril_error *error);
/* The same of a file, which may be a symbolic link. NOT_FOUND, IO (class); IO_PERMISSION when the
 * file belongs to neither us nor root, or others may write to it. */
ARIL_MUST_USE aril_status arili_config_read(const char *path, struct arili_proxy_config **ret,
                                            aril_error *error);
void arili_config_free(struct arili_proxy_config *config); /* accepts NULL */
void arili_config_freep(struct arili_proxy_config **config);
/* What cannot change while running and differs between the two: the key's name; NULL: nothing. */
const char *arili_config_fixed_difference(const struct arili_proxy_config *a,
                                          const struct arili_proxy_config *b);
/* The policy for a key of a tenant; never NULL. */
const struct arili_policy_config *arili_config_policy(const struct arili_proxy_config *config,
                                                      aril_bytes tenant, aril_bytes key);
/* Who is declared as a tenant; NULL: nobody. Ids, user ids and certificates are unique. digest: 32
 * bytes. Linear in the tenants, for logins. */
const struct arili_tenant_config *arili_config_tenant(const struct arili_proxy_config *config,
                                                      aril_bytes id);
const struct arili_tenant_config *
arili_config_tenant_by_uid(const struct arili_proxy_config *config, uint32_t uid);
const struct arili_tenant_config *
arili_config_tenant_by_certificate(const struct arili_proxy_config *config, aril_bytes digest);
/* Redis' glob: * ? [a-z] [^a] and \ before any of them. At most pattern times text steps, whatever
 * the pattern. Bytes are compared, without sign; "*" takes the empty text too. */
bool arili_glob(aril_bytes pattern, aril_bytes text);
#endif
