// SPDX-License-Identifier: GPL-2.0
/*
 * A pool as arrays.
 */
#include <inttypes.h>
#include <stdio.h>
#include "world.h"
#include "persist.h"
#include <daxcow/pmem.h>

#define SMALL		8
#define LARGE		DAXCOW_MAX_VOLUME_BLOCKS
#define SAME		7	/* a tag that no other operation has */

/* in two blocks of one node, a chunk, and where more levels are needed */
const u64 place[NR_PLACES] = { 0, 1, 8, 67, 513 };

#define EACH_PLACE(kind, v) \
	{ kind, v, 0, 0 }, { kind, v, 0, 1 }, { kind, v, 0, 2 }, \
	{ kind, v, 0, 3 }, { kind, v, 0, 4 }

#define EACH_KIND(v, w)							\
	EACH_PLACE(OP_WRITE, v), EACH_PLACE(OP_STORE, v),		\
	{ OP_CREATE, v, 0, 0 }, { OP_DELETE, v, 0, 0 },			\
	{ OP_PART, v, 0, 0 }, { OP_PART, v, 0, 2 },			\
	{ OP_HUGE, v, 0, 2 },						\
	{ OP_ZERO, v, 0, 1 }, { OP_ZERO, v, 0, 2 },			\
	{ OP_DISCARD, v, 0, 0 }, { OP_DISCARD, v, 0, 2 },		\
	{ OP_DISCARD_ALL, v, 0, 0 },					\
	{ OP_SNAPSHOT, v, w, 0 }, { OP_SNAPSHOT, v, 3, 0 },		\
	{ OP_SNAPSHOT_PINNED, v, w, 0 }, { OP_SNAPSHOT_PINNED, v, w, 2 }, \
	{ OP_ROLLBACK, v, w, 0 }, { OP_SHRINK, v, 0, 0 }, { OP_GROW, v, 0, 0 }

const struct op op_list[] = {
	EACH_KIND(0, 1),
	EACH_KIND(1, 0),
	{ OP_SNAPSHOT_PAIR, 0, 0, 0 },
	{ OP_RECLAIM, 0, 0, 0 },
	{ OP_TRANS, 0, 0, 0 },
	{ OP_GROW_POOL, 0, 0, 0 },
	{ OP_FILL, 0, 0, 0 }, { OP_FILL, 1, 0, 1 }, { OP_FILL, 0, 0, 2 },
	{ OP_MERGE, 0, 1, 0 }, { OP_MERGE, 1, 0, 0 },
	{ OP_MERGE, 0, 0, 2 }, { OP_MERGE, 1, 1, 1 },
	{ OP_MERGE_STORED, 0, 1, 0 }, { OP_MERGE_STORED, 1, 0, 1 },
	{ OP_MERGE_CHUNK, 0, 1, 2 }, { OP_MERGE_CHUNK, 1, 0, 2 },
	{ OP_MERGE_ZERO, 0, 0, 1 }, { OP_MERGE_ZERO, 1, 0, 2 },
	{ OP_MERGE_ZERO_CHUNK, 0, 0, 2 },
};

const unsigned int nr_op_list = ARRAY_SIZE(op_list);

const struct op op_list_threads[] = {
	{ OP_READ, 0, 0, 0 }, { OP_READ, 1, 0, 0 }, { OP_READ, 0, 0, 2 },
	{ OP_WRITE, 0, 0, 0 }, { OP_PART, 1, 0, 0 },
	{ OP_STORE, 0, 0, 0 }, { OP_STORE, 1, 0, 0 },
	{ OP_STORE, 0, 0, 2 }, { OP_STORE, 1, 0, 2 },
	{ OP_HUGE, 1, 0, 2 }, { OP_DISCARD, 0, 0, 0 },
	{ OP_SNAPSHOT, 0, 3, 0 }, { OP_DELETE, 1, 0, 0 },
	{ OP_ROLLBACK, 1, 0, 0 }, { OP_GROW, 0, 0, 0 }, { OP_RECLAIM, 0, 0, 0 },
	{ OP_MERGE, 0, 1, 0 }, { OP_MERGE, 1, 0, 2 },
	{ OP_MERGE_CHUNK, 0, 1, 2 }, { OP_MERGE_ZERO, 0, 0, 1 },
	{ OP_STORE, 0, 0, 1 },
};

