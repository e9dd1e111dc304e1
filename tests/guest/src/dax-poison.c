// SPDX-License-Identifier: GPL-2.0
/*
 * dax-poison FILE [OTHER]
 *
 * Map one page of FILE, and of OTHER, and poison that of FILE.  When they are
 * one page nobody can say whose it is and poisoning fails; a page that only
 * FILE maps gets its mapper a SIGBUS.
 *
 * Exit code: 0 that happened, 1 something else did, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf jump;

static void bus(int sig)
{
	siglongjmp(jump, sig);
}

static volatile char *map(const char *name)
{
	int fd = open(name, O_RDWR);
	char *p;

	if (fd < 0)
		err(2, "%s", name);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		err(2, "%s: mmap", name);
	return p;
}

int main(int argc, char **argv)
{
	volatile char *page, *other = NULL;
	char sum;
	int ret;

	if (argc < 2 || argc > 3)
		errx(2, "usage: dax-poison FILE [OTHER]");
	page = map(argv[1]);
	sum = *page;
	if (argc == 3) {
		other = map(argv[2]);
		sum += *other;
	}
	signal(SIGBUS, bus);
	if (sigsetjmp(jump, 1)) {
		printf("SIGBUS\n");
		return argc == 3;
	}
	ret = madvise((void *)page, 4096, MADV_HWPOISON);
	if (ret && errno != EBUSY && errno != EIO)
		err(2, "MADV_HWPOISON");
	printf("madvise: %s\n", ret ? strerror(errno) : "done");
	if (argc == 3)
		return !ret;
	/* The signal is for us, and sent before madvise() returns */
	sum += *page;
	printf("no signal %d\n", sum);
	return 1;
}
