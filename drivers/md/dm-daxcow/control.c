// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/daxcow: questions whose answers are too long for messages. What they are
 * is in <uapi/linux/dm-daxcow.h>.
 *
 * A pool is held while it is asked, and so is its mapped device, whose name is in
 * what the pool says. No lock of the module is held meanwhile; the engine's is
 * held for one page of an answer.
 */
#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "target.h"

/* Elements of one page: a caller with more room is given this many. */
#define PAGE_MAX	4096

/**
 * struct asked - a pool that is asked something
 * @md:		its mapped device, held
 * @pool:	held
 */
struct asked {
	struct mapped_device *md;
	struct pool *pool;
};

static int pool_hold(struct asked *a, u32 major, u32 minor)
{
	if (major >= 1U << (32 - MINORBITS) || minor > MINORMASK)
		return -ENXIO;
	a->md = dm_get_md(MKDEV(major, minor));
	if (!a->md)
		return -ENXIO;
	a->pool = pool_find(a->md);
	if (a->pool)
		return 0;
	dm_put(a->md);
	return -ENXIO;
}

static void pool_release(struct asked *a)
{
	pool_put(a->pool);
	dm_put(a->md);
}

/* ---- owners ---- */

struct owners {
	struct daxcow_owner_range *at;
	u64 first, total;
	u32 room, nr;
};

static int note_owner(void *arg, const struct daxcow_owner *o)
{
	struct owners *w = arg;

	if (w->total >= w->first && w->nr < w->room)
		w->at[w->nr++] = (struct daxcow_owner_range) {
			.volume = o->volume,
			.start = o->vblk,
			.nr = o->nr,
		};
	w->total++;
	return 0;
}

static void note_again(void *arg)
{
	struct owners *w = arg;

	w->nr = 0;
	w->total = 0;
}

static const u32 uapi_use[] = {
	[DAXCOW_BLOCK_FREE] = DAXCOW_USE_FREE,
	[DAXCOW_BLOCK_DATA] = DAXCOW_USE_DATA,
	[DAXCOW_BLOCK_TABLE] = DAXCOW_USE_TABLE,
	[DAXCOW_BLOCK_RECORD] = DAXCOW_USE_RECORD,
	[DAXCOW_BLOCK_POOL] = DAXCOW_USE_POOL,
	[DAXCOW_BLOCK_RETIRED] = DAXCOW_USE_RETIRED,
};

static int find_owners(struct pool *pool, struct daxcow_ioc_owners *x,
		       struct owners *w)
{
	enum daxcow_use use;
	int ret;

	if (x->flags & DAXCOW_OWNERS_PFN) {
		ret = pool_block_of(pool, x->block, &x->block);
		if (ret)
			return ret;
	}
	ret = daxcow_owners(pool->core, x->block, &use, note_owner, note_again, w);
	if (ret && ret != -ENOENT)
		return ret;
	x->use = uapi_use[use];
	x->total = w->total;
	x->nr = w->nr;
	return 0;
}

static int do_owners(void *arg)
{
	struct daxcow_ioc_owners *x = arg;
	struct owners w = { .first = x->first };
	struct asked a;
	int ret;

	if (x->flags & ~DAXCOW_OWNERS_PFN)
		return -EINVAL;
	w.room = min(x->nr, PAGE_MAX);
	w.at = kvcalloc(w.room ?: 1, sizeof(*w.at), GFP_KERNEL);
	if (!w.at)
		return -ENOMEM;
	ret = pool_hold(&a, x->major, x->minor);
	if (ret)
		goto out_free;
	ret = find_owners(a.pool, x, &w);
	pool_release(&a);
	if (!ret && copy_to_user(u64_to_user_ptr(x->owners), w.at,
				 array_size(w.nr, sizeof(*w.at))))
		ret = -EFAULT;
out_free:
	kvfree(w.at);
	return ret;
}

/* ---- map ---- */

struct extents {
	struct daxcow_extent *at;
	u32 room, nr;
};

