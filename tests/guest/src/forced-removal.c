// SPDX-License-Identifier: GPL-2.0
/*
 * forced-removal FILE PAGES
 *
 * Map PAGES pages of FILE and store to them and read them, over and over, while
 * what the file is on is taken away. A page may stop to be there (SIGBUS); what
 * is seen must be what this process has stored. Prints "ready" when all pages
 * have been stored to, and ends well when its standard input does.
 *
 * Exit status: 0 nothing else was seen, 1 something was, 2 could not run.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096UL
#define WORDS	(PAGE / 8)

static sigjmp_buf gone;
static unsigned long lost, seen, stored;

static void on_sigbus(int sig __attribute__((unused)))
{
	siglongjmp(gone, 1);
}

static uint64_t number(unsigned long page, unsigned long word, uint64_t turn)
{
	return (turn << 40) + (page << 16) + word;
}

/* Read it, and every other page is then given new numbers. */
static void visit(volatile uint64_t *p, unsigned long page, uint64_t *turn)
{
	unsigned long i;

	if (sigsetjmp(gone, 1)) {
		lost++;
		return;
	}
	for (i = 0; i < WORDS; i += 8) {
		/* SIGBUS may have come in the middle of the last turn */
		if (p[i] != number(page, i, *turn) &&
		    p[i] != number(page, i, *turn + 1))
			errx(1, "page %lu word %lu is %#llx in turn %llu", page, i,
			     (unsigned long long)p[i], (unsigned long long)*turn);
	}
	seen++;
	if (page % 2)
		return;
	for (i = 0; i < WORDS; i += 8)
		p[i] = number(page, i, *turn + 1);
	++*turn;
	stored++;
}

static bool at_end(void)
{
	struct pollfd pfd = { .fd = 0, .events = POLLIN };
	char c;

	return poll(&pfd, 1, 1) && read(0, &c, 1) <= 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };
	unsigned long page, pages = argc == 3 ? strtoul(argv[2], NULL, 0) : 0, i;
	uint64_t *map, *turn;
	int fd;

	if (!pages)
		errx(2, "usage: forced-removal FILE PAGES");
	turn = calloc(pages, sizeof(*turn));
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (!turn || fd < 0 || posix_fallocate(fd, 0, pages * PAGE))
		err(2, "%s", argv[1]);
	map = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(2, "mmap");
	for (page = 0; page < pages; page++)
		for (i = 0; i < WORDS; i += 8)
			map[page * WORDS + i] = number(page, i, 0);
	sigaction(SIGBUS, &sa, NULL);
	printf("ready\n");
	fflush(stdout);
	while (!at_end())
		for (page = 0; page < pages; page++)
			visit(map + page * WORDS, page, &turn[page]);
	printf("%lu pages read, %lu stored to, %lu were not there\n", seen, stored,
	       lost);
	return 0;
}
