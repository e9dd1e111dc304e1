// SPDX-License-Identifier: GPL-2.0
/*
 * Load: validate a pool, and rebuild what is not stored.
 *
 * One walk from the superblock visits each node once, however many owners it
 * has: an entry that names a block gives that block an owner, and only the
 * first one to name a node goes on below it. What each block is used for is
 * noted; a second use must be the same (a node of another level is another
 * use, so no cycle can be walked). Depth is bounded by the levels, work by
 * the number of blocks. Nothing is written.
 */
#include "internal.h"

/* superblock, directory, record, volume */
#define FRAMES	(1 + DAXCOW_DIR_LEVEL + 1 + 1 + DAXCOW_MAX_LEVEL + 1)

/**
 * struct frame - a node that is being walked
 * @block:	the node
 * @kind:	of the node
 * @level:	of the node; ROOT_LEVEL for a record
 * @index:	next entry
 * @end:	entry to stop at
 */
struct frame {
	u64 block;
	enum kind kind;
	int level;
	unsigned int index, end;
};

struct walk {
	struct daxcow_pool *pool;
	struct daxcow_report *report;
	struct daxcow_record *record;
	struct frame frame[FRAMES];
	int depth;
	u32 volume;
	u64 id;
};

static int bad(struct walk *w, enum daxcow_bad what, u64 slot, int level,
	       u64 value)
{
	*w->report = (struct daxcow_report) {
		.bad = what,
		.level = level,
		.block = slot_block(slot),
		.index = slot_index(slot),
		.volume = w->volume,
		.value = value,
	};
	return -EUCLEAN;
}

/* The first chunk that begins at or after the backup superblock. */
u64 super_zero_block(u64 chunk_offset)
{
	return chunk_offset + DAXCOW_CHUNK_BLOCKS;
}

/* By how many blocks the first chunk begins before block 0. */
u64 super_pad(u64 chunk_offset)
{
	return (DAXCOW_CHUNK_BLOCKS - chunk_offset) % DAXCOW_CHUNK_BLOCKS;
}

static u32 super_crc(const struct daxcow_super *s)
{
	return crc32c(~0U, s, DAXCOW_SUPER_FIXED);
}

static int super_bad(struct daxcow_report *report, enum daxcow_bad what,
		     u64 value, int ret)
{
	*report = (struct daxcow_report) {
		.bad = what,
		.level = -1,
		.volume = ~0U,
		.value = value,
	};
	return ret;
}

/*
 * What is wrong with the fixed part of a superblock: identity, version,
 * features, geometry. @value gets what was found instead.
 */
enum daxcow_bad super_fixed_bad(const struct daxcow_super *s, u64 *value)
{
	*value = le64_to_cpu(s->magic);
	if (*value != DAXCOW_SUPER_MAGIC)
		return DAXCOW_BAD_MAGIC;
	/* first: another version may have its checksum elsewhere */
	*value = le32_to_cpu(s->version);
	if (*value != DAXCOW_VERSION)
		return DAXCOW_BAD_VERSION;
	*value = le32_to_cpu(s->crc);
	if (*value != super_crc(s))
		return DAXCOW_BAD_SUPER_CRC;
	*value = le64_to_cpu(s->incompat) & ~DAXCOW_INCOMPAT_KNOWN;
	if (*value)
		return DAXCOW_BAD_FEATURE;
	*value = le64_to_cpu(s->chunk_offset);
	if (le16_to_cpu(s->block_shift) != DAXCOW_BLOCK_SHIFT ||
	    le16_to_cpu(s->node_shift) != DAXCOW_NODE_SHIFT ||
	    *value >= DAXCOW_CHUNK_BLOCKS || s->label[DAXCOW_NAME_SIZE - 1])
		return DAXCOW_BAD_GEOMETRY;
	return DAXCOW_BAD_NONE;
}

static int super_check(struct daxcow_pool *pool, struct daxcow_report *report)
{
	u64 value;
	enum daxcow_bad what = super_fixed_bad(pool->super, &value);

	if (what)
		return super_bad(report, what, value,
				 what == DAXCOW_BAD_VERSION ||
				 what == DAXCOW_BAD_FEATURE ? -EPROTONOSUPPORT :
							      -EUCLEAN);
	if (le64_to_cpu(pool->super->ro_compat) & ~DAXCOW_RO_COMPAT_KNOWN)
		pool->read_only = true;
	return 0;
}

static int super_word(struct daxcow_pool *pool, unsigned int index,
		      enum daxcow_entry_type type, u64 *value,
		      struct daxcow_report *report)
{
	u64 slot = slot_of(DAXCOW_SUPER_BLOCK, index);
	u64 raw = pm_load(slot_word(pool, slot));
	struct entry e = entry_decode(raw);

