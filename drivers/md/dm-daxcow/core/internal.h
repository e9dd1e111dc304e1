/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private structures of the engine; the only header its files include.
 *
 * Names that always mean the same: "slot" is the address of an entry (block *
 * 512 + index of the word), "raw" an entry as it is stored (in CPU order),
 * "block" a block of the pool, "vblk" one of a volume, "desc" what memory
 * knows about a block.
 */
#ifndef DAXCOW_INTERNAL_H
#define DAXCOW_INTERNAL_H

#include "platform.h"
#include <daxcow/core.h>
#include <daxcow/pmem.h>

/* ---- entries (entry.c) ---- */

/**
 * struct entry - a decoded entry
 */
struct entry {
	enum daxcow_entry_type type;
	int level;
	u64 block;
};

/* One table per byte of value and slot: the lookups do not wait for each other. */
struct entry_crc {
	u16 value[6][256];
	u16 slot[6][256];
	u16 seed;
};

void entry_crc_init(struct entry_crc *crc, const u8 *uuid);
u64 entry_encode(const struct entry_crc *crc, u64 slot, struct entry e);
bool entry_check(const struct entry_crc *crc, u64 slot, u64 raw);

static inline struct entry entry_decode(u64 raw)
{
	return (struct entry) {
		.type = raw >> DAXCOW_ENTRY_TYPE_SHIFT & 7,
		.level = raw >> DAXCOW_ENTRY_LEVEL_SHIFT & 7,
		.block = raw & DAXCOW_ENTRY_BLOCK_MASK,
	};
}

static inline bool is_chunk(struct entry e)
{
	return e.type == DAXCOW_ENTRY_DATA && e.level == 1;
}

static inline u64 slot_of(u64 block, unsigned int index)
{
	return block << DAXCOW_SLOT_SHIFT | index;
}

static inline u64 slot_block(u64 slot)
{
	return slot >> DAXCOW_SLOT_SHIFT;
}

static inline unsigned int slot_index(u64 slot)
{
	return slot & (DAXCOW_NODE_SLOTS - 1);
}

/* ---- descriptors (owners.c) ---- */

enum kind {
	KIND_FREE,
	KIND_DATA,
	KIND_NODE,		/* + level, 0 .. DAXCOW_MAX_LEVEL */
	KIND_DIR = KIND_NODE + DAXCOW_MAX_LEVEL + 1,	/* + level */
	KIND_RECORD = KIND_DIR + DAXCOW_DIR_LEVEL + 1,
	KIND_RESERVED,		/* superblocks, zero chunk, beyond the pool */
	KIND_BAD,		/* nobody's, and not to be used */
};

/**
 * struct desc - what memory knows about a block, or about an unsplit chunk
 * @a: slot of the first owner (45 bits), number of owners (2 bits: 0, 1, 2,
 *     or 3 for "see the array"), kind (4), pending owners (13)
 * @b: slot of the second owner, or the array of all owners
 *
 * 16 bytes, because there is one for each 4 KiB of a split chunk. Two owners
 * fit because a path copy gives 512 children a second one.
 */
struct desc {
	u64 a;
	u64 b;
};

/* Sorted, from @first on: what is in the shorter part moves when one comes or goes. */
struct owner_array {
	u32 nr, cap, first;
	u64 slot[];
};

#define DESC_SLOT_MASK		((1ULL << 45) - 1)
#define DESC_NR_SHIFT		45
#define DESC_NR_ARRAY		3
#define DESC_KIND_SHIFT		47
#define DESC_PENDING_SHIFT	51
#define DESC_PENDING_MAX	((1U << 13) - 1)

static inline enum kind desc_kind(const struct desc *d)
{
	return d->a >> DESC_KIND_SHIFT & 15;
}

static inline unsigned int desc_pending(const struct desc *d)
{
	return d->a >> DESC_PENDING_SHIFT;
}

static inline struct owner_array *desc_array(const struct desc *d)
{
	return (d->a >> DESC_NR_SHIFT & 3) == DESC_NR_ARRAY ?
	       (struct owner_array *)(uintptr_t)d->b : NULL;
}

