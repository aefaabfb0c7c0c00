/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_CONF_H
#define ARILI_BASE_CONF_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * The lines of a configuration file, one at a time, without a copy:
 *
 *   # a comment                      from '#' at the start of a line or behind a blank to its end
 *   [name]                           a section
 *   [name argument]                  ends with the last ']' of the line
 *   key = value                      up to the end of the line, blanks around it do not count
 *
 * Arguments and values that are empty, begin or end with blanks, or have " #" in them stand in
 * "double" or 'single' quotes, arguments with any blank too. There are no escapes, so a quoted text
 * may have anything but its own quote. Names are a-z, then a-z, 0-9, '_' and '-'. Lines end with LF
 * or CR LF. The text is UTF-8 (a byte order mark is skipped) without control characters but TAB.
 */
enum arili_conf_kind { ARILI_CONF_END = 0, ARILI_CONF_SECTION, ARILI_CONF_PAIR };

struct arili_conf {
    aril_bytes rest;
    uint32_t line; /* of what was read last, from 1 */
};
struct arili_conf_item { /* spans point into the text */
    enum arili_conf_kind kind;
    uint32_t line;
    aril_bytes name;  /* of the section or the key, never empty */
    aril_bytes value; /* argument or value; data is NULL for a section without one */
};

/* text is borrowed; it may be empty. */
struct arili_conf arili_conf_init(aril_bytes text);
/* The next section or pair; ARILI_CONF_END at the end, again and again. FORMAT_FIELD: c->line is no
 * such line, *ret_reason says why, *ret is zero, and the next call goes on behind that line. */
ARIL_MUST_USE aril_status arili_conf_next(struct arili_conf *c, struct arili_conf_item *ret,
                                          const char **ret_reason);
/* The next of "one, two, three", without the blanks around it: empty where nothing stands between
 * two commas. False when there is none left. A list that is empty has one, the empty one. *list
 * is what is left; data is NULL at its end. */
bool arili_conf_list_next(aril_bytes *list, aril_bytes *ret);
/* Whether b is this text. */
bool arili_conf_is(aril_bytes b, const char *text);
#endif
