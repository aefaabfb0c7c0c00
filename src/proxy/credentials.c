/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/credentials.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include <stdlib.h>

#define SHOWN_PATH_CHARS 120u

/* What is read, and where errors say it came from. */
struct source {
    const char *path;
    aril_error *error;
};

static aril_status refuse(const struct source *s, aril_status st, uint32_t line,
                          const char *problem)
{
    const size_t len = strlen(s->path);
    return arili_error_set(s->error, arili_fail(st), "%s:%u: %s",
                           len <= SHOWN_PATH_CHARS ? s->path : s->path + (len - SHOWN_PATH_CHARS),
                           (unsigned)line, problem);
}

void arili_credentials_free(struct arili_credentials *c)
{
    if (c != NULL) {
        arili_free(c->all, c->cap * sizeof *c->all);
        arili_free(c->tokens, c->cap * sizeof *c->tokens);
        arili_free(c->passphrases, c->cap * sizeof *c->passphrases);
        arili_free(c->persons, c->cap * sizeof *c->persons);
        arili_free(c->texts, c->texts_cap);
        arili_free(c, sizeof *c);
    }
}

static void credentials_freep(struct arili_credentials **c)
{
    arili_credentials_free(*c);
}

size_t arili_credentials_count(const struct arili_credentials *c)
{
    return c == NULL ? 0 : c->count;
}

const struct arili_credential *arili_credentials_at(const struct arili_credentials *c, size_t index)
{
    return &c->all[index];
}

/* The next line without its LF; false at the end, and before a rest without LF. */
static bool next_line(aril_bytes *rest, aril_bytes *ret)
{
    const uint8_t *const end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    if (end == NULL) {
        return false;
    }
    *ret = (aril_bytes){ rest->data, (size_t)(end - rest->data) };
    rest->data = end + 1;
    rest->len -= ret->len + 1;
    return true;
}

static bool is_credential(aril_bytes line)
{
    return line.len > 0 && line.data[0] != '#';
}

/* How many credentials there are, with a last line that is whole. */
static aril_status count_lines(const struct source *s, aril_bytes text, size_t *ret)
{
    aril_bytes line;
    uint32_t number = 0;
    size_t count = 0;
    while (next_line(&text, &line)) {
        number++;
        count += is_credential(line);
        if (count > ARILI_CREDENTIALS_MAX) {
            return refuse(s, ARIL_E_LIMIT, number,
                          "is one credential more than the 65536 that are taken; remove some");
        }
    }
    if (text.len > 0) {
        return refuse(s, ARIL_E_FORMAT_FIELD, number + 1,
                      "the file ends in the middle of the line; restore it, or end the line");
    }
    *ret = count;
    return ARIL_OK;
}

static aril_status allocate(struct arili_credentials *c, size_t count, size_t text_bytes)
{
    c->cap = count == 0 ? 1 : count;
    c->texts_cap = text_bytes + 1;
    c->all = arili_alloc(c->cap * sizeof *c->all);
    c->tokens = arili_alloc(c->cap * sizeof *c->tokens);
    c->passphrases = arili_alloc(c->cap * sizeof *c->passphrases);
    c->persons = arili_alloc(c->cap * sizeof *c->persons);
    c->texts = arili_alloc(c->texts_cap);
    ARILI_ENSURE(c->all != NULL && c->tokens != NULL && c->passphrases != NULL &&
                     c->persons != NULL && c->texts != NULL,
                 ARIL_E_NOMEM);
    return ARIL_OK;
}

/* There is room: a text and its NUL stood in the file as no fewer bytes and a ':'. */
static const char *keep(struct arili_credentials *c, const char *text)
{
    const size_t len = strlen(text);
    char *const at = c->texts + c->texts_len;
    memcpy(at, text, len + 1);
    c->texts_len += len + 1;
    return at;
}

static void add(struct arili_credentials *c, const struct arili_credential_line *line,
                uint32_t number)
{
    const uint32_t index = (uint32_t)c->count++;
    struct arili_credential *const about = &c->all[index];
    *about = (struct arili_credential){ .tenant = keep(c, line->tenant),
                                        .name = keep(c, line->name),
                                        .kind = line->kind,
                                        .line = number,
                                        .created_s = line->created_s };
    if (line->kind == ARILI_CREDENTIAL_TOKEN) {
        struct arili_token_row *const row = &c->tokens[c->token_count++];
        memcpy(row->hash, line->hash, sizeof row->hash);
        row->index = index;
        return;
    }
    struct arili_passphrase_row *const row = &c->passphrases[c->passphrase_count++];
    *row = (struct arili_passphrase_row){
        .index = index, .argon2 = line->argon2, .salt_len = line->salt_len, .about = about
    };
    memcpy(row->salt, line->salt, sizeof row->salt);
    memcpy(row->hash, line->hash, sizeof row->hash);
}

static aril_status add_lines(const struct source *s, struct arili_credentials *c, aril_bytes text)
{
    aril_bytes line;
    for (uint32_t number = 1; next_line(&text, &line); number++) {
        if (!is_credential(line)) {
            continue;
        }
        ARILI_DEFER(arili_credential_line_wipe) struct arili_credential_line parsed;
        const char *problem = NULL;
        const aril_status st = arili_credential_line_parse(line, &parsed, &problem);
        if (st != ARIL_OK) {
            return refuse(s, st, number, problem);
        }
        add(c, &parsed, number);
    }
    return ARIL_OK;
}

static int compare_owners(const struct arili_credential *a, const struct arili_credential *b)
{
    const int tenants = strcmp(a->tenant, b->tenant);
    return tenants != 0 ? tenants : strcmp(a->name, b->name);
}

