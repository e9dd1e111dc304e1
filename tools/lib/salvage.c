// SPDX-License-Identifier: GPL-2.0
/*
 * Read what can be read of a pool that is damaged.
 *
 * Two walks. The first is the one of a load: each node once, from the
 * superblock down; nodes are handed out when all below them are done, so that
 * whoever writes them down can publish the last one last. A node below which
 * something is missing is tainted, and so are those above it. The second goes
 * down from each volume, into tainted nodes only, and tells what the volume has
 * lost: a node with ten owners costs all ten the same.
 *
 * A single flipped bit is found by trying all: with a CRC of 16 bits over 12
 * bytes any two valid entries for one place differ in four bits, so that at most
 * one of them is a single bit away. Should the entry next to it be "unmapped",
 * which has no check, that is not so certain: then neither is taken.
 */
#include "internal.h"
#include "salvage.h"

/* superblock, directory, record, volume; as in load.c */
#define FRAMES		(1 + DAXCOW_DIR_LEVEL + 1 + 1 + DAXCOW_MAX_LEVEL + 1)
#define SECTORS		8
/* of a superblock and of a record */
#define CRC_BYTES	DAXCOW_SUPER_FIXED
_Static_assert(DAXCOW_SUPER_FIXED == DAXCOW_RECORD_FIXED, "one table for both");
#define SECTOR_WORDS	(DAXCOW_NODE_SLOTS / SECTORS)

/* in struct salvage's use: the kind, and these */
#define TAINTED		0x80
#define UNREADABLE	0x40

struct frame {
	u64 block, vblk;
	enum kind kind;
	int level;
	unsigned int index, end;
	bool tainted;
	u8 unreadable;		/* sectors */
	__le64 content[DAXCOW_NODE_SLOTS];
};

struct list {
	u64 *item;
	size_t nr, cap;
};

struct salvage {
	struct salvage_source src;
	struct daxcow_super super;
	struct daxcow_pool *geometry;
	const struct salvage_ops *ops;
	void *ctx;
	u8 *use;
	struct frame frame[FRAMES];
	int depth;
	u32 volume;
	u64 end;			/* of the volume, in blocks; 0 when not recorded */
	struct list fixed_super;	/* kinds of damage */
	struct list reused;		/* slots of entries that name what is in use */
	struct list volumes;		/* id << 36 | record */
};

