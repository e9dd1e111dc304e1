// SPDX-License-Identifier: GPL-2.0
/*
 * Where two volumes of a pool differ.
 *
 * Both trees are walked together. Where the two entries for a range name the same
 * node, the same chunk or the same block, all below is the same. A tree that is
 * lower than the other one is the first child of what is above it, and the others
 * are empty; a chunk against a node is taken block by block.
 */
#include "internal.h"
#include "delta.h"

/* What one volume has for a range: an entry of a node of level @at. */
struct side {
	struct entry e;
	int at;
};

struct delta {
	struct daxcow_pool *pool;
	delta_fn fn;
	void *arg;
	/* not told yet: it may go on */
	enum delta_kind kind;
	u64 vblk, nr;
};

static int flush(struct delta *d)
{
	int ret = d->nr ? d->fn(d->arg, d->kind, d->vblk, d->nr) : 0;

	d->nr = 0;
	return ret;
}

static int tell(struct delta *d, enum delta_kind kind, u64 vblk, u64 nr)
{
	int ret;

	if (d->nr && d->kind == kind && d->vblk + d->nr == vblk) {
		d->nr += nr;
		return 0;
	}
	ret = flush(d);
	d->kind = kind;
	d->vblk = vblk;
	d->nr = nr;
	return ret;
}

static bool is_none(struct side s)
{
	return s.e.type == DAXCOW_ENTRY_NONE;
}

static bool is_data(struct side s, int level)
{
	return s.e.type == DAXCOW_ENTRY_DATA && s.at == level;
}

/* The part for child @i, of what is there for a range of @level. */
static int child(struct daxcow_pool *pool, struct side s, int level,
		 unsigned int i, struct side *c)
{
	*c = (struct side) { .e.type = DAXCOW_ENTRY_NONE, .at = level - 1 };
	if (is_none(s))
		return 0;
	if (s.at < level) {
		if (!i)
			*c = s;
		return 0;
	}
	if (is_chunk(s.e)) {
		c->e = (struct entry) {
			.type = DAXCOW_ENTRY_DATA,
			.block = s.e.block + i,
		};
		return 0;
	}
	return tree_load(pool, slot_of(s.e.block, i), level - 1, &c->e);
}

/* Ends at level 0 at the latest: depth is bounded by the levels. */
static int compare(struct delta *d, struct side a, struct side b, int level,
		   u64 vblk)
{
	u64 span = level_span(level);
	unsigned int i;
	int ret = 0;

	if (a.at == b.at && a.e.type == b.e.type && a.e.block == b.e.block)
		return 0;
	if (is_none(a) && is_none(b))
		return 0;
	if (is_none(b) && is_data(a, level))
		return tell(d, DELTA_LEFT, vblk, span);
	if (is_none(a) && is_data(b, level))
		return tell(d, DELTA_RIGHT, vblk, span);
	if (is_data(a, level) && is_data(b, level))
		return tell(d, DELTA_DIFFER, vblk, span);
	for (i = 0; i < DAXCOW_NODE_ENTRIES && !ret; i++) {
		struct side x, y;

		ret = child(d->pool, a, level, i, &x);
		if (!ret)
			ret = child(d->pool, b, level, i, &y);
		if (!ret)
			ret = compare(d, x, y, level - 1,
				      vblk + i * level_span(level - 1));
	}
	return ret;
}

static int root_of(struct daxcow_pool *pool, u32 id, struct side *s)
{
	u64 slot, record;
	int ret = dir_find(pool, id, &slot, &record);

	if (!ret)
		ret = tree_load(pool, root_slot(record), ROOT_LEVEL, &s->e);
	/* the root entry is one for a range of its own node's level, and one up */
	s->at = s->e.level + 1;
	return ret;
}

int delta_volumes(struct daxcow_pool *pool, u32 left, u32 right, delta_fn fn,
		  void *arg)
{
	struct delta d = { .pool = pool, .fn = fn, .arg = arg };
	struct side a, b;
	int ret;

	ret = root_of(pool, left, &a);
	if (!ret)
		ret = root_of(pool, right, &b);
	if (!ret)
		ret = compare(&d, a, b, max(a.at, b.at), 0);
	return ret ? ret : flush(&d);
}
