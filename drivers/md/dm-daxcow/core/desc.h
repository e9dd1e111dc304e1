/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Descriptors, and the reverse map that they are: see owners.c. A part of internal.h.
 */
#ifndef DAXCOW_DESC_H
#define DAXCOW_DESC_H

/* ---- descriptors ---- */

enum kind {
	KIND_FREE,
	KIND_DATA,
	KIND_GONE,		/* nobody's, and somebody may still see it, or fills it */
	KIND_NODE,		/* + level, 0 .. DAXCOW_MAX_LEVEL */
	KIND_DIR = KIND_NODE + DAXCOW_MAX_LEVEL + 1,	/* + level */
	KIND_RECORD = KIND_DIR + DAXCOW_DIR_LEVEL + 1,
	KIND_RESERVED,		/* superblocks, zero chunk, beyond the pool */
	KIND_BAD,		/* nobody's, and not to be used */
};

struct node;

/**
 * struct desc - what memory knows about a block, or of a chunk as a whole
 * @a:		where the entries are that name it, and the rest, see DESC_*
 * @count:	entries that name it; of a chunk, those that name all of it
 * @gen:	generation in which it was last given to a writer
 * @node:	of a node of a volume's tree, and of a record, instead
 *
 * 16 bytes, because there is one for each 4 KiB of a split chunk. That does not
 * depend on how many owners there are, see owners.c.
 */
struct desc {
	u64 a;
	union {
		struct {
			u32 count, gen;
		};
		struct node *node;
	};
};

/* In @a: enum kind. */
#define DESC_KIND_BITS	4
/* REF is the block that has the entry, and not a family. */
#define DESC_EXACT	(1ULL << 4)
/* There are entries that REF and INDEX do not tell of. */
#define DESC_MORE	(1ULL << 5)
/* Which entry of the block, or of each node of the family. */
#define DESC_INDEX_SHIFT	6
#define DESC_INDEX_MASK	((1ULL << DAXCOW_SLOT_SHIFT) - 1)
/* Whether it may be written in place, see reclaim.c. */
#define DESC_STATE_SHIFT	15
#define DESC_STATE_MASK	((1ULL << 13) - 1)
/* A block, a family, or what waits next. */
#define DESC_REF_SHIFT	28

#define STATE_OPEN	0U	/* it has to be seen first that nobody holds it */
#define STATE_CLAIMED	1U	/* nobody did, and it was given to a writer then */
#define STATE_LEFT	2U	/* + epoch in which somebody left */

/**
 * struct node - a node of a volume's tree, or a record
 * @next:	in its family
 * @pprev:	dto.
 * @block:	where it is
 * @root:	of a record, its root node
 * @mapped:	blocks that are mapped below it, if @known
 * @left:	epoch in which somebody left it
 * @count:	entries that name it
 * @family:	0 as long as it has none
 * @huge:	chunks that are mapped as a whole below it, if @known
 * @used:	its entries that are not empty
 * @done:	entries that it has lost while it is taken apart
 * @stale:	it was shared: what is below has to be seen as STATE_OPEN
 * @known:	what is below has been counted, see usage.c
 */
struct node {
	struct node *next, **pprev;
	u64 block;
	union {
		u64 root;
		u64 mapped;
	};
	u64 left;
	u32 count;
	u32 family;
	u32 huge;
	u16 used;
	u16 done;
	bool stale;
	bool known;
};

static inline enum kind desc_kind(const struct desc *d)
{
	return d->a & ((1U << DESC_KIND_BITS) - 1);
}

static inline void desc_set_kind(struct desc *d, enum kind kind)
{
	d->a = (d->a & ~((1ULL << DESC_KIND_BITS) - 1)) | kind;
}

static inline u32 desc_state(const struct desc *d)
{
	return d->a >> DESC_STATE_SHIFT & DESC_STATE_MASK;
}

static inline void desc_set_state(struct desc *d, u32 state)
{
	d->a = (d->a & ~(DESC_STATE_MASK << DESC_STATE_SHIFT)) |
	       (u64)state << DESC_STATE_SHIFT;
}

static inline u64 desc_ref(const struct desc *d)
{
	return d->a >> DESC_REF_SHIFT;
}

static inline unsigned int desc_index(const struct desc *d)
{
	return d->a >> DESC_INDEX_SHIFT & DESC_INDEX_MASK;
}

