// SPDX-License-Identifier: GPL-2.0
/*
 * Merges, as one who looks for equal blocks and the host do them. What a volume
 * shows stays the same, whatever comes of it.
 */
#include <string.h>
#include "check.h"
#include "persist.h"
#include <daxcow/pmem.h>

struct merges merges;

bool op_merges(const struct op *op)
{
	return op->kind >= OP_MERGE && op->kind <= OP_MERGE_ZERO_CHUNK;
}

static bool two_volumes(const struct op *op)
{
	return op->kind <= OP_MERGE_CHUNK;
}

/* ---- the arrays ---- */

static bool nothing(const struct content *c)
{
	return !c->first && !c->word && !c->second;
}

/*
 * What a store of one word makes @c equal to: not a hole, which is nothing, and not
 * itself.
 */
static bool nearly_equal(const struct content *c, const struct content *other)
{
	return !nothing(other) && c->first == other->first &&
	       c->second == other->second;
}

static bool stored_apply(struct world *w, const struct op *op)
{
	struct content *c = &w->volume[op->volume].at[op->place];
	u32 i;

	if (place[op->place] >= w->volume[op->volume].size)
		return false;
	for (i = 0; i < NR_PLACES; i++) {
		const struct content *o = &w->volume[op->other].at[i];

		if (o != c && nearly_equal(c, o)) {
			c->word = o->word;
			break;
		}
	}
	return true;
}

bool merge_apply(struct world *w, const struct op *op)
{
	if (!w->volume[op->volume].exists ||
	    (two_volumes(op) && !w->volume[op->other].exists))
		return false;
	return op->kind != OP_MERGE_STORED || stored_apply(w, op);
}

/* ---- a real pool ---- */

struct volumes {
	struct daxcow_volume *keep, *drop;
};

static bool equal(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	const u8 *p = daxcow_block_addr(pool, m->drop);
	size_t len = m->nr << DAXCOW_BLOCK_SHIFT;

	if (m->keep == DAXCOW_KEEP_ZERO)
		return !*p && !memcmp(p, p + 1, len - 1);
	return !memcmp(p, daxcow_block_addr(pool, m->keep), len);
}

/* Where @nr blocks lie in a row, and @nr of them are a whole chunk. */
static bool find(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block)
{
	return daxcow_lookup(vol, vblk, nr, block) == (long)nr &&
	       *block != DAXCOW_HOLE && (nr == 1 || !(*block % nr));
}

/* One of other's places that has a block of its own with the same bytes. */
static bool find_equal(struct daxcow_pool *pool, const struct volumes *v,
		       struct daxcow_merge *m)
{
	const u8 *p = daxcow_block_addr(pool, m->keep);
	u32 i;

	/* what is all zero is left to the other kind of merge */
	if (!*p && !memcmp(p, p + 1, DAXCOW_BLOCK_SIZE - 1))
		return false;
	for (i = 0; i < NR_PLACES; i++)
		if (find(v->drop, place[i], 1, &m->drop) &&
		    m->drop != m->keep && equal(pool, m))
			return true;
	return false;
}

/* What a scanner comes with; false when it finds nothing. */
static bool choose(struct daxcow_pool *pool, const struct volumes *v,
		   const struct op *op, struct daxcow_merge *m)
{
	u64 vblk = place[op->place];

	m->nr = 1;
	if (op->kind == OP_MERGE_CHUNK || op->kind == OP_MERGE_ZERO_CHUNK)
		m->nr = DAXCOW_CHUNK_BLOCKS;
	m->keep = DAXCOW_KEEP_ZERO;
	switch (op->kind) {
	case OP_MERGE:
		return find(v->keep, vblk, 1, &m->keep) &&
		       find_equal(pool, v, m);
	case OP_MERGE_CHUNK:
		return find(v->keep, vblk, m->nr, &m->keep) &&
		       find(v->drop, vblk, m->nr, &m->drop) &&
		       m->keep != m->drop && equal(pool, m);
	default:
		return find(v->keep, vblk, m->nr, &m->drop) && equal(pool, m);
	}
}

static void count(const struct daxcow_merge *m)
{
	if (m->keep == DAXCOW_KEEP_ZERO)
		merges.zero++;
	else if (m->nr > 1)
		merges.chunks++;
	else
		merges.blocks++;
	merges.splits += m->split;
}

/* As the host does it: see core/merge.c. */
static void merge(struct daxcow_pool *pool, struct daxcow_merge *m)
{
	int ret;

	merges.tried++;
	ret = daxcow_generation_begin(pool, &m->before);
	if (ret)
		fail("no generation: %d", ret);
	grace_period();
	rest();
	switch_threads();
	if (!equal(pool, m)) {
		if (alone())
			fail("what nobody writes has changed");
		return;
	}
	ret = daxcow_merge(pool, m);
	if (ret == -EFBIG) {
		m->split = true;
		ret = daxcow_merge(pool, m);
	}
	if (!ret)
		count(m);
	else if (ret == -ESTALE && !alone())
		merges.stale++;
	else if (ret != -ENOSPC || !m->split)
		fail("merge fails with %d", ret);
}

/*
 * The owner of what is kept stores what makes it equal, and flushes that when all is
 * over. Those who are given it have been told that what they had is durable.
 */
static int merge_stored(struct daxcow_pool *pool, const struct volumes *v,
			const struct op *op)
{
	struct daxcow_merge m = { .nr = 1 };
	__le64 *keep, *drop = NULL;
	u64 vblk = place[op->place];
	u32 i;
	long ret;

	ret = daxcow_provision(v->keep, vblk, 1, &m.keep);
	if (ret < 0)
		return ret;
	keep = daxcow_block_addr(pool, m.keep);
	for (i = 0; i < NR_PLACES && !drop; i++) {
		if (!find(v->drop, place[i], 1, &m.drop) || m.drop == m.keep)
			continue;
		drop = daxcow_block_addr(pool, m.drop);
		if (!nearly_equal(&(struct content) { keep[0], 0, keep[HALF] },
				  &(struct content) { drop[0], drop[WORD],
						      drop[HALF] }))
			drop = NULL;
	}
	if (!drop)
		return 0;
	pm_store(&keep[WORD], le64_to_cpu(drop[WORD]));
	merge(pool, &m);
	pm_flush(&keep[WORD], 8);
	pm_fence();
	return 0;
}

static int open_both(struct daxcow_pool *pool, const struct op *op,
		     struct volumes *v)
{
	u32 other = two_volumes(op) ? op->other : op->volume;
	int ret;

	ret = daxcow_open(pool, op->volume, &v->keep);
	if (ret)
		return ret;
	ret = daxcow_open(pool, other, &v->drop);
	if (ret)
		daxcow_close(v->keep);
	return ret;
}

static void close_both(const struct volumes *v)
{
	daxcow_close(v->keep);
	daxcow_close(v->drop);
}

int merge_do(struct daxcow_pool *pool, const struct op *op)
{
	struct daxcow_merge m = { 0 };
	bool found = false;
	struct volumes v;
	int ret;

	in_one_go(true);
	ret = open_both(pool, op, &v);
	if (!ret && op->kind == OP_MERGE_STORED) {
		ret = -EINVAL;
		if (place[op->place] < daxcow_volume_size(v.keep))
			ret = merge_stored(pool, &v, op);
		close_both(&v);
	} else if (!ret) {
		found = choose(pool, &v, op, &m);
		/* they may be deleted meanwhile */
		close_both(&v);
	}
	in_one_go(false);
	if (found)
		merge(pool, &m);
	return ret;
}