static inline u32 desc_owners(const struct desc *d)
{
	const struct owner_array *arr = desc_array(d);

	return arr ? arr->nr : d->a >> DESC_NR_SHIFT & 3;
}

static inline void desc_set_kind(struct desc *d, enum kind kind)
{
	d->a = (d->a & ~(15ULL << DESC_KIND_SHIFT)) | (u64)kind << DESC_KIND_SHIFT;
}

static inline bool desc_is_node(const struct desc *d)
{
	return desc_kind(d) >= KIND_NODE && desc_kind(d) < KIND_DIR;
}

/* One owner and nobody who may still look at it: may be written (I1, I2). */
static inline bool desc_exclusive(const struct desc *d)
{
	return desc_owners(d) == 1 && !desc_pending(d);
}

u64 desc_owner(const struct desc *d, u32 i);
int desc_owner_add(struct desc *d, u64 slot);
int desc_owner_reserve(struct desc *d, u32 nr);
bool desc_owner_has(const struct desc *d, u64 slot);
bool desc_owner_del(struct desc *d, u64 slot);
void desc_owner_move(struct desc *d, u64 from, u64 to);
int desc_copy(struct desc *to, const struct desc *from);
void desc_drop(struct desc *d);
void desc_pending_add(struct desc *d);
void desc_pending_del(struct desc *d);

/* ---- space (space.c) ---- */

/* @gen: of each block, the generation in which it was last given to a writer */
struct split {
	struct desc desc[DAXCOW_CHUNK_BLOCKS];
	u32 gen[DAXCOW_CHUNK_BLOCKS];
	u64 free[(DAXCOW_CHUNK_BLOCKS + 63) / 64];
	u32 nr_free;
};

/**
 * struct chunk - DAXCOW_CHUNK_BLOCKS aligned blocks
 * @desc:	of the chunk as a whole, while @split is NULL
 * @split:	descriptors block by block
 * @gen:	of the chunk as a whole, as those in @split
 * @prev:	list of free, or of partly free, chunks
 * @next:	dto.
 */
struct chunk {
	struct desc desc;
	struct split *split;
	u32 gen;
	u32 prev, next;
};

#define NO_CHUNK	(~0U)

/*
 * A growing array of blocks that wait, as the slot of their first entry: of
 * nodes those before the slot have been dealt with. The flags mark a whole
 * chunk, and a node that was left with all that is below it.
 */
struct queue {
	u64 *item;
	size_t nr, cap;
};

#define QUEUE_CHUNK	(1ULL << 63)
#define QUEUE_LEFT	(1ULL << 62)

struct daxcow_volume {
	struct daxcow_pool *pool;
	struct daxcow_volume *next;
	u64 root_slot;		/* READ_ONCE: read without the lock */
	u64 size;
	u64 mapped;
	u32 id;
	u32 openers;
};

/**
 * struct daxcow_pool - a loaded pool
 * @lock:	everything below that is not constant, and all tables
 * @base:	memory of block 0
 * @pad:	blocks by which chunk 0 begins before block 0
 * @read_only:	nothing may be changed; but for a delete when it is @unknown
 * @bad:	blocks whose memory failed; NULL until there is one
 * @bad_spare:	what @bad becomes then
 * @stale:	a table that could not be read was taken apart
 * @unknown:	load could not read a table, see bad.c
 * @gen:	the current generation
 * @gen_used:	a block has it
 * @scratch:	a node while it is built
 * @incoming:	owners that left since the last batch
 * @ready:	owners that nobody can see any more
 */
struct daxcow_pool {
	struct mutex lock;
	struct daxcow_host host;
	u8 *base;
	u64 nr_blocks;
	u64 dev_blocks;
	u64 pad;
	u64 zero_block;
	bool read_only;
	enum daxcow_cow cow;
	struct entry_crc crc;

	struct chunk *chunks;
	u32 nr_chunks;
	u32 free_chunks, partial_chunks;	/* list heads */
	u64 nr_chunks_free;
	u64 nr_free, reserve, nr_meta, nr_data, nr_volumes;
	u64 nr_splits, copies, provisions, merged, unmapped;
	u64 nr_bad, nr_retired;
	struct bad_map *bad, *bad_spare;
	bool stale, unknown;
	u32 gen;
	bool gen_used;
	struct queue incoming, ready;
	struct daxcow_volume *volumes;
	__le64 *scratch;
	struct daxcow_super *super;	/* as read at load, fixed part only */
};

