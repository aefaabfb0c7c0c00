/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_RESP_RESP_H
#define ARILI_RESP_RESP_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * RESP2 and RESP3 (Redis serialization protocol), both directions, incremental and bounded. For the
 * Redis store (replies in, commands out) and the proxy (commands in, replies out).
 *
 * The decoder is a pull parser over bytes as they arrive. It never allocates and keeps no copy: it
 * gives events that point into the caller's input. A bulk string that is not there whole comes in
 * pieces, so a value of 512 MiB needs no buffer of the decoder, and a reader who knows where it
 * belongs can read the rest of it from the socket straight to its place (arili_resp_skip_body()).
 *
 *   while ((st = arili_resp_next(&d, &in, &event)) == ARIL_OK && event.kind != ARILI_RESP_MORE) ...
 *
 * Sources: RESP2 and RESP3 specifications of Redis; inline commands as in Redis' networking.c.
 */
#define ARILI_RESP_DEPTH_MAX 16u    /* nested aggregates; deeper is ARIL_E_FORMAT_FIELD */
#define ARILI_RESP_LINE_MAX  1024u  /* a line of a header, a number or a double */
#define ARILI_RESP_TEXT_MAX  65536u /* the longest simple string, error or inline command */

enum arili_resp_kind {
    ARILI_RESP_MORE = 0,   /* nothing further in the input */
    ARILI_RESP_SIMPLE,     /* +  text */
    ARILI_RESP_ERROR,      /* -  text */
    ARILI_RESP_INTEGER,    /* :  number */
    ARILI_RESP_BULK,       /* $  body_len, then BODY events */
    ARILI_RESP_BODY,       /* a piece of a bulk, verbatim or blob error; last: it ends here */
    ARILI_RESP_NIL,        /* $-1, *-1, _ */
    ARILI_RESP_ARRAY,      /* *  count elements follow */
    ARILI_RESP_BOOL,       /* #  number 0, 1 */
    ARILI_RESP_DOUBLE,     /* ,  text */
    ARILI_RESP_BIGNUM,     /* (  text */
    ARILI_RESP_BLOB_ERROR, /* !  as BULK */
    ARILI_RESP_VERBATIM,   /* =  as BULK; the body begins with "txt:" */
    ARILI_RESP_MAP,        /* %  count pairs: 2 * count elements follow */
    ARILI_RESP_SET,        /* ~ */
    ARILI_RESP_PUSH,       /* > */
    ARILI_RESP_ATTRIBUTE,  /* | count pairs, then the value that they are about */
    ARILI_RESP_END         /* a whole top-level value has ended */
};

struct arili_resp_event {
    enum arili_resp_kind kind;
    unsigned depth;  /* of the value: 0 for a top-level one */
    aril_bytes text; /* SIMPLE, ERROR, DOUBLE, BIGNUM, BODY; points into the input, or for an escape
                        in an inline command to a constant */
    int64_t number;  /* INTEGER, BOOL */
    uint64_t count;  /* aggregates; of NIL 1 for that of an array, "*-1", which has another text in
                        RESP2 */
    uint64_t body_len; /* BULK, BLOB_ERROR, VERBATIM */
    bool last;         /* BODY: the bulk and its CRLF were read; text may be empty */
};

struct arili_resp_limits {
    uint64_t bulk_max;  /* longest bulk; more is ARIL_E_LIMIT */
    uint64_t count_max; /* most elements of an aggregate, a pair being two; more is ARIL_E_LIMIT */
    bool resp3;         /* accept types of RESP3; else they are ARIL_E_FORMAT_KIND */
    bool commands;      /* what clients send: arrays of bulk strings, or inline commands, which come
                           as ARRAY and BULK events too; anything else is ARIL_E_FORMAT_KIND */
    bool null_bulk;     /* in commands: accept $-1 (never: Redis does not) */
};