	if (entry_check(&pool->crc, slot, raw) && e.type == type && !e.level &&
	    !(raw & DAXCOW_ENTRY_RSVD_MASK)) {
		*value = e.block;
		return 0;
	}
	super_bad(report, DAXCOW_BAD_CHECK, raw, 0);
	report->index = index;
	return -EUCLEAN;
}

static bool host_says_bad(const struct daxcow_pool *pool, u64 block)
{
	size_t i;

	for (i = 0; i < pool->host.nr_bad; i++)
		if (pool->host.bad[i] == block)
			return true;
	return false;
}

/* Read and check the superblock; sets pool->super and the geometry. */
int load_super(struct daxcow_pool *pool, u64 dev_blocks,
	       struct daxcow_report *report)
{
	__le64 magic;
	u64 trans;
	int ret;

	if (dev_blocks < DAXCOW_MIN_BLOCKS)
		return super_bad(report, DAXCOW_BAD_TRUNCATED, dev_blocks,
				 -EMEDIUMTYPE);
	if (host_says_bad(pool, DAXCOW_SUPER_BLOCK))
		return super_bad(report, DAXCOW_BAD_READ, 0, -EUCLEAN);
	/* what is on a device that is no pool does not matter */
	if (pm_read(&magic, pool->base, sizeof(magic)))
		return super_bad(report, DAXCOW_BAD_READ, 0, -EUCLEAN);
	if (le64_to_cpu(magic) != DAXCOW_SUPER_MAGIC)
		return super_bad(report, DAXCOW_BAD_MAGIC, le64_to_cpu(magic),
				 -EMEDIUMTYPE);
	if (pm_read(pool->super, pool->base, sizeof(*pool->super)))
		return super_bad(report, DAXCOW_BAD_READ, 0, -EUCLEAN);
	ret = super_check(pool, report);
	if (ret)
		return ret;
	entry_crc_init(&pool->crc, pool->super->uuid);
	ret = super_word(pool, DAXCOW_SLOT_SIZE, DAXCOW_ENTRY_SIZE,
			 &pool->nr_blocks, report);
	if (!ret)
		ret = super_word(pool, DAXCOW_SLOT_TRANS, DAXCOW_ENTRY_TRANS,
				 &trans, report);
	if (ret)
		return ret;
	if (pool->nr_blocks < DAXCOW_MIN_BLOCKS)
		return super_bad(report, DAXCOW_BAD_GEOMETRY, pool->nr_blocks,
				 -EUCLEAN);
	if (pool->nr_blocks > dev_blocks)
		return super_bad(report, DAXCOW_BAD_TRUNCATED, pool->nr_blocks,
				 -EUCLEAN);
	pool->pad = super_pad(le64_to_cpu(pool->super->chunk_offset));
	pool->zero_block = super_zero_block(le64_to_cpu(pool->super->chunk_offset));
	return 0;
}

static int check_zero(struct walk *w)
{
	struct daxcow_pool *pool = w->pool;
	u64 b, i;

	for (b = 0; b < DAXCOW_CHUNK_BLOCKS; b++) {
		u64 slot = slot_of(pool->zero_block + b, 0);

		if (bad_test(pool, pool->zero_block + b))
			continue;
		for (i = 0; i < DAXCOW_NODE_SLOTS; i++) {
			u64 v = pm_load(slot_word(pool, slot + i));

			if (v)
				return bad(w, DAXCOW_BAD_ZERO, slot + i, -1, v);
		}
		cond_resched();
	}
	return 0;
}

static int check_backup(struct walk *w)
{
	struct daxcow_super *s = w->pool->super;
	__le64 *copy = slot_word(w->pool, slot_of(DAXCOW_BACKUP_BLOCK, 0));
	const __le64 *fixed = (const __le64 *)s;
	unsigned int i;

	for (i = 0; i < (DAXCOW_SUPER_FIXED + 4) / 8; i++) {
		u64 v = pm_load(copy + i);

		if (v != le64_to_cpu(fixed[i]))
			return bad(w, DAXCOW_BAD_BACKUP,
				   slot_of(DAXCOW_BACKUP_BLOCK, i), -1, v);
	}
	return 0;
}

static int reserve_fixed(struct walk *w)
{
	struct daxcow_pool *pool = w->pool;
	u64 i;
	int ret;

	ret = space_take(pool, DAXCOW_SUPER_BLOCK, KIND_RESERVED);
	if (!ret)
		ret = space_take(pool, DAXCOW_BACKUP_BLOCK, KIND_RESERVED);
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS && !ret; i++)
		ret = space_take(pool, pool->zero_block + i, KIND_RESERVED);
	if (!ret && !bad_test(pool, DAXCOW_BACKUP_BLOCK))
		ret = check_backup(w);
	if (!ret)
		ret = check_zero(w);
	return ret;
}