static inline bool kind_is_node(enum kind kind)
{
	return kind >= KIND_NODE && kind < KIND_DIR;
}

static inline bool kind_has_node(enum kind kind)
{
	return kind_is_node(kind) || kind == KIND_RECORD;
}

static inline bool desc_is_node(const struct desc *d)
{
	return kind_is_node(desc_kind(d));
}

/* Nodes of the directory have one owner, and nobody looks for others. */
static inline struct node *desc_node(const struct desc *d)
{
	return kind_has_node(desc_kind(d)) ? d->node : NULL;
}

/* ---- nodes (node.c) ---- */

struct node *node_alloc(struct daxcow_pool *pool, u64 block);
void node_free(struct daxcow_pool *pool, struct node *node);
void nodes_exit(struct daxcow_pool *pool);

/* ---- families (family.c) ---- */

/**
 * struct family - nodes that descend from one another by copying
 * @first:	of them, the newest
 * @nr:		their number; of one that is not used, the next such
 */
struct family {
	struct node *first;
	u64 nr;
};

#define FAMILY_PAGE	512

struct families {
	struct family **page;
	u32 nr_pages, cap;
	u32 unused;
};

int family_need(struct daxcow_pool *pool, struct node *node);
void family_join(struct daxcow_pool *pool, struct node *node, u32 family);
void family_leave(struct daxcow_pool *pool, struct node *node);
struct family *family_of(const struct daxcow_pool *pool, u32 family);
void families_exit(struct daxcow_pool *pool);
size_t families_bytes(const struct daxcow_pool *pool);

/* ---- owners (owners.c, more.c) ---- */

/**
 * struct pair - entries that name a block, beside those that its descriptor tells of
 * @family:	of the nodes that they are in
 * @count:	their number
 * @index:	of the entry in each of these nodes
 */
struct pair {
	u32 family;
	u32 count;
	u16 index;
};

/**
 * struct more - all pairs of a block but the first
 * @key:	the block, and whether it is a chunk as a whole
 * @sum:	of their counts
 */
struct more {
	struct more *next;
	u64 key;
	u32 nr, cap, sum;
	struct pair pair[];
};

/* By key. */
struct mores {
	struct more **bucket;
	u32 nr_buckets, nr;
	size_t bytes;
};

u64 more_key(struct entry e);
struct more *more_of(const struct daxcow_pool *pool, const struct desc *d, u64 key);
int more_room(struct daxcow_pool *pool, struct desc *d, u64 key, u32 nr);
void more_drop(struct daxcow_pool *pool, struct desc *d, u64 key);
void mores_exit(struct daxcow_pool *pool);

/**
 * struct owner_walk - the entries that name something, one after the other
 * @e:		what they name
 * @d:		its descriptor
 * @next:	node of the family that comes next
 * @near:	block of a node that is likely to have the only entry, or 0
 * @slot:	of the entry that was found last
 * @pair:	number of the pair that is being looked at, plus 1
 * @left:	entries of this pair that have not been found
 * @steps:	nodes that were looked at
 * @most:	at so many it stops, 0 never
 */
struct owner_walk {
	struct daxcow_pool *pool;
	struct entry e;
	struct desc *d;
	const struct node *next;
	u64 near, slot;
	u32 pair, index, left, steps, most;
	bool one;
};

u32 desc_count(const struct desc *d);
u32 block_owners(struct daxcow_pool *pool, u64 block);
int owner_add(struct daxcow_pool *pool, u64 slot, struct entry e);
unsigned int owner_add_copies(struct daxcow_pool *pool, struct node *node, u64 from,
			      __le64 *word, u64 moved);
bool owner_del(struct daxcow_pool *pool, u64 slot, struct entry e);
bool owner_has(struct daxcow_pool *pool, u64 slot, struct entry e);
u32 owner_pairs(struct daxcow_pool *pool, struct entry e);
/* Of what owner_line() returns: there is one owner, in this very table. */
#define LINE_EXACT	1ULL
u64 owner_line(struct daxcow_pool *pool, u64 block);
int owner_give(struct daxcow_pool *pool, struct entry from, struct entry to);
int owner_reserve(struct daxcow_pool *pool, struct entry from, struct entry to);
void owner_drop(struct daxcow_pool *pool, struct entry e);
void owner_walk(struct owner_walk *w, struct daxcow_pool *pool, struct entry e);
bool owner_next(struct owner_walk *w);

#endif /* DAXCOW_DESC_H */
