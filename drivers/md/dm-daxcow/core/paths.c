// SPDX-License-Identifier: GPL-2.0
/*
 * Questions to the reverse map: who owns a block?
 */
#include "internal.h"

/* Something on the way up, and which of its owners comes next. */
struct up {
	struct owner_walk w;
	u64 block;
	u64 vblk;
	enum kind kind;
	bool chunk;
};

#define UP_DEPTH	(DAXCOW_MAX_LEVEL + 3)

/* What one owner slot adds to the vblk. */
static u64 slot_vblk(struct daxcow_pool *pool, u64 slot, u64 block,
		     enum kind kind)
{
	enum kind above = desc_kind(space_desc(pool, slot_block(slot)));
	u64 vblk;

	if (!kind_is_node(above))
		return 0;
	vblk = slot_index(slot) * level_span(above - KIND_NODE);
	/* a block that is mapped as part of its chunk */
	if (kind == KIND_DATA && above == KIND_NODE + 1)
		vblk += chunk_index(pool, block);
	return vblk;
}

static enum daxcow_use use_of(enum kind kind)
{
	if (kind == KIND_FREE || kind == KIND_GONE)
		return DAXCOW_BLOCK_FREE;
	if (kind == KIND_BAD)
		return DAXCOW_BLOCK_RETIRED;
	if (kind == KIND_DATA)
		return DAXCOW_BLOCK_DATA;
	if (kind_is_node(kind))
		return DAXCOW_BLOCK_TABLE;
	return kind == KIND_RECORD ? DAXCOW_BLOCK_RECORD : DAXCOW_BLOCK_POOL;
}

/* How much of a volume is found through a block. */
static u64 covers(enum kind kind)
{
	if (kind == KIND_DATA)
		return 1;
	return kind_is_node(kind) ? level_span(kind - KIND_NODE + 1) :
			       DAXCOW_MAX_VOLUME_BLOCKS;
}

/* The id under which the directory has a record: it cannot fail as memory can. */
u32 record_volume(struct daxcow_pool *pool, u64 block)
{
	u64 id = 0;
	int level;

	for (level = 0; level <= DAXCOW_DIR_LEVEL; level++) {
		const struct desc *d = space_desc(pool, block);
		u64 slot = slot_of(desc_ref(d), desc_index(d));

		id += slot_index(slot) * level_span(level);
		block = slot_block(slot);
	}
	return id;
}

static void up_begin(struct daxcow_pool *pool, struct up *u, u64 block, u64 vblk)
{
	struct entry e = entry_data(block);

	*u = (struct up) { .block = block, .vblk = vblk };
	u->kind = desc_kind(space_desc(pool, block));
	if (kind_is_node(u->kind)) {
		e.type = DAXCOW_ENTRY_NODE;
		e.level = u->kind - KIND_NODE;
	} else if (u->kind == KIND_DATA &&
		   !pool->chunks[chunk_of(pool, block)].split) {
		e = entry_chunk(block - chunk_index(pool, block));
		u->chunk = true;
	}
	owner_walk(&u->w, pool, e);
}

/*
 * Data has those who name it, and after these those who name its chunk. False when there
 * is no other, or when @most tables have been looked at: *@steps says how many.
 */
static bool up_next(struct up *u, u32 most, u32 *steps)
{
	struct daxcow_pool *pool = u->w.pool;
	u32 before = u->w.steps;
	bool found;

	u->w.most = before + most;
	found = owner_next(&u->w);
	*steps = u->w.steps - before;
	if (found || u->kind != KIND_DATA || u->chunk || *steps >= most)
		return found;
	u->chunk = true;
	owner_walk(&u->w, pool, entry_chunk(u->block - chunk_index(pool, u->block)));
	u->w.most = most - *steps;
	found = owner_next(&u->w);
	*steps += u->w.steps;
	return found;
}

/**
 * struct paths - a walk from a block up to the records of all who own it
 * @pool:	the pool
 * @up:		what the walk has come through, from the block on
 * @depth:	of @up; 0 when it is over
 *
 * The map is a graph whose paths to the top end in records; each path is an
 * owner. Depth is bounded by the levels. A path that ends in a node without
 * owners is one that is being taken apart: not an owner.
 */
struct paths {
	struct daxcow_pool *pool;
	struct up up[UP_DEPTH];
	int depth;
};

static void paths_begin(struct paths *s, struct daxcow_pool *pool, u64 block)
{
	s->pool = pool;
	s->depth = 1;
	up_begin(pool, &s->up[0], block, 0);
}

/* No more than there are tables, and can be added to what has been done. */
#define WORK_MAX	(1L << 31)

