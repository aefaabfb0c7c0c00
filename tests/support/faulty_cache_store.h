/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAULTY_CACHE_STORE_H
#define ARIL_TESTS_FAULTY_CACHE_STORE_H
#include "cache/store.h"

/*
 * A cache store around another one in which single calls fail, lose their reply, or do not come
 * back until the test lets them; or that lies about values. Without any of this it does what the
 * inner one does. All of it is scripted; nothing is random.
 *
 * Calls of get, put, erase, exists, scan, lock, unlock, publish and listen are counted. Use the
 * controls from any thread.
 */
struct faulty_cache_store;

/* Around a backend: &arili_cache_store_memory. Ends the process without memory. */
struct faulty_cache_store *faulty_cache_store_new(const struct arili_cache_store_ops *inner);
/* After every store over it was closed. */
void faulty_cache_store_free(struct faulty_cache_store *f);
/* As aril_store_open(); config->uri is the inner one's. One at a time. */
aril_status faulty_cache_store_open(struct faulty_cache_store *f, aril_runtime *rt,
                                    const aril_store_config *config, aril_store **ret,
                                    aril_error *error);

/* --- Failures. One at a time; each arm ends the one before. */

/* Let the nth call from now return st and do nothing, counted from 1. ARIL_E_TIMEOUT does not
 * wait. */
void faulty_cache_store_arm(struct faulty_cache_store *f, unsigned nth, aril_status st);
/* The nth and every one after it. */
void faulty_cache_store_arm_all(struct faulty_cache_store *f, unsigned nth, aril_status st);
/* Let the nth call be done, but return st and leave its outputs alone. */
void faulty_cache_store_arm_lost(struct faulty_cache_store *f, unsigned nth, aril_status st);
/* Let the nth call, which has items, pass over item `index` and give it that status. */
void faulty_cache_store_arm_item(struct faulty_cache_store *f, unsigned nth, size_t index,
                                 aril_status st);
/* Let the nth call wait for faulty_cache_store_release() before it is done. */
void faulty_cache_store_arm_blocked(struct faulty_cache_store *f, unsigned nth);
void faulty_cache_store_wait_blocked(struct faulty_cache_store *f);
void faulty_cache_store_release(struct faulty_cache_store *f);
/* No fault any more. fired() and last() keep their answers until the next arm. */
void faulty_cache_store_disarm(struct faulty_cache_store *f);
bool faulty_cache_store_fired(struct faulty_cache_store *f);
/* Name of the function that it was: "get"; "" before. */
const char *faulty_cache_store_last(struct faulty_cache_store *f);
unsigned faulty_cache_store_calls(struct faulty_cache_store *f);

/* --- Lies. Every get from now on; what was put through this wrapper is remembered for them, 256
 * names at most. */
enum faulty_cache_lie {
    FAULTY_CACHE_HONEST = 0,
    FAULTY_CACHE_TRUNCATE, /* values end after `number` bytes, or one byte early if not longer */
    FAULTY_CACHE_FLIP,     /* bit `number` of the value, counted modulo its length */
    FAULTY_CACHE_SWAP,     /* items 0 and 1, 2 and 3 ... of a batch have each other's values */
    FAULTY_CACHE_REPLAY,   /* the value before the newest one; also after it was deleted */
    FAULTY_CACHE_OTHER,    /* the value of another name that was put */
    FAULTY_CACHE_APPEND,   /* `number` zero bytes at the end */
    FAULTY_CACHE_LENGTH,   /* says `number` as the length; nothing is written there */
    FAULTY_CACHE_GONE      /* nothing is found, though it is there */
};
void faulty_cache_store_lie(struct faulty_cache_store *f, enum faulty_cache_lie lie, size_t number);
/* Puts answer ARIL_OK and are not done. */
void faulty_cache_store_drop_puts(struct faulty_cache_store *f, bool drop);
#endif
