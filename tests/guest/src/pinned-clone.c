// SPDX-License-Identifier: GPL-2.0
/*
 * pinned-clone FILE CLONE
 *
 * CLONE is the same file as FILE, on a clone of its volume, and opened for reading.
 * Pages of it are put in a pipe, and stay there. FILE is mapped, and then truncated,
 * punched, zeroed and written: none of it waits for the pipe,
 * and what comes out of the pipe in the end is what went in.
 *
 * Then the same with pages of FILE that are FILE's alone: there the pipe is waited
 * for, until it is closed.
 *
 * Each page of FILE has its number in all of its words.
 *
 * Exit status: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	4096UL
#define PAGES	16UL
#define WORDS	(PAGE / 4)
/* seconds, for what takes some milliseconds */
#define PATIENCE 20

#define must(x) do { if (!(x)) err(2, "line %d: %s", __LINE__, #x); } while (0)

static int fd, bad;

static volatile uint32_t *map(int f, int prot)
{
	void *p = mmap(NULL, PAGES * PAGE, prot, MAP_SHARED, f, 0);
	size_t i;

	must(p != MAP_FAILED);
	/* what is not mapped by anybody nobody looks at */
	for (i = 0; i < PAGES; i++)
		(void)((volatile uint32_t *)p)[i * WORDS];
	return p;
}

static void put_in_pipe(int *end, volatile uint32_t *page)
{
	struct iovec v = { .iov_base = (void *)page, .iov_len = PAGE };

	must(!pipe(end) && vmsplice(end[1], &v, 1, 0) == (ssize_t)PAGE);
}

static void truncates(void)
{
	must(!ftruncate(fd, 12 * PAGE));
}

static void punches(void)
{
	must(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			8 * PAGE, PAGE));
}

static void zeroes(void)
{
	must(!fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
			4 * PAGE, PAGE));
}

/* true when it was done within @seconds; a child that waits is left alone */
static bool done(void (*what)(void), unsigned int seconds, pid_t *child)
{
	unsigned int i;
	int status;

	*child = fork();
	must(*child >= 0);
	if (!*child) {
		what();
		_exit(0);
	}
	for (i = 0; i < seconds * 100; i++) {
		if (waitpid(*child, &status, WNOHANG) == *child) {
			if (status)
				errx(2, "it failed");
			return true;
		}
		usleep(10000);
	}
	return false;
}

/* Bring back what was taken away, with other bytes, in blocks that are free now. */
static void write_again(uint32_t value)
{
	uint32_t page[WORDS];
	size_t i;

	for (i = 0; i < WORDS; i++)
		page[i] = value;
	for (i = 0; i < PAGES; i++)
		must(pwrite(fd, page, PAGE, i * PAGE) == (ssize_t)PAGE);
	must(!fsync(fd));
}

static void check_pipe(int *end, uint32_t value)
{
	uint32_t page[WORDS];
	size_t i;

	must(read(end[0], page, PAGE) == (ssize_t)PAGE);
	for (i = 0; i < WORDS; i++) {
		if (page[i] == value)
			continue;
		printf("page %u in the pipe has %#x\n", value, page[i]);
		bad = 1;
		break;
	}
	close(end[0]);
	close(end[1]);
}

static const struct {
	const char *name;
	void (*run)(void);
	uint32_t page;
} steps[] = {
	{ "truncate", truncates, 13 },
	{ "punch", punches, 8 },
	{ "zero", zeroes, 4 },
};

#define STEPS (sizeof(steps) / sizeof(*steps))

static void shared_pages(const char *clone)
{
	int end[STEPS][2], other = open(clone, O_RDONLY);
	volatile uint32_t *p;
	pid_t child;
	size_t i;

	must(other >= 0);
	p = map(other, PROT_READ);
	for (i = 0; i < STEPS; i++)
		put_in_pipe(end[i], p + steps[i].page * WORDS);
	for (i = 0; i < STEPS; i++) {
		if (done(steps[i].run, PATIENCE, &child))
			continue;
		printf("%s waits for a page that another volume has\n",
		       steps[i].name);
		exit(1);
	}
	write_again(0xbad);
	for (i = 0; i < STEPS; i++)
		check_pipe(end[i], steps[i].page);
	close(other);
	munmap((void *)p, PAGES * PAGE);
}

static void own_pages(volatile uint32_t *p)
{
	size_t i, j;
	pid_t child;
	int end[2];

	for (i = 0; i < STEPS; i++) {
		write_again(i);
		for (j = 0; j < PAGES; j++)
			p[j * WORDS] = i;
		put_in_pipe(end, p + steps[i].page * WORDS);
		if (done(steps[i].run, 1, &child)) {
			printf("%s does not wait for its own page\n",
			       steps[i].name);
			bad = 1;
			continue;
		}
		check_pipe(end, i);
		must(waitpid(child, NULL, 0) == child);
	}
}

int main(int argc, char **argv)
{
	volatile uint32_t *p;

	if (argc != 3)
		errx(2, "usage: pinned-clone FILE CLONE");
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		err(2, "%s", argv[1]);
	p = map(fd, PROT_READ | PROT_WRITE);
	shared_pages(argv[2]);
	own_pages(p);
	return bad;
}
