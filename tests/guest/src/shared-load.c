// SPDX-License-Identifier: GPL-2.0
/*
 * shared-load FILE OTHER STOP
 *
 * Two files of the same length that share their blocks, on the same DAX file system or
 * on different ones. Until STOP exists, by turns: store to a page of one of them through a
 * mapping, or write(2) it, and see that each page of both has what was written to it last.
 * Mappings are dropped and files are written back on the way, and each eighth time
 * FILE is cut off and grows again.
 *
 * Exit status: 0, 1 something else was found, 2 could not run, 3 a file or a mapping
 * cannot be used any more (EIO, SIGBUS).
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE	4096L
#define WORDS	(PAGE / (long)sizeof(uint64_t))

static struct side {
	const char *path;
	int fd;
	volatile uint64_t *map;
	uint64_t *want;		/* the first word of each page */
} sides[2];
static long nr_pages;

static void bus(int sig)
{
	(void)sig;
	_exit(3);
}

static void gone(const char *what)
{
	warn("%s", what);
	exit(errno == EIO ? 3 : 1);
}

static void open_side(struct side *s, const char *path)
{
	struct stat st;

	s->path = path;
	s->fd = open(path, O_RDWR);
	if (s->fd < 0 || fstat(s->fd, &st))
		err(2, "%s", path);
	nr_pages = st.st_size / PAGE;
	s->map = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	s->want = calloc(nr_pages, sizeof(*s->want));
	if (s->map == MAP_FAILED || !s->want)
		err(2, "%s", path);
	for (long p = 0; p < nr_pages; p++)
		s->want[p] = s->map[p * WORDS];
}

static void look(const struct side *s, long p)
{
	uint64_t word;

	if (s->map[p * WORDS] != s->want[p])
		errx(1, "%s: page %ld: the mapping has %#lx, not %#lx", s->path, p,
		     s->map[p * WORDS], s->want[p]);
	if (pread(s->fd, &word, sizeof(word), p * PAGE) != sizeof(word))
		gone("read");
	if (word != s->want[p])
		errx(1, "%s: page %ld: the file has %#lx, not %#lx", s->path, p, word,
		     s->want[p]);
}

/* Half of the pages stay shared. */
static void change(struct side *s, long p, uint64_t value)
{
	s->want[p] = value;
	if (p & 2)
		s->map[p * WORDS] = value;
	else if (pwrite(s->fd, &value, sizeof(value), p * PAGE) != sizeof(value))
		gone("write");
}

static void cut(struct side *s)
{
	long keep = nr_pages - nr_pages / 8;

	if (ftruncate(s->fd, keep * PAGE) || ftruncate(s->fd, nr_pages * PAGE))
		gone("truncate");
	memset(&s->want[keep], 0, (nr_pages - keep) * sizeof(*s->want));
}

int main(int argc, char **argv)
{
	unsigned long rounds = 0, seed = 1;

	if (argc != 4)
		errx(2, "usage: shared-load FILE OTHER STOP");
	signal(SIGBUS, bus);
	open_side(&sides[0], argv[1]);
	open_side(&sides[1], argv[2]);
	do {
		struct side *s = &sides[rounds & 1];

		for (long p = 0; p < nr_pages; p++) {
			look(&sides[0], p);
			look(&sides[1], p);
			seed = seed * 6364136223846793005UL + 1442695040888963407UL;
			if (p & 1)
				change(s, p, seed | 1);
		}
		if (rounds % 8 == 7)
			cut(&sides[0]);
		if (fsync(s->fd))
			gone("fsync");
		madvise((void *)s->map, nr_pages * PAGE, MADV_DONTNEED);
		rounds++;
		/* who waits for tasks to have slept once is not to wait for ever */
		usleep(1000);
	} while (access(argv[3], F_OK) || rounds < 3);
	printf("%lu rounds\n", rounds);
	return 0;
}
