// SPDX-License-Identifier: GPL-2.0
/*
 * The pool as a whole: format, load, grow, figures.
 */
#include "internal.h"

/* Data and new volumes leave so much free that deletes and discards still work. */
#define RESERVE_SHIFT	8
#define RESERVE_MIN	16ULL
#define RESERVE_MAX	4096ULL

static void set_reserve(struct daxcow_pool *pool)
{
	u64 r = pool->nr_blocks >> RESERVE_SHIFT;

	pool->reserve = min(max(r, RESERVE_MIN), RESERVE_MAX);
}

static u64 word_encode(const struct entry_crc *crc, unsigned int index,
		       enum daxcow_entry_type type, u64 value)
{
	return entry_encode(crc, slot_of(DAXCOW_SUPER_BLOCK, index),
			    (struct entry) { .type = type, .block = value });
}

/* The superblock of an empty pool. */
void super_init(struct daxcow_super *s, u64 nr_blocks,
		const struct daxcow_params *p, const struct entry_crc *crc)
{
	memset(s, 0, sizeof(*s));
	s->magic = cpu_to_le64(DAXCOW_SUPER_MAGIC);
	s->version = cpu_to_le32(DAXCOW_VERSION);
	s->block_shift = cpu_to_le16(DAXCOW_BLOCK_SHIFT);
	s->node_shift = cpu_to_le16(DAXCOW_NODE_SHIFT);
	s->chunk_offset = cpu_to_le64(p->chunk_offset);
	s->created = cpu_to_le64(p->created);
	memcpy(s->uuid, p->uuid, DAXCOW_UUID_SIZE);
	if (p->label)
		memcpy(s->label, p->label, strlen(p->label));
	s->crc = cpu_to_le32(crc32c(~0U, s, DAXCOW_SUPER_FIXED));
	s->size = cpu_to_le64(word_encode(crc, DAXCOW_SLOT_SIZE,
					  DAXCOW_ENTRY_SIZE, nr_blocks));
	s->trans = cpu_to_le64(word_encode(crc, DAXCOW_SLOT_TRANS,
					   DAXCOW_ENTRY_TRANS, 0));
}

int daxcow_format(void *base, u64 nr_blocks, const struct daxcow_params *p)
{
	u8 *mem = base;
	struct daxcow_super *s;
	struct entry_crc *crc;

	if (nr_blocks < DAXCOW_MIN_BLOCKS ||
	    nr_blocks > DAXCOW_ENTRY_BLOCK_MASK ||
	    p->chunk_offset >= DAXCOW_CHUNK_BLOCKS ||
	    (p->label && strlen(p->label) >= DAXCOW_NAME_SIZE))
		return -EINVAL;
	s = kvzalloc(sizeof(*s), GFP_KERNEL);
	crc = kvzalloc(sizeof(*crc), GFP_KERNEL);
	if (!s || !crc) {
		kvfree(s);
		kvfree(crc);
		return -ENOMEM;
	}
	entry_crc_init(crc, p->uuid);
	super_init(s, nr_blocks, p, crc);

	/* no old superblock while the rest is written, no new one before */
	pm_publish((__le64 *)mem, 0);
	pm_fence();
	pm_zero(mem + (super_zero_block(p->chunk_offset) << DAXCOW_BLOCK_SHIFT),
		DAXCOW_CHUNK_BLOCKS << DAXCOW_BLOCK_SHIFT);
	pm_write(mem + ((u64)DAXCOW_BACKUP_BLOCK << DAXCOW_BLOCK_SHIFT), s,
		 DAXCOW_BLOCK_SIZE);
	pm_write(mem + 8, (u8 *)s + 8, DAXCOW_BLOCK_SIZE - 8);
	pm_fence();					/* P1 */
	pm_publish((__le64 *)mem, DAXCOW_SUPER_MAGIC);
	pm_fence();					/* P2 */
	kvfree(s);
	kvfree(crc);
	return 0;
}

static void pool_free(struct daxcow_pool *pool)
{
	space_exit(pool);
	families_exit(pool);
	mores_exit(pool);
	bad_exit(pool);
	mutex_destroy(&pool->lock);
	kvfree(pool->scratch);
	kvfree(pool->super);
	kvfree(pool);
}

static struct daxcow_pool *pool_alloc(void)
{
	struct daxcow_pool *pool = kvzalloc(sizeof(*pool), GFP_KERNEL);

	if (!pool)
		return NULL;
	mutex_init(&pool->lock);
	seqcount_init(&pool->seq);
	pool->shape = 1;
	pool->gen = 1;
	pool->epoch = 1;
	pool->scratch = kvzalloc(DAXCOW_BLOCK_SIZE, GFP_KERNEL);
	pool->super = kvzalloc(sizeof(*pool->super), GFP_KERNEL);
	if (pool->scratch && pool->super)
		return pool;
	pool_free(pool);
	return NULL;
}

int daxcow_load(struct daxcow_pool **poolp, void *base, u64 nr_blocks,
		unsigned int flags, const struct daxcow_host *host,
		struct daxcow_report *report)
{
	struct daxcow_report none;
	struct daxcow_pool *pool;
	int ret;

