// SPDX-License-Identifier: GPL-2.0
/*
 * The directory: a tree from volume ids to records.
 *
 * Its nodes have one owner each and are read under the lock only, so a node
 * that is replaced can be reused at once. A change of one id whose leaf node
 * exists is one store there; or in a node above, when what is removed is all that there
 * is below. Any other change, of several ids in particular, copies the nodes on the way
 * to all of them, and is one store of the directory's root entry.
 */
#include "internal.h"

#define ROOT_SLOT	slot_of(DAXCOW_SUPER_BLOCK, DAXCOW_SLOT_DIRECTORY)

/* As tree_load(), for directory nodes and DIR_ROOT_LEVEL. */
int dir_load(struct daxcow_pool *pool, u64 slot, int level, struct entry *e)
{
	u64 raw;

	*e = (struct entry) { .type = DAXCOW_ENTRY_NONE };
	if (unlikely(bad_test(pool, slot_block(slot))))
		return -EIO;
	raw = pm_load(slot_word(pool, slot));
	*e = entry_decode(raw);
	if (!raw)
		return 0;
	if (!entry_check(&pool->crc, slot, raw) ||
	    raw & DAXCOW_ENTRY_RSVD_MASK || !e->block ||
	    e->block >= pool->nr_blocks)
		return -EUCLEAN;
	if (level == 0)
		return e->type == DAXCOW_ENTRY_RECORD && !e->level ? 0 :
								     -EUCLEAN;
	return e->type == DAXCOW_ENTRY_DIR && e->level == level - 1 ? 0 :
								      -EUCLEAN;
}

/*
 * Find the leaf entry of @id. *@slot is 0 when there is no leaf node. Returns
 * 0, -ENOENT, -EUCLEAN.
 */
int dir_find(struct daxcow_pool *pool, u32 id, u64 *slot, u64 *record)
{
	struct entry e;
	u64 at = ROOT_SLOT;
	int level = DIR_ROOT_LEVEL, ret;

	*slot = 0;
	if (id > DAXCOW_MAX_ID)
		return -EINVAL;
	for (;;) {
		ret = dir_load(pool, at, level, &e);
		if (ret)
			return ret;
		if (level == 0)
			*slot = at;
		if (e.type == DAXCOW_ENTRY_NONE)
			return -ENOENT;
		if (level == 0)
			break;
		level--;
		at = slot_of(e.block, level_index(id, level));
	}
	*record = e.block;
	return 0;
}

/* The first id that is not below *@id. Returns 0, -ENOENT, -EUCLEAN. */
int dir_next(struct daxcow_pool *pool, u32 *id, u64 *record)
{
	u64 next = *id;

	while (next <= DAXCOW_MAX_ID) {
		u64 at = ROOT_SLOT;
		int level = DIR_ROOT_LEVEL, ret;
		struct entry e;

		for (;;) {
			ret = dir_load(pool, at, level, &e);
			if (ret)
				return ret;
			if (e.type == DAXCOW_ENTRY_NONE || !level)
				break;
			level--;
			at = slot_of(e.block, level_index(next, level));
		}
		if (e.type == DAXCOW_ENTRY_RECORD) {
			*id = next;
			*record = e.block;
			return 0;
		}
		next = (next & ~(level_span(level) - 1)) + level_span(level);
	}
	return -ENOENT;
}

/**
 * struct dir_copy - new nodes of a change that is not published yet
 * @nr:		number of nodes
 * @cap:	room for them
 * @node:	their blocks
 * @old:	what each replaces, or 0
 */
struct dir_copy {
	unsigned int nr, cap;
	u64 *node;
	u64 *old;
};

static bool copy_has(const struct dir_copy *copy, u64 block)
{
	unsigned int i;

	for (i = 0; i < copy->nr; i++)
		if (copy->node[i] == block)
			return true;
	return false;
}

