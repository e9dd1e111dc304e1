// SPDX-License-Identifier: GPL-2.0
/*
 * Merge: one block for equal bytes.
 *
 * All entries that name the one block, "drop", are made to name the other,
 * "keep"; the reverse map says where they are. Nobody can tell the two apart, so
 * each entry is a change of its own: one 8-byte store, after which a crash, or a
 * reader that comes without the lock, finds the same bytes as before. Tables that
 * volumes share are changed in place for the same reason; nothing is copied.
 *
 * The two must be equal from when they were compared until the last store. The
 * host compares without the lock, as that takes long and can fail. So it begins a
 * generation, waits until all have ended who were given write access before (by a
 * grace period, and by what it knows of page tables and DMA), compares, and then
 * asks for the merge. Each write access that is given raises the generation of
 * the block under the lock. When it is still an older one here, nobody can have
 * written; and whoever asks after this finds that the block is shared (I1). A
 * writer never waits: it ends the merge by asking.
 *
 * Durability: what "keep" contains may have been stored and not flushed, as its
 * owner has not been told that it is durable. Those who get it have been told so of
 * what they had. So it is flushed before the first entry is published (P1). One
 * fence after the last one is enough (P2): before the lock is dropped nobody acts
 * on any of them.
 *
 * "drop" loses all its owners at once. It waits for a grace period as everything
 * does that owners leave (I2).
 *
 * A block of zeroes is merged with nothing: its entries are emptied.
 *
 * A chunk that is mapped by one entry keeps that as a whole, or has it replaced
 * by a node first, which all who map the chunk then share.
 *
 * All that can fail, of which most is memory, comes before the first store.
 */
#include "internal.h"

static bool is_zero(const struct daxcow_merge *m)
{
	return m->keep == DAXCOW_KEEP_ZERO;
}

/* All of it is somebody's data, and good, and nobody was given it lately. */
static int piece_check(struct daxcow_pool *pool, u64 block, u64 nr, u32 before)
{
	u64 i;

	for (i = 0; i < nr; i++) {
		const struct desc *d = space_desc(pool, block + i);

		if (desc_kind(d) != KIND_DATA || !block_owners(pool, block + i) ||
		    space_gen(pool, block + i) >= before)
			return -ESTALE;
	}
	return daxcow_bad_find(pool, block, nr) < nr ? -EIO : 0;
}

/* ---- domains ---- */

static int first_path(void *arg, struct daxcow_pool *pool, const struct way_up *p)
{
	*(u64 *)arg = p->record;
	return 1;
}

/*
 * All owners of a block are in one domain: snapshots are in their origin's, and
 * nothing else shares but a merge. So one of them tells.
 */
static int block_domain(struct daxcow_pool *pool, u64 block, __le32 *domain)
{
	const struct daxcow_record *r;
	u64 record;

	if (paths_each(pool, block, first_path, &record) != 1)
		return -ESTALE;
	if (bad_test(pool, record))
		return -EIO;
	r = pool_addr(pool, record);
	return pm_read(domain, &r->domain, sizeof(*domain));
}

/* Blocks of one domain; of neighbours in one node, or family, one tells for all. */
static int piece_domain(struct daxcow_pool *pool, u64 block, u64 nr,
			__le32 *domain)
{
	u64 line, last = ~0ULL, i;
	__le32 other;
	int ret;

	for (i = 0; i < nr; i++) {
		line = owner_line(pool, block + i);
		if (line == last)
			continue;
		last = line;
		ret = block_domain(pool, block + i, &other);
		if (ret)
			return ret;
		if (i && other != *domain)
			return -EXDEV;
		*domain = other;
	}
	return 0;
}

static int domain_check(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	__le32 keep, drop;
	int ret;

	if (is_zero(m))
		return 0;
	ret = piece_domain(pool, m->keep, m->nr, &keep);
	if (!ret)
		ret = piece_domain(pool, m->drop, m->nr, &drop);
	return ret ? ret : keep == drop ? 0 : -EXDEV;
}

/* ---- entries that name what is dropped ---- */