static int list_add(struct list *l, u64 item)
{
	if (l->nr == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		u64 *more = realloc(l->item, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->item = more;
		l->cap = cap;
	}
	l->item[l->nr++] = item;
	return 0;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void list_sort(struct list *l)
{
	if (l->nr)
		qsort(l->item, l->nr, sizeof(l->item[0]), compare);
}

/* Once it has been sorted. */
static bool list_has(const struct list *l, u64 item)
{
	return l->nr && bsearch(&item, l->item, l->nr, sizeof(item), compare);
}

/* Returns a bit for each sector that could not be read; these are zero. */
static u8 read_block(struct salvage *s, u64 block, void *buf)
{
	u8 unreadable = 0;
	unsigned int i;

	for (i = 0; i < SECTORS; i++) {
		char *sector = (char *)buf + i * 512;

		if (!s->src.read(s->src.ctx, block, i, sector))
			continue;
		memset(sector, 0, 512);
		unreadable |= 1 << i;
	}
	return unreadable;
}

/* ---- bits that flipped ---- */

/* By what the CRC32C of that many bytes changes with each of their bits. */
static const u32 *crc_changes(void)
{
	static u32 change[CRC_BYTES * 8];
	u8 buf[CRC_BYTES] = { 0 };
	unsigned int bit;

	for (bit = 0; bit < CRC_BYTES * 8 && !change[CRC_BYTES * 8 - 1]; bit++) {
		buf[bit / 8] = 1 << bit % 8;
		change[bit] = crc32c(0, buf, sizeof(buf));
		buf[bit / 8] = 0;
	}
	return change;
}

/*
 * The fixed part of a superblock or a record, then its CRC32C: true when it was
 * right, or is now.
 */
static bool crc_correct(void *buf, bool *fixed)
{
	u8 *p = buf;
	__le32 *crc = (__le32 *)(p + CRC_BYTES);
	u32 off = crc32c(~0U, buf, CRC_BYTES) ^ le32_to_cpu(*crc);
	const u32 *change = crc_changes();
	unsigned int bit;

	*fixed = off;
	if (!(off & (off - 1))) {
		/* right, or it is the CRC itself that has a wrong bit */
		*crc = cpu_to_le32(le32_to_cpu(*crc) ^ off);
		return true;
	}
	for (bit = 0; bit < CRC_BYTES * 8; bit++) {
		if (change[bit] != off)
			continue;
		p[bit / 8] ^= 1 << bit % 8;
		return true;
	}
	return false;
}

/* What is wrong with *@raw, after it was put right if that is possible. */
static enum daxcow_bad entry_correct(struct salvage *s, enum kind in,
				     int level, u64 slot, u64 *raw)
{
	enum daxcow_bad what = entry_bad(s->geometry, in, level, slot, *raw);
	unsigned int bit, found = 0;
	u64 right = 0;

	if (what != DAXCOW_BAD_CHECK)
		return what;
	for (bit = 0; bit < 64; bit++) {
		u64 try = *raw ^ 1ULL << bit;

		if (try && entry_bad(s->geometry, in, level, slot, try))
			continue;
		right = try;
		found++;
	}
	if (found != 1)
		return what;
	*raw = right;
	return DAXCOW_BAD_NONE;
}

/* ---- the superblock ---- */

/* One of the words that change; @value is taken when it cannot be read. */
static int super_word(struct salvage *s, __le64 *word, unsigned int index,
		      enum daxcow_entry_type type, u64 value)
{
	u64 slot = slot_of(DAXCOW_SUPER_BLOCK, index), raw = le64_to_cpu(*word);
	struct entry right = { .type = type, .block = value };
	unsigned int bit;

	for (bit = 0; bit <= 64; bit++) {
		u64 try = bit ? raw ^ 1ULL << (bit - 1) : raw;
		struct entry e = entry_decode(try);

		if (!entry_check(&s->geometry->crc, slot, try) ||
		    e.type != type || e.level || try & DAXCOW_ENTRY_RSVD_MASK)
			continue;
		*word = cpu_to_le64(try);
		return bit ? list_add(&s->fixed_super, index) : 0;
	}
	*word = cpu_to_le64(entry_encode(&s->geometry->crc, slot, right));
	return list_add(&s->fixed_super, index);
}

static int super_fixed(struct salvage *s, struct daxcow_report *report)
{
	struct daxcow_super *backup = &((union {
		struct daxcow_super super;
	} *)s->frame[0].content)->super;
	enum daxcow_bad what, other;
	u64 value, ignored;
	bool fixed = false;

	read_block(s, DAXCOW_SUPER_BLOCK, &s->super);
	what = super_fixed_bad(&s->super, &value);
	if (!what)
		return 0;
	read_block(s, DAXCOW_BACKUP_BLOCK, backup);
	other = super_fixed_bad(backup, &ignored);
	if (!other) {
		memcpy(&s->super, backup, DAXCOW_SUPER_FIXED + 4);
		return list_add(&s->fixed_super, DAXCOW_NODE_SLOTS + what);
	}
	if (le64_to_cpu(s->super.magic) == DAXCOW_SUPER_MAGIC &&
	    crc_correct(&s->super, &fixed) &&
	    !super_fixed_bad(&s->super, &ignored))
		return list_add(&s->fixed_super, DAXCOW_NODE_SLOTS + what);
	*report = (struct daxcow_report) {
		.bad = what, .level = -1, .volume = ~0U, .value = value,
	};
	if (what == DAXCOW_BAD_MAGIC && other == DAXCOW_BAD_MAGIC)
		return -EMEDIUMTYPE;
	return what == DAXCOW_BAD_VERSION || what == DAXCOW_BAD_FEATURE ?
	       -EPROTONOSUPPORT : -EUCLEAN;
}

static int super_read(struct salvage *s, struct daxcow_report *report)
{
	struct daxcow_pool *g = s->geometry;
	u64 blocks;
	int ret;

	ret = super_fixed(s, report);
	if (ret)
		return ret;
	entry_crc_init(&g->crc, s->super.uuid);
	g->pad = super_pad(le64_to_cpu(s->super.chunk_offset));
	g->zero_block = super_zero_block(le64_to_cpu(s->super.chunk_offset));
	ret = super_word(s, &s->super.size, DAXCOW_SLOT_SIZE, DAXCOW_ENTRY_SIZE,
			 s->src.nr_blocks);
	if (!ret)
		ret = super_word(s, &s->super.trans, DAXCOW_SLOT_TRANS,
				 DAXCOW_ENTRY_TRANS, 0);
	if (ret)
		return ret;
	blocks = entry_decode(le64_to_cpu(s->super.size)).block;
	g->nr_blocks = min(blocks, s->src.nr_blocks);
	if (blocks >= DAXCOW_MIN_BLOCKS && blocks > g->nr_blocks) {
		struct entry e = { DAXCOW_ENTRY_SIZE, 0, g->nr_blocks };
		u64 slot = slot_of(DAXCOW_SUPER_BLOCK, DAXCOW_SLOT_SIZE);

		s->super.size = cpu_to_le64(entry_encode(&g->crc, slot, e));
		return list_add(&s->fixed_super,
				DAXCOW_NODE_SLOTS + DAXCOW_BAD_TRUNCATED);
	}
	if (blocks >= DAXCOW_MIN_BLOCKS)
		return 0;
	*report = (struct daxcow_report) {
		.bad = DAXCOW_BAD_TRUNCATED, .level = -1, .volume = ~0U,
		.value = blocks,
	};
	return -EUCLEAN;
}

int salvage_open(struct salvage **sp, const struct salvage_source *src,
		 struct daxcow_report *report)
{
	struct salvage *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->src = *src;
	s->geometry = calloc(1, sizeof(*s->geometry));
	if (!s->geometry) {
		ret = -ENOMEM;
		goto out_close;
	}
	if (src->nr_blocks < DAXCOW_MIN_BLOCKS) {
		*report = (struct daxcow_report) {
			.bad = DAXCOW_BAD_TRUNCATED, .level = -1, .volume = ~0U,
			.value = src->nr_blocks,
		};
		ret = -EMEDIUMTYPE;
		goto out_close;
	}
	ret = super_read(s, report);
	if (ret)
		goto out_close;
	*sp = s;
	return 0;

out_close:
	salvage_close(s);
	return ret;
}

void salvage_close(struct salvage *s)
{
	free(s->fixed_super.item);
	free(s->reused.item);
	free(s->volumes.item);
	free(s->geometry);
	free(s->use);
	free(s);
}

const struct daxcow_super *salvage_super(const struct salvage *s)
{
	return &s->super;
}

u64 salvage_blocks(const struct salvage *s)
{
	return s->geometry->nr_blocks;
}

/* ---- the first walk ---- */

static struct daxcow_report report_at(const struct salvage *s,
				      enum daxcow_bad what, u64 slot, int level,
				      u64 value)
{
	return (struct daxcow_report) {
		.bad = what,
		.level = level,
		.block = slot_block(slot),
		.index = slot_index(slot),
		.volume = s->volume,
		.value = value,
	};
}

static int tell_fixed(struct salvage *s, enum daxcow_bad what, u64 slot,
		      int level, u64 value)
{
	struct daxcow_report r = report_at(s, what, slot, level, value);

	return s->ops->fixed ? s->ops->fixed(s->ctx, &r) : 0;
}

/* Ids that entry @i of the directory node in frame @n stands for. */
static u64 ids_of(const struct salvage *s, int n, unsigned int i, u32 *first)
{
	int level = s->frame[n].level, k;
	u64 id = 0;

	*first = 0;
	if (level > DAXCOW_DIR_LEVEL)
		return DAXCOW_MAX_ID + 1ULL;
	for (k = 1; k < n; k++)
		id = id << DAXCOW_NODE_SHIFT | (s->frame[k].index - 1);
	*first = (id << DAXCOW_NODE_SHIFT | i) << (DAXCOW_NODE_SHIFT * level);
	return level_span(level);
}

/* Entries from @i on of the directory node in frame @n are lost: @nr of them. */
static int tell_lost_ids(struct salvage *s, int n, enum daxcow_bad what,
			 unsigned int i, unsigned int nr, u64 raw)
{
	const struct frame *f = &s->frame[n];
	struct daxcow_report r = report_at(s, what, slot_of(f->block, i),
					   f->level, raw);
	u64 ids;
	u32 id;

	if (!s->ops->lost_volumes)
		return 0;
	r.volume = ~0U;
	ids = ids_of(s, n, i, &id) * nr;
	return s->ops->lost_volumes(s->ctx, &r, id,
				    min(ids, DAXCOW_MAX_ID + 1ULL));
}

static bool is_dir(const struct frame *f)
{
	return f->kind >= KIND_DIR && f->kind < KIND_RECORD;
}

static void push(struct salvage *s, u64 block, enum kind kind, int level)
{
	struct frame *f = &s->frame[s->depth++];

	f->block = block;
	f->kind = kind;
	f->level = level;
	f->index = 0;
	f->end = DAXCOW_NODE_ENTRIES;
	f->vblk = 0;
	f->unreadable = read_block(s, block, f->content);
	f->tainted = f->unreadable;
	if (kind == KIND_RECORD) {
		f->index = DAXCOW_SLOT_ROOT;
		f->end = DAXCOW_SLOT_ROOT + 1;
	}
}

/* May the entry name this block? @first when none has before. */
static enum daxcow_bad claim(struct salvage *s, struct entry e, bool *first)
{
	u64 nr = is_chunk(e) ? DAXCOW_CHUNK_BLOCKS : 1, i;
	enum kind kind = entry_kind(e);

	*first = s->use[e.block] == KIND_FREE;
	for (i = 0; i < nr; i++) {
		u8 have = s->use[e.block + i] & ~(TAINTED | UNREADABLE);

		if (have == KIND_RESERVED)
			return DAXCOW_BAD_RANGE;
		if (have != KIND_FREE && (have != kind || kind >= KIND_DIR))
			return DAXCOW_BAD_REUSE;
	}
	return DAXCOW_BAD_NONE;
}

static int take_data(struct salvage *s, struct frame *f, struct entry e)
{
	u64 nr = is_chunk(e) ? DAXCOW_CHUNK_BLOCKS : 1, b;
	__le64 content[DAXCOW_NODE_SLOTS];
	int ret = 0;

	for (b = e.block; b < e.block + nr && !ret; b++) {
		if (s->use[b] == KIND_FREE) {
			s->use[b] = KIND_DATA;
			if (s->ops->data && read_block(s, b, content))
				s->use[b] |= UNREADABLE;
			if (s->ops->data)
				ret = s->ops->data(s->ctx, b, content);
		}
		f->tainted |= s->use[b] & UNREADABLE;
	}
	return ret;
}

/* The entry at @slot, in the node in frame @n, is left out. */
static int lose(struct salvage *s, int n, enum daxcow_bad what, u64 slot, u64 raw)
{
	struct frame *f = &s->frame[n];
	unsigned int i = slot_index(slot);

	f->content[i] = 0;
	f->tainted = true;
	if (is_dir(f))
		return tell_lost_ids(s, n, what, i, 1, raw);
	/* the second walk would find nothing wrong with the entry */
	return what == DAXCOW_BAD_CHECK ? 0 : list_add(&s->reused, slot);
}

/* A record was pushed that @slot of the directory names: is it one? */
static int look_at_record(struct salvage *s, u64 slot, u64 raw)
{
	int dir = s->depth - 2;
	struct frame *f = &s->frame[dir + 1];
	struct daxcow_record *r = (struct daxcow_record *)f->content;
	bool fixed = false;
	int ret = 0;
	u32 id;

	ids_of(s, dir, slot_index(slot), &id);
	if (id > DAXCOW_MAX_ID) {
		s->depth--;
		return lose(s, dir, DAXCOW_BAD_ID, slot, raw);
	}
	if (f->unreadable & 1 || !crc_correct(r, &fixed) || record_bad(r) ||
	    le32_to_cpu(r->id) != id ||
	    le64_to_cpu(r->size) > DAXCOW_MAX_VOLUME_BLOCKS) {
		s->depth--;
		return lose(s, dir, DAXCOW_BAD_RECORD, slot, raw);
	}
	s->volume = id;
	/* nothing is in the sectors behind */
	f->tainted = false;
	if (fixed)
		ret = tell_fixed(s, DAXCOW_BAD_RECORD, slot_of(f->block, 0), -1, id);
	return ret ? ret : list_add(&s->volumes,
				    (u64)id << DAXCOW_ENTRY_BLOCK_BITS | f->block);
}

static int walk_child(struct salvage *s, struct frame *f, u64 slot,
		      struct entry e, bool first)
{
	if (e.type == DAXCOW_ENTRY_DATA)
		return take_data(s, f, e);
	if (!first) {
		f->tainted |= s->use[e.block] & TAINTED;
		return 0;
	}
	s->use[e.block] = entry_kind(e);
	if (e.type != DAXCOW_ENTRY_RECORD) {
		push(s, e.block, entry_kind(e), e.level);
		return 0;
	}
	push(s, e.block, KIND_RECORD, ROOT_LEVEL);
	return look_at_record(s, slot, le64_to_cpu(f->content[slot_index(slot)]));
}

static int walk_entry(struct salvage *s, struct frame *f, unsigned int i)
{
	u64 slot = slot_of(f->block, i), was = le64_to_cpu(f->content[i]);
	enum daxcow_bad what;
	u64 raw = was;
	bool first;
	int ret;

	if (!raw)
		return 0;
	what = entry_correct(s, f->kind, f->level, slot, &raw);
	if (!what && raw != was) {
		f->content[i] = cpu_to_le64(raw);
		ret = tell_fixed(s, DAXCOW_BAD_CHECK, slot, f->level, was);
		if (ret || !raw)
			return ret;
	}
	if (!what)
		what = claim(s, entry_decode(raw), &first);
	if (what)
		return lose(s, s->depth - 1, what, slot, was);
	return walk_child(s, f, slot, entry_decode(raw), first);
}

/* The node on top, and all below it, are done. */
static int pop(struct salvage *s)
{
	struct frame *f = &s->frame[--s->depth];
	struct salvage_node n = {
		.block = f->block,
		.kind = is_dir(f) ? SALVAGE_DIR :
			f->kind == KIND_RECORD ? SALVAGE_RECORD : SALVAGE_NODE,
		.level = f->level,
		.content = f->content,
	};
	unsigned int i;
	int ret = 0;

	for (i = 0; i < DAXCOW_NODE_ENTRIES && is_dir(f) && !ret; i += SECTOR_WORDS)
		if (f->unreadable & 1 << i / SECTOR_WORDS && s->depth)
			ret = tell_lost_ids(s, s->depth, DAXCOW_BAD_READ, i,
					    SECTOR_WORDS, 0);
	if (f->tainted) {
		s->use[f->block] |= TAINTED;
		if (s->depth)
			f[-1].tainted = true;
	}
	if (ret || !s->depth)
		return ret;
	return s->ops->node ? s->ops->node(s->ctx, &n) : 0;
}

/* Something of the superblock was not there any more; that a device is short is another thing. */
static bool super_was_lost(const struct salvage *s)
{
	size_t i;

	for (i = 0; i < s->fixed_super.nr; i++)
		if (s->fixed_super.item[i] != DAXCOW_NODE_SLOTS + DAXCOW_BAD_TRUNCATED)
			return true;
	return false;
}

static int walk_all(struct salvage *s)
{
	const unsigned int i = DAXCOW_SLOT_DIRECTORY;
	struct frame *top = &s->frame[0];
	int ret = 0;

	s->depth = 0;
	s->volume = ~0U;
	push(s, DAXCOW_SUPER_BLOCK, KIND_DIR, DIR_ROOT_LEVEL);
	top->index = i;
	top->end = i + 1;
	/* that there are no volumes is not believed beside words that were lost */
	if (top->unreadable & 1 << i / SECTOR_WORDS)
		ret = tell_lost_ids(s, 0, DAXCOW_BAD_READ, i, 1, 0);
	else if (!top->content[i] && super_was_lost(s))
		ret = tell_lost_ids(s, 0, DAXCOW_BAD_CHECK, i, 1, 0);
	while (s->depth && !ret) {
		struct frame *f = &s->frame[s->depth - 1];

		if (f->index < f->end)
			ret = walk_entry(s, f, f->index++);
		else
			ret = pop(s);
	}
	s->super.directory = top->content[i];
	list_sort(&s->reused);
	return ret;
}

/* ---- the second walk ---- */

static int tell_lost(struct salvage *s, struct frame *f, enum daxcow_bad what,
		     u64 slot, u64 raw, u64 vblk, u64 nr)
{
	struct daxcow_report r = report_at(s, what, slot, f->level, raw);

	/* a table may reach further than the volume does */
	if (vblk < s->end && nr > s->end - vblk)
		nr = s->end - vblk;
	return s->ops->lost ? s->ops->lost(s->ctx, &r, vblk, nr) : 0;
}

/* Of data that is mapped, those blocks that could not be read. */
static int tell_bad_data(struct salvage *s, struct frame *f, u64 slot,
			 struct entry e, u64 vblk)
{
	u64 nr = is_chunk(e) ? DAXCOW_CHUNK_BLOCKS : 1, i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		if (s->use[e.block + i] & UNREADABLE)
			ret = tell_lost(s, f, DAXCOW_BAD_READ, slot,
					e.block + i, vblk + i, 1);
	return ret;
}

static int look_again(struct salvage *s, struct frame *f, unsigned int i)
{
	u64 slot = slot_of(f->block, i), raw = le64_to_cpu(f->content[i]);
	u64 was = raw, span, vblk = f->vblk;
	enum daxcow_bad what;
	struct entry e;

	if (f->kind == KIND_RECORD) {
		span = DAXCOW_MAX_VOLUME_BLOCKS;
	} else {
		span = level_span(f->level);
		vblk += i * span;
	}
	if (f->unreadable & 1 << i / SECTOR_WORDS)
		return i % SECTOR_WORDS ? 0 :
		       tell_lost(s, f, DAXCOW_BAD_READ, slot, 0, vblk,
				 span * min(SECTOR_WORDS, DAXCOW_NODE_ENTRIES));
	if (!raw)
		return 0;
	what = entry_correct(s, f->kind, f->level, slot, &raw);
	if (!what && list_has(&s->reused, slot))
		what = DAXCOW_BAD_REUSE;
	if (what)
		return tell_lost(s, f, what, slot, was, vblk, span);
	e = entry_decode(raw);
	if (e.type == DAXCOW_ENTRY_DATA)
		return tell_bad_data(s, f, slot, e, vblk);
	if (e.type == DAXCOW_ENTRY_NODE && s->use[e.block] & TAINTED) {
		push(s, e.block, entry_kind(e), e.level);
		f[1].vblk = vblk;
	}
	return 0;
}

static int tell_volume(struct salvage *s, u32 id, u64 record)
{
	struct daxcow_record *r = (void *)s->frame[0].content;
	bool fixed;
	int ret = 0;

	if (!(s->use[record] & TAINTED))
		return 0;
	s->volume = id;
	s->depth = 0;
	push(s, record, KIND_RECORD, ROOT_LEVEL);
	/* it was correct, or could be corrected, in the first walk */
	crc_correct(r, &fixed);
	s->end = le64_to_cpu(r->size);
	while (s->depth && !ret) {
		struct frame *f = &s->frame[s->depth - 1];

		if (f->index == f->end)
			s->depth--;
		else
			ret = look_again(s, f, f->index++);
	}
	return ret;
}

/* ---- */

static int reserve(struct salvage *s)
{
	struct daxcow_pool *g = s->geometry;
	u64 i;

	free(s->use);
	s->use = calloc(g->nr_blocks, 1);
	if (!s->use)
		return -ENOMEM;
	s->use[DAXCOW_SUPER_BLOCK] = KIND_RESERVED;
	s->use[DAXCOW_BACKUP_BLOCK] = KIND_RESERVED;
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
		s->use[g->zero_block + i] = KIND_RESERVED;
	return 0;
}

static int tell_super(struct salvage *s)
{
	size_t i;
	int ret = 0;

	s->volume = ~0U;
	for (i = 0; i < s->fixed_super.nr && !ret; i++) {
		u64 item = s->fixed_super.item[i];

		if (item >= DAXCOW_NODE_SLOTS)
			ret = tell_fixed(s, item - DAXCOW_NODE_SLOTS,
					 slot_of(DAXCOW_SUPER_BLOCK, 0), -1, 0);
		else
			ret = tell_fixed(s, DAXCOW_BAD_CHECK,
					 slot_of(DAXCOW_SUPER_BLOCK, item), -1, 0);
	}
	return ret;
}

int salvage_walk(struct salvage *s, const struct salvage_ops *ops, void *ctx)
{
	size_t i;
	int ret;

	s->ops = ops;
	s->ctx = ctx;
	s->reused.nr = 0;
	s->volumes.nr = 0;
	ret = reserve(s);
	if (!ret)
		ret = tell_super(s);
	if (!ret)
		ret = walk_all(s);
	for (i = 0; i < s->volumes.nr && !ret; i++)
		ret = tell_volume(s, s->volumes.item[i] >> DAXCOW_ENTRY_BLOCK_BITS,
				  s->volumes.item[i] & DAXCOW_ENTRY_BLOCK_MASK);
	return ret;
}
