// SPDX-License-Identifier: GPL-2.0
/*
 * The pool: merges, memory that fails, loads; and the comparison of everything. See
 * holders.c.
 */
#include "holders.h"

/* ---- places that have a block: what the tables say, and what the reverse map does ---- */

/**
 * struct places - a set of places
 * @nr:		how many
 * @sum:	of a number for each, which is what two sets are told apart by
 * @domains:	of their volumes, a bit for each
 */
struct places {
	u64 nr, sum;
	u32 domains;
};

static struct places has[MAX_BLOCKS];

static void places_add(struct places *p, u32 id, u64 vblk)
{
	u64 x = (vblk * NR_VOLUMES + id + 1) * 0x9e3779b97f4a7c15ULL;

	p->nr++;
	p->domains |= 1U << t.volume[id].domain;
	p->sum += (x ^ x >> 32) * 0xd6e8feb86659fd93ULL;
}

static int add_owner(void *arg, const struct daxcow_owner *o)
{
	CHECK(o->volume < NR_VOLUMES, "volume %u is an owner", o->volume);
	places_add(arg, o->volume, o->vblk);
	return 0;
}

static struct places owners_of(u64 block, enum daxcow_use *use)
{
	struct places p = { .nr = 0 };

	daxcow_owners(t.pool, block, use, add_owner, NULL, &p);
	return p;
}

/* ---- everything is compared ---- */

static void check_place(u32 id, u64 vblk, u64 block)
{
	u64 tag = block == DAXCOW_HOLE ? 0 : block_tag(block);

	CHECK(tag == t.volume[id].tag[vblk],
	      "volume %u vblk %" PRIu64 " is %" PRIu64 ", not %u", id, vblk, tag,
	      t.volume[id].tag[vblk]);
	if (block != DAXCOW_HOLE)
		places_add(&has[block], id, vblk);
}

/*
 * The engine counts what a volume maps. An open one has a count of its own, which
 * does not know of what cannot be read.
 */
static void check_mapped(u32 id, u64 want)
{
	struct daxcow_usage u;
	u64 mapped, highest;

	CHECK(!daxcow_usage(t.pool, id, &u), "usage");
	CHECK(u.mapped == want && u.exclusive <= want,
	      "volume %u maps %" PRIu64 ", usage says %" PRIu64, id, want, u.mapped);
	daxcow_volume_mapped(volume_open(id), &mapped, &highest);
	CHECK(t.bad || mapped == want,
	      "volume %u maps %" PRIu64 ", and has counted %" PRIu64, id, want, mapped);
}

/* All that it shows is what it ought to, but for what is below a table that is bad. */
static void check_volume(u32 id)
{
	struct daxcow_volume *vol = volume_open(id);
	u64 vblk, block, mapped = 0;
	long n, i;

	for (vblk = 0; vblk < DAXCOW_MAX_VOLUME_BLOCKS; vblk += n) {
		n = daxcow_lookup(vol, vblk, DAXCOW_MAX_VOLUME_BLOCKS - vblk, &block);
		if (t.bad && n == -EIO) {
			n = CHUNK - vblk % CHUNK;
			continue;
		}
		CHECK(n > 0, "lookup: %ld", n);
		for (i = 0; i < n; i++)
			check_place(id, vblk + i,
				    block == DAXCOW_HOLE ? block : block + i);
		mapped += block == DAXCOW_HOLE ? 0 : n;
	}
	check_mapped(id, mapped);
}

/*
 * The owners that are told are the places that have it. More than one share it, and
 * none of them may write. With @alone nobody holds anything, so one owner may.
 */
static void check_block(u64 block, bool alone)
{
	bool shared = daxcow_shared(t.pool, block);
	const u64 *p = daxcow_block_addr(t.pool, block);
	enum daxcow_use use;
	struct places told = owners_of(block, &use);

	if (use != DAXCOW_BLOCK_DATA) {
		CHECK(!has[block].nr, "block %" PRIu64 " is mapped, as %d", block, use);
		return;
	}
	CHECK(told.nr == has[block].nr && told.sum == has[block].sum,
	      "block %" PRIu64 ": %" PRIu64 " owners are told, and %" PRIu64
	      " (or others) there are", block, told.nr, has[block].nr);
	CHECK(told.domains != 3, "block %" PRIu64 " is shared by two domains", block);
	CHECK(told.nr <= 1 || shared, "block %" PRIu64 " has owners, and is not shared",
	      block);
	CHECK(told.nr == 1 || !daxcow_exclusive(t.pool, block, 1),
	      "block %" PRIu64 " has %" PRIu64 " owners, and is exclusive", block,
	      told.nr);
	CHECK(told.nr != 1 || !alone || !shared,
	      "block %" PRIu64 " has one owner, nobody holds it, and it is shared",
	      block);
	CHECK(!told.nr || !memcmp(p, p + 1, DAXCOW_BLOCK_SIZE - sizeof(*p)),
	      "block %" PRIu64 " is torn", block);
}