/* All state of a decoder: plain data, copyable. */
struct arili_resp_decoder {
    struct arili_resp_limits limits;
    uint64_t left[ARILI_RESP_DEPTH_MAX]; /* elements that are still to come */
    uint64_t body_left;                  /* of the bulk that is being read */
    unsigned depth;
    uint32_t attributes;  /* bit n: left[n] counts the elements of an attribute */
    bool attributed;      /* a top-level attribute was read, its value was not */
    uint32_t inline_left; /* of the line of an inline command, with its LF */
    uint8_t state;
    uint8_t quote;      /* of the word of an inline command that is being read */
    aril_status failed; /* what it failed with; a failed decoder answers that for ever */
};
void arili_resp_decoder_init(struct arili_resp_decoder *d, const struct arili_resp_limits *limits);
/*
 * The next event. *in is the input that was not used yet; it is moved forward. ARILI_RESP_MORE:
 * what is left is the beginning of a line; call again with it and what follows it. What comes does
 * not depend on where the input is cut, but for the pieces of a body.
 *
 * Stricter than Redis where a peer gains nothing: lengths are digits without sign and leading zero
 * (or -1 for nil), lines end in CRLF, a push stands at the top level, and an inline command begins
 * with no byte that has a meaning in RESP and holds no NUL. It may end in LF alone; empty ones are
 * skipped. Streamed strings and aggregates ("$?", "*?") are refused.
 *
 * ARIL_E_FORMAT (class)  not RESP: bad type, number, CRLF; too deep; too long a line
 * ARIL_E_LIMIT           a bulk or an aggregate above the limits
 * After a failure *in and *ret are as before and zero, and the connection is worth nothing.
 */
ARIL_MUST_USE aril_status arili_resp_next(struct arili_resp_decoder *d, aril_bytes *in,
                                          struct arili_resp_event *ret);
/* While a bulk is open: bytes of its body that were not given yet, without CRLF. 0 in an inline
 * command, whose line is in the input whole, and after a failure. */
uint64_t arili_resp_body_left(const struct arili_resp_decoder *d);
/* The caller reads n bytes of the open body by itself; n is at most arili_resp_body_left(), else
 * the decoder has failed with ARIL_E_USAGE_RANGE. What the decoder is given next follows them. The
 * last BODY event comes in any case, when the CRLF was read. */
void arili_resp_skip_body(struct arili_resp_decoder *d, uint64_t n);
/* No value is half read, END was given: the connection can be used for another exchange. */
bool arili_resp_is_idle(const struct arili_resp_decoder *d);

/* --- Encoder: into the caller's buffer, as struct arili_writer counts. Every function returns the
 * bytes it wants; nothing is written when that is more than cap. Enough for any header is
 * ARILI_RESP_HEADER_BYTES. */
#define ARILI_RESP_HEADER_BYTES 24u
/* "*3\r\n", "$5\r\n", "%2\r\n", ...: the line of an aggregate or of a bulk. */
size_t arili_resp_put_header(char type, uint64_t n, uint8_t *ret, size_t cap);
size_t arili_resp_put_integer(int64_t n, uint8_t *ret, size_t cap);
/* A whole bulk string, CRLF included. */
size_t arili_resp_put_bulk(aril_bytes body, uint8_t *ret, size_t cap);
/* "+text\r\n", "-text\r\n"; CR and LF in text become spaces. */
size_t arili_resp_put_line(char type, aril_bytes text, uint8_t *ret, size_t cap);
/* $-1 or _ */
size_t arili_resp_put_nil(bool resp3, uint8_t *ret, size_t cap);
/* A whole command: an array of bulk strings. */
size_t arili_resp_put_command(const aril_bytes *args, size_t count, uint8_t *ret, size_t cap);

/* CRC16-CCITT (XMODEM) of the key, or of the hash tag in it, modulo 16384: the slot of Redis
 * Cluster (Redis Cluster specification, "Hash tags"). */
#define ARILI_RESP_SLOTS 16384u
uint16_t arili_resp_slot(aril_bytes key);
/* The part of the key between the first { and the next }, when it is not empty; else the key. */
aril_bytes arili_resp_hash_tag(aril_bytes key);
#endif
