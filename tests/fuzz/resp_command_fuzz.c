/* SPDX-License-Identifier: Apache-2.0 */
/* Target: arili_resp_next() for commands, arili_resp_put_command(). Corpus: corpus/resp_command/,
 * what a client sends.
 * Properties: those of resp_events.h; where the input is cut changes nothing; the commands that
 * were read, written again, are the same commands. */
#include "parties.h"
#include "resp_events.h"
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX 4096u
#define BULK_MAX        2000u
#define COUNT_MAX       64u
/* An inline command of two bytes becomes eleven of RESP; nothing grows more. */
#define OUTPUT_BYTES_MAX ((size_t)16 * INPUT_BYTES_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct arili_resp_limits LIMITS = { .bulk_max = BULK_MAX,
                                                 .count_max = COUNT_MAX,
                                                 .commands = true };

static void demand_same(aril_bytes in, size_t step, const struct resp_events *whole)
{
    struct resp_events e = resp_events_of(&LIMITS, in, step);
    parties_demand(e.status == whole->status && (e.used == whole->used || e.status != ARIL_OK) &&
                   e.is_idle == whole->is_idle && strcmp(e.text, whole->text) == 0);
    resp_events_free(&e);
}

/* One command as it is read. Words never have more bytes than their input. */
struct command {
    aril_bytes args[COUNT_MAX];
    size_t count;
    uint8_t bytes[INPUT_BYTES_MAX];
    size_t used;
};

static void collect(struct command *c, const struct arili_resp_event *e)
{
    switch (e->kind) {
    case ARILI_RESP_ARRAY:
        c->count = 0;
        c->used = 0;
        break;
    case ARILI_RESP_BULK:
        parties_demand(c->count < COUNT_MAX);
        c->args[c->count++] = (aril_bytes){ c->bytes + c->used, 0 };
        break;
    case ARILI_RESP_BODY:
        parties_demand(c->count > 0 && e->text.len <= sizeof c->bytes - c->used);
        if (e->text.len > 0) {
            memcpy(c->bytes + c->used, e->text.data, e->text.len);
        }
        c->used += e->text.len;
        c->args[c->count - 1].len += e->text.len;
        break;
    default:
        break;
    }
}

/* All whole commands of the input, as arrays of bulk strings. */
static size_t write_again(aril_bytes in, uint8_t *ret)
{
    static struct command command;
    struct arili_resp_decoder d;
    struct arili_resp_event e = { .kind = ARILI_RESP_MORE };
    size_t len = 0;
    arili_resp_decoder_init(&d, &LIMITS);
    while (arili_resp_next(&d, &in, &e) == ARIL_OK && e.kind != ARILI_RESP_MORE) {
        collect(&command, &e);
        if (e.kind == ARILI_RESP_END) {
            const size_t room = OUTPUT_BYTES_MAX - len;
            const size_t wanted =
                arili_resp_put_command(command.args, command.count, ret + len, room);
            parties_demand(wanted <= room);
            len += wanted;
        }
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > INPUT_BYTES_MAX) {
        return 0;
    }
    const aril_bytes in = { data, len };
    struct resp_events whole = resp_events_of(&LIMITS, in, 0);
    demand_same(in, 1, &whole);
    demand_same(in, 7, &whole);
    uint8_t *const out = malloc(OUTPUT_BYTES_MAX);
    parties_demand(out != NULL);
    const size_t out_len = write_again(in, out);
    struct resp_events again = resp_events_of(&LIMITS, (aril_bytes){ out, out_len }, 0);
    parties_demand(again.status == ARIL_OK && again.is_idle && again.used == out_len);
    parties_demand(again.len <= whole.len && memcmp(again.text, whole.text, again.len) == 0);
    parties_demand(!whole.is_idle || again.len == whole.len);
    resp_events_free(&again);
    resp_events_free(&whole);
    free(out);
    return 0;
}
