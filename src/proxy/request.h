/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_REQUEST_H
#define ARILI_PROXY_REQUEST_H
#include "proxy/commands.h"
#include "proxy/flow.h"
#include "proxy/tenant.h"
#include "resp/resp.h"

/*
 * One command under way: what was asked of a server, what its answer means, and what of the
 * client's answer is there. A client's requests are answered in order, so only the first one writes
 * to the client; the others gather.
 */
struct arili_client;
struct arili_link;
struct arili_node;
struct arili_job;
struct arili_settings;

/* What a server's answer is, and so what becomes of it. */
enum arili_shape {
    ARILI_SHAPE_RAW = 0, /* as it is */
    ARILI_SHAPE_VALUE,   /* one sealed value, or nil; anything else as it is */
    ARILI_SHAPE_VALUES,  /* an array of sealed values, contexts[i] each; or nil */
    ARILI_SHAPE_FIELDS,  /* an array of sealed field names; a single one; or nil */
    ARILI_SHAPE_PAIRS,   /* field, value, field, value ...: array, map or nested pairs */
    ARILI_SHAPE_HVALUES, /* the same, of which only values go to the client */
    ARILI_SHAPE_MEMBERS, /* sealed members: array, set, a single one, or nil */
    ARILI_SHAPE_SCAN,    /* cursor, names of keys */
    ARILI_SHAPE_HSCAN,   /* cursor, fields and values */
    ARILI_SHAPE_SSCAN,   /* cursor, members */
    ARILI_SHAPE_LENGTH,  /* the length of a sealed value, of which the client hears the plaintext's
                          */
    ARILI_SHAPE_EXEC,    /* an array with the answers of the transaction */
    ARILI_SHAPE_COLLECT, /* of a job: kind, number and text are kept in got */
    ARILI_SHAPE_PLAIN,   /* of a job: a sealed value, whose plaintext is kept in hold */
    ARILI_SHAPE_NAMES,   /* of a job: cursor in got, each name to job->name() */
    ARILI_SHAPE_SLOTS,   /* of a job: the map of a Cluster */
    ARILI_SHAPE_COUNT,   /* a number that is added to *sum of the request it is a part of */
    ARILI_SHAPE_NOTHING  /* nothing reaches the client but an error, through the sum */
};

/* How a value ended. */
enum arili_ending {
    ARILI_ENDING_HIT = 0,
    ARILI_ENDING_MISS,    /* not there */
    ARILI_ENDING_EXPIRED, /* past its not-after, or of an ended generation */
    ARILI_ENDING_TAMPERED,
    ARILI_ENDING_KEY_GONE,
    ARILI_ENDING_TOO_LONG,
    ARILI_ENDING_FAILED /* no memory, no cipher: status */
};

/* A value that is being opened. What is behind said is not cleared between two values. */
struct arili_opening {
    bool active, skipping; /* skipping: the rest of the body is of no use */
    bool streaming;        /* leaves segment by segment */
    bool streamed;         /* some of it has left */
    bool begun;            /* opener holds a cipher */
    bool reserved;         /* plain_bytes of the budget */
    enum arili_ending ending;
    aril_status status;
    uint64_t stored_bytes, plain_bytes;
    uint32_t header_len;
    aril_tenant_key *key;
    struct arili_block
        *whole_in;    /* all of it came at once: its plaintext is whole, in this block, */
    aril_bytes whole; /* which is borrowed, and hold is empty; NULL: it is in hold */
    struct arili_value_header said;
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
    uint8_t header[ARILI_VALUE_HEADER_BYTES]; /* header_len of it */
    struct arili_value_opener opener;
};

/* Values that failed their check: what the policy wants is done before the client hears of it. */
struct arili_bad {
    struct arili_bad *next;
    uint8_t
        header[ARILI_VALUE_HEADER_BYTES]; /* as it was found, so that only that one is removed */
    uint32_t header_len;
    bool in_hash;
    size_t key_len, field_len; /* field: as the store has it */
    uint8_t text[];            /* key, field */
};

