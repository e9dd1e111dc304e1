// SPDX-License-Identifier: GPL-2.0
/*
 * Real threads on one pool, under ThreadSanitizer: two that write each of two volumes,
 * one that takes snapshots of them, looks at these, deletes them and merges blocks, and
 * one that reclaims. Each place of a volume is written by one thread, which knows what has
 * to be there.
 *
 * A block that is given away too early, or written while somebody copies it, is a data
 * race, which the sanitizer sees, whether the bytes come out right or not.
 *
 * usage: race [SEED [ROUNDS]], of snapshots and merges
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "platform.h"
#include <daxcow/core.h>
#include <daxcow/pmem.h>

/* So few that the pool is full now and then. */
#define BLOCKS		(DAXCOW_CHUNK_BLOCKS * 400ULL)
#define NR_VOLUMES	2
#define NR_WRITERS	4
#define NR_THREADS	(NR_WRITERS + 2)
#define NR_PLACES	16
#define NR_SNAPSHOTS	6
#define HALF		(DAXCOW_BLOCK_SIZE / 2)

/* What the two halves of a block are full of. */
struct content {
	unsigned char half[2];
};

struct thread {
	pthread_t id;
	unsigned int nr;
	uint64_t random;
	/* odd in a read section */
	atomic_ulong section;
};

/**
 * struct volume - one that is written, or a snapshot
 * @frozen:	held for reading by who writes, for writing to take a snapshot
 */
struct volume {
	struct daxcow_volume *core;
	struct content at[NR_PLACES];
	pthread_rwlock_t frozen;
	bool used;
};

static struct daxcow_pool *pool;
static struct thread thread[NR_THREADS];
static struct volume volume[NR_VOLUMES + NR_SNAPSHOTS];
static atomic_bool over;
static atomic_ulong merges, snapshots, full;
static unsigned long rounds = 1000;

/* As the sanitizer sees memory: no stores that it does not know. */
void plat_flush(const void *addr, size_t len)
{
	(void)addr;
	(void)len;
}

void plat_fence(void)
{
}

void plat_write(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}

void plat_zero(void *dst, size_t len)
{
	memset(dst, 0, len);
}

static void die(const char *what, long ret)
{
	fprintf(stderr, "%s: %ld\n", what, ret);
	exit(1);
}

static void must(long ret, const char *what)
{
	if (ret < 0)
		die(what, ret);
}

/* Whether it was done; or there was no space, and nothing has changed. */
static bool had_room(long ret, const char *what)
{
	if (ret != -ENOSPC) {
		must(ret, what);
		return true;
	}
	atomic_fetch_add(&full, 1);
	usleep(500);
	return false;
}

static uint64_t dice(struct thread *t, uint64_t n)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random % n;
}

/* ---- read sections ---- */

static void section_begin(struct thread *t)
{
	atomic_fetch_add(&t->section, 1);
}

static void section_end(struct thread *t)
{
	atomic_fetch_add(&t->section, 1);
}

static void grace_period(void)
{
	unsigned int i;

	for (i = 0; i < NR_THREADS; i++) {
		unsigned long was = atomic_load(&thread[i].section);

		while (was & 1 && atomic_load(&thread[i].section) == was)
			sched_yield();
	}
}

/* ---- what is there ---- */

/* In nodes of their own, and side by side. */
static u64 vblk_of(unsigned int place)
{
	return place % 4 + place / 4 * 5 * DAXCOW_NODE_ENTRIES;
}

static void check(struct volume *v, unsigned int place)
{
	struct content c = { };
	unsigned char buf[DAXCOW_BLOCK_SIZE] = { };
	unsigned int i;
	u64 block;

	must(daxcow_lookup(v->core, vblk_of(place), 1, &block), "lookup");
	if (block != DAXCOW_HOLE) {
		memcpy(buf, daxcow_block_addr(pool, block), sizeof(buf));
		memcpy(c.half, (unsigned char []){ buf[0], buf[HALF] }, 2);
	}
	if (memcmp(&c, &v->at[place], sizeof(c)))
		die("not what was written", (long)place);
	for (i = 0; i < sizeof(buf); i++)
		if (buf[i] != c.half[i >= HALF])
			die("a block is torn", i);
}

/* ---- writers ---- */

struct bytes {
	unsigned int from, to, byte;
};

