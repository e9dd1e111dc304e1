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

#include "words.h"
#include "desc.h"

/* ---- space (space.c) ---- */

struct split {
	struct desc *desc;
	u64 free[(DAXCOW_CHUNK_BLOCKS + 63) / 64];
	u32 nr_free;
};

/**
 * struct chunk - DAXCOW_CHUNK_BLOCKS aligned blocks
 * @desc:	of the chunk as a whole; with @split, of those who name it as a whole
 * @split:	descriptors block by block
 * @prev:	list of free, or of partly free, chunks
 * @next:	dto.
 */
struct chunk {
	struct desc desc;
	struct split *split;
	u32 prev, next;
};

#define NO_CHUNK	(~0U)

static inline size_t space_split_bytes(void)
{
	return sizeof(struct split) + DAXCOW_CHUNK_BLOCKS * sizeof(struct desc);
}

/**
 * struct wait - what nobody owns, in the order in which it came
 * @first:	what waits, see wait_item()
 * @last:	dto.
 * @nr:		their number
 *
 * The descriptor of each has the next one in it, so there is always room.
 */
struct wait {
	u64 first, last;
	u64 nr;
};

/**
 * struct leaf - where a table of level 0 is
 * @shape:	pool->shape when all of the way to it was the volume's own
 * @where:	its block, and below LEAF_AT_BITS what of the volume it maps
 */
struct leaf {
	u64 shape;
	u64 where;
};

#define LEAF_AT_BITS	(DAXCOW_NODE_SHIFT * DAXCOW_MAX_LEVEL)
/* They reach 256 MiB. */
#define LEAVES		128

/**
 * struct daxcow_volume - one that is open
 * @root_slot:	READ_ONCE: read without the lock
 * @in_vain:	so often own_granted() is not to look; READ_ONCE
 * @leaf:	see leaf.c
 * @filling:	somebody writes to @leaf; nobody waits for that
 * @leaf_seq:	odd meanwhile
 */
struct daxcow_volume {
	struct daxcow_pool *pool;
	struct daxcow_volume *next;
	u64 root_slot;
	u64 size;
	u32 id;
	u32 openers;
	u32 in_vain;
	struct leaf leaf[LEAVES];
	/* who notes a leaf does not take the line with @root_slot from all others */
	u32 filling;
	seqcount_t leaf_seq;
};

/**
 * struct daxcow_pool - a loaded pool
 * @lock:	everything below that is not constant, and all tables
 * @seq:	who has read some of that without the lock tells by it whether somebody
 *		had the lock meanwhile. Who has it may sleep, so nobody waits for it to
 *		become even: he takes the lock
 * @base:	memory of block 0
 * @pad:	blocks by which chunk 0 begins before block 0
 * @read_only:	nothing may be changed; but for a delete when it is @unknown
 * @bad:	blocks whose memory failed; NULL until there is one
 * @bad_spare:	what @bad becomes then
 * @stale:	a table that could not be read was taken apart
 * @unknown:	load could not read a table, see bad.c
 * @gen:	the current generation
 * @gen_used:	a block has it
 * @moves:	changes of the reverse map that a walk would not notice, see owner_walk()
 * @shape:	what was the way to a leaf, and one volume's own, may not be so any more when
 *		this is another number; not 0. READ_ONCE
 * @older:	former @chunks, until nobody can look at them
 * @turns:	how often the lock was taken
 * @nr_open:	of @volumes
 * @crowded:	so many turns ago, at most, somebody had to wait for it
 * @sharings:	what has made blocks shared, see fill.c
 * @failures:	how often memory has failed
 * @nr_apart:	new blocks, or chunks, that are filled without the lock
 * @scratch:	a node while it is built
 * @epoch:	the current one; a grace period ends those before it
 * @closing:	the last one before the grace period that is waited for
 * @ended:	of those up to here nobody is left who may look
 * @left:	somebody has left in the current one
 * @forget:	chunk whose descriptors are to forget next when somebody left
 * @nr_forget:	so many are to do so after this grace period
 * @spare:	in store for when there is no memory
 * @incoming:	what has become nobody's since the last batch
 * @ready:	what nobody can see any more
 */