/* A new node at @level with the content of @old, or empty. */
static int copy_node(struct daxcow_pool *pool, struct dir_copy *copy,
		     u64 old, int level, u64 *node)
{
	unsigned int i;
	struct entry e;
	u64 raw;
	int ret;

	ret = space_alloc(pool, KIND_DIR + level, node);
	if (ret)
		return ret;
	copy->node[copy->nr] = *node;
	copy->old[copy->nr++] = old;
	memset(pool->scratch, 0, DAXCOW_BLOCK_SIZE);
	for (i = 0; i < DAXCOW_NODE_ENTRIES && old; i++) {
		ret = dir_load(pool, slot_of(old, i), level, &e);
		if (ret)
			return ret;
		if (e.type == DAXCOW_ENTRY_NONE)
			continue;
		raw = entry_encode(&pool->crc, slot_of(*node, i), e);
		pool->scratch[i] = cpu_to_le64(raw);
	}
	pm_write(pool_addr(pool, *node), pool->scratch, DAXCOW_BLOCK_SIZE);
	return 0;
}

/* Walk down through nodes that are new; make those that are not. */
static int copy_path(struct daxcow_pool *pool, struct dir_copy *copy, u64 root,
		     const struct dir_change *c)
{
	int level = DAXCOW_DIR_LEVEL, ret;
	u64 at, node = root;
	struct entry e;

	for (;; level--) {
		at = slot_of(node, level_index(c->id, level));
		if (level == 0)
			break;
		ret = dir_load(pool, at, level, &e);
		if (ret)
			return ret;
		node = e.block;
		if (e.type != DAXCOW_ENTRY_NONE && copy_has(copy, node))
			continue;
		ret = copy_node(pool, copy,
				e.type == DAXCOW_ENTRY_NONE ? 0 : e.block,
				level - 1, &node);
		if (ret)
			return ret;
		e = (struct entry) {
			.type = DAXCOW_ENTRY_DIR,
			.level = level - 1,
			.block = node,
		};
		pm_publish(slot_word(pool, at), entry_encode(&pool->crc, at, e));
	}
	e = (struct entry) {
		.type = DAXCOW_ENTRY_RECORD,
		.block = c->record,
	};
	pm_publish(slot_word(pool, at),
		   c->record ? entry_encode(&pool->crc, at, e) : 0);
	return 0;
}

/* Owners move from replaced nodes to new ones; children keep one owner. */
static void copy_own(struct daxcow_pool *pool, struct dir_copy *copy)
{
	unsigned int n, i;
	struct entry e;

	for (n = 0; n < copy->nr; n++) {
		for (i = 0; i < DAXCOW_NODE_ENTRIES && copy->old[n]; i++) {
			u64 from = slot_of(copy->old[n], i);

			e = entry_decode(pm_load(slot_word(pool, from)));
			if (e.type != DAXCOW_ENTRY_NONE)
				owner_del(pool, from, e);
		}
	}
	for (n = 0; n < copy->nr; n++) {
		for (i = 0; i < DAXCOW_NODE_ENTRIES; i++) {
			u64 to = slot_of(copy->node[n], i);

			e = entry_decode(pm_load(slot_word(pool, to)));
			if (e.type != DAXCOW_ENTRY_NONE)
				owner_add(pool, to, e);
		}
		if (copy->old[n])
			space_free(pool, copy->old[n]);
	}
}

static int copy_alloc(struct dir_copy *copy, unsigned int nr)
{
	copy->cap = nr * DAXCOW_DIR_LEVEL + 1;
	copy->node = kvcalloc(copy->cap, 2 * sizeof(u64), GFP_KERNEL);
	if (!copy->node)
		return -ENOMEM;
	copy->old = copy->node + copy->cap;
	return 0;
}

static int publish_copy(struct daxcow_pool *pool, const struct dir_change *c,
			unsigned int nr)
{
	struct dir_copy copy = { .nr = 0 };
	u64 root = 0, room = 0;
	struct entry e;
	unsigned int i;
	int ret;

	ret = copy_alloc(&copy, nr);
	if (ret)
		return ret;
	ret = dir_load(pool, ROOT_SLOT, DIR_ROOT_LEVEL, &e);
	if (!ret)
		ret = copy_node(pool, &copy,
				e.type == DAXCOW_ENTRY_NONE ? 0 : e.block,
				DAXCOW_DIR_LEVEL, &root);
	for (i = 0; i < nr && !ret; i++)
		ret = copy_path(pool, &copy, root, &c[i]);
	/* those that are replaced become free; others are not for the reserve to pay */
	for (i = 0; i < copy.nr; i++)
		room += !!copy.old[i];
	if (!ret && pool->nr_free + room < pool->reserve)
		ret = -ENOSPC;
	if (ret) {
		for (i = 0; i < copy.nr; i++)
			space_free(pool, copy.node[i]);
		goto out_free;
	}
	e = (struct entry) {
		.type = DAXCOW_ENTRY_DIR,
		.level = DAXCOW_DIR_LEVEL,
		.block = root,
	};
	pm_fence();					/* P1 */
	pm_publish(slot_word(pool, ROOT_SLOT),
		   entry_encode(&pool->crc, ROOT_SLOT, e));
	pm_fence();					/* P2 */
	copy_own(pool, &copy);
	owner_add(pool, ROOT_SLOT, e);
out_free:
	kvfree(copy.node);
	return ret;
}

