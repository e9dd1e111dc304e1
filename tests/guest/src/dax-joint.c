// SPDX-License-Identifier: GPL-2.0
/*
 * dax-joint unshare|write|dedupe DIRECTORY JOINT
 *
 * The file system in DIRECTORY is on two pieces of memory, the second one
 * begins at byte JOINT of the device.  Unshare or write a file so that its new
 * blocks lie across the joint, or compare one that does with another.
 *
 * What follows the first piece in memory is for the caller to look at, for
 * dedupe it must be filled with 'V'.
 *
 * Exit code: 0 the files are as they should be, 1 they are not, 2 could not be
 * tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MB (1UL << 20)
#define LEN (8 * MB)
#define MAX 1024

static unsigned long long joint;
static struct fiemap *map;

static void extents(int fd)
{
	memset(map, 0, sizeof(*map));
	map->fm_length = ~0ULL;
	map->fm_flags = FIEMAP_FLAG_SYNC;
	map->fm_extent_count = MAX;
	if (ioctl(fd, FS_IOC_FIEMAP, map))
		err(2, "fiemap");
}

static int make(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		err(2, "%s", name);
	return fd;
}

/* Take blocks until the next ones to be had are in front of the joint */
static void fill(void)
{
	int fd = make("fill");
	unsigned long long next = 0, off = 0;

	while (next < joint - 5 * MB) {
		if (fallocate(fd, 0, off, MB))
			err(2, "fill");
		off += MB;
		extents(fd);
		next = map->fm_extents[map->fm_mapped_extents - 1].fe_physical +
			map->fm_extents[map->fm_mapped_extents - 1].fe_length;
	}
	if (next > joint - 3 * MB)
		errx(2, "the blocks taken end at %llu, joint is at %llu", next,
		     joint);
	printf("blocks taken up to %llu\n", next);
}

/* Where in the file is the joint? */
static unsigned long long across(int fd)
{
	unsigned int i;

	extents(fd);
	for (i = 0; i < map->fm_mapped_extents; i++) {
		struct fiemap_extent *e = &map->fm_extents[i];

		printf("extent %llu+%llu at %llu\n", e->fe_logical,
		       e->fe_length, e->fe_physical);
		if (e->fe_physical < joint &&
		    e->fe_physical + e->fe_length > joint)
			return e->fe_logical + joint - e->fe_physical;
	}
	errx(2, "no extent across the joint at %llu", joint);
}

static void put(int fd, const char *buf, size_t len, off_t off)
{
	if (pwrite(fd, buf, len, off) != (ssize_t)len)
		err(2, "write");
}

static int holds(const char *name, int fd, const char *want)
{
	char *got = malloc(LEN);
	size_t i;

	if (pread(fd, got, LEN, 0) != (ssize_t)LEN)
		err(2, "read");
	for (i = 0; i < LEN && got[i] == want[i]; i++)
		;
	if (i < LEN)
		printf("%s: '%c' instead of '%c' at %zu\n", name, got[i],
		       want[i], i);
	free(got);
	return i == LEN;
}

static void letters(char *buf)
{
	size_t i;

	for (i = 0; i < LEN; i++)
		buf[i] = 'a' + i / 4096 % 26;
}

static int unshare_or_write(int write)
{
	char *old = malloc(LEN), *new = malloc(LEN);
	int fd = make("file"), clone = make("clone"), ok;

	letters(old);
	put(fd, old, LEN, 0);
	if (fsync(fd) || ioctl(clone, FICLONE, fd))
		err(2, "clone");
	fill();
	memcpy(new, old, LEN);
	if (write) {
		/* Not by pages, so that both ends have to be copied */
		memset(new + 100, 'W', LEN - 200);
		put(fd, new + 100, LEN - 200, 100);
	} else if (fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, LEN)) {
		err(2, "unshare");
	}
	across(fd);
	ok = holds("file", fd, new);
	ok &= holds("clone", clone, old);
	return !ok;
}

static int dedupe(void)
{
	struct file_dedupe_range *range = calloc(1, sizeof(*range) +
					sizeof(struct file_dedupe_range_info));
	char *a = malloc(LEN), *b = malloc(LEN);
	unsigned long long at;
	int one, two = make("two"), ok;

	memset(b, 'D', LEN);
	put(two, b, LEN, 0);
	fill();
	one = make("one");
	if (fallocate(one, 0, 0, LEN))
		err(2, "allocate");
	memset(a, 'D', LEN);
	put(one, a, LEN, 0);
	if (fsync(one))
		err(2, "sync");
	/* Equal up to the joint, and behind it equal to what is not ours */
	at = across(one);
	memset(a + at, 'E', LEN - at);
	memset(b, 'D', at);
	memset(b + at, 'V', LEN - at);
	put(one, a, LEN, 0);
	put(two, b, LEN, 0);

	range->src_length = LEN;
	range->dest_count = 1;
	range->info[0].dest_fd = two;
	if (ioctl(one, FIDEDUPERANGE, range) || range->info[0].status < 0)
		errx(2, "dedupe: %s, %s", strerror(errno),
		     strerror(-range->info[0].status));
	printf("found to be %s\n",
	       range->info[0].status == FILE_DEDUPE_RANGE_SAME ?
	       "the same" : "different");
	ok = holds("one", one, a);
	ok &= holds("two", two, b);
	return !ok;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		errx(2, "usage: dax-joint unshare|write|dedupe DIRECTORY JOINT");
	joint = strtoull(argv[3], NULL, 0);
	map = calloc(1, sizeof(*map) + MAX * sizeof(struct fiemap_extent));
	if (!map || chdir(argv[2]))
		err(2, "%s", argv[2]);
	if (!strcmp(argv[1], "dedupe"))
		return dedupe();
	return unshare_or_write(!strcmp(argv[1], "write"));
}