/* Each list of more owners is of a descriptor that knows of it: else it is lost. */
static void check_mores(void)
{
	const struct mores *m = &t.pool->mores;
	const struct more *more;
	u32 nr = 0, i;

	for (i = 0; i < m->nr_buckets; i++) {
		for (more = m->bucket[i]; more; more = more->next) {
			u64 block = more->key >> 1;
			const struct desc *d = more->key & 1 ?
				&t.pool->chunks[chunk_of(t.pool, block)].desc :
				space_desc(t.pool, block);

			CHECK(d->a & DESC_MORE, "more owners of %s %" PRIu64
			      ", which does not know of them",
			      more->key & 1 ? "chunk" : "block", block);
			nr++;
		}
	}
	CHECK(nr == m->nr, "%u lists of more owners, not %u", nr, m->nr);
}

static void check_maps(bool alone)
{
	u64 block;
	u32 id;

	memset(has, 0, sizeof(has));
	for (id = 0; id < NR_VOLUMES; id++)
		if (t.volume[id].exists)
			check_volume(id);
	check_mores();
	/* below a table that is bad there are owners that cannot be told */
	if (bad_tables(t.pool))
		return;
	for (block = 0; block < t.nr_blocks; block++)
		check_block(block, alone);
}

/* Nobody holds anything: all that nobody has is free. */
static void check_alone(void)
{
	struct daxcow_pool_info info;
	struct daxcow_report report;
	int ret;

	holds_let_go();
	grace_drain();
	daxcow_pool_info(t.pool, &info);
	CHECK(!info.nr_pending && !info.settling, "%" PRIu64 " blocks are waiting",
	      (u64)info.nr_pending);
	ret = daxcow_verify(t.pool, &report);
	CHECK(!ret || (t.bad && ret == -EIO), "verify: %d, %s at block %llu", ret,
	      daxcow_bad_text(report.bad), (unsigned long long)report.block);
	check_maps(true);
	happened(VERIFIES);
}

void pool_check(void)
{
	check_maps(false);
	if (choose(2))
		check_alone();
}

/* ---- merge ---- */

static bool equal(const struct daxcow_merge *m)
{
	const u8 *drop = daxcow_block_addr(t.pool, m->drop), *keep;
	u64 len = m->nr << DAXCOW_BLOCK_SHIFT;

	if (m->keep == DAXCOW_KEEP_ZERO)
		return !*drop && !memcmp(drop, drop + 1, len - 1);
	keep = daxcow_block_addr(t.pool, m->keep);
	return m->keep != m->drop && !memcmp(keep, drop, len);
}

/*
 * There are such blocks, and nobody may be writing to them, for whom the host would
 * have waited. Nor are they remembered: a chunk is merged even if some of its blocks are
 * named by nothing but a table that is to be taken apart, and has an owner again then.
 */
static bool piece(u64 block, u64 nr)
{
	return block < t.nr_blocks && block + nr <= t.nr_blocks &&
	       !holds_of(block, nr, HOLD_DMA) && !holds_of(block, nr, HOLD_MAPPED);
}

static bool pieces(const struct daxcow_merge *m)
{
	return piece(m->drop, m->nr) &&
	       (m->keep == DAXCOW_KEEP_ZERO || piece(m->keep, m->nr)) && equal(m);
}

/* The block, or the chunk that it is in, or would be. */
static u64 piece_of(const struct daxcow_merge *m, u64 block)
{
	return m->nr > 1 ? block - chunk_index(t.pool, block) : block;
}

/*
 * A block, and another that is equal, mostly of what the engine says that it would
 * merge; or zeroes. False without.
 */
static bool choose_pieces(struct daxcow_merge *m, u64 block)
{
	bool drop = choose(2);
	u64 other;
	int i;

	m->drop = piece_of(m, block);
	m->keep = DAXCOW_KEEP_ZERO;
	if (pieces(m))
		return true;
	for (i = 0; i < 100; i++) {
		other = choose(t.nr_blocks);
		m->drop = piece_of(m, drop ? block : other);
		m->keep = piece_of(m, drop ? other : block);
		if (pieces(m) && (!choose(8) || !daxcow_merge_check(t.pool, m)))
			return true;
	}
	return false;
}

static bool merge(const struct daxcow_merge *m)
{
	int ret = TRY(daxcow_merge(t.pool, m));

	/* what was made ready for it has to go with who it was for */
	if (ret == -ENOMEM && m->keep != DAXCOW_KEEP_ZERO && choose(2))
		owners_leave(m->keep, m->nr);
	if (ret == -EFBIG || ret == -ESTALE || ret == -EXDEV || ret == -EMLINK ||
	    refused(ret))
		return false;
	happened(m->keep == DAXCOW_KEEP_ZERO ? ZERO_MERGES : MERGES);
	if (m->nr > 1)
		happened(CHUNK_MERGES);
	return true;
}

/*
 * Nobody writes meanwhile, so what is equal now has been so all the time. Block by block
 * it goes on with the next two.
 */