struct daxcow_pool {
	struct mutex lock;
	seqcount_t seq;
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
	struct older_chunks *older;
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
	u64 epoch, closing, ended;
	bool left;
	u32 forget, nr_forget;
	struct wait incoming, ready;
	struct families families;
	struct mores mores;
	u64 nr_nodes, moves, shape;
	u64 turns, sharings, failures, nr_apart;
	u32 crowded, nr_open;
	struct node *spare;
	u32 nr_spare;
	struct daxcow_volume *volumes;
	__le64 *scratch;
	struct daxcow_super *super;	/* as read at load, fixed part only */
};

/**
 * struct older_chunks - what pool->chunks was before the pool has grown
 * @epoch:	in which it was replaced
 */
struct older_chunks {
	struct older_chunks *next;
	struct chunk *chunks;
	u64 epoch;
};

/* For so many turns after somebody had to wait the lock is held for short times only. */
#define POOL_CROWDED	64

/* Who finds another turn than his own when he has it again looks again. */
static inline void pool_lock(struct daxcow_pool *pool)
{
	if (mutex_trylock(&pool->lock)) {
		pool->crowded -= !!pool->crowded;
	} else {
		mutex_lock(&pool->lock);
		pool->crowded = POOL_CROWDED;
	}
	pool->turns++;
	raw_write_seqcount_begin(&pool->seq);
}

static inline void pool_unlock(struct daxcow_pool *pool)
{
	raw_write_seqcount_end(&pool->seq);
	mutex_unlock(&pool->lock);
}

/* See struct daxcow_pool. */
static inline void pool_reshape(struct daxcow_pool *pool)
{
	WRITE_ONCE(pool->shape, pool->shape + 1);
}

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

static inline struct desc *space_desc(const struct daxcow_pool *pool, u64 block)
{
	struct chunk *chunk = &pool->chunks[chunk_of(pool, block)];

	return chunk->split ? &chunk->split->desc[chunk_index(pool, block)] :
			      &chunk->desc;
}

static inline struct desc *entry_desc(const struct daxcow_pool *pool, struct entry e)
{
	return is_chunk(e) ? &pool->chunks[chunk_of(pool, e.block)].desc :
			     space_desc(pool, e.block);
}

static inline struct chunk *chunk_at(const struct daxcow_pool *pool, u64 block)
{
	return &pool->chunks[chunk_of(pool, block)];
}

static inline bool in_pool(const struct daxcow_pool *pool, u64 block, u64 nr)
{
	u64 end = READ_ONCE(pool->nr_blocks);

	return block < end && nr <= end - block &&
	       (nr == 1 || (nr == DAXCOW_CHUNK_BLOCKS &&
			    !chunk_index(pool, block)));
}

int space_init(struct daxcow_pool *pool, u64 nr_blocks);
int space_grow(struct daxcow_pool *pool, u64 nr_blocks);
void space_exit(struct daxcow_pool *pool);
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

void space_forget_chunks(struct daxcow_pool *pool);

/* ---- when the last one left (epoch.c) ---- */

u32 state_of_epoch(u64 epoch);
bool state_left(u64 epoch, u64 ended, u32 state);
void space_forget(struct daxcow_pool *pool, long *work);

/* ---- owners that leave (reclaim.c) ---- */

/* One owner, and nobody who may still look at it. */
static inline bool node_own(const struct daxcow_pool *pool, const struct node *node)
{
	return node->count == 1 && node->left <= pool->ended;
}

