/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_CONFIG_INTERNAL_H
#define ARILI_PROXY_CONFIG_INTERNAL_H
#include "base/conf.h"
#include "proxy/config.h"
#include <string.h>

/*
 * The files behind config.h. From below:
 *
 *   config_keys    the table: every section and key, and what may stand there, as text
 *   config_set     one value into its place
 *   config         defaults, the end, look-ups, comparison: by the table
 *   config_check   what must fit together
 *   config_parse   all lines of a file
 */

/* --- config_keys */

enum arili_config_section {
    ARILI_SECTION_TOP = 0, /* before the first section */
    ARILI_SECTION_LIMITS,
    ARILI_SECTION_TIMEOUTS,
    ARILI_SECTION_ADMIN,
    ARILI_SECTION_UPSTREAM,
    ARILI_SECTION_LISTEN,
    ARILI_SECTION_TENANT,
    ARILI_SECTION_POLICY
};
#define ARILI_SECTIONS 8u
struct arili_config_section_row {
    const char *name;      /* "" for the top */
    const char *argument;  /* what it is called; NULL: there is none */
    uint64_t argument_max; /* bytes */
    size_t max;            /* how many there may be */
};
extern const struct arili_config_section_row arili_config_sections[ARILI_SECTIONS];

enum arili_config_kind {                  /* where it goes to in brackets */
                         ARILI_KIND_TEXT, /* of min to max bytes (char *) */
                         ARILI_KIND_NAME, /* of a user or group: letters, digits and ._- (char *) */
                         ARILI_KIND_PATH, /* (char *) */
                         ARILI_KIND_CREDENTIAL, /* a name, or a path with '/' (char *) */
                         ARILI_KIND_KEYSTORE,   /* URI (char *) */
                         ARILI_KIND_COUNT,      /* min to max (uint32_t) */
                         ARILI_KIND_SIZE,       /* min to max bytes (uint64_t) */
                         ARILI_KIND_MS,         /* min to max ms (uint32_t) */
                         ARILI_KIND_SECONDS,    /* min to max s (uint32_t) */
                         ARILI_KIND_SECONDS64,  /* (uint64_t) */
                         ARILI_KIND_TRUTH,      /* yes or no (bool) */
                         ARILI_KIND_WORD,       /* one of words: its index (32 bits) */
                         ARILI_KIND_WORDS,      /* several: a bit for each (uint32_t) */
                         ARILI_KIND_MODE,       /* octal (uint32_t) */
                         ARILI_KIND_ADDRESS,    /* (struct arili_address) */
                         ARILI_KIND_LISTEN,     /* (struct arili_listen_config: address and tls) */
                         ARILI_KIND_SERVER, /* URI (struct arili_upstream_config: what a URI says)
                                             */
                         ARILI_KIND_UIDS,   /* adds (struct arili_tenant_config: uids) */
                         ARILI_KIND_DIGESTS /* adds (struct arili_tenant_config: certificates) */
};
enum {
    ARILI_KEY_REQUIRED = 1u << 0, /* in each of its sections */
    ARILI_KEY_FIXED = 1u << 1,    /* cannot change while running */
    ARILI_KEY_ADDS = 1u << 2      /* may be there again: each adds */
};
struct arili_config_key {
    enum arili_config_section section;
    enum arili_config_kind kind;
    const char *name;
    const char *label; /* "[limits] clients_max" */
    uint32_t offset;   /* in the section's struct: the whole one for those up to ADMIN */
    uint32_t flags;
    uint64_t min, max;
    const char *fallback; /* the default as one would write it; NULL: unset */
    const char *words;    /* with blanks between them; of numbers: the word for 0 */
    const char *help;
};
#define ARILI_CONFIG_KEYS_MAX 64u
extern const struct arili_config_key arili_config_keys[];
extern const size_t arili_config_key_count;

/* NULL: there is none. */
const struct arili_config_key *arili_config_key_find(enum arili_config_section section,
                                                     aril_bytes name);
/* Word number i of words; len 0: there are no more. */
aril_bytes arili_config_word(const char *words, size_t i);
/* What may stand there: "a number from 1 to 64, or auto". */
#define ARILI_CONFIG_RANGE_TEXT 160u
void arili_config_range_text(const struct arili_config_key *key,
                             char ret[static ARILI_CONFIG_RANGE_TEXT]);

