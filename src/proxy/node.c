/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "proxy/loop_internal.h"

/* The servers that a loop knows of: one, or those of a Cluster. */

/* The smallest one: cursors of SCAN have room for ARILI_NODES_MAX. */
static uint32_t free_index(const struct arili_loop *loop)
{
    uint32_t index = 0;
    const struct arili_node *n = loop->nodes;
    while (n != NULL) {
        const bool taken = n->index == index;
        index += taken ? 1 : 0;
        n = taken ? loop->nodes : n->next;
    }
    return index;
}

struct arili_node *arili_node_of(struct arili_loop *loop, const struct arili_address *address)
{
    struct arili_node **at = &loop->nodes;
    for (; *at != NULL; at = &(*at)->next) {
        if (arili_address_equal(&(*at)->address, address)) {
            return *at;
        }
    }
    struct arili_node *node = loop->node_count < ARILI_NODES_MAX ? arili_alloc(sizeof *node) : NULL;
    if (node != NULL) {
        node->address = *address;
        node->index = free_index(loop);
        loop->node_count++;
        *at = node;
    }
    return node;
}

bool arili_node_is_down(const struct arili_loop *loop, const struct arili_node *node)
{
    return node->failures > 0 && node->retry_at_ns > loop->now_ns;
}

static bool is_used(const struct arili_loop *loop, const struct arili_node *node)
{
    for (const struct arili_peer *p = loop->all_links; p != NULL; p = p->next) {
        if (((const struct arili_link *)p)->node == node) {
            return true;
        }
    }
    return false;
}

/* While a map is read, nodes of it are still without a link. */
void arili_nodes_reap(struct arili_loop *loop)
{
    struct arili_node **at = &loop->nodes;
    while (*at != NULL && !loop->map_loading) {
        struct arili_node *node = *at;
        while (node->gone && node->idle != NULL) {
            arili_link_lost(node->idle, ARIL_E_INTERRUPTED, "its server has left the Cluster");
        }
        if (node->gone && !is_used(loop, node)) {
            *at = node->next;
            loop->node_count--;
            arili_free(node, sizeof *node);
        } else {
            at = &node->next;
        }
    }
}
