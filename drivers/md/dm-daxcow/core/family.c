// SPDX-License-Identifier: GPL-2.0
/*
 * Families: nodes that descend from one another by copying, see owners.c.
 *
 * A node is in one family at most, from the first time on that one of its children
 * is named by somebody else as well. A record, which has one child, leaves it with that. A
 * family goes with its last node: then there is no entry any more that could be meant by
 * it, and its number is used again.
 */
#include "internal.h"

struct family *family_of(const struct daxcow_pool *pool, u32 family)
{
	return &pool->families.page[family / FAMILY_PAGE][family % FAMILY_PAGE];
}

/* More room for pages of families. */
static int pages_room(struct families *f)
{
	u32 cap = f->cap ? f->cap * 2 : 8;
	struct family **page;

	if (f->nr_pages < f->cap)
		return 0;
	page = kvcalloc(cap, sizeof(*page), GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	if (f->nr_pages)
		memcpy(page, f->page, f->nr_pages * sizeof(*page));
	kvfree(f->page);
	f->page = page;
	f->cap = cap;
	return 0;
}

/* Number 0 stands for none. */
static int page_add(struct families *f)
{
	struct family *page;
	u32 i;

	if (pages_room(f))
		return -ENOMEM;
	page = kvcalloc(FAMILY_PAGE, sizeof(*page), GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	for (i = FAMILY_PAGE; i-- > 0;) {
		u32 family = f->nr_pages * FAMILY_PAGE + i;

		if (!family)
			continue;
		page[i].nr = f->unused;
		f->unused = family;
	}
	f->page[f->nr_pages++] = page;
	return 0;
}

void family_join(struct daxcow_pool *pool, struct node *node, u32 family)
{
	struct family *f = family_of(pool, family);

	pool->moves++;
	node->family = family;
	node->next = f->first;
	node->pprev = &f->first;
	if (node->next)
		node->next->pprev = &node->next;
	f->first = node;
	f->nr++;
}

/* See that a node has one. Returns 0 or -ENOMEM. */
int family_need(struct daxcow_pool *pool, struct node *node)
{
	struct families *f = &pool->families;
	u32 family;

	if (node->family)
		return 0;
	if (!f->unused && page_add(f))
		return -ENOMEM;
	family = f->unused;
	f->unused = family_of(pool, family)->nr;
	family_of(pool, family)->nr = 0;
	family_join(pool, node, family);
	return 0;
}

void family_leave(struct daxcow_pool *pool, struct node *node)
{
	struct families *f = &pool->families;
	struct family *family;

	if (!node->family)
		return;
	pool->moves++;
	family = family_of(pool, node->family);
	*node->pprev = node->next;
	if (node->next)
		node->next->pprev = node->pprev;
	if (!--family->nr) {
		family->nr = f->unused;
		f->unused = node->family;
	}
	node->family = 0;
}

size_t families_bytes(const struct daxcow_pool *pool)
{
	const struct families *f = &pool->families;

	return f->cap * sizeof(*f->page) +
	       (size_t)f->nr_pages * FAMILY_PAGE * sizeof(**f->page);
}

void families_exit(struct daxcow_pool *pool)
{
	struct families *f = &pool->families;

	while (f->nr_pages)
		kvfree(f->page[--f->nr_pages]);
	kvfree(f->page);
}