/* False when there is no room for one more. */
static bool note_extent(struct extents *w, u64 start, u64 block, u64 nr)
{
	struct daxcow_extent *last = w->nr ? &w->at[w->nr - 1] : NULL;

	if (last && last->start + last->nr == start &&
	    last->block + last->nr == block) {
		last->nr += nr;
		return true;
	}
	if (w->nr == w->room)
		return false;
	w->at[w->nr++] = (struct daxcow_extent) {
		.start = start,
		.block = block,
		.nr = nr,
	};
	return true;
}

static int find_extents(struct pool *pool, struct daxcow_volume *vol,
			struct daxcow_ioc_map *x, struct extents *w)
{
	u64 block;
	long n;
	int idx;

	while (x->start < x->end) {
		idx = srcu_read_lock(&pool->srcu);
		n = daxcow_lookup(vol, x->start, x->end - x->start, &block);
		srcu_read_unlock(&pool->srcu, idx);
		if (n < 0)
			return n;
		if (block != DAXCOW_HOLE && !note_extent(w, x->start, block, n))
			break;
		x->start += n;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	x->nr = w->nr;
	return 0;
}

static int map_volume(struct pool *pool, struct daxcow_ioc_map *x,
		      struct extents *w)
{
	struct daxcow_volume *vol;
	int ret;

	ret = daxcow_open(pool->core, x->volume, &vol);
	if (ret)
		return ret;
	ret = find_extents(pool, vol, x, w);
	daxcow_close(vol);
	return ret;
}

static int do_map(void *arg)
{
	struct daxcow_ioc_map *x = arg;
	struct extents w = { .nr = 0 };
	struct asked a;
	int ret;

	if (x->flags || !x->nr)
		return -EINVAL;
	x->end = min(x->end, DAXCOW_MAX_VOLUME_BLOCKS);
	w.room = min(x->nr, PAGE_MAX);
	w.at = kvcalloc(w.room ?: 1, sizeof(*w.at), GFP_KERNEL);
	if (!w.at)
		return -ENOMEM;
	ret = pool_hold(&a, x->major, x->minor);
	if (ret)
		goto out_free;
	ret = map_volume(a.pool, x, &w);
	pool_release(&a);
	if (!ret && copy_to_user(u64_to_user_ptr(x->extents), w.at,
				 array_size(w.nr, sizeof(*w.at))))
		ret = -EFAULT;
out_free:
	kvfree(w.at);
	return ret;
}

/* ---- blocks ---- */

static u32 run_flags(const struct daxcow_used *u)
{
	return (u->chunk ? DAXCOW_RUN_CHUNK : 0) |
	       (u->hot ? DAXCOW_RUN_HOT : 0) | (u->bad ? DAXCOW_RUN_BAD : 0);
}

static int find_runs(struct pool *pool, struct daxcow_ioc_blocks *x,
		     struct daxcow_used *at, u32 room)
{
	u64 start = x->start;
	u32 nr = 0;

	while (start < x->end && nr < room) {
		nr += daxcow_used(pool->core, &start, x->end, x->since,
				  pool_block_hot, pool, at + nr, room - nr);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	x->start = start;
	x->nr = nr;
	return 0;
}

static void runs_fill(struct daxcow_run *run, const struct daxcow_used *at,
		      u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		run[i] = (struct daxcow_run) {
			.block = at[i].block,
			.nr = at[i].nr,
			.owners = at[i].owners,
			.generation = at[i].generation,
			.domain = at[i].domain,
			.flags = run_flags(&at[i]),
		};
}

static int list_blocks(struct pool *pool, struct daxcow_ioc_blocks *x,
		       struct daxcow_used *at, u32 room)
{
	int ret = 0;

