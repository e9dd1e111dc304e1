// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of /dev/daxcow with anything for a structure. A call that is answered is
 * answered right, and writes nothing but the structure and the room that it names;
 * whatever is said, all that was held is given back.
 */
#include "target.h"
#include "options.h"

/* ---- as much of a kernel as control.c asks for ---- */

#define __user
#define __init
#define CAP_SYS_ADMIN		21
#define MINORBITS		20
#define MINORMASK		((1U << MINORBITS) - 1)
#define MKDEV(major, minor)	((major) << MINORBITS | (minor))
#define MISC_DYNAMIC_MINOR	255
#define THIS_MODULE		NULL
#define PAGE_SIZE		4096
#define compat_ptr_ioctl	NULL
#define noop_llseek		NULL
#define current			NULL
#define capable(cap)		((cap) == CAP_SYS_ADMIN)
#define fatal_signal_pending(t)	((void)(t), false)
#define array_size(n, size)	((size_t)(n) * (size))
#define offsetofend(t, m)	(offsetof(t, m) + sizeof(((t *)0)->m))
#define min_t(t, a, b)		((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define u64_to_user_ptr(x)	((void *)(uintptr_t)(x))
#define srcu_read_lock(s)	((*(s))++)
#define srcu_read_unlock(s, i)	((void)(i), (*(s))--)

struct file;

struct file_operations {
	void *owner, *compat_ioctl, *llseek;
	long (*unlocked_ioctl)(struct file *file, unsigned int cmd,
			       unsigned long arg);
};

struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	unsigned int mode;
};

struct mapped_device {
	int held;
};

#define BLOCKS		(DAXCOW_CHUNK_BLOCKS * 20)
#define USER_SIZE	8192
#define POOL_MAJOR	253
#define POOL_MINOR	1
#define FIRST_PFN	0x100000ULL
#define UNTOUCHED	0xa5

static struct mapped_device pool_md, other_md;
static struct pool the_pool;
static u8 user[USER_SIZE] __attribute__((aligned(8))), before[USER_SIZE];

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "FAILED: %s\n", what);
	abort();
}

static struct mapped_device *dm_get_md(unsigned int dev)
{
	struct mapped_device *md = NULL;

	if (dev == MKDEV(POOL_MAJOR, POOL_MINOR))
		md = &pool_md;
	else if (dev == MKDEV(POOL_MAJOR, POOL_MINOR + 1))
		md = &other_md;
	if (md)
		md->held++;
	return md;
}

static void dm_put(struct mapped_device *md)
{
	md->held--;
}

static struct pool *pool_find(struct mapped_device *md)
{
	if (md != &pool_md)
		return NULL;
	the_pool.users++;
	return &the_pool;
}

static void pool_put(struct pool *pool)
{
	pool->users--;
}

static int pool_block_of(const struct pool *pool, u64 pfn, __u64 *block)
{
	if (pfn < FIRST_PFN || pfn - FIRST_PFN >= BLOCKS)
		return -ERANGE;
	*block = pfn - FIRST_PFN;
	return 0;
}

static bool in_user(const void *p, size_t n)
{
	uintptr_t at = (uintptr_t)p - (uintptr_t)user;

	return n <= USER_SIZE && at <= USER_SIZE - n;
}

#define get_user(x, p) \
	(in_user(p, sizeof(*(p))) ? (memcpy(&(x), p, sizeof(x)), 0) : -EFAULT)

static size_t copy_to_user(void *to, const void *from, size_t n)
{
	if (!n)
		return 0;
	if (!in_user(to, n))
		return n;
	memcpy(to, from, n);
	return 0;
}

static int copy_struct_from_user(void *to, size_t size, const void *from,
				 size_t from_size)
{
	size_t i;

	if (!in_user(from, from_size))
		return -EFAULT;
	for (i = size; i < from_size; i++)
		if (((const u8 *)from)[i])
			return -E2BIG;
	memset(to, 0, size);
	memcpy(to, from, min(size, from_size));
	return 0;
}

static size_t copy_from_user(void *to, const void *from, size_t n)
{
	if (n && !in_user(from, n))
		return n;
	memcpy(to, n ? from : to, n);
	return 0;
}

static bool pool_block_hot(void *ctx, u64 block, u64 nr)
{
	must(block < BLOCKS && nr <= BLOCKS - block, "a block to ask for");
	return block % 3 == 1;
}

static int pool_begin_generation(struct pool *pool, __u32 *gen)
{
	return daxcow_generation_begin(pool->core, gen);
}

