/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_KEYS_H
#define ARIL_CMD_KEYS_H
#include "args.h"
#include "defer.h"
#include <aril/aril.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

/* What the commands "aril keys ..." share. Functions that return int print what went wrong and
 * return an exit code, 0 when all is well. */

/* --- options and opening (keys_open.c) ------------------------------------------------------- */

#define KEYS_TIMEOUT_MS_MAX 600000u

/* Options of all of them. NULL and 0: not given. */
struct keys_options {
    const char *keyring;
    const char *keystore;
    uint64_t timeout_ms;
    bool json;
    bool without_json; /* set before parsing: the command prints bytes or PEM */
};

/* The shared options; --json is the last one. */
#define KEYS_SHARED_OPTIONS 4u
void keys_shared_options(struct keys_options *options, struct args_option ret[KEYS_SHARED_OPTIONS]);

/* args_parse() with the shared options below those of spec. */
int keys_parse(const struct args_spec *spec, struct keys_options *options, int argc, char **argv,
               const char *ret_operands[ARGS_OPERANDS_MAX], size_t *ret_count);

/* A keyring and what it stands on. All zero but command is the empty state. */
struct keys_session {
    const char *command;
    const char *work; /* "rotating": long work; shows progress, can be stopped, uses threads */
    char path[PATH_MAX];
    char uri[PATH_MAX + 64];
    aril_runtime *rt;
    aril_pool *pool;
    aril_keystore *keystore;
    aril_keyring *keyring;
    uint64_t shown_ns; /* when the progress line was drawn */
};

/* Only names and the runtime: session->path and rt. */
int keys_prepare(struct keys_session *s, const struct keys_options *options);
/* And the keystore; with create its key file or token key is made when it is not there. */
int keys_open_keystore(struct keys_session *s, const struct keys_options *options, bool create);
/* And the keyring. */
int keys_open(struct keys_session *s, const struct keys_options *options);
void keys_close(struct keys_session *s);
/* How the keyring of a session is opened, for calls that take a configuration. */
aril_keyring_config keys_config(struct keys_session *s, const struct keys_options *options);
/* Make the folder of the keyring, when it is the one that is taken where none is named. */
int keys_make_folder(const struct keys_session *s, const struct keys_options *options);

/* --- stopping (keys_stop.c) ------------------------------------------------------------------ */

/* SIGINT and SIGTERM set keys_stopped instead of ending the process; a second one ends it. */
extern volatile sig_atomic_t keys_stopped;
void keys_catch_stop(void);
/* Wait for some milliseconds, or until stopped. */
void keys_wait(uint64_t ms);

/* --- asking people (keys_secret.c, keys_confirm.c) ------------------------------------------- */

/* An aril_secret_fn that asks on the terminal, without echo. */
aril_status keys_ask(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                     size_t cap, size_t *ret_len);

/* Before something that cannot be taken back: with yes at once, else the user types word. what:
 * one line that says what is going to happen. */
int keys_confirm(const char *command, bool yes, const char *what, const char *word);

/* --- texts (keys_text.c) --------------------------------------------------------------------- */

#define KEYS_ID_TEXT    (2 * ARIL_KEY_ID_BYTES + 1)
#define KEYS_ID_SHORT   16 /* digits of an id in tables */
#define KEYS_DATE_TEXT  24
#define KEYS_OWNER_TEXT (4 * ARIL_KEY_OWNER_BYTES_MAX + 1)
#define KEYS_LABEL_TEXT (4 * ARIL_KEY_LABEL_BYTES_MAX + 1)
#define KEYS_NAME_TEXT  (KEYS_OWNER_TEXT + KEYS_LABEL_TEXT + 16)

