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

static struct chunk *chunk_at(struct daxcow_pool *pool, u64 block)
{
	return &pool->chunks[chunk_of(pool, block)];
}

static bool in_pool(struct daxcow_pool *pool, u64 block, u64 nr)
{
	u64 end = READ_ONCE(pool->nr_blocks);

	return block < end && nr <= end - block &&
	       (nr == 1 || (nr == DAXCOW_CHUNK_BLOCKS &&
			    !chunk_index(pool, block)));
}

/* All of it is somebody's data, and good, and nobody was given it lately. */
static int piece_check(struct daxcow_pool *pool, u64 block, u64 nr, u32 before)
{
	u64 i;

	for (i = 0; i < nr; i++) {
		const struct desc *d = space_desc(pool, block + i);

		if (desc_kind(d) != KIND_DATA || !desc_owners(d) ||
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

/* Blocks of one domain; of neighbours in one node one tells for all. */
static int piece_domain(struct daxcow_pool *pool, u64 block, u64 nr,
			__le32 *domain)
{
	u64 node, last = ~0ULL, i;
	__le32 other;
	int ret;

	for (i = 0; i < nr; i++) {
		node = slot_block(desc_owner(space_desc(pool, block + i), 0));
		if (node == last)
			continue;
		last = node;
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

/**
 * slots_each() - call @fn for each entry that names one of the blocks to drop
 * @pool:	the pool
 * @m:	the merge
 * @fn:	gets the entry's address, and of which block it is; an entry that names the
 *	whole chunk comes once
 *
 * Return: 0, or what @fn returned when that is not 0.
 */
static int slots_each(struct daxcow_pool *pool, const struct daxcow_merge *m,
		      int (*fn)(struct daxcow_pool *pool,
				const struct daxcow_merge *m, u64 slot, u64 i))
{
	bool split = chunk_at(pool, m->drop)->split;
	u64 i;
	u32 j;
	int ret;

	for (i = 0; i < (split ? m->nr : 1); i++) {
		const struct desc *d = space_desc(pool, m->drop + i);

		for (j = 0; j < desc_owners(d); j++) {
			u64 slot = desc_owner(d, j);

			if (i && slot_level(pool, slot) == 1)
				continue;
			ret = fn(pool, m, slot, i);
			if (ret)
				return ret;
		}
	}
	return 0;
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
		      u64 slot, u64 i)
{
	int level = slot_level(pool, slot), ret;
	u64 block = m->drop + i;
	struct entry e;

	if (level == 1 && m->nr == 1 && !m->split)
		return -EFBIG;
	if (level == 1)
		block -= chunk_index(pool, block);
	ret = tree_load(pool, slot, level, &e);
	if (ret)
		return ret;
	return e.type == DAXCOW_ENTRY_DATA && e.block == block ? 0 : -EUCLEAN;
}

static int slot_publish(struct daxcow_pool *pool, const struct daxcow_merge *m,
			u64 slot, u64 i)
{
	struct entry e = entry_for(m->keep, slot_level(pool, slot), i);

	pm_publish(slot_word(pool, slot),
		   is_zero(m) ? 0 : entry_encode(&pool->crc, slot, e));
	return 0;
}

/* ---- a chunk that is mapped as a whole ---- */

static u64 leaf_slot(struct daxcow_pool *pool, u64 block)
{
	const struct desc *d = space_desc(pool, block);
	u32 i;

	for (i = 0; i < desc_owners(d); i++)
		if (slot_level(pool, desc_owner(d, i)) == 1)
			return desc_owner(d, i);
	return 0;
}

/* All entries that name the chunk of @first, under which nothing can fail. */
static void leaf_publish(struct daxcow_pool *pool, u64 first, u64 node)
{
	struct entry e = { .type = DAXCOW_ENTRY_NODE, .block = node };
	const struct desc *d = space_desc(pool, first);
	u32 i;

	for (i = 0; i < desc_owners(d); i++) {
		u64 slot = desc_owner(d, i);

		if (slot_level(pool, slot) == 1)
			pm_publish(slot_word(pool, slot),
				   entry_encode(&pool->crc, slot, e));
	}
	pm_fence();					/* P2 */
}

/* Who owned the chunk owns the node, and the node owns the blocks. */
static void leaf_own(struct daxcow_pool *pool, u64 first, u64 node)
{
	bool again = false;
	u64 slot;
	u32 i;

	while ((slot = leaf_slot(pool, first))) {
		desc_owner_add(space_desc(pool, node), slot);
		for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++) {
			struct desc *d = space_desc(pool, first + i);

			if (again)
				desc_owner_del(d, slot);
			else
				desc_owner_move(d, slot, slot_of(node, i));
		}
		again = true;
	}
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
	pm_write(pool_addr(pool, node), pool->scratch, DAXCOW_BLOCK_SIZE);
	pm_fence();					/* P1 */
}

/*
 * Have the chunk that @block is in mapped by its blocks. One node does for all who
 * map it. Nobody leaves anything: the blocks stay where they are.
 */
static int leaf_split(struct daxcow_pool *pool, u64 block)
{
	u64 first = block - chunk_index(pool, block), node;
	int ret;

	ret = space_split(pool, chunk_of(pool, block));
	if (!ret)
		ret = space_alloc(pool, KIND_NODE, &node);
	if (ret)
		return ret;
	ret = desc_owner_reserve(space_desc(pool, node),
				 desc_owners(space_desc(pool, first)));
	if (ret) {
		space_free(pool, node);
		return ret;
	}
	leaf_write(pool, first, node);
	leaf_publish(pool, first, node);
	leaf_own(pool, first, node);
	return 0;
}

/* ---- owners ---- */

/*
 * See that each block that is kept can have the owners of its counterpart. The
 * chunks have one descriptor each, or both have one for each block.
 */
static int keep_reserve(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	u64 i;
	int ret = 0;

	if (is_zero(m))
		return 0;
	if (m->nr == 1 || chunk_at(pool, m->drop)->split)
		ret = space_split(pool, chunk_of(pool, m->keep));
	for (i = 0; i < m->nr && !ret; i++) {
		ret = desc_owner_reserve(space_desc(pool, m->keep + i),
					 desc_owners(space_desc(pool, m->drop + i)));
		if (!chunk_at(pool, m->keep)->split)
			break;
	}
	return ret;
}

static void keep_own(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	u64 i;
	u32 j;

	for (i = 0; i < m->nr; i++) {
		struct desc *keep = space_desc(pool, m->keep + i);
		const struct desc *drop = space_desc(pool, m->drop + i);

		for (j = 0; j < desc_owners(drop); j++)
			desc_owner_add(keep, desc_owner(drop, j));
		space_rest(pool, m->keep + i);
		if (!chunk_at(pool, m->keep)->split)
			break;
	}
}

static void drop_leave(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	u64 i;

	for (i = 0; i < m->nr; i++) {
		struct desc *d = space_desc(pool, m->drop + i);

		while (desc_owners(d))
			desc_owner_del(d, desc_owner(d, desc_owners(d) - 1));
	}
	reclaim_leave(pool, entry_for(m->drop, m->nr > 1, 0));
}

static int count_unmapped(void *arg, struct daxcow_pool *pool,
			  const struct way_up *p)
{
	struct daxcow_volume *vol;

	vol = volume_find_open(pool, record_volume(pool, p->record));
	if (vol)
		vol->mapped -= *(u64 *)arg;
	return 0;
}

/* Open volumes know how much they map. */
static void unmap_count(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	bool split = chunk_at(pool, m->drop)->split;
	u64 i, nr = split ? 1 : m->nr;

	for (i = 0; pool->volumes && i < (split ? m->nr : 1); i++)
		paths_each(pool, m->drop + i, count_unmapped, &nr);
}

/* ---- the whole ---- */

static int owners_check(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	u64 i;

	for (i = 0; i < m->nr && !is_zero(m); i++)
		if (desc_owners(space_desc(pool, m->keep + i)) +
		    desc_owners(space_desc(pool, m->drop + i)) >
		    DAXCOW_MERGE_OWNERS)
			return -EMLINK;
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
	if (!ret && !reclaim_can_put(pool, entry_for(m->drop, m->nr > 1, 0)))
		ret = -EBUSY;
	return ret;
}

int daxcow_merge_check(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	int ret;

	mutex_lock(&pool->lock);
	ret = merge_check(pool, m);
	mutex_unlock(&pool->lock);
	return ret;
}

static int merge_prepare(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	int ret;

	ret = reclaim_reserve(pool, 1);
	if (!ret && m->nr == 1 && leaf_slot(pool, m->drop))
		ret = leaf_split(pool, m->drop);
	return ret ? ret : keep_reserve(pool, m);
}

int daxcow_merge(struct daxcow_pool *pool, const struct daxcow_merge *m)
{
	int ret;

	/* by its length the longest step, and as good before: see above */
	if (!is_zero(m) && in_pool(pool, m->keep, m->nr))
		pm_flush(pool_addr(pool, m->keep), m->nr << DAXCOW_BLOCK_SHIFT);
	mutex_lock(&pool->lock);
	ret = merge_check(pool, m);
	if (!ret)
		ret = merge_prepare(pool, m);
	if (ret)
		goto out_unlock;
	if (is_zero(m)) {
		unmap_count(pool, m);
		pool->unmapped += m->nr;
	} else {
		pool->merged += m->nr;
	}
	pm_fence();					/* P1 */
	slots_each(pool, m, slot_publish);
	pm_fence();					/* P2 */
	if (!is_zero(m))
		keep_own(pool, m);
	drop_leave(pool, m);
out_unlock:
	mutex_unlock(&pool->lock);
	return ret;
}

bool daxcow_exclusive(struct daxcow_pool *pool, u64 block, u64 nr)
{
	u64 node, last = ~0ULL, i;
	bool ret = false;

	mutex_lock(&pool->lock);
	for (i = 0; i < nr && !ret && in_pool(pool, block + i, 1); i++) {
		const struct desc *d = space_desc(pool, block + i);

		if (desc_kind(d) != KIND_DATA || !desc_exclusive(d) ||
		    !space_gen(pool, block + i))
			continue;
		/* neighbours have the same way up from their node */
		node = slot_block(desc_owner(d, 0));
		if (node == last)
			continue;
		last = node;
		do {
			ret = desc_kind(d) == KIND_RECORD;
			if (!ret)
				d = space_desc(pool, slot_block(desc_owner(d, 0)));
		} while (!ret && desc_exclusive(d));
	}
	mutex_unlock(&pool->lock);
	return ret;
}

bool daxcow_shared(struct daxcow_pool *pool, u64 block)
{
	const struct desc *d;
	bool ret = false;

	mutex_lock(&pool->lock);
	if (!in_pool(pool, block, 1))
		goto out_unlock;
	for (d = space_desc(pool, block); ; ) {
		ret = desc_owners(d) > 1 || desc_pending(d);
		if (ret || desc_owners(d) != 1 || desc_kind(d) == KIND_RECORD)
			break;
		d = space_desc(pool, slot_block(desc_owner(d, 0)));
	}
out_unlock:
	mutex_unlock(&pool->lock);
	return ret;
}
