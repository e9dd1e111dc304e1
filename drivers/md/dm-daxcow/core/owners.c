// SPDX-License-Identifier: GPL-2.0
/*
 * The reverse map: which entries name a block.
 *
 * With a thousand clones of an image each of its blocks has a thousand owners, if all
 * of them have written near by. A list of these would take more memory than the
 * image. But they did not come one by one. A block gets its first owner when it is
 * allocated. It gets others when the node that names it is copied, and the copy
 * names it at the same index. So it is enough to know
 *
 *   - the index, and the *family* of the node: all nodes that descend from one
 *     another by copying,
 *   - how many entries name the block.
 *
 * Who they are is found when somebody asks: those nodes of the family whose entry at
 * that index names the block. This takes a look at each node of the family; a
 * memory failure, a merge, and a question for the owners ask. Who breaks sharing
 * asks for the count. To copy a node is to count 512 children, and its memory is
 * that of the node.
 *
 * A block with one owner has the address of its entry, exactly.
 *
 * A merge gives a block the owners of another, which are in other families. It has
 * several *pairs* of family and index then, all but the first in a table on the
 * side ("more"). So has the root node of a volume after one of two who share it has
 * got a higher tree. A pair that the table has, has its own count; what is missing
 * from the sum is the first's.
 *
 * Load finds tables, and not where these come from. A node joins the family of the
 * first of its children that somebody names at the same index already. If that was
 * not right, because all others are shared with somebody else, they get more pairs:
 * the map is right all the same, and needs more memory.
 *
 * A chunk that some map as a whole and others block by block has both: entries that
 * name all of it are counted on the chunk, and a block's owners are these and its own.
 *
 * All under the pool's lock.
 */
#include "internal.h"

u32 desc_count(const struct desc *d)
{
	const struct node *node = desc_node(d);

	return node ? node->count : d->count;
}

static inline void count_add(struct daxcow_pool *pool, struct desc *d, s64 nr)
{
	struct node *node = desc_node(d);

	if (!node) {
		d->count += nr;
		return;
	}
	/* from now on somebody has it, too, or nobody */
	if (node->count == 1)
		pool_reshape(pool);
	node->count += nr;
}

/* Entries that lead to a block, by itself or with its chunk. */
u32 block_owners(struct daxcow_pool *pool, u64 block)
{
	const struct chunk *chunk = &pool->chunks[chunk_of(pool, block)];
	u32 nr = desc_count(&chunk->desc);

	if (chunk->split)
		nr += desc_count(space_desc(pool, block));
	return nr;
}

static void desc_set_ref(struct desc *d, u64 ref, unsigned int index, bool exact)
{
	d->a = (d->a & ((1ULL << DESC_REF_SHIFT) - 1)) | ref << DESC_REF_SHIFT;
	d->a = (d->a & ~(DESC_INDEX_MASK << DESC_INDEX_SHIFT)) |
	       (u64)index << DESC_INDEX_SHIFT;
	d->a = exact ? d->a | DESC_EXACT : d->a & ~DESC_EXACT;
}

/* What the descriptor's own pair counts. */
static u32 first_count(const struct desc *d, const struct more *more)
{
	return desc_count(d) - (more ? more->sum : 0);
}

static struct pair *pair_find(struct more *more, u32 family, unsigned int index)
{
	u32 i;

	for (i = 0; more && i < more->nr; i++)
		if (more->pair[i].family == family && more->pair[i].index == index)
			return &more->pair[i];
	return NULL;
}

static bool names(struct daxcow_pool *pool, const struct node *node, u64 slot,
		  struct entry e)
{
	struct entry found;

	if (slot_index(slot) < node->done)
		return false;
	if (desc_kind(space_desc(pool, node->block)) == KIND_RECORD)
		return node->root == e.block;
	if (bad_test(pool, node->block))
		return false;
	found = entry_decode(pm_load(slot_word(pool, slot)));
	return found.type == e.type && found.level == e.level &&
	       found.block == e.block;
}

/*
 * An address outlives the table that it is in when that could not be read as it was
 * taken apart. What an entry names that is damaged is known by memory alone.
 */