static inline void *pool_addr(const struct daxcow_pool *pool, u64 block)
{
	return pool->base + (block << DAXCOW_BLOCK_SHIFT);
}

static inline __le64 *slot_word(const struct daxcow_pool *pool, u64 slot)
{
	return (__le64 *)pool->base + slot;
}

static inline u32 chunk_of(const struct daxcow_pool *pool, u64 block)
{
	return (block + pool->pad) / DAXCOW_CHUNK_BLOCKS;
}

static inline u32 chunk_index(const struct daxcow_pool *pool, u64 block)
{
	return (block + pool->pad) % DAXCOW_CHUNK_BLOCKS;
}

static inline u64 chunk_block(const struct daxcow_pool *pool, u32 chunk)
{
	return (u64)chunk * DAXCOW_CHUNK_BLOCKS - pool->pad;
}

int space_init(struct daxcow_pool *pool, u64 nr_blocks);
int space_grow(struct daxcow_pool *pool, u64 nr_blocks);
void space_exit(struct daxcow_pool *pool);
struct desc *space_desc(struct daxcow_pool *pool, u64 block);
int space_split(struct daxcow_pool *pool, u32 chunk);
bool space_room(const struct daxcow_pool *pool, u64 nr);
int space_alloc(struct daxcow_pool *pool, enum kind kind, u64 *block);
int space_alloc_chunk(struct daxcow_pool *pool, u64 *block);
int space_take(struct daxcow_pool *pool, u64 block, enum kind kind);
int space_take_chunk(struct daxcow_pool *pool, u64 block);
void space_free(struct daxcow_pool *pool, u64 block);
void space_free_chunk(struct daxcow_pool *pool, u64 block);
void space_touch(struct daxcow_pool *pool, u64 block, u64 nr);
void space_rest(struct daxcow_pool *pool, u64 block);
void space_retire(struct daxcow_pool *pool, u64 block);
void space_settle(struct daxcow_pool *pool, u32 c);
u32 space_gen(struct daxcow_pool *pool, u64 block);

/* ---- owners that leave (reclaim.c) ---- */

int reclaim_reserve(struct daxcow_pool *pool, size_t nr);
bool reclaim_busy(struct daxcow_pool *pool, u64 block, u64 nr);
bool reclaim_can_put(struct daxcow_pool *pool, struct entry e);
void reclaim_leave(struct daxcow_pool *pool, struct entry e);
void reclaim_put(struct daxcow_pool *pool, u64 slot, struct entry e);
void reclaim_put_copied(struct daxcow_pool *pool, u64 slot, struct entry e);
void reclaim_put_now(struct daxcow_pool *pool, u64 slot, struct entry e);
int reclaim_hold(struct daxcow_pool *pool, const u64 *block, size_t nr);
void reclaim_flush(struct daxcow_pool *pool, size_t nr);
void reclaim_exit(struct daxcow_pool *pool);

/* ---- memory that failed (bad.c) ---- */

/**
 * struct bad_map - a bit for each block
 * @older:	what this one has replaced
 * @nr_blocks:	bits
 */
struct bad_map {
	struct bad_map *older;
	u64 nr_blocks;
	u64 bits[];
};

bool bad_test(const struct daxcow_pool *pool, u64 block);
int bad_init(struct daxcow_pool *pool, const u64 *block, size_t nr);
int bad_reserve(struct daxcow_pool *pool, u64 nr_blocks);
void bad_retire(struct daxcow_pool *pool);
bool bad_settle(struct daxcow_pool *pool);
void bad_known(struct daxcow_pool *pool);
bool bad_tables(struct daxcow_pool *pool);
void bad_exit(struct daxcow_pool *pool);

/* ---- trees (tree.c) ---- */

/* The "level" that a root entry is found at. */
#define ROOT_LEVEL	(DAXCOW_MAX_LEVEL + 1)

/**
 * struct place - where a walk ended
 * @slot:	the entry
 * @level:	of the node it is in; one above the root node's for the root
 *		entry
 * @shared:	a node above it is not this volume's own
 * @e:		decoded; type NONE when it is 0
 */