static enum daxcow_bad range_bad(const struct daxcow_pool *pool, struct entry e)
{
	if (e.block >= pool->nr_blocks)
		return DAXCOW_BAD_RANGE;
	if (e.type != DAXCOW_ENTRY_DATA || e.level == 0)
		return DAXCOW_BAD_NONE;
	if (chunk_index(pool, e.block))
		return DAXCOW_BAD_ALIGN;
	if (e.block + DAXCOW_CHUNK_BLOCKS > pool->nr_blocks)
		return DAXCOW_BAD_RANGE;
	return DAXCOW_BAD_NONE;
}

/*
 * What is wrong with the entry @raw, which is not 0, by itself: in a node of
 * @kind at @level.
 */
enum daxcow_bad entry_bad(const struct daxcow_pool *pool, enum kind kind,
			  int level, u64 slot, u64 raw)
{
	struct entry e = entry_decode(raw);
	int want_level = level - 1;
	enum daxcow_entry_type want;

	if (!entry_check(&pool->crc, slot, raw))
		return DAXCOW_BAD_CHECK;
	if (raw & DAXCOW_ENTRY_RSVD_MASK)
		return DAXCOW_BAD_RESERVED;
	if (kind >= KIND_DIR && kind < KIND_RECORD) {
		want = level ? DAXCOW_ENTRY_DIR : DAXCOW_ENTRY_RECORD;
		want_level = level ? want_level : 0;
	} else if (e.type == DAXCOW_ENTRY_DATA && level <= 1) {
		want = e.type;
		want_level = level;
	} else {
		want = level ? DAXCOW_ENTRY_NODE : DAXCOW_ENTRY_DATA;
		if (kind == KIND_RECORD && e.level <= DAXCOW_MAX_LEVEL)
			want_level = e.level;
	}
	if (e.type != want)
		return DAXCOW_BAD_TYPE;
	if (e.level != want_level)
		return DAXCOW_BAD_LEVEL;
	return range_bad(pool, e);
}

enum kind entry_kind(struct entry e)
{
	switch (e.type) {
	case DAXCOW_ENTRY_DATA:
		return KIND_DATA;
	case DAXCOW_ENTRY_NODE:
		return KIND_NODE + e.level;
	case DAXCOW_ENTRY_DIR:
		return KIND_DIR + e.level;
	default:
		return KIND_RECORD;
	}
}

static int own_chunk(struct walk *w, u64 slot, int level, u64 raw,
		     struct entry e)
{
	struct daxcow_pool *pool = w->pool;
	int ret = space_take_chunk(pool, e.block);

	if (ret)
		return bad(w, DAXCOW_BAD_REUSE, slot, level, raw);
	return owner_add(pool, slot, e);
}

/*
 * Note that @slot owns what @e names. *@first is set when nobody did before.
 */
static int own(struct walk *w, u64 slot, int level, u64 raw, struct entry e,
	       bool *first)
{
	struct daxcow_pool *pool = w->pool;
	enum kind kind = entry_kind(e), have;
	int ret;

	*first = false;
	if (e.type == DAXCOW_ENTRY_DATA && e.level == 1)
		return own_chunk(w, slot, level, raw, e);
	have = desc_kind(space_desc(pool, e.block));
	if (have == KIND_RESERVED)
		return bad(w, DAXCOW_BAD_RANGE, slot, level, raw);
	if (have == KIND_FREE) {
		*first = true;
		ret = space_take(pool, e.block, kind);
	} else if (have == kind && kind < KIND_DIR) {
		ret = space_split(pool, chunk_of(pool, e.block));
	} else {
		return bad(w, DAXCOW_BAD_REUSE, slot, level, raw);
	}
	return ret ? ret : owner_add(pool, slot, e);
}

/* An entry of a table that is walked. */
static void count_entry(struct daxcow_pool *pool, u64 slot)
{
	const struct desc *d = space_desc(pool, slot_block(slot));

	if (desc_is_node(d))
		d->node->used++;
}

static int check_record(struct walk *w, u64 block, u32 id)
{
	int ret = record_read(w->pool, block, id, w->record);
	u64 slot = slot_of(block, 0);

	w->volume = id;
	if (ret == -EIO)
		return bad(w, DAXCOW_BAD_READ, slot, -1, id);
	if (ret && !record_bad(w->record))
		return bad(w, DAXCOW_BAD_RECORD_ID, slot, -1, id);
	if (ret)
		return bad(w, DAXCOW_BAD_RECORD, slot, -1, id);
	if (le64_to_cpu(w->record->size) > DAXCOW_MAX_VOLUME_BLOCKS)
		return bad(w, DAXCOW_BAD_RECORD, slot, -1, id);
	w->pool->nr_volumes++;
	return 0;
}

