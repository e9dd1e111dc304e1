// SPDX-License-Identifier: GPL-2.0
/*
 * Volumes: create, snapshot, delete, roll back, resize, open.
 *
 * A volume is a record block. Its fixed part is written once; what changes
 * while the volume is written to is its root entry. All else is a new record
 * that replaces the old one in the directory, by one store. A snapshot is a
 * new record with the origin's root node: the node gains an owner, and that
 * makes all that is below it shared.
 */
#include "internal.h"

struct daxcow_volume *volume_find_open(struct daxcow_pool *pool, u32 id)
{
	struct daxcow_volume *vol;

	for (vol = pool->volumes; vol; vol = vol->next)
		if (vol->id == id)
			return vol;
	return NULL;
}

static void record_init(struct daxcow_record *r,
			const struct daxcow_volume_desc *d, u32 origin,
			u64 size, u32 domain)
{
	memset(r, 0, sizeof(*r));
	r->magic = cpu_to_le64(DAXCOW_RECORD_MAGIC);
	r->id = cpu_to_le32(d->id);
	r->origin = cpu_to_le32(origin);
	r->size = cpu_to_le64(size);
	r->created = cpu_to_le64(d->created);
	r->domain = cpu_to_le32(domain);
	if (d->uuid)
		memcpy(r->uuid, d->uuid, DAXCOW_UUID_SIZE);
	if (d->name)
		memcpy(r->name, d->name, strlen(d->name));
}

/*
 * Write a record block whose root entry names @root, which gains an owner.
 * Not fenced. Returns 0, -ENOSPC, -ENOMEM.
 */
static int record_new(struct daxcow_pool *pool, struct daxcow_record *r,
		      struct entry root, u64 *block)
{
	int ret;

	ret = space_alloc(pool, KIND_RECORD, block);
	if (ret)
		return ret;
	r->root = 0;
	if (root.type != DAXCOW_ENTRY_NONE) {
		ret = owner_add(pool, root_slot(*block), root);
		if (ret) {
			space_free(pool, *block);
			return ret;
		}
		pool->sharings++;
		r->root = cpu_to_le64(entry_encode(&pool->crc,
						   root_slot(*block), root));
	}
	r->crc = cpu_to_le32(crc32c(~0U, r, DAXCOW_RECORD_FIXED));
	pm_write(pool_addr(pool, *block), r, sizeof(*r));
	return 0;
}

static int record_root(struct daxcow_pool *pool, u64 record, struct entry *e)
{
	return tree_load(pool, root_slot(record), ROOT_LEVEL, e);
}

/*
 * Take back a record that was never published, with whatever tree it got, at
 * once: blocks that DMA is writing to must be the origin's alone again when
 * the lock is dropped.
 */
static void record_undo(struct daxcow_pool *pool, u64 record)
{
	struct entry e = entry_decode(pm_load(slot_word(pool,
							root_slot(record))));

	reclaim_put_unseen(pool, root_slot(record), e);
	space_free(pool, record);
}

static bool desc_valid(const struct daxcow_volume_desc *d)
{
	return d->id <= DAXCOW_MAX_ID && d->size <= DAXCOW_MAX_VOLUME_BLOCKS &&
	       (!d->name || strlen(d->name) < DAXCOW_NAME_SIZE);
}

/*
 * 0 when there can be a volume @id. The reserve is for what frees space, and not for more
 * volumes.
 */
static int id_free(struct daxcow_pool *pool, u32 id)
{
	u64 slot, record;
	int ret = dir_find(pool, id, &slot, &record);

	if (ret != -ENOENT)
		return ret ? ret : -EEXIST;
	return space_room(pool, DAXCOW_DIR_LEVEL + 2) ? 0 : -ENOSPC;
}

int daxcow_create(struct daxcow_pool *pool, const struct daxcow_volume_desc *d)
{
	struct dir_change c = { .id = d->id };
	struct daxcow_record *r;
	int ret;

	if (!desc_valid(d))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	r = kvzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	record_init(r, d, DAXCOW_NO_ORIGIN, d->size, d->domain);
	pool_lock(pool);
	ret = id_free(pool, d->id);
	if (!ret)
		ret = record_new(pool, r, (struct entry) { .type = 0 },
				 &c.record);
	if (!ret) {
		ret = dir_publish(pool, &c, 1);
		if (ret)
			space_free(pool, c.record);
		else
			pool->nr_volumes++;
	}
	pool_unlock(pool);
	kvfree(r);
	return ret;
}