/* @w: of the one before, if there is one. */
static int names_each(struct daxcow_pool *pool, const struct daxcow_merge *m,
		      struct owner_walk *w, struct entry e, u64 i,
		      int (*fn)(struct daxcow_pool *pool,
				const struct daxcow_merge *m,
				const struct owner_walk *w, u64 i))
{
	u32 nr = desc_count(entry_desc(pool, e)), steps = w->steps;
	u64 near = slot_block(w->slot);
	int ret;

	owner_walk(w, pool, e);
	w->near = near;
	w->steps = steps;
	while (owner_next(w)) {
		ret = fn(pool, m, w, i);
		if (ret)
			return ret;
		nr--;
	}
	/* there is one in a table that cannot be read */
	return nr ? -EIO : 0;
}

/**
 * slots_each() - call @fn for each entry that names one of the blocks to drop
 * @pool:	the pool
 * @m:	the merge
 * @fn:	gets the walk that has found it, and of which block it is; an entry that names
 *	the whole chunk comes once
 *
 * Return: 0, or what @fn returned when that is not 0. What it was 0 for takes no more steps
 * the next time.
 */
static int slots_each(struct daxcow_pool *pool, const struct daxcow_merge *m,
		      int (*fn)(struct daxcow_pool *pool,
				const struct daxcow_merge *m,
				const struct owner_walk *w, u64 i))
{
	bool split = chunk_at(pool, m->drop)->split;
	struct owner_walk w = { .steps = 0 };
	u64 i;
	int ret;

	ret = names_each(pool, m, &w, chunk_entry(pool, m->drop), 0, fn);
	for (i = 0; i < m->nr && split && !ret; i++)
		ret = names_each(pool, m, &w, entry_data(m->drop + i), i, fn);
	return ret;
}

static struct entry entry_for(u64 first, int level, u64 i)
{
	return (struct entry) {
		.type = DAXCOW_ENTRY_DATA,
		.level = level,
		.block = level ? first : first + i,
	};
}

/* It can be read, and is what memory says. */
static int slot_check(struct daxcow_pool *pool, const struct daxcow_merge *m,
		      const struct owner_walk *w, u64 i)
{
	int level = slot_level(pool, w->slot), ret;
	u64 block = m->drop + i;
	struct entry e;

	if (w->steps > DAXCOW_MERGE_STEPS)
		return -EMLINK;
	if (level == 1 && m->nr == 1 && !m->split)
		return -EFBIG;
	if (level == 1)
		block -= chunk_index(pool, block);
	ret = tree_load(pool, w->slot, level, &e);
	if (ret)
		return ret;
	return e.type == DAXCOW_ENTRY_DATA && e.block == block ? 0 : -EUCLEAN;
}

/*
 * Those who name a table that has become empty are few enough to be told, and can be: a
 * walk does not find those that are bad, which go on to name it.
 */
static bool can_prune(struct daxcow_pool *pool, struct entry e)
{
	u32 nr = desc_count(entry_desc(pool, e));
	struct owner_walk w;

	owner_walk(&w, pool, e);
	for (; owner_next(&w); nr--)
		if (w.steps > DAXCOW_MERGE_ENTRIES || bad_test(pool, slot_block(w.slot)))
			return false;
	return !nr;
}

/*
 * A table of volumes, or a record, loses an entry, with all who share it. One that is
 * empty goes, and so on upwards: each entry that names it reads as a hole before and
 * after. With very many of these, or one in bad memory, it stays, which costs no more than
 * its block.
 */
static void slot_empty(struct daxcow_pool *pool, u64 slot)
{
	u64 block = slot_block(slot);
	struct desc *d = space_desc(pool, block);
	struct node *node = desc_node(d);
	struct owner_walk w;
	struct entry e;

	pm_publish(slot_word(pool, slot), 0);
	if (desc_kind(d) == KIND_RECORD) {
		node->root = 0;
		family_leave(pool, node);
		return;
	}
	usage_forget(pool, block);
	/* one without owners is being taken apart */
	if (--node->used || !node->count)
		return;
	e = (struct entry) {
		.type = DAXCOW_ENTRY_NODE,
		.level = desc_kind(d) - KIND_NODE,
		.block = block,
	};
	if (!can_prune(pool, e))
		return;
	owner_walk(&w, pool, e);
	while (owner_next(&w))
		slot_empty(pool, w.slot);
	owner_drop(pool, e);
	reclaim_leave(pool, e);
}

