// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on the engine and on a naive model: an array of tags per volume,
 * copied in full for each snapshot. After each batch all bytes that a volume
 * shows, and the reverse map, are compared.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "platform.h"
#include <daxcow/core.h>
#include <daxcow/pmem.h>
#include "model.h"

#define NR_VOLUMES	12
#define NR_PLACES	96
#define WORDS		(DAXCOW_BLOCK_SIZE / 8)

struct model {
	bool exists, zero_size;
	u64 size;
	u32 domain;
	u64 tag[NR_PLACES];
};

static struct model model[NR_VOLUMES];
static struct daxcow_volume *open_vol[NR_VOLUMES];
static u64 place[NR_PLACES];	/* sorted vblks that are looked at */
static struct daxcow_pool *pool;
static void *base;
static u64 nr_blocks, dev_blocks, chunk_offset;
static u64 next_tag;
static u64 busy_block = ~0ULL;
__u64 model_merged;

#define CHECK(cond, ...) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__,	\
			model_name());					\
		fprintf(stderr, __VA_ARGS__);				\
		fprintf(stderr, "\n");					\
		abort();						\
	}								\
} while (0)

static bool host_busy(void *ctx, u64 block, u64 nr)
{
	(void)ctx;
	return busy_block >= block && busy_block < block + nr;
}

static const struct daxcow_host host = { .busy = host_busy };