static bool exact_right(struct daxcow_pool *pool, const struct desc *d, struct entry e)
{
	u64 slot = slot_of(desc_ref(d), desc_index(d));
	const struct desc *above = space_desc(pool, slot_block(slot));
	const struct node *node = desc_node(above);
	struct entry found;

	if (node && desc_is_node(above) && slot_index(slot) >= node->done &&
	    tree_load(pool, slot, desc_kind(above) - KIND_NODE, &found))
		return true;
	return node && names(pool, node, slot, e);
}

/* See that the next can be done. Returns 0, -ENOMEM, or -EUCLEAN. */
static int desc_can_widen(struct daxcow_pool *pool, const struct desc *d)
{
	struct node *node;

	if (!(d->a & DESC_EXACT) || !desc_count(d))
		return 0;
	node = desc_node(space_desc(pool, desc_ref(d)));
	return node ? family_need(pool, node) : -EUCLEAN;
}

/* The address of the entry turns to the family of its node. */
static int desc_widen(struct daxcow_pool *pool, struct desc *d)
{
	const struct node *node;
	int ret = desc_can_widen(pool, d);

	if (ret || !(d->a & DESC_EXACT) || !desc_count(d))
		return ret;
	node = desc_node(space_desc(pool, desc_ref(d)));
	desc_set_ref(d, node->family, desc_index(d), false);
	return 0;
}

/* A node that has no family is of that of one who names the same at this index. */
static void node_adopt(struct daxcow_pool *pool, struct desc *d, struct more *more,
		       struct node *node, unsigned int index)
{
	u32 i;

	if (desc_index(d) == index) {
		family_join(pool, node, desc_ref(d));
		return;
	}
	for (i = 0; more && i < more->nr; i++) {
		if (more->pair[i].index == index) {
			family_join(pool, node, more->pair[i].family);
			return;
		}
	}
}

/* @nr entries in a family, of one that has some. The caller changes the count. */
static int pair_add(struct daxcow_pool *pool, struct desc *d, u64 key, u32 family,
		    unsigned int index, u32 nr)
{
	struct more *more = more_of(pool, d, key);
	struct pair *pair;
	int ret;

	if (desc_ref(d) == family && desc_index(d) == index)
		return 0;
	pair = pair_find(more, family, index);
	if (pair) {
		pair->count += nr;
		more->sum += nr;
		return 0;
	}
	ret = more_room(pool, d, key, more ? more->nr + 1 : 1);
	if (ret)
		return ret;
	more = more_of(pool, d, key);
	more->pair[more->nr++] = (struct pair) {
		.family = family,
		.index = index,
		.count = nr,
	};
	more->sum += nr;
	return 0;
}

static int owner_add_another(struct daxcow_pool *pool, struct desc *d, u64 key,
			     struct node *node, unsigned int index)
{
	int ret = node ? desc_widen(pool, d) : -EUCLEAN;

	if (ret)
		return ret;
	if (!node->family)
		node_adopt(pool, d, more_of(pool, d, key), node, index);
	ret = family_need(pool, node);
	return ret ? ret : pair_add(pool, d, key, node->family, index, 1);
}

/**
 * owner_add() - an entry is going to name something
 * @pool:	the pool
 * @slot:	of the entry
 * @e:		what it is going to be
 *
 * Return: 0, or -ENOMEM with nothing changed: not for the first owner, nor when a node
 * of the family of @slot's names it at the same index already. -EUCLEAN: it has an owner,
 * and @slot, or that one, is in a table that memory does not know.
 */
int owner_add(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	struct desc *d = entry_desc(pool, e), *above;
	struct node *node;
	int ret = 0;

	above = space_desc(pool, slot_block(slot));
	node = desc_node(above);
	/* an owner that has gone with its table, unread, is none */
	if (desc_count(d) && d->a & DESC_EXACT && !exact_right(pool, d, e))
		owner_drop(pool, e);
	if (desc_count(d))
		ret = owner_add_another(pool, d, more_key(e), node, slot_index(slot));
	else
		desc_set_ref(d, slot_block(slot), slot_index(slot), true);
	if (ret)
		return ret;
	count_add(pool, d, 1);
	if (node && desc_kind(above) == KIND_RECORD)
		node->root = e.block;
	return 0;
}