static bool has_others(struct daxcow_pool *pool, u64 node)
{
	unsigned int i, nr = 0;

	for (i = 0; i < DAXCOW_NODE_ENTRIES && nr < 2; i++)
		nr += !!pm_load(slot_word(pool, slot_of(node, i)));
	return nr > 1;
}

/* Remove an id, whose leaf entry is at @leaf, with the nodes that have nothing else. */
static void publish_removal(struct daxcow_pool *pool, u32 id, u64 leaf, u64 record)
{
	u64 node[DAXCOW_DIR_LEVEL + 1], at = ROOT_SLOT, alone = at;
	int level, lowest = DAXCOW_DIR_LEVEL + 1;

	for (level = DAXCOW_DIR_LEVEL; level >= 0; level--) {
		node[level] = entry_decode(pm_load(slot_word(pool, at))).block;
		at = slot_of(node[level], level_index(id, level));
		if (has_others(pool, node[level])) {
			alone = at;
			lowest = level;
		}
	}
	pm_publish(slot_word(pool, alone), 0);
	pm_fence();					/* P2 */
	owner_del(pool, leaf, (struct entry) {
		.type = DAXCOW_ENTRY_RECORD,
		.block = record,
	});
	for (level = 0; level < lowest; level++)
		space_free(pool, node[level]);
}

/*
 * Change records of one or more ids at once. Their content is written, but
 * need not be fenced. Replaced records lose their owner here and are the
 * caller's to put. Returns 0, or an error with nothing changed.
 */
int dir_publish(struct daxcow_pool *pool, const struct dir_change *c,
		unsigned int nr)
{
	struct entry e = { .type = DAXCOW_ENTRY_RECORD, .block = c->record };
	u64 slot, old = 0;
	unsigned int i;
	int ret;

	if (nr == 1) {
		ret = dir_find(pool, c->id, &slot, &old);
		if (ret && ret != -ENOENT)
			return ret;
		if (old && !c->record) {
			publish_removal(pool, c->id, slot, old);
			return 0;
		}
		if (slot) {
			pm_fence();			/* P1 */
			pm_publish(slot_word(pool, slot),
				   entry_encode(&pool->crc, slot, e));
			pm_fence();			/* P2 */
			if (old)
				owner_del(pool, slot, (struct entry) {
					.type = DAXCOW_ENTRY_RECORD,
					.block = old,
				});
			owner_add(pool, slot, e);
			return 0;
		}
	}
	for (i = 0; i < nr; i++) {
		ret = dir_find(pool, c[i].id, &slot, &old);
		if (ret != -ENOENT)
			return ret ? ret : -EEXIST;
	}
	return publish_copy(pool, c, nr);
}

/* Is this no record, or a damaged one? It may still be another volume's. */
bool record_bad(const struct daxcow_record *r)
{
	return le64_to_cpu(r->magic) != DAXCOW_RECORD_MAGIC ||
	       le32_to_cpu(r->crc) != crc32c(~0U, r, DAXCOW_RECORD_FIXED) ||
	       r->name[DAXCOW_NAME_SIZE - 1];
}

/* Returns 0, -EIO, -EUCLEAN. */
int record_read(struct daxcow_pool *pool, u64 block, u32 id,
		struct daxcow_record *r)
{
	int ret;

	if (bad_test(pool, block))
		return -EIO;
	ret = pm_read(r, pool_addr(pool, block), sizeof(*r));
	if (ret)
		return ret;
	return record_bad(r) || le32_to_cpu(r->id) != id ? -EUCLEAN : 0;
}
