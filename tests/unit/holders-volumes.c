// SPDX-License-Identifier: GPL-2.0
/*
 * Volumes: what they ought to show, and what is done to them. See holders.c.
 */
#include "holders.h"

/* Whether the engine could not do it, for a reason that there is. */
bool refused(long ret)
{
	CHECK(ret >= 0 || ret == -ENOSPC || ret == -ENOMEM ||
	      (t.bad && ret == -EIO), "failed: %ld", ret);
	if (ret == -ENOMEM)
		happened(NO_MEMORY);
	return ret < 0;
}

u64 block_tag(u64 block)
{
	return *(const u64 *)daxcow_block_addr(t.pool, block);
}

void block_fill(u64 block, u32 tag)
{
	u64 *p = daxcow_block_addr(t.pool, block);
	unsigned int i;

	for (i = 0; i < DAXCOW_BLOCK_SIZE / sizeof(*p); i++)
		p[i] = tag;
}

/* Some come again, so that there are equal blocks; and some of those are zero. */
u32 new_tag(void)
{
	if (t.chunks)
		return choose(8) ? 1 + choose(2) : choose(2) ? 0 : t.next_tag++;
	return choose(3) ? choose(5) : t.next_tag++;
}

static int fill(void *arg, void *dst)
{
	u64 buf[DAXCOW_BLOCK_SIZE / sizeof(u64)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(buf); i++)
		buf[i] = *(u32 *)arg;
	pm_write(dst, buf, sizeof(buf));
	return 0;
}

struct daxcow_volume *volume_open(u32 id)
{
	struct volume *v = &t.volume[id];

	if (!v->open)
		CHECK(!daxcow_open(t.pool, id, &v->open), "open %u", id);
	return v->open;
}

void volume_close(u32 id)
{
	if (t.volume[id].open)
		daxcow_close(t.volume[id].open);
	t.volume[id].open = NULL;
}

/* One that there is, or an id that is not used; NOBODY when there is none. */
u32 volume_any(bool exists)
{
	u32 first = choose(NR_VOLUMES), i;

	for (i = 0; i < NR_VOLUMES; i++)
		if (t.volume[(first + i) % NR_VOLUMES].exists == exists)
			return (first + i) % NR_VOLUMES;
	return NOBODY;
}

void volume_gone(u32 id)
{
	holds_estrange(id);
	memset(&t.volume[id], 0, sizeof(t.volume[id]));
}

/* False when a table on the way is bad. */
bool volume_lookup(u32 id, u64 vblk, u64 *block)
{
	long n = daxcow_lookup(volume_open(id), vblk, 1, block);

	CHECK(n == 1 || (t.bad && n == -EIO), "lookup: %ld", n);
	return n == 1;
}

static void set_range(u32 id, u64 vblk, u64 nr, u32 tag)
{
	while (nr--)
		t.volume[id].tag[vblk++] = tag;
}

/* ---- owners ---- */

struct asked {
	u32 id;
	u64 vblk;
	u32 nr, found;
};

static int ask(void *arg, const struct daxcow_owner *o)
{
	struct asked *a = arg;

	a->nr++;
	a->found += o->volume == a->id && o->vblk == a->vblk;
	return 0;
}

bool has_owner(u64 block)
{
	struct asked a = { .nr = 0 };

	return !daxcow_owners(t.pool, block, NULL, ask, NULL, &a);
}

/* Who was given write access is the only owner (I1), and of a block that is good. */
static void check_own(u32 id, u64 vblk, u64 block)
{
	struct asked a = { .id = id, .vblk = vblk };

	CHECK(!bad_test(t.pool, block), "block %" PRIu64 " is bad, and given", block);
	CHECK(!daxcow_owners(t.pool, block, NULL, ask, NULL, &a),
	      "block %" PRIu64 " is given to volume %u, and nobody's", block, id);
	CHECK(a.nr == 1 && a.found == 1,
	      "block %" PRIu64 " is given to volume %u and has %u owners", block, id,
	      a.nr);
	CHECK(!daxcow_shared(t.pool, block),
	      "block %" PRIu64 " is given to volume %u and shared", block, id);
}

/* ---- writes ---- */

static void count_write(u64 old, u64 new)
{
	if (old != DAXCOW_HOLE && holds_any(old))
		happened(old == new ? WRITES_HELD : COPIES_HELD);
}