static int compare_pointers(const void *a, const void *b)
{
    return compare_owners(*(const struct arili_credential *const *)a,
                          *(const struct arili_credential *const *)b);
}

static int compare_tokens(const void *a, const void *b)
{
    const struct arili_token_row *const left = a;
    const struct arili_token_row *const right = b;
    return memcmp(left->hash, right->hash, sizeof left->hash);
}

static int compare_passphrases(const void *a, const void *b)
{
    return compare_owners(((const struct arili_passphrase_row *)a)->about,
                          ((const struct arili_passphrase_row *)b)->about);
}

static uint32_t later_line(const struct arili_credential *a, const struct arili_credential *b)
{
    return a->line > b->line ? a->line : b->line;
}

static aril_status check_names(const struct source *s, const struct arili_credentials *c)
{
    const size_t bytes = c->cap * sizeof(struct arili_credential *);
    const struct arili_credential **const sorted = arili_alloc(bytes);
    ARILI_ENSURE(sorted != NULL, ARIL_E_NOMEM);
    for (size_t i = 0; i < c->count; i++) {
        sorted[i] = &c->all[i];
    }
    qsort(sorted, c->count, sizeof *sorted, compare_pointers);
    uint32_t twice = 0;
    for (size_t i = 1; i < c->count && twice == 0; i++) {
        if (compare_owners(sorted[i - 1], sorted[i]) == 0) {
            twice = later_line(sorted[i - 1], sorted[i]);
        }
    }
    arili_free(sorted, bytes);
    return twice == 0 ? ARIL_OK
                      : refuse(s, ARIL_E_FORMAT_FIELD, twice,
                               "the tenant has a credential of that name already; rename it, or "
                               "remove one of them");
}

static aril_status sort_tokens(const struct source *s, struct arili_credentials *c)
{
    qsort(c->tokens, c->token_count, sizeof *c->tokens, compare_tokens);
    for (size_t i = 1; i < c->token_count; i++) {
        if (compare_tokens(&c->tokens[i - 1], &c->tokens[i]) == 0) {
            return refuse(s, ARIL_E_FORMAT_FIELD,
                          later_line(&c->all[c->tokens[i - 1].index], &c->all[c->tokens[i].index]),
                          "the token is there a second time; remove one of the lines");
        }
    }
    return ARIL_OK;
}

static aril_status sort_passphrases(const struct source *s, struct arili_credentials *c)
{
    qsort(c->passphrases, c->passphrase_count, sizeof *c->passphrases, compare_passphrases);
    struct arili_person *person = NULL;
    for (size_t i = 0; i < c->passphrase_count; i++) {
        const struct arili_credential *const about = c->passphrases[i].about;
        if (person == NULL || strcmp(person->tenant, about->tenant) != 0) {
            person = &c->persons[c->person_count++];
            *person = (struct arili_person){ .tenant = about->tenant, .first = (uint32_t)i };
        }
        if (++person->count > ARILI_PASSPHRASES_PER_TENANT_MAX) {
            return refuse(s, ARIL_E_FORMAT_FIELD, about->line,
                          "the tenant has more than 4 passphrases; remove one of them");
        }
    }
    return ARIL_OK;
}

static aril_status build(const struct source *s, aril_runtime *rt, aril_bytes text,
                         struct arili_credentials **ret)
{
    size_t count = 0;
    if (text.len > ARILI_CREDENTIALS_BYTES_MAX) {
        return refuse(s, ARIL_E_LIMIT, 1, "the file is too long; check that it is the right one");
    }
    ARILI_TRY(count_lines(s, text, &count));
    ARILI_DEFER(credentials_freep)
    struct arili_credentials *c = arili_alloc(sizeof *c);
    ARILI_ENSURE(c != NULL, ARIL_E_NOMEM);
    c->rt = rt;
    ARILI_TRY(allocate(c, count, text.len));
    ARILI_TRY(add_lines(s, c, text));
    ARILI_TRY(check_names(s, c));
    ARILI_TRY(sort_tokens(s, c));
    ARILI_TRY(sort_passphrases(s, c));
    *ret = ARILI_TAKE(c);
    return ARIL_OK;
}

aril_status arili_credentials_parse(aril_runtime *rt, const char *path, aril_bytes text,
                                    struct arili_credentials **ret, aril_error *error)
{
    *ret = NULL;
    const struct source s = { path, error };
    const aril_status st = build(&s, rt, text, ret);
    if (st == ARIL_E_NOMEM) {
        return arili_error_set(error, st, "no memory for the credentials; give the process more");
    }
    return st;
}

aril_status arili_credentials_read(aril_runtime *rt, const char *path,
                                   struct arili_credentials **ret, aril_error *error)
{
    *ret = NULL;
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(arili_file_read(
        path, ARILI_CREDENTIALS_BYTES_MAX,
        ARILI_FILE_SECRET | ARILI_FILE_ROOT_MAY_OWN | ARILI_FILE_ROOT_MAY_SHARE, &file, error));
    return arili_credentials_parse(rt, path, (aril_bytes){ file.data, file.len }, ret, error);
}

bool arili_user_is(aril_bytes user, const char *tenant)
{
    return user.len == strlen(tenant) && memcmp(user.data, tenant, user.len) == 0;
}

aril_bytes arili_user_name(aril_bytes user)
{
    return user.len == 0 ? ARILI_LITERAL("default") : user;
}

void arili_tenant_copy(char ret_tenant[256], const char *tenant)
{
    memset(ret_tenant, 0, 256);
    memcpy(ret_tenant, tenant, strnlen(tenant, ARILI_CREDENTIAL_TENANT_MAX));
}