static int cmp(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Neighbours, chunks, and places far apart, so that all levels are used. */
static void choose_places(void)
{
	const u64 chunk = DAXCOW_CHUNK_BLOCKS;
	u64 r = model_choose(65536) * 0x9e3779b97f4a7c15ULL + 1;
	unsigned int i, n = 0;

	for (i = 0; i < 16; i++)
		place[n++] = i;
	for (i = 0; i < 8; i++)
		place[n++] = chunk * 3 + i * (chunk / 8);
	while (n < NR_PLACES) {
		u64 v;

		r = r * 6364136223846793005ULL + 1442695040888963407ULL;
		v = r >> 24;
		v %= v % 3 ? chunk * chunk : DAXCOW_MAX_VOLUME_BLOCKS;
		for (i = 0; i < n && place[i] != v; i++)
			;
		if (i == n)
			place[n++] = v;
	}
	qsort(place, NR_PLACES, sizeof(place[0]), cmp);
}

/* Some come again, so that there are equal blocks; and some of those are zero. */
static u64 new_tag(void)
{
	return model_choose(3) ? model_choose(4) : next_tag++;
}

static int fill(void *arg, void *dst)
{
	u64 buf[WORDS], i;

	for (i = 0; i < WORDS; i++)
		buf[i] = *(u64 *)arg;
	pm_write(dst, buf, sizeof(buf));
	return 0;
}

static int fill_half(void *arg, void *dst)
{
	u64 buf[WORDS / 2], i;

	for (i = 0; i < WORDS / 2; i++)
		buf[i] = *(u64 *)arg;
	pm_write(dst, buf, sizeof(buf));
	return 0;
}

static u64 read_tag(struct daxcow_volume *vol, u64 vblk)
{
	const u64 *p;
	u64 block;

	CHECK(daxcow_lookup(vol, vblk, 1, &block) == 1, "lookup");
	if (block == DAXCOW_HOLE)
		return 0;
	p = daxcow_block_addr(pool, block);
	CHECK(!memcmp(p, p + 1, DAXCOW_BLOCK_SIZE - 8),
	      "vblk %" PRIu64 " is torn", vblk);
	return p[0];
}

static void drain(void)
{
	int i;

	for (i = 0; i < 4 && daxcow_reclaim_prepare(pool); i++)
		while (daxcow_reclaim_run(pool))
			;
}

static struct daxcow_volume *get(u32 id)
{
	if (!open_vol[id])
		CHECK(!daxcow_open(pool, id, &open_vol[id]), "open %u", id);
	return open_vol[id];
}

static void put(u32 id)
{
	if (open_vol[id])
		daxcow_close(open_vol[id]);
	open_vol[id] = NULL;
}

static int count_owner(void *arg, const struct daxcow_owner *o)
{
	u64 *want = arg;

	want[2] += o->volume == want[0] && o->vblk == want[1];
	want[3]++;
	return 0;
}

/* After a write the volume is the block's only owner (I1). */
static void check_own(u32 id, u64 vblk, u64 block)
{
	u64 want[4] = { id, vblk, 0, 0 };

	CHECK(!daxcow_owners(pool, block, NULL, count_owner, NULL, want), "no owner");
	CHECK(want[2] == 1 && want[3] == 1,
	      "%" PRIu64 " owners of a written block", want[3]);
}

static void check_volume(u32 id)
{
	u64 mapped, highest, want_high = ~0ULL, seen = 0;
	struct daxcow_volume_info info;
	struct daxcow_usage u;
	int i;

	CHECK(!daxcow_next_volume(pool, id, &info) && info.id == id &&
	      info.domain == model[id].domain, "domain %u", info.domain);

	for (i = 0; i < NR_PLACES; i++) {
		u64 got = read_tag(get(id), place[i]);

		CHECK(got == model[id].tag[i],
		      "volume %u vblk %" PRIu64 " is %" PRIu64 ", not %" PRIu64,
		      id, place[i], got, model[id].tag[i]);
		if (got) {
			seen++;
			want_high = place[i];
		}
	}
	daxcow_volume_mapped(get(id), &mapped, &highest);
	CHECK(!daxcow_usage(pool, id, &u), "usage");
	CHECK(u.mapped == mapped && u.highest == highest && seen <= mapped,
	      "mapped %" PRIu64 " usage %" PRIu64 " seen %" PRIu64
	      " highest %" PRIx64 " usage %" PRIx64,
	      mapped, u.mapped, seen, highest, u.highest);
	CHECK(want_high == ~0ULL || (highest != ~0ULL && highest >= want_high),
	      "highest");
	CHECK(u.exclusive <= u.mapped, "exclusive");
}

/* All data is listed, once. */
static void check_used(void)
{
	struct daxcow_used at[16];
	struct daxcow_pool_info info;
	u64 start = 0, next = 0, sum = 0;

	daxcow_pool_info(pool, &info);
	while (start < nr_blocks) {
		size_t i, nr = daxcow_used(pool, &start, nr_blocks, 0, NULL,
					   NULL, at, ARRAY_SIZE(at));

		for (i = 0; i < nr; i++) {
			CHECK(at[i].block >= next, "used blocks overlap");
			next = at[i].block + at[i].nr;
			sum += at[i].nr;
		}
	}
	CHECK(sum == info.nr_data, "%" PRIu64 " blocks are used, and %" PRIu64
	      " are listed", (u64)info.nr_data, sum);
}

static void check_all(void)
{
	struct daxcow_report report;
	int i, ret;

	for (i = 0; i < NR_VOLUMES; i++)
		if (model[i].exists)
			check_volume(i);
	busy_block = ~0ULL;
	drain();
	ret = daxcow_verify(pool, &report);
	CHECK(!ret, "verify: %d, %s at block %llu", ret,
	      daxcow_bad_text(report.bad), (unsigned long long)report.block);
	check_used();
}

static void reload(void)
{
	struct daxcow_report report;
	int i, ret;

	for (i = 0; i < NR_VOLUMES; i++)
		put(i);
	daxcow_unload(pool);
	ret = daxcow_load(&pool, base, dev_blocks, 0, &host, &report);
	CHECK(!ret, "load: %d, %s at block %llu index %u", ret,
	      daxcow_bad_text(report.bad), (unsigned long long)report.block,
	      report.index);
}

/* Whether an error is one that leaves everything as it was. */
static bool refused(long ret)
{
	CHECK(ret >= 0 || ret == -ENOSPC || ret == -ENOMEM,
	      "operation failed: %ld", ret);
	return ret < 0;
}

static void set_range(struct model *m, u64 vblk, u64 nr, u64 tag)
{
	int i;

	for (i = 0; i < NR_PLACES; i++)
		if (place[i] >= vblk && place[i] - vblk < nr)
			m->tag[i] = tag;
}

static void op_write(u32 id)
{
	int i = model_choose(NR_PLACES);
	u64 tag = new_tag(), block;
	long ret;

	ret = daxcow_provision(get(id), place[i], 1, &block);
	if (refused(ret))
		return;
	check_own(id, place[i], block);
	CHECK(read_tag(get(id), place[i]) == model[id].tag[i],
	      "a copy differs from its source");
	fill(&tag, daxcow_block_addr(pool, block));
	daxcow_fence(pool);
	model[id].tag[i] = tag;
}

/* As op_write(), but a long range: may take a whole chunk. */
static void op_write_run(u32 id)
{
	u64 vblk = place[model_choose(NR_PLACES)], tag = new_tag(), block, b;
	u64 nr = model_choose(3) ? DAXCOW_CHUNK_BLOCKS : 1 + model_choose(DAXCOW_CHUNK_BLOCKS);
	long n;

	if (model_choose(3))
		vblk -= vblk % DAXCOW_CHUNK_BLOCKS;
	if (vblk + nr > DAXCOW_MAX_VOLUME_BLOCKS)
		return;
	while (nr) {
		n = daxcow_provision(get(id), vblk, nr, &block);
		if (refused(n))
			return;
		CHECK(n >= 1 && (u64)n <= nr, "run of %ld", n);
		for (b = 0; b < (u64)n; b++) {
			check_own(id, vblk + b, block + b);
			fill(&tag, daxcow_block_addr(pool, block + b));
		}
		set_range(&model[id], vblk, n, tag);
		vblk += n;
		nr -= n;
	}
}

static void op_overwrite(u32 id)
{
	int i = model_choose(NR_PLACES);
	u64 tag = new_tag();

	if (refused(daxcow_overwrite(get(id), place[i], true, fill, &tag)))
		return;
	model[id].tag[i] = tag;
	if (model_choose(2))
		return;
	/* a part, with the tag that the rest has */
	if (!refused(daxcow_overwrite(get(id), place[i], false, fill_half, &tag)))
		CHECK(read_tag(get(id), place[i]) == tag, "partial overwrite");
}

static void op_discard(u32 id)
{
	u64 vblk = place[model_choose(NR_PLACES)], nr;
	int level = model_choose(DAXCOW_MAX_LEVEL + 1);

	nr = 1 + model_choose(1ULL << (DAXCOW_NODE_SHIFT * level));
	if (model_choose(2)) {
		vblk &= ~((1ULL << (DAXCOW_NODE_SHIFT * level)) - 1);
		nr = 1ULL << (DAXCOW_NODE_SHIFT * level);
	}
	if (vblk + nr > DAXCOW_MAX_VOLUME_BLOCKS)
		nr = DAXCOW_MAX_VOLUME_BLOCKS - vblk;
	if (!refused(daxcow_discard(get(id), vblk, nr)))
		set_range(&model[id], vblk, nr, 0);
	else	/* done in part: see what is left */
		for (int i = 0; i < NR_PLACES; i++) {
			u64 got = read_tag(get(id), place[i]);

			CHECK(got == model[id].tag[i] ||
			      (!got && place[i] - vblk < nr), "discard");
			model[id].tag[i] = got;
		}
}

static void op_zero(u32 id)
{
	int i = model_choose(NR_PLACES);

	if (!refused(daxcow_zero(get(id), place[i])))
		model[id].tag[i] = 0;
}

static void op_snapshot(u32 id)
{
	struct daxcow_volume_desc d[3] = { 0 };
	unsigned int n = 0, want = 1 + model_choose(3), i;
	u64 pinned[NR_PLACES];

	for (i = 0; i < NR_VOLUMES && n < want; i++) {
		if (model[i].exists)
			continue;
		d[n].id = i;
		d[n].origin = id;
		d[n].name = "snapshot";
		d[n].uuid = (const u8 *)"0123456789abcdef";
		if (!model_choose(3) && model[id].tag[7]) {
			pinned[0] = place[7];
			d[n].pinned = pinned;
			d[n].nr_pinned = 1;
		}
		n++;
		id = model_choose(NR_VOLUMES);
		while (!model[id].exists)
			id = (id + 1) % NR_VOLUMES;
	}
	if (!n || refused(daxcow_snapshot(pool, d, n)))
		return;
	for (i = 0; i < n; i++)
		model[d[i].id] = model[d[i].origin];
}

static void op_delete(u32 id)
{
	if (open_vol[id])
		CHECK(daxcow_delete(pool, id) == -EBUSY, "deleted while open");
	put(id);
	if (!refused(daxcow_delete(pool, id)))
		memset(&model[id], 0, sizeof(model[id]));
}

static void op_create(void)
{
	struct daxcow_volume_desc d = { .name = "new" };
	int ret;

	d.id = model_choose(NR_VOLUMES);
	d.uuid = (const u8 *)"fedcba9876543210";
	if (model[d.id].exists) {
		ret = daxcow_create(pool, &d);
		CHECK(ret == -EEXIST || ret == -ENOMEM, "created twice");
		return;
	}
	if (model_choose(2))
		d.size = 1 + model_choose(DAXCOW_MAX_VOLUME_BLOCKS);
	d.domain = !model_choose(4);
	if (!refused(daxcow_create(pool, &d)))
		model[d.id] = (struct model) {
			.exists = true,
			.size = d.size,
			.domain = d.domain,
		};
}

static void op_rollback(u32 id)
{
	u32 from = model_choose(NR_VOLUMES);
	int ret;

	if (!model[from].exists || from == id)
		return;
	put(id);
	put(from);
	ret = daxcow_rollback(pool, id, from);
	if (model[from].domain != model[id].domain) {
		CHECK(ret == -EXDEV || ret == -ENOMEM,
		      "content of another domain: %d", ret);
		return;
	}
	if (refused(ret))
		return;
	model[id] = model[from];
}

static void op_resize(u32 id)
{
	u64 size = 1 + model_choose(DAXCOW_MAX_VOLUME_BLOCKS);
	long ret;

	put(id);
	ret = daxcow_resize(pool, id, size);
	if (refused(ret))
		return;
	/* growing does not look at what is beyond the old size */
	if (!model[id].size || size < model[id].size)
		set_range(&model[id], size, DAXCOW_MAX_VOLUME_BLOCKS - size, 0);
	model[id].size = size;
}

static void op_grow(void)
{
	u64 more = nr_blocks + model_choose(DAXCOW_CHUNK_BLOCKS * 2);

	if (more <= dev_blocks && !refused(daxcow_grow(pool, more)))
		nr_blocks = more;
}

/* ---- merge ---- */

static const u8 *bytes_of(u64 block)
{
	return daxcow_block_addr(pool, block);
}

static bool all_zero(u64 block, u64 nr)
{
	const u8 *p = bytes_of(block);

	return !*p && !memcmp(p, p + 1, (nr << DAXCOW_BLOCK_SHIFT) - 1);
}

static bool equal(const struct daxcow_merge *m)
{
	if (m->keep == DAXCOW_KEEP_ZERO)
		return all_zero(m->drop, m->nr);
	return !memcmp(bytes_of(m->keep), bytes_of(m->drop),
		       m->nr << DAXCOW_BLOCK_SHIFT);
}

/* A piece of @u that is as long as @nr; false when it has none. */
static bool piece(const struct daxcow_used *u, u64 nr, u64 *block)
{
	u64 pad;

	if (nr == 1) {
		*block = u->block + model_choose(u->nr);
		return true;
	}
	pad = (u->block + DAXCOW_CHUNK_BLOCKS - chunk_offset) %
	      DAXCOW_CHUNK_BLOCKS;
	pad = (DAXCOW_CHUNK_BLOCKS - pad) % DAXCOW_CHUNK_BLOCKS;
	*block = u->block + pad;
	return pad + nr <= u->nr;
}

/* Two pieces, equal ones if there are any: what a scanner comes with. */
static bool choose_merge(struct daxcow_merge *m, struct daxcow_used *keep,
			 struct daxcow_used *drop)
{
	struct daxcow_used at[64];
	u64 start = model_choose(nr_blocks);
	size_t nr, i, first;

	nr = daxcow_used(pool, &start, nr_blocks, 0, NULL, NULL, at,
			 ARRAY_SIZE(at));
	if (!nr)
		return false;
	m->nr = model_choose(2) ? 1 : DAXCOW_CHUNK_BLOCKS;
	m->split = model_choose(4);
	first = model_choose(nr);
	for (i = 0; i < nr; i++) {
		*drop = at[(first + i) % nr];
		if (piece(drop, m->nr, &m->drop))
			break;
	}
	if (i == nr)
		return false;
	*keep = *drop;
	m->keep = DAXCOW_KEEP_ZERO;
	if (all_zero(m->drop, m->nr))
		return true;
	for (i = 0; i < nr; i++) {
		*keep = at[(first + i) % nr];
		if (piece(keep, m->nr, &m->keep) && m->keep != m->drop &&
		    equal(m))
			return true;
	}
	m->keep = m->drop;
	return true;
}

/* Somebody has it who is not being deleted. */
static bool has_owner(u64 block)
{
	u64 want[4] = { 0 };

	return block == DAXCOW_KEEP_ZERO ||
	       !daxcow_owners(pool, block, NULL, count_owner, NULL, want);
}

static bool all_have_owners(const struct daxcow_merge *m)
{
	u64 i;

	for (i = 0; i < m->nr; i++)
		if (!has_owner(m->drop + i) ||
		    (m->keep != DAXCOW_KEEP_ZERO && !has_owner(m->keep + i)))
			return false;
	return true;
}

/* Write access that is given between the compare and the merge. */
static void op_between(void)
{
	u32 id = model_choose(NR_VOLUMES);

	/* to open one takes memory, and there may be none */
	if (!open_vol[id])
		return;
	switch (model_choose(5)) {
	case 0:
		op_write(id);
		break;
	case 1:
		op_write_run(id);
		break;
	case 2:
		op_overwrite(id);
		break;
	case 3:
		op_zero(id);
		break;
	default:
		op_discard(id);
		break;
	}
	if (model_choose(2))
		drain();
}

static void op_merge(void)
{
	struct daxcow_used keep, drop;
	struct daxcow_merge m = { 0 };
	bool between, alive, same;
	u64 i;
	int ret;

	if (!choose_merge(&m, &keep, &drop))
		return;
	CHECK(!daxcow_generation_begin(pool, &m.before), "generation");
	CHECK(equal(&m), "nobody writes, and what was chosen has changed");
	between = !model_choose(4);
	if (between)
		op_between();
	alive = all_have_owners(&m);
	same = equal(&m);
	ret = daxcow_merge(pool, &m);
	switch (ret) {
	case 0:
		CHECK(same, "merged what is not equal");
		model_merged += m.nr;
		for (i = 0; i < m.nr; i++)
			CHECK(!has_owner(m.drop + i), "owners are left");
		break;
	case -ENOMEM:
		break;
	case -ENOSPC:
	case -EFBIG:
		CHECK(m.nr == 1 && drop.chunk && m.split == (ret == -ENOSPC),
		      "table");
		break;
	case -EALREADY:
		CHECK(m.keep == m.drop, "one block");
		break;
	case -EXDEV:
		CHECK(keep.domain != drop.domain || !alive, "domain");
		break;
	case -EMLINK:
		CHECK(keep.owners + drop.owners > DAXCOW_MERGE_OWNERS || between,
		      "owners");
		break;
	case -ESTALE:
		CHECK(between || !alive, "stale");
		break;
	default:
		CHECK(false, "merge: %d", ret);
	}
}

static void one(void)
{
	u32 id = model_choose(NR_VOLUMES);
	int op = model_choose(112);

	if (model[id].exists)
		get(id);
	/* one operation in eight meets a lack of memory */
	plat_fail_alloc(model_choose(8) ? -1 : (long)model_choose(6));
	if (!model[id].exists || op < 4) {
		op_create();
	} else {
		if (op < 30)
			op_write(id);
		else if (op < 40)
			op_write_run(id);
		else if (op < 55)
			op_overwrite(id);
		else if (op < 65)
			op_discard(id);
		else if (op < 70)
			op_zero(id);
		else if (op < 82)
			op_snapshot(id);
		else if (op < 88)
			op_delete(id);
		else if (op < 91)
			op_rollback(id);
		else if (op < 92)
			op_resize(id);
		else if (op < 93)
			op_grow();
		else if (op < 98)
			drain();
		else if (op < 110)
			op_merge();
		else
			busy_block = model_choose(nr_blocks);
	}
	plat_fail_alloc(-1);
}

static void start(const struct model_params *p)
{
	struct daxcow_params format = { .uuid = (const u8 *)"poolpoolpoolpool" };

	memset(model, 0, sizeof(model));
	next_tag = 4;
	busy_block = ~0ULL;
	nr_blocks = p->blocks;
	/* a fuzzer comes here often, and with the same size each time */
	if (dev_blocks != nr_blocks + DAXCOW_CHUNK_BLOCKS * 12) {
		free(base);
		dev_blocks = nr_blocks + DAXCOW_CHUNK_BLOCKS * 12;
		base = aligned_alloc(4096, dev_blocks << DAXCOW_BLOCK_SHIFT);
		CHECK(base, "memory");
	}
	memset(base, 0xa5, dev_blocks << DAXCOW_BLOCK_SHIFT);
	choose_places();
	chunk_offset = model_choose(DAXCOW_CHUNK_BLOCKS);
	format.chunk_offset = chunk_offset;
	CHECK(!daxcow_format(base, nr_blocks, &format), "format");
	CHECK(!daxcow_load(&pool, base, dev_blocks, 0, &host, NULL), "load");
}

static void finish(void)
{
	int i;

	check_all();
	for (i = 0; i < NR_VOLUMES; i++)
		put(i);
	daxcow_unload(pool);
}

void model_run(const struct model_params *p)
{
	start(p);
	while (model_more()) {
		one();
		if (!model_choose(p->check_every))
			check_all();
		if (!model_choose(p->check_every * 2)) {
			check_all();
			reload();
			check_all();
		}
	}
	finish();
}