/* What merge.c does, where nothing is in use. */
static int pool_merge(struct pool *pool, struct daxcow_merge_pair *pair, u32 nr,
		      __u32 *rest, __u64 *freed)
{
	u32 i, gen;
	int ret;

	*freed = 0;
	*rest = 0;
	daxcow_generation_begin(pool->core, &gen);
	for (i = 0; i < nr; i++) {
		struct daxcow_merge m = {
			.keep = pair[i].keep,
			.drop = pair[i].drop,
			.nr = pair[i].nr,
			.before = min(gen, pair[i].generation),
			.split = pair[i].flags & DAXCOW_PAIR_SPLIT,
		};

		ret = daxcow_merge(pool->core, &m);
		if (ret == -EINVAL)
			return ret;
		pair[i].status = ret ? DAXCOW_MERGE_STALE : DAXCOW_MERGE_MERGED;
		*freed += ret ? 0 : m.nr;
	}
	return 0;
}

static int misc_register(struct miscdevice *misc)
{
	return misc->fops ? 0 : -EINVAL;
}

static void misc_deregister(struct miscdevice *misc)
{
}

#include "../../drivers/md/dm-daxcow/control.c"

/* ---- what has to hold ---- */

/* What each volume has mapped; some of it lies in a row in the pool. */
static const u64 vblks[] = {
	0, 1, 5, DAXCOW_CHUNK_BLOCKS * 9, DAXCOW_MAX_VOLUME_BLOCKS - 1,
};

static void make_pool(void)
{
	struct daxcow_params p = { .uuid = (const u8 *)"ioctlioctlioctli" };
	struct daxcow_volume_desc d = { .size = 0 };
	struct daxcow_volume *vol;
	unsigned int i;
	static void *mem;
	u64 block;

	if (!mem)
		mem = aligned_alloc(4096, BLOCKS * DAXCOW_BLOCK_SIZE);
	must(mem && !daxcow_format(mem, BLOCKS, &p) &&
	     !daxcow_load(&the_pool.core, mem, BLOCKS, 0, NULL, NULL) &&
	     !daxcow_create(the_pool.core, &d) &&
	     !daxcow_open(the_pool.core, 0, &vol), "a pool");
	for (i = 0; i < ARRAY_SIZE(vblks); i++)
		must(daxcow_provision(vol, vblks[i], 1, &block) == 1, "a block");
	for (d.id = 1; d.id < 20; d.id++) {
		d.origin = d.id / 2;
		must(!daxcow_snapshot(the_pool.core, &d, 1), "a snapshot");
	}
	must(daxcow_provision(vol, 5, 1, &block) == 1, "a copy");
	daxcow_close(vol);
	the_pool.users = 1;
	the_pool.nr_blocks = BLOCKS;
}

static void check_closed(void)
{
	struct daxcow_volume_info info;
	u32 id;

	for (id = 0; !daxcow_next_volume(the_pool.core, id, &info); id = info.id + 1)
		must(!info.open, "no volume is open");
}

static int count_owner(void *arg, const struct daxcow_owner *o)
{
	++*(u64 *)arg;
	return 0;
}

static void check_owners(const struct daxcow_ioc_owners *in)
{
	struct daxcow_ioc_owners out;
	struct daxcow_owner_range r;
	u64 total = 0;
	u32 i;

	memcpy(&out, user, sizeof(out));
	daxcow_owners(the_pool.core, out.block, NULL, count_owner, NULL, &total);
	must(out.total == total && out.nr <= in->nr, "as many as there are");
	must(out.nr == min(min(in->nr, 4096u), total - min(total, in->first)),
	     "as many as there is room for");
	for (i = 0; i < out.nr; i++) {
		memcpy(&r, (u8 *)(uintptr_t)out.owners + i * sizeof(r), sizeof(r));
		must(r.volume < 20 && r.nr && !r.pad, "an owner");
	}
}

/* Whether the extents have @vblk, and in its block. */
static bool has_block(const struct daxcow_ioc_map *out, struct daxcow_volume *vol,
		      u64 vblk)
{
	struct daxcow_extent e;
	u64 block;
	u32 i;

	must(daxcow_lookup(vol, vblk, 1, &block) == 1, "lookup");
	for (i = 0; i < out->nr; i++) {
		memcpy(&e, (u8 *)(uintptr_t)out->extents + i * sizeof(e), sizeof(e));
		if (vblk >= e.start && vblk - e.start < e.nr)
			return e.block + (vblk - e.start) == block;
	}
	return false;
}