struct place {
	u64 slot;
	int level;
	bool shared;
	struct entry e;
};

static inline u64 root_slot(u64 record)
{
	return slot_of(record, DAXCOW_SLOT_ROOT);
}

static inline u64 level_span(int level)
{
	return 1ULL << (DAXCOW_NODE_SHIFT * level);
}

static inline unsigned int level_index(u64 vblk, int level)
{
	return vblk >> (DAXCOW_NODE_SHIFT * level) & (DAXCOW_NODE_ENTRIES - 1);
}

int level_for(u64 vblk);
int tree_load(struct daxcow_pool *pool, u64 slot, int level, struct entry *e);
int tree_step(struct daxcow_pool *pool, struct place *p, u64 vblk);
int tree_find(struct daxcow_pool *pool, u64 root_slot, u64 vblk, int level,
	      struct place *p);
int tree_mapped(struct daxcow_pool *pool, struct entry e, u64 *mapped);

/* ---- break sharing (cow.c) ---- */

/**
 * struct tree - what a change works on: a volume's, or a record's that is not
 *		 published yet
 * @root_slot:	its root entry
 * @size:	expected size in blocks, or 0
 * @mapped:	blocks, kept up to date
 * @unseen:	not published yet
 */
struct tree {
	u64 root_slot;
	u64 size;
	s64 mapped;
	bool unseen;
};

int cow_copy(struct daxcow_pool *pool, struct tree *t, u64 vblk);
int cow_discard(struct daxcow_pool *pool, struct tree *t, u64 vblk, u64 nr);

/* ---- owners of a block (verify.c) ---- */

/**
 * struct way_up - one way up from a block to a volume's record
 * @record:	block of the record
 * @vblk:	where the block is in the volume
 */
struct way_up {
	u64 record;
	u64 vblk;
};

int paths_each(struct daxcow_pool *pool, u64 block,
	       int (*fn)(void *arg, struct daxcow_pool *pool,
			 const struct way_up *p),
	       void *arg);
u32 record_volume(struct daxcow_pool *pool, u64 block);

/* The level of the node that @slot, an owner of data, is in. */
static inline int slot_level(struct daxcow_pool *pool, u64 slot)
{
	return desc_kind(space_desc(pool, slot_block(slot))) - KIND_NODE;
}

/* ---- volumes (volume.c) ---- */

struct daxcow_volume *volume_find_open(struct daxcow_pool *pool, u32 id);

/* ---- directory (dir.c) ---- */

/**
 * struct dir_change - one id of an atomic change
 * @record:	new record block, or 0 to remove the id
 */
struct dir_change {
	u32 id;
	u64 record;
};

int dir_load(struct daxcow_pool *pool, u64 slot, int level, struct entry *e);
int dir_find(struct daxcow_pool *pool, u32 id, u64 *slot, u64 *record);
int dir_next(struct daxcow_pool *pool, u32 *id, u64 *record);
int dir_publish(struct daxcow_pool *pool, const struct dir_change *c,
		unsigned int nr);
bool record_bad(const struct daxcow_record *r);
int record_read(struct daxcow_pool *pool, u64 block, u32 id,
		struct daxcow_record *r);

/* The "level" that the directory's root entry is found at. */
#define DIR_ROOT_LEVEL	(DAXCOW_DIR_LEVEL + 1)

/* ---- load (load.c) ---- */

int load_super(struct daxcow_pool *pool, u64 dev_blocks,
	       struct daxcow_report *report);
int load_tables(struct daxcow_pool *pool, struct daxcow_report *report);
void super_init(struct daxcow_super *s, u64 nr_blocks,
		const struct daxcow_params *p, const struct entry_crc *crc);
u64 super_zero_block(u64 chunk_offset);
u64 super_pad(u64 chunk_offset);
enum daxcow_bad super_fixed_bad(const struct daxcow_super *s, u64 *value);
enum daxcow_bad entry_bad(const struct daxcow_pool *pool, enum kind kind,
			  int level, u64 slot, u64 raw);
enum kind entry_kind(struct entry e);

#endif /* DAXCOW_INTERNAL_H */