/* Write access: to how many blocks, or 0. They show what was there before. */
u64 volume_give(u32 id, u64 vblk, u64 nr, u64 *block)
{
	struct daxcow_volume *vol = volume_open(id);
	bool known;
	u64 old, i;
	long n;

	known = volume_lookup(id, vblk, &old);
	n = TRY(daxcow_provision(vol, vblk, nr, block));
	if (refused(n))
		return 0;
	CHECK(n >= 1 && (u64)n <= nr, "given %ld blocks", n);
	if (known)
		count_write(old, *block);
	for (i = 0; i < (u64)n; i++) {
		check_own(id, vblk + i, *block + i);
		CHECK(block_tag(*block + i) == t.volume[id].tag[vblk + i],
		      "volume %u vblk %" PRIu64 ": a copy is %" PRIu64 ", not %u",
		      id, vblk + i, block_tag(*block + i),
		      t.volume[id].tag[vblk + i]);
	}
	return n;
}

static void write_range(u32 id, u64 vblk, u64 nr)
{
	u32 tag = new_tag();
	u64 block, n, i;

	for (; nr; nr -= n, vblk += n) {
		n = volume_give(id, vblk, nr, &block);
		if (!n)
			return;
		for (i = 0; i < n; i++) {
			holds_written(id, vblk + i, block + i, tag);
			block_fill(block + i, tag);
		}
		set_range(id, vblk, n, tag);
	}
}

void op_write(u32 id, u64 vblk)
{
	write_range(id, vblk, 1);
}

/* @old was replaced, or has been written in place. */
static void replaced(u32 id, u64 vblk, u64 old, u32 tag)
{
	u64 block;

	CHECK(volume_lookup(id, vblk, &block), "a table was written to, and is bad");
	count_write(old, block);
	if (block == old && old != DAXCOW_HOLE)
		holds_written(id, vblk, block, tag);
	t.volume[id].tag[vblk] = tag;
}

void op_overwrite(u32 id, u64 vblk)
{
	struct daxcow_volume *vol = volume_open(id);
	bool whole = choose(2);
	u32 tag = new_tag();
	u64 old;

	if (!volume_lookup(id, vblk, &old))
		return;
	if (!refused(TRY(daxcow_overwrite(vol, vblk, whole, fill, &tag))))
		replaced(id, vblk, old, tag);
}

void op_zero(u32 id, u64 vblk)
{
	struct daxcow_volume *vol = volume_open(id);
	u64 old;

	if (!volume_lookup(id, vblk, &old))
		return;
	if (!refused(TRY(daxcow_zero(vol, vblk))))
		replaced(id, vblk, old, 0);
}

/* It has failed, and may be done in part. */
static void discarded_part(u32 id, u64 vblk, u64 nr)
{
	u64 block, end = vblk + nr;

	for (; vblk < end; vblk++)
		if (volume_lookup(id, vblk, &block) && block == DAXCOW_HOLE)
			t.volume[id].tag[vblk] = 0;
}

static bool discard(u32 id, u64 vblk, u64 nr)
{
	struct daxcow_volume *vol = volume_open(id);

	holds_may_move(id, vblk, nr);
	if (refused(TRY(daxcow_discard(vol, vblk, nr)))) {
		discarded_part(id, vblk, nr);
		return false;
	}
	set_range(id, vblk, nr, 0);
	return true;
}

void op_discard(u32 id, u64 vblk)
{
	u64 nr = level_span(t.chunks ? 1 : choose(1 + choose(DAXCOW_MAX_LEVEL + 1)));

	if (t.chunks || choose(2))
		vblk -= vblk % nr;
	else
		nr = 1 + choose(nr);
	discard(id, vblk, min(nr, DAXCOW_MAX_VOLUME_BLOCKS - vblk));
}

static int any_owner(void *arg, const struct daxcow_owner *o)
{
	*(struct daxcow_owner *)arg = *o;
	return 1;
}

/* All who own data leave it, as far as they can, with what is around it. */
void owners_leave(u64 block, u64 nr)
{
	u64 end = block + nr, vblk;
	struct daxcow_owner o;

	while (block < end) {
		if (daxcow_owners(t.pool, block, NULL, any_owner, NULL, &o) != 1) {
			block++;
			continue;
		}
		vblk = o.vblk - o.vblk % CHUNK;
		if (!discard(o.volume, vblk, CHUNK))
			return;
	}
}

/* A chunk is mapped as a whole where nothing was, or all of it was shared. */
void op_write_run(u32 id, u64 vblk)
{
	u64 nr = t.chunks || choose(2) ? CHUNK : 1 + choose(CHUNK * 2);

	if (t.chunks || choose(2))
		vblk -= vblk % CHUNK;
	if (t.chunks && choose(2))
		op_discard(id, vblk);
	write_range(id, vblk, min(nr, DAXCOW_MAX_VOLUME_BLOCKS - vblk));
}