aril_bytes keys_bytes(const char *text);
/* Lower case hexadecimal; cap is at least 2 * len + 1. */
void keys_hex(const uint8_t *bytes, size_t len, char *ret, size_t cap);
/* What 2 * count hexadecimal digits say. False when one of them is none. */
bool keys_unhex(const char *digits, size_t count, uint8_t *ret);
/* "2026-01-31T23:59:59Z" */
const char *keys_date(uint64_t unix_s, char ret[KEYS_DATE_TEXT]);
/* Bytes as text that is safe on a terminal: what is not printable UTF-8 becomes \xNN. */
const char *keys_safe(aril_bytes bytes, char *ret, size_t cap);
/* Printable UTF-8, without a line's end. */
bool keys_is_text(aril_bytes bytes);
/* How users name the slot of a key: "root", "data:acme/label". */
/* Whether keys of that purpose may have a label, behind a slash. */
bool keys_has_label(aril_key_purpose purpose);
const char *keys_name(const aril_key_info *info, char ret[KEYS_NAME_TEXT]);
const char *keys_due_name(aril_key_due due);
uint64_t keys_now_s(void);
uint64_t keys_days_since(uint64_t now_s, uint64_t then_s);
/* "in 12 d", "3 d ago", "never" */
const char *keys_rotate_text(const aril_key_info *info, uint64_t now_s, char ret[24]);
/* Columns on a terminal that the text takes. */
size_t keys_columns(const char *text);
/* Print text and spaces up to width columns. */
void keys_print_padded(const char *text, size_t width);

json_t *keys_json_text(aril_bytes bytes);
/* A point in time; null for 0. */
json_t *keys_json_time(uint64_t unix_s);
json_t *keys_json_id(const uint8_t *id, size_t len);
json_t *keys_json_key(const aril_key_info *info);
/* Print and free. */
int keys_print_json(const char *command, json_t *json);

/* --- sets of keys, and choosing one (keys_select.c) ------------------------------------------ */

/* Copies of what a list visited. */
struct keys_set {
    aril_key_info *keys; /* owner and label are owned */
    size_t count, cap;
    bool failed; /* out of memory */
};
int keys_collect(struct keys_session *s, const aril_key_filter *filter, struct keys_set *ret);
void keys_set_free(struct keys_set *set);
bool keys_same_slot(const aril_key_info *a, const aril_key_info *b);
/* The key of a slot that stands for it: the active one, else the newest. Where the slot that
 * begins at index first ends is told through ret_end. */
const aril_key_info *keys_slot_head(const struct keys_set *set, size_t first, size_t *ret_end);

/* What a user wrote: a slot, or digits of a key id. Borrows the text. */
struct keys_selector {
    const char *text;
    bool by_id;
    aril_key_slot slot;
    uint32_t version; /* 0: any */
};
int keys_selector_parse(const char *command, const char *text, struct keys_selector *ret);
/* "data:acme@3", as well as ids. */
int keys_selector_parse_version(const char *command, const char *text, struct keys_selector *ret);
/* The index in set, which holds all keys, of the one that is meant. */
int keys_selector_find(const char *command, const struct keys_selector *selector,
                       const struct keys_set *set, size_t *ret_index);
bool keys_purpose_parse(const char *name, size_t len, aril_key_purpose *ret);

/* --- the subcommands ------------------------------------------------------------------------- */

int keys_init(int argc, char **argv);
int keys_status(int argc, char **argv);
int keys_list(int argc, char **argv);
int keys_show(int argc, char **argv);
int keys_create(int argc, char **argv);
int keys_rotate(int argc, char **argv);
int keys_retire(int argc, char **argv);
int keys_shred(int argc, char **argv);
int keys_node(int argc, char **argv);
int keys_bundle(int argc, char **argv);
int keys_bundle_pull(int argc, char **argv);
int keys_backup(int argc, char **argv);
int keys_recovery_key(int argc, char **argv);
int keys_recover(int argc, char **argv);
int keys_verify(int argc, char **argv);
int keys_import(int argc, char **argv);
int keys_lock(int argc, char **argv);
int keys_unlock(int argc, char **argv);
int keys_seal(int argc, char **argv);
int keys_open_box(int argc, char **argv);
#endif
