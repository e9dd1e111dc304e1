// SPDX-License-Identifier: GPL-2.0
/*
 * usage: core [SNAPSHOTS [CLONES [REGIONS]]]
 *
 * What the engine costs, in user space and ordinary memory: with many snapshots and
 * clones, with large volumes, and with two threads. Prints a JSON object a line, times in
 * ns.
 *
 * Nothing is paid before the clock starts: "first" is the first write to a 2 MiB region
 * after a snapshot, with the tables that it copies, "others" are those after it. Beside
 * them stands what there is no way around, in the same run: 4 KiB copied past the cache,
 * and one published store. Compiled with holds.h it shows how long the lock was held, and
 * its times mean nothing.
 */
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "core.h"

struct daxcow_pool *pool;
u64 hold_longest;
static void *mem;
static u64 rng = 88172645463325252ULL;

u64 any(u64 below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

void must(long ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	exit(1);
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

void times_add(struct times *s, double t)
{
	if (s->nr == s->room) {
		s->room = s->room ? s->room * 2 : 4096;
		s->t = realloc(s->t, s->room * sizeof(*s->t));
	}
	s->t[s->nr++] = t;
}

static int less(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double times_middle(struct times *s)
{
	if (!s->nr)
		return 0;
	qsort(s->t, s->nr, sizeof(*s->t), less);
	return s->t[s->nr / 2];
}

void times_reset(struct times *s)
{
	free(s->t);
	memset(s, 0, sizeof(*s));
}

/* As the kernel maps pmem: it is there, and in large pages if these are to be had. */
static void *memory(size_t bytes)
{
	void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		must(-ENOMEM, "memory");
	madvise(m, bytes, MADV_HUGEPAGE);
	memset(m, 0xff, bytes);
	return m;
}

void pool_begin(void)
{
	struct daxcow_params p = { .uuid = (const u8 *)"benchbenchbench" };

	if (!mem)
		mem = memory(POOL << DAXCOW_BLOCK_SHIFT);
	must(daxcow_format(mem, POOL, &p), "format");
	must(daxcow_load(&pool, mem, POOL, 0, NULL, NULL), "load");
}

void pool_end(void)
{
	daxcow_unload(pool);
}

/* Returns what it took for each entry: tables are full, but for few. */
double pool_load_again(void)
{
	struct daxcow_pool_info i = info();
	double t;

	daxcow_unload(pool);
	t = now();
	must(daxcow_load(&pool, mem, POOL, 0, NULL, NULL), "load");
	return (now() - t) / (i.nr_meta * DAXCOW_NODE_ENTRIES);
}

void drain(void)
{
	while (daxcow_reclaim_prepare(pool))
		while (daxcow_reclaim_run(pool))
			;
}

double floor_cost(void)
{
	static char *spare;
	struct times s = { };
	double t, middle;
	int i;

	if (!spare)
		spare = memory(64 << 20);
	for (i = 0; i < 4096; i++) {
		u64 from = any(8192), to = 8192 + any(8192);

		t = now();
		pm_copy(spare + (to << DAXCOW_BLOCK_SHIFT),
			spare + (from << DAXCOW_BLOCK_SHIFT), DAXCOW_BLOCK_SIZE);
		pm_fence();
		pm_publish((__le64 *)spare + from, i);
		pm_fence();
		times_add(&s, now() - t);
	}
	middle = times_middle(&s);
	times_reset(&s);
	return middle;
}

struct daxcow_pool_info info(void)
{
	struct daxcow_pool_info i;

	daxcow_pool_info(pool, &i);
	return i;
}

/* Blocks that there is a descriptor for, with all that is kept in memory for them. */
double bytes_per_block(void)
{
	struct daxcow_pool_info i = info();

	return (double)i.dram_bytes / (i.nr_data + i.nr_meta);
}

u64 hold_take(void)
{
	u64 t = hold_longest;

	hold_longest = 0;
	return t;
}

struct daxcow_volume *volume_open(u32 id)
{
	struct daxcow_volume *vol;

	must(daxcow_open(pool, id, &vol), "open");
	return vol;
}

/* Volume 0, of which @nr blocks are mapped. */
struct daxcow_volume *image(u64 nr)
{
	struct daxcow_volume_desc d = { .id = 0, .size = nr };
	struct daxcow_volume *vol;
	u64 v;

	must(daxcow_create(pool, &d), "create");
	vol = volume_open(0);
	for (v = 0; v < nr; v++)
		write_block(vol, v);
	return vol;
}

void snapshot(u32 id)
{
	struct daxcow_volume_desc d = { .id = id };

	must(daxcow_snapshot(pool, &d, 1), "snapshot");
}

double write_block(struct daxcow_volume *vol, u64 vblk)
{
	double t = now();
	u64 block;

	must(daxcow_provision(vol, vblk, 1, &block), "write");
	return now() - t;
}

static int fill(void *arg, void *dst)
{
	pm_write(dst, arg, DAXCOW_BLOCK_SIZE);
	return 0;
}

double overwrite_block(struct daxcow_volume *vol, u64 vblk)
{
	static char bytes[DAXCOW_BLOCK_SIZE];
	double t = now();

	must(daxcow_overwrite(vol, vblk, true, fill, bytes), "overwrite");
	return now() - t;
}

int main(int argc, char **argv)
{
	/* else one free() in 100,000 tidies up for 10 ms, which the kernel's does not */
	mallopt(M_MXFAST, 0);
	bench_many(argc > 1 ? atoi(argv[1]) : 10000, argc > 2 ? atoi(argv[2]) : 10000);
	bench_large(argc > 3 ? atoi(argv[3]) : 90000);
	bench_threads();
	return 0;
}