/* --- config_set, config_server, config_lists */

#define ARILI_CONFIG_PATH_ROOM 4096u /* with NUL */
struct arili_config_place {
    const struct arili_config_key *key;
    const char *path; /* of the file */
    void *object;     /* the section's struct */
    char *reason;
};
/* FORMAT_FIELD, with a reason of its own. */
aril_status arili_config_refuse(const struct arili_config_place *p, const char *reason);
/* A relative path is one of the folder that the file lies in. FORMAT_FIELD: it is too long. */
ARIL_MUST_USE aril_status arili_config_resolve(const struct arili_config_place *p, aril_bytes path,
                                               char ret[static ARILI_CONFIG_PATH_ROOM]);
/* The same for the path of a socket; other addresses stay. */
ARIL_MUST_USE aril_status arili_config_resolve_socket(const struct arili_config_place *p,
                                                      struct arili_address *a);
/* Setters of one kind each, as arili_config_set(). */
ARIL_MUST_USE aril_status arili_config_set_server(const struct arili_config_place *p,
                                                  aril_bytes value);
ARIL_MUST_USE aril_status arili_config_set_uids(const struct arili_config_place *p,
                                                aril_bytes value);
ARIL_MUST_USE aril_status arili_config_set_digests(const struct arili_config_place *p,
                                                   aril_bytes value);
#define ARILI_CONFIG_REASON_TEXT 320u
/* Put value into its place in object, the section's struct. path: the file. FORMAT_FIELD: object is
 * unchanged, and ret_reason says why where the range does not; else it is empty. NOMEM. */
ARIL_MUST_USE aril_status arili_config_set(const struct arili_config_key *key, const char *path,
                                           void *object, aril_bytes value,
                                           char ret_reason[static ARILI_CONFIG_REASON_TEXT]);
/* NULL: no memory. */
char *arili_config_text_new(aril_bytes text);
void arili_config_text_free(char *text); /* NULL is fine */
static inline aril_bytes arili_config_text_bytes(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

/* --- config */

/* The struct of a section that is there once; config itself for most of them. */
void *arili_config_object(struct arili_proxy_config *config, enum arili_config_section section);
/* The defaults of a section into its struct, which is all zero. NOMEM. */
ARIL_MUST_USE aril_status arili_config_defaults(enum arili_config_section section, void *object);
/* Defaults and no policy; room for so many. NOMEM. */
ARIL_MUST_USE aril_status arili_config_new_for(size_t listeners, size_t tenants, size_t policies,
                                               struct arili_proxy_config **ret);
/* Adds the policy for all that is left. There is room. NOMEM. */
ARIL_MUST_USE aril_status arili_config_add_policy(struct arili_proxy_config *config,
                                                  aril_bytes pattern);

/* --- config_parse, config_check */

struct arili_config_parser {
    const char *path;
    struct arili_proxy_config *config;
    aril_error *error;
    enum arili_config_section section;
    void *object;                           /* its struct */
    uint32_t section_line;                  /* 0: the top */
    uint32_t seen[ARILI_CONFIG_KEYS_MAX];   /* lines of the keys of this section; 0: not there */
    uint32_t section_lines[ARILI_SECTIONS]; /* of the last of its kind */
    uint32_t listener_lines[ARILI_CONFIG_LISTENERS_MAX];
    uint32_t policy_lines[ARILI_CONFIG_POLICIES_MAX];
    uint32_t *tenant_lines;
    size_t tenant_room;
};
/* FORMAT_FIELD with "PATH:LINE: " before the message, without a line when it is 0. */
aril_status arili_config_fail(const struct arili_config_parser *p, uint32_t line,
                              const char *format, ...) __attribute__((format(printf, 3, 4)));
aril_status arili_config_no_memory(const struct arili_config_parser *p);
/* A section has ended. */
ARIL_MUST_USE aril_status arili_config_check_section(const struct arili_config_parser *p);
/* All were read. */
ARIL_MUST_USE aril_status arili_config_check_whole(const struct arili_config_parser *p);
#endif