/* What of a part of an answer was gathered whole. */
struct arili_got {
    enum arili_resp_kind kind;
    int64_t number;
    uint64_t count;
    size_t len;
    bool cut;                        /* there was more */
    bool inner_error;                /* an element of the array is an error, or the text of it is */
    enum arili_resp_kind inner_kind; /* the last element of an array */
    int64_t inner_number;
    uint8_t text[512];
};

/* Several requests that are one command: children of a split one. */
struct arili_sum {
    uint32_t refs;
    bool ok_alone; /* "+OK" is the answer, not the number */
    int64_t number;
    char error[256]; /* the first one; empty: none */
};

#define ARILI_REQUEST_KEY_ROOM 64u
struct arili_request {
    /* Empty in one that is new; their memory is kept from one request to the next. */
    struct arili_flow out;   /* what of the answer could not go to the client yet */
    struct arili_flow hold;  /* plaintext that was not verified, or a job's */
    struct arili_flow items; /* elements, when their count is known last */
    struct arili_flow mine;

    struct arili_request *next; /* from here to value: all zero in one that is new */
    struct arili_loop *loop;
    struct arili_client *client; /* NULL: of a job, or the client is gone */
    struct arili_job *job;
    struct arili_node *asked_at; /* a Cluster: where it was sent */
    struct arili_link *link;     /* that owes the answer; NULL: answered, or not sent */
    const struct arili_command *command;
    uint64_t began_ns;
    enum arili_shape shape;
    bool answered; /* all of the answer came */
    bool frozen;   /* a job has to end before more goes to the client */
    bool resp3;
    bool silent;            /* says nothing to the client itself */
    bool wrong_type_is_nil; /* MGET */
    bool sum_last;          /* the last part of its sum */
    bool here;              /* in a transaction: mine is the answer, the server's is dropped */
    uint8_t redirects;
    uint32_t database;
    uint8_t *sent; /* a Cluster: what was sent, to send it elsewhere; NULL: cannot */
    size_t sent_len;
    uint16_t slot;

    struct arili_tenant *tenant;
    struct arili_tenant_keys *keys; /* a reference */
    uint8_t *key;                   /* the client's key, of key_len bytes */
    size_t key_len;
    struct arili_place *place; /* of it; for hashes and sets */
    /* Of each value in the answer: its context, and its key or its field as the store has it. */
    struct arili_asked {
        uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
        aril_bytes text; /* in room */
    } * asked, asked_one;
    uint32_t asked_count;
    bool in_hash; /* the texts are fields of key */
    uint8_t *room;
    size_t room_len, room_at;
    const struct arili_policy_config *policy;
    struct arili_settings *settings; /* a reference: those that policy is of */
    aril_bytes pattern;              /* SCAN MATCH, in room; len 0: none */
    uint32_t node;                   /* SCAN over a Cluster: which node */

    /* Of the answer that is being read. */
    uint32_t element; /* of the outermost aggregate */
    uint32_t base;    /* depth of this answer: 0, or 1 inside EXEC */
    uint64_t item_count;
    size_t counted;  /* of the budget of memory, for what is not in flows */
    uint8_t *gather; /* a name or member that comes in pieces */
    size_t gather_len, gather_cap;
    bool gather_bad;    /* longer than any of ours */
    bool gather_failed; /* memory was short */
    uint8_t *field;     /* PAIRS: the name of the field whose value comes next, opened */
    size_t field_len, field_cap;
    uint8_t field_context[ARILI_CACHE_CONTEXT_BYTES];
    enum arili_ending field_ending; /* HIT, TAMPERED: it did not open, or FAILED */
    bool field_unwanted;            /* it opened, and does not match the pattern */
    enum arili_ending spoiled;      /* of an element for which the list is an error; HIT: none */
    aril_status spoiled_status;     /* of it */
    uint64_t spoiled_bytes;
    bool nested;              /* pairs come as arrays of two */
    bool in_value, in_gather; /* what the body events belong to */
    char aggregate;           /* type of the one that is put together */
    struct arili_bad *bad;
    bool held_back; /* what follows goes out once the bad values are removed */
    bool torn;      /* something had gone out by then */
    struct arili_sum *sum;
    struct arili_request *transaction; /* EXEC: what it answers, in order */
    struct arili_request *exec;        /* the one that answers this one */
    struct arili_request *current;     /* of these, the one whose answer is being read */
    bool begun;                        /* an event of the answer came */
    bool said;                         /* something of it went to the client */
    bool cut;         /* a value that was streamed was bad at its end: the client must be closed */
    bool moved;       /* MOVED or ASK: to be sent elsewhere; got.text says where */
    uint64_t pending; /* values of the answer that are still to come */

