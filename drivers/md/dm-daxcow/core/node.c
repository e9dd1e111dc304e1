// SPDX-License-Identifier: GPL-2.0
/*
 * What memory knows of a node beside its descriptor.
 */
#include "internal.h"

/* Some changes' worth. */
#define SPARE_NODES	(8 * (DAXCOW_MAX_LEVEL + 1))

static void spare_add(struct daxcow_pool *pool, struct node *node)
{
	node->next = pool->spare;
	pool->spare = node;
	pool->nr_spare++;
}

/*
 * A write needs some of them, and one that fails for want of memory shuts a file system
 * down. So there are always some in store, which is filled up when it can be.
 */
struct node *node_alloc(struct daxcow_pool *pool, u64 block)
{
	struct node *node = kvzalloc(sizeof(*node), GFP_KERNEL), *more;

	if (node && pool->nr_spare < SPARE_NODES) {
		more = kvzalloc(sizeof(*more), GFP_KERNEL);
		if (more)
			spare_add(pool, more);
	}
	if (!node && pool->spare) {
		node = pool->spare;
		pool->spare = node->next;
		pool->nr_spare--;
		memset(node, 0, sizeof(*node));
	}
	if (!node)
		return NULL;
	node->block = block;
	pool->nr_nodes++;
	return node;
}

void node_free(struct daxcow_pool *pool, struct node *node)
{
	family_leave(pool, node);
	if (pool->nr_spare < SPARE_NODES)
		spare_add(pool, node);
	else
		kvfree(node);
	pool->nr_nodes--;
}

void nodes_exit(struct daxcow_pool *pool)
{
	while (pool->spare) {
		struct node *node = pool->spare;

		pool->spare = node->next;
		kvfree(node);
	}
}
