// SPDX-License-Identifier: GPL-2.0
/*
 * Where a volume's leaves are, the tables of level 0.
 *
 * Of the tables on the way to a block only the last one differs from one block to the next.
 * It is remembered for each open volume when all of the way to it was the volume's own, and
 * none of it stale; with it pool->shape, which is another number once any table that had
 * one owner has more, or none, or memory has failed. As long as it is the same nothing has
 * come between the volume and a table that was reached through tables of one owner. A
 * volume that gets another record or root loses what had been, and one of its tables that
 * is stale was shared. Tables that are new, another volume's first writes, change nothing.
 *
 * pool->shape changes under the lock only. So who has the lock can go by what is remembered
 * as it is; who looks without it, own_granted(), does so between two looks at pool->seq. He
 * may be late when he remembers what he has found: that has a former shape, and nobody uses
 * it. One at a time writes; who finds that somebody does goes without.
 *
 * Who does not pass the entries above a leaf does not see when one is damaged: what is
 * written then goes to where it went before, and is not found by who reads. Memory that the
 * host knows to be bad is another matter, see above.
 */
#include "internal.h"

static inline struct leaf *leaf_slot(struct daxcow_volume *vol, u64 vblk)
{
	return &vol->leaf[(vblk >> DAXCOW_NODE_SHIFT) % LEAVES];
}

/* The leaf for @vblk, or 0. */
__no_kcsan u64 leaf_known(struct daxcow_volume *vol, u64 vblk, u64 shape)
{
	unsigned int seq = raw_read_seqcount(&vol->leaf_seq);
	const struct leaf *l = leaf_slot(vol, vblk);
	u64 at = READ_ONCE(l->shape), where = smp_load_acquire(&l->where);

	if (seq & 1 || at != shape ||
	    (where & ((1ULL << LEAF_AT_BITS) - 1)) != vblk >> DAXCOW_NODE_SHIFT ||
	    read_seqcount_retry(&vol->leaf_seq, seq))
		return 0;
	return where >> LEAF_AT_BITS;
}

__no_kcsan void leaf_note(struct daxcow_volume *vol, u64 vblk, u64 block, u64 shape)
{
	struct leaf *l = leaf_slot(vol, vblk);

	if (xchg(&vol->filling, 1))
		return;
	raw_write_seqcount_begin(&vol->leaf_seq);
	WRITE_ONCE(l->shape, shape);
	/* who sees where the leaf is sees what others have written there, too */
	smp_store_release(&l->where, block << LEAF_AT_BITS | vblk >> DAXCOW_NODE_SHIFT);
	raw_write_seqcount_end(&vol->leaf_seq);
	smp_store_release(&vol->filling, 0);
}

/*
 * As change_find() would walk to the leaf. Each table on the way has one owner, and mostly
 * the address of that. The caller has the lock.
 */
bool leaf_place(struct daxcow_volume *vol, u64 vblk, struct place *p)
{
	struct daxcow_pool *pool = vol->pool;
	u64 block = leaf_known(vol, vblk, pool->shape);
	struct desc *d;

	if (!block)
		return false;
	p->slot = slot_of(block, level_index(vblk, 0));
	p->level = 0;
	p->shared = false;
	for (p->top = 0; p->top <= DAXCOW_MAX_LEVEL; p->top++) {
		d = space_desc(pool, block);
		if (!desc_is_node(d) || !(d->a & DESC_EXACT))
			return false;
		p->way[p->top] = d->node;
		block = desc_ref(d);
		if (desc_kind(space_desc(pool, block)) == KIND_RECORD)
			return true;
	}
	return false;
}

static bool leaf_right(struct daxcow_pool *pool, struct daxcow_volume *vol, u64 vblk)
{
	u64 block = leaf_known(vol, vblk, pool->shape);
	struct place p = { .slot = vol->root_slot };
	int ret = 0;

	if (!block)
		return true;
	ret = tree_load(pool, p.slot, ROOT_LEVEL, &p.e);
	while (!ret && p.e.type == DAXCOW_ENTRY_NODE) {
		const struct node *node = desc_node(space_desc(pool, p.e.block));

		if (!node_own(pool, node) || node->stale)
			return false;
		if (!p.e.level)
			return p.e.block == block;
		ret = tree_step(pool, &p, vblk);
	}
	return false;
}

/* Each leaf that would be taken is that, and on a way that is the volume's own. */
bool leaves_right(struct daxcow_pool *pool)
{
	struct daxcow_volume *vol;
	unsigned int i;
	u64 at;

	for (vol = pool->volumes; vol; vol = vol->next) {
		for (i = 0; i < LEAVES; i++) {
			at = READ_ONCE(vol->leaf[i].where) & ((1ULL << LEAF_AT_BITS) - 1);
			if (at % LEAVES == i &&
			    !leaf_right(pool, vol, at << DAXCOW_NODE_SHIFT))
				return false;
		}
	}
	return true;
}