/* The id that a leaf entry of the directory stands for. */
static u32 frame_id(const struct walk *w)
{
	u32 id = 0;
	int i;

	for (i = 1; i < w->depth; i++)
		if (w->frame[i].kind >= KIND_DIR && w->frame[i].kind < KIND_RECORD)
			id = id << DAXCOW_NODE_SHIFT | (w->frame[i].index - 1);
	return id;
}

static void push(struct walk *w, u64 block, enum kind kind, int level)
{
	struct frame *f = &w->frame[w->depth++];

	*f = (struct frame) { .block = block, .kind = kind, .level = level };
	f->end = DAXCOW_NODE_ENTRIES;
	if (kind == KIND_RECORD) {
		f->index = DAXCOW_SLOT_ROOT;
		f->end = f->index + 1;
	}
}

/*
 * A table that is known to be bad is not looked into. What it names is not
 * known, so nothing is given to anybody, see bad.c. No volume is found without the
 * directory.
 */
static int skip_bad(struct walk *w, u64 slot, int level, struct entry e)
{
	if (e.type == DAXCOW_ENTRY_DIR)
		return bad(w, DAXCOW_BAD_READ, slot_of(e.block, 0), level, 0);
	w->pool->nr_volumes += e.type == DAXCOW_ENTRY_RECORD;
	if (!w->pool->read_only)
		w->pool->unknown = true;
	w->pool->read_only = true;
	return 0;
}

static int walk_entry(struct walk *w, struct frame *f, u64 slot)
{
	u64 raw = pm_load(slot_word(w->pool, slot));
	struct entry e = entry_decode(raw);
	enum daxcow_bad what;
	bool first;
	int ret;

	if (!raw)
		return 0;
	what = entry_bad(w->pool, f->kind, f->level, slot, raw);
	if (what)
		return bad(w, what, slot, f->level, raw);
	if (e.type == DAXCOW_ENTRY_RECORD && frame_id(w) > DAXCOW_MAX_ID)
		return bad(w, DAXCOW_BAD_ID, slot, f->level, raw);
	count_entry(w->pool, slot);
	ret = own(w, slot, f->level, raw, e, &first);
	if (ret || !first || e.type == DAXCOW_ENTRY_DATA)
		return ret;
	if (bad_test(w->pool, e.block))
		return skip_bad(w, slot, f->level, e);
	if (e.type == DAXCOW_ENTRY_RECORD) {
		ret = check_record(w, e.block, frame_id(w));
		if (ret)
			return ret;
		push(w, e.block, KIND_RECORD, ROOT_LEVEL);
	} else {
		push(w, e.block, entry_kind(e), e.level);
	}
	return 0;
}

static void tell_progress(struct daxcow_pool *pool)
{
	if (pool->host.progress)
		pool->host.progress(pool->host.ctx,
				    pool->nr_data + pool->nr_meta);
}

/* Walk everything below the directory's root entry. */
static int walk_all(struct walk *w)
{
	int ret;

	/* the superblock, as a node of one entry */
	push(w, DAXCOW_SUPER_BLOCK, KIND_DIR, DIR_ROOT_LEVEL);
	w->frame[0].index = DAXCOW_SLOT_DIRECTORY;
	w->frame[0].end = DAXCOW_SLOT_DIRECTORY + 1;
	while (w->depth) {
		struct frame *f = &w->frame[w->depth - 1];

		if (f->index == f->end) {
			if (f->kind == KIND_RECORD)
				w->volume = ~0U;
			w->depth--;
			tell_progress(w->pool);
			cond_resched();
			continue;
		}
		f->index++;
		ret = walk_entry(w, f, slot_of(f->block, f->index - 1));
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Build descriptors and free space of a pool whose superblock was read.
 * Returns 0, -ENOMEM, or -EUCLEAN with @report set.
 */
int load_tables(struct daxcow_pool *pool, struct daxcow_report *report)
{
	struct walk *w;
	int ret;

	w = kvzalloc(sizeof(*w), GFP_KERNEL);
	if (!w)
		return -ENOMEM;
	w->pool = pool;
	w->report = report;
	w->volume = ~0U;
	w->record = kvzalloc(sizeof(*w->record), GFP_KERNEL);
	ret = w->record ? space_init(pool, pool->nr_blocks) : -ENOMEM;
	if (!ret)
		ret = bad_init(pool, pool->host.bad, pool->host.nr_bad);
	if (!ret)
		ret = reserve_fixed(w);
	if (!ret)
		ret = walk_all(w);
	if (!ret)
		ret = reclaim_hold(pool, pool->host.held, pool->host.nr_held);
	if (!ret)
		bad_retire(pool);
	kvfree(w->record);
	kvfree(w);
	return ret;
}
