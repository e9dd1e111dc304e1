// SPDX-License-Identifier: GPL-2.0
/*
 * write-under-mapping pte|pmd
 *
 * One process has a file mapped and only looks, so that its page tables lead to
 * pages that are shared with another volume. Another process writes to the file
 * by every system call that does, which moves the pages: the first one has to
 * see the new bytes at once, and the other volume keeps the old ones. In the end
 * stores through new mappings have to be seen as well: all lead to one page.
 *
 * Pool "pool" with volume "a", mounted at /v/a, is there already. With "pmd" the
 * file is mapped by 2 MiB when the first write comes, else by 4 KiB.
 *
 * Exit status: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PMD	(2UL << 20)
#define PAGE	4096UL
#define WORDS	1024U
#define PMD_WORDS (PMD / 4)
#define REGIONS	9U		/* of 2 MiB, one for each kind of write */
#define SIZE	(REGIONS * PMD)
#define TAIL	(3 * PAGE + 100) /* the size of the second file */
#define TAIL_MAP (8 * PAGE)
#define ZERO	0U
#define MAX_MAPS 8

typedef volatile uint32_t word;

/* what is in the file at first, and what is behind the end of the other one */
#define OLD(i)	(0x40000000U + (i))
#define BEHIND	0xbbbbbbbbU

static bool pmd;
static int bad;
static const char *op = "at first";
static char path_a[32], tail_a[32];

/* what should be there; the second process sees it, too */
static struct model {
	uint32_t a[SIZE / 4], b[SIZE / 4];
	uint32_t tail_a[TAIL_MAP / 4], tail_b[TAIL_MAP / 4];
	char op[64];
	unsigned int region, pages;	/* 0: the tail */
} *m;

/* the process that looks */
static pid_t watcher;
static int ask[2], answer[2];

#define must(x) do { if (!(x)) err(2, "%s: %s", op, #x); } while (0)

__attribute__((format(printf, 1, 2)))
static void shell(const char *fmt, ...)
{
	char cmd[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd))
		errx(2, "failed: %s", cmd);
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		err(2, "%s: %s", op, path);
	return fd;
}