static void check_map(const struct daxcow_ioc_map *in)
{
	struct daxcow_volume *vol;
	struct daxcow_ioc_map out;
	struct daxcow_extent e;
	u64 listed = 0, mapped = 0;
	u32 i;

	memcpy(&out, user, sizeof(out));
	must(out.nr <= in->nr && out.start >= in->start, "as much as there is room for");
	must(out.start >= out.end || out.nr == min(in->nr, 4096u), "all of it");
	must(!daxcow_open(the_pool.core, in->volume, &vol), "a volume");
	for (i = 0; i < ARRAY_SIZE(vblks); i++) {
		if (vblks[i] < in->start || vblks[i] >= min(out.start, out.end))
			continue;
		must(has_block(&out, vol, vblks[i]), "a block in its place");
		mapped++;
	}
	for (i = 0; i < out.nr; i++) {
		memcpy(&e, (u8 *)(uintptr_t)out.extents + i * sizeof(e), sizeof(e));
		listed += e.nr;
	}
	must(listed == mapped, "no other blocks");
	daxcow_close(vol);
}

/* Each data block once, in order, and none of what is older. */
static void check_blocks(const struct daxcow_ioc_blocks *in)
{
	struct daxcow_ioc_blocks out;
	struct daxcow_run r;
	enum daxcow_use use;
	u64 next = 0, total, b;
	u32 i;

	memcpy(&out, user, sizeof(out));
	must(out.nr <= in->nr && out.start >= min(in->start, in->end),
	     "as much as there is room for");
	must(out.start >= out.end || out.nr == min(in->nr, 4096u), "all of it");
	must(out.generation == daxcow_generation(the_pool.core), "a generation");
	for (i = 0; i < out.nr; i++) {
		memcpy(&r, (u8 *)(uintptr_t)out.runs + i * sizeof(r), sizeof(r));
		must(r.block >= next && r.nr && !r.pad && r.owners &&
		     r.generation >= in->since, "a run");
		for (b = r.block; b < r.block + r.nr; b++) {
			total = 0;
			daxcow_owners(the_pool.core, b, &use, count_owner, NULL, &total);
			must(use == DAXCOW_BLOCK_DATA && total, "data");
		}
		next = r.block + r.nr;
	}
}

/* A merge changes no volume, and the tables are right; then all is as it was. */
static void check_merge(const struct daxcow_ioc_merge *in)
{
	struct daxcow_ioc_merge out;
	struct daxcow_merge_pair p;
	u64 freed = 0;
	u32 i;

	memcpy(&out, user, sizeof(out));
	for (i = 0; i < in->nr; i++) {
		memcpy(&p, (u8 *)(uintptr_t)out.pairs + i * sizeof(p), sizeof(p));
		freed += p.status == DAXCOW_MERGE_MERGED ? p.nr : 0;
	}
	must(out.freed == freed, "as much as was merged");
	while (daxcow_reclaim_prepare(the_pool.core))
		while (daxcow_reclaim_run(the_pool.core))
			;
	must(!daxcow_verify(the_pool.core, NULL), "tables and owners");
	daxcow_unload(the_pool.core);
	make_pool();
}

/* Nothing but the structure of @size and @n bytes at @room was written. */
static void check_untouched(u32 size, u64 room, size_t n)
{
	u64 at = room - (uintptr_t)user;
	u64 i;

	for (i = size; i < USER_SIZE; i++)
		must(user[i] == before[i] || (i >= at && i - at < n),
		     "what is nobody's");
}

union call_in {
	struct daxcow_ioc_owners owners;
	struct daxcow_ioc_map map;
	struct daxcow_ioc_blocks blocks;
	struct daxcow_ioc_merge merge;
	u8 bytes[128];
};

enum kind_of_call { OWNERS, MAP, BLOCKS_, MERGE };

/**
 * struct call_kind - one of the calls
 * @room:	where its structure has the address of the rest
 * @nr:		and the number of elements
 */
static const struct call_kind {
	unsigned int cmd;
	size_t size, room, nr, element;
} kinds[] = {
	[OWNERS] = { DAXCOW_IOC_OWNERS, sizeof(struct daxcow_ioc_owners),
		     offsetof(struct daxcow_ioc_owners, owners),
		     offsetof(struct daxcow_ioc_owners, nr),
		     sizeof(struct daxcow_owner_range) },
	[MAP] = { DAXCOW_IOC_MAP, sizeof(struct daxcow_ioc_map),
		  offsetof(struct daxcow_ioc_map, extents),
		  offsetof(struct daxcow_ioc_map, nr),
		  sizeof(struct daxcow_extent) },
	[BLOCKS_] = { DAXCOW_IOC_BLOCKS, sizeof(struct daxcow_ioc_blocks),
		      offsetof(struct daxcow_ioc_blocks, runs),
		      offsetof(struct daxcow_ioc_blocks, nr),
		      sizeof(struct daxcow_run) },
	[MERGE] = { DAXCOW_IOC_MERGE, sizeof(struct daxcow_ioc_merge),
		    offsetof(struct daxcow_ioc_merge, pairs),
		    offsetof(struct daxcow_ioc_merge, nr),
		    sizeof(struct daxcow_merge_pair) },
};