/* ---- whole volumes ---- */

void op_create(u32 id, u64 vblk)
{
	struct daxcow_volume_desc d = {
		.id = volume_any(false),
		.uuid = (const u8 *)"fedcba9876543210",
		.size = choose(2) ? 1 + choose(DAXCOW_MAX_VOLUME_BLOCKS) : 0,
		.domain = !choose(6),
	};

	if (d.id == NOBODY || refused(TRY(daxcow_create(t.pool, &d))))
		return;
	t.volume[d.id].exists = true;
	t.volume[d.id].size = d.size;
	t.volume[d.id].domain = d.domain;
}

void op_delete(u32 id, u64 vblk)
{
	volume_close(id);
	if (refused(TRY(daxcow_delete(t.pool, id))))
		return;
	volume_gone(id);
	happened(DELETES);
}

static int ready(void *arg)
{
	return *(bool *)arg ? 0 : -EAGAIN;
}

static void snapshot_taken(const struct daxcow_volume_desc *d)
{
	t.volume[d->id] = t.volume[d->origin];
	t.volume[d->id].open = NULL;
	happened(d->nr_pinned ? DMA_SNAPSHOTS : SNAPSHOTS);
}

#define SNAPSHOTS_MAX	3

/* Up to three, as far as there are ids. What DMA writes to stays with the origin alone. */
static u32 snapshots_of(struct daxcow_volume_desc *d, u64 (*pinned)[NR_HOLDS], u32 id,
			bool *is_ready)
{
	u32 nr = 0, want = 1 + choose(SNAPSHOTS_MAX), to;

	for (to = 0; to < NR_VOLUMES && nr < want; to++) {
		if (t.volume[to].exists)
			continue;
		d[nr] = (struct daxcow_volume_desc) {
			.id = to,
			.origin = id,
			.uuid = (const u8 *)"0123456789abcdef",
			.pinned = pinned[nr],
			.nr_pinned = holds_pinned(id, pinned[nr]),
			.ready = ready,
			.arg = is_ready,
		};
		nr++;
		id = volume_any(true);
	}
	return nr;
}

/* Where there is no room for another one, one goes. */
void op_snapshot(u32 id, u64 vblk)
{
	struct daxcow_volume_desc d[SNAPSHOTS_MAX];
	u64 pinned[SNAPSHOTS_MAX][NR_HOLDS];
	bool is_ready = choose(6);
	u32 nr, i;
	int ret;

	nr = snapshots_of(d, pinned, id, &is_ready);
	if (!nr) {
		op_delete(id, vblk);
		return;
	}
	ret = TRY(daxcow_snapshot(t.pool, d, nr));
	if (ret == -EAGAIN) {
		CHECK(!is_ready, "a snapshot was refused by nobody");
		happened(REFUSALS);
		return;
	}
	if (refused(ret))
		return;
	CHECK(is_ready, "a snapshot was not refused");
	for (i = 0; i < nr; i++)
		snapshot_taken(&d[i]);
}

/* Not to what DMA writes to: who has been given write access has it open. */
void op_rollback(u32 id, u64 vblk)
{
	u32 from = volume_any(true), domain = t.volume[id].domain;
	int ret;

	if (from == id || holds_dma_in(from))
		return;
	volume_close(id);
	volume_close(from);
	ret = TRY(daxcow_rollback(t.pool, id, from));
	if (ret == -EXDEV) {
		CHECK(t.volume[from].domain != domain, "all in one domain");
		return;
	}
	if (refused(ret))
		return;
	CHECK(t.volume[from].domain == domain, "content of another domain");
	t.volume[id] = t.volume[from];
	holds_estrange(id);
	happened(ROLLBACKS);
}

/* To shrink needs a volume that is not open, and that nobody writes to. */
void op_resize(u32 id, u64 vblk)
{
	u64 size = 1 + choose(choose(2) ? DAXCOW_MAX_VOLUME_BLOCKS : CHUNK * CHUNK);
	struct volume *v = &t.volume[id];
	bool shrinks = !v->size || size < v->size;

	if (shrinks && holds_dma_in(id))
		return;
	if (shrinks)
		volume_close(id);
	if (refused(TRY(daxcow_resize(t.pool, id, size))))
		return;
	v->size = size;
	if (!shrinks)
		return;
	set_range(id, size, DAXCOW_MAX_VOLUME_BLOCKS - size, 0);
	happened(SHRINKS);
}