static int fill(void *arg, void *dst)
{
	const struct bytes *b = arg;
	unsigned char buf[DAXCOW_BLOCK_SIZE];

	memset(buf, b->byte, sizeof(buf));
	pm_write(dst + b->from, buf, b->to - b->from);
	return 0;
}

static void store(struct volume *v, unsigned int place, unsigned int byte)
{
	u64 block;

	if (!had_room(daxcow_provision(v->core, vblk_of(place), 1, &block), "provision"))
		return;
	memset(daxcow_block_addr(pool, block), byte, DAXCOW_BLOCK_SIZE);
	memset(&v->at[place], byte, 2);
}

static void overwrite(struct volume *v, unsigned int place, unsigned int byte,
		      unsigned int parts)
{
	struct bytes b = {
		.from = parts & 1 ? 0 : HALF,
		.to = parts & 2 ? DAXCOW_BLOCK_SIZE : HALF,
		.byte = byte,
	};

	if (!had_room(daxcow_overwrite(v->core, vblk_of(place), parts == 3, fill, &b),
		      "overwrite"))
		return;
	if (parts & 1)
		v->at[place].half[0] = byte;
	if (parts & 2)
		v->at[place].half[1] = byte;
}

static void clear(struct volume *v, unsigned int place, bool zero)
{
	long ret = zero ? daxcow_zero(v->core, vblk_of(place)) :
			  daxcow_discard(v->core, vblk_of(place), 1);

	if (had_room(ret, "discard"))
		memset(&v->at[place], 0, sizeof(v->at[place]));
}

static void write_one(struct thread *t, struct volume *v, unsigned int place)
{
	unsigned int byte = 1 + dice(t, 3);

	switch (dice(t, 8)) {
	case 0 ... 2:
		store(v, place, byte);
		break;
	case 3:
		overwrite(v, place, byte, 3);
		break;
	case 4:
		overwrite(v, place, byte, 1 + dice(t, 2));
		break;
	case 5:
		clear(v, place, dice(t, 2));
		break;
	default:
		check(v, place);
		break;
	}
}

static void *writes(void *arg)
{
	struct thread *t = arg;
	struct volume *v = &volume[t->nr % NR_VOLUMES];

	while (!atomic_load(&over)) {
		unsigned int place = dice(t, NR_PLACES / 2) * 2 + t->nr / NR_VOLUMES;

		pthread_rwlock_rdlock(&v->frozen);
		section_begin(t);
		write_one(t, v, place);
		section_end(t);
		pthread_rwlock_unlock(&v->frozen);
	}
	return NULL;
}

/* ---- snapshots and merges ---- */

static void take(struct thread *t, unsigned int id)
{
	unsigned int from = dice(t, NR_VOLUMES);
	struct daxcow_volume_desc d = { .id = id, .origin = from };
	struct volume *v = &volume[from];

	pthread_rwlock_wrlock(&v->frozen);
	if (had_room(daxcow_snapshot(pool, &d, 1), "snapshot"))
		volume[id].used = true;
	memcpy(volume[id].at, v->at, sizeof(v->at));
	pthread_rwlock_unlock(&v->frozen);
	if (!volume[id].used)
		return;
	must(daxcow_open(pool, id, &volume[id].core), "open");
	atomic_fetch_add(&snapshots, 1);
}

static void look_and_delete(struct thread *t, unsigned int id)
{
	unsigned int place;

	section_begin(t);
	for (place = 0; place < NR_PLACES; place++)
		check(&volume[id], place);
	section_end(t);
	if (dice(t, 2))
		return;
	daxcow_close(volume[id].core);
	must(daxcow_delete(pool, id), "delete");
	volume[id].used = false;
}