/* Pairs behind the structure, most of them of blocks that there are. */
static void make_pairs(union call_in *x, unsigned int how, const u8 *data,
		       size_t size)
{
	struct daxcow_merge_pair p;
	u8 *at = user + 128;

	x->merge.pairs = (uintptr_t)at;
	for (; size >= 6 && at + sizeof(p) <= user + USER_SIZE; at += sizeof(p)) {
		p = (struct daxcow_merge_pair) {
			.keep = data[0] == 255 ? DAXCOW_MERGE_ZERO :
				data[0] * (data[4] & 2 ? DAXCOW_CHUNK_BLOCKS : 1),
			.drop = data[1] * (data[4] & 2 ? DAXCOW_CHUNK_BLOCKS : 1),
			.nr = data[4] & 2 ? DAXCOW_CHUNK_BLOCKS : data[2] % 9 ?: 1,
			.generation = data[3] & 1 ? ~0U : data[3],
			.flags = data[4] & 1,
			.status = data[5],
		};
		memcpy(at, &p, sizeof(p));
		data += 6;
		size -= 6;
	}
	if (how & 32)
		x->merge.nr = (at - user - 128) / sizeof(p);
}

/* Mostly a pool that there is, an address that is one, a size that fits. */
static void make_sense(union call_in *x, unsigned int how,
		       const struct call_kind *k)
{
	__u64 *room = (__u64 *)(x->bytes + k->room);
	bool map = k->cmd == DAXCOW_IOC_MAP, owners = k->cmd == DAXCOW_IOC_OWNERS;

	if (how & 1)
		x->owners.size = k->size;
	if (how & 2) {
		x->owners.major = POOL_MAJOR;
		x->owners.minor = POOL_MINOR + (how >> 7 & 1);
	}
	if (how & 4)
		*room = (uintptr_t)user + 128 + *room % (USER_SIZE - 64);
	if (how & 8 && map)
		x->map.volume %= 24;
	if (how & 8 && owners)
		x->owners.block = x->owners.block % (BLOCKS + 4) +
				  (x->owners.flags & 1 ? FIRST_PFN : 0);
	if (how & 16)
		x->owners.flags &= 1;
	if (how & 32)
		*(__u32 *)(x->bytes + k->nr) %= 70;
	if (how & 64 && map)
		x->map.start %= 2 * DAXCOW_MAX_VOLUME_BLOCKS;
	if (how & 64 && owners)
		x->owners.first %= 32;
	if (how & 64 && k->cmd == DAXCOW_IOC_BLOCKS) {
		x->blocks.start %= BLOCKS + 2;
		x->blocks.since %= 4;
		x->blocks.pad = 0;
	}
	if (how & 8 && k->cmd == DAXCOW_IOC_MERGE)
		x->merge.flags = 0;
}

static void check_answer(const union call_in *x, enum kind_of_call call)
{
	const struct call_kind *k = &kinds[call];

	check_untouched(128, *(__u64 *)(x->bytes + k->room),
			*(__u32 *)(x->bytes + k->nr) * k->element);
	switch (call) {
	case OWNERS:
		check_owners(&x->owners);
		break;
	case MAP:
		check_map(&x->map);
		break;
	case BLOCKS_:
		check_blocks(&x->blocks);
		break;
	case MERGE:
		check_merge(&x->merge);
		break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	union call_in x = { .bytes = { 0 } };
	enum kind_of_call call;
	unsigned int cmd;
	long ret;

	if (!the_pool.core)
		make_pool();
	if (size < 3)
		return 0;
	call = data[0] & 3;
	cmd = data[0] & 0x80 ? data[0] : kinds[call].cmd;
	memcpy(x.bytes, data + 2, min(size - 2, sizeof(x.bytes)));
	make_sense(&x, data[1], &kinds[call]);
	memset(user, UNTOUCHED, sizeof(user));
	if (call == MERGE && data[1] & 4 && size > 2 + sizeof(x.merge))
		make_pairs(&x, data[1], data + 2 + sizeof(x.merge),
			   size - 2 - sizeof(x.merge));
	memcpy(user, x.bytes, sizeof(x.bytes));
	memcpy(before, user, sizeof(user));
	ret = control_fops.unlocked_ioctl(NULL, cmd, (uintptr_t)user);
	must(ret <= 0 && ret > -4096, "an errno");
	must(pool_md.held == 0 && other_md.held == 0 && the_pool.users == 1 &&
	     the_pool.srcu == 0, "nothing is held");
	check_closed();
	if (!ret) {
		check_answer(&x, call);
	} else if (call == MERGE) {
		/* some may have been merged before */
		daxcow_unload(the_pool.core);
		make_pool();
	}
	return 0;
}
