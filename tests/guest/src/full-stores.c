// SPDX-License-Identifier: GPL-2.0
/*
 * full-stores FILE first|rest
 *
 * Store a number to each page of FILE, of which a snapshot has all pages, and make
 * each one durable before the next: MAP_SYNC, and flush the line.
 *
 *   first	until the pool is full, which has to be told by SIGBUS. What was
 *		stored before is there, by the mapping, by another one and by
 *		read(2), and the page at which it stopped is as it was
 *   rest	go on there, to the end; then all of it is there
 *
 * Exit status: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <emmintrin.h>
#include <err.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE	4096UL
#define NEW(i)	(0xabcd000000000000ULL + (i))
#define OLD	0x3131313131313131ULL

static sigjmp_buf full;
static volatile size_t done;
static int fd;
static size_t pages;

static void on_sigbus(int sig __attribute__((unused)))
{
	siglongjmp(full, 1);
}

static volatile uint64_t *map_file(int prot)
{
	char *p = mmap(NULL, pages * PAGE, prot, MAP_SHARED_VALIDATE | MAP_SYNC,
		       fd, 0);

	if (p == MAP_FAILED)
		err(2, "mmap");
	return (volatile uint64_t *)p;
}

static uint64_t by_read(size_t page)
{
	uint64_t v;

	if (pread(fd, &v, 8, page * PAGE) != 8)
		err(1, "a page cannot be read");
	return v;
}

/* What is new up to @nr, and old behind it. */
static void compare(volatile uint64_t *map, size_t nr)
{
	volatile uint64_t *other = map_file(PROT_READ);
	size_t i;

	for (i = 0; i < pages; i++) {
		uint64_t want = i < nr ? NEW(i) : OLD;
		uint64_t a = map[i * PAGE / 8], b = other[i * PAGE / 8];
		uint64_t c = by_read(i);

		if (a != want || b != want || c != want)
			errx(1, "page %zu of %zu stored is %#llx, %#llx, %#llx",
			     i, nr, (unsigned long long)a, (unsigned long long)b,
			     (unsigned long long)c);
	}
	munmap((void *)other, pages * PAGE);
}

static size_t stored_before(void)
{
	size_t i = 0;

	while (i < pages && by_read(i) == NEW(i))
		i++;
	return i;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };
	volatile uint64_t *map;
	struct stat st;
	int was_full;

	if (argc != 3)
		errx(2, "usage: full-stores FILE first|rest");
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		err(2, "%s", argv[1]);
	pages = st.st_size / PAGE;
	map = map_file(PROT_READ | PROT_WRITE);
	sigaction(SIGBUS, &sa, NULL);
	done = stored_before();
	was_full = sigsetjmp(full, 1);
	if (!was_full) {
		for (; done < pages; done++) {
			map[done * PAGE / 8] = NEW(done);
			_mm_clflush((void *)&map[done * PAGE / 8]);
			_mm_sfence();
		}
	}
	printf("%zu of %zu pages stored%s\n", done, pages,
	       was_full ? ", then SIGBUS" : "");
	fflush(stdout);
	compare(map, done);
	if (!strcmp(argv[2], "first"))
		return !was_full || !done;
	return was_full;
}