/* An entry of a copied node that is neither the only one nor of the first pair. */
static int owner_add_odd(struct daxcow_pool *pool, const struct node *node, u64 from,
			 unsigned int index, struct entry e)
{
	if (!owner_has(pool, slot_of(from, index), e))
		return -EUCLEAN;
	return owner_add(pool, slot_of(node->block, index), e);
}

/* Descriptors of the chunk that the last block was in: mostly the next one is, too. */
struct near {
	u64 first;
	struct desc *desc;
};

static inline struct desc *near_desc(struct daxcow_pool *pool, struct near *near, u64 raw)
{
	u64 block = raw & DAXCOW_ENTRY_BLOCK_MASK;
	struct chunk *chunk;

	if (near->desc && block - near->first < DAXCOW_CHUNK_BLOCKS &&
	    !(raw >> DAXCOW_ENTRY_LEVEL_SHIFT & 7))
		return &near->desc[block - near->first];
	chunk = chunk_at(pool, block);
	if (!chunk->split || is_chunk(entry_decode(raw)))
		return &chunk->desc;
	near->desc = chunk->split->desc;
	near->first = block - chunk_index(pool, block);
	return &near->desc[chunk_index(pool, block)];
}

/* Of a descriptor, where the first pair is. */
#define DESC_AT_MASK	(~((1ULL << DESC_REF_SHIFT) - 1) | \
			 DESC_INDEX_MASK << DESC_INDEX_SHIFT | DESC_EXACT)

/**
 * owner_add_copies() - owner_add() for all entries of a copied node
 * @pool:	the pool
 * @node:	the copy, of the same family as the node it is one of
 * @from:	block of that
 * @word:	entries of that; @moved is added to each, as the copy has them, see
 *		entry_moved()
 * @moved:	dto.
 *
 * Counts them in @node. Takes no memory.
 *
 * Return: how many words have been done: all, or up to one that names what the one at
 * @from is not known to name.
 */
unsigned int owner_add_copies(struct daxcow_pool *pool, struct node *node, u64 from,
			      __le64 *word, u64 moved)
{
	u64 same = (u64)node->family << DESC_REF_SHIFT;
	u64 only = from << DESC_REF_SHIFT | DESC_EXACT;
	struct near near = { .desc = NULL };
	unsigned int i, nr = 0;

	for (i = 0; i < DAXCOW_NODE_ENTRIES; i++) {
		u64 raw = le64_to_cpu(word[i]), index = (u64)i << DESC_INDEX_SHIFT;
		struct desc *d;

		if (!raw)
			continue;
		d = near_desc(pool, &near, raw);
		if ((d->a & DESC_AT_MASK) == (same | index)) {
			count_add(pool, d, 1);
		} else if ((d->a & DESC_AT_MASK) == (only | index)) {
			d->a = (d->a & ~DESC_AT_MASK) | same | index;
			count_add(pool, d, 1);
		} else if (owner_add_odd(pool, node, from, i, entry_decode(raw))) {
			break;
		}
		word[i] = cpu_to_le64(raw ^ moved);
		nr++;
	}
	node->used += nr;
	return i;
}

/* The first pair is empty: another takes its place. */
static void first_refill(struct desc *d, struct more *more)
{
	struct pair *last = &more->pair[--more->nr];

	more->sum -= last->count;
	desc_set_ref(d, last->family, last->index, false);
}

static bool pair_del(struct daxcow_pool *pool, struct desc *d, struct entry e,
		     u32 family, unsigned int index)
{
	struct more *more = more_of(pool, d, more_key(e));
	struct pair *pair;

	if (desc_ref(d) == family && desc_index(d) == index) {
		u32 left = first_count(d, more);

		if (!left)
			return false;
		if (left == 1 && more && more->nr) {
			pool->moves++;
			first_refill(d, more);
		}
	} else {
		pair = pair_find(more, family, index);
		if (!pair)
			return false;
		more->sum--;
		if (!--pair->count) {
			pool->moves++;
			*pair = more->pair[--more->nr];
		}
	}
	if (more && !more->nr)
		more_drop(pool, d, more_key(e));
	return true;
}

