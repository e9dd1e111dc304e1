// SPDX-License-Identifier: GPL-2.0
/*
 * dax-slot read|write FILE
 *
 * Map FILE so that a PMD fits, and read.  Then read the same pages through a
 * mapping shifted by a page, where it does not fit, or store to some of them:
 * FILE is a clone, and what is allocated for the copy is no 2 MiB.  The content
 * is the number of the page in the first four bytes of each.
 *
 * Exit code: 0 all read well, 1 something else was read, 2 no PMD came about,
 * so nothing has been tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PMD (2UL << 20)

static char *reserve(void)
{
	char *p = mmap(NULL, 3 * PMD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		err(2, "mmap");
	return (char *)(((uintptr_t)p + PMD - 1) & ~(PMD - 1));
}

static int differs(const volatile char *p, uint32_t n)
{
	if (*(const volatile uint32_t *)p == n)
		return 0;
	printf("page %u: %u\n", n, *(const volatile uint32_t *)p);
	return 1;
}

int main(int argc, char **argv)
{
	unsigned char vec[512] = { 0 };
	char *whole, *shifted;
	int fd, bad = 0, i, n;

	if (argc != 3)
		errx(2, "usage: dax-slot read|write FILE");
	fd = open(argv[2], O_RDWR);
	if (fd < 0)
		err(2, "%s", argv[2]);
	whole = mmap(reserve(), PMD, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, fd, 0);
	shifted = mmap(reserve(), PMD - 4096, PROT_READ,
		       MAP_SHARED | MAP_FIXED, fd, 4096);
	if (whole == MAP_FAILED || shifted == MAP_FAILED)
		err(2, "mmap");

	bad |= differs(whole, 0);
	/* One page touched and all there: only a PMD does that */
	if (mincore(whole, PMD, vec))
		err(2, "mincore");
	for (i = n = 0; i < 512; i++)
		n += vec[i] & 1;
	printf("%d of 512 pages mapped by one fault\n", n);
	if (n != 512)
		return 2;

	for (i = 1; i < 512; i += 7) {
		if (!strcmp(argv[1], "write"))
			whole[i * 4096L + 100] = 1;
		else
			bad |= differs(shifted + (i - 1) * 4096L, i);
	}
	for (i = 0; i < 512; i++)
		bad |= differs(whole + i * 4096L, i);
	return bad;
}
