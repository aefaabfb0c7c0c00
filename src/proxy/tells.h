/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_TELLS_H
#define ARILI_PROXY_TELLS_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * How often something may be told. A server can make an event with each answer, and a client with
 * each wrong password: a bucket of tokens for each tenant and kind lets the first ones through and
 * then one each second; what was left out is counted, and told as a sum.
 *
 * Threads: any, after _init().
 */
#define ARILI_TELLS_BURST   10u /* at once; then one each second */
#define ARILI_TELLS_LOGIN_S 10u /* of logins that were right, one each so many seconds */

enum arili_tell {
    ARILI_TELL_TAMPERED = 0, /* a value was not what was put there */
    ARILI_TELL_NAME,         /* a field name or member was not */
    ARILI_TELL_FOREIGN,      /* a value under another tenant's key */
    ARILI_TELL_REPLAYED,     /* a value whose time was over */
    ARILI_TELL_REMOVED,      /* what was done with a bad one */
    ARILI_TELL_ASIDE,
    ARILI_TELL_LOGIN,   /* a client is a tenant now */
    ARILI_TELL_REFUSED, /* a client is not */
    ARILI_TELL_START,   /* of the daemon */
    ARILI_TELL_RELOAD,
    ARILI_TELL_END
};
#define ARILI_TELL_KINDS 11u

struct arili_tells {
    pthread_mutex_t lock; /* of rows */
    _Atomic bool owing;   /* something may have been left out */
    struct arili_tell_row {
        uint64_t at_ns; /* when tokens was right; 0: never used */
        uint32_t tokens;
        uint64_t left_out;
    } rows[ARILI_TELL_KINDS];
};
void arili_tells_init(struct arili_tells *t);
void arili_tells_done(struct arili_tells *t);
/* Whether this one may be told. True: *ret_left_out is how many before it were not, and they are
 * forgotten. False: it is counted. now_ns: of a clock that does not go back. */
bool arili_tells_may(struct arili_tells *t, enum arili_tell kind, uint64_t now_ns,
                     uint64_t *ret_left_out);
/* The same without a new one: true when there were some, and it may be told how many. */
bool arili_tells_owes(struct arili_tells *t, enum arili_tell kind, uint64_t now_ns,
                      uint64_t *ret_left_out);
#endif