void op_merge(u32 id, u64 vblk)
{
	struct daxcow_merge m = {
		.nr = choose(2) ? CHUNK : 1,
		.split = choose(4),
	};
	u64 block;

	CHECK(!daxcow_generation_begin(t.pool, &m.before), "generation");
	if (!volume_lookup(id, vblk, &block) || block == DAXCOW_HOLE ||
	    !choose_pieces(&m, block))
		return;
	while (merge(&m) && m.nr == 1 && choose(CHUNK)) {
		m.drop++;
		if (m.keep != DAXCOW_KEEP_ZERO)
			m.keep++;
		if (!pieces(&m))
			return;
	}
}

/* ---- memory that fails ---- */

static void fail_block(u64 block)
{
	CHECK(!TRY(daxcow_bad_add(t.pool, block)), "block %" PRIu64 " is bad", block);
	t.bad_block[t.nr_bad++] = block;
}

static void mend_block(u32 i)
{
	CHECK(!TRY(daxcow_bad_clear(t.pool, t.bad_block[i])), "block is not bad");
	t.bad_block[i] = t.bad_block[--t.nr_bad];
}

/*
 * Tables seldom, as nobody who has what is below can do much; none of the pool's; and
 * nothing that a device is writing to.
 */
void op_bad(u32 id, u64 vblk)
{
	u64 block = choose(t.nr_blocks);
	enum daxcow_use use;

	if (!t.bad)
		return;
	if (t.nr_bad && (t.nr_bad == NR_BAD || choose(2))) {
		mend_block(choose(t.nr_bad));
		return;
	}
	owners_of(block, &use);
	if (use == DAXCOW_BLOCK_POOL || use == DAXCOW_BLOCK_RECORD ||
	    (use == DAXCOW_BLOCK_TABLE && choose(3)) ||
	    bad_test(t.pool, block) || holds_of(block, 1, HOLD_DMA))
		return;
	fail_block(block);
	happened(use == DAXCOW_BLOCK_TABLE ? BAD_TABLES : BAD_BLOCKS);
}

/* All that can be done with the volume is to delete it, and that can be done. */
void op_bad_record(u32 id, u64 vblk)
{
	int ret;

	if (!t.bad || t.nr_bad == NR_BAD)
		return;
	fail_block(slot_block(volume_open(id)->root_slot));
	volume_close(id);
	ret = TRY(daxcow_delete(t.pool, id));
	if (ret == -ENOMEM || ret == -ENOSPC)
		ret = daxcow_delete(t.pool, id);
	CHECK(!ret, "a volume whose record is bad stays: %d", ret);
	volume_gone(id);
	happened(BAD_RECORDS);
}

/* ---- the pool as a whole ---- */

void op_grow(u32 id, u64 vblk)
{
	u64 nr = t.nr_blocks + choose(CHUNK * 4);

	if (nr > MAX_BLOCKS || refused(TRY(daxcow_grow(t.pool, nr))))
		return;
	t.nr_blocks = nr;
	happened(GROWS);
}

static void load(const struct daxcow_host *host)
{
	struct daxcow_report report;
	int ret = TRY(daxcow_load(&t.pool, t.base, MAX_BLOCKS, 0, host, &report));

	if (ret == -ENOMEM)
		ret = daxcow_load(&t.pool, t.base, MAX_BLOCKS, 0, host, &report);
	CHECK(!ret, "load: %d, %s at block %llu", ret, daxcow_bad_text(report.bad),
	      (unsigned long long)report.block);
	daxcow_set_cow(t.pool, choose(DAXCOW_COW_2M + 1));
	/* there may be work, for which a load does not wake anybody */
	t.woken = true;
	t.prepared = false;
}

/* Tables that are bad are good after a boot: else nothing could be changed. */
static void mend_tables(void)
{
	enum daxcow_use use;
	u32 i = t.nr_bad;

	while (i-- > 0) {
		owners_of(t.bad_block[i], &use);
		if (use == DAXCOW_BLOCK_TABLE || use == DAXCOW_BLOCK_RECORD)
			mend_block(i);
	}
}

void op_reload(u32 id, u64 vblk)
{
	struct daxcow_host host = holds_host;
	u64 held[NR_HOLDS];

	check_mores();
	mend_tables();
	for (id = 0; id < NR_VOLUMES; id++)
		volume_close(id);
	host.held = held;
	host.nr_held = holds_outlive(held);
	host.bad = t.bad_block;
	host.nr_bad = t.nr_bad;
	daxcow_unload(t.pool);
	load(&host);
	happened(host.nr_held ? HELD_RELOADS : RELOADS);
}

/* An empty one, in memory that is not. */
void pool_start(void)
{
	struct daxcow_params format = {
		.uuid = (const u8 *)"poolpoolpoolpool",
		.chunk_offset = choose(CHUNK),
	};

	memset(t.base, 0xa5, MAX_BLOCKS << DAXCOW_BLOCK_SHIFT);
	CHECK(!daxcow_format(t.base, START_BLOCKS, &format), "format");
	t.nr_blocks = START_BLOCKS;
	load(&holds_host);
}

void pool_finish(void)
{
	u32 id;

	check_maps(false);
	check_alone();
	for (id = 0; id < NR_VOLUMES; id++)
		volume_close(id);
	daxcow_unload(t.pool);
}