	if (!report)
		report = &none;
	memset(report, 0, sizeof(*report));
	pool = pool_alloc();
	if (!pool)
		return -ENOMEM;
	pool->base = base;
	pool->dev_blocks = nr_blocks;
	pool->read_only = flags & DAXCOW_LOAD_RO;
	if (host)
		pool->host = *host;
	ret = load_super(pool, nr_blocks, report);
	if (!ret)
		ret = load_tables(pool, report);
	if (ret) {
		pool_free(pool);
		return ret;
	}
	set_reserve(pool);
	pool->host.bad = NULL;
	pool->host.nr_bad = 0;
	pool->host.held = NULL;
	pool->host.nr_held = 0;
	*poolp = pool;
	return 0;
}

void daxcow_unload(struct daxcow_pool *pool)
{
	pool_free(pool);
}

static u64 trans_read(struct daxcow_pool *pool)
{
	u64 slot = slot_of(DAXCOW_SUPER_BLOCK, DAXCOW_SLOT_TRANS);

	if (bad_test(pool, DAXCOW_SUPER_BLOCK))
		return 0;
	return entry_decode(pm_load(slot_word(pool, slot))).block;
}

void daxcow_pool_info(struct daxcow_pool *pool, struct daxcow_pool_info *info)
{
	memset(info, 0, sizeof(*info));
	pool_lock(pool);
	info->nr_blocks = pool->nr_blocks;
	info->nr_free = pool->nr_free;
	info->nr_pending = pool->incoming.nr + pool->ready.nr;
	info->settling = pool->left || pool->ended < pool->closing;
	info->nr_meta = pool->nr_meta;
	info->nr_data = pool->nr_data;
	info->nr_chunks_free = pool->nr_chunks_free;
	info->reserve = pool->reserve;
	info->nr_volumes = pool->nr_volumes;
	info->copies = pool->copies;
	info->provisions = pool->provisions;
	info->merged = pool->merged;
	info->unmapped = pool->unmapped;
	info->nr_bad = pool->nr_bad;
	info->nr_retired = pool->nr_retired;
	info->trans = trans_read(pool);
	info->zero_block = pool->zero_block;
	info->chunk_offset = le64_to_cpu(pool->super->chunk_offset);
	info->created = le64_to_cpu(pool->super->created);
	info->dram_bytes = sizeof(*pool) + pool->nr_chunks * sizeof(struct chunk) +
			   pool->nr_splits * space_split_bytes() +
			   (pool->nr_nodes + pool->nr_spare) * sizeof(struct node) +
			   pool->nr_open * sizeof(struct daxcow_volume) +
			   families_bytes(pool) + pool->mores.bytes +
			   pool->nr_blocks / 8;
	memcpy(info->uuid, pool->super->uuid, DAXCOW_UUID_SIZE);
	memcpy(info->label, pool->super->label, DAXCOW_NAME_SIZE);
	info->read_only = pool->read_only;
	info->unknown = pool->unknown;
	pool_unlock(pool);
}

static void word_publish(struct daxcow_pool *pool, unsigned int index,
			 enum daxcow_entry_type type, u64 value)
{
	pm_publish(slot_word(pool, slot_of(DAXCOW_SUPER_BLOCK, index)),
		   word_encode(&pool->crc, index, type, value));
	pm_fence();					/* P2 */
}

int daxcow_grow(struct daxcow_pool *pool, u64 nr_blocks)
{
	int ret;

	if (pool->read_only)
		return -EROFS;
	pool_lock(pool);
	if (nr_blocks < pool->nr_blocks ||
	    nr_blocks > DAXCOW_ENTRY_BLOCK_MASK) {
		ret = -EINVAL;
		goto out_unlock;
	}
	ret = 0;
	if (nr_blocks == pool->nr_blocks)
		goto out_unlock;
	ret = bad_reserve(pool, nr_blocks);
	if (!ret)
		ret = space_grow(pool, nr_blocks);
	if (ret)
		goto out_unlock;
	pool->dev_blocks = max(pool->dev_blocks, nr_blocks);
	/* no entry can name a new block before the lock is dropped */
	word_publish(pool, DAXCOW_SLOT_SIZE, DAXCOW_ENTRY_SIZE, nr_blocks);
	set_reserve(pool);
out_unlock:
	pool_unlock(pool);
	return ret;
}

int daxcow_set_trans(struct daxcow_pool *pool, u64 old, u64 new)
{
	int ret = 0;

	if (new > DAXCOW_ENTRY_BLOCK_MASK)
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	pool_lock(pool);
	if (trans_read(pool) != old)
		ret = -ESTALE;
	else
		word_publish(pool, DAXCOW_SLOT_TRANS, DAXCOW_ENTRY_TRANS, new);
	pool_unlock(pool);
	return ret;
}

u64 daxcow_room(struct daxcow_pool *pool)
{
	u64 free = READ_ONCE(pool->nr_free);

	return free > pool->reserve ? free - pool->reserve : 0;
}