/* One snapshot's record and the copies that it starts with. */
static int snapshot_one(struct daxcow_pool *pool, struct daxcow_record *r,
			const struct daxcow_volume_desc *d, u64 *record)
{
	struct tree t = { .unseen = true };
	struct entry root;
	u64 slot, origin;
	size_t i;
	int ret;

	ret = dir_find(pool, d->origin, &slot, &origin);
	if (!ret)
		ret = id_free(pool, d->id);
	if (!ret)
		ret = record_read(pool, origin, d->origin, r);
	if (!ret)
		ret = record_root(pool, origin, &root);
	if (ret)
		return ret;
	t.size = le64_to_cpu(r->size);
	record_init(r, d, d->origin, t.size, le32_to_cpu(r->domain));
	ret = record_new(pool, r, root, record);
	if (ret)
		return ret;
	t.root_slot = root_slot(*record);
	for (i = 0; i < d->nr_pinned && !ret; i++)
		ret = cow_copy(pool, &t, d->pinned[i]);
	if (ret)
		record_undo(pool, *record);
	return ret;
}

/* Last before it is published, with the lock held from here to there. */
static int snapshot_ready(const struct daxcow_volume_desc *d, unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		if (d[i].ready)
			ret = d[i].ready(d[i].arg);
	return ret;
}

static int snapshot_locked(struct daxcow_pool *pool, struct daxcow_record *r,
			   const struct daxcow_volume_desc *d, unsigned int nr,
			   struct dir_change *c)
{
	unsigned int i, j;
	int ret = 0;

	for (i = 0; i < nr; i++) {
		for (j = 0; j < i; j++)
			if (d[i].id == d[j].id)
				ret = -EEXIST;
		c[i].id = d[i].id;
		if (!ret)
			ret = snapshot_one(pool, r, &d[i], &c[i].record);
		if (ret)
			break;
	}
	/* pool->seq is odd before that is asked: see own_granted() */
	smp_mb();
	if (!ret)
		ret = snapshot_ready(d, nr);
	if (!ret)
		ret = dir_publish(pool, c, nr);
	if (ret) {
		while (i-- > 0)
			record_undo(pool, c[i].record);
		return ret;
	}
	pool->nr_volumes += nr;
	return 0;
}

int daxcow_snapshot(struct daxcow_pool *pool,
		    const struct daxcow_volume_desc *d, unsigned int nr)
{
	struct dir_change *c;
	struct daxcow_record *r;
	unsigned int i;
	int ret = -ENOMEM;

	for (i = 0; i < nr; i++)
		if (!desc_valid(&d[i]))
			return -EINVAL;
	if (!nr || nr > DAXCOW_SNAPSHOT_MAX)
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	r = kvzalloc(sizeof(*r), GFP_KERNEL);
	c = kvcalloc(nr, sizeof(*c), GFP_KERNEL);
	if (r && c) {
		pool_lock(pool);
		ret = snapshot_locked(pool, r, d, nr, c);
		pool_unlock(pool);
	}
	kvfree(c);
	kvfree(r);
	return ret;
}

static void put_record(struct daxcow_pool *pool, u64 record)
{
	/* the directory names it no more: what is waited for is who looks at it */
	reclaim_gone(pool, (struct entry) {
		.type = DAXCOW_ENTRY_RECORD,
		.block = record,
	});
}

/* @lost: the root entry cannot be read, and @root is what it names. */
static int delete_locked(struct daxcow_pool *pool, u32 id, bool lost,
			 struct entry root)
{
	struct dir_change c = { .id = id };
	u64 slot, record;
	int ret;

	ret = dir_find(pool, id, &slot, &record);
	if (ret)
		return ret;
	if (volume_find_open(pool, id))
		return -EBUSY;
	if (!lost)
		ret = record_root(pool, record, &root);
	if (!ret)
		ret = dir_publish(pool, &c, 1);
	if (ret)
		return ret;
	reclaim_put(pool, root_slot(record), root);
	put_record(pool, record);
	pool->nr_volumes--;
	return 0;
}

/*
 * The volume's record is bad: memory knows what the root entry did name. When the
 * record was bad at load already nothing is known, nor owned by it.
 */