const unsigned int nr_op_list_threads = ARRAY_SIZE(op_list_threads);

struct content op_read;

static const char *const kind_name[NR_OPS] = {
	[OP_CREATE] = "create",
	[OP_WRITE] = "write",
	[OP_PART] = "write-half",
	[OP_STORE] = "store",
	[OP_FILL] = "fill",
	[OP_HUGE] = "provision-chunk",
	[OP_ZERO] = "zero",
	[OP_DISCARD] = "discard",
	[OP_DISCARD_ALL] = "discard-all",
	[OP_SNAPSHOT] = "snapshot",
	[OP_SNAPSHOT_PINNED] = "snapshot-pinned",
	[OP_SNAPSHOT_PAIR] = "snapshot-pair",
	[OP_DELETE] = "delete",
	[OP_ROLLBACK] = "rollback",
	[OP_SHRINK] = "shrink",
	[OP_GROW] = "grow",
	[OP_RECLAIM] = "reclaim",
	[OP_TRANS] = "transaction-id",
	[OP_GROW_POOL] = "grow-pool",
	[OP_READ] = "read",
	[OP_MERGE] = "merge",
	[OP_MERGE_STORED] = "merge-stored",
	[OP_MERGE_CHUNK] = "merge-chunk",
	[OP_MERGE_ZERO] = "merge-zero",
	[OP_MERGE_ZERO_CHUNK] = "merge-zero-chunk",
};

const char *op_name(const struct op *op)
{
	static char text[80];

	snprintf(text, sizeof(text), "%s %u %u %" PRIu64, kind_name[op->kind],
		 op->volume, op->other, place[op->place]);
	return text;
}

/* ---- the arrays ---- */

static bool copy_volume(struct world *w, u32 from, u32 to)
{
	if (!w->volume[from].exists || w->volume[to].exists)
		return false;
	w->volume[to] = w->volume[from];
	return true;
}

static bool resize(struct world *w, u32 v, u64 size)
{
	int i;

	w->volume[v].size = size;
	for (i = 0; i < NR_PLACES; i++)
		if (place[i] >= size)
			w->volume[v].at[i] = (struct content) { 0 };
	return true;
}

static bool rollback(struct world *w, u32 v, u32 from)
{
	if (!w->volume[from].exists || from == v)
		return false;
	w->volume[v] = w->volume[from];
	return true;
}

/* Whether it has to be inside of the volume: its device ends there. */
static bool on_place(const struct op *op)
{
	return op->kind >= OP_WRITE && op->kind <= OP_DISCARD;
}

/* What concerns an existing volume. */
static bool apply_volume(struct world *w, const struct op *op, u64 tag)
{
	struct content *c = &w->volume[op->volume].at[op->place];

	if (!w->volume[op->volume].exists)
		return false;
	if (on_place(op) && place[op->place] >= w->volume[op->volume].size)
		return false;
	switch (op->kind) {
	case OP_WRITE:
		*c = (struct content) { tag, tag, tag };
		return true;
	case OP_FILL:
		*c = (struct content) { SAME, SAME, SAME };
		return true;
	case OP_PART:
		c->second = tag;
		return true;
	case OP_STORE:
		c->word = tag;
		return true;
	case OP_ZERO:
	case OP_DISCARD:
		*c = (struct content) { 0 };
		return true;
	case OP_DISCARD_ALL:
		memset(w->volume[op->volume].at, 0,
		       sizeof(w->volume[op->volume].at));
		return true;
	case OP_SNAPSHOT:
	case OP_SNAPSHOT_PINNED:
		return copy_volume(w, op->volume, op->other);
	case OP_DELETE:
		memset(&w->volume[op->volume], 0, sizeof(w->volume[0]));
		return true;
	case OP_ROLLBACK:
		return rollback(w, op->volume, op->other);
	case OP_SHRINK:
		return resize(w, op->volume, SMALL);
	case OP_GROW:
		return resize(w, op->volume, LARGE);
	default:
		return true;
	}
}