/* As a scanner does, beside who writes: that is found by the generation. */
__attribute__((no_sanitize("thread")))
static bool equal(u64 a, u64 b)
{
	const volatile u64 *x = daxcow_block_addr(pool, a), *y = daxcow_block_addr(pool, b);
	unsigned int i;

	for (i = 0; i < DAXCOW_BLOCK_SIZE / 8; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

static void merge(struct thread *t)
{
	const struct volume *v = &volume[dice(t, NR_VOLUMES + NR_SNAPSHOTS)];
	struct daxcow_merge m = { .nr = 1 };
	long ret;

	if (!v->used)
		return;
	must(daxcow_generation_begin(pool, &m.before), "generation");
	grace_period();
	section_begin(t);
	must(daxcow_lookup(v->core, vblk_of(dice(t, NR_PLACES)), 1, &m.keep), "lookup");
	must(daxcow_lookup(v->core, vblk_of(dice(t, NR_PLACES)), 1, &m.drop), "lookup");
	if (m.keep != DAXCOW_HOLE && m.drop != DAXCOW_HOLE && equal(m.keep, m.drop)) {
		ret = daxcow_merge(pool, &m);
		if (!ret)
			atomic_fetch_add(&merges, 1);
		else if (ret != -ESTALE && ret != -EALREADY && ret != -EMLINK)
			had_room(ret, "merge");
	}
	section_end(t);
}

static void *manages(void *arg)
{
	struct thread *t = arg;
	unsigned long i;

	for (i = 0; i < rounds; i++) {
		unsigned int id = NR_VOLUMES + dice(t, NR_SNAPSHOTS);

		if (dice(t, 2))
			merge(t);
		else if (volume[id].used)
			look_and_delete(t, id);
		else
			take(t, id);
	}
	atomic_store(&over, true);
	return NULL;
}

static void *reclaims(void *arg)
{
	struct thread *t = arg;

	while (!atomic_load(&over)) {
		if (!daxcow_reclaim_prepare(pool))
			continue;
		grace_period();
		while (daxcow_reclaim_run(pool))
			;
	}
	(void)t;
	return NULL;
}

/* ---- all of it ---- */

static void begin(void *mem, uint64_t seed)
{
	struct daxcow_params p = { .uuid = (const u8 *)"raceraceracerace" };
	pthread_rwlockattr_t attr;
	unsigned int i;

	pthread_rwlockattr_init(&attr);
	/* else there is never nobody who writes */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	must(daxcow_format(mem, BLOCKS, &p), "format");
	must(daxcow_load(&pool, mem, BLOCKS, 0, NULL, NULL), "load");
	for (i = 0; i < NR_VOLUMES; i++) {
		struct daxcow_volume_desc d = { .id = i };

		must(daxcow_create(pool, &d), "create");
		must(daxcow_open(pool, i, &volume[i].core), "open");
		pthread_rwlock_init(&volume[i].frozen, &attr);
		volume[i].used = true;
	}
	for (i = 0; i < NR_THREADS; i++) {
		thread[i].nr = i;
		thread[i].random = seed * NR_THREADS + i + 1;
	}
}

static void end(void *mem)
{
	struct daxcow_pool_info info;
	unsigned int i, place;
	int tries;

	for (i = 0; i < NR_VOLUMES + NR_SNAPSHOTS; i++) {
		for (place = 0; volume[i].used && place < NR_PLACES; place++)
			check(&volume[i], place);
		if (volume[i].used)
			daxcow_close(volume[i].core);
	}
	for (tries = 0; tries < 4 && daxcow_reclaim_prepare(pool); tries++)
		while (daxcow_reclaim_run(pool))
			;
	must(daxcow_verify(pool, NULL), "verify");
	daxcow_pool_info(pool, &info);
	printf("%lu snapshots, %lu merges, %" PRIu64 " copies, %lu times full\n",
	       atomic_load(&snapshots), atomic_load(&merges), info.copies,
	       atomic_load(&full));
	if (!atomic_load(&snapshots) || !atomic_load(&merges) || !info.copies)
		die("nothing to see", 0);
	daxcow_unload(pool);
	free(mem);
}

static void *(*const run[NR_THREADS])(void *arg) = {
	writes, writes, writes, writes, manages, reclaims
};

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	void *mem = aligned_alloc(DAXCOW_BLOCK_SIZE, BLOCKS * DAXCOW_BLOCK_SIZE);
	unsigned int i;

	if (argc > 2)
		rounds = strtoul(argv[2], NULL, 0);
	if (!mem)
		die("no memory", 0);
	memset(mem, 0xee, BLOCKS * DAXCOW_BLOCK_SIZE);
	begin(mem, seed);
	for (i = 0; i < NR_THREADS; i++)
		must(-pthread_create(&thread[i].id, NULL, run[i], &thread[i]), "thread");
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i].id, NULL);
	end(mem);
	return 0;
}