/* Whether @slot is counted among the owners of what @e names. */
bool owner_has(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	const struct node *node = desc_node(space_desc(pool, slot_block(slot)));
	const struct desc *d = entry_desc(pool, e);
	struct more *more = more_of(pool, d, more_key(e));

	if (!desc_count(d))
		return false;
	if (d->a & DESC_EXACT)
		return desc_ref(d) == slot_block(slot) &&
		       desc_index(d) == slot_index(slot);
	if (!node || !node->family)
		return false;
	if (desc_ref(d) == node->family && desc_index(d) == slot_index(slot))
		return first_count(d, more);
	return pair_find(more, node->family, slot_index(slot));
}

/*
 * A record does not name @root any more: who looks for the records of that, or of its next
 * one, need not come by here. The next may be there already, as its own.
 */
static void record_leave(struct daxcow_pool *pool, struct node *record, u64 root)
{
	if (record->root == root)
		record->root = 0;
	if (!record->root || space_desc(pool, record->root)->a & DESC_EXACT)
		family_leave(pool, record);
}

/* The entry at @slot named what @e does, and does not any more. False if it did not. */
bool owner_del(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	const struct desc *above = space_desc(pool, slot_block(slot));
	struct node *node = desc_node(above);
	struct desc *d = entry_desc(pool, e);

	if (d->a & DESC_EXACT) {
		if (!owner_has(pool, slot, e))
			return false;
	} else if (!desc_count(d) || !node || !node->family ||
		   !pair_del(pool, d, e, node->family, slot_index(slot))) {
		return false;
	}
	/* whoever names its blocks by a table from now on has done so to the walk, too */
	pool->moves += is_chunk(e);
	count_add(pool, d, -1);
	if (node && desc_kind(above) == KIND_RECORD)
		record_leave(pool, node, e.block);
	return true;
}

/* Data for which that is the same has the same domain, and mostly the same owners. */
u64 owner_line(struct daxcow_pool *pool, u64 block)
{
	const struct chunk *chunk = &pool->chunks[chunk_of(pool, block)];
	const struct desc *d = &chunk->desc;

	if (!desc_count(d))
		d = space_desc(pool, block);
	return desc_ref(d) << 1 | (d->a & DESC_EXACT ? LINE_EXACT : 0);
}

/* See that owner_give() can be done. Returns 0 or -ENOMEM. */
int owner_reserve(struct daxcow_pool *pool, struct entry from, struct entry to)
{
	struct desc *d = entry_desc(pool, to);
	u32 nr = owner_pairs(pool, from) + owner_pairs(pool, to);
	/* an address stays what it is, so that it is found at once */
	int ret = desc_can_widen(pool, entry_desc(pool, from));

	if (!ret)
		ret = desc_can_widen(pool, d);
	/* the first of all has its place */
	return ret || nr < 2 ? ret : more_room(pool, d, more_key(to), nr - 1);
}

static int pair_give(struct daxcow_pool *pool, struct entry to, u32 family,
		     unsigned int index, u32 nr)
{
	struct desc *d = entry_desc(pool, to);
	int ret = 0;

	if (!nr)
		return 0;
	if (desc_count(d))
		ret = pair_add(pool, d, more_key(to), family, index, nr);
	else
		desc_set_ref(d, family, index, false);
	if (!ret)
		count_add(pool, d, nr);
	return ret;
}