bool block_own(struct daxcow_pool *pool, u64 block);
u64 reclaim_claim(struct daxcow_pool *pool, u64 block, u64 nr);
int reclaim_refresh(struct daxcow_pool *pool, struct node *node);
bool reclaim_busy(struct daxcow_pool *pool, u64 block, u64 nr);
bool reclaim_claimed(struct daxcow_pool *pool, u64 block);
void reclaim_leave(struct daxcow_pool *pool, struct entry e);
void reclaim_parts(struct daxcow_pool *pool, struct entry chunk);
void reclaim_put(struct daxcow_pool *pool, u64 slot, struct entry e);
void reclaim_put_part(struct daxcow_pool *pool, u64 slot, struct entry chunk,
		      unsigned int i, bool unseen);
void reclaim_put_unseen(struct daxcow_pool *pool, u64 slot, struct entry e);
void reclaim_gone(struct daxcow_pool *pool, struct entry e);
int reclaim_hold(struct daxcow_pool *pool, const u64 *block, size_t nr);
u64 reclaim_left(struct daxcow_pool *pool);

/* ---- memory that failed (badmap.c, bad.c) ---- */

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
u64 bad_next(struct daxcow_pool *pool, u64 at);
void bad_change(struct daxcow_pool *pool, u64 block, bool set);
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
 * @way:	of change_find(): the nodes that were passed, from level @level to @top; while
 *		the lock is held
 * @top:	of change_find(): the root node's level, or less than @level
 */
struct place {
	u64 slot;
	int level;
	bool shared;
	struct entry e;
	struct node *way[DAXCOW_MAX_LEVEL + 1];
	int top;
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
bool tree_legal(const struct daxcow_pool *pool, u64 raw, int level);
int tree_load(struct daxcow_pool *pool, u64 slot, int level, struct entry *e);
int tree_step(struct daxcow_pool *pool, struct place *p, u64 vblk);
int tree_find(struct daxcow_pool *pool, u64 root_slot, u64 vblk, int level,
	      struct place *p);

/* ---- one volume's own (sharing.c) ---- */

u64 own_run(struct daxcow_pool *pool, const struct place *p, u64 vblk, u64 nr,
	    u64 *block);
u64 own_granted(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block);
bool chunk_partly_own(struct daxcow_pool *pool, u64 block);

/* ---- where leaves are (leaf.c) ---- */

u64 leaf_known(struct daxcow_volume *vol, u64 vblk, u64 shape);
void leaf_note(struct daxcow_volume *vol, u64 vblk, u64 block, u64 shape);
bool leaf_place(struct daxcow_volume *vol, u64 vblk, struct place *p);
bool leaves_right(struct daxcow_pool *pool);

/* ---- how much is mapped (usage.c) ---- */

/**
 * struct usage_delta - what a change does to the nodes on its way
 * @mapped:	blocks more
 * @huge:	chunks more that are mapped as a whole
 * @known:	or it is not known
 */
struct usage_delta {
	s64 mapped;
	int huge;
	bool known;
};

static inline void usage_node_add(struct node *node, const struct usage_delta *d)
{
	node->mapped += d->mapped;
	node->huge += d->huge;
	node->known &= d->known;
}

/* Add what a change at @at does to the nodes on the way to it. */
static inline void usage_add(const struct place *at, const struct usage_delta *d)
{
	int level;

	if (!d->mapped && !d->huge && d->known)
		return;
	for (level = at->level; level <= at->top; level++)
		usage_node_add(at->way[level], d);
}

void usage_forget(struct daxcow_pool *pool, u64 block);

#include "change.h"

/* ---- owners of a block (paths.c) ---- */

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

static inline struct entry entry_data(u64 block)
{
	return (struct entry) { .type = DAXCOW_ENTRY_DATA, .block = block };
}

static inline struct entry entry_chunk(u64 block)
{
	return (struct entry) {
		.type = DAXCOW_ENTRY_DATA,
		.level = 1,
		.block = block,
	};
}

/* All of the chunk that @block is in. */
static inline struct entry chunk_entry(struct daxcow_pool *pool, u64 block)
{
	return entry_chunk(block - chunk_index(pool, block));
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