static int slot_publish(struct daxcow_pool *pool, const struct daxcow_merge *m,
			const struct owner_walk *w, u64 i)
{
	struct entry e = entry_for(m->keep, slot_level(pool, w->slot), i);

	if (is_zero(m))
		slot_empty(pool, w->slot);
	else
		pm_publish(slot_word(pool, w->slot),
			   entry_encode(&pool->crc, w->slot, e));
	return 0;
}

/* ---- a chunk that is mapped as a whole ---- */

/* All entries that name the chunk of @first, under which nothing can fail. */
static void leaf_publish(struct daxcow_pool *pool, u64 first, struct entry node)
{
	struct owner_walk w;

	owner_walk(&w, pool, entry_chunk(first));
	while (owner_next(&w)) {
		usage_forget(pool, slot_block(w.slot));
		pm_publish(slot_word(pool, w.slot),
			   entry_encode(&pool->crc, w.slot, node));
	}
	pm_fence();					/* P2 */
}

/* The node owns the blocks. Returns 0, or -ENOMEM with nothing changed. */
static int leaf_own(struct daxcow_pool *pool, u64 first, u64 node)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < DAXCOW_CHUNK_BLOCKS && !ret; i++)
		ret = owner_add(pool, slot_of(node, i), entry_data(first + i));
	if (!ret)
		return 0;
	for (i--; i-- > 0;)
		owner_del(pool, slot_of(node, i), entry_data(first + i));
	return ret;
}

static void leaf_write(struct daxcow_pool *pool, u64 first, u64 node)
{
	u32 i;

	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
		pool->scratch[i] =
			cpu_to_le64(entry_encode(&pool->crc, slot_of(node, i),
						 entry_for(first, 0, i)));
	for (; i < DAXCOW_NODE_SLOTS; i++)
		pool->scratch[i] = 0;
	desc_node(space_desc(pool, node))->used = DAXCOW_CHUNK_BLOCKS;
	pm_write(pool_addr(pool, node), pool->scratch, DAXCOW_BLOCK_SIZE);
	pm_fence();					/* P1 */
}

/*
 * Have the chunk that @block is in mapped by its blocks. One node does for all who
 * map it. Nobody leaves anything: the blocks stay where they are.
 */
static int leaf_split(struct daxcow_pool *pool, u64 block)
{
	struct entry chunk = chunk_entry(pool, block);
	struct entry node = { .type = DAXCOW_ENTRY_NODE };
	int ret;

	ret = space_split(pool, chunk_of(pool, block));
	if (!ret)
		ret = space_alloc(pool, KIND_NODE, &node.block);
	if (ret)
		return ret;
	ret = owner_reserve(pool, chunk, node);
	if (!ret)
		ret = leaf_own(pool, chunk.block, node.block);
	if (ret) {
		space_free(pool, node.block);
		return ret;
	}
	leaf_write(pool, chunk.block, node.block);
	leaf_publish(pool, chunk.block, node);
	/* who owned the chunk owns the node */
	owner_give(pool, chunk, node);
	owner_drop(pool, chunk);
	reclaim_parts(pool, chunk);
	return 0;
}

/* ---- owners ---- */

static struct entry whole(const struct daxcow_merge *m, u64 first)
{
	return entry_for(first, m->nr > 1, 0);
}

/*
 * See that what is kept can have the owners of its counterpart: the chunk those of the
 * chunk, and each block those of the block, if there are such.
 */
