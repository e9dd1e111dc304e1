// SPDX-License-Identifier: GPL-2.0
/*
 * holds dma DEVICE FILE PAGE
 * holds pipe FILE PAGE...
 *
 * References to pages of a file on DAX that outlive its mapping, and what the file is
 * on. "dma" begins to read DEVICE, with O_DIRECT, into a page of FILE; DEVICE is
 * suspended, so that the read goes on when it is resumed. "pipe" puts pages of FILE into a
 * pipe. Then FILE is unmapped and closed, "held" is printed, and standard input is waited
 * for. When that has a line, or ends, "dma" waits for its read, and "pipe" prints, for
 * each page, the first byte of what comes out, and whether all others are the same.
 *
 * Exit status: 0, 1 the bytes of a page differ, 2 could not run.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE	4096UL
#define PAGES	64

static char *map(const char *path, unsigned long page, int flags, int prot)
{
	int fd = open(path, flags);
	char *p = fd < 0 ? MAP_FAILED :
		  mmap(NULL, PAGE, prot, MAP_SHARED, fd, page * PAGE);

	if (p == MAP_FAILED)
		err(2, "%s", path);
	close(fd);
	return p;
}

static void wait_for_word(void)
{
	char line[64];

	puts("held");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return;
}

static int by_dma(const char *device, const char *path, unsigned long page)
{
	char *p = map(path, page, O_RDWR, PROT_READ | PROT_WRITE);
	struct iocb cb, *cbs[1] = { &cb };
	int fd = open(device, O_RDONLY | O_DIRECT);
	struct io_event event;
	io_context_t ctx = 0;

	if (fd < 0 || io_setup(1, &ctx))
		err(2, "%s", device);
	io_prep_pread(&cb, fd, p, PAGE, 0);
	if (io_submit(ctx, 1, cbs) != 1)
		errx(2, "%s: cannot be read", device);
	munmap(p, PAGE);
	wait_for_word();
	if (io_getevents(ctx, 1, 1, &event, NULL) != 1 || event.res != PAGE)
		errx(2, "%s: was not read", device);
	return 0;
}

static bool all_alike(const char *p)
{
	return !memcmp(p, p + 1, PAGE - 1);
}

static int by_pipe(const char *path, char **pages, int nr)
{
	static char out[PAGE];
	int end[2], i, bad = 0;
	struct iovec v;

	if (nr > PAGES || pipe(end) || fcntl(end[1], F_SETPIPE_SZ, PAGES * PAGE) < 0)
		err(2, "pipe");
	for (i = 0; i < nr; i++) {
		char *p = map(path, strtoul(pages[i], NULL, 0), O_RDONLY, PROT_READ);

		/* what is not mapped nobody looks at */
		(void)*(volatile char *)p;
		v = (struct iovec) { .iov_base = p, .iov_len = PAGE };
		if (vmsplice(end[1], &v, 1, 0) != (ssize_t)PAGE)
			err(2, "vmsplice");
		munmap(p, PAGE);
	}
	wait_for_word();
	for (i = 0; i < nr; i++) {
		if (read(end[0], out, PAGE) != (ssize_t)PAGE)
			err(2, "pipe");
		printf("%02x %s\n", out[0] & 0xff, all_alike(out) ? "all" : "not all");
		bad |= !all_alike(out);
	}
	return bad;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "dma"))
		return by_dma(argv[2], argv[3], strtoul(argv[4], NULL, 0));
	if (argc >= 4 && !strcmp(argv[1], "pipe"))
		return by_pipe(argv[2], argv + 3, argc - 3);
	errx(2, "usage: holds dma DEVICE FILE PAGE | holds pipe FILE PAGE...");
}