static int delete_lost(struct daxcow_pool *pool, u32 id)
{
	struct entry root = { .type = DAXCOW_ENTRY_NONE };
	const struct node *node;
	u64 slot, record;
	int ret;

	ret = dir_find(pool, id, &slot, &record);
	if (ret)
		return ret;
	if (!bad_test(pool, record))
		return -EIO;
	node = desc_node(space_desc(pool, record));
	if (node->root)
		root = (struct entry) {
			.type = DAXCOW_ENTRY_NODE,
			.level = desc_kind(space_desc(pool, node->root)) -
				 KIND_NODE,
			.block = node->root,
		};
	return delete_locked(pool, id, true, root);
}

int daxcow_delete(struct daxcow_pool *pool, u32 id)
{
	int ret;

	pool_lock(pool);
	if (pool->read_only && !pool->unknown)
		ret = -EROFS;
	else
		ret = delete_locked(pool, id, false, (struct entry) { .level = 0 });
	if (ret == -EIO)
		ret = delete_lost(pool, id);
	pool_unlock(pool);
	return ret;
}

/* The id gets a record with another's root and size; the old root is put. */
static int rollback_locked(struct daxcow_pool *pool, struct daxcow_record *r,
			   u32 id, u32 from)
{
	struct dir_change c = { .id = id };
	struct entry root, old;
	u64 slot, record, src;
	__le32 domain;
	__le64 size;
	int ret;

	ret = dir_find(pool, from, &slot, &src);
	if (!ret)
		ret = dir_find(pool, id, &slot, &record);
	if (ret)
		return ret;
	/* writers of @from have been promised blocks that nobody shares */
	if (volume_find_open(pool, id) || volume_find_open(pool, from) ||
	    id == from)
		return -EBUSY;
	ret = record_root(pool, src, &root);
	if (!ret)
		ret = record_root(pool, record, &old);
	if (!ret)
		ret = record_read(pool, src, from, r);
	size = r->size;
	domain = r->domain;
	if (!ret)
		ret = record_read(pool, record, id, r);
	if (!ret && r->domain != domain)
		ret = -EXDEV;
	r->size = size;
	if (!ret)
		ret = record_new(pool, r, root, &c.record);
	if (ret)
		return ret;
	ret = dir_publish(pool, &c, 1);
	if (ret) {
		record_undo(pool, c.record);
		return ret;
	}
	reclaim_put(pool, root_slot(record), old);
	put_record(pool, record);
	return 0;
}

int daxcow_rollback(struct daxcow_pool *pool, u32 id, u32 from)
{
	struct daxcow_record *r;
	int ret;

	if (pool->read_only)
		return -EROFS;
	r = kvzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	pool_lock(pool);
	ret = rollback_locked(pool, r, id, from);
	pool_unlock(pool);
	kvfree(r);
	return ret;
}

/*
 * The same tree under a new record. For a moment before the publish the root
 * node has two owners; nobody writes, the lock is held. After it the owner
 * has moved: nobody has left the node, so it stays exclusive.
 *
 * To shrink, the new record's tree is cut before it is published, which copies
 * the nodes at the cut; the old tree is then put as in a rollback.
 */
static int resize_locked(struct daxcow_pool *pool, struct daxcow_record *r,
			 u32 id, u64 size)
{
	struct daxcow_volume *vol = volume_find_open(pool, id);
	struct tree t = { .unseen = true };
	struct dir_change c = { .id = id };
	u64 slot, record, old;
	struct entry root;
	u64 at = size;
	bool cut;
	int ret;

	ret = dir_find(pool, id, &slot, &record);
	if (!ret)
		ret = record_read(pool, record, id, r);
	if (!ret)
		ret = record_root(pool, record, &root);
	if (ret)
		return ret;
	old = le64_to_cpu(r->size);
	cut = size && (!old || size < old) && root.type != DAXCOW_ENTRY_NONE;
	if (vol && cut)
		return -EBUSY;
	r->size = cpu_to_le64(size);
	ret = record_new(pool, r, root, &c.record);
	if (ret)
		return ret;
	t.root_slot = root_slot(c.record);
	if (cut)
		ret = cow_discard(pool, &t, &at, DAXCOW_MAX_VOLUME_BLOCKS, UINT_MAX);
	if (!ret)
		ret = dir_publish(pool, &c, 1);
	if (ret) {
		record_undo(pool, c.record);
		return ret;
	}
	if (cut)
		reclaim_put(pool, root_slot(record), root);
	else if (root.type != DAXCOW_ENTRY_NONE)
		owner_del(pool, root_slot(record), root);
	put_record(pool, record);
	if (vol) {
		/* who comes there without the lock sees what is in it */
		smp_store_release(&vol->root_slot, root_slot(c.record));
		vol->size = size;
	}
	return 0;
}