static int keep_reserve(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	u64 i;
	int ret = 0;

	if (is_zero(m))
		return 0;
	if (m->nr == 1 || chunk_at(pool, m->drop)->split)
		ret = space_split(pool, chunk_of(pool, m->keep));
	if (!ret && m->nr > 1)
		ret = owner_reserve(pool, whole(m, m->drop), whole(m, m->keep));
	for (i = 0; i < m->nr && !ret && chunk_at(pool, m->drop)->split; i++)
		ret = owner_reserve(pool, entry_data(m->drop + i),
				    entry_data(m->keep + i));
	return ret;
}

static void keep_own(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	u64 i;

	if (m->nr > 1)
		owner_give(pool, whole(m, m->drop), whole(m, m->keep));
	for (i = 0; i < m->nr; i++) {
		if (chunk_at(pool, m->drop)->split)
			owner_give(pool, entry_data(m->drop + i),
				   entry_data(m->keep + i));
		space_rest(pool, m->keep + i);
		if (!chunk_at(pool, m->keep)->split)
			break;
	}
}

static void drop_leave(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	u64 i;

	owner_drop(pool, whole(m, m->drop));
	for (i = 0; i < m->nr && chunk_at(pool, m->drop)->split; i++)
		owner_drop(pool, entry_data(m->drop + i));
	reclaim_leave(pool, whole(m, m->drop));
}

/* ---- the whole ---- */

/* Of a block, and of its chunk, which are found one after the other. */
static u32 pairs_of(struct daxcow_pool *pool, u64 block)
{
	u32 nr = owner_pairs(pool, chunk_entry(pool, block));

	return chunk_at(pool, block)->split ?
	       nr + owner_pairs(pool, entry_data(block)) : nr;
}

static int owners_check(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	u64 i, work = 0;

	for (i = 0; i < m->nr && !is_zero(m); i++) {
		u32 keep = pairs_of(pool, m->keep + i);
		u32 drop = pairs_of(pool, m->drop + i);

		/* each is looked for among those that are there */
		work += keep * drop;
		if (keep + drop > DAXCOW_MERGE_OWNERS ||
		    work > DAXCOW_MERGE_STEPS ||
		    block_owners(pool, m->drop + i) > DAXCOW_MERGE_ENTRIES)
			return -EMLINK;
	}
	return 0;
}

static int merge_check(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	int ret;

	if (!in_pool(pool, m->drop, m->nr) ||
	    (!is_zero(m) && !in_pool(pool, m->keep, m->nr)))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	if (m->keep == m->drop)
		return -EALREADY;
	ret = piece_check(pool, m->drop, m->nr, m->before);
	if (!ret && !is_zero(m))
		ret = piece_check(pool, m->keep, m->nr, m->before);
	if (!ret)
		ret = domain_check(pool, m);
	if (!ret)
		ret = owners_check(pool, m);
	if (!ret)
		ret = slots_each(pool, m, slot_check);
	return ret;
}

int daxcow_merge_check(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	int ret;

	pool_lock(pool);
	ret = merge_check(pool, m);
	pool_unlock(pool);
	return ret;
}

static int merge_prepare(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	int ret = 0;

	if (m->nr == 1 && desc_count(&chunk_at(pool, m->drop)->desc))
		ret = leaf_split(pool, m->drop);
	return ret ? ret : keep_reserve(pool, m);
}

int daxcow_merge(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	int ret;

	/* by its length the longest step, and as good before: see above */
	if (!is_zero(m) && in_pool(pool, m->keep, m->nr) &&
	    daxcow_bad_find(pool, m->keep, m->nr) == m->nr)
		pm_flush(pool_addr(pool, m->keep), m->nr << DAXCOW_BLOCK_SHIFT);
	pool_lock(pool);
	ret = merge_check(pool, m);
	if (!ret)
		ret = merge_prepare(pool, m);
	if (ret)
		goto out_unlock;
	if (is_zero(m))
		pool->unmapped += m->nr;
	else
		pool->merged += m->nr;
	pool->sharings++;
	pm_fence();					/* P1 */
	slots_each(pool, m, slot_publish);
	pm_fence();					/* P2 */
	if (!is_zero(m))
		keep_own(pool, m);
	drop_leave(pool, m);
out_unlock:
	pool_unlock(pool);
	return ret;
}