static bool apply_pair(struct world *w)
{
	struct world old = *w;

	if (copy_volume(w, 0, 2) && copy_volume(w, 1, 3))
		return true;
	*w = old;
	return false;
}

bool world_apply(struct world *w, const struct op *op, u64 tag)
{
	if (op_merges(op))
		return merge_apply(w, op);
	switch (op->kind) {
	case OP_CREATE:
		if (w->volume[op->volume].exists)
			return false;
		w->volume[op->volume].exists = true;
		w->volume[op->volume].size = LARGE;
		return true;
	case OP_SNAPSHOT_PAIR:
		return apply_pair(w);
	case OP_RECLAIM:
		return true;
	case OP_TRANS:
		w->trans++;
		return true;
	case OP_GROW_POOL:
		w->blocks = POOL_BLOCKS_MAX;
		return true;
	default:
		return apply_volume(w, op, tag);
	}
}

bool op_piecewise(const struct op *op)
{
	return op->kind == OP_DISCARD_ALL;
}

bool world_equal(const struct world *a, const struct world *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool world_between(const struct world *w, const struct world *a,
		   const struct world *b)
{
	struct world mixed = *a;
	int v, i;

	for (v = 0; v < NR_VOLUMES; v++)
		for (i = 0; i < NR_PLACES; i++)
			if (!memcmp(&w->volume[v].at[i], &b->volume[v].at[i],
				    sizeof(struct content)))
				mixed.volume[v].at[i] = b->volume[v].at[i];
	return world_equal(w, &mixed);
}

void world_print(const char *title, const struct world *w,
		 const struct world *from)
{
	int v, i;

	fprintf(stderr, "%s: trans %" PRIu64 " blocks %" PRIu64 "\n", title,
		w->trans, w->blocks);
	for (v = 0; v < NR_VOLUMES; v++) {
		if (w->volume[v].exists != from->volume[v].exists ||
		    w->volume[v].size != from->volume[v].size)
			fprintf(stderr, "  volume %d: %s size %" PRIu64 "\n", v,
				w->volume[v].exists ? "exists" : "none",
				w->volume[v].size);
		for (i = 0; i < NR_PLACES; i++) {
			const struct content *c = &w->volume[v].at[i];

			if (memcmp(c, &from->volume[v].at[i], sizeof(*c)))
				fprintf(stderr, "  volume %d block %" PRIu64
					": %" PRIu64 " %" PRIu64 " %" PRIu64
					"\n", v, place[i], c->first, c->word,
					c->second);
		}
	}
}

/* ---- a real pool ---- */

struct fill {
	unsigned int from;
	u64 tag;
};

static int fill(void *arg, void *dst)
{
	const struct fill *f = arg;
	u64 buf[DAXCOW_NODE_SLOTS], i;

	for (i = 0; i < DAXCOW_NODE_SLOTS; i++)
		buf[i] = f->tag;
	pm_write(dst + f->from * 8, buf, sizeof(buf) - f->from * 8);
	return 0;
}

static int do_bio(struct daxcow_pool *pool, struct daxcow_volume *vol,
		  const struct op *op, u64 tag)
{
	struct fill f = { op->kind == OP_WRITE ? 0 : HALF, tag };
	u64 vblk = place[op->place];
	int ret;

	bio_begin(op);
	if (op->kind == OP_DISCARD)
		ret = daxcow_discard(vol, vblk, 1);
	else
		ret = daxcow_overwrite(vol, vblk, op->kind == OP_WRITE, fill,
				       &f);
	daxcow_fence(pool);
	bio_end(op);
	return ret;
}

static int do_store(struct daxcow_pool *pool, struct daxcow_volume *vol,
		    const struct op *op, u64 tag)
{
	u64 block, vblk = place[op->place];
	struct fill same = { 0, SAME };
	__le64 *word;
	long ret;

	writer_begin(op);
	ret = daxcow_provision(vol, vblk, 1, &block);
	if (ret > 0) {
		switch_threads();
		word = (__le64 *)daxcow_block_addr(pool, block) + WORD;
		if (op->kind == OP_FILL) {
			fill(&same, daxcow_block_addr(pool, block));
		} else {
			pm_store(word, tag);
			pm_flush(word, 8);
		}
		pm_fence();
	}
	writer_end(op);
	return ret < 0 ? ret : 0;
}

/* As read(2) does: it has the address, and copies later. */
static int do_read(struct daxcow_pool *pool, struct daxcow_volume *vol,
		   u64 vblk)
{
	const u64 *d;
	u64 block, i;
	long ret;

	memset(&op_read, 0, sizeof(op_read));
	reader_begin();
	ret = daxcow_lookup(vol, vblk, 1, &block);
	switch_threads();
	if (ret > 0 && block != DAXCOW_HOLE) {
		d = daxcow_block_addr(pool, block);
		op_read = (struct content) { d[0], d[WORD], d[HALF] };
		for (i = 0; i < DAXCOW_NODE_SLOTS; i++)
			if (i != WORD && d[i] != d[i < WORD ? 0 : HALF])
				op_read.first = ~0ULL;
	}
	reader_end();
	return ret < 0 ? ret : 0;
}

static int do_huge(struct daxcow_volume *vol, u64 vblk)
{
	u64 block;
	long ret = daxcow_provision(vol, vblk, DAXCOW_CHUNK_BLOCKS, &block);

	return ret < 0 ? ret : 0;
}

static int do_open(struct daxcow_pool *pool, const struct op *op, u64 tag)
{
	u64 vblk = place[op->place];
	struct daxcow_volume *vol;
	int ret;

	ret = daxcow_open(pool, op->volume, &vol);
	if (ret)
		return ret;
	if (on_place(op) && vblk >= daxcow_volume_size(vol)) {
		daxcow_close(vol);
		return -EINVAL;
	}
	if (op->kind != OP_READ)
		section_begin();
	switch (op->kind) {
	case OP_WRITE:
	case OP_PART:
	case OP_DISCARD:
		ret = do_bio(pool, vol, op, tag);
		break;
	case OP_STORE:
	case OP_FILL:
		ret = do_store(pool, vol, op, tag);
		break;
	case OP_HUGE:
		ret = do_huge(vol, vblk);
		break;
	case OP_READ:
		ret = do_read(pool, vol, vblk);
		break;
	case OP_ZERO:
		ret = daxcow_zero(vol, vblk);
		break;
	default:
		ret = daxcow_discard(vol, 0, LARGE);
		break;
	}
	if (op->kind != OP_READ)
		section_end();
	daxcow_close(vol);
	return ret;
}

static int do_snapshot(struct daxcow_pool *pool, const struct op *op)
{
	struct daxcow_volume_desc d[2] = {
		{ .id = op->other, .origin = op->volume },
	};
	unsigned int nr = 1, i;
	int ret;

	if (op->kind == OP_SNAPSHOT_PINNED) {
		d[0].pinned = &place[op->place];
		d[0].nr_pinned = 1;
	} else if (op->kind == OP_SNAPSHOT_PAIR) {
		d[0] = (struct daxcow_volume_desc) { .id = 2, .origin = 0 };
		d[1] = (struct daxcow_volume_desc) { .id = 3, .origin = 1 };
		nr = 2;
	}
	for (i = 0; i < nr; i++)
		freeze(d[i].origin);
	ret = daxcow_snapshot(pool, d, nr);
	for (i = 0; i < nr; i++)
		thaw(d[i].origin);
	return ret;
}

static int do_reclaim(struct daxcow_pool *pool)
{
	if (!daxcow_reclaim_prepare(pool))
		return 0;
	grace_period();
	while (daxcow_reclaim_run(pool))
		;
	return 0;
}

static int do_trans(struct daxcow_pool *pool)
{
	struct daxcow_pool_info info;

	daxcow_pool_info(pool, &info);
	return daxcow_set_trans(pool, info.trans, info.trans + 1);
}

int op_do(struct daxcow_pool *pool, const struct op *op, u64 tag)
{
	struct daxcow_volume_desc d = { .id = op->volume, .size = LARGE };

	if (op_merges(op))
		return merge_do(pool, op);
	switch (op->kind) {
	case OP_CREATE:
		return daxcow_create(pool, &d);
	case OP_SNAPSHOT:
	case OP_SNAPSHOT_PINNED:
	case OP_SNAPSHOT_PAIR:
		return do_snapshot(pool, op);
	case OP_DELETE:
		return daxcow_delete(pool, op->volume);
	case OP_ROLLBACK:
		return daxcow_rollback(pool, op->volume, op->other);
	case OP_SHRINK:
		return daxcow_resize(pool, op->volume, SMALL);
	case OP_GROW:
		return daxcow_resize(pool, op->volume, LARGE);
	case OP_RECLAIM:
		return do_reclaim(pool);
	case OP_TRANS:
		return do_trans(pool);
	case OP_GROW_POOL:
		return daxcow_grow(pool, POOL_BLOCKS_MAX);
	default:
		return do_open(pool, op, tag);
	}
}

/* ---- after a power cut ---- */

static const char *see_block(const u64 *block, struct content *c)
{
	c->first = persist_word(block);
	c->word = persist_word(block + WORD);
	c->second = persist_word(block + HALF);
	if (!persist_all(block, WORD, c->first) ||
	    !persist_all(block + HALF, HALF, c->second))
		return "a block is torn";
	return NULL;
}

static const char *see_volume(struct daxcow_pool *pool, u32 v, struct world *w,
			      const struct content *skip,
			      const struct content *old)
{
	struct daxcow_volume *vol;
	const char *bad = NULL;
	u64 block;
	int ret, i;

	ret = daxcow_open(pool, v, &vol);
	if (ret)
		return ret == -ENOENT ? NULL : "a volume cannot be opened";
	w->volume[v].exists = true;
	w->volume[v].size = daxcow_volume_size(vol);
	for (i = 0; i < NR_PLACES && !bad; i++) {
		if (&w->volume[v].at[i] == skip)
			w->volume[v].at[i] = *old;
		else if (daxcow_lookup(vol, place[i], 1, &block) != 1)
			bad = "a lookup fails";
		else if (block != DAXCOW_HOLE)
			bad = see_block(daxcow_block_addr(pool, block),
					&w->volume[v].at[i]);
	}
	daxcow_close(vol);
	return bad;
}

const char *world_recover(struct world *w, const struct op *in_place,
			  const struct world *old)
{
	const struct content *skip = NULL, *instead = NULL;
	struct daxcow_pool_info info;
	struct daxcow_report report;
	struct daxcow_pool *pool;
	const char *bad = NULL;
	int ret;
	u32 v;

	memset(w, 0, sizeof(*w));
	if (in_place) {
		skip = &w->volume[in_place->volume].at[in_place->place];
		instead = &old->volume[in_place->volume].at[in_place->place];
	}
	ret = daxcow_load(&pool, persist_shadow(), POOL_BLOCKS_MAX, 0, NULL,
			  &report);
	if (ret)
		return daxcow_bad_text(report.bad);
	daxcow_pool_info(pool, &info);
	w->trans = info.trans;
	w->blocks = info.nr_blocks;
	for (v = 0; v < NR_VOLUMES && !bad; v++)
		bad = see_volume(pool, v, w, skip, instead);
	daxcow_unload(pool);
	return bad;
}
