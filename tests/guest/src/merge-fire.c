// SPDX-License-Identifier: GPL-2.0
/*
 * merge-fire [-x BYTE]... [-s SEED] [-w MICROSECONDS] POOL MAJOR MINOR STOP
 *
 * Until the file STOP is there: list the blocks of a pool, read them, and ask the
 * kernel to merge what may be equal, in batches of all sizes. A hash of 8 bits says
 * what may be equal, so many pairs are not; some are nonsense: zeroes that are
 * none, chunks, blocks that are free by now. Write access is taken back now and
 * then. Blocks that begin with BYTE are left alone. Waits a little after each batch.
 *
 * Prints how often each answer came. Exit status: 0, 2 could not be done.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-daxcow.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGE		4096
#define CHUNK		512
#define HASHES		256
#define ANSWERS		(DAXCOW_MERGE_NO_MEMORY + 1)
#define RUNS		512
#define BATCH_MAX	256

static const char *const answer_name[ANSWERS] = {
	"not tried", "merged", "same", "differs", "stale", "hot", "pinned",
	"cap", "bad", "domain", "huge", "no memory",
};

static int control, device;
static __u32 major, minor, generation;
static uint64_t rng = 1;
static bool skip[256];
static useconds_t pause_us = 1000;
static unsigned long answers[ANSWERS], rested, freed, lists;
static struct daxcow_merge_pair pair[BATCH_MAX];
static unsigned int pairs, batch_size = 32;

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

static void merge(void)
{
	struct daxcow_ioc_merge x = {
		.size = sizeof(x),
		.major = major,
		.minor = minor,
		.nr = pairs,
		.rest = rnd(4) ? 0 : rnd(32),
		.pairs = (uintptr_t)pair,
	};
	unsigned int i;

	/* no block for a table, or one that failed: the pool goes on */
	if (ioctl(control, DAXCOW_IOC_MERGE, &x) && errno != EINVAL)
		err(2, "merge");
	for (i = 0; i < pairs; i++)
		answers[pair[i].status]++;
	rested += x.rest;
	freed += x.freed;
	pairs = 0;
	batch_size = 1 + rnd(BATCH_MAX);
	usleep(pause_us);
}

static void propose(__u64 keep, __u64 drop, __u32 nr)
{
	pair[pairs++] = (struct daxcow_merge_pair) {
		.keep = keep,
		.drop = drop,
		.nr = nr,
		/* what was written since can be equal again, or not */
		.generation = rnd(2) ? generation : ~0U,
		.flags = rnd(2) ? DAXCOW_PAIR_SPLIT : 0,
	};
	if (pairs >= batch_size)
		merge();
}

static unsigned int hash(const unsigned char *p)
{
	uint64_t h = 0;
	size_t i;

	for (i = 0; i < PAGE; i += 8)
		h = (h ^ *(const uint64_t *)(p + i)) * 0x9e3779b97f4a7c15ULL;
	return h >> 56;
}

/* One block, and what came before with the same hash. */
static void look_at(__u64 block, const unsigned char *p)
{
	static __u64 last[HASHES];
	static bool known[HASHES];
	unsigned int h = hash(p);

	if (skip[*p])
		return;
	if (known[h] && last[h] != block)
		propose(rnd(20) ? last[h] : DAXCOW_MERGE_ZERO, block, 1);
	if (!rnd(64))
		propose(last[rnd(HASHES)], block, 1);
	/* the other way round, sometimes */
	if (!known[h] || !rnd(3))
		last[h] = block;
	known[h] = true;
}

static void look_at_run(const struct daxcow_run *r)
{
	static unsigned char buf[PAGE] __attribute__((aligned(PAGE)));
	static __u64 chunk;
	__u32 i;

	if (r->flags & DAXCOW_RUN_CHUNK) {
		if (chunk && chunk != r->block)
			propose(rnd(8) ? chunk : DAXCOW_MERGE_ZERO, r->block, CHUNK);
		chunk = r->block;
	}
	for (i = 0; i < r->nr; i++)
		if (pread(device, buf, PAGE, (r->block + i) * PAGE) == PAGE)
			look_at(r->block + i, buf);
}

static void look(void)
{
	static struct daxcow_run run[RUNS];
	struct daxcow_ioc_blocks x = {
		.size = sizeof(x),
		.flags = DAXCOW_BLOCKS_BEGIN,
		.major = major,
		.minor = minor,
		.runs = (uintptr_t)run,
	};
	unsigned int i;

	do {
		x.nr = RUNS;
		x.end = ~0ULL;
		if (ioctl(control, DAXCOW_IOC_BLOCKS, &x))
			err(2, "list");
		x.flags = 0;
		generation = x.generation;
		for (i = 0; i < x.nr; i++)
			look_at_run(&run[i]);
	} while (x.start < x.end);
	lists++;
}

int main(int argc, char **argv)
{
	unsigned long all = 0;
	int c;

	while ((c = getopt(argc, argv, "x:s:w:")) != -1) {
		if (c == 'x')
			skip[strtoul(optarg, NULL, 0) & 255] = true;
		else if (c == 's')
			rng = strtoull(optarg, NULL, 0) * 2 + 1;
		else if (c == 'w')
			pause_us = strtoul(optarg, NULL, 0);
		else
			return 2;
	}
	if (argc - optind != 4)
		errx(2, "usage: merge-fire [OPTION]... POOL MAJOR MINOR STOP");
	argv += optind;
	device = open(argv[0], O_RDONLY | O_DIRECT);
	control = open("/dev/daxcow", O_RDWR);
	if (device < 0 || control < 0)
		err(2, "%s", argv[0]);
	major = strtoul(argv[1], NULL, 0);
	minor = strtoul(argv[2], NULL, 0);
	while (access(argv[3], F_OK))
		look();
	merge();
	for (c = 0; c < ANSWERS; c++) {
		if (answers[c])
			printf("%s: %lu\n", answer_name[c], answers[c]);
		all += answers[c];
	}
	printf("attempted: %lu in %lu lists, freed %lu blocks, took write access back from %lu\n",
	       all, lists, freed, rested);
	return 0;
}
