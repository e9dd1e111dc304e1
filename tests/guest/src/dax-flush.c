// SPDX-License-Identifier: GPL-2.0
/*
 * dax-flush sync FILE
 * dax-flush pmd FILE CLONE
 *
 * sync	store one byte to FILE, through a mapping with MAP_SYNC
 * pmd	store to a page of FILE that is mapped by a PMD, share another one with
 *	CLONE, write that with write(2), and call fsync
 *
 * Exit status: 0 done, 2 not.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096UL
#define PMD	(2UL << 20)
#define STORED	100
#define SHARED	96

#define must(x) do { if (!(x)) err(2, "line %d: %s", __LINE__, #x); } while (0)

static volatile char *map(int fd, size_t len, int flags)
{
	char *p = mmap(NULL, 3 * PMD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	must(p != MAP_FAILED);
	p = (char *)(((uintptr_t)p + PMD - 1) & ~(PMD - 1));
	p = mmap(p, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	must(p != MAP_FAILED);
	return p;
}

static void pmd(int fd, const char *clone)
{
	struct file_clone_range range = {
		.src_fd = fd,
		.src_offset = SHARED * PAGE,
		.src_length = PAGE,
	};
	volatile char *p = map(fd, PMD, MAP_SHARED);
	int to = open(clone, O_RDWR | O_CREAT, 0600);
	unsigned char vec[PMD / PAGE];
	char page[PAGE];
	size_t i, n = 0;

	p[0] = 1;
	must(!mincore((void *)p, PMD, vec));
	for (i = 0; i < PMD / PAGE; i++)
		n += vec[i] & 1;
	if (n != PMD / PAGE)
		errx(2, "no PMD, but %zu pages", n);
	must(to >= 0 && !ioctl(to, FICLONERANGE, &range));
	must(!fsync(fd));
	p[STORED * PAGE] = 1;
	memset(page, 'n', PAGE);
	must(pwrite(fd, page, PAGE, SHARED * PAGE) == (ssize_t)PAGE);
	must(!fsync(fd));
}

int main(int argc, char **argv)
{
	int fd = argc > 2 ? open(argv[2], O_RDWR) : -1;

	if (fd < 0)
		err(2, "usage: dax-flush sync FILE | pmd FILE CLONE");
	if (argc == 4 && !strcmp(argv[1], "pmd"))
		pmd(fd, argv[3]);
	else if (argc == 3 && !strcmp(argv[1], "sync"))
		*map(fd, PAGE, MAP_SHARED_VALIDATE | MAP_SYNC) = 'n';
	else
		errx(2, "usage: dax-flush sync FILE | pmd FILE CLONE");
	return 0;
}
