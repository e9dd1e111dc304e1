// SPDX-License-Identifier: GPL-2.0
/*
 * merge [-p] [-r N] [-s] [-g GENERATION] MAJOR MINOR [KEEP:DROP[:BLOCKS]]...
 * merge -l [-g GENERATION] MAJOR MINOR
 *
 * Ask the kernel to merge pairs of blocks of a pool and print what has become of
 * each. KEEP may be "zero". Without pairs what earlier calls have left is finished.
 *
 *   -p  KEEP and DROP are page frames
 *   -r  take write access back from up to N blocks
 *   -s  2 MiB pages may be split
 *   -g  blocks of this generation or a later one are stale
 *   -l  list what is used, since GENERATION: BLOCK NR OWNERS GENERATION DOMAIN, and
 *       chunk, hot, bad
 *
 * Exit status: 0 all were merged, 1 some were not, 2 could not be done.
 */
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

static const char *const status_name[] = {
	[DAXCOW_MERGE_NOT_TRIED] = "not tried",
	[DAXCOW_MERGE_MERGED] = "merged",
	[DAXCOW_MERGE_SAME] = "same",
	[DAXCOW_MERGE_DIFFERS] = "differs",
	[DAXCOW_MERGE_STALE] = "stale",
	[DAXCOW_MERGE_HOT] = "hot",
	[DAXCOW_MERGE_PINNED] = "pinned",
	[DAXCOW_MERGE_CAP] = "cap",
	[DAXCOW_MERGE_BAD] = "bad",
	[DAXCOW_MERGE_DOMAIN] = "domain",
	[DAXCOW_MERGE_HUGE] = "huge",
	[DAXCOW_MERGE_NO_MEMORY] = "no memory",
};

static int fd;
static __u32 major, minor;
static bool frames;

static __u64 block_of(__u64 n)
{
	struct daxcow_ioc_owners x = {
		.size = sizeof(x),
		.flags = DAXCOW_OWNERS_PFN,
		.major = major,
		.minor = minor,
		.block = n,
	};

	if (!frames)
		return n;
	if (ioctl(fd, DAXCOW_IOC_OWNERS, &x))
		err(2, "page frame %#" PRIx64, (uint64_t)n);
	return x.block;
}

static void parse(struct daxcow_merge_pair *p, char *text)
{
	char *end;

	p->keep = DAXCOW_MERGE_ZERO;
	if (!strncmp(text, "zero", 4))
		end = text + 4;
	else
		p->keep = block_of(strtoull(text, &end, 0));
	if (*end != ':')
		errx(2, "%s: not KEEP:DROP", text);
	p->drop = block_of(strtoull(end + 1, &end, 0));
	p->nr = *end == ':' ? strtoul(end + 1, &end, 0) : 1;
	if (*end)
		errx(2, "%s: not KEEP:DROP:BLOCKS", text);
}

static int merge(int nr, char **text, __u32 rest, __u32 generation, __u32 flags)
{
	struct daxcow_merge_pair *pair = calloc(nr ? nr : 1, sizeof(*pair));
	struct daxcow_ioc_merge x = {
		.size = sizeof(x),
		.major = major,
		.minor = minor,
		.nr = nr,
		.rest = rest,
		.pairs = (uintptr_t)pair,
	};
	int i, bad = 0;

	for (i = 0; i < nr; i++) {
		parse(&pair[i], text[i]);
		pair[i].generation = generation;
		pair[i].flags = flags;
	}
	if (ioctl(fd, DAXCOW_IOC_MERGE, &x))
		err(2, "merge");
	for (i = 0; i < nr; i++) {
		puts(status_name[pair[i].status]);
		bad |= pair[i].status != DAXCOW_MERGE_MERGED;
	}
	free(pair);
	return bad;
}

static void list(__u32 since)
{
	struct daxcow_run run[100];
	struct daxcow_ioc_blocks x = {
		.size = sizeof(x),
		.major = major,
		.minor = minor,
		.end = ~0ULL,
		.since = since,
		.flags = DAXCOW_BLOCKS_BEGIN,
		.runs = (uintptr_t)run,
	};
	unsigned int i;

	do {
		x.nr = 100;
		x.end = ~0ULL;
		if (ioctl(fd, DAXCOW_IOC_BLOCKS, &x))
			err(2, "list");
		if (x.flags)
			printf("generation %u\n", x.generation);
		x.flags = 0;
		for (i = 0; i < x.nr; i++)
			printf("%" PRIu64 " %u %u %u %u%s%s%s\n",
			       (uint64_t)run[i].block, run[i].nr, run[i].owners,
			       run[i].generation, run[i].domain,
			       run[i].flags & DAXCOW_RUN_CHUNK ? " chunk" : "",
			       run[i].flags & DAXCOW_RUN_HOT ? " hot" : "",
			       run[i].flags & DAXCOW_RUN_BAD ? " bad" : "");
	} while (x.start < x.end);
}

int main(int argc, char **argv)
{
	__u32 rest = 0, generation = ~0U, flags = 0;
	bool show = false;
	int c;

	while ((c = getopt(argc, argv, "pr:sg:l")) != -1) {
		if (c == 'p')
			frames = true;
		else if (c == 'r')
			rest = strtoul(optarg, NULL, 0);
		else if (c == 's')
			flags = DAXCOW_PAIR_SPLIT;
		else if (c == 'g')
			generation = strtoul(optarg, NULL, 0);
		else if (c == 'l')
			show = true;
		else
			return 2;
	}
	if (argc - optind < 2)
		errx(2, "usage: merge [OPTION]... MAJOR MINOR [KEEP:DROP[:BLOCKS]]...");
	fd = open("/dev/daxcow", O_RDWR);
	if (fd < 0)
		err(2, "/dev/daxcow");
	major = strtoul(argv[optind], NULL, 0);
	minor = strtoul(argv[optind + 1], NULL, 0);
	optind += 2;
	if (show)
		list(generation == ~0U ? 0 : generation);
	else
		return merge(argc - optind, argv + optind, rest, generation, flags);
	return 0;
}
