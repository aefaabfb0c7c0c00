/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"
#include "files.h"
#include "keys.h"
#include <stdlib.h>
#include <string.h>

#define COMMAND          "aril keys create"
#define LABELS_BYTES_MAX ((size_t)64 << 20)
#define NAMES_SHOWN      10u

static void slots_free(aril_key_slot **slots)
{
    free(*slots);
}

static bool can_be_made(aril_key_purpose purpose)
{
    return purpose == ARIL_KEY_TENANT || purpose == ARIL_KEY_MODEL || purpose == ARIL_KEY_API ||
           purpose == ARIL_KEY_DATA || purpose == ARIL_KEY_NAME;
}

static int slot_of(const char *command, const char *text, aril_key_slot *ret)
{
    struct keys_selector selector;
    const int rc = keys_selector_parse(command, text, &selector);
    if (rc != 0) {
        return rc;
    }
    if (selector.by_id || !can_be_made(selector.slot.purpose)) {
        return failure_usage(command,
                             "%s: only tenant:NAME, model:NAME, api:NAME, data:TENANT[/LABEL] and "
                             "name:TENANT[/LABEL] can be made",
                             text);
    }
    *ret = selector.slot;
    return 0;
}

static size_t count_lines(aril_bytes text)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.data[i] == '\n';
    }
    return lines;
}

static bool is_label(aril_bytes line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] < 0x20 || line.data[i] > 0x7e) {
            return false;
        }
    }
    return line.len <= ARIL_KEY_LABEL_BYTES_MAX;
}

/* One slot for each line of text that is not empty; slots has room for count_lines(). */
static int label_slots(const char *command, const char *path, aril_bytes text,
                       const aril_key_slot *pattern, aril_key_slot *slots, size_t *ret_count)
{
    size_t line = 1;
    size_t at = 0;
    while (at < text.len) {
        const uint8_t *end = memchr(text.data + at, '\n', text.len - at);
        const size_t len = end == NULL ? text.len - at : (size_t)(end - (text.data + at));
        const aril_bytes label = { text.data + at, len };
        if (!is_label(label)) {
            return failure_usage(command,
                                 "%s: line %zu: a label has 1 to %u printable ASCII characters",
                                 path, line, ARIL_KEY_LABEL_BYTES_MAX);
        }
        if (len > 0) {
            slots[*ret_count] = *pattern;
            slots[(*ret_count)++].label = label;
        }
        at += len + 1;
        line++;
    }
    return *ret_count > 0 ? 0 : failure_usage(command, "%s: no label in it", path);
}

static int report_created(const char *command, const aril_key_slot *slots, size_t count, bool json)
{
    char name[KEYS_NAME_TEXT];
    json_t *names = json ? json_array() : NULL;
    for (size_t i = 0; i < count; i++) {
        const aril_key_info info = { .purpose = slots[i].purpose,
                                     .owner = slots[i].owner,
                                     .label = slots[i].label };
        keys_name(&info, name);
        if (json) {
            json_array_append_new(names, json_string(name));
        } else if (count <= NAMES_SHOWN) {
            printf("created %s\n", name);
        }
    }
    if (json) {
        return keys_print_json(command, json_pack("{s:o}", "created", names));
    }
    if (count > NAMES_SHOWN) {
        printf("created %zu keys\n", count);
    }
    return EXIT_DONE;
}

static int create(const char *command, const struct keys_options *options,
                  const aril_key_slot *slots, size_t count)
{
    DEFER(keys_close) struct keys_session s = { .command = command, .work = "creating" };
    const int rc = keys_open(&s, options);
    if (rc != 0) {
        return rc;
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_keyring_create(s.keyring, slots, count, &error);
    return st == ARIL_OK ? report_created(command, slots, count, options->json)
                         : failure_error(command, st, &error, s.path);
}

static int create_labels(const char *command, const struct keys_options *options, const char *path,
                         const aril_key_slot *pattern)
{
    DEFER(file_contents_free) struct file_contents text = { .data = NULL };
    DEFER(slots_free) aril_key_slot *slots = NULL;
    size_t count = 0;
    int rc = file_read(command, path, LABELS_BYTES_MAX, &text);
    if (rc != 0) {
        return rc;
    }
    slots = calloc(count_lines(file_bytes(&text)), sizeof *slots);
    if (slots == NULL) {
        return failure_report(command, ARIL_E_NOMEM, "%s", path);
    }
    rc = label_slots(command, path, file_bytes(&text), pattern, slots, &count);
    return rc != 0 ? rc : create(command, options, slots, count);
}

int keys_create(int argc, char **argv)
{
    static const char command[] = COMMAND;
    struct keys_options options = { .keyring = NULL };
    const char *labels = NULL;
    const struct args_option own[] = {
        { "labels-from", ARGS_TEXT, &labels, "FILE",
          "one label a line, for data:TENANT or name:TENANT; - is standard input", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "SELECTOR...",
        .summary = "Make the first version of keys: all of them or none. A tenant comes with a\n"
                   "data key and a name key.",
        .options = own,
        .option_count = 1,
        .operands_min = 1,
        .operands_max = ARGS_OPERANDS_MAX,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    int rc = keys_parse(&spec, &options, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    aril_key_slot slots[ARGS_OPERANDS_MAX];
    for (size_t i = 0; i < count; i++) {
        rc = slot_of(command, operands[i], &slots[i]);
        if (rc != 0) {
            return rc;
        }
    }
    if (labels == NULL) {
        return create(command, &options, slots, count);
    }
    const bool labelled = slots[0].purpose == ARIL_KEY_DATA || slots[0].purpose == ARIL_KEY_NAME;
    if (count != 1 || !labelled || slots[0].label.len > 0) {
        return failure_usage(command, "--labels-from goes with one data:TENANT or name:TENANT");
    }
    return create_labels(command, &options, labels, &slots[0]);
}
