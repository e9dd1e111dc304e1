// SPDX-License-Identifier: GPL-2.0
/*
 * stores FILE PAGES
 *
 * Map PAGES pages of FILE, and store to them as standard input says: each line is the
 * number of a page and a byte, which all of the page gets. Answers "ok", or "SIGBUS".
 * A page that has been stored to once and was not written back since is stored to by
 * the page table entry that is there, without asking anybody.
 *
 * Exit status: 0, 2 could not run.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096UL

static sigjmp_buf gone;

static void on_sigbus(int sig __attribute__((unused)))
{
	siglongjmp(gone, 1);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };
	unsigned long pages = argc == 3 ? strtoul(argv[2], NULL, 0) : 0;
	char line[64], *map;
	int fd;

	if (!pages)
		errx(2, "usage: stores FILE PAGES");
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		err(2, "%s", argv[1]);
	map = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(2, "mmap");
	close(fd);
	sigaction(SIGBUS, &sa, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		char *end;
		unsigned long page = strtoul(line, &end, 0);
		unsigned long byte = strtoul(end, NULL, 0);

		if (page >= pages)
			errx(2, "no page %lu", page);
		if (sigsetjmp(gone, 1)) {
			puts("SIGBUS");
			continue;
		}
		memset(map + page * PAGE, byte, PAGE);
		puts("ok");
	}
	return 0;
}