/* By PMDs if possible, or at an address where only PTEs are. */
static word *map_file(const char *path, size_t size, int prot, int flags,
		      bool aligned)
{
	int fd = open_file(path, O_RDWR);
	char *p = mmap(NULL, size + 2 * PMD, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	p = (char *)(((uintptr_t)p + PMD - 1) & ~(PMD - 1));
	if (!aligned)
		p += PAGE;
	p = mmap(p, size, prot, flags | MAP_FIXED, fd, 0);
	must(p != MAP_FAILED);
	close(fd);
	return (word *)p;
}

/* Have it in the page tables: of 2 MiB one word is enough. */
static void touch(word *map, bool aligned)
{
	unsigned char vec[PMD / PAGE];
	unsigned int r, i, present;

	for (r = 0; r < REGIONS; r++) {
		word *p = map + r * PMD_WORDS;

		for (i = 0; i < PMD / PAGE; i += aligned ? PMD / PAGE : 1)
			(void)p[i * WORDS];
		must(!mincore((void *)p, PMD, vec));
		for (i = 0, present = 0; i < PMD / PAGE; i++)
			present += vec[i] & 1;
		if (present != PMD / PAGE)
			errx(2, "%u of %lu pages are mapped", present, PMD / PAGE);
	}
}

static bool same(const char *who, word *map, const uint32_t *want, size_t from,
		 size_t words)
{
	size_t i;

	for (i = from; i < from + words; i++) {
		if (map[i] == want[i])
			continue;
		printf("%s: %s sees %#x in page %zu word %zu and not %#x\n",
		       m->op, who, map[i], i / WORDS, i % WORDS, want[i]);
		fflush(stdout);
		return false;
	}
	return true;
}

/* ---- the process that looks ---- */

static void watch(void)
{
	const struct {
		const char *name;
		int prot;
		bool aligned;
	} kinds[] = {
		{ "a mapping for writing", PROT_READ | PROT_WRITE, pmd },
		{ "a mapping for reading", PROT_READ, pmd },
		{ "a mapping by pages", PROT_READ, false },
	};
	word *map[3], *priv, *tail;
	unsigned int i;
	size_t from, n;
	char c, ok;

	for (i = 0; i < 3; i++) {
		map[i] = map_file(path_a, SIZE, kinds[i].prot, MAP_SHARED,
				  kinds[i].aligned);
		touch(map[i], kinds[i].aligned);
	}
	priv = map_file(path_a, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, false);
	touch(priv, false);
	tail = map_file(tail_a, TAIL_MAP, PROT_READ, MAP_SHARED, false);
	for (i = 0; i < TAIL; i += PAGE)
		(void)tail[i / 4];
	c = 'r';
	must(write(answer[1], &c, 1) == 1);
	while (read(ask[0], &c, 1) == 1) {
		from = m->region * PMD_WORDS;
		n = PMD_WORDS;
		if (c == 't') {
			ok = same("the mapping of the tail", tail, m->tail_a, 0,
				  m->pages * WORDS);
		} else {
			if (c == 'a') {
				from = 0;
				n = SIZE / 4;
			}
			ok = same("a private mapping", priv, m->a, from, n);
			for (i = 0; i < 3; i++)
				ok &= same(kinds[i].name, map[i], m->a, from, n);
		}
		must(write(answer[1], &ok, 1) == 1);
	}
	_exit(0);
}

static void start_watcher(void)
{
	char c;

	must(!pipe(ask) && !pipe(answer));
	fflush(stdout);
	watcher = fork();
	must(watcher >= 0);
	if (!watcher) {
		close(ask[1]);
		close(answer[0]);
		watch();
	}
	close(ask[0]);
	close(answer[1]);
	if (read(answer[0], &c, 1) != 1)
		errx(2, "there is no process that looks");
}

static void stop_watcher(void)
{
	int status;

	close(ask[1]);
	close(answer[0]);
	must(waitpid(watcher, &status, 0) == watcher);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		errx(2, "the process that looks failed");
}

static void look(char what)
{
	char ok;

	must(write(ask[1], &what, 1) == 1);
	must(read(answer[0], &ok, 1) == 1);
	bad |= !ok;
}

/* ---- the process that writes ---- */

static int fd, fd_direct;
static word *map_b;

/* The next write, of which the model is told by fill(). */
static void begin(const char *name, unsigned int region)
{
	op = name;
	snprintf(m->op, sizeof(m->op), "%s", name);
	m->region = region;
}

/* Bytes [@from, @from + @len) of the region are of @value now. */
static void fill(size_t from, size_t len, uint32_t value)
{
	size_t i, at = m->region * PMD + from;

	for (i = 0; i < len / 4; i++)
		m->a[at / 4 + i] = value;
}

static void check(void)
{
	look('r');
	if (!same("the other volume", map_b, m->b, m->region * PMD_WORDS,
		  PMD_WORDS))
		bad = 1;
}

static void put(int file, size_t from, size_t len, uint32_t value)
{
	static uint32_t buf[PMD_WORDS] __attribute__((aligned(PAGE)));
	size_t i;

	for (i = 0; i < len / 4; i++)
		buf[i] = value;
	must(pwrite(file, buf, len, m->region * PMD + from) == (ssize_t)len);
	fill(from, len, value);
}

static void change(int mode, size_t from, size_t len)
{
	must(!fallocate(fd, mode, m->region * PMD + from, len));
	fill(from, len, ZERO);
}

static void write_all(uint32_t value)
{
	size_t cut = 300 * PAGE + 1000;

	begin("write", 0);
	put(fd, 77 * PAGE + 100, 200, value);
	put(fd, 78 * PAGE - 8, 16, value);
	check();
	begin("write of pages", 1);
	put(fd, 100 * PAGE, 3 * PAGE, value);
	check();
	begin("direct write", 2);
	put(fd_direct, 7 * PAGE, 2 * PAGE, value);
	put(fd_direct, 200 * PAGE + 512, 1024, value);
	check();
	begin("write of 2 MiB", 3);
	put(fd, 0, PMD, value);
	check();
	begin("zero a part", 4);
	change(FALLOC_FL_ZERO_RANGE, 33 * PAGE + 40, 80);
	change(FALLOC_FL_ZERO_RANGE, 35 * PAGE + 40, 2 * PAGE);
	check();
	begin("punch a part", 5);
	change(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 44 * PAGE + 40, 80);
	change(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 46 * PAGE - 40, PAGE);
	check();
	begin("synchronous write", 6);
	must(!fcntl(fd, F_SETFL, O_DSYNC));
	put(fd, 500 * PAGE + 4, 4, value);
	check();
	begin("store by another process", 7);
	fflush(stdout);
	if (!fork()) {
		word *p = map_file(path_a, SIZE, PROT_READ | PROT_WRITE,
				   MAP_SHARED_VALIDATE | MAP_SYNC, pmd);

		p[7 * PMD_WORDS + 55 * WORDS] = value;
		_exit(0);
	}
	wait(NULL);
	fill(55 * PAGE, 4, value);
	check();

	begin("truncate", 8);
	must(!ftruncate(fd, 8 * PMD + cut));
	/* what is left of the page is still mapped */
	fill(cut, PAGE - cut % PAGE, ZERO);
	must(!ftruncate(fd, SIZE));
	fill(cut, PMD - cut, ZERO);
	must(!fallocate(fd, 0, 0, SIZE));
	check();
}

/* All mappings lead to the same page, also to those that store again. */
static void store_all(uint32_t value)
{
	word *sync = map_file(path_a, SIZE, PROT_READ | PROT_WRITE,
			      MAP_SHARED_VALIDATE | MAP_SYNC, pmd);
	word *plain = map_file(path_a, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			       false);
	size_t i;

	begin("fsync", 0);
	must(!fsync(fd));
	look('a');
	begin("stores after all", 0);
	for (i = 0; i < SIZE / 4; i += WORDS) {
		word *p = i / WORDS % 3 ? sync : plain;

		p[i + 1] = value;
		m->a[i + 1] = value;
	}
	look('a');
	if (!same("the other volume", map_b, m->b, 0, SIZE / 4))
		bad = 1;
	begin("fsync after the stores", 0);
	must(!fsync(fd));
	look('a');
	munmap((void *)sync, SIZE);
	munmap((void *)plain, SIZE);
}

/*
 * A write beyond the end zeroes the rest of the page where the end was, which
 * has something else there from a store.
 */
static void write_behind_end(word *tail_b)
{
	int t = open_file(tail_a, O_RDWR);
	uint32_t value = 0x1234;
	size_t i;

	begin("look behind the end", 0);
	m->pages = 4;
	look('t');
	begin("write behind the end", 0);
	must(pwrite(t, &value, 4, 6 * PAGE) == 4);
	for (i = TAIL / 4; i < 7 * WORDS; i++)
		m->tail_a[i] = i == 6 * WORDS ? value : ZERO;
	m->pages = 7;
	look('t');
	if (!same("the other volume", tail_b, m->tail_b, 0, 4 * WORDS))
		bad = 1;
	close(t);
}

/* ---- the files ---- */

static void make_files(void)
{
	size_t i;
	int t;

	shell("xfs_io -f -c 'extsize 2m' %s", path_a);
	fd = open_file(path_a, O_RDWR);
	must(!fallocate(fd, 0, 0, SIZE));
	for (i = 0; i < SIZE / 4; i++)
		m->a[i] = OLD(i);
	/* in pieces that a device can give 2 MiB of memory to */
	for (i = 0; i < SIZE; i += PMD)
		must(pwrite(fd, m->a + i / 4, PMD, i) == (ssize_t)PMD);
	must(!fsync(fd));
	close(fd);

	t = open_file(tail_a, O_RDWR | O_CREAT);
	for (i = 0; i < 4 * WORDS; i++)
		m->tail_a[i] = i < TAIL / 4 ? OLD(i) : BEHIND;
	must(pwrite(t, m->tail_a, TAIL, 0) == (ssize_t)TAIL);
	must(!fsync(t));
	close(t);
	memcpy(m->b, m->a, sizeof(m->b));
	memcpy(m->tail_b, m->tail_a, sizeof(m->tail_b));
}

/* By DAX: when a page cache is written, what is behind the end is cleared. */
static void store_behind_end(void)
{
	word *tail = map_file(tail_a, TAIL_MAP, PROT_READ | PROT_WRITE,
			      MAP_SHARED, false);
	size_t i;

	for (i = TAIL / 4; i < 4 * WORDS; i++)
		tail[i] = BEHIND;
	munmap((void *)tail, TAIL_MAP);
}

static uint64_t pfn(word *p)
{
	int pagemap = open_file("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	(void)*p;
	must(pread(pagemap, &entry, 8, (uintptr_t)p / PAGE * 8) == 8);
	must(entry >> 63);
	close(pagemap);
	return entry & ((1ULL << 55) - 1);
}

int main(int argc, char **argv)
{
	word *map_a, *tail_b;

	if (argc != 2 || (strcmp(argv[1], "pte") && strcmp(argv[1], "pmd")))
		errx(2, "usage: write-under-mapping pte|pmd");
	pmd = !strcmp(argv[1], "pmd");
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(m != MAP_FAILED);
	snprintf(path_a, sizeof(path_a), "/v/a/file-%s", argv[1]);
	snprintf(tail_a, sizeof(tail_a), "/v/a/tail-%s", argv[1]);
	make_files();
	shell("umount /v/a");
	shell("mount -o dax=always /dev/mapper/pool-a /v/a");
	store_behind_end();
	shell("daxcow clone pool a %s >/dev/null", argv[1]);
	shell("mkdir -p /v/b && mount -o dax=always,nouuid /dev/mapper/pool-%s /v/b",
	      argv[1]);
	path_a[3] = 'b';
	tail_a[3] = 'b';
	map_b = map_file(path_a, SIZE, PROT_READ, MAP_SHARED, pmd);
	tail_b = map_file(tail_a, TAIL_MAP, PROT_READ, MAP_SHARED, false);
	path_a[3] = 'a';
	tail_a[3] = 'a';
	map_a = map_file(path_a, SIZE, PROT_READ, MAP_SHARED, pmd);
	if (pfn(map_a + 77 * WORDS) != pfn(map_b + 77 * WORDS))
		errx(2, "nothing is shared");
	munmap((void *)map_a, SIZE);

	start_watcher();
	fd = open_file(path_a, O_RDWR);
	fd_direct = open_file(path_a, O_RDWR | O_DIRECT);
	look('a');
	write_all(0xaaaa0001);
	/* the same to pages that are not shared any more */
	write_all(0xaaaa0002);
	store_all(0xaaaa0003);
	write_behind_end(tail_b);
	stop_watcher();
	munmap((void *)map_b, SIZE);
	munmap((void *)tail_b, TAIL_MAP);
	shell("umount /v/b");
	printf("%s: %s\n", argv[1], bad ? "WRONG" : "as it should be");
	return bad;
}
