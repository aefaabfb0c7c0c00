/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_KEYS_TREE_H
#define ARIL_CMD_KEYS_TREE_H
#include "keys.h"

/* The slots of a keyring as the tree that they are: root, what it wraps, and below tenants and
 * models their data and name keys. A slot of which every version is destroyed is not shown,
 * unless all is set. */

/* At most so many rows below one tenant, and below the root, when not all are shown. */
#define KEYS_TREE_BELOW_TENANT 10u
#define KEYS_TREE_BELOW_ROOT   100u

/* Both answer false when out of memory. set holds all keys in the order of the library. */
bool keys_tree_print(const struct keys_set *set, bool all);
/* An object with its "children"; a new reference. */
bool keys_tree_json(const struct keys_set *set, bool all, json_t **ret);
#endif