    /* A piece of a value that waits for its key. */
    struct arili_block *waiting;
    aril_span waiting_piece;
    bool waiting_last;
    bool wants_memory; /* or for memory */
    uint64_t waits_ns; /* since when; 0: it does not */

    /* Large: only their beginnings are cleared. */
    struct arili_opening value;
    struct arili_got got;
    uint8_t key_room[ARILI_REQUEST_KEY_ROOM]; /* where key is, when it is short */
};

/* With its loop's blocks, from those that the loop kept. NULL: no memory. */
struct arili_request *arili_request_new(struct arili_loop *loop);
void arili_request_free(struct arili_loop *loop, struct arili_request *r); /* NULL is fine */
/* It has so many bytes more, which count with the rest of the memory. */
void arili_request_count(struct arili_request *r, size_t bytes);
/* The memory of those that the loop kept. */
void arili_requests_done(struct arili_loop *loop);
/* Keeps copies of what the answer will need. NOMEM. */
ARIL_MUST_USE aril_status arili_request_keep_key(struct arili_request *r, aril_bytes key);
ARIL_MUST_USE aril_status arili_request_keep_room(struct arili_request *r, size_t n);

/* --- reply_form.c: which answers a command has ---------------------------------------------- */

/* Whether an event that begins something belongs to an answer to r. */
bool arili_reply_fits(const struct arili_request *r, const struct arili_resp_event *e,
                      unsigned depth);
/* All of the answer was read: whether nothing is missing in it. */
bool arili_reply_is_whole(const struct arili_request *r);
/* The first event of an answer to EXEC. */
bool arili_exec_fits(const struct arili_resp_event *e, uint64_t commands);

/* --- reply.c: answers ----------------------------------------------------------------------- */

enum arili_heard {
    ARILI_HEARD = 0,     /* go on */
    ARILI_HEARD_ALL,     /* the answer is there, whole */
    ARILI_HEARD_WAIT,    /* a key or memory has to be had first: no more events until resumed */
    ARILI_HEARD_NONSENSE /* end the link */
};
/* An event of the answer to r. block: where event->text lies, to share it; it may be changed in
 * place. */
enum arili_heard arili_reply_event(struct arili_request *r, const struct arili_resp_event *event,
                                   struct arili_block *block);
/* What was waited for may be there: look again. */
enum arili_heard arili_reply_resume(struct arili_request *r);
/* The answer will not come: the client hears text as an error, where it heard nothing yet. False:
 * it heard something, and must be closed. */
bool arili_reply_fail(struct arili_request *r, const char *text);
/* Tell log and audit sink that the value of text, a key or a field of r's key, is bad. */
void arili_bad_tell(struct arili_request *r, aril_bytes text);
void arili_bad_free(struct arili_bad *bad); /* and all behind it */
/* That a field name or a member of r's key is. */
void arili_bad_name_tell(struct arili_request *r);
/* That the value of text, which is authentic, was given out after its end: by more than this, for
 * a server goes by its own clock. */
#define ARILI_REPLAY_GRACE_MS 2000u
void arili_replay_tell(struct arili_request *r, aril_bytes text);
/* What the client hears as the cursor of a scan. */
uint64_t arili_cursor_out(const struct arili_request *r, uint64_t cursor);
/* Where the answer goes now. */
struct arili_flow *arili_reply_out(struct arili_request *r);
#endif
