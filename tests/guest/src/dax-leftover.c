// SPDX-License-Identifier: GPL-2.0
/*
 * dax-leftover write|store punch|zero|grow FILE CLONE
 * dax-leftover room FILE CLONE
 *
 * Blocks that a copy-on-write of XFS has begun, but not filled, are in nobody's way: what
 * is zeroed after that reads as zeroes, and not as what a deleted file had there.
 *
 * write: a write(2) to a reflinked file of which the user's memory ends early.
 * store: a store through a mapping that is aligned to 2 MiB, for which there are blocks,
 *	  but not in one piece.
 *
 * room: the same store to each 2 MiB of a file. What is left over of the space that they
 *	 have asked for is to be seen when the file system is unmounted.
 *
 * Exit status: 0 it does, 1 it does not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096L
#define HUGE	(2L << 20)
#define HUGES	32
#define min(a, b) ((a) < (b) ? (a) : (b))
#define must(x)	do { if (!(x)) err(2, "line %d: %s", __LINE__, #x); } while (0)

static char buf[4 * HUGE];

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	return p;
}

/* Two pages are written, of more that are asked for. */
static void write_short(int fd, off_t pos)
{
	char *p = map(66 * PAGE);

	memset(p, 'n', 2 * PAGE);
	must(!munmap(p + 2 * PAGE, 64 * PAGE));
	must(pwrite(fd, p, 32 * PAGE, pos) == 2 * PAGE);
}

static void store(int fd, off_t pos)
{
	uintptr_t at = (uintptr_t)map(2 * HUGE);
	volatile char *p = (void *)((at + HUGE - 1) & ~(HUGE - 1));

	must(mmap((void *)p, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		  pos) == p);
	p[0] = 'n';
}

/* @size bytes of it are 'a', and another file has the same blocks. */
static int make(const char *path, const char *clone, off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	int other = open(clone, O_RDWR | O_CREAT | O_TRUNC, 0600);
	off_t at;

	must(fd >= 0 && other >= 0);
	memset(buf, 'a', HUGE / 4);
	for (at = 0; at < size; at += HUGE / 4)
		must(pwrite(fd, buf, min(size - at, HUGE / 4), at) > 0);
	must(!fsync(fd));
	must(!ioctl(other, FICLONE, fd));
	must(!close(other));
	return fd;
}

static int room(const char *path, const char *clone)
{
	int fd = make(path, clone, HUGES * HUGE), i;

	for (i = 0; i < HUGES; i++)
		store(fd, i * HUGE);
	must(!fsync(fd));
	return 0;
}

static int not_zero(int fd, off_t from, off_t to)
{
	off_t i;

	must(pread(fd, buf, to, 0) == to);
	for (i = from; i < to && !buf[i]; i++)
		;
	if (i < to)
		printf("byte %ld is %#x\n", (long)i, (unsigned char)buf[i]);
	return i < to;
}

int main(int argc, char **argv)
{
	/* what a write or a store begins ends before the end of this */
	off_t size = HUGE + HUGE / 2, from = 4 * PAGE, to = 24 * PAGE;
	int fd;

	if (argc == 4 && !strcmp(argv[1], "room"))
		return room(argv[2], argv[3]);
	if (argc != 5)
		errx(2, "usage: dax-leftover room|(write|store punch|zero|grow) FILE CLONE");
	if (!strcmp(argv[2], "grow"))
		size = 4 * PAGE;
	fd = make(argv[3], argv[4], size);
	if (!strcmp(argv[1], "write"))
		write_short(fd, 0);
	else
		store(fd, 0);
	if (!strcmp(argv[2], "grow"))
		must(pwrite(fd, "x", 1, to) == 1);
	else
		must(!fallocate(fd, FALLOC_FL_KEEP_SIZE |
				(!strcmp(argv[2], "zero") ? FALLOC_FL_ZERO_RANGE :
							    FALLOC_FL_PUNCH_HOLE),
				from, to - from));
	return not_zero(fd, from, to);
}