/* One level up. */
static void paths_rise(struct paths *s, const struct up *u)
{
	up_begin(s->pool, &s->up[s->depth++], slot_block(u->w.slot),
		 u->vblk + slot_vblk(s->pool, u->w.slot, u->block, u->kind));
}

/*
 * The next one. False when there is none, or when @work is used up: what is looked at
 * is counted down.
 */
static bool paths_next(struct paths *s, long *work, struct way_up *p)
{
	while (s->depth && *work > 0) {
		struct up *u = &s->up[s->depth - 1];
		u32 steps = 0;
		bool more;

		if (u->kind == KIND_RECORD) {
			*p = (struct way_up) { .record = u->block, .vblk = u->vblk };
			s->depth--;
			if (desc_count(space_desc(s->pool, u->block)))
				return true;
			continue;
		}
		more = s->depth < UP_DEPTH && up_next(u, min(*work, WORK_MAX), &steps);
		*work -= steps + more;
		if (more)
			paths_rise(s, u);
		else if (*work > 0)
			s->depth--;
	}
	return false;
}

/*
 * All of them, at once. Under the lock. Returns what @fn did when that is not 0, or
 * -ENOENT when there is none.
 */
int paths_each(struct daxcow_pool *pool, u64 block,
	       int (*fn)(void *arg, struct daxcow_pool *pool,
			 const struct way_up *p),
	       void *arg)
{
	long work = WORK_MAX;
	struct paths s;
	struct way_up p;
	bool any = false;
	int ret = 0;

	paths_begin(&s, pool, block);
	while (!ret && paths_next(&s, &work, &p)) {
		any = true;
		ret = fn(arg, pool, &p);
	}
	return ret || any ? ret : -ENOENT;
}

/* Tables that are looked at under the lock at once: each takes up to 500 ns. */
#define STEP_WORK	DAXCOW_NODE_ENTRIES
/* Who writes may change the map between two steps; so often it is begun anew. */
#define TRIES		4

/**
 * struct search - for the owners of a block
 * @pool:	the pool
 * @paths:	where it is
 * @nr:		blocks that are found through it, see struct daxcow_owner
 * @moves:	of the pool, when the lock was given away
 * @tries:	that are left
 * @any:	there was one
 */
struct search {
	struct daxcow_pool *pool;
	struct paths paths;
	u64 nr, moves;
	int tries;
	bool any;
};

/* A step, under the lock. Returns 0, -EAGAIN to go on, -ENOENT, or what @fn did. */
static noinline_for_stack int search_step(struct search *s, long work,
					  int (*fn)(void *arg, const struct daxcow_owner *o), void *arg)
{
	struct way_up p;
	int ret = 0;

	while (!ret && paths_next(&s->paths, &work, &p)) {
		struct daxcow_owner o = {
			.volume = record_volume(s->pool, p.record),
			.vblk = p.vblk,
			.nr = s->nr,
		};

		s->any = true;
		ret = fn(arg, &o);
	}
	if (ret)
		return ret;
	if (s->paths.depth)
		return -EAGAIN;
	return s->any ? 0 : -ENOENT;
}

static noinline_for_stack int search_begin(struct search *s, u64 block, enum daxcow_use *use)
{
	enum kind kind;

	if (block >= s->pool->nr_blocks)
		return -ERANGE;
	kind = desc_kind(space_desc(s->pool, block));
	if (use)
		*use = use_of(kind);
	if (kind != KIND_DATA && !kind_is_node(kind) && kind != KIND_RECORD)
		return -ENOENT;
	s->nr = covers(kind);
	s->any = false;
	s->moves = s->pool->moves;
	paths_begin(&s->paths, s->pool, block);
	return 0;
}

int daxcow_owners(struct daxcow_pool *pool, u64 block, enum daxcow_use *use,
		  int (*fn)(void *arg, const struct daxcow_owner *o),
		  void (*again)(void *arg), void *arg)
{
	struct search s = { .pool = pool, .tries = again ? TRIES : 0 };
	int ret;

	pool_lock(pool);
	ret = search_begin(&s, block, use);
	while (!ret || ret == -EAGAIN) {
		ret = search_step(&s, s.tries ? STEP_WORK : WORK_MAX, fn, arg);
		if (ret != -EAGAIN)
			break;
		pool_unlock(pool);
		cond_resched();
		pool_lock(pool);
		if (s.moves == pool->moves)
			continue;
		s.tries--;
		again(arg);
		ret = search_begin(&s, block, use);
	}
	pool_unlock(pool);
	return ret;
}