	if (x->flags & DAXCOW_BLOCKS_BEGIN)
		ret = pool_begin_generation(pool, &x->generation);
	else
		x->generation = daxcow_generation(pool->core);
	x->instance = pool->instance;
	x->end = min(x->end, READ_ONCE(pool->nr_blocks));
	return ret ? ret : find_runs(pool, x, at, room);
}

static int do_blocks(void *arg)
{
	struct daxcow_ioc_blocks *x = arg;
	struct daxcow_used *at;
	struct daxcow_run *run;
	struct asked a;
	u32 room;
	int ret;

	if (x->flags & ~DAXCOW_BLOCKS_BEGIN || !x->nr || x->pad)
		return -EINVAL;
	room = min(x->nr, PAGE_MAX);
	at = kvcalloc(room, sizeof(*at), GFP_KERNEL);
	run = kvcalloc(room, sizeof(*run), GFP_KERNEL);
	ret = -ENOMEM;
	if (!at || !run)
		goto out_free;
	ret = pool_hold(&a, x->major, x->minor);
	if (ret)
		goto out_free;
	ret = list_blocks(a.pool, x, at, room);
	pool_release(&a);
	if (ret)
		goto out_free;
	runs_fill(run, at, x->nr);
	if (copy_to_user(u64_to_user_ptr(x->runs), run,
			 array_size(x->nr, sizeof(*run))))
		ret = -EFAULT;
out_free:
	kvfree(run);
	kvfree(at);
	return ret;
}

/* ---- merge ---- */

static int merge_pairs(struct daxcow_ioc_merge *x,
		       struct daxcow_merge_pair *pair)
{
	struct asked a;
	int ret;

	ret = pool_hold(&a, x->major, x->minor);
	if (ret)
		return ret;
	ret = pool_merge(a.pool, pair, x->nr, &x->rest, &x->freed);
	pool_release(&a);
	return ret;
}

static int do_merge(void *arg)
{
	struct daxcow_ioc_merge *x = arg;
	size_t size = array_size(x->nr, sizeof(struct daxcow_merge_pair));
	struct daxcow_merge_pair *pair;
	int ret;

	if (x->flags || x->nr > DAXCOW_MERGE_PAIRS)
		return -EINVAL;
	pair = kvcalloc(x->nr ?: 1, sizeof(*pair), GFP_KERNEL);
	if (!pair)
		return -ENOMEM;
	if (copy_from_user(pair, u64_to_user_ptr(x->pairs), size)) {
		ret = -EFAULT;
		goto out_free;
	}
	ret = merge_pairs(x, pair);
	/* also of those that were dealt with before an error */
	if (copy_to_user(u64_to_user_ptr(x->pairs), pair, size))
		ret = -EFAULT;
out_free:
	kvfree(pair);
	return ret;
}

/* ---- calls ---- */

union call {
	u32 size;
	struct daxcow_ioc_owners owners;
	struct daxcow_ioc_map map;
	struct daxcow_ioc_blocks blocks;
	struct daxcow_ioc_merge merge;
};

static const struct {
	unsigned int cmd;
	size_t min;	/* of the first version */
	size_t size;
	int (*fn)(void *x);
} calls[] = {
	{ DAXCOW_IOC_OWNERS, offsetofend(struct daxcow_ioc_owners, owners),
	  sizeof(struct daxcow_ioc_owners), do_owners },
	{ DAXCOW_IOC_MAP, offsetofend(struct daxcow_ioc_map, extents),
	  sizeof(struct daxcow_ioc_map), do_map },
	{ DAXCOW_IOC_BLOCKS, offsetofend(struct daxcow_ioc_blocks, runs),
	  sizeof(struct daxcow_ioc_blocks), do_blocks },
	{ DAXCOW_IOC_MERGE, offsetofend(struct daxcow_ioc_merge, pairs),
	  sizeof(struct daxcow_ioc_merge), do_merge },
};

static long control_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	void __user *from = (void __user *)arg;
	union call x;
	unsigned int i;
	u32 size;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	for (i = 0; i < ARRAY_SIZE(calls) && calls[i].cmd != cmd; i++)
		;
	if (i == ARRAY_SIZE(calls))
		return -ENOTTY;
	if (get_user(size, (u32 __user *)from))
		return -EFAULT;
	if (size < calls[i].min || size > PAGE_SIZE)
		return -EINVAL;
	ret = copy_struct_from_user(&x, calls[i].size, from, size);
	if (ret)
		return ret;
	ret = calls[i].fn(&x);
	if (ret)
		return ret;
	/* what it said of its size stays */
	x.size = size;
	return copy_to_user(from, &x, min_t(size_t, size, calls[i].size)) ?
	       -EFAULT : 0;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice control_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "daxcow",
	.fops = &control_fops,
	.mode = 0600,
};

int __init control_init(void)
{
	return misc_register(&control_device);
}

void control_exit(void)
{
	misc_deregister(&control_device);
}