int daxcow_resize(struct daxcow_pool *pool, u32 id, u64 size)
{
	struct daxcow_record *r;
	int ret;

	if (size > DAXCOW_MAX_VOLUME_BLOCKS)
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	r = kvzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	pool_lock(pool);
	ret = resize_locked(pool, r, id, size);
	pool_unlock(pool);
	kvfree(r);
	return ret;
}

static void info_fill(struct daxcow_pool *pool, const struct daxcow_record *r,
		      u64 record, struct daxcow_volume_info *info)
{
	struct daxcow_volume *vol;
	struct entry root;

	memset(info, 0, sizeof(*info));
	info->id = le32_to_cpu(r->id);
	info->origin = le32_to_cpu(r->origin);
	info->size = le64_to_cpu(r->size);
	info->created = le64_to_cpu(r->created);
	info->domain = le32_to_cpu(r->domain);
	memcpy(info->uuid, r->uuid, DAXCOW_UUID_SIZE);
	memcpy(info->name, r->name, DAXCOW_NAME_SIZE);
	vol = volume_find_open(pool, info->id);
	info->open = vol ? vol->openers : 0;
	info->level = -1;
	if (!record_root(pool, record, &root) &&
	    root.type != DAXCOW_ENTRY_NONE)
		info->level = root.level;
}

int daxcow_next_volume(struct daxcow_pool *pool, u32 id,
		       struct daxcow_volume_info *info)
{
	struct daxcow_record *r;
	u64 record;
	int ret;

	r = kvzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	pool_lock(pool);
	ret = dir_next(pool, &id, &record);
	if (ret)
		goto out_unlock;
	ret = record_read(pool, record, id, r);
	if (ret == -EIO) {
		/* one whose record is bad does not hide the others */
		memset(r, 0, sizeof(*r));
		r->id = cpu_to_le32(id);
		r->origin = cpu_to_le32(DAXCOW_NO_ORIGIN);
		ret = 0;
	}
	if (!ret)
		info_fill(pool, r, record, info);
out_unlock:
	pool_unlock(pool);
	kvfree(r);
	return ret;
}

static int open_locked(struct daxcow_pool *pool, u32 id,
		       struct daxcow_record *r, struct daxcow_volume *vol)
{
	struct entry root;
	u64 slot, record;
	int ret;

	ret = dir_find(pool, id, &slot, &record);
	if (!ret)
		ret = record_read(pool, record, id, r);
	if (!ret)
		ret = record_root(pool, record, &root);
	if (ret)
		return ret;
	vol->pool = pool;
	vol->id = id;
	vol->root_slot = root_slot(record);
	vol->size = le64_to_cpu(r->size);
	vol->openers = 1;
	seqcount_init(&vol->leaf_seq);
	vol->next = pool->volumes;
	pool->volumes = vol;
	pool->nr_open++;
	return 0;
}

int daxcow_open(struct daxcow_pool *pool, u32 id, struct daxcow_volume **volp)
{
	struct daxcow_volume *vol, *new;
	struct daxcow_record *r;
	int ret = 0;

	new = kvzalloc(sizeof(*new), GFP_KERNEL);
	r = kvzalloc(sizeof(*r), GFP_KERNEL);
	if (!new || !r) {
		kvfree(new);
		kvfree(r);
		return -ENOMEM;
	}
	pool_lock(pool);
	vol = volume_find_open(pool, id);
	if (vol) {
		vol->openers++;
	} else {
		ret = open_locked(pool, id, r, new);
		if (!ret) {
			vol = new;
			new = NULL;
		}
	}
	pool_unlock(pool);
	kvfree(new);
	kvfree(r);
	if (!ret)
		*volp = vol;
	return ret;
}

void daxcow_close(struct daxcow_volume *vol)
{
	struct daxcow_pool *pool = vol->pool;
	struct daxcow_volume **p;
	bool last;

	pool_lock(pool);
	last = !--vol->openers;
	if (last) {
		for (p = &pool->volumes; *p != vol; p = &(*p)->next)
			;
		*p = vol->next;
		pool->nr_open--;
	}
	pool_unlock(pool);
	if (last)
		kvfree(vol);
}

u64 daxcow_volume_size(const struct daxcow_volume *vol)
{
	return READ_ONCE(vol->size);
}