/* Entries that name @from will name @to, and are counted for it. */
int owner_give(struct daxcow_pool *pool, struct entry from, struct entry to)
{
	struct desc *d = entry_desc(pool, from);
	const struct more *more;
	u32 i;
	int ret;

	pool->moves++;
	/* after owner_reserve() these cannot fail */
	ret = desc_widen(pool, d);
	if (!ret)
		ret = desc_widen(pool, entry_desc(pool, to));
	if (ret || !desc_count(d))
		return ret;
	more = more_of(pool, d, more_key(from));
	ret = pair_give(pool, to, desc_ref(d), desc_index(d), first_count(d, more));
	for (i = 0; more && i < more->nr && !ret; i++)
		ret = pair_give(pool, to, more->pair[i].family,
				more->pair[i].index, more->pair[i].count);
	return ret;
}

/* Nobody owns it. */
void owner_drop(struct daxcow_pool *pool, struct entry e)
{
	struct desc *d = entry_desc(pool, e);

	count_add(pool, d, -(s64)desc_count(d));
	more_drop(pool, d, more_key(e));
}

/* ---- who they are ---- */

/**
 * owner_walk() - begin to look for the entries that name something
 * @w:		where the walk is
 * @pool:	the pool
 * @e:		what the entries look like
 *
 * owner_next() finds one after the other, as long as nothing is changed but what the
 * entries that were found name. Those in a table that is bad are not found.
 *
 * The lock may be given away between two of them, if @pool->moves is the same after
 * that. It counts what a walk would not notice: tables that come to a family, or leave
 * it, as each does that names what another one names as well; owners of a chunk who
 * turn to its blocks; pairs that change places; descriptors that go. An entry that
 * names something else, or is the first to name a new block, is none of that: a walk
 * looks at what entries are now.
 */
void owner_walk(struct owner_walk *w, struct daxcow_pool *pool, struct entry e)
{
	*w = (struct owner_walk) {
		.pool = pool,
		.e = e,
		.d = entry_desc(pool, e),
	};
}

/* Blocks of which each has another owner are few: mostly it is that of the last one. */
static const struct node *near_node(const struct owner_walk *w, u32 family)
{
	const struct node *node;

	if (!w->near || desc_count(w->d) != 1)
		return NULL;
	node = desc_node(space_desc(w->pool, w->near));
	if (!node || node->family != family ||
	    !names(w->pool, node, slot_of(node->block, w->index), w->e))
		return NULL;
	return node;
}

/* False when there is no other pair. */
static bool walk_pair(struct owner_walk *w)
{
	const struct more *more;
	u32 family;

	if (!desc_count(w->d) || w->one)
		return false;
	more = more_of(w->pool, w->d, more_key(w->e));
	if (!w->pair) {
		family = desc_ref(w->d);
		w->index = desc_index(w->d);
		w->left = first_count(w->d, more);
	} else {
		if (!more || w->pair > more->nr)
			return false;
		family = more->pair[w->pair - 1].family;
		w->index = more->pair[w->pair - 1].index;
		w->left = more->pair[w->pair - 1].count;
	}
	w->pair++;
	w->next = near_node(w, family);
	if (!w->next)
		w->next = family_of(w->pool, family)->first;
	return true;
}

/* @slot is the only one: the next who looks for it has it at once. */
static void walk_narrow(struct owner_walk *w)
{
	if (desc_count(w->d) != 1)
		return;
	more_drop(w->pool, w->d, more_key(w->e));
	desc_set_ref(w->d, slot_block(w->slot), slot_index(w->slot), true);
	w->next = NULL;
	w->one = true;
}

/* False when there is no other, or, with @w->most, when that is reached. */
bool owner_next(struct owner_walk *w)
{
	if (!w->pair && desc_count(w->d) && w->d->a & DESC_EXACT) {
		if (w->one)
			return false;
		w->one = true;
		w->slot = slot_of(desc_ref(w->d), desc_index(w->d));
		return exact_right(w->pool, w->d, w->e);
	}
	do {
		while (w->next && w->left) {
			const struct node *node = w->next;

			if (w->most && w->steps >= w->most)
				return false;
			w->next = node->next;
			w->slot = slot_of(node->block, w->index);
			w->steps++;
			if (!names(w->pool, node, w->slot, w->e))
				continue;
			w->left--;
			walk_narrow(w);
			return true;
		}
	} while (walk_pair(w));
	return false;
}
