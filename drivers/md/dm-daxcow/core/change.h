/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One change of a volume's tree: see change.c. A part of internal.h.
 */
#ifndef DAXCOW_CHANGE_H
#define DAXCOW_CHANGE_H

/**
 * struct tree - what a change works on: a volume's, or a record's that is not
 *		 published yet
 * @vol:	that is open; or NULL
 * @root_slot:	its root entry
 * @size:	expected size in blocks, or 0
 * @unseen:	not published yet: no reader can have come through it
 */
struct tree {
	struct daxcow_volume *vol;
	u64 root_slot;
	u64 size;
	bool unseen;
};

/**
 * struct change - one replacement, from the walk to the publish
 * @t:		in which tree
 * @at:		entry to publish at
 * @vblk:	what is replaced
 * @target:	level of the new entry: 0 a block, 1 a chunk
 * @old:	what is mapped there now, at level @target or above
 * @new:	what will be
 * @node:	new nodes, by level, @target .. @at.level - 1
 * @built:	levels from @at.level - 1 down to this one have been filled
 * @own:	what is mapped now is this volume's own already
 * @delta:	to what is mapped
 */
struct change {
	struct tree *t;
	struct place at;
	u64 vblk;
	int target;
	struct entry old;
	struct entry new;
	u64 node[DAXCOW_MAX_LEVEL + 1];
	int built;
	bool own;
	struct usage_delta delta;
};

int change_find_old(struct daxcow_pool *pool, struct change *c);
int change_apply(struct daxcow_pool *pool, struct change *c);
int change_find(struct daxcow_pool *pool, const struct tree *t, u64 vblk,
		struct place *p);
int change_find_to_map(struct daxcow_pool *pool, const struct tree *t, u64 vblk,
		       struct place *p);

/* ---- new blocks, and what is in them (fill.c) ---- */

/**
 * struct write - bytes that a new block gets beside what was there
 * @fill:	writes them
 * @arg:	for @fill
 * @whole:	they are all of it
 */
struct write {
	daxcow_fill_fn fill;
	void *arg;
	bool whole;
};

/* What change_data() returns when it has to be done again. */
#define CHANGE_AGAIN	1

int change_target(struct daxcow_pool *pool, struct change *c, u64 nr);
int change_data(struct daxcow_pool *pool, struct change *c, const struct write *w,
		struct daxcow_volume *vol);

/* ---- break sharing (cow.c) ---- */

int cow_copy(struct daxcow_pool *pool, struct tree *t, u64 vblk);

/* ---- unmap (discard.c) ---- */

int cow_discard(struct daxcow_pool *pool, struct tree *t, u64 *vblk, u64 end,
		unsigned int most);

static inline struct tree volume_tree(struct daxcow_volume *vol)
{
	return (struct tree) {
		.vol = vol,
		.root_slot = vol->root_slot,
		.size = vol->size,
	};
}

/* A range of a volume that there can be. */
static inline bool range_ok(u64 vblk, u64 nr)
{
	return nr && nr <= DAXCOW_MAX_VOLUME_BLOCKS &&
	       vblk <= DAXCOW_MAX_VOLUME_BLOCKS - nr;
}

#endif /* DAXCOW_CHANGE_H */
